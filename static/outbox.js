// The outbox: every answer is stored on this device first, then sent in order, and forgotten only
// when the server has said 200. Nothing here knows pictures; it carries records
//   {kind: "rating", event_id, group_id, body}, {kind: "undo", event_id, group_id}
//   or {kind: "remark", event_id, group_id, body}
// `event_id` makes sending twice harmless; a lock over all tabs makes it rare.
//
// Events: "change" (waiting, trouble or refused changed), "settled" {record, answer},
// "refused" {record, detail, status}.
import { post, put } from "./api.js";
import { counted, measured } from "./figures.js";
import { ROOT } from "./address.js";
import { maySend } from "./rater-name.js";
import { MemoryShelf, openShelf } from "./shelf.js";

const NAME = `loop-outbox:${ROOT.pathname}`;
const FIRST_WAIT = 300;
const LONGEST_WAIT = 10_000;

const SENDING = {
  rating: ({ body }) => post("ratings", body),
  undo: ({ event_id }) => post(`ratings/${encodeURIComponent(event_id)}/undo`),
  remark: ({ group_id, body }) => put(`groups/${group_id}/remark`, body),
};

// One sender at a time over all tabs. Without locks (plain http on a LAN) the event ids suffice.
const exclusively = (task) => (navigator.locks ? navigator.locks.request(NAME, task) : task());

export class Outbox extends EventTarget {
  waiting = []; // as last read from the shelf, with what this tab has just added
  refused = [];
  trouble = null; // the error of the last try, while the line is down
  #shelf = null;
  #opening = openShelf(NAME);
  #writes = new Set();
  #sending = false;
  #again = false;
  #wait = FIRST_WAIT;
  #notBefore = 0; // what the server asked for with Retry-After; by a clock that nobody sets back
  #timer = null;
  #tabs = "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;

  constructor() {
    super();
    this.#tabs?.addEventListener("message", ({ data }) => this.#heard(data));
    window.addEventListener("online", () => this.send());
    document.addEventListener("visibilitychange", () => !document.hidden && this.send());
  }

  // Resolves once the shelf is open and what an earlier page left behind is known.
  async open() {
    this.#shelf = await this.#opening;
    await this.#read();
    this.send();
    return this;
  }

  get durable() {
    return this.#shelf?.durable ?? true;
  }

  // Call with the shelf open. The write starts before this returns; then it is sent.
  add(record) {
    const stamped = { ...record, at: Date.now() };
    this.waiting = [...this.waiting, stamped];
    const write = this.#shelf.put(stamped).catch((error) => this.#keepInMemory(stamped, error));
    this.#writes.add(write);
    write.finally(() => {
      this.#writes.delete(write);
      this.send();
    });
    this.#changed();
  }

  // Ids of groups whose answer is still on this device: they must not be asked for again.
  pendingGroups() {
    return this.waiting.filter(({ kind }) => kind === "rating").map(({ group_id }) => group_id);
  }

  async forgetRefused() {
    await this.#shelf.forgetRefused();
    await this.#read();
    this.#tabs?.postMessage({ about: "shelf" });
  }

  // Tell other tabs of this rater that a group is done, so that they do not show it too.
  announce(message) {
    this.#tabs?.postMessage({ about: "group", ...message });
  }

  async send() {
    if (performance.now() < this.#notBefore) return; // the timer below will call again
    if (!this.#shelf || this.#sending) {
      this.#again = true;
      return;
    }
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      do {
        this.#again = false;
        await Promise.allSettled(this.#writes);
        await exclusively(() => this.#sendAll());
      } while (this.#again);
      this.#wait = FIRST_WAIT;
      this.trouble = null;
    } catch (error) {
      this.trouble = error;
      counted("outbox_retries");
      const asked = (error.retryAfter ?? 0) * 1000;
      this.#notBefore = performance.now() + asked;
      this.#timer = setTimeout(() => this.send(), Math.max(this.#wait, asked + 10));
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    } finally {
      this.#sending = false;
    }
    await this.#read();
  }

  async #sendAll() {
    for (;;) {
      // What someone else judged in this browser waits until they are signed in again.
      const record = (await this.#shelf.waiting()).find(({ rater, body }) => maySend(rater ?? body?.rater));
      if (!record) return;
      try {
        const answer = await SENDING[record.kind](record);
        if (record.kind === "rating") measured("rating_to_durable", Date.now() - record.at);
        await this.#shelf.remove(record);
        this.trouble = null;
        this.#settle(record, answer);
        this.#tabs?.postMessage({ about: "settled", record, answer });
      } catch (error) {
        if (!error.permanent) throw error;
        counted("lost_events");
        await this.#shelf.refuse(record, error.message);
        await this.#read();
        this.dispatchEvent(
          new CustomEvent("refused", { detail: { record, detail: error.message, status: error.status } }),
        );
        this.#tabs?.postMessage({ about: "shelf" });
      }
    }
  }

  #settle(record, answer) {
    const same = (other) => other.event_id === record.event_id && other.kind === record.kind;
    this.waiting = this.waiting.filter((other) => !same(other));
    this.dispatchEvent(new CustomEvent("settled", { detail: { record, answer } }));
    this.#changed();
  }

  #heard(data) {
    if (data.about === "settled") this.#settle(data.record, data.answer);
    else if (data.about === "group") {
      this.dispatchEvent(new CustomEvent("elsewhere", { detail: data }));
    } else this.#read();
  }

  // The disk is full or the browser took the storage away: keep the answer in this page and send
  // it from here; the page says that it must stay open.
  async #keepInMemory(record, error) {
    console.warn("LOOP Studio: this browser's storage failed:", error);
    const earlier = await this.#shelf.waiting().catch(() => []);
    if (this.#shelf.durable) this.#shelf = new MemoryShelf();
    for (const other of [...earlier, record]) await this.#shelf.put(other);
  }

  async #read() {
    const stored = await this.#shelf.waiting();
    const known = new Set(stored.map((record) => record.kind + record.event_id));
    const writing = this.#writes.size ? this.waiting : [];
    const unstored = writing.filter((record) => !known.has(record.kind + record.event_id));
    this.waiting = [...stored, ...unstored];
    this.refused = await this.#shelf.refused();
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
