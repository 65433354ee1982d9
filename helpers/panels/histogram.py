"""The panel of notebook 1: the bins of a histogram."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import FigureBase

from helpers import densities, exact, plots
from helpers.panels.controls import number
from helpers.panels.screen import (
    bar_heights,
    plain_ticks,
    put_bars,
    put_legends,
    put_line,
    put_title,
    spaced,
    two_axes,
)
from helpers.panels.widgets import Panel

_BINS = range(2, 201)

_WINDOW = (0.0, 10.0)

_WHOLE = 1 / (2 * math.sqrt(math.pi))
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
    probabilities, h = _bin_probabilities(bins), (_WINDOW[1] - _WINDOW[0]) / bins
    squares = float(np.square(probabilities).sum())
    chance = (probabilities.sum() - squares) / (n * h)
    return HistogramError((_WHOLE - squares / h) / _WHOLE, float(chance) / _WHOLE)


@cache
def _bin_probabilities(bins: int) -> np.ndarray:
    """Return the probability of each bin over [0, 10] under N(5, 1)."""
    edges = torch.linspace(*_WINDOW, bins + 1, dtype=torch.float64)
    return densities.gaussian(5.0, 1.0).cdf(edges).diff().numpy()


@cache
def expected_errors(n: int) -> tuple[np.ndarray, int]:
    """Return bias and chance for each number of bins, (2, 199), and the best number of bins."""
    errors = np.array([histogram_error(n, bins) for bins in _BINS]).T
    return errors, _BINS[int(errors.sum(0).argmin())]


def draw_histogram(figure: FigureBase, *, n: int, bins: int, seed: int) -> str:
    """Show a histogram of n draws of N(5, 1), and its squared error among those expected."""
    target = densities.gaussian(5.0, 1.0)
    samples = densities.draw(target, n, generator=torch.Generator().manual_seed(seed))
    edges = np.linspace(*_WINDOW, bins + 1)
    h, heights = edges[1] - edges[0], bar_heights(samples, edges)
    error = (heights**2).sum() * h - 2 * heights @ _bin_probabilities(bins) + _WHOLE
    (bias, chance), (curves, best) = histogram_error(n, bins), expected_errors(n)

    if not figure.axes:
        left, right = two_axes(figure, ratio=(1, 1))
        left.set(xlim=_WINDOW, ylim=(0, 0.8), xticks=[0, 5, 10], xlabel="x", ylabel="density")
        right.set(xscale="log", yscale="log", xlim=(1.8, 220), xlabel="number of bins")
        right.set_ylim(0.02, 4000)
        right.set_title("squared error in %")
        plain_ticks(right.xaxis, [2, 10, 50, 200])
        plain_ticks(right.yaxis, [0.1, 1, 10, 100])
    left, right = figure.axes
    x = exact.grid(*_WINDOW, 201)
    put_title(left, f"N = {spaced(n)}, {bins} bins")
    put_bars(left, "samples", heights, edges, color=plots.DATA)
    put_line(left, "p*", x, target.log_prob(x).exp(), color=plots.P_STAR)
    put_line(right, "bias", _BINS, 100 * curves[0], color=plots.MODEL, linestyle="--")
    put_line(right, "chance", _BINS, 100 * curves[1], color=plots.FLOOR, linestyle=":")
    put_line(right, "expected", _BINS, 100 * curves.sum(0), color=plots.LAW)
    here = {"color": plots.P_STAR, "marker": "o", "linestyle": ""}
    put_line(right, "here", [bins], [100 * error / _WHOLE], **here)
    put_legends(left)
    put_legends(right, ncols=2, columnspacing=0.6, handlelength=1.2)
    return (
        f"{spaced(n)} samples in {bins} bins of width {h:.3f}: squared error"
        f" {100 * error / _WHOLE:.1f} % of ∫ p*² dx; expected {100 * (bias + chance):.1f} %, bias"
        f" {100 * bias:.1f} % and chance {100 * chance:.1f} %. Best for this N: {best} bins."
    )


def histogram_panel() -> Panel:
    """Return the panel of notebook 1: samples, bins and seed of a histogram."""
    sizes = [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
    controls = {
        "n": number("N", 100, sizes, "samples"),
        "bins": number("number of bins", 60, _BINS, "bins"),
        "seed": number("seed", 0, range(100)),
    }
    stills = [{"n": n, "bins": bins} for n in (100, 10_000) for bins in (8, 60)]
    return Panel("the bins of a histogram", draw_histogram, controls, stills=stills)
