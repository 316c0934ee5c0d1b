// The project of this page: asked for once, shared by every component on it.
import { chooseProject } from "./address.js";
import { get } from "./api.js";
import { session } from "./session.js";

async function load() {
  const [{ projects }] = await Promise.all([get("projects"), session()]);
  const project = chooseProject(projects);
  if (!project) throw new Error("There is no project yet; make one in the project menu.");
  return { project, projects };
}

let loading = null;

export function openProject() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

// Try until the studio answers; `onFail` may show the sentence meanwhile.
export async function openProjectPatiently(onFail) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 5000)) {
    try {
      return await openProject();
    } catch (error) {
      onFail?.(error);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
