"""Stable Diffusion or SDXL with a LoRA, as a distribution over next latents.

One function, `_mean_std`, answers for rollout and replay alike, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn

from loop_studio.diffusion.adapters import Adapters, LoraShape
from loop_studio.diffusion.conditioning import Conditioner, Conditioning
from loop_studio.diffusion.loading import attend_with, conditioner_of, load_pipeline
from loop_studio.diffusion.transition import (
    SIGMA_FLOOR,
    NoiseSchedule,
    Steps,
    guided,
    step_mean,
    trained_mask,
)
from loop_studio.errors import Invalid
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import Sampler, Trajectories, Transitions, Weights
from loop_studio.settings import Attention

DECODED_AT_ONCE = 4  # of small pictures: more gain nothing
LATENTS_AT_ONCE = 4 * 32 * 32  # of larger ones fewer: a VAE needs more memory than a UNet


@dataclass(frozen=True)
class Rollout:
    """One group: what raters see and what an update will learn from."""

    images: NDArray[np.uint8]  # (k, H, W, 3)
    seeds: tuple[int, ...]
    trajectories: Trajectories


class StableDiffusionPolicy:
    """One loaded model: text encoders, UNet with three adapters, and VAE, all frozen.

    Safe to share between threads: each UNet pass holds the lock with its weights switched on,
    and every random draw comes from a generator of its own trajectory.
    """

    def __init__(
        self,
        *,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        conditioner: Conditioner,
        schedule: NoiseSchedule,
        shape: LoraShape,
    ) -> None:
        self.unet = unet.eval()
        self.vae = vae.eval().requires_grad_(False)
        self.conditioner = conditioner
        self.schedule = schedule
        # Asked once: diffusers walks every module to answer, 6 ms each time on the starter.
        self.device = torch.device(unet.device)
        self.dtype: torch.dtype = unet.dtype
        self.adapters = Adapters(unet, shape)
        self._steps = lru_cache(maxsize=32)(self._steps_on_device)

    @classmethod
    def load(
        cls,
        folder: Path,
        shape: LoraShape,
        *,
        device: torch.device,
        dtype: torch.dtype,
        attention: Attention = "auto",
    ) -> StableDiffusionPolicy:
        """Load a folder; raises ModelUnusable with a sentence.

        TF32 and cudnn.benchmark are switched off: they would let a replay differ from its rollout.
        """
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        pipeline = load_pipeline(folder, dtype)
        pipeline.to(device)
        attend_with(pipeline, attention)
        return cls(
            unet=pipeline.unet,
            vae=pipeline.vae,
            conditioner=conditioner_of(pipeline),
            schedule=NoiseSchedule(pipeline.scheduler.config),
            shape=shape,
        )

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one latent; D is their product."""
        config = self.unet.config
        size = config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return config.in_channels, height, width

    def parameters(self) -> list[nn.Parameter]:
        """The learner's trainable parameters."""
        return list(self.adapters.parameters("learner").values())

    def checkpoint_gradients(self, on: bool) -> None:
        """Whether backward passes compute the UNet's blocks again instead of keeping all that is
        in them: the same gradient to the last bit, of less memory and more time.

        Rollouts and whatever else takes no gradient do not notice.
        """
        if on:
            self.unet.enable_gradient_checkpointing(self.adapters.recomputed)
        else:
            self.unet.disable_gradient_checkpointing()

    def transition(self, transitions: Transitions, weights: Weights) -> tuple[Tensor, Tensor]:
        """Mean (B, C, H, W) and std (B,) of the next latents under `weights`, float32.

        For trained steps: at others the LoRA may not act (`Sampler.lora_steps`).
        """
        return self._mean_std(
            transitions.sampler,
            self._steps(transitions.sampler).index(transitions.timesteps),
            transitions.latents,
            self._condition(transitions.prompts),
            weights,
            in_turn=transitions.guidance_gradient == "conditional" and torch.is_grad_enabled(),
        )

    def trainable_steps(self, sampler: Sampler) -> Steps:
        """The grid of a sampler; raises Invalid when every step is below the noise floor."""
        steps = self._steps(sampler)
        if steps.stored == 0:
            raise Invalid(
                f"With {sampler.num_inference_steps} denoising steps and eta {sampler.eta:g} no "
                "step is noisy enough to learn from; raise eta, or change the number of steps."
            )
        return steps

    @torch.no_grad()
    def rollouts(
        self,
        prompts: Sequence[str],
        seeds: Sequence[Sequence[int]],
        sampler: Sampler,
        *,
        drawn_steps: int | None = None,
        weights: Weights = "live",
    ) -> list[Rollout]:
        """Sample a group per prompt, a trajectory per seed, all in one UNet call per step.

        Trained are all steps in which the LoRA acts, or `drawn_steps` of them per trajectory; steps
        after the last trained one are sampled but not stored. Raises Invalid when every step is
        below the noise floor: nothing could be learned.
        """
        steps = self.trainable_steps(sampler)
        available = min(steps.stored, sampler.lora_steps or steps.stored)
        by_row = [prompt for prompt, own in zip(prompts, seeds, strict=True) for _ in own]
        path: list[Tensor] = []
        log_probs: list[Tensor] = []
        for latents, log_prob_ in self._denoise(by_row, list(chain(*seeds)), sampler, weights):
            if len(path) <= available:
                path.append(latents)
                log_probs.append(log_prob_)
        counts = [len(own) for own in seeds]
        pictures = np.split(self.decode(latents), np.cumsum(counts)[:-1])
        paths = torch.stack(path, 1).cpu().split(counts)
        all_log_probs = torch.stack(log_probs[1:], 1).cpu().split(counts)
        made = []
        for prompt, own, images, latents, log_probs_ in zip(
            prompts, seeds, pictures, paths, all_log_probs, strict=True
        ):
            mask = trained_mask(available, own, drawn_steps)
            kept = int(mask.any(0).nonzero().max()) + 1
            trajectories = Trajectories(
                prompt=prompt,
                sampler=sampler,
                latents=latents[:, : kept + 1].contiguous(),
                log_probs=log_probs_[:, :kept].contiguous(),
                timesteps=steps.timesteps[:kept].cpu(),
                trained=mask[:, :kept],
            )
            made.append(Rollout(images, tuple(own), trajectories))
        return made

    @torch.no_grad()
    def sample(
        self, prompts: Sequence[str], seeds: Sequence[int], sampler: Sampler, weights: Weights
    ) -> NDArray[np.uint8]:
        """Images (B, H, W, 3) for looking and measuring, one per (prompt, seed); nothing stored."""
        for latents, _ in self._denoise(prompts, seeds, sampler, weights):
            last = latents
        return self.decode(last)

    def _denoise(
        self, prompts: Sequence[str], seeds: Sequence[int], sampler: Sampler, weights: Weights
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (latents, log_prob) from pure noise (log_prob 0) to the end: T + 1 pairs.

        All noise of row i comes from a CPU generator seeded with `seeds[i]`, so an image does not
        depend on its company beyond the kernels' last bit.
        """
        steps = self._steps(sampler)
        conditioning = self._condition(prompts)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        latents = self._noise(generators)
        yield latents, torch.zeros(len(seeds), device=self.device)
        for s in range(len(steps.timesteps)):
            index = torch.full((len(seeds),), s, device=self.device)
            lora_acts = sampler.lora_steps is None or s < sampler.lora_steps
            acting = weights if lora_acts else "base"
            mean, std = self._mean_std(sampler, index, latents, conditioning, acting)
            latents = mean + std.view(-1, 1, 1, 1) * self._noise(generators)
            # Where the floor forbids training, sigma may be 0 and has no density.
            yield latents, log_prob(latents, mean, std.clamp(min=SIGMA_FLOOR))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """Latents (B, C, H, W) to RGB images (B, H, W, 3)."""
        at_once = decoded_at_once(*latents.shape[2:])
        scaled = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        parts = [self.vae.decode(part).sample.float() for part in scaled.split(at_once)]
        pixels = torch.cat(parts)
        pixels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        images: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).cpu().numpy()
        return images

    def _mean_std(
        self,
        sampler: Sampler,
        index: Tensor,
        latents: Tensor,
        conditioning: Conditioning,
        weights: Weights,
        *,
        in_turn: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The one transition: guided UNet pass, then DDIM's mean.

        Guidance is one batched pass; or two `in_turn`, the unconditional one without a gradient.
        """
        steps, guidance_scale = self._steps(sampler), sampler.guidance_scale
        timesteps, inputs = steps.timesteps[index], latents.to(self.dtype)
        if guidance_scale <= 1:
            output = self._output(inputs, timesteps, conditioning, weights)
            return step_mean(steps, index, latents, output), steps.std[index]
        with self.adapters.lock:
            negative = self.conditioner.negative(len(latents))
        if in_turn:
            with torch.no_grad():
                unconditional = self._output(inputs, timesteps, negative, weights)
            conditional = self._output(inputs, timesteps, conditioning, weights)
        else:
            twice = torch.cat([inputs, inputs]), torch.cat([timesteps, timesteps])
            both = Conditioning.batch([negative, conditioning])
            unconditional, conditional = self._output(*twice, both, weights).chunk(2)
        output = guided(unconditional, conditional, guidance_scale)
        return step_mean(steps, index, latents, output), steps.std[index]

    def _output(
        self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning, weights: Weights
    ) -> Tensor:
        """One pass of the UNet under `weights`, (B, C, H, W) float32."""
        with self.adapters.answering(weights):
            output: Tensor = self.unet(
                inputs,
                timesteps,
                encoder_hidden_states=conditioning.states,
                added_cond_kwargs=conditioning.added,
            ).sample.float()
        return output

    def _noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        drawn = [torch.randn(self.latent_shape, generator=g) for g in generators]
        return torch.stack(drawn).to(self.device)

    def _condition(self, prompts: Sequence[str]) -> Conditioning:
        with self.adapters.lock:  # the texts kept are shared between threads
            return self.conditioner(prompts)

    def _steps_on_device(self, sampler: Sampler) -> Steps:
        return self.schedule.steps(sampler).to(self.device)


def decoded_at_once(height: int, width: int) -> int:
    """How many latents of this size the VAE is given together."""
    return min(DECODED_AT_ONCE, max(1, LATENTS_AT_ONCE // (height * width)))
