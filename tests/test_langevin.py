"""The samplers against closed forms and the exact law on a grid.

Stochastic tolerances come from the central limit theorem: 5 standard errors, the seed fixed. For n
independent particles with standard deviation σ these are σ/√n for a mean and, if they are Gaussian,
σ²√(2/n) for a variance. For an empirical distribution function the bound of the same rarity is
2.75/√n (Dvoretzky, Kiefer, Wolfowitz, Massart: P ≤ 2 exp(−2 · 2.75²) ≈ 5e-7).
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from cases import (
    CORRELATED,
    PRECISION,
    SAMPLERS,
    N,
    correlated,
    covariance_is,
    quadratic,
    seeded,
    starts,
)
from helpers.densities import draw, gaussian
from helpers.exact import (
    cdf,
    grid,
    langevin_kernel,
    law,
    mala_kernel,
)
from helpers.langevin import (
    energy_and_gradient,
    langevin_monte_carlo,
    mala,
    mala_step,
)


def double_well(x: Tensor) -> Tensor:
    """Return 1.5 (x² − 1)² + 0.4 x, two unequal wells."""
    return (1.5 * (x**2 - 1) ** 2 + 0.4 * x).sum(-1)


# --- the law of the cloud ---------------------------------------------------------------------


@pytest.mark.parametrize("sd, step", [(1.0, 0.1), (1.5, 0.7), (0.7, 0.8)])
def test_plain_langevin_moves_a_gaussian_cloud_by_the_closed_form(sd, step) -> None:
    """m ← μ + (1 − a)(m − μ) and v ← (1 − a)² v + 2s with a = s/σ²; at a > 1 it overshoots."""
    mean, m, v = 2.0, -1.0, 0.0
    x0 = torch.full((N, 1), m, dtype=torch.float64)
    path = langevin_monte_carlo(
        quadratic(mean, sd), x0, 25, step, generator=seeded(), return_trajectory=True
    )
    a = step / sd**2
    for k in range(1, 26):
        m, v = mean + (1 - a) * (m - mean), (1 - a) ** 2 * v + 2 * step
        if k in (1, 2, 5, 25):
            assert abs(path[k].mean() - m) < 5 * math.sqrt(v / N), k
            assert abs(path[k].var() - v) < 5 * v * math.sqrt(2 / N), k


def test_a_schedule_gives_each_step_its_own_size() -> None:
    """The article's s_k = 1/(k + 1) on N(5, 1) gives variance 1 + 1/K after K steps."""
    x0 = torch.zeros(N, 1, dtype=torch.float64)
    path = langevin_monte_carlo(
        quadratic(5, 1), x0, 15, lambda k: 1 / (k + 1), generator=seeded(), return_trajectory=True
    )
    for k in (1, 2, 15):
        variance = 1 + 1 / k
        assert abs(path[k].mean() - 5) < 5 * math.sqrt(variance / N), k
        assert abs(path[k].var() - variance) < 5 * variance * math.sqrt(2 / N), k


def test_every_step_has_fresh_noise_for_every_particle() -> None:
    """At s = σ² states are independent: correlations, in time and space, below 5/√n."""
    x0 = torch.zeros(N, 2, dtype=torch.float64)
    path = langevin_monte_carlo(
        quadratic(0, 1), x0, 3, 1.0, generator=seeded(), return_trajectory=True
    )
    numbers = torch.cat([path[2].T, path[3].T])
    correlation = numbers.corrcoef() - torch.eye(4)
    assert correlation.abs().max() < 5 / math.sqrt(N)


@pytest.mark.parametrize(
    "sampler, kernel", [(langevin_monte_carlo, langevin_kernel), (mala, mala_kernel)]
)
@pytest.mark.parametrize("steps", [[0.1], [0.08, 0.03, 0.06], [0.05] * 20])
def test_the_cloud_follows_the_exact_law_in_a_double_well(sampler, kernel, steps) -> None:
    """From N(0.5, 0.4²) the distribution function stays within 2.75/√n of the one on the grid."""
    x, start, k = grid(-6, 6, 601), gaussian(0.5, 0.4), len(steps)
    exact = law(start.log_prob(x), double_well, x, k, steps, kernel=kernel)[-1]
    particles = sampler(
        double_well, draw(start, N, generator=seeded(1)), k, steps, generator=seeded(2)
    )
    distribution = cdf(exact, x).numpy()
    compared = kstest(particles.flatten().numpy(), lambda y: np.interp(y, x.numpy(), distribution))
    assert compared.statistic < 2.75 / math.sqrt(N)


@pytest.mark.parametrize("s", [0.3, 1.0, 2.5])
def test_mala_has_no_bias_where_plain_langevin_has(s) -> None:
    """30 steps leave perfect draws of N(0, 1) as they are, even at s > 2σ²."""
    x0 = draw(gaussian(0.0, 1.0), N, generator=seeded(1))
    x = mala(quadratic(0, 1), x0, 30, s, generator=seeded(2))
    assert abs(x.mean()) < 5 / math.sqrt(N)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / N)


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 1.71, 2.0])
def test_mala_accepts_as_often_as_the_formula_says(a) -> None:
    """On N(0, σ²): (2/π) arctan((2/a)^{3/2}), standard error √(p(1 − p)/n); others stand still."""
    sd, p = 1.3, 2 / math.pi * math.atan((2 / a) ** 1.5)
    x0 = draw(gaussian(0.0, sd), N, generator=seeded(1))
    path = mala(quadratic(0, sd), x0, 1, a * sd**2, generator=seeded(2), return_trajectory=True)
    accepted = (path[1] != path[0]).double().mean()
    assert abs(accepted - p) < 5 * math.sqrt(p * (1 - p) / N)


def test_mala_step_returns_what_belongs_to_the_new_place() -> None:
    """The energy and gradient are those of the new x, so that a chain can go on from them."""
    x = 2 * torch.randn(500, 2, generator=seeded(), dtype=torch.float64)
    new, f, gradient, moved = mala_step(
        correlated, x, *energy_and_gradient(correlated, x), 0.4, seeded(1)
    )
    assert 50 < moved.sum() < 450 and torch.equal((new != x).all(1), moved)
    assert torch.equal((new == x).all(1), ~moved)
    for value, expected in zip((f, gradient), energy_and_gradient(correlated, new), strict=True):
        torch.testing.assert_close(value, expected)


def test_plain_langevin_in_two_dimensions() -> None:
    """Σ ← (I − sA) Σ (I − sA)ᵀ + 2s I with A the precision matrix, from a single point."""
    s, x0 = 0.2, torch.tensor([[3.0, -2.0]], dtype=torch.float64).expand(N, 2)
    x = langevin_monte_carlo(correlated, x0, 6, s, generator=seeded())
    factor, eye = torch.eye(2, dtype=torch.float64) - s * PRECISION, torch.eye(2)
    mean, covariance = x0[0], torch.zeros(2, 2, dtype=torch.float64)
    for _ in range(6):
        mean, covariance = factor @ mean, factor @ covariance @ factor.T + 2 * s * eye
    assert covariance_is(x, covariance)
    assert ((x.mean(0) - mean).abs() < 5 * (covariance.diagonal() / N).sqrt()).all()


def test_mala_leaves_a_two_dimensional_gaussian_as_it_is() -> None:
    """Perfect draws are still N(0, Σ) afterwards, though most of them have moved."""
    factor = torch.linalg.cholesky(CORRELATED)
    x0 = torch.randn(N, 2, generator=seeded(1), dtype=torch.float64) @ factor.T
    x = mala(correlated, x0, 4, 0.3, generator=seeded(2))
    assert covariance_is(x, CORRELATED)
    assert ((x.mean(0)).abs() < 5 * (CORRELATED.diagonal() / N).sqrt()).all()
    assert (x != x0).all(1).double().mean() > 0.5


# --- what a sampler returns, and what it leaves alone -----------------------------------------


@SAMPLERS
def test_the_trajectory_begins_at_x0_and_ends_at_the_result(sampler) -> None:
    """Shape (n_steps + 1, n, d), and the same seed gives the same last row without it."""
    x0 = torch.cat([starts(6), -starts(6)], 1)
    path = sampler(correlated, x0, 4, 0.3, generator=seeded(), return_trajectory=True)
    assert path.shape == (5, 6, 2) and torch.equal(path[0], x0)
    assert torch.equal(path[-1], sampler(correlated, x0, 4, 0.3, generator=seeded()))
    assert len({tuple(state.flatten().tolist()) for state in path}) == 5
    first = sampler(correlated, x0, 2, 0.3, generator=seeded())
    assert torch.equal(path[2], first)


@SAMPLERS
@pytest.mark.parametrize("trajectory", [True, False])
def test_no_steps_return_a_copy_of_x0(sampler, trajectory) -> None:
    """Changing the result of n_steps = 0 does not change x0."""
    x0 = starts()
    x = sampler(quadratic(0, 1), x0, 0, 0.1, return_trajectory=trajectory)
    assert torch.equal(x, x0[None] if trajectory else x0)
    x += 1
    assert torch.equal(x0, starts())


@SAMPLERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_x0_is_left_alone_and_decides_the_dtype(sampler, dtype, requires_grad) -> None:
    """x0 keeps its values, its flag and no gradient; the result has its dtype and no graph."""
    x0 = starts(dtype=dtype).requires_grad_(requires_grad)
    x = sampler(quadratic(0, 1), x0, 5, 0.1, generator=seeded())
    assert torch.equal(x0, starts(dtype=dtype)) and not torch.equal(x, x0)
    assert x0.requires_grad == requires_grad and x0.grad is None
    assert (x.dtype, x.device, x.shape) == (dtype, x0.device, x0.shape)
    assert not x.requires_grad and x.grad_fn is None


@SAMPLERS
def test_a_network_keeps_its_gradients_and_the_chain_keeps_no_graph(sampler) -> None:
    """Parameters that require gradients get none, with autograd on or off, with the same result."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.SiLU(), nn.Linear(8, 1), nn.Flatten(0)).float()
    x0 = starts(dtype=torch.float32)
    path = sampler(net, x0, 3, 0.1, generator=seeded(), return_trajectory=True)
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not path.requires_grad and path.grad_fn is None and path.is_leaf
    with torch.no_grad():
        again = sampler(net, x0, 3, 0.1, generator=seeded(), return_trajectory=True)
    assert torch.equal(path, again) and torch.is_grad_enabled()
    assert not any(value.requires_grad for value in energy_and_gradient(net, x0))
    net.requires_grad_(False)
    frozen = sampler(net, path[-1], 3, 0.1, generator=seeded())
    assert frozen.shape == x0.shape


@SAMPLERS
def test_the_generator_is_the_only_source_of_randomness(sampler) -> None:
    """Same seed, same result; None differs every time; the global random state never moves."""
    before, g = torch.get_rng_state(), seeded(4)
    first, second = (sampler(quadratic(0, 1), starts(), 3, 0.1, generator=g) for _ in range(2))
    again = sampler(quadratic(0, 1), starts(), 3, 0.1, generator=seeded(4))
    assert torch.equal(first, again) and not torch.equal(first, second)
    fresh = [sampler(quadratic(0, 1), starts(), 3, 0.1) for _ in range(2)]
    assert not torch.equal(*fresh)
    assert torch.equal(before, torch.get_rng_state())
