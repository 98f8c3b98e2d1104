// A turn on the page: a message of the user, or an answer with its weights, marks and buttons.

import { button, copyButton, el } from "./dom.js";
import { joined, parted } from "./thread.js";
import { Ink, Stretches } from "./words.js";
import { Writer, write } from "./writer.js";

/**
 * What turns need of the page.
 * @typedef {{
 *   members: import("./members.js").Members, thread: import("./thread.js").Thread,
 *   onput: () => void, edit: (index: number, text: string) => void,
 *   regenerate: (index: number) => void, goOn: (index: number) => void,
 *   compare: (turn: AnswerTurn) => void, select: (index: number) => void,
 * }} Page
 */

/** Something of a message that can be asked for once the page is at rest. */
class Turn {
  /**
   * @param {Page} page
   * @param {number} index
   * @param {string} kind
   * @param {string} who
   */
  constructor(page, index, kind, who) {
    this.page = page;
    this.index = index;
    this.note = el("p", { class: "note", hidden: true });
    this.tools = el("div", { class: "tools", role: "group", "aria-label": `What to do with ${who}` });
    this.node = el("article", { class: `turn ${kind}` });
    this.node.turn = this;
  }

  get message() {
    return this.page.thread.messages[this.index];
  }

  /** Says something about the message. @param {string} note */
  tell(note) {
    this.note.hidden = !note;
    this.note.textContent = note;
  }

  /** ‹ 1/2 ›, where there are several versions. */
  versions() {
    const all = this.page.thread.versions(this.index);
    const at = all.indexOf(this.index);
    if (all.length < 2) return null;
    const go = (/** @type {number} */ to) => () => this.page.select(all[to]);
    return el("span", { class: "versions", role: "group", "aria-label": "Versions" },
      button("‹", go(at - 1), { "aria-label": "The version before", disabled: at === 0 }),
      el("span", { "aria-label": `version ${at + 1} of ${all.length}`, role: "text" }, `${at + 1}/${all.length}`),
      button("›", go(at + 1), { "aria-label": "The next version", disabled: at === all.length - 1 }));
  }
}

export class UserTurn extends Turn {
  /**
   * @param {Page} page
   * @param {number} index
   */
  constructor(page, index) {
    super(page, index, "user", "your message");
    this.body = el("div", { class: "body plain", dir: "auto" });
    new Ink(new Stretches()).put(this.body, this.message.content, 0);
    this.node.append(el("h2", { class: "hidden" }, "You"), this.body, this.note, this.tools);
    this.draw();
  }

  draw() {
    const waits = this.page.thread.last === this.index;
    this.tools.replaceChildren();
    this.tools.append(...[
      this.versions(),
      button("Edit", () => this.edit()),
      copyButton("Copy", () => this.message.content),
      waits && button("Answer it", () => this.page.regenerate(this.index)),
    ].filter((tool) => !!tool));
  }

  /** The message as a field, to be said anew. */
  edit() {
    if (this.node.querySelector("textarea")) return;
    const field = el("textarea", { value: this.message.content, "aria-label": "Your message, to be changed" });
    const close = () => {
      form.remove();
      this.body.hidden = this.tools.hidden = false;
      this.tools.querySelector("button")?.focus();
    };
    const send = () => {
      const text = field.value.trim();
      close();
      if (text && text !== this.message.content) this.page.edit(this.index, text);
    };
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      } else if (event.key === "Escape") {
        event.stopPropagation();
        close();
      }
    });
    const form = el("div", { class: "editing" }, field, el("div", { class: "tools" },
      button("Send as a new version", send, { class: "primary" }), button("Cancel", close)));
    this.body.hidden = this.tools.hidden = true;
    this.node.append(form);
    field.style.height = `${Math.min(400, Math.max(80, this.node.scrollHeight))}px`;
    field.focus();
  }
}

export class AnswerTurn extends Turn {
  /** @type {Writer | null} */
  writer = null;
  #start = 0;
  /** What is told while the answer comes. @type {Partial<import("./thread.js").Facts>} */
  #told = {};

  /**
   * @param {Page} page
   * @param {number} index
   */
  constructor(page, index) {
    super(page, index, "answer", "this answer");
    this.weights = el("div");
    this.body = el("div", { class: "body" });
    this.column = el("div", { class: "column fused", role: "group", "aria-label": "The fused answer" }, this.body);
    this.columns = el("div", { class: "columns" }, this.column);
    this.legend = el("div", { hidden: true });
    this.figures = el("p", { class: "figures faint" });
    this.node.append(el("h2", { class: "hidden" }, "Pack"), this.weights, this.columns, this.note,
      this.legend, this.figures, this.tools);
  }

  /** A message that is there already. */
  show() {
    const { thought, text } = parted(this.message.content);
    const stretches = new Stretches(this.message.facts?.stretches.map(([end, member]) => [end, member]));
    this.tell(this.message.note ?? "");
    this.#drawFacts();
    this.draw();
    return write(this.body, text, thought, stretches, this.page.onput);
  }

  /** Begins to be written; goes on from a text, if there is one. @param {string} begun */
  begin(begun) {
    const { thought, text } = parted(begun);
    this.node.classList.add("busy");
    this.node.setAttribute("aria-busy", "true");
    const from = begun ? { text, stretches: new Stretches() } : undefined;
    this.writer = new Writer(this.body, { loud: true, attributed: true, onput: this.page.onput, begun: from });
    if (thought) this.writer.addThought(thought);
    this.#start = 0;
    this.figures.textContent = "Reading…";
  }

  /** @param {import("./stream.js").Piece} piece */
  hear(piece) {
    const writer = /** @type {Writer} */ (this.writer);
    const { told } = piece;
    if (told?.members && told.fusion) {
      const { weights: method, reason } = told.fusion;
      Object.assign(this.#told, { members: told.members, method, reason });
      this.#drawWeights(/** @type {any} */ (this.#told));
    }
    if (piece.thought) writer.addThought(piece.thought);
    if (piece.text) writer.add(piece.text);
    if (piece.text || piece.thought) this.#rate();
    const { members } = this.page;
    if (told?.attribution) {
      writer.attribute(told.attribution.map(({ text, member }) => ({ text, member: members.index(member) })));
    }
    if (told?.mean_weights) {
      Object.assign(this.#told, { mean: told.mean_weights, seed: told.seed, finish: told.finish_reason });
    }
    if (piece.timings) {
      const { predicted_n: tokens, predicted_per_second: rate } = piece.timings;
      Object.assign(this.#told, { tokens, rate, prompt: piece.usage?.prompt_tokens ?? this.#told.prompt });
    }
  }

  /** How fast it comes. */
  #rate() {
    const now = performance.now();
    this.#start ||= now;
    const { text, thought, from } = /** @type {Writer} */ (this.writer);
    const count = text.length - from + thought.length;
    const seconds = (now - this.#start) / 1000;
    const rate = seconds > 0.5 ? ` · ${Math.round(count / seconds)} a second` : "";
    this.figures.textContent = `${count} characters${rate}`;
  }

  /** The message is what has come so far. */
  keepWhatIsThere() {
    if (this.writer) this.message.content = joined(this.writer.thought, this.writer.text);
  }

  /** All of it has come, or no more will; the message has it then. @param {string} note */
  async end(note) {
    const writer = /** @type {Writer} */ (this.writer);
    await writer.end();
    this.message.content = joined(writer.thought, writer.text);
    this.message.note = note;
    if (this.#told.members) {
      this.message.facts = /** @type {any} */ ({ ...this.#told, stretches: writer.stretches.all });
    }
    this.node.classList.remove("busy");
    this.node.removeAttribute("aria-busy");
    this.tell(note);
    this.#drawFacts();
    this.draw();
    this.page.onput();
  }

  draw() {
    this.tools.replaceChildren();
    if (this.node.classList.contains("busy")) return;
    const { facts } = this.message;
    const several = this.page.members.all.length > 1;
    const last = this.page.thread.last === this.index;
    this.tools.append(...[
      this.versions(),
      copyButton("Copy", () => parted(this.message.content).text),
      button("Regenerate", () => this.page.regenerate(this.index), { title: "Another answer; this one stays a version" }),
      last && button("Continue", () => this.page.goOn(this.index), { title: "Goes on from where the answer ends" }),
      several && button("Compare members", () => this.page.compare(this), {
        title: "Each member's own answer beside this one", class: "own", "aria-pressed": this.isCompared }),
      several && facts && facts.stretches.length > 0 && button("Who said what", () => this.attribute(), {
        title: "Attribution: which member argued for which word", class: "own", "aria-pressed": this.isAttributed }),
    ].filter((tool) => !!tool));
  }

  get isCompared() {
    return this.node.classList.contains("comparing");
  }

  get isAttributed() {
    return this.node.classList.contains("attributed");
  }

  /** Shows which member argued for which word, or no longer. */
  attribute(on = !this.isAttributed) {
    this.node.classList.toggle("attributed", on);
    this.legend.hidden = !on;
    const pressed = this.tools.querySelector("[aria-pressed]:last-child");
    pressed?.setAttribute("aria-pressed", String(on));
  }

  #drawFacts() {
    const { facts } = this.message;
    if (!facts) {
      this.figures.textContent = "";
      return;
    }
    this.#drawWeights(facts);
    const shares = new Stretches(facts.stretches).shares(this.page.members.all.length);
    this.legend.replaceChildren(this.page.members.legend(facts, shares));
    const parts = [
      facts.prompt !== undefined && `prompt ${facts.prompt} tok`,
      facts.tokens !== undefined && `answer ${facts.tokens} tok ${facts.rate?.toFixed(1)} tok/s`,
      facts.finish, facts.seed !== undefined && `seed ${facts.seed}`,
    ];
    this.figures.textContent = parts.filter(Boolean).join(" · ");
  }

  /** @param {import("./thread.js").Facts} facts */
  #drawWeights(facts) {
    if (this.page.members.all.length > 1) this.weights.replaceChildren(this.page.members.weights(facts));
  }
}
