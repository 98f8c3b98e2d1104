// A conversation: every version of its messages, which of them stand, and what of it is saved.

/**
 * @typedef {{ members: import("./stream.js").MemberTold[], reason: string, method: string,
 *   mean?: number[], seed?: number, finish?: string, tokens?: number, rate?: number, prompt?: number,
 *   stretches: import("./words.js").Stretch[] }} Facts
 * @typedef {{ follows: number | null, role: "user" | "assistant", content: string, facts?: Facts,
 *   note?: string }} Message
 */

const THOUGHT = /^\s*<think>([\s\S]*?)(?:<\/think>\s*|$)/;

/**
 * A message's thought and text.
 * @param {string} content
 */
export function parted(content) {
  const thought = THOUGHT.exec(content);
  return thought ? { thought: thought[1].trim(), text: content.slice(thought[0].length) }
    : { thought: "", text: content };
}

/**
 * A message of a thought and a text, as sessions have it.
 * @param {string} thought
 * @param {string} text
 */
export const joined = (thought, text) => (thought ? `<think>\n${thought}\n</think>\n\n${text}` : text);

export class Thread {
  /** The session's name; empty before there is one. */
  id = "";
  revision = 0;
  system = "";
  /** @type {Message[]} */
  messages = [];
  /** The messages that are shown, by index. @type {number[]} */
  path = [];
  /** Those that stand in the session. @type {number[]} */
  saved = [];
  /** How many have left the context. */
  left = 0;
  /** What is being saved. @type {Promise<void>} */
  #saving = Promise.resolve();
  #systemSaved = "";

  /**
   * A session as the server has it.
   * @param {any} opened
   */
  static of(opened) {
    const thread = new Thread();
    thread.id = opened.id;
    thread.revision = opened.revision;
    thread.system = thread.#systemSaved = opened.system ?? "";
    thread.messages = opened.messages;
    thread.path = [...opened.standing];
    thread.saved = [...opened.standing];
    thread.left = opened.left;
    return thread;
  }

  /** The last message that is shown. */
  get last() {
    return this.path.at(-1) ?? null;
  }

  get title() {
    const first = this.path.map((i) => this.messages[i]).find((m) => m.role === "user");
    const line = first?.content.split("\n").find((text) => text.trim()) ?? "";
    return line.trim().length > 60 ? `${line.trim().slice(0, 60)}…` : line.trim();
  }

  /**
   * Adds a message after another one and shows it; returns its index.
   * @param {Message["role"]} role
   * @param {string} content
   * @param {number | null} follows
   */
  add(role, content, follows) {
    const before = follows === null ? 0 : this.path.indexOf(follows) + 1;
    this.messages.push({ follows, role, content });
    this.path = [...this.path.slice(0, before), this.messages.length - 1];
    return this.messages.length - 1;
  }

  /** Takes a message that says nothing back. @param {number} index */
  drop(index) {
    this.path = this.path.filter((i) => i !== index);
    // Its index stays, as others have theirs; nothing leads to it.
    this.messages[index].follows = index;
  }

  /** The versions of a message, itself among them. @param {number} index */
  versions(index) {
    const { follows, role } = this.messages[index];
    const all = this.messages.keys();
    return [...all].filter((i) => this.messages[i].follows === follows && this.messages[i].role === role);
  }

  /** Shows a version of a message, and what was said after it last. @param {number} index */
  select(index) {
    const last = this.messages.findLastIndex((_, i) => this.#to(i).includes(index));
    this.path = this.#to(last);
  }

  /** The messages up to this one; none where it was taken back. @param {number} index */
  #to(index) {
    /** @type {number[]} */
    const path = [];
    for (let i = /** @type {number | null} */ (index); i !== null; i = this.messages[i].follows) {
      if (path[0] === i) return [];
      path.unshift(i);
    }
    return path;
  }

  /**
   * What is asked: the system prompt, and the messages that are in the context, without thoughts.
   * @param {number[]} path
   */
  asked(path) {
    const said = path.slice(this.left).map((i) => this.messages[i]);
    const messages = said.map(({ role, content }, i) => {
      const begun = role === "assistant" && i === said.length - 1;
      return { role, content: role === "assistant" && !begun ? parted(content).text : content };
    });
    const system = this.system.trim() ? [{ role: "system", content: this.system }] : [];
    return [...system, ...messages];
  }

  /**
   * Saves what is shown, or the beginning of it; one after the other.
   * @param {import("./server.js").Server} server
   * @param {number[]} [path]
   * @param {boolean} [keepalive]
   */
  save(server, path = this.path, keepalive = false) {
    const target = [...path];
    const next = this.#saving.catch(() => {}).then(() => this.#save(server, target, keepalive));
    this.#saving = next;
    return next;
  }

  /** Whether something that is shown is not saved. */
  get isUnsaved() {
    const same = this.path.length === this.saved.length && this.path.every((i, n) => this.saved[n] === i);
    return !same;
  }

  /**
   * @param {import("./server.js").Server} server
   * @param {number[]} path
   * @param {boolean} keepalive
   */
  async #save(server, path, keepalive) {
    const said = (/** @type {number} */ i) => ({
      role: this.messages[i].role,
      content: this.messages[i].content,
    });
    const system = this.system;
    if (!this.id) {
      const body = { system, messages: path.map(said) };
      const begun = await server.json("/packllm/sessions", { body, keepalive });
      this.id = begun.id;
      this.revision = begun.revision;
    } else {
      let keep = 0;
      while (keep < path.length && path[keep] === this.saved[keep]) keep += 1;
      const changed = system !== this.#systemSaved;
      if (keep === path.length && keep === this.saved.length && !changed) return;
      const left = Math.min(this.left, path.length);
      const body = { revision: this.revision, keep, messages: path.slice(keep).map(said), left,
        ...(changed ? { system } : {}) };
      const at = `/packllm/sessions/${encodeURIComponent(this.id)}`;
      this.revision = (await server.json(at, { body, keepalive })).revision;
    }
    this.saved = path;
    this.#systemSaved = system;
  }

  /** Everything that is shown becomes a session of its own with the next save. */
  copy() {
    this.id = "";
    this.saved = [];
    this.#saving = Promise.resolve();
  }

  /**
   * Lets the oldest turn leave the context; false: the last one is alone.
   * @param {number[]} path
   */
  dropOldest(path) {
    const next = path.findIndex((i, n) => n > this.left && this.messages[i].role === "user");
    if (next < 0 || next >= path.length) return false;
    this.left = next;
    return true;
  }
}
