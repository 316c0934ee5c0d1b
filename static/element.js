// What every component shares: a shadow root with our sheets, a way to build nodes whose text can
// never become markup, icons, and words for times.
const sheets = new Map();

// Sheets are loaded before a component is defined, so that nothing is ever painted without them.
export async function sheet(name) {
  if (!sheets.has(name)) {
    const load = fetch(new URL(name, import.meta.url), { cache: "no-cache" })
      .then((response) => response.text())
      .then((text) => new CSSStyleSheet().replace(text));
    sheets.set(name, load);
  }
  return sheets.get(name);
}

// h("button", {class: "key", onclick: f, "aria-label": text}, "words", node, ...)
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

const ICONS = {
  undo: "M5 8h9a5 5 0 0 1 0 10h-3M5 8l4-4M5 8l4 4",
  skip: "M5 5l8 7-8 7zM17 5v14",
  none: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M6.5 6.5l11 11",
  equal: "M5 9h14M5 15h14",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.6v.1",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  flat: "M6 12h12",
  check: "M5 12.5l4.5 4.5L19 7",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  load: "M12 4v11M7 11l5 5 5-5M5 20h14",
  star: "M12 4l2.4 5.2 5.6.7-4.1 3.9 1.1 5.6-5-2.8-5 2.8 1.1-5.6L4 9.9l5.6-.7z",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  beside: "M4 6h7v12H4zM13 6h7v12h-7z",
  zoom: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5L20 20M10.5 8v5M8 10.5h5",
  flag: "M6 21V4h11l-2 4 2 4H6",
  heart: "M12 20C5 15 4 11 4 9a4 4 0 0 1 8-1 4 4 0 0 1 8 1c0 2-1 6-8 11z",
  note: "M5 5h14v10l-4 4H5zM8.5 9h7M8.5 13h4",
  guide: "M6 4h12v16H6zM9 8h6M9 12h6M9 16h3",
  report: "M12 4l9 16H3zM12 10v5M12 17.4v.1",
  folder: "M4 6h6l2 2h8v11H4z",
  chevron: "M7 10l5 5 5-5",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M4.5 20c.8-4 3.6-6 7.5-6s6.7 2 7.5 6",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export const key = (name) => h("kbd", { "aria-hidden": "true" }, name);

export class StudioElement extends HTMLElement {
  static sheets = [];

  constructor() {
    super();
    this.root = this.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = this.constructor.sheets;
  }

  // Runs once however often Gradio moves the node; `start` may be async.
  connectedCallback() {
    if (this.hasStarted) return;
    this.hasStarted = true;
    this.start?.();
  }
}

export async function define(tag, component, ...names) {
  component.sheets = await Promise.all(["element.css", ...names].map(sheet));
  if (!customElements.get(tag)) customElements.define(tag, component);
}

export function duration(seconds) {
  if (seconds == null) return "";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${Math.max(1, whole)} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

export function bytes(count) {
  if (count == null) return "";
  const mega = count / 1e6;
  return mega < 1000 ? `${Math.round(mega)} MB` : `${(mega / 1000).toFixed(1)} GB`;
}

export function moment(text) {
  if (!text) return "";
  const date = new Date(text);
  const today = new Date().toDateString() === date.toDateString();
  const time = { hour: "2-digit", minute: "2-digit" };
  return date.toLocaleString(undefined, today ? time : { day: "numeric", month: "short", ...time });
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function fileSize(bytes) {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** step;
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[step]}`;
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
