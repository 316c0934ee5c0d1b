// Ranking by drag: the places below the pictures, and a picture carried to one by mouse, pen or
// finger. Whoever cannot drag presses the pictures in their order, and "Tie" beside one.
import { h } from "./element.js";

const FAR = 8; // px that tell a drag from a press

const ordinal = (n) => `${n}${{ 1: "st", 2: "nd", 3: "rd" }[n] ?? "th"}`;

export class Places {
  constructor() {
    this.node = h("ol", { class: "places", "aria-label": "Places" });
  }

  // The group's pictures (elements, by id) in the places that they have so far.
  show(pictures, gesture) {
    const placed = gesture.ids.map((id, index) => ({ id, index, place: Number(gesture.mark(id)) }));
    const slots = gesture.ids.map((_, index) => {
      const here = placed.filter(({ place }) => place === index + 1);
      const thumb = ({ id, index: at }) => h("img", { src: pictures.get(id).src, class: pictures.get(id).className, alt: `Picture ${at + 1}`, draggable: "false" });
      return h("li", { "data-place": index + 1 }, h("span", { class: "place" }, ordinal(index + 1)), here.map(thumb));
    });
    this.node.style.setProperty("--places", slots.length);
    this.node.replaceChildren(...slots);
  }

  // The place at a point of the screen, or null; it alone is lit.
  light(x, y) {
    const over = this.node.getRootNode().elementFromPoint(x, y)?.closest(".places li");
    for (const slot of this.node.children) slot.classList.toggle("is-lit", slot === over);
    return over ? Number(over.dataset.place) : null;
  }

  dim() {
    for (const slot of this.node.children) slot.classList.remove("is-lit");
  }
}

// Carries one picture of `grid` at a time while `isOn()`; calls onDrop(index of the picture, place).
export class Carrying {
  #from = null; // {picture, x, y} between a press and its release
  #ghost = null; // what moves along, once it is a drag
  #isOver = false; // the release to come, or just made, ends a drag and is no press

  constructor(grid, places, { isOn, onDrop }) {
    Object.assign(this, { grid, places, isOn, onDrop });
    grid.addEventListener("pointerdown", (event) => this.#press(event));
    grid.addEventListener("pointermove", (event) => this.#move(event));
    grid.addEventListener("pointerup", (event) => this.#drop(event));
    grid.addEventListener("pointercancel", () => this.stop());
    // A finger is captured by what it touched first; it loses it to the picture as the drag begins.
    grid.addEventListener("lostpointercapture", ({ target }) => target === this.#from?.picture && this.stop());
    grid.addEventListener("click", (event) => this.#isOver && event.stopPropagation(), true);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.stop());
  }

  #press(event) {
    this.stop();
    this.#isOver = false;
    const picture = event.target.closest(".picture");
    if (!picture || event.button !== 0 || !event.isPrimary || !this.isOn()) return;
    this.#from = { picture, x: event.clientX, y: event.clientY };
  }

  #move(event) {
    if (!this.#from || !event.isPrimary) return;
    const { picture, x, y } = this.#from;
    if (!this.#ghost) {
      if (Math.hypot(event.clientX - x, event.clientY - y) < FAR) return;
      picture.setPointerCapture(event.pointerId);
      this.#ghost = h("div", { class: "carried", "aria-hidden": "true" }, picture.querySelector("img").cloneNode());
      this.grid.getRootNode().append(this.#ghost);
      picture.classList.add("is-carried");
    }
    this.#ghost.style.transform = `translate(${event.clientX}px, ${event.clientY}px)`;
    this.places.light(event.clientX, event.clientY);
  }

  #drop(event) {
    setTimeout(() => (this.#isOver = false)); // once the click that may follow is through
    if (!this.#ghost) return this.stop();
    const place = this.places.light(event.clientX, event.clientY);
    const index = [...this.grid.querySelectorAll(".picture")].indexOf(this.#from.picture);
    this.stop();
    if (place) this.onDrop(index, place);
  }

  // Put it back: nothing is placed.
  stop() {
    if (this.#ghost) this.#isOver = true;
    this.#from?.picture.classList.remove("is-carried");
    this.#ghost?.remove();
    this.#from = this.#ghost = null;
    this.places.dim();
  }
}
