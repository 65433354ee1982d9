"""Pictures of one figure whose artists move over a frame that is kept."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from PIL import Image
from torch import Tensor

from helpers import plots

DASHED = {"color": plots.LAW, "linestyle": "--", "linewidth": 1.8}
"""How an exact law is drawn."""


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


def put_image(ax: Axes, name: str, picture: np.ndarray) -> None:
    """Draw the moving picture of that name, white on black, from 0 to 1, or change it."""
    for image in ax.images:
        if image.get_gid() == name:
            image.set_data(picture)
            return
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, gid=name, animated=True)
    ax.set_axis_off()


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
        self._canvas = FigureCanvasAgg(figure)
        self._limits: list[tuple[float, ...]] | None = None

    def picture(self) -> Image.Image:
        """Return the figure as it is now."""
        limits = [ax.axis() for ax in self.figure.axes]
        if limits != self._limits:
            self._canvas.draw()
            self._frame, self._limits = self._canvas.copy_from_bbox(self.figure.bbox), limits
        self._canvas.restore_region(self._frame)
        for ax in self.figure.axes:
            for artist in (*ax.images, *ax.patches, *ax.lines, ax.title):
                if artist.get_animated():
                    ax.draw_artist(artist)
        return Image.fromarray(np.asarray(self._canvas.buffer_rgba())[..., :3].copy())


def two_axes(
    figure: FigureBase, *, ratio: tuple[int, int] = (3, 2), margin: float = 0.13
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
    """Write a positive number with three decimals, from 10 on one, from 10⁴ on a power of ten."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1e4 else f"{value:.1e}"


def spaced(n: int) -> str:
    """Write a whole number with a space between thousands."""
    return f"{n:,}".replace(",", " ")
