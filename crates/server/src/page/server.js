// What the server is asked: its key, its refusals, and whether it is there at all.

import { keep, kept } from "./dom.js";

/** The server does not want to. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{ message?: string, code?: string, n_prompt_tokens?: number, n_ctx?: number }} error
   */
  constructor(status, error) {
    super(error.message || `the server says ${status}`);
    this.status = status;
    this.code = error.code ?? "";
    this.tokens = error.n_prompt_tokens;
    this.context = error.n_ctx;
  }
}

/** The server is not there. */
export class Gone extends Error {}

/** How often a server that has gone is looked for, in milliseconds. */
const LOOK = 1000;

/** Tells `gone`, `back`, and asks for a key by `needs`. */
export class Server extends EventTarget {
  /** @type {string} */
  #key = kept(sessionStorage, "key", "");
  gone = false;
  /** @type {Promise<void> | null} */
  #asking = null;

  /** Asks the user for a key; set by the page. @type {(wrong: boolean) => Promise<string>} */
  askKey = async () => "";

  /**
   * @param {string} path
   * @param {{ method?: string, body?: any, signal?: AbortSignal, keepalive?: boolean }} [how]
   * @returns {Promise<Response>}
   */
  async ask(path, how = {}) {
    for (;;) {
      const key = this.#key;
      const response = await this.#send(path, how, key);
      if (response.status !== 401) return this.#checked(response);
      await this.#newKey(key);
    }
  }

  /**
   * @param {string} path
   * @param {{ method?: string, body?: any, keepalive?: boolean }} [how]
   * @returns {Promise<any>}
   */
  async json(path, how) {
    const response = await this.ask(path, how);
    try {
      return await response.json();
    } catch {
      throw this.lost();
    }
  }

  /**
   * @param {string} path
   * @param {{ method?: string, body?: any, signal?: AbortSignal, keepalive?: boolean }} how
   * @param {string} key
   */
  async #send(path, { method, body, signal, keepalive }, key) {
    /** @type {Record<string, string>} */
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const text = body === undefined ? undefined : JSON.stringify(body);
    method ??= body === undefined ? "GET" : "POST";
    try {
      return await fetch(path, { method, headers, body: text, signal, keepalive, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw this.lost();
    }
  }

  /** @param {Response} response */
  async #checked(response) {
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    throw new Refused(response.status, said.error ?? {});
  }

  /** A key that some request was refused with is asked for once, whoever needs it. @param {string} bad */
  async #newKey(bad) {
    if (this.#key !== bad) return;
    this.#asking ??= this.askKey(bad !== "").then((key) => {
      this.#key = key;
      keep(sessionStorage, "key", key);
      this.#asking = null;
    });
    await this.#asking;
  }

  /** The server has gone: tells so, and looks until it is back. */
  lost() {
    if (!this.gone) {
      this.gone = true;
      this.dispatchEvent(new Event("gone"));
      setTimeout(() => this.#look(), LOOK);
    }
    return new Gone("the server is gone");
  }

  async #look() {
    const there = await fetch("/health", { cache: "no-store" }).then((r) => r.ok, () => false);
    if (!there) return void setTimeout(() => this.#look(), LOOK);
    this.gone = false;
    this.dispatchEvent(new Event("back"));
  }

  /** Looks whether it is there still. */
  async check() {
    if (!this.gone) await fetch("/health", { cache: "no-store" }).catch(() => this.lost());
  }
}
