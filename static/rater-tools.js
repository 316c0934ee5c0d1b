// The small buttons beside the prompt: a closer look, flag, note, guidelines.
import { h, icon } from "./element.js";
import { shownKey, whenChanged } from "./keys.js";

const TOOLS = [
  ["closer", "zoom", "A closer look"],
  ["flag", "flag", "Flag this group"],
  ["note", "note", "Note on this group"],
  ["report", "report", "Report a picture"],
  ["guidelines", "guide", "Guidelines"],
];

export class Tools {
  constructor(onAction) {
    this.buttons = Object.fromEntries(
      TOOLS.map(([name, picture, words]) => [
        name,
        h("button", { type: "button", class: "button is-tool", "data-tool": name, onclick: (event) => onAction({ do: name }, event) }, icon(picture)),
      ]),
    );
    this.#name();
    whenChanged(() => this.#name());
    this.node = h("div", { class: "tools", role: "toolbar", "aria-label": "About this group" }, Object.values(this.buttons));
  }

  // What is said of the group on screen, and whether the guidelines are open.
  show({ flagged, note }) {
    this.buttons.flag.setAttribute("aria-pressed", String(flagged));
    this.buttons.note.setAttribute("aria-pressed", String(Boolean(note)));
  }

  #name() {
    for (const [name, , words] of TOOLS) {
      const label = `${words} (${shownKey(name)})`;
      this.buttons[name].title = label;
      this.buttons[name].setAttribute("aria-label", label);
    }
  }
}
