// <loop-projects>: every project at a glance, a new one in three questions, and what can be done
// with a whole project.
import { API, pageUrl, projectInAddress } from "./address.js";
import { get, patch, post, remove } from "./api.js";
import { StudioElement, define, fileSize, h, icon, moment, plural } from "./element.js";
import { ExportRow } from "./export-row.js";
import { Importer } from "./importer.js";
import { askFor } from "./project-dialogs.js";
import { reaches, session } from "./session.js";
import { openWizard } from "./wizard.js";

const source = new URLSearchParams(location.search).get("from");
const OPENS = ["rate", "history", "train", "versions", "settings"].includes(source) ? source : "rate";

const ARCHIVE = { words: "Import a project", label: "Exported project", suffix: ".zip", fallback: "project", each: "project-imports" };

const thumbnail = (id) => h("img", { src: new URL(`images/${id}`, API).href, alt: "", loading: "lazy", width: 72, height: 72 });

function facts(project) {
  const versions = project.versions ? `${plural(project.versions, "version")}, ${project.live_version} is live` : "no version yet";
  const ratings = project.ratings ? `${plural(project.ratings, "rating")} by ${plural(project.raters, "rater")}` : "No ratings yet";
  const reports = project.reports ? `${plural(project.reports, "reported picture")} to decide about` : null;
  return [ratings, versions, `${fileSize(project.size)} on disk`, reports].filter(Boolean).join(" · ");
}

class Projects extends StudioElement {
  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.said = h("p", { class: "quiet", role: "status" });
    this.list = h("ul", { class: "projects" });
    this.archived = h("ul", { class: "projects" });
    this.shelf = h("section", { hidden: true }, h("h2", {}, "Archived"), this.archived);
    this.importer = new Importer({ ...ARCHIVE, done: (made) => this.#arrived(made.project_id), refused: (error) => this.#refuse(error) });
    this.fresh = h("button", { type: "button", class: "button is-primary", onclick: () => this.#begin() }, icon("plus"), "New project");
    this.root.append(
      h("div", { class: "page" },
        h("section", {},
          h("div", { class: "head" }, h("h1", {}, "Projects"), h("div", { class: "row" }, this.importer.control, this.fresh)),
          this.importer.progress, this.alert, this.said, this.list),
        this.shelf),
    );
    this.root.addEventListener("pointerdown", (event) => this.#closeMenus(event.target));
    this.who = await session();
    this.mayTrain = reaches(this.who, "trainer");
    this.importer.control.hidden = this.fresh.hidden = !this.mayTrain;
    await this.#load();
    if (!this.mayTrain) return;
    this.importer.open("project-imports").catch((error) => this.#refuse(error));
    if (new URLSearchParams(location.search).has("new")) this.#begin();
  }

  async #load() {
    try {
      const { projects } = await get("overview");
      this.list.replaceChildren(...projects.filter((project) => !project.archived).map((project) => this.#card(project)));
      this.archived.replaceChildren(...projects.filter((project) => project.archived).map((project) => this.#card(project)));
      this.shelf.hidden = !this.archived.children.length;
      this.alert.hidden = true;
      this.dataset.state = "ready";
    } catch (error) {
      this.#refuse(error);
    }
  }

  #card(project) {
    const here = project.id === projectInAddress();
    const pictures = project.images.length ? project.images.map(thumbnail) : [icon("folder")];
    const packed = h("div", { class: "packed" });
    return h(
      "li",
      { "data-project": project.id, class: here ? "is-here" : "" },
      h("a", { class: project.images.length ? "pictures" : "pictures is-empty", href: pageUrl(OPENS, project.id), tabindex: "-1", "aria-hidden": "true" }, pictures),
      h("div", { class: "what" },
        h("h2", {}, h("a", { href: pageUrl(OPENS, project.id), dir: "auto" }, project.name)),
        h("p", {}, facts(project)),
        h("p", { class: "quiet", dir: "auto" }, [project.model, project.rated_at ? `last rated ${moment(project.rated_at)}` : `made ${moment(project.created_at)}`].join(" · ")),
        packed),
      h("div", { class: "row actions" },
        h("a", { class: "button", href: pageUrl(OPENS, project.id), "aria-label": `Open ${project.name}` }, "Open"),
        this.mayTrain ? this.#more(project, packed) : null),
    );
  }

  #more(project, packed) {
    const action = (words, act) =>
      h("button", { type: "button", class: "button", onclick: () => { more.open = false; act(); } }, words);
    const more = h(
      "details",
      { class: "more", onkeydown: (event) => this.#leave(event, more), onfocusout: (event) => { if (event.relatedTarget && !more.contains(event.relatedTarget)) more.open = false; } },
      h("summary", { class: "button", "aria-label": `More for ${project.name}` }, "More", icon("chevron")),
      h("div", { class: "menu" },
        action("Rename …", () => this.#rename(project)),
        action("Clone …", () => this.#clone(project)),
        action("Export", () => this.#pack(project, packed)),
        action("Start over …", () => this.#startOver(project)),
        action(project.archived ? "Restore" : "Archive", () => this.#archive(project)),
        project.id === "starter" || !reaches(this.who, "administrator") ? null : action("Delete …", () => this.#delete(project))),
    );
    return more;
  }

  #closeMenus(pressed) {
    for (const more of this.root.querySelectorAll(".more[open]")) if (!more.contains(pressed)) more.open = false;
  }

  #leave(event, more) {
    if (event.key !== "Escape" || !more.open) return;
    more.open = false;
    more.querySelector("summary").focus();
  }

  async #begin() {
    this.fresh.disabled = true;
    try {
      await openWizard(this.root, (project) => { location.href = pageUrl("rate", project.id); });
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.fresh.disabled = false;
    }
  }

  #rename(project) {
    askFor(this.root, {
      title: "Rename", action: "Rename", value: project.name,
      act: async (name) => { await patch(`projects/${project.id}`, { name }); await this.#done(`It is called ${name} now.`); },
    });
  }

  #clone(project) {
    askFor(this.root, {
      title: `Clone ${project.name}`, action: "Clone", value: `${project.name}, again`.slice(0, 200),
      words: "The clone has the same model, prompts, settings, reward source and guidelines. Ratings and versions stay here.",
      act: async (name) => { await post(`projects/${project.id}/clone`, { name }); await this.#done(`${name} is made.`); },
    });
  }

  #startOver(project) {
    askFor(this.root, {
      title: `Start ${project.name} over`, action: "Start over", input: false,
      words: "Version 0, the untouched base, becomes live. Groups that wait are retired, judged ones too; versions and ratings are kept, and any version can be made live again.",
      act: async () => { await post(`projects/${project.id}/start-over`); await this.#done(`${project.name} starts over from the base.`); },
    });
  }

  async #delete(project) {
    const { size } = await get(`projects/${project.id}/overview`).catch(() => project);
    askFor(this.root, {
      title: `Delete ${project.name}`, action: "Delete", value: "", mustBe: project.name, label: "Type the project's name",
      words: `This frees ${fileSize(size)}. ${plural(project.ratings, "rating")}, ${plural(project.versions, "version")} and all pictures are gone for good; an export would keep them.`,
      act: async (name) => {
        await remove(`projects/${project.id}`, { name });
        if (project.id === projectInAddress()) location.href = pageUrl("projects");
        else await this.#done(`${project.name} is deleted.`);
      },
    });
  }

  async #archive(project) {
    try {
      await patch(`projects/${project.id}`, { archived: !project.archived });
      await this.#done(project.archived ? `${project.name} is back.` : `${project.name} is archived: nothing is made for it any more.`);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #pack(project, packed) {
    const row = new ExportRow({
      title: "The whole project",
      list: `projects/${project.id}/exports`,
      make: () => post(`projects/${project.id}/exports`),
      mine: (one) => one.format === "project",
    });
    packed.replaceChildren(row.node);
    row.make();
  }

  async #arrived(id) {
    await this.#done("The project is imported.");
    this.root.querySelector(`[data-project="${id}"] h2 a`)?.focus();
  }

  async #done(words) {
    await this.#load();
    this.said.textContent = words;
  }

  #refuse(error) {
    this.alert.hidden = false;
    this.alert.textContent = error.message;
  }
}

await define("loop-projects", Projects, "page.css", "settings.css", "projects.css");
