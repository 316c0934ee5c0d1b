// Everyone with an account: role, sign-out, a new password, and the way out and back.
import { get, patch, post } from "./api.js";
import { h, moment } from "./element.js";
import { linkBox } from "./link-box.js";
import { action, confirmed, row } from "./people-rows.js";

export const ROLES = [
  ["rater", "Rater", "judges, and sees their own history"],
  ["trainer", "Trainer", "also trains, and changes projects, rewards, versions"],
  ["administrator", "Administrator", "also manages people, deletes projects, sees paths"],
];

export class Accounts {
  constructor(page) {
    this.page = page;
    this.list = h("ul", { class: "rows" });
    this.node = h("section", { hidden: true }, h("h2", {}, "Accounts"), this.list);
  }

  async load() {
    const { people } = await get("people");
    this.node.hidden = !people.length;
    this.list.replaceChildren(...people.map((person) => this.#row(person)));
  }

  #row(person) {
    const { id, name, active, signed_in_at: at } = person;
    const facts = [active ? null : "deactivated", at ? `signed in ${moment(at)}` : "never signed in", `since ${moment(person.created_at)}`];
    const made = h("div", {});
    const change = (values, words) => this.page.act(async () => { await patch(`people/${id}`, values); await this.load(); }, words);
    const role = h("select", { class: "button", "aria-label": `Role of ${name}`, disabled: !active, onchange: () => change({ role: role.value }, `${name} is ${role.value} now.`).then((went) => went || this.load()) },
      ROLES.map(([value, title]) => h("option", { value, selected: value === person.role }, title)));
    const renew = () => this.page.act(async () => {
      const { path } = await post(`people/${id}/password-link`);
      made.replaceChildren(h("p", {}, `Send this to ${name}; it works once, for a day.`), linkBox(path, `Link for a new password of ${name}`));
    });
    const signOut = () => this.page.act(() => post(`people/${id}/sign-out`), `${name} is signed out everywhere.`);
    const deactivate = () => confirmed(this.page.root, `Deactivate ${name}`,
      "They are signed out at once and their tokens are gone. What they judged stays, and you can take them back.", "Deactivate",
      async () => { await patch(`people/${id}`, { active: false }); await this.load(); this.page.say(`${name} is deactivated.`); });
    return row(id, name, facts, active
      ? [role, action("New password …", renew, `New password for ${name}`), action("Sign out", signOut, `Sign ${name} out everywhere`), action("Deactivate …", deactivate, `Deactivate ${name}`)]
      : [role, action("Reactivate", () => change({ active: true }, `${name} may sign in again.`), `Reactivate ${name}`)], made);
  }
}
