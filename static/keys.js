// Which key does what beside the digits, which always mean pictures or stars. Changeable, kept on
// this device.
import { recall, remember } from "./address.js";

const STORED = "keys";

export const ACTIONS = {
  none: ["0", "none is good"],
  equal: ["=", "all equally good"],
  skip: ["s", "skip: the group goes to other raters"],
  undo: ["u", "undo the last answer, also after a reload"],
  closer: ["z", "a closer look"],
  compare: ["c", "two pictures side by side"],
  flag: ["f", "flag the group"],
  note: ["n", "a note on the group"],
  report: ["p", "report a picture"],
  unveil: ["v", "show the blurred pictures"],
  guidelines: ["g", "the guidelines"],
  mode: ["m", "next way of judging"],
  help: ["?", "this panel"],
};

const FIXED = { Backspace: "undo", Enter: "send" };
const usable = (key) => key.length === 1 && key.trim() !== "" && !/[1-9]/.test(key);

let chosen = recall(STORED, {});
const changes = new EventTarget();

export const keyFor = (action) => chosen[action] ?? ACTIONS[action][0];
export const shownKey = (action) => keyFor(action).toUpperCase();
export const whenChanged = (listener) => changes.addEventListener("change", listener);

function keep(keys) {
  chosen = keys;
  remember(STORED, keys);
  changes.dispatchEvent(new Event("change"));
}

// What a key beside the digits does, or null.
export function actionForKey(key) {
  if (key in FIXED) return FIXED[key];
  const pressed = key.length === 1 ? key.toLowerCase() : key;
  return Object.keys(ACTIONS).find((action) => keyFor(action) === pressed) ?? null;
}

// Give an action another key; the action that had it takes the old one. False if it cannot be one.
export function setKey(action, key) {
  const wanted = key.toLowerCase();
  if (!usable(wanted)) return false;
  const other = actionForKey(wanted);
  const swapped = other && other !== action ? { [other]: keyFor(action) } : {};
  keep({ ...chosen, [action]: wanted, ...swapped });
  return true;
}

export const resetKeys = () => keep({});
