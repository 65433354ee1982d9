"""What the step-size explorer computes: a chain's particles, and its exact law on a grid."""

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from helpers import densities, exact
from helpers.langevin import DivergenceError, langevin_monte_carlo, mala

TARGETS = {"one hump": [5.0], "two humps": [2.0, 8.0]}
"""N(5, σ²), and 0.8 N(2, σ²) + 0.2 N(8, σ²)."""

STARTS = {"from [0, 10]": (0.0, 10.0), "from x = 9": (9.0, 9.0), "from [14, 15]": (14.0, 15.0)}

SAMPLERS = ["plain", "accept/reject"]

SCHEDULES = ["constant s", "s/(k + 1)"]

PARTICLES = 2000

GRID_POINTS = 401
"""About how many points a grid has; twice as many where one matrix serves all steps."""

TAIL = 6.0
"""Standard deviations at which a normal tail is cut: of 100 steps each loses 2e-9, see exact.law.

Where accept/reject keeps the law, tails of the target are cut where its density has fallen by
e^(−TAIL²/2) once more: see ``mala_kernel`` on what counts as lost.
"""

EDGE = (1 - math.sqrt(2 / 3)) / 2
"""Where a box cuts its last cells, see ``start_on_grid``: the root of EDGE (1 − EDGE) = 1/12."""


class Setting(NamedTuple):
    """The choices of the explorer, but for the seed."""

    s: float
    n_steps: int
    target: str
    sigma: float
    start: str
    sampler: str
    schedule: str

    @property
    def plain(self) -> bool:
        """Whether every move is made."""
        return self.sampler == SAMPLERS[0]

    @property
    def constant(self) -> bool:
        """Whether all steps have one size."""
        return self.schedule == SCHEDULES[0]

    @property
    def means(self) -> list[float]:
        """The centres of the humps."""
        return TARGETS[self.target]

    @property
    def steps(self) -> list[float]:
        """The step sizes."""
        return [self.s if self.constant else self.s / (k + 1) for k in range(self.n_steps)]

    @property
    def density(self) -> Distribution:
        """The target."""
        if len(self.means) == 1:
            return densities.gaussian(self.means[0], self.sigma)
        return densities.mixture([0.8, 0.2], self.means, [self.sigma] * 2)


class Law(NamedTuple):
    """The exact law of a chain before the first and after every step, as far as x can hold it."""

    x: Tensor
    log_p: Tensor
    """Log-densities on the grid x, (steps held + 1, m)."""


class Chain(NamedTuple):
    """A run of the explorer: what it did, and what the referee says of it."""

    setting: Setting
    path: Tensor
    """Particles after each step, (steps + 1, n)."""
    stopped: int | None
    """The step at which the sampler gave up, if it did; the path ends before it."""
    law: Law

    @property
    def held(self) -> bool:
        """Whether there is an exact law of the last step."""
        return len(self.law.log_p) >= len(self.path)

    @property
    def moments(self) -> tuple[float, float] | None:
        """The exact mean and variance after the last step, None where nothing tells them.

        Without accept/reject those on one hump are the closed form of the notebook.
        """
        setting, k = self.setting, len(self.path) - 1
        if setting.plain and len(setting.means) == 1:
            low, high = STARTS[setting.start]
            start, steps = ((low + high) / 2, (high - low) ** 2 / 12), setting.steps[:k]
            every = exact.gaussian_moments(*start, setting.means[0], setting.sigma, steps)
            return list(every)[-1]
        if not self.held:
            return None
        mean, sd = exact.moments(self.law.log_p[k], self.law.x)
        return mean, sd**2

    def distances(self) -> tuple[Tensor, Tensor]:
        """Return the W₁ to the target after each step, of the particles and of the law."""
        target, (x, log_p), means = self.setting.density, self.law, self.setting.means
        near = exact.grid(
            means[0] - 7 * self.setting.sigma, means[-1] + 7 * self.setting.sigma, 401
        )
        both = torch.cat([x, near]).sort().values
        law = np.stack([np.interp(both, x, F) for F in exact.cdf(log_p[: len(self.path)], x)])
        gap = (torch.from_numpy(law) - target.cdf(both)).abs()
        return exact.w1_of_rows(self.path, target.log_prob(near), near), exact.integrate(gap, both)


def run_chain(setting: Setting, seed: int) -> Chain:
    """Run 2 000 particles and their exact law."""
    return Chain(setting, *_run_particles(setting, seed), law_of(setting))


def _run_particles(setting: Setting, seed: int) -> tuple[Tensor, int | None]:
    """Return the particles after each step, (steps + 1, n), and where the sampler gave up.

    If it gave up, the path ends before that step.
    """
    sampler = langevin_monte_carlo if setting.plain else mala
    energy, steps, stopped = densities.energy_of(setting.density), setting.steps, None
    while True:
        generator = torch.Generator().manual_seed(seed)
        x0 = densities.uniform(*STARTS[setting.start], PARTICLES, generator=generator)
        options = {"generator": generator, "return_trajectory": True}
        try:
            return sampler(energy, x0, len(steps), steps, **options)[..., 0], stopped
        except DivergenceError as error:
            stopped, steps = error.step, steps[: error.step - 1]


@lru_cache(maxsize=16)
def law_of(setting: Setting) -> Law:
    """Return the exact law of the chain, up to the step to which a grid can hold it."""
    box = STARTS[setting.start]
    points = GRID_POINTS * (2 if setting.constant else 1)
    left, right, n_steps = _reach(setting, points)
    x, log_p0 = start_on_grid(*box, left, right, points)
    kernel = exact.langevin_kernel if setting.plain else exact.mala_kernel
    energy = densities.energy_of(setting.density)
    return held(exact.iterate_law(log_p0, energy, x, setting.steps[:n_steps], kernel=kernel), x)


def held(laws: Iterable[Tensor], x: Tensor) -> Law:
    """Return laws on the grid x up to the last that it holds."""
    log_p = []
    try:
        log_p.extend(laws)
    except exact.GridError:
        pass  # which the panel says
    return Law(x, torch.stack(log_p))


def start_on_grid(
    low: float, high: float, left: float, right: float, points: int = GRID_POINTS
) -> tuple[Tensor, Tensor]:
    """Return a grid from about left to right, and on it the log-density of U(low, high).

    A sum over a grid is wrong by h²/12 − θ(1 − θ)h² times the slopes at the ends of the box, where
    θ is the share of its outermost cells that is inside. The grid is placed so that it is 0, with
    some more points than asked for if need be. A box without width is one grid point.
    """
    h = (right - left) / (points - 1)
    if high > low:
        h = (high - low) / (math.ceil((high - low) / h - 2 * EDGE) + 2 * EDGE)
    centre = low + (EDGE - 0.5) * h if high > low else low
    first = centre - math.ceil((centre - left) / h) * h
    x = first + h * torch.arange(math.ceil((right - first) / h) + 1, dtype=torch.float64)
    if high > low:
        return x, exact.uniform_law(low, high, x)
    log_p0 = torch.full_like(x, -math.inf)
    log_p0[(x - low).abs().argmin()] = -math.log(h)
    return x, log_p0


def _reach(setting: Setting, points: int) -> tuple[float, float, int]:
    """Return the ends of a grid that holds the chain, and how many steps of it.

    Under two humps a chain stays between those that one hump alone would drive, each from each end
    of the start; accept/reject keeps it in a part of that. It is followed until the grid would be
    too coarse for a step, a hump, the slope between two humps or the box that it starts from.
    """
    box, means, sigma = STARTS[setting.start], setting.means, setting.sigma
    left, right, finest = box[0] - 0.5, box[1] + 0.5, min(sigma / 7, (box[1] - box[0]) / 5 or sigma)
    if not setting.plain:
        ends, far = _accepted(setting)
        left, right = min(left, means[0] - TAIL * sigma), max(right, means[-1] + TAIL * sigma)
    walks = [
        exact.gaussian_moments(end, 0.0, mean, sigma, setting.steps)
        for mean in means
        for end in box
    ]
    for k, (s, *moments) in enumerate(zip([math.inf, *setting.steps], *walks, strict=True)):
        wider = (
            min(left, *(mean - TAIL * math.sqrt(v) for mean, v in moments)),
            max(right, *(mean + TAIL * math.sqrt(v) for mean, v in moments)),
        )
        finest = min(finest, math.sqrt(2 * s))
        if not setting.plain:
            if wider[0] < ends[0] or wider[1] > ends[1]:
                wider = ends
            if abs(s / sigma**2 - 2) * far < 15 * sigma:  # it may land as far on the other side
                finest = min(finest, 0.35 * sigma**2 / far)
        if wider[1] - wider[0] > finest * (points - 1):
            return left, right, max(k - 1, 0)
        left, right = wider
    return left, right, setting.n_steps


def _accepted(setting: Setting) -> tuple[tuple[float, float], float]:
    """Return the ends beyond which accept/reject takes hardly anything, and how far it starts.

    A move away from a hump, from a distance r to r' > r, is accepted with the probability
    exp(−s(r'² − r²)/4σ⁴). Where s ≈ 2σ², which throws a chain to r' ≈ r, that has an edge of a
    width of about σ²/r, to which a grid must be fine.
    """
    (low, high), means = STARTS[setting.start], torch.tensor(setting.means, dtype=torch.float64)
    box = torch.linspace(low, high, 101, dtype=torch.float64)
    log_p = setting.density.log_prob
    fall = (log_p(means).max() - log_p(box).min()).clamp(min=0).item()
    reach = setting.sigma * math.sqrt(2 * fall + TAIL**2)
    ends = min(setting.means[0] - reach, low), max(setting.means[-1] + reach, high)
    return ends, (box[:, None] - means).abs().min(1).values.mean().item()
