// The gestures: what has been marked on a group so far, and the judgement once it is complete.
// No page, no network. A judgement maps image ids to numbers as api.md's modes say.

import { actionForKey } from "./keys.js";

export const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "q", "w", "e", "r", "t", "a", "d"];

const forAll = (ids, value) => Object.fromEntries(ids.map((id) => [id, value]));

class Gesture {
  constructor(ids) {
    this.ids = ids;
    this.marks = new Map();
  }

  // What a tile shows: "" or one of also, good, 1 .. k, stars.
  mark(id) {
    return this.marks.get(id) ?? "";
  }

  // Take back the last mark; false when there is none.
  back() {
    const last = [...this.marks.keys()].at(-1);
    return last !== undefined && this.marks.delete(last);
  }

  allEqual() {
    return null;
  }

  none() {
    return null;
  }

  finish() {
    return null;
  }

  // The judgement as it would stand with the picture `id` looked at; null while it says nothing.
  soFar(_id) {
    return this.marks.size ? this.finish() : null;
  }
}

// A digit chooses and moves on; Shift+digit marks "also good" before that.
class Best extends Gesture {
  static words = "Best of the group";
  static help = "A number picks the best and moves on. Shift and a number marks others as also good before that.";
  static marksAlso = true;

  press(id) {
    return { ...forAll(this.ids, 0), ...Object.fromEntries(this.#also()), [id]: 1 };
  }

  pressAlso(id) {
    if (!this.marks.delete(id)) this.marks.set(id, "also");
    return null;
  }

  allEqual() {
    return forAll(this.ids, 0.5);
  }

  none() {
    return forAll(this.ids, 0);
  }

  soFar(id) {
    return id ? this.press(id) : null;
  }

  #also() {
    return [...this.marks.keys()].map((id) => [id, 0.5]);
  }
}

// Each picture gets one to five stars, in order; the last one moves on.
class Stars extends Gesture {
  static words = "Stars";
  static help = "Give the framed picture one to five stars; the frame moves on by itself.";
  static rates = true;
  static steps = true; // undo takes back a mark before it takes back a group

  #chosen = null;

  // The picture that the next number rates.
  get focus() {
    return this.#chosen ?? this.ids.find((id) => !this.marks.has(id)) ?? null;
  }

  press(id) {
    this.#chosen = id;
    return null;
  }

  rate(id, stars) {
    this.#chosen = null;
    this.marks.set(id, stars);
    return this.focus === null ? Object.fromEntries(this.marks) : null;
  }

  soFar() {
    return this.marks.size > 1 ? Object.fromEntries(this.marks) : null;
  }
}

// Digits mark the good ones; Enter sends.
class Good extends Gesture {
  static words = "Good or not";
  static help = "A number marks a picture as good or takes the mark back; Enter sends.";
  static sends = true;

  press(id) {
    if (!this.marks.delete(id)) this.marks.set(id, "good");
    return null;
  }

  allEqual() {
    return forAll(this.ids, 1);
  }

  none() {
    return forAll(this.ids, 0);
  }

  finish() {
    return { ...forAll(this.ids, 0), ...Object.fromEntries([...this.marks.keys()].map((id) => [id, 1])) };
  }
}

// Best first; the last place fills itself. Enter leaves the rest tied behind.
class Rank extends Gesture {
  static words = "Ranking";
  static steps = true;
  static help = "Number the pictures from best to worst; Enter leaves the rest tied.";
  static sends = true;

  mark(id) {
    const place = [...this.marks.keys()].indexOf(id);
    return place < 0 ? "" : String(place + 1);
  }

  press(id) {
    if (!this.marks.delete(id)) this.marks.set(id, true);
    return this.marks.size >= this.ids.length - 1 ? this.#ranks() : null;
  }

  allEqual() {
    return forAll(this.ids, 1);
  }

  finish() {
    return this.marks.size ? this.#ranks() : null;
  }

  #ranks() {
    const ranked = [...this.marks.keys()].map((id, place) => [id, place + 1]);
    return { ...forAll(this.ids, this.marks.size + 1), ...Object.fromEntries(ranked) };
  }
}

// How an answer is told to the studio: choosing one of a blind pair looks like any choice.
export const modeFor = (group, mode) => (group.kind === "pair" && mode === "best" ? "pair" : mode);

export const MODES = { best: Best, stars: Stars, good: Good, rank: Rank };

// Would this judgement teach? Two different values are needed.
export const hasSignal = (judgement) =>
  new Set(Object.values(judgement).filter((value) => value !== null)).size > 1;

// The action of a key press, or null: {do: "press"|"also"|"rate"|"none"|..., index?}. Keys typed
// into a form, repeats, and keys with a modifier (but Shift) are not for us.
export function actionOf(event, mode) {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return null;
  const target = event.composedPath()[0];
  if (target?.closest?.("input, textarea, select, [contenteditable]")) return null;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  const zero = /^(?:Digit|Numpad)0$/.test(event.code) && !event.shiftKey;
  const command = digit ? null : actionForKey(zero ? "0" : event.key);
  const letter = event.key.length === 1 ? event.key.toLowerCase() : "";
  const index = command ? -1 : KEYS.indexOf(digit ?? letter);
  if (index >= 0 && MODES[mode].rates) {
    return digit && !event.shiftKey && index < 5 ? { do: "rate", stars: index + 1 } : null;
  }
  if (index >= 0) return { do: event.shiftKey ? "also" : "press", index };
  if (event.shiftKey && /[a-z]/.test(letter)) return null; // signs such as ? need it
  if (event.key === "Enter" && target?.closest?.("button, a, summary")) return null;
  return command ? { do: command } : null;
}
