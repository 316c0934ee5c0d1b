// The way in for a LoRA from elsewhere: a file is chosen and sent, and the worker followed until it
// has made a version of it. A page opened meanwhile follows it too.
import { ApiError, Offline, get, request } from "./api.js";
import { h, icon } from "./element.js";

const LARGEST = 2 ** 30; // bytes; a server that refuses early cuts the line before it is heard
const LOOK_MS = 1000;
const SENDING_MS = 3_600_000;
const ACTIVE = ["queued", "running", "paused"];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const named = (file) => file.name.replace(/\.safetensors$/i, "").trim().slice(0, 80) || "LoRA";

// `done(import)` and `refused(error)` are called when one has ended.
export class Importer {
  constructor({ done, refused }) {
    this.done = done;
    this.refused = refused;
    this.input = h("input", { type: "file", accept: ".safetensors", hidden: true, "aria-label": "LoRA file", onchange: () => this.#chosen() });
    this.button = h("button", { type: "button", class: "button", disabled: true, onclick: () => this.input.click() }, icon("plus"), "Import a LoRA");
    this.progress = h("p", { class: "quiet", role: "status", dir: "auto" });
    this.control = h("div", { class: "row" }, this.input, this.button);
  }

  async open(projectId) {
    this.path = `projects/${projectId}/imports`;
    this.button.disabled = false;
    const { imports } = await get(this.path);
    const last = imports.at(-1);
    if (last && ACTIVE.includes(last.status)) await this.#busy(() => this.#follow(last));
  }

  #chosen() {
    const [file] = this.input.files;
    this.input.value = ""; // so that the same file can be chosen again
    if (file) this.#busy(() => this.#send(file));
  }

  async #send(file) {
    if (file.size > LARGEST) throw new Error("The file is larger than 1 GiB; resize the LoRA to a lower rank first.");
    const name = named(file);
    this.#say(`Sending ${name} …`);
    const query = new URLSearchParams({ name });
    await this.#follow(await request("POST", `${this.path}?${query}`, { file, timeout: SENDING_MS }));
  }

  async #follow(wanted) {
    let state = wanted;
    while (ACTIVE.includes(state.status)) {
      this.#say(state.status === "running" ? `Reading ${state.name} …` : `${state.name} waits for the worker …`);
      await pause(LOOK_MS);
      state = await this.#look(state);
    }
    if (state.status !== "succeeded") throw new Error(state.error?.detail ?? "The import was stopped; try again.");
    this.done(state);
  }

  async #look(state) {
    try {
      return await get(`imports/${state.id}`);
    } catch (error) {
      if (error instanceof Offline || (error instanceof ApiError && !error.permanent)) return state;
      throw error;
    }
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
