"""The panel of notebook 4: the penalty trap."""

from collections.abc import Mapping
from functools import partial

from matplotlib.figure import FigureBase
from torch import Tensor
from torch.distributions import Distribution

from helpers import exact, plots
from helpers.panels.controls import choice, number
from helpers.panels.screen import put_legends, put_line, put_title, two_axes
from helpers.panels.widgets import Panel

_ALPHAS = [round(m * 10**e, 4) for e in (-3, -2, -1) for m in (1, 1.5, 2, 3, 5, 7)] + [1.0]

_HEIGHTS = [0.5, 1.5, 5, 15, 50, 150, 500]
"""The axis of energies changes in few steps, so that a slider moves the curve and not the axis."""


def penalised_energy(log_p: Tensor, log_q: Tensor, alpha: float) -> Tensor:
    """Return the f that minimises E_p[f + αf²] − E_q[f − αf²], point by point (notebook 4).

    It is (q − p)/(p + q) / 2α.
    """
    return ((log_q - log_p) / 2).tanh() / (2 * alpha)


def draw_penalty(
    figure: FigureBase,
    *,
    alpha: float,
    negatives: str,
    log_densities: Mapping[str, Tensor],
    log_p: Tensor,
    x: Tensor,
) -> str:
    """Show the energy that the penalised loss asks for, and its density, beside p*.

    ``log_densities`` are those of negative samples, by name, on the grid x like log p*.
    """
    f = penalised_energy(log_p, log_densities[negatives], alpha)
    log_model = -f - exact.log_partition(lambda _: f, x, restricted=True)
    bound = 1 / (2 * alpha)
    kl = 1000 * exact.kl(log_p, log_model, x)

    if not figure.axes:
        left, right = two_axes(figure, ratio=(1, 1), margin=0.15)
        left.set(xlim=(-2, 12), xlabel="x", ylabel="energy (nats)")
        right.set(xlim=(-2, 19), ylim=(0, 0.9), xlabel="x", title="density")
    left, right = figure.axes
    top = min(top for top in _HEIGHTS if top >= bound)
    left.set(ylim=(-1.2 * top, 2.2 * top))
    put_title(left, f"α = {alpha:g}")
    dotted = {"color": plots.FLOOR, "linestyle": ":"}
    ends = x[[0, -1]]
    put_line(left, "bound", ends, [bound] * 2, **dotted)
    put_line(left, "lower bound", ends, [-bound] * 2, **dotted)
    put_line(left, "truth", x, log_p.max() - log_p + f.min(), color=plots.P_STAR)
    put_line(left, "model", x, f, color=plots.MODEL)
    put_line(right, "truth", x, log_p.exp(), color=plots.P_STAR)
    put_line(right, "asked for", x, log_model.exp(), color=plots.MODEL)
    put_line(right, "±1/(2α)", [], [], **dotted)
    put_legends(right)
    return (
        f"α = {alpha:g}, negative samples: {negatives}. The energy that the loss asks for runs from"
        f" {f.min():.3f} to {f.max():.3f} nats, within ±1/(2α) = ±{bound:.3f}. Its density between"
        f" {x[0]:g} and {x[-1]:g} has a KL of {kl:.1f} millinats."
    )


def penalty_panel(log_densities: Mapping[str, Tensor], target: Distribution, x: Tensor) -> Panel:
    """Return the panel of notebook 4, the penalty trap.

    Args:
        log_densities: log q of negative samples on the grid, by name.
        target: p*.
        x: the grid, to which all densities are restricted: what they have elsewhere is not seen.
    """
    controls = {
        "alpha": number("penalty α", 0.2, _ALPHAS, "per nat"),
        "negatives": choice("q", list(log_densities)),
    }
    stills = [{"alpha": alpha} for alpha in (1.0, 0.2, 0.05, 0.01)]
    draw = partial(draw_penalty, log_densities=log_densities, log_p=target.log_prob(x), x=x)
    return Panel("the penalty trap", draw, controls, stills=stills)
