// The update that is under way: where it is, what it takes, its log, and the buttons that steer it.
import { get } from "./api.js";
import { bytes, duration, h, plural } from "./element.js";
import { phaseWords, workerSentence } from "./rater-status.js";

const sentence = (text) => (text ? text.charAt(0).toUpperCase() + text.slice(1) : "");

const ASKED = {
  cancel: "Cancelling at the next step",
  pause: "Pausing at the next step",
  stop: "Stopping at the next step; what is learned is kept",
};

const KEEPS = "Stop and keep makes a version of what is learned so far. Cancel makes none; groups and ratings come back.";
const PAUSED = "It waits and keeps its groups. Resumed, it starts over from them and ends in the same version.";

function where(update) {
  if (update.status === "paused") return "Paused";
  if (update.status === "queued") return "Waiting for the worker";
  const asked = update.cancel_requested ? "cancel" : update.requested;
  if (asked) return ASKED[asked];
  const step = update.steps ? `: ${update.step} of ${update.steps}` : "";
  return (sentence(phaseWords(update.phase)) || "Starting") + step;
}

function figures(update) {
  if (update.status !== "running") return [];
  const memory = [bytes(update.memory_bytes), update.accelerator_bytes != null && `${bytes(update.accelerator_bytes)} on the accelerator`];
  return [
    ["Time left", update.eta_s == null ? "estimating" : `about ${duration(update.eta_s)}`],
    ["Speed", update.samples_per_s == null ? "measuring" : `${update.samples_per_s.toFixed(1)} samples per second`],
    ["Memory", memory.filter(Boolean).join(", ") || "measuring"],
    ["Optimizer steps", String(update.optimizer_steps)],
  ];
}

export class LogFold {
  constructor() {
    this.text = h("pre", { class: "log", tabindex: "0", "aria-label": "Log of this update" });
    this.node = h("details", { ontoggle: () => this.show(this.update) }, h("summary", {}, "Log"), this.text);
  }

  async show(update) {
    this.update = update;
    if (!update || !this.node.open) return;
    const lines = await get(`updates/${update.id}/log`).then((log) => log.lines, () => null);
    if (!lines) return; // asked again with the next state
    const text = lines.length ? lines.join("\n") : "Nothing yet.";
    if (text === this.text.textContent) return;
    this.text.textContent = text;
    this.text.scrollTop = this.text.scrollHeight;
  }
}

export class ProgressPanel {
  constructor(act) {
    const button = (verb, words) => h("button", { type: "button", class: "button", onclick: () => this.#act(act, verb) }, words);
    this.phase = h("p", { class: "phase" });
    this.bar = h("div", { class: "bar is-big", role: "progressbar", "aria-label": "Fine-tuning", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
    this.from = h("p", { class: "quiet" });
    this.figures = h("dl", { class: "readings" });
    this.buttons = {
      pause: button("pause", "Pause"),
      resume: button("resume", "Resume"),
      stop: button("stop", "Stop and keep"),
      cancel: button("cancel", "Cancel"),
    };
    this.note = h("p", { class: "quiet" });
    this.log = new LogFold();
    this.node = h("div", { class: "running", hidden: true },
      this.phase, this.bar, this.from, this.figures, h("div", { class: "row" }, Object.values(this.buttons)), this.note, this.log.node);
  }

  show(update, status) {
    this.phase.textContent = where(update);
    const share = update.steps ? update.step / update.steps : 0;
    this.bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    this.bar.firstChild.style.transform = `scaleX(${share})`;
    const learns = update.groups ? `Update ${update.number}, ${plural(update.groups, "group")}, ${plural(update.ratings, "rating")}.` : `Update ${update.number}.`;
    this.from.textContent = workerSentence(status.worker) ?? learns;
    this.figures.replaceChildren(...figures(update).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    this.#showButtons(update);
    this.log.show(update);
  }

  #showButtons(update) {
    const { pause, resume, stop, cancel } = this.buttons;
    const isPaused = update.status === "paused" || update.requested === "pause";
    const hadFocus = [pause, resume].find((button) => button.matches(":focus"));
    pause.hidden = isPaused;
    resume.hidden = !isPaused;
    if (hadFocus?.hidden) (isPaused ? resume : pause).focus();
    pause.disabled = update.cancel_requested || update.requested === "stop";
    resume.disabled = cancel.disabled = update.cancel_requested;
    stop.disabled = update.cancel_requested || update.requested === "stop" || !update.optimizer_steps;
    this.note.textContent = isPaused ? PAUSED : KEEPS;
  }

  // The answer is the acknowledgement: shown at once, whatever the next poll brings.
  async #act(act, verb) {
    const button = this.buttons[verb];
    button.disabled = true;
    await act(verb);
    button.disabled = false;
  }
}
