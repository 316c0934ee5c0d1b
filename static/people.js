// <loop-people>: who may do what here. For administrators.
import { StudioElement, define, h } from "./element.js";
import { Accounts } from "./people-accounts.js";
import { GuestLinks } from "./people-guests.js";
import { Invitations } from "./people-invitations.js";
import { openProjectPatiently } from "./project.js";
import { session } from "./session.js";
import { Tokens } from "./tokens.js";

class People extends StudioElement {
  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.said = h("p", { class: "quiet", role: "status" });
    this.page = h("div", { class: "page people" }, h("section", {}, h("h1", {}, "People"), this.alert, this.said));
    this.root.append(this.page);
    await openProjectPatiently((error) => this.#refuse(error));
    const { signed_in: isSignedIn } = await session();
    const first = !isSignedIn;
    const invitations = new Invitations(this, { first });
    this.parts = first ? [invitations] : [new Accounts(this), invitations, new GuestLinks(this), new Tokens(this, { path: "tokens", title: "Tokens of programs" })];
    this.page.append(...this.parts.map((part) => part.node));
    await this.act(() => Promise.all(this.parts.map((part) => part.load())));
    this.dataset.state = "ready";
  }

  // Do it, and say so; true if it went.
  async act(work, words = "") {
    try {
      await work();
      this.alert.hidden = true;
      this.say(words);
      return true;
    } catch (error) {
      this.#refuse(error);
      return false;
    }
  }

  say(words) {
    this.said.textContent = words;
  }

  #refuse(error) {
    this.alert.textContent = error.message;
    this.alert.hidden = false;
    this.alert.scrollIntoView({ block: "center" });
  }
}

await define("loop-people", People, "page.css", "settings.css", "people.css");
