// Which member argued for which stretch of a text, by position.

/**
 * A stretch ends at a position; nobody argued for it (-1), or the member of this index.
 * @typedef {[end: number, member: number]} Stretch
 */

export class Stretches {
  /** @param {Stretch[]} [all] */
  constructor(all = []) {
    this.all = all;
    /** Where the last look-up was. */
    this.near = 0;
  }

  /** Positions before it are known. */
  get end() {
    return this.all.at(-1)?.[0] ?? 0;
  }

  /**
   * The next so many characters belong to this member.
   * @param {number} length
   * @param {number} member
   */
  add(length, member) {
    if (length <= 0) return;
    const last = this.all.at(-1);
    if (last && last[1] === member) last[0] += length;
    else this.all.push([this.end + length, member]);
  }

  /**
   * A word: the space before it is nobody's, unless the word before it is the same member's.
   * @param {string} text
   * @param {number} member
   */
  word(text, member) {
    const space = text.length - text.trimStart().length;
    if (member >= 0 && this.all.at(-1)?.[1] !== member) {
      this.add(space, -1);
      this.add(text.length - space, member);
    } else {
      this.add(text.length, member);
    }
  }

  /**
   * The member at a position, and where its stretch ends.
   * @param {number} at
   * @returns {Stretch}
   */
  at(at) {
    if (this.near > 0 && (this.all[this.near - 1]?.[0] ?? 0) > at) this.near = 0;
    while (this.near < this.all.length && this.all[this.near][0] <= at) this.near += 1;
    return this.all[this.near] ?? [Infinity, -1];
  }

  /**
   * The share of the characters from a position on that each of so many members argued for.
   * @param {number} members
   * @param {number} [from]
   */
  shares(members, from = 0) {
    const sums = new Array(members).fill(0);
    let start = 0;
    for (const [end, member] of this.all) {
      if (member >= 0) sums[member] += Math.max(0, end - Math.max(start, from));
      start = end;
    }
    const all = Math.max(1, this.end - from);
    return sums.map((sum) => sum / all);
  }
}

/** Signs that are not shown as they are: they could turn the text around, or are none. */
const SIGNS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** Puts texts into nodes, each stretch in the colour and with the mark of its member. */
export class Ink {
  /** @param {Stretches} stretches */
  constructor(stretches) {
    this.stretches = stretches;
  }

  /**
   * Appends a text that stands at this position of the source.
   * @param {Node} parent
   * @param {string} text
   * @param {number} at
   */
  put(parent, text, at) {
    for (let from = 0; from < text.length; ) {
      const [end, member] = this.stretches.at(at + from);
      const to = Math.min(text.length, end - at);
      this.#append(member < 0 ? parent : said(parent, member), text.slice(from, to));
      from = to;
    }
  }

  /**
   * @param {Node} parent
   * @param {string} text
   */
  #append(parent, text) {
    while (text) {
      const sign = text.search(SIGNS);
      const plain = sign < 0 ? text : text.slice(0, sign);
      if (plain) appendText(parent, plain);
      if (sign < 0) return;
      if (text[sign] !== "\r") parent.appendChild(shown(text.charCodeAt(sign)));
      text = text.slice(sign + 1);
    }
  }
}

/**
 * The open stretch of this member at the end of a node.
 * @param {Node} parent
 * @param {number} member
 */
function said(parent, member) {
  const last = parent.lastChild;
  if (last instanceof HTMLElement && last.dataset.member === String(member)) return last;
  const span = document.createElement("span");
  span.className = `said m${member % 10}`;
  span.dataset.member = String(member);
  span.dataset.mark = String(member + 1);
  parent.appendChild(span);
  return span;
}

/**
 * @param {Node} parent
 * @param {string} text
 */
function appendText(parent, text) {
  const last = parent.lastChild;
  if (last instanceof Text) last.appendData(text);
  else parent.appendChild(document.createTextNode(text));
}

/** @param {number} code */
function shown(code) {
  const span = document.createElement("span");
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  span.className = "sign";
  span.title = `the sign ${name}, which is not carried out`;
  span.textContent = name;
  return span;
}
