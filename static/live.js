// The project's state, polled from the API: truth is in the database, so a reload, a second tab and
// a restart all show the same. One poll per page, shared by all components; rare while hidden, for
// the notice in the title.
import { get } from "./api.js";

const WHILE_HIDDEN = 10_000; // ms

export class Live extends EventTarget {
  #timer = null;
  #asking = null;

  constructor(projectId) {
    super();
    this.projectId = projectId;
    this.status = null;
    this.update = null; // the active update, or the one that ended last while we watched
    this.error = null;
    this.idleEvery = 5000; // ms; a page that shows the update itself asks more often
    document.addEventListener("visibilitychange", () => this.#visible());
    window.addEventListener("online", () => this.now());
    this.now();
  }

  // Ask at once; calls that come while an answer is under way share it.
  now() {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
      this.#plan();
    });
    return this.#asking;
  }

  // Like now(), but at most once a second: for callers that follow every rating.
  soon() {
    if (!this.#asking && Date.now() - (this.askedAt ?? 0) > 1000) this.now();
  }

  async #ask() {
    this.askedAt = Date.now();
    try {
      const status = await get(`projects/${this.projectId}/status`);
      const watched = status.active_update_id ?? (this.#isActive() ? this.update.id : null);
      if (watched) this.update = await get(`updates/${watched}`);
      this.status = status;
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.dispatchEvent(new Event("change"));
  }

  #isActive() {
    return this.update && !this.update.finished_at;
  }

  #plan() {
    clearTimeout(this.#timer);
    const busy = this.#isActive() || this.status?.generation === "running";
    const shown = busy ? 1000 : this.error ? 2000 : this.idleEvery;
    this.#timer = setTimeout(() => this.now(), document.hidden ? WHILE_HIDDEN : shown);
  }

  #visible() {
    if (document.hidden) this.#plan();
    else this.now();
  }
}

const watched = new Map();

export function live(projectId) {
  if (!watched.has(projectId)) watched.set(projectId, new Live(projectId));
  return watched.get(projectId);
}
