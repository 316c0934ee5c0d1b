// A flag and a note on a group: kept on this device first and sent like an answer, in order.
import { randomId } from "./api.js";
import { h } from "./element.js";

const LONGEST = 2000;
const NOTHING = { flagged: false, note: "" };

export class Remarks {
  #made = new Map(); // group id -> {flagged, note}, as said on this page

  constructor(outbox, rater) {
    this.outbox = outbox;
    this.rater = rater;
  }

  of(groupId) {
    return this.#made.get(groupId) ?? NOTHING;
  }

  set(groupId, change) {
    const remark = { ...this.of(groupId), ...change };
    this.#made.set(groupId, remark);
    const body = { rater: this.rater, ...remark };
    this.outbox.add({ kind: "remark", event_id: randomId(), group_id: groupId, body });
    return remark;
  }

  // Ask for a note on `group`; `onSave(text)` when there is one, or none any more.
  ask(root, group, onSave) {
    const input = h("textarea", { rows: "4", maxlength: String(LONGEST), "aria-label": "Note", dir: "auto" });
    input.value = this.of(group.id).note;
    const form = h("form", { method: "dialog" },
      input,
      h("p", { class: "quiet" }, "For people who look through the history. Nothing is learned from it."),
      h("div", { class: "row is-end" },
        h("button", { type: "button", class: "button", onclick: () => box.close() }, "Cancel"),
        h("button", { class: "button is-primary" }, "Save")));
    const box = h("dialog", { "aria-label": "Note on this group" }, h("h2", {}, "Note on this group"), form);
    form.addEventListener("submit", () => onSave(input.value.trim()));
    box.addEventListener("close", () => box.remove());
    root.append(box);
    box.showModal();
    return true;
  }
}
