// <loop-guard>: a version that the guard has something against: why, its pictures beside those of
// before, and the two things one can do. Nothing is shown while there is nothing to decide.
import { pageName } from "./address.js";
import { get, picture, post } from "./api.js";
import { StudioElement, define, h } from "./element.js";
import { live } from "./live.js";
import { openProjectPatiently } from "./project.js";
import { mayI } from "./session.js";

function titleOf({ version, other, is_live: isLive }) {
  if (isLive) return `Version ${version.number} is live, but look at it.`;
  return `Version ${version.number} is kept, but not live: version ${other.number} still is.`;
}

function side({ prompt, seed }, url, number) {
  if (!url) return h("span", { class: "missing", title: "not made yet" });
  return h("img", { src: picture({ url }), alt: `Version ${number}, seed ${seed}: ${prompt}`, width: 96, height: 96 });
}

function pictures({ pictures: cells, version, other }) {
  if (!cells.length) return null;
  const items = cells.map((cell) =>
    h("li", {}, h("span", { class: "pair" }, side(cell, cell.before, other.number), side(cell, cell.after, version.number)), h("span", { class: "quiet", dir: "auto" }, cell.prompt)),
  );
  return h("div", {}, h("p", { class: "quiet" }, `Left: version ${other.number}. Right: version ${version.number}, the same prompts and seeds.`), h("ul", { class: "beside" }, items));
}

class Guard extends StudioElement {
  #listed = "";
  #drawn = "";

  async start() {
    this.hidden = true;
    if (!(await mayI("trainer"))) return; // nobody else could decide
    const { project } = await openProjectPatiently();
    this.project = project;
    this.live = live(project.id);
    this.live.addEventListener("change", () => this.#refresh());
    this.#refresh();
  }

  async #refresh(isForced = false) {
    const { status, update } = this.live;
    if (!status) return;
    const seen = [status.live_version, status.active_update_id, update?.status].join();
    if (seen === this.#listed && !isForced) return;
    this.#listed = seen;
    try {
      const { notice } = await get(`projects/${this.project.id}/guard`);
      this.#show(notice);
    } catch {
      this.#listed = ""; // asked again with the next state
    }
  }

  #show(notice) {
    const drawn = JSON.stringify(notice);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.hidden = !notice;
    this.root.replaceChildren(...(notice ? [this.#banner(notice)] : []));
  }

  // On the Rate page a line that opens a dialog: the pictures to judge keep their place.
  #banner(notice) {
    const title = titleOf(notice);
    const says = h("strong", {}, title);
    if (pageName() !== "rate") return h("section", { class: "guard", role: "alert", "aria-label": "Guard" }, h("h2", {}, title), this.#content(notice));
    const box = h("dialog", { "aria-label": title }, h("h2", {}, title), this.#content(notice),
      h("div", { class: "row is-end" }, h("button", { type: "button", class: "button", onclick: () => box.close() }, "Close")));
    box.addEventListener("keydown", (event) => event.stopPropagation()); // no key in here judges a group
    const why = h("button", { type: "button", class: "button", onclick: () => box.showModal() }, "See why");
    return h("section", { class: "guard is-line", role: "alert", "aria-label": "Guard" }, says, why, box);
  }

  #content(notice) {
    const { version, other, is_live: isLive, concerns } = notice;
    const alert = h("p", { class: "alert", role: "alert", hidden: true });
    const act = (path) => async (event) => {
      event.currentTarget.disabled = true;
      try {
        await post(path);
        await this.live.now();
        await this.#refresh(true);
      } catch (error) {
        alert.textContent = error.message;
        alert.hidden = false;
      }
    };
    const button = (words, path, kind = "") => h("button", { type: "button", class: `button ${kind}`, onclick: act(path) }, words);
    const stay = isLive
      ? button(`Go back to version ${other.number}`, `versions/${other.id}/activate`, "is-primary")
      : button(`Stay with version ${other.number}`, `versions/${version.id}/dismiss`, "is-primary");
    const go = isLive
      ? button(`Keep version ${version.number}`, `versions/${version.id}/dismiss`)
      : button("Make it live anyway", `versions/${version.id}/activate`);
    const advice = isLive
      ? "Going back loses nothing: the version stays in the list."
      : "Until you decide, no update starts by itself. A lower learning rate, or more ratings, makes the next one gentler.";
    return h("div", { class: "content" },
      h("ul", { class: "concerns" }, concerns.map((sentence) => h("li", {}, sentence))),
      pictures(notice), h("p", { class: "quiet" }, advice), h("div", { class: "row" }, stay, go), alert);
  }
}

await define("loop-guard", Guard, "guard.css");
