// What the last answer did: each picture's push, the version that made the group (told only now),
// and one sentence where there is no learning signal.
import { picture } from "./api.js";
import { h, icon } from "./element.js";

const TITLES = { pair: "Last group: a blind pair", repeat: "Last group: one you had judged before" };

const signed = (value) => `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`;

function push(value) {
  if (value == null) return h("span", { class: "push" }, icon("flat"));
  if (value === 0) return h("span", { class: "push" }, icon("flat"), "0");
  const way = value > 0 ? "up" : "down";
  return h("span", { class: `push is-${way}` }, icon(way), signed(value));
}

function spoken(value) {
  if (!value) return "no push";
  return value > 0 ? `pushed up ${value.toFixed(2)}` : `pushed down ${Math.abs(value).toFixed(2)}`;
}

export class LastGroup {
  constructor() {
    this.node = h("section", { class: "last", "aria-label": "Last group", hidden: true });
  }

  // `answer` is null until the server has stored it.
  show(entry, answer) {
    this.eventId = entry.event_id;
    this.entry = entry;
    const pictures = entry.group.images.map((image, index) => {
      const value = answer?.advantages[image.id];
      const chosen = (entry.mode === "best" || entry.mode === "pair") && entry.judgement[image.id] === 1;
      const thumb = h("img", {
        src: picture(image),
        width: 40,
        height: 40,
        alt: `Picture ${index + 1}: ${answer ? spoken(value) : "stored on this device"}`,
      });
      return h("li", { class: chosen ? "is-chosen" : "" }, thumb, answer ? push(value) : null);
    });
    this.node.hidden = false;
    this.node.replaceChildren(
      h("ul", {}, pictures),
      h("p", {}, h("b", {}, TITLES[entry.group.kind] ?? `Last group: version ${entry.group.version}`), h("span", {}, this.#sentence(answer))),
    );
  }

  settle(eventId, answer) {
    if (eventId === this.eventId) this.show(this.entry, answer);
  }

  hide() {
    this.eventId = null;
    this.node.hidden = true;
  }

  #sentence(answer) {
    if (!answer) return "Saved on this device.";
    const fast = answer.too_fast ? " Marked as too fast to have been seen." : "";
    return (answer.usable ? "Counts for the next fine-tuning." : answer.reason) + fast;
  }
}
