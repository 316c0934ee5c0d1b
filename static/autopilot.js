// <loop-autopilot>: updates one after another on rewards that need nobody, until a budget is spent.
import { get, post } from "./api.js";
import { StudioElement, define, h, plural } from "./element.js";
import { openProjectPatiently } from "./project.js";

const EVERY = 2000; // ms between two looks
const STATES = { running: "Running", paused: "Paused", finished: "Finished", stopped: "Stopped" };

const short = (value) => Number(value.toPrecision(3)).toString();

class Autopilot extends StudioElement {
  #timer = null;
  #refusal = "";

  async start() {
    const field = (id, words, unit, value = "") => {
      const input = h("input", { id, inputmode: "decimal", autocomplete: "off", value });
      return { input, node: h("div", { class: "budget" }, h("label", { for: id }, words), h("div", { class: "row" }, input, h("span", { class: "quiet" }, unit))) };
    };
    this.fields = {
      updates: field("budget-updates", "Updates", "updates", "10"),
      minutes: field("budget-minutes", "Time", "minutes"),
      reward: field("budget-reward", "Reward to reach", "mean score"),
    };
    this.form = h("form", { onsubmit: (event) => this.#start(event) },
      h("div", { class: "budgets" }, Object.values(this.fields).map(({ node }) => node)),
      h("button", { class: "button is-primary" }, "Start autopilot"));
    this.state = h("p", { class: "verdict", role: "status" });
    this.bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Budget spent", "aria-valuemin": "0", "aria-valuemax": "100" }, h("span"));
    this.spent = h("p", { class: "quiet" });
    const button = (words, act) => h("button", { type: "button", class: "button", onclick: () => this.#try(() => post(`autopilots/${this.pilot.id}/${act}`)) }, words);
    this.buttons = { pause: button("Pause", "pause"), resume: button("Resume", "resume"), stop: button("Stop", "stop") };
    this.flight = h("div", { class: "flight", hidden: true }, this.state, this.bar, this.spent, h("div", { class: "row" }, Object.values(this.buttons)));
    this.message = h("p", { class: "refusal", role: "alert" });
    this.root.append(
      h("section", { "aria-labelledby": "autopilot-title" },
        h("h2", { id: "autopilot-title" }, "Autopilot"),
        h("p", { class: "quiet" }, "Updates one after another on an automatic or the learned reward. It ends at the first limit that is reached; leave the others empty."),
        this.flight, this.form, this.message),
    );
    const { project } = await openProjectPatiently((error) => this.#say(error.message));
    this.project = project;
    document.addEventListener("visibilitychange", () => this.#look());
    this.#look();
  }

  async #look() {
    clearTimeout(this.#timer);
    if (document.hidden || !this.isConnected) return;
    try {
      const { autopilot } = await get(`projects/${this.project.id}/autopilot`);
      this.#show(autopilot);
      this.#say(this.#refusal);
    } catch (error) {
      this.#say(error.message);
    }
    this.#timer = setTimeout(() => this.#look(), EVERY);
  }

  #show(pilot) {
    this.pilot = pilot;
    const isOpen = pilot?.state === "running" || pilot?.state === "paused";
    this.dataset.state = pilot?.state ?? "none";
    this.flight.hidden = !pilot;
    this.form.hidden = isOpen;
    if (!pilot) return;
    this.state.textContent = [STATES[pilot.state], pilot.sentence].filter(Boolean).join(". ");
    this.spent.textContent = this.#spentWords(pilot);
    const share = this.#share(pilot);
    this.bar.hidden = !isOpen;
    this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    this.bar.firstChild.style.transform = `scaleX(${share})`;
    this.buttons.pause.hidden = pilot.state !== "running";
    this.buttons.resume.hidden = pilot.state !== "paused";
    this.buttons.stop.hidden = !isOpen;
  }

  #spentWords({ updates, most_updates: most, minutes, most_minutes: longest, reward, reward_goal: goal }) {
    const parts = [most ? `${updates} of ${plural(most, "update")}` : plural(updates, "update")];
    parts.push(longest ? `${Math.floor(minutes)} of ${short(longest)} minutes` : plural(Math.floor(minutes), "minute"));
    if (reward != null) parts.push(`mean score of the last update ${short(reward)}${goal == null ? "" : ` of ${short(goal)}`}`);
    return `${parts.join(", ")}.`;
  }

  // The part of the budget that is spent furthest; how near a reward is says nothing of the time.
  #share({ updates, most_updates: most, minutes, most_minutes: longest }) {
    return Math.min(1, Math.max(most ? updates / most : 0, longest ? minutes / longest : 0));
  }

  #start(event) {
    event.preventDefault();
    const budget = {};
    for (const [name, { input }] of Object.entries(this.fields)) {
      const text = input.value.trim().replace(",", ".");
      const value = Number(text);
      const isWrong = text && (!Number.isFinite(value) || (name === "updates" && !Number.isInteger(value)));
      input.toggleAttribute("aria-invalid", Boolean(isWrong));
      if (isWrong) {
        this.#refusal = `${name} must be a ${name === "updates" ? "whole number" : "number"}, or empty.`;
        return this.#say(this.#refusal);
      }
      if (text) budget[name] = value;
    }
    return this.#try(() => post(`projects/${this.project.id}/autopilot`, budget));
  }

  // What was refused stays in sight until the next attempt.
  async #try(task) {
    this.#refusal = "";
    try {
      await task();
    } catch (error) {
      this.#refusal = error.message;
    }
    await this.#look();
  }

  #say(text) {
    this.message.textContent = text;
  }
}

await define("loop-autopilot", Autopilot, "page.css", "learned.css", "autopilot.css");
