// Everyone who judged here, in figures, and whom the studio learns from.
import { pageUrl } from "./address.js";
import { get, patch } from "./api.js";
import { h, plural } from "./element.js";

const percent = (share) => `${Math.round(100 * share)} %`;
const NAMES = { best_picture: "the best picture", stars: "stars", rank: "ranking", good: "good or not" };

// "83 % (66 to 93, of 30)": a share with its 95 % interval and what stands behind it.
const interval = (share) =>
  share ? `${percent(share.value)} (${Math.round(100 * share.low)} to ${Math.round(100 * share.high)}, of ${share.n})` : "not yet";

export class Raters {
  #asking = null; // id of the rater whose exclusion waits for a yes

  constructor(projectId) {
    this.projectId = projectId;
    this.agreement = h("p", { class: "quiet" });
    this.list = h("ul", { class: "raters" });
    this.message = h("p", { role: "status", class: "quiet" });
    this.node = h("section", {}, h("h2", {}, "Raters"), this.agreement, this.list, this.message);
  }

  async load() {
    const path = `projects/${this.projectId}`;
    const [{ raters }, agreement] = await Promise.all([get(`${path}/raters`), get(`${path}/agreement`)]);
    this.raters = raters;
    this.agreement.textContent = this.#agreed(agreement);
    this.#show();
  }

  #agreed({ best_picture: best, measures, least_groups: least }) {
    if (!best) return "Agreement shows once two raters have judged the same groups: raise overlap below.";
    const alphas = measures.map(({ name, alpha, groups }) => {
      const found = alpha === null ? (groups < least ? "not enough yet" : "no variety") : alpha.toFixed(2);
      return `${NAMES[name]} ${found} (${plural(groups, "group")})`;
    });
    return `Two raters name the same best picture in ${interval(best)} groups. Krippendorff's alpha, 1 in full agreement and 0 by chance: ${alphas.join(", ")}.`;
  }

  #show() {
    if (!this.raters.length) this.list.replaceChildren(h("li", { class: "quiet" }, "Nobody has judged here yet."));
    else this.list.replaceChildren(...this.raters.map((rater) => this.#row(rater)));
  }

  #row(rater) {
    const pace = rater.pace_s === null ? null : `${rater.pace_s.toFixed(1)} s each`;
    const facts = [
      plural(rater.ratings, "rating"),
      pace,
      `same answer on repeats: ${interval(rater.self_consistency)}`,
      `agrees with others: ${interval(rater.agreement)}`,
    ];
    const asks = this.#asking === rater.id;
    const button = (words, act) => h("button", { type: "button", class: "button", onclick: act }, words);
    return h(
      "li",
      { "data-rater": rater.id },
      h("div", {},
        h("h3", { dir: "auto" }, rater.name, rater.excluded ? h("span", { class: "quiet" }, " excluded") : null),
        h("p", { class: "quiet" }, facts.filter(Boolean).join(" · ")),
        asks ? h("p", { role: "alert" }, `Nothing of ${rater.name} is deleted, but no later update learns from it. You can take it back.`) : null),
      h("div", { class: "row" },
        rater.excluded ? button("Learn again", () => this.#put(rater, false)) : null,
        asks ? button("Yes, exclude", () => this.#put(rater, true)) : null,
        asks ? button("Keep", () => this.#ask(null)) : null,
        rater.excluded || asks ? null : button("Exclude", () => this.#ask(rater.id)),
        asks ? null : h("a", { class: "button", href: this.#removal(rater.name) }, "Remove data …")),
    );
  }

  #removal(name) {
    const url = new URL(pageUrl("data", this.projectId));
    url.searchParams.set("rater", name);
    return url.href;
  }

  #ask(id) {
    this.#asking = id;
    this.#show();
  }

  async #put(rater, excluded) {
    try {
      await patch(`projects/${this.projectId}/raters/${rater.id}`, { excluded });
      this.#asking = null;
      await this.load();
      this.#say(excluded ? `${rater.name} is excluded.` : `The studio learns from ${rater.name} again.`);
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #say(text, isRefusal = false) {
    this.message.textContent = text;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }
}
