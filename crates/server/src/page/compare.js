// Each member's own answer beside the fused one, all at once. None of them is saved, unless it is
// chosen.

import { button, copyButton, el, say } from "./dom.js";
import { answer } from "./stream.js";
import { joined } from "./thread.js";
import { Writer } from "./writer.js";

/**
 * Opens the comparison, or closes it.
 * @param {import("./turn.js").AnswerTurn} turn
 * @param {{ server: import("./server.js").Server, request: (names: string[]) => any,
 *   use: (content: string) => void, onput: () => void }} page
 */
export function compare(turn, page) {
  if (turn.isCompared) return close(turn);
  const { members } = turn.page;
  turn.node.classList.add("comparing");
  turn.column.prepend(el("h3", {}, "Fused"));
  const streams = members.all.map((member, k) => column(turn, page, k, members.name(k), member.name));
  turn.node.compared = streams;
  turn.draw();
  say(`${members.all.length} members answer beside the pack`);
}

/** @param {import("./turn.js").AnswerTurn} turn */
function close(turn) {
  for (const stream of turn.node.compared ?? []) stream.abort();
  turn.node.classList.remove("comparing");
  turn.column.querySelector("h3")?.remove();
  turn.columns.querySelectorAll(".alone").forEach((/** @type {Element} */ node) => node.remove());
  turn.draw();
}

/**
 * A member's column; returns what stops it.
 * @param {import("./turn.js").AnswerTurn} turn
 * @param {Parameters<typeof compare>[1]} page
 * @param {number} k
 * @param {Node} heading
 * @param {string} name
 */
function column(turn, page, k, heading, name) {
  const stop = new AbortController();
  const body = el("div", { class: "body" });
  const figures = el("p", { class: "figures faint" }, "Waiting…");
  const tools = el("div", { class: "tools", role: "group", "aria-label": `What to do with the answer of ${name}` },
    button("Stop", () => stop.abort(), { "aria-label": `Stop ${name}` }));
  const label = `The answer of ${name} alone`;
  turn.columns.append(el("div", { class: `column alone m${k % 10}`, role: "group", "aria-label": label },
    el("h3", {}, heading, el("span", { class: "faint" }, " alone")), body, figures, tools));
  const writer = new Writer(body, { onput: page.onput });
  fill(page, name, writer, figures, stop.signal).then(() => {
    const content = () => joined(writer.thought, writer.text);
    tools.replaceChildren(copyButton("Copy", () => writer.text));
    if (writer.text) {
      tools.append(button("Use this answer", () => page.use(content()), {
        title: "It becomes a version of this turn, and the conversation goes on from it" }));
    }
  });
  return stop;
}

/**
 * @param {Parameters<typeof compare>[1]} page
 * @param {string} name
 * @param {Writer} writer
 * @param {HTMLElement} figures
 * @param {AbortSignal} signal
 */
async function fill(page, name, writer, figures, signal) {
  let end = "stopped";
  try {
    for await (const pieces of answer(page.server, page.request([name]), signal)) {
      for (const { thought, text, told, timings } of pieces) {
        if (thought) writer.addThought(thought);
        if (text) writer.add(text);
        if (told?.finish_reason) end = told.finish_reason;
        if (timings) {
          const { predicted_n: tokens, predicted_per_second: rate } = timings;
          figures.textContent = `answer ${tokens} tok ${rate.toFixed(1)} tok/s · ${end}`;
        } else if (text || thought) {
          figures.textContent = `${writer.text.length + writer.thought.length} characters`;
        }
      }
    }
  } catch (error) {
    figures.textContent = signal.aborted ? "stopped" : String(/** @type {any} */ (error).message);
  }
  await writer.end();
}
