// One export: asked for, followed while the worker makes it, and fetched. A page that is opened
// meanwhile follows it too.
import { API } from "./address.js";
import { get } from "./api.js";
import { fileSize, h, icon } from "./element.js";
import { follow, isActive } from "./follow.js";

const PHASES = { sampling: "Making the pictures", merging: "Merging", writing: "Writing" };

// `list` is the address of the project's exports, `mine(export)` tells which are of this kind, and
// `make()` asks for one. `ready(export)` is called with a finished one, null when there is none.
export class ExportRow {
  constructor({ title, words = "", list, make, mine, ready = () => {} }) {
    Object.assign(this, { list, ask: make, mine, ready });
    this.button = h("button", { type: "button", class: "button", "aria-label": `Make: ${title}`, onclick: () => this.make() }, "Make it");
    this.link = h("a", { class: "button is-primary", download: "", hidden: true }, icon("load"), "Download");
    this.bar = h("span", {});
    this.track = h("div", { class: "bar", hidden: true }, this.bar);
    this.message = h("p", { class: "quiet", role: "status" });
    this.node = h(
      "div",
      { class: "export" },
      h("div", { class: "what" }, h("h3", {}, title), words ? h("p", { class: "quiet" }, words) : null, this.message, this.track),
      h("div", { class: "row" }, this.link, this.button),
    );
  }

  // What is there already: a finished file of this week, or one that is being made.
  async open() {
    const { exports } = await get(this.list);
    const last = exports.filter(this.mine).at(-1);
    if (last && (isActive(last) || last.size)) await this.#follow(last);
  }

  async make() {
    this.button.disabled = true;
    try {
      await this.#follow(await this.ask());
    } catch (error) {
      this.#say(error.message, true);
    }
    this.button.disabled = false;
  }

  async #follow(wanted) {
    this.button.disabled = true;
    this.link.hidden = true;
    this.ready(null);
    this.track.hidden = false;
    const state = await follow("exports", wanted, (one) => this.#show(one), () => this.node.isConnected);
    if (isActive(state)) return; // nobody looks any more
    this.track.hidden = true;
    this.button.disabled = false;
    if (state.status === "succeeded" && state.size) this.#offer(state);
    else this.#say(state.error?.detail ?? "It was stopped; make it again.", true);
  }

  #show(state) {
    this.#say(`${state.status === "running" ? PHASES[state.phase] ?? "At work" : "Waits for the worker"} …`);
    this.bar.style.transform = `scaleX(${state.steps ? state.step / state.steps : 0})`;
  }

  #offer(state) {
    this.#say(`${state.name}, ${fileSize(state.size)}, kept for a week.`);
    this.link.href = new URL(`exports/${state.id}/file`, API).href;
    this.link.setAttribute("aria-label", `Download ${state.name}`);
    this.link.hidden = false;
    this.button.textContent = "Make it anew";
    this.ready(state);
  }

  #say(words, isRefusal = false) {
    this.message.textContent = words;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }
}
