"""The referee against closed forms: it judges everything else, so it is held to 1e-8 or better.

The trapezoid rule is exact to rounding for a smooth density that vanishes at both ends. Where an
integrand has a kink, its error is of the order of h², where it has a jump at most h/2 times the
jump, h the grid's spacing; the tolerances below say which.
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm, wasserstein_distance

from cases import CENTRED, X, quadratic, seeded
from helpers.densities import draw, gaussian, mixture
from helpers.exact import (
    GridError,
    cdf,
    grid,
    integrate,
    kl,
    log_density,
    log_partition,
    mean_w1,
    moments,
    nll,
    outer_slopes,
    perfect_draws,
    uniform_law,
    w1,
    w1_floor,
    w1_of_laws,
)


def test_grid_is_even_and_in_float64() -> None:
    """n points from low to high with equal gaps."""
    x = grid(-1, 3, 9)
    assert x.dtype == torch.float64 and x.tolist() == [-1 + k / 2 for k in range(9)]


@pytest.mark.parametrize(
    "low, high, n, said",
    [
        (1, 1, 9, "low, high are 1, 1; they must be low < high"),
        (2, 1, 9, "low, high are 2, 1; they must be low < high"),
        (0, 1, 2, "n is 2; it must be a whole number, 3 or more"),
        (0, 1, 9.5, "n is 9.5; it must be a whole number"),
        (0, 1, True, "n is True; it must be a whole number"),
        (math.nan, 1, 9, "low is nan; it must be a finite number"),
        (0, math.inf, 9, "high is inf; it must be a finite number"),
        ("0", 1, 9, "low is '0'; it must be a finite number"),
    ],
)
def test_grid_refuses_what_is_no_interval(low, high, n, said) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        grid(low, high, n)
    assert torch.equal(grid(np.float64(0), np.int64(1), np.int64(9)), grid(0, 1, 9))


def test_integrate_is_the_trapezoid_rule_over_the_last_axis() -> None:
    """A straight line is integrated exactly, whatever the spacing."""
    x = grid(1, 3, 7)
    values = integrate(torch.stack([x, torch.ones_like(x)]), x)
    torch.testing.assert_close(values, torch.tensor([4.0, 2.0], dtype=torch.float64))


# --- log Z and what follows from it -----------------------------------------------------------


@pytest.mark.parametrize(
    "mean, sd, constant", [(0.0, 1.0, 0.0), (1.5, 0.7, 3.0), (-2.0, 1.3, -9.0)]
)
def test_log_partition_of_a_gaussian(mean, sd, constant) -> None:
    """Z = √(2π) σ e^{−c} for f = (x − μ)²/2σ² + c."""
    expected = 0.5 * math.log(2 * math.pi * sd**2) - constant
    value = log_partition(quadratic(mean, sd, constant), X)
    assert value.shape == () and value.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("low, high", [(0, 12), (-12, 0)])
def test_restricted_log_partition_of_half_a_gaussian(low, high) -> None:
    """From 0 on, Z is half of √(2π), exactly: the end point itself counts by half."""
    value = log_partition(quadratic(0, 1), grid(low, high, 601), restricted=True)
    assert value.item() == pytest.approx(0.5 * math.log(math.pi / 2), abs=1e-12)


@pytest.mark.parametrize(
    "energy, theta, expected",
    [
        (lambda x, t: t * (x**2).sum(-1) / 2, 1.7, -1 / (2 * 1.7)),
        (lambda x, t: t * (x**4).sum(-1), 0.3, -1 / (4 * 0.3)),
        (lambda x, t: (x**2 / 2 - t * x).sum(-1), 0.7, 0.7),
    ],
    ids=["precision", "quartic", "tilt"],
)
def test_gradient_of_log_partition_is_minus_the_mean_gradient_of_the_energy(
    energy, theta, expected
) -> None:
    """Z ∝ θ^{−1/2}, θ^{−1/4} and e^{θ²/2} have these ∂ log Z/∂θ, and each is −E[∂f/∂θ]."""
    t = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    log_partition(lambda x: energy(x, t), X).backward()
    assert t.grad.item() == pytest.approx(expected, abs=1e-10)
    p = log_density(lambda x: energy(x, t), X).exp()
    (slopes,) = torch.autograd.functional.jacobian(lambda s: energy(X[:, None], s), (t.detach(),))
    assert -integrate(p * slopes, X).item() == pytest.approx(expected, abs=1e-10)


CUT = {
    "left": (quadratic(0, 1), (-3, 9), "left"),
    "right": (quadratic(0, 1), (-9, 3), "right"),
    "just too narrow": (quadratic(0, 1), (-5.95, 9), r"about 1\.\de-09 .* left"),
    "heavy tails": (lambda x: torch.log1p(x**2).sum(-1), (-1000, 1000), "left"),
    "constant": (lambda x: 0 * x.sum(-1), (-5, 5), "left"),
    "falls outwards": (lambda x: -(x**2).sum(-1), (-5, 5), "left"),
    "falls on the right": (lambda x: torch.where(x < 0, x**2, -x).sum(-1), (-9, 9), "right"),
}


@pytest.mark.parametrize("energy, ends, message", CUT.values(), ids=CUT)
def test_a_grid_that_cuts_off_mass_is_refused(energy, ends, message) -> None:
    """log Z, log p and the NLL say at which end; with restricted=True only the grid counts."""
    x = grid(*ends, 1001)
    for call in (log_partition, log_density, lambda f, x: nll(torch.ones(1, 1), f, x)):
        with pytest.raises(
            ValueError, match=rf"^x = \[{ends[0]}, {ends[1]}\] cuts off .*{message}"
        ):
            call(energy, x)
    assert log_partition(energy, x, restricted=True).shape == ()
    assert log_density(energy, x, restricted=True).shape == x.shape


def test_a_grid_that_is_just_wide_enough_is_accepted() -> None:
    """Beyond −6.05 lie 7.2e-10 of N(0, 1), less than the 1e-9 that may be lost."""
    log_partition(quadratic(0, 1), grid(-6.05, 9, 1001))


def test_the_law_of_a_restricted_energy_integrates_to_one() -> None:
    """On [0, 2], e^{−x} has Z = 1 − e^{−2}; the kink-free trapezoid sum is off by O(h²)."""
    x = grid(0, 2, 2001)
    p = log_density(lambda x: x.sum(-1), x, restricted=True).exp()
    assert integrate(p, x).item() == pytest.approx(1, abs=1e-12)
    assert p[0].item() == pytest.approx(1 / (1 - math.exp(-2)), abs=1e-6)


@pytest.mark.parametrize("restricted", [True, False])
def test_an_energy_of_another_shape_is_refused(restricted) -> None:
    """A forgotten sum over the last axis would broadcast to a square."""
    with pytest.raises(ValueError, match=r"^energy returned shape \(1201, 1\) for .*\(1201,\)"):
        log_partition(lambda x: x**2, X, restricted=restricted)


def test_log_density_and_its_moments() -> None:
    """−f − log Z is log N(1, 0.8²), carries no graph, and has mean 1 and sd 0.8."""
    theta = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    log_p = log_density(quadratic(1, theta, 5.0), X)
    assert not log_p.requires_grad
    torch.testing.assert_close(log_p, gaussian(1.0, 0.8).log_prob(X), rtol=0, atol=1e-12)
    assert moments(log_p, X) == pytest.approx((1, 0.8), abs=1e-12)


def test_nll_is_the_mean_negative_log_density() -> None:
    """With (x − μ)²/2σ² + c as the energy it is ½ log 2πσ² + mean (x − μ)²/2σ²; c drops out."""
    samples = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    expected = 0.5 * math.log(2 * math.pi * 4) + (1 + 0 + 16) / 3 / 8
    assert nll(samples, quadratic(1, 2, -4.0), grid(-20, 20)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "energy, expected",
    [
        (lambda x: torch.where(x > 0, 2 * x, -3 * x).sum(-1), (3, 2)),
        (lambda x: -x.sum(-1), (1, -1)),
        (quadratic(0, 1), (1e4, 1e4)),
    ],
    ids=["V", "falls on the right", "parabola"],
)
def test_outer_slopes_are_positive_where_the_energy_rises_outwards(energy, expected) -> None:
    """The left slope comes first, and its sign is turned."""
    assert outer_slopes(energy) == pytest.approx(expected)
    assert outer_slopes(quadratic(0, 1), far=50) == pytest.approx((50, 50))


# --- distances --------------------------------------------------------------------------------


@pytest.mark.parametrize("p, q", [((0, 1), (1, 1)), ((0, 1), (0.5, 1.4)), ((0.5, 1.4), (0, 1))])
def test_kl_of_two_gaussians(p, q) -> None:
    """KL = log σ_q/σ_p + (σ_p² + (μ_p − μ_q)²)/2σ_q² − ½, which is not symmetric."""
    (mean_p, sd_p), (mean_q, sd_q) = p, q
    expected = math.log(sd_q / sd_p) + (sd_p**2 + (mean_p - mean_q) ** 2) / (2 * sd_q**2) - 0.5
    log_p, log_q = (gaussian(float(mean), float(sd)).log_prob(X) for mean, sd in (p, q))
    assert kl(log_p, log_q, X) == pytest.approx(expected, abs=1e-12)
    assert kl(log_p, log_p, X) == 0


def test_kl_where_a_density_vanishes() -> None:
    """0 log 0 is 0; mass where the other has none makes it infinite.

    For p(x) = cos²(πx/2) on [−1, 1]: ∫ p log p = 1 − 2 log 2 and Var = 1/3 − 2/π². Both ends of the
    support are grid points, where the integrand has a kink in its slope: error O(h³).
    """
    inside = X.abs() < 1 - 1e-9
    log_p = torch.where(inside, 2 * torch.cos(math.pi * X / 2).abs().log(), -math.inf)
    expected = 1 - 2 * math.log(2) + 0.5 * math.log(2 * math.pi) + (1 / 3 - 2 / math.pi**2) / 2
    assert kl(log_p, CENTRED, X) == pytest.approx(expected, abs=1e-5)
    assert kl(CENTRED, log_p, X) == math.inf


def test_kl_where_one_underflows_and_the_other_is_zero() -> None:
    """N(0, 0.1²) is e^−1800 at 6, where U(−4, 4) is zero: that costs nothing, and is no NaN."""
    log_p, log_q = gaussian(0.0, 0.1).log_prob(X), uniform_law(-4, 4, X)
    expected = math.log(8) - 0.5 * math.log(2 * math.pi * math.e * 0.01)
    assert kl(log_p, log_q, X) == pytest.approx(expected, abs=1e-9)


def test_a_grid_that_is_far_too_coarse_is_refused() -> None:
    """A spike between two points of the grid would give any Z."""
    with pytest.raises(GridError, match=r"^x has a spacing of 0.02, too coarse for the density"):
        log_partition(quadratic(0.005, 0.001), X)


def test_kl_refuses_a_grid_that_cuts_off_mass() -> None:
    """What lies outside would be missing from the integral without a word."""
    x = grid(-3, 9, 601)
    p, q = gaussian(0.0, 1.0).log_prob(x), gaussian(4.0, 0.5).log_prob(x)
    with pytest.raises(ValueError, match=r"cuts off about 1\.\de-03 of the density on the left"):
        kl(p, q, x)
    with pytest.raises(ValueError, match=r"integrates to 0.99865 on x = \[-3, 9\]"):
        kl(q, p, x)
    kl(q, gaussian(4.0, 0.6).log_prob(x), x)


def test_cdf_runs_from_0_to_1() -> None:
    """It is Φ up to the O(h²) of the trapezoid rule, h²/12 · max|φ'| and higher orders."""
    value = cdf(CENTRED, X)
    assert (value[0].item(), value[-1].item()) == (0, 1)
    h = 24 / 1200
    assert np.abs(value.numpy() - norm.cdf(X.numpy())).max() < 1.01 * h**2 / 12 * norm.pdf(1)


W1_CASES = {
    "far right": ([30.0, 40.0], 35, 1e-10),
    "far left": ([-30.0, -41.0], 35.5, 1e-10),
    "both sides": ([-20.0, 20.0], 20 - math.sqrt(2 / math.pi), 1e-4),
    "±1": ([-1.0, 1.0], 4 * (norm.cdf(1) + norm.pdf(1) - norm.pdf(0)) - 3 + 2 * norm.pdf(0), 0.02),
}


@pytest.mark.parametrize("samples, expected, tolerance", W1_CASES.values(), ids=W1_CASES)
def test_w1_of_a_few_points_to_a_gaussian(samples, expected, tolerance) -> None:
    """W₁ of ±c to N(0, 1) is E| |Z| − c |; beyond the grid only the mean counts, in full.

    Tolerance: inside the grid h, for jumps of ½ and a kink; outside O(h²) or rounding.
    """
    assert w1(np.array(samples), CENTRED, X) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    "shift, scale", [(0.0, 1.0), (1.5, 1.0), (-0.8, 1.0), (0.0, 2.0), (0.0, 0.4)]
)
def test_w1_of_shifted_and_scaled_gaussians(shift, scale) -> None:
    """|m| for a shift and |σ − 1| √(2/π) for a scale, for laws and for samples at the quantiles.

    The midpoint quantiles of 4 000 draws are within 2e-4 of their law, and scale with it.
    """
    expected = abs(shift) + abs(scale - 1) * math.sqrt(2 / math.pi)
    log_q = gaussian(shift, scale).log_prob(X)
    assert w1_of_laws(CENTRED, log_q, X).item() == pytest.approx(expected, abs=1e-4)
    assert w1_of_laws(torch.stack([CENTRED, log_q]), log_q, X)[1] == 0
    quantiles = shift + scale * norm.ppf((np.arange(4000) + 0.5) / 4000)
    assert w1(quantiles, CENTRED, X) == pytest.approx(expected, abs=1e-3)


def test_w1_agrees_with_scipy_on_an_odd_pair() -> None:
    """scipy compares two samples, so the law goes in as weighted grid points: at most h/2 apart.

    The grid's own error is at most h/2 for each of the two distribution functions, so 2h in all.
    """
    target = mixture([0.3, 0.7], [-2.0, 3.0], [0.4, 1.1])
    samples = torch.cat([draw(gaussian(1.0, 2.0), 60, generator=seeded()), torch.tensor([[40.0]])])
    log_p = target.log_prob(X)
    expected = wasserstein_distance(samples.flatten(), X, v_weights=log_p.exp())
    assert w1(samples, log_p, X) == pytest.approx(expected, abs=2 * 24 / 1200)
    assert w1(samples.flatten().numpy(), log_p, X) == w1(samples.flip(0), log_p, X)


def test_w1_does_not_jump_where_a_sample_stands_on_a_grid_point() -> None:
    """A last digit more or less moves W₁ by no more than that; grid points here are exact."""
    x = grid(-8, 8, 257)
    log_p, on = gaussian(0.0, 1.0).log_prob(x), torch.tensor([-1.0, 0.5, 0.5, 2.0])
    values = [w1(on + nudge, log_p, x) for nudge in (-1e-12, 0.0, 1e-12)]
    assert max(values) - min(values) < 1e-11


def test_w1_refuses_a_cut_grid_and_two_columns() -> None:
    """Both would give a number that looks like any other."""
    with pytest.raises(ValueError, match=r"^x = \[-3, 9\] cuts off"):
        x = grid(-3, 9)
        w1(np.array([0.0, 1.0]), gaussian(0.0, 1.0).log_prob(x), x)
    with pytest.raises(ValueError, match=r"^samples has shape \(3, 2\); it must be \(n,\) or"):
        w1(np.arange(6.0).reshape(3, 2), CENTRED, X)
    with pytest.raises(ValueError, match=r"^samples holds 1 row\(s\) with NaN"):
        w1(np.array([0.0, math.nan]), CENTRED, X)


def test_perfect_draws_follow_the_law() -> None:
    """Their distribution function stays within 2.75/√n (5e-7 by the DKW bound); seeds repeat."""
    target = mixture([0.3, 0.7], [-2.0, 3.0], [0.4, 1.1])
    n, before = 50_000, torch.get_rng_state()
    x = perfect_draws(target.log_prob(X), X, n, generator=seeded(1))
    assert x.shape == (n, 1) and x.dtype == torch.float64
    exact = kstest(
        x.flatten().numpy(), lambda y: 0.3 * norm.cdf(y, -2, 0.4) + 0.7 * norm.cdf(y, 3, 1.1)
    )
    assert exact.statistic < 2.75 / math.sqrt(n)
    assert torch.equal(x, perfect_draws(target.log_prob(X), X, n, generator=seeded(1)))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("n", [200, 2000])
def test_w1_floor_is_what_perfect_draws_reach(n) -> None:
    """E W₁ ≈ √(2/πn) ∫ √(F(1 − F)) dx, as √n (F_n − F) is nearly Gaussian; 5 standard errors.

    The law is N(0, 2²), so the integral is 2 · ∫ √(Φ(1 − Φ)); the grid adds at most h.
    """
    x = grid(-16, 16, 1601)
    values = w1_floor(gaussian(0.0, 2.0).log_prob(x), x, n, generator=seeded(), repeats=200)
    spread = torch.from_numpy(norm.cdf(x.numpy() / 2) * norm.sf(x.numpy() / 2)).sqrt()
    expected = math.sqrt(2 / (math.pi * n)) * integrate(spread, x).item()
    assert mean_w1(gaussian(0.0, 2.0).log_prob(x), x, n) == pytest.approx(expected, rel=1e-4)
    assert values.shape == (200,) and torch.equal(values, values.sort().values)
    assert abs(values.mean() - expected) < 5 * values.std() / math.sqrt(200)
