// Where the reward is chosen now: a sentence on what counts, and the way to the Rewards page.
import { pageUrl } from "./address.js";
import { get } from "./api.js";
import { h } from "./element.js";

export class RewardLink {
  constructor(projectId) {
    this.projectId = projectId;
    this.words = h("span", {});
    const link = h("a", { href: pageUrl("rewards", projectId) }, "Change it on the Rewards page");
    this.node = h("section", {}, h("h2", {}, "Reward"), h("p", { class: "quiet" }, this.words, link, "."));
  }

  async load() {
    const { human, models } = await get(`projects/${this.projectId}/reward`);
    const automatic = Object.values(models).some((weight) => weight > 0);
    const sources = human > 0 ? (automatic ? "people and reward models" : "people") : "reward models";
    this.words.textContent = `The next update learns from ${sources}. `;
  }
}
