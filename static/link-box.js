// A link to hand on: in full, and a button that copies it. Plain http on a LAN has no clipboard, so
// the text is selected there instead.
import { h } from "./element.js";

export function linkBox(path, label) {
  const field = h("input", { readonly: true, "aria-label": label, dir: "ltr", onfocus: () => field.select() });
  field.value = new URL(path, location.origin).href;
  const button = h("button", { type: "button", class: "button", onclick: copy }, "Copy");
  async function copy() {
    field.select();
    const isCopied = await navigator.clipboard?.writeText(field.value).then(() => true, () => false);
    button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
  }
  return h("div", { class: "link-box" }, field, button);
}
