"""The closing table: every way to a density and to draws, on four targets, three seeds each.

Ways that train get the same number of gradient evaluations, that is of places at which the network
is differentiated; and draws get 100 steps each. The losses are those of notebook 10's own cells.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from typing import NamedTuple

import nbformat
import pandas as pd
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from tqdm import tqdm

from course import FIGURES, NOTEBOOKS
from helpers import densities, exact, objectives, scores, shapes, training
from helpers.energy import EnergyNet
from helpers.exact import plane, reverse
from helpers.jumps import sample
from helpers.rivals import kde_log_density, kde_width, mixture_by_bic
from plane_rows import kernel_density

FILE = FIGURES / "closing.csv"
N, DRAWS, STEPS, SEEDS = 10_000, 2000, 100, range(3)
EVALUATIONS = 600_000
"""Gradient evaluations of a training: as many places as a network is differentiated at."""
LOW = 0.1
"""The lowest level of noise. Ways that use levels are held against the density with that noise."""
HIGH = {1: 20.0, 2: 8.0}
BATCH = 256


class Target(NamedTuple):
    """What is fitted: draws, the log-density, and that of the draws with noise."""

    draw: Callable[[int, int], Tensor]
    log_p: Callable[[Tensor], Tensor]
    noised: Callable[[Tensor, float], Tensor]
    reach: float


def on_the_line() -> Target:
    """Return the three humps of notebook 10."""

    def noised(x: Tensor, noise: float) -> Tensor:
        sds = [math.hypot(0.7, noise)] * 3
        return densities.mixture([0.2, 0.5, 0.3], [0, 6, 12], sds).log_prob(x[:, 0])

    three = densities.mixture([0.2, 0.5, 0.3], [0, 6, 12], [0.7] * 3)
    return Target(
        lambda n, seed: densities.draw(three, n, generator=seeded(seed)),
        lambda x: noised(x, 0.0),
        noised,
        20.0,
    )


def in_the_plane(name: str) -> Target:
    """Return a shape of notebook 8."""
    shape = shapes.SHAPES[name]
    return Target(
        lambda n, seed: shape.draw(n, generator=seeded(seed)),
        shape.log_prob,
        lambda x, noise: (shape.noised(noise) if noise else shape).log_prob(x),
        shape.reach,
    )


TARGETS = {"three humps": on_the_line()} | {
    name: in_the_plane(name) for name in ("eight Gaussians", "moons", "checkerboard")
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def sources() -> dict[str, str]:
    """Return the cells of notebook 10 by their ids."""
    notebook = nbformat.read(NOTEBOOKS / "10_scores_and_diffusion.ipynb", as_version=4)
    return {cell.id: cell.source for cell in notebook.cells}


def from_notebook(cell: str, **names: object) -> dict[str, object]:
    """Return the names that a cell of notebook 10 defines."""
    names |= {"torch": torch, "math": math, "partial": partial}
    names |= {"softplus": nn.functional.softplus}
    exec(sources()[cell], names)
    return names


def kl_on_grid(target: Target, log_q: Callable[[Tensor], Tensor], d: int, noise: float) -> float:
    """Return KL(p ‖ q) in millinats for an unnormalised log q, on a grid 1.8 times as wide as p."""
    if d == 1:
        x = exact.grid(-20, 32, 2601)
        law = exact.log_density(lambda y: -log_q(y), x, restricted=True)
        return 1000 * exact.kl(target.noised(x[:, None], noise), law, x)
    on = plane.grid(1.8 * target.reach, 251)
    with torch.no_grad():
        logs = torch.cat([log_q(part) for part in on.points.split(8000)]).reshape(251, 251)
    logs = logs - torch.logsumexp(logs.flatten(), 0) - math.log(on.cell)
    log_p = target.noised(on.points, noise).reshape(251, 251)
    return 1000 * plane.kl(log_p, logs, on)


def distance(draws: Tensor, target: Target) -> float:
    """Return W1 to 20 000 exact draws, in the plane the mean over 16 directions."""
    perfect, d = target.draw(20_000, 99), draws.shape[1]
    angle = torch.arange(16, dtype=torch.float64) * math.pi / 16
    along = torch.stack([angle.cos(), angle.sin()]) if d == 2 else torch.ones(1, 1).double()
    at = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    mine, theirs = ((x @ along).quantile(at, dim=0) for x in (draws, perfect))
    return (mine - theirs).abs().mean().item()


def by_loss(
    loss: Callable[[Tensor], objectives.Loss], each: int, by_dimension: int = 0
) -> Callable[[Tensor, int], nn.Module]:
    """Return how to train an energy by a loss that takes each + by_dimension · d evaluations."""

    def fit(data: Tensor, seed: int) -> nn.Module:
        net = EnergyNet(data, generator=seeded(seed))
        updates = EVALUATIONS // (BATCH * (each + by_dimension * data.shape[1]))
        options = {"updates": updates, "lr": 2e-2, "batch_size": BATCH, "show_progress": False}
        return training.train(net, data, loss(data), generator=seeded(seed), **options)

    return fit


def recipe(data: Tensor, seed: int) -> nn.Module:
    """Fit by the course's recipe, whose update takes 256 data, 256 chains and as many proposals."""
    updates = EVALUATIONS // (3 * BATCH)
    return training.fit_energy(data, seed=seed, updates=updates, show_progress=False)[0]


def energies() -> dict[str, tuple[str, Callable[[Tensor, int], nn.Module]]]:
    """Return the ways that train an energy, each with its section."""
    cells = from_notebook("losses-10")
    d = lambda data: Normal(data.mean(0), data.std(0))  # noqa: E731
    step = lambda data: data.std(0)  # noqa: E731
    return {
        "the recipe": ("4.6", recipe),
        "score matching": ("10.1", by_loss(lambda data: cells["hyvarinen"], 1, 1)),
        "NCE": ("10.1", by_loss(lambda data: partial(cells["nce"], q=d(data)), 2)),
        "conditional NCE": (
            "10.1",
            by_loss(lambda data: partial(cells["conditional_nce"], tau=step(data)), 2),
        ),
        "denoising, one level": ("6.3", by_loss(lambda data: objectives.denoising(LOW), 1)),
    }


def levels(data: Tensor, seed: int) -> nn.Module:
    """Train a score at all levels."""
    high = HIGH[data.shape[1]]
    net = scores.LevelScore(data, LOW, high, generator=seeded(seed))
    options = {"updates": EVALUATIONS // BATCH, "lr": 2e-2, "show_progress": False}
    loss = objectives.denoising_score((LOW, high))
    return training.train(net, data, loss, generator=seeded(seed), **options)


def start_of(data: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the law that the samplers begin with."""
    return data.mean(0), (data.var(0) + HIGH[data.shape[1]] ** 2).sqrt()


def law_kl(net: nn.Module, data: Tensor, target: Target) -> float:
    """Return the KL of the ancestral sampler's exact law, after 100 steps; in the plane 40."""
    mean, sd = start_of(data)
    if data.shape[1] == 1:
        steps = scores.geometric(HIGH[1], LOW, STEPS)
        *_, (x, log_q) = reverse.line_law(net, steps, (mean.item(), sd.item()))
        return 1000 * exact.kl(target.noised(x[:, None], LOW), log_q, x)
    steps = scores.geometric(HIGH[2], LOW, 40)
    *_, (on, log_q) = reverse.plane_law(net, steps, (mean, sd))
    log_p = target.noised(on.points, LOW).reshape(log_q.shape)
    return 1000 * plane.kl(log_p, log_q, on)


def flow_kl(net: nn.Module, data: Tensor, target: Target) -> float:
    """Return the KL of the flow's density, a mean over 5 000 noisy draws, by 50 Heun steps up."""
    g, d = seeded(98), data.shape[1]
    x = target.draw(5000, 97)
    x = x + LOW * torch.randn(x.shape, generator=g, dtype=torch.float64)
    up = scores.geometric(HIGH[d], LOW, STEPS // 2)[::-1]

    def rise(x: Tensor) -> Tensor:
        for level, higher in pairwise(up):
            x = scores.flow_step(net, x, level, higher)
        return x

    h = 1e-4
    eye = h * torch.eye(d, dtype=torch.float64)
    jacobian = torch.stack([(rise(x + e) - rise(x - e)) / (2 * h) for e in eye], 2)
    log_q = Normal(*start_of(data)).log_prob(rise(x)).sum(1) + torch.linalg.det(jacobian).log()
    return 1000 * (target.noised(x, LOW) - log_q).mean().item()


def descended(net: nn.Module, data: Tensor, seed: int, flow: bool) -> Tensor:
    """Return draws of the ancestral sampler, or of the flow, whose steps take two evaluations."""
    mean, sd = start_of(data)
    g, d = seeded(1000 + seed), data.shape[1]
    x = mean + sd * torch.randn(DRAWS, d, generator=g, dtype=torch.float64)
    if not flow:
        *_, x = scores.descend(net, x, scores.geometric(HIGH[d], LOW, STEPS), generator=g)
        return x
    down = scores.geometric(HIGH[d], LOW, STEPS // 2)
    for level, lower in pairwise(down):
        x = scores.flow_step(net, x, level, lower)
    return x


def two_regressions(data: Tensor, seed: int) -> nn.Module:
    """Train an energy at all levels by both regressions of section 10.7."""
    high = HIGH[data.shape[1]]
    loss = from_notebook("both-10", low=LOW, high=high)["two_regressions"]
    net = scores.LevelEnergy(data, LOW, high, generator=seeded(seed))
    options = {"updates": EVALUATIONS // (2 * BATCH), "lr": 2e-2, "show_progress": False}
    return training.train(net, data, loss, generator=seeded(seed), **options)


def mixture(target: Target, data: Tensor, seed: int) -> tuple[float, Tensor]:
    """Return the KL of the Gaussian mixture that the BIC prefers, and draws of it."""
    fit, d = mixture_by_bic(data, most=30, patience=30), data.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + seed)
        draws = fit.sample((DRAWS,))
    return kl_on_grid(target, fit.log_prob, d, 0.0), draws.reshape(DRAWS, d)


def row(name: str, way: str, seed: int) -> dict[str, object]:
    """Return what one way gives on a target with a seed of data and training.

    In float64 by default, for which the notebook's cells are written.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return _row(name, way, seed)
    finally:
        torch.set_default_dtype(before)


def _row(name: str, way: str, seed: int) -> dict[str, object]:
    target, begin = TARGETS[name], time.process_time()
    data = target.draw(N, seed)
    d, trained = data.shape[1], energies()
    told = {"target": name, "way": way, "seed": seed}
    if way in trained:
        section, fit = trained[way]
        net = fit(data, seed)
        kl = kl_on_grid(target, lambda x: -net(x), d, 0.0)
        draws = sample(net, DRAWS, data=data, generator=seeded(1000 + seed), rounds=STEPS)
    elif way == "levels, two regressions":
        net = two_regressions(data, seed)
        section, kl = "10.7", kl_on_grid(target, lambda x: -net(x, LOW), d, LOW)
        energy = lambda x: net(x, LOW)  # noqa: E731
        draws = sample(energy, DRAWS, data=data, generator=seeded(1000 + seed), rounds=STEPS)
    elif way in {"levels, down with noise", "levels, the flow"}:
        net, flow = levels(data, seed), way == "levels, the flow"
        section, kl = ("10.6", flow_kl(net, data, target)) if flow else ("10.5", None)
        kl = law_kl(net, data, target) if kl is None else kl
        draws = descended(net, data, seed, flow)
    else:
        fit = mixture if way == "mixture by BIC" else kde
        section, (kl, draws) = "1.3", fit(target, data, seed)
    seconds = time.process_time() - begin
    floor = distance(target.draw(DRAWS, 500 + seed), target)
    told |= {"section": section, "kl": kl, "distance": distance(draws, target), "floor": floor}
    return told | {"s": seconds}


def kde(target: Target, data: Tensor, seed: int) -> tuple[float, Tensor]:
    """Return the KL of a kernel density estimate of chosen width, and draws of it."""
    g = seeded(1000 + seed)
    which = torch.randint(len(data), (DRAWS,), generator=g)
    noise = torch.randn(DRAWS, data.shape[1], generator=g, dtype=torch.float64)
    if data.shape[1] == 1:
        x, width = exact.grid(-20, 32, 2601), kde_width(data)
        log_q = kde_log_density(data, x, width=width)
        kl = 1000 * exact.kl(target.log_p(x[:, None]), log_q, x)
        return kl, data[which] + width * noise
    on = plane.grid(1.8 * target.reach, 251)
    log_q, width = kernel_density(data, on)
    kl = 1000 * plane.kl(target.log_p(on.points).reshape(log_q.shape), log_q, on)
    return kl, data[which] + width * noise


WAYS = (
    "mixture by BIC",
    "KDE, tuned",
    "the recipe",
    "score matching",
    "denoising, one level",
    "NCE",
    "conditional NCE",
    "levels, two regressions",
    "levels, the flow",
    "levels, down with noise",
)


def rows() -> Iterator[dict[str, object]]:
    """Yield all rows."""
    every = [(name, way, seed) for name in TARGETS for way in WAYS for seed in SEEDS]
    for one in tqdm(every, unit="row", mininterval=5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of chains that have not settled: it shows
            yield row(*one)


def main() -> list[dict[str, object]]:
    """Measure everything, print it and write it to figures/closing.csv."""
    table = pd.DataFrame(rows())
    table[["kl", "distance", "floor", "s"]] = table[["kl", "distance", "floor", "s"]].astype(float)
    table = table.round({"kl": 2, "distance": 4, "floor": 4, "s": 1})
    table.to_csv(FILE, index=False)
    print(table.to_string(index=False))
    return table.to_dict("records")
