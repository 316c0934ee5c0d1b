// <loop-take-home>: a version as a zip with its card, as a merged pipeline, or on the hub.
import { get, post } from "./api.js";
import { StudioElement, define, h, icon } from "./element.js";
import { ExportRow } from "./export-row.js";
import { openProject } from "./project.js";

const ZIP = "Both LoRA files, for diffusers and for ComfyUI and A1111, a model card and the pictures before and after.";
const MERGED = "A whole pipeline folder with the LoRA in it, for from_pretrained. It acts in every denoising step; the card says what that changes.";

class TakeHome extends StudioElement {
  async start() {
    const { version } = this;
    this.zip = this.#row(version, "zip", "LoRA and model card", ZIP, (one) => { this.push.hidden = !one; this.packed = one; });
    this.merged = this.#row(version, "merged", "Merged pipeline", MERGED);
    this.push = this.#pushing();
    this.alert = h("p", { class: "alert", role: "alert", hidden: true });
    const title = `Take version ${version.number} home`;
    this.box = h("dialog", { "aria-label": title },
      h("h2", {}, title), this.alert, this.zip.node, this.push, this.merged.node,
      h("div", { class: "row is-end" }, h("button", { type: "button", class: "button", onclick: () => this.box.close() }, "Close")));
    this.box.addEventListener("close", () => this.remove());
    this.root.append(this.box);
    this.box.showModal();
    const { project } = await openProject();
    this.zip.list = this.merged.list = `projects/${project.id}/exports`;
    await Promise.all([this.zip.open(), this.merged.open()]).catch((error) => {
      this.alert.textContent = error.message;
      this.alert.hidden = false;
    });
  }

  #row(version, format, title, words, ready) {
    const make = () => post(`versions/${version.id}/exports`, { format });
    return new ExportRow({ title, words, make, mine: (one) => one.version_id === version.id && one.format === format, ready });
  }

  #pushing() {
    const repository = h("input", { id: "repository", maxlength: "200", autocomplete: "off", spellcheck: "false", placeholder: "owner/name", required: true });
    const token = h("input", { id: "token", type: "password", maxlength: "200", autocomplete: "off" });
    const isPublic = h("input", { id: "public", type: "checkbox" });
    const message = h("p", { role: "status" });
    const send = h("button", { class: "button" }, "Push to the hub");
    const form = h("form", {},
      h("label", { for: "repository" }, "Repository"), repository,
      h("label", { for: "token" }, "Token"), token,
      h("p", { class: "quiet" }, "Used once and never stored; left empty, the studio's own HF_TOKEN is used."),
      h("p", { class: "check" }, isPublic, h("label", { for: "public" }, "Everyone may see it")),
      message, send);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      send.disabled = true;
      message.className = "quiet";
      message.textContent = "Sending …";
      try {
        const body = { repository: repository.value.trim(), private: !isPublic.checked, ...(token.value ? { token: token.value } : {}) };
        const { url } = await post(`exports/${this.packed.id}/push`, body, { timeout: 3_600_000 });
        message.replaceChildren("It is at ", h("a", { href: url, rel: "noreferrer" }, url), ".");
        token.value = "";
      } catch (error) {
        message.className = "refusal";
        message.textContent = error.message;
      }
      send.disabled = false;
    });
    return h("details", { hidden: true }, h("summary", {}, "Push to the Hugging Face hub"), form);
  }
}

// The button on a version; the dialog lives beside the page, which may be drawn anew meanwhile.
export function takeHome(version) {
  const open = () => document.body.append(Object.assign(document.createElement("loop-take-home"), { version }));
  return h("button", { type: "button", class: "button", "aria-label": `Take version ${version.number} home`, onclick: open }, icon("load"), "Take home");
}

await define("loop-take-home", TakeHome, "page.css", "settings.css", "projects.css");
