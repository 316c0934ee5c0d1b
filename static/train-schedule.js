// When updates start: by hand, after so many usable groups, at the dates of cron lines; not in
// quiet hours. All times are on the clocks of the project's time zone.
import { pageUrl } from "./address.js";
import { get, patch, post, remove } from "./api.js";
import { h, moment, plural } from "./element.js";

const SHOWN_AFTER = 300; // ms after the last key

const EXAMPLES = [
  ["0 2 * * *", "every night at 02:00"],
  ["0 9 * * 0", "every Sunday at 09:00"],
  ["30 18 * * 1-5", "at 18:30 from Monday to Friday"],
];

function dates({ next_runs: runs, time_zone: timeZone }) {
  const how = { timeZone, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return `${runs.map((run) => new Date(run).toLocaleString(undefined, how)).join("; ")} (${timeZone})`;
}

export class SchedulePanel {
  #asked = 0;

  constructor(project, complain) {
    this.project = project;
    this.complain = complain;
    this.input = h("input", { id: "cron", name: "cron", autocomplete: "off", spellcheck: "false", placeholder: "0 2 * * *", maxlength: "200", "aria-describedby": "cron-means", oninput: () => this.#preview() });
    this.means = h("p", { class: "quiet", id: "cron-means", role: "status" });
    this.add = h("button", { type: "submit", class: "button" }, "Add");
    const form = h("form", { onsubmit: (event) => this.#create(event) },
      h("label", { for: "cron" }, "Also at these times, as a Unix cron line: minute, hour, day, month, weekday"),
      h("div", { class: "row" }, this.input, this.add),
      this.means,
      h("ul", { class: "examples" }, EXAMPLES.map(([cron, words]) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => this.#take(cron) }, words)))));
    this.list = h("ul", { class: "schedules" });
    this.node = h("section", { class: "when", "aria-label": "When it updates" }, h("h2", {}, "When it updates"), this.#rules(), this.list, form);
    this.refresh();
  }

  #rules() {
    const { auto_update_groups: auto, quiet_from: from, quiet_until: until, time_zone: zone } = this.project.settings;
    const self = auto ? `By itself at ${plural(auto, "usable group")}, and whenever you press Fine-tune now.` : "Whenever you press Fine-tune now.";
    const quiet = from ? ` In quiet hours, from ${from} to ${until} (${zone}), nothing starts by itself.` : "";
    return h("p", {}, `${self}${quiet} `, h("a", { href: pageUrl("settings", this.project.id) }, "Change in the settings"));
  }

  async refresh() {
    const found = await get(`projects/${this.project.id}/schedules`).catch(() => null);
    if (!found) return;
    this.list.replaceChildren(...found.schedules.map((schedule) => this.#row(schedule)));
  }

  #row(schedule) {
    const { id, cron, enabled, last_run_at: last, last_outcome: outcome } = schedule;
    const change = (words, act) => h("button", { type: "button", class: "button", onclick: () => this.#do(act) }, words);
    return h("li", { "data-enabled": String(enabled) },
      h("code", {}, cron),
      h("div", { class: "dates" },
        h("p", {}, enabled ? `Next: ${dates(schedule)}` : "Switched off."),
        last ? h("p", { class: "quiet" }, `Last for ${moment(last)}: ${outcome}`) : null),
      h("div", { class: "row" },
        change(enabled ? "Switch off" : "Switch on", () => patch(`schedules/${id}`, { enabled: !enabled })),
        change("Remove", () => remove(`schedules/${id}`))));
  }

  #take(cron) {
    this.input.value = cron;
    this.input.focus();
    this.#preview();
  }

  #preview() {
    clearTimeout(this.timer);
    this.#refuse("");
    const cron = this.input.value.trim();
    const mine = ++this.#asked;
    if (!cron) return;
    this.timer = setTimeout(async () => {
      const path = `projects/${this.project.id}/schedules/preview?cron=${encodeURIComponent(cron)}`;
      const [found, error] = await get(path).then((answer) => [answer], (failure) => [null, failure]);
      if (mine !== this.#asked) return;
      if (found) this.means.textContent = `Next: ${dates(found)}`;
      else this.#refuse(error.message);
    }, SHOWN_AFTER);
  }

  #refuse(sentence) {
    this.means.textContent = sentence;
    this.means.classList.toggle("refusal", Boolean(sentence));
    if (sentence) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  async #create(event) {
    event.preventDefault();
    clearTimeout(this.timer);
    this.#asked += 1;
    try {
      await post(`projects/${this.project.id}/schedules`, { cron: this.input.value.trim() });
      this.input.value = "";
      this.#refuse("");
      await this.refresh();
    } catch (error) {
      this.#refuse(error.message);
    }
  }

  async #do(act) {
    this.complain(null);
    try {
      await act();
    } catch (error) {
      this.complain(error);
    }
    await this.refresh();
  }
}
