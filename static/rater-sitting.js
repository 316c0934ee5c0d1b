// A sitting: a goal one sets oneself, how far one is, the pace, the time one was active. It outlives
// reloads and breaks; an end card says what it came to and, once a fine-tuning has used it, what
// that changed on the same seeds.
import { pageUrl, recall, remember } from "./address.js";
import { get } from "./api.js";
import { duration, h, plural } from "./element.js";
import { mayI } from "./session.js";
import { shown } from "./veil.js";

const IDLE = 30_000; // ms; a longer look counts as this much
const GOALS = [10, 20, 40, 80];
const SHOWN = 4; // pairs of pictures on the end card

const fresh = () => ({ goal: null, judged: 0, usable: 0, activeMs: 0, fromVersion: null, told: false });

export class Sitting {
  constructor({ projectId, rater, live, root }) {
    Object.assign(this, { projectId, live, root });
    this.key = `sitting:${projectId}:${rater}`;
    this.state = { ...fresh(), ...recall(this.key, {}) };
    this.bar = h("span", { class: "bar", role: "progressbar", "aria-label": "This sitting", "aria-valuemin": "0" }, h("span"));
    this.words = h("button", { type: "button", class: "link sitting-words", onclick: () => this.#open() });
    this.node = h("div", { class: "sitting" }, this.words, this.bar);
    this.#show();
  }

  // One group was judged, after `elapsed` ms on screen.
  judged(elapsed) {
    const { state } = this;
    state.judged += 1;
    state.activeMs += Math.min(elapsed, IDLE);
    state.fromVersion ??= this.live.status?.live_version ?? null;
    this.#keep();
    if (state.goal && state.judged >= state.goal && !state.told) {
      state.told = true;
      this.#keep();
      this.#open();
    }
  }

  undone() {
    this.state.judged = Math.max(0, this.state.judged - 1);
    this.#keep();
  }

  // The studio's answer: whether it teaches.
  settled({ usable }) {
    this.state.usable += usable ? 1 : 0;
    this.#keep();
  }

  #keep() {
    remember(this.key, this.state);
    this.#show();
  }

  #show() {
    const { judged, goal, activeMs } = this.state;
    const pace = judged ? h("span", { class: "pace" }, `, ${(activeMs / judged / 1000).toFixed(1)} s each`) : "";
    this.words.replaceChildren(goal ? `${judged} of ${goal}` : judged ? `${judged} judged` : "Set a goal", pace);
    this.words.setAttribute("aria-label", `This sitting: ${this.words.textContent}`);
    this.bar.hidden = !goal;
    this.bar.setAttribute("aria-valuenow", String(Math.min(judged, goal ?? 0)));
    this.bar.setAttribute("aria-valuemax", String(goal ?? 0));
    this.bar.firstChild.style.transform = `scaleX(${goal ? Math.min(1, judged / goal) : 0})`;
  }

  #open() {
    const { judged, usable, goal, activeMs } = this.state;
    const reached = goal && judged >= goal;
    const facts = judged
      ? `${plural(judged, "group")} judged in ${duration(activeMs / 1000)} of active time, ${(activeMs / judged / 1000).toFixed(1)} s each. ${plural(usable, "of them teaches", "of them teach")}.`
      : "Nothing judged yet. Time in which nothing is judged for half a minute is not counted.";
    const changed = h("div", { class: "changed" });
    const choices = GOALS.map((number) =>
      h("button", { type: "button", class: "button", "aria-pressed": String(goal === number), onclick: () => this.#aim(number, box) }, String(number)));
    const anew = () => {
      this.state = fresh();
      this.#keep();
      box.close();
    };
    const box = h("dialog", { class: "sitting-card", "aria-label": "This sitting" },
      h("h2", {}, reached ? "Goal reached" : "This sitting"),
      h("p", {}, facts),
      changed,
      h("p", { class: "quiet", id: "goal" }, "Groups to judge in this sitting:"),
      h("div", { class: "row", role: "group", "aria-labelledby": "goal" }, choices),
      h("p", { class: "quiet" }, "Take a break at any time: close the page; the same group waits for you."),
      h("form", { method: "dialog" },
        h("div", { class: "row is-end" },
          judged ? h("button", { type: "button", class: "button", onclick: anew }, "Start a new sitting") : null,
          h("button", { class: "button is-primary", autofocus: true }, judged ? "Go on" : "Close"))));
    box.addEventListener("close", () => box.remove());
    this.root.append(box);
    box.showModal();
    this.#showChange(changed);
  }

  #aim(number, box) {
    this.state.goal = number;
    this.state.told = this.state.judged >= number;
    this.#keep();
    box.close();
  }

  // The probe pictures of the version at the start of the sitting beside those of the live one.
  async #showChange(node) {
    const { fromVersion } = this.state;
    const now = this.live.status?.live_version;
    if (fromVersion == null || now == null || !(await mayI("rater"))) return;
    if (now === fromVersion) {
      node.append(h("p", { class: "quiet" }, "No fine-tuning has used it yet; look here again once one has."));
      return;
    }
    try {
      const { versions } = await get(`projects/${this.projectId}/versions`);
      const probes = await Promise.all(
        [fromVersion, now].map((number) => get(`versions/${versions.find((v) => v.number === number).id}/probe`)));
      const [before, after] = probes.map(({ images }) => images);
      const same = ({ prompt, seed }) => after.find((image) => image.prompt === prompt && image.seed === seed);
      const pairs = before.map((image) => [image, same(image)]).filter(([, other]) => other);
      const every = Math.max(1, Math.floor(pairs.length / SHOWN));
      const column = (image, number) => shown(image, { width: 88, height: 88, alt: `Version ${number}: ${image.prompt}` });
      node.append(
        h("p", {}, `Version ${fromVersion} above, version ${now} below, on the same seeds. `, (await mayI("trainer")) ? h("a", { href: pageUrl("versions", this.projectId) }, "See all") : ""),
        h("ul", {}, pairs.filter((_, index) => index % every === 0).slice(0, SHOWN).map(([one, other]) =>
          h("li", {}, column(one, fromVersion), column(other, now)))));
    } catch (error) {
      node.append(h("p", { class: "quiet" }, `What it changed can be seen on the Versions page. ${error.message}`));
    }
  }
}
