// What this browser measures of itself, reported in small batches without saying whose it is:
// latencies in ms, and how often an answer had to be sent again or was refused for good.
import { post } from "./api.js";

const EVERY = 60_000; // ms
const MOST = 200; // values of one figure in a report; more are left out
const LONGEST = 600_000; // ms; who left the page open was not waiting

const fresh = () => ({ key_to_paint: [], rating_to_durable: [], wait_for_group: [], outbox_retries: 0, lost_events: 0 });

let gathered = fresh();
let timer = null;

export function measured(name, ms) {
  if (document.hidden || !(ms >= 0 && ms <= LONGEST) || gathered[name].length >= MOST) return;
  gathered[name].push(Math.round(ms));
  plan();
}

export function counted(name) {
  gathered[name] += 1;
  plan();
}

function plan() {
  timer ??= setTimeout(report, EVERY);
}

// What could not be reported is not worth keeping: the figures say how it is, not how much.
async function report() {
  clearTimeout(timer);
  timer = null;
  const told = gathered;
  gathered = fresh();
  await post("figures", told, { keepalive: true }).catch(() => null);
}

document.addEventListener("visibilitychange", () => document.hidden && timer !== null && report());
