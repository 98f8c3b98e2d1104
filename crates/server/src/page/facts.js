// Weights and marks of answers, for as long as this tab is open: sessions have the texts alone.

import { keep, kept } from "./dom.js";

/** Answers of a session that are remembered. */
const MOST = 200;

/** @param {string} text */
function hash(text) {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return `${text.length}.${(sum >>> 0).toString(36)}`;
}

/** @param {import("./thread.js").Thread} thread */
export function remember(thread) {
  const known = thread.messages.filter((message) => message.facts).slice(-MOST);
  keep(sessionStorage, `facts.${thread.id}`, Object.fromEntries(known.map((m) => [hash(m.content), m.facts])));
}

/** @param {import("./thread.js").Thread} thread */
export function recall(thread) {
  const known = kept(sessionStorage, `facts.${thread.id}`, {});
  for (const message of thread.messages) {
    if (message.role === "assistant") message.facts = known[hash(message.content)];
  }
}

/** @param {string} id */
export const forget = (id) => sessionStorage.removeItem(`packllm.facts.${id}`);
