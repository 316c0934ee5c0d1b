// One small dialog for what is asked before a whole project is changed: a name, a confirmation.
import { h } from "./element.js";

export function askFor(root, { title, action, words, value = "", input = true, label = "Name", mustBe = null, act }) {
  const field = h("input", { id: "asked", required: true, maxlength: "200", autocomplete: "off", dir: "auto", oninput: () => check() });
  field.value = value;
  const alert = h("p", { class: "alert", role: "alert", hidden: true });
  const go = h("button", { class: mustBe === null ? "button is-primary" : "button is-danger" }, action);
  const check = () => { go.disabled = input && (mustBe === null ? !field.value.trim() : field.value.trim() !== mustBe.trim()); };
  const form = h(
    "form",
    {},
    words ? h("p", {}, words) : null,
    input ? [h("label", { for: "asked" }, label), mustBe === null ? null : h("p", { class: "quiet", dir: "auto" }, mustBe), field] : null,
    alert,
    h("div", { class: "row is-end" },
      h("button", { type: "button", class: "button", onclick: () => box.close() }, "Cancel"),
      go),
  );
  const box = h("dialog", { "aria-label": title }, h("h2", { dir: "auto" }, title), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await act(field.value.trim());
      box.close();
    } catch (error) {
      alert.textContent = error.message;
      alert.hidden = false;
      check();
    }
  });
  box.addEventListener("close", () => box.remove());
  root.append(box);
  check();
  box.showModal();
  field.select();
}
