// A conversation as a file.

import { el } from "./dom.js";

/**
 * The messages, as `/export` of the terminal writes them.
 * @param {import("./thread.js").Thread} thread
 * @param {"md" | "json"} kind
 */
export function exported(thread, kind) {
  const system = thread.system.trim() ? [{ role: "system", content: thread.system }] : [];
  const said = thread.path.map((i) => thread.messages[i]);
  const all = [...system, ...said.map(({ role, content }) => ({ role, content }))];
  if (kind === "json") return `${JSON.stringify(all, null, 2)}\n`;
  const title = (/** @type {string} */ role) => ({ user: "You", system: "System" })[role] ?? "Pack";
  return all.map(({ role, content }) => `## ${title(role)}\n\n${content.trim()}\n\n`).join("");
}

/**
 * @param {import("./thread.js").Thread} thread
 * @param {"md" | "json"} kind
 */
export function download(thread, kind) {
  const type = kind === "md" ? "text/markdown" : "application/json";
  const url = URL.createObjectURL(new Blob([exported(thread, kind)], { type }));
  const link = el("a", { href: url, download: `${thread.id || "conversation"}.${kind}` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
