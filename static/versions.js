// <loop-versions>: the tree of versions, the live one marked, what made each, its files, and its
// pictures beside version 0.
import { API, pageUrl } from "./address.js";
import { get, post } from "./api.js";
import { StudioElement, define, h, icon, moment, plural } from "./element.js";
import { Importer } from "./import-lora.js";
import { live } from "./live.js";
import { openProjectPatiently } from "./project.js";
import { takeHome } from "./take-home.js";
import { More, taughtBy } from "./version-more.js";
import { branchLines, lanes } from "./version-tree.js";
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
  #read = ""; // the list as it was drawn
  #listed = null; // the state of the studio that the list shows
  #refusal = null; // what did not work stays in sight until something does
  #open = new Set(); // numbers of the versions whose details are open
  #panels = new Map(); // what is in them, by the version's id: it outlives its row

  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.said = h("p", { class: "said", role: "status" });
    this.list = h("ol", { class: "versions" });
    this.importer = new Importer({ done: (made) => this.#imported(made), refused: (error) => this.#refuse(error) });
    this.compare = h("a", { class: "button" }, icon("beside"), "Compare");
    this.wall = h("section", { class: "wall-section", "aria-label": "Probe pictures" });
    this.root.append(
      h("div", { class: "page" },
        h("section", {},
          h("div", { class: "head" }, h("h1", {}, "Versions"), h("div", { class: "row" }, this.compare, this.importer.control)),
          h("p", { class: "quiet" }, "Any version can be made live, at once. Updates go on from the live one; from an older one they start a branch, and the versions you leave stay as they are."),
          this.importer.progress, this.alert, this.said, this.list),
        this.wall),
    );
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    this.compare.href = pageUrl("compare", project.id);
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
      const path = `projects/${this.project.id}`;
      const [{ versions }, { versions: made }] = await Promise.all([get(`${path}/versions`), get(`${path}/provenance`)]);
      this.#refusal = null;
      const read = JSON.stringify([versions, made]);
      if (read === this.#read) return; // or what is open, pressed or selected would be swapped for its like
      this.#read = read;
      this.versions = versions;
      this.made = new Map(made.map((one) => [one.version_id, one]));
      const present = versions.some((version) => version.id === this.#shown);
      const current = versions.find((version) => version.live) ?? versions.at(-1);
      if (!present) this.#shown = current.id;
      this.#show();
    } catch (error) {
      this.#listed = null;
      this.#refuse(error);
    }
  }

  #show() {
    const numbers = new Map(this.versions.map((version) => [version.id, version.number]));
    const newest = [...this.versions].reverse();
    const { rows, width } = lanes(newest);
    const focused = this.root.activeElement;
    this.list.replaceChildren(...newest.map((version, index) => this.#row(version, numbers, branchLines(rows[index], version.live))));
    if (focused?.isConnected) focused.focus({ preventScroll: true }); // it went with its row
    this.list.style.setProperty("--lanes", width);
    this.#showWall();
  }

  #row(version, numbers, lines) {
    const parent = numbers.get(version.parent_id);
    const made = this.made.get(version.id);
    const grown = version.update_id ? `From version ${parent ?? "unknown"}` : "Imported";
    const from = version.number === 0 ? "The untouched base" : grown;
    const facts = [from, moment(version.created_at), taughtBy(made), score(version), wins(version, parent)].filter(Boolean).join(" · ");
    const badge = (words) => h("span", { class: "badge" }, words);
    return h(
      "li",
      { "data-version": version.number, class: version.id === this.#shown ? "is-shown" : "" },
      lines,
      h("div", { class: "what" },
        h("h2", {}, `Version ${version.number}`, version.live ? h("span", { class: "badge is-live" }, "Live") : null,
          version.awaits_pairs ? badge("Candidate") : null,
          version.pinned ? badge("Pinned") : null,
          version.kept ? badge("Kept") : null),
        version.name ? h("p", { dir: "auto" }, version.name) : null,
        h("p", { class: "quiet", dir: "auto" }, facts),
        version.note ? h("p", { class: "note", dir: "auto" }, version.note) : null,
        version.awaits_pairs ? h("p", {}, `Goes live by itself once blind pairs prefer it to version ${parent}: judged on the Rate page, looked at after 20, 40, 80 and 160 of them. Until then no automatic update starts.`) : null),
      this.#buttons(version),
      this.#more(version, made, numbers),
    );
  }

  #buttons(version) {
    const { number } = version;
    const download = (format) =>
      h("a", { class: "button", href: file(version, format), download: "", "aria-label": `Download version ${number} for ${format}`, onclick: (event) => this.#take(event, version, format) }, icon("load"), format);
    const beside = new URL(pageUrl("compare", this.project.id));
    beside.searchParams.set("second", number);
    return h("div", { class: "row" },
      number > 0 ? [download("diffusers"), download("kohya"), takeHome(version)] : null,
      version.live ? null : h("button", { type: "button", class: "button", "data-do": "live", onclick: (event) => this.#activate(version, event.currentTarget) }, "Make live"),
      h("button", { type: "button", class: "button", "aria-pressed": String(version.id === this.#shown), onclick: () => this.#choose(version) }, "Pictures"),
      number > 0 ? h("a", { class: "button", href: beside.href, "aria-label": `Compare version ${number}` }, "Compare") : null);
  }

  #more(version, made, numbers) {
    const node = h("details", { class: "details" }, h("summary", { "aria-label": `More on version ${version.number}` }, "More"));
    const fill = () => {
      if (!this.#panels.has(version.id)) this.#panels.set(version.id, new More(version, this.#done()));
      const panel = this.#panels.get(version.id);
      panel.show(version, made, numbers);
      node.append(panel.node);
    };
    node.addEventListener("toggle", () => {
      if (node.open) this.#open.add(version.number);
      else this.#open.delete(version.number);
      if (node.open && node.children.length === 1) fill();
    });
    if (this.#open.has(version.number)) {
      node.open = true;
      fill();
    }
    return node;
  }

  #done() {
    return {
      root: this.root,
      changed: () => this.#load(),
      deleted: (words) => this.#tell(words),
      queued: (update) => this.#tell(`Update ${update.number} is queued: the first of the branch. The Train page shows it at work.`),
    };
  }

  // The browser would save a refusal as if it were the file: look first.
  async #take(event, version, format) {
    if (event.defaultPrevented || event.currentTarget.dataset.whole) return;
    event.preventDefault();
    const link = event.currentTarget;
    try {
      await get(`versions/${version.id}/lora/digest?format=${format}`);
      link.dataset.whole = "yes";
      link.click();
    } catch (error) {
      this.#refuse(error);
    } finally {
      delete link.dataset.whole;
    }
  }

  async #tell(words) {
    await this.live.now();
    await this.#load();
    this.said.textContent = words;
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
      const onward = this.versions.some((other) => other.parent_id === version.id);
      await this.#tell(`Version ${version.number} is live.${onward ? " The next update starts a branch from it; the versions that grew from it stay." : ""}`);
    } catch (error) {
      button.disabled = false;
      if (error.code === "version_deleted") await this.#load();
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
