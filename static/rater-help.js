// The panel with every key, where each can be changed.
import { h, key } from "./element.js";
import { MODES } from "./gestures.js";
import { ACTIONS, resetKeys, setKey, shownKey } from "./keys.js";
import { dialog } from "./rater-name.js";

const ALSO = { best: "also good (or hold the picture)", rank: "tied with the one before" };

const line = (keys, words) => h("div", {}, h("dt", {}, keys), h("dd", {}, words));

// A button that takes the next key pressed; Escape leaves it as it is.
function changeable(action, done) {
  const node = h("button", { type: "button", class: "key-button" });
  const show = () => {
    node.replaceChildren(key(shownKey(action)));
    node.setAttribute("aria-label", `Key for ${ACTIONS[action][1]}: ${shownKey(action)}. Change it`);
  };
  const listen = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    if (event.key !== "Escape" && !setKey(action, event.key)) {
      done(`${event.key} cannot be used here: choose a letter or a sign. 1 to 9 choose pictures.`);
      return;
    }
    stop();
    done("");
  };
  const stop = () => {
    node.removeEventListener("keydown", listen);
    node.removeEventListener("blur", stop);
    show();
  };
  node.addEventListener("click", () => {
    node.replaceChildren("Press a key");
    node.addEventListener("keydown", listen);
    node.addEventListener("blur", stop);
    node.focus();
  });
  show();
  return { node, show };
}

export function showHelp(root, mode) {
  const said = h("p", { role: "status", class: "quiet" });
  const changed = (sentence) => {
    said.textContent = sentence;
    if (!sentence) for (const one of buttons) one.show();
  };
  const missing = { stars: ["none", "equal"], rank: ["none"] }[mode] ?? [];
  const listed = Object.keys(ACTIONS).filter((action) => !missing.includes(action));
  const buttons = listed.map((action) => changeable(action, changed));
  const reset = () => {
    resetKeys();
    changed("");
  };
  const box = dialog(
    "Keys",
    h("p", {}, MODES[mode].help),
    h("dl", { class: "keys" },
      line([key("1"), key("…"), key("9")], mode === "stars" ? "1 to 5 stars for the marked picture" : "choose a picture"),
      MODES[mode].also && line([key("⇧"), key("1")], ALSO[mode]),
      MODES[mode].sends && line([key("Enter")], "send"),
      listed.map((action, index) => line([buttons[index].node], ACTIONS[action][1]))),
    said,
    h("p", { class: "quiet" }, "Press a key's button to change it. Every answer is stored on this device first and sent in order, so nothing is lost when the line drops."),
    h("form", { method: "dialog" }, h("div", { class: "row is-end" },
      h("button", { type: "button", class: "button", onclick: reset }, "Usual keys"),
      h("button", { class: "button is-primary", autofocus: true }, "Close"))),
  );
  root.append(box);
  box.showModal();
  box.scrollTop = 0; // the focus is on the button at the end
}
