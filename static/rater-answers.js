// What one rater answers in one project: handed to the outbox, remembered for undo, counted.
import { randomId } from "./api.js";
import { modeFor } from "./gestures.js";
import { Memory } from "./rater-memory.js";
import { Remarks } from "./rater-remarks.js";

export class Answers {
  constructor({ projectId, rater, outbox, sitting }) {
    Object.assign(this, { projectId, rater, outbox, sitting });
    this.memory = new Memory(projectId, rater);
    this.remarks = new Remarks(outbox, rater);
  }

  // The entry of this judgement, on its way; `elapsed` ms after the group was painted.
  judge(group, way, judgement, elapsed) {
    const mode = modeFor(group, way);
    const entry = { event_id: randomId(), group: Memory.plain(group), mode, judgement };
    this.outbox.add({
      kind: "rating",
      event_id: entry.event_id,
      group_id: group.id,
      teaches: group.kind === "group",
      body: {
        event_id: entry.event_id,
        group_id: group.id,
        rater: this.rater,
        mode,
        judgement,
        order: group.images.map((image) => image.id),
        elapsed_ms: elapsed,
      },
    });
    this.outbox.announce({ project: this.projectId, rater: this.rater, group: group.id });
    this.memory.judged(entry);
    this.sitting.judged(elapsed);
    return entry;
  }

  // The entry that was taken back, or null when there is none.
  undo() {
    const entry = this.memory.undone();
    if (!entry) return null;
    this.outbox.add({ kind: "undo", event_id: entry.event_id, group_id: entry.group.id, rater: this.rater });
    this.sitting.undone();
    return entry;
  }

  // Groups to show before all others, in their order: their answers were undone.
  get again() {
    return this.memory.again;
  }

  // Ids the studio must not send again: their answers are still on this device.
  get pending() {
    return this.outbox.pendingGroups();
  }
}

// An answer as it is said to those who do not see it.
export function spoken({ mode, judgement, group }) {
  const values = new Set(Object.values(judgement));
  if (mode === "skip") return "Skipped.";
  if (values.size === 1) return values.has(0) ? "None is good." : "All equal.";
  if (mode === "rank") return `Ranked: ${ranking(judgement, group)}.`;
  const picked = group.images.findIndex((image) => judgement[image.id] === 1) + 1;
  return mode === "best" || mode === "pair" ? `Picture ${picked} chosen.` : "Judged.";
}

// "3, then 1 and 4, then 2": numbers of pictures, ties joined.
function ranking(judgement, { images }) {
  const places = [...new Set(Object.values(judgement))].sort((a, b) => a - b);
  const numbers = (place) => images.flatMap((image, index) => (judgement[image.id] === place ? [index + 1] : []));
  return places.map((place) => numbers(place).join(" and ")).join(", then ");
}
