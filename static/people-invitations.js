// Links that make an account once.
import { get, post, remove } from "./api.js";
import { h } from "./element.js";
import { linkBox } from "./link-box.js";
import { ROLES } from "./people-accounts.js";
import { action, nothing, row, until } from "./people-rows.js";

export class Invitations {
  constructor(page, { first }) {
    this.page = page;
    this.list = h("ul", { class: "rows" });
    this.node = first ? this.#first() : h("section", {}, h("h2", {}, "Invitations"), this.#form(), this.list);
  }

  // Nobody has an account: one is made here and now, by the same link that others will get.
  #first() {
    const begin = () => this.page.act(async () => {
      const { path } = await post("invitations", { role: "administrator", note: "the first account" });
      location.href = new URL(path, location.origin).href;
    });
    return h("section", { class: "panel" },
      h("h2", {}, "Nobody has to sign in"),
      h("p", {}, "Only this machine reaches the studio, so it asks nobody who they are. Before you let others in, make an account for yourself: it is an administrator's, and from then on everyone signs in."),
      h("p", {}, h("button", { type: "button", class: "button is-primary", onclick: begin }, "Make the first account")));
  }

  #form() {
    const roles = ROLES.map(([value, title, words], index) =>
      h("label", { class: "choice" }, h("input", { type: "radio", name: "role", value, checked: index === 0 }), h("span", {}, h("b", {}, title), h("span", { class: "quiet" }, words))));
    const note = h("input", { id: "invite-note", maxlength: "80", placeholder: "Whom it is for", autocomplete: "off" });
    const days = h("select", { id: "invite-days", class: "button" }, [[1, "1 day"], [7, "7 days"], [30, "30 days"]].map(([value, words]) => h("option", { value, selected: value === 7 }, words)));
    const form = h("form", { class: "maker", onsubmit: (event) => { event.preventDefault(); this.#make(form, note, days); } },
      h("fieldset", { class: "choices" }, h("legend", { class: "unseen" }, "Role"), roles),
      h("div", { class: "fields" },
        h("label", { for: "invite-note" }, h("span", {}, "Note"), note),
        h("label", { for: "invite-days" }, h("span", {}, "Works for"), days),
        h("button", { class: "button is-primary" }, "Invite")));
    return form;
  }

  #make(form, note, days) {
    this.page.act(async () => {
      const role = form.elements.role.value;
      await post("invitations", { role, note: note.value.trim(), days: Number(days.value) });
      note.value = "";
      await this.load();
      this.list.lastElementChild.querySelector("input").focus();
    }, "Copy the link and send it; it makes one account.");
  }

  async load() {
    if (!this.list.isConnected) return;
    const { invitations } = await get("invitations");
    this.list.replaceChildren(...(invitations.length ? invitations.map((one) => this.#row(one)) : [nothing("No invitation is open.")]));
  }

  #row({ id, role, note, for_account: owner, path, expires_at: end }) {
    const title = owner ? `New password for ${owner}` : note || `A ${role}`;
    const withdraw = () => this.page.act(async () => { await remove(`invitations/${id}`); await this.load(); }, "The link is withdrawn.");
    return row(id, title, [owner ? null : role, until(end)], [action("Withdraw", withdraw, `Withdraw: ${title}`)], linkBox(path, `Link: ${title}`));
  }
}
