// <loop-curves>: is it better, is it safe, how does it learn; by version, and within one update.
import { recall, remember } from "./address.js";
import { get } from "./api.js";
import { chart } from "./chart.js";
import { StudioElement, define, h } from "./element.js";
import { live } from "./live.js";
import { openProjectPatiently } from "./project.js";

const MEASURED_SOON = 8000; // ms between two looks for a measurement that is still to come
const RATED_MEANWHILE = 30_000; // ms between two looks at what people say

const isOdd = (value, digits) => Math.abs(value) >= 1e5 || digits > 5; // too long to write out
const plain = (value, digits) => (value && isOdd(value, digits) ? value.toExponential(1) : value.toFixed(Math.min(5, digits)));
const percent = (value, digits) => `${(value * 100).toFixed(Math.max(0, Math.min(3, digits - 2)))} %`;
const stars = (value, digits) => (1 + 4 * value).toFixed(Math.min(3, Math.max(1, digits)));

// "clip_score" -> the name people read.
const sourceWords = (name) => name.replaceAll("_", " ");

const byVersion = { words: (x) => (Number.isInteger(x) ? `Version ${x}` : `On the way to version ${Math.ceil(x)}`), tick: (x) => `v${x}` };
const byStep = { words: (x) => `Optimizer step ${x}`, tick: (x) => `${x}` };
const byDenoisingStep = { words: (x) => `Denoising step ${x}`, tick: (x) => `${x}` };

const LIMITS = {
  training: "training reward",
  diversity: "diversity",
  broken: "whole pictures",
  kl_to_base: "closeness to the base",
};

// What is asked, in which curves the answer is, and what each of them says in one sentence.
const QUESTIONS = [
  {
    title: "Is it better?",
    note: "Look here first: the same prompts and seeds under every version, and what people said.",
    curves: [
      { match: /^probe\/(.*)/, title: (source) => `Probe pictures: ${sourceWords(source)}`, note: "Mean score of the same fixed prompts and seeds; higher is better.", format: plain },
      { match: /^human\/good$/, title: "Called good", note: "Share of pictures that raters called good, where they judge each picture by itself.", format: percent },
      { match: /^human\/stars$/, title: "Stars", note: "Mean of the stars that raters gave, 1 to 5.", format: stars },
      { match: /^human\/none_share$/, title: "None is good", note: "Share of judged groups in which the rater liked no picture; lower is better.", format: percent },
      { match: /^human\/win_rate$/, title: "Blind win rate", note: "How often people prefer a version to the one it came from, not knowing which is which; above 50 % it gained.", format: percent },
    ],
  },
  {
    title: "Is it safe?",
    note: "A model can please its reward and still be ruined. These should stay calm while the ones above rise.",
    curves: [
      { match: /^looks\/diversity$/, title: "Diversity", note: "How much pictures of one prompt differ; a model that always paints the same falls towards 0.", format: plain },
      { match: /^looks\/broken$/, title: "Broken pictures", note: "Share of probe pictures that are blank, blown out or noise; it should stay near 0.", format: percent },
      { match: /^policy\/kl_to_base$/, title: "Distance from the base", note: "How far the version has moved from the untouched model (KL, nats per denoising step).", format: plain },
    ],
  },
  {
    title: "How does it learn?",
    note: "The machine room: for those who tune settings. Each point is one optimizer step.",
    curves: [
      { match: /^reward\/advantage_spread$/, title: "Advantage spread", note: "How strongly judgements tell pictures apart; near 0 there is nothing to learn.", format: plain },
      { match: /^step\/policy\/log_ratio_nats$/, title: "Ratio", note: "How far the learner moved from the weights that painted (mean |log ratio|, nats per step).", format: plain },
      { match: /^step\/policy\/clip_fraction$/, title: "Clip fraction", note: "Share of steps held back by PPO's clip; far above 20 % the learning rate is too bold.", format: percent },
      { match: /^step\/policy\/effective_sample_size$/, title: "Effective sample size", note: "Share of the stored steps that still carries weight; near 0 a few decide everything.", format: percent },
      { match: /^step\/policy\/grad_norm$/, title: "Gradient norm", note: "Length of the gradient before it is clipped; spikes are steps to be wary of.", format: plain },
      { match: /^step\/policy\/kl_to_base$/, title: "Distance from the base, by step", note: "The same distance as above, while it grows (needs the brake, kl_weight, above 0).", format: plain },
      { match: /^step\/policy\/loss$/, title: "Loss", note: "What the optimizer lowers; with fresh groups in each update it need not fall.", format: plain },
      { match: /^step\/time\/samples_per_s$/, title: "Samples per second", note: "Denoising steps learned from per second, raters served meanwhile included.", format: plain },
      { match: /^timestep\/log_ratio_nats$/, title: "Ratio by denoising step", note: "Where along the denoising the learner moved, from the noisiest step on.", format: plain, axis: byDenoisingStep },
      { match: /^timestep\/kl_to_base$/, title: "Distance from the base by denoising step", note: "Where along the denoising the learner is far from the untouched model.", format: plain, axis: byDenoisingStep },
    ],
  },
];

// The guard's curves on one chart: all of them read upwards as better, and -1 is a limit.
function limitsChart(curves) {
  const known = curves.filter(({ name }) => name.startsWith("guard/"));
  const series = known.map(({ name, points }) => {
    const source = name.slice("guard/".length);
    return { name: LIMITS[source] ?? `${sourceWords(source)} (not trained on)`, points };
  });
  const wins = curves.find(({ name }) => name === "human/win_rate");
  if (series.length && wins) {
    const points = wins.points.map(({ x, mean }) => ({ x, mean: 2 * mean - 1 }));
    series.push({ name: "blind win rate (-1: all lost)", points });
  }
  if (!series.length) return [];
  const note = "0 is version 0, and a line that falls to -1 is at the project's limit. A training reward that rises while others fall is being gamed.";
  return [{ title: "How near to the limits", note, series, format: plain }];
}

function chartsOf({ curves }, all) {
  return curves.flatMap((known) =>
    all.filter(({ name }) => known.match.test(name)).map(({ name, points }) => {
      const [, source] = known.match.exec(name);
      const title = typeof known.title === "function" ? known.title(source) : known.title;
      return { ...known, title, series: [{ name: "", points }] };
    }),
  );
}

class Curves extends StudioElement {
  #listed = "";
  #askedAt = 0;
  #isMeasured = false;
  #open = new Set();
  #update = ""; // id of the update that is looked into; empty: all versions

  async start() {
    const kept = recall("curves", {});
    this.smoothing = h("input", { type: "range", min: "0", max: "0.95", step: "0.05", value: kept.smoothing ?? 0, oninput: () => this.#draw() });
    this.log = h("input", { type: "checkbox", checked: Boolean(kept.log), onchange: () => this.#draw() });
    this.select = h("select", { class: "button", "aria-label": "Show", onchange: () => this.#choose() });
    this.controls = h("div", { class: "controls" },
      h("label", {}, "Smoothing", this.smoothing),
      h("label", {}, this.log, "Log scale"));
    this.body = h("div", { class: "questions" });
    this.root.append(h("section", { "aria-label": "Progress by version" },
      h("div", { class: "head" }, h("h2", {}, "Progress by version"), this.controls), this.body));
    const { project } = await openProjectPatiently();
    this.project = project;
    this.live = live(project.id);
    this.live.addEventListener("change", () => this.#refresh());
    this.#refresh();
  }

  // Curves change when an update ends, and when a version's probe pictures are scored.
  async #refresh() {
    const { status, update } = this.live;
    if (!status) return;
    const seen = [status.live_version, status.active_update_id, update?.status].join();
    const isDue = Date.now() - this.#askedAt > (this.#isMeasured ? RATED_MEANWHILE : MEASURED_SOON);
    if (seen === this.#listed && !isDue) return;
    this.#listed = seen;
    this.#askedAt = Date.now();
    try {
      await this.#load();
    } catch {
      this.#listed = ""; // asked again with the next state
    }
  }

  async #load() {
    const [all, { updates }] = await Promise.all([
      get(`projects/${this.project.id}/curves`),
      get(`projects/${this.project.id}/updates?limit=50`),
    ]);
    this.all = all;
    const newest = Math.max(0, ...all.curves.filter(({ name }) => name.startsWith("step/")).map(({ points }) => points.at(-1)?.x ?? 0));
    this.#isMeasured = all.curves.some(({ name, points }) => name.startsWith("probe/") && points.at(-1).x >= newest);
    this.#list(updates.filter((update) => update.status === "succeeded").reverse());
    this.inside = this.#update ? await get(`updates/${this.#update}/curves`) : null;
    this.#draw();
  }

  #list(updates) {
    const options = updates.map((update) => h("option", { value: update.id }, `Update ${update.number}`));
    this.select.replaceChildren(h("option", { value: "" }, "All updates"), ...options);
    this.select.value = this.#update;
  }

  async #choose() {
    this.#update = this.select.value;
    this.inside = this.#update ? await get(`updates/${this.#update}/curves`) : null;
    this.#draw();
  }

  #draw() {
    const options = { smoothing: Number(this.smoothing.value), log: this.log.checked, live: this.live.status?.live_version };
    remember("curves", { smoothing: options.smoothing, log: options.log });
    if (!this.all) return;
    const { curves, denoising } = this.inside ?? this.all;
    const learning = [...this.all.curves.filter(({ name }) => !name.startsWith("step/")), ...curves.filter(({ name }) => name.startsWith("step/")), ...denoising];
    const sections = QUESTIONS.map((question, index) => {
      const charts = [...(index === 1 ? limitsChart(this.all.curves) : []), ...chartsOf(question, learning)];
      return charts.length ? this.#section(question, charts, options, index === 2) : null;
    }).filter(Boolean);
    const nothing = h("p", { class: "quiet" }, "The first measurement comes with the first version; its probe pictures are made right after publishing.");
    this.controls.hidden = !sections.length;
    this.body.replaceChildren(...(sections.length ? sections : [nothing]));
  }

  #section({ title, note }, charts, options, isLearning) {
    const figures = charts.map((one) => {
      const axis = one.axis ?? (this.inside && isLearning && one.title !== "Advantage spread" ? byStep : byVersion);
      const onToggle = (isOpen) => this.#open[isOpen ? "add" : "delete"](one.title);
      return chart({ ...options, ...axis, ...one, open: this.#open.has(one.title), onToggle, live: axis === byVersion ? options.live : null });
    });
    return h("section", { class: "question", "aria-label": title },
      h("div", { class: "head" }, h("div", {}, h("h3", {}, title), h("p", { class: "quiet" }, note)), isLearning ? this.select : null),
      h("div", { class: "figures" }, figures));
  }
}

await define("loop-curves", Curves, "page.css", "curves.css");
