// Report a picture that nobody should see: which one of the group, and why, if one likes to say.
import { post } from "./api.js";
import { h } from "./element.js";

const LONGEST = 2000;

// `onDone(index)` once the studio has hidden it.
export function askReport(root, group, at, rater, onDone) {
  const choices = group.images.map((image, index) => {
    const input = h("input", { type: "radio", name: "picture", value: index, checked: index === Math.min(at, group.images.length - 1) });
    input.disabled = Boolean(image.withheld);
    return h("label", { class: "tick" }, input, `Picture ${index + 1}`);
  });
  const reason = h("textarea", { rows: "3", maxlength: String(LONGEST), id: "report-reason", dir: "auto" });
  const alert = h("p", { class: "alert", role: "alert", hidden: true });
  const send = h("button", { class: "button is-primary" }, "Report");
  const form = h("form", {},
    h("p", { class: "quiet" }, "It is hidden from everyone at once, until someone who runs the project decides."),
    h("fieldset", { class: "report-choices" }, h("legend", { class: "unseen" }, "Which picture"), choices),
    h("label", { for: "report-reason" }, "Reason, if you like"), reason, alert,
    h("div", { class: "row is-end" }, h("button", { type: "button", class: "button", onclick: () => box.close() }, "Cancel"), send));
  const box = h("dialog", { "aria-label": "Report a picture" }, h("h2", {}, "Report a picture"), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const index = Number(new FormData(form).get("picture"));
    send.disabled = true;
    try {
      await post(`images/${group.images[index].id}/report`, { rater, reason: reason.value.trim() });
      box.close();
      onDone(index);
    } catch (error) {
      alert.textContent = error.message;
      alert.hidden = false;
      send.disabled = false;
    }
  });
  box.addEventListener("close", () => box.remove());
  root.append(box);
  box.showModal();
  form.querySelector("input:checked")?.focus();
  return true;
}
