// A card for every reward: what it measures, what it costs, whether it can be used, its parameters.
import { h } from "./element.js";

const FACTS = [
  ["range", "Scores"],
  ["cost", "Time"],
  ["memory", "Memory"],
  ["licence", "Licence"],
];

export class Cards {
  // `change(name, {used, parameters})` answers with the sentence of a refusal, or an empty one.
  constructor(change) {
    this.change = change;
    this.list = h("ul", { class: "cards" });
    this.node = h(
      "section",
      {},
      h("h2", {}, "Reward models"),
      h("p", { class: "quiet" }, "Each gives every picture a number of its own. Put one or more into the mix."),
      this.list,
    );
  }

  show(models, { models: weights, parameters }) {
    const open = new Set([...this.list.querySelectorAll("details[open]")].map((node) => node.dataset.name));
    const focused = this.list.getRootNode().activeElement?.id;
    const usableFirst = [...models].sort((one, other) => other.available - one.available);
    this.list.replaceChildren(
      ...usableFirst.map((model) => this.#card(model, weights[model.name] > 0, parameters[model.name] ?? {}, open)),
    );
    if (focused) this.list.querySelector(`[id="${focused}"]`)?.focus();
  }

  #card(model, isUsed, values, open) {
    const { name, title, description, available, reason, note, parameters } = model;
    const use = h("input", { type: "checkbox", id: `use-${name}`, checked: isUsed, disabled: !available && !isUsed, "aria-describedby": `about-${name}`, onchange: () => this.change(name, { used: use.checked }) });
    const told = FACTS.filter(([key]) => model[key] !== "none");
    const facts = h("dl", { class: "facts" }, told.map(([key, words]) => h("div", {}, h("dt", {}, words), h("dd", {}, model[key]))));
    return h(
      "li",
      { class: isUsed ? "card is-used" : "card", "data-name": name },
      h("div", { class: "card-head" }, h("h3", {}, title), h("label", { class: "use" }, use, h("span", {}, "In the mix", h("span", { class: "unseen" }, `: ${title}`)))),
      h("p", { id: `about-${name}` }, `${description}.`),
      reason && h("p", { class: "missing" }, h("b", {}, "Not available. "), reason),
      note && h("details", { "data-name": `weights of ${name}`, open: open.has(`weights of ${name}`) }, h("summary", {}, "Not on this machine yet"), h("p", { class: "quiet" }, note)),
      facts,
      parameters.length ? this.#parameters(model, values, open.has(name)) : null,
    );
  }

  #parameters({ name, title, parameters }, values, isOpen) {
    const refusal = h("p", { class: "refusal", role: "status" });
    const fields = parameters.map((parameter) => {
      const id = `parameter-${name}-${parameter.name}`;
      const attributes = { id, autocomplete: "off", spellcheck: "false", dir: "auto", "aria-describedby": `${id}-help`, maxlength: "4000" };
      const input = parameter.long ? h("textarea", { ...attributes, rows: "5" }) : h("input", attributes);
      input.value = values[parameter.name] ?? parameter.default;
      return { parameter, input, node: h("div", { class: "parameter" }, h("label", { for: id }, parameter.title), input, h("p", { class: "quiet", id: `${id}-help` }, parameter.help)) };
    });
    const save = async (event) => {
      event.preventDefault();
      const given = Object.fromEntries(fields.map(({ parameter, input }) => [parameter.name, input.value.trim()]));
      refusal.textContent = await this.change(name, { parameters: given });
    };
    return h(
      "details",
      { "data-name": name, open: isOpen },
      h("summary", {}, "Set up", h("span", { class: "unseen" }, ` ${title}`)),
      h("form", { onsubmit: save }, fields.map(({ node }) => node), refusal, h("button", { class: "button" }, "Save")),
    );
  }
}
