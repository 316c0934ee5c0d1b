// Two pictures of one prompt and seed: a slider over both, side by side, or flicker.
import { picture } from "./api.js";
import { h, icon, key } from "./element.js";
import { isVeiled, unveil } from "./veil.js";

const FLICKER = 700; // ms per picture
const STEP = 5; // % of the slider per key press
const WHOLE_PIXELS = 128; // pictures up to this side are enlarged without smoothing

const VIEWS = [
  ["slider", "Slider", "1"],
  ["beside", "Side by side", "2"],
  ["flicker", "Flicker", "3"],
];

const HINTS = {
  slider: "Drag in the picture, or press ← and →.",
  beside: "",
  flicker: "← and → change the picture by hand.",
};

export class Stage {
  #at = 50;
  #timer = null;
  #pair = [];

  constructor(view = "slider") {
    this.tabs = h("div", { class: "row", role: "group", "aria-label": "View" },
      VIEWS.map(([name, words, digit]) => h("button", { type: "button", class: "button", "data-view": name, onclick: () => this.choose(name) }, words, key(digit))));
    this.sides = [0, 1].map((side) => ({
      image: h("img", { alt: "", draggable: "false" }),
      lack: h("p", { class: "lack" }),
      words: h("figcaption", {}),
      node: h("figure", { class: `side side-${side}` }),
    }));
    for (const { node, image, lack, words } of this.sides) node.append(image, lack, words);
    this.slider = h("input", { type: "range", min: "0", max: "100", "aria-label": "Where the first picture ends", oninput: () => this.#slide(Number(this.slider.value)) });
    this.pause = h("button", { type: "button", class: "button", onclick: () => this.#flicker(this.#timer === null) });
    this.frame = h("div", { class: "frame" }, this.sides.map(({ node }) => node));
    for (const name of ["pointerdown", "pointermove"]) this.frame.addEventListener(name, (event) => this.#drag(event));
    this.hint = h("p", { class: "quiet" });
    this.veil = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#unveil() }, "Show the blurred pictures", key("V"));
    this.node = h("div", { class: "stage" }, this.frame, this.veil, this.slider, this.pause, this.hint);
    this.#slide(50);
    this.choose(view);
  }

  // pair: [{words, image or undefined, lack}] twice
  show(pair) {
    this.#pair = pair;
    this.veil.hidden = !pair.some(({ image }) => isVeiled(image));
    pair.forEach(({ words, image, lack }, side) => {
      const part = this.sides[side];
      part.image.hidden = !image;
      part.lack.hidden = Boolean(image);
      part.lack.textContent = lack;
      part.words.textContent = words;
      if (!image) return;
      const src = picture(image);
      if (part.image.src !== src) part.image.src = src;
      part.image.alt = `${words}: ${image.prompt}, seed ${image.seed}`;
      part.image.classList.toggle("is-veiled", isVeiled(image));
      part.image.onload = () => part.image.classList.toggle("is-small", part.image.naturalWidth <= WHOLE_PIXELS);
    });
  }

  #unveil() {
    for (const { image } of this.#pair) if (image) unveil(image);
    this.show(this.#pair);
  }

  choose(view) {
    this.view = view;
    this.node.dataset.view = view;
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.view === view));
    this.slider.hidden = view !== "slider";
    this.pause.hidden = view !== "flicker";
    this.hint.textContent = HINTS[view];
    this.#flicker(view === "flicker" && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  // True when the key did something.
  key(event) {
    const view = VIEWS.find(([, , digit]) => digit === event.key)?.[0];
    if (view) this.choose(view);
    else if (event.key.toLowerCase() === "v" && !this.veil.hidden) this.#unveil();
    else if (this.view === "slider" && ["ArrowLeft", "ArrowRight"].includes(event.key)) this.#slide(this.#at + (event.key === "ArrowLeft" ? -STEP : STEP));
    else if (this.view === "flicker" && event.key === " ") this.#flicker(this.#timer === null);
    else if (this.view === "flicker" && ["ArrowLeft", "ArrowRight"].includes(event.key)) this.#turn();
    else return false;
    return true;
  }

  #slide(at) {
    this.#at = Math.max(0, Math.min(100, at));
    this.slider.value = String(this.#at);
    this.frame.style.setProperty("--at", `${this.#at}%`);
  }

  #drag(event) {
    if (this.view !== "slider" || !event.buttons) return;
    const { image, lack } = this.sides[1];
    const { left, width } = (image.hidden ? lack : image).getBoundingClientRect();
    this.#slide((100 * (event.clientX - left)) / width);
    event.preventDefault();
  }

  #flicker(on) {
    clearInterval(this.#timer);
    this.#timer = on ? setInterval(() => this.#turn(), FLICKER) : null;
    this.frame.dataset.top = this.frame.dataset.top ?? "0";
    this.pause.replaceChildren(icon(on ? "equal" : "skip"), on ? "Hold" : "Flicker", key("Space"));
  }

  #turn() {
    this.frame.dataset.top = this.frame.dataset.top === "0" ? "1" : "0";
  }
}
