// <loop-learned>: the reward that is learned from the ratings, how far it may be believed, and a
// switch that lets updates learn from it beside people.
import { get, post, put } from "./api.js";
import { StudioElement, define, h, moment, plural } from "./element.js";
import { openProjectPatiently } from "./project.js";

const BESIDE_PEOPLE = 0.5; // a group that it judges then pushes about as hard as one that people did
const SOON = 1500; // ms between two looks while it learns
const LATER = 5000;
const NS = "http://www.w3.org/2000/svg";

const percent = (share) => `${Math.round(100 * share)}\u00a0%`; // never broken before the sign

function s(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Accuracy on a line from chance or worse to all, with its interval and what it must pass.
function scale({ accuracy, low, high, bar, bound }) {
  const [left, right, from] = [10, 390, 0.3];
  const x = (share) => left + ((Math.max(from, share) - from) / (1 - from)) * (right - left);
  const svg = s("svg", { viewBox: "0 0 400 62", class: "scale", "aria-hidden": "true" });
  svg.append(s("line", { class: "rule", x1: left, x2: right, y1: 22, y2: 22 }));
  for (const tick of [0.5, 0.75, 1]) {
    svg.append(s("line", { class: "rule", x1: x(tick), x2: x(tick), y1: 16, y2: 28 }));
    const words = tick === 0.5 ? "chance" : percent(tick);
    svg.append(s("text", { class: "tick", x: x(tick), y: 52, "text-anchor": tick === 1 ? "end" : "middle" }, words));
  }
  svg.append(s("line", { class: "bar-to-pass", x1: x(bar), x2: x(bar), y1: 8, y2: 36 }));
  svg.append(s("line", { class: "interval", x1: x(low), x2: x(high), y1: 22, y2: 22 }));
  svg.append(s("line", { class: "bound", x1: x(bound), x2: x(bound), y1: 12, y2: 32 }));
  svg.append(s("circle", { class: "dot", cx: x(accuracy), cy: 22, r: 7 }));
  return svg;
}

// How sure it was against how often it was right: on the diagonal it knows what it knows.
function calibration(bins) {
  const side = 200;
  const place = (share) => (share - 0.5) * 2 * side;
  const y = (share) => side - Math.max(0, share) * side;
  const svg = s("svg", { viewBox: "-44 -12 262 258", class: "calibration", "aria-hidden": "true" });
  svg.append(s("rect", { class: "frame", x: 0, y: 0, width: side, height: side }));
  svg.append(s("line", { class: "rule", x1: 0, x2: side, y1: y(0.5), y2: y(1) }));
  for (const tick of [0, 0.5, 1]) {
    svg.append(s("text", { class: "tick", x: -8, y: y(tick) + 4, "text-anchor": "end" }, percent(tick)));
  }
  for (const tick of [0.5, 0.75, 1]) {
    svg.append(s("text", { class: "tick", x: place(tick), y: side + 18, "text-anchor": "middle" }, percent(tick)));
  }
  svg.append(s("text", { class: "tick", x: side / 2, y: side + 38, "text-anchor": "middle" }, "how sure it was"));
  const most = Math.max(...bins.map(({ pairs }) => pairs));
  const points = bins.map(({ sure, right }) => `${place(sure)},${y(right)}`);
  svg.append(s("polyline", { class: "line", points: points.join(" ") }));
  for (const { sure, right, pairs } of bins) {
    svg.append(s("circle", { class: "dot", cx: place(sure), cy: y(right), r: 4 + 5 * Math.sqrt(pairs / most) }));
  }
  const head = h("tr", {}, ["How sure", "How often right", "Pairs"].map((name) => h("th", { scope: "col" }, name)));
  const rows = bins.map(({ sure, right, pairs }) =>
    h("tr", {}, h("th", { scope: "row" }, percent(sure)), h("td", {}, percent(right)), h("td", {}, String(pairs))),
  );
  return h("figure", {},
    h("figcaption", {},
      h("h3", {}, "Does it know what it knows?"),
      h("p", { class: "quiet" }, "How often it was right, by how sure it was, on groups it had not seen. On the line the two agree.")),
    svg,
    h("details", {}, h("summary", {}, "The numbers"),
      h("table", {}, h("caption", { class: "unseen" }, "How sure it was and how often it was right"), h("thead", {}, head), h("tbody", {}, rows))),
  );
}

class Learned extends StudioElement {
  #seen = "";
  #timer = null;

  async start() {
    this.state = h("p", { class: "verdict", role: "status" });
    this.reason = h("p", { class: "quiet" });
    this.setback = h("p", { class: "alert", hidden: true });
    this.use = h("input", { type: "checkbox", id: "use", onchange: () => this.#weigh() });
    this.useWords = h("span", { class: "quiet" });
    this.again = h("button", { type: "button", class: "button", onclick: () => this.#learn() }, "Learn now");
    this.figures = h("div", { class: "figures" });
    this.facts = h("p", { class: "quiet" });
    this.message = h("p", { class: "refusal", role: "alert" });
    this.root.append(
      h("section", { "aria-labelledby": "learned-title" },
        h("h2", { id: "learned-title" }, "Learned from ratings"),
        h("p", { class: "quiet" }, "A small model of how people here judge. Updates may then learn from groups that nobody has judged, and raters are shown the groups it is least sure of. Where a person has judged, the person counts."),
        this.state, this.reason, this.setback, this.figures,
        h("div", { class: "row" },
          h("label", { class: "switch", for: "use" }, this.use, h("span", {}, h("b", {}, "Let updates learn from it"), this.useWords)),
          this.again),
        this.facts, this.message),
    );
    const { project } = await openProjectPatiently((error) => this.#say(error.message));
    this.path = `projects/${project.id}`;
    document.addEventListener("visibilitychange", () => this.look());
    this.look();
  }

  async look() {
    clearTimeout(this.#timer);
    if (document.hidden || !this.isConnected) return;
    try {
      this.#show(await get(`${this.path}/learned`));
      this.#say("");
    } catch (error) {
      this.#say(error.message);
    }
    this.#timer = setTimeout(() => this.look(), this.learned?.learning ? SOON : LATER);
  }

  #show(learned) {
    this.learned = learned;
    const seen = JSON.stringify(learned);
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.state.textContent = this.#verdict(learned);
    this.state.dataset.kind = learned.contributes ? "good" : "waiting";
    this.reason.textContent = learned.sentence;
    this.setback.hidden = !learned.setback;
    this.setback.textContent = `${learned.setback} Until then what was learned before stays in use.`;
    this.use.checked = learned.weight > 0;
    this.useWords.textContent = this.#useWords(learned);
    this.again.disabled = learned.learning;
    this.again.textContent = learned.learning ? "Learning" : "Learn now";
    this.facts.textContent = this.#facts(learned);
    this.figures.replaceChildren(...this.#figures(learned));
    this.dataset.state = learned.learning ? "learning" : learned.contributes ? "contributes" : "waiting";
  }

  #verdict({ version, contributes, weight }) {
    if (!version) return "Nothing is learned yet.";
    if (!contributes) return "It has not proved itself yet, so no update learns from it.";
    return weight > 0 ? "It has proved itself, and updates learn from it." : "It has proved itself. No update learns from it until you say so.";
  }

  #useWords({ contributes, weight }) {
    if (weight > 0 && !contributes) return "As soon as it has proved itself.";
    return "Each update is filled up with groups that nobody has judged.";
  }

  #facts({ version, ratings, groups, new_ratings: fresh, learned_at: at }) {
    const since = fresh ? ` ${plural(fresh, "rating has", "ratings have")} arrived since.` : "";
    if (!version) return groups ? `${plural(groups, "group is", "groups are")} judged.` : "";
    return `Learned from ${plural(ratings, "rating")} of ${plural(groups, "group")}, ${moment(at)}.${since}`;
  }

  #figures(learned) {
    if (learned.accuracy == null) return [];
    const { accuracy, low, high, held_out: groups, bar } = learned;
    const words = `${percent(accuracy)} of pairs in groups it had not seen are in people's order: 95\u00a0% interval ${percent(low)} to ${percent(high)}, from ${plural(groups, "group")} served at random. It counts once the upright mark, its lower 80\u00a0% bound, is beyond the dashed line at ${percent(bar)}.`;
    const figure = h("figure", {},
      h("figcaption", {}, h("h3", {}, `Right in ${percent(accuracy)}`), h("p", { class: "quiet" }, words)),
      scale(learned));
    return learned.bins.length ? [figure, calibration(learned.bins)] : [figure];
  }

  async #weigh() {
    await this.#try(async () => {
      const reward = await get(`${this.path}/reward`);
      const weight = this.use.checked ? BESIDE_PEOPLE : 0;
      await put(`${this.path}/reward`, { human: reward.human, models: { ...reward.models, learned: weight } });
    });
    this.dispatchEvent(new CustomEvent("loop-reward", { bubbles: true, composed: true }));
  }

  #learn() {
    return this.#try(() => post(`${this.path}/learned/fit`));
  }

  // What was refused stays in sight until the next look succeeds.
  async #try(task) {
    this.#seen = "";
    try {
      await task();
      await this.look();
    } catch (error) {
      if (this.learned) this.#show(this.learned);
      this.#say(error.message);
    }
  }

  #say(text) {
    this.message.textContent = text;
  }
}

await define("loop-learned", Learned, "page.css", "learned.css");
