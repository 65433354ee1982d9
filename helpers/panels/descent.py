"""The panel of notebook 10: down the levels of noise, beside a Langevin chain."""

import math
from functools import lru_cache, partial

import torch
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from torch import Tensor

from helpers import densities, exact, plots
from helpers.exact import reverse
from helpers.panels.controls import choice, number
from helpers.panels.screen import DASHED, put_bars, put_legends, put_line, put_title, shown
from helpers.panels.widgets import Panel
from helpers.scores import Score, geometric, powers

WEIGHTS, MEANS, SD = [0.2, 0.5, 0.3], [0.0, 6.0, 12.0], 0.7
LOW, HIGH = 0.1, 20.0
START = 6.6, math.sqrt(18.13 + HIGH**2)
"""Mean and standard deviation of the law that all begin with: that of the noisiest data, nearly."""

SPACINGS = {"geometric": geometric, "7th roots": powers, "even": partial(powers, power=1.0)}
NOISES = {"ancestral": 0.0, "Euler–Maruyama": math.inf}
_MOST, _S = 100, 0.1
_X, _FAR = exact.grid(-5, 17, 2201), exact.grid(-140, 154, 981)
_LANGEVIN = {"color": plots.GAUSSIAN, "linewidth": 2}


def _humps(noise: float) -> torch.distributions.Distribution:
    return densities.mixture(WEIGHTS, MEANS, [math.hypot(SD, noise)] * 3)


def exact_score(x: Tensor, level: float) -> Tensor:
    """Return the slope of the log-density of the three humps with noise, of x (n, 1)."""
    means, v = torch.tensor(MEANS, dtype=x.dtype), SD**2 + level**2
    logs = torch.tensor(WEIGHTS, dtype=x.dtype).log() - (x - means) ** 2 / (2 * v)
    return (logs.softmax(1) @ means[:, None] - x) / v


@lru_cache(maxsize=1)
def langevin_laws() -> Tensor:
    """Return the laws of a plain chain, s = 0.1, from the same start after each of 100 steps."""
    start = densities.gaussian(*START).log_prob(_FAR)
    return exact.law(start, densities.energy_of(_humps(0.0)), _FAR, _MOST, _S)


@lru_cache(maxsize=64)
def descended(score: Score, steps: int, spacing: str, noise: str) -> Tensor:
    """Return the density at the lowest level, on a grid that cuts off what is far out."""
    levels, v = SPACINGS[spacing](HIGH, LOW, steps), NOISES[noise]
    *_, (_, log_q) = reverse.line_law(score, levels, START, v=v, last=_X)
    return log_q.exp()


def _weights(p: Tensor, x: Tensor) -> list[float]:
    mass = p * (x[1] - x[0])
    return [mass[(x >= a) & (x < a + 6)].sum().item() for a in (-3.0, 3.0, 9.0)]


def _kl(p: Tensor, q: Tensor, x: Tensor) -> float:
    """Return KL(p ‖ q) in millinats, which is infinite where q has nothing."""
    return 1000 * exact.integrate(torch.special.xlogy(p, p) - torch.special.xlogy(p, q), x).item()


def draw_descent(
    figure: FigureBase, *, learned: Score, steps: int, score: str, spacing: str, noise: str
) -> str:
    """Show the sampler's exact law and the weights of its humps; say them, and the KL."""
    slope = exact_score if score == "exact" else learned
    law, wanted = descended(slope, steps, spacing, noise), _humps(LOW).log_prob(_X).exp()
    chain, plain = langevin_laws()[steps].exp(), _humps(0.0).log_prob(_FAR).exp()
    left, right = figure.axes or _frame(figure)
    put_title(left, f"{steps} step{'s' * (steps > 1)}, {spacing}, {score}")
    put_line(left, "p*, noise 0.1", _X, wanted, color=plots.P_STAR, linewidth=3)
    put_line(left, "Langevin", _FAR, chain, **_LANGEVIN)
    put_line(left, "sampler's law", _X, law, **DASHED)
    put_legends(left, loc="upper left")
    shares, stuck = _weights(law, _X), _weights(chain, _FAR)
    _draw_weights(right, shares, stuck)
    kl, far = _kl(wanted, law, _X), _kl(plain, chain, _FAR)
    found = [" ".join(f"{w:.3f}" for w in one) for one in (shares, stuck, WEIGHTS)]
    many = f"{steps} {noise} step{'s' * (steps > 1)}"
    told = f"KL {shown(kl)} millinats" if math.isfinite(kl) else "no KL: it has gaps"
    return (
        f"{many} down {spacing} levels, {score} score: weights {found[0]}, {told}. Langevin, as"
        f" many steps: weights {found[1]}, KL {shown(far)}. Right: {found[2]}."
    )


def _frame(figure: FigureBase) -> list[Axes]:
    """Lay out what stays."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.subplots_adjust(left=0.12, right=0.97, bottom=0.17, top=0.89, wspace=0.25)
    left.set(xlim=(-5, 17), ylim=(0, 0.75), xlabel="x", ylabel="density")
    right.set(xlim=(-0.6, 2.6), ylim=(0, 1), xticks=range(3), xticklabels=["0", "6", "12"])
    right.set(xlabel="hump at", title="weights")
    return [left, right]


def _draw_weights(ax: Axes, shares: list[float], stuck: list[float]) -> None:
    """Draw each hump's weight, as a bar, beside Langevin's and p*'s, as marks."""
    heights = [h for share in shares for h in (share, 0.0)][:-1]
    edges = [e for i in range(3) for e in (i - 0.35, i + 0.35)]
    put_bars(ax, "sampler", heights, edges, color=plots.FLOOR, alpha=0.6)
    marks = {"marker": "_", "markersize": 30, "markeredgewidth": 4, "linestyle": "none"}
    put_line(ax, "Langevin", range(3), stuck, color=plots.GAUSSIAN, **marks)
    put_line(ax, "p*", range(3), WEIGHTS, color=plots.P_STAR, **marks)


def descent_panel(learned: Score) -> Panel:
    """Return the panel of notebook 10, for a score that was learned for levels 0.1 to 20."""
    controls = {
        "steps": number("steps K", 20, range(1, _MOST + 1)),
        "score": choice("score", ["exact", "learned"]),
        "spacing": choice("levels", list(SPACINGS)),
        "noise": choice("step", list(NOISES)),
    }
    stills = [{"steps": 5}, {"steps": 50}, {"steps": 50, "spacing": "even"}]
    stills += [{"steps": 50, "score": "learned"}]
    draw = partial(draw_descent, learned=learned)
    return Panel("down the levels", draw, controls, stills=stills)
