// Progress per version: what the fixed probe set scores, and how often raters said "none is good".
import { get } from "./api.js";
import { chart } from "./chart.js";
import { h } from "./element.js";

const plain = (value, digits) => value.toFixed(Math.min(4, digits));
const percent = (value) => `${Math.round(value * 100)} %`;

// "clip_score" -> the name people read.
const sourceWords = (name) => name.replaceAll("_", " ");

function probeSources(versions) {
  const names = versions.flatMap((version) => Object.keys(version.metrics?.probe ?? {}));
  return [...new Set(names)];
}

function figures(versions) {
  const live = versions.find((version) => version.live)?.number;
  const list = probeSources(versions).map((source) => {
    const points = versions
      .filter((version) => version.metrics?.probe?.[source])
      .map((version) => ({ x: version.number, ...version.metrics.probe[source] }));
    const n = points.at(-1)?.n;
    const note = `Mean ${sourceWords(source)} of the same ${n ?? ""} probe pictures (fixed prompts and seeds), with 95 % intervals.`;
    return chart({ title: `Probe set: ${sourceWords(source)}`, note, points, format: plain, live });
  });
  const none = versions
    .filter((version) => typeof version.metrics?.none_share === "number")
    .map((version) => ({ x: version.number, mean: version.metrics.none_share }));
  if (none.length) {
    const note = "Share of each version's judged groups where the rater said so; lower is better.";
    list.push(chart({ title: "None is good", note, points: none, format: percent, live }));
  }
  return list;
}

// True once every version is measured; until then it is worth asking again.
export async function showProgress(node, projectId) {
  const { versions } = await get(`projects/${projectId}/versions`);
  const list = figures(versions);
  const nothing = h("p", { class: "quiet" }, "The first measurement comes with the first version; its probe pictures are made right after publishing.");
  const open = [...node.querySelectorAll("details")].map((details) => details.open);
  node.replaceChildren(h("h2", {}, "Progress by version"), ...(list.length ? list : [nothing]));
  node.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? false));
  return versions.length > 1 && versions.every((version) => version.metrics?.probe);
}
