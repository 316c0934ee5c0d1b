// Tokens: how programs get in. Of one account, to make and revoke; or everyone's, to revoke.
import { get, post, remove } from "./api.js";
import { h, moment } from "./element.js";
import { action, confirmed, nothing, row } from "./people-rows.js";
import { reaches } from "./session.js";

const SCOPES = [["rate", "rater", "Rate"], ["train", "trainer", "Rate and train"], ["administer", "administrator", "Everything"]];
const MAY = { rate: "may rate", train: "may rate and train", administer: "may do everything" };

export class Tokens {
  constructor(page, { path, title, who = null }) {
    Object.assign(this, { page, path });
    this.list = h("ul", { class: "rows" });
    this.made = h("div", { role: "status" });
    this.node = h("section", {}, h("h2", {}, title), who ? this.#form(who) : null, this.made, this.list);
  }

  #form(who) {
    const name = h("input", { id: "token-name", maxlength: "80", required: true, placeholder: "What it is for", autocomplete: "off" });
    const scope = h("select", { id: "token-scope", class: "button" }, SCOPES.filter(([, least]) => reaches(who, least)).map(([value, , words]) => h("option", { value }, words)));
    return h("form", { class: "maker", onsubmit: (event) => { event.preventDefault(); this.#make(name, scope); } },
      h("p", { class: "quiet" }, "A program sends it as Authorization: Bearer TOKEN and acts in your name, up to what you choose here."),
      h("div", { class: "fields" },
        h("label", { for: "token-name" }, h("span", {}, "Name"), name),
        h("label", { for: "token-scope" }, h("span", {}, "May"), scope),
        h("button", { class: "button is-primary" }, "Make a token")));
  }

  #make(name, scope) {
    this.page.act(async () => {
      const { token } = await post(this.path, { name: name.value.trim(), scope: scope.value });
      const field = h("input", { readonly: true, "aria-label": "The token", class: "secret", onfocus: () => field.select() });
      field.value = token;
      this.made.replaceChildren(h("p", {}, "Copy it now; it is shown this once."), field);
      name.value = "";
      await this.load();
      field.focus();
    });
  }

  async load() {
    const { tokens } = await get(this.path);
    this.list.replaceChildren(...(tokens.length ? tokens.map((token) => this.#row(token)) : [nothing("There is no token.")]));
  }

  #row({ id, name, scope, owner, created_at: at }) {
    const revoke = () => confirmed(this.page.root, `Revoke ${name}`, "The program that uses it is refused from now on.", "Revoke",
      async () => { await remove(`${this.path}/${id}`); this.made.replaceChildren(); await this.load(); this.page.say(`${name} is revoked.`); });
    return row(id, name, [this.path === "tokens" ? `of ${owner}` : null, MAY[scope], `made ${moment(at)}`], [action("Revoke …", revoke, `Revoke ${name}`)]);
  }
}
