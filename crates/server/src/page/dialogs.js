// What is asked in a window of its own.

import { ask, button, el } from "./dom.js";
import { KEYS } from "./keys.js";

/**
 * The server wants a key: asks for it until there is one.
 * @param {boolean} wrong whether one was refused
 * @returns {Promise<string>}
 */
export async function askKey(wrong) {
  for (;;) {
    const field = el("input", { type: "password", id: "key", autocomplete: "off", required: true, autofocus: true });
    const dialog = asking("A key is needed", field, "key", "Key", "Go on",
      wrong ? "The key is not one of this server's." : "This server answers with a key alone. It is kept until this tab is closed.");
    const said = await ask(dialog);
    if (said === "yes" && field.value.trim()) return field.value.trim();
  }
}

/**
 * Asks for a session's name; empty: none.
 * @param {string} name
 * @returns {Promise<string>}
 */
export async function askName(name) {
  const field = el("input", { type: "text", id: "name", value: name, autocomplete: "off", required: true });
  const dialog = asking("Rename this session", field, "name", "Name", "Rename",
    "Letters, digits, spaces, and - _ . inside it. packllm chat --session NAME goes on with it.");
  setTimeout(() => field.select());
  const said = await ask(dialog);
  return said === "yes" ? field.value.trim() : "";
}

/**
 * @param {string} title
 * @param {HTMLInputElement} field
 * @param {string} id
 * @param {string} label
 * @param {string} yes
 * @param {string} help
 */
function asking(title, field, id, label, yes, help) {
  field.setAttribute("aria-describedby", `${id}-help`);
  const dialog = el("dialog", { class: "small", "aria-labelledby": `${id}-title` },
    el("form", { method: "dialog" }, el("h2", { id: `${id}-title` }, title),
      el("label", { for: id }, label), field, el("p", { class: "faint", id: `${id}-help` }, help),
      el("footer", {}, button("Cancel", () => dialog.close("")), el("button", { class: "primary", value: "yes" }, yes))));
  // Nothing is sent by a form here.
  dialog.querySelector("form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    dialog.close("yes");
  });
  return dialog;
}

/**
 * Whether a session is to be removed.
 * @param {string} title
 */
export async function confirmRemove(title) {
  const dialog = el("dialog", { class: "small", "aria-labelledby": "remove-title" },
    el("h2", { id: "remove-title" }, "Remove this session?"), el("p", { dir: "auto" }, title),
    el("p", { class: "faint" }, "Its file is removed, with every version. packllm chat does not have it either then."),
    el("footer", {}, button("Keep it", () => dialog.close("")), button("Remove", () => dialog.close("yes"), { class: "danger" })));
  return (await ask(dialog)) === "yes";
}

/** The keys, and what only a pack can. */
export async function showHelp() {
  const keys = KEYS.map(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)]).flat();
  const dialog = el("dialog", { class: "small help", "aria-labelledby": "help-title" },
    el("h2", { id: "help-title" }, "Keys and help"), el("dl", {}, ...keys),
    el("h3", {}, "What only a pack can"),
    el("ul", {},
      el("li", {}, "Weights: how much each member counts in an answer, and why, stands above it."),
      el("li", {}, "Who said what: which member argued for which word, by colour, line and number."),
      el("li", {}, "Compare members: each member's own answer beside the fused one."),
      el("li", {}, "Members, above the message: who takes part in the next answer.")),
    el("footer", {}, button("Close", () => dialog.close(), { class: "primary" })));
  await ask(dialog);
}
