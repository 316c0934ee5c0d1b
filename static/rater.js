// <loop-rater>: one group after the other, judged by a key, a click or a touch.
//
// What it is made of: Prefetch has the next groups ready, Screen shows one and takes the gesture,
// Answers hands the judgement to the Outbox, Sitting counts. Here they are put together.
//
// For tests and measurements the element carries data-state and data-group (see Screen), data-mode,
// data-ahead (groups decoded in advance) and data-waiting (answers not yet sent).
import { recall, remember } from "./address.js";
import { lookCloser } from "./closer.js";
import { StudioElement, define, h } from "./element.js";
import { MODES, actionOf, hasSignal } from "./gestures.js";
import { live } from "./live.js";
import { Outbox } from "./outbox.js";
import { Prefetch } from "./prefetch.js";
import { openProjectPatiently } from "./project.js";
import { Actions } from "./rater-actions.js";
import { Answers, spoken } from "./rater-answers.js";
import { askConsent } from "./rater-consent.js";
import { Guidelines } from "./rater-guidelines.js";
import { showHelp } from "./rater-help.js";
import { LastGroup } from "./rater-last.js";
import { askName, isNameFixed, raterName, settleName } from "./rater-name.js";
import { Notices } from "./rater-notices.js";
import { Screen } from "./rater-screen.js";
import { Sitting } from "./rater-sitting.js";
import { StatusLine, comingSentence } from "./rater-status.js";
import { Tour } from "./rater-tour.js";
import { askReport } from "./report-picture.js";
import { mayI } from "./session.js";

const FLUSH_EVERY = 10_000; // ms between two times of throwing the queue away

class Rater extends StudioElement {
  #flushedAt = -Infinity;
  #isAsking = false; // for consent

  async start() {
    this.outbox = new Outbox();
    this.#build();
    const opened = openProjectPatiently((error) => this.#showEmpty(error.message));
    const [{ project }] = await Promise.all([opened, this.outbox.open()]);
    this.project = project;
    this.live = live(project.id);
    this.status = new StatusLine(this.live);
    this.top.replaceWith(this.status.node);
    this.live.addEventListener("change", () => this.#liveChanged());
    this.guidelines = new Guidelines(project, this.screen.tools.buttons.guidelines);
    this.screen.stage.node.after(this.guidelines.node);
    const mode = recall(`mode:${project.id}`) ?? project.settings.default_mode;
    this.#setMode(mode in MODES ? mode : "best");
    this.status.mayTrain = await mayI("trainer");
    await settleName(this.root);
    this.nameButton.disabled = isNameFixed();
    this.#sit();
  }

  #build() {
    const act = (action, event) => this.#do(action, event);
    this.top = h("section", { class: "status" });
    this.screen = new Screen(this, act);
    this.actions = new Actions({ onAction: act, onMode: (mode) => this.#chooseMode(mode) });
    this.last = new LastGroup();
    this.tour = new Tour();
    this.notices = new Notices(this.outbox);
    this.nameButton = h("button", { type: "button", class: "link", title: "Change the name", onclick: () => this.#changeName() });
    this.who = h("p", { class: "who" }, h("span", {}, "Judging as "), this.nameButton);
    this.root.append(
      h("div", { class: "rater" }, this.top, this.screen.asked, this.screen.middle, this.notices.refusals,
        h("div", { class: "under" }, this.tour.node, this.last.node, this.notices.waiting, this.notices.hint),
        h("div", { class: "ways" }, this.who, this.actions.ways),
        this.actions.node, this.notices.spoken),
    );
    document.addEventListener("keydown", (event) => this.#key(event));
    this.outbox.addEventListener("change", () => {
      this.dataset.waiting = this.outbox.waiting.length;
      this.#heed(this.outbox.trouble);
    });
    this.outbox.addEventListener("settled", ({ detail }) => this.#settled(detail));
    this.outbox.addEventListener("refused", ({ detail }) => detail.status === 410 && this.#end(detail.detail));
    this.outbox.addEventListener("elsewhere", ({ detail }) => this.#elsewhere(detail));
  }

  // A sitting of one rater: their answers and their queue of groups.
  async #sit() {
    const [projectId, rater] = [this.project.id, raterName()];
    await askConsent(this.root, projectId, rater);
    this.sitting?.node.remove();
    this.sitting = new Sitting({ projectId, rater, live: this.live, root: this.root });
    this.who.before(this.sitting.node);
    this.nameButton.textContent = rater;
    this.answers = new Answers({ projectId, rater, outbox: this.outbox, sitting: this.sitting });
    this.queue?.close();
    this.screen.clear();
    this.last.hide();
    this.queue = new Prefetch({
      projectId,
      rater,
      held: () => [this.screen.group?.id, ...this.answers.pending].filter(Boolean),
      liveVersion: () => this.live.status?.live_version ?? null,
    });
    this.queue.addEventListener("ready", () => {
      this.dataset.ahead = this.queue.length;
      if (!this.screen.group) this.#advance();
    });
    this.queue.addEventListener("change", () => {
      if (!this.screen.group) this.#showEmpty();
      this.#heed(this.queue.state.error);
    });
    for (const group of [...this.answers.again].reverse()) {
      await this.queue.putFirst(group).catch(() => this.answers.memory.forgetAgain(group.id));
    }
    this.queue.fill();
    if (!this.screen.group) this.#advance();
  }

  // ---- from a key to the next group -------------------------------------------------------

  #key(event) {
    if (!this.isConnected || this.root.querySelector("dialog[open]")) return;
    const action = actionOf(event, this.screen.mode);
    if (!action) return;
    event.preventDefault();
    this.#do(action, event);
  }

  // Every gesture, by key, click or touch. True if it did something.
  #do(action, event) {
    const { screen } = this;
    if (action.do === "help") return showHelp(this.root, screen.mode);
    if (action.do === "mode") return this.#chooseMode(this.#nextMode());
    if (action.do === "guidelines") return this.guidelines?.toggle();
    if (!this.queue) return false;
    if (!screen.isPainted) {
      this.notices.say("Wait: no group is on screen yet.", { shown: true });
      return false;
    }
    if (action.do in this.#beside) return this.#beside[action.do]();
    if (action.index !== undefined && screen.unveil(action.index)) {
      this.notices.say(`Picture ${action.index + 1} is shown; press again to choose it.`, { shown: true });
      return true;
    }
    screen.pressed(event);
    if (action.do === "undo") return screen.back() || this.#undo();
    if (action.do === "skip") return this.#judge("skip", {});
    const judgement = screen.gestured(action);
    if (judgement) return this.#judge(screen.mode, judgement);
    if (judgement === null) this.notices.say(screen.told);
    return judgement === null;
  }

  // What one can do with a group beside judging it.
  #beside = {
    closer: () => lookCloser(this.root, this.screen.group, this.screen.stage.at),
    compare: () => {
      const { group, stage } = this.screen;
      return lookCloser(this.root, group, stage.at, { beside: (stage.at + 1) % group.images.length });
    },
    flag: () => this.#remark({ flagged: !this.answers.remarks.of(this.screen.group.id).flagged }),
    report: () => askReport(this.root, this.screen.group, this.screen.stage.at, this.answers.rater, () => this.#reported()),
    unveil: () => {
      const words = this.screen.unveil() ? "All pictures are shown." : "No picture is blurred.";
      this.notices.say(words, { shown: true });
      return true;
    },
    note: () => this.answers.remarks.ask(this.root, this.screen.group, (note) => this.#remark({ note })),
  };

  #remark(change) {
    const remark = this.answers.remarks.set(this.screen.group.id, change);
    this.screen.tools.show(remark);
    const what = "note" in change ? (remark.note ? "Noted." : "The note is gone.") : remark.flagged ? "Flagged." : "No longer flagged.";
    this.notices.say(what, { shown: true });
    return true;
  }

  // The group comes again without the picture, if enough of it is left.
  #reported() {
    this.#advance();
    this.notices.say("Reported. Nobody is shown the picture until someone decides.", { shown: true });
  }

  // The project's text has changed: it is asked for again, and what waits is sent then.
  async #heed(trouble) {
    if (trouble?.code !== "consent_needed" || !this.queue || this.#isAsking) return;
    this.#isAsking = true;
    const rater = this.outbox.waiting[0]?.body?.rater ?? this.answers.rater;
    if (await askConsent(this.root, this.project.id, rater)) {
      this.outbox.send();
      this.queue.fill();
    }
    this.#isAsking = false;
  }

  #judge(mode, judgement) {
    const entry = this.answers.judge(this.screen.group, mode, judgement, this.screen.elapsed);
    this.#advance();
    this.last.show(entry, null);
    this.tour.judged();
    const next = this.screen.group ? ` Next: ${this.screen.group.prompt}` : "";
    this.notices.say(spoken(entry) + next);
    return true;
  }

  async #undo() {
    const entry = this.answers.undo();
    if (!entry) {
      this.notices.say("There is no answer to undo.", { shown: true });
      return false;
    }
    this.screen.leave();
    this.screen.state("painting");
    await this.queue.putFirst(this.screen.group);
    const isBack = await this.queue.putFirst(entry.group).then(() => true, () => false);
    this.last.hide();
    this.#advance();
    this.notices.say(isBack ? "Undone. Judge this group again." : "The undone group comes back when the studio answers.", { shown: true });
    return true;
  }

  // Show the next group now, or say when it comes.
  #advance() {
    const group = this.queue.take();
    this.dataset.ahead = this.queue.length;
    if (group) this.screen.show(group, this.answers.remarks.of(group.id));
    else {
      this.screen.clear();
      this.#showEmpty();
    }
    this.queue.fill(); // it asks for none that is on screen now
  }

  // ---- ways of judging and names ----------------------------------------------------------

  #nextMode() {
    const names = Object.keys(MODES);
    return names[(names.indexOf(this.screen.mode) + 1) % names.length];
  }

  #chooseMode(mode) {
    remember(`mode:${this.project.id}`, mode);
    this.#setMode(mode);
    this.notices.say(`${MODES[mode].words}: ${MODES[mode].help}`);
    return true;
  }

  #setMode(mode) {
    this.actions.show(mode);
    this.tour.tell({ help: MODES[mode].help });
    this.screen.setMode(mode);
  }

  async #changeName() {
    const name = await askName(this.root, { must: false });
    if (name !== this.answers.rater) this.#sit();
  }

  // ---- what comes from elsewhere ----------------------------------------------------------

  // The link by which a guest came has taken all its ratings, or is withdrawn.
  #end(sentence) {
    this.ended = sentence;
    this.queue?.close();
    this.queue = null;
    this.screen.clear();
    this.#showEmpty();
  }

  #showEmpty(sentence = this.ended) {
    const trouble = this.queue?.state.kind === "trouble" ? this.queue.state.error.message : null;
    const isEmpty = this.queue?.state.kind === "empty" || sentence || trouble;
    this.screen.say(sentence ?? trouble ?? comingSentence(this.live?.status), isEmpty ? "empty" : "asking");
  }

  // The studio has stored an answer.
  #settled({ record, answer }) {
    if (record.kind !== "rating") return;
    this.last.settle(record, answer);
    this.sitting?.settled(answer);
    this.live?.soon();
    // It should have taught and did not: the group was retired, and so may others here be.
    if (!answer.usable && record.teaches && record.body.mode !== "skip" && hasSignal(record.body.judgement)) {
      if (performance.now() - this.#flushedAt > FLUSH_EVERY) this.queue?.flush();
      this.#flushedAt = performance.now();
    }
  }

  // A group was judged in another tab.
  #elsewhere({ project, rater, group }) {
    if (project !== this.project?.id || rater !== this.answers?.rater || !this.queue) return;
    this.queue.drop(group);
    if (this.screen.group?.id === group) this.#advance();
  }

  #liveChanged() {
    if (!this.screen.group) this.#showEmpty();
    if (this.live.status) this.tour.tell({ least: this.live.status.min_groups });
    if (this.live.error || !this.queue) return;
    if (!this.queue.length) this.queue.fill();
    if (this.outbox.trouble) this.outbox.send(); // the studio answers again
  }
}

await define("loop-rater", Rater, "rater.css", "rater-beside.css", "closer.css");
