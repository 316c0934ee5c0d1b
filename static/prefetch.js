// Groups ahead of the rater: up to eight, their pictures decoded, so that the next one is on screen
// in the frame after a key. Groups of the live version come before others as soon as they are known;
// one that hides its version (a blind pair, a hidden repeat) keeps its turn among them.
//
// Events: "ready" (a group joined the queue), "change" (what `state` says changed).
import { get, picture } from "./api.js";

const AHEAD = 8;
const KINDS = "group,repeat,pair";
const TRIES = 2; // for the pictures of a group
const MOST_BROKEN = 100; // that are left out: the server takes 200 ids
const FIRST_WAIT = 400;
const LONGEST_WAIT = 8000;

const isFresh = (group, live) => group.version === live || group.version === null;

// Loads and decodes a group's pictures; the very elements are shown later.
async function decoded(group) {
  const pictures = group.images.map((image) => {
    const node = new Image(image.width, image.height);
    node.alt = "";
    node.draggable = false;
    node.src = picture(image);
    return node;
  });
  await Promise.all(pictures.map((node) => node.decode()));
  return { ...group, pictures };
}

export class Prefetch extends EventTarget {
  state = { kind: "asking" }; // or {kind: "ready"}, {kind: "empty"}, {kind: "trouble", error}
  #queue = [];
  #decoding = new Set(); // ids
  #failed = new Map(); // id -> how often its pictures did not come
  #gone = new Set(); // judged in another tab
  #timer = null;
  #asking = false;
  #closed = false;
  #wait = FIRST_WAIT; // ms until the next try while the line is down

  // `held()` gives the ids the server must leave out: on screen, or judged and not yet sent.
  constructor({ projectId, rater, held, liveVersion }) {
    super();
    Object.assign(this, { projectId, rater, held, liveVersion });
  }

  get length() {
    return this.#queue.length;
  }

  // The next group, or null. Groups of the live version first: they teach most. Call fill() once
  // `held()` knows of it, so that it is not asked for again.
  take() {
    const live = this.liveVersion();
    const fresh = this.#queue.findIndex((group) => group.first || isFresh(group, live));
    const [group] = this.#queue.splice(Math.max(0, fresh), 1);
    return group ?? null;
  }

  // Put a group before all others: one whose judgement was undone, or that was on screen then.
  async putFirst(group) {
    const whole = group.pictures ? group : await decoded(group);
    this.#queue.unshift({ ...whole, first: true });
    this.dispatchEvent(new Event("ready"));
  }

  drop(groupId) {
    this.#gone.add(groupId);
    this.#queue = this.#queue.filter((group) => group.id !== groupId);
    this.fill();
  }

  // Forget what lies here and ask anew: the settings changed and these teach no more.
  flush() {
    this.#queue = this.#queue.filter((group) => group.first);
    this.fill();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  fill() {
    clearTimeout(this.#timer);
    if (!this.#asking) this.#fill();
  }

  #wanted() {
    const live = this.liveVersion();
    const fresh = this.#queue.filter((group) => live == null || isFresh(group, live)).length;
    // Old groups fill the queue only until newer ones come; a few places stay free for those.
    return fresh + this.#decoding.size < AHEAD && this.#queue.length < AHEAD + 4;
  }

  async #fill() {
    this.#asking = true;
    while (!this.#closed && this.#wanted()) {
      try {
        const retry = await this.#ask();
        if (retry) {
          this.#plan(retry * 1000);
          break;
        }
        this.#wait = FIRST_WAIT;
      } catch (error) {
        this.#become({ kind: "trouble", error });
        this.#plan(Math.max(this.#wait, (error.retryAfter ?? 0) * 1000));
        this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
        break;
      }
    }
    this.#asking = false;
  }

  // One request; null when a group came, else the seconds to wait before the next.
  async #ask() {
    const query = new URLSearchParams({ rater: this.rater, kinds: KINDS });
    const ours = this.#queue.map((group) => group.id);
    const broken = [...this.#failed].filter(([, times]) => times >= TRIES).slice(-MOST_BROKEN).map(([id]) => id);
    for (const id of new Set([...ours, ...this.#decoding, ...this.held(), ...broken])) {
      query.append("exclude", id);
    }
    let retry = null;
    const group = await get(`projects/${this.projectId}/groups/next?${query}`, {
      onEmpty: (seconds) => (retry = seconds),
    });
    if (!group) {
      this.#become({ kind: this.#queue.length ? "ready" : "empty" });
      return Math.min(retry, LONGEST_WAIT / 1000);
    }
    if (this.#has(group.id)) return 0.2; // it was judged here or elsewhere meanwhile
    this.#become({ kind: "ready" });
    this.#decode(group);
    return null;
  }

  #has(id) {
    return this.#gone.has(id) || this.held().includes(id) || this.#queue.some((g) => g.id === id);
  }

  async #decode(group) {
    this.#decoding.add(group.id);
    try {
      const whole = await decoded(group);
      if (!this.#has(group.id) && !this.#closed) this.#queue.push(whole);
    } catch {
      // A picture did not come; the group is asked for again by a later request, but not for ever:
      // one whose file is damaged must not keep the others back.
      this.#failed.set(group.id, (this.#failed.get(group.id) ?? 0) + 1);
    } finally {
      this.#decoding.delete(group.id);
    }
    this.dispatchEvent(new Event("ready"));
    this.fill();
  }

  #plan(milliseconds) {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.fill(), milliseconds);
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
