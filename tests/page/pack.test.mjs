// What only a pack can: weights, who said what, comparisons, members on and off; and settings.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Served, ask, clean, lastAnswer, open, quit, rest, tool, until } from "./harness.mjs";

const SKY = "Why is the sky blue?";
let served;
before(async () => (served = await Served.start()));
after(async () => {
  await quit();
  await served.end();
});

test("weights stand above an answer: a bar, numbers, and the reason", async () => {
  const page = await open(served);
  await ask(page, SKY);
  const weights = await page.locator(".weights").innerText();
  assert.match(weights, /1 ?left 0\.\d\d/);
  assert.match(weights, /2 ?right 0\.\d\d/);
  assert.match(weights, /Why: by sim on \d+ bytes of what was written\. Your message cost them, in bits per byte: left \d/);
  const widths = await page.locator(".bar .part").evaluateAll((all) => all.map((part) => part.clientWidth));
  assert.equal(widths.length, 2);
  assert.ok(widths.every((width) => width > 20), `${widths}`);
  clean(page);
  await page.context().close();
});

test("who said what is shown afterwards, by line and number, and hidden again", async () => {
  const page = await open(served);
  await ask(page, SKY);
  const text = await lastAnswer(page);
  const turn = page.locator(".turn.answer").last();
  const line = () => turn.locator(".prose .said").first().evaluate((node) => getComputedStyle(node).textDecorationLine);
  assert.equal(await line(), "none");
  await tool(page, "Who said what").click();
  assert.equal(await tool(page, "Who said what").getAttribute("aria-pressed"), "true");
  assert.equal(await line(), "underline");
  const marks = await turn.locator(".prose .said").evaluateAll((all) => all.map((node) => [
    getComputedStyle(node, "::before").content.slice(1, 2), getComputedStyle(node).textDecorationStyle, node.textContent]));
  assert.deepEqual(new Set(marks.map(([mark, style]) => `${mark} ${style}`)), new Set(["1 solid", "2 dashed"]));
  assert.ok(marks.every(([, , said]) => said === said.trim()), `${marks}`);
  assert.match(await turn.locator(".legend").innerText(), /Argued for by\s+left \d+%, weight 0\.\d+\s+right \d+%, weight 0\.\d+\s+nobody more than the others \d+%/);
  assert.equal(await turn.locator(".prose").evaluate((node) => node.textContent), text);
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  await tool(page, "Who said what").click();
  assert.equal(await line(), "underline");
  await tool(page, "Who said what").click();
  assert.equal(await line(), "none");
  clean(page);
  await page.context().close();
});

test("members answer beside the pack, and one of their answers can be taken", async () => {
  const page = await open(served);
  const fused = await ask(page, "Say something else");
  const requests = [];
  page.on("request", (request) => request.url().endsWith("/completions") && requests.push(request.postDataJSON().packllm.members));
  await tool(page, "Compare members").click();
  const columns = page.locator(".column");
  assert.equal(await columns.count(), 3);
  await until("both answers", async () => (await page.getByRole("button", { name: "Use this answer" }).count()) === 2);
  assert.deepEqual(requests.sort(), [["left"], ["right"]]);
  const [first, left, right] = await columns.locator(".prose").allInnerTexts();
  assert.equal(first, fused);
  assert.notEqual(left, right);
  const tops = await columns.evaluateAll((all) => all.map((node) => node.getBoundingClientRect().top));
  assert.equal(new Set(tops).size, 1, "they are not side by side");
  await page.locator(".column.alone").last().getByRole("button", { name: "Use this answer" }).click();
  await page.getByText("2/2").waitFor();
  assert.equal(await lastAnswer(page), right);
  await until("it is saved", async () => (await served.session()).some((line) => line.keep === 1));
  clean(page);
  await page.context().close();
});

test("a comparison ends with its button, and its answers with it", async () => {
  const page = await open(served);
  await ask(page, SKY);
  await tool(page, "Compare members").click();
  await page.locator(".column.alone").first().waitFor();
  await tool(page, "Compare members").click();
  assert.equal(await page.locator(".column.alone").count(), 0);
  clean(page);
  await page.context().close();
});

test("members are switched off and on; the last one stays", async () => {
  const page = await open(served);
  const chip = (name) => page.locator("#members").getByRole("button", { name });
  await chip("right").click();
  assert.equal(await chip("right").getAttribute("aria-pressed"), "false");
  await ask(page, SKY);
  const weights = await page.locator(".weights").last().innerText();
  assert.match(weights, /left 1\.00/);
  assert.match(weights, /right off/);
  assert.match(weights, /the other members are off/);
  await chip("left").click({ force: true });
  assert.equal(await chip("left").getAttribute("aria-pressed"), "true");
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  assert.equal(await chip("right").getAttribute("aria-pressed"), "false");
  await chip("right").click();
  await ask(page, "Short.");
  assert.match(await page.locator(".weights").last().innerText(), /right 0\.\d\d/);
  clean(page);
  await page.context().close();
});

test("settings have the ranges of the table, and requests have what is set", async () => {
  const page = await open(served);
  await page.click("#settings");
  const field = (name) => page.getByLabel(name, { exact: true });
  assert.equal(await field("top-p").getAttribute("max"), "1");
  assert.equal(await field("temp").getAttribute("placeholder"), "0.8");
  await field("top-p").fill("2");
  assert.match(await page.locator(".wrong", { hasText: "must be" }).innerText(), /from 0 to 1/);
  await field("top-p").fill("0.5");
  await field("seed").fill("41");
  await field("weights").fill("left=3,right=1");
  await field("System prompt").fill("Be brief.");
  await page.getByRole("button", { name: "Done" }).click();
  const asked = page.waitForRequest(/completions/);
  await ask(page, SKY);
  const body = (await asked).postDataJSON();
  assert.deepEqual([body.top_p, body.seed, body.packllm.weights], [0.5, 41, "left=3,right=1"]);
  assert.deepEqual(body.messages[0], { role: "system", content: "Be brief." });
  assert.match(await page.locator(".weights").innerText(), /left 0\.75/);
  const lines = await page.evaluate(async () => {
    const [first] = await (await fetch("/packllm/sessions")).json();
    return (await fetch(`/packllm/sessions/${first.id}`)).json();
  });
  assert.equal(lines.system, "Be brief.");
  await page.click("#settings");
  await page.getByRole("button", { name: "Back to the server's settings" }).click();
  const again = page.waitForRequest(/completions/);
  await ask(page, "Short.");
  assert.equal((await again).postDataJSON().top_p, undefined);
  clean(page);
  await page.context().close();
});
