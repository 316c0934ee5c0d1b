// What the judgement would teach as it stands: each picture's push, asked of the studio, which
// works it out by the rule that it learns by. Never in the way of a key.
import { post } from "./api.js";

const SILENCE = 80; // ms without another look or mark

export class Preview {
  #timer = null;
  #known = new Map();
  #turn = 0;

  constructor(onWorth) {
    this.onWorth = onWorth; // {advantages, usable, reason}, or null
  }

  ask(groupId, mode, judgement) {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    if (!judgement) return this.onWorth(null);
    const key = JSON.stringify([groupId, mode, judgement]);
    const known = this.#known.get(key);
    if (known) return this.onWorth(known);
    this.#timer = setTimeout(async () => {
      const worth = await post(`groups/${groupId}/preview`, { mode, judgement }).catch(() => null);
      if (worth) this.#known.set(key, worth);
      if (turn === this.#turn) this.onWorth(worth);
    }, SILENCE);
  }

  // Another group is on screen.
  clear() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#known.clear();
    this.onWorth(null);
  }
}
