// The openai library of JavaScript: run by scripts/test-clients in a folder where it is installed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";
import OpenAI from "openai";

const messages = [{ role: "user", content: "Why is the sky blue?" }];
const started = [];

async function serve(...flags) {
  const line = ["--port", "0", "--until-eof", ...flags];
  const stdio = ["pipe", "pipe", "inherit"];
  const child = spawn(process.env.PACKLLM_FAKE_SERVER, line, { stdio });
  started.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const address = (await lines.next()).value;
  assert.equal((await lines.next()).value, "ready");
  return address;
}

const clientOf = (address, more = {}) =>
  new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", ...more });

async function metric(address, name) {
  const text = await (await fetch(`${address}/metrics`)).text();
  return Number(text.match(new RegExp(`^packllm:${name} (\\S+)$`, "m"))[1]);
}

async function idle(address) {
  const end = Date.now() + 2000;
  while ((await metric(address, "requests_processing")) !== 0) {
    assert.ok(Date.now() < end, "the answer goes on");
    await new Promise((done) => setTimeout(done, 10));
  }
}

let server, busy;
before(async () => {
  server = await serve();
  busy = await serve("--delay-us", "5000", "--parallel", "1", "--max-queue", "0");
});
after(() => started.forEach((child) => child.stdin.end()));

test("a stream is the whole answer, with its usage", async () => {
  const client = clientOf(server);
  const asked = { model: "fake", messages, max_tokens: 8, temperature: 0 };
  const whole = await client.chat.completions.create(asked);
  const options = { stream: true, stream_options: { include_usage: true } };
  const stream = await client.chat.completions.create({ ...asked, ...options });
  let text = "", last;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    last = chunk;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.completion_tokens, whole.usage.completion_tokens);
});

test("the runner for streams gathers an answer", async () => {
  const runner = clientOf(server).chat.completions.stream({ model: "fake", messages, max_tokens: 8 });
  const answer = await runner.finalChatCompletion();
  assert.ok(answer.choices[0].message.content);
});

test("a response is streamed", async () => {
  const asked = { model: "fake", input: "Why?", max_output_tokens: 16, stream: true };
  const kinds = [];
  for await (const event of await clientOf(server).responses.create(asked)) kinds.push(event.type);
  assert.equal(kinds[0], "response.created");
  assert.ok(kinds.includes("response.output_text.delta"));
});

test("errors are of their kinds", async () => {
  const asked = { model: "fake", messages, top_p: 2 };
  const refused = clientOf(server).chat.completions.create(asked);
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "top_p");
    return true;
  });
  await assert.rejects(clientOf(server).models.retrieve("another"), OpenAI.NotFoundError);
});

const long = { model: "fake", messages, max_tokens: 3000, temperature: 1, stream: true };

test("who is turned away comes again", async () => {
  const stream = await clientOf(busy).chat.completions.create(long);
  await stream[Symbol.asyncIterator]().next();
  const asked = { model: "fake", messages, max_tokens: 2 };
  const once = clientOf(busy, { maxRetries: 0 }).chat.completions.create(asked);
  await assert.rejects(once, (error) => error.status === 503);
  setTimeout(() => stream.controller.abort(), 500);
  const answer = await clientOf(busy, { maxRetries: 2 }).chat.completions.create(asked);
  assert.ok(answer.choices[0].message.content);
  await idle(busy);
});

test("a stream that is aborted stops its answer", async () => {
  const stream = await clientOf(busy).chat.completions.create(long);
  for await (const _ of stream) {
    assert.equal(await metric(busy, "requests_processing"), 1);
    break;
  }
  await idle(busy);
});
