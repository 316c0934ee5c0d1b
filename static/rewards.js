// <loop-rewards>: what the next update learns from, every reward there is, and a place to try them.
import { get, put } from "./api.js";
import "./autopilot.js";
import { StudioElement, define, h } from "./element.js";
import "./learned.js";
import { openProjectPatiently } from "./project.js";
import { Cards } from "./rewards-cards.js";
import { Mix } from "./rewards-mix.js";
import { Scoring } from "./rewards-scoring.js";
import { TryIt } from "./rewards-try.js";

class Rewards extends StudioElement {
  #last = Promise.resolve();
  #waiting = 0;

  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.page = h("div", { class: "page rewards" }, h("h1", {}, "Rewards"), this.alert);
    this.root.append(this.page);
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.#complain(null);
    this.projectId = project.id;
    this.scoring = new Scoring(project.id);
    this.mix = new Mix(project.id, (change) => this.#save(change));
    this.cards = new Cards((name, change) => this.#change(name, change));
    this.tryIt = new TryIt(project.id);
    this.mix.node.append(this.scoring.node);
    this.learned = h("loop-learned", { "onloop-reward": () => this.#reread() });
    this.page.append(this.mix.node, this.learned, h("loop-autopilot"), this.cards.node, this.tryIt.node);
    await this.#load().catch((error) => this.#complain(error));
    this.dataset.state = "ready";
  }

  async #load() {
    [{ rewards: this.models }, this.reward] = await Promise.all([
      get(`projects/${this.projectId}/rewards`),
      get(`projects/${this.projectId}/reward`),
    ]);
    await this.tryIt.load();
    this.#show();
  }

  #show() {
    this.mix.show(this.models, this.reward);
    this.cards.show(this.models, this.reward);
    this.tryIt.show(this.models, this.reward);
    this.scoring.watch(this.models);
  }

  // A card puts its reward into the mix or takes it out, or gives it other parameters.
  #change(name, { used, parameters }) {
    return this.#save(({ human, models }) => {
      const weights = { human, models: { ...models } };
      if (used !== undefined) weights.models[name] = used ? 1 : 0;
      const nothing = human === 0 && !Object.values(weights.models).some((weight) => weight > 0);
      if (nothing) weights.human = 1; // the last reward is taken out: people count again
      return parameters ? { ...weights, parameters: { [name]: parameters } } : weights;
    });
  }

  // Changes go one after the other, each made from what the one before it left: two quick clicks
  // are both kept. Answers with the sentence of a refusal, or an empty one.
  #save(change) {
    this.#waiting += 1;
    this.#last = this.#last.then(() => this.#send(change(this.reward)));
    return this.#last;
  }

  // The learned reward has a switch of its own, which has changed the mix.
  #reread() {
    this.#last = this.#last.then(async () => {
      this.reward = await get(`projects/${this.projectId}/reward`);
      this.#show();
    });
    return this.#last.catch((error) => this.#complain(error));
  }

  async #send(weights) {
    let refusal = "";
    try {
      this.reward = await put(`projects/${this.projectId}/reward`, weights);
      if (weights.parameters) this.models = (await get(`projects/${this.projectId}/rewards`)).rewards;
    } catch (error) {
      refusal = error.message;
    }
    this.#waiting -= 1;
    if (!this.#waiting) this.#show();
    this.learned.look();
    this.mix.say(refusal || "Saved. The next update uses it.", Boolean(refusal));
    return refusal;
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }
}

await define("loop-rewards", Rewards, "page.css", "rewards.css");
