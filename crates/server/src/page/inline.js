// What is inside a line of Markdown: emphasis, code, links. A mark waits for its partner, at most
// until its line ends; one without is text. Nothing that was put is changed later.

/** A mark that waits keeps back at most so many characters. */
const MOST_HELD = 600;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const MARK = /[\\`*_~[!<&]|https?:\/\//g;
/** The beginning of an address, at the end of what has come. */
const BEGINNING = /(?:^|\W)(h|ht|htt|https?|https?:|https?:\/)$/;
const ENTITIES = new Map([
  ["&amp;", "&"], ["&lt;", "<"], ["&gt;", ">"], ["&quot;", '"'], ["&#39;", "'"], ["&nbsp;", "\u00a0"],
]);

/** Its partner may come still. */
const WAIT = Symbol("wait");

/**
 * @typedef {{ end: number, draw: (parent: Node) => void }} Found
 * @typedef {{ ink: import("./words.js").Ink, text: string, at: number, whole: boolean, before: string,
 *   barren: Map<string, number> }} Line
 */

/**
 * Puts as much of a line as is decided; returns how many characters that are.
 * @param {Node} parent
 * @param {Line} line
 * @returns {number}
 */
export function inline(parent, line) {
  const { ink, text, at, whole } = line;
  let from = 0;
  const put = (/** @type {number} */ to) => {
    if (to > from) ink.put(parent, text.slice(from, to), at + from);
    from = to;
  };
  const marks = new RegExp(MARK);
  for (let mark; (mark = marks.exec(text)); ) {
    const i = mark.index;
    const found = partner(line, i);
    if (found === WAIT && !whole && text.length - i < MOST_HELD) {
      put(i);
      return i;
    }
    if (found === WAIT || found === null) {
      // A run of one sign is one mark.
      marks.lastIndex = i + run(text, i);
      continue;
    }
    put(i);
    found.draw(parent);
    from = marks.lastIndex = found.end;
  }
  const held = whole ? null : BEGINNING.exec(text.slice(from));
  const end = held ? text.length - held[1].length : text.length;
  put(end);
  return end;
}

/**
 * @param {string} text
 * @param {number} i
 */
function run(text, i) {
  let n = 1;
  while (text[i + n] === text[i] && "`*_~".includes(text[i])) n += 1;
  return n;
}

/**
 * What a mark begins; null: nothing.
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function partner(line, i) {
  switch (line.text[i]) {
    case "\\": return escape(line, i);
    case "`": return code(line, i);
    case "*": case "_": case "~": return emphasis(line, i);
    case "[": return link(line, i, i);
    case "!": return line.text[i + 1] === "[" ? link(line, i, i + 1)
      : i + 1 < line.text.length ? null : WAIT;
    case "<": return bracketed(line, i);
    case "&": return entity(line, i);
    default: return address(line, i);
  }
}

/**
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function escape({ ink, text, at }, i) {
  const next = text[i + 1];
  if (next === undefined) return WAIT;
  if (!PUNCTUATION.test(next)) return null;
  return { end: i + 2, draw: (parent) => ink.put(parent, next, at + i + 1) };
}

/**
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function code({ ink, text, at }, i) {
  const n = run(text, i);
  const close = closing(text, i + n, n);
  if (close < 0) return WAIT;
  let [from, to] = [i + n, close];
  const padded = text[from] === " " && text[to - 1] === " " && to - from > 2;
  if (padded) [from, to] = [from + 1, to - 1];
  return { end: close + n, draw: (parent) => ink.put(child(parent, "code"), text.slice(from, to), at + from) };
}

/**
 * Where a run of exactly so many backticks begins.
 * @param {string} text
 * @param {number} from
 * @param {number} n
 */
function closing(text, from, n) {
  for (let j = text.indexOf("`", from); j >= 0; j = text.indexOf("`", j)) {
    const length = run(text, j);
    if (length === n) return j;
    j += length;
  }
  return -1;
}

const space = (/** @type {string | undefined} */ sign) => sign === undefined || /\s/.test(sign);
const letter = (/** @type {string | undefined} */ sign) => sign !== undefined && /[\p{L}\p{N}]/u.test(sign);

/**
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function emphasis(line, i) {
  const { text } = line;
  const sign = text[i];
  const n = run(text, i);
  const next = text[i + n];
  if (next === undefined && !line.whole) return WAIT;
  if (space(next) || n > 3 || (sign === "~" && n !== 2)) return null;
  if (sign === "_" && letter(i > 0 ? text[i - 1] : line.before)) return null;
  const close = closer(line, i + n, sign, n);
  if (close < 0) return WAIT;
  const tags = sign === "~" ? ["del"] : [[], ["em"], ["strong"], ["strong", "em"]][n];
  const inner = text.slice(i + n, close);
  return {
    end: close + n,
    draw: (parent) => {
      const inside = tags.reduce(child, parent);
      inline(inside, { ...line, text: inner, at: line.at + i + n, whole: true, before: sign, barren: new Map() });
    },
  };
}

/**
 * Where a run of the sign ends what began, code apart. Where none was found none is looked for again.
 * @param {Line} line
 * @param {number} from
 * @param {string} sign
 * @param {number} n
 */
function closer({ text, barren }, from, sign, n) {
  const kind = sign + n;
  let j = Math.max(from, barren.get(kind) ?? 0);
  while (j < text.length && j - from < MOST_HELD) {
    if (text[j] === "\\") {
      j += 2;
    } else if (text[j] === "`") {
      const ticks = run(text, j);
      const close = closing(text, j + ticks, ticks);
      j = close < 0 ? j + ticks : close + ticks;
    } else if (text[j] === sign) {
      const length = run(text, j);
      const fits = n === 1 ? length !== 2 : length >= n;
      const ends = !space(text[j - 1]) && (sign !== "_" || !letter(text[j + length]));
      if (fits && ends && j > from) return j + (length - n);
      j += length;
    } else {
      j += 1;
    }
  }
  barren.set(kind, j);
  return -1;
}

/**
 * `[text](address)`; an image is a link to it, and nothing is loaded.
 * @param {Line} line
 * @param {number} i
 * @param {number} open
 * @returns {Found | typeof WAIT | null}
 */
function link(line, i, open) {
  const { ink, text, at } = line;
  // Most brackets are none of a link.
  if (line.whole && text.indexOf("](", open) < 0) return null;
  const close = text.indexOf("]", open) < 0 ? -1 : matching(text, open, "[", "]");
  if (close < 0 || close + 1 === text.length) return WAIT;
  if (text[close + 1] !== "(") return null;
  const end = text.indexOf(")", close) < 0 ? -1 : matching(text, close + 1, "(", ")");
  if (end < 0) return WAIT;
  const [url] = text.slice(close + 2, end).trim().split(/\s/, 1);
  const href = safe(url.replace(/^<(.*)>$/, "$1"));
  // What leads nowhere safe is shown as it was written.
  if (!href) return { end: end + 1, draw: (parent) => ink.put(parent, text.slice(i, end + 1), at + i) };
  const inner = text.slice(open + 1, close);
  return {
    end: end + 1,
    draw: (parent) => {
      const anchor = leading(parent, href);
      if (open > i) anchor.append("image: ");
      if (inner.trim() === "") ink.put(anchor, href, at + open);
      else inline(anchor, { ...line, text: inner, at: at + open + 1, whole: true, before: "[", barren: new Map() });
    },
  };
}

/**
 * @param {string} text
 * @param {number} at
 * @param {string} open
 * @param {string} close
 */
function matching(text, at, open, close) {
  let depth = 0;
  for (let j = at; j < text.length && j - at < MOST_HELD; j += 1) {
    if (text[j] === "\\") j += 1;
    else if (text[j] === open) depth += 1;
    else if (text[j] === close && --depth === 0) return j;
  }
  return -1;
}

/**
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function bracketed({ ink, text, at }, i) {
  const rest = text.slice(i + 1, i + MOST_HELD);
  const end = rest.search(/[\s<>]/);
  if (end < 0) return /^(h$|ht$|htt$|http)/.test(rest) || rest === "" ? WAIT : null;
  const href = rest[end] === ">" && /^https?:\/\//.test(rest) ? safe(rest.slice(0, end)) : "";
  if (!href) return null;
  const shown = rest.slice(0, end);
  return { end: i + end + 2, draw: (parent) => ink.put(leading(parent, href), shown, at + i + 1) };
}

/**
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function entity({ ink, text, at }, i) {
  const rest = text.slice(i, i + 6);
  for (const [name, sign] of ENTITIES) {
    if (rest.startsWith(name)) {
      return { end: i + name.length, draw: (parent) => ink.put(parent, sign, at + i) };
    }
  }
  return rest.length < 6 && [...ENTITIES.keys()].some((name) => name.startsWith(rest)) ? WAIT : null;
}

/**
 * An address in the text, without the stop that ends the sentence.
 * @param {Line} line
 * @param {number} i
 * @returns {Found | typeof WAIT | null}
 */
function address({ ink, text, at, whole, before }, i) {
  if (letter(i > 0 ? text[i - 1] : before)) return null;
  const length = text.slice(i, i + MOST_HELD).search(/[\s<>"'`]/);
  const open = length < 0 && text.length - i < MOST_HELD;
  if (open && !whole) return WAIT;
  return bare(ink, text.slice(i, i + (length < 0 ? MOST_HELD : length)), at, i);
}

/**
 * @param {import("./words.js").Ink} ink
 * @param {string} text
 * @param {number} at
 * @param {number} i
 * @returns {Found | null}
 */
function bare(ink, text, at, i) {
  let shown = text.replace(/[.,;:!?*_\]]+$/, "");
  if (shown.endsWith(")") && !shown.includes("(")) shown = shown.slice(0, -1);
  const href = safe(shown);
  if (!href) return null;
  return { end: i + shown.length, draw: (parent) => ink.put(leading(parent, href), shown, at + i) };
}

/**
 * The address, if it is one of the web; empty otherwise.
 * @param {string} text
 */
function safe(text) {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return "";
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) ? url.href : "";
}

/**
 * @param {Node} parent
 * @param {string} href
 */
function leading(parent, href) {
  const anchor = /** @type {HTMLAnchorElement} */ (child(parent, "a"));
  anchor.href = href;
  anchor.rel = "noreferrer noopener";
  anchor.target = "_blank";
  anchor.title = href;
  return anchor;
}

/**
 * @param {Node} parent
 * @param {string} tag
 * @returns {HTMLElement}
 */
function child(parent, tag) {
  const node = document.createElement(tag);
  parent.appendChild(node);
  return node;
}
