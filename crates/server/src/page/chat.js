// What is done with a conversation: saying, answering, branching, opening, saving.

import { say } from "./dom.js";
import { compare } from "./compare.js";
import { notice, unnotice } from "./notices.js";
import { Gone, Refused } from "./server.js";
import { answer } from "./stream.js";
import { Thread } from "./thread.js";
import { AnswerTurn, UserTurn } from "./turn.js";
import { forget, recall, remember } from "./facts.js";

/**
 * @typedef {{ server: import("./server.js").Server, members: import("./members.js").Members,
 *   settings: import("./settings.js").Settings, keeps: boolean, view: HTMLElement,
 *   follow: import("./scroll.js").Follow, tabs: BroadcastChannel }} Setting
 */

/** Tells `change` when what is shown has changed, and `list` when the list of sessions has. */
export class Chat extends EventTarget {
  thread = new Thread();
  /** What stops the answer under way. @type {AbortController | null} */
  busy = null;
  /** Another tab has this session answered. */
  elsewhere = false;
  /** @type {Map<number, UserTurn | AnswerTurn>} */
  #turns = new Map();
  /** The answer under way is over. @type {Promise<void>} */
  #over = Promise.resolve();

  /** @param {Setting} setting */
  constructor(setting) {
    super();
    this.setting = setting;
    /** @type {import("./turn.js").Page} */
    this.page = {
      members: setting.members,
      thread: this.thread,
      onput: () => setting.follow.follow(),
      edit: (index, text) => this.#say(text, this.thread.messages[index].follows),
      regenerate: (index) => this.regenerate(index),
      goOn: (index) => this.goOn(index),
      compare: (turn) => this.#compare(turn),
      select: (index) => this.#select(index),
    };
  }

  /** Says something; false: it was not taken. @param {string} text */
  send(text) {
    return this.#say(text, this.thread.last);
  }

  /**
   * @param {string} text
   * @param {number | null} follows
   */
  async #say(text, follows) {
    if (this.busy || this.elsewhere) return false;
    const before = this.thread.path;
    const index = this.thread.add("user", text, follows);
    this.#changed();
    this.setting.follow.end();
    if (this.setting.keeps && !(await this.save())) {
      this.thread.drop(index);
      this.thread.path = before;
      this.#changed();
      return false;
    }
    this.respond(index);
    return true;
  }

  /** Another answer at this place. @param {number} index */
  regenerate(index) {
    const { role, follows } = this.thread.messages[index];
    this.respond(role === "user" ? index : follows);
  }

  /** Goes on from the end of an answer. @param {number} index */
  goOn(index) {
    const { follows, content } = this.thread.messages[index];
    this.respond(follows, content);
  }

  /**
   * Answers a message; goes on from what is there of the answer.
   * @param {number | null} follows
   * @param {string} [begun]
   */
  respond(follows, begun = "") {
    if (this.busy || this.elsewhere || follows === null) return;
    this.busy = new AbortController();
    this.#over = this.#respond(follows, begun, this.busy.signal);
  }

  /**
   * @param {number} follows
   * @param {string} begun
   * @param {AbortSignal} signal
   */
  async #respond(follows, begun, signal) {
    const { thread, setting } = this;
    const index = thread.add("assistant", begun, follows);
    const turn = new AnswerTurn(this.page, index);
    this.#turns.set(index, turn);
    turn.begin(begun);
    this.#changed();
    this.#tellTabs();
    setting.follow.follow();
    const error = await this.#stream(turn, follows, begun, signal);
    await turn.end(ended(error, signal.aborted));
    this.busy = null;
    const said = thread.messages[index].content;
    if (said === "" || (said === begun && error)) {
      thread.drop(index);
      if (begun) thread.select(thread.messages.findLastIndex((m) => m.follows === follows));
      this.#changed();
      this.#turns.get(begun ? thread.last ?? follows : follows)?.tell(refused(error, signal.aborted));
    } else if (this.thread === thread) {
      this.#changed();
    }
    if (setting.keeps && said) await this.save(thread);
    this.#tellTabs();
  }

  /**
   * @param {AnswerTurn} turn
   * @param {number} follows
   * @param {string} begun
   * @param {AbortSignal} signal
   * @returns {Promise<unknown>} what went wrong, if anything did
   */
  async #stream(turn, follows, begun, signal) {
    const path = this.thread.path.slice(0, this.thread.path.indexOf(follows) + 1);
    for (;;) {
      try {
        const request = this.#request(path, begun, this.setting.members.on);
        for await (const pieces of answer(this.setting.server, request, signal)) {
          for (const piece of pieces) turn.hear(piece);
        }
        return null;
      } catch (error) {
        const full = error instanceof Refused && error.code === "context_length_exceeded";
        if (!full || !this.thread.dropOldest(path)) return error;
        const { left } = this.thread;
        notice("left", `The context is full: the oldest ${left} messages have left it.`);
      }
    }
  }

  /**
   * @param {number[]} path
   * @param {string} begun
   * @param {string[] | undefined} members
   */
  #request(path, begun, members) {
    const messages = this.thread.asked(path);
    if (begun) messages.push({ role: "assistant", content: begun });
    const { packllm, ...fields } = this.setting.settings.fields;
    if (fields.seed !== undefined) {
      // The same seed would give the same answer again.
      const last = path[path.length - 1];
      const others = this.thread.messages.filter((m) => m.follows === last && m.content !== "");
      fields.seed += others.length;
    }
    return { messages, ...fields, packllm: { ...packllm, attribution: true, ...(members ? { members } : {}) } };
  }

  /** Stops the answer under way; resolves once it is over. */
  stop() {
    this.busy?.abort();
    return this.#over;
  }

  /** @param {AnswerTurn} turn */
  #compare(turn) {
    const follows = /** @type {number} */ (turn.message.follows);
    compare(turn, {
      server: this.setting.server,
      onput: () => {},
      request: (members) => {
        const path = this.thread.path.slice(0, this.thread.path.indexOf(follows) + 1);
        const request = this.#request(path, "", members);
        request.packllm.attribution = false;
        return request;
      },
      use: (content) => {
        if (this.busy) return;
        this.thread.add("assistant", content, follows);
        this.#changed();
        if (this.setting.keeps) this.save();
      },
    });
  }

  /** @param {number} index */
  #select(index) {
    if (this.busy) return;
    this.thread.select(index);
    this.#changed();
    const turn = this.#turns.get(index);
    const versions = turn?.node.querySelectorAll(".versions button:not(:disabled)");
    versions?.[0]?.focus();
    say(`version ${this.thread.versions(index).indexOf(index) + 1}`);
  }

  /** A new conversation begins. */
  async begin() {
    await this.stop();
    this.elsewhere = false;
    this.#show(new Thread());
    unnotice("conflict", "left", "elsewhere");
    history.replaceState(null, "", location.pathname);
  }

  /** Opens a session. @param {string} id */
  async open(id) {
    await this.stop();
    const opened = await this.setting.server.json(`/packllm/sessions/${encodeURIComponent(id)}`);
    const thread = Thread.of(opened);
    recall(thread);
    unnotice("conflict", "left", "elsewhere");
    this.elsewhere = false;
    this.#show(thread);
    this.setting.follow.end();
  }

  /** Reads the session again if somebody has changed it. */
  async follow() {
    const { thread } = this;
    if (!thread.id || this.busy || thread.isUnsaved) return;
    const opened = await this.setting.server.json(`/packllm/sessions/${encodeURIComponent(thread.id)}`);
    if (opened.revision === thread.revision || this.thread !== thread || this.busy) return;
    const next = Thread.of(opened);
    recall(next);
    this.#show(next);
  }

  /** @param {Thread} thread */
  #show(thread) {
    this.thread = this.page.thread = thread;
    this.page = { ...this.page };
    this.#turns = new Map();
    this.setting.view.replaceChildren();
    this.#changed();
  }

  /** Draws what is new, and takes away what is no longer shown. */
  #changed() {
    const { view } = this.setting;
    const nodes = this.thread.path.map((index) => this.#turn(index).node);
    for (const child of [...view.children]) if (!nodes.includes(child)) child.remove();
    nodes.forEach((node, i) => view.children[i] === node || view.insertBefore(node, view.children[i] ?? null));
    for (const index of this.thread.path) this.#turns.get(index)?.draw();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} index */
  #turn(index) {
    const known = this.#turns.get(index);
    if (known) return known;
    const { role } = this.thread.messages[index];
    const turn = role === "user" ? new UserTurn(this.page, index) : new AnswerTurn(this.page, index);
    this.#turns.set(index, turn);
    if (turn instanceof AnswerTurn) turn.show();
    return turn;
  }

  /** Saves what is shown; false: it could not be. */
  async save(thread = this.thread) {
    try {
      const path = this.busy ? thread.path.slice(0, -1) : thread.path;
      await thread.save(this.setting.server, path);
    } catch (error) {
      if (!(error instanceof Gone)) this.#unsaved(thread, /** @type {Error} */ (error));
      return false;
    }
    unnotice("conflict");
    remember(thread);
    if (this.thread === thread) history.replaceState(null, "", `#${encodeURIComponent(thread.id)}`);
    this.dispatchEvent(new Event("list"));
    this.#tellTabs();
    return true;
  }

  /** @param {Thread} thread @param {Error} error */
  #unsaved(thread, error) {
    const copy = async () => {
      thread.copy();
      await this.save(thread);
      this.#changed();
    };
    notice("conflict", `Not saved: ${error.message}.`, {
      "Try again": () => this.save(thread),
      "Go on in a copy": copy,
      "Read it again": () => this.open(thread.id),
    });
  }

  /** What is there of an answer is saved before the page goes. */
  leave() {
    if (!this.busy || !this.setting.keeps) return;
    const turn = this.#turns.get(this.thread.last ?? -1);
    if (turn instanceof AnswerTurn) turn.keepWhatIsThere();
    if (turn?.message.content) this.thread.save(this.setting.server, this.thread.path, true).catch(() => {});
    this.busy.abort();
    this.#tellTabs(false);
  }

  /** Other tabs follow. */
  #tellTabs(busy = this.busy !== null) {
    const { id, revision } = this.thread;
    if (id) this.setting.tabs.postMessage({ id, revision, busy });
  }

  /** @param {{ id: string, revision: number, busy: boolean }} told */
  hear({ id, busy, revision }) {
    if (id !== this.thread.id) return;
    this.elsewhere = busy;
    if (busy) notice("elsewhere", "Another tab has this conversation answered; it appears here when it is whole.");
    else unnotice("elsewhere");
    if (revision !== this.thread.revision) this.follow().catch(() => {});
    this.dispatchEvent(new Event("change"));
  }

  /** Removes the session that is open, for good. */
  async remove() {
    const { id } = this.thread;
    await this.stop();
    if (id) await this.setting.server.json(`/packllm/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
    forget(id);
    await this.begin();
    this.dispatchEvent(new Event("list"));
  }

  /** @param {string} name */
  async rename(name) {
    const { thread } = this;
    const path = `/packllm/sessions/${encodeURIComponent(thread.id)}`;
    const renamed = await this.setting.server.json(path, { method: "PATCH", body: { name } });
    forget(thread.id);
    thread.id = renamed.id;
    remember(thread);
    history.replaceState(null, "", `#${encodeURIComponent(thread.id)}`);
    this.dispatchEvent(new Event("list"));
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * What is said below an answer that did not come to its end.
 * @param {unknown} error
 * @param {boolean} stopped
 */
function ended(error, stopped) {
  if (stopped) return "Stopped. Continue goes on from here.";
  if (error instanceof Gone) return "The server went away: this is what came. Continue goes on from here.";
  return error ? `It broke off: ${/** @type {Error} */ (error).message}` : "";
}

/**
 * What is said below a message that was not answered.
 * @param {unknown} error
 * @param {boolean} stopped
 */
function refused(error, stopped) {
  if (stopped) return "Stopped before anything was said.";
  if (error instanceof Gone) return "The server went away before anything was said.";
  return error ? `No answer: ${/** @type {Error} */ (error).message}` : "The answer is empty.";
}
