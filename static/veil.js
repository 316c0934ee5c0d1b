// Pictures that are blurred until someone asks for them, and those that nobody is shown.
import { picture } from "./api.js";
import { h } from "./element.js";

const asked = new Set(); // ids of blurred pictures that were asked for on this page

const WITHHELD = {
  sensitive: "Blocked: the safety checker finds this picture sensitive.",
  unchecked: "Held back: this picture is not checked yet.",
  reported: "Reported: hidden until someone decides.",
  removed: "Reported and removed.",
};

export const isVeiled = (image) => Boolean(image?.blurred) && !asked.has(image.id);
export const unveil = (image) => asked.add(image.id);
export const withheldWords = ({ withheld }) => WITHHELD[withheld] ?? "This picture is not shown.";

// An <img>; a blurred one with a button over it; words where nobody is shown it.
export function shown(image, { alt = "", ...attributes } = {}) {
  if (image.withheld) return h("span", { class: "withheld" }, withheldWords(image));
  const node = h("img", { src: picture(image), alt, ...attributes });
  if (!isVeiled(image)) return node;
  node.classList.add("is-veiled");
  node.alt = "";
  const words = h("span", { class: "unseen" }, ` the blurred picture. ${alt}`);
  const button = h("button", { type: "button", class: "unveil" }, "Show", words);
  const frame = h("span", { class: "veiled" }, node, button);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    unveil(image);
    node.classList.remove("is-veiled");
    node.alt = alt;
    button.remove();
    node.tabIndex = -1;
    node.focus({ preventScroll: true });
  });
  return frame;
}

// `node` is an <img> in a button that does something else: while it is blurred, a press shows it.
export function veilWithin(button, node, image) {
  if (!isVeiled(image)) return;
  const label = button.getAttribute("aria-label");
  const first = (event) => {
    event.stopImmediatePropagation();
    button.removeEventListener("click", first, true);
    button.setAttribute("aria-label", label);
    button.title = "";
    node.classList.remove("is-veiled");
    unveil(image);
  };
  node.classList.add("is-veiled");
  button.title = "Blurred: press to show it";
  button.setAttribute("aria-label", `${label}. Blurred: press to show it`);
  button.addEventListener("click", first, true);
}
