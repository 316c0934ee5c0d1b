// What a project asks its raters to agree to before the first answer. Shown as plain text.
import { get, post } from "./api.js";
import { h } from "./element.js";

// Resolves true once this rater has agreed, false when there is nothing to ask; a studio that does
// not answer now takes no answer later either, and is asked again then.
export async function askConsent(root, projectId, rater) {
  const path = `projects/${projectId}/consent`;
  const query = new URLSearchParams({ rater });
  for (;;) {
    const asked = await get(`${path}?${query}`).catch(() => null);
    if (!asked || !asked.number || asked.agreed_at) return false;
    const agreed = await agree(root, asked.text, () => post(path, { rater, number: asked.number }));
    if (agreed) return true;
  }
}

// True once it is stored; false when the text has changed meanwhile.
function agree(root, text, send) {
  return new Promise((resolve) => {
    const alert = h("p", { class: "alert", role: "alert", hidden: true });
    const button = h("button", { type: "button", class: "button is-primary" }, "I agree");
    const paragraphs = text.split(/\n\s*\n/).map((part) => h("p", { dir: "auto" }, part));
    const box = h("dialog", { class: "consent", "aria-label": "Before you judge" },
      h("h2", {}, "Before you judge"),
      h("div", { class: "consent-text", tabindex: "0", role: "region", "aria-label": "What you agree to" }, paragraphs),
      h("p", { class: "quiet" }, "Who does not agree closes the page; nothing is kept of them."),
      alert, h("div", { class: "row is-end" }, button));
    const end = (agreed) => {
      box.close();
      box.remove();
      resolve(agreed);
    };
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await send();
        end(true);
      } catch (error) {
        if (error.code === "consent_changed") return end(false);
        alert.textContent = error.message;
        alert.hidden = false;
        button.disabled = false;
      }
    });
    box.addEventListener("cancel", (event) => event.preventDefault());
    root.append(box);
    box.showModal();
  });
}
