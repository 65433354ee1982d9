"""The targets and their exact draws, against closed forms.

Tolerances of draws come from the central limit theorem: 5 standard errors, the seed fixed. For an
empirical distribution function the bound of the same rarity is 2.75/√n (Dvoretzky, Kiefer,
Wolfowitz, Massart: P ≤ 2 exp(−2 · 2.75²) ≈ 5e-7).
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from helpers.densities import draw, energy_of, gaussian, mixture, uniform

N = 50_000
W, M, S = [0.3, 0.7], [-2.0, 1.5], [0.5, 0.9]
GAUSSIAN, MIXTURE = gaussian(5.0, 1.5), mixture(W, M, S)
TARGETS = {
    "gaussian": (GAUSSIAN, lambda x: norm.pdf(x, 5, 1.5), lambda x: norm.cdf(x, 5, 1.5)),
    "mixture": (
        MIXTURE,
        lambda x: sum(w * norm.pdf(x, m, s) for w, m, s in zip(W, M, S, strict=True)),
        lambda x: sum(w * norm.cdf(x, m, s) for w, m, s in zip(W, M, S, strict=True)),
    ),
}


def seeded(seed: int = 0) -> torch.Generator:
    """Return a generator of its own for one test."""
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("target, pdf, _cdf", TARGETS.values(), ids=TARGETS)
def test_log_prob_and_energy_are_those_of_the_formula(target, pdf, _cdf) -> None:
    """log_prob has the shape of x and f = −log p the shape (n,), both with scipy's values."""
    x = torch.linspace(-4, 9, 27, dtype=torch.float64)
    expected = torch.from_numpy(np.log(pdf(x.numpy())))
    torch.testing.assert_close(target.log_prob(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(energy_of(target)(x[:, None]), -expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("target, _pdf, cdf", TARGETS.values(), ids=TARGETS)
def test_draws_follow_the_target(target, _pdf, cdf) -> None:
    """The empirical distribution function stays within 2.75/√n, the mean within 5σ/√n."""
    x = draw(target, N, generator=seeded())
    assert x.shape == (N, 1) and x.dtype == torch.float64
    assert kstest(x.flatten().numpy(), cdf).statistic < 2.75 / math.sqrt(N)
    assert abs(x.mean() - target.mean) < 5 * target.stddev / math.sqrt(N)


def test_variance_of_the_draws() -> None:
    """The sample variance of a Gaussian has standard error σ²√(2/n)."""
    x = draw(GAUSSIAN, N, generator=seeded(1))
    assert abs(x.var() - 1.5**2) < 5 * 1.5**2 * math.sqrt(2 / N)


def test_uniform_starts_fill_their_interval() -> None:
    """U(−2, 10) has every particle inside, the right law and one particle a row."""
    x = uniform(-2, 10, N, generator=seeded())
    assert x.shape == (N, 1) and x.dtype == torch.float64
    assert kstest(x.flatten().numpy(), "uniform", (-2, 12)).statistic < 2.75 / math.sqrt(N)


@pytest.mark.parametrize(
    "make",
    [
        lambda g: draw(GAUSSIAN, 5, generator=g),
        lambda g: draw(MIXTURE, 5, generator=g),
        lambda g: uniform(0, 1, 5, generator=g),
    ],
    ids=["gaussian", "mixture", "uniform"],
)
def test_the_generator_decides_alone(make) -> None:
    """Same seed, same draws; used again, new draws; the global random state does not move."""
    before, g = torch.get_rng_state(), seeded(3)
    first, second = make(g), make(g)
    assert torch.equal(first, make(seeded(3))) and not torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
