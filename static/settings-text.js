// A text of the project in a form of its own: what its raters are asked, and what they agree to.
import { patch } from "./api.js";
import { h } from "./element.js";

export class TextForm {
  constructor(project, { field, title, note, rows, button }) {
    Object.assign(this, { project, field });
    this.text = h("textarea", { id: field, rows, maxlength: "20000", dir: "auto", "aria-describedby": `${field}-note`, oninput: () => this.#show() });
    this.text.value = this.saved = project[field];
    this.message = h("p", { role: "status", class: "quiet" });
    this.save = h("button", { class: "button is-primary" }, button);
    this.node = h("form", { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, h("label", { for: field }, title)),
      h("p", { class: "quiet", id: `${field}-note` }, note),
      this.text,
      h("div", { class: "row" }, this.save, this.message));
    this.#show();
  }

  get isChanged() {
    return this.text.value.trim() !== this.saved;
  }

  #show(sentence = "") {
    this.save.disabled = !this.isChanged;
    this.message.textContent = sentence;
    this.message.className = "quiet";
  }

  async #submit(event) {
    event.preventDefault();
    this.save.disabled = true;
    try {
      const changed = await patch(`projects/${this.project.id}`, { [this.field]: this.text.value });
      this.text.value = this.saved = changed[this.field];
      this.#show("Saved.");
    } catch (error) {
      this.#show(error.message);
      this.message.className = "refusal";
    }
  }
}

export const guidelines = (project) =>
  new TextForm(project, {
    field: "guidelines",
    title: "Guidelines for raters",
    note: "Shown beside the pictures. A blank line begins a new paragraph. Without guidelines nothing is shown.",
    rows: "6",
    button: "Save guidelines",
  });

export const consent = (project) =>
  new TextForm(project, {
    field: "consent",
    title: "Consent",
    note: "Raters read this and agree to it before their first answer; after a change they are asked again. Without a text nobody is asked.",
    rows: "4",
    button: "Save consent text",
  });
