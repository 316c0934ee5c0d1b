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

  // The same in words, for those who hear it.
  told(id) {
    return this.marks.get(id) ?? "not marked";
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
  static also = { words: "Also good", told: (n) => `Picture ${n} is also good` };
  static isHeld = true; // a long press marks it too

  told(id) {
    return this.marks.has(id) ? "also good" : "not marked";
  }

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

  told(id) {
    return this.marks.has(id) ? `${this.marks.get(id)} of 5 stars` : "the next number rates it";
  }

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
  static marksMany = true;

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

// Places from 1, the best, by numbers or by drag; pictures of one place are tied. A number that
// leaves one picture over sends: that one comes last. Enter leaves all that are over tied behind.
class Rank extends Gesture {
  static words = "Ranking";
  static steps = true;
  static help =
    "Number the pictures from best to worst, or drag them to their places. Shift ties one with the one before; Enter leaves the rest tied.";
  static sends = true;
  static marksMany = true;
  static also = { words: "Tie", told: (n) => `Tie picture ${n} with the one before` };
  static hasPlaces = true;

  told(id) {
    return this.marks.has(id) ? `place ${this.marks.get(id)}` : "no place yet";
  }

  press(id) {
    if (!this.marks.delete(id)) this.place(id, this.#free());
    const left = this.ids.length - this.marks.size;
    return !left || (left === 1 && this.#free() > Math.max(...this.marks.values())) ? this.finish() : null;
  }

  // Tied with the picture that was placed last.
  pressAlso(id) {
    const last = [...this.marks].findLast(([other]) => other !== id)?.[1] ?? 1;
    if (this.marks.get(id) === last) this.marks.delete(id);
    else this.place(id, last);
    return this.marks.size === this.ids.length ? this.finish() : null;
  }

  isTied(id) {
    const place = this.marks.get(id);
    return place !== undefined && [...this.marks.values()].filter((other) => other === place).length > 1;
  }

  // Carried to a place; who drags goes on arranging, and sends when it is done.
  place(id, place) {
    this.marks.delete(id); // it is the last mark now
    this.marks.set(id, place);
    return null;
  }

  allEqual() {
    return forAll(this.ids, 1);
  }

  // Places that were left empty between others count for nothing.
  finish() {
    if (!this.marks.size) return null;
    const places = [...new Set(this.marks.values())].sort((a, b) => a - b);
    const ranked = [...this.marks].map(([id, place]) => [id, places.indexOf(place) + 1]);
    return { ...forAll(this.ids, places.length + 1), ...Object.fromEntries(ranked) };
  }

  #free() {
    const taken = new Set(this.marks.values());
    return this.ids.findIndex((_, index) => !taken.has(index + 1)) + 1;
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
