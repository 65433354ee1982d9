"""The panel of notebook 3: the step-size explorer."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import FigureBase
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily

from helpers import densities, exact, plots
from helpers.densities import Energy
from helpers.langevin import DivergenceError, langevin_monte_carlo, mala
from helpers.panels.screen import (
    bar_heights,
    plain_ticks,
    put_bars,
    put_legends,
    put_line,
    put_title,
    shown,
    two_axes,
)
from helpers.panels.widgets import Panel, choice, number, whole_number

TARGETS = {"one hump": [5.0], "two humps": [2.0, 8.0]}
"""N(5, σ²), and 0.8 N(2, σ²) + 0.2 N(8, σ²)."""

STARTS = {"from [0, 10]": (0.0, 10.0), "from x = 9": (9.0, 9.0), "from [14, 15]": (14.0, 15.0)}

SAMPLERS = ["plain", "accept/reject"]

SCHEDULES = ["constant s", "s/(k + 1)"]

STEPS = [m * 10**e for e in (-2, -1, 0) for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)]
STEPS = sorted({round(s, 3) for s in STEPS} | {0.9, 1.1, 1.7, 1.8, 1.9, 2.1, 2.2, 4.5, 10, 15, 20})

SIGMAS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0]

PARTICLES = 2000

GRID_POINTS = 401


class Chain(NamedTuple):
    """A run of the explorer: what it did, and what the referee says of it."""

    target: Distribution
    path: Tensor
    """Particles after each step, (steps + 1, n)."""
    x: Tensor
    laws: Tensor
    """The exact law after each step on the grid x, (steps + 1, m), or fewer if x cannot hold it."""
    variance: float | None
    """The exact variance after the last step, None where nothing tells it."""
    acceptance: float
    stopped: int | None
    """The step at which the sampler gave up, if it did."""


def run_chain(
    *, s: float, n_steps: int, target: str, sigma: float, start: str, sampler: str, schedule: str
) -> Chain:
    """Run 2 000 particles and their exact law; arguments are the choices of the explorer.

    Without accept/reject the variance on one hump is the closed form of the notebook,
    v ← (1 − s/σ²)² v + 2s; otherwise it is that of the law on the grid.
    """
    means = TARGETS[target]
    density = (
        densities.gaussian(means[0], sigma)
        if len(means) == 1
        else densities.mixture([0.8, 0.2], means, [sigma, sigma])
    )
    energy = densities.energy_of(density)
    low, high = STARTS[start]
    steps = [s / (k + 1) if schedule == SCHEDULES[1] else s for k in range(n_steps)]
    plain = sampler == SAMPLERS[0]

    path, stopped = run_particles(energy, low, high, steps, plain)
    x, p0 = grid_for(means, sigma, low, high, steps, plain)
    kernel, laws = exact.langevin_kernel if plain else exact.mala_kernel, []
    try:
        for p in exact.iterate_law(p0, energy, x, steps[: len(path) - 1], kernel=kernel):
            laws.append(p)
    except exact.GridError:
        pass  # which the panel says

    variance = None
    if plain and len(means) == 1:
        variance = (high - low) ** 2 / 12
        for s_k in steps[: len(path) - 1]:
            variance = (1 - s_k / sigma**2) ** 2 * variance + 2 * s_k
    elif len(laws) == len(path):
        variance = exact.moments(laws[-1].log(), x)[1] ** 2
    moved = (path[1:] != path[:-1]).double().mean().item() if len(path) > 1 else 1.0
    return Chain(density, path, x, torch.stack(laws), variance, moved, stopped)


def run_particles(
    energy: Energy, low: float, high: float, steps: Sequence[float], plain: bool
) -> tuple[Tensor, int | None]:
    """Return the particles after each step, (steps + 1, n), and where the sampler gave up.

    If it gave up, the path ends before that step.
    """
    sampler, stopped = langevin_monte_carlo if plain else mala, None
    while True:
        generator = torch.Generator().manual_seed(0)
        x0 = densities.uniform(low, high, PARTICLES, generator=generator)
        options = {"generator": generator, "return_trajectory": True}
        try:
            path = sampler(energy, x0, len(steps), steps, **options)
            return path[..., 0], stopped
        except DivergenceError as error:
            stopped, steps = error.step, steps[: error.step - 1]


def grid_for(
    means: Sequence[float],
    sigma: float,
    low: float,
    high: float,
    steps: Sequence[float],
    plain: bool,
) -> tuple[Tensor, Tensor]:
    """Return a grid that holds the target, the start and, where it can, each law; and the start.

    Between start and target the chain is at most ∏ |1 − a| times as far from a hump as at first,
    with a = s/σ², and as wide as the closed form says. Tails are cut at 6.5 standard deviations.
    The grid of a chain that diverges ends where it would be coarser than √(2s) or σ/2.
    """
    tail = 6.5 * sigma
    left, right = min(low, means[0] - tail), max(high, means[-1] + tail)
    widest = (GRID_POINTS - 1) * min(sigma / 2, math.sqrt(2 * max(steps, default=math.inf)))
    factor, v = 1.0, 0.0
    for s in steps if plain else ():
        a = s / sigma**2
        factor, v = factor * (1 - a), (1 - a) ** 2 * v + 2 * s
        centres = [mean + factor * (end - mean) for mean in means for end in (low, high)]
        left = min(left, min(centres) - 6.5 * math.sqrt(v))
        right = max(right, max(centres) + 6.5 * math.sqrt(v))
    if not plain:
        left, right = min(low, means[0]) - tail, max(high, means[-1]) + tail
    left, right = max(left, means[0] - widest / 2), min(right, means[-1] + widest / 2)
    h = (right - left) / (GRID_POINTS - 1)
    first = low - math.ceil((low - left) / h) * h  # so that the start is a grid point
    x = first + h * torch.arange(GRID_POINTS, dtype=torch.float64)
    if high > low:
        return x, exact.uniform_law(low, high, x)
    p0 = torch.zeros_like(x)
    p0[(x - low).abs().argmin()] = 1 / h
    return x, p0


def draw_steps(
    figure: FigureBase,
    *,
    s: float,
    n_steps: int,
    target: str,
    sigma: float,
    start: str,
    sampler: str,
    schedule: str,
) -> str:
    """Show the particles after some steps with their exact law, and W₁ to the target on the way."""
    chain = run_chain(
        s=s,
        n_steps=n_steps,
        target=target,
        sigma=sigma,
        start=start,
        sampler=sampler,
        schedule=schedule,
    )
    path, laws = chain.path, chain.laws
    distribution = chain.target.cdf(chain.x)
    to_target = exact.w1_of_rows(path, distribution, chain.x)
    laws_to_target = exact.integrate((exact.cdf(laws, chain.x) - distribution).abs(), chain.x)
    floor = floor_of_w1(chain.target)

    if not figure.axes:
        left, right = two_axes(figure)
        left.set(xlim=(-5, 15), xlabel="x", ylabel="density")
        right.set(xlim=(0, 100), yscale="log", ylim=(0.003, 1000), xlabel="step k")
        right.set_title("W₁ to the target")
        plain_ticks(right.yaxis, [0.01, 0.1, 1, 10])
    left, right = figure.axes
    window = exact.grid(-5, 15, 401)
    p = chain.target.log_prob(window).exp()
    left.set(ylim=(0, 1.6 * p.max().item()))
    name = ", MALA" if sampler == SAMPLERS[1] else ""
    put_title(left, f"s = {s:g}, K = {len(path) - 1}{name}")
    edges = np.linspace(-5, 15, 101)
    law = laws[-1] if len(laws) == len(path) else torch.full_like(chain.x, math.nan)
    dashed = {"color": plots.LAW, "linestyle": "--", "linewidth": 1.8}
    heights = bar_heights(path[-1], edges)
    put_bars(left, "particles", heights, edges, color=plots.PARTICLES)
    put_line(left, "target", window, p, color=plots.P_STAR)
    put_line(left, "exact law", chain.x, law, **dashed)
    put_line(right, "particles", range(len(path)), to_target, color=plots.PARTICLES)
    put_line(right, "exact law", range(len(laws)), laws_to_target, **dashed)
    put_line(right, "floor", [0, 100], [floor] * 2, color=plots.FLOOR, linestyle=":")
    put_legends(left, loc="upper left")
    put_legends(right)
    return say_chain(chain, s=s, sigma=sigma, sampler=sampler, schedule=schedule) + (
        f" W₁ to the target {shown(to_target[-1])}, floor {floor:.3f}."
    )


def floor_of_w1(target: Distribution) -> float:
    """Return the mean W₁ of 2 000 perfect draws, √(2/πn) ∫ √(F(1 − F)) dx (notebook 1)."""
    x = exact.grid(-20, 30, 1001)
    F = target.cdf(x)
    root = exact.integrate((F * (1 - F)).clamp(min=0).sqrt(), x)
    return math.sqrt(2 / (math.pi * PARTICLES)) * root.item()


def say_chain(chain: Chain, *, s: float, sigma: float, sampler: str, schedule: str) -> str:
    """Say in words what a run of the explorer shows."""
    k, measured = len(chain.path) - 1, chain.path[-1].var().item()
    says = [f"After {k} steps: variance {shown(measured)} measured"]
    if chain.variance is not None:
        says[0] += f", {shown(chain.variance)} exact"
    says[0] += f"; the target has {chain.target.variance:.3f}."
    limit = 2 * sigma**2
    if sampler == SAMPLERS[1]:
        says.append(f"{100 * chain.acceptance:.1f} % of the moves accepted.")
    elif schedule == SCHEDULES[0] and s >= limit and isinstance(chain.target, MixtureSameFamily):
        says.append(f"s is not below 2σ² = {limit:g}: inside a hump the steps overshoot.")
    elif schedule == SCHEDULES[0] and math.isclose(s, limit):
        says.append(f"s is 2σ² = {limit:g}: the chain walks at random and never settles.")
    elif schedule == SCHEDULES[0] and s > limit:
        says.append(f"s is beyond 2σ² = {limit:g}: the chain diverges.")
    if chain.stopped:
        says.append(f"The sampler gave up at step {chain.stopped}; drawn is the step before.")
    if len(chain.laws) < len(chain.path):
        says.append(
            f"The grid of {GRID_POINTS} points holds the law to step {len(chain.laws) - 1}."
        )
    return " ".join(says)


def step_panel() -> Panel:
    """Return the panel of notebook 3, the step-size explorer."""
    controls = {
        "s": number("step size s", 0.1, STEPS, "(x²)"),
        "n_steps": whole_number("steps K", 20, 0, 100, "steps"),
        "sigma": number("width σ", 1.0, SIGMAS, "(x)"),
        "target": choice("target", list(TARGETS)),
        "start": choice("start", list(STARTS)),
        "sampler": choice("sampler", SAMPLERS),
        "schedule": choice("step", SCHEDULES),
    }
    stills = [{"s": s, "n_steps": k} for s, k in [(0.1, 5), (0.1, 50), (1.0, 50), (1.9, 50)]]
    stills += [{"s": 2.5, "n_steps": 50}, {"s": 2.5, "n_steps": 50, "sampler": SAMPLERS[1]}]
    return Panel("the step-size explorer", draw_steps, controls, stills=stills)
