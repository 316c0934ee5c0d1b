// Fine-tune now: first what it will use, then one more click, or Enter, that starts it.
import { get } from "./api.js";
import { h, plural } from "./element.js";
import { costWords, forecastWords } from "./forecast.js";
import { workerSentence } from "./rater-status.js";

export class StartPanel {
  constructor(projectId, { start, complain }) {
    this.projectId = projectId;
    this.complain = complain;
    this.begin = start;
    this.button = h("button", { type: "button", class: "button is-primary is-big", "aria-expanded": "false", onclick: () => this.#ask() }, "Fine-tune now");
    this.reason = h("p", { class: "reason", id: "reason" });
    this.button.setAttribute("aria-describedby", "reason");
    this.words = h("div", { class: "forecast" });
    this.confirm = h("button", { type: "submit", class: "button is-primary" }, "Start");
    this.form = h("form", { class: "confirm", "aria-label": "What it will use", hidden: true, onsubmit: (event) => this.#start(event) },
      this.words, h("div", { class: "row" }, this.confirm, h("button", { type: "button", class: "button", onclick: () => this.#close() }, "Not now")));
    this.form.addEventListener("keydown", (event) => event.key === "Escape" && this.#close());
    this.idle = h("div", { class: "idle" }, this.button, this.reason);
    this.node = h("div", {}, this.idle, this.form);
  }

  show(status) {
    this.button.disabled = !status.can_update;
    this.reason.textContent = status.can_update ? ready(status) : status.can_update_reason || workerSentence(status.worker) || "Not possible now.";
    if (!status.can_update) this.#close(false);
  }

  async #ask() {
    try {
      const next = await get(`projects/${this.projectId}/updates/next`);
      this.words.replaceChildren(h("p", {}, forecastWords(next)), h("p", { class: "quiet" }, costWords(next)));
    } catch (error) {
      this.complain(error);
      return;
    }
    this.form.hidden = false;
    this.idle.hidden = true;
    this.confirm.disabled = false;
    this.confirm.focus();
  }

  async #start(event) {
    event.preventDefault();
    this.confirm.disabled = true;
    await this.begin();
    this.#close(false);
  }

  #close(withFocus = true) {
    if (this.form.hidden) return;
    this.form.hidden = true;
    this.idle.hidden = false;
    if (withFocus) this.button.focus();
  }
}

function ready(status) {
  const auto = status.auto_update_groups;
  const self = auto ? ` At ${auto} it starts by itself.` : "";
  if (status.usable_groups < status.min_groups) {
    return "It learns from automatic scores, and makes and scores the groups it lacks.";
  }
  return `${plural(status.usable_groups, "usable group")} wait to be learned from.${self} Judging goes on meanwhile.`;
}
