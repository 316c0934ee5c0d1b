// Who judges: the account or the guest who is signed in; else asked once, kept on this device,
// changeable.
import { recall, remember } from "./address.js";
import { h } from "./element.js";
import { session } from "./session.js";

let signedIn = null; // the name that the studio knows this browser by

export const raterName = () => signedIn ?? recall("rater", "");

// Resolves with the name, once there is one; it asks only where nobody is signed in.
export async function settleName(root) {
  signedIn = await session().then(({ name }) => name, () => null);
  if (!raterName()) await askName(root, { must: true });
  return raterName();
}

// Whether answers of this rater may be sent from here now; else they wait for them to sign in.
export const maySend = (rater) => signedIn === null || rater === undefined || rater === signedIn;

export const isNameFixed = () => signedIn !== null;

export function dialog(title, ...content) {
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
