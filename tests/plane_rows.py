"""How close in two dimensions: the recipe and its rivals on seven densities, three seeds each.

python tests/plane_rows.py               write figures/plane.csv, which notebook 8 shows
python tests/plane_rows.py moons rings   print these alone
"""

import argparse
import math
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from course import FIGURES, print_anywhere
from helpers.exact import plane
from helpers.rivals import mixture_by_bic
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
    mixture = mixture_by_bic(samples, most=30)
    fits = {
        "recipe": plane.log_density(energy, on)[0],
        "mixture by BIC": mixture.log_prob(on.points).reshape(log_p.shape),
        "KDE, tuned": kernel_density(samples, on)[0],
    }
    return {name: 1000 * plane.kl(log_p, fit, on) for name, fit in fits.items()} | {"s": seconds}


def kernel_density(samples: Tensor, on: plane._Grid) -> tuple[Tensor, Tensor]:
    """Return a KDE's log-density and its widths (2,), times the sd's, by a held-out fifth."""
    sd = samples.std(0)
    z, held = samples / sd, torch.arange(len(samples)) % 5 == 0

    def likelihood(width: float) -> float:
        rows = (torch.cdist(part, z[~held]).div(width) for part in z[held].split(500))
        logs = torch.cat([torch.logsumexp(-(row**2) / 2, 1) for row in rows])
        return logs.mean().item() - 2 * math.log(width)

    h = max(np.geomspace(0.01, 0.4, 20), key=likelihood) * sd
    A, B = ((-(((on.axis - samples[:, k, None]) / h[k]) ** 2) / 2).exp() / h[k] for k in (0, 1))
    return (A.T @ B / (2 * math.pi * len(samples))).clamp(min=1e-300).log(), h


def table(names: list[str]) -> Iterator[dict]:
    """Yield a row for each density and seed."""
    for name in tqdm(names, unit="density"):
        for seed in SEEDS:
            yield {"density": name, "seed": seed} | row(name, seed)


def main() -> None:
    """Measure, and print or write."""
    torch.set_num_threads(1)
    print_anywhere()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="density", help=", ".join(SHAPES))
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in SHAPES]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(SHAPES)}")
    rows = pd.DataFrame(table(names or list(SHAPES))).round(2)
    print(rows.to_string(index=False))
    if not names:
        rows.to_csv(FILE, index=False)


if __name__ == "__main__":
    main()
