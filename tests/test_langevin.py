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
from scipy.stats import kstest, norm
from torch import Tensor, nn

from cases import CORRELATED, PRECISION, SAMPLERS, N, correlated, quadratic, seeded, starts
from helpers import langevin
from helpers.densities import draw, energy_of, gaussian, mixture
from helpers.exact import (
    cdf,
    grid,
    langevin_kernel,
    law,
    mala_kernel,
)
from helpers.langevin import (
    energy_and_gradient,
    jump,
    langevin_monte_carlo,
    mala,
    mala_step,
    sample,
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


def covariance_is(x: Tensor, expected: Tensor) -> bool:
    """Compare a Gaussian cloud's: entry ij has standard error √((σ_ii σ_jj + σ_ij²)/n)."""
    diagonal = expected.diagonal()
    error = ((diagonal[:, None] * diagonal + expected**2) / len(x)).sqrt()
    return bool(((x.T.cov() - expected).abs() < 5 * error).all())


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


@pytest.mark.parametrize(
    "move",
    [
        lambda x, g: mala(correlated, x, 4, 0.3, generator=g),
        lambda x, g: jump(correlated, jump(correlated, x, generator=g), generator=g),
    ],
    ids=["mala", "jump"],
)
def test_accept_and_reject_leave_a_two_dimensional_gaussian_as_it_is(move) -> None:
    """Perfect draws are still N(0, Σ) afterwards, though most of them have moved."""
    factor = torch.linalg.cholesky(CORRELATED)
    x0 = torch.randn(N, 2, generator=seeded(1), dtype=torch.float64) @ factor.T
    x = move(x0, seeded(2))
    assert covariance_is(x, CORRELATED)
    assert ((x.mean(0)).abs() < 5 * (CORRELATED.diagonal() / N).sqrt()).all()
    assert (x != x0).all(1).double().mean() > 0.5


def test_jumps_carry_particles_to_the_other_mode() -> None:
    """From one mode alone, 40 jumps share the particles out by the modes' weights."""
    energy = energy_of(mixture([0.2, 0.8], [-1.5, 1.5], [0.3, 0.3]))
    x, before = torch.full((N, 1), -1.5, dtype=torch.float64), torch.get_rng_state()
    g = seeded()
    for _ in range(40):
        x = jump(energy, x, generator=g)
    share = (x > 0).double().mean()
    assert abs(share - 0.8) < 5 * math.sqrt(0.16 / N)
    assert torch.equal(before, torch.get_rng_state())


def test_a_jump_within_its_own_proposal_is_always_accepted() -> None:
    """If p = N(0, τ²) is the proposal too, every particle moves, from anywhere, to N(0, τ²)."""
    tau, x0 = 0.7, starts(N)
    x = jump(quadratic(0, tau), x0, generator=seeded(), spread=tau)
    assert (x != x0).all()
    assert abs(x.mean()) < 5 * tau / math.sqrt(N)
    assert abs(x.var() - tau**2) < 5 * tau**2 * math.sqrt(2 / N)


def test_sample_draws_the_energy_it_is_given() -> None:
    """Started from data of the wrong weights, in other units, it ends with the energy's own law."""
    weights, n = [0.3, 0.7], 10_000
    target = mixture(weights, [94.0, 106.0], [1.5, 2.0])
    data = draw(mixture([0.5, 0.5], [94.0, 106.0], [1.5, 2.0]), 500, generator=seeded(1))
    x = sample(energy_of(target), n, data=data, generator=seeded(2))
    assert x.shape == (n, 1) and x.dtype == torch.float64

    def exact(y):
        return 0.3 * norm.cdf(y, 94, 1.5) + 0.7 * norm.cdf(y, 106, 2)

    assert kstest(x.flatten().numpy(), exact).statistic < 2.75 / math.sqrt(n)


def test_sample_works_in_two_dimensions_and_touches_nothing() -> None:
    """Columns keep their own scales; the data and the global random state stay as they were."""
    scale = torch.tensor([100.0, 0.01], dtype=torch.float64)
    data = torch.randn(300, 2, generator=seeded(1), dtype=torch.float64) * scale
    kept, before = data.clone(), torch.get_rng_state()
    x = sample(lambda x: ((x / scale) ** 2).sum(-1) / 2, 4000, data=data, generator=seeded(2))
    assert covariance_is(x / scale, torch.eye(2, dtype=torch.float64))
    assert torch.equal(data, kept) and torch.equal(before, torch.get_rng_state())
    first, second = (sample(quadratic(0, 1), 4, data=data, rounds=2) for _ in range(2))
    assert not torch.equal(first, second) and torch.equal(before, torch.get_rng_state())


def test_sample_finds_its_step_where_jumps_do_not_help() -> None:
    """A target of a twentieth of the data's width refuses s = 0.1; steered, MALA reaches it."""
    data = torch.randn(300, 2, generator=seeded(1), dtype=torch.float64)
    x = sample(quadratic(0, 0.05), 2000, data=data, generator=seeded(2))
    assert covariance_is(x, 0.05**2 * torch.eye(2, dtype=torch.float64))


def test_sample_keeps_its_step_in_the_second_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a step that is kept leaves p as it is: 10 rounds steer it, 10 more do not."""
    steps, move = [], langevin.move

    def noted(energy, z, step, generator):
        steps.append(step)
        return move(energy, z, step, generator)

    monkeypatch.setattr(langevin, "move", noted)
    sample(quadratic(0, 1), 50, data=starts(20), generator=seeded(), rounds=20)
    assert len(set(steps[:11])) == 11 and len(steps) == 20
    assert set(steps[10:]) == {steps[10]}


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
def test_sample_refuses_a_bad_number(n) -> None:
    """n must be a whole number, 1 or more; data are checked by as_samples."""
    with pytest.raises(ValueError, match=f"^n is {n!r}; it must be a whole number, 1 or more"):
        sample(quadratic(0, 1), n, data=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"^data holds 1 value\(s\)"):
        sample(quadratic(0, 1), 3, data=[0.0])


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
