// <loop-settings>: prompts, raters, every setting of the project.
import { StudioElement, define, h } from "./element.js";
import { openProjectPatiently } from "./project.js";
import { DataForm } from "./settings-data.js";
import { ProjectForm } from "./settings-project.js";
import { PromptsForm } from "./settings-prompts.js";
import { Raters } from "./settings-raters.js";
import { Reports } from "./settings-reports.js";
import { RewardLink } from "./settings-reward.js";
import { consent, guidelines } from "./settings-text.js";

class Settings extends StudioElement {
  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.page = h("div", { class: "page settings" }, h("h1", {}, "Settings"), this.alert);
    this.root.append(this.page);
    const { project } = await openProjectPatiently((error) => this.#fail(error));
    this.alert.hidden = true;
    this.page.append(h("p", { class: "quiet model", dir: "auto" }, modelOf(project)));
    this.reward = new RewardLink(project.id);
    this.prompts = new PromptsForm(project.id);
    this.form = new ProjectForm(project);
    this.guidelines = guidelines(project);
    this.consent = consent(project);
    this.reports = new Reports(project.id);
    this.raters = new Raters(project.id);
    this.data = new DataForm(project.id);
    this.page.append(this.reward.node, this.prompts.node, this.guidelines.node, this.consent.node, this.reports.node, this.raters.node, this.form.node, this.data.node);
    window.addEventListener("loop-upgrade", (event) => this.#keepEdits(event));
    await Promise.all([this.reward.load(), this.prompts.load(), this.raters.load(), this.reports.load()]).catch((error) => this.#fail(error));
    this.dataset.state = "ready";
  }

  // A new release would reload the page; what is typed here is not thrown away for it.
  #keepEdits(event) {
    if (!this.form.changed.length && !this.prompts.isChanged && !this.guidelines.isChanged && !this.consent.isChanged) return;
    event.preventDefault();
    this.#fail(new Error("The studio was upgraded. Save or discard your changes, then reload this page."));
  }

  #fail(error) {
    this.alert.textContent = error.message;
    this.alert.hidden = false;
  }
}

// A hub id means the commit it pointed to at the first load, whatever its owner does to it later.
function modelOf({ model, model_revision: commit }) {
  return `Model: ${model}` + (commit ? `, always at its commit ${commit.slice(0, 12)}` : "");
}

await define("loop-settings", Settings, "page.css", "settings.css");
