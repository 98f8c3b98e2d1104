// Saying, streaming, stopping, going on: what every chat can.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Served, ask, clean, lastAnswer, open, quit, rest, say, tool, until } from "./harness.mjs";

const SKY = "Why is the sky blue?";
let served, slow;
before(async () => {
  served = await Served.start();
  slow = await Served.start(["--delay-us", "12000"]);
});
after(async () => {
  await quit();
  await served.end();
  await slow.end();
});

test("a message is answered, streamed, and there after the page is loaded again", async () => {
  const page = await open(slow);
  await say(page, SKY);
  const prose = page.locator(".turn.answer .fused .prose");
  await until("a beginning", async () => (await prose.textContent()).length > 5);
  assert.ok((await prose.textContent()).length < 200, "it did not stream");
  assert.match(await page.locator(".figures").innerText(), /characters|Reading/);
  await rest(page);
  const text = await lastAnswer(page);
  assert.match(text, /^The sky is blue because air scatters .* is red\.$/);
  assert.match(await page.locator(".figures").innerText(), /answer \d+ tok .* tok\/s · stop · seed \d+/);
  const lines = await slow.session();
  assert.deepEqual(lines.slice(1).map((line) => line.message.content), [SKY, text]);
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  await until("the answer", async () => (await lastAnswer(page)) === text);
  assert.equal(await page.title(), `${SKY} · fake`);
  // Weights and marks stay as long as the tab.
  assert.match(await page.locator(".weights").innerText(), /left 0\.\d\d/);
  clean(page);
  await page.context().close();
});

test("a stopped answer stays, and goes on", async () => {
  const page = await open(slow);
  await page.click("#new");
  await say(page, SKY);
  await until("a beginning", async () => (await lastAnswer(page)).length > 20);
  await page.keyboard.press("Escape");
  await rest(page);
  const half = await lastAnswer(page);
  assert.ok(half.length < 200);
  assert.match(await page.locator(".turn.answer .note").innerText(), /^Stopped/);
  await tool(page, "Continue").click();
  await until("more", async () => (await lastAnswer(page)).length > half.length);
  await rest(page);
  assert.match(await lastAnswer(page), /^The sky is blue because .* is red\.$/);
  // The half is a version.
  await page.getByRole("button", { name: "The version before" }).click();
  assert.equal(await lastAnswer(page), half);
  clean(page);
  await page.context().close();
});

test("regenerate and edit make versions, which the session has", async () => {
  const page = await open(served);
  const first = await ask(page, "Say anything");
  await tool(page, "Regenerate").click();
  await page.getByText("2/2").waitFor();
  await rest(page);
  const second = await lastAnswer(page);
  assert.notEqual(second, first);
  await page.getByRole("button", { name: "The version before" }).click();
  assert.equal(await lastAnswer(page), first);
  // Going on from the first version.
  await ask(page, "Short.");
  assert.equal(await page.locator(".turn").count(), 4);
  await page.locator(".turn.user").first().getByRole("button", { name: "Edit" }).click();
  const field = page.locator(".editing textarea");
  assert.equal(await field.inputValue(), "Say anything");
  await field.fill(SKY);
  await field.press("Enter");
  await page.locator(".turn.user .versions").getByText("2/2").waitFor();
  await rest(page);
  assert.equal(await page.locator(".turn").count(), 2);
  assert.match(await lastAnswer(page), /^The sky is blue/);
  // Everything is there after the page is loaded again, also the branch that is not shown.
  await page.reload();
  await page.locator(".turn.user .versions").getByText("2/2").waitFor();
  await page.getByRole("button", { name: "The version before" }).click();
  assert.equal(await page.locator(".turn").count(), 4);
  assert.equal(await lastAnswer(page), "Yes.");
  clean(page);
  await page.context().close();
});

test("Markdown becomes nodes; a thought is folded", async () => {
  const page = await open(served);
  await ask(page, "Show everything.");
  const prose = page.locator(".turn.answer").last().locator(".prose");
  const has = async (selector, text) => assert.equal(await prose.locator(selector).first().innerText(), text, selector);
  await has("h3", "A heading");
  await has("p strong", "bold");
  await has("p em", "italic");
  await has("p code", "code");
  await has("del", "gone");
  await has("ul > li > ul > li:last-child", "again");
  await has("ol > li:last-child", "second");
  await has("blockquote em", "somebody");
  await has("pre", 'fn main() {\n    println!("<b>not bold</b>");\n}');
  await has("th:last-child", "value");
  await has("tr:last-child td code", "2");
  assert.equal(await prose.locator("hr").count(), 1);
  const links = await prose.locator("a").evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target]));
  assert.deepEqual(links.map(([href]) => href), ["https://example.org/a?b=1", "https://example.org/bare"]);
  assert.ok(links.every(([, rel, target]) => rel.includes("noreferrer") && target === "_blank"));
  await ask(page, "Think first.");
  const thought = page.locator(".thought");
  assert.equal(await thought.evaluate((node) => node.open), false);
  assert.match(await thought.locator("summary").innerText(), /^Thought, \d+ words$/);
  assert.match(await thought.locator(".text").textContent(), /^Two and two are four/);
  assert.equal(await lastAnswer(page), "It is four, as everybody knows.");
  clean(page);
  await page.context().close();
});

test("the view does not move against the reader", async () => {
  const page = await open(slow, { viewport: { width: 900, height: 420 } });
  await say(page, "Show everything.");
  const top = () => page.locator("#scroll").evaluate((node) => node.scrollTop);
  await until("it follows", async () => (await top()) > 60);
  await page.mouse.move(450, 200);
  await page.mouse.wheel(0, -40);
  await new Promise((done) => setTimeout(done, 100));
  const read = await top();
  await new Promise((done) => setTimeout(done, 600));
  assert.equal(await top(), read);
  await rest(page);
  assert.equal(await top(), read);
  const toEnd = page.getByRole("button", { name: "To the end" });
  await toEnd.click();
  await until("the end", async () => (await top()) > read);
  clean(page);
  await page.context().close();
});

test("finished sentences are announced, once each", async () => {
  const page = await open(served);
  await page.evaluate(() => {
    window.said = [];
    new MutationObserver((all) => all.forEach((m) => m.addedNodes.forEach((n) => window.said.push(n.textContent))))
      .observe(document.getElementById("live"), { childList: true });
  });
  const text = await ask(page, SKY);
  const said = await page.evaluate(() => window.said.join(" "));
  assert.equal(said.replace(/\s+/g, " "), text);
  assert.equal(await page.locator("#live").getAttribute("aria-live"), "polite");
  await page.context().close();
});

test("a conversation is exported as Markdown and as JSON", async () => {
  const page = await open(served);
  const answer = await ask(page, SKY);
  const exported = async (words) => {
    await page.click("#more");
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: words }).click();
    const file = await coming;
    return [file.suggestedFilename(), await readFile(await file.path(), "utf8")];
  };
  const [name, text] = await exported("Export as Markdown");
  assert.match(name, /^\d{8}-.*\.md$/);
  assert.equal(text, `## You\n\n${SKY}\n\n## Pack\n\n${answer}\n\n`);
  const [, json] = await exported("Export as JSON");
  assert.deepEqual(JSON.parse(json), [{ role: "user", content: SKY }, { role: "assistant", content: answer }]);
  clean(page);
  await page.context().close();
});
