"""How close, how fast: the recipe and its rivals against exact densities, over five seeds.

python tests/benchmark.py                 on the test set, and the targets met (ten minutes)
python tests/benchmark.py --development   on the development set, with other seeds
python tests/benchmark.py --few           with 30 to 1 000 samples
python tests/benchmark.py --plane         in two dimensions; writes figures/plane.csv (ten minutes)
python tests/benchmark.py --peers         against TorchEBM, how the sampler's cost grows, and in the
                                          plane against TorchEBM and a spline flow (forty minutes)
python tests/benchmark.py --rounding      the recipe with its weights rounded and not, ten seeds
python tests/benchmark.py --images        the digits of notebook 9, three splits (seven minutes)
python tests/benchmark.py --closing       all ways of the course; writes figures/closing.csv
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

import closing
import images_rows
import peers
import plane_peers
import plane_rows
from course import print_anywhere
from helpers import densities, exact, training
from helpers.article import fit_energy_as_published
from helpers.densities import Energy
from helpers.jumps import sample
from helpers.langevin import langevin_monte_carlo
from helpers.rivals import kde_log_density, kde_width, mixture_by_bic
from helpers.training import fit_energy
from targets import DEVELOPMENT, TEST, Target

N, DRAWS = 10_000, 5000
SEEDS, DEVELOPMENT_SEEDS = range(5), range(100, 105)
OURS, PUBLISHED, TUNED, BIC = "final recipe", "as published", "KDE, tuned", "mixture by BIC"
SHAPES = ("Gamma(3)", "t(5)", "Laplace", "uniform(0, 1)", "lognormal(1)")
"""Densities that are no mixture of Gaussians: there we want 0.7 of the better rival's KL."""


def final(samples: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Fit by the course's recipe; return its seconds, its log-density on x and its draws."""
    begin = time.perf_counter()
    energy, _ = fit_energy(samples, seed=seed, show_progress=False)
    seconds = time.perf_counter() - begin
    generator = torch.Generator().manual_seed(1000 + seed)
    draws = sample(energy, DRAWS, data=samples, generator=generator)
    return seconds, log_density(energy, x), draws


def log_density(energy: Energy, x: Tensor) -> Tensor:
    """Return log p_θ on the grid x, normalised on one three times as wide.

    The referee expects a density to fall where the grid ends. A network's may ripple there, where
    there is next to nothing of it; and what there is does count, if it lies within reach.
    """
    span = (x[-1] - x[0]).item()
    more = exact.grid(x[0].item() - span, x[-1].item() + span, 3 * len(x) - 2)
    return exact.log_density(energy, more, restricted=True)[len(x) - 1 : 2 * len(x) - 1]


def published(samples: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Fit and draw as the article does; its density is restricted to [−5, 20]."""
    begin = time.perf_counter()
    energy, _ = fit_energy_as_published(samples, seed=seed, show_progress=False)
    seconds = time.perf_counter() - begin
    generator = torch.Generator().manual_seed(1000 + seed)
    start = densities.uniform(0, 10, DRAWS, generator=generator)
    draws = langevin_monte_carlo(energy, start, 15, lambda k: 1 / (k + 1), generator=generator)
    return seconds, exact.log_density(energy, x, restricted=True), draws


def kde(samples: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Estimate by kernels of Scott's width."""
    return _rival(time.perf_counter(), kde_log_density(samples, x), seed, x)


def tuned_kde(samples: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Estimate by kernels whose width is chosen by leave-one-out likelihood."""
    begin = time.perf_counter()
    width = kde_width(samples)
    return _rival(begin, kde_log_density(samples, x, width=width), seed, x)


def mixture(samples: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Fit the Gaussian mixture that the BIC prefers."""
    begin = time.perf_counter()
    return _rival(begin, mixture_by_bic(samples).log_prob(x[:, None]), seed, x)


def gaussian_fit(samples: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Fit a Gaussian by maximum likelihood."""
    begin = time.perf_counter()
    fit = densities.gaussian(samples.mean().item(), samples.std(correction=0).item())
    return _rival(begin, fit.log_prob(x), seed, x)


def _rival(begin: float, log_q: Tensor, seed: int, x: Tensor) -> tuple[float, Tensor, Tensor]:
    """Return the seconds since begin, log_q on x, and draws of it."""
    seconds, generator = time.perf_counter() - begin, torch.Generator().manual_seed(1000 + seed)
    return seconds, log_q, exact.perfect_draws(log_q, x, DRAWS, generator=generator)


RECIPES = {
    OURS: final,
    "KDE, Scott": kde,
    TUNED: tuned_kde,
    BIC: mixture,
    PUBLISHED: published,
    "Gaussian fit": gaussian_fit,
}


def measure(name: str, target: Target, recipes: list[str], seeds: range) -> Iterator[dict]:
    """Yield a row for each recipe and seed, which are run in turn; KL in millinats, W1 in floors.

    A floor is the median W1 of a hundred sets of perfect draws. What a recipe is warned of, or why
    it has no density, stands under ``said``; its KL is then infinite.
    """
    log_p, x = target.log_p(target.x), target.x
    floor = exact.w1_floor(log_p, x, DRAWS, generator=torch.Generator().manual_seed(0)).median()
    for seed in seeds:
        samples = target.draw(N, seed)
        for recipe in recipes:
            row = {"target": name, "recipe": recipe, "seed": seed, "w1_floor": floor.item()}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    seconds, log_q, draws = RECIPES[recipe](samples, seed, x)
                    kl, w1 = 1000 * exact.kl(log_p, log_q, x), exact.w1(draws, log_p, x)
                except (ValueError, RuntimeError) as error:
                    seconds, kl, w1, caught = math.nan, math.inf, math.inf, [error]
            said = str(getattr(caught[0], "message", caught[0])) if caught else ""
            yield row | {"kl": kl, "w1": w1, "seconds": seconds, "said": said}


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each target and recipe, over the seeds."""
    groups = runs.groupby(["target", "recipe"], sort=False)
    return groups.agg(
        kl=("kl", "median"),
        kl_worst=("kl", "max"),
        w1=("w1", "median"),
        w1_floor=("w1_floor", "first"),
        seconds=("seconds", "median"),
    )


def demands(name: str, kl: pd.Series, gaussians: bool, development: bool) -> tuple[float, str]:
    """Return the largest median KL in millinats that we want on a target, and how it is called."""
    best = min(kl[TUNED], kl[BIC])
    if development:
        if gaussians:
            return kl[TUNED], "tuned KDE"
        return best, "better rival"
    if name in SHAPES:
        return 0.7 * best, "0.7 × better rival"
    if name.startswith("N("):
        return 0.2, "0.2"
    return 0.8 * kl[TUNED], "0.8 × tuned KDE"


def verdicts(table: pd.DataFrame, targets: dict[str, Target]) -> list[dict]:
    """Return a row for each target: what is wanted, what came, and whether it is met."""
    development, rows = targets.keys() <= DEVELOPMENT.keys(), []
    lasts = table.seconds.get(("N(5, 1)", PUBLISHED), math.nan)
    for name, target in targets.items():
        ours, kl = table.loc[name, OURS], table.kl[name]
        most, wanted = demands(name, kl, target.gaussians, development)
        row = {"target": name, "wanted": wanted, "median ≤": most, "median": ours.kl}
        row |= {
            "met": ours.kl <= most,
            "/ tuned": ours.kl / kl[TUNED],
            "/ mixture": ours.kl / kl[BIC],
        }
        row |= {"worst ≤": 2 * kl[TUNED], "worst": ours.kl_worst}
        row |= {"met ": ours.kl_worst <= 2 * kl[TUNED], "W1 / floor": ours.w1 / ours.w1_floor}
        if math.isfinite(lasts):
            share = 0.4 if name == "N(5, 1)" else 1.0
            row |= {"seconds ≤": share * lasts, "seconds": ours.seconds}
            row |= {"met  ": ours.seconds <= share * lasts}
        rows.append(row)
    return rows


def few_samples(targets: dict[str, Target], sizes: tuple[int, ...]) -> Iterator[dict]:
    """Yield a row for each target and number of samples: median KL in millinats over the seeds."""
    recipes = (OURS, TUNED, BIC, "Gaussian fit")
    for name, target in targets.items():
        log_p = target.log_p(target.x)
        for n in tqdm(sizes, desc=f"few samples of {name}", leave=False):
            kls = {recipe: [] for recipe in recipes}
            for seed in SEEDS:
                samples = target.draw(n, seed)
                for recipe, values in kls.items():
                    try:
                        log_q = RECIPES[recipe](samples, seed, target.x)[1]
                        values.append(1000 * exact.kl(log_p, log_q, target.x))
                    except ValueError:  # narrower than the grid, or beyond it
                        values.append(math.inf)
            wins = sum(a < b for a, b in zip(kls[OURS], kls[TUNED], strict=True))
            medians = {recipe: median(values) for recipe, values in kls.items()}
            worst = {f"worst {recipe}": max(kls[recipe]) for recipe in (OURS, TUNED)}
            yield {"target": name, "n": n, **medians, **worst, "wins": f"{wins} of {len(SEEDS)}"}


def rounding(targets: dict[str, Target], seeds: range = range(10)) -> Iterator[dict]:
    """Yield a row a target: KL in millinats with the weights rounded, and with all their digits.

    The seeds are those of data and training. A grain of 2⁻⁶⁰ changes no weight of a size near 1.
    """
    grains = {"rounded": training._GRAIN, "not rounded": 2.0**-60}
    for name, target in tqdm(targets.items(), desc="rounding", leave=False):
        log_p, row = target.log_p(target.x), {"target": name}
        for label, grain in grains.items():
            training._GRAIN, kls = grain, []
            for seed in seeds:
                energy, _ = fit_energy(target.draw(N, seed), seed=seed, show_progress=False)
                log_q = log_density(energy, target.x)
                kls.append(1000 * exact.kl(log_p, log_q, target.x))
            row |= {f"{label}, median": median(kls), f"{label}, worst": max(kls)}
        training._GRAIN = grains["rounded"]
        yield row


def compare(targets: dict[str, Target], seeds: range, path: Path | None) -> None:
    """Measure all recipes on all targets, and print two tables; path gets the rows as they come."""
    fit_energy(TEST["N(5, 1)"].draw(500, 0), updates=50, show_progress=False)  # warm up
    rows, everywhere = [], [OURS, "KDE, Scott", TUNED, BIC]
    with tqdm(total=len(targets) * len(seeds), desc="benchmark", mininterval=5) as bar:
        for name, target in targets.items():
            recipes = list(RECIPES) if name == "N(5, 1)" else everywhere
            bar.set_postfix_str(name)
            for row in measure(name, target, recipes, seeds):
                rows.append(row)
                bar.update(row["recipe"] == recipes[-1])
            save(rows, path)
    runs = pd.DataFrame(rows)
    table = summary(runs)
    print(f"N = {N:,}, {len(seeds)} seeds; KL in millinats; W1 of {DRAWS:,} draws and of perfect")
    print("ones, which is the floor; seconds of a whole fit, choice of the settings included\n")
    show(table.reset_index(), "{:.4g}")
    for row in runs[runs.said != ""].to_dict("records"):
        print(f"{row['target']}, {row['recipe']}, seed {row['seed']}: {row['said']}")
    print("\nWhat is wanted of the final recipe, and what came; / is a ratio of median KLs")
    print("and no run may be worse than twice the tuned KDE's median\n")
    judged = pd.DataFrame(verdicts(table, targets))
    show(judged, "{:.3g}")
    met = judged[[column for column in judged if column.strip() == "met"]]
    print(f"\n{int(met.to_numpy().sum())} of {met.size} demands are met")


def save(rows: list[dict] | dict[str, list[dict]], path: Path | None) -> None:
    """Write what was measured so far, if a file is wanted."""
    if path:
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def show(rows: list[dict] | pd.DataFrame, form: str) -> None:
    """Print a table."""
    text = {True: "yes", False: "NO"}
    shown = pd.DataFrame(rows)
    shown = shown.map(lambda value: text[bool(value)] if str(value) in ("True", "False") else value)
    print(shown.to_string(index=False, float_format=form.format))


def arguments() -> tuple[argparse.Namespace, dict[str, Target]]:
    """Return the options and the chosen targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--development", action="store_true", help="on the development set")
    what.add_argument("--few", action="store_true", help="with few samples (a few minutes)")
    what.add_argument("--plane", action="store_true", help="in two dimensions (ten minutes)")
    what.add_argument(
        "--peers", action="store_true", help="with TorchEBM and zuko's flow (forty minutes)"
    )
    what.add_argument("--images", action="store_true", help="the digits; writes figures/images.csv")
    what.add_argument("--rounding", action="store_true", help="what rounding the weights costs")
    what.add_argument("--closing", action="store_true", help="all ways (a quarter of an hour)")
    parser.add_argument("--targets", nargs="+", metavar="NAME", help="on these alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured")
    options = parser.parse_args()
    if options.json and not options.json.parent.is_dir():
        parser.error(f"there is no folder {options.json.parent}")
    known = plane_rows.SHAPES if options.plane else DEVELOPMENT if options.development else TEST
    chosen = options.targets or known
    if options.few and not options.targets:
        chosen = ("N(5, 1)", "two modes", "Gamma(3)")
    strange = [name for name in chosen if name not in known]
    if strange:
        parser.error(f"--targets: {', '.join(strange)}; there are {', '.join(known)}")
    return options, {name: known[name] for name in chosen}


def main() -> None:
    """Measure, print and perhaps write."""
    torch.set_num_threads(1)
    print_anywhere()
    options, targets = arguments()
    if options.peers:
        tables = peers.main()
        save(tables, options.json)
        save(tables | {"plane": plane_peers.main()}, options.json)
    elif options.plane:
        save(plane_rows.main(targets), options.json)
    elif options.images:
        table = images_rows.main()
        show(table.astype(object).fillna(""), "{:.3f}")
        save(table.to_dict("records"), options.json)
    elif options.closing:
        save(closing.main(), options.json)
    elif options.rounding:
        rows = list(rounding(targets))
        show(rows, "{:.2f}")
        save(rows, options.json)
    elif options.few:
        rows = list(few_samples(targets, (30, 100, 300, 1000)))
        print(
            f"Few samples, median KL in millinats over {len(SEEDS)} seeds; wins over the tuned KDE"
        )
        show(rows, "{:.1f}")
        save(rows, options.json)
    else:
        seeds = DEVELOPMENT_SEEDS if options.development else SEEDS
        compare(targets, seeds, options.json)


if __name__ == "__main__":
    main()
