"""Leimkuhler–Matthews against closed forms and grid law; what long runs and many chains cost."""

import math
import re
import sys
import weakref

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from cases import PRECISION, SAMPLERS, N, correlated, quadratic, seeded, starts
from helpers.chains import step_sizes
from helpers.densities import draw, energy_of, gaussian, mixture
from helpers.exact import (
    cdf,
    gaussian_kernel,
    grid,
    law,
    leimkuhler_matthews_kernel,
)
from helpers.langevin import (
    _PIECE,
    DivergenceError,
    energy_and_gradient,
    leimkuhler_matthews,
)


def lm_moments(a: float, k: int, x0: float) -> tuple[float, float]:
    """Mean and variance of X_k from a point, for N(0, 1) and s = a.

    With c = 1 − a and b² = s/2: v ← c² v + 2b² + 2cb², but c² v + 2b² in the first step, since
    x0 holds no noise yet.
    """
    c, b2, v = 1 - a, a / 2, 0.0
    for step in range(k):
        v = c**2 * v + 2 * b2 + (2 * c * b2 if step else 0)
    return c**k * x0, v


@pytest.mark.parametrize("sd, a", [(1.0, 0.1), (1.5, 0.5), (0.7, 1.4)])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_leimkuhler_matthews_moves_a_gaussian_cloud_by_the_closed_form(sd, a, k) -> None:
    """Mean c^k x0; the variance reaches σ² itself, at every a < 2; in units of σ."""
    x0 = torch.full((N, 1), 2.0 + 3 * sd, dtype=torch.float64)
    x = leimkuhler_matthews(quadratic(2.0, sd), x0, k, a * sd**2, generator=seeded())
    mean, variance = lm_moments(a, k, 3.0)
    z = (x - 2.0) / sd
    assert abs(z.mean() - mean) < 5 * math.sqrt(variance / N)
    assert abs(z.var() - variance) < 5 * variance * math.sqrt(2 / N)
    if k == 40 and a > 0.1:
        assert variance == pytest.approx(1, abs=1e-6)


def test_leimkuhler_matthews_has_the_autocorrelation_of_the_closed_form() -> None:
    """At rest on N(0, 1) neighbours have the correlation 1 − a/2, where plain steps have 1 − a.

    A correlation r of n Gaussian pairs has the standard error (1 − r²)/√n.
    """
    a, x0 = 0.5, torch.zeros(N, 1, dtype=torch.float64)
    path = leimkuhler_matthews(
        quadratic(0, 1), x0, 42, a, generator=seeded(), return_trajectory=True
    )
    for lag in (1, 2):
        expected = (1 - a / 2) * (1 - a) ** (lag - 1)
        r = torch.corrcoef(torch.cat([path[40].T, path[40 + lag].T]))[0, 1]
        assert abs(r - expected) < 5 * (1 - expected**2) / math.sqrt(N)


@pytest.mark.parametrize("k", [1, 2, 3, 12])
def test_leimkuhler_matthews_follows_the_grid_law_of_a_skewed_density(k) -> None:
    """Y_1 = x0 − s f'(x0) + √(s/2) N_0, then k − 1 steps of the chain behind it, then the blur."""
    energy = energy_of(mixture([0.7, 0.3], [0.0, 2.0], [0.7, 1.2]))
    x, s, start = grid(-9, 12, 601), 0.3, gaussian(2.5, 0.4)
    blur = gaussian_kernel(x, s / 2, x)
    _, gradient = energy_and_gradient(energy, x[:, None])
    first = gaussian_kernel(x - s * gradient[:, 0], s / 2, x)
    log_p = (start.log_prob(x).exp() @ first).log()
    log_p = law(log_p, energy, x, k - 1, s, kernel=leimkuhler_matthews_kernel)[-1]
    particles = leimkuhler_matthews(
        energy, draw(start, N, generator=seeded(1)), k, s, generator=seeded(2)
    )
    distribution = cdf((log_p.exp() @ blur).log(), x).numpy()
    compared = kstest(particles.flatten().numpy(), lambda y: np.interp(y, x.numpy(), distribution))
    assert compared.statistic < 2.75 / math.sqrt(N)


def test_leimkuhler_matthews_reports_divergence_with_the_bound() -> None:
    """Beyond s = 2σ² it blows up like the plain step, and says the same."""
    with pytest.raises(DivergenceError, match=r"2/curvature of the energy, which is 2 there"):
        leimkuhler_matthews(quadratic(0, 1), starts(), 1000, 2.5, generator=seeded())


@SAMPLERS
def test_memory_does_not_grow_with_the_number_of_steps(sampler) -> None:
    """As many of the states that the energy has seen are alive after 400 steps as after 5."""

    def most_alive(n_steps: int) -> int:
        seen, most = [], 0

        def energy(x: Tensor) -> Tensor:
            nonlocal most
            seen.append(weakref.ref(x.untyped_storage()))
            most = max(most, sum(storage() is not None for storage in seen))
            return (x**2).sum(-1) / 2

        sampler(energy, starts(), n_steps, 0.1, generator=seeded())
        return most

    assert most_alive(400) == most_alive(5) <= 4


def test_a_constant_step_is_not_written_out() -> None:
    """A billion steps of one size take no memory."""
    assert sys.getsizeof(step_sizes(0.1, 10**9)) < 1000


@pytest.mark.parametrize("n", [_PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE + 5])
def test_many_particles_get_the_energies_of_few(n) -> None:
    """Pieces are put together again in their order, and no call sees more than _PIECE particles."""
    x = torch.linspace(-3, 3, n, dtype=torch.float64)[:, None] * torch.tensor([1.0, -2.0])
    sizes = []

    def energy(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return correlated(x)

    f, gradient = energy_and_gradient(energy, x)
    torch.testing.assert_close(f, correlated(x))
    torch.testing.assert_close(gradient, x @ PRECISION)
    assert sum(sizes) == n and max(sizes) <= _PIECE


def test_an_error_in_a_piece_names_the_whole() -> None:
    """The shape of a piece means nothing to a caller who gave all particles at once."""
    x = torch.zeros(_PIECE + 1, 2, dtype=torch.float64)
    message = (
        f"energy returned shape ({_PIECE}, 2) for particles of shape ({_PIECE}, 2), a piece of"
        f" ({_PIECE + 1}, 2); it must return a tensor of shape ({_PIECE},)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        energy_and_gradient(lambda x: x**2, x)
    with pytest.raises(ValueError, match=re.escape("of shape (3, 2); it must")):
        energy_and_gradient(lambda x: x**2, x[:3])
