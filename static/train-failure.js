// An update that failed: code, sentence, the next step, and a report to copy for who can help.
import { get } from "./api.js";
import { h } from "./element.js";

const release = () => document.querySelector('meta[name="loop-release"]')?.content ?? "";

async function report(update, project) {
  const { code, detail, next_step: next } = update.error;
  const { lines } = await get(`updates/${update.id}/log`).catch(() => ({ lines: [] }));
  return [
    `LOOP Studio ${release()}: update ${update.number} of ${project.name} failed at ${update.finished_at}`,
    `${code}: ${detail}`,
    next,
    `phase ${update.phase}, step ${update.step} of ${update.steps}, ${update.groups} groups, ${update.ratings} ratings`,
    "",
    ...lines,
  ].join("\n");
}

// Clipboards need https or this machine; elsewhere the text is laid out, selected, to be copied.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export class FailurePanel {
  constructor(project, { again }) {
    this.project = project;
    this.code = h("code", {});
    this.detail = h("p", { class: "detail" });
    this.next = h("p", {});
    this.told = h("p", { class: "quiet", role: "status" });
    this.text = h("textarea", { rows: "8", readonly: true, hidden: true, "aria-label": "Report" });
    this.again = h("button", { type: "button", class: "button", onclick: () => again() }, "Try again");
    const copy = h("button", { type: "button", class: "button", onclick: () => this.#copy() }, "Copy report");
    this.title = h("h2", {});
    this.node = h("section", { class: "failure", role: "alert", hidden: true },
      this.title, this.detail, this.next, h("p", { class: "quiet" }, "Code ", this.code), h("div", { class: "row" }, this.again, copy), this.told, this.text);
  }

  show(update, canUpdate) {
    const failed = update?.status === "failed" && update.error;
    this.node.hidden = !failed;
    this.again.disabled = !canUpdate;
    if (!failed || this.update?.id === update.id) return;
    this.update = update;
    this.title.textContent = `Update ${update.number} failed`;
    this.detail.textContent = update.error.detail;
    this.next.textContent = update.error.next_step;
    this.code.textContent = update.error.code;
    this.told.textContent = "";
    this.text.hidden = true;
  }

  async #copy() {
    const text = await report(this.update, this.project);
    const isCopied = await copied(text);
    this.told.textContent = isCopied ? "Copied." : "The report is below; copy it from there.";
    this.text.hidden = isCopied;
    if (isCopied) return;
    this.text.value = text;
    this.text.select();
  }
}
