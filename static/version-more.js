// What stands behind "More" on a version: its name, its marks, what made it, and deleting it.
import { patch, remove } from "./api.js";
import { h, plural } from "./element.js";
import { TrainAgain } from "./version-again.js";

const MEASURED = { "policy/kl_to_base": "KL to base", "policy/clip_fraction": "Clip fraction", "policy/grad_norm": "Gradient norm" };
const words = (name) => name.replaceAll("_", " ");
const shown = (value) => (value === null ? "empty" : value === true ? "on" : value === false ? "off" : String(value).replaceAll("_", " "));

export function bytes(count) {
  if (count < 1e5) return `${(count / 1e3).toFixed(1)} kB`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

// "12 ratings in 8 groups by ann (8) and ben (4)"
export function taughtBy(made) {
  if (!made?.update) return "";
  const raters = made.raters.map(({ name, ratings }) => `${name} (${ratings})`).join(", ");
  const from = made.ratings ? `${plural(made.ratings, "rating")} in ` : "";
  return `${from}${plural(made.groups, "group")}${raters ? ` by ${raters}` : ""}`;
}

function rewardWords({ human, models }) {
  const used = Object.entries(models).filter(([, weight]) => weight > 0);
  const parts = [...(human > 0 ? [["people", human]] : []), ...used];
  return parts.length === 1 ? words(parts[0][0]) : parts.map(([name, weight]) => `${words(name)} × ${weight}`).join(", ");
}

function facts(version, made, numbers) {
  const rows = [];
  if (made.update) rows.push(["Update", `${made.update}, from version ${numbers.get(version.parent_id)}`], ["Learned from", taughtBy(made)], ["Reward", rewardWords(made.reward)]);
  if (made.retraining) {
    const { version: number, ancestor, words: without } = made.retraining;
    rows.push(["Trained again", `Version ${number} ${without}, from version ${ancestor}, the last one they had no part in. Pictures that other people judged stay, though an earlier version may have drawn them.`]);
  }
  if (made.update) {
    const changed = Object.entries(made.changed).map(([name, [before, after]]) => h("li", {}, h("code", {}, name), ` ${shown(before)} → ${shown(after)}`));
    rows.push(["Settings", changed.length ? h("ul", {}, changed) : "As its parent was made."]);
  }
  for (const [source, { mean, low, high, n }] of Object.entries(version.metrics?.probe ?? {})) {
    rows.push([words(source), `${mean.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}) on ${n} probe pictures`]);
  }
  if (typeof version.metrics?.none_share === "number") rows.push(["None is good", `${Math.round(version.metrics.none_share * 100)} % of its judged groups`]);
  for (const [name, title] of Object.entries(MEASURED)) {
    if (typeof version.metrics?.[name] === "number") rows.push([title, version.metrics[name].toPrecision(3)]);
  }
  if (made.bytes) rows.push(["Files", bytes(made.bytes)]);
  return h("dl", { class: "facts" }, rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", { dir: "auto" }, value))));
}

// `changed(version)` is called after a change, `deleted(bytes)` and `queued(update)` after those.
export class More {
  constructor(version, { changed, deleted, queued, root }) {
    this.version = version;
    this.done = { changed, deleted, queued };
    this.root = root;
    this.title = h("input", { id: `name-${version.number}`, maxlength: "200", autocomplete: "off", dir: "auto" });
    this.text = h("textarea", { id: `note-${version.number}`, rows: "2", maxlength: "2000", dir: "auto" });
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    const [facts, marks, acts] = (this.parts = [h("div"), h("div"), h("div")]);
    this.node = h("div", { class: "more" }, facts, this.#words(), marks, this.alert, acts);
    this.#fill("", "");
  }

  // The version as it is now. What somebody is typing stays, and so does what they were told.
  show(version, made, numbers) {
    const { name, note } = this.version;
    this.version = version;
    this.made = made;
    this.#fill(name ?? "", note);
    const [before, marks, acts] = this.parts;
    before.replaceChildren(facts(version, made, numbers));
    marks.replaceChildren(this.#marks());
    acts.replaceChildren(this.#acts());
  }

  #fill(name, note) {
    if (this.title.value === name) this.title.value = this.version.name ?? "";
    if (this.text.value === note) this.text.value = this.version.note;
  }

  #words() {
    const submit = (event) => {
      event.preventDefault();
      this.#try(() => patch(`versions/${this.version.id}`, { name: this.title.value, note: this.text.value }));
    };
    return h("form", { class: "words", onsubmit: submit },
      h("label", { for: this.title.id }, "Name"), this.title,
      h("label", { for: this.text.id }, "Note"), this.text,
      h("button", { class: "button" }, "Save"));
  }

  #marks() {
    const tick = (field, title, why) => {
      const input = h("input", { type: "checkbox", checked: this.version[field] });
      input.addEventListener("change", () => this.#try(() => patch(`versions/${this.version.id}`, { [field]: input.checked }), () => (input.checked = !input.checked)));
      return h("label", { class: "tick" }, input, h("span", {}, title, h("span", { class: "quiet" }, why)));
    };
    return h("div", { class: "marks" },
      tick("pinned", "Pinned", "Never deleted, by nobody and by no housekeeping."),
      this.version.number > 0 ? tick("kept", "Kept for training again", "What it and its ancestors learned from stays on the disk.") : null);
  }

  #acts() {
    if (this.version.number === 0) return h("p", { class: "quiet" }, "Version 0 is the untouched base model and always stays.");
    const again = h("button", { type: "button", class: "button", "data-do": "again", onclick: () => new TrainAgain(this.root, this.version, this.done.queued) }, "Train again without …");
    const remove = h("button", { type: "button", class: "button is-danger", "data-do": "delete", onclick: () => this.#confirm() }, "Delete");
    return h("div", { class: "row" }, this.made.update ? again : null, remove);
  }

  #confirm() {
    const { number } = this.version;
    const box = h("dialog", { "aria-label": `Delete version ${number}` },
      h("h2", {}, `Delete version ${number}?`),
      h("p", {}, "Its LoRA files and its sample pictures are deleted for good. Ratings stay; groups that it drew and no update has used yet are learned from no more."),
      h("div", { class: "row is-end" },
        h("button", { type: "button", class: "button", onclick: () => box.close() }, "Keep it"),
        h("button", { type: "button", class: "button is-danger", onclick: () => { box.close(); this.#delete(); } }, "Delete")));
    box.addEventListener("close", () => box.remove());
    this.root.append(box);
    box.showModal();
  }

  async #delete() {
    try {
      const { freed_bytes: freed } = await remove(`versions/${this.version.id}`);
      this.done.deleted(`Version ${this.version.number} is deleted; ${bytes(freed)} are free again.`);
    } catch (error) {
      this.#refuse(error);
    }
  }

  async #try(task, undo) {
    try {
      this.#refuse(null);
      this.done.changed(await task());
    } catch (error) {
      undo?.();
      this.#refuse(error);
    }
  }

  #refuse(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }
}
