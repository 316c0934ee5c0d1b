// <loop-status>: how the studio is, in sentences first and in figures below.
import { get } from "./api.js";
import { StudioElement, bytes, define, duration, fileSize, h, icon, moment, plural } from "./element.js";

const EVERY = 5000; // ms
const STATES = { none: "Not running", starting: "Starting", ready: "Ready", busy: "Working", lost: "Lost" };
const LATENCIES = {
  key_to_paint: ["From key to picture", "from a rater's key to the next group on screen"],
  rating_to_durable: ["From answer to disk", "from an answer to the studio's word that it is stored"],
  wait_for_group: ["Wait for a group", "how long no group was at hand; 0 where one was"],
};

const ms = (value) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
const day = (text) => new Date(`${text}T00:00:00`).toLocaleDateString(undefined, { day: "numeric", month: "short" });
const kindWords = (kind) => kind.replaceAll("_", " ");

class Status extends StudioElement {
  start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.attention = h("ul", { class: "attention" });
    this.facts = h("dl", { class: "facts" });
    this.queue = h("div", { class: "scroll" });
    this.latencies = h("div", { class: "latencies" });
    this.sent = h("p", { class: "quiet" });
    this.root.append(h("div", { class: "page" },
      h("section", { "aria-label": "Status" }, h("h1", {}, "Status"), this.alert, h("div", { role: "status" }, this.attention), this.facts),
      h("section", { "aria-label": "Queue" }, h("h2", {}, "Queue"), this.queue),
      h("section", { "aria-label": "What raters feel" }, h("h2", {}, "What raters feel"),
        h("p", { class: "quiet" }, "Measured by the browsers of those who rate, by day (UTC): the median, and what one in twenty exceeds."),
        this.latencies, this.sent)));
    document.addEventListener("visibilitychange", () => document.hidden || this.#ask());
    this.#ask();
  }

  async #ask() {
    clearTimeout(this.timer);
    try {
      this.#show(await get("status"));
      this.alert.hidden = true;
      this.dataset.state = "ready";
    } catch (error) {
      this.alert.textContent = error.message;
      this.alert.hidden = false;
    }
    if (!document.hidden) this.timer = setTimeout(() => this.#ask(), EVERY);
  }

  #show(status) {
    const told = JSON.stringify(status.attention);
    if (told !== this.told) {
      this.told = told;
      this.attention.replaceChildren(...(status.attention.length
        ? status.attention.map((sentence) => h("li", { dir: "auto" }, icon("report"), sentence))
        : [h("li", { class: "is-well" }, icon("check"), "Nothing needs attention.")]));
    }
    this.facts.replaceChildren(...this.#facts(status).map(([term, value, more]) => h("div", {}, h("dt", {}, term), h("dd", {}, value, more ? h("span", { class: "quiet" }, more) : null))));
    this.#showQueue(status.queues);
    this.#showLatencies(status.latencies);
    this.sent.textContent = `${plural(status.outbox_retries, "answer was", "answers were")} sent again after a failed try; ${status.lost_events} refused for good.`;
  }

  #facts({ worker, memory, disk, last_backup_at: backup, ratings, groups_ready: ready }) {
    const heard = worker.heartbeat_age_s === null ? null : `${worker.device ?? ""}, heard ${duration(worker.heartbeat_age_s)} ago`;
    const held = memory.process_bytes ? bytes(memory.process_bytes) : "not told";
    const device = memory.accelerator_bytes ? `${bytes(memory.accelerator_bytes)} on the accelerator` : null;
    return [
      ["Worker", STATES[worker.state], heard],
      ["Its memory", held, device],
      ["Disk", `${fileSize(disk.free_bytes)} free`, `of ${fileSize(disk.size_bytes)}`],
      ["Newest backup", backup ? moment(backup) : "None", null],
      ["Ratings", ratings.toLocaleString(), null],
      ["Groups ready", String(ready), null],
    ];
  }

  #showQueue(queues) {
    const rows = queues.filter(({ queued, running }) => queued || running).map(({ kind, queued, running, oldest_s: oldest }) =>
      h("tr", {}, h("th", { scope: "row" }, kindWords(kind)), h("td", {}, running), h("td", {}, queued), h("td", {}, queued ? duration(oldest) : "")));
    const head = h("tr", {}, ["Kind", "Running", "Waiting", "Longest wait"].map((words) => h("th", { scope: "col" }, words)));
    this.queue.replaceChildren(rows.length ? h("table", {}, h("thead", {}, head), h("tbody", {}, rows)) : h("p", { class: "quiet" }, "Nothing waits and nothing runs."));
  }

  #showLatencies(days) {
    const told = JSON.stringify(days);
    if (told === this.toldDays) return;
    this.toldDays = told;
    if (!days.length) return this.latencies.replaceChildren(h("p", { class: "quiet" }, "Nobody has rated in the last two weeks."));
    this.latencies.replaceChildren(...Object.entries(LATENCIES).map(([name, [title, words]]) => this.#latency(title, words, days.filter((one) => one.name === name))));
  }

  #latency(title, words, days) {
    const head = h("tr", {}, ["Day", "Median", "1 in 20 above", "Measured"].map((name) => h("th", { scope: "col" }, name)));
    const rows = [...days].reverse().map((one) => h("tr", {}, h("th", { scope: "row" }, day(one.day)), h("td", {}, ms(one.p50_ms)), h("td", {}, ms(one.p95_ms)), h("td", {}, one.count)));
    const table = h("table", {}, h("thead", {}, head), h("tbody", {}, rows));
    return h("section", { "aria-label": title }, h("h3", {}, title), h("p", { class: "quiet" }, words), days.length ? table : h("p", { class: "quiet" }, "Not measured yet."));
  }
}

await define("loop-status", Status, "page.css", "status.css");
