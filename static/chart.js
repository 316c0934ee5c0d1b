// A small line chart with intervals, as inline SVG, with the same numbers as a table for readers
// who do not see it. Points: [{x, mean, low, high}], x being a version's number.
import { h } from "./element.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const HEIGHT = 220;
const LEFT = 52;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 34;

function s(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Three to five round numbers that cover low .. high; a flat line gets room above it.
function ticks(low, lastHigh) {
  const high = lastHigh > low ? lastHigh : low + (Math.abs(low) || 1);
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.floor(low / step) * step;
  const values = [];
  for (let value = first; value < high + step; value += step) values.push(value);
  return { values, digits: Math.max(0, -Math.floor(Math.log10(step))) };
}

function scales(points) {
  const low = Math.min(...points.map((point) => point.low ?? point.mean));
  const high = Math.max(...points.map((point) => point.high ?? point.mean));
  const { values, digits } = ticks(low, high);
  const [bottom, top] = [values[0], values.at(-1)];
  const first = points[0].x;
  const last = Math.max(points.at(-1).x, first + 1);
  const x = (value) => LEFT + ((value - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM);
  return { x, y, values, digits };
}

function drawing(points, format, live) {
  const { x, y, values, digits } = scales(points);
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", "aria-hidden": "true" });
  for (const value of values) {
    svg.append(s("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    const label = format(value, digits);
    svg.append(s("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, label));
  }
  const every = Math.ceil(points.length / 12);
  points.forEach(({ x: at }, index) => {
    if (index % every && index !== points.length - 1) return;
    svg.append(s("text", { class: "tick", x: x(at), y: HEIGHT - 12, "text-anchor": "middle" }, `v${at}`));
  });
  const line = points.map((point, index) => `${index ? "L" : "M"}${x(point.x)} ${y(point.mean)}`);
  svg.append(s("path", { class: "line", d: line.join("") }));
  for (const point of points) {
    if (point.low != null) {
      const at = x(point.x);
      svg.append(s("line", { class: "interval", x1: at, x2: at, y1: y(point.low), y2: y(point.high) }));
    }
    const dot = s("circle", { class: point.x === live ? "dot is-live" : "dot", cx: x(point.x), cy: y(point.mean), r: point.x === live ? 6 : 4 });
    dot.append(s("title", {}, `Version ${point.x}: ${format(point.mean, digits + 1)}`));
    svg.append(dot);
  }
  return { svg, digits };
}

// `format(value, digits)` writes a value; `live` is the number of the live version.
export function chart({ title, note, points, format, live }) {
  const { svg, digits } = drawing(points, format, live);
  const cell = (value) => h("td", {}, value == null ? "" : format(value, digits + 1));
  const rows = points.map((point) =>
    h("tr", {}, h("th", { scope: "row" }, `Version ${point.x}`), cell(point.mean), cell(point.low), cell(point.high)),
  );
  const head = h("tr", {}, ["Version", "Mean", "Low", "High"].map((name) => h("th", { scope: "col" }, name)));
  return h(
    "figure",
    { class: "figure" },
    h("figcaption", {}, h("h3", {}, title), h("p", { class: "quiet" }, note)),
    svg,
    h(
      "details",
      {},
      h("summary", {}, "The numbers"),
      h("table", {}, h("caption", { class: "unseen" }, title), h("thead", {}, head), h("tbody", {}, rows)),
    ),
  );
}
