// Every setting of the project in one form: only what changed is sent, and a refusal stands beside
// the field it names.
import { patch } from "./api.js";
import { h, plural } from "./element.js";
import { FORM, FieldRow } from "./settings-fields.js";

const NOTES = {
  Generation: "A change here retires the groups that nobody has judged yet; new ones are made.",
  Rating: "How groups are shown to raters.",
  Updates: "When the studio fine-tunes, and on how much.",
  Times: "On whose clocks schedules run, and when the studio keeps quiet; schedules are on the Train page.",
  Learning: "How hard an update pulls. The defaults are measured on the starter; see docs/experiments.md.",
};

export class ProjectForm {
  constructor(project) {
    this.project = project;
    this.rows = new Map();
    this.message = h("p", { role: "status" });
    this.save = h("button", { class: "button is-primary" }, "Save");
    this.drop = h("button", { type: "button", class: "button", onclick: () => this.#reset() }, "Discard");
    this.bar = h("div", { class: "save-bar" }, this.message, this.drop, this.save);
    this.node = h("form", { novalidate: true, onsubmit: (event) => this.#submit(event) }, FORM.map((section) => this.#section(section)), this.bar);
    this.#reset();
  }

  get changed() {
    return [...this.rows.values()].filter((row) => row.changed);
  }

  #section({ name, fields }) {
    const rows = fields.map((field) => {
      const row = new FieldRow(field, () => this.#show());
      this.rows.set(field.name, row);
      return row.node;
    });
    const note = name === "Content" ? this.project.content_note : NOTES[name];
    return h("fieldset", {}, h("legend", {}, h("h2", {}, name)), h("p", { class: "quiet" }, note ?? ""), rows);
  }

  #reset() {
    for (const [name, row] of this.rows) row.set(this.project.settings[name]);
    this.#show();
  }

  #show(sentence) {
    const count = this.changed.length;
    this.save.disabled = this.drop.disabled = count === 0;
    this.bar.classList.toggle("is-dirty", count > 0);
    this.message.textContent = sentence ?? (count ? `${plural(count, "change")} not saved` : "");
    this.message.classList.toggle("refusal", Boolean(sentence) && count > 0);
  }

  async #submit(event) {
    event.preventDefault();
    const settings = Object.fromEntries(this.changed.map((row) => [row.field.name, row.value]));
    if (!Object.keys(settings).length) return;
    for (const row of this.rows.values()) row.refuse("");
    this.save.disabled = true;
    try {
      this.project = await patch(`projects/${this.project.id}`, { settings });
      this.#reset();
      this.#show("Saved.");
    } catch (error) {
      this.#show(error.message);
      this.#point(error.message);
    }
  }

  // The refusal names its field first ("group_size must be ...").
  #point(sentence) {
    const row = this.rows.get(sentence.split(" ", 1)[0]);
    row?.refuse(sentence);
    row?.input.focus();
  }
}
