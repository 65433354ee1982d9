"""The interactive panels: four explorations, each a function that draws and says what it drew.

A function ``draw_…(figure, …)`` draws its setting into a figure, or moves what it drew there
before, and returns a few sentences with the numbers. What takes more than a line to compute has a
function of its own that knows nothing of pictures. A function ``…_panel()`` puts controls to it.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily

from helpers import densities, exact, plots
from helpers.controls import Panel, choice, number, player, whole_number
from helpers.densities import Energy
from helpers.langevin import DivergenceError, langevin_monte_carlo, mala


def two_axes(
    figure: FigureBase, *, ratio: tuple[int, int] = (3, 2), margin: float = 0.12
) -> list[Axes]:
    """Make two axes side by side."""
    axes = figure.subplots(1, 2, width_ratios=ratio)
    figure.subplots_adjust(left=margin, right=0.97, bottom=0.18, top=0.89, wspace=0.3)
    return list(axes)


def plain_ticks(axis, ticks: Sequence[float]) -> None:
    """Put plain numbers on a logarithmic axis."""
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def shown(value: float) -> str:
    """Write a number with three decimals, or with a power of ten if it has become huge."""
    return f"{value:.3f}" if value < 1e4 else f"{value:.1e}"


def spaced(n: int) -> str:
    """Write a whole number with a space between thousands."""
    return f"{n:,}".replace(",", " ")


# 1 · Histograms

BINS = range(2, 201)
WINDOW = (0.0, 10.0)
WHOLE = 1 / (2 * math.sqrt(math.pi))
"""∫ p*² dx of N(5, 1)."""


class HistogramError(NamedTuple):
    """What ∫ (histogram − p*)² dx is expected to be, as shares of ∫ p*² dx."""

    bias: float
    chance: float


def histogram_error(n: int, bins: int) -> HistogramError:
    """Return the expected squared error of a histogram of n draws of N(5, 1) over [0, 10].

    With bins of width h and probabilities P, the heights have mean P/h and variance P(1 − P)/(nh²):
    the expectation is Σ P(1 − P)/(nh) + ∫ p*² − Σ P²/h (D. W. Scott, Multivariate Density
    Estimation, 1992, chapter 3).
    """
    probabilities, h = bin_probabilities(bins), (WINDOW[1] - WINDOW[0]) / bins
    squares = float(np.square(probabilities).sum())
    chance = (probabilities.sum() - squares) / (n * h)
    return HistogramError((WHOLE - squares / h) / WHOLE, float(chance) / WHOLE)


@cache
def bin_probabilities(bins: int) -> np.ndarray:
    """Return the probability of each bin over [0, 10] under N(5, 1)."""
    edges = torch.linspace(*WINDOW, bins + 1, dtype=torch.float64)
    return densities.gaussian(5.0, 1.0).cdf(edges).diff().numpy()


@cache
def expected_errors(n: int) -> tuple[np.ndarray, int]:
    """Return bias and chance for each number of bins, (2, 199), and the best number of bins."""
    errors = np.array([histogram_error(n, bins) for bins in BINS]).T
    return errors, BINS[int(errors.sum(0).argmin())]


def draw_histogram(figure: FigureBase, *, n: int, bins: int, seed: int) -> str:
    """Show a histogram of n draws of N(5, 1), and its squared error among those expected."""
    target = densities.gaussian(5.0, 1.0)
    samples = densities.draw(target, n, generator=torch.Generator().manual_seed(seed))
    edges = np.linspace(*WINDOW, bins + 1)
    h, heights = edges[1] - edges[0], plots.bar_heights(samples, edges)
    error = (heights**2).sum() * h - 2 * heights @ bin_probabilities(bins) + WHOLE
    (bias, chance), (curves, best) = histogram_error(n, bins), expected_errors(n)

    if not figure.axes:
        left, right = two_axes(figure)
        left.set(xlim=WINDOW, ylim=(0, 0.8), xlabel="x", ylabel="density")
        right.set(xscale="log", yscale="log", xlim=(1.8, 220), xlabel="number of bins")
        right.set_ylim(0.02, 4000)
        right.set_title("squared error in %")
        plain_ticks(right.xaxis, [2, 10, 50, 200])
        plain_ticks(right.yaxis, [0.1, 1, 10, 100])
    left, right = figure.axes
    x = exact.grid(*WINDOW, 201)
    plots.put_title(left, f"N = {spaced(n)}, {bins} bins")
    plots.put_bars(left, "samples", heights, edges, color=plots.DATA)
    plots.put_line(left, "p*", x, target.log_prob(x).exp(), color=plots.P_STAR)
    plots.put_line(right, "bias", BINS, 100 * curves[0], color=plots.MODEL, linestyle="--")
    plots.put_line(right, "chance", BINS, 100 * curves[1], color=plots.FLOOR, linestyle=":")
    plots.put_line(right, "expected", BINS, 100 * curves.sum(0), color=plots.LAW)
    here = {"color": plots.P_STAR, "marker": "o", "linestyle": ""}
    plots.put_line(right, "here", [bins], [100 * error / WHOLE], **here)
    plots.put_legends(left)
    plots.put_legends(right, ncols=2, columnspacing=0.8, handlelength=1.3)
    return (
        f"{spaced(n)} samples in {bins} bins of width {h:.3f}: squared error"
        f" {100 * error / WHOLE:.1f} % of ∫ p*² dx; expected {100 * (bias + chance):.1f} %, bias"
        f" {100 * bias:.1f} % and chance {100 * chance:.1f} %. Best for this N: {best} bins."
    )


def histogram_panel() -> Panel:
    """Return the panel of notebook 1: samples, bins and seed of a histogram."""
    sizes = [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
    controls = {
        "n": number("N", 100, sizes, "samples"),
        "bins": whole_number("number of bins", 60, BINS[0], BINS[-1], "bins"),
        "seed": whole_number("seed", 0, 0, 99, ""),
    }
    stills = [{"n": n, "bins": bins} for n in (100, 10_000) for bins in (8, 60)]
    return Panel("the bins of a histogram", draw_histogram, controls, stills=stills)


# 2 · Steps of Langevin Monte Carlo

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
    plots.put_title(left, f"s = {s:g}, K = {len(path) - 1}{name}")
    edges = np.linspace(-5, 15, 101)
    law = laws[-1] if len(laws) == len(path) else torch.full_like(chain.x, math.nan)
    dashed = {"color": plots.LAW, "linestyle": "--", "linewidth": 1.8}
    heights = plots.bar_heights(path[-1], edges)
    plots.put_bars(left, "particles", heights, edges, color=plots.PARTICLES)
    plots.put_line(left, "target", window, p, color=plots.P_STAR)
    plots.put_line(left, "exact law", chain.x, law, **dashed)
    plots.put_line(right, "particles", range(len(path)), to_target, color=plots.PARTICLES)
    plots.put_line(right, "exact law", range(len(laws)), laws_to_target, **dashed)
    plots.put_line(right, "floor", [0, 100], [floor] * 2, color=plots.FLOOR, linestyle=":")
    plots.put_legends(left, loc="upper left")
    plots.put_legends(right)
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


# 3 · The penalty

ALPHAS = [m * 10**e for e in (-3, -2, -1) for m in (1, 1.5, 2, 3, 5, 7)] + [1.0]
ALPHAS = [round(alpha, 4) for alpha in ALPHAS]
HEIGHTS = [0.5, 1.5, 5, 15, 50, 150, 500]
"""The axis of energies changes in few steps, so that a slider moves the curve and not the axis."""


def penalised_energy(p: Tensor, q: Tensor, alpha: float) -> Tensor:
    """Return the f that minimises E_p[f + αf²] − E_q[f − αf²], point by point (notebook 4)."""
    return (q - p) / (2 * alpha * (p + q))


def draw_penalty(
    figure: FigureBase,
    *,
    alpha: float,
    negatives: str,
    densities_of: Mapping[str, Tensor],
    log_p: Tensor,
    x: Tensor,
) -> str:
    """Show the energy that the penalised loss asks for, and its density, beside p*.

    ``densities_of`` holds the densities of negative samples by name, on the grid x like log p*.
    """
    f = penalised_energy(log_p.exp(), densities_of[negatives], alpha)
    log_model = -f - exact.log_partition(lambda _: f, x, restricted=True)
    bound = 1 / (2 * alpha)
    kl = 1000 * exact.kl(log_p, log_model, x)

    if not figure.axes:
        left, right = two_axes(figure, ratio=(1, 1), margin=0.14)
        left.set(xlim=(-2, 12), xlabel="x", ylabel="energy (nats)")
        right.set(xlim=(-2, 16), ylim=(0, 0.9), xlabel="x", title="density")
    left, right = figure.axes
    top = min(top for top in HEIGHTS if top >= bound)
    left.set(ylim=(-1.2 * top, 2.2 * top))
    plots.put_title(left, f"α = {alpha:g}")
    dotted = {"color": plots.FLOOR, "linestyle": ":"}
    ends = x[[0, -1]]
    plots.put_line(left, "bound", ends, [bound] * 2, **dotted)
    plots.put_line(left, "lower bound", ends, [-bound] * 2, **dotted)
    plots.put_line(left, "truth", x, log_p.max() - log_p + f.min(), color=plots.P_STAR)
    plots.put_line(left, "model", x, f, color=plots.MODEL)
    plots.put_line(right, "truth", x, log_p.exp(), color=plots.P_STAR)
    plots.put_line(right, "asked for", x, log_model.exp(), color=plots.MODEL)
    plots.put_line(right, "±1/(2α)", [], [], **dotted)
    plots.put_legends(right)
    return (
        f"α = {alpha:g}, negative samples: {negatives}. The energy that the loss asks for runs from"
        f" {f.min():.3f} to {f.max():.3f} nats, within ±1/(2α) = ±{bound:.3f}. Its density between"
        f" {x[0]:g} and {x[-1]:g} has a KL of {kl:.1f} millinats."
    )


def penalty_panel(densities_of: Mapping[str, Tensor], target: Distribution, x: Tensor) -> Panel:
    """Return the panel of notebook 4, the penalty trap.

    Args:
        densities_of: densities q of negative samples on the grid, by name.
        target: p*.
        x: the grid, to which all densities are restricted.
    """
    controls = {
        "alpha": number("penalty α", 0.2, ALPHAS, "per nat"),
        "negatives": choice("q", list(densities_of)),
    }
    stills = [{"alpha": alpha} for alpha in (1.0, 0.2, 0.05, 0.01)]
    draw = partial(draw_penalty, densities_of=densities_of, log_p=target.log_prob(x), x=x)
    return Panel("the penalty trap", draw, controls, stills=stills)


# 4 · The particle flow

BOXES = {"from [0, 10]": (0.0, 10.0), "from [0, 15]": (0.0, 15.0)}


class Flow(NamedTuple):
    """Particles and their exact law on the way: (steps + 1, n) and (steps + 1, m)."""

    particles: Tensor
    laws: Tensor


def run_flow(
    energy: Energy, box: str, x: Tensor, *, n_steps: int = 30, s: float = 0.1, n: int = 500
) -> Flow:
    """Let particles flow from a box under an energy, and their law with them."""
    generator = torch.Generator().manual_seed(0)
    x0 = densities.uniform(*BOXES[box], n, generator=generator)
    path = langevin_monte_carlo(energy, x0, n_steps, s, generator=generator, return_trajectory=True)
    return Flow(path[..., 0], exact.law(exact.uniform_law(*BOXES[box], x), energy, x, n_steps, s))


def draw_flow(
    figure: FigureBase,
    *,
    k: int,
    model: str,
    box: str,
    flows: Mapping[tuple[str, str], Flow],
    target: Distribution,
    x: Tensor,
) -> str:
    """Show step k of one of the flows, by model and box, on their grid x."""
    particles, laws = flows[model, box]
    log_p = target.log_prob(x)
    distance = exact.w1(particles[k], log_p, x)
    law_distance = exact.w1_of_laws(laws[k], log_p.exp(), x)
    far = ((particles[k] - target.mean).abs() > 3 * target.stddev).double().mean().item()

    if not figure.axes:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        figure.subplots_adjust(left=0.12, right=0.97, bottom=0.17, top=0.89, hspace=0.12)
        above.set(ylabel="density", ylim=(0, 0.55))
        below.set(xlim=(-2, 17), xlabel="x", xticks=[0, 5, 10, 15], yticks=[])
        below.spines["left"].set_visible(False)
    above, below = figure.axes
    plots.put_title(above, f"{model}, {box}, k = {k}")
    edges = np.linspace(-2, 17, 77)
    heights = plots.bar_heights(particles[k], edges)
    rows = np.random.default_rng(0).uniform(size=len(particles[k]))
    dots = {"marker": "o", "markersize": 2.5, "linestyle": "", "alpha": 0.5, "label": "_"}
    plots.put_bars(above, "particles", heights, edges, color=plots.PARTICLES)
    plots.put_line(above, "p*", x, log_p.exp(), color=plots.P_STAR)
    plots.put_line(above, "exact law", x, laws[k], color=plots.LAW, linestyle="--", linewidth=1.8)
    plots.put_line(below, "dots", particles[k], rows, color=plots.MODEL, **dots)
    plots.put_legends(above)
    return (
        f"Step {k} under {model}, {box}: mean {particles[k].mean():.3f}, sd"
        f" {particles[k].std():.3f}; {100 * far:.1f} % of the particles are more than 3 sd from"
        f" the mean of p*. W₁ to p*: particles {distance:.3f}, exact law {law_distance:.3f}."
    )


def flow_panel(energies: Mapping[str, Energy], target: Distribution) -> Panel:
    """Return the panel of notebook 5: the flow under some energies, step by step or played.

    Args:
        energies: the energies to choose from, by name; each from (n, 1) to (n,).
        target: p*, which the figure compares with.
    """
    x = exact.grid(-15, 30, GRID_POINTS)
    flows = {(name, box): run_flow(f, box, x) for name, f in energies.items() for box in BOXES}
    controls = {
        "k": player("step k", len(next(iter(flows.values())).laws) - 1, "steps"),
        "model": choice("model", list(energies)),
        "box": choice("start", list(BOXES)),
    }
    shown = [(2, "from [0, 10]"), (30, "from [0, 10]"), (30, "from [0, 15]")]
    stills = [{"k": k, "box": box, "model": name} for k, box in shown for name in energies]
    draw = partial(draw_flow, flows=flows, target=target, x=x)
    return Panel("the particle flow", draw, controls, stills=stills)
