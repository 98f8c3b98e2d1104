// Hostile answers do nothing, and the policy of the page holds.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Served, ask, clean, lastAnswer, open, quit, rest, say, until } from "./harness.mjs";

let served;
before(async () => (served = await Served.start()));
after(async () => {
  await quit();
  await served.end();
});

/** An answer of the server with this text, in pieces. */
function stream(text, size = 4096) {
  const chunk = (delta, more = {}) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null }], ...more })}\n\n`;
  const pieces = [];
  for (let at = 0; at < text.length; at += size) pieces.push(chunk({ content: text.slice(at, at + size) }));
  return `${chunk({ role: "assistant", content: null })}${pieces.join("")}data: [DONE]\n\n`;
}

const answerWith = (page, text, size) => page.route("**/v1/chat/completions", (route) =>
  route.fulfill({ status: 200, contentType: "text/event-stream", body: stream(text, size) }));

test("scripts, images, frames and links of an answer do nothing", async () => {
  const page = await open(served);
  const text = await ask(page, "Be evil.");
  assert.match(text, /<script>window\.pwned = 1<\/script>/);
  const prose = page.locator(".turn.answer .prose");
  assert.equal(await prose.locator("script, img, svg, iframe, style, object, link").count(), 0);
  const links = await prose.locator("a").evaluateAll((all) => all.map((a) => a.href));
  assert.ok(links.length > 0 && links.every((href) => /^https?:/.test(href)), `${links}`);
  // What could turn the text around is shown, not carried out.
  assert.deepEqual(await prose.locator(".sign").allInnerTexts(), ["U+202E", "U+202C"]);
  assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069]/);
  assert.equal(await prose.locator("strong").innerText(), "bold");
  await new Promise((done) => setTimeout(done, 300));
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  clean(page);
  await page.context().close();
});

test("the same in a user's message, a title, a name and a search", async () => {
  const page = await open(served);
  const evil = "<img src=x onerror=\"window.pwned=1\">\u202e";
  await ask(page, evil, "onerror");
  await page.fill("#search", "onerror");
  await until("found", async () => (await page.locator("#list a").count()) > 0);
  assert.equal(await page.locator("#thread img, #list img, #title img").count(), 0);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  clean(page);
  await page.context().close();
});

test("a line of a megabyte, and marks without end, leave the page alive", async () => {
  const page = await open(served);
  for (const [piece, count] of [["a", 1 << 20], ["[(*_`~", 5000], ["> ", 10000], ["- ", 10000], ["|", 30000], ["`", 30000], ["*a ", 8000]]) {
    await answerWith(page, piece.repeat(count));
    await say(page, `${count}`);
    const start = Date.now();
    await rest(page, 90000);
    await until("it is put", async () => (await page.locator(".turn.answer").last().locator(".prose").evaluate((n) => n.textContent.length)) > 0
      || piece === "> " || piece === "- ");
    await page.evaluate(() => new Promise((done) => setTimeout(done)));
    console.log(`${count} times ${JSON.stringify(piece)}: ${Date.now() - start} ms`);
    await page.unroute("**/v1/chat/completions");
  }
  const whole = page.locator(".turn.answer").first().locator(".prose");
  assert.equal(await whole.evaluate((node) => node.textContent.length), 1 << 20);
  assert.deepEqual(page.troubles.filter((trouble) => !/413|400/.test(trouble)), []);
  await page.context().close();
});

test("a session with a line of a megabyte is opened", async () => {
  const head = { session: { format: 1, pack: "p", members: [] } };
  const lines = [head, { message: { role: "user", content: "big" } }, { message: { role: "assistant", content: "x".repeat(1 << 20) } }];
  await writeFile(join(served.folder, "big.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const page = await open(served);
  await page.goto(`${served.address}/#big`);
  await until("all of it", async () => (await page.locator(".prose").evaluate((node) => node.textContent.length)) === 1 << 20);
  clean(page);
  await page.context().close();
});

test("pieces of any size make the same nodes", async () => {
  const page = await open(served);
  await ask(page, "Show everything.");
  const shape = () => page.locator(".turn.answer").last().locator(".prose").evaluate((root) => {
    const clone = root.cloneNode(true);
    clone.querySelectorAll(".said").forEach((node) => node.replaceWith(...node.childNodes));
    clone.normalize();
    return new XMLSerializer().serializeToString(clone);
  });
  const want = await shape();
  const text = await page.evaluate(async () => {
    const list = await (await fetch("/packllm/sessions?search=A%20heading")).json();
    const opened = await (await fetch(`/packllm/sessions/${list[0].id}`)).json();
    return opened.messages.find((m) => m.content.includes("A heading")).content;
  });
  for (const size of [1, 2, 3, 7, 50, 10000]) {
    await answerWith(page, text, size);
    await ask(page, `in pieces of ${size}`);
    assert.equal(await shape(), want, `pieces of ${size}`);
    await page.unroute("**/v1/chat/completions");
  }
  clean(page);
  await page.context().close();
});

test("the policy holds: no text becomes code or HTML, nothing is loaded from elsewhere", async () => {
  const page = await open(served);
  // Code of the page itself, as a hole in it would let in: what a test evaluates passes any policy.
  await page.route("**/page/export.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${await response.text()}\nwindow.tried = (${inject})();` });
  });
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  const tried = await page.evaluate(() => window.tried);
  assert.deepEqual(tried, {
    eval: "EvalError", Function: "EvalError", innerHTML: "TypeError", policy: "TypeError", script: "undefined",
    handler: "undefined", fetch: "TypeError", image: "TypeError", frame: "refused",
  });
  await page.context().close();
});

/** Tries what a hostile text would; the names of the errors. */
const inject = async () => {
  const result = {};
  const attempt = async (name, act) => {
    try {
      result[name] = String(await act());
    } catch (error) {
      result[name] = error.name;
    }
  };
  const soon = (read) => new Promise((done) => setTimeout(() => done(read()), 100));
  await attempt("eval", () => (0, eval)("1 + 1"));
  await attempt("Function", () => new Function("return 1")());
  await attempt("innerHTML", () => (document.createElement("div").innerHTML = "<b>x</b>"));
  await attempt("policy", () => trustedTypes.createPolicy("mine", { createHTML: (text) => text }));
  await attempt("script", () => {
    const script = document.createElement("script");
    script.append("window.pwned = 7");
    try {
      document.head.append(script);
    } catch {
      // It is not run: that is what is looked at.
    }
    return soon(() => window.pwned);
  });
  await attempt("handler", () => {
    const node = document.createElement("button");
    try {
      node.setAttribute("onclick", "window.pwned = 8");
    } catch {
      // The same.
    }
    node.click();
    return soon(() => window.pwned);
  });
  await attempt("fetch", () => fetch("https://evil.example/"));
  await attempt("image", () => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done("loaded");
    image.onerror = () => fail(new TypeError("refused"));
    image.src = "https://evil.example/pixel.png";
  }));
  await attempt("frame", () => new Promise((done) => {
    document.addEventListener("securitypolicyviolation", () => done("refused"), { once: true });
    const frame = document.createElement("iframe");
    frame.src = "/";
    document.body.append(frame);
  }));
  return result;
};

test("nothing is said because an address says so", async () => {
  const page = await open(served);
  await page.goto(`${served.address}/?q=Short.&prompt=Short.#Short.`);
  await page.waitForSelector("body[data-ready]");
  await new Promise((done) => setTimeout(done, 300));
  assert.equal(await page.locator(".turn").count(), 0);
  assert.equal(await page.inputValue("#message"), "");
  await page.context().close();
});
