// Four steps beside the first answers of a newcomer, each gone on to by doing what it says. Never in
// the way: it has no veil and takes no key.
import { recall, remember } from "./address.js";
import { h } from "./element.js";

const STEPS = [
  ({ help }) => help,
  () => "Each small picture shows its push: up is drawn more often from now on, down less. The answer is kept on this device first, so a lost line loses nothing.",
  () => "None of them good, or all alike? Say so with 0 or =. S passes a group on to others, and U takes the last answer back.",
  ({ least }) => `After ${least ?? "a few"} groups that teach, “Fine-tune now” appears above; judging goes on meanwhile. Every key is in the help panel: press ?.`,
];
const KEY = "tour";

export class Tour {
  constructor() {
    this.step = recall(KEY, 0);
    this.words = h("span", {});
    this.count = h("b", {});
    const end = h("button", { type: "button", class: "link", onclick: () => this.#go(STEPS.length) }, "Got it");
    this.node = h("p", { class: "first" }, this.count, " ", this.words, " ", end);
    this.facts = { help: "", least: null }; // until the studio has told
    this.#show();
  }

  // help: how the present way of judging is done; least: usable groups that an update needs.
  tell(facts) {
    Object.assign(this.facts, facts);
    this.#show();
  }

  // A group was judged.
  judged() {
    if (this.step < STEPS.length) this.#go(this.step + 1);
  }

  #go(step) {
    this.step = step;
    remember(KEY, step);
    this.#show();
  }

  #show() {
    this.node.hidden = this.step >= STEPS.length;
    if (this.node.hidden) return;
    this.count.textContent = `${this.step + 1} of ${STEPS.length}`;
    this.words.textContent = STEPS[this.step](this.facts);
  }
}
