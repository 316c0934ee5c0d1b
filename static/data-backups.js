// The backups there are, and a new one on request.
import { get, post } from "./api.js";
import { fileSize, h, moment, plural } from "./element.js";

const LISTED = 10;
const AGAIN_MS = 1000;
const ACTIVE = ["queued", "running"];

export class Backups {
  constructor() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.said = h("p", { class: "quiet", role: "status" });
    this.words = h("p", { class: "quiet" });
    this.make = h("button", { type: "button", class: "button", onclick: () => this.#ask() }, "Back up now");
    this.list = h("ul", { class: "backups" });
    this.node = h("section", { "data-part": "backups" }, h("div", { class: "head" }, h("h2", {}, "Backups"), this.make), this.alert, this.words, this.said, this.list);
  }

  async load() {
    const { possible, folder, kept, last, backups } = await get("backups");
    this.make.hidden = !possible;
    this.words.textContent = possible
      ? this.#rule(kept, folder)
      : "The database is on PostgreSQL, which makes its own backups: run pg_dump every night, then copy the folder files in the data folder.";
    const newest = [...backups].reverse().slice(0, LISTED);
    this.list.replaceChildren(...newest.map((backup) => this.#row(backup)));
    if (possible && !newest.length) this.list.replaceChildren(h("li", { class: "quiet" }, "There is none yet."));
    this.#tell(last);
  }

  #rule(kept, folder) {
    const nightly = kept ? `Every night one is made and the newest ${kept} are kept` : "Nightly backups are off (LOOP_STUDIO_BACKUPS_KEPT)";
    return `${nightly}, in ${folder}. To bring one back: python app.py restore FOLDER --data NEW_FOLDER.`;
  }

  #row({ name, made_at, files, file_bytes, database_bytes, missing }) {
    const facts = [
      `database ${fileSize(database_bytes)}`,
      `${plural(files, "file")}, ${fileSize(file_bytes)}`,
      missing ? `${plural(missing, "file")} were gone already` : null,
    ];
    return h("li", {}, h("b", {}, moment(made_at)), h("span", {}, name), h("span", { class: "quiet" }, facts.filter(Boolean).join(" · ")));
  }

  #tell(last) {
    const waits = last !== null && ACTIVE.includes(last.status);
    this.make.disabled = waits;
    this.alert.hidden = last?.status !== "failed";
    if (last?.status === "failed") this.alert.textContent = `The last backup failed. ${last.error?.detail ?? ""}`;
    if (!waits) return;
    this.said.textContent = last.status === "queued" ? "A backup waits for the worker." : `A backup is being made: ${last.step} of ${plural(last.steps, "file")}.`;
    this.asked = true;
    clearTimeout(this.again);
    this.again = setTimeout(() => this.#look(), AGAIN_MS);
  }

  async #look() {
    await this.load().catch((error) => this.#refuse(error));
    if (this.make.disabled) return;
    this.said.textContent = this.alert.hidden ? "The backup is made." : "";
  }

  async #ask() {
    try {
      this.#tell(await post("backups"));
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error) {
    this.alert.textContent = error.message;
    this.alert.hidden = false;
  }
}
