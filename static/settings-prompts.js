// The prompts, one per line; words the model never saw are named after saving and on arrival.
import { get, put } from "./api.js";
import { h, plural } from "./element.js";

export class PromptsForm {
  constructor(projectId) {
    this.projectId = projectId;
    this.text = h("textarea", { id: "prompts", rows: "14", spellcheck: "false", dir: "auto", "aria-describedby": "prompts-note", oninput: () => this.#show() });
    this.unknown = h("div", { class: "unknown", role: "status" });
    this.message = h("p", { role: "status" });
    this.save = h("button", { class: "button is-primary" }, "Save prompts");
    this.node = h(
      "form",
      { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, h("label", { for: "prompts" }, "Prompts")),
      h("p", { class: "quiet", id: "prompts-note" }, "One per line. Groups already made keep the prompt they were made for."),
      this.text,
      h("div", { class: "row" }, this.save, this.message),
      this.unknown,
    );
    this.save.disabled = true;
  }

  get lines() {
    return this.text.value.split("\n").map((line) => line.trim()).filter(Boolean);
  }

  get isChanged() {
    return this.lines.join("\n") !== this.saved;
  }

  async load() {
    this.#take(await get(`projects/${this.projectId}/prompts`));
  }

  #take({ prompts }) {
    this.text.value = prompts.map((prompt) => prompt.text).join("\n");
    this.saved = this.lines.join("\n");
    this.#flag(prompts.filter((prompt) => prompt.unknown_words.length));
    this.#show();
  }

  #flag(prompts) {
    const items = prompts.map((prompt) =>
      h("li", { dir: "auto" }, h("b", {}, prompt.unknown_words.join(", ")), ` in “${prompt.text}”`),
    );
    const title = `${plural(prompts.length, "prompt uses", "prompts use")} words the model has never seen; expect it to guess.`;
    this.unknown.replaceChildren(...(items.length ? [h("p", {}, title), h("ul", {}, items)] : []));
  }

  #show(sentence) {
    this.save.disabled = !this.isChanged;
    this.message.textContent = sentence ?? plural(this.lines.length, "prompt");
    this.message.className = "quiet";
  }

  async #submit(event) {
    event.preventDefault();
    this.save.disabled = true;
    try {
      this.#take(await put(`projects/${this.projectId}/prompts`, { prompts: this.lines }));
      this.#show("Saved.");
    } catch (error) {
      this.#show(error.message);
      this.message.className = "refusal";
    }
  }
}
