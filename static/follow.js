// A job as it goes on: looked at until it has ended. A studio that does not answer is waited for.
import { ApiError, Offline, get } from "./api.js";

const LOOK_MS = 1000;
const ACTIVE = ["queued", "running", "paused"];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const isActive = (state) => ACTIVE.includes(state.status);

// `show(state)` is called with every look but the last, which is given back; `goesOn()` may end it.
export async function follow(path, first, show, goesOn = () => true) {
  let state = first;
  while (isActive(state) && goesOn()) {
    show(state);
    await pause(LOOK_MS);
    state = await look(`${path}/${state.id}`, state);
  }
  return state;
}

async function look(path, state) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof Offline || (error instanceof ApiError && !error.permanent)) return state;
    throw error;
  }
}
