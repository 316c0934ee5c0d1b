// What the data takes by kind, against the quota or the disk.
import { get } from "./api.js";
import { fileSize, h } from "./element.js";

const KINDS = [
  ["trajectories", "Trajectories", "how pictures came to be; an update learns from them"],
  ["images", "Pictures", "of groups and samples"],
  ["versions", "Versions", "their LoRA files"],
  ["rewards", "Learned rewards", ""],
  ["transfers", "Exports and uploads", "kept for a week at most"],
  ["database", "Database", "ratings, scores, settings and all else"],
];

export class Room {
  constructor() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.words = h("p", {});
    this.meter = h("meter", { min: "0", "aria-label": "Room taken" });
    this.rows = h("tbody", {});
    this.node = h(
      "section",
      { "data-part": "room" },
      h("h2", {}, "Room"),
      this.alert,
      this.words,
      this.meter,
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Kind"), h("th", { scope: "col", class: "size" }, "On disk"))), this.rows),
    );
  }

  async load() {
    const room = await get("data");
    const most = room.quota ?? room.total + room.free;
    this.alert.textContent = room.sentence;
    this.alert.hidden = !room.sentence;
    this.words.textContent = [this.#taken(room), this.#limits(room)].join(" ");
    this.meter.max = most;
    this.meter.value = Math.min(room.total, most);
    this.rows.replaceChildren(...KINDS.map(([kind, name, note]) => this.#row(name, note, room.use[kind])));
  }

  #taken({ total, quota, free }) {
    const of = quota === null ? "" : ` of the ${fileSize(quota)} that it may take`;
    return `The data takes ${fileSize(total)}${of}; ${fileSize(free)} are free on its disk.`;
  }

  #limits({ quota, spare, floor }) {
    const oldest = quota === null
      ? "No quota is set (LOOP_STUDIO_QUOTA_GIB), so nothing goes by itself."
      : `When the quota asks for room, trajectories that updates are done with go first, the oldest before the others: ${fileSize(spare)}.`;
    return `${oldest} Below ${fileSize(floor)} of free space no group is made.`;
  }

  #row(name, note, size) {
    return h("tr", {}, h("th", { scope: "row" }, name, note ? h("span", { class: "quiet" }, note) : null), h("td", { class: "size" }, fileSize(size)));
  }
}
