// Who judges: asked once, kept on this device, changeable. And the panel with every key.
import { recall, remember } from "./address.js";
import { h, key } from "./element.js";
import { MODES } from "./gestures.js";

export const raterName = () => recall("rater", "");

function dialog(title, ...content) {
  const node = h("dialog", { "aria-label": title }, h("h2", {}, title), ...content);
  node.addEventListener("close", () => node.remove());
  node.addEventListener("click", (event) => event.target === node && node.close());
  return node;
}

// Resolves with the name; `must` leaves no way out without one.
export function askName(root, { must }) {
  return new Promise((resolve) => {
    const input = h("input", {
      id: "rater-name",
      name: "rater",
      maxlength: "80",
      autocomplete: "nickname",
      required: true,
    });
    input.value = raterName();
    const form = h(
      "form",
      { method: "dialog" },
      h("label", { for: "rater-name" }, "Your name"),
      input,
      h("p", { class: "quiet" }, "It is kept with your answers, so that no picture is shown to you twice."),
      h(
        "div",
        { class: "row is-end" },
        must ? null : h("button", { type: "button", class: "button", onclick: () => box.close() }, "Cancel"),
        h("button", { class: "button is-primary" }, must ? "Start judging" : "Save"),
      ),
    );
    const box = dialog("Who is judging?", form);
    form.addEventListener("submit", (event) => {
      const name = input.value.trim();
      if (!name) {
        event.preventDefault();
        input.value = "";
        input.reportValidity();
        return;
      }
      remember("rater", name);
      resolve(name);
    });
    if (must) box.addEventListener("cancel", (event) => event.preventDefault());
    else box.addEventListener("close", () => resolve(raterName()));
    root.append(box);
    box.showModal();
    input.select();
  });
}

const line = (keys, words) => h("div", {}, h("dt", {}, keys.map(key)), h("dd", {}, words));

export function showHelp(root, mode) {
  const box = dialog(
    "Keys",
    h("p", {}, MODES[mode].help),
    h(
      "dl",
      { class: "keys" },
      line(["1", "…", "9"], mode === "stars" ? "1 to 5 stars for the marked picture" : "choose a picture"),
      mode === "best" && line(["⇧", "1"], "also good (or hold the picture)"),
      mode !== "stars" && line(["0"], "none is good"),
      mode !== "stars" && line(["="], "all equally good"),
      MODES[mode].sends && line(["Enter"], "send"),
      line(["S"], "skip: the group goes to other raters"),
      line(["U"], "undo the last answer, also after a reload"),
      line(["M"], "next way of judging"),
      line(["?"], "this panel"),
    ),
    h("p", { class: "quiet" }, "Every answer is stored on this device first and sent in order, so nothing is lost when the line drops."),
    h("form", { method: "dialog", class: "row is-end" }, h("button", { class: "button is-primary", autofocus: true }, "Close")),
  );
  root.append(box);
  box.showModal();
}
