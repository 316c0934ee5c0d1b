"""Our DDIM against diffusers' own, step by step, with the same noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler

from loop_studio.diffusion.transition import (
    SIGMA_FLOOR,
    NoiseSchedule,
    Steps,
    guided,
    step_mean,
    trained_mask,
)
from loop_studio.errors import ModelUnusable
from loop_studio.rl.gaussian import log_prob
from loop_studio.rl.types import Sampler
from tests.tiny import SCHEDULE

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PNDM = {**BETAS, "skip_prk_steps": True, "steps_offset": 1, "set_alpha_to_one": False}
EULER = {**BETAS, "timestep_spacing": "leading", "steps_offset": 1}
FOLDERS: dict[str, Callable[[str], Mapping[str, Any]]] = {
    "ddim, leading": lambda kind: {**SCHEDULE, "prediction_type": kind},
    "ddim, trailing": lambda kind: {
        **SCHEDULE,
        "prediction_type": kind,
        "timestep_spacing": "trailing",
    },
    "ddim, linspace": lambda kind: {
        **SCHEDULE,
        "prediction_type": kind,
        "timestep_spacing": "linspace",
    },
    "SD 2's PNDM": lambda kind: PNDMScheduler(**PNDM, prediction_type=kind).config,
    "SDXL's Euler": lambda kind: EulerDiscreteScheduler(**EULER, prediction_type=kind).config,
    "Euler's defaults": lambda kind: EulerDiscreteScheduler(prediction_type=kind).config,
}


def steps(count: int = 20, eta: float = 1.0, **changes: Any) -> Steps:
    return NoiseSchedule({**SCHEDULE, **changes}).steps(Sampler(count, 3.0, eta))


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [1.0, 0.5])
@pytest.mark.parametrize("count", [10, 20, 50])
def test_mean_and_noise_are_those_of_diffusers_own_ddim_step(
    folder: str, prediction_type: str, eta: float, count: int
) -> None:
    config = FOLDERS[folder](prediction_type)
    ours = NoiseSchedule(config).steps(Sampler(count, 1.0, eta))
    theirs = DDIMScheduler.from_config({**config, "clip_sample": False})
    theirs.set_timesteps(count)
    theirs.alphas_cumprod = theirs.alphas_cumprod.double()
    theirs.final_alpha_cumprod = theirs.final_alpha_cumprod.double()
    assert torch.equal(ours.timesteps, theirs.timesteps)
    generator = torch.Generator().manual_seed(count)
    for s, t in enumerate(theirs.timesteps):
        x, output, noise = torch.randn((3, 2, 4, 8, 8), generator=generator, dtype=torch.float64)
        expected = theirs.step(output, t, x, eta=eta, variance_noise=noise).prev_sample
        index = torch.full((2,), s)
        mean = step_mean(ours, index, x, output)
        drawn = mean + ours.std[s] * noise
        # 1 / sqrt(alpha) is up to 15: float32 coefficients are that much coarser
        torch.testing.assert_close(drawn, expected, rtol=1e-6, atol=5e-6)


def test_a_batch_may_mix_steps_and_each_row_takes_its_own() -> None:
    grid = steps()
    x, output = torch.randn((2, 3, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    index = grid.index(grid.timesteps[torch.tensor([17, 0, 5])])
    assert index.tolist() == [17, 0, 5]
    mixed = step_mean(grid, index, x, output)
    for row, s in enumerate(index):
        alone = step_mean(grid, s.view(1), x[row : row + 1], output[row : row + 1])
        assert torch.equal(mixed[row : row + 1], alone)


def test_with_twenty_leading_steps_exactly_the_last_two_are_below_the_floor() -> None:
    grid = steps(20)
    assert grid.timesteps[-2:].tolist() == [51, 1]
    assert grid.stored == 18
    assert (grid.std[:18] >= SIGMA_FLOOR).all()
    assert (grid.std[18:] < SIGMA_FLOOR).all()


def test_a_quarter_of_the_noise_stores_fewer_steps_and_no_noise_none() -> None:
    assert 0 < steps(20, eta=0.25).stored < 18
    assert steps(20, eta=0.0).stored == 0
    assert steps(20, eta=0.0).std.abs().max() == 0


def test_a_schedule_that_ends_in_pure_noise_has_finite_means() -> None:
    grid = steps(
        20, prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True
    )
    assert grid.timesteps[0] == 999
    for numbers in (grid.sample_coefficient, grid.output_coefficient, grid.std):
        assert numbers.isfinite().all()


def test_guidance_one_is_the_conditional_prediction_and_zero_the_unconditional_one() -> None:
    unconditional, conditional = torch.randn((2, 4), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(guided(unconditional, conditional, 1.0), conditional)
    assert torch.equal(guided(unconditional, conditional, 0.0), unconditional)
    expected = unconditional * -2 + conditional * 3
    torch.testing.assert_close(guided(unconditional, conditional, 3.0), expected)


@pytest.mark.parametrize(("prediction_type", "spread"), [("epsilon", 1.5), ("v_prediction", 10)])
def test_weighted_by_noise_every_step_pushes_the_models_output_alike(
    prediction_type: str, spread: float
) -> None:
    grid = steps(20, prediction_type=prediction_type)
    generator = torch.Generator().manual_seed(0)
    latents, noise = torch.randn((2, 18, 4, 8, 8), generator=generator)
    noise[:] = noise[0]  # the same surprise at every step
    output = torch.zeros_like(latents, requires_grad=True)
    mean = step_mean(grid, torch.arange(18), latents, output)
    after = (mean + grid.std[:18].view(-1, 1, 1, 1) * noise).detach()
    log_prob(after, mean, grid.std[:18]).sum().backward()
    sizes = output.grad.flatten(1).norm(dim=1)
    assert sizes.max() / sizes.min() > spread  # unweighted, some drown the others
    weighted = sizes * grid.noise_weights[:18]
    torch.testing.assert_close(weighted, weighted[:1].expand(18), rtol=1e-4, atol=0)


def test_drawn_steps_depend_on_each_trajectorys_own_seed_alone() -> None:
    together = trained_mask(18, [7, 8, 9], 10)
    assert together.sum(1).tolist() == [10, 10, 10]
    assert torch.equal(together[1:2], trained_mask(18, [8], 10))
    assert not torch.equal(together[0], together[1])
    counts = trained_mask(18, range(2000), 10).double().mean(0)
    assert (counts - 10 / 18).abs().max() < 4.5 * (10 / 18 * 8 / 18 / 2000) ** 0.5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"thresholding": True}, "sets thresholding.*Set thresholding to false"),
        ({"clip_sample": True}, "sets clip_sample.*or choose another model"),
        ({"prediction_type": "sample"}, "predicts 'sample'; the studio trains epsilon and v_pred"),
        ({"prediction_type": "flow_prediction"}, "predicts 'flow_prediction'"),
        ({"rescale_betas_zero_snr": True}, "starts from pure noise.*or choose another model"),
    ],
)
def test_what_hides_the_density_of_a_step_is_refused_with_a_sentence(
    changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ModelUnusable, match=sentence):
        NoiseSchedule({**SCHEDULE, **changes})


def test_more_steps_than_the_model_was_trained_on_are_refused() -> None:
    with pytest.raises(ModelUnusable, match="trained on 1000 steps"):
        steps(1001)
