"""One look for all figures: who has which colour, and the pictures that come back.

Colours are from Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

P_STAR = "#D55E00"  # the unknown density, vermillion
MODEL = "#0072B2"  # what we learned, blue
PARTICLES = "#56B4E9"  # particles and their histograms, sky blue
LAW = "#000000"  # the exact law of a chain, black
DATA = "#B0B0B0"  # the data, grey
KDE = "#009E73"  # the kernel density estimate, green
GAUSSIAN = "#CC79A7"  # the Gaussian fit, purple
FLOOR = "#707070"  # the floor of a yardstick, dark grey


def use_style() -> None:
    """Set the course's look: large enough for the back row, nothing on the page but the data."""
    sns.set_theme(
        context="notebook",
        style="ticks",
        font_scale=1.15,
        rc={
            "figure.figsize": (8, 4),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 2.2,
            "legend.frameon": False,
            "font.family": "DejaVu Sans",
        },
    )


def histogram(
    ax: Axes, samples: Tensor | np.ndarray, *, label: str, color: str = DATA, bins=60, **options
) -> None:
    """Draw a histogram of samples, of any shape, as a density (its area is 1)."""
    values = np.asarray(samples).ravel()
    ax.hist(values, bins=bins, density=True, color=color, label=label, edgecolor="none", **options)


def put_line(ax: Axes, name: str, x: Sequence[float], y: Sequence[float], **options) -> None:
    """Draw the moving line of that name (its label, if options give none), or move it."""
    for line in ax.lines:
        if line.get_gid() == name:
            line.set_data(x, y)
            return
    ax.plot(x, y, gid=name, animated=True, **{"label": name, **options})


def bar_heights(samples: Tensor | np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the heights of a histogram over even edges; what lies outside counts to its area."""
    counts, _ = np.histogram(samples, edges)
    return counts / (len(samples) * (edges[1] - edges[0]))


def put_bars(ax: Axes, name: str, heights: np.ndarray, edges: np.ndarray, **options) -> None:
    """Draw the moving histogram of that name from its heights and edges, or move it."""
    for bars in ax.patches:
        if bars.get_gid() == name:
            bars.set_data(heights, edges)
            return
    ax.stairs(heights, edges, fill=True, gid=name, animated=True, label=name, **options)


def put_title(ax: Axes, title: str) -> None:
    """Give axes a title that moves with their lines."""
    ax.set_title(title, animated=True)


def put_legends(*axes: Axes, **options) -> None:
    """Give each of the axes a legend, unless it has one."""
    for ax in axes:
        if ax.get_legend() is None:
            ax.legend(**{"loc": "upper right", "fontsize": 11, **options})


class Screen:
    """Takes pictures of a figure: moving artists are drawn over a frame that is kept.

    The frame (axes, ticks, legends) takes most of the time; it is drawn again when a limit changes.
    """

    def __init__(self, figure: Figure):
        self.figure = figure
        self.canvas = FigureCanvasAgg(figure)
        self.limits: list[tuple[float, ...]] | None = None

    def picture(self) -> Image.Image:
        """Return the figure as it is now."""
        limits = [ax.axis() for ax in self.figure.axes]
        if limits != self.limits:
            self.canvas.draw()
            self.frame, self.limits = self.canvas.copy_from_bbox(self.figure.bbox), limits
        self.canvas.restore_region(self.frame)
        for ax in self.figure.axes:
            for artist in (*ax.patches, *ax.lines, ax.title):
                if artist.get_animated():
                    ax.draw_artist(artist)
        return rgb(self.canvas)


def rgb(canvas: FigureCanvasAgg) -> Image.Image:
    """Return what is drawn on a canvas."""
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def trajectories(ax: Axes, trajectory: Tensor, *, n: int = 60) -> None:
    """Draw the first n particles of a trajectory (n_steps + 1, ·, 1) against the step number."""
    ax.plot(trajectory[:, :n, 0], color=PARTICLES, linewidth=0.8, alpha=0.6)
    ax.set(xlabel="step k", ylabel="x", xlim=(0, len(trajectory) - 1))


def flow_frames(
    trajectory: Tensor, laws: Tensor, log_p: Tensor, x: Tensor, *, window: tuple[float, float]
) -> list[Image.Image]:
    """Draw a particle flow: a frame a step, with the histogram, the exact law and the target.

    Args:
        trajectory: particles, shape (n_steps + 1, n, 1).
        laws: the exact law of X_k on the grid, shape (n_steps + 1, m).
        log_p: the target's log-density on the grid.
        x: the grid.
        window: the part of it that the picture shows.

    Returns:
        n_steps + 1 pictures of 700 × 400 pixels.
    """
    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    height = 1.25 * log_p.max().exp().item()
    bins = np.linspace(*window, 51)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    rows = np.random.default_rng(0).uniform(size=trajectory.shape[1])
    frames = []
    for k, particles in enumerate(trajectory[..., 0]):
        above.clear()
        below.clear()
        histogram(above, particles, label="particles", color=PARTICLES, bins=bins)
        above.plot(x, log_p.exp(), color=P_STAR, label="p*")
        above.plot(x, laws[k], color=LAW, linestyle="--", linewidth=1.8, label="exact law")
        above.set(title=f"step {k}", ylabel="density", ylim=(0, height))
        above.legend(loc="upper right")
        below.scatter(particles, rows, s=6, color=MODEL, alpha=0.5, linewidths=0)
        below.set(xlabel="x", yticks=[], xlim=window)
        below.spines["left"].set_visible(False)
        canvas.draw()
        frames.append(rgb(canvas))
    return frames


def save_gif(frames: Sequence[Image.Image], path: str | Path) -> None:
    """Write pictures as a GIF that plays for ever: 10 a second, with a rest at both ends.

    One palette of 32 colours, taken from the first, middle and last picture, serves all of them;
    so the file is small and comes out the same every time.
    """
    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(chosen)))
    for i, frame in enumerate(chosen):
        strip.paste(frame, (0, i * height))
    palette = strip.quantize(32, dither=Image.Dither.NONE)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [600, *[100] * (len(frames) - 2), 1500]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def small_multiples(n: int, *, columns: int = 4, height: float = 2.6) -> list[Axes]:
    """Return n axes side by side, sharing both scales, and hide what is left of the last row."""
    rows = -(-n // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(10, height * rows), sharex=True, sharey=True, squeeze=False
    )
    for unused in axes.flat[n:]:
        unused.set_visible(False)
    return list(axes.flat[:n])
