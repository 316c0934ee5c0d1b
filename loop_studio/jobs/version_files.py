"""Every file that a version will ever be asked for, written when it is made."""

from __future__ import annotations

from collections.abc import Mapping

from loop_studio.config import ProjectConfig
from loop_studio.diffusion import lora_file
from loop_studio.diffusion.lora_file import Checkpoint
from loop_studio.diffusion.recipe import sampler_of
from loop_studio.storage.files import FileStore, StoredFile, new_key


def write(
    files: FileStore,
    checkpoint: Checkpoint,
    config: ProjectConfig,
    name: str,
    facts: Mapping[str, str],
) -> dict[str, StoredFile]:
    """The files by kind; `name` and `facts` stand in the headers of those that are taken away."""
    steps = config.num_inference_steps
    told = {
        **facts,
        "modelspec.usage_hint": "Weight 1, no trigger words, in the first "
        f"{sampler_of(config).lora_steps or steps} of {steps} denoising steps.",
    }
    contents = {
        "resume": lora_file.pack_checkpoint(checkpoint),
        "diffusers": lora_file.diffusers_lora(checkpoint, told),
        "kohya": lora_file.kohya_lora(checkpoint, told, name=name),
    }
    return {kind: files.put(new_key(".safetensors"), data) for kind, data in contents.items()}
