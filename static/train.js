// <loop-train>: Fine-tune now, what an update does right now, when updates start, what all did.
import { pageUrl } from "./address.js";
import { get, post } from "./api.js";
import { notLiveWords } from "./candidate.js";
import { StudioElement, define, h, moment, plural } from "./element.js";
import { live } from "./live.js";
import "./progress-figures.js";
import { openProjectPatiently } from "./project.js";
import { FailurePanel } from "./train-failure.js";
import { ProgressPanel } from "./train-progress.js";
import { QueueFold } from "./train-queue.js";
import { SchedulePanel } from "./train-schedule.js";
import { StartPanel } from "./train-start.js";

const OUTCOMES = {
  queued: "Waiting for the worker",
  running: "Running",
  paused: "Paused",
  failed: "Failed",
  cancelled: "Cancelled",
};

function outcome(update) {
  if (update.status !== "succeeded") return OUTCOMES[update.status] ?? update.status;
  return update.made_live ? `Made version ${update.version} live` : `Made version ${update.version}, ${notLiveWords(update)}`;
}

const EVERY = 1000; // ms between two looks: every open page shows a new state within two seconds

// What came late, or nothing: "3 of them late by up to 2 versions (0.41 nats per step)".
function lateWords({ late_groups: late, lag, staleness_nats: nats }) {
  if (!late) return null;
  const how = `late by up to ${plural(lag, "version")} (${nats.toFixed(2)} nats per step)`;
  return h("p", { class: "quiet" }, `${late} of them ${how}`);
}

class Train extends StudioElement {
  #listed = "";
  #refusal = null;

  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.done = h("p", { class: "done", role: "status" });
    this.now = h("section", { class: "now", "aria-label": "Fine-tune" }, h("h1", {}, "Fine-tune"), this.alert);
    this.updates = h("section", { class: "updates", "aria-label": "Updates" });
    this.pageNode = h("div", { class: "page" }, this.now, h("loop-curves"), this.updates);
    this.root.append(this.pageNode);
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    this.#build(project);
    this.live = live(project.id);
    this.live.idleEvery = EVERY;
    this.live.addEventListener("change", () => this.#show());
    this.#show();
  }

  #build(project) {
    const complain = (error) => this.#refuse(error);
    const begin = () => this.#try(() => post(`projects/${project.id}/updates`));
    this.idle = new StartPanel(project.id, { start: begin, complain });
    this.running = new ProgressPanel((verb) => this.#steer(verb));
    this.failure = new FailurePanel(project, { again: begin });
    this.now.append(this.idle.node, this.running.node, this.done, this.failure.node);
    this.now.append(this.alert);
    const queue = new QueueFold(complain);
    this.pageNode.append(new SchedulePanel(project, complain).node, queue.node);
  }

  #show() {
    const { status, update } = this.live;
    this.#complain(this.#refusal ?? this.live.error);
    if (!status) return;
    const active = status.active_update_id ? update : null;
    this.dataset.state = active ? active.status : "idle";
    this.dataset.step = active ? active.step : "";
    this.idle.node.hidden = Boolean(active);
    this.running.node.hidden = !active;
    this.idle.show(status);
    if (active) this.running.show(active, status);
    this.#showDone(active ? null : update);
    this.failure.show(active ? null : (update ?? this.newest), status.can_update);
    this.#refresh(status, update);
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }

  #showDone(update) {
    const isTold = update?.finished_at && update.status !== "failed";
    this.done.textContent = isTold ? `Update ${update.number}: ${outcome(update).toLowerCase()}.` : "";
  }

  // The list changes when an update begins or ends.
  async #refresh(status, update) {
    const seen = [status.live_version, status.active_update_id, update?.status].join();
    if (seen === this.#listed) return;
    this.#listed = seen;
    try {
      await this.#showUpdates();
      if (!status.active_update_id) this.failure.show(update ?? this.newest, status.can_update);
    } catch {
      this.#listed = ""; // asked again with the next state
    }
  }

  async #showUpdates() {
    const { updates } = await get(`projects/${this.project.id}/updates?limit=50`);
    this.newest = updates.at(-1);
    const rows = updates.reverse().map((update) =>
      h("tr", { "data-status": update.status },
        h("th", { scope: "row" }, `Update ${update.number}`),
        h("td", {}, outcome(update), [update.error?.detail, update.notice].filter(Boolean).map((text) => h("p", { class: "quiet" }, text))),
        h("td", {}, `${plural(update.groups, "group")}, ${plural(update.ratings, "rating")}`, lateWords(update)),
        h("td", {}, moment(update.finished_at ?? update.started_at ?? update.created_at))),
    );
    const heads = ["Update", "Outcome", "Learned from", "When"].map((name) => h("th", { scope: "col" }, name));
    const table = h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows));
    const nothing = h("p", { class: "quiet" }, "None yet. ", h("a", { href: pageUrl("rate", this.project.id) }, "Judge some groups"), " first.");
    this.updates.replaceChildren(h("h2", {}, "Updates"), rows.length ? table : nothing);
  }

  // Who presses second sees the sentence of the refusal, and what the first one did.
  #steer(verb) {
    return this.#try(async () => {
      this.live.update = await post(`updates/${this.live.update.id}/${verb}`);
      this.#show();
    });
  }

  #refuse(error) {
    this.#refusal = error;
    this.#complain(error);
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
