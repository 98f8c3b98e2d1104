// The server beside the page: its key, its end and return, other tabs, a chat in a terminal.
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { Served, ask, clean, lastAnswer, launch, open, openIn, quit, rest, say, tool, until } from "./harness.mjs";

const SKY = "Why is the sky blue?";
after(quit);

test("a key is asked for, told if it is wrong, and kept in the tab", async () => {
  const served = await Served.start(["--key", "sesame"]);
  const context = await (await launch()).newContext();
  const page = await openIn(context, served, false);
  const dialog = page.getByRole("dialog", { name: "A key is needed" });
  await dialog.getByLabel("Key", { exact: true }).fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("The key is not one of this server's.").waitFor();
  await page.getByLabel("Key", { exact: true }).fill("sesame");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.waitForSelector("body[data-ready]");
  assert.match(await ask(page, SKY), /^The sky/);
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await until("the answer", async () => /^The sky/.test(await lastAnswer(page)));
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes("sesame")), false);
  assert.deepEqual(page.elsewhere, []);
  await context.close();
  await served.end();
});

test("a server that dies in an answer: what came stays, and it goes on when it is back", async () => {
  const first = await Served.start(["--delay-us", "20000"]);
  const page = await open(first);
  await say(page, SKY);
  await until("a beginning", async () => (await page.locator(".turn.answer .prose").textContent()).length > 20);
  await first.kill();
  await page.getByText("The server is gone.").waitFor();
  await rest(page);
  const half = await lastAnswer(page);
  assert.ok(half.length > 10);
  assert.match(await page.locator(".turn.answer .note").innerText(), /^The server went away/);
  // A draft stays, and is not sent into nothing.
  await page.fill("#message", "Short.");
  await page.press("#message", "Enter");
  await new Promise((done) => setTimeout(done, 300));
  assert.equal(await page.inputValue("#message"), "Short.");
  assert.equal(await page.locator(".turn").count(), 2);

  const second = await Served.start([], { sessions: first.folder, port: first.port });
  await page.getByText("The server is back.").waitFor();
  await until("the half is saved", async () => (await second.session()).some((line) => line.message?.content === half));
  await tool(page, "Continue").click();
  await until("the rest", async () => /is red\.$/.test(await lastAnswer(page)));
  assert.equal(await page.inputValue("#message"), "Short.");
  await page.press("#message", "Enter");
  await until("the draft is said", async () => (await page.locator(".turn").count()) === 4);
  await rest(page);
  assert.deepEqual(page.elsewhere, []);
  await page.context().close();
  await second.end();
});

test("two tabs: the second follows, and waits while the first is answered", async () => {
  const served = await Served.start(["--delay-us", "20000"]);
  const context = await (await launch()).newContext();
  const one = await openIn(context, served);
  await ask(one, "Short.");
  const two = await openIn(context, served);
  await two.goto(one.url());
  await until("the same conversation", async () => (await two.locator(".turn").count()) === 2);
  await say(one, SKY);
  await two.getByText("Another tab has this conversation answered").waitFor();
  await two.fill("#message", "Think first.");
  await two.press("#message", "Enter");
  assert.equal(await two.inputValue("#message"), "Think first.");
  await rest(one);
  const said = await lastAnswer(one);
  await until("the answer in the second tab", async () =>
    (await two.locator(".turn").count()) === 4 && (await lastAnswer(two)) === said);
  assert.equal(await two.getByText("Another tab has").count(), 0);
  await two.press("#message", "Enter");
  await until("the second speaks", async () => (await two.locator(".turn").count()) === 6);
  await rest(two);
  await until("the first follows", async () => (await one.locator(".turn").count()) === 6);
  clean(one);
  clean(two);
  await context.close();
  await served.end();
});

test("what a terminal has changed is not written over, and a copy goes on", async () => {
  const served = await Served.start();
  const page = await open(served);
  await ask(page, "Short.");
  const [name] = await readdir(served.folder);
  const file = join(served.folder, name);
  await writeFile(file, `${await readFile(file, "utf8")}${JSON.stringify({ message: { role: "user", content: "from the terminal" } })}\n`);
  await say(page, SKY);
  await page.getByText("Not saved: the session was changed elsewhere").waitFor();
  assert.equal(await page.inputValue("#message"), SKY);
  await page.getByRole("button", { name: "Read it again" }).click();
  await page.getByText("from the terminal").waitFor();
  await page.getByRole("button", { name: "Answer it" }).click();
  await page.locator(".turn.answer").nth(1).locator(".tools button").first().waitFor();
  assert.deepEqual(page.elsewhere, []);
  await page.context().close();
  await served.end();
});

test("a page that is closed in an answer leaves what came of it", async () => {
  const served = await Served.start(["--delay-us", "20000"]);
  const page = await open(served);
  await say(page, SKY);
  await until("a beginning", async () => (await page.locator(".turn.answer .prose").textContent()).length > 20);
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  await until("the half", async () => (await page.locator(".turn.answer").count()) === 1);
  await until("its text", async () => /^The sky is/.test(await lastAnswer(page)));
  await page.context().close();
  await served.end();
});

test("sessions are found, opened, renamed and removed", async () => {
  const served = await Served.start();
  const page = await open(served);
  await ask(page, SKY);
  await page.click("#new");
  await ask(page, "Short.");
  const list = page.locator("#list a");
  await until("both are listed", async () => (await list.count()) === 2);
  await page.locator("#scroll").focus();
  await page.keyboard.press("/");
  await page.keyboard.type("SCATTERS");
  await until("one is found", async () => (await list.count()) === 1);
  assert.match(await list.innerText(), /air scatters/);
  await list.click();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 2);
  await until("its text", async () => /^The sky/.test(await lastAnswer(page)));
  await page.fill("#search", "");
  await page.click("#more");
  await page.getByRole("button", { name: "Rename…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("a/b");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByText("use letters, digits, spaces").last().waitFor();
  await page.click("#more");
  await page.getByRole("button", { name: "Rename…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("the sky");
  await page.keyboard.press("Enter");
  await until("its name", async () => (await readdir(served.folder)).includes("the sky.jsonl"));
  await until("its title", async () => (await page.locator("#title").innerText()) === "the sky");
  await page.click("#more");
  await page.getByRole("button", { name: "Remove…" }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await until("it is gone", async () => (await readdir(served.folder)).length === 1);
  await until("no turn is left", async () => (await page.locator(".turn").count()) === 0);
  assert.deepEqual(page.elsewhere, []);
  await page.context().close();
  await served.end();
});
