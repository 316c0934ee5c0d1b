// A line chart as inline SVG: one series or several, with intervals, smoothing and a log scale, and
// the same numbers as a table for readers who do not see it.
//
// series: [{ name, points: [{x, mean, low, high}] }], drawn in this order in colours 0, 1, 2 ...
// format(value, digits) writes a value; words(x) says what x is ("Version 3"), tick(x) in short.
import { h } from "./element.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 640;
const HEIGHT = 220;
const LEFT = 60;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 34;
const DOTS = 24; // with more points a line is clearer without them
const ROWS = 200; // of the table, the newest

function s(tag, attributes, ...children) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Three to five round numbers that cover low .. high; a flat line gets room above it.
function roundTicks(low, lastHigh) {
  const high = lastHigh > low ? lastHigh : low + (Math.abs(low) || 1);
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.floor(low / step);
  const values = [];
  for (let n = first; values.length < 2 || (n - 1) * step < high; n += 1) values.push(n * step);
  return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// Powers of ten that cover low .. high, both above 0.
function powerTicks(low, high) {
  const first = Math.floor(Math.log10(low) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(high) - 1e-9));
  const every = Math.ceil((last - first) / 5);
  const values = [];
  for (let power = first; power < last + every; power += every) values.push(10 ** power);
  return { values, digits: Math.max(0, -first) };
}

const bounds = (point) => [point.mean, point.low ?? point.mean, point.high ?? point.mean];

function scales(points, log) {
  const all = points.flatMap(bounds);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const { values, digits } = log ? powerTicks(low, high) : roundTicks(low, high);
  const level = log ? Math.log10 : (value) => value;
  const [bottom, top] = [level(values[0]), level(values.at(-1))];
  const xs = points.map((point) => point.x);
  const first = Math.min(...xs);
  const last = Math.max(...xs, first + 1);
  const x = (value) => LEFT + ((value - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((level(value) - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM);
  return { x, y, first, last, values, digits };
}

// An exponential moving average without its pull towards the first point; 0 leaves all as it is.
export function smoothed(points, weight) {
  if (!weight) return points;
  let [sum, total] = [0, 0];
  return points.map((point) => {
    sum = weight * sum + point.mean;
    total = weight * total + 1;
    return { x: point.x, mean: sum / total };
  });
}

function labelsBelow({ x, first, last }, tick) {
  const step = Math.max(1, Math.ceil((last - first) / 11));
  const nodes = [];
  for (let at = Math.ceil(first); at <= last; at += step) {
    nodes.push(s("text", { class: "tick", x: x(at), y: HEIGHT - 12, "text-anchor": "middle" }, tick(at)));
  }
  return nodes;
}

function drawSeries(svg, { name, points }, colour, { x, y }, options) {
  const line = smoothed(points, options.smoothing);
  const d = line.map((point, index) => `${index ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.mean).toFixed(1)}`);
  if (options.smoothing) {
    const raw = points.map((point, index) => `${index ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.mean).toFixed(1)}`);
    svg.append(s("path", { class: `line is-raw colour-${colour}`, d: raw.join("") }));
  }
  svg.append(s("path", { class: `line colour-${colour}`, d: d.join("") }));
  if (options.smoothing || points.length > DOTS) return;
  for (const point of points) {
    const at = x(point.x);
    if (point.low != null) svg.append(s("line", { class: `interval colour-${colour}`, x1: at, x2: at, y1: y(point.low), y2: y(point.high) }));
    const isLive = point.x === options.live;
    const words = `${name ? `${name}, ` : ""}${options.words(point.x)}: ${options.format(point.mean, options.digits + 1)}`;
    svg.append(s("circle", { class: `dot colour-${colour}${isLive ? " is-live" : ""}`, cx: at, cy: y(point.mean), r: isLive ? 6 : 4 }, s("title", {}, words)));
  }
}

function drawing(series, options) {
  const log = options.log && series.every(({ points }) => points.every((point) => Math.min(...bounds(point)) > 0));
  const scale = scales(series.flatMap(({ points }) => points), log);
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", "aria-hidden": "true" });
  for (const value of scale.values) {
    svg.append(s("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: scale.y(value), y2: scale.y(value) }));
    svg.append(s("text", { class: "tick", x: LEFT - 8, y: scale.y(value) + 4, "text-anchor": "end" }, options.format(value, scale.digits)));
  }
  svg.append(...labelsBelow(scale, options.tick));
  const full = { ...options, digits: scale.digits };
  series.forEach((one, colour) => drawSeries(svg, one, colour % 6, scale, full));
  return { svg, digits: scale.digits };
}

function legend(series) {
  if (series.length < 2) return null;
  const swatch = (colour) => s("svg", { viewBox: "0 0 32 4", class: "swatch", "aria-hidden": "true" }, s("path", { class: `line colour-${colour}`, d: "M0 2L32 2" }));
  const entry = ({ name }, colour) => h("li", {}, swatch(colour % 6), name);
  return h("ul", { class: "legend" }, series.map(entry));
}

function table(title, series, { format, words }, digits) {
  const cell = (value) => h("td", {}, value == null ? "" : format(value, digits + 1));
  const rows = series.flatMap(({ name, points }) =>
    points.slice(-ROWS).map((point) =>
      h("tr", {}, h("th", { scope: "row" }, words(point.x)), name ? h("td", {}, name) : null, cell(point.mean), cell(point.low), cell(point.high))),
  );
  const heads = ["Where", series.some(({ name }) => name) ? "What" : null, "Value", "Low", "High"].filter(Boolean);
  const head = h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)));
  return h("table", {}, h("caption", { class: "unseen" }, title), h("thead", {}, head), h("tbody", {}, rows));
}

// A figure; the table is built when it is opened, so that a hundred charts refresh at once.
export function chart({ title, note, series, open = false, onToggle, ...options }) {
  const { svg, digits } = drawing(series, options);
  const numbers = h("details", { open }, h("summary", {}, "The numbers", h("span", { class: "unseen" }, ` of ${title}`)));
  const fill = () => numbers.open && numbers.children.length < 2 && numbers.append(table(title, series, options, digits));
  fill();
  numbers.addEventListener("toggle", () => {
    fill();
    onToggle?.(numbers.open);
  });
  return h("figure", { class: "figure" },
    h("figcaption", {}, h("h4", {}, title), h("p", { class: "quiet" }, note)),
    svg, legend(series), numbers);
}
