// The queue in a fold: what runs, what waits and in which order, what failed; for all projects.
import { get, post } from "./api.js";
import { h, moment, plural } from "./element.js";
import { phaseWords } from "./rater-status.js";

const EVERY = 2000; // ms, while the fold is open

const KINDS = {
  rollout: "Make a group",
  score: "Score",
  update: "Fine-tune",
  samples: "Make pictures to look at",
  export: "Export",
  check_model: "Check the model",
  housekeeping: "Tidy up",
  import_lora: "Import a LoRA",
};

const kindWords = (job) => KINDS[job.kind] ?? phaseWords(job.kind);

// Groups come a dozen at a time: neighbours of one kind, project and state are one line.
function lines(jobs) {
  const found = [];
  for (const job of jobs) {
    const last = found.at(-1);
    const same = last && ["kind", "project_id", "state"].every((name) => last.job[name] === job[name]);
    if (same && job.state === "queued") last.count += 1;
    else found.push({ job, count: 1 });
  }
  return found;
}

function state(job) {
  if (job.state === "running") return job.steps ? `Running: ${phaseWords(job.phase)} ${job.step} of ${job.steps}` : "Running";
  return job.state === "paused" ? "Paused" : `Waiting since ${moment(job.created_at)}`;
}

export class QueueFold {
  constructor(complain) {
    this.complain = complain;
    this.summary = h("summary", {}, "Queue");
    this.list = h("ol", { class: "queue" });
    this.failed = h("ul", { class: "queue" });
    this.node = h("details", { class: "queue-fold", ontoggle: () => this.#toggle() }, this.summary, this.list, this.failed);
  }

  #toggle() {
    clearInterval(this.timer);
    if (!this.node.open) return;
    this.timer = setInterval(() => document.hidden || this.#ask(), EVERY);
    this.#ask();
  }

  async #ask() {
    const queue = await get("jobs").catch(() => null);
    if (queue) this.#show(queue);
  }

  #show({ jobs, failed }) {
    const waiting = lines(jobs).map(({ job, count }) =>
      h("li", {}, h("span", {}, count > 1 ? `${kindWords(job)}, ${count} times` : kindWords(job)), h("span", { class: "quiet" }, job.project ?? "the studio"), h("span", { class: "quiet" }, state(job))));
    const nothing = h("li", { class: "quiet" }, "Nothing runs and nothing waits.");
    this.summary.textContent = `Queue: ${plural(jobs.length, "job")}${failed.length ? `, ${failed.length} failed` : ""}`;
    this.list.replaceChildren(...(waiting.length ? waiting : [nothing]));
    const key = failed.map((job) => job.id).join();
    if (key === this.failedKey) return; // a button that is being pressed stays where it is
    this.failedKey = key;
    this.failed.replaceChildren(...failed.map((job) =>
      h("li", { class: "is-failed" },
        h("span", {}, kindWords(job)),
        h("span", { class: "quiet" }, job.project ?? "the studio"),
        h("span", {}, job.error?.detail ?? "Failed."),
        h("button", { type: "button", class: "button", onclick: (event) => this.#retry(event.target, job) }, "Try again"))));
  }

  async #retry(button, job) {
    button.disabled = true;
    this.complain(null);
    try {
      await post(`jobs/${job.id}/retry`);
    } catch (error) {
      this.complain(error);
    }
    button.disabled = false;
    await this.#ask();
  }
}
