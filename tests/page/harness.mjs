// A server without models, a browser, and what a user does with the page.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const here = process.env.PACKLLM_PAGE_TESTS ?? ".";

/** A running server: its address, its sessions, and what ends it. */
export class Served {
  static async start(flags = [], { sessions, port = 0 } = {}) {
    const folder = sessions ?? (await mkdtemp(join(tmpdir(), "packllm-page-")));
    const line = ["--port", String(port), "--until-eof", "--sessions", folder, "--context", "40000",
      "--limit", "2000", "--answers", join(here, "answers.json"), ...flags];
    const child = spawn(process.env.PACKLLM_FAKE_SERVER, line, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const address = (await lines.next()).value;
    assert.equal((await lines.next()).value, "ready");
    return new Served(child, address, folder);
  }

  constructor(child, address, folder) {
    Object.assign(this, { child, address, folder });
    this.port = Number(new URL(address).port);
  }

  /** Ends it at once, as a crash would. */
  async kill() {
    const over = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGKILL");
    await over;
  }

  async end() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The lines of the session that was changed last. */
  async session() {
    const files = (await readdir(this.folder)).map((name) => join(this.folder, name));
    const times = await Promise.all(files.map(async (file) => [(await stat(file)).mtimeMs, file]));
    const [[, newest]] = times.sort((a, b) => b[0] - a[0]);
    const text = await readFile(newest, "utf8");
    return text.trim().split("\n").map((line) => JSON.parse(line));
  }
}

let browser;

export async function launch() {
  browser ??= await chromium.launch({
    executablePath: process.env.PACKLLM_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  return browser;
}

export async function quit() {
  await browser?.close();
  browser = undefined;
}

/** The page of a server in a window of its own; errors and requests elsewhere are collected. */
export async function open(served, having = {}) {
  const context = await (await launch()).newContext({ viewport: { width: 1280, height: 860 }, ...having });
  return openIn(context, served);
}

export async function openIn(context, served, ready = true) {
  const page = await context.newPage();
  page.troubles = [];
  page.elsewhere = [];
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.troubles.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${served.address}/`) && !request.url().startsWith("blob:")) page.elsewhere.push(request.url());
  });
  const source = process.env.PACKLLM_PAGE_SOURCE;
  if (source) {
    // The files as they are on the disk, with the server's headers: no build for a change of theirs.
    await context.route(/\/page\/[a-z]+\.(js|css)$|:\d+\/(#.*)?$/, async (route) => {
      const name = new URL(route.request().url()).pathname.replace(/^\/page\//, "").replace(/^\/$/, "index.html");
      const response = await route.fetch();
      await route.fulfill({ response, body: await readFile(join(source, name)) });
    });
  }
  await page.goto(served.address);
  if (ready) await page.waitForSelector("body[data-ready]");
  return page;
}

/** Types a message and sends it. */
export async function say(page, text) {
  await page.fill("#message", text);
  await page.press("#message", "Enter");
}

/** Waits until no answer is under way, and all is put. */
export async function rest(page, timeout = 30000) {
  await page.waitForSelector("#stop", { state: "hidden", timeout });
  await page.waitForSelector(".turn.busy", { state: "detached", timeout });
}

/** Says something and waits for the whole answer; returns its text. `shown` is what is seen of it. */
export async function ask(page, text, shown = text) {
  await say(page, text);
  await page.waitForFunction((t) => [...document.querySelectorAll(".turn.user")].at(-1)?.textContent.includes(t), shown);
  await page.waitForSelector(".turn.answer:last-child .tools button");
  await rest(page);
  return lastAnswer(page);
}

/** What the last answer says, once it has stood still: a text is put some time after its turn. */
export async function lastAnswer(page) {
  const prose = page.locator(".turn.answer").last().locator(".fused .prose");
  let text = await prose.innerText();
  for (let looks = 0; looks < 40; looks++) {
    await page.waitForTimeout(80);
    const now = await prose.innerText();
    if (now && now === text) break;
    text = now;
  }
  return text;
}

/** A button of the last answer. */
export const tool = (page, words) => page.locator(".turn.answer").last().getByRole("button", { name: words, exact: true });

/** Nothing went wrong in the page, and nothing was asked of others. */
export function clean(page) {
  assert.deepEqual(page.troubles, []);
  assert.deepEqual(page.elsewhere, []);
}

/** Waits until something holds. */
export async function until(what, holds) {
  const end = Date.now() + 15000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}
