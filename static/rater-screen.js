// The group on screen: its prompt and pictures, the gesture on it so far, what that would teach.
//
// The host tells it by data-state (asking, empty, painting, painted) and data-group, and fires
// `painted` {group} in the frame that shows a group; each wait from a key to that frame is a
// performance measure named "loop:key-to-paint".
import { h } from "./element.js";
import { measured } from "./figures.js";
import { MODES } from "./gestures.js";
import { Preview } from "./rater-preview.js";
import { Stage } from "./rater-stage.js";
import { Tools } from "./rater-tools.js";

export class Screen {
  group = null; // on screen, or about to be
  gesture = null;
  mode = "best";
  isPainted = false;
  told = ""; // the mark that was made last, in words: "Picture 2: place 1."
  #paintedAt = 0;
  #pressedAt = null;
  #waitingSince = null; // while no group was at hand

  // act(action, event) is told every press of a picture and of a tool.
  constructor(host, act) {
    this.host = host;
    this.prompt = h("h1", { class: "prompt", id: "prompt", dir: "auto" });
    this.tools = new Tools(act);
    this.stage = new Stage({
      onPress: (index, event) => act({ do: "press", index }, event),
      onAlso: (index) => act({ do: "also", index }),
      onRate: (index, stars, event) => act({ do: "rate", index, stars }, event),
      onPlace: (index, place) => act({ do: "place", index, place }),
      onLook: (index) => this.#preview(index),
    });
    this.preview = new Preview((worth) => this.#showWorth(worth));
    this.worth = h("p", { class: "worth" });
    this.empty = h("div", { class: "empty", role: "status" });
    this.stage.node.append(this.empty);
    this.asked = h("div", { class: "asked" }, this.prompt, this.tools.node);
    this.middle = h("div", { class: "middle" }, this.stage.node, this.worth);
    this.state("asking");
  }

  state(state) {
    this.host.dataset.state = state;
  }

  // ms since the group was painted.
  get elapsed() {
    return Math.round(performance.now() - this.#paintedAt);
  }

  // A key or a touch that may lead to the next group.
  pressed(event) {
    this.#pressedAt = event?.timeStamp ?? performance.now();
  }

  // What is on screen takes no gesture any more.
  leave() {
    this.isPainted = false;
    this.preview.clear();
    delete this.host.dataset.group;
  }

  clear() {
    this.#waitingSince ??= performance.now();
    this.leave();
    this.group = null;
    this.stage.clear();
  }

  // Nothing to show, and why.
  say(sentence, state) {
    this.state(state);
    this.prompt.textContent = "";
    this.empty.textContent = sentence;
  }

  // `remark` is what the rater said of the group beside judging it.
  async show(group, remark) {
    this.leave();
    this.group = group;
    this.state("painting");
    this.#begin();
    this.prompt.textContent = group.prompt;
    this.tools.show(remark);
    const shown = await this.stage.show(group, this.mode, this.gesture).catch(() => false);
    if (!shown || this.group !== group) return;
    this.isPainted = true;
    this.#paintedAt = performance.now();
    if (this.#pressedAt !== null) {
      const times = { start: this.#pressedAt, end: this.#paintedAt, detail: { group: group.id } };
      performance.measure("loop:key-to-paint", times);
      this.#pressedAt = null;
      if (this.#waitingSince === null) measured("key_to_paint", times.end - times.start);
    }
    measured("wait_for_group", this.#waitingSince === null ? 0 : this.#paintedAt - this.#waitingSince);
    this.#waitingSince = null;
    this.host.dataset.group = group.id;
    this.state("painted");
    this.host.dispatchEvent(new CustomEvent("painted", { detail: { group: group.id }, bubbles: true }));
  }

  setMode(mode) {
    this.mode = mode;
    this.host.dataset.mode = mode;
    if (!this.group) return;
    this.#begin();
    this.stage.dress(mode);
    this.#mark();
    this.stage.layout();
  }

  // The judgement when the gesture is complete, null when it goes on, undefined when it means nothing.
  gestured({ do: what, index, stars, place }) {
    const { gesture } = this;
    const id = this.group.images[index]?.id;
    if (what === "none") return gesture.none() ?? undefined;
    if (what === "equal") return gesture.allEqual() ?? undefined;
    if (what === "send") return gesture.finish() ?? undefined;
    if (what === "rate") return this.#marked(id ?? gesture.focus, gesture.rate?.(id ?? gesture.focus, stars));
    if (!id) return undefined;
    if (what === "place") return this.#marked(id, gesture.place?.(id, place));
    return this.#marked(id, what === "also" ? gesture.pressAlso?.(id) : gesture.press?.(id));
  }

  // Show blurred pictures: the one that is pressed, or all; false when there are none.
  unveil(index = null) {
    const count = this.stage.unveil(index);
    if (count) this.#mark();
    return count > 0;
  }

  // Take back the last mark of a gesture of several steps; false when there is none.
  back() {
    const went = Boolean(MODES[this.mode].steps) && this.gesture.back();
    if (went) this.#mark();
    return went;
  }

  #begin() {
    this.gesture = new MODES[this.mode](this.group.images.map((image) => image.id));
  }

  #marked(id, judgement) {
    if (judgement !== null) return judgement;
    this.#mark();
    const number = this.group.images.findIndex((image) => image.id === id) + 1;
    this.told = `Picture ${number}: ${this.gesture.told(id)}.`;
    return null;
  }

  #mark() {
    this.stage.mark(this.mode, this.gesture);
    this.#preview(this.stage.looked);
  }

  // What the judgement would teach with picture `index` looked at.
  #preview(index) {
    if (!this.isPainted) return;
    const id = this.group.images[index]?.id;
    this.preview.ask(this.group.id, this.mode, this.gesture.soFar(id));
  }

  #showWorth(worth) {
    this.stage.would(worth?.advantages ?? null);
    this.worth.textContent = worth ? worth.reason || "Gives a learning signal." : "";
  }
}
