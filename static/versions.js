// <loop-versions>: every version, the live one marked, its files, and its pictures beside version 0.
import { API } from "./address.js";
import { get, post } from "./api.js";
import { StudioElement, define, h, icon, moment, plural } from "./element.js";
import { Importer } from "./import-lora.js";
import { live } from "./live.js";
import { openProjectPatiently } from "./project.js";
import { showWall } from "./wall.js";

const file = (version, format) => new URL(`versions/${version.id}/lora?format=${format}`, API).href;

// "wins 64 % of 140 blind pairs against version 2 (55 to 72 %)"
function wins({ win_rate: rate }, parent) {
  if (!rate) return "";
  const [value, low, high] = [rate.value, rate.low, rate.high].map((share) => Math.round(100 * share));
  return `wins ${value} % of ${plural(rate.n, "blind pair")} against version ${parent} (${low} to ${high} %)`;
}

function score(version) {
  const [first] = Object.entries(version.metrics?.probe ?? {});
  return first ? `${first[0].replaceAll("_", " ")} ${first[1].mean.toFixed(3)}` : "";
}

class Versions extends StudioElement {
  #shown = null; // id of the version on the wall
  #drawn = null;
  #listed = null; // the state of the studio that the list shows
  #refusal = null; // what did not work stays in sight until something does

  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.said = h("p", { class: "unseen", role: "status" });
    this.list = h("ol", { class: "versions" });
    this.importer = new Importer({ done: (made) => this.#imported(made), refused: (error) => this.#refuse(error) });
    this.wall = h("section", { class: "wall-section", "aria-label": "Probe pictures" });
    this.root.append(
      h("div", { class: "page" },
        h("section", {},
          h("div", { class: "head" }, h("h1", {}, "Versions"), this.importer.control),
          this.importer.progress, this.alert, this.list, this.said),
        this.wall),
    );
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    this.live = live(project.id);
    this.live.addEventListener("change", () => this.#liveChanged());
    this.#liveChanged();
    this.importer.open(project.id).catch((error) => this.#refuse(error));
  }

  #liveChanged() {
    this.#complain(this.#refusal ?? this.live.error);
    const { status, update } = this.live;
    if (!status) return;
    const seen = [status.live_version, status.active_update_id, update?.status].join();
    if (seen !== this.#listed) {
      this.#listed = seen;
      this.#load();
    } else if (this.versions) {
      this.#showWall();
    }
  }

  async #load() {
    try {
      const { versions } = await get(`projects/${this.project.id}/versions`);
      this.versions = versions;
      const present = versions.some((version) => version.id === this.#shown);
      const current = versions.find((version) => version.live) ?? versions.at(-1);
      if (!present) this.#shown = current.id;
      this.#refusal = null;
      this.#show();
    } catch (error) {
      this.#listed = null;
      this.#refuse(error);
    }
  }

  #show() {
    const numbers = new Map(this.versions.map((version) => [version.id, version.number]));
    this.list.replaceChildren(...[...this.versions].reverse().map((version) => this.#row(version, numbers)));
    this.#showWall();
  }

  #row(version, numbers) {
    const parent = numbers.get(version.parent_id);
    const grown = version.update_id ? `From version ${parent ?? "unknown"}` : "Imported";
    const from = version.number === 0 ? "The untouched base" : grown;
    const facts = [from, moment(version.created_at), score(version), wins(version, parent)].filter(Boolean).join(" · ");
    const download = (format) =>
      h("a", { class: "button", href: file(version, format), download: "", "aria-label": `Download version ${version.number} for ${format}` }, icon("load"), format);
    return h(
      "li",
      { "data-version": version.number, class: version.id === this.#shown ? "is-shown" : "" },
      h("div", { class: "what" },
        h("h2", {}, `Version ${version.number}`, version.live ? h("span", { class: "badge" }, "Live") : null,
          version.awaits_pairs ? h("span", { class: "badge" }, "Candidate") : null),
        version.name ? h("p", { dir: "auto" }, version.name) : null,
        h("p", { class: "quiet" }, facts),
        version.awaits_pairs ? h("p", {}, `Goes live by itself once blind pairs prefer it to version ${parent}: judged on the Rate page, looked at after 20, 40, 80 and 160 of them. Until then no automatic update starts.`) : null),
      h("div", { class: "row" },
        version.number > 0 ? [download("diffusers"), download("kohya")] : null,
        version.live ? null : h("button", { type: "button", class: "button", "data-do": "live", onclick: (event) => this.#activate(version, event.currentTarget) }, "Make live"),
        h("button", { type: "button", class: "button", "aria-pressed": String(version.id === this.#shown), onclick: () => this.#choose(version) }, "Pictures")),
    );
  }

  #choose(version) {
    this.#shown = version.id;
    this.#show();
    this.wall.scrollIntoView({ behavior: "auto", block: "start" });
  }

  async #showWall() {
    if (this.#drawn === this.#shown) return;
    const wanted = (this.#drawn = this.#shown);
    const base = this.versions.find((version) => version.number === 0);
    const version = this.versions.find((other) => other.id === wanted);
    try {
      const isWhole = await showWall(this.wall, base, version, () => this.#shown === wanted);
      if (!isWhole && this.#shown === wanted) this.#drawn = null; // looked at again with the next state
      if (isWhole && !version.metrics?.probe) this.#load(); // measured by now: the row says how
    } catch (error) {
      this.#drawn = null;
      this.#refuse(error);
    }
  }

  async #activate(version, button) {
    button.disabled = true;
    try {
      await post(`versions/${version.id}/activate`);
      this.said.textContent = `Version ${version.number} is live.`;
      await this.live.now();
      await this.#load();
    } catch (error) {
      button.disabled = false;
      this.#refuse(error);
    }
  }

  async #imported({ name, version }) {
    await this.#load();
    this.said.textContent = `${name} is version ${version}; make it live to continue from it.`;
  }

  #refuse(error) {
    this.#refusal = error;
    this.#complain(error);
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }
}

await define("loop-versions", Versions, "page.css", "versions.css");
