// The line above the pictures: how far to the next fine-tuning, what is live, what the studio does.
import { post } from "./api.js";
import { pageUrl } from "./address.js";
import { duration, h, plural } from "./element.js";

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

const READ_FOR = 8000; // ms that a refusal stands before the next state takes its place

export class StatusLine {
  #refusal = null;

  constructor(live) {
    this.live = live;
    this.text = h("span", { class: "goal" });
    this.bar = h("div", {
      class: "bar",
      role: "progressbar",
      "aria-label": "Usable groups for the next fine-tuning",
      "aria-valuemin": "0",
    }, h("span"));
    this.doing = h("span", { class: "doing" });
    this.button = h("button", { type: "button", class: "button is-primary", onclick: () => this.#start() }, "Fine-tune now");
    this.watch = h("a", { class: "button" }, "Watch");
    this.node = h(
      "section",
      { class: "status", "aria-label": "Progress" },
      h("div", { class: "status-goal" }, this.text, this.bar),
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
    this.bar.setAttribute("aria-valuenow", String(Math.min(value, of)));
    this.bar.setAttribute("aria-valuemax", String(of));
    this.bar.firstChild.style.transform = `scaleX(${of ? Math.min(1, value / of) : 0})`;
    const isRefused = this.#refusal && performance.now() < this.#refusal.until;
    this.doing.textContent = isRefused ? this.#refusal.sentence : this.#doing(status, update, error);
    const training = Boolean(status.active_update_id);
    this.button.hidden = !status.can_update || training;
    this.watch.hidden = !training;
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

  async #start() {
    this.button.disabled = true;
    this.#refusal = null;
    try {
      await post(`projects/${this.live.projectId}/updates`);
    } catch (error) {
      this.#refusal = { sentence: error.message, until: performance.now() + READ_FOR };
      this.show();
    } finally {
      this.button.disabled = false;
    }
    this.live.now();
  }
}
