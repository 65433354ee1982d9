"""The panel of notebook 5: the particle flow."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import numpy as np
import torch
from matplotlib.figure import FigureBase
from matplotlib.ticker import MultipleLocator
from PIL import Image
from torch import Tensor
from torch.distributions import Distribution

from helpers import densities, exact, plots
from helpers.densities import Energy
from helpers.langevin import langevin_monte_carlo
from helpers.panels.chain import Law, held, start_on_grid
from helpers.panels.controls import choice, number, player
from helpers.panels.screen import (
    DASHED,
    Screen,
    bar_heights,
    put_bars,
    put_legends,
    put_line,
    put_title,
)
from helpers.panels.widgets import Panel, blank

BOXES = {"from [0, 10]": (0.0, 10.0), "from [0, 15]": (0.0, 15.0)}

FLOW_STEPS = 30

FLOW_STEP_SIZE = 0.1


def flow_particles(energy: Energy, box: str, seed: int, *, n: int = 500) -> Tensor:
    """Let particles flow from a box under an energy; return them step by step, (steps + 1, n)."""
    generator = torch.Generator().manual_seed(seed)
    x0 = densities.uniform(*BOXES[box], n, generator=generator)
    options = {"generator": generator, "return_trajectory": True}
    return langevin_monte_carlo(energy, x0, FLOW_STEPS, FLOW_STEP_SIZE, **options)[..., 0]


def flow_law(energy: Energy, box: str) -> Law:
    """Return the exact law of those particles."""
    x, log_p0 = start_on_grid(*BOXES[box], -15.0, 30.0)
    return held(exact.iterate_law(log_p0, energy, x, [FLOW_STEP_SIZE] * FLOW_STEPS), x)


def _put_flow(
    figure: FigureBase,
    title: str,
    particles: Tensor,
    log_law: Tensor,
    log_p: Tensor,
    x: Tensor,
    window: tuple[float, float],
    top: float,
) -> None:
    """Show particles (n,), their exact law and the target on a grid x, up to top."""
    if not figure.axes:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        figure.subplots_adjust(left=0.13, right=0.97, bottom=0.17, top=0.89, hspace=0.12)
        above.set(ylabel="density", ylim=(0, top))
        below.set(xlim=window, xlabel="x", yticks=[])
        below.xaxis.set_major_locator(MultipleLocator(5))
        below.spines["left"].set_visible(False)
    above, below = figure.axes
    put_title(above, title)
    edges = np.linspace(*window, round(4 * (window[1] - window[0])) + 1)
    rows = np.random.default_rng(0).uniform(size=len(particles))
    dots = {"marker": "o", "markersize": 2.5, "linestyle": "", "alpha": 0.5, "label": "_"}
    put_bars(above, "particles", bar_heights(particles, edges), edges, color=plots.PARTICLES)
    put_line(above, "p*", x, log_p.exp(), color=plots.P_STAR)
    put_line(above, "exact law", x, log_law.exp(), **DASHED)
    put_line(below, "dots", particles, rows, color=plots.MODEL, **dots)
    put_legends(above)


def flow_frames(
    trajectory: Tensor, laws: Tensor, log_p: Tensor, x: Tensor, *, window: tuple[float, float]
) -> list[Image.Image]:
    """Return a picture of 700 × 400 pixels for each step of a flow.

    Args:
        trajectory: particles, shape (n_steps + 1, n, 1).
        laws: the exact law of X_k, log-densities on the grid, shape (n_steps + 1, m).
        log_p: the target's log-density on the grid x.
        x: the grid.
        window: the part of it that the pictures show.
    """
    screen, frames, top = Screen(blank(7, 4)), [], 1.4 * log_p.exp().max().item()
    for k, (particles, law) in enumerate(zip(trajectory[..., 0], laws, strict=True)):
        _put_flow(screen.figure, f"step {k}", particles, law, log_p, x, window, top)
        frames.append(screen.picture())
    return frames


def draw_flow(
    figure: FigureBase,
    *,
    k: int,
    model: str,
    box: str,
    seed: int,
    particles_of: Callable[[str, str, int], Tensor],
    law_of: Callable[[str, str], Law],
    target: Distribution,
) -> str:
    """Show step k of the flow under a model from a box, and say how far it is from the target."""
    particles, (x, laws) = particles_of(model, box, seed)[k], law_of(model, box)
    log_p = target.log_prob(x)
    distance = exact.w1(particles, log_p, x)
    says = ". No exact law: the grid does not hold it."
    if k < len(laws):
        says = f", exact law {exact.w1_of_laws(laws[k], log_p, x):.3f}."
    far = ((particles - target.mean).abs() > 3 * target.stddev).double().mean()

    log_law = laws[k] if k < len(laws) else x * np.nan
    _put_flow(figure, f"{model}, {box}, k = {k}", particles, log_law, log_p, x, (-2, 17), 0.55)
    return (
        f"Step {k} under {model}, {box}: mean {particles.mean():.3f}, sd {particles.std():.3f};"
        f" {100 * far:.1f} % of the particles are more than 3 sd from the mean of p*."
        f" W₁ to p*: particles {distance:.3f}{says}"
    )


def flow_panel(energies: Mapping[str, Energy], target: Distribution) -> Panel:
    """Return the panel of notebook 5: the flow under some energies, step by step or played.

    Args:
        energies: the energies to choose from, by name; each from (n, 1) to (n,).
        target: p*, which the figure compares with.
    """
    controls = {
        "k": player("step k", FLOW_STEPS, "steps"),
        "seed": number("seed", 0, range(100)),
        "model": choice("model", list(energies)),
        "box": choice("start", list(BOXES)),
    }
    shown = [(2, "from [0, 10]"), (30, "from [0, 10]"), (30, "from [0, 15]")]
    stills = [{"k": k, "box": box, "model": name} for k, box in shown for name in energies]
    draw = partial(
        draw_flow,
        particles_of=lru_cache(maxsize=256)(
            lambda name, *box: flow_particles(energies[name], *box)
        ),
        law_of=lru_cache(maxsize=None)(lambda name, box: flow_law(energies[name], box)),
        target=target,
    )
    return Panel("the particle flow", draw, controls, stills=stills)
