// <loop-data>: what the studio keeps and what room is left, its backups, who changed what, and how
// a person's data is removed. It is about the whole studio, not about one project.
import { StudioElement, define, h } from "./element.js";
import { Backups } from "./data-backups.js";
import { Changes } from "./data-changes.js";
import { Removal } from "./data-removal.js";
import { Room } from "./data-room.js";

class Data extends StudioElement {
  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.changes = new Changes();
    const parts = [new Room(), new Backups(), this.changes, new Removal(this.root, () => this.changes.load())];
    this.root.append(
      h("div", { class: "page settings" }, h("h1", {}, "Data"), this.alert, parts.map((part) => part.node)),
    );
    await Promise.all(parts.map((part) => part.load())).catch((error) => {
      this.alert.textContent = error.message;
      this.alert.hidden = false;
    });
    this.dataset.state = "ready";
  }
}

await define("loop-data", Data, "page.css", "settings.css", "data.css");
