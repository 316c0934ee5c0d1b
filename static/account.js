// <loop-account>: one's own password, tokens, and the way out.
import { ROOT } from "./address.js";
import { post } from "./api.js";
import { StudioElement, define, h } from "./element.js";
import { action } from "./people-rows.js";
import { openProjectPatiently } from "./project.js";
import { session } from "./session.js";
import { Tokens } from "./tokens.js";

const signIn = () => location.assign(new URL("login?next=/account", ROOT));

class Account extends StudioElement {
  async start() {
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    this.said = h("p", { class: "quiet", role: "status" });
    this.heading = h("h1", { dir: "auto" }, "Your account");
    this.page = h("div", { class: "page people" }, h("section", {}, this.heading, this.alert, this.said));
    this.root.append(this.page);
    await openProjectPatiently((error) => this.#refuse(error));
    const who = await session();
    this.heading.textContent = who.name ?? "Your account";
    this.said.textContent = this.#sentence(who);
    if (who.has_account) await this.#showOwn(who);
    if (who.signed_in) this.page.append(this.#out());
    this.dataset.state = "ready";
  }

  #sentence({ role, signed_in: isSignedIn, has_account: hasAccount }) {
    if (!isSignedIn) return "Nobody has to sign in here; an administrator can change that on the page People.";
    return hasAccount ? `Your role is ${role}.` : "You are signed in with the studio's shared password, as an administrator.";
  }

  async #showOwn(who) {
    const tokens = new Tokens(this, { path: "account/tokens", title: "Tokens for programs", who });
    this.page.append(this.#password(), tokens.node);
    await this.act(() => tokens.load());
  }

  #password() {
    const field = (id, words, autocomplete) => h("label", { for: id }, h("span", {}, words), h("input", { id, type: "password", autocomplete, required: true, maxlength: "1000" }));
    const [old, fresh, again] = [field("old", "Current password", "current-password"), field("fresh", "New password", "new-password"), field("again", "The new one again", "new-password")];
    const value = (label) => label.querySelector("input").value;
    const change = () => this.act(async () => {
      if (value(fresh) !== value(again)) throw new Error("The two new passwords differ; type the same one twice.");
      await post("account/password", { password: value(old), new_password: value(fresh) });
      signIn();
    });
    return h("section", {}, h("h2", {}, "Password"),
      h("form", { class: "maker", onsubmit: (event) => { event.preventDefault(); change(); } },
        h("p", { class: "quiet" }, "At least 10 characters; a few words in a row are easy to remember. Every browser is signed out, this one too."),
        h("div", { class: "fields" }, old, fresh, again, h("button", { class: "button is-primary" }, "Change it"))));
  }

  // A form, since signing out of this browser takes its cookie away, and leads to the sign-in page.
  #out() {
    const everywhere = () => this.act(async () => { await post("account/sign-out"); signIn(); });
    return h("section", {}, h("h2", {}, "Sign out"),
      h("div", { class: "row" },
        h("form", { method: "post", action: new URL("logout", ROOT).href }, h("button", { class: "button" }, "Sign out here")),
        action("Sign out everywhere", everywhere)),
      h("p", { class: "quiet" }, "Everywhere means every browser that is signed in as you; tokens stay."));
  }

  async act(work) {
    try {
      await work();
      this.alert.hidden = true;
    } catch (error) {
      this.#refuse(error);
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

await define("loop-account", Account, "page.css", "settings.css", "people.css");
