// The list of the sessions, with a search in what was said.

import { el } from "./dom.js";

/** Milliseconds that a search waits for more letters. */
const PAUSE = 200;

export class Sessions {
  /** @type {any[]} */
  #all = [];
  #search = "";
  #asked = 0;

  /**
   * @param {import("./server.js").Server} server
   * @param {{ list: HTMLElement, note: HTMLElement, search: HTMLInputElement }} parts
   * @param {() => string} current the name of the one that is open
   */
  constructor(server, parts, current) {
    this.server = server;
    this.parts = parts;
    this.current = current;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    parts.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.#search = parts.search.value.trim();
        this.refresh().catch(() => {});
      }, PAUSE);
    });
  }

  /** Asks for the list; one that comes late is not shown. */
  async refresh() {
    const asked = (this.#asked += 1);
    const query = this.#search ? `?search=${encodeURIComponent(this.#search)}` : "";
    const all = await this.server.json(`/packllm/sessions${query}`);
    if (asked !== this.#asked) return;
    this.#all = all;
    this.draw();
  }

  draw() {
    const { list, note } = this.parts;
    const groups = new Map();
    for (const session of this.#all) {
      const day = this.#search ? "Found" : age(session.changed);
      groups.set(day, [...(groups.get(day) ?? []), session]);
    }
    const focused = document.activeElement?.getAttribute("href");
    list.replaceChildren(...[...groups].map(([day, sessions]) =>
      el("section", {}, el("h2", {}, day), el("ul", {}, ...sessions.map((/** @type {any} */ s) => this.#line(s))))));
    if (focused) [...list.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
    const none = this.#search ? "Nothing is found." : "No session is kept yet.";
    note.textContent = this.#all.length ? "" : none;
  }

  /** @param {any} session */
  #line(session) {
    const { id, title, messages, found, unreadable } = session;
    const here = id === this.current();
    const count = `${messages} message${messages === 1 ? "" : "s"}`;
    return el("li", {}, el("a", { href: `#${encodeURIComponent(id)}`, "aria-current": here ? "page" : undefined, title: id },
      el("span", { class: "name", dir: "auto" }, /^\d{8}-\d{6}-/.test(id) ? title || id : id),
      el("span", { class: "faint", dir: "auto" }, unreadable ? `unreadable: ${unreadable}` : found || count)));
  }
}

/** @param {number} seconds */
function age(seconds) {
  const day = (/** @type {Date} */ date) => new Date(date).setHours(0, 0, 0, 0);
  const days = Math.round((day(new Date()) - day(new Date(seconds * 1000))) / 86400000);
  return days <= 0 ? "Today" : days === 1 ? "Yesterday" : days < 7 ? "This week" : "Earlier";
}
