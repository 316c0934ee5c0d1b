// The probe wall: the fixed prompts and seeds as a version draws them, beside version 0.
import { ApiError, get } from "./api.js";
import { h } from "./element.js";
import { shown as shownPicture } from "./veil.js";

async function probe(version) {
  try {
    return await get(`versions/${version.id}/probe`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { status: "none", images: [] };
    throw error;
  }
}

// Map prompt -> images in the order of their seeds.
function byPrompt(images) {
  const prompts = new Map();
  for (const image of images) {
    if (!prompts.has(image.prompt)) prompts.set(image.prompt, []);
    prompts.get(image.prompt).push(image);
  }
  for (const list of prompts.values()) list.sort((a, b) => a.seed - b.seed);
  return prompts;
}

function cell(image, words) {
  if (!image) return h("span", { class: "missing", title: "not made yet" });
  const alt = `${words}, seed ${image.seed}: ${image.prompt}`;
  return shownPicture(image, { alt, loading: "lazy", width: 96, height: 96 });
}

const same = (image, others) => others?.find((other) => other.seed === image.seed);

function rows(base, shown, number) {
  const [first, second] = [byPrompt(base), byPrompt(shown)];
  const prompts = [...new Set([...first.keys(), ...second.keys()])];
  return prompts.map((prompt) => {
    const seeds = first.get(prompt) ?? second.get(prompt);
    const side = (images, version) =>
      h("span", { class: "pair" }, seeds.map((image) => cell(same(image, images.get(prompt)), `Version ${version}`)));
    return h("li", {}, h("p", { dir: "auto" }, prompt), side(first, 0), number > 0 ? side(second, number) : null);
  });
}

function missing(answer, number) {
  if (answer.images.length) return null;
  const words = {
    none: `Version ${number} has no probe pictures yet; they are made when it is published.`,
    queued: `Version ${number}'s probe pictures are being made.`,
    running: `Version ${number}'s probe pictures are being made.`,
    failed: `Version ${number}'s probe pictures could not be made.`,
  };
  return h("p", { class: "quiet" }, words[answer.status] ?? words.none);
}

const isDone = (answer) => answer.status === "succeeded";

// Fill `node` with the wall of `version` beside `base`; `current()` tells if it is still wanted.
// True once all of its pictures are there.
export async function showWall(node, base, version, current) {
  const [zero, shown] = await Promise.all([probe(base), version === base ? null : probe(version)]);
  if (!current()) return false;
  const whole = isDone(zero) && (!shown || isDone(shown));
  const drawn = [version.id, zero, shown].map((part) => part && (part.status ?? part) + (part.images?.length ?? "")).join();
  if (node.dataset.drawn === drawn) return whole;
  node.dataset.drawn = drawn;
  const number = version.number;
  const title = number > 0 ? `Version ${number} beside version 0` : "Version 0";
  const heads = h("div", { class: "wall-heads", "aria-hidden": "true" }, h("span", {}, "Prompt"), h("span", {}, "Version 0"), number > 0 ? h("span", {}, `Version ${number}`) : null);
  const list = rows(zero.images, shown?.images ?? [], number);
  node.replaceChildren(
    ...[
      h("h2", {}, title),
      h("p", { class: "quiet" }, "The same prompts and the same seeds for every version; these pictures are never rated and never trained on."),
      missing(zero, 0),
      shown && missing(shown, number),
      list.length ? heads : null,
      list.length ? h("ul", { class: number > 0 ? "wall" : "wall is-single" }, list) : null,
    ].filter(Boolean),
  );
  return whole;
}
