// The line above the pictures: how far to the next fine-tuning, what is live, what the studio does.
import { get, post } from "./api.js";
import { pageUrl } from "./address.js";
import { duration, h, plural } from "./element.js";
import { costWords, forecastWords } from "./forecast.js";

export const phaseWords = (phase) => (phase ?? "").replaceAll("_", " ");

export function workerSentence(worker) {
  return {
    none: "No worker is running, so no pictures are made; start the studio with its worker.",
    starting: "The worker is starting.",
    lost: `The worker has stopped answering. ${worker?.last_words ?? "If it does not come back, see the studio's log."}`,
  }[worker?.state];
}

// What an empty screen says about when the next group comes.
export function comingSentence(status) {
  if (!status) return "Asking the studio for pictures.";
  const trouble = workerSentence(status.worker);
  if (trouble) return trouble;
  if (status.generation === "paused") return status.generation_reason;
  const eta = status.next_group_eta_s;
  const when = eta == null || eta < 1 ? "soon" : `in about ${duration(eta)}`;
  if (status.generating_groups > 0) {
    return `${plural(status.generating_groups, "group is", "groups are")} being made; the next one comes ${when}.`;
  }
  return status.generation_reason || "All groups are judged or shown to others; new ones come soon.";
}

function goal(status) {
  const usable = status.usable_groups;
  const { min_groups: least, auto_update_groups: auto } = status;
  if (status.can_update && usable < least) return [1, 1, "Automatic scores can be learned from"];
  if (usable < least) return [usable, least, `${usable} of ${least} usable groups to fine-tune`];
  if (auto) return [usable, auto, `${usable} of ${auto} usable groups, then it fine-tunes itself`];
  return [usable, usable, `${plural(usable, "usable group")} wait to be learned from`];
}

const FINE_TUNE = "Fine-tune now";
const READ_FOR = 8000; // ms that such a sentence stands before the next state takes its place

export class StatusLine {
  mayTrain = false;
  #told = null; // a sentence that stands in for the state, until it has been read

  constructor(live) {
    this.live = live;
    this.text = h("span", { class: "goal" });
    this.rated = h("span", { class: "rated" });
    this.bar = h("div", {
      class: "bar",
      role: "progressbar",
      "aria-label": "Usable groups for the next fine-tuning",
      "aria-valuemin": "0",
    }, h("span"));
    this.doing = h("span", { class: "doing" });
    this.button = h("button", { type: "button", class: "button is-primary", onclick: () => (this.#isAsked ? this.#start() : this.#ask()) }, FINE_TUNE);
    this.watch = h("a", { class: "button" }, "Watch");
    this.node = h(
      "section",
      { class: "status", "aria-label": "Progress" },
      h("div", { class: "status-goal" }, h("p", {}, this.text, this.rated), this.bar),
      this.doing,
      this.button,
      this.watch,
    );
    live.addEventListener("change", () => this.show());
    this.watch.href = pageUrl("train", live.projectId);
    this.button.hidden = this.watch.hidden = true;
  }

  show() {
    const { status, update, error } = this.live;
    if (!status) {
      this.doing.textContent = error ? error.message : "";
      return;
    }
    const [value, of, text] = goal(status);
    this.text.textContent = text;
    this.rated.textContent = `; ${status.rated_groups} judged`;
    this.bar.setAttribute("aria-valuenow", String(Math.min(value, of)));
    this.bar.setAttribute("aria-valuemax", String(of));
    this.bar.firstChild.style.transform = `scaleX(${of ? Math.min(1, value / of) : 0})`;
    const isTold = this.#told && performance.now() < this.#told.until;
    if (!isTold) this.#told = null;
    this.button.textContent = this.#isAsked ? "Start" : FINE_TUNE;
    this.doing.textContent = isTold ? this.#told.sentence : this.#doing(status, update, error);
    const training = Boolean(status.active_update_id);
    this.button.hidden = !this.mayTrain || !status.can_update || training;
    this.watch.hidden = !this.mayTrain || !training;
  }

  #doing(status, update, error) {
    if (error) return error.message;
    const live = `Version ${status.live_version} is live`;
    const trouble = workerSentence(status.worker);
    if (trouble) return `${live}. ${trouble}`;
    if (status.active_update_id) {
      const step = update?.steps ? ` ${update.step} of ${update.steps}` : "";
      return `${live}. Fine-tuning: ${phaseWords(update?.phase) || "waiting"}${step}.`;
    }
    if (status.generation === "paused") return `${live}. ${status.generation_reason}`;
    if (status.generation === "running" && status.generating_groups) {
      return `${live}. Making ${plural(status.generating_groups, "group")}; ${status.ready_groups} ready.`;
    }
    return `${live}. ${plural(status.ready_groups, "group")} ready.`;
  }

  get #isAsked() {
    return Boolean(this.#told?.starts);
  }

  #tell(sentence, starts = false) {
    this.#told = { sentence, starts, until: performance.now() + READ_FOR };
    this.show();
  }

  // The first press tells what an update would use; the button then starts it.
  async #ask() {
    try {
      const next = await get(`projects/${this.live.projectId}/updates/next`);
      this.#tell(`${forecastWords(next)} ${costWords(next)}`, true);
    } catch (error) {
      this.#tell(error.message);
    }
  }

  async #start() {
    this.button.disabled = true;
    this.#told = null;
    try {
      await post(`projects/${this.live.projectId}/updates`);
    } catch (error) {
      this.#tell(error.message);
    } finally {
      this.button.disabled = false;
    }
    await this.live.now();
  }
}
