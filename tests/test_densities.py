"""The targets and their exact draws, against closed forms.

Tolerances of draws come from the central limit theorem: 5 standard errors, the seed fixed. For an
empirical distribution function the bound of the same rarity is 2.75/√n (Dvoretzky, Kiefer,
Wolfowitz, Massart: P ≤ 2 exp(−2 · 2.75²) ≈ 5e-7).
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.stats import kstest, norm
from torch.distributions import (
    Categorical,
    Cauchy,
    Exponential,
    Gamma,
    Gumbel,
    HalfNormal,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Poisson,
    StudentT,
    Uniform,
)

from cases import seeded
from helpers.densities import draw, energy_of, gaussian, mixture, uniform
from helpers.langevin import energy_and_gradient

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


OTHERS = {
    "Laplace": (Laplace(0.5, 2.0), stats.laplace(0.5, 2.0)),
    "Cauchy": (Cauchy(-1.0, 0.5), stats.cauchy(-1.0, 0.5)),
    "exponential": (Exponential(2.0), stats.expon(scale=0.5)),
    "uniform": (Uniform(-1.0, 3.0), stats.uniform(-1, 4)),
    "half normal": (HalfNormal(2.0), stats.halfnorm(scale=2)),
    "log-normal": (LogNormal(0.5, 0.25), stats.lognorm(0.25, scale=math.exp(0.5))),
    "Gumbel": (Gumbel(0.5, 2.0), stats.gumbel_r(0.5, 2.0)),
}


@pytest.mark.parametrize("target, expected", OTHERS.values(), ids=OTHERS)
def test_other_targets_are_drawn_as_what_they_are(target, expected) -> None:
    """Laplace, Cauchy and log-normal have loc and scale too, and are no Gaussians."""
    before, x = torch.get_rng_state(), draw(target, N, generator=seeded())
    assert x.shape == (N, 1) and x.dtype == torch.float64
    assert kstest(x.flatten().numpy(), expected.cdf).statistic < 2.75 / math.sqrt(N)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("target, expected", OTHERS.values(), ids=OTHERS)
def test_energies_are_infinite_outside_the_support(target, expected) -> None:
    """And −log p inside, with its gradient."""
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)[:, None] + 0.01
    torch.testing.assert_close(
        energy_of(target)(x), torch.from_numpy(-expected.logpdf(x.flatten())), rtol=1e-6, atol=1e-6
    )
    inside = x[energy_of(target)(x).isfinite()]
    assert energy_and_gradient(energy_of(target), inside)[1].isfinite().all()


def test_mixtures_of_others_are_drawn_as_what_they_are() -> None:
    """0.3 Laplace(−2, 0.5) + 0.7 Laplace(3, 1)."""
    parts = Laplace(torch.tensor([-2.0, 3.0]), torch.tensor([0.5, 1.0]))
    target = MixtureSameFamily(Categorical(torch.tensor([0.3, 0.7])), parts)
    x = draw(target, N, generator=seeded()).flatten().numpy()

    def cdf(y):
        return 0.3 * stats.laplace.cdf(y, -2, 0.5) + 0.7 * stats.laplace.cdf(y, 3, 1)

    assert kstest(x, cdf).statistic < 2.75 / math.sqrt(N)
    torch.testing.assert_close(
        energy_of(target)(torch.zeros(1, 1)), -target.log_prob(torch.zeros(1))
    )


@pytest.mark.parametrize(
    "target, error, said",
    [
        (
            Gamma(3.0, 1.0),
            TypeError,
            r"target is Gamma\(.*; it must be a Gaussian, have an icdf",
        ),
        (
            StudentT(3.0),
            TypeError,
            r"target is StudentT\(.*; it must be a Gaussian, have an icdf",
        ),
        (Poisson(3.0), TypeError, r"target is Poisson\(.*; it must be a Gaussian, have an icdf"),
        (
            Normal(torch.zeros(2), torch.ones(2)),
            ValueError,
            r"target has the shape \(2,\); it must",
        ),
        (
            Laplace(torch.zeros(1), torch.ones(1)),
            ValueError,
            r"target has the shape \(1,\); it must",
        ),
        (
            MultivariateNormal(torch.zeros(2), torch.eye(2)),
            ValueError,
            r"target has the shape \(2,",
        ),
        (3.0, TypeError, r"target is 3.0; it must be a torch.distributions object"),
        (stats.norm(0, 1), TypeError, r"target is <scipy"),
    ],
)
def test_a_target_that_cannot_be_drawn_is_named(target, error, said) -> None:
    """Nothing is drawn as a Gaussian because it has a loc and a scale."""
    with pytest.raises(error, match="^" + said):
        draw(target, 5, generator=seeded())
    if "icdf" not in said:
        with pytest.raises(error, match="^" + said):
            energy_of(target)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: gaussian(0.0, -1.0), "sd is -1.0; it must be a finite number, above 0"),
        (lambda: gaussian(0.0, 0), "sd is 0; it must be"),
        (lambda: gaussian(math.nan, 1.0), "mean is nan; it must be"),
        (lambda: gaussian([0.0, 1.0], 1.0), r"mean is \[0.0, 1.0\]; it must be"),
        (lambda: mixture([0.5, 0.6], M, S), "weights sum to 1.1; they must sum to 1"),
        (lambda: mixture([-0.5, 1.5], M, S), r"weights\[0\] is -0.5; it must be"),
        (lambda: mixture(W, M, [0.5]), r"weights, means, sds have \[2, 2, 1\] entries; each must"),
        (lambda: mixture([], [], []), r"weights, means, sds have \[0, 0, 0\] entries; each must"),
        (lambda: mixture(1.0, 0.0, 1.0), r"weights, means, sds have \[0, 0, 0\] entries; each"),
        (lambda: uniform(-1e308, 1e308, 5, generator=seeded()), "high - low is inf; it must be"),
        (lambda: mixture(W, M, [0.5, 0.0]), r"sds\[1\] is 0.0; it must be"),
        (lambda: mixture(W, [0.0, "1"], S), r"means\[1\] is '1'; it must be"),
        (
            lambda: uniform(3, 2, 5, generator=seeded()),
            "high - low is -1.0; it must be a finite number, at least 0",
        ),
        (lambda: uniform(0, math.inf, 5, generator=seeded()), "high is inf; it must be"),
        (lambda: uniform(0, 1, 0, generator=seeded()), "n is 0; it must be a whole number, 1 or"),
        (lambda: uniform(0, 1, 2.5, generator=seeded()), "n is 2.5; it must be a whole number"),
        (lambda: uniform(0, 1, 5, generator=0), "generator is 0; it must be a torch.Generator"),
        (lambda: draw(GAUSSIAN, -1, generator=seeded()), "n is -1; it must be a whole number"),
        (lambda: draw(GAUSSIAN, True, generator=seeded()), "n is True; it must be a whole number"),
        (lambda: draw(GAUSSIAN, 5, generator=None), "generator is None; it must be a torch.Gen"),
    ],
)
def test_arguments_of_targets_are_named(make, said) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + said):
        make()


def test_numpy_s_numbers_are_numbers() -> None:
    x = draw(gaussian(np.float64(5), np.float32(1.5)), np.int64(5), generator=seeded(3))
    assert torch.equal(x, draw(GAUSSIAN, 5, generator=seeded(3)))
    x = draw(mixture(np.array(W), np.array(M), np.array(S)), 5, generator=seeded(3))
    assert torch.equal(x, draw(MIXTURE, 5, generator=seeded(3)))
