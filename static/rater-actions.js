// The bar of buttons below the pictures; every button carries its key.
import { h, icon, key } from "./element.js";
import { MODES } from "./gestures.js";
import { shownKey, whenChanged } from "./keys.js";

const BUTTONS = [
  ["none", "None", "none", " is good"],
  ["equal", "All equal", "equal"],
  ["send", "Send", "check"],
  ["skip", "Skip", "skip"],
  ["undo", "Undo", "undo"],
];

export class Actions {
  #keys = new Map();

  constructor({ onAction, onMode }) {
    this.buttons = Object.fromEntries(
      BUTTONS.map(([name, words, picture, more]) => [
        name,
        h(
          "button",
          { type: "button", class: "button action", "data-action": name, onclick: (event) => onAction({ do: name }, event) },
          icon(picture),
          h("span", { class: "words" }, words, more ? h("span", { class: "more" }, more) : null),
          this.#key(name),
        ),
      ]),
    );
    whenChanged(() => this.#keys.forEach((node, name) => (node.textContent = shownKey(name))));
    // For narrow screens, where five stars below each picture would be too small to touch.
    this.stars = [1, 2, 3, 4, 5].map((stars) =>
      h(
        "button",
        { type: "button", class: "button action is-star", "aria-label": `${stars} of 5 stars for the framed picture`, onclick: (event) => onAction({ do: "rate", stars }, event) },
        icon("star"),
        h("span", { class: "words" }, String(stars)),
      ),
    );
    this.mode = h(
      "select",
      { class: "button", "aria-label": "Way of judging", onchange: () => onMode(this.mode.value) },
      Object.entries(MODES).map(([name, { words }]) => h("option", { value: name }, words)),
    );
    this.help = h(
      "button",
      { type: "button", class: "button action is-help", "aria-label": "Keys and help", onclick: () => onAction({ do: "help" }) },
      this.#key("help"),
    );
    this.node = h(
      "div",
      { class: "actions", role: "toolbar", "aria-label": "Judging" },
      h("div", { class: "star-bar" }, this.stars),
      Object.values(this.buttons),
    );
    this.ways = [h("label", { class: "mode" }, this.mode, this.#key("mode")), this.help];
  }

  show(mode) {
    const { rates, sends } = MODES[mode];
    this.mode.value = mode;
    this.node.dataset.mode = mode;
    this.buttons.none.hidden = Boolean(rates) || mode === "rank";
    this.buttons.equal.hidden = Boolean(rates);
    this.buttons.send.hidden = !sends;
  }

  #key(name) {
    const node = key(name === "send" ? "↵" : shownKey(name));
    if (name !== "send") this.#keys.set(name, node);
    return node;
  }
}
