// The way in for a file that the worker makes something of: it is chosen and sent, and the worker
// followed until it is done. A page opened meanwhile follows it too.
import { get, request } from "./api.js";
import { h, icon } from "./element.js";
import { follow, isActive } from "./follow.js";

const SENDING_MS = 24 * 3_600_000;

// `done(import)` and `refused(error)` are called when one has ended; `each` is where one import is
// found by its id.
export class Importer {
  constructor({ words, label, suffix, fallback, largest = Infinity, tooLarge = "", each, done, refused }) {
    Object.assign(this, { suffix, fallback, largest, tooLarge, each, done, refused });
    this.input = h("input", { type: "file", accept: suffix, hidden: true, "aria-label": label, onchange: () => this.#chosen() });
    this.button = h("button", { type: "button", class: "button", disabled: true, onclick: () => this.input.click() }, icon("plus"), words);
    this.progress = h("p", { class: "quiet", role: "status", dir: "auto" });
    this.control = h("div", { class: "row" }, this.input, this.button);
  }

  // `path` lists the imports and takes a new one.
  async open(path) {
    this.path = path;
    this.button.disabled = false;
    const { imports } = await get(path);
    const last = imports.at(-1);
    if (last && isActive(last)) await this.#busy(() => this.#follow(last));
  }

  #chosen() {
    const [file] = this.input.files;
    this.input.value = ""; // so that the same file can be chosen again
    if (file) this.#busy(() => this.#send(file));
  }

  #named(file) {
    const isOurs = file.name.toLowerCase().endsWith(this.suffix);
    return (isOurs ? file.name.slice(0, -this.suffix.length) : file.name).trim().slice(0, 80) || this.fallback;
  }

  async #send(file) {
    if (file.size > this.largest) throw new Error(this.tooLarge);
    const name = this.#named(file);
    this.#say(`Sending ${name} …`);
    const query = new URLSearchParams({ name });
    await this.#follow(await request("POST", `${this.path}?${query}`, { file, timeout: SENDING_MS }));
  }

  async #follow(wanted) {
    const state = await follow(this.each, wanted, (one) =>
      this.#say(one.status === "running" ? `Reading ${one.name} …` : `${one.name} waits for the worker …`),
    );
    if (state.status !== "succeeded") throw new Error(state.error?.detail ?? "The import was stopped; try again.");
    this.done(state);
  }

  async #busy(work) {
    this.button.disabled = true;
    try {
      await work();
    } catch (error) {
      this.refused(error);
    } finally {
      this.button.disabled = false;
      this.#say("");
    }
  }

  #say(words) {
    if (this.progress.textContent !== words) this.progress.textContent = words;
  }
}
