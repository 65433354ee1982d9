"""The panel of notebook 7: the diagnostics explorer."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from helpers import plots
from helpers.panels.chain import TARGETS
from helpers.panels.controls import choice, number
from helpers.panels.screen import DASHED, put_legends, put_line, put_title, shown, spaced
from helpers.panels.traces import STEPS, WEIGHTS, Settled, of_traces, run, settled
from helpers.panels.widgets import Panel

PLACES = {"from 2 to 8": (2.0, 8.0), "all at 2": (2.0, 2.0), "all at 25": (25.0, 25.0)}
"""Between which places the chains start, evenly."""

KINDS = ["plain", "MALA"]

_SIZES = [round(m * 10**e, 3) for e in (-2, -1) for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 9)]
_SIZES += [1.0, 1.2, 1.5, 1.8, 2.0, 2.2, 2.5]

_MOST, _LAGS, _OWN = 8, 100, {"color": plots.MODEL}

_COLORS = [plots.PARTICLES, plots.MODEL, plots.KDE, plots.GAUSSIAN]

_WIDTHS = [0.2, 0.5, 2, 5, 25]  # few, so that a slider moves the error bars and not their axis


def draw_diagnostics(
    figure: FigureBase, *, s: float, chains: int, seed: int, target: str, start: str, sampler: str
) -> str:
    """Show traces, their autocorrelation, and the error bars of their mean; say what they tell."""
    plain, truth = sampler == KINDS[0], float(np.dot(WEIGHTS[target], TARGETS[target]))
    starts = np.linspace(*PLACES[start], chains)
    traces, law = run(target, plain, s, starts, seed), settled(target, plain, s)
    far = np.flatnonzero(~(np.abs(traces).max(0) < 1e6))
    stuck = (traces == starts[:, None]).all(1).sum()
    left, right, bar = figure.axes or _frame(figure)
    left.set_ylim(-1, max(12, starts.max() + 1))
    put_title(left, f"{sampler}, s = {s:g}")
    _draw_traces(left, traces[:, : far[0]] if far.size else traces, truth)
    at, rho = range(_LAGS + 1), law.rho[: _LAGS + 1] if law else np.full(_LAGS + 1, np.nan)
    put_line(right, "exact law", at, rho, **DASHED)
    put_line(right, "their own", [], [], **_OWN)
    put_legends(right, loc="lower right")
    known = _say_law(law, chains)
    if far.size or stuck:
        _draw_errors(bar, 0, math.nan, math.nan)
        why = f"{stuck} of {chains} chains never moved, so their mean has no error."
        if far.size:
            why = f"Too large a step: a chain has left every bound by step {far[0] + 1}."
        return why + known
    rho, t, r_hat = of_traces(traces)
    put_line(right, "their own", at, rho[: _LAGS + 1], **_OWN)
    mean, own = traces.mean(), math.sqrt(traces.var(1, ddof=1).mean() * t / traces.size)
    _draw_errors(bar, mean - truth, own, law.error(chains) if law else math.nan)
    many, worth = "chain" if chains == 1 else "chains", spaced(round(traces.size / t, 1))
    return (
        f"{chains} {many} of {spaced(STEPS)} steps: mean {mean:.3f} ± {own:.3f}, by their own t of"
        f" {shown(t)} worth {worth} draws; the truth is {truth:.3f}.{known}"
        + (" One chain has no R̂." if chains == 1 else f" Split R̂ {r_hat:.3f}.")
    )


def _say_law(law: Settled | None, chains: int) -> str:
    """Say what is exact of settled chains."""
    if law is None:
        return " No exact law: such a step never settles, or a grid does not hold it."
    mean, worth = f"{law.mean:.3f} ± {law.error(chains):.3f}", spaced(round(law.draws(chains), 1))
    return f" Once settled, exactly: mean {mean}, t {shown(law.time)}, worth {worth} draws."


def _frame(figure: FigureBase) -> list[Axes]:
    """Lay out what stays."""
    axes = figure.subplot_mosaic(
        [["trace", "rho"], ["trace", "error"]], width_ratios=(6, 5), height_ratios=(3, 1)
    )
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.17, top=0.89, wspace=0.3, hspace=1.1)
    left, right, bar = axes.values()
    left.set(xlim=(0, STEPS), xticks=[0, STEPS // 2, STEPS], yticks=range(0, 26, 5))
    left.set(xlabel="step k", ylabel="x")
    right.set(xlim=(0, _LAGS), ylim=(-1.05, 1.05), xlabel="lag j", title="autocorrelation")
    bar.set(ylim=(-0.7, 1.7), xlabel="mean − truth", yticks=[0, 1], yticklabels=["exact", "own"])
    bar.axvline(0, color=plots.P_STAR)
    return figure.axes


def _draw_traces(ax: Axes, traces: np.ndarray, truth: float) -> None:
    """Draw every chain, and the true mean over them."""
    for i in range(_MOST):
        trace = traces[i] if i < len(traces) else []
        put_line(ax, f"chain {i}", range(len(trace)), trace, color=_COLORS[i % 4], linewidth=0.8)
    put_line(ax, "truth", [0, STEPS], [truth] * 2, color=plots.P_STAR)


def _draw_errors(ax: Axes, off: float, own: float, exactly: float) -> None:
    """Draw the mean, so far off the truth, with 1.96 standard errors to each side."""
    reach = abs(off) + 1.96 * own
    width = next((width for width in _WIDTHS if not width < reach), _WIDTHS[-1])
    ax.set(xlim=(-width, width), xticks=[-width, 0, width])
    for name, y, error, style in ("own", 1, own, _OWN), ("exact law", 0, exactly, DASHED):
        ends = [off + side * 1.96 * error for side in (-1, 0, 1)]
        put_line(ax, name, ends, [y] * 3, marker="|", markersize=10, **style)


def diagnostics_panel() -> Panel:
    """Return the panel of notebook 7, the diagnostics explorer."""
    controls = {
        "s": number("step size s", 0.1, _SIZES, "(x²)"),
        "chains": number("chains", 4, range(1, _MOST + 1)),
        "seed": number("seed", 0, range(100)),
        "target": choice("target", list(TARGETS)),
        "start": choice("start", list(PLACES)),
        "sampler": choice("sampler", KINDS),
    }
    two = {"target": "two humps", "sampler": "MALA"}
    stills = [{}, {"s": 0.01}, {**two, "s": 0.6, "start": "all at 2"}, {**two, "s": 2.0}]
    return Panel("the diagnostics explorer", draw_diagnostics, controls, stills=stills)
