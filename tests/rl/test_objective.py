import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loop_studio.rl.objective import clip_range, clipped, clipped_surrogate

C = 0.2


def gradient(ratio: float, advantage: float) -> float:
    rho = torch.tensor([ratio], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([advantage], dtype=torch.float64)
    clipped_surrogate(rho, a.clamp(min=0), a.clamp(max=0), C).sum().backward()
    return rho.grad.item()


@pytest.mark.parametrize(("ratio", "advantage"), [(1.3, 2.0), (5.0, 0.1), (0.7, -2.0), (0.1, -1)])
def test_gradient_is_exactly_zero_outside_the_clip_range(ratio: float, advantage: float) -> None:
    assert gradient(ratio, advantage) == 0


@pytest.mark.parametrize(
    ("ratio", "advantage"),
    [(1.0, 2.0), (1.1, 2.0), (1.0, -2.0), (0.9, -2.0), (0.5, 2.0), (1.5, -2.0)],
)
def test_gradient_is_the_advantage_inside_the_clip_range_and_on_its_pessimistic_side(
    ratio: float, advantage: float
) -> None:
    assert gradient(ratio, advantage) == advantage


@given(
    st.floats(0.01, 5.0), st.lists(st.floats(-3, 3), min_size=1, max_size=5), st.floats(1e-5, 0.5)
)
def test_two_sums_per_image_carry_every_judgement_of_it(
    ratio: float, advantages: list[float], c: float
) -> None:
    rho = torch.tensor([ratio], dtype=torch.float64)
    a = torch.tensor(advantages, dtype=torch.float64)
    naive = torch.minimum(rho * a, rho.clamp(1 - c, 1 + c) * a).sum()
    up, down = a.clamp(min=0).sum().view(1), a.clamp(max=0).sum().view(1)
    together = clipped_surrogate(rho, up, down, c).sum()
    torch.testing.assert_close(together, naive, rtol=1e-12, atol=1e-12)


@given(st.floats(0.3, 3.0), st.floats(-2, 2), st.floats(-2, 2))
def test_an_image_counts_as_clipped_exactly_when_its_gradient_vanishes(
    ratio: float, first: float, second: float
) -> None:
    rho = torch.tensor([ratio], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([first, second], dtype=torch.float64)
    up, down = a.clamp(min=0).sum().view(1), a.clamp(max=0).sum().view(1)
    clipped_surrogate(rho, up, down, C).sum().backward()
    pushed = bool(a.any())
    assert clipped(rho.detach(), up, down, C).item() == (pushed and rho.grad.item() == 0)


def test_sixteen_tenths_of_a_nat_on_sd15_is_ddpos_clip_range() -> None:
    assert clip_range(1.6, 4 * 64 * 64) == pytest.approx(1e-4, rel=0.03)
    assert clip_range(1.6, 4 * 16 * 16) == pytest.approx(1.6e-3, rel=0.03)
    assert clip_range(1.6, 4 * 128 * 128) == pytest.approx(2.5e-5, rel=0.03)
