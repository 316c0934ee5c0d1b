// A list from a file: looked at by the studio first, line by line, and taken only when told to.
import { post } from "./api.js";
import { h, plural } from "./element.js";

const TYPES = { csv: "text/csv", tsv: "text/tab-separated-values", jsonl: "application/x-ndjson" };
const PATIENCE = 600_000; // ms; a long list is read whole before the answer
const MOST_LINES = 20; // of those left out, shown here
const MOST_PROMPTS = 5; // of the good ones: enough to see that the file was read as it was meant

const typeOf = (name) => TYPES[name.toLowerCase().split(".").at(-1)] ?? "text/plain";

// One control for every kind of list. `path` takes the file; `actions` are [words, query] in the
// order of their buttons; `look` is the query of the first look; `found(report)` puts what is good
// into words, `done(report)` what was taken; `hindrance()` may say why nothing can be taken now.
export class ImportForm {
  constructor({ title, note, accept, path, actions, look = {}, found, done, hindrance = () => "", paste = null }) {
    Object.assign(this, { path, look, found, done, hindrance });
    const id = path.split("/").slice(-2).join("-");
    this.file = h("input", { type: "file", accept, id: `${id}-file`, "aria-describedby": `${id}-note`, onchange: () => this.#picked() });
    this.pasted = paste && h("textarea", { id: `${id}-text`, rows: "5", spellcheck: "false", dir: "auto", oninput: () => this.#forget() });
    const check = paste && h("button", { type: "button", class: "button", onclick: () => this.#look(this.pasted.value, "text/plain") }, "Check the list");
    this.message = h("p", { role: "status" });
    this.lines = h("ul", { class: "lines" });
    this.buttons = actions.map(([words, query], place) =>
      h("button", { type: "button", class: place ? "button" : "button is-primary", onclick: () => this.#take(query) }, words),
    );
    this.taking = h("div", { class: "row", hidden: true }, this.buttons);
    this.node = h(
      "details",
      { class: "import" },
      h("summary", {}, title),
      h("p", { class: "quiet", id: `${id}-note` }, note),
      h("div", { class: "stack" }, h("label", { for: `${id}-file` }, "File"), this.file),
      paste && h("div", { class: "stack" }, h("label", { for: `${id}-text` }, paste), this.pasted, check),
      this.message,
      this.lines,
      this.taking,
    );
  }

  #picked() {
    const [file] = this.file.files;
    if (file) this.#look(file, typeOf(file.name));
    else this.#forget();
  }

  async #look(content, type) {
    this.#forget("Reading …");
    const looked = { content, type };
    this.looked = looked;
    const report = await this.#send({ ...this.look, dry_run: "true" });
    if (!report || this.looked !== looked) return; // another file was picked meanwhile
    this.#show(this.found(report));
    this.#tell(report);
    this.taking.hidden = !(report.good ?? report.added);
  }

  async #take(query) {
    const hindrance = this.hindrance();
    if (hindrance) return this.#show(hindrance, true);
    for (const button of this.buttons) button.disabled = true;
    const report = await this.#send(query);
    for (const button of this.buttons) button.disabled = false;
    if (!report) return;
    this.looked = null;
    this.taking.hidden = true;
    this.file.value = "";
    if (this.pasted) this.pasted.value = "";
    this.#show(this.done(report));
    this.#tell(report);
  }

  async #send(query) {
    const { content, type } = this.looked;
    try {
      return await post(`${this.path}?${new URLSearchParams(query)}`, null, { file: content, type, timeout: PATIENCE });
    } catch (error) {
      this.#show(error.message, true);
      this.lines.replaceChildren();
      return null;
    }
  }

  #forget(sentence = "") {
    this.looked = null;
    this.taking.hidden = true;
    this.lines.replaceChildren();
    this.#show(sentence);
  }

  #tell({ dry_run, good = 0, prompts = [], errors, wrong }) {
    const shown = errors.slice(0, MOST_LINES);
    const more = wrong - shown.length;
    const first = dry_run ? prompts.slice(0, MOST_PROMPTS) : [];
    const goodMore = first.length ? good - first.length : 0;
    this.lines.replaceChildren(
      ...first.map((text) => h("li", { dir: "auto", class: "good" }, text)),
      ...(goodMore ? [h("li", {}, `and ${plural(goodMore, "more prompt")}.`)] : []),
      ...shown.map(({ line, detail }) => h("li", { dir: "auto" }, h("b", {}, `Line ${line}`), ` ${detail}`)),
      ...(more ? [h("li", {}, `and ${plural(more, "more line")}.`)] : []),
    );
  }

  #show(sentence, isRefusal = false) {
    this.message.textContent = sentence;
    this.message.className = isRefusal ? "refusal" : "";
  }
}

export const leftOut = (wrong) => (wrong ? ` ${plural(wrong, "line is", "lines are")} left out.` : "");
