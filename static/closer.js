// A closer look: one picture as large as the screen allows, or two side by side.
import { h, icon, key } from "./element.js";
import { shown } from "./veil.js";

const WHOLE_PIXELS = 128; // pictures up to this side are enlarged without smoothing

class Closer {
  #at;
  #beside = null; // index of the second picture, when two are compared

  constructor(root, group, at, beside) {
    this.group = group;
    this.#at = at;
    this.#beside = beside;
    this.views = h("div", { class: "views" });
    this.words = h("p", { role: "status" });
    const button = (name, words, keyName, act) =>
      h("button", { type: "button", class: "button", onclick: act }, icon(name), h("span", { class: "words" }, words), key(keyName));
    this.node = h(
      "dialog",
      { class: "closer", "aria-label": "A closer look" },
      h("div", { class: "row closer-head" }, this.words, button("close", "Close", "Esc", () => this.node.close())),
      this.views,
      h("div", { class: "row closer-foot" },
        button("left", "Previous", "←", () => this.#step(-1)),
        button("right", "Next", "→", () => this.#step(1)),
        button("beside", "Compare two", "C", () => this.#compare())),
    );
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.node.addEventListener("close", () => this.node.remove());
    root.append(this.node);
    this.node.showModal();
    this.#show();
  }

  #show() {
    const chosen = [this.#at, this.#beside].filter((index) => index !== null);
    this.views.replaceChildren(...chosen.map((index) => this.#view(index)));
    this.views.dataset.count = chosen.length;
    const names = chosen.map((index) => index + 1).join(" beside ");
    this.words.textContent = `Picture ${names} of ${this.group.images.length}`;
  }

  #view(index) {
    const image = this.group.images[index];
    const small = Math.max(image.width, image.height) <= WHOLE_PIXELS;
    const node = shown(image, { alt: `Picture ${index + 1}`, class: small ? "is-small" : "" });
    return h("figure", {}, node, h("figcaption", {}, key(index + 1)));
  }

  // The next picture; of two the right one moves, past the left.
  #step(way) {
    const count = this.group.images.length;
    const next = (index) => (index + way + count) % count;
    if (this.#beside === null) this.#at = next(this.#at);
    else {
      this.#beside = next(this.#beside);
      if (this.#beside === this.#at) this.#beside = next(this.#beside);
    }
    this.#show();
  }

  #compare() {
    this.#beside = this.#beside === null ? (this.#at + 1) % this.group.images.length : null;
    this.#show();
  }

  #choose(index) {
    if (index >= this.group.images.length || index === this.#at) return;
    if (this.#beside === null) this.#at = index;
    else this.#beside = index;
    this.#show();
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
    const keys = {
      ArrowLeft: () => this.#step(-1),
      ArrowRight: () => this.#step(1),
      c: () => this.#compare(),
      z: () => this.node.close(),
    };
    const act = digit ? () => this.#choose(Number(digit) - 1) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

// group: {images: [{id, url, width, height}]}; `beside` starts with two pictures.
export const lookCloser = (root, group, at = 0, { beside = null } = {}) => new Closer(root, group, at, beside);
