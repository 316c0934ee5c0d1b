// The pictures of one group, as large as the room allows, on a neutral grey.
import { h, icon, key } from "./element.js";
import { KEYS, MODES } from "./gestures.js";
import { Carrying, Places } from "./rater-places.js";
import { isVeiled, unveil } from "./veil.js";

const LONG_PRESS = 450;
const FOOT = 50;

// After the frame in which the present state of the page is on screen.
const nextFrame = () =>
  new Promise((resolve) => {
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => resolve();
      port2.postMessage(null);
    });
  });

class Tile {
  constructor(index, actions) {
    this.index = index;
    this.slot = h("span", { class: "slot" });
    this.label = h("span", { class: "label" });
    this.push = h("span", { class: "would", "aria-hidden": "true" });
    this.number = h("span", { class: "number", "aria-hidden": "true" });
    this.veil = h("span", { class: "veil", "aria-hidden": "true", hidden: true }, "Blurred: press to show");
    this.picture = h(
      "button",
      { class: "picture", type: "button", role: "radio", "aria-checked": "false" },
      this.slot,
      this.veil,
      this.push,
      this.number,
      this.label,
    );
    this.side = h("div", { class: "side" });
    this.node = h("div", { class: "tile", role: "presentation" }, this.picture, this.side);
    this.#listen(actions);
  }

  #listen({ onPress, onAlso }) {
    let timer = null;
    let held = false;
    const stop = () => clearTimeout(timer);
    this.picture.addEventListener("pointerdown", (event) => {
      held = false;
      stop();
      if (event.button === 0 && this.isHeld) {
        timer = setTimeout(() => (held = onAlso(this.index)), LONG_PRESS);
      }
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      this.picture.addEventListener(name, stop);
    }
    this.picture.addEventListener("contextmenu", (event) => held && event.preventDefault());
    this.picture.addEventListener("click", (event) => {
      if (held) held = false;
      else if (event.shiftKey) onAlso(this.index);
      else onPress(this.index, event);
    });
  }

  // The push that the picture would get; null for none told.
  would(value) {
    const sign = value > 0 ? "+" : value < 0 ? "−" : "";
    this.push.textContent = value == null ? "" : `${sign}${Math.abs(value).toFixed(2)}`;
    this.push.className = sign ? `would is-${value > 0 ? "up" : "down"}` : "would";
  }

  place(image, picture) {
    this.id = image.id;
    this.image = image;
    this.slot.replaceChildren(picture);
    this.#showVeil();
  }

  get isVeiled() {
    return isVeiled(this.image);
  }

  unveil() {
    unveil(this.image);
    this.#showVeil();
  }

  #showVeil() {
    this.slot.firstChild.classList.toggle("is-veiled", this.isVeiled);
    this.veil.hidden = !this.isVeiled;
  }

  dress(mode, actions) {
    const name = KEYS[this.index];
    const { rates, also, marksMany, isHeld } = MODES[mode];
    this.isHeld = isHeld;
    this.picture.setAttribute("role", marksMany ? "checkbox" : "radio");
    this.label.replaceChildren();
    this.side.replaceChildren();
    if (rates) {
      this.stars = [1, 2, 3, 4, 5].map((n) =>
        h(
          "button",
          {
            type: "button",
            class: "star",
            "aria-label": `Picture ${this.index + 1}: ${n} of 5 stars`,
            onclick: (event) => actions.onRate(this.index, n, event),
          },
          icon("star"),
          key(n),
        ),
      );
      this.side.append(...this.stars);
      return;
    }
    this.label.append(key(name), h("span", { class: "verb" }));
    if (also) {
      this.also = h(
        "button",
        {
          type: "button",
          class: "also",
          "aria-pressed": "false",
          "aria-label": also.told(this.index + 1),
          onclick: () => actions.onAlso(this.index),
        },
        key(`⇧${name}`),
        h("span", {}, also.words),
      );
      this.side.append(this.also);
    }
  }

  mark(mode, gesture) {
    const mark = gesture.mark(this.id);
    const { rates, also, hasPlaces } = MODES[mode];
    this.node.dataset.mark = mark;
    this.number.textContent = hasPlaces ? mark : "";
    this.picture.setAttribute("aria-checked", String(Boolean(mark)));
    const told = mark && hasPlaces ? `, ${gesture.told(this.id)}` : "";
    const veiled = this.isVeiled ? ", blurred: press to show it" : "";
    this.picture.setAttribute("aria-label", `Picture ${this.index + 1}${told}${veiled}`);
    const verb = this.label.querySelector(".verb");
    if (verb) {
      const words = { best: "Best", good: mark ? "Good" : "Mark good", rank: mark ? `Place ${mark}` : "Next place" };
      verb.textContent = words[mode];
    }
    if (also) this.also.setAttribute("aria-pressed", String(hasPlaces ? gesture.isTied(this.id) : mark === "also"));
    if (rates) {
      this.node.classList.toggle("is-focus", gesture.focus === this.id);
      this.stars.forEach((star, index) => star.classList.toggle("is-on", index < Number(mark)));
    }
  }
}

export class Stage {
  #tiles = [];
  #showing = 0;
  #dressed = "";
  at = 0; // the picture that the pointer or the focus was on last
  looked = null; // the one it is on now

  // actions: onPress(index, event), onAlso(index) -> true if it did something, onRate(index, n, event),
  // onPlace(index, place)
  constructor(actions) {
    this.actions = actions;
    this.grid = h("div", { class: "grid", role: "radiogroup", "aria-labelledby": "prompt" });
    this.places = new Places();
    this.node = h("div", { class: "stage" }, this.grid, this.places.node);
    const isOn = () => Boolean(MODES[this.#dressed]?.hasPlaces);
    this.carrying = new Carrying(this.grid, this.places, { isOn, onDrop: (...drop) => actions.onPlace(...drop) });
    this.grid.addEventListener("keydown", (event) => this.#walk(event));
    for (const name of ["pointerover", "focusin"]) {
      this.grid.addEventListener(name, ({ target }) => this.#look(target.closest?.(".tile")));
    }
    this.grid.addEventListener("pointerleave", () => {
      this.looked = null;
      this.actions.onLook?.(null);
    });
    new ResizeObserver(() => this.layout()).observe(this.node);
  }

  // Swap the pictures now; resolves true in the frame that shows them, false when overtaken.
  async show(group, mode, gesture) {
    const turn = ++this.#showing;
    this.carrying.stop();
    this.#makeTiles(group.images.length, mode);
    group.images.forEach((image, index) => this.#tiles[index].place(image, group.pictures[index]));
    this.mark(mode, gesture);
    const [{ width, height }] = group.images;
    if (this.size?.width !== width || this.size?.height !== height || this.laidOut !== group.images.length) {
      this.size = { width, height };
      this.layout();
    }
    await Promise.all(group.pictures.map((picture) => picture.decode()));
    await nextFrame();
    return turn === this.#showing;
  }

  #look(node) {
    const index = this.#tiles.findIndex((tile) => tile.node === node);
    if (index < 0) return;
    this.at = this.looked = index;
    this.actions.onLook?.(index);
  }

  // Show blurred pictures, one or all; how many there were.
  unveil(index = null) {
    const wanted = (index === null ? this.#tiles : [this.#tiles[index]]).filter((tile) => tile?.isVeiled);
    for (const tile of wanted) tile.unveil();
    return wanted.length;
  }

  clear() {
    this.#showing += 1;
    this.carrying.stop();
    for (const tile of this.#tiles) tile.slot.replaceChildren();
  }

  mark(mode, gesture) {
    for (const tile of this.#tiles) tile.mark(mode, gesture);
    if (!MODES[mode].hasPlaces) return;
    this.places.show(new Map(this.#tiles.map((tile) => [tile.id, tile.slot.firstChild])), gesture);
  }

  // Show what each picture's push would be: {image id: number}, or null.
  would(advantages) {
    for (const tile of this.#tiles) tile.would(advantages?.[tile.id]);
  }

  dress(mode) {
    for (const tile of this.#tiles) tile.dress(mode, this.actions);
    const { marksMany, hasPlaces } = MODES[mode];
    this.grid.setAttribute("role", marksMany ? "group" : "radiogroup");
    this.node.dataset.mode = mode;
    this.places.node.hidden = !hasPlaces;
    this.#dressed = mode;
  }

  #makeTiles(count, mode) {
    if (this.#tiles.length !== count) {
      this.#tiles = Array.from({ length: count }, (_, index) => new Tile(index, this.actions));
      this.#tiles.forEach((tile, index) => (tile.picture.tabIndex = index ? -1 : 0));
      this.grid.replaceChildren(...this.#tiles.map((tile) => tile.node));
      this.#dressed = "";
    }
    if (this.#dressed !== mode) this.dress(mode);
  }

  // Columns and side length that make the pictures largest; small pictures by whole pixels.
  layout() {
    const room = getComputedStyle(this.node);
    const width = this.node.clientWidth - 2 * parseFloat(room.paddingLeft);
    const below = this.places.node.offsetHeight;
    const height = this.node.clientHeight - parseFloat(room.paddingTop) - parseFloat(room.paddingBottom) - below;
    const count = this.#tiles.length;
    if (!width || !count || !this.size) return;
    this.laidOut = count;
    const shape = this.size.height / this.size.width;
    const gap = width < 600 ? 8 : 16;
    let [columns, side] = [1, 0];
    for (let n = 1; n <= count; n++) {
      const rows = Math.ceil(count / n);
      const wide = (width - gap * (n - 1)) / n;
      const high = (height - gap * (rows - 1) - rows * FOOT) / rows / shape;
      if (Math.min(wide, high) > side) [columns, side] = [n, Math.min(wide, high)];
    }
    side = Math.max(96, Math.min(side, 720));
    const small = this.size.width <= 128;
    if (small) {
      const pixel = this.size.width / window.devicePixelRatio;
      side = Math.max(1, Math.floor(side / pixel)) * pixel;
    }
    this.grid.classList.toggle("is-small", small);
    this.node.closest(".rater")?.classList.toggle("is-narrow", side < 220);
    this.grid.style.setProperty("--columns", columns);
    this.grid.style.setProperty("--side", `${side}px`);
    this.grid.style.setProperty("--shape", shape);
    this.grid.style.setProperty("--gap", `${gap}px`);
    this.grid.style.setProperty("--foot", `${FOOT}px`);
  }

  // Arrow keys move the focus from picture to picture, as in any radio group.
  #walk(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const at = this.#tiles.findIndex((tile) => tile.picture === event.target);
    if (!(event.key in steps) || at < 0) return;
    event.preventDefault();
    const count = this.#tiles.length;
    const next = (at + steps[event.key] + count) % count;
    this.#tiles.forEach((tile, index) => (tile.picture.tabIndex = index === next ? 0 : -1));
    this.#tiles[next].picture.focus();
  }
}
