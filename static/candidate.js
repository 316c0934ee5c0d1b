// A version that does not go live at once, in words.

// What an update of this version that is not live came to: "a branch", or what it waits for.
export function notLiveWords({ awaits_pairs: pairs, awaits_decision: isHeld }) {
  if (isHeld) return "kept back until you decide";
  return pairs ? `which waits for blind pairs: ${pairs.judged} of ${pairs.next_look}` : "a branch";
}
