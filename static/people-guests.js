// Links by which anyone may rate one project: on a poster as a code, in a mail as an address.
import { API } from "./address.js";
import { get, post, remove } from "./api.js";
import { h, plural } from "./element.js";
import { linkBox } from "./link-box.js";
import { action, confirmed, nothing, row, until } from "./people-rows.js";
import { dialog } from "./rater-name.js";

const HOURS = [[1, "1 hour"], [24, "1 day"], [168, "7 days"], [720, "30 days"]];

// The code holds the address under which this page is open.
const reach = () => /^(localhost|127\.|\[::1\])/.test(location.hostname)
  ? "This address works on this machine alone: open this page under the name that phones use."
  : `Phones must reach the studio as ${location.host}.`;

export class GuestLinks {
  constructor(page) {
    this.page = page;
    this.list = h("ul", { class: "rows" });
    this.node = h("section", {}, h("h2", {}, "Guest links"),
      h("p", { class: "quiet" }, "Whoever opens one gives a name and may judge the pictures of one project, and nothing else."),
      this.#form(), this.list);
  }

  #form() {
    this.project = h("select", { id: "guest-project", class: "button" });
    const note = h("input", { id: "guest-note", maxlength: "80", placeholder: "Where it hangs", autocomplete: "off" });
    const hours = h("select", { id: "guest-hours", class: "button" }, HOURS.map(([value, words]) => h("option", { value, selected: value === 24 }, words)));
    const most = h("input", { id: "guest-most", type: "number", min: "1", max: "1000000", placeholder: "No limit", inputmode: "numeric" });
    return h("form", { class: "maker", onsubmit: (event) => { event.preventDefault(); this.#make(note, hours, most); } },
      h("div", { class: "fields" },
        h("label", { for: "guest-project" }, h("span", {}, "Project"), this.project),
        h("label", { for: "guest-note" }, h("span", {}, "Note"), note),
        h("label", { for: "guest-hours" }, h("span", {}, "Works for"), hours),
        h("label", { for: "guest-most" }, h("span", {}, "Most ratings"), most),
        h("button", { class: "button is-primary" }, "Make a link")));
  }

  #make(note, hours, most) {
    this.page.act(async () => {
      const made = await post("guest-links", { project_id: this.project.value, note: note.value.trim(), hours: Number(hours.value), most_ratings: most.value ? Number(most.value) : null });
      note.value = most.value = "";
      await this.load();
      this.#show(made);
    });
  }

  async load() {
    const [{ projects }, { guest_links: links }] = await Promise.all([get("projects"), get("guest-links")]);
    const chosen = this.project.value;
    this.project.replaceChildren(...projects.filter(({ archived }) => !archived).map(({ id, name }) => h("option", { value: id, selected: id === chosen }, name)));
    this.list.replaceChildren(...(links.length ? links.map((link) => this.#row(link)) : [nothing("No guest link works now.")]));
  }

  #row(link) {
    const title = link.note || link.project;
    const most = link.most_ratings === null ? "" : ` of ${link.most_ratings}`;
    const facts = [link.note ? link.project : null, plural(link.guests, "guest"), `${link.ratings}${most} ratings`, until(link.expires_at)];
    const withdraw = () => confirmed(this.page.root, "Withdraw this link", "Whoever came by it may judge no more, from now on. Their ratings stay.", "Withdraw",
      async () => { await remove(`guest-links/${link.id}`); await this.load(); this.page.say("The link is withdrawn."); });
    return row(link.id, title, facts, [action("Show the code", () => this.#show(link), `Show the code of ${title}`), action("Withdraw …", withdraw, `Withdraw ${title}`)]);
  }

  #show(link) {
    const url = new URL(`guest-links/${link.id}/code.svg`, API);
    url.searchParams.set("origin", location.origin);
    const box = dialog("Scan to judge pictures",
      h("img", { class: "code", src: url.href, alt: "QR code of the link below", width: 264, height: 264 }),
      h("p", { dir: "auto" }, `${link.project}, ${until(link.expires_at)}.`),
      linkBox(link.path, "The guest link"),
      h("p", { class: "quiet" }, reach()),
      h("form", { method: "dialog" }, h("div", { class: "row is-end" }, h("button", { class: "button is-primary" }, "Close"))));
    box.classList.add("code-card");
    this.page.root.append(box);
    box.showModal();
  }
}
