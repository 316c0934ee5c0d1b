// Try it: any picture, or a group of the project, scored by several rewards side by side.
import { ApiError, Offline, get, picture, post, request } from "./api.js";
import { h } from "./element.js";

const LARGEST = 20 * 2 ** 20; // bytes; a server that refuses early cuts the line before it is heard
const LOOK_MS = 500;
const SENDING_MS = 120_000;
const UNDER_WAY = ["queued", "running", "paused"];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3));

export class TryIt {
  #chosen = null; // names of the rewards to try; until someone chooses, those in the mix

  constructor(projectId) {
    this.projectId = projectId;
    this.models = h("div", { class: "chips", role: "group", "aria-label": "Rewards to try" });
    this.file = h("input", { type: "file", id: "try-file", accept: "image/png,image/jpeg,image/webp" });
    this.prompt = h("input", { id: "try-prompt", maxlength: "1000", autocomplete: "off", dir: "auto" });
    this.send = h("button", { class: "button" }, "Score this picture");
    this.groups = h("ul", { class: "groups" });
    this.message = h("p", { role: "status", class: "quiet" });
    this.results = h("div", { class: "results" });
    this.node = h(
      "section",
      { class: "try" },
      h("h2", {}, "Try it"),
      h("p", { class: "quiet" }, "See what each reward says of a picture before it teaches anything. Nothing here is learned from."),
      this.models,
      h(
        "form",
        { onsubmit: (event) => this.#sent(event) },
        h("div", {}, h("label", { for: "try-file" }, "Picture"), this.file),
        h("div", {}, h("label", { for: "try-prompt" }, "Prompt it is held against"), this.prompt),
        this.send,
      ),
      h("h3", {}, "Or a group that was judged or learned from"),
      this.groups,
      this.message,
      this.results,
    );
  }

  async load() {
    const { groups } = await get(`projects/${this.projectId}/trials/groups`);
    const nothing = h("li", { class: "quiet" }, "None yet: groups appear here once somebody has judged them.");
    this.groups.replaceChildren(...(groups.length ? groups.map((group) => this.#group(group)) : [nothing]));
  }

  show(models, reward) {
    this.titles = new Map(models.map(({ name, title }) => [name, title]));
    const usable = models.filter(({ available }) => available);
    const inMix = usable.filter(({ name }) => reward.models[name] > 0).map(({ name }) => name);
    const chosen = this.#chosen ?? new Set(inMix.length ? inMix : ["clip_score"]);
    this.models.replaceChildren(
      ...usable.map(({ name, title }) =>
        h("label", { class: "chip" }, h("input", { type: "checkbox", value: name, checked: chosen.has(name), onchange: () => this.#choose() }), title),
      ),
    );
  }

  #choose() {
    this.#chosen = new Set(this.#names);
  }

  get #names() {
    return [...this.models.querySelectorAll("input:checked")].map((input) => input.value);
  }

  #group(group) {
    const [{ prompt }] = group.images;
    const pictures = group.images.map((image) => h("img", { src: picture(image), alt: "", width: "44", height: "44", loading: "lazy" }));
    return h("li", {}, h("button", { type: "button", class: "group", onclick: () => this.#try(() => this.#ofGroup(group)) }, h("span", { class: "thumbs" }, pictures), h("span", { dir: "auto" }, h("span", { class: "unseen" }, "Score the group: "), prompt)));
  }

  #ofGroup(group) {
    return post(`projects/${this.projectId}/trials`, { group_id: group.id, models: this.#names });
  }

  #sent(event) {
    event.preventDefault();
    const [file] = this.file.files;
    if (!file) return this.#say("Choose a picture first.", true);
    if (file.size > LARGEST) return this.#say("The picture is larger than 20 MiB; send a smaller one.", true);
    const query = new URLSearchParams([["prompt", this.prompt.value.trim()], ...this.#names.map((name) => ["model", name])]);
    const path = `projects/${this.projectId}/trials/picture?${query}`;
    return this.#try(() => request("POST", path, { file, timeout: SENDING_MS }), URL.createObjectURL(file));
  }

  // One trial at a time; a later one takes the place of what an earlier one still says.
  async #try(begin, ownPicture = null) {
    if (!this.#names.length) return this.#say("Choose at least one reward above.", true);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    this.#say("Sending …");
    try {
      let trial = await begin();
      while (turn === this.turn) {
        this.#show(trial, ownPicture);
        if (!UNDER_WAY.includes(trial.status)) break;
        await pause(LOOK_MS);
        trial = await this.#look(trial);
      }
    } catch (error) {
      if (turn === this.turn) this.#say(error.message, true);
    }
  }

  async #look(trial) {
    try {
      return await get(`trials/${trial.id}`);
    } catch (error) {
      if (error instanceof Offline || (error instanceof ApiError && !error.permanent)) return trial;
      throw error;
    }
  }

  #show(trial, ownPicture) {
    const heads = trial.images.map((image, index) =>
      h("th", { scope: "col" }, h("img", { src: image.url ? picture(image) : ownPicture, alt: `Picture ${index + 1}`, width: "88", height: "88" })),
    );
    const rows = trial.results.map((result) => this.#row(result, trial.images.length));
    const table = h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), heads)), h("tbody", {}, rows));
    this.results.replaceChildren(h("p", { dir: "auto", class: "quiet" }, trial.images[0].prompt || "No prompt"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores" }, table));
    if (trial.status === "succeeded") this.#say("Done.");
    else if (trial.error) this.#say(trial.error.detail, true);
    else this.#say(trial.status === "queued" ? "Waits for the worker …" : `Scoring: ${trial.step} of ${trial.steps} rewards …`);
  }

  #row({ name, scores, error }, count) {
    const best = scores && count > 1 ? Math.max(...scores) : null;
    const cells = scores
      ? scores.map((score) => h("td", { class: score === best ? "is-best" : "" }, number(score), score === best ? h("span", { class: "unseen" }, " highest") : null))
      : [h("td", { colspan: String(count), class: "refusal" }, error)];
    return h("tr", {}, h("th", { scope: "row" }, this.titles.get(name) ?? name), cells);
  }

  #say(text, isRefusal = false) {
    this.message.textContent = text;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }
}
