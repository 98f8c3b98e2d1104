// Lines above the conversation that say what is going on.

import { button, el, part } from "./dom.js";

/** @type {Map<string, HTMLElement>} */
const shown = new Map();

/**
 * Shows a line, in the place of the last of its kind.
 * @param {string} kind
 * @param {string} text
 * @param {Record<string, () => void>} [choices]
 */
export function notice(kind, text, choices = {}) {
  unnotice(kind);
  const buttons = Object.entries(choices).map(([words, act]) => button(words, act));
  const close = kind === "gone" ? null : button("Close", () => unnotice(kind), { class: "quiet" });
  const line = el("div", { class: `notice ${kind}` }, el("p", {}, text), ...buttons, close);
  shown.set(kind, line);
  part("notices").append(line);
}

/** @param {...string} kinds */
export function unnotice(...kinds) {
  for (const kind of kinds) {
    shown.get(kind)?.remove();
    shown.delete(kind);
  }
}
