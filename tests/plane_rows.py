"""How close in two dimensions: the recipe and its rivals on seven densities, three seeds each.

What ``benchmark.py --plane`` prints, and writes to figures/plane.csv, which notebook 8 shows.
"""

import math
import time
from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from course import FIGURES
from helpers.exact import plane
from helpers.rivals import kde_widths, mixture_by_bic
from helpers.shapes import SHAPES
from helpers.training import fit_energy

N, SEEDS = 10_000, range(3)
FILE = FIGURES / "plane.csv"


def row(name: str, seed: int) -> dict[str, float]:
    """Return the KL of each, in millinats, and the recipe's seconds of processor time.

    A fit may put mass where the density has none, so the grid is 1.8 times as wide.
    """
    shape = SHAPES[name]
    samples = shape.draw(N, generator=torch.Generator().manual_seed(seed))
    on = plane.grid(1.8 * shape.reach, 251)
    log_p, _ = plane.log_density(shape.energy, on)
    begin = time.process_time()
    energy, _ = fit_energy(samples, seed=seed, show_progress=False)
    seconds = time.process_time() - begin
    mixture = mixture_by_bic(samples, most=30, patience=30)
    fits = {
        "recipe": plane.log_density(energy, on)[0],
        "mixture by BIC": mixture.log_prob(on.points).reshape(log_p.shape),
        "KDE, tuned": kernel_density(samples, on)[0],
    }
    return {name: 1000 * plane.kl(log_p, fit, on) for name, fit in fits.items()} | {"s": seconds}


def kernel_density(samples: Tensor, on: plane._Grid) -> tuple[Tensor, Tensor]:
    """Return the log-density of a KDE of chosen widths on a grid, and the widths (2,)."""
    h = kde_widths(samples)
    A, B = ((-(((on.axis - samples[:, k, None]) / h[k]) ** 2) / 2).exp() / h[k] for k in (0, 1))
    return (A.T @ B / (2 * math.pi * len(samples))).clamp(min=1e-300).log(), h


def demands(kl: pd.Series) -> float:
    """Return the largest median KL in millinats that we want where the medians are these."""
    mixture, kde = kl["mixture by BIC"], kl["KDE, tuned"]
    wanted = {"eight Gaussians": kde / 2, "moons": mixture, "Gaussian": 6.0}
    return wanted.get(kl.name, 0.6 * min(mixture, kde))


def main(names: Iterable[str] = SHAPES) -> list[dict]:
    """Measure and print; if it is all of them, write the file. Return the rows."""
    rows = [
        {"density": name, "seed": seed} | row(name, seed)
        for name in tqdm(names, unit="density")
        for seed in SEEDS
    ]
    runs = pd.DataFrame(rows).round(2)
    groups = runs.drop(columns="seed").groupby("density", sort=False)
    medians = groups.median()
    most = medians.apply(demands, axis=1)
    table = groups.agg(["median", "max"])
    table["wanted", "≤"] = most
    print(f"N = {N:,}; KL in millinats and seconds of processor time: median and worst of 3 seeds")
    print(table.round(1).to_string())
    print(f"{(medians.recipe <= most).sum()} of {len(most)} medians are as low as we want")
    if set(runs.density) == set(SHAPES):
        runs.to_csv(FILE, index=False)
    return rows
