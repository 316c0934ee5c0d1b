// <loop-history>: every group I judged, to look through, mark, download, and judge anew.
import { API, pageUrl } from "./address.js";
import { get, picture, put } from "./api.js";
import { lookCloser } from "./closer.js";
import { StudioElement, define, h, icon, moment, plural } from "./element.js";
import { openProjectPatiently } from "./project.js";
import { Memory } from "./rater-memory.js";
import { settleName } from "./rater-name.js";
import { askReport } from "./report-picture.js";
import { veilWithin, withheldWords } from "./veil.js";

const VERDICTS = {
  preferred: "One preferred",
  none: "None good",
  equal: "All equal",
  skipped: "Skipped",
};
const LIMIT = 24;
const TYPING = 300; // ms of silence before a typed filter is asked for

// Which version drew a group, or which two a pair.
function drawnBy({ kind, version, images }) {
  if (kind !== "pair") return `Version ${version}`;
  const numbers = images.map((image) => image.version).sort((a, b) => b - a);
  return numbers.includes(null) ? "A blind pair" : `A blind pair of versions ${numbers.join(" and ")}`;
}

class History extends StudioElement {
  #asked = 0;
  #oldest = null;
  #typing = null;

  async start() {
    this.#build();
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    this.rater = await settleName(this.root);
    this.heading.textContent = `Judged by ${this.rater}`;
    this.#showVersions();
    await this.#ask();
  }

  #build() {
    this.heading = h("h1", { dir: "auto" }, "Judged");
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    const change = () => this.#ask();
    this.prompt = h("input", { type: "search", id: "words", placeholder: "Any words", oninput: () => this.#typed() });
    this.version = h("select", { id: "version", class: "button", onchange: change }, h("option", { value: "" }, "Any"));
    this.verdict = h("select", { id: "verdict", class: "button", onchange: change },
      h("option", { value: "" }, "Any"),
      Object.entries(VERDICTS).map(([value, words]) => h("option", { value }, words)));
    this.flagged = h("input", { type: "checkbox", onchange: change });
    this.favourite = h("input", { type: "checkbox", onchange: change });
    const field = (words, input) => h("label", { class: "field" }, h("span", {}, words), input);
    const tick = (words, input) => h("label", { class: "tick" }, input, words);
    const filters = h("div", { class: "filters", role: "search" },
      field("Prompt", this.prompt), field("Version", this.version), field("Verdict", this.verdict),
      tick("Flagged", this.flagged), tick("With favourites", this.favourite));
    this.count = h("p", { class: "quiet", role: "status" });
    this.list = h("ul", { class: "past" });
    this.older = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#more() }, "Show older ones");
    this.root.append(h("div", { class: "page" }, h("section", {}, this.heading, filters, this.alert, this.count, this.list, this.older)));
  }

  async #showVersions() {
    const { versions } = await get(`projects/${this.project.id}/versions`).catch(() => ({ versions: [] }));
    this.version.append(...versions.reverse().map(({ number }) => h("option", { value: number }, `Version ${number}`)));
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#ask(), TYPING);
  }

  #query() {
    const query = new URLSearchParams({ rater: this.rater, limit: LIMIT });
    if (this.prompt.value.trim()) query.set("prompt", this.prompt.value.trim());
    if (this.version.value) query.set("version", this.version.value);
    if (this.verdict.value) query.set("verdict", this.verdict.value);
    if (this.flagged.checked) query.set("flagged", true);
    if (this.favourite.checked) query.set("favourite", true);
    return query;
  }

  async #ask() {
    this.#oldest = null;
    await this.#load((nodes) => this.list.replaceChildren(...nodes));
  }

  #more() {
    return this.#load((nodes) => this.list.append(...nodes));
  }

  async #load(place) {
    const turn = ++this.#asked;
    const query = this.#query();
    if (this.#oldest !== null) query.set("before", this.#oldest);
    try {
      const { groups, more } = await get(`projects/${this.project.id}/history?${query}`);
      if (turn !== this.#asked) return;
      place(groups.reverse().map((group) => this.#card(group)));
      this.#oldest = groups.at(-1)?.sequence ?? this.#oldest;
      this.older.hidden = !more;
      this.#complain(null);
      this.#tell(more);
    } catch (error) {
      this.#complain(error);
    }
  }

  #tell(more) {
    const shown = this.list.children.length;
    if (shown) this.count.textContent = `${plural(shown, "group")}${more ? " shown, newest first" : ""}`;
    else this.count.replaceChildren("Nothing here. ", h("a", { href: pageUrl("rate", this.project.id) }, "Judge some groups"), ", or ask for less above.");
  }

  #card(group) {
    const note = h("p", { class: "note", dir: "auto", hidden: !group.note }, group.note);
    const flag = this.#toggle("flag", "Flag", "Flagged", group.flagged, async (on) => {
      await this.#remark(group, { flagged: on });
    });
    const write = h("button", { type: "button", class: "button", onclick: () => this.#writeNote(group, note) }, icon("note"), "Note");
    const again = h("button", { type: "button", class: "button", onclick: () => this.#judgeAgain(group) }, icon("undo"), "Judge again");
    const facts = [drawnBy(group), VERDICTS[group.verdict], moment(group.created_at)];
    return h("li", { "data-group": group.id },
      h("div", { class: "past-head" },
        h("h2", { dir: "auto" }, group.prompt),
        h("p", { class: "quiet" }, facts.join(" · ")),
        h("p", { class: "quiet" }, group.used_by_update_id ? "Learned from." : group.usable ? "Waits to be learned from." : group.reason)),
      h("ul", { class: "past-pictures" }, group.images.map((image, index) => this.#tile(group, image, index))),
      note,
      h("div", { class: "row" }, again, flag, write));
  }

  #tile(group, image, index) {
    if (image.withheld) return h("li", {}, h("p", { class: "withheld" }, withheldWords(image)));
    const value = group.judgement[image.id];
    const chosen = group.verdict === "preferred" && group.mode !== "stars" && value === 1;
    const by = group.kind === "pair" && image.version !== null ? `, by version ${image.version}` : "";
    const words = (value == null ? "not judged" : `judged ${value}`) + by;
    const node = h("img", { src: picture(image), width: image.width, height: image.height, alt: "", loading: "lazy" });
    const look = h("button", { type: "button", class: "look", "aria-label": `Picture ${index + 1}, ${words}: a closer look`, onclick: () => lookCloser(this.root, group, index) }, node);
    veilWithin(look, node, image);
    const like = this.#toggle("heart", `Keep picture ${index + 1}`, `Picture ${index + 1} is kept`, image.favourite, (on) =>
      put(`images/${image.id}/favourite`, { rater: this.rater, favourite: on }), { bare: true });
    const query = new URLSearchParams({ rater: this.rater });
    const load = h("a", { class: "button is-bare", href: new URL(`images/${image.id}/download?${query}`, API).href, download: "", "aria-label": `Download picture ${index + 1}` }, icon("load"));
    const report = h("button", { type: "button", class: "button is-bare", "aria-label": `Report picture ${index + 1}`, onclick: () => askReport(this.root, group, index, this.rater, () => this.#ask()) }, icon("report"));
    const drawn = by ? h("p", { class: "drawn" }, `Version ${image.version}`) : null;
    return h("li", { class: chosen ? "is-chosen" : "" }, look, drawn, h("div", { class: "row" }, like, load, report));
  }

  // A button that is on or off, and stays as it was when the studio refuses.
  #toggle(name, off, on, pressed, act, { bare = false } = {}) {
    const words = h("span", {});
    const node = h("button", { type: "button", class: bare ? "button is-bare" : "button" }, icon(name), bare ? null : words);
    const show = (state) => {
      node.setAttribute("aria-pressed", String(state));
      if (bare) node.setAttribute("aria-label", state ? on : off);
      else words.textContent = state ? on : off;
    };
    node.addEventListener("click", async () => {
      const wanted = node.getAttribute("aria-pressed") !== "true";
      show(wanted);
      try {
        await act(wanted);
        this.#complain(null);
      } catch (error) {
        show(!wanted);
        this.#complain(error);
      }
    });
    show(pressed);
    return node;
  }

  async #remark(group, change) {
    const wanted = { flagged: group.flagged, note: group.note, ...change };
    await put(`groups/${group.id}/remark`, { rater: this.rater, ...wanted });
    Object.assign(group, wanted);
  }

  #writeNote(group, shown) {
    const input = h("textarea", { rows: "4", maxlength: "2000", "aria-label": "Note", dir: "auto" });
    input.value = group.note;
    const alert = h("p", { class: "alert", role: "alert", hidden: true });
    const form = h("form", {}, input, alert,
      h("div", { class: "row is-end" },
        h("button", { type: "button", class: "button", onclick: () => box.close() }, "Cancel"),
        h("button", { class: "button is-primary" }, "Save")));
    const box = h("dialog", { "aria-label": "Note" }, h("h2", { dir: "auto" }, group.prompt), form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await this.#remark(group, { note: input.value.trim() });
        shown.textContent = group.note;
        shown.hidden = !group.note;
        box.close();
      } catch (error) {
        alert.textContent = error.message;
        alert.hidden = false;
      }
    });
    box.addEventListener("close", () => box.remove());
    this.root.append(box);
    box.showModal();
  }

  // It comes first on the Rate page; the new verdict supersedes this one and deletes nothing.
  #judgeAgain({ id, kind, prompt, version, images }) {
    const memory = new Memory(this.project.id, this.rater);
    memory.judgeAgain({ id, kind, prompt, version: kind === "group" ? version : null, images });
    location.href = pageUrl("rate", this.project.id);
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }
}

await define("loop-history", History, "page.css", "history.css", "closer.css");
