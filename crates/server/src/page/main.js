// The page: asks for what the server is, and puts its parts together.

import { Chat } from "./chat.js";
import { askKey, confirmRemove, showHelp, askName } from "./dialogs.js";
import { keep, kept, part } from "./dom.js";
import { download } from "./export.js";
import { listen } from "./keys.js";
import { Members } from "./members.js";
import { notice, unnotice } from "./notices.js";
import { Follow } from "./scroll.js";
import { Server } from "./server.js";
import { Sessions } from "./sessions.js";
import { Settings } from "./settings.js";

const server = new Server();
server.askKey = askKey;
server.addEventListener("gone", () =>
  notice("gone", "The server is gone. What is here stays; the page goes on when it is back."));

/** Asks until it is answered: the pack may still be loading. @param {string} path */
async function patiently(path) {
  for (;;) {
    try {
      const told = await server.json(path);
      unnotice("loading");
      return told;
    } catch (/** @type {any} */ error) {
      if (!server.gone) notice("loading", `${error.message}…`);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

async function start() {
  theme(kept(localStorage, "theme", ""));
  composer();
  const pack = await patiently("/packllm/pack");
  const parameters = await patiently("/packllm/parameters");
  const members = new Members(pack.members);
  const chat = new Chat({
    server, members, keeps: pack.sessions,
    settings: new Settings(parameters),
    view: part("thread"),
    follow: new Follow(part("scroll"), part("toend")),
    tabs: new BroadcastChannel("packllm"),
  });
  const sessions = new Sessions(server, { list: part("list"), note: part("listnote"), search: part("search") },
    () => chat.thread.id);
  members.draw(part("members"));
  members.addEventListener("change", () => members.draw(part("members")));
  if (pack.sessions) await sessions.refresh().catch(() => {});
  else part("listnote").textContent = "Conversations are not kept on this server.";
  part("search").disabled = !pack.sessions;
  wire(chat, sessions, pack);
  await route(chat);
  document.body.dataset.ready = "true";
}

/**
 * @param {Chat} chat
 * @param {Sessions} sessions
 * @param {any} pack
 */
function wire(chat, sessions, pack) {
  const message = part("message");
  const refresh = () => pack.sessions && sessions.refresh().catch(() => {});
  chat.addEventListener("list", refresh);
  chat.addEventListener("change", () => {
    show(chat, pack);
    sessions.draw();
  });
  chat.setting.tabs.addEventListener("message", ({ data }) => {
    chat.hear(data);
    refresh();
  });
  server.addEventListener("back", () => {
    unnotice("gone");
    notice("back", "The server is back.");
    setTimeout(() => unnotice("back"), 4000);
    if (pack.sessions && chat.thread.isUnsaved && !chat.busy) chat.save();
    refresh();
  });
  const look = () => {
    if (document.visibilityState !== "visible" || server.gone) return;
    if (!pack.sessions) return void server.check();
    refresh();
    chat.follow().catch(() => {});
  };
  addEventListener("focus", look);
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => chat.leave());
  addEventListener("hashchange", () => route(chat));
  const send = async () => {
    const text = message.value.trim();
    if (!text || chat.busy || chat.elsewhere) return;
    message.value = "";
    message.dispatchEvent(new Event("input"));
    if (await chat.send(text)) return;
    // It was not taken: it stays to be sent.
    message.value = message.value ? `${text}\n${message.value}` : text;
    message.dispatchEvent(new Event("input"));
  };
  part("send").addEventListener("click", send);
  part("stop").addEventListener("click", () => {
    chat.stop();
    message.focus();
  });
  part("new").addEventListener("click", async () => {
    await chat.begin();
    drawer(false);
    message.focus();
  });
  menu(chat);
  listen(chat, { send, drawer });
  show(chat, pack);
}

/** @param {Chat} chat */
function menu(chat) {
  const close = () => part("moremenu").hidePopover();
  const act = (/** @type {string} */ id, /** @type {() => any} */ does) =>
    part(id).addEventListener("click", async () => {
      close();
      await Promise.resolve(does()).catch((error) => notice("failed", error.message));
    });
  act("exportmd", () => download(chat.thread, "md"));
  act("exportjson", () => download(chat.thread, "json"));
  act("rename", async () => {
    const name = await askName(chat.thread.id);
    if (name && name !== chat.thread.id) await chat.rename(name);
  });
  act("remove", async () => {
    if (await confirmRemove(chat.thread.title)) await chat.remove();
  });
  act("help", showHelp);
  act("theme", () => {
    const dark = isDark();
    keep(localStorage, "theme", dark ? "light" : "dark");
    theme(dark ? "light" : "dark");
  });
  part("settings").addEventListener("click", async () => {
    const system = await chat.setting.settings.edit(chat.thread.system);
    if (system === chat.thread.system) return;
    chat.thread.system = system;
    if (chat.thread.id) await chat.save();
  });
  part("menu").addEventListener("click", () => drawer(true));
  part("fold").addEventListener("click", () => drawer(false));
  part("shade").addEventListener("click", () => drawer(false));
  part("list").addEventListener("click", (/** @type {any} */ event) => event.target.closest("a") && drawer(false));
}

/** Shows what the address names: nothing else is done because of it. @param {Chat} chat */
async function route(chat) {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id || id === chat.thread.id) return;
  await chat.open(id).catch((error) => notice("failed", error.message));
}

/**
 * @param {Chat} chat
 * @param {any} pack
 */
function show(chat, pack) {
  const { thread } = chat;
  const named = thread.id && !/^\d{8}-\d{6}-/.test(thread.id);
  const title = (named ? thread.id : thread.title) || "New conversation";
  part("title").textContent = title;
  document.title = thread.path.length ? `${title} · ${pack.name}` : `packllm · ${pack.name}`;
  part("send").hidden = chat.busy !== null;
  part("send").disabled = chat.elsewhere;
  part("stop").hidden = chat.busy === null;
  part("rename").disabled = part("remove").disabled = !thread.id;
  part("exportmd").disabled = part("exportjson").disabled = thread.path.length === 0;
  document.body.classList.toggle("empty", thread.path.length === 0);
  part("message").placeholder = `Ask ${pack.name}`;
}

/** The field grows with its text, which stays when the page is loaded again. */
function composer() {
  const message = part("message");
  message.value = kept(sessionStorage, "draft", "");
  const fit = () => {
    message.style.height = "auto";
    message.style.height = `${Math.min(message.scrollHeight, 240)}px`;
  };
  message.addEventListener("input", () => {
    keep(sessionStorage, "draft", message.value);
    fit();
  });
  fit();
}

/** Opens the list where it is folded away, or closes it. @param {boolean} open */
function drawer(open) {
  document.body.classList.toggle("listed", open);
  part("menu").setAttribute("aria-expanded", String(open));
  part("shade").hidden = !open;
  if (open) part("fold").focus();
  else if (part("side").contains(document.activeElement)) part("menu").focus();
}

const isDark = () => {
  const { theme: set } = document.documentElement.dataset;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

/** @param {string} name */
function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  part("theme").textContent = isDark() ? "Light" : "Dark";
}

start();
