// The bar of buttons below the pictures; every button carries its key.
import { h, icon, key } from "./element.js";
import { MODES } from "./gestures.js";

const BUTTONS = [
  ["none", "0", "None", "none", " is good"],
  ["equal", "=", "All equal", "equal"],
  ["send", "↵", "Send", "check"],
  ["skip", "S", "Skip", "skip"],
  ["undo", "U", "Undo", "undo"],
];

export class Actions {
  constructor({ onAction, onMode }) {
    this.buttons = Object.fromEntries(
      BUTTONS.map(([name, keyName, words, picture, more]) => [
        name,
        h(
          "button",
          { type: "button", class: "button action", "data-action": name, onclick: (event) => onAction({ do: name }, event) },
          icon(picture),
          h("span", { class: "words" }, words, more ? h("span", { class: "more" }, more) : null),
          key(keyName),
        ),
      ]),
    );
    this.mode = h(
      "select",
      { class: "button", "aria-label": "Way of judging", onchange: () => onMode(this.mode.value) },
      Object.entries(MODES).map(([name, { words }]) => h("option", { value: name }, words)),
    );
    this.help = h(
      "button",
      { type: "button", class: "button action is-help", "aria-label": "Keys and help", onclick: () => onAction({ do: "help" }) },
      key("?"),
    );
    this.node = h(
      "div",
      { class: "actions", role: "toolbar", "aria-label": "Judging" },
      Object.values(this.buttons),
    );
    this.ways = [h("label", { class: "mode" }, this.mode, key("M")), this.help];
  }

  show(mode) {
    const { rates, sends } = MODES[mode];
    this.mode.value = mode;
    this.buttons.none.hidden = Boolean(rates) || mode === "rank";
    this.buttons.equal.hidden = Boolean(rates);
    this.buttons.send.hidden = !sends;
  }
}
