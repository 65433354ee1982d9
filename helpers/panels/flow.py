"""The panel of notebook 5: the particle flow."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import FigureBase
from torch import Tensor
from torch.distributions import Distribution

from helpers import densities, exact, plots
from helpers.densities import Energy
from helpers.langevin import langevin_monte_carlo
from helpers.panels.screen import bar_heights, put_bars, put_legends, put_line, put_title
from helpers.panels.widgets import Panel, choice, player

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
    put_title(above, f"{model}, {box}, k = {k}")
    edges = np.linspace(-2, 17, 77)
    heights = bar_heights(particles[k], edges)
    rows = np.random.default_rng(0).uniform(size=len(particles[k]))
    dots = {"marker": "o", "markersize": 2.5, "linestyle": "", "alpha": 0.5, "label": "_"}
    put_bars(above, "particles", heights, edges, color=plots.PARTICLES)
    put_line(above, "p*", x, log_p.exp(), color=plots.P_STAR)
    put_line(above, "exact law", x, laws[k], color=plots.LAW, linestyle="--", linewidth=1.8)
    put_line(below, "dots", particles[k], rows, color=plots.MODEL, **dots)
    put_legends(above)
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
    x = exact.grid(-15, 30, 401)
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
