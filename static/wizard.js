// A new project in three questions: what to start from, what to teach, who judges.
import { get, post } from "./api.js";
import { h, plural } from "./element.js";

const OWN = "own";
const TITLES = ["What do you start from?", "What do you want to teach?", "Who judges?"];
const JUDGES = [
  ["people", "People", "You and whoever you invite choose on the Rate page."],
  ["automatic", "An automatic reward", "A model scores every picture; nobody needs to look."],
  ["both", "Both", "People count most; the automatic reward helps where they are few."],
];
const MOST_BYTES = 900_000; // a request takes 1 MiB

const lines = (text) => [...new Set(text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean))];

function choice(group, value, title, words, { checked = false, disabled = false, onchange } = {}) {
  return h(
    "label",
    { class: "choice" },
    h("input", { type: "radio", name: group, value, checked, disabled, onchange }),
    h("span", {}, h("b", {}, title), h("span", { class: "quiet" }, words)),
  );
}

const chosen = (form, group) => form.querySelector(`input[name="${group}"]:checked`)?.value;

class Wizard {
  #step = 0;

  constructor(presets, rewards, done) {
    Object.assign(this, { presets, done, rewards: rewards.filter((reward) => reward.available) });
    this.heading = h("h2", { tabindex: "-1" });
    this.count = h("p", { class: "quiet" });
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.back = h("button", { type: "button", class: "button", onclick: () => this.#show(this.#step - 1) }, "Back");
    this.next = h("button", { class: "button is-primary" });
    this.form = h("form", { novalidate: true, onsubmit: (event) => this.#submit(event) });
    this.parts = [this.#start(), this.#teaching(), this.#judging()];
    this.form.append(...this.parts, this.alert,
      h("div", { class: "row is-end" },
        h("button", { type: "button", class: "button", onclick: () => this.box.close() }, "Cancel"), this.back, this.next));
    this.box = h("dialog", { class: "wizard", "aria-label": "New project" }, this.count, this.heading, this.form);
    this.box.addEventListener("close", () => this.box.remove());
    this.#presetChanged();
    this.#show(0);
  }

  get preset() {
    const name = chosen(this.form, "start") ?? this.presets[0].name;
    return this.presets.find((preset) => preset.name === (name === OWN ? this.like.value : name)) ?? this.presets[0];
  }

  get isOwn() {
    return chosen(this.form, "start") === OWN;
  }

  #start() {
    const changed = { onchange: () => this.#presetChanged() };
    this.model = h("input", { id: "model", maxlength: "1000", autocomplete: "off", spellcheck: "false", placeholder: "/models/mine or owner/name" });
    const large = this.presets.filter((preset) => preset.memory_gb);
    this.like = h("select", { id: "like", class: "button", onchange: changed.onchange }, large.map((preset) => h("option", { value: preset.name }, preset.title)));
    this.own = h("div", { class: "stack", hidden: true },
      h("label", { for: "model" }, "Folder of a diffusers model, or its id on the hub"), this.model,
      h("label", { for: "like" }, "Settings for a model like"), this.like);
    this.reasons = h("details", { class: "reasons" });
    return h("div", { class: "stack" },
      h("div", { class: "choices" },
        this.presets.map((preset, place) => choice("start", preset.name, preset.title, preset.description, { checked: place === 0, ...changed })),
        choice("start", OWN, "A model of your own", "A folder on this machine, or any Stable Diffusion or SDXL of the hub.", changed)),
      this.own, this.reasons);
  }

  #teaching() {
    this.list = h("textarea", { id: "own-prompts", rows: "7", dir: "auto", spellcheck: "false", placeholder: "One prompt per line", oninput: () => this.#counted() });
    this.file = h("input", { type: "file", id: "prompt-file", accept: ".txt,text/plain", onchange: () => this.#read() });
    this.lined = h("p", { class: "quiet", role: "status" });
    this.written = h("div", { class: "stack", hidden: true }, h("label", { for: "own-prompts" }, "Your prompts"), this.list, this.lined);
    this.filed = h("div", { class: "stack", hidden: true },
      h("label", { for: "prompt-file" }, "Text file, one prompt per line"), this.file,
      h("p", { class: "quiet" }, "CSV and JSON lines can be imported later, in Settings."));
    this.presetList = h("p", { class: "quiet", dir: "auto" });
    const changed = { onchange: () => this.#sourceChanged() };
    return h("div", { class: "stack" },
      h("div", { class: "choices" },
        choice("teach", "preset", "The studio's list", "Varied prompts that suit the model.", { checked: true, ...changed }),
        choice("teach", "own", "My own prompts", "Write or paste them, one per line.", changed),
        choice("teach", "file", "From a file", "A text file that you have.", changed)),
      this.presetList, this.filed, this.written);
  }

  #judging() {
    this.name = h("input", { id: "project-name", maxlength: "200", autocomplete: "off", dir: "auto", oninput: () => { this.name.dataset.typed = "yes"; } });
    this.reward = h("select", { id: "which-reward", class: "button" }, this.rewards.map((reward) => h("option", { value: reward.name }, `${reward.name}: ${reward.description}`)));
    this.rewarded = h("div", { class: "stack", hidden: true }, h("label", { for: "which-reward" }, "Automatic reward"), this.reward);
    const changed = () => { this.rewarded.hidden = chosen(this.form, "judge") === "people"; };
    const none = !this.rewards.length;
    return h("div", { class: "stack" },
      h("div", { class: "choices" },
        JUDGES.map(([value, title, words], place) => choice("judge", value, title, words, { checked: place === 0, disabled: none && place > 0, onchange: changed }))),
      this.rewarded,
      h("label", { for: "project-name" }, "Name of the project"), this.name);
  }

  #presetChanged() {
    const { preset, isOwn } = this;
    this.own.hidden = !isOwn;
    this.reasons.hidden = !preset.choices.length;
    const memory = preset.estimate_gb ? `${preset.estimate_gb} GB counted of ${preset.memory_gb}` : "";
    this.reasons.replaceChildren(
      h("summary", {}, `Settings and why${memory && !isOwn ? ` (${memory})` : ""}`),
      h("dl", {}, preset.choices.map(({ setting, value, reason }) =>
        h("div", {}, h("dt", {}, h("code", {}, `${setting} ${value}`)), h("dd", { class: "quiet" }, reason)))));
    const shown = preset.prompts.slice(0, 3).join("; ");
    this.presetList.textContent = `${plural(preset.prompts.length, "prompt")}: ${shown}; …`;
    if (!this.name.dataset.typed) this.name.value = isOwn ? "My model" : preset.title;
  }

  #sourceChanged() {
    const source = chosen(this.form, "teach");
    this.presetList.hidden = source !== "preset";
    this.filed.hidden = source !== "file";
    this.written.hidden = source === "preset" || (source === "file" && !this.list.value);
  }

  async #read() {
    const [file] = this.file.files;
    if (!file) return;
    if (file.size > MOST_BYTES) return this.#refuse("The file is larger than 0.9 MB; make the project first and import the list in Settings.");
    this.list.value = lines(await file.text()).join("\n");
    this.alert.hidden = true;
    this.#counted();
    this.#sourceChanged();
  }

  #counted() {
    this.lined.textContent = plural(lines(this.list.value).length, "prompt");
  }

  // What stands in the way of the next step, if anything.
  #hindrance() {
    if (this.#step === 0 && this.isOwn && !this.model.value.trim()) return [this.model, "Give the folder of the model, or its id on the hub."];
    if (this.#step === 1 && chosen(this.form, "teach") === "file" && !this.list.value.trim()) return [this.file, "Choose a file with at least one prompt."];
    if (this.#step === 1 && chosen(this.form, "teach") === "own" && !lines(this.list.value).length) return [this.list, "Write at least one prompt."];
    if (this.#step === 2 && !this.name.value.trim()) return [this.name, "Give the project a name."];
    return null;
  }

  #show(step) {
    this.#step = step;
    this.alert.hidden = true;
    this.parts.forEach((part, place) => { part.hidden = place !== step; });
    this.count.textContent = `Question ${step + 1} of ${TITLES.length}`;
    this.heading.textContent = TITLES[step];
    this.back.hidden = step === 0;
    this.next.textContent = step === TITLES.length - 1 ? "Create project" : "Next";
    if (this.box?.open) this.heading.focus();
  }

  async #submit(event) {
    event.preventDefault();
    const hindrance = this.#hindrance();
    if (hindrance) {
      this.#refuse(hindrance[1]);
      hindrance[0].focus();
    } else if (this.#step < TITLES.length - 1) {
      this.#show(this.#step + 1);
    } else {
      await this.#create();
    }
  }

  get #weights() {
    const judge = chosen(this.form, "judge");
    if (judge === "people") return { human: 1 };
    return { human: judge === "both" ? 1 : 0, models: { [this.reward.value]: judge === "both" ? 0.5 : 1 } };
  }

  async #create() {
    const { preset, isOwn } = this;
    const prompts = chosen(this.form, "teach") === "preset" ? preset.prompts : lines(this.list.value);
    const model = isOwn ? this.model.value.trim() : preset.model;
    this.next.disabled = true;
    try {
      const body = { name: this.name.value.trim(), model, prompts, settings: preset.settings, reward: this.#weights };
      this.done(await post("projects", body));
      this.box.close();
    } catch (error) {
      this.#refuse(error.message);
    } finally {
      this.next.disabled = false;
    }
  }

  #refuse(sentence) {
    this.alert.textContent = sentence;
    this.alert.hidden = false;
  }
}

// Opens the wizard in `root`; `done(project)` is called with the project that was made.
export async function openWizard(root, done) {
  const [{ presets }, { rewards }] = await Promise.all([get("presets"), get("rewards")]);
  const wizard = new Wizard(presets, rewards, done);
  root.append(wizard.box);
  wizard.box.showModal();
  wizard.heading.focus();
}
