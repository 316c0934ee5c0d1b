// Removing everything that is one person's, by name: looked up first, confirmed by typing the name.
import { pageUrl } from "./address.js";
import { get, post, remove } from "./api.js";
import { h, plural } from "./element.js";
import { askFor } from "./project-dialogs.js";

const WORDS =
  "Ratings, notes, flags, favourites and the times of visits are deleted in every project. Ratings that an update has learned from cannot be unlearned: they lose the name and what was judged, and the versions can be trained again without them. Backups made before still hold everything until they are let go.";

export class Removal {
  constructor(root, done) {
    this.root = root;
    this.done = done;
    this.name = h("input", { id: "removal-name", required: true, maxlength: "80", autocomplete: "off", dir: "auto" });
    this.message = h("p", { role: "status", class: "quiet" });
    this.found = h("div", { class: "stack" });
    const form = h("form", { onsubmit: (event) => this.#look(event) },
      h("label", { for: "removal-name" }, "Name under which the person rated"),
      h("div", { class: "row" }, this.name, h("button", { class: "button" }, "Look up")));
    this.node = h("section", { "data-part": "removal" }, h("h2", {}, "Remove a person's data"), h("p", { class: "quiet" }, WORDS), form, this.message, this.found);
  }

  async load() {
    const named = new URLSearchParams(location.search).get("rater");
    if (!named) return;
    this.name.value = named;
    await this.#find();
  }

  async #look(event) {
    event.preventDefault();
    await this.#find();
  }

  async #find() {
    const name = this.name.value.trim();
    this.found.replaceChildren();
    try {
      const { traces } = await get(`raters?${new URLSearchParams({ name })}`);
      this.#say("");
      const button = h("button", { type: "button", class: "button is-danger", onclick: () => this.#ask(name) }, "Remove …");
      this.found.replaceChildren(...traces.map((trace) => this.#trace(trace)), button);
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #trace({ project, project_id: id, ratings, used, remarks, versions }) {
    const learned = versions.length ? `; ${plural(used, "rating")} taught ${versions.length === 1 ? "version" : "versions"} ${versions.map((one) => one.number).join(", ")}` : "";
    return h("p", { "data-project": id }, h("b", { dir: "auto" }, project), ` ${plural(ratings, "rating")}, ${plural(remarks, "note, flag or favourite", "notes, flags and favourites")}${learned}.`);
  }

  #ask(name) {
    askFor(this.root, {
      title: `Remove all data of ${name}`, action: "Remove", value: "", mustBe: name, label: "Type the name",
      words: "This cannot be taken back.",
      act: async (typed) => {
        const { traces } = await remove("raters", { name: typed });
        this.#say(`The data of ${name} is removed.`);
        this.name.value = "";
        this.found.replaceChildren(...traces.filter((trace) => trace.versions.length).map((trace) => this.#again(trace)));
        await this.done();
      },
    });
  }

  // What was learned stays learned: each version that it is in can be made again without it.
  #again({ project, project_id: id, rater_id: rater, versions }) {
    const wanted = versions.find((one) => one.live) ?? versions.at(-1);
    const said = h("p", { role: "status" });
    const start = h("button", { type: "button", class: "button", onclick: () => this.#train(wanted, rater, start, said) }, `Train version ${wanted.number} again without`);
    const numbers = versions.map((one) => `version ${one.number}${one.live ? " (live)" : ""}`).join(", ");
    return h("div", { "data-project": id },
      h("p", {}, "In ", h("a", { href: pageUrl("versions", id), dir: "auto" }, project), ` what was removed is still in ${numbers}.`),
      start, said);
  }

  async #train(version, rater, button, said) {
    button.disabled = true;
    try {
      const update = await post(`versions/${version.id}/retraining`, { raters: [rater] });
      said.textContent = `Update ${update.number} is queued; the Train page shows it.`;
    } catch (error) {
      said.textContent = error.message;
      button.disabled = false;
    }
  }

  #say(text, isRefusal = false) {
    this.message.textContent = text;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }
}
