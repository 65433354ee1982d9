"""The panel of notebook 3: the step-size explorer."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from torch import Tensor
from torch.distributions import Distribution

from helpers import exact, plots
from helpers.panels.chain import (
    PARTICLES,
    SAMPLERS,
    SCHEDULES,
    STARTS,
    TARGETS,
    Chain,
    Setting,
    run_chain,
)
from helpers.panels.controls import choice, number
from helpers.panels.screen import (
    DASHED,
    bar_heights,
    plain_ticks,
    put_bars,
    put_legends,
    put_line,
    put_title,
    shown,
    two_axes,
)
from helpers.panels.widgets import Panel

_STEPS = [m * 10**e for e in (-2, -1, 0) for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)]
_STEPS = sorted(
    {round(s, 3) for s in _STEPS} | {0.9, 1.1, 1.7, 1.8, 1.9, 2.1, 2.2, 4.5, 10, 15, 20}
)

_SIGMAS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0]

_WINDOW = exact.grid(-5, 15, 401)

_DOTTED = {"color": plots.FLOOR, "linestyle": ":"}


def draw_steps(figure: FigureBase, *, seed: int, **choices: Any) -> str:
    """Show the particles after some steps with their exact law, and W₁ to the target on the way.

    ``choices`` are those of ``Setting``.
    """
    chain = run_chain(Setting(**choices), seed)
    if not figure.axes:
        _frame(figure)
    left, right = figure.axes
    _draw_last(left, chain)
    last, floor = _draw_distances(right, chain)
    put_legends(left, loc="upper left")
    return f"{_say_chain(chain)} W₁ to the target {shown(last)}, floor {floor:.3f}."


def _frame(figure: FigureBase) -> None:
    """Lay out what stays."""
    left, right = two_axes(figure)
    left.set(xlim=(-5, 15), xlabel="x", ylabel="density")
    right.set(xlim=(0, 100), yscale="log", ylim=(0.005, 300), xlabel="step k")
    right.set_title("W₁ to the target")
    plain_ticks(right.yaxis, [0.01, 0.1, 1, 10, 100])


def _draw_last(ax: Axes, chain: Chain) -> None:
    """Show the particles, their exact law and the target after the last step."""
    setting, path, (x, log_p) = chain.setting, chain.path, chain.law
    p = setting.density.log_prob(_WINDOW).exp()
    ax.set_ylim(0, 1.8 * p.max().item())
    name = "" if setting.plain else ", MALA"
    put_title(ax, f"s = {setting.s:g}, K = {len(path) - 1}{name}")
    edges = np.linspace(-5, 15, 101)
    law = log_p[len(path) - 1].exp() if chain.held else x * math.nan
    put_bars(ax, "particles", bar_heights(path[-1], edges), edges, color=plots.PARTICLES)
    put_line(ax, "target", _WINDOW, p, color=plots.P_STAR)
    put_line(ax, "exact law", x, law, **DASHED)
    put_line(ax, "floor", [], [], **_DOTTED)


def _draw_distances(ax: Axes, chain: Chain) -> tuple[float, float]:
    """Show W₁ to the target step by step; return the particles' last one, and the floor."""
    particles, law = chain.distances()
    floor = floor_of_w1(chain.setting.density)
    put_line(ax, "particles", range(len(particles)), particles, color=plots.PARTICLES)
    put_line(ax, "exact law", range(len(law)), law, **DASHED)
    put_line(ax, "floor", [0, 100], [floor] * 2, **_DOTTED)
    return particles[-1].item(), floor


def floor_of_w1(target: Distribution) -> float:
    """Return the mean W₁ of 2 000 perfect draws (notebook 1)."""
    x = exact.grid(-20, 30, 1001)
    return exact.mean_w1(target.log_prob(x), x, PARTICLES)


def variance_and_error(particles: Tensor) -> tuple[float, float]:
    """Return the variance of particles (n,) and its standard error, √((fourth − variance²)/n)."""
    squares = (particles - particles.mean()).square()
    return particles.var().item(), squares.std().item() / math.sqrt(len(particles))


def _say_chain(chain: Chain) -> str:
    """Say in words what a run of the explorer shows."""
    setting, k, moments = chain.setting, len(chain.path) - 1, chain.moments
    variance, error = variance_and_error(chain.path[-1])
    says = [f"After {k} steps: variance {shown(variance)} ± {shown(error)} measured"]
    says[0] += f", {shown(moments[1])} exact" if moments else ""
    says[0] += f"; the target has {setting.density.variance:.3f}."
    if setting.plain:
        says += _say_stability(setting)
    elif k:
        moved = (chain.path[1:] != chain.path[:-1]).double().mean()
        says.append(f"{100 * moved:.1f} % of the moves accepted.")
    if chain.stopped:
        says.append(f"The sampler gave up at step {chain.stopped}; drawn is the step before.")
    if not chain.held:
        says.append(
            f"No exact law at step {k}: beyond step {len(chain.law.log_p) - 1} a grid of"
            f" {len(chain.law.x)} points may not hold it."
        )
    return " ".join(says)


def _say_stability(setting: Setting) -> list[str]:
    """Say what a constant step that is too large does, if it is.

    A Langevin step takes x from μ + d to μ − (s/σ² − 1)d, but for its noise; μ is the mean of the
    hump that is nearest, or between both. So with two humps s = 2σ² itself is no limit: far out the
    chain is thrown to the other side, and there it is one distance between the humps further in.
    """
    limit = 2 * setting.sigma**2
    equal, humps = math.isclose(setting.s, limit), len(setting.means)
    if not setting.constant or (setting.s < limit and not equal) or (equal and humps == 2):
        return []
    if equal:
        return [f"s is 2σ² = {limit:g}: the chain walks at random and never settles."]
    if humps == 2:
        return [
            f"s is beyond 2σ² = {limit:g}: in a hump each step overshoots by more than the last,"
            " and from far out the chain diverges."
        ]
    return [f"s is beyond 2σ² = {limit:g}: the chain diverges."]


def step_panel() -> Panel:
    """Return the panel of notebook 3, the step-size explorer."""
    controls = {
        "s": number("step size s", 0.1, _STEPS, "(x²)"),
        "n_steps": number("steps K", 20, range(101), "steps"),
        "sigma": number("width σ", 1.0, _SIGMAS, "(x)"),
        "seed": number("seed", 0, range(100)),
        "target": choice("target", list(TARGETS)),
        "start": choice("start", list(STARTS)),
        "sampler": choice("sampler", SAMPLERS),
        "schedule": choice("step", SCHEDULES),
    }
    stills = [{"s": s, "n_steps": k} for s, k in [(0.1, 5), (0.1, 50), (1.0, 50), (1.9, 50)]]
    stills += [{"s": 2.5, "n_steps": 50}, {"s": 2.5, "n_steps": 50, "sampler": SAMPLERS[1]}]
    return Panel("the step-size explorer", draw_steps, controls, stills=stills)
