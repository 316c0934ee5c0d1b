// What the rater's page says in words: how the answers are kept, which were refused, what a key did.
import { h, plural } from "./element.js";

const SLOW_LINE = 1500; // ms an answer may wait before the page speaks of it

export class Notices {
  constructor(outbox) {
    this.outbox = outbox;
    this.waiting = h("p", { class: "notice", role: "status" });
    this.refusals = h("div", { class: "refusals" });
    this.hint = h("p", { class: "hint", "aria-hidden": "true" });
    this.spoken = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
    outbox.addEventListener("change", () => this.show());
    setInterval(() => this.show(), 1000); // a slow line shows although nothing changes
  }

  // To screen readers always; to the eye only what the screen does not show anyway.
  say(text, { shown = false } = {}) {
    this.spoken.textContent = text;
    this.hint.textContent = shown ? text : "";
  }

  show() {
    const { waiting, trouble, durable } = this.outbox;
    const oldest = waiting[0]?.at ?? Date.now();
    const slow = waiting.length > 0 && (trouble || Date.now() - oldest > SLOW_LINE);
    const kept = durable ? "Saved on this device" : "Kept in this tab only, so leave it open";
    const text = slow ? `${kept}, ${waiting.length} waiting. ${trouble?.message ?? ""}` : "";
    if (this.waiting.textContent !== text) this.waiting.textContent = text;
    this.#showRefused();
  }

  #showRefused() {
    const { refused } = this.outbox;
    if (this.shownRefused === refused.length) return;
    this.shownRefused = refused.length;
    const last = refused.at(-1);
    const words = last && `${plural(refused.length, "answer")} could not be used: ${last.detail}`;
    const away = () => this.outbox.forgetRefused();
    this.refusals.replaceChildren(
      ...(last
        ? [h("p", { role: "alert" }, words), h("button", { type: "button", class: "button", onclick: away }, "Put away")]
        : []),
    );
  }
}
