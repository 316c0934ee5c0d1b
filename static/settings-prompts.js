// The prompts, one per line; words the model never saw are named after saving and on arrival.
import { get, put } from "./api.js";
import { h, plural } from "./element.js";
import { ImportForm, leftOut } from "./settings-import.js";

export class PromptsForm {
  constructor(projectId) {
    this.projectId = projectId;
    this.text = h("textarea", { id: "prompts", rows: "14", spellcheck: "false", dir: "auto", "aria-describedby": "prompts-note", oninput: () => this.#show() });
    this.unknown = h("div", { class: "unknown", role: "status" });
    this.message = h("p", { role: "status" });
    this.save = h("button", { class: "button is-primary" }, "Save prompts");
    const form = h(
      "form",
      { onsubmit: (event) => this.#submit(event) },
      h("h2", {}, h("label", { for: "prompts" }, "Prompts")),
      h("p", { class: "quiet", id: "prompts-note" }, "One per line. Groups already made keep the prompt they were made for."),
      this.text,
      h("div", { class: "row" }, this.save, this.message),
      this.unknown,
    );
    const list = new ImportForm({
      title: "Import prompts",
      note: "Text with a prompt per line, or a CSV or TSV with a column called prompt: PartiPrompts, DrawBench and T2I-CompBench as they are.",
      accept: ".txt,.csv,.tsv",
      paste: "Or paste a list",
      path: `projects/${projectId}/prompts/import`,
      actions: [["Add to the list", { mode: "add" }], ["Replace the list", { mode: "replace" }]],
      look: { mode: "replace" },
      found: (report) => this.#found(report),
      hindrance: () => (this.isChanged ? "Save your changes to the list above first, or reload the page to drop them." : ""),
      done: ({ good, total, wrong }) => this.#imported(good, total, wrong),
    });
    this.node = h("section", {}, form, list.node);
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

  #found({ good, known, repeated, wrong }) {
    const there = known ? `, ${known} of them on the list already` : "";
    const twice = repeated ? `; ${plural(repeated, "repetition")} left out` : "";
    return `${plural(good, "prompt")}${there}${twice}.${leftOut(wrong)}`;
  }

  #imported(good, total, wrong) {
    this.load();
    return `Took ${plural(good, "prompt")}; the list has ${total} now.${leftOut(wrong)}`;
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
