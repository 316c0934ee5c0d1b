// What the lists of the pages People and Account share: a row of words with its actions, and a
// question before something is taken away.
import { h } from "./element.js";
import { askFor } from "./project-dialogs.js";

export const action = (words, act, label) =>
  h("button", { type: "button", class: "button", onclick: act, "aria-label": label ?? null }, words);

export function row(id, title, facts, actions, more = null) {
  return h("li", { "data-id": id },
    h("div", { class: "what" }, h("h3", { dir: "auto" }, title), h("p", { class: "quiet", dir: "auto" }, facts.filter(Boolean).join(" · ")), more),
    h("div", { class: "row" }, actions));
}

export const nothing = (words) => h("li", { class: "quiet" }, words);

export const confirmed = (root, title, words, go, act) => askFor(root, { title, words, action: go, input: false, act });

// "in 3 days", "in 5 h": when something runs out.
export function until(text) {
  const hours = (new Date(text) - Date.now()) / 3_600_000;
  if (hours < 1) return "runs out within the hour";
  return hours < 48 ? `runs out in ${Math.round(hours)} h` : `runs out in ${Math.round(hours / 24)} days`;
}
