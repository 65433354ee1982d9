"""The exact laws of chains on a line, against closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from cases import CENTRED, X, quadratic, seeded
from helpers.densities import energy_of, gaussian, mixture, uniform
from helpers.exact import (
    GridError,
    cdf,
    gaussian_kernel,
    gaussian_moments,
    grid,
    kl,
    langevin_kernel,
    law,
    leimkuhler_matthews_kernel,
    log_density,
    log_partition,
    mala_kernel,
    moments,
    uniform_law,
    w1,
    w1_of_laws,
)
from helpers.langevin import mala


def double_well(x: Tensor) -> Tensor:
    """Return 2 (x² − 1)²."""
    return 2 * ((x**2 - 1) ** 2).sum(-1)


# --- laws of chains ---------------------------------------------------------------------------


@pytest.mark.parametrize("low, high", [(-2.0, 3.0), (0.26, 5.08), (-0.013, 7.001)])
def test_uniform_law_has_the_moments_of_the_interval(low, high) -> None:
    """Mass 1, mean (low + high)/2, variance (high − low)²/12, with the ends on the grid or not.

    The mass of a part of a cell goes to its grid point, which costs less than h²/2.
    """
    x, h = grid(-10, 10, 201), 0.1
    p = uniform_law(low, high, x).exp()
    assert p.sum().item() * h == pytest.approx(1, abs=1e-12)
    assert p[(x < low - h / 2) | (x > high + h / 2)].sum() == 0
    mean = (p * x).sum().item() * h
    assert mean == pytest.approx((low + high) / 2, abs=h**2 / 2)
    variance = (p * (x - mean) ** 2).sum().item() * h
    assert variance == pytest.approx((high - low) ** 2 / 12, abs=h**2 / 2)


def test_langevin_kernel_is_the_gaussian_of_one_step() -> None:
    """From x_i the next state is N(x_i − s f'(x_i), 2s), here with f' = 8x (x² − 1)."""
    x, s = grid(-2, 2, 81), 0.03
    mean = x - s * 8 * x * (x**2 - 1)
    expected = norm.pdf(x.numpy(), mean.numpy()[:, None], math.sqrt(2 * s)) * 4 / 80
    np.testing.assert_allclose(langevin_kernel(double_well, x, s), expected, rtol=0, atol=1e-12)


SCHEDULES = {
    "small": 0.05,
    "half": 0.5,
    "one": 1.0,
    "large": 1.7,
    "changing": lambda k: [0.3, 0.3, 0.1, 0.9][k % 4],
}


@pytest.mark.parametrize("mean, sd", [(0.0, 1.0), (1.5, 1.3), (-0.5, 1.1)])
@pytest.mark.parametrize("step", SCHEDULES.values(), ids=SCHEDULES)
def test_law_has_the_closed_form_moments_after_every_step(mean, sd, step) -> None:
    """On N(μ, σ²), with a = s/σ²: m ← μ + (1 − a)(m − μ) and v ← (1 − a)² v + 2s; 1e-8."""
    x, n_steps = grid(-24, 24, 401), 12
    m, v, steps = -1.0, 0.36, [step(k) if callable(step) else step for k in range(12)]
    laws = law(gaussian(m, v**0.5).log_prob(x), quadratic(mean, sd), x, n_steps, step)
    closed = list(gaussian_moments(m, v, mean, sd, steps))
    assert laws.shape == (n_steps + 1, 401) and len(closed) == n_steps + 1
    for k, log_p in enumerate(laws):
        assert moments(log_p, x) == pytest.approx((m, math.sqrt(v)), abs=1e-8), k
        assert closed[k] == pytest.approx((m, v), abs=1e-12)
        a = steps[min(k, 11)] / sd**2
        m, v = mean + (1 - a) * (m - mean), (1 - a) ** 2 * v + 2 * a * sd**2


@pytest.mark.parametrize("start", [(0.0, 10.0), (0.0, 15.0), (7.0, 8.0)])
def test_the_article_s_schedule_erases_the_start(start) -> None:
    """With s_k = 1/(k + 1) on N(5, 1), Var X_K = 1 + 1/K from K = 1 on, wherever it started."""
    x = grid(-12, 22, 341)
    laws = law(uniform_law(*start, x), quadratic(5, 1), x, 15, lambda k: 1 / (k + 1))
    for k, log_p in enumerate(laws[1:], start=1):
        assert moments(log_p, x) == pytest.approx((5, math.sqrt(1 + 1 / k)), abs=1e-10), k


@pytest.mark.parametrize("sd, s", [(1.0, 0.05), (1.0, 0.5), (1.3, 1.69), (0.8, 0.9)])
def test_stationary_variance_of_plain_langevin(sd, s) -> None:
    """σ²/(1 − s/2σ²), never σ²: that is the bias of the step size."""
    x = grid(-16, 16, 401)
    last = law(gaussian(1.0, 1.0).log_prob(x), quadratic(0, sd), x, 400, s)[-1]
    expected = math.sqrt(sd**2 / (1 - s / (2 * sd**2)))
    assert moments(last, x) == pytest.approx((0, expected), abs=1e-8)


@pytest.mark.parametrize("s", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("energy", [quadratic(0.5, 0.9), double_well], ids=["gaussian", "wells"])
def test_mala_kernel_leaves_the_target_as_it_is(energy, s) -> None:
    """p P = p to rounding, each row has mass 1 where p is, and no entry is negative."""
    x = grid(-8, 8, 601)
    kernel = mala_kernel(energy, x, s)
    p = log_density(energy, x).exp()
    torch.testing.assert_close(p @ kernel, p, rtol=0, atol=1e-12)
    torch.testing.assert_close(p * kernel.sum(1), p * torch.ones_like(x), rtol=0, atol=1e-12)
    assert kernel.min() >= 0


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 1.71, 2.0])
def test_mala_kernel_accepts_as_often_as_the_formula_says(a) -> None:
    """On N(0, σ²) the mean acceptance is (2/π) arctan((2/a)^{3/2}); what is rejected stays put.

    The probability min(1, ·) has a kink on the diagonal, hence an error of the order of h².
    """
    x, h, sd = grid(-14, 14, 701), 0.04, 1.3
    energy, s = quadratic(0, sd), a * sd**2
    stays = (mala_kernel(energy, x, s) - langevin_kernel(energy, x, s)).diagonal()
    acceptance = 1 - (log_density(energy, x).exp() * stays).sum().item() * h
    assert acceptance == pytest.approx(2 / math.pi * math.atan((2 / a) ** 1.5), abs=5e-4)


def test_law_with_mala_kernel_goes_to_the_target() -> None:
    """From N(2, 0.5²) MALA at s = 0.5 reaches N(0, 1); plain Langevin stops at variance 4/3."""
    x = grid(-10, 10, 401)
    last = law(gaussian(2.0, 0.5).log_prob(x), quadratic(0, 1), x, 120, 0.5, kernel=mala_kernel)[-1]
    assert kl(last, gaussian(0.0, 1.0).log_prob(x), x) < 1e-10


@pytest.mark.parametrize(
    "ends, n, s, step",
    [((-3, 3), 301, 0.5, 1), ((-9, 9), 181, 2e-4, 1), ((-9, 9), 181, lambda k: [0.5, 40.0][k], 2)],
    ids=["narrow", "coarse", "too narrow later"],
)
def test_law_refuses_a_grid_that_loses_mass(ends, n, s, step) -> None:
    """The error gives the mass that is lost, and the step by which it is."""
    x = grid(*ends, n)
    log_p0 = log_density(quadratic(0, 0.4), x)
    with pytest.raises(GridError, match=rf"^x loses a mass of \d.* by step {step}; the grid"):
        law(log_p0, quadratic(0, 1), x, 2, s)


@pytest.mark.parametrize(
    "start, sd, ends, n, s",
    [
        (14.5, 1.0, (-1.5, 21.5), 401, 2.5),
        (5.0, 3.0, (0.0, 10.0), 401, 0.1),
        (5.0, 3.0, (-15.0, 25.0), 801, 1e-4),
        (5.0, 1.0, (-5.0, 15.0), 501, 2.9e-4),
        (5.0, 0.3, (-15.0, 25.0), 41, 1.0),
        (5.0, 0.3, (-15.0, 25.0), 167, 1.0),
    ],
    ids=[
        "moves beyond the grid",
        "cuts off the target",
        "coarse for the step",
        "a little coarse for the step",
        "for the density",
        "a little for the density",
    ],
)
def test_mala_s_law_refuses_a_grid_that_cannot_hold_it(start, sd, ends, n, s) -> None:
    """A move that would be accepted beyond the grid is no rejection, nor is a cell's width."""
    x = grid(*ends, n)
    i = (x - start).abs().argmin()
    log_p0 = torch.full_like(x, -math.inf)
    log_p0[i] = -math.log(x[1] - x[0])
    with pytest.raises(GridError, match=r"^x (loses a mass|has a spacing) of"):
        law(log_p0, quadratic(5, sd), x, 100, s, kernel=mala_kernel)


def test_mala_s_law_far_out_is_that_of_its_particles() -> None:
    """From [14, 15] at s = 2.5 most never move: variance 56.7 after 100 steps, on a wide grid.

    Not 3.7, which a grid that ends at −1.5 gives if it books the moves beyond as rejected.
    """
    x, n = grid(-20, 30, 1001), 20_000
    last = law(uniform_law(14, 15, x), quadratic(5, 1), x, 100, 2.5, kernel=mala_kernel)[-1]
    y = mala(quadratic(5, 1), uniform(14, 15, n, generator=seeded()), 100, 2.5, generator=seeded())
    _, sd = moments(last, x)
    error = ((y - y.mean()) ** 2).std().item() / math.sqrt(n)
    assert sd**2 == pytest.approx(56.7, abs=0.5)
    assert abs(y.var().item() - sd**2) < 5 * error


def test_what_a_law_loses_adds_up_over_its_steps() -> None:
    """From N(0, 1) at s = 0.5 each of the first steps loses less than 1e-6, together more."""
    x = grid(-5.7, 5.7, 281)
    start = log_density(quadratic(0, 1), x, restricted=True)
    law(start, quadratic(0, 1), x, 2, 0.5)
    with pytest.raises(GridError, match=r"^x loses a mass of 1\.\de-06 by step 3"):
        law(start, quadratic(0, 1), x, 3, 0.5)


def test_law_refuses_an_energy_that_is_not_a_number() -> None:
    """It is said where, and the grid is not blamed."""
    with pytest.raises(ValueError, match=r"^energy is nan at x = -12; it must be a number, or inf"):
        law(CENTRED, lambda x: x.sqrt().sum(-1), X, 2, 0.5)


@pytest.mark.parametrize(
    "wrong", [CENTRED.exp(), CENTRED + 0.5, CENTRED - 2, CENTRED[:-1], CENTRED * math.nan]
)
def test_what_is_no_normalised_log_density_is_refused(wrong) -> None:
    """A density where its logarithm is meant, a constant too much, another grid: each one."""
    calls = [
        lambda: kl(CENTRED, wrong, X),
        lambda: moments(wrong, X),
        lambda: cdf(wrong, X),
        lambda: w1_of_laws(CENTRED, wrong, X),
        lambda: w1_of_laws(wrong, CENTRED, X),
        lambda: law(wrong, quadratic(0, 1), X, 1, 0.5),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^a log-density (integrates to|has shape)"):
            call()
    for call in (lambda: kl(wrong, CENTRED, X), lambda: w1(np.array([0.0, 1.0]), wrong, X)):
        with pytest.raises(ValueError, match=r"a log-density|cuts off"):
            call()


@pytest.mark.parametrize("low, high", [(20, 30), (0, 30), (-13, 0), (3, 3)])
def test_uniform_law_refuses_a_box_that_is_not_on_the_grid(low, high) -> None:
    with pytest.raises(ValueError, match=rf"^low, high are {low}, {high}; they must be low < high"):
        uniform_law(low, high, X)


def test_law_without_steps_is_the_start() -> None:
    """n_steps = 0 gives one row; a bad schedule is refused as by the samplers."""
    assert torch.equal(law(CENTRED, quadratic(0, 1), X, 0, 0.1), CENTRED[None])
    with pytest.raises(ValueError, match="step_size at step 0 is -1"):
        law(CENTRED, quadratic(0, 1), X, 3, -1)


def test_energies_of_targets_have_log_partition_zero() -> None:
    """f = −log p is normalised already, so Z = 1."""
    for target in (gaussian(1.0, 0.6), mixture([0.3, 0.7], [-2.0, 3.0], [0.4, 1.1])):
        assert log_partition(energy_of(target), X).item() == pytest.approx(0, abs=1e-12)


# --- any Markov step --------------------------------------------------------------------------


def test_gaussian_kernel_is_the_normal_density() -> None:
    mean = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    x = grid(-1, 1, 3)
    expected = norm.pdf(x.numpy(), mean.numpy()[:, None], math.sqrt(0.3))
    np.testing.assert_allclose(gaussian_kernel(mean, 0.3, x), expected, atol=1e-14)  # h = 1


@pytest.mark.parametrize("t", [0.1, 1.0])
def test_law_follows_a_step_of_ones_own(t) -> None:
    """The exact step of dX = −X dt + √2 dB: mean e^{−t} x, variance 1 − e^{−2t}, and no bias."""

    def kernel(energy, x: Tensor, s: float) -> Tensor:
        return gaussian_kernel(math.exp(-s) * x, 1 - math.exp(-2 * s), x)

    laws = law(gaussian(3.0, 0.5).log_prob(X), quadratic(0, 1), X, 4, t, kernel=kernel)
    for k, log_p in enumerate(laws):
        c = math.exp(-k * t)
        expected = (3 * c, math.sqrt(c**2 * 0.25 + 1 - c**2))
        assert moments(log_p, X) == pytest.approx(expected, abs=1e-8), k


@pytest.mark.parametrize("sd, a", [(1.0, 0.1), (1.3, 0.5), (0.8, 1.5)])
def test_the_chain_behind_leimkuhler_matthews_on_a_gaussian(sd, a) -> None:
    """Y' = (2 − a) X − Y with X ~ N(Y, s/2): mean (1 − a) Y, variance (2 − a)² s/2.

    It settles at the variance σ² − s/2; blurred by s/2, that is σ², whatever s.
    """
    s, x = a * sd**2, grid(-12, 12, 801)
    h = x[1] - x[0]
    kernel = leimkuhler_matthews_kernel(quadratic(0, sd), x, s)
    for i in (300, 400, 470):
        expected = ((1 - a) * x[i].item(), (2 - a) * math.sqrt(s / 2))
        assert moments((kernel[i] / h).log(), x) == pytest.approx(expected, abs=1e-8)
    p = gaussian(0.5, sd).log_prob(x).exp() @ torch.linalg.matrix_power(kernel, 400)
    assert moments(p.log(), x)[1] ** 2 == pytest.approx(sd**2 - s / 2, abs=1e-8)
    blurred = p @ gaussian_kernel(x, s / 2, x)
    assert moments(blurred.log(), x) == pytest.approx((0, sd), abs=1e-8)


def test_the_chain_behind_leimkuhler_matthews_refuses_too_large_a_step() -> None:
    with pytest.raises(ValueError, match=r"^s is 2.5; it must stay below 2/curvature"):
        leimkuhler_matthews_kernel(quadratic(0, 1), X, 2.5)
