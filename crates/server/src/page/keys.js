// The keyboard.

import { showHelp } from "./dialogs.js";
import { part } from "./dom.js";

/** Keys and what they do, for the help. */
export const KEYS = [
  ["Enter", "sends"],
  ["Shift + Enter", "a new line"],
  ["Esc", "stops the answer; closes what is open"],
  ["/ or Ctrl + K", "search in sessions"],
  ["Alt + N", "a new conversation"],
  ["↑ in an empty field", "edits your last message"],
  ["?", "this help"],
];

/**
 * @param {import("./chat.js").Chat} chat
 * @param {{ send: () => void, drawer: (open: boolean) => void }} does
 */
export function listen(chat, { send, drawer }) {
  const message = part("message");
  message.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && message.value === "" && !chat.busy) {
      const edits = part("thread").querySelectorAll(".turn.user");
      const last = edits[edits.length - 1];
      if (last) event.preventDefault();
      last?.turn.edit();
    }
  });
  const skip = document.querySelector(".skip");
  skip?.addEventListener("click", (event) => {
    // An address with a name after # is that of a session.
    event.preventDefault();
    message.focus();
  });
  const search = () => {
    drawer(true);
    part("search").focus();
    part("search").select();
  };
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "Escape") {
      if (document.body.classList.contains("listed")) drawer(false);
      else if (chat.busy) chat.stop();
      if (typing) message.focus();
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      search();
    } else if (event.altKey && event.code === "KeyN") {
      event.preventDefault();
      part("new").click();
    } else if (!typing && !event.ctrlKey && !event.metaKey && event.key === "/") {
      event.preventDefault();
      search();
    } else if (!typing && event.key === "?") {
      event.preventDefault();
      showHelp();
    }
  });
}
