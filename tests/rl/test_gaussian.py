import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from loop_studio.rl.gaussian import kl_divergence, log_prob


def batch(seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    next_latents, mean, other = torch.randn((3, 5, 4, 6, 6), generator=generator, dtype=dtype)
    std = torch.rand(5, generator=generator, dtype=dtype) + 0.05
    return next_latents, mean, other, std


@given(st.integers(0, 10_000))
def test_log_prob_is_the_mean_of_torch_normals_log_prob(seed: int) -> None:
    next_latents, mean, _, std = batch(seed)
    expected = Normal(mean, std.view(-1, 1, 1, 1)).log_prob(next_latents).flatten(1).mean(1)
    torch.testing.assert_close(log_prob(next_latents, mean, std), expected, rtol=1e-12, atol=0)


@given(st.integers(0, 10_000))
def test_kl_is_torchs_kl_summed_over_elements_in_true_nats(seed: int) -> None:
    _, mean, other, std = batch(seed)
    wide = std.view(-1, 1, 1, 1)
    expected = torch_kl(Normal(mean, wide), Normal(other, wide)).flatten(1).sum(1)
    torch.testing.assert_close(kl_divergence(mean, other, std), expected, rtol=1e-12, atol=0)


def test_kl_in_nats_is_the_expected_log_ratio_times_the_number_of_elements() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, other = torch.randn((2, 1, 4, 8, 8), generator=generator, dtype=torch.float64) * 0.1
    std = torch.tensor([0.5], dtype=torch.float64)
    noise = torch.randn((4000, 4, 8, 8), generator=generator, dtype=torch.float64)
    drawn = mean + std * noise
    many = std.expand(len(drawn))
    nats = (log_prob(drawn, mean, many) - log_prob(drawn, other, many)) * mean[0].numel()
    error = nats.std().item() / len(nats) ** 0.5
    exact = kl_divergence(mean, other, std).item()
    assert exact == pytest.approx(nats.mean().item(), abs=4 * error)
    assert error < 0.02 * exact


def test_log_prob_in_float32_keeps_a_hundredth_of_a_nat_over_sixteen_thousand_elements() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, noise = torch.randn((2, 3, 4, 64, 64), generator=generator)
    std = torch.tensor([0.05, 0.2, 0.9])
    next_latents = mean + std.view(-1, 1, 1, 1) * noise
    exact = log_prob(next_latents.double(), mean.double(), std.double())
    assert ((log_prob(next_latents, mean, std) - exact).abs() * 16_384).max() < 0.01
