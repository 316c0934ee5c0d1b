// The same prompts and seeds as every version draws them: what is there is shown, what is missing is
// asked for, and what is under way is looked at again until it is there.
import { recall, remember } from "./address.js";
import { ApiError, get, post } from "./api.js";

const POLL = 1000;
const PENDING = ["queued", "running"];
const cellKey = ({ prompt, seed }) => JSON.stringify([prompt, seed]);

export class Gallery extends EventTarget {
  #sets = new Map(); // by version id, then by cell or "probe": the answer of samples/{id}
  #timer = null;

  constructor(project) {
    super();
    this.project = project;
  }

  // The picture of a cell by a version, or undefined.
  picture(version, cell) {
    const sets = this.#sets.get(version.id);
    const all = sets ? [...sets.values()].flatMap((set) => set.images) : [];
    return all.find((image) => image.prompt === cell.prompt && image.seed === cell.seed);
  }

  // The cells of a version's probe wall.
  cells(version) {
    const images = this.#sets.get(version.id)?.get("probe")?.images ?? [];
    return images.map(({ prompt, seed }) => ({ prompt, seed }));
  }

  // Is the probe wall of this version not there, and not being made?
  lacksWall(version) {
    const wall = this.#sets.get(version.id)?.get("probe");
    return Boolean(wall) && wall.status !== "succeeded" && !PENDING.includes(wall.status);
  }

  async load(version) {
    if (this.#sets.get(version.id)?.has("probe")) return;
    this.#keep(version, "probe", await this.#wall(version));
  }

  async #wall(version) {
    try {
      return await get(`versions/${version.id}/probe`);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return { status: "none", images: [] };
      throw error;
    }
  }

  // Ask for a wall that is missing.
  async askForWall(version) {
    await this.load(version);
    if (this.lacksWall(version)) this.#keep(version, "probe", await post(`versions/${version.id}/probe`));
  }

  // Ask for a picture of one's own prompt, once: where it lies is kept on this device.
  async askFor(version, cell) {
    const key = cellKey(cell);
    if (this.#sets.get(version.id)?.has(key)) return;
    const place = `own:${version.id}:${key}`;
    const known = recall(place);
    const found = known && (await get(`samples/${known}`).catch(() => null));
    if (found && found.status !== "failed" && found.status !== "cancelled") return this.#keep(version, key, found);
    const body = { prompts: [cell.prompt], seeds: [cell.seed], version: version.number };
    const ticket = await post(`projects/${this.project.id}/samples`, body);
    remember(place, ticket.id);
    this.#keep(version, key, { ...ticket, images: [], total: 1, eta_s: null });
  }

  // What is under way: {done, total, eta_s, waits}, or null.
  get progress() {
    const sets = this.#pending().map(([, , set]) => set);
    if (!sets.length) return null;
    const lacking = (set) => (set.total ?? 0) - set.images.length;
    const paced = sets.find((set) => set.eta_s != null && lacking(set) > 0);
    const left = sets.reduce((sum, set) => sum + lacking(set), 0);
    const total = sets.reduce((sum, set) => sum + (set.total ?? 0), 0);
    return { done: total - left, total, eta_s: paced ? (paced.eta_s / lacking(paced)) * left : null, waits: sets.every((set) => set.status === "queued") };
  }

  #keep(version, key, set) {
    if (!this.#sets.has(version.id)) this.#sets.set(version.id, new Map());
    this.#sets.get(version.id).set(key, set);
    this.dispatchEvent(new Event("change"));
    this.#plan();
  }

  #pending() {
    const all = [...this.#sets].flatMap(([id, sets]) => [...sets].map(([key, set]) => [id, key, set]));
    return all.filter(([, , set]) => PENDING.includes(set.status));
  }

  #plan() {
    clearTimeout(this.#timer);
    if (this.#pending().length) this.#timer = setTimeout(() => this.#look(), POLL);
  }

  async #look() {
    const looked = this.#pending().map(async ([id, key, set]) => {
      const now = await get(`samples/${set.id}`).catch(() => null); // asked again with the next look
      if (now) this.#sets.get(id).set(key, now);
    });
    await Promise.all(looked);
    this.dispatchEvent(new Event("change"));
    this.#plan();
  }
}
