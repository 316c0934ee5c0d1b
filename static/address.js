// Where this studio is and which project the page is about. The studio may live below a sub-path,
// so nothing here starts from "/": this module's own address tells the root.
export const ROOT = new URL("../", import.meta.url);
export const API = new URL("api/v1/", ROOT);

// In the address, in words, and the least role that may open it.
export const PAGES = [
  ["rate", "Rate", "rater"],
  ["history", "History", "rater"],
  ["train", "Train", "trainer"],
  ["versions", "Versions", "trainer"],
  ["playground", "Playground", "trainer"],
  ["rewards", "Rewards", "trainer"],
  ["settings", "Settings", "trainer"],
  ["status", "Status", "trainer"],
  ["people", "People", "administrator"],
];

const KEEP = `loop:${ROOT.pathname}:`; // two studios on one host keep apart

export function recall(key, fallback = null) {
  try {
    return JSON.parse(localStorage.getItem(KEEP + key)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(KEEP + key, JSON.stringify(value));
  } catch {
    // Private windows may refuse; the page then asks again next time.
  }
}

export const pageName = () => location.pathname.split("/").filter(Boolean).at(-1) ?? "rate";

export function pageUrl(page, projectId) {
  const url = new URL(page, ROOT);
  if (projectId) url.searchParams.set("project", projectId);
  return url.href;
}

export const projectInAddress = () => new URLSearchParams(location.search).get("project");

// The project of the address, else the last one used, else the first (the starter).
export function chooseProject(projects) {
  const wanted = projectInAddress();
  const known = (id) => projects.find((project) => project.id === id);
  const shown = projects.filter((project) => !project.archived);
  const project = known(wanted) ?? known(recall("project")) ?? shown[0] ?? projects[0] ?? null;
  if (project) {
    remember("project", project.id);
    if (wanted !== project.id) {
      const url = new URL(location.href);
      url.searchParams.set("project", project.id);
      history.replaceState(history.state, "", url);
    }
  }
  return project;
}
