// Pictures that raters reported: hidden from everyone until someone decides here.
import { get, put } from "./api.js";
import { h, moment, plural } from "./element.js";
import { shown } from "./veil.js";

const STATE_OF = { keep: "kept", remove: "removed" };
const STATES = { open: "Hidden until you decide.", kept: "Kept: it is shown again.", removed: "Removed: nobody is shown it." };

export class Reports {
  constructor(projectId) {
    this.projectId = projectId;
    this.count = h("p", { class: "quiet" });
    this.list = h("ul", { class: "reports" });
    this.message = h("p", { role: "status", class: "quiet" });
    this.node = h("section", { id: "reports", "aria-label": "Reported pictures" }, h("h2", {}, "Reported pictures"), this.count, this.list, this.message);
  }

  async load() {
    const { reports } = await get(`projects/${this.projectId}/reports`);
    const open = reports.filter(({ state }) => state === "open").length;
    this.count.textContent = reports.length
      ? `${plural(open, "report waits", "reports wait")} for a decision.`
      : "Nobody has reported a picture.";
    this.list.replaceChildren(...reports.map((report) => this.#row(report)));
  }

  // Blurred also here: whoever decides looks when ready.
  #row(report) {
    const image = { id: `report:${report.id}`, url: report.url, blurred: true };
    const button = (words, decision) =>
      h("button", { type: "button", class: "button", "aria-pressed": String(report.state === STATE_OF[decision]), onclick: () => this.#decide(report, decision) }, words);
    return h("li", { "data-report": report.id },
      shown(image, { alt: `Reported picture: ${report.prompt}`, width: 96, height: 96, loading: "lazy" }),
      h("div", {},
        h("h3", { dir: "auto" }, report.prompt),
        h("p", { class: "quiet" }, `By ${report.rater}, ${moment(report.created_at)}. ${STATES[report.state]}`),
        report.reason ? h("p", { dir: "auto" }, report.reason) : null),
      h("div", { class: "row" }, button("Keep", "keep"), button("Remove", "remove")));
  }

  async #decide({ id }, decision) {
    try {
      await put(`reports/${id}/decision`, { decision });
      await this.load();
      this.#say(decision === "keep" ? "Kept: it is shown again." : "Removed.");
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #say(text, isRefusal = false) {
    this.message.textContent = text;
    this.message.className = isRefusal ? "refusal" : "quiet";
  }
}
