// Who changed what, newest first, of one project or kind where that is asked for.
import { get } from "./api.js";
import { h, moment } from "./element.js";

const KINDS = [
  ["", "Everything"],
  ["project", "Projects"],
  ["settings", "Settings"],
  ["reward", "Rewards"],
  ["prompts", "Prompts"],
  ["version", "Versions"],
  ["update", "Updates"],
  ["rater", "Raters"],
  ["import", "Imports"],
];
const WHO = { local: "someone at this studio", studio: "the studio itself" };

const select = (id, options, onchange) =>
  h("select", { id, onchange }, options.map(([value, words]) => h("option", { value }, words)));

export class Changes {
  constructor() {
    this.kind = select("change-kind", KINDS, () => this.load());
    this.project = select("change-project", [["", "All projects"]], () => this.load());
    this.list = h("ol", { class: "changes" });
    this.message = h("p", { class: "quiet", role: "status" });
    this.older = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#show(this.last) }, "Show older");
    this.node = h(
      "section",
      { "data-part": "changes" },
      h("h2", {}, "Changes"),
      h("p", { class: "row filters" }, h("span", {}, h("label", { for: "change-kind" }, "Kind"), this.kind), h("span", {}, h("label", { for: "change-project" }, "Project"), this.project)),
      this.list,
      this.message,
      this.older,
    );
  }

  async load() {
    if (this.project.options.length === 1) {
      const { projects } = await get("projects");
      this.project.append(...projects.map(({ id, name }) => h("option", { value: id }, name)));
    }
    await this.#show(null);
  }

  async #show(before) {
    const query = new URLSearchParams();
    const given = { action: this.kind.value, project: this.project.value, before };
    for (const [name, value] of Object.entries(given)) if (value) query.set(name, value);
    try {
      const { changes, more } = await get(`audit?${query}`);
      const rows = changes.map((change) => this.#row(change));
      if (before) this.list.append(...rows);
      else this.list.replaceChildren(...rows);
      this.last = changes.at(-1)?.id;
      this.older.hidden = !more;
      this.message.textContent = this.list.children.length ? "" : "Nothing of that kind was changed yet.";
    } catch (error) {
      this.message.textContent = error.message;
    }
  }

  #row({ actor, sentence, project, rater, created_at }) {
    const about = [WHO[actor] ?? actor, project, rater].filter(Boolean).join(" · ");
    return h("li", {}, h("time", { datetime: created_at, class: "quiet" }, moment(created_at)), h("div", {}, h("p", { dir: "auto" }, sentence), h("p", { class: "quiet", dir: "auto" }, about)));
  }
}
