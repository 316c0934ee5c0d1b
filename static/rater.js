// <loop-rater>: one group after the other, judged by a key, a click or a touch.
//
// For tests and measurements the element carries data-state (asking, empty, painting, painted),
// data-group while a group is on screen, data-mode, data-ahead (groups decoded in advance) and
// data-waiting (answers not yet sent);
// it fires `painted` {group} in the frame that shows a group, and each wait from key to that frame
// is a performance measure named "loop:key-to-paint".
import { recall, remember } from "./address.js";
import { randomId } from "./api.js";
import { lookCloser } from "./closer.js";
import { StudioElement, define, h } from "./element.js";
import { MODES, actionOf, hasSignal, modeFor } from "./gestures.js";
import { live } from "./live.js";
import { Outbox } from "./outbox.js";
import { Prefetch } from "./prefetch.js";
import { openProjectPatiently } from "./project.js";
import { Actions } from "./rater-actions.js";
import { Guidelines } from "./rater-guidelines.js";
import { LastGroup } from "./rater-last.js";
import { Preview } from "./rater-preview.js";
import { Notices } from "./rater-notices.js";
import { Memory } from "./rater-memory.js";
import { showHelp } from "./rater-help.js";
import { askName, raterName } from "./rater-name.js";
import { Remarks } from "./rater-remarks.js";
import { Sitting } from "./rater-sitting.js";
import { Stage } from "./rater-stage.js";
import { StatusLine, comingSentence } from "./rater-status.js";
import { Tools } from "./rater-tools.js";
import { Tour } from "./rater-tour.js";

const FLUSH_EVERY = 10_000; // ms between two times of throwing the queue away

class Rater extends StudioElement {
  #current = null;
  #gesture = null;
  #mode = "best";
  #painted = false;
  #paintedAt = 0;
  #pressedAt = null;
  #flushedAt = -Infinity;

  async start() {
    this.#state("asking");
    this.outbox = new Outbox();
    this.#build();
    const opened = openProjectPatiently((error) => this.#showEmpty(error.message));
    const [{ project }] = await Promise.all([opened, this.outbox.open()]);
    this.project = project;
    const kept = recall(`mode:${project.id}`);
    const mode = kept ?? project.settings.default_mode;
    this.live = live(project.id);
    this.status = new StatusLine(this.live);
    this.top.replaceWith(this.status.node);
    this.live.addEventListener("change", () => this.#liveChanged());
    this.guidelines = new Guidelines(project, this.tools.buttons.guidelines);
    this.stage.node.after(this.guidelines.node);
    this.#setMode(mode in MODES ? mode : "best");
    if (!raterName()) await askName(this.root, { must: true });
    this.#sit();
  }

  // A sitting of one rater: their memory and their queue of groups.
  async #sit() {
    this.rater = raterName();
    this.memory = new Memory(this.project.id, this.rater);
    this.remarks = new Remarks(this.outbox, this.rater);
    const earlier = this.sitting;
    this.sitting = new Sitting({ projectId: this.project.id, rater: this.rater, live: this.live, root: this.root });
    if (earlier) earlier.node.replaceWith(this.sitting.node);
    else this.nameButton.parentElement.before(this.sitting.node);
    this.nameButton.textContent = this.rater;
    this.queue?.close();
    this.#current = null;
    this.stage.clear();
    this.last.hide();
    this.queue = new Prefetch({
      projectId: this.project.id,
      rater: this.rater,
      held: () => [this.#current?.id, ...this.outbox.pendingGroups()].filter(Boolean),
      liveVersion: () => this.live.status?.live_version ?? null,
    });
    this.queue.addEventListener("ready", () => {
      this.dataset.ahead = this.queue.length;
      if (!this.#current) this.#advance();
    });
    this.queue.addEventListener("change", () => this.#current || this.#showEmpty());
    for (const group of [...this.memory.again].reverse()) {
      await this.queue.putFirst(group).catch(() => this.memory.forgetAgain(group.id));
    }
    this.queue.fill();
    if (!this.#current) this.#advance();
  }

  #build() {
    this.top = h("section", { class: "status" });
    this.prompt = h("h1", { class: "prompt", id: "prompt", dir: "auto" });
    this.tools = new Tools((action, event) => this.#do(action, event));
    this.stage = new Stage({
      onPress: (index, event) => this.#do({ do: "press", index }, event),
      onAlso: (index) => this.#do({ do: "also", index }),
      onRate: (index, stars, event) => this.#do({ do: "rate", index, stars }, event),
      onLook: (index) => this.#preview(index),
    });
    this.preview = new Preview((worth) => this.#showWorth(worth));
    this.worth = h("p", { class: "worth" });
    this.empty = h("div", { class: "empty", role: "status" });
    this.stage.node.append(this.empty);
    this.actions = new Actions({
      onAction: (action, event) => this.#do(action, event),
      onMode: (mode) => this.#chooseMode(mode),
    });
    this.last = new LastGroup();
    this.tour = new Tour();
    this.notices = new Notices(this.outbox);
    this.nameButton = h("button", { type: "button", class: "link", title: "Change the name", onclick: () => this.#changeName() });
    const who = h("p", { class: "who" }, h("span", {}, "Judging as "), this.nameButton);
    this.root.append(
      h("div", { class: "rater" }, this.top, h("div", { class: "asked" }, this.prompt, this.tools.node),
        h("div", { class: "middle" }, this.stage.node, this.worth), this.notices.refusals,
        h("div", { class: "under" }, this.tour.node, this.last.node, this.notices.waiting, this.notices.hint),
        h("div", { class: "ways" }, who, this.actions.ways),
        this.actions.node, this.notices.spoken),
    );
    document.addEventListener("keydown", (event) => this.#key(event));
    this.outbox.addEventListener("change", () => (this.dataset.waiting = this.outbox.waiting.length));
    this.outbox.addEventListener("settled", ({ detail }) => this.#settled(detail));
    this.outbox.addEventListener("elsewhere", ({ detail }) => this.#elsewhere(detail));
  }

  // ---- from a key to the next group -------------------------------------------------------

  #key(event) {
    if (!this.isConnected || this.root.querySelector("dialog[open]")) return;
    const action = actionOf(event, this.#mode);
    if (!action) return;
    event.preventDefault();
    this.#do(action, event);
  }

  // Every gesture, by key, click or touch. True if it did something.
  #do(action, event) {
    if (action.do === "help") return showHelp(this.root, this.#mode);
    if (action.do === "mode") return this.#chooseMode(this.#nextMode());
    if (action.do === "guidelines") return this.guidelines?.toggle();
    if (!this.queue) return false;
    if (!this.#painted) {
      this.notices.say("Wait: no group is on screen yet.", { shown: true });
      return false;
    }
    if (action.do in this.#beside) return this.#beside[action.do]();
    this.#pressedAt = event?.timeStamp ?? performance.now();
    if (action.do === "undo") return this.#undo();
    if (action.do === "skip") return this.#judge("skip", {});
    const judgement = this.#gestured(action);
    if (judgement) return this.#judge(this.#mode, judgement);
    this.stage.mark(this.#mode, this.#gesture);
    this.#preview(this.stage.looked);
    return judgement !== undefined;
  }

  // What the judgement would teach with picture `index` looked at.
  #preview(index) {
    if (!this.#painted) return;
    const id = this.#current.images[index]?.id;
    this.preview.ask(this.#current.id, this.#mode, this.#gesture.soFar(id));
  }

  #showWorth(worth) {
    this.stage.would(worth?.advantages ?? null);
    this.worth.textContent = worth && !worth.usable ? worth.reason : "";
  }

  // What one can do with a group beside judging it.
  #beside = {
    closer: () => lookCloser(this.root, this.#current, this.stage.at),
    compare: () => {
      const next = (this.stage.at + 1) % this.#current.images.length;
      return lookCloser(this.root, this.#current, this.stage.at, { beside: next });
    },
    flag: () => this.#remark({ flagged: !this.remarks.of(this.#current.id).flagged }),
    note: () => this.remarks.ask(this.root, this.#current, (note) => this.#remark({ note })),
  };

  #remark(change) {
    const remark = this.remarks.set(this.#current.id, change);
    this.tools.show(remark);
    const what = "note" in change ? (remark.note ? "Noted." : "The note is gone.") : remark.flagged ? "Flagged." : "No longer flagged.";
    this.notices.say(what, { shown: true });
    return true;
  }

  // The judgement when the gesture is complete, null when it goes on, undefined when it means nothing.
  #gestured({ do: what, index, stars }) {
    const gesture = this.#gesture;
    const id = this.#current.images[index]?.id;
    if (what === "none") return gesture.none() ?? undefined;
    if (what === "equal") return gesture.allEqual() ?? undefined;
    if (what === "send") return gesture.finish() ?? undefined;
    if (what === "rate") return gesture.rate?.(id ?? gesture.focus, stars);
    if (!id) return undefined;
    if (what === "also") return gesture.pressAlso?.(id);
    return gesture.press?.(id);
  }

  #judge(mode, judgement) {
    const group = this.#current;
    const elapsed = Math.round(performance.now() - this.#paintedAt);
    mode = modeFor(group, mode);
    const entry = { event_id: randomId(), group: Memory.plain(group), mode, judgement };
    this.outbox.add({
      kind: "rating",
      event_id: entry.event_id,
      group_id: group.id,
      teaches: group.kind === "group",
      body: {
        event_id: entry.event_id,
        group_id: group.id,
        rater: this.rater,
        mode,
        judgement,
        order: group.images.map((image) => image.id),
        elapsed_ms: elapsed,
      },
    });
    this.outbox.announce({ project: this.project.id, rater: this.rater, group: group.id });
    this.memory.judged(entry);
    this.sitting.judged(elapsed);
    this.#advance();
    this.last.show(entry, null);
    this.tour.judged();
    const next = this.#current ? ` Next: ${this.#current.prompt}` : "";
    this.notices.say(this.#words(entry) + next);
    return true;
  }

  #words({ mode, judgement, group }) {
    const picked = group.images.findIndex((image) => judgement[image.id] === 1) + 1;
    const values = new Set(Object.values(judgement));
    if (mode === "skip") return "Skipped.";
    if (values.size === 1) return values.has(0) ? "None is good." : "All equal.";
    return mode === "best" || mode === "pair" ? `Picture ${picked} chosen.` : "Judged.";
  }

  async #undo() {
    if (MODES[this.#mode].steps && this.#gesture.back()) {
      this.stage.mark(this.#mode, this.#gesture);
      return true;
    }
    const entry = this.memory.undone();
    if (!entry) {
      this.notices.say("There is no answer to undo.", { shown: true });
      return false;
    }
    this.outbox.add({ kind: "undo", event_id: entry.event_id, group_id: entry.group.id });
    this.sitting.undone();
    const current = this.#current;
    this.#painted = false;
    this.#state("painting");
    await this.queue.putFirst(current);
    try {
      await this.queue.putFirst(entry.group);
    } catch {
      this.last.hide();
      this.#advance();
      this.notices.say("The undone group comes back when the studio answers.", { shown: true });
      return true;
    }
    this.last.hide();
    this.#advance();
    this.notices.say("Undone. Judge this group again.", { shown: true });
    return true;
  }

  // Show the next group now, or say when it comes.
  async #advance() {
    const group = this.queue.take();
    this.dataset.ahead = this.queue.length;
    this.#painted = false;
    this.#current = group;
    this.preview.clear();
    this.queue.fill();
    delete this.dataset.group;
    if (!group) {
      this.stage.clear();
      this.#showEmpty();
      return;
    }
    this.#state("painting");
    this.#gesture = new MODES[this.#mode](group.images.map((image) => image.id));
    this.prompt.textContent = group.prompt;
    this.tools.show(this.remarks.of(group.id));
    const shown = await this.stage.show(group, this.#mode, this.#gesture).catch(() => false);
    if (!shown || this.#current !== group) return;
    this.#painted = true;
    this.#paintedAt = performance.now();
    if (this.#pressedAt !== null) {
      const times = { start: this.#pressedAt, end: this.#paintedAt, detail: { group: group.id } };
      performance.measure("loop:key-to-paint", times);
      this.#pressedAt = null;
    }
    this.dataset.group = group.id;
    this.#state("painted");
    this.dispatchEvent(new CustomEvent("painted", { detail: { group: group.id }, bubbles: true }));
  }

  // ---- ways of judging and names ----------------------------------------------------------

  #nextMode() {
    const names = Object.keys(MODES);
    return names[(names.indexOf(this.#mode) + 1) % names.length];
  }

  #chooseMode(mode) {
    remember(`mode:${this.project.id}`, mode);
    this.#setMode(mode);
    this.notices.say(`${MODES[mode].words}: ${MODES[mode].help}`);
    return true;
  }

  #setMode(mode) {
    this.#mode = mode;
    this.dataset.mode = mode;
    this.actions.show(mode);
    this.tour.tell({ help: MODES[mode].help });
    if (!this.#current) return;
    this.#gesture = new MODES[mode](this.#current.images.map((image) => image.id));
    this.stage.dress(mode);
    this.stage.mark(mode, this.#gesture);
    this.stage.layout();
  }

  async #changeName() {
    const name = await askName(this.root, { must: false });
    if (name !== this.rater) this.#sit();
  }

  // ---- what the page says -----------------------------------------------------------------

  #state(state) {
    this.dataset.state = state;
  }

  #showEmpty(sentence) {
    const trouble = this.queue?.state.kind === "trouble" ? this.queue.state.error.message : null;
    this.#state(this.queue?.state.kind === "empty" || sentence || trouble ? "empty" : "asking");
    this.prompt.textContent = "";
    this.empty.textContent = sentence ?? trouble ?? comingSentence(this.live?.status);
  }

  #settled({ record, answer }) {
    if (record.kind !== "rating") return;
    this.last.settle(record.event_id, answer);
    this.sitting?.settled(answer);
    this.live?.soon();
    // It should have taught and did not: the group was retired, and so may others here be.
    if (!answer.usable && record.teaches && record.body.mode !== "skip" && hasSignal(record.body.judgement)) {
      if (performance.now() - this.#flushedAt > FLUSH_EVERY) this.queue?.flush();
      this.#flushedAt = performance.now();
    }
  }

  #elsewhere({ project, rater, group }) {
    if (project !== this.project?.id || rater !== this.rater || !this.queue) return;
    this.queue.drop(group);
    if (this.#current?.id === group) this.#advance();
  }

  #liveChanged() {
    if (!this.#current) this.#showEmpty();
    if (this.live.status) this.tour.tell({ least: this.live.status.min_groups });
    if (this.live.error || !this.queue) return;
    if (!this.queue.length) this.queue.fill();
    if (this.outbox.trouble) this.outbox.send(); // the studio answers again
  }
}

await define("loop-rater", Rater, "rater.css", "rater-beside.css", "closer.css");
