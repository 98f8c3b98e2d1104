// Markdown as it comes, as nodes that are appended to and never changed: a line's kind is decided
// by its beginning, what is inside it by `inline.js`. No HTML, no images; what is not understood is
// text.

import { copyButton } from "./dom.js";
import { inline } from "./inline.js";
import { Ink } from "./words.js";

/** A line whose kind is not known after so many characters is text. */
const MOST_UNDECIDED = 1000;
/** A table's line may be longer. */
const MOST_ROW = 8000;
/** A paragraph, or a stretch of code, that is longer goes on in another node: layout stays cheap. */
const LONG = 12000;

/** Quotes in quotes, and lists in lists. */
const DEEPEST = 8;

const FENCE = /^(`{3,}|~{3,})[ \t]*([^`\n]*)$/;
const RULE = /^ {0,3}([-*_])([ \t]*\1){2,}[ \t]*$/;
const MARKER = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
/** Beginnings of lines that could become several things. */
const UNDECIDED = [
  /^$/, /^#{1,6}$/, /^[-*+] *$/, /^[-*_][-*_ \t]*$/, /^\d{1,9}[.)]?$/, /^\d{1,9}[.)] +$/, /^(`{1,2}|~{1,2})$/,
  /^(`{3,}|~{3,})[^`\n]*$/, /^\|/,
];

/**
 * @typedef {{ kind: "quote" | "list" | "item", node: HTMLElement, indent: number, ordered: boolean }} Box
 * @typedef {{ mark: string, indent: number, node: HTMLElement, code: HTMLElement, text: string[], size: number }} Code
 */

export class Markdown {
  /** What is not decided yet. */
  #pending = "";
  /** Its position in the source. */
  #at = 0;
  #lineBegins = true;
  #blank = false;
  /** The last sign that was put in this line. */
  #before = "";
  /** Open quotes, lists and items. @type {Box[]} */
  #boxes = [];
  /** The open paragraph or heading. @type {HTMLElement | null} */
  #open = null;
  #openSize = 0;
  /** @type {Code | null} */
  #code = null;
  /** @type {HTMLElement | null} */
  #table = null;

  /**
   * @param {HTMLElement} root
   * @param {import("./words.js").Stretches} stretches
   */
  constructor(root, stretches) {
    this.root = root;
    this.ink = new Ink(stretches);
  }

  /** @param {string} text */
  push(text) {
    this.#pending += text;
    this.#run(false);
  }

  /** The text ends here. */
  end() {
    this.#run(true);
    this.#closeAll();
  }

  /** @param {boolean} final */
  #run(final) {
    while (this.#pending) {
      const done = this.#code ? this.#goOnInCode(final)
        : this.#lineBegins ? this.#beginLine(final) : this.#goOn(final);
      if (!done) return;
    }
  }

  /** @param {number} count */
  #take(count) {
    this.#pending = this.#pending.slice(count);
    this.#at += count;
  }

  /** Takes what is left of the line, with its end. */
  #takeLine() {
    const end = this.#pending.indexOf("\n");
    this.#take(end < 0 ? this.#pending.length : end + 1);
    this.#lineBegins = true;
    this.#before = "";
  }

  /** The line goes on. @param {boolean} final */
  #goOn(final) {
    const end = this.#pending.indexOf("\n");
    const text = end < 0 ? this.#pending : this.#pending.slice(0, end);
    const whole = end >= 0 || final;
    const count = inline(this.#target(), { ink: this.ink, text, at: this.#at, whole, before: this.#before, barren: new Map() });
    this.#openSize += count;
    if (count > 0) this.#before = text[count - 1];
    this.#take(count);
    if (end >= 0) this.#takeLine();
    return end >= 0;
  }

  /** The open paragraph; a new one where it has become long. */
  #target() {
    if (!this.#open) this.#openBlock("p");
    else if (this.#openSize > LONG) this.#openBlock("p", "on");
    return /** @type {HTMLElement} */ (this.#open);
  }

  /**
   * @param {string} tag
   * @param {string} [having]
   */
  #openBlock(tag, having = "") {
    this.#open = this.#add(tag, having);
    this.#openSize = 0;
  }

  /**
   * Adds a block to what is open.
   * @param {string} tag
   * @param {string} [having]
   */
  #add(tag, having = "") {
    const node = document.createElement(tag);
    if (having) node.className = having;
    node.dir = "auto";
    (this.#boxes.at(-1)?.node ?? this.root).append(node);
    return node;
  }

  /** Decides what a line is, and takes what says so. @param {boolean} final */
  #beginLine(final) {
    const end = this.#pending.indexOf("\n");
    const line = end < 0 ? this.#pending : this.#pending.slice(0, end);
    if (end < 0 && !final && isOpen(line)) return false;
    if (line.trim() === "") {
      this.#blank = true;
      this.#closeBlock();
      this.#takeLine();
      return true;
    }
    const quote = /^(?: {0,3}> ?)+/.exec(line)?.[0] ?? "";
    const text = line.slice(quote.length);
    if (text.trim() === "" && quote) {
      this.#quotes(depth(quote));
      this.#closeBlock();
      this.#takeLine();
      return true;
    }
    const row = /^\s*\|/.test(text) && line.length < MOST_ROW;
    if (row && !this.#table && !final && this.#pending.indexOf("\n", end + 1) < 0 && end >= 0
      && this.#pending.length < MOST_ROW) return false;
    this.#quotes(depth(quote));
    return this.#beginText(text, quote.length, row);
  }

  /**
   * @param {string} text
   * @param {number} skipped
   * @param {boolean} row
   */
  #beginText(text, skipped, row) {
    const indent = /^[ \t]*/.exec(text)?.[0].replace(/\t/g, "    ").length ?? 0;
    const marker = RULE.test(text) ? null : MARKER.exec(text);
    if (marker) return this.#beginItem(marker, skipped);
    if (row && this.#row(text)) return true;
    this.#table = null;
    const trimmed = text.trimStart();
    const lead = skipped + text.length - trimmed.length;
    const fence = FENCE.exec(trimmed);
    const heading = /^(#{1,6})[ \t]+/.exec(trimmed);
    const rule = RULE.test(text);
    const lazy = this.#open?.tagName === "P" && !this.#blank && !fence && !heading && !rule;
    if (!lazy) this.#leaveItems(indent);
    this.#blank = false;
    if (fence) return this.#beginCode(fence, indent);
    if (rule) {
      this.#closeBlock();
      this.#add("hr");
      this.#takeLine();
    } else if (heading) {
      this.#closeBlock();
      // The page has the first level, and the conversation the second.
      this.#openBlock(`h${Math.min(6, heading[1].length + 2)}`);
      this.#take(lead + heading[0].length);
      this.#lineBegins = false;
    } else {
      if (lazy) this.#open?.append(document.createElement("br"));
      else this.#closeBlock();
      this.#take(lead);
      this.#lineBegins = false;
    }
    return true;
  }

  /** Opens and closes quotes until so many are open. @param {number} wanted */
  #quotes(wanted) {
    const open = this.#boxes.filter((box) => box.kind === "quote").length;
    if (open === wanted) return;
    this.#closeAll();
    for (let n = 0; n < wanted; n += 1) this.#box("quote", "blockquote", 0, false);
  }

  /**
   * @param {Box["kind"]} kind
   * @param {string} tag
   * @param {number} indent
   * @param {boolean} ordered
   */
  #box(kind, tag, indent, ordered) {
    const node = this.#add(tag);
    this.#boxes.push({ kind, node, indent, ordered });
    return node;
  }

  /** Leaves the lists that a line with this indent is not in. @param {number} indent */
  #leaveItems(indent) {
    for (;;) {
      const list = this.#boxes.findLast((box) => box.kind === "list");
      if (!list || indent > list.indent) return;
      this.#leave(list);
    }
  }

  /** Closes a box and all inside it. @param {Box} box */
  #leave(box) {
    this.#closeBlock();
    this.#boxes.length = this.#boxes.indexOf(box);
  }

  /**
   * @param {RegExpExecArray} marker
   * @param {number} skipped
   */
  #beginItem([whole, spaces, mark], skipped) {
    const [indent, ordered] = [spaces.length, /\d/.test(mark)];
    this.#closeBlock();
    let list = this.#boxes.findLast((box) => box.kind === "list");
    while (list && (list.indent > indent || (indent - list.indent < 2 && list.ordered !== ordered))) {
      this.#leave(list);
      list = this.#boxes.findLast((box) => box.kind === "list");
    }
    if (list && (indent - list.indent < 2 || this.#boxes.length > 2 * DEEPEST)) {
      this.#boxes.length = this.#boxes.indexOf(list) + 1;
    } else {
      const node = this.#box("list", ordered ? "ol" : "ul", indent, ordered);
      const first = Number.parseInt(mark, 10);
      if (ordered && first !== 1) /** @type {HTMLOListElement} */ (node).start = first;
    }
    this.#box("item", "li", indent, ordered);
    this.#blank = false;
    this.#take(skipped + whole.length);
    this.#lineBegins = false;
    return true;
  }

  /** A line of a table, or the two lines that begin one; false: it is none. @param {string} text */
  #row(text) {
    if (this.#table) {
      this.#cells(this.#table, text, "td");
      this.#takeLine();
      return true;
    }
    const [, next = ""] = this.#pending.split("\n", 2);
    if (!DIVIDER.test(next) || !next.includes("-")) return false;
    this.#closeBlock();
    this.#leaveItems(/^ */.exec(text)?.[0].length ?? 0);
    this.#blank = false;
    const frame = this.#add("div", "table");
    frame.tabIndex = 0;
    frame.role = "group";
    frame.ariaLabel = "Table";
    const table = document.createElement("table");
    const head = table.createTHead();
    frame.append(table);
    this.#cells(head, text, "th");
    this.#takeLine();
    this.#takeLine();
    this.#table = table.createTBody();
    return true;
  }

  /**
   * @param {HTMLElement} part
   * @param {string} text
   * @param {string} tag
   */
  #cells(part, text, tag) {
    const row = document.createElement("tr");
    const start = this.#at + this.#pending.indexOf(text);
    let at = text.indexOf("|") + 1;
    while (at < text.length) {
      let end = at;
      while (end < text.length && text[end] !== "|") end += text[end] === "\\" ? 2 : 1;
      const cell = text.slice(at, end);
      if (end >= text.length && cell.trim() === "") break;
      const node = document.createElement(tag);
      node.dir = "auto";
      const lead = cell.length - cell.trimStart().length;
      inline(node, { ink: this.ink, text: cell.trim(), at: start + at + lead, whole: true, before: "", barren: new Map() });
      row.append(node);
      at = end + 1;
    }
    part.append(row);
  }

  /**
   * @param {RegExpExecArray} fence
   * @param {number} indent
   */
  #beginCode([, mark, info], indent) {
    this.#closeBlock();
    const language = info.trim().split(/[\s{]/, 1)[0].slice(0, 30);
    /** @type {string[]} */
    const text = [];
    const figure = this.#add("figure", "code");
    const caption = document.createElement("figcaption");
    caption.append(language || "code");
    caption.append(copyButton("Copy", () => text.join(""), { class: "quiet", "aria-label": "Copy the code" }));
    const node = document.createElement("pre");
    node.tabIndex = 0;
    node.dir = "ltr";
    node.role = "group";
    node.ariaLabel = language ? `Code, ${language}` : "Code";
    const code = document.createElement("code");
    node.append(code);
    figure.append(caption, node);
    this.#code = { mark, indent, node, code, text, size: 0 };
    this.#takeLine();
    return true;
  }

  /** @param {boolean} final */
  #goOnInCode(final) {
    const code = /** @type {Code} */ (this.#code);
    const end = this.#pending.indexOf("\n");
    let line = end < 0 ? this.#pending : this.#pending.slice(0, end);
    if (this.#lineBegins) {
      const closes = line.trim();
      const open = end < 0 && !final && closes.length <= code.mark.length;
      if (open && closes === code.mark.slice(0, closes.length)) return false;
      if (closes.startsWith(code.mark) && closes.replaceAll(code.mark[0], "") === "") {
        this.#code = null;
        this.#takeLine();
        return true;
      }
      const inside = Math.min(code.indent, line.length - line.trimStart().length);
      line = line.slice(inside);
      this.#take(inside);
    }
    // A line's end is put before what follows, so that the last one is not shown.
    const text = (this.#lineBegins && code.text.length ? "\n" : "") + line;
    this.#putCode(code, text, line);
    if (end >= 0) this.#takeLine();
    else {
      this.#take(line.length);
      this.#lineBegins = false;
    }
    return end >= 0;
  }

  /**
   * @param {Code} code
   * @param {string} text
   * @param {string} line
   */
  #putCode(code, text, line) {
    const begins = text.length > line.length;
    code.text.push(text);
    code.size += text.length;
    if (code.size > LONG && begins) {
      code.code = document.createElement("code");
      code.node.append(code.code);
      code.size = 0;
    } else if (begins) {
      this.ink.put(code.code, "\n", this.#at - 1);
    }
    this.ink.put(code.code, line, this.#at);
  }

  #closeBlock() {
    this.#open = null;
    this.#table = null;
  }

  #closeAll() {
    this.#closeBlock();
    this.#code = null;
    this.#boxes = [];
  }
}

/** How many quotes these marks open. @param {string} marks */
const depth = (marks) => Math.min(DEEPEST, marks.replace(/[^>]/g, "").length);

/** Whether a line could become several things. @param {string} line */
function isOpen(line) {
  const text = line.replace(/^[\s>]+/, "");
  const most = text.startsWith("|") ? MOST_ROW : MOST_UNDECIDED;
  return line.length < most && UNDECIDED.some((beginning) => beginning.test(text));
}
