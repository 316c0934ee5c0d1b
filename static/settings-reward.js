// What an update learns from: people or a reward model in one click, or a weighted mix.
import { get, put } from "./api.js";
import { h } from "./element.js";

const title = (name) => name.replaceAll("_", " ");

export class RewardForm {
  constructor(projectId) {
    this.projectId = projectId;
    this.choices = h("div", { class: "choices", role: "radiogroup", "aria-labelledby": "reward-title" });
    this.weights = h("div", { class: "weights" });
    this.message = h("p", { role: "status", class: "quiet" });
    this.save = h("button", { class: "button" }, "Save weights");
    this.details = h("details", {}, h("summary", {}, "Weights"), h("form", { onsubmit: (event) => this.#submit(event) }, this.weights, this.save));
    this.node = h(
      "section",
      {},
      h("h2", { id: "reward-title" }, "Reward"),
      h("p", { class: "quiet" }, "What the next update learns from. Judgements and scores are kept whatever is chosen here."),
      this.choices,
      this.message,
      this.details,
    );
  }

  async load() {
    const [{ rewards }, reward] = await Promise.all([get("rewards"), get(`projects/${this.projectId}/reward`)]);
    this.models = rewards;
    this.inputs = new Map();
    const row = (name, words, reason) => {
      const input = h("input", { id: `weight-${name}`, inputmode: "decimal", autocomplete: "off", disabled: Boolean(reason) });
      this.inputs.set(name, input);
      return h("div", { class: "field" }, h("label", { for: `weight-${name}` }, words, reason ? h("span", { class: "quiet" }, reason) : null), input);
    };
    this.weights.replaceChildren(
      row("human", "People"),
      ...rewards.map((model) => row(model.name, title(model.name), model.available ? "" : model.reason)),
    );
    this.#show(reward);
  }

  get #available() {
    return this.models.filter((model) => model.available);
  }

  #weightsFor(choice) {
    const models = Object.fromEntries(this.models.map((model) => [model.name, 0]));
    if (choice === "human") return { human: 1, models };
    return { human: 0, models: { ...models, [choice]: 1 } };
  }

  #show(reward) {
    this.reward = reward;
    const used = Object.entries(reward.models).filter(([, weight]) => weight > 0);
    const now = reward.human > 0 ? (used.length ? "mix" : "human") : used.length === 1 ? used[0][0] : "mix";
    const option = (value, name, words, reason = "") =>
      h(
        "label",
        { class: "choice" },
        h("input", { type: "radio", name: "reward", value, checked: value === now, disabled: Boolean(reason), onchange: () => this.#put(this.#weightsFor(value)) }),
        h("span", {}, h("b", {}, name), h("span", { class: "quiet" }, reason || words)),
      );
    const options = [option("human", "People", "The judgements made on the Rate page.")];
    for (const model of this.models) {
      options.push(option(model.name, `Automatic: ${title(model.name)}`, model.description, model.available ? "" : model.reason));
    }
    if (now === "mix") options.push(option("mix", "A mix", "The weights below."));
    this.choices.replaceChildren(...options);
    this.inputs.get("human").value = reward.human;
    for (const model of this.models) this.inputs.get(model.name).value = reward.models[model.name] ?? 0;
    this.details.open ||= now === "mix";
  }

  #submit(event) {
    event.preventDefault();
    const number = (name) => Number(this.inputs.get(name).value.replace(",", "."));
    const wrong = [...this.inputs.keys()].find((name) => !(number(name) >= 0 && Number.isFinite(number(name))));
    if (wrong) return this.#say(`The weight of ${wrong === "human" ? "people" : title(wrong)} must be a number from 0 up.`, true);
    const models = Object.fromEntries(this.#available.map(({ name }) => [name, number(name)]));
    return this.#put({ human: number("human"), models });
  }

  async #put(weights) {
    try {
      const reward = await put(`projects/${this.projectId}/reward`, weights);
      this.#show(reward);
      this.#say("Saved. The next update uses it.");
    } catch (error) {
      this.#show(this.reward);
      this.#say(error.message, true);
    }
  }

  #say(text, isRefusal = false) {
    this.message.textContent = text;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }
}
