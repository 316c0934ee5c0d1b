// <loop-playground>: any prompt, seed, version, weight, steps and guidance; and what is worth judging
// goes to the raters as a group.
import { get, post } from "./api.js";
import { StudioElement, define, duration, h } from "./element.js";
import { openProjectPatiently } from "./project.js";
import { raterName } from "./rater-name.js";
import { session } from "./session.js";
import { shown } from "./veil.js";

const POLL = 500;
const ENDED = ["succeeded", "failed", "cancelled"];
const LARGEST_SEED = 2 ** 31 - 1;
const GENERATED = { num_inference_steps: "steps", guidance_scale: "guidance", adapter_weight: "weight" };

const anySeed = () => Math.floor(Math.random() * LARGEST_SEED);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const number = (input) => Number(input.value.trim().replace(",", ".") || NaN);

const unknownWords = (words) => (words.length ? `The model never saw ${words.map((word) => `“${word}”`).join(", ")}.` : "");

class Playground extends StudioElement {
  async start() {
    this.#build();
    const { project } = await openProjectPatiently((error) => this.#complain(error));
    this.project = project;
    try {
      const [{ versions }, { prompts }] = await Promise.all([get(`projects/${project.id}/versions`), get(`projects/${project.id}/prompts`)]);
      this.versions = versions;
      this.version.replaceChildren(...[...versions].reverse().map((version) => h("option", { value: version.number }, `Version ${version.number}${version.live ? ", live" : ""}${version.number ? "" : " (base)"}`)));
      this.version.value = String(versions.find((version) => version.live)?.number ?? 0);
      this.prompt.value ||= prompts[0]?.text ?? "";
      this.own = { num_inference_steps: project.settings.num_inference_steps, guidance_scale: project.settings.guidance_scale, adapter_weight: 1 };
      this.steps.value = this.own.num_inference_steps;
      this.guidance.value = this.own.guidance_scale;
      this.make.disabled = false;
      this.dataset.state = "ready";
    } catch (error) {
      this.#complain(error);
    }
  }

  #build() {
    this.prompt = h("textarea", { id: "prompt", rows: "3", maxlength: "1000", dir: "auto", required: true });
    this.seed = h("input", { id: "seed", inputmode: "numeric", autocomplete: "off", value: "1" });
    this.version = h("select", { id: "version", class: "button" });
    this.weightShown = h("output", { for: "weight" }, "1.00");
    this.weight = h("input", { id: "weight", type: "range", min: "0", max: "1.5", step: "0.05", value: "1", oninput: () => (this.weightShown.textContent = Number(this.weight.value).toFixed(2)) });
    this.steps = h("input", { id: "steps", inputmode: "numeric", autocomplete: "off" });
    this.guidance = h("input", { id: "guidance", inputmode: "decimal", autocomplete: "off" });
    this.make = h("button", { class: "button is-primary", disabled: true }, "Make the picture");
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.working = h("p", { class: "quiet", role: "status" });
    this.unknown = h("p", { class: "warn", role: "status", dir: "auto" });
    this.results = h("ol", { class: "results" });
    const field = (words, input, more) => h("div", { class: "field" }, h("label", { for: input.id }, words), input, more);
    const another = h("button", { type: "button", class: "button", onclick: () => (this.seed.value = String(anySeed())) }, "Another");
    const form = h("form", { onsubmit: (event) => this.#submit(event) },
      field("Prompt", this.prompt),
      h("div", { class: "fields" },
        h("div", { class: "field" }, h("label", { for: "seed" }, "Seed"), h("div", { class: "joined" }, this.seed, another)),
        field("Version", this.version),
        h("div", { class: "field" }, h("label", { for: "weight" }, "Adapter weight ", this.weightShown), this.weight),
        field("Denoising steps", this.steps),
        field("Guidance", this.guidance)),
      h("p", { class: "quiet" }, "Weight 1 is the version as it was trained, 0 the base model, above 1 more of the same. Pictures made here teach nothing."),
      this.alert, this.make, this.unknown, this.working);
    this.root.append(h("div", { class: "page" },
      h("section", { "aria-label": "Playground" }, h("h1", {}, "Playground"), form),
      h("section", { "aria-label": "Results" }, this.results)));
  }

  async #submit(event) {
    event.preventDefault();
    this.make.disabled = true;
    this.#complain(null);
    this.unknown.textContent = "";
    const settings = { num_inference_steps: number(this.steps), guidance_scale: number(this.guidance), adapter_weight: Number(this.weight.value) };
    const recipe = { prompt: this.prompt.value.trim(), seed: number(this.seed), version: Number(this.version.value), settings };
    try {
      const ticket = await post(`projects/${this.project.id}/samples`, { prompts: [recipe.prompt], seeds: [recipe.seed], version: recipe.version, settings });
      this.unknown.textContent = unknownWords(ticket.unknown_words);
      const image = await this.#wait(ticket);
      this.unknown.textContent = "";
      this.results.prepend(this.#result(image, recipe, ticket.unknown_words));
      this.working.textContent = "";
    } catch (error) {
      this.working.textContent = "";
      this.#complain(error);
    }
    this.make.disabled = false;
  }

  async #wait({ id }) {
    for (const began = Date.now(); ; await wait(POLL)) {
      const { status, images, eta_s: eta } = await get(`samples/${id}`);
      if (images.length) return images[0];
      if (ENDED.includes(status)) throw new Error("The picture could not be made; the log of the worker says why. Another version or other settings may work.");
      const left = eta == null ? "" : `, about ${duration(eta)} left`;
      this.working.textContent = status === "queued" ? "Waiting for the worker." : `Being made for ${duration((Date.now() - began) / 1000)}${left}.`;
    }
  }

  #result(image, recipe, unknown) {
    const said = h("p", { role: "status" });
    const send = h("button", { type: "button", class: "button", onclick: () => this.#send(recipe, send, said) }, "Send to the rating queue");
    return h("li", { "data-seed": recipe.seed },
      shown(image, { alt: `${recipe.prompt}, by version ${recipe.version}`, onload: (event) => event.target.classList.toggle("is-small", event.target.naturalWidth <= 128) }),
      h("div", { class: "told" },
        h("h2", { dir: "auto" }, recipe.prompt),
        unknown.length ? h("p", { class: "warn", dir: "auto" }, unknownWords(unknown)) : null,
        this.#recipe(recipe),
        h("p", { class: "quiet" }, this.#groupWords(recipe)),
        h("div", { class: "row" }, send), said));
  }

  #recipe({ seed, version, settings }) {
    const rows = [["Seed", seed], ["Version", version], ["Adapter weight", settings.adapter_weight], ["Denoising steps", settings.num_inference_steps], ["Guidance", settings.guidance_scale], ["Noise (eta)", this.project.settings.eta], ["Model", this.project.model]];
    return h("dl", { class: "recipe" }, rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
  }

  #groupWords({ version, settings }) {
    const size = this.project.settings.group_size;
    const start = `As a group: ${size} pictures of this prompt by version ${version}, to be judged and learned from.`;
    const other = Object.keys(GENERATED).filter((name) => settings[name] !== this.own[name]);
    if (!other.length) return `${start} This one is among them.`;
    const own = Object.entries(this.own).map(([name, value]) => `${GENERATED[name]} ${value}`).join(", ");
    return `${start} A group has to be replayed when it is learned from, so the project's own settings apply (${own}), not what you changed here (${other.map((name) => GENERATED[name]).join(", ")}).`;
  }

  async #send({ prompt, seed, version }, button, said) {
    button.disabled = true;
    said.textContent = "Being made.";
    try {
      const rater = (await session()).name ?? raterName();
      let order = await post(`projects/${this.project.id}/orders`, { prompt, seed, version, ...(rater ? { rater } : {}) });
      while (!ENDED.includes(order.status)) {
        await wait(POLL);
        order = await get(`orders/${order.id}`);
      }
      if (order.status !== "succeeded") throw new Error(order.error?.detail ?? "It was cancelled.");
      said.textContent = rater ? `It comes next on the Rate page for ${rater}.` : "It waits on the Rate page, after the groups of the live version.";
    } catch (error) {
      said.textContent = error.message;
      button.disabled = false;
    }
  }

  #complain(error) {
    this.alert.hidden = !error;
    this.alert.textContent = error?.message ?? "";
  }
}

await define("loop-playground", Playground, "page.css", "playground.css");
