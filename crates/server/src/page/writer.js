// Writes an answer while it comes: what has arrived is put every 40 ms, a little at a time, so that
// the page stays quick whatever is said.

import { el, say } from "./dom.js";
import { Markdown } from "./markdown.js";
import { Stretches } from "./words.js";

/** Milliseconds between two times that something is put. */
const PACE = 40;
/** Characters that are put at once, and milliseconds after which the rest waits. */
const SLICE = 2000;
const PATIENCE = 12;
/** Where so much has piled up, more is put at once: each time costs a frame. */
const PILE = 50000;
const MORE_PATIENCE = 40;
/** Where words are not told, the text waits for them no longer than this. */
const HELD = 200;
/** The end of a sentence. */
const SENTENCE = /[.!?…:](?=\s)|\n/g;

export class Writer {
  text = "";
  thought = "";
  stretches = new Stretches();
  #put = 0;
  #thoughtPut = 0;
  /** Words that are not marked yet, what all of them say, and how much of that is done. */
  /** @type {{ text: string, member: number }[]} */
  #words = [];
  #said = "";
  #passed = 0;
  /** Where in the words the text begins, once that is known. */
  #begins = -1;
  #ended = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #announced = 0;
  /** @type {(() => void)[]} */
  #waiting = [];
  /** @type {{ summary: HTMLElement, text: HTMLElement } | null} */
  #thoughtNode = null;

  /**
   * @param {HTMLElement} body
   * @param {{ loud?: boolean, attributed?: boolean, onput?: () => void, begun?: { text: string, stretches: Stretches } }} [how]
   */
  constructor(body, how = {}) {
    this.body = body;
    this.how = how;
    if (how.begun) {
      this.stretches = how.begun.stretches;
      this.text = how.begun.text;
      this.stretches.add(this.text.length - this.stretches.end, -1);
    }
    this.from = this.text.length;
    this.#announced = this.from;
    this.markdown = new Markdown(el("div", { class: "prose" }), this.stretches);
    this.body.append(this.markdown.root);
    if (this.text) this.#later();
  }

  /** @param {string} thought */
  addThought(thought) {
    this.thought += thought;
    this.#later();
  }

  /** @param {string} text */
  add(text) {
    this.text += text;
    this.#align();
    this.#later();
  }

  /**
   * Words that are whole, and their members' numbers.
   * @param {{ text: string, member: number }[]} words
   */
  attribute(words) {
    this.#words.push(...words);
    if (this.#begins < 0) this.#said += words.map((word) => word.text).join("");
    this.#align();
    this.#later();
  }

  /** Finds where in the words the text begins (after a thought, if there is one), and marks it. */
  #align() {
    if (this.#begins < 0 && !this.#find()) return;
    for (const { text, member } of this.#words.splice(0)) {
      const inside = text.slice(Math.max(0, this.#begins - this.#passed));
      this.#passed += text.length;
      this.stretches.word(inside, member);
    }
  }

  #find() {
    const close = this.#said.indexOf("</think>");
    if (close < 0 && (this.thought || /^\s*<think/.test(this.#said))) return false;
    const before = close < 0 ? 0 : close + "</think>".length;
    const rest = this.#said.slice(before);
    const text = this.text.slice(this.from);
    if (!rest.trim() || !text) return false;
    const lead = (/** @type {string} */ words) => words.length - words.trimStart().length;
    this.#begins = Math.max(0, before + lead(rest) - lead(text));
    return true;
  }

  /** Nothing more comes; resolves once all of it is put. @returns {Promise<void>} */
  end() {
    this.#ended = true;
    this.#later();
    return new Promise((done) => this.#waiting.push(done));
  }

  #later() {
    this.#timer ??= setTimeout(() => this.#go(), PACE);
  }

  #go() {
    this.#timer = undefined;
    const start = performance.now();
    this.#goThought();
    const to = this.#ended || !this.how.attributed ? this.text.length
      : Math.max(this.stretches.end, this.from, this.text.length - HELD, this.#put);
    const patience = to - this.#put > PILE ? MORE_PATIENCE : PATIENCE;
    while (this.#put < Math.min(to, this.text.length) && performance.now() - start < patience) {
      const end = Math.min(to, this.text.length, this.#put + SLICE);
      this.markdown.push(this.text.slice(this.#put, end));
      this.#put = end;
    }
    if (this.how.loud) this.#announce();
    const whole = this.#ended && this.#put === this.text.length;
    if (whole) this.markdown.end();
    this.how.onput?.();
    if (whole) {
      this.#waiting.forEach((done) => done());
      this.#waiting = [];
    } else if (this.#put < to) {
      this.#later();
    }
  }

  #goThought() {
    if (this.thought) this.#thoughtNode ??= thoughtNode(this.body);
    if (!this.#thoughtNode) return;
    this.#thoughtNode.text.append(this.thought.slice(this.#thoughtPut));
    this.#thoughtPut = this.thought.length;
    const words = this.thought.split(/\s+/).length;
    const over = this.#ended || this.text.length > this.from;
    this.#thoughtNode.summary.textContent = over ? `Thought, ${words} words` : `Thinking, ${words} words`;
  }

  /** Says sentences that are whole. */
  #announce() {
    const rest = this.text.slice(this.#announced, this.#put);
    let end = this.#ended && this.#put === this.text.length ? rest.length : 0;
    for (const stop of rest.matchAll(SENTENCE)) end = Math.max(end, stop.index + 1);
    // What has no sentences is not waited for.
    if (rest.length > SLICE) end = rest.length;
    const said = rest.slice(0, end).replace(/[*_`#|>]/g, "").trim();
    this.#announced += end;
    if (said) say(said.slice(0, 2000));
  }
}

/**
 * A folded thought above an answer.
 * @param {HTMLElement} body
 */
function thoughtNode(body) {
  const text = el("div", { class: "text" });
  const summary = el("summary");
  body.prepend(el("details", { class: "thought" }, summary, text));
  return { summary, text };
}

/**
 * A text that is there already, with its thought.
 * @param {HTMLElement} body
 * @param {string} text
 * @param {string} thought
 * @param {Stretches} stretches
 * @param {() => void} [onput]
 */
export function write(body, text, thought, stretches, onput) {
  const writer = new Writer(body, { onput });
  writer.thought = thought;
  writer.stretches.all.push(...stretches.all);
  writer.add(text);
  return writer.end();
}
