// The lines of the tree beside the list of versions, newest first: which lane a version is in, which
// lines run past it, and which branches join at it. Deleted parents never have listed children.
import { h } from "./element.js";

// versions, newest first -> [{lane, up, down, past: [lane], joins: [lane]}], and how many lanes.
export function lanes(versions) {
  const waiting = []; // by lane: id of the version that its line leads down to
  let width = 1;
  const free = () => {
    const at = waiting.indexOf(null);
    return at < 0 ? waiting.length : at;
  };
  const rows = versions.map((version) => {
    const led = waiting.flatMap((id, lane) => (id === version.id ? [lane] : []));
    const lane = led[0] ?? free();
    for (const other of led) waiting[other] = null;
    const past = waiting.flatMap((id, other) => (id !== null && other !== lane ? [other] : []));
    waiting[lane] = version.parent_id ?? null;
    width = Math.max(width, waiting.length);
    return { lane, up: led.includes(lane), down: version.parent_id != null, past, joins: led.filter((other) => other !== lane) };
  });
  return { rows, width };
}

const part = (name, lane, to) => {
  const node = h("span", { class: name });
  node.style.setProperty("--lane", lane);
  if (to !== undefined) node.style.setProperty("--to", to);
  return node;
};

// The drawing of one row; decoration only: every row says its parent in words.
export function branchLines({ lane, up, down, past, joins }, isLive) {
  return h("span", { class: "lines", "aria-hidden": "true" },
    past.map((other) => part("line", other)),
    up ? part("line is-up", lane) : null,
    down ? part("line is-down", lane) : null,
    joins.flatMap((other) => [part("line is-up", other), part("join", lane, other)]),
    part(isLive ? "dot is-live" : "dot", lane));
}
