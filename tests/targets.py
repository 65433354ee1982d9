"""The densities of the benchmark: those that settings are chosen on, and those that judge them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.stats as st
import torch
from torch import Tensor

from helpers import densities, exact
from helpers.densities import gaussian, mixture


class Target(NamedTuple):
    """A density to be learned: its log-density, a seeded draw, and a grid for every integral."""

    log_p: Callable[[Tensor], Tensor]
    draw: Callable[[int, int], Tensor]
    x: Tensor
    gaussians: bool
    """Whether it is a Gaussian mixture, which a rival that fits one knows in advance."""


def known(p, low: float, high: float, points: int = 4001) -> Target:
    """Return a target that is a Gaussian, or a mixture of some, from helpers."""

    def draw(n: int, seed: int) -> Tensor:
        return densities.draw(p, n, generator=torch.Generator().manual_seed(seed))

    return Target(p.log_prob, draw, exact.grid(low, high, points), True)


def from_scipy(p, low: float, high: float, points: int = 4001) -> Target:
    """Return a target that is a frozen scipy distribution."""

    def draw(n: int, seed: int) -> Tensor:
        return torch.from_numpy(p.rvs(size=n, random_state=np.random.default_rng(seed)))[:, None]

    def log_p(x: Tensor) -> Tensor:
        with np.errstate(divide="ignore"):  # log 0 is −∞
            return torch.from_numpy(p.logpdf(x))

    return Target(log_p, draw, exact.grid(low, high, points), False)


def edged(p, low: int, high: int, a_unit: int) -> Target:
    """Return a scipy target with a leap or a root at a whole number, so many grid points a unit.

    The points lie half a spacing off the whole numbers: the trapezoid rule then takes a leap's mass
    right.
    """
    half = 0.5 / a_unit
    return from_scipy(p, low - half, high + half, (high - low) * a_unit + 2)


DEVELOPMENT = {
    "claw": known(mixture([0.5, *5 * [0.1]], [0, -1, -0.5, 0, 0.5, 1], [1, *5 * [0.1]]), -12, 12),
    "four modes": known(
        mixture([0.4, 0.3, 0.2, 0.1], [-9, -3, 3, 10], [0.3, 0.5, 0.25, 0.6]), -30, 30, 6001
    ),
    "Weibull(1.5)": edged(st.weibull_min(1.5), -2, 12, 2000),
    "exponential": edged(st.expon(), -5, 40, 500),
    "logistic": from_scipy(st.logistic(), -40, 40),
    "beta(2, 5)": from_scipy(st.beta(2, 5), -1, 2, 6001),
    "triangular(0.3)": from_scipy(st.triang(0.3), -1, 2, 3001),
    "Gumbel": from_scipy(st.gumbel_r(), -10, 40, 5001),
    "chi²(4)": from_scipy(st.chi2(4), -20, 80, 20_001),
    "t(3)": from_scipy(st.t(3), -5000, 5000, 200_001),
    "skewed bimodal": known(mixture([0.75, 0.25], [0, 1.5], [1, 1 / 3]), -12, 12),
    "kurtotic": known(mixture([2 / 3, 1 / 3], [0, 0], [1, 0.1]), -12, 12),
    "outlier": known(mixture([0.1, 0.9], [0, 0], [1, 0.1]), -12, 12),
    "small hump": known(mixture([0.95, 0.05], [0, 6], [1, 0.3]), -12, 14),
    "six modes": known(mixture(6 * [1 / 6], range(-10, 11, 4), 6 * [0.4]), -40, 40, 8001),
    "discrete comb": known(
        mixture(
            [*3 * [2 / 7], *3 * [1 / 21]],
            [*((12 * j - 15) / 7 for j in range(3)), *(2 * j / 7 for j in range(8, 11))],
            [*3 * [2 / 7], *3 * [1 / 21]],
        ),
        *(-12, 12, 8001),
    ),
    "asymmetric claw": known(
        mixture(
            [0.5, *(2.0 ** (1 - j) / 31 for j in range(-2, 3))],
            [0, *(j + 0.5 for j in range(-2, 3))],
            [1, *(2.0**-j / 10 for j in range(-2, 3))],
        ),
        *(-12, 12, 8001),
    ),
    "N(−3, 0.5²)": known(gaussian(-3, 0.5), -10, 4),
}
"""Settings are chosen on these. The claws, the comb, "skewed bimodal", "kurtotic" and "outlier" are
numbers 10, 12, 15, 8, 4 and 5 of Marron & Wand (1992)."""

TEST = {
    "N(5, 1)": known(gaussian(5, 1), -5, 20),
    "two modes": known(mixture([0.5, 0.5], [-2, 2], [0.6, 0.9]), -20, 20),
    "three modes": known(mixture([1 / 3] * 3, [-4, 0, 3], [0.3, 0.3, 0.4]), -25, 25),
    "minority": known(mixture([0.97, 0.03], [0, 8], [1, 0.5]), -100, 100, 20_001),
    "Gamma(3)": from_scipy(st.gamma(3), -60, 60, 12_001),
    "t(5)": from_scipy(st.t(5), -200, 200, 20_001),
    "Laplace": from_scipy(st.laplace(), -40, 40, 20_001),
    "uniform(0, 1)": edged(st.uniform(), -1, 2, 2000),
    "lognormal(1)": from_scipy(st.lognorm(1), -1000, 1000, 200_001),
}
SCALES = {"5e-9, (1e-9)²": 1e-9, "0.005, 0.001²": 1e-3, "5000, 1000²": 1e3, "5e9, (1e9)²": 1e9}
TEST |= {f"N({name})": known(gaussian(5 * c, c), -5 * c, 20 * c) for name, c in SCALES.items()}
"""These judge, and settings are not chosen on them; the last four are the first in other units."""
