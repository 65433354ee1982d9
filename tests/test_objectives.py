"""Losses, sources of negatives and the training loop against closed forms.

Everything is worked out for the spring f = θ (x − m)²/2, the energy of N(m, 1/θ). Stochastic
tolerances are 5 standard errors, the seed fixed.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from cases import seeded
from helpers import densities, exact, objectives, training
from helpers.langevin import leimkuhler_matthews, mala

N = 40_000
X = exact.grid(-15, 27, 841)
BOX = (0.0, 15.0)
BOX_MEAN, BOX_VARIANCE = 7.5, 15**2 / 12


class Spring(nn.Module):
    """θ (x − m)²/2 with two parameters."""

    def __init__(self, m: float, theta: float):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(m, dtype=torch.float64))
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.theta * ((x - self.m) ** 2).sum(-1) / 2


def draws(n: int = N, mean: float = 5.0, sd: float = 1.0) -> Tensor:
    """Return seeded draws of N(mean, sd²), shape (n, 1)."""
    return densities.draw(densities.gaussian(mean, sd), n, generator=seeded(7))


def slopes(loss: Tensor, energy: Spring) -> tuple[float, float]:
    """Return ∂loss/∂m and ∂loss/∂θ."""
    return tuple(g.item() for g in torch.autograd.grad(loss, [energy.m, energy.theta]))


def settled(theta: float, k: int, s: float, rho: float, mean0: float, var0: float):
    """Return the negatives' mean and variance if m = 0: a share ρ starts anew, then k steps."""
    a = s * theta
    r = (1 - a) ** k
    w = 2 * s * sum((1 - a) ** (2 * j) for j in range(k))
    mean = r * rho * mean0 / (1 - r * (1 - rho))
    square = (r**2 * rho * (var0 + mean0**2) + w) / (1 - r**2 * (1 - rho))
    return mean, square - mean**2


def has_moments(x: Tensor, mean: float, variance: float) -> bool:
    """Compare within 5 standard errors; laws here have at most about a Gaussian's kurtosis, × 2."""
    off = abs(x.mean() - mean) < 5 * math.sqrt(variance / len(x))
    return bool(off and abs(x.var() - variance) < 10 * variance * math.sqrt(2 / len(x)))


# --- losses -----------------------------------------------------------------------------------


def test_the_exact_loss_is_the_nll_and_has_its_gradient() -> None:
    """½ θ (v + (x̄ − m)²) + ½ log 2π/θ, and its derivatives in m and θ."""
    data, energy = draws(500), Spring(4.0, 0.5)
    loss, _ = objectives.exact_nll(X)(energy, data, None, seeded())
    spread = ((data - 4.0) ** 2).mean().item()
    expected = 0.25 * spread + 0.5 * math.log(2 * math.pi / 0.5)
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    assert slopes(loss, energy) == pytest.approx(
        (-0.5 * (data.mean().item() - 4.0), spread / 2 - 1), abs=1e-9
    )


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_contrast_holds_its_negatives_fixed(penalty) -> None:
    """Negatives that depend on m must not pass their gradient on; the penalty adds its own."""
    data, energy = torch.tensor([[1.0], [2.0]], dtype=torch.float64), Spring(0.0, 2.0)

    def negatives(energy: Spring, real: Tensor, state: str, generator: torch.Generator):
        fake = energy.m + torch.tensor([[2.0], [3.0], [5.0]], dtype=torch.float64)
        return fake, f"{state}, and on"

    loss, state = objectives.contrast(negatives, penalty=penalty)(energy, data, "on", seeded())
    assert state == "on, and on"
    # at m = 0, θ = 2: f = x², ∂f/∂m = −2x, ∂f/∂θ = x²/2, and for f²: x⁴, −4x³, x⁴
    x = torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64)
    means = {power: (x**power).mean().item() for power in (1, 2, 3, 4)}
    assert loss.item() == pytest.approx(2.5 - means[2] + penalty * (8.5 + means[4]), abs=1e-12)
    d_m = -3 + 2 * means[1] + penalty * (-18 - 4 * means[3])
    d_theta = 1.25 - means[2] / 2 + penalty * (8.5 + means[4])
    assert slopes(loss, energy) == pytest.approx((d_m, d_theta), abs=1e-11)


@pytest.mark.parametrize("theta", [0.5, 0.8, 1.3])
def test_denoising_has_the_value_and_the_minimum_of_the_closed_form(theta) -> None:
    """E|τθ(x + τε − m) − ε|²/2 = (τ²θ²v + (τ²θ − 1)²)/2, smallest at θ = 1/(v + τ²).

    u²/2 of a Gaussian u with variance V has the standard error V/√(2n).
    """
    tau, data, energy = 0.5, draws(), Spring(5.0, theta)
    loss, _ = objectives.denoising(tau)(energy, data, None, seeded())
    value = tau**2 * theta**2 + (tau**2 * theta - 1) ** 2
    assert abs(loss.item() - value / 2) < 5 * value / math.sqrt(2 * N)
    _, slope = slopes(loss, energy)
    assert slope == pytest.approx(tau**2 * ((1 + tau**2) * theta - 1), abs=0.01)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_bad_weights_are_named(value) -> None:
    with pytest.raises(
        ValueError, match=f"^penalty is {value}; it must be a finite number, at least 0"
    ):
        objectives.contrast(objectives.from_data(1, 0.1), penalty=value)
    for noise in (value, 0.0):
        with pytest.raises(
            ValueError, match=f"^noise is {noise}; it must be a finite number, above 0"
        ):
            objectives.denoising(noise)


# --- where negatives come from ----------------------------------------------------------------


@pytest.mark.parametrize("k, s", [(1, 0.3), (5, 0.3), (15, 0.05)])
def test_negatives_from_the_data_start_there(k, s) -> None:
    """k plain steps from the batch itself: ρ = 1 with the data's mean and variance."""
    data, theta = draws(mean=2.0, sd=1.5), 0.6
    x, _ = objectives.from_data(k, s)(Spring(0.0, theta), data, None, seeded())
    r = (1 - s * theta) ** k
    moved = x - r * data  # what is left is noise alone, independent of the batch
    assert has_moments(moved, 0.0, settled(theta, k, s, 1.0, 0.0, 0.0)[1])
    assert abs(torch.corrcoef(torch.cat([moved.T, data.T]))[0, 1]) < 5 / math.sqrt(N)


@pytest.mark.parametrize("k, s, theta", [(5, 0.1, 0.6), (15, 0.05, 2.0)])
def test_negatives_from_noise_forget_as_much_as_the_closed_form_says(k, s, theta) -> None:
    x, _ = objectives.from_noise(*BOX, k, s)(Spring(0.0, theta), draws(), None, seeded())
    assert has_moments(x, *settled(theta, k, s, 1.0, BOX_MEAN, BOX_VARIANCE))


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.5, 1.0])
def test_persistent_chains_settle_where_the_closed_form_says(rho) -> None:
    """From N(5, 1), after 60 updates; ρ = 0 is the plain chain's own law."""
    k, s, theta = 5, 0.1, 0.6
    negatives = objectives.persistent(draws(), k, s, restarts=rho, box=BOX)
    energy, g, state = Spring(0.0, theta), seeded(), None
    for _ in range(60):
        x, state = negatives(energy, draws(2), state, g)
    mean, variance = settled(theta, k, s, rho, BOX_MEAN, BOX_VARIANCE)
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / N)
    kurtosis = ((x - x.mean()) ** 4).mean() / x.var() ** 2
    assert abs(x.var() - variance) < 5 * variance * math.sqrt((kurtosis - 1) / N)


def test_persistent_chains_go_on() -> None:
    """Two updates of three steps are six steps; the chains that were given stay as they were."""
    start, energy = draws(50), Spring(0.0, 1.0)
    kept, negatives, g = start.clone(), objectives.persistent(start, 3, 0.2), seeded()
    first, state = negatives(energy, start, None, g)
    second, _ = negatives(energy, start, state, g)
    g = seeded()
    assert torch.equal(first, objectives.from_data(3, 0.2)(energy, start, None, g)[0])
    assert torch.equal(second, objectives.from_data(3, 0.2)(energy, first, None, g)[0])
    assert torch.equal(first, negatives(energy, start, None, seeded())[0]), "nothing is remembered"
    assert torch.equal(start, kept)


@pytest.mark.parametrize("sampler", [mala, leimkuhler_matthews])
def test_every_source_uses_the_sampler_it_is_given(sampler) -> None:
    """At s = 1.5 plain steps widen N(0, 1) fourfold; the other samplers keep it."""
    data, energy = draws(mean=0.0), Spring(0.0, 1.0)
    for source in (
        objectives.from_data(40, 1.5, sampler=sampler),
        objectives.from_noise(-2, 2, 40, 1.5, sampler=sampler),
        objectives.persistent(data, 40, 1.5, sampler=sampler),
    ):
        assert has_moments(source(energy, data, None, seeded())[0], 0.0, 1.0)


def test_bad_restarts_are_named() -> None:
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(
            ValueError, match=f"^restarts is {value}; it must be a finite number, at least 0"
        ):
            objectives.persistent(draws(5), 1, 0.1, restarts=value, box=BOX)
    with pytest.raises(ValueError, match=r"^chains has shape \(5, 2\); restarts need \(m, 1\)"):
        objectives.persistent(torch.zeros(5, 2), 1, 0.1, restarts=0.1, box=BOX)
    with pytest.raises(ValueError, match=r"^box is None; restarts = 0.1 needs an interval"):
        objectives.persistent(draws(5), 1, 0.1, restarts=0.1)
    with pytest.raises(ValueError, match=r"^real has shape \(5, 2\); runs from noise need"):
        objectives.from_noise(*BOX, 1, 0.1)(Spring(0.0, 1.0), torch.zeros(5, 2), None, seeded())


# --- the loop ---------------------------------------------------------------------------------


def trained(loss, **options) -> Spring:
    """Return the spring, started at N(6, 2²), after 300 updates on 4 000 draws of N(5, 1)."""
    options = {"updates": 300, "lr": 0.1, "batch_size": 512, "show_progress": False} | options
    return training.train(Spring(6.0, 0.25), draws(4000), loss, **options)


def biased_theta(s: float, variance: float) -> float:
    """Return θ at which plain steps of size s leave N(m, variance) as it is."""
    return (1 - math.sqrt(1 - 2 * s / variance)) / s


def test_every_recipe_ends_where_the_theory_says() -> None:
    """θ within 4 %: exact NLL and MALA at 1/v, plain CD and persistent chains at (1 − √(1−2s/v))/s,

    denoising at 1/(v + τ²).
    """
    data = draws(4000)
    v, chains = data.var(correction=0).item(), data[:512]
    recipes = {
        "nll": (objectives.exact_nll(X), 1 / v),
        "cd": (objectives.contrast(objectives.from_data(5, 0.3)), biased_theta(0.3, v)),
        "persistent": (
            objectives.contrast(objectives.persistent(chains, 5, 0.3)),
            biased_theta(0.3, v),
        ),
        "mala": (objectives.contrast(objectives.from_data(5, 0.3, sampler=mala)), 1 / v),
        "denoising": (objectives.denoising(0.5), 1 / (v + 0.25)),
    }
    for name, (loss, theta) in recipes.items():
        energy = trained(loss)
        assert energy.theta.item() == pytest.approx(theta, rel=0.04), name
        assert energy.m.item() == pytest.approx(data.mean().item(), abs=0.04), name


def test_training_is_repeatable_and_leaves_the_rest_alone() -> None:
    """Same seed, same result; another seed, another; data and global state stay as they were."""
    data, state = draws(1000), torch.get_rng_state()
    kept, loss = data.clone(), objectives.contrast(objectives.persistent(data[:64], 2, 0.1))
    options = {"updates": 20, "show_progress": False}
    a, b, c = (
        training.train(Spring(6.0, 0.25), data, loss, generator=seeded(seed), **options).m.item()
        for seed in (0, 0, 1)
    )
    assert a == b != c
    assert training.train(Spring(6.0, 0.25), data, loss, **options).m.item() == a, "the seed is 0"
    assert torch.equal(data, kept) and torch.equal(torch.get_rng_state(), state)


def test_weights_are_multiples_of_the_grain() -> None:
    """After every update, so that the next one starts from the same numbers on every processor."""
    seen, loss = [], objectives.exact_nll(X)
    trained(loss, updates=5, watch=lambda e: seen.append([e.m.item(), e.theta.item()]))
    steps = torch.tensor(seen, dtype=torch.float64) / training._GRAIN
    assert len(seen) == 5 and torch.equal(steps, steps.round())


def test_training_falls_silent_and_is_watched() -> None:
    """The first update moves m by the learning rate, the last by almost nothing."""
    path = [6.0]
    energy = trained(objectives.exact_nll(X), watch=lambda e: path.append(e.m.item()))
    assert len(path) == 301 and path[-1] == energy.m.item()
    assert abs(path[1] - path[0]) == pytest.approx(0.1, rel=0.01)
    assert abs(path[-1] - path[-2]) < 1e-4
    assert not any(p.requires_grad for p in energy.parameters())
