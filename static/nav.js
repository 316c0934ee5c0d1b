// <loop-nav page="rate">: the pages, the project, a new project. It keeps the project in every link.
import { PAGES, ROOT, pageUrl } from "./address.js";
import { post } from "./api.js";
import { StudioElement, define, h } from "./element.js";
import { openProjectPatiently } from "./project.js";

const NEW = "new project";

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
    this.select = h("select", { class: "button", "aria-label": "Project", onchange: () => this.#go() });
    this.root.append(
      h(
        "header",
        {},
        h("span", { class: "name" }, mark(), h("span", {}, "LOOP Studio")),
        h("nav", { "aria-label": "Pages" }, this.links),
        this.select,
      ),
    );
    this.#showLinks(null);
    window.addEventListener("loop-signed-out", () => this.#offerSignIn());
    const { project, projects } = await openProjectPatiently();
    this.project = project;
    this.#showLinks(project.id);
    const listed = projects.filter((other) => !other.archived || other.id === project.id);
    this.select.replaceChildren(
      ...listed.map((other) => h("option", { value: other.id }, other.name)),
      h("option", { value: NEW }, "New project …"),
    );
    this.select.value = project.id;
    const [, title] = PAGES.find(([name]) => name === this.page);
    document.title = `${title} · ${project.name} · LOOP Studio`;
  }

  #showLinks(projectId) {
    this.links.replaceChildren(
      ...PAGES.map(([name, title]) => {
        const here = name === this.page ? "page" : null;
        return h("li", {}, h("a", { href: pageUrl(name, projectId), "aria-current": here }, title));
      }),
    );
  }

  // The session has ended; what waits in the outbox is sent after signing in again.
  #offerSignIn() {
    if (this.root.querySelector(".signed-out")) return;
    const url = new URL("login", ROOT);
    url.searchParams.set("next", location.pathname.replace(ROOT.pathname, "/") + location.search);
    const link = h("a", { href: url.href }, "Sign in again");
    this.root.append(h("p", { class: "signed-out", role: "alert" }, "You are signed out; nothing is lost. ", link));
  }

  #go() {
    if (this.select.value === NEW) {
      this.select.value = this.project.id;
      this.#askForProject();
    } else {
      location.href = pageUrl(this.page, this.select.value);
    }
  }

  #askForProject() {
    const name = h("input", { id: "name", name: "name", required: true, maxlength: "200", autocomplete: "off" });
    const prompts = h("textarea", { id: "prompts", rows: "6", placeholder: "One prompt per line" });
    const alert = h("p", { class: "alert", role: "alert", hidden: true });
    const create = h("button", { class: "button is-primary" }, "Create project");
    const form = h(
      "form",
      {},
      h("label", { for: "name" }, "Name"),
      name,
      h("label", { for: "prompts" }, "Prompts"),
      prompts,
      h("p", { class: "quiet" }, "You can change both later; without prompts it starts with the studio's own."),
      alert,
      h(
        "div",
        { class: "row is-end" },
        h("button", { type: "button", class: "button", onclick: () => box.close() }, "Cancel"),
        create,
      ),
    );
    const box = h("dialog", { "aria-label": "New project" }, h("h2", {}, "New project"), form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      create.disabled = true;
      const lines = prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
      try {
        const project = await post("projects", { name: name.value.trim(), ...(lines.length ? { prompts: lines } : {}) });
        location.href = pageUrl("rate", project.id);
      } catch (error) {
        alert.textContent = error.message;
        alert.hidden = false;
        create.disabled = false;
      }
    });
    box.addEventListener("close", () => box.remove());
    this.root.append(box);
    box.showModal();
  }
}

await define("loop-nav", Nav, "nav.css");
