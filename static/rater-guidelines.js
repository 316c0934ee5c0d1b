// What the project asks of its raters, beside the pictures. Open until someone closes it; closed where there is no room beside them.
import { recall, remember } from "./address.js";
import { h, icon } from "./element.js";

export class Guidelines {
  constructor(project, button) {
    this.key = `guidelines:${project.id}`;
    this.button = button;
    this.text = project.guidelines;
    const close = h("button", { type: "button", class: "button is-tool", "aria-label": "Close the guidelines", onclick: () => this.toggle() }, icon("close"));
    const paragraphs = this.text.split(/\n\s*\n/).map((part) => h("p", { dir: "auto" }, part));
    this.node = h("aside", { class: "guidelines", "aria-label": "Guidelines", tabindex: "0" },
      h("div", { class: "row" }, h("h2", {}, "Guidelines"), close), paragraphs);
    button.hidden = !this.text;
    const unread = matchMedia("(min-width: 1001px)").matches ? this.text : ""; // they would cover the pictures
    this.#show(Boolean(this.text) && recall(this.key, unread) === this.text);
  }

  // Closed guidelines stay closed until their words change.
  toggle() {
    if (!this.text) return false;
    const isOpen = !this.node.hidden;
    remember(this.key, isOpen ? "" : this.text);
    this.#show(!isOpen);
    return true;
  }

  #show(isOpen) {
    this.node.hidden = !isOpen;
    this.button.setAttribute("aria-pressed", String(isOpen));
  }
}
