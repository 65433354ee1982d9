"""The exact law of a reverse sampler, on a line and in the plane.

Each step goes to a Gaussian of one variance about a mean that depends on the place, so it is a
product with a matrix, as a Langevin step is. The noise shrinks with the level; so every level has
a grid of its own, fine enough for the step that leads to it and for the one that leaves it.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from helpers.checks import number
from helpers.exact import plane
from helpers.exact.laws import gaussian_kernel
from helpers.exact.line import GridError, grid
from helpers.scores import Score, check_levels, reverse_step

_FINE = 0.75
"""The spacing of a grid, in standard deviations of the noise; sums are then good to 1e-15."""

_LOSS = 1e-5
"""The largest probability that the grids may lose, all steps together."""

_RARE = 1e-11
"""A next grid holds all that comes from places whose density is no smaller, against the highest.

And an eighth more at either end (in the plane a tenth): few steps make a law with shorter tails
than the density's that it is held against.
"""


_NOTHING = 1e-15
"""A step in the plane passes over places whose density is lower, against the highest."""

_AT_ONCE = 1000
"""From so many places a step is made at a time: its matrix need not be held as a whole."""


def _spacing(score: Score, low: float, high: float, step: tuple[float, float], v: float) -> float:
    """Return a spacing at which the step's means are no farther apart than its noise is wide."""
    x = grid(low, high, 401)
    means, variance = reverse_step(score, x[:, None], *step, v)
    slope = means.diff(dim=0).abs().max().item() / (x[1] - x[0]).item()
    return _FINE * math.sqrt(variance) / max(slope, 1e-9)


def _start(start: Sequence, d: int) -> tuple[list[float], list[float]]:
    """Return the means and the standard deviations, d of each, of the first law, or say why not."""
    try:
        mean, sd = (torch.as_tensor(part, dtype=torch.float64).flatten().tolist() for part in start)
    except (TypeError, ValueError, RuntimeError):
        mean = sd = []
    if {len(mean), len(sd)} != {d}:
        raise ValueError(f"start is {start!r}; it must be a mean and an sd, {d} of each.")
    return [number(m, "start's mean") for m in mean], [
        number(s, "start's standard deviation", 0, above=True) for s in sd
    ]


def line_law(
    score: Score,
    levels: Sequence[float],
    start: tuple[float, float],
    *,
    v: float = 0.0,
    last: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a grid x (m,) and the law's log-density on it, before the first and after every step.

    Args:
        score: from x (m, 1) and a level to (m, 1).
        levels: decreasing.
        start: mean and standard deviation of the Gaussian law at the first level.
        v: of the step's variance, see ``scores.reverse_step``.
        last: a grid for the last law, fine enough for its step; what lies beyond it is left out.

    Raises:
        TypeError, ValueError: for levels, a start, a score or a v that is not as above.
        GridError: if the grids lose more than ``_LOSS``, as where a score throws mass far out.
    """
    steps, lost = list(pairwise(check_levels(levels))), 0.0
    (mean,), (sd,) = _start(start, 1)
    ends = mean - 7 * sd, mean + 7 * sd
    h = _spacing(score, *ends, steps[0], v)
    x = grid(*ends, max(201, math.ceil(14 * sd / h)))
    log_p = -((x - mean) ** 2) / (2 * sd**2) - math.log(sd * math.sqrt(2 * math.pi))
    yield x, log_p
    p = log_p.exp()
    for k, (level, lower) in enumerate(steps):
        means, variance = reverse_step(score, x[:, None], level, lower, v)
        left, right = (end.item() for end in means[p > _RARE * p.max()].aminmax())
        reach = 6.5 * math.sqrt(variance) + (right - left) / 8
        ends = left - reach, right + reach
        h = _FINE * math.sqrt(variance)
        h = min(h, _spacing(score, *ends, steps[k + 1], v)) if k + 1 < len(steps) else h
        final = k + 1 == len(steps) and last is not None
        y = last if final else grid(*ends, max(201, math.ceil((ends[1] - ends[0]) / h)))
        masses, new = p * (x[1] - x[0]), torch.zeros_like(y)
        for mean, mass in zip(means[:, 0].split(_AT_ONCE), masses.split(_AT_ONCE), strict=True):
            kernel = gaussian_kernel(mean, variance, y)
            lost += 0.0 if final else (mass @ (1 - kernel.sum(1)).abs()).item()
            new += mass @ kernel
        if not lost <= _LOSS:
            raise GridError(f"the grids lose a mass of {lost:.1e} by the level {lower:.3g}.")
        x, p = y, new / (y[1] - y[0])
        yield x, p.log()


def plane_law(
    score: Score,
    levels: Sequence[float],
    start: tuple[Tensor, Tensor],
    *,
    v: float = 0.0,
) -> Iterator[tuple[plane._Grid, Tensor]]:
    """Yield a grid of the plane and the law's log-density on it, before and after every step.

    Args:
        score: from x (n, 2) and a level to (n, 2).
        levels: decreasing.
        start: mean (2,) and standard deviations (2,) of the Gaussian law at the first level.
        v: of the step's variance, see ``scores.reverse_step``.

    Raises:
        TypeError, ValueError: for levels, a start, a score or a v that is not as above.
        GridError: if the grids lose more than ``_LOSS``, as where 251 × 251 points are too few.
    """
    steps, lost = list(pairwise(check_levels(levels))), 0.0
    mean, sd = (torch.tensor(values, dtype=torch.float64) for values in _start(start, 2))
    far = (mean.abs() + 6.5 * sd).max().item()
    on = plane.grid(far, _points(score, far, steps[0], v))
    z = (on.points - mean) / sd
    p = ((-z.square().sum(1) / 2).exp() / (2 * math.pi * sd.prod())).reshape(2 * [len(on.axis)])
    yield on, p.log()
    for k, (level, lower) in enumerate(steps):
        held = (p > _NOTHING * p.max()).flatten()
        places, masses = on.points[held], p.flatten()[held] * on.cell
        asked = [reverse_step(score, part, level, lower, v) for part in places.split(_AT_ONCE)]
        means, variance = torch.cat([mean for mean, _ in asked]), asked[0][1]
        common = means[masses > _RARE * masses.max()]
        far = 1.1 * common.abs().max().item() + 6.5 * math.sqrt(variance)
        m = math.ceil(2 * far / (_FINE * math.sqrt(variance))) + 1
        m = max(m, _points(score, far, steps[k + 1], v)) if k + 1 < len(steps) else m
        to = plane.grid(far, min(max(m, 41), 251))
        new, gone = _moved(masses, means, variance, to)
        lost += gone
        if not lost <= _LOSS:
            raise GridError(f"the grids lose a mass of {lost:.1e} by the level {lower:.3g}.")
        on, p = to, new
        yield on, p.log()


def _moved(masses: Tensor, means: Tensor, variance: float, to: plane._Grid) -> tuple[Tensor, float]:
    """Return the density on a grid after a step of masses (n,) to means (n, 2), and what is lost.

    The noise is isotropic, so its density is a product, as in ``plane.gaussian_step``.
    """
    new, lost = to.axis.new_zeros(len(to.axis), len(to.axis)), 0.0
    scale = math.sqrt(to.cell / (2 * math.pi * variance))
    for mean, mass in zip(means.split(_AT_ONCE), masses.split(_AT_ONCE), strict=True):
        logs = ((to.axis - one[:, None]).square_().div_(-2 * variance) for one in mean.T)
        G1, G2 = (log.clamp_(min=-230).exp_().mul_(scale) for log in logs)
        lost += (mass @ (1 - G1.sum(1) * G2.sum(1)).abs()).item()
        new += G1.T @ (mass[:, None] * G2)
    return new / to.cell, lost


def _points(score: Score, far: float, step: tuple[float, float], v: float) -> int:
    """Return how many points an axis needs for the step's means to be as dense as its noise."""
    on = plane.grid(far, 101)
    means, variance = reverse_step(score, on.points, *step, v)
    gaps = [means.reshape(101, 101, 2).diff(dim=dim).norm(dim=2).max().item() for dim in (0, 1)]
    m = math.ceil(100 * max(gaps) / (_FINE * math.sqrt(variance))) + 1
    return min(max(m, 41), 251)
