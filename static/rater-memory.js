// What a rater's sitting must remember over a reload: the last answers (for undo), and the groups
// whose answer was undone and that are to be judged again.
import { recall, remember } from "./address.js";

const LONGEST = 30;

export class Memory {
  constructor(projectId, rater) {
    this.key = `${projectId}:${rater}`;
    this.answers = recall(`answers:${this.key}`, []);
    this.again = recall(`again:${this.key}`, []);
  }

  // A group without its decoded pictures.
  static plain({ id, kind, prompt, version, images }) {
    return { id, kind, prompt, version, images };
  }

  judged(entry) {
    this.answers = [...this.answers.slice(1 - LONGEST), entry];
    this.again = this.again.filter((group) => group.id !== entry.group.id);
    this.#keep();
  }

  // The last answer, taken off; null when there is none.
  undone() {
    const entry = this.answers.pop() ?? null;
    if (entry) this.again = [entry.group, ...this.again];
    this.#keep();
    return entry;
  }

  // Put a group before all others, to be judged anew.
  judgeAgain(group) {
    this.again = [group, ...this.again.filter((other) => other.id !== group.id)];
    this.#keep();
  }

  forgetAgain(groupId) {
    this.again = this.again.filter((group) => group.id !== groupId);
    this.#keep();
  }

  #keep() {
    remember(`answers:${this.key}`, this.answers);
    remember(`again:${this.key}`, this.again);
  }
}
