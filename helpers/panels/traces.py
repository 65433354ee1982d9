"""What the diagnostics explorer computes: chains, what they say of themselves, what is exact."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from helpers import densities, exact
from helpers.panels.chain import TAIL, TARGETS

SIGMAS = {"one hump": 1.0, "two humps": 0.7}

WEIGHTS = {"one hump": [1.0], "two humps": [0.8, 0.2]}

STEPS = 1000
"""The length of every chain."""

FINE, POINTS = 13, 411
"""How many points of a grid there are to a σ, and how many at most in all."""


class Settled(NamedTuple):
    """The exact law of a settled chain, as far as means of its states need it."""

    mean: float
    variance: float
    rho: np.ndarray  # at the lags 0 … STEPS − 1
    time: float

    def error(self, chains: int) -> float:
        """The standard error of the mean of that many chains of STEPS states, without n ≫ t."""
        inner = ((1 - np.arange(STEPS) / STEPS) * self.rho)[1:].sum()
        return math.sqrt(self.variance * (1 + 2 * inner) / (chains * STEPS))

    def draws(self, chains: int) -> float:
        """How many independent draws have a mean with the same error."""
        return self.variance / self.error(chains) ** 2


def run(target: str, plain: bool, s: float, starts: np.ndarray, seed: int) -> np.ndarray:
    """Return the states after each of STEPS steps, a chain a row; MALA's where not plain."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(STEPS, len(starts), generator=g, dtype=torch.float64).numpy()
    logs = torch.rand(STEPS, len(starts), generator=g, dtype=torch.float64).log().numpy()
    (m, *more), w, v = TARGETS[target], WEIGHTS[target], SIGMAS[target] ** 2

    def energy_and_slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f = (x - m) ** 2 / (2 * v) - math.log(w[0])
        if not more:
            return f, (x - m) / v
        other = (x - more[0]) ** 2 / (2 * v) - math.log(w[1])
        both = -np.logaddexp(-f, -other)
        return both, (x - more[0] + np.exp(both - f) * (more[0] - m)) / v

    x, path = starts, np.empty((STEPS, len(starts)))
    with np.errstate(over="ignore", invalid="ignore"):
        f, slope = energy_and_slope(x)
        for k in range(STEPS):
            y = x - s * slope + math.sqrt(2 * s) * noise[k]
            y = y.astype(np.float32).astype(float)  # for every processor goes on from the same
            f_y, slope_y = energy_and_slope(y)
            if not plain:
                ratio = (
                    f
                    - f_y
                    - (x - y + s * slope_y) ** 2 / (4 * s)
                    + (y - x + s * slope) ** 2 / (4 * s)
                )
                stay = logs[k] >= ratio
                y[stay], f_y[stay], slope_y[stay] = x[stay], f[stay], slope[stay]
            path[k], x, f, slope = y, y, f_y, slope_y
    return path.T


@lru_cache(maxsize=64)
def settled(target: str, plain: bool, s: float, fine: int = FINE) -> Settled | None:
    """Return what is exact of a settled chain, in closed form or from its kernel; None if it fails.

    A plain step of 2σ² or more never settles, and just below that a grid does not hold the law.
    """
    means, sigma, lags = TARGETS[target], SIGMAS[target], torch.arange(STEPS)
    a = s / sigma**2
    if plain and a >= 2:
        return None
    if plain and len(means) == 1:
        rho = (1 - a) ** lags.double()
        return Settled(means[0], sigma**2 / (1 - a / 2), rho.numpy(), 2 / a - 1)
    reach = (TAIL + 1) * sigma / (math.sqrt(1 - a / 2) if plain else 1)
    points = math.ceil((means[-1] - means[0] + 2 * reach) * fine / sigma) + 1
    if points > POINTS * fine / FINE:
        return None
    x = exact.grid(means[0] - reach, means[-1] + reach, points)
    energy = densities.energy_of(densities.mixture(WEIGHTS[target], means, [sigma] * len(means)))
    P = (exact.langevin_kernel if plain else exact.mala_kernel)(energy, x, s)
    one, equal = torch.eye(points, dtype=x.dtype), torch.full_like(x, 1 / points)
    p = torch.linalg.solve((one - P + 1 / points).T, equal)
    off, rho = x - p @ x, torch.empty(STEPS, dtype=x.dtype)
    later, ahead = torch.linalg.solve(one - P + p, off), off
    for j in lags:
        rho[j], ahead = (p * off) @ ahead, P @ ahead
    variance = rho[0].item()
    time = 2 * ((p * off) @ later).item() / variance - 1
    return Settled((p @ x).item(), variance, (rho / variance).numpy(), time)


def of_traces(traces: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return what chains, one a row, say of themselves: mean ρ_j, mean t, and split R̂ (NaN of one).

    t is as in the notebook, but at least 1/log₁₀ of all states, as Stan has it.
    """
    chains, n = traces.shape
    off = traces - traces.mean(1, keepdims=True)
    rho = np.fft.irfft(np.abs(np.fft.rfft(off, 2 * n)) ** 2)[:, :n]
    rho /= rho[:, :1]
    pairs = rho.reshape(chains, -1, 2).sum(2)
    time = (2 * (pairs * np.cumprod(pairs > 0, 1)).sum(1) - 1).mean()
    halves = traces.reshape(2 * chains, -1)
    between, within = halves.mean(1).var(ddof=1), halves.var(1, ddof=1).mean()
    r_hat = math.sqrt(1 - 2 / n + between / within) if chains > 1 else math.nan
    return rho.mean(0), max(time, 1 / math.log10(traces.size)), r_hat
