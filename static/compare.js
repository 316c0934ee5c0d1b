// <loop-compare>: two versions on the same prompts and seeds, every version in a grid, and all of
// them over time. Keys: 1 2 3 views, arrows slide and change the picture, X swaps.
import { get, picture } from "./api.js";
import { Stage } from "./compare-stage.js";
import { StudioElement, define, duration, h, icon, key, plural } from "./element.js";
import { Gallery } from "./gallery.js";
import { openProjectPatiently } from "./project.js";
import { shown, veilWithin, withheldWords } from "./veil.js";

const sameCell = (one, other) => one.prompt === other.prompt && one.seed === other.seed;
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(3)}`;
const title = (version) => `Version ${version.number}${version.number === 0 ? " (base)" : ""}${version.live ? ", live" : ""}`;

const field = (words, input) => h("div", { class: "field" }, h("label", { for: input.id }, words), input);

class Compare extends StudioElement {
  #cell = null;
  #own = []; // cells of prompts written here
  #asked = 0;

  async start() {
    this.#build();
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    this.gallery = new Gallery(project);
    this.gallery.addEventListener("change", () => this.#show());
    document.addEventListener("keydown", (event) => this.#key(event));
    try {
      ({ versions: this.versions } = await get(`projects/${project.id}/versions`));
      this.#choose();
      await Promise.all([this.first, this.second].map((version) => this.#ask(version)));
      this.dataset.state = "ready";
      await Promise.all(this.versions.map((version) => this.gallery.load(version)));
    } catch (error) {
      this.#complain(error);
    }
  }

  #build() {
    const change = () => this.#changed();
    this.selects = ["first", "second"].map((id) => h("select", { id, class: "button", onchange: change }));
    this.prompt = h("select", { id: "prompt", class: "button", onchange: () => this.#pick(JSON.parse(this.prompt.value)) });
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.working = h("p", { class: "quiet", role: "status" });
    this.stage = new Stage();
    this.rewards = h("div", { class: "rewards" });
    this.missing = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#askForAll() });
    this.grid = h("div", { class: "grid-scroll", tabindex: "0", role: "region", "aria-label": "Every prompt by every version" });
    this.time = h("input", { type: "range", min: "0", step: "1", "aria-label": "Version", oninput: () => this.#showTime() });
    this.moment = h("figure", { class: "moment" });
    const swap = h("button", { type: "button", class: "button", onclick: () => this.#swap() }, "Swap", key("X"));
    const step = (name, words, letter, way) => h("button", { type: "button", class: "button", onclick: () => this.#step(way) }, icon(name), words, key(letter));
    this.root.append(h("div", { class: "page" },
      h("section", { "aria-label": "Two versions" },
        h("h1", {}, "Compare"),
        h("div", { class: "choose" }, field("First", this.selects[0]), swap, field("Second", this.selects[1]), field("Prompt and seed", this.prompt)),
        this.alert,
        h("div", { class: "row" }, this.stage.tabs, step("up", "Previous", "↑", -1), step("down", "Next", "↓", 1)),
        this.stage.node, this.working, this.#form()),
      h("section", { "aria-label": "Rewards" }, h("h2", {}, "Difference in every reward"), this.rewards),
      h("section", { "aria-label": "Over all versions" }, h("h2", {}, "Over all versions"), h("p", { class: "quiet" }, "One prompt and seed, as each version draws it."), this.time, this.moment),
      h("section", { "aria-label": "Grid" }, h("h2", {}, "Every prompt by version"), h("p", { class: "quiet" }, "A picture chosen here is shown above, by its version as the second one."), this.missing, this.grid)));
  }

  #form() {
    const text = h("input", { id: "own", maxlength: "1000", autocomplete: "off", dir: "auto", required: true });
    const seed = h("input", { id: "own-seed", inputmode: "numeric", pattern: "[0-9]{1,15}", required: true, value: "1" });
    const submit = (event) => {
      event.preventDefault();
      const cell = { prompt: text.value.trim(), seed: Number(seed.value) };
      if (!this.#cells().some((other) => sameCell(other, cell))) this.#own.push(cell);
      this.#pick(cell);
    };
    return h("details", {}, h("summary", {}, "A prompt of your own"),
      h("form", { class: "own", onsubmit: submit },
        field("Prompt", text), field("Seed", seed),
        h("button", { class: "button" }, "Draw it with both")));
  }

  // The versions of the address, else the live one beside its parent, else beside the base.
  #choose() {
    const query = new URLSearchParams(location.search);
    const numbered = (name) => this.versions.find((version) => query.has(name) && version.number === Number(query.get(name)));
    const second = numbered("second") ?? this.versions.find((version) => version.live) ?? this.versions.at(-1);
    const first = numbered("first") ?? this.versions.find((version) => version.id === second.parent_id) ?? this.versions[0];
    for (const select of this.selects) select.replaceChildren(...[...this.versions].reverse().map((version) => h("option", { value: version.id }, title(version))));
    this.selects[0].value = first.id;
    this.selects[1].value = second.id;
    this.time.max = String(this.versions.length - 1);
    this.time.value = String(this.versions.indexOf(second));
    this.#read();
  }

  #read() {
    const byId = (id) => this.versions.find((version) => version.id === id);
    [this.first, this.second] = this.selects.map((select) => byId(select.value));
    const url = new URL(location.href);
    url.searchParams.set("first", this.first.number);
    url.searchParams.set("second", this.second.number);
    history.replaceState(history.state, "", url);
    this.#showRewards();
  }

  async #changed() {
    this.#read();
    this.time.value = String(this.versions.indexOf(this.second));
    this.#show();
    await Promise.all([this.first, this.second].map((version) => this.#ask(version)));
  }

  // What this version lacks of what is looked at.
  async #ask(version) {
    try {
      if (this.#own.some((cell) => sameCell(cell, this.#cell))) await this.gallery.askFor(version, this.#cell);
      else await this.gallery.askForWall(version);
      this.#complain(null);
    } catch (error) {
      this.#complain(error);
    }
  }

  async #askForAll() {
    this.missing.disabled = true;
    for (const version of this.#lacking()) await this.#ask(version);
    this.missing.disabled = false;
    this.#show();
  }

  #lacking() {
    if (this.#own.some((cell) => sameCell(cell, this.#cell))) return this.versions.filter((version) => !this.gallery.picture(version, this.#cell));
    return this.versions.filter((version) => this.gallery.lacksWall(version));
  }

  #cells() {
    const known = [];
    for (const version of this.versions) {
      for (const cell of this.gallery.cells(version)) if (!known.some((other) => sameCell(other, cell))) known.push(cell);
      if (known.length) break; // every wall has the same cells
    }
    return [...known, ...this.#own];
  }

  #pick(cell, second = null) {
    this.#cell = cell;
    if (second) this.selects[1].value = second.id;
    this.#changed();
  }

  #step(way) {
    const cells = this.#cells();
    if (!cells.length) return;
    const at = cells.findIndex((cell) => sameCell(cell, this.#cell));
    this.#pick(cells[(at + way + cells.length) % cells.length]);
  }

  #swap() {
    const [one, other] = this.selects.map((select) => select.value);
    [this.selects[0].value, this.selects[1].value] = [other, one];
    this.#changed();
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const [target] = event.composedPath();
    if (target.matches?.("input:not([type='range']), select, textarea") || target === this.time) return;
    if (event.key === " " && target.matches?.("button, summary, a")) return;
    const acts = { ArrowUp: () => this.#step(-1), ArrowDown: () => this.#step(1), x: () => this.#swap() };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act && !this.stage.key(event)) return;
    event.preventDefault();
    act?.();
  }

  #show() {
    if (!this.versions) return;
    const cells = this.#cells();
    this.#cell ??= cells[0] ?? null;
    this.#showPrompts(cells);
    this.stage.show([this.first, this.second].map((version) => this.#side(version)));
    this.#showWorking();
    this.#showTime();
    this.#showGrid(cells);
  }

  #side(version) {
    const image = this.#cell ? this.gallery.picture(version, this.#cell) : undefined;
    const missing = this.#cell ? `Version ${version.number}'s picture is not there yet.` : "There are no pictures yet; they are being asked for.";
    return { words: title(version), image: image?.withheld ? undefined : image, lack: image ? withheldWords(image) : missing };
  }

  #showPrompts(cells) {
    const listed = cells.map((cell) => JSON.stringify(cell));
    if (this.prompt.children.length !== listed.length) {
      this.prompt.replaceChildren(...cells.map((cell, index) => h("option", { value: listed[index] }, `${cell.prompt}, seed ${cell.seed}`)));
    }
    if (this.#cell) this.prompt.value = JSON.stringify(this.#cell);
    this.prompt.disabled = !cells.length;
  }

  #showWorking() {
    const progress = this.gallery.progress;
    const unknown = progress?.waits ? "waiting for the worker" : "estimating the time";
    const left = progress?.eta_s == null ? unknown : `about ${duration(progress.eta_s)} left`;
    this.working.textContent = progress ? `${progress.done} of ${plural(progress.total, "picture")} made, ${left}.` : "";
    const lacking = this.#lacking().length;
    this.missing.hidden = !lacking;
    this.missing.textContent = `Make the missing pictures of ${plural(lacking, "version")}`;
    if (!progress && this.wasWorking) this.#showRewards(); // scored by now
    this.wasWorking = Boolean(progress);
  }

  #showTime() {
    const version = this.versions[Number(this.time.value)];
    const image = this.#cell && this.gallery.picture(version, this.#cell);
    this.time.setAttribute("aria-valuetext", title(version));
    if (image && this.moment.dataset.image === image.id) return;
    this.moment.dataset.image = image?.id ?? "";
    const small = ({ target }) => target.classList.toggle("is-small", target.naturalWidth <= 128);
    const alt = image && `${title(version)}: ${image.prompt}, seed ${image.seed}`;
    const node = image ? shown(image, { alt, onload: small }) : h("p", { class: "lack" }, "Not drawn by this version yet.");
    this.moment.replaceChildren(node, h("figcaption", { role: "status" }, title(version)));
  }

  #showGrid(cells) {
    const drawn = JSON.stringify([this.#cell, this.second.id, cells, this.versions.map((version) => cells.map((cell) => this.gallery.picture(version, cell)?.id))]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const heads = h("tr", {}, h("th", { scope: "col" }, "Prompt"), this.versions.map((version) => h("th", { scope: "col" }, `v${version.number}`)));
    const rows = cells.map((cell) => h("tr", {}, h("th", { scope: "row", dir: "auto" }, `${cell.prompt}, seed ${cell.seed}`), this.versions.map((version) => h("td", {}, this.#tile(version, cell)))));
    const { scrollLeft, scrollTop } = this.grid;
    this.grid.replaceChildren(h("table", { class: "grid" }, h("thead", {}, heads), h("tbody", {}, rows)));
    Object.assign(this.grid, { scrollLeft, scrollTop });
  }

  #tile(version, cell) {
    const image = this.gallery.picture(version, cell);
    if (!image) return h("span", { class: "missing", title: "not made yet" });
    if (image.withheld) return h("span", { class: "missing", title: withheldWords(image) });
    const here = version === this.second && sameCell(cell, this.#cell);
    const node = h("img", { src: picture(image), alt: "", loading: "lazy", width: 64, height: 64 });
    const tile = h("button", { type: "button", class: "tile", "aria-pressed": String(here), "aria-label": `Version ${version.number}: ${cell.prompt}, seed ${cell.seed}`, onclick: () => this.#pick(cell, version) }, node);
    veilWithin(tile, node, image);
    return tile;
  }

  async #showRewards() {
    const turn = ++this.#asked;
    try {
      const { differences } = await get(`versions/${this.first.id}/difference?to=${this.second.id}`);
      if (turn !== this.#asked) return;
      const rows = differences.map(({ source, n, first, second, mean, low, high }) =>
        h("tr", {}, h("th", { scope: "row" }, source.replaceAll("_", " ")), [first, second].map((value) => h("td", {}, value.toFixed(3))),
          h("td", {}, `${signed(mean)} (${signed(low)} to ${signed(high)})`), h("td", {}, n)));
      const heads = ["Reward", `Version ${this.first.number}`, `Version ${this.second.number}`, "Difference (95 %)", "Pictures"];
      const table = h("div", { class: "table-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((words) => h("th", { scope: "col" }, words)))), h("tbody", {}, rows)));
      const none = h("p", { class: "quiet" }, "Not measured yet: probe pictures of both are scored once they are made.");
      this.rewards.replaceChildren(rows.length ? table : none);
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }
}

await define("loop-compare", Compare, "page.css", "compare.css");
