// Data out and in: every format to take the ratings away in, and a way back for them.
import { API, pageUrl } from "./address.js";
import { h, plural } from "./element.js";
import { mayI } from "./session.js";
import { ImportForm, leftOut } from "./settings-import.js";

const FORMATS = [
  ["CSV", "ratings.csv", "For a spreadsheet: one row per rating, one column per fact."],
  ["JSON lines", "ratings.jsonl", "For programs: one object per rating, with everything that is known of it."],
  ["Parquet", "ratings.parquet", "For pandas, DuckDB and the like: the same, with types."],
  ["Dataset", "dataset.zip", "For Hugging Face datasets: a folder with one row per image and rating.", true],
  ["Pick-a-Pic", "pickapic.parquet", "For training on preferences: pairs of images in Pick-a-Pic's columns, raters as numbers.", true],
];

export class DataForm {
  constructor(projectId) {
    this.links = FORMATS.map(([name, file, words, canHoldImages]) => {
      const address = new URL(`projects/${projectId}/${file}`, API);
      const link = h("a", { class: "button", href: address.href, download: "" }, name);
      return { address, link, words, canHoldImages };
    });
    this.images = h("input", { type: "checkbox", id: "with-images", onchange: () => this.#point() });
    this.back = new ImportForm({
      title: "Import ratings",
      note: "CSV or JSON lines as downloaded here. Ratings that are here already stay as they are; those of groups that are not in this project are left out.",
      accept: ".csv,.jsonl",
      path: `projects/${projectId}/ratings/import`,
      actions: [["Import", {}]],
      found: ({ added, known, wrong }) => `${plural(added, "new rating")}, ${known} known already.${leftOut(wrong)}`,
      done: ({ added, wrong }) => `Imported ${plural(added, "rating")}.${leftOut(wrong)}`,
    });
    this.node = h(
      "section",
      {},
      h("h2", {}, "Data"),
      h("p", { class: "quiet" }, "All ratings of this project, undone and superseded ones included; Pick-a-Pic has only those in force."),
      h("ul", { class: "downloads" }, this.links.map(({ link, words }) => h("li", {}, link, h("p", { class: "quiet" }, words)))),
      h("p", { class: "check" }, this.images, h("label", { for: "with-images" }, "Put the images into Dataset and Pick-a-Pic too; without them both have only the images' ids.")),
      this.back.node,
      h("p", {}, h("a", { href: pageUrl("data", projectId) }, "Room on the disk, backups, who changed what, and removing a person's data")),
    );
    // A file of ratings speaks in the names of others.
    this.back.node.hidden = true;
    mayI("administrator").then((may) => (this.back.node.hidden = !may));
  }

  #point() {
    for (const { address, link, canHoldImages } of this.links) {
      if (!canHoldImages) continue;
      address.search = this.images.checked ? "images=true" : "";
      link.href = address.href;
    }
  }
}
