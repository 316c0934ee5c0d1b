"""LOOP's objective. The paper's abstract names its parts (several trajectories per prompt, a
leave-one-out baseline, PPO's clipping and importance weights); units and sums are our choice:

    L = -(1/G) sum_g (1/J_g) sum_j (1/m_gj) sum_i (1/|T_i|) sum_t
            min(rho_it A_ij, clip(rho_it, 1 - c, 1 + c) A_ij)  +  beta mean_t KL_t / D

with rho_it = exp(log_prob - stored log_prob) of one denoising step, in the mean convention. Where
steps are weighted (JudgedGroup.step_weights), w_t / sum w_t over T_i stands for 1/|T_i|.
"""

from __future__ import annotations

from torch import Tensor


def clip_range(clip_nats: float, elements: int) -> float:
    """PPO's clip half-width c for log_probs in the mean convention, from true nats per step.

    1.6 nats over the 16,384 elements of SD 1.5's latents is DDPO's 1e-4.
    """
    return clip_nats / elements


def brake(kl_weight: float, kl_budget: float, kl_to_base: float) -> float:
    """beta of an update that starts `kl_to_base` nats per step away from the base model.

    `kl_weight` within the budget, then growing with the square of the distance: what is easily
    learned stops near the budget, and what is hard is not held back meanwhile. Compare the
    adaptive KL coefficient of Ziegler et al. 2019, section 2.2.
    """
    return kl_weight * max(1.0, kl_to_base / kl_budget) ** 2


def clipped_surrogate(ratio: Tensor, up: Tensor, down: Tensor, clip_range: float) -> Tensor:
    """Sum over judgements of min(rho A, clip(rho, 1 - c, 1 + c) A); all arguments (B,).

    `up` >= 0 and `down` <= 0 are the summed advantages of either sign: for A > 0 the minimum is
    min(rho, 1 + c) A, for A < 0 it is max(rho, 1 - c) A. Source: PPO, Schulman et al. 2017, eq. 7.
    """
    return ratio.clamp(max=1 + clip_range) * up + ratio.clamp(min=1 - clip_range) * down


def clipped(ratio: Tensor, up: Tensor, down: Tensor, clip_range: float) -> Tensor:
    """Whether the clip holds back all of a transition's gradient; (B,) bool."""
    too_high = (up > 0) & (ratio > 1 + clip_range)
    too_low = (down < 0) & (ratio < 1 - clip_range)
    return (too_high | (up <= 0)) & (too_low | (down >= 0)) & ((up > 0) | (down < 0))
