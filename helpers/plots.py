"""One look for all figures: who has which colour, and the pictures that come back.

Colours are from Okabe and Ito's palette, which colour-blind readers can tell apart.
"""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython import get_ipython
from matplotlib.axes import Axes
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
    """Set the course's look, whatever the reader's matplotlibrc says, and have pictures shown.

    In a kernel that was started with ``MPLBACKEND=Agg``, ``plt.show()`` would show nothing.
    """
    shell = get_ipython()
    if hasattr(shell, "kernel") and matplotlib.get_backend().lower() == "agg":
        shell.run_line_magic("matplotlib", "inline")
    plt.style.use("default")
    sns.set_theme(context="notebook", style="ticks", font_scale=1.15)
    plt.style.use("helpers.course")


def histogram(
    ax: Axes, samples: Tensor | np.ndarray, *, label: str, color: str = DATA, bins=60, **options
) -> None:
    """Draw a histogram of samples, of any shape, as a density (its area is 1)."""
    values = np.asarray(samples).ravel()
    ax.hist(values, bins=bins, density=True, color=color, label=label, edgecolor="none", **options)


def trajectories(ax: Axes, trajectory: Tensor, *, n: int = 60) -> None:
    """Draw the first n particles of a trajectory (n_steps + 1, ·, 1) against the step number."""
    ax.plot(trajectory[:, :n, 0], color=PARTICLES, linewidth=0.8, alpha=0.6)
    ax.set(xlabel="step k", ylabel="x", xlim=(0, len(trajectory) - 1))


def small_multiples(n: int, *, columns: int = 4, height: float = 2.6) -> list[Axes]:
    """Return n axes side by side, sharing both scales, and hide what is left of the last row."""
    rows = -(-n // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(10, height * rows), sharex=True, sharey=True, squeeze=False
    )
    for unused in axes.flat[n:]:
        unused.set_visible(False)
    return list(axes.flat[:n])
