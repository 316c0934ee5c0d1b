// What the project asks of its raters; it stands beside the pictures on the Rate page.
import { patch } from "./api.js";
import { h } from "./element.js";

export class GuidelinesForm {
  constructor(project) {
    this.project = project;
    this.text = h("textarea", { id: "guidelines", rows: "6", maxlength: "20000", dir: "auto", "aria-describedby": "guidelines-note", oninput: () => this.#show() });
    this.text.value = this.saved = project.guidelines;
    this.message = h("p", { role: "status", class: "quiet" });
    this.save = h("button", { class: "button is-primary" }, "Save guidelines");
    this.node = h("form", { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, h("label", { for: "guidelines" }, "Guidelines for raters")),
      h("p", { class: "quiet", id: "guidelines-note" }, "Shown beside the pictures. A blank line begins a new paragraph. Without guidelines nothing is shown."),
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
      const { guidelines } = await patch(`projects/${this.project.id}`, { guidelines: this.text.value });
      this.text.value = this.saved = guidelines;
      this.#show("Saved.");
    } catch (error) {
      this.#show(error.message);
      this.message.className = "refusal";
    }
  }
}
