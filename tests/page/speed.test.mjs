// A long answer stays smooth while it comes.
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Served, launch, open, quit, rest, say } from "./harness.mjs";

/** Milliseconds of processor time that a task may take. The aim is 50; a busy machine has cold caches. */
const BOUND = Number(process.env.PACKLLM_PAGE_LONG_TASK ?? 100);

after(quit);

/** More than five thousand tokens of the fake, of all kinds of Markdown. */
function long() {
  const section = (n) => `## Part ${n}\n\nSome **bold** text, some *more*, and \`code\` in a line that is as long as lines of answers are, `
    + `so that it goes on for a while and then ends.\n\n- an item with a [link](https://example.org/${n})\n- another one\n\n`
    + `\`\`\`python\nfor i in range(${n}):\n    print(i, i * i)\n\`\`\`\n\n| a | b |\n| - | - |\n| ${n} | ${n * n} |\n\n`;
  let text = "";
  for (let n = 1; text.split(/\s+/).length < 1300; n += 1) text += section(n);
  return text;
}

/**
 * Traces what the page's thread does; returns what stops it, with the processor time of every task in
 * milliseconds. Clocks on the wall would count what others do on the machine.
 */
async function traced() {
  const session = await (await launch()).newBrowserCDPSession();
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const categories = "toplevel,disabled-by-default-devtools.timeline";
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: categories.split(",") } });
  return async () => {
    const over = new Promise((done) => session.once("Tracing.tracingComplete", done));
    await session.send("Tracing.end");
    await over;
    const names = events.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain");
    const mains = new Set(names.map((event) => `${event.pid} ${event.tid}`));
    const tasks = events.filter((event) => /RunTask$/.test(event.name) && event.tdur !== undefined && mains.has(`${event.pid} ${event.tid}`));
    return tasks.map((event) => event.tdur / 1000);
  };
}

test("5,000 tokens are put without a long task", async () => {
  const text = long();
  const answers = join(tmpdir(), `packllm-page-${process.pid}.json`);
  await writeFile(answers, JSON.stringify({ "At length.": text }));
  const served = await Served.start(["--answers", answers, "--limit", "100000"]);
  const page = await open(served);
  await page.evaluate(() => {
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((entry) => entry.duration)))
      .observe({ entryTypes: ["longtask"] });
  });
  const stop = await traced();
  const start = Date.now();
  await say(page, "At length.");
  await page.waitForSelector("#stop:not([hidden])");
  await rest(page, 240000);
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  const spent = await stop();
  const long50 = await page.evaluate(() => window.tasks);
  const figures = await page.locator(".figures").innerText();
  const longest = Math.max(...spent);
  const sum = spent.reduce((all, one) => all + one, 0);
  console.log(`${figures}; ${text.length} characters in ${seconds} s, ${spent.length} tasks, ${(sum / 1000).toFixed(2)} s of `
    + `processor time, the longest ${longest.toFixed(1)} ms; ${long50.length} tasks of more than 50 ms on the wall, `
    + `the longest ${Math.max(0, ...long50)} ms`);
  assert.match(figures, /answer ([5-9]|\d\d)\d{3} tok/);
  assert.equal(await page.locator(".turn.answer pre").count(), text.match(/```python/g).length);
  assert.ok(spent.length > 100 && longest < BOUND, `a task took ${longest} ms`);
  await page.context().close();
  await served.end();
  await rm(answers);
});
