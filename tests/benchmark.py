"""How close, how fast: the recipes against exact densities, over five seeds; one table a question.

python tests/benchmark.py                 print the tables (about five minutes)
python tests/benchmark.py --json FILE     and write the first one's rows
python tests/benchmark.py --peers         against TorchEBM, and how the sampler's cost grows
python tests/benchmark.py --rounding      the recipe with its weights rounded and not, ten seeds
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats as st
import torch
from torch import Tensor
from tqdm import tqdm

import peers
from course import print_anywhere
from helpers import densities, exact, training
from helpers.article import fit_energy_as_published
from helpers.data import kde_log_density
from helpers.langevin import langevin_monte_carlo, sample
from helpers.training import fit_energy

SEEDS = range(5)
N = 10_000
DRAWS = 5000


class Target(NamedTuple):
    """A density to be learned: its log-density, a seeded draw, and a grid for every integral."""

    log_p: Callable[[Tensor], Tensor]
    draw: Callable[[int, int], Tensor]
    x: Tensor


def known(p, low: float, high: float, points: int = 4001) -> Target:
    """Return a target that is a ``torch.distributions`` object from helpers."""

    def draw(n: int, seed: int) -> Tensor:
        return densities.draw(p, n, generator=torch.Generator().manual_seed(seed))

    return Target(p.log_prob, draw, exact.grid(low, high, points))


def from_scipy(p, low: float, high: float, points: int = 4001) -> Target:
    """Return a target that is a frozen scipy distribution."""

    def draw(n: int, seed: int) -> Tensor:
        return torch.from_numpy(p.rvs(size=n, random_state=np.random.default_rng(seed)))[:, None]

    return Target(lambda x: torch.from_numpy(p.logpdf(x)), draw, exact.grid(low, high, points))


TARGETS = {
    "N(5, 1)": known(densities.gaussian(5.0, 1.0), -5, 20),
    "two modes": known(densities.mixture([0.5, 0.5], [-2.0, 2.0], [0.6, 0.9]), -20, 20),
    "Gamma(3, 1)": from_scipy(st.gamma(3), -20, 60, 8001),
    "three modes": known(
        densities.mixture([1 / 3] * 3, [-4.0, 0.0, 3.0], [0.3, 0.3, 0.4]), -25, 25
    ),
    "t(5)": from_scipy(st.t(5), -200, 200, 20_001),
    "N(5000, 1000²)": known(densities.gaussian(5000.0, 1000.0), -5000, 20_000),
    "N(0.005, 0.001²)": known(densities.gaussian(0.005, 0.001), -0.005, 0.02),
}


def final(samples: Tensor, seed: int, target: Target) -> tuple[float, Tensor, Tensor]:
    """Fit by the course's recipe; return its seconds, its log-density and its draws."""
    begin = time.perf_counter()
    energy, _ = fit_energy(samples, seed=seed, show_progress=False)
    seconds = time.perf_counter() - begin
    generator = torch.Generator().manual_seed(1000 + seed)
    draws = sample(energy, DRAWS, data=samples, generator=generator)
    return seconds, exact.log_density(energy, target.x), draws


def published(samples: Tensor, seed: int, target: Target) -> tuple[float, Tensor, Tensor]:
    """Fit and draw as the article does; its density is restricted to [−5, 20]."""
    begin = time.perf_counter()
    energy, _ = fit_energy_as_published(samples, seed=seed, show_progress=False)
    seconds = time.perf_counter() - begin
    generator = torch.Generator().manual_seed(1000 + seed)
    start = densities.uniform(0, 10, DRAWS, generator=generator)
    draws = langevin_monte_carlo(energy, start, 15, lambda k: 1 / (k + 1), generator=generator)
    return seconds, exact.log_density(energy, target.x, restricted=True), draws


def kde(samples: Tensor, seed: int, target: Target) -> tuple[float, Tensor, Tensor]:
    """Fit scipy's kernel density estimate with Scott's rule; a draw is a sample plus noise."""
    begin = time.perf_counter()
    estimate = st.gaussian_kde(samples.flatten().numpy())
    seconds = time.perf_counter() - begin
    draws = torch.from_numpy(estimate.resample(DRAWS, seed=1000 + seed))
    return seconds, kde_log_density(samples, target.x), draws.T


def gaussian_fit(samples: Tensor, seed: int, target: Target) -> tuple[float, Tensor, Tensor]:
    """Fit a Gaussian by maximum likelihood."""
    begin = time.perf_counter()
    fit = densities.gaussian(samples.mean().item(), samples.std(correction=0).item())
    seconds = time.perf_counter() - begin
    generator = torch.Generator().manual_seed(1000 + seed)
    return seconds, fit.log_prob(target.x), densities.draw(fit, DRAWS, generator=generator)


RECIPES = {
    "as published, KL on [−5, 20]": published,
    "final recipe": final,
    "KDE": kde,
    "Gaussian fit": gaussian_fit,
}


def measure(name: str, recipes: list[str]) -> list[dict]:
    """Return a row for each recipe on one target, over the seeds, which are run in turn."""
    target = TARGETS[name]
    log_p = target.log_p(target.x)
    runs = {recipe: [] for recipe in recipes}
    for seed in SEEDS:
        samples = target.draw(N, seed)
        for recipe in recipes:
            seconds, log_q, draws = RECIPES[recipe](samples, seed, target)
            w1 = exact.w1(draws, log_p, target.x)
            runs[recipe].append((exact.kl(log_p, log_q, target.x), w1, seconds))
    floor = exact.w1_floor(log_p, target.x, DRAWS, generator=torch.Generator().manual_seed(0))
    rows = []
    for recipe, values in runs.items():
        kls, w1s, seconds = zip(*values, strict=True)
        row = {"target": name, "recipe": recipe, "kl_median": median(kls), "kl_worst": max(kls)}
        row |= {"w1_median": median(w1s), "w1_floor": floor.median().item()}
        rows.append(row | {"seconds_median": median(seconds), "kls": kls})
    return rows


def small_samples(name: str, sizes: list[int]) -> list[dict]:
    """Compare the final recipe with the KDE and the Gaussian fit on few samples, over the seeds."""
    target = TARGETS[name]
    log_p = target.log_p(target.x)
    rows = []
    for n in tqdm(sizes, desc=f"few samples of {name}", leave=False):
        kls = {"final recipe": [], "KDE": [], "Gaussian fit": []}
        for seed in SEEDS:
            samples = target.draw(n, seed)
            for recipe, values in kls.items():
                log_q = RECIPES[recipe](samples, seed, target)[1]
                values.append(exact.kl(log_p, log_q, target.x))
        wins = sum(a < b for a, b in zip(kls["final recipe"], kls["KDE"], strict=True))
        medians = {recipe: median(values) for recipe, values in kls.items()}
        rows.append({"target": name, "n": n, **medians, "better than KDE": f"{wins} of 5"})
    return rows


def rounding(seeds: range = range(10)) -> list[dict]:
    """Return a row a target: KL in millinats with the weights rounded, and with all their digits.

    The seeds are those of data and training. A grain of 2⁻⁶⁰ changes no weight of a size near 1.
    """
    rows, grains = [], {"rounded": training._GRAIN, "not rounded": 2.0**-60}
    for name in tqdm(TARGETS, desc="rounding", leave=False):
        target, row = TARGETS[name], {"target": name}
        for label, grain in grains.items():
            training._GRAIN, kls = grain, []
            for seed in seeds:
                energy, _ = fit_energy(target.draw(N, seed), seed=seed, show_progress=False)
                log_q = exact.log_density(energy, target.x)
                kls.append(1000 * exact.kl(target.log_p(target.x), log_q, target.x))
            row |= {f"{label}, median": median(kls), f"{label}, worst": max(kls)}
        rows.append(row)
    training._GRAIN = grains["rounded"]
    return rows


def main() -> None:
    """Measure, print and perhaps write."""
    torch.set_num_threads(1)
    print_anywhere()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the rows: of the first table, or of --peers",
    )
    parser.add_argument(
        "--peers", action="store_true", help="compare with TorchEBM instead (about six minutes)"
    )
    parser.add_argument(
        "--rounding", action="store_true", help="what rounding the weights costs (ten minutes)"
    )
    arguments = parser.parse_args()
    path = arguments.json
    if path and not path.parent.is_dir():
        parser.error(f"there is no folder {path.parent}")
    if arguments.rounding:
        print(pd.DataFrame(rounding()).to_string(index=False, float_format="{:.2f}".format))
        return
    if arguments.peers:
        tables = peers.main()
        if path:
            path.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
        return

    fit_energy(TARGETS["N(5, 1)"].draw(500, 0), updates=50, show_progress=False)  # warm up

    rows = []
    for name in tqdm(TARGETS, desc="targets", leave=False):
        recipes = list(RECIPES) if name == "N(5, 1)" else ["final recipe", "KDE"]
        rows += measure(name, recipes)
    table = pd.DataFrame(rows)
    shown = table.drop(columns="kls").assign(
        kl_median=(1000 * table.kl_median).map("{:.2f}".format),
        kl_worst=(1000 * table.kl_worst).map("{:.2f}".format),
    )
    print(f"N = {N:,}, {len(SEEDS)} seeds; KL in millinats; W1 of {DRAWS:,} draws")
    print(shown.to_string(index=False, float_format="{:.4g}".format))

    seconds = table.set_index(["target", "recipe"]).seconds_median["N(5, 1)"]
    ratio = seconds["final recipe"] / seconds["as published, KL on [−5, 20]"]
    print(f"\nseconds on N(5, 1), final recipe / as published: {ratio:.2f}")
    for name, group in table.groupby("target", sort=False):
        ours, other = (group[group.recipe == recipe].iloc[0] for recipe in ("final recipe", "KDE"))
        worse = sum(a >= b for a, b in zip(ours.kls, other.kls, strict=True))
        ratio = ours.kl_median / other.kl_median
        print(f"{name}: median KL / KDE's {ratio:.2f}; runs no better than the KDE: {worse} of 5")

    sizes = [30, 50, 100, 200, 500, 1000]
    few = [row for name in ("N(5, 1)", "two modes") for row in small_samples(name, sizes)]
    print("\nFew samples, median KL in millinats over five seeds")
    few = pd.DataFrame(few)
    few[["final recipe", "KDE", "Gaussian fit"]] *= 1000
    print(few.to_string(index=False, float_format="{:.1f}".format))
    if path:
        text = json.dumps(table.drop(columns="kls").to_dict("records"), indent=1)
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
