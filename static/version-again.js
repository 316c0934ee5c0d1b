// "Train again without …": whose ratings, or which ones, a version is to be made again without.
import { get, post } from "./api.js";
import { h, moment, plural } from "./element.js";

function byRater(ratings) {
  const raters = new Map();
  for (const { rater_id: id, rater } of ratings) {
    const known = raters.get(id) ?? { id, name: rater, count: 0 };
    raters.set(id, { ...known, count: known.count + 1 });
  }
  return [...raters.values()].sort((a, b) => b.count - a.count);
}

export class TrainAgain {
  #raters = new Set();
  #ratings = new Set();
  #turn = 0;

  constructor(root, version, queued) {
    this.version = version;
    this.queued = queued;
    this.choices = h("div", { class: "choices" }, h("p", { class: "quiet" }, "Looking up what it learned from."));
    this.plan = h("p", { role: "status" }, "Choose whom or what to leave out.");
    this.start = h("button", { type: "button", class: "button is-primary", disabled: true, onclick: () => this.#start() }, "Train again");
    this.box = h("dialog", { class: "again", "aria-label": `Train version ${version.number} again` },
      h("h2", {}, `Train version ${version.number} again without …`),
      h("p", { class: "quiet" }, "It starts from the last version that they had no part in and repeats the updates since, with the same settings and seeds. The result is a branch: nothing is changed or made live."),
      this.choices, this.plan,
      h("div", { class: "row is-end" }, h("button", { type: "button", class: "button", onclick: () => this.box.close() }, "Cancel"), this.start));
    this.box.addEventListener("close", () => this.box.remove());
    root.append(this.box);
    this.box.showModal();
    this.#load();
  }

  async #load() {
    try {
      const { ratings, more } = await get(`versions/${this.version.id}/ratings`);
      const single = ratings.map((one) => this.#tick(this.#ratings, one.event_id, `${one.rater}: ${one.prompt}`, `update ${one.update}, ${moment(one.created_at)}`));
      this.choices.replaceChildren(
        h("h3", {}, "Raters"),
        ...byRater(ratings).map(({ id, name, count }) => this.#tick(this.#raters, id, name, plural(count, "rating"))),
        h("details", {}, h("summary", {}, "Single ratings"), more ? h("p", { class: "quiet" }, "The newest 500 are listed.") : null, h("div", { class: "single" }, single)));
    } catch (error) {
      this.#say(error.message);
    }
  }

  #tick(chosen, id, title, why) {
    const input = h("input", { type: "checkbox" });
    input.addEventListener("change", () => {
      if (input.checked) chosen.add(id);
      else chosen.delete(id);
      this.#ask();
    });
    return h("label", { class: "tick" }, input, h("span", { dir: "auto" }, title, h("span", { class: "quiet" }, why)));
  }

  async #ask() {
    const turn = ++this.#turn;
    this.start.disabled = true;
    const query = new URLSearchParams();
    for (const id of this.#raters) query.append("rater", id);
    for (const id of this.#ratings) query.append("rating", id);
    if (!query.size) return this.#say("Choose whom or what to leave out.");
    try {
      const plan = await get(`versions/${this.version.id}/retraining?${query}`);
      if (turn !== this.#turn) return;
      this.#say(`Starts from version ${plan.ancestor} and repeats ${plural(plan.updates, "update")} with ${plural(plan.ratings, "rating")} of ${plural(plan.groups, "group")}; ${plan.left_out} left out.`);
      this.start.disabled = false;
    } catch (error) {
      if (turn === this.#turn) this.#say(error.message);
    }
  }

  async #start() {
    this.start.disabled = true;
    try {
      const update = await post(`versions/${this.version.id}/retraining`, { raters: [...this.#raters], ratings: [...this.#ratings] });
      this.box.close();
      this.queued(update);
    } catch (error) {
      this.#say(error.message);
    }
  }

  #say(words) {
    this.plan.textContent = words;
  }
}
