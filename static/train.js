// <loop-train>: Fine-tune now, what an update does right now, what all updates did.
import { pageUrl } from "./address.js";
import { get, post } from "./api.js";
import { StudioElement, define, duration, h, moment, plural } from "./element.js";
import { live } from "./live.js";
import { showProgress } from "./progress-figures.js";
import { openProjectPatiently } from "./project.js";
import { phaseWords, workerSentence } from "./rater-status.js";

const sentence = (text) => (text ? text.charAt(0).toUpperCase() + text.slice(1) : "");

const OUTCOMES = {
  queued: "Waiting for the worker",
  running: "Running",
  paused: "Paused",
  failed: "Failed",
  cancelled: "Cancelled",
};

function outcome(update) {
  if (update.status !== "succeeded") return OUTCOMES[update.status] ?? update.status;
  return update.made_live ? `Made version ${update.version} live` : `Made version ${update.version}, a branch`;
}

const MEASURED_SOON = 8000; // ms between two looks for a measurement that is still to come

// What came late, or nothing: "3 of them late by up to 2 versions (0.41 nats per step)".
function lateWords({ late_groups: late, lag, staleness_nats: nats }) {
  if (!late) return null;
  const how = `late by up to ${plural(lag, "version")} (${nats.toFixed(2)} nats per step)`;
  return h("p", { class: "quiet" }, `${late} of them ${how}`);
}

class Train extends StudioElement {
  #listed = "";
  #isMeasured = false;
  #askedAt = 0;
  #refusal = null;

  async start() {
    this.button = h("button", { type: "button", class: "button is-primary is-big", onclick: () => this.#start() }, "Fine-tune now");
    this.reason = h("p", { class: "reason", id: "reason" });
    this.button.setAttribute("aria-describedby", "reason");
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.idle = h("div", { class: "idle" }, this.button, this.reason);
    this.phase = h("p", { class: "phase" });
    this.eta = h("p", { class: "quiet" });
    this.bar = h("div", { class: "bar is-big", role: "progressbar", "aria-label": "Fine-tuning", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
    this.cancel = h("button", { type: "button", class: "button", onclick: () => this.#cancel() }, "Cancel");
    this.running = h("div", { class: "running", hidden: true }, h("div", { class: "row" }, this.phase, this.cancel), this.bar, this.eta);
    this.done = h("p", { class: "done", role: "status" });
    this.figures = h("section", { class: "figures", "aria-label": "Progress by version" });
    this.updates = h("section", { class: "updates", "aria-label": "Updates" });
    this.root.append(
      h("div", { class: "page" },
        h("section", { class: "now", "aria-label": "Fine-tune" }, h("h1", {}, "Fine-tune"), this.idle, this.running, this.alert, this.done),
        this.figures, this.updates),
    );
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    this.live = live(project.id);
    this.live.addEventListener("change", () => this.#show());
    this.#show();
  }

  #show() {
    const { status, update } = this.live;
    this.#complain(this.#refusal ?? this.live.error);
    if (!status) return;
    const active = status.active_update_id ? update : null;
    this.dataset.state = active ? active.status : "idle";
    this.idle.hidden = Boolean(active);
    this.running.hidden = !active;
    this.button.disabled = !status.can_update;
    this.reason.textContent = status.can_update ? this.#ready(status) : this.#notReady(status);
    if (active) this.#showActive(active, status);
    else if (update?.finished_at) this.#showDone(update);
    this.#refresh(status, update);
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }

  #ready(status) {
    const auto = status.auto_update_groups;
    const self = auto ? ` At ${auto} it starts by itself.` : "";
    if (status.usable_groups < status.min_groups) {
      return "It learns from automatic scores, and makes and scores the groups it lacks.";
    }
    return `${plural(status.usable_groups, "usable group")} wait to be learned from.${self} Judging goes on meanwhile.`;
  }

  #notReady(status) {
    return status.can_update_reason || workerSentence(status.worker) || "Not possible now.";
  }

  #showActive(update, status) {
    const words = sentence(phaseWords(update.phase)) || "Waiting";
    const step = update.steps ? `: ${update.step} of ${update.steps}` : "";
    this.phase.textContent = update.cancel_requested ? "Cancelling at the next step" : words + step;
    const share = update.steps ? update.step / update.steps : 0;
    this.bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    this.bar.firstChild.style.transform = `scaleX(${share})`;
    const left = update.eta_s == null ? "estimating the time" : `about ${duration(update.eta_s)} left`;
    const from = update.groups ? `${plural(update.groups, "group")}, ${plural(update.ratings, "rating")}; ` : "";
    this.eta.textContent = workerSentence(status.worker) ?? sentence(`${from}${left}.`);
    this.cancel.disabled = update.cancel_requested;
    this.done.textContent = "";
  }

  #showDone(update) {
    const failed = update.error ? ` ${update.error.detail}` : "";
    this.done.textContent = `Update ${update.number}: ${outcome(update).toLowerCase()}.${failed}`;
  }

  // Lists change when an update begins or ends, and when a version's probe pictures are scored.
  async #refresh(status, update) {
    const seen = [status.live_version, status.active_update_id, update?.status].join();
    const isDue = !this.#isMeasured && Date.now() - this.#askedAt > MEASURED_SOON;
    if (seen === this.#listed && !isDue) return;
    this.#listed = seen;
    this.#askedAt = Date.now();
    try {
      await this.#showUpdates();
      this.#isMeasured = await showProgress(this.figures, this.project.id);
    } catch {
      this.#listed = ""; // asked again with the next state
    }
  }

  async #showUpdates() {
    const { updates } = await get(`projects/${this.project.id}/updates?limit=50`);
    const rows = updates.reverse().map((update) =>
      h("tr", { "data-status": update.status },
        h("th", { scope: "row" }, `Update ${update.number}`),
        h("td", {}, outcome(update), update.error ? h("p", { class: "quiet" }, update.error.detail) : null),
        h("td", {}, `${plural(update.groups, "group")}, ${plural(update.ratings, "rating")}`, lateWords(update)),
        h("td", {}, moment(update.finished_at ?? update.started_at ?? update.created_at))),
    );
    const heads = ["Update", "Outcome", "Learned from", "When"].map((name) => h("th", { scope: "col" }, name));
    const table = h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows));
    const nothing = h("p", { class: "quiet" }, "None yet. ", h("a", { href: pageUrl("rate", this.project.id) }, "Judge some groups"), " first.");
    this.updates.replaceChildren(h("h2", {}, "Updates"), rows.length ? table : nothing);
  }

  async #start() {
    this.button.disabled = true;
    await this.#try(() => post(`projects/${this.project.id}/updates`));
  }

  async #cancel() {
    this.cancel.disabled = true;
    await this.#try(() => post(`updates/${this.live.update.id}/cancel`));
  }

  // What was refused stays in sight until the next attempt, whatever the studio does meanwhile.
  async #try(task) {
    this.#refusal = null;
    try {
      await task();
    } catch (error) {
      this.#refusal = error;
    }
    await this.live.now();
    this.#show();
  }
}

await define("loop-train", Train, "page.css", "train.css");
