// The JSON API: one request function, errors with their sentence, and the watch on the release.
import { API, ROOT } from "./address.js";

export class ApiError extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail ?? `The studio answered with status ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.code = body.code ?? "";
    this.body = body;
    this.retryAfter = retryAfter;
  }

  // Will the same request never succeed? Then it is shown to the person, not tried again.
  get permanent() {
    return this.status >= 400 && this.status < 500 && ![401, 403, 408, 425, 429].includes(this.status);
  }
}

export class Offline extends Error {
  constructor() {
    super("The studio does not answer.");
    this.name = "Offline";
    this.permanent = false;
  }
}

const loadedRelease = document.querySelector('meta[name="loop-release"]')?.content ?? "";

// After an upgrade an old tab would speak an old dialect: it reloads itself, once per release.
// A page with unsaved text may call preventDefault() on the event and say so instead.
function watchRelease(response) {
  const release = response.headers.get("X-Loop-Release");
  if (!release || !loadedRelease || release === loadedRelease) return;
  try {
    if (sessionStorage.getItem("loop:reloaded-for") === release) return;
    const event = new CustomEvent("loop-upgrade", { cancelable: true, detail: { release } });
    if (!window.dispatchEvent(event)) return;
    sessionStorage.setItem("loop:reloaded-for", release);
  } catch {
    return; // without session storage there is no guard against reloading for ever
  }
  location.reload();
}

// `body` goes as JSON, `file` (a Blob or text) as its own bytes, said to be of `type`.
async function answer(method, path, { body, file, type = "application/octet-stream", timeout = 20_000, keepalive = false } = {}) {
  const kind = file !== undefined ? type : body === undefined ? null : "application/json";
  try {
    return await fetch(new URL(path, API), {
      method,
      keepalive,
      cache: "no-store",
      headers: kind ? { "Content-Type": kind } : {},
      body: file ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal: AbortSignal.timeout(timeout),
    });
  } catch {
    throw new Offline();
  }
}

const seconds = (response) => Number(response.headers.get("Retry-After")) || null;

// The answer's JSON; null for 204, with its Retry-After passed to `onEmpty`.
export async function request(method, path, { onEmpty, ...options } = {}) {
  const response = await answer(method, path, options);
  watchRelease(response);
  if (response.status === 204) {
    onEmpty?.(seconds(response) ?? 1);
    return null;
  }
  const body = await response.json().catch(() => ({}));
  if (response.status === 401 && body.code === "sign_in_required") {
    window.dispatchEvent(new Event("loop-signed-out"));
    throw new ApiError(401, { ...body, detail: "You are signed out." }, null);
  }
  if (!response.ok) throw new ApiError(response.status, body, seconds(response));
  return body;
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, body, options) => request("POST", path, { body: body ?? {}, ...options });
export const put = (path, body) => request("PUT", path, { body });
export const patch = (path, body) => request("PATCH", path, { body });
export const remove = (path, body) => request("DELETE", path, { body });

// A picture's address; `url` of the API is root-relative and already holds the sub-path.
export const picture = (image) => new URL(image.url, ROOT).href;

// 128 random bits as text, without crypto.randomUUID, which plain http on a LAN lacks.
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
