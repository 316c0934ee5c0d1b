// The way in for a LoRA from elsewhere, which becomes a version of the project.
import { Importer as FileImporter } from "./importer.js";

const LORA = {
  words: "Import a LoRA",
  label: "LoRA file",
  suffix: ".safetensors",
  fallback: "LoRA",
  largest: 2 ** 30, // bytes; a server that refuses early cuts the line before it is heard
  tooLarge: "The file is larger than 1 GiB; resize the LoRA to a lower rank first.",
  each: "imports",
};

export class Importer extends FileImporter {
  constructor(called) {
    super({ ...LORA, ...called });
  }

  async open(projectId) {
    await super.open(`projects/${projectId}/imports`);
  }
}
