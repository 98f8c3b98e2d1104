// Members: their colours and marks, who takes part, weights and who argued for how much.

import { el, keep, kept } from "./dom.js";

/**
 * @typedef {{ name: string, mark: number, colour: number, template: boolean, architecture: string,
 *   parameters: number, bytes: number, train_context: number }} Member
 */

/** Which members take part. Tells `change`. */
export class Members extends EventTarget {
  /** @param {Member[]} all */
  constructor(all) {
    super();
    this.all = all;
    const off = new Set(kept(localStorage, "off", []));
    const names = all.map((member) => member.name);
    this.off = new Set(names.filter((name) => off.has(name)));
    if (this.off.size === all.length) this.off.clear();
  }

  /** The names of those that take part; undefined where all do. */
  get on() {
    if (this.off.size === 0) return undefined;
    return this.all.map((member) => member.name).filter((name) => !this.off.has(name));
  }

  /** @param {string | null} name */
  index(name) {
    return this.all.findIndex((member) => member.name === name);
  }

  /** @param {string} name */
  toggle(name) {
    if (!this.off.delete(name)) this.off.add(name);
    keep(localStorage, "off", [...this.off]);
    this.dispatchEvent(new Event("change"));
  }

  /** Shows a switch for each member. @param {HTMLElement} root */
  draw(root) {
    root.hidden = this.all.length < 2;
    const switches = this.all.map((member) => {
      const on = !this.off.has(member.name);
      const alone = on && this.off.size === this.all.length - 1;
      const title = alone ? "the last member stays on" : `${member.architecture}: ${on ? "on" : "off"}`;
      return el("button", {
        type: "button", class: `chip m${member.colour}`, "aria-pressed": on, title,
        "aria-disabled": alone ? true : undefined,
        onclick: () => alone || this.toggle(member.name),
      }, el("b", { class: "mark" }, String(member.mark)), el("span", {}, member.name),
      el("span", { class: "state" }, on ? "on" : "off"));
    });
    const focused = [...root.children].indexOf(/** @type {any} */ (document.activeElement));
    root.replaceChildren(el("span", { class: "faint" }, "Members"), ...switches);
    if (focused >= 0) /** @type {HTMLElement} */ (root.children[focused])?.focus();
  }

  /** A member's mark and name. @param {number} index */
  name(index) {
    const member = this.all[index];
    if (!member) return el("span", {}, "?");
    return el("span", { class: `member m${member.colour}` },
      el("b", { class: "mark" }, String(member.mark)), ` ${member.name}`);
  }

  /**
   * The weights as a bar with numbers, and what they go by.
   * @param {import("./thread.js").Facts} facts
   */
  weights(facts) {
    const bar = el("div", { class: "bar", "aria-hidden": true });
    const line = el("p", { class: "numbers" }, el("span", { class: "faint" }, "Weights "));
    const bits = facts.members.filter((told) => told.bits_per_byte !== null);
    for (const told of facts.members) {
      const index = this.index(told.name);
      const part = el("span", { class: `part m${index % 10}` }, told.weight > 0.08 ? String(index + 1) : "");
      part.style.flexGrow = String(told.weight);
      if (told.weight > 0) bar.append(part);
      const said = told.takes_part ? told.weight.toFixed(2) : this.#why(told);
      line.append(el("span", { class: "weight" }, this.name(index), ` ${said}`));
    }
    const cost = bits.map((told) => `${told.name} ${told.bits_per_byte?.toFixed(2)}`).join(" · ");
    const evidence = cost ? ` Your message cost them, in bits per byte: ${cost}.` : "";
    const reason = facts.reason.startsWith("by ") ? facts.reason : `${facts.method}, ${facts.reason}`;
    const why = el("p", { class: "why faint" }, `Why: ${reason}.${evidence}`);
    return el("div", { class: "weights" }, bar, line, why);
  }

  /** @param {import("./stream.js").MemberTold} told */
  #why(told) {
    const member = this.all[this.index(told.name)];
    return member && this.off.has(told.name) ? "off" : "dropped";
  }

  /**
   * How much of an answer each member argued for.
   * @param {import("./thread.js").Facts} facts
   * @param {number[]} shares
   */
  legend(facts, shares) {
    const said = this.all.map((member, k) => {
      const weight = facts.mean?.[k] ?? facts.members[k]?.weight ?? 0;
      return el("li", {}, el("span", { class: `said m${member.colour}`, "data-mark": member.mark }, member.name),
        ` ${percent(shares[k] ?? 0)}, weight ${weight.toFixed(2)}`);
    });
    const nobody = 1 - shares.reduce((sum, share) => sum + share, 0);
    return el("div", { class: "legend" }, el("p", {}, "Argued for by"),
      el("ul", {}, ...said, el("li", { class: "faint" }, `nobody more than the others ${percent(nobody)}`)));
  }
}

/** @param {number} share */
const percent = (share) => `${Math.round(100 * Math.max(0, share))}%`;
