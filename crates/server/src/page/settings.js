// How answers are drawn and members fused, as the server's table of parameters has it.

import { ask, button, el, keep, kept } from "./dom.js";

/**
 * @typedef {{ name: string, field: string, group: string, help: string, kind: string, expected: string,
 *   least: number | null, most: number | null, above: boolean, words: string[], default: any }} Parameter
 */

export class Settings {
  /** What is set, by field. @type {Record<string, any>} */
  values;

  /** @param {Parameter[]} table */
  constructor(table) {
    this.table = table;
    this.values = {};
    for (const [field, value] of Object.entries(kept(localStorage, "settings", {}))) {
      if (table.some((parameter) => parameter.field === field)) this.values[field] = value;
    }
  }

  /** The fields of a request that are set. @returns {Record<string, any>} */
  get fields() {
    /** @type {Record<string, any>} */
    const fields = {};
    /** @type {Record<string, any>} */
    const own = {};
    for (const [field, value] of Object.entries(this.values)) {
      if (field.startsWith("packllm.")) own[field.slice("packllm.".length)] = value;
      else fields[field] = value;
    }
    return { ...fields, packllm: own };
  }

  /**
   * Shows what can be set; resolves once it is closed, with the system prompt.
   * @param {string} system
   */
  async edit(system) {
    const prompt = el("textarea", { id: "system", rows: 3, value: system, placeholder: "none" });
    const dialog = el("dialog", { class: "settings", "aria-labelledby": "settings-title" },
      el("form", { method: "dialog" },
        el("header", {}, el("h2", { id: "settings-title" }, "Settings"), button("Close", () => dialog.close())),
        el("section", {}, el("h3", {}, "This conversation"),
          el("div", { class: "setting wide" }, el("label", { for: "system" }, "System prompt"), prompt,
            el("p", { class: "faint" }, "What every member reads first."))),
        ...this.#groups(),
        el("footer", {}, button("Back to the server's settings", () => {
          this.values = {};
          this.#keep();
          dialog.close();
        }), button("Done", () => dialog.close(), { class: "primary" }))));
    dialog.querySelector("form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      dialog.close();
    });
    await ask(dialog);
    return prompt.value;
  }

  #groups() {
    const groups = new Map();
    for (const parameter of this.table) {
      groups.set(parameter.group, [...(groups.get(parameter.group) ?? []), parameter]);
    }
    return [...groups].map(([name, all]) => el("section", {}, el("h3", {}, name),
      ...all.map((/** @type {Parameter} */ parameter) => this.#setting(parameter))));
  }

  /** @param {Parameter} parameter */
  #setting(parameter) {
    const { name, field, help, expected } = parameter;
    const [id, described] = [`set-${name}`, `help-${name}`];
    const otherwise = shown(parameter.default);
    const input = this.#input(parameter, otherwise);
    input.id = id;
    input.setAttribute("aria-describedby", described);
    const wrong = el("span", { class: "wrong" });
    input.addEventListener("input", () => {
      const value = read(parameter, input.value);
      const fits = input.value === "" || (value !== undefined && input.checkValidity());
      wrong.textContent = fits ? "" : ` It must be ${expected}.`;
      input.setAttribute("aria-invalid", String(!fits));
      if (!fits) return;
      if (input.value === "") delete this.values[field];
      else this.values[field] = value;
      this.#keep();
    });
    const range = parameter.kind === "words" || parameter.kind === "text" ? "" : ` · ${expected}`;
    return el("div", { class: "setting" }, el("label", { for: id }, name), input,
      el("p", { class: "faint", id: described }, `${help}${range} · else ${otherwise || "none"}`, wrong));
  }

  /**
   * @param {Parameter} parameter
   * @param {string} otherwise
   */
  #input({ kind, field, least, most, words }, otherwise) {
    const value = shown(this.values[field]);
    if (kind === "words") {
      const options = words.map((word) => el("option", { value: word }, word));
      return selected(options, value, otherwise);
    }
    if (kind === "number" || kind === "whole") {
      const step = kind === "whole" ? 1 : "any";
      return el("input", { type: "number", value, step, min: least ?? "", max: most ?? "", placeholder: otherwise });
    }
    return el("input", { type: "text", value, placeholder: otherwise, autocomplete: "off", spellcheck: false });
  }

  #keep() {
    keep(localStorage, "settings", this.values);
  }
}

/**
 * @param {HTMLOptionElement[]} options
 * @param {string} value
 * @param {string} otherwise
 */
function selected(options, value, otherwise) {
  const select = el("select", {}, el("option", { value: "" }, `as the server (${otherwise})`), ...options);
  select.value = value;
  return select;
}

/**
 * A value as it is typed.
 * @param {any} value
 */
const shown = (value) => (Array.isArray(value) ? value.join(", ") : String(value ?? ""));

/**
 * What was typed as a value; undefined: it is none.
 * @param {Parameter} parameter
 * @param {string} text
 */
function read({ kind, least, above }, text) {
  if (kind === "list") return text.split(",").map((item) => item.trim()).filter(Boolean);
  if (kind !== "number" && kind !== "whole") return text.trim();
  const number = Number(text);
  const fits = text.trim() !== "" && Number.isFinite(number) && (kind === "number" || Number.isSafeInteger(number));
  return fits && !(above && least !== null && number <= least) ? number : undefined;
}
