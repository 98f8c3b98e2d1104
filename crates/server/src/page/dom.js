// Nodes of the page. Texts become text nodes, never HTML.

/**
 * An element with these properties, attributes (`aria-*`, `data-*`, `role`) and children.
 * @param {string} tag
 * @param {Record<string, any>} [having]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function el(tag, having = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(having)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (/^(aria-|data-|role$|for$|dir$|lang$)/.test(key)) node.setAttribute(key, String(value));
    else Reflect.set(node, key, value);
  }
  for (const child of children) if (child || child === "") node.append(child);
  return node;
}

/**
 * A button with words.
 * @param {string} words
 * @param {(event: Event) => void} act
 * @param {Record<string, any>} [having]
 * @returns {HTMLButtonElement}
 */
export const button = (words, act, having = {}) =>
  el("button", { type: "button", onclick: act, ...having }, words);

/**
 * The element of this id, which stands in `index.html`.
 * @param {string} id
 * @returns {any}
 */
export function part(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no #${id}`);
  return node;
}

/**
 * Puts a text on the clipboard; pages of other machines have no clipboard but by a selection.
 * @param {string} text
 */
export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { value: text, class: "hidden" });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("the browser did not copy it");
}

/**
 * A button that copies, and says so for a moment.
 * @param {string} words
 * @param {() => string} text
 * @param {Record<string, any>} [having]
 */
export function copyButton(words, text, having = {}) {
  const made = button(words, async () => {
    const said = await copy(text()).then(() => "Copied", () => "Not copied");
    made.textContent = said;
    say(said);
    setTimeout(() => (made.textContent = words), 1500);
  }, having);
  return made;
}

/**
 * Has screen readers say something, once they have said what they are at.
 * @param {string} words
 */
export function say(words) {
  const live = part("live");
  live.append(el("p", {}, words));
  while (live.childElementCount > 12) live.firstElementChild.remove();
}

/**
 * Shows a dialog; resolves with what closed it, "" for Escape.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<string>}
 */
export function ask(dialog) {
  document.body.append(dialog);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue);
    }, { once: true });
  });
}

/**
 * What is kept for this browser (or for this tab); nothing where that is forbidden.
 * @param {Storage} storage
 * @param {string} key
 * @param {any} otherwise
 */
export function kept(storage, key, otherwise) {
  try {
    return JSON.parse(storage.getItem(`packllm.${key}`) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/**
 * @param {Storage} storage
 * @param {string} key
 * @param {any} value
 */
export function keep(storage, key, value) {
  try {
    storage.setItem(`packllm.${key}`, JSON.stringify(value));
  } catch {
    // It is full, or forbidden: then it is not kept.
  }
}

/** Lets the browser draw and listen. */
export const breathe = () => new Promise((done) => setTimeout(done));
