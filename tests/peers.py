"""Against TorchEBM, and how the sampler's cost grows: what ``benchmark.py --peers`` prints."""

import math
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers import densities, exact
from helpers.densities import Energy
from helpers.energy import EnergyNet
from helpers.jumps import sample
from helpers.langevin import langevin_monte_carlo
from helpers.rivals import mixture_by_bic
from helpers.training import fit_energy, train

N, DRAWS, UPDATES, REPEATS = 10_000, 5000, 1200, 5
SEEDS = range(3)
TARGETS = {
    "N(5, 1)": (densities.gaussian(5.0, 1.0), exact.grid(-5, 20, 4001)),
    "two modes": (
        densities.mixture([0.5, 0.5], [-2.0, 2.0], [0.6, 0.9]),
        exact.grid(-20, 20, 4001),
    ),
}
STEP_SIZES = [0.001, 0.01, 0.03]
"""TorchEBM's steps, in standardised units: its default, and two that a user might try.

Its best step is the one with the smallest KL to the truth, which a user could not know.
"""

PARTICLES = [128, 1000, 10_000, 100_000]
LIBRARIES = {"torchebm": "torchebm==0.8.9", "zuko": "zuko==1.6.0"}
"""The peers, and what pip installs them by; nothing else in the course needs them."""


def check_installed() -> None:
    """Say which of the peers are missing, and how to install them.

    Raises:
        SystemExit: if one is.
    """
    missing = [by for name, by in LIBRARIES.items() if find_spec(name) is None]
    if missing:
        raise SystemExit(
            "--peers compares with libraries that nothing else here needs; first run"
            f" python -m pip install {' '.join(missing)}"
        )


def torchebm():
    """Return the parts of TorchEBM that we use."""
    from torchebm.core import BaseModel
    from torchebm.losses import ContrastiveDivergence
    from torchebm.samplers import LangevinDynamics

    class Model(BaseModel):
        """An energy of helpers, as TorchEBM wants it."""

        def __init__(self, energy: Callable[[Tensor], Tensor]):
            super().__init__(dtype=torch.float64)
            self.energy = energy

        def forward(self, x: Tensor) -> Tensor:
            return self.energy(x)

    return Model, LangevinDynamics, ContrastiveDivergence


def fit_theirs(
    samples: Tensor, seed: int, base: bool, step_size: float
) -> tuple[float, EnergyNet, Tensor]:
    """Fit by TorchEBM, with the recipe's network; return seconds, energy and draws.

    The draws start at data, like ours, and take 100 steps.
    """
    generator = torch.Generator().manual_seed(seed)
    parts = len(mixture_by_bic(samples).mixture_distribution.probs)
    begin = time.perf_counter()
    units = base * (64 if parts > 1 else 16)
    energy = EnergyNet(samples, units=units, base=base, generator=generator)
    data = (samples - energy.centre) / energy.scale
    sampler = train_theirs(energy, data, step_size, generator)
    seconds = time.perf_counter() - begin
    start = data[torch.randint(len(data), (DRAWS,), generator=generator)]
    draws = sampler.sample(start, n_steps=100, generator=generator)
    return seconds, energy, energy.centre + energy.scale * draws


def train_theirs(
    energy: EnergyNet,
    data: Tensor,
    step_size: float,
    generator: torch.Generator,
    *,
    lr: float = 2e-2,
):
    """Train by TorchEBM's persistent contrastive divergence on standardised data; return its chain.

    What it leaves to its user is as in our recipe: data in standardised units, and our ``train``
    with the same arguments, the learning rate too if none is given. The rest are its defaults (10
    Langevin steps an update, a buffer of 10 000, a penalty of 0.001).
    """
    Model, LangevinDynamics, ContrastiveDivergence = torchebm()
    model = Model(energy.standard)
    sampler = LangevinDynamics(model, step_size=step_size, dtype=torch.float64)
    loss_of = ContrastiveDivergence(model, sampler, persistent=True, dtype=torch.float64)

    def loss(_: Energy, real: Tensor, state: None, g: torch.Generator) -> tuple[Tensor, None]:
        return loss_of(real, generator=g)[0], None

    options = {"updates": UPDATES, "lr": lr, "decay": 1000 * data.shape[1] / len(data)}
    train(energy.standard, data, loss, generator=generator, show_progress=False, **options)
    return sampler


def fit_ours(samples: Tensor, seed: int, base: bool) -> tuple[float, EnergyNet, Tensor]:
    """Fit by the course's recipe; return seconds, energy and draws."""
    begin = time.perf_counter()
    energy, _ = fit_energy(samples, seed=seed, base=base, updates=UPDATES, show_progress=False)
    seconds = time.perf_counter() - begin
    generator = torch.Generator().manual_seed(1000 + seed)
    return seconds, energy, sample(energy, DRAWS, data=samples, generator=generator)


def fits() -> list[dict]:
    """Return a row for each density, network and recipe: median KL, W1, seconds over the seeds."""
    recipes = {"course": fit_ours}
    recipes |= {f"TorchEBM, step {s}": partial(fit_theirs, step_size=s) for s in STEP_SIZES}
    rows = []
    for (name, (p, x)), base in product(TARGETS.items(), [True, False]):
        runs, log_p = {recipe: [] for recipe in recipes}, p.log_prob(x)
        network = "with base energy" if base else "plain"
        for seed in tqdm(SEEDS, desc=f"{name}, {network}", leave=False):
            samples = densities.draw(p, N, generator=torch.Generator().manual_seed(seed))
            for recipe, fit in recipes.items():
                seconds, energy, draws = fit(samples, seed, base)
                log_q = exact.log_density(energy, x, restricted=True)
                runs[recipe].append((exact.kl(log_p, log_q, x), exact.w1(draws, log_p, x), seconds))
        for recipe, values in runs.items():
            row = {"target": name, "network": network, "recipe": recipe}
            medians = map(median, zip(*values, strict=True))
            rows.append(row | dict(zip(("kl", "w1", "seconds"), medians, strict=True)))
    return rows


def matrix_product_rate(n: int = 512) -> float:
    """Return the floating-point operations a second of an n × n product in float64, best of 20."""
    a = torch.rand(n, n, dtype=torch.float64)
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - begin)
    return 2 * n**3 / min(seconds)


def throughput() -> list[dict]:
    """Return a row for each number of particles: particle-steps a second, ours and TorchEBM's.

    The two run in turn, five times each, on the course's network; the medians are compared. A
    particle-step costs 4 operations for each weight of a matrix: 2 forwards, 2 backwards.
    """
    Model, LangevinDynamics, _ = torchebm()
    generator = torch.Generator().manual_seed(0)
    data = densities.draw(densities.gaussian(5.0, 1.0), PARTICLES[-1], generator=generator)
    energy = EnergyNet(data, generator=generator).requires_grad_(False)
    weights = sum(p.numel() for p in energy.parameters() if p.ndim == 2)
    theirs = LangevinDynamics(Model(energy), step_size=0.05, dtype=torch.float64)
    rows, rate = [], matrix_product_rate()
    for n in tqdm(PARTICLES, desc="throughput", leave=False):
        steps, start, seconds = max(10, 1_000_000 // (n + 1000)), data[:n], {"ours": [], "peer": []}
        for _ in range(REPEATS):
            begin = time.perf_counter()
            langevin_monte_carlo(energy, start, steps, 0.05, generator=generator)
            middle = time.perf_counter()
            theirs.sample(start, n_steps=steps, generator=generator)
            seconds["ours"].append(middle - begin)
            seconds["peer"].append(time.perf_counter() - middle)
        ours, peer = (n * steps / median(values) for values in seconds.values())
        row = {"particles": n, "ours": ours, "peer": peer, "ratio": ours / peer}
        row["products"] = rate
        share = {
            f"{who} share": 4 * weights * v / rate for who, v in (("ours", ours), ("peer", peer))
        }
        rows.append(row | share | {"seconds": seconds})
    return rows


def peak_memory() -> float:
    """Return the largest memory of this process, in MiB, since it was last reset; nan off Linux."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return math.nan


def reset_peak_memory() -> None:
    """Begin a new peak at the memory that is in use now, where the system can do so."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def cost(particles: int, steps: int, dimensions: int) -> tuple[float, float]:
    """Return the seconds of one call of the sampler and the MiB that it adds to the peak memory."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(particles, dimensions, generator=generator, dtype=torch.float64)
    energy = EnergyNet(start[:100], generator=generator).requires_grad_(False)
    langevin_monte_carlo(energy, start[:100], 3, 0.01, generator=generator)  # warm up
    reset_peak_memory()
    before, begin = peak_memory(), time.perf_counter()
    langevin_monte_carlo(energy, start, steps, 0.01, generator=generator)
    return time.perf_counter() - begin, peak_memory() - before


GROWTH = {
    "particles": [(n, 10, 1) for n in (10_000, 30_000, 100_000, 300_000, 1_000_000)],
    "steps": [(10_000, k, 1) for k in (10, 30, 100, 300, 1000)],
    "dimensions": [(30_000, 10, d) for d in (1, 3, 10, 30, 100)],
}
"""What varies, and the (particles, steps, dimensions) that are measured."""


def growth() -> list[dict]:
    """Return a row for each quantity that varies: costs over two decades, fitted exponents.

    Every call has a process of its own, whose peak memory is its own. The exponent is the slope of
    a straight line through log cost against log quantity; a call that adds less than 0.1 MiB to the
    peak counts as 0.1.
    """
    rows = []
    context = multiprocessing.get_context("spawn")
    for axis, (name, cases) in enumerate(tqdm(GROWTH.items(), desc="growth", leave=False)):
        with context.Pool(1, maxtasksperchild=1) as pool:
            costs = [pool.apply(cost, case) for case in cases]
        sizes = [case[axis] for case in cases]
        row = {"quantity": name, "from": sizes[0], "to": sizes[-1]}
        for unit, values in zip(("seconds", "MiB"), zip(*costs, strict=True), strict=True):
            logs = np.log([max(value, 0.1 if unit == "MiB" else 1e-9) for value in values])
            row |= {f"{unit} exponent": np.polyfit(np.log(sizes), logs, 1)[0].item()}
            row |= {f"{unit} at {end}": values[i] for end, i in (("from", 0), ("to", -1))}
            row[unit] = values
        rows.append(row)
    return rows


def print_table(rows: list[dict], **formats: str) -> None:
    """Print rows without their raw numbers."""
    shown = pd.DataFrame(rows)
    shown = shown[[name for name in shown if not isinstance(rows[0][name], (dict, tuple))]]
    for name, form in formats.items():
        shown[name] = shown[name].map(form.format)
    print(shown.to_string(index=False, float_format="{:.3g}".format))


def main() -> dict[str, list[dict]]:
    """Measure, print, and return the rows of the three tables."""
    check_installed()
    begin = time.perf_counter()
    fitted = fits()
    print(
        f"\nSame {N:,} data, network and {UPDATES} updates; medians of {len(SEEDS)} seeds;", end=""
    )
    print(f" KL in millinats; W1 of {DRAWS:,} draws")
    print_table([row | {"kl": 1000 * row["kl"]} for row in fitted])
    for (name, network), group in pd.DataFrame(fitted).groupby(["target", "network"], sort=False):
        ours, theirs = group.iloc[0], group.iloc[1:]
        best = theirs.loc[theirs.kl.idxmin()]
        print(
            f"{name}, {network}: KL of TorchEBM at its best step / ours {best.kl / ours.kl:.1f};"
            f" our seconds / its {ours.seconds / best.seconds:.2f}"
        )
    speeds = throughput()
    print(
        f"\nParticle-steps a second, medians of {REPEATS}; operations a second of a matrix product"
    )
    print_table(speeds)
    grown = growth()
    print("\nHow the sampler's seconds and peak memory grow; exponents fitted over two decades")
    print_table(grown)
    print(f"\n{time.perf_counter() - begin:.0f} s in all")
    return {"fits": fitted, "throughput": speeds, "growth": grown}
