// What the last answer did: each picture's push, or, of a pair, the version that drew it; which
// version made the group is told only now. And one sentence where there is no learning signal.
import { get, picture } from "./api.js";
import { h, icon } from "./element.js";
import { isVeiled } from "./veil.js";

const TITLES = { pair: "Last group: a blind pair", repeat: "Last group: one you had judged before" };

const signed = (value) => `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`;

function push(value) {
  if (value == null) return h("span", { class: "push" }, icon("flat"));
  if (value === 0) return h("span", { class: "push" }, icon("flat"), "0");
  const way = value > 0 ? "up" : "down";
  return h("span", { class: `push is-${way}` }, icon(way), signed(value));
}

// Of a pair: no push, for it teaches nothing.
const drawnBy = (version) => h("span", { class: "push" }, version == null ? "" : `v${version}`);

function spoken(value) {
  if (!value) return "no push";
  return value > 0 ? `pushed up ${value.toFixed(2)}` : `pushed down ${Math.abs(value).toFixed(2)}`;
}

export class LastGroup {
  constructor() {
    this.node = h("section", { class: "last", "aria-label": "Last group", hidden: true });
  }

  // `answer` is null until the server has stored it; `versions` (by image id) are told of a pair.
  show(entry, answer, versions = null) {
    this.eventId = entry.event_id;
    this.entry = entry;
    const isPair = entry.group.kind === "pair";
    const pictures = entry.group.images.map((image, index) => {
      const value = answer?.advantages[image.id];
      const version = versions?.get(image.id);
      const chosen = (entry.mode === "best" || entry.mode === "pair") && entry.judgement[image.id] === 1;
      const told = isPair ? `${version == null ? "version not told" : `by version ${version}`}${chosen ? ", chosen" : ""}` : spoken(value);
      const thumb = h("img", {
        src: picture(image),
        class: isVeiled(image) ? "is-veiled" : null,
        width: 40,
        height: 40,
        alt: `Picture ${index + 1}: ${answer ? told : "stored on this device"}`,
      });
      const below = isPair ? drawnBy(version) : push(value);
      return h("li", { class: chosen ? "is-chosen" : "" }, thumb, answer ? below : null);
    });
    this.node.hidden = false;
    this.node.replaceChildren(
      h("ul", {}, pictures),
      h("p", {}, h("b", {}, TITLES[entry.group.kind] ?? `Last group: version ${entry.group.version}`), h("span", {}, this.#sentence(answer))),
    );
  }

  async settle({ event_id: eventId, body }, answer) {
    if (eventId !== this.eventId) return;
    this.show(this.entry, answer);
    if (this.entry.group.kind !== "pair" || body.mode === "skip") return;
    const query = new URLSearchParams({ rater: body.rater });
    const told = await get(`groups/${body.group_id}?${query}`).catch(() => null);
    if (!told || eventId !== this.eventId) return;
    this.show(this.entry, answer, new Map(told.images.map(({ id, version }) => [id, version])));
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
