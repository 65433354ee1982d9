"""The panel of notebook 8: eight modes, reached from one; and the pictures of its animation."""

from functools import lru_cache

import numpy as np
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from PIL import Image

from helpers import plots
from helpers.exact import plane
from helpers.panels import modes
from helpers.panels.controls import choice, number, player
from helpers.panels.screen import Screen, put_legends, put_line, put_title
from helpers.panels.widgets import Panel, blank

MOVES = ["Langevin", "with jumps"]

LEVELS = [0.5, 0.1, 0.01, 0.001]
"""Where the law's contours are, in units of the greatest density of p*."""

NAMES = ["the start", "1 away", "2 away", "3 away", "opposite"]
"""The modes, in order of their distance from the start along the circle; three of them twofold."""

_COLORS = [plots.FLOOR, plots.KDE, plots.GAUSSIAN, plots.MODEL, plots.LAW]

_APART = [[np.nan] * 2]  # between lines that are drawn as one

_run = lru_cache(maxsize=8)(modes.run)
_law = lru_cache(maxsize=4)(modes.Law)


def draw_plane(figure: FigureBase, *, k: int, sd: float, s: float, seed: int, moves: str) -> str:
    """Show particles and law after k rounds, and the modes' weights until then; say the numbers."""
    path, law = _run(sd, s, moves == MOVES[1], seed)[: k + 1], _law(sd, s, moves == MOVES[1])
    log_law, weights = law.up_to(k)
    shares = modes.shares(path)
    left, right = figure.axes or _frame(figure)
    _put_map(left, path[-1], law, k, sd)
    put_title(left, f"{moves}, k = {k}")
    for away, (name, color) in enumerate(zip(NAMES, _COLORS, strict=True)):
        both = shares[::4, [away, -away % 8]].mean(1)
        dots = {"marker": "o", "markersize": 3, "linestyle": "", "color": color, "label": "_"}
        put_line(right, name, range(k + 1), weights[:, away], color=color, linewidth=1.8)
        put_line(right, f"dots {name}", range(0, k + 1, 4), both, **dots)
    put_legends(right, loc="center left", bbox_to_anchor=(1, 0.5), handlelength=1)
    kl = 1000 * plane.kl(law.log_p, log_law, law.on)
    return (
        f"After {k} rounds of {s:g} the mode of the start holds {weights[k, 0]:.3f} of the law and"
        f" {shares[k, 0]:.3f} of the {modes.PARTICLES} particles, the opposite mode"
        f" {weights[k, 4]:.1e} and {shares[k, 4]:.3f}; 0.125 is due to each."
        f" KL(p* ‖ law) is {kl:.1f} millinats."
    )


def _frame(figure: FigureBase) -> list[Axes]:
    """Lay out what stays."""
    left, right = figure.subplots(1, 2, width_ratios=(10, 9))
    figure.subplots_adjust(left=0.01, right=0.78, bottom=0.17, top=0.89, wspace=0.3)
    _clear(left)
    right.set(xlim=(0, modes.ROUNDS), yscale="log", ylim=(1e-6, 1.5), xlabel="round k")
    right.set_title("weight of a mode")
    right.axhline(1 / 8, color=plots.P_STAR, linewidth=1)
    return figure.axes


def _clear(ax: Axes) -> None:
    """Make axes a map without a frame."""
    ax.set(xlim=(-3.9, 3.9), ylim=(-3.9, 3.9), aspect="equal")
    ax.axis("off")


def _put_map(ax: Axes, particles: np.ndarray, law: modes.Law, k: int, sd: float) -> None:
    """Show particles, each mode at two standard deviations, and the contours of the law."""
    angle = np.linspace(0, 2 * np.pi, 41)
    ring = 2 * sd * np.stack([np.cos(angle), np.sin(angle)], 1)
    rings = [np.append(centre + ring, _APART, 0) for centre in modes.CENTRES]
    contours = contour_generator(law.on.axis, law.on.axis, law.up_to(k)[0].T.numpy())
    levels = law.log_p.max().item() + np.log(LEVELS)
    lines = [np.append(line, _APART, 0) for level in levels for line in contours.lines(level)]
    dots = {"marker": "o", "markersize": 2.5, "linestyle": "", "color": plots.PARTICLES}
    put_line(ax, "particles", *particles.T, **dots)
    put_line(ax, "p*", *np.concatenate(rings).T, color=plots.P_STAR, linewidth=1)
    put_line(ax, "exact law", *np.concatenate(lines).T, color=plots.LAW, linewidth=1)


def plane_frames(sd: float, s: float, *, last: int = 60, every: int = 3) -> list[Image.Image]:
    """Return pictures of 700 × 370 pixels, plain Langevin beside Langevin with jumps.

    In the titles: the round, and the law's weight in the mode opposite the start.
    """
    screen, frames = Screen(blank(7, 3.7)), []
    axes = screen.figure.subplots(1, 2)
    screen.figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.89, wspace=0.02)
    for ax in axes:
        _clear(ax)
    for k in range(0, last + 1, every):
        for ax, moves in zip(axes, MOVES, strict=True):
            law = _law(sd, s, moves == MOVES[1])
            _put_map(ax, _run(sd, s, moves == MOVES[1], 0)[k, :300], law, k, sd)
            put_title(ax, f"{moves}, k = {k}: {law.up_to(k)[1][k, 4]:.3f}")
        frames.append(screen.picture())
    return frames


def plane_panel() -> Panel:
    """Return the panel of notebook 8: eight modes, reached from one."""
    controls = {
        "k": player("round k", modes.ROUNDS, "rounds"),
        "sd": number("spread sd", 0.4, [0.2, 0.25, 0.3, 0.35, 0.4], "(x)"),
        "s": number("step size s", 0.04, [0.02, 0.03, 0.04, 0.05, 0.06], "(x²)"),
        "seed": number("seed", 0, range(100)),
        "moves": choice("moves", MOVES),
    }
    narrow, jumping = {"sd": 0.3, "s": 0.02}, {"moves": MOVES[1]}
    stills = [{"k": 40, **a, **b} for a in ({}, narrow) for b in ({}, jumping)]
    return Panel("the eight modes", draw_plane, controls, stills=stills)
