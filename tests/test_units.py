"""The energy of binary units, and annealed importance sampling held to it."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from cases import seeded
from helpers import exact

FEW = pytest.mark.parametrize("H", [1, 2, 5, 8])


def some(H: int, d: int, seed: int = 0, spread: float = 0.8, v: float = 0.7) -> exact.Units:
    """Return an energy with H units in d dimensions whose modes are uneven."""
    g = seeded(seed)
    W = spread * torch.randn(H, d, generator=g, dtype=torch.float64)
    return exact.Units(W, torch.randn(H, generator=g, dtype=torch.float64), v)


def modes(energy: exact.Units) -> tuple[Tensor, Tensor]:
    """Return log masses and means of all 2^H Gaussians, one after the other."""
    H, d = energy.w.shape
    v, logs, means = energy.v, [], []
    for state in product([0.0, 1.0], repeat=H):
        h = torch.tensor(state, dtype=torch.float64)
        push = h @ energy.w
        logs.append(h @ energy.b + v * push @ push / 2 + d / 2 * (2 * math.pi * v).log())
        means.append(v * push)
    return torch.stack(logs), torch.stack(means)


@FEW
@pytest.mark.parametrize("d", [1, 3, 64])
def test_log_weights_are_those_of_all_states_in_turn(H: int, d: int) -> None:
    energy = some(H, d, H)
    logs, _ = modes(energy)
    found = energy.log_weights()
    assert found.shape == (2 ** (H // 2), 2 ** (H - H // 2))
    assert torch.allclose(found.flatten(), logs, rtol=1e-12)
    assert energy.log_partition().item() == pytest.approx(logs.logsumexp(0).item(), rel=1e-12)


@FEW
def test_log_partition_is_the_integral_in_one_and_two_dimensions(H: int) -> None:
    x = exact.grid(-25, 25, 801)
    line, plane = some(H, 1), some(H, 2, spread=0.5)
    with torch.no_grad():
        assert line.log_partition().item() == pytest.approx(
            exact.log_partition(line, x).item(), abs=1e-12
        )
        z = plane(torch.cartesian_prod(x, x))
        total = torch.logsumexp(-z, 0) + 2 * (x[1] - x[0]).log()
        assert plane.log_partition().item() == pytest.approx(total.item(), abs=1e-12)


def test_the_energy_is_that_of_the_sum_of_its_gaussians() -> None:
    energy = some(5, 4)
    logs, means = modes(energy)
    x = 2 * torch.randn(50, 4, generator=seeded(1), dtype=torch.float64)
    squares = (x[:, None] - means).square().sum(-1)
    each = logs - squares / (2 * energy.v) - 2 * (2 * math.pi * energy.v).log()
    assert torch.allclose(energy(x), -each.logsumexp(1), atol=1e-10)
    assert torch.allclose(energy.nll(x), logs.logsumexp(0) - each.logsumexp(1), atol=1e-10)


@FEW
def test_draws_have_the_moments_of_the_mixture(H: int) -> None:
    """Means, second moments and masses of the half-spaces, within five standard errors."""
    energy, n = some(H, 3, 3), 50_000
    logs, means = modes(energy)
    x, weights = energy.draw(n, generator=seeded(2)), logs.softmax(0)
    mean = weights @ means
    second = energy.v * torch.eye(3) + (weights[:, None] * means).T @ means
    assert ((x.mean(0) - mean).abs() < 5 * x.std(0) / n**0.5).all()
    products = x[:, :, None] * x[:, None]
    assert ((products.mean(0) - second).abs() < 5 * products.std(0) / n**0.5).all()
    normal = torch.distributions.Normal(means[:, 0], energy.v.sqrt())
    share = (weights * (1 - normal.cdf(mean[0]))).sum()
    assert abs((x[:, 0] > mean[0]).double().mean() - share) < 5 * 0.5 / n**0.5
    assert not x.requires_grad
    assert torch.equal(x, energy.draw(n, generator=seeded(2)))


def test_gradient_of_the_nll_is_that_of_the_naive_sum() -> None:
    energy, x = some(6, 4), torch.randn(20, 4, generator=seeded(1), dtype=torch.float64)
    energy.nll(x).mean().backward()
    found = [p.grad.clone() for p in energy.parameters()]
    energy.zero_grad()
    (energy(x).mean() + modes(energy)[0].logsumexp(0)).backward()
    for p, gradient in zip(energy.parameters(), found, strict=True):
        assert torch.allclose(p.grad, gradient, rtol=1e-9, atol=1e-12) and gradient.abs().max() > 0


def test_twenty_units_are_quick_and_one_dimension_more_changes_nothing() -> None:
    """A dimension in which no unit looks is a normal one of its own."""
    energy = some(20, 64, spread=0.2)
    wide = torch.cat([energy.w.detach(), torch.zeros(20, 1, dtype=torch.float64)], 1)
    other = exact.Units(wide, energy.b.detach(), 0.7)
    more = other.log_partition() - energy.log_partition()
    assert more.item() == pytest.approx(math.log(2 * math.pi * 0.7) / 2, abs=1e-9)


@pytest.mark.parametrize(
    ("w", "b", "v", "words"),
    [
        (torch.zeros(40, 3), torch.zeros(40), 1.0, "H, is 40; it must be a whole number from 1 to"),
        (torch.zeros(3, 3), torch.zeros(2), 1.0, "b has shape (2,); it must be (3,)"),
        (torch.zeros(3), torch.zeros(3), -1.0, "v is -1.0; it must be"),
        (torch.full((2, 3), math.nan), torch.zeros(2), 1.0, "w holds 2 row(s) with NaN"),
    ],
)
def test_bad_parameters_are_named_in_a_sentence(w, b, v, words: str) -> None:
    with pytest.raises(ValueError) as error:
        exact.Units(w, b, v)
    assert words in str(error.value) and str(error.value).count(". ") == 0


@pytest.mark.parametrize("x", [torch.zeros(5, 63), torch.zeros(64)])
def test_images_of_another_size_are_named(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"x has shape .*; it must be \(n, 64\)\."):
        some(2, 64)(x.double())


# --- annealed importance sampling ---------------------------------------------------------------


def start(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("T", [2, 5, 40])
def test_the_mean_weight_is_unbiased_whatever_the_chains_do(T: int, reverse: bool) -> None:
    """E w = Z forward, and E 1/w = 1/Z in reverse, with two temperatures or a wild step."""
    energy, n = some(4, 2, spread=0.5, v=0.9), 40_000
    log_z = energy.log_partition().item()
    x = energy.draw(n, generator=seeded(1)) if reverse else start(n, 2, 1)
    run = exact.ais(energy, x, T, 0.5, generator=seeded(2), reverse=reverse)
    ratio = ((run.log_weights - log_z) * (-1 if reverse else 1)).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / n**0.5
    assert run.log_z == pytest.approx(log_z + (-1 if reverse else 1) * ratio.mean().log().item())
    assert run.effective == pytest.approx((ratio.sum() ** 2 / ratio.square().sum()).item())


def test_in_64_dimensions_the_mean_log_weights_close_in_from_both_sides() -> None:
    energy, T = some(8, 64, spread=0.15), [10, 100, 1000]
    log_z, gaps = energy.log_partition().item(), []
    for k in T:
        x, y = start(200, 64, k), energy.draw(200, generator=seeded(k))
        below = exact.ais(energy, x, k, 0.2, generator=seeded(1))
        above = exact.ais(energy, y, k, 0.2, generator=seeded(2), reverse=True)
        assert below.log_weights.mean() < log_z < above.log_weights.mean()
        gaps.append((above.log_weights.mean() - below.log_weights.mean()).item())
        assert 0.3 < below.accepted < 1 and 0.3 < above.accepted < 1
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < gaps[0] / 5
    assert abs(below.log_z - log_z) < 0.1 and abs(above.log_z - log_z) < 0.1


def test_of_the_start_itself_every_weight_is_its_z() -> None:
    run = exact.ais(lambda x: x.square().sum(-1) / 2, start(9, 3, 0), 7, 0.1, generator=seeded())
    assert run.log_weights.tolist() == pytest.approx([1.5 * math.log(2 * math.pi)] * 9)
    assert run.effective == pytest.approx(9)


@pytest.mark.parametrize(
    ("T", "s", "words"),
    [
        (1, 0.1, "temperatures is 1; it must be a whole number, 2 or more."),
        (10, 0.0, "step_size at step 0 is 0.0; it must be a finite number, above 0."),
    ],
)
def test_one_temperature_is_refused(T: int, s: float, words: str) -> None:
    with pytest.raises(ValueError) as error:
        exact.ais(some(2, 3), start(5, 3, 0), T, s, generator=seeded())
    assert str(error.value) == words


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        (3, "energy is 3; it must be a function of particles (n, d)."),
        (lambda x: x, "energy returned shape (5, 3) for particles of shape (5, 3); it must"),
        (lambda x: x.sum(1) * math.nan, "energy is NaN or −∞ at a particle; it must be"),
        (lambda x: x.sum(1) - math.inf, "energy is NaN or −∞ at a particle; it must be"),
    ],
)
def test_what_is_no_energy_is_named(energy, words: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        exact.ais(energy, start(5, 3, 0), 9, 0.1, generator=seeded())
    assert str(error.value).startswith(words)
