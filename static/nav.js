// <loop-nav page="rate">: the pages, and the project, whose name leads to all of them. It keeps the
// project in every link.
import { PAGES, ROOT, pageUrl } from "./address.js";
import { StudioElement, define, h, icon } from "./element.js";
import { live } from "./live.js";
import { openProjectPatiently } from "./project.js";
import { reaches, session } from "./session.js";

const BESIDE = [["compare", "Compare"], ["projects", "Projects"], ["data", "Data"], ["account", "Your account"]]; // pages that others lead to
const FURTHER = ["playground", "rewards", "settings", "account"]; // a phone has them under "More"
const ASIDE = ["status", "people"]; // under "More" everywhere
const SEEN_AFTER = 12_000; // ms that a notice is in sight

function mark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  for (const line of ["M26 16a10 10 0 1 1-4.2-8.2", "M22.5 2.5v6h-6"]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", line);
    svg.append(path);
  }
  return svg;
}

class Nav extends StudioElement {
  async start() {
    this.page = this.getAttribute("page");
    this.links = h("ul", {});
    this.projects = h("a", { class: "button project", href: pageUrl("projects"), "aria-label": "Projects" });
    this.account = h("a", { class: "button account", href: pageUrl("account"), hidden: true }, icon("person"));
    this.notice = h("p", { class: "notice", role: "status", hidden: true });
    this.root.append(
      h(
        "header",
        {},
        h("span", { class: "name" }, mark(), h("span", {}, "LOOP Studio")),
        h("nav", { "aria-label": "Pages" }, this.links),
        this.projects,
        this.account,
        this.notice,
      ),
    );
    window.addEventListener("pointerdown", (event) => this.#closeMore(event));
    window.addEventListener("loop-signed-out", () => this.#offerSignIn());
    session().then((who) => this.#showLinks(who, null), () => null);
    const { project } = await openProjectPatiently();
    const who = await session();
    this.#showLinks(who, project.id);
    this.#showAccount(who);
    this.#showProject(project);
    const [, title] = [...PAGES, ...BESIDE].find(([name]) => name === this.page);
    this.pageTitle = `${title} · ${project.name} · LOOP Studio`;
    document.title = this.pageTitle;
    this.live = live(project.id);
    this.live.addEventListener("change", () => this.#watch());
    document.addEventListener("visibilitychange", () => this.#fade());
  }

  // A version went live, in this tab or in another one: said here and in the title.
  #watch() {
    this.#badge(this.live.status?.open_reports ?? 0);
    const version = this.live.status?.live_version;
    if (version == null) return;
    if (this.version != null && this.version !== version) this.#announce(`Version ${version} is live`);
    this.version = version;
  }

  // Reported pictures wait for a decision.
  #badge(count) {
    if (this.projects.dataset.reports === String(count)) return;
    this.projects.dataset.reports = count;
    this.projects.querySelector(".badge")?.remove();
    if (count) this.projects.append(h("span", { class: "badge", title: "Reported pictures to decide about, in the settings" }, String(count), h("span", { class: "unseen" }, " reported")));
  }

  #announce(words) {
    this.notice.replaceChildren(
      h("span", {}, `${words}.`),
      h("button", { type: "button", class: "button", "aria-label": "Close", onclick: () => this.#hide() }, icon("close")),
    );
    this.notice.hidden = false;
    document.title = `${words} · ${this.pageTitle}`;
    this.#fade();
  }

  // It goes once it has been in sight for a while; in a hidden tab it waits.
  #fade() {
    clearTimeout(this.fading);
    if (!document.hidden && !this.notice.hidden) this.fading = setTimeout(() => this.#hide(), SEEN_AFTER);
  }

  #hide() {
    clearTimeout(this.fading);
    this.notice.hidden = true;
    document.title = this.pageTitle;
  }

  // The page that one comes from is the page where another project is opened.
  #showProject(project) {
    const url = new URL(pageUrl("projects", project.id));
    if (this.page !== "projects") url.searchParams.set("from", this.page);
    this.projects.href = url.href;
    this.projects.setAttribute("aria-label", `Project ${project.name}; all projects`);
    if (this.page === "projects") this.projects.setAttribute("aria-current", "page");
    this.projects.replaceChildren(h("span", { dir: "auto" }, project.name), icon("chevron"));
  }

  // Who is signed in, and the way to their password, their tokens and out.
  #showAccount({ name, signed_in: isSignedIn }) {
    this.account.hidden = !isSignedIn;
    this.account.setAttribute("aria-label", name ? `Your account: ${name}` : "Your account");
    this.account.title = name ?? "Signed in with the studio's password";
    if (this.page === "account") this.account.setAttribute("aria-current", "page");
  }

  #showLinks(who, projectId) {
    const shown = PAGES.filter(([, , least]) => reaches(who, least));
    const beside = who.signed_in ? [["account", "Account"]] : []; // a phone has no other place for it
    const link = ([name, title]) =>
      h("a", { href: pageUrl(name, projectId), "aria-current": name === this.page ? "page" : null }, h("span", {}, title));
    const isFurther = ([name]) => FURTHER.includes(name);
    const isAside = ([name]) => ASIDE.includes(name);
    this.links.replaceChildren(
      ...shown.filter((page) => !isAside(page)).map((page) => h("li", { class: isFurther(page) ? "further" : null }, link(page))),
      h("li", { class: "more" }, this.#more([...shown.filter((page) => isFurther(page) || isAside(page)), ...beside], link)),
    );
    this.links.querySelector(".more").hidden = !shown.some(isFurther) && !beside.length;
  }

  #closeMore(pressed) {
    const more = this.links.querySelector("details[open]");
    if (more && !pressed.composedPath().includes(more)) more.open = false;
  }

  #more(pages, link) {
    const here = pages.some(([name]) => name === this.page);
    const onPhones = FURTHER.includes(this.page) ? "on-phones" : null; // elsewhere its own link says so
    const summary = h("summary", { class: onPhones, "aria-current": here ? "page" : null }, h("span", {}, "More"), icon("chevron"));
    const close = (event) => { if (event.key === "Escape") { more.open = false; summary.focus(); } };
    const more = h("details", { onkeydown: close }, summary, h("ul", {}, pages.map((page) => h("li", { class: FURTHER.includes(page[0]) ? "on-phones" : null }, link(page)))));
    return more;
  }

  // The session has ended; what waits in the outbox is sent after signing in again.
  #offerSignIn() {
    if (this.root.querySelector(".signed-out")) return;
    const url = new URL("login", ROOT);
    url.searchParams.set("next", location.pathname.replace(ROOT.pathname, "/") + location.search);
    const link = h("a", { href: url.href }, "Sign in again");
    this.root.append(h("p", { class: "signed-out", role: "alert" }, "You are signed out; nothing is lost. ", link));
  }
}

await define("loop-nav", Nav, "nav.css");
