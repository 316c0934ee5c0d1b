// The mix: people, automatic rewards, or both, in one click; and how much each of them counts.
import { recall, remember } from "./address.js";
import { h } from "./element.js";

const PRESETS = [
  ["people", "People", "Only the judgements made on the Rate page."],
  ["automatic", "Automatic", "Only reward models. Nobody needs to judge."],
  ["both", "Both", "Judgements and reward models together."],
];
const HIGHEST = 3; // of a slider; a larger weight stretches its own
const FIRST = "clip_score";

const used = (models) => Object.entries(models).filter(([, weight]) => weight > 0);
const presetOf = ({ human, models }) => (used(models).length ? (human > 0 ? "both" : "automatic") : "people");

export class Mix {
  constructor(projectId, save) {
    this.key = `mix:${projectId}`;
    this.save = save;
    this.presets = h("div", { class: "choices", role: "radiogroup", "aria-labelledby": "mix-title" });
    this.sliders = h("div", { class: "sliders" });
    this.message = h("p", { role: "status", class: "quiet" });
    this.node = h(
      "section",
      {},
      h("h2", { id: "mix-title" }, "What the next update learns from"),
      h("p", { class: "quiet" }, "Judgements and scores are kept whatever is chosen here, so you can switch back at any time."),
      this.presets,
      this.sliders,
      this.message,
    );
  }

  say(text, isRefusal = false) {
    this.message.textContent = text;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }

  show(models, reward) {
    this.models = models;
    this.reward = reward;
    if (used(reward.models).length) remember(this.key, reward.models);
    this.#showPresets();
    this.#showSliders();
  }

  #showPresets() {
    const now = presetOf(this.reward);
    const focused = this.presets.getRootNode().activeElement?.value;
    this.presets.replaceChildren(
      ...PRESETS.map(([value, name, words]) =>
        h(
          "label",
          { class: "choice" },
          h("input", { type: "radio", name: "preset", value, checked: value === now, onchange: () => this.save((reward) => this.#weightsOf(value, reward)) }),
          h("span", {}, h("b", {}, name), h("span", { class: "quiet" }, words)),
        ),
      ),
    );
    this.presets.querySelector(`[value="${focused}"]`)?.focus();
  }

  #weightsOf(preset, reward) {
    const nothing = Object.fromEntries(this.models.map(({ name }) => [name, 0]));
    if (preset === "people") return { human: 1, models: nothing };
    const remembered = recall(this.key, {});
    const usable = this.models.filter(({ name, available }) => available && remembered[name] > 0);
    const mix = usable.length ? Object.fromEntries(usable.map(({ name }) => [name, remembered[name]])) : { [FIRST]: 1 };
    return { human: preset === "both" ? reward.human || 1 : 0, models: { ...nothing, ...mix } };
  }

  #showSliders() {
    const { human, models } = this.reward;
    const rows = [["human", "People", human], ...used(models).map(([name, weight]) => [name, this.#titleOf(name), weight])];
    this.sliders.hidden = rows.length < 2; // one source alone has nothing to weigh against
    const isSame = rows.map(([name]) => name).join() === this.#inputs.map((input) => input.dataset.source).join();
    if (!isSame) this.sliders.replaceChildren(...rows.map((row) => this.#slider(...row)));
    rows.forEach(([, , weight], index) => (this.#inputs[index].value = String(weight)));
    this.#showShares();
  }

  #titleOf(name) {
    return this.models.find((model) => model.name === name)?.title ?? name;
  }

  #slider(name, title, weight) {
    const share = h("output", { for: `weight-${name}`, class: "share" });
    const input = h("input", {
      id: `weight-${name}`,
      type: "range",
      min: "0",
      max: String(Math.max(HIGHEST, Math.ceil(weight))),
      step: "0.05",
      value: String(weight),
      "data-source": name,
      oninput: () => this.#showShares(),
      onchange: () => this.#slid(name, Number(input.value)),
    });
    return h("div", { class: "slider" }, h("label", { for: `weight-${name}` }, title), input, share);
  }

  get #inputs() {
    return [...this.sliders.querySelectorAll("input")];
  }

  #showShares() {
    const total = this.#inputs.reduce((sum, input) => sum + Number(input.value), 0);
    for (const input of this.#inputs) {
      const share = total ? Math.round((100 * Number(input.value)) / total) : 0;
      input.nextElementSibling.textContent = `${share} %`;
      input.setAttribute("aria-valuetext", `weight ${input.value}, ${share} % of the mix`);
    }
  }

  #slid(source, weight) {
    if (this.#inputs.every((input) => Number(input.value) === 0)) {
      this.#showSliders();
      return this.say("Something must count: leave one of the weights above 0.", true);
    }
    return this.save(({ human, models }) => (source === "human" ? { human: weight, models } : { human, models: { ...models, [source]: weight } }));
  }
}
