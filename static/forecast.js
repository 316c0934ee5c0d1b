// What the next update would use, in words; the Rate page and the Train page say the same.
import { bytes, duration, plural } from "./element.js";

export function forecastWords(next) {
  const learns = `${plural(next.groups, "group")} and ${plural(next.ratings, "rating")}`;
  const makes = next.to_make ? `, ${next.to_make} of them still to be made` : "";
  const later = next.left_over ? ` ${plural(next.left_over, "more group")} wait for the update after it.` : "";
  return `It starts from version ${next.from_version} and learns from ${learns}${makes}.${later}`;
}

export function costWords(next) {
  if (next.seconds == null) return "How long it takes and how much memory it needs is measured with this first update.";
  const memory = [next.memory_bytes && `${bytes(next.memory_bytes)} of memory`, next.accelerator_bytes && `${bytes(next.accelerator_bytes)} on the accelerator`];
  const needs = memory.filter(Boolean).join(" and ");
  const past = next.past_updates === 1 ? "the last update" : `the last ${next.past_updates} updates`;
  return `About ${duration(next.seconds)}${needs ? `, ${needs}` : ""}, going by ${past}.`;
}
