// How it looks, and to whom: light, dark, narrow, by keyboard, by screen reader.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Served, ask, clean, open, openIn, launch, quit, rest, say, tool, until } from "./harness.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Pictures of every state, where somebody wants to look at them. */
const pictures = process.env.PACKLLM_PAGE_PICTURES;

let served, keyed;
before(async () => {
  served = await Served.start();
  keyed = await Served.start(["--key", "sesame"]);
  if (pictures) await mkdir(pictures, { recursive: true });
});
after(async () => {
  await quit();
  await served.end();
  await keyed.end();
});

/** No rule of accessibility is broken in this state. */
async function sound(page, state) {
  if (pictures) await page.screenshot({ path: join(pictures, `${state}.png`) });
  const client = await page.context().newCDPSession(page);
  // A world of its own: the policy of the page does not let it in otherwise.
  const { frameTree } = await client.send("Page.getFrameTree");
  const { executionContextId: contextId } = await client.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  await client.send("Runtime.evaluate", { contextId, expression: axe });
  const { result, exceptionDetails } = await client.send("Runtime.evaluate", {
    contextId, awaitPromise: true, returnByValue: true,
    expression: `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 150) + " " + n.any.map((a) => a.message)).join(" | ")))`,
  });
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  assert.deepEqual(result.value, [], state);
  await client.detach();
}

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 390, height: 780 }, hasTouch: true },
};

for (const [name, having] of Object.entries(LOOKS)) {
  test(`every state is accessible: ${name}`, async () => {
    const page = await open(served, { ...having, reducedMotion: "reduce" });
    await sound(page, `${name}-empty`);
    await ask(page, "Show everything.");
    await ask(page, "Think first.");
    await page.locator(".thought summary").click();
    await ask(page, "Why is the sky blue?");
    await tool(page, "Who said what").click();
    await sound(page, `${name}-attribution`);
    await tool(page, "Regenerate").click();
    await page.getByText("2/2").waitFor();
    await rest(page);
    await page.locator("#scroll").evaluate((node) => (node.scrollTop = 0));
    await sound(page, `${name}-markdown`);
    await tool(page, "Compare members").click();
    await until("both answers", async () => (await page.getByRole("button", { name: "Use this answer" }).count()) === 2);
    await sound(page, `${name}-compare`);
    await page.locator(".turn.user").last().getByRole("button", { name: "Edit" }).click();
    await sound(page, `${name}-edit`);
    await page.keyboard.press("Escape");
    await page.click("#settings");
    await sound(page, `${name}-settings`);
    await page.keyboard.press("Escape");
    await page.click("#more");
    await sound(page, `${name}-menu`);
    await page.click("#help");
    await sound(page, `${name}-help`);
    await page.keyboard.press("Escape");
    if (name === "phone") {
      await page.click("#menu");
      await sound(page, `${name}-list`);
      await page.click("#fold");
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, "it is wider than the window");
    clean(page);
    await page.context().close();
    const key = await openIn(await (await launch()).newContext(having), keyed, false);
    await key.getByRole("dialog").waitFor();
    await sound(key, `${name}-key`);
    await key.context().close();
  });
}

test("dark and light follow the system, and the switch", async () => {
  const page = await open(served, { colorScheme: "dark" });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paper();
  await page.emulateMedia({ colorScheme: "light" });
  const light = await paper();
  assert.notEqual(light, dark);
  await page.click("#more");
  await page.click("#theme");
  assert.equal(await paper(), dark);
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  assert.equal(await paper(), dark);
  clean(page);
  await page.context().close();
});

test("everything can be done without a mouse, and the focus is seen", async () => {
  const page = await open(served);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the message");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "message");
  await page.keyboard.type("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  assert.equal(await page.inputValue("#message"), "one\ntwo");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".turn.answer .tools button");
  await page.locator("#message").focus();
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.evaluate(() => document.activeElement.value), "one\ntwo");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  assert.equal(await page.evaluate(() => document.activeElement.id), "search");
  await page.keyboard.press("Escape");
  await page.locator("#scroll").focus();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys and help" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Alt+n");
  await until("a new conversation", async () => (await page.locator(".turn").count()) === 0);
  const seen = await page.locator("#settings").evaluate((node) => {
    node.focus({ focusVisible: true });
    return getComputedStyle(node).outlineStyle;
  });
  assert.equal(seen, "solid");
  clean(page);
  await page.context().close();
});

test("nothing moves for those who want no motion", async () => {
  const page = await open(served, { reducedMotion: "reduce" });
  const moving = await page.evaluate(() => document.getAnimations().length);
  assert.equal(moving, 0);
  const times = await page.locator("button").first().evaluate((node) => getComputedStyle(node).transitionDuration);
  assert.equal(times, "0s");
  await page.context().close();
});
