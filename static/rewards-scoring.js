// How far the groups that were there before are scored by a reward that was added.
import { get } from "./api.js";
import { h } from "./element.js";

const LOOK_MS = 1500;
const UNDER_WAY = ["queued", "running", "paused"];

export class Scoring {
  #timer = null;

  constructor(projectId) {
    this.projectId = projectId;
    this.words = h("p", { class: "quiet", role: "status" });
    this.bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Groups scored", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
    this.node = h("div", { class: "scoring", hidden: true }, this.words, this.bar);
  }

  // Look now, and again until all is scored.
  async watch(models) {
    this.models = models;
    clearTimeout(this.#timer);
    try {
      this.#show(await get(`projects/${this.projectId}/reward/scoring`));
    } catch {
      this.#again(); // the studio does not answer: ask again
    }
  }

  #show({ status, sources, step, steps, error }) {
    const isUnderWay = UNDER_WAY.includes(status);
    this.node.hidden = !isUnderWay && status !== "failed";
    this.bar.hidden = !isUnderWay;
    const names = sources.map((name) => this.models.find((model) => model.name === name)?.title ?? name).join(", ");
    if (status === "failed") this.#say(`${names} could not score the groups made before. ${error?.detail ?? ""}`, true);
    if (!isUnderWay) return;
    const share = steps ? step / steps : 0;
    this.#say(steps ? `Scoring the groups made before: ${step} of ${steps} (${names}).` : `The groups made before wait to be scored (${names}).`);
    this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    this.bar.firstChild.style.transform = `scaleX(${share})`;
    this.#again();
  }

  #again() {
    this.#timer = setTimeout(() => this.watch(this.models), LOOK_MS);
  }

  #say(text, isRefusal = false) {
    if (this.words.textContent !== text) this.words.textContent = text;
    this.words.className = isRefusal ? "refusal" : "quiet";
  }
}
