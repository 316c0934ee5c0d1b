// The small buttons beside the prompt: a closer look, flag, note, guidelines.
import { h, icon } from "./element.js";

const TOOLS = [
  ["closer", "zoom", "A closer look (Z)"],
  ["flag", "flag", "Flag this group (F)"],
  ["note", "note", "Note on this group (N)"],
  ["guidelines", "guide", "Guidelines (G)"],
];

export class Tools {
  constructor(onAction) {
    this.buttons = Object.fromEntries(
      TOOLS.map(([name, picture, words]) => [
        name,
        h("button", { type: "button", class: "button is-tool", "data-tool": name, title: words, "aria-label": words, onclick: (event) => onAction({ do: name }, event) }, icon(picture)),
      ]),
    );
    this.node = h("div", { class: "tools", role: "toolbar", "aria-label": "About this group" }, Object.values(this.buttons));
  }

  // What is said of the group on screen, and whether the guidelines are open.
  show({ flagged, note }) {
    this.buttons.flag.setAttribute("aria-pressed", String(flagged));
    this.buttons.note.setAttribute("aria-pressed", String(Boolean(note)));
  }
}
