// Entry of every page: the theme, the navigation, and the one component this page needs.
import { pageName } from "./address.js";

// Gradio's own rule: ?__theme=light|dark wins, else the system's choice.
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  const forced = new URLSearchParams(location.search).get("__theme");
  const wanted = ["light", "dark"].includes(forced) ? forced : dark.matches ? "dark" : "light";
  document.documentElement.dataset.theme = wanted;
}
dark.addEventListener("change", paint);
paint();

import("./nav.js");
import("./guard.js");
const components = {
  rate: "./rater.js",
  history: "./history.js",
  train: "./train.js",
  versions: "./versions.js",
  compare: "./compare.js",
  playground: "./playground.js",
  rewards: "./rewards.js",
  settings: "./settings.js",
  projects: "./projects.js",
  data: "./data.js",
  status: "./status.js",
  people: "./people.js",
  account: "./account.js",
};
import(components[pageName()] ?? components.rate);
