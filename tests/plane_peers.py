"""Against a neural spline flow and TorchEBM in the plane: what ``benchmark.py --peers`` ends with.

``python tests/plane_peers.py`` shows how the flow's settings were chosen, on other densities.
"""

import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product

import pandas as pd
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm import tqdm

import peers
from helpers.chains import DivergenceError
from helpers.energy import EnergyNet
from helpers.exact import plane
from helpers.shapes import SHAPES, _Shape, blurred
from helpers.training import batches
from plane_rows import FILE, SEEDS, N

UPDATES, BATCH = 2000, 256
FLOW = {"lr": 5e-3, "transforms": 4, "hidden_features": (64, 64), "bins": 16}
TRIED = [{}, {"lr": 2e-3}, {"lr": 1e-2}, {"bins": 8}, {"transforms": 3}]
"""The flow's settings, and the changes to them that ``choose`` tries."""

STEP_SIZES, THEIR_LR = [0.003, 0.01, 0.03], 3e-3
"""TorchEBM's, in standardised units. Its best step has the smallest median KL to the truth, which
a user could not know. Its network is of z itself: with the recipe's waves and learning rate, 0.02,
ten of eleven runs on two densities of ``development``, at steps from 0.0003 to 0.1, had a KL above
3 nats.
"""

Fitted = tuple[float, Callable[[plane._Grid], Tensor]]
"""Seconds of processor time, and log q on a grid, (m, m)."""


def flow(samples: Tensor, seed: int, **changes) -> Fitted:
    """Fit zuko's neural spline flow, whose density needs no Z.

    Standardised data, as its manual advises; Adam; a tenth of the samples is held out, and the
    weights that are best there are kept.
    """
    from zuko.flows import NSF

    begin, settings = time.process_time(), FLOW | changes
    generator, lr = torch.Generator().manual_seed(seed), settings.pop("lr")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = NSF(2, **settings)
    centre, scale = samples.mean(0), samples.std(0)
    z, held = ((samples - centre) / scale).float(), torch.arange(len(samples)) % 10 == 0
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    schedule, real = CosineAnnealingLR(optimiser, UPDATES), batches(z[~held], BATCH, generator)
    least, kept = math.inf, {}
    for k in range(1, UPDATES + 1):
        loss = -model().log_prob(next(real)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if k % 100 == 0:
            with torch.no_grad():
                nll = -model().log_prob(z[held]).mean().item()
            if nll < least:
                least, kept = nll, {name: w.clone() for name, w in model.state_dict().items()}
    model.load_state_dict(kept)
    seconds = time.process_time() - begin

    def log_q(on: plane._Grid) -> Tensor:
        parts = ((on.points - centre) / scale).float().split(10_000)
        logs = torch.cat([model().log_prob(part) for part in parts]).double() - scale.log().sum()
        return logs.reshape(len(on.axis), -1)

    return seconds, log_q


def contrastive(samples: Tensor, seed: int, step_size: float) -> Fitted:
    """Fit by TorchEBM, see ``peers.train_theirs``; it is spared what it puts off the grid."""
    begin, generator = time.process_time(), torch.Generator().manual_seed(seed)
    energy = EnergyNet(samples, units=0, width=64, generator=generator)
    data = (samples - energy.centre) / energy.scale
    peers.train_theirs(energy, data, step_size, generator, lr=THEIR_LR)
    seconds = time.process_time() - begin

    def log_q(on: plane._Grid) -> Tensor:
        logs = -energy(on.points).reshape(len(on.axis), -1)
        return logs - torch.logsumexp(logs.flatten(), 0) - math.log(on.cell)

    return seconds, log_q


WAYS = {"flow": flow} | {
    f"TorchEBM, step {s}": partial(contrastive, step_size=s) for s in STEP_SIZES
}


def row(shape: _Shape, seed: int, fit: Callable[[Tensor, int], Fitted]) -> dict[str, float]:
    """Return KL in millinats, on the grid of ``plane_rows.row``, and seconds of processor time.

    A fit that diverges has KL = ∞.
    """
    samples = shape.draw(N, generator=torch.Generator().manual_seed(seed))
    on = plane.grid(1.8 * shape.reach, 251)
    log_p, _ = plane.log_density(shape.energy, on)
    try:
        seconds, log_q = fit(samples, seed)
    except DivergenceError:
        return {"kl": math.inf, "s": math.nan}
    with torch.no_grad():
        kl = (log_p.exp() * (log_p - log_q(on))).sum().item() * on.cell
    return {"kl": 1000 * kl, "s": seconds}


def main(names: Iterable[str] = SHAPES) -> list[dict]:
    """Measure and print beside the recipe's stored rows; return the rows."""
    begin, rows = time.perf_counter(), []
    stored = pd.read_csv(FILE).rename(columns={"recipe": "kl"}).assign(way="recipe")
    stored = stored[["density", "seed", "way", "kl", "s"]]
    for name in tqdm(names, unit="density", leave=False):
        rows += stored[stored.density == name].to_dict("records")
        for seed, (way, fit) in product(SEEDS, WAYS.items()):
            rows.append({"density": name, "seed": seed, "way": way} | row(SHAPES[name], seed, fit))
    table = pd.DataFrame(rows).groupby(["density", "way"], sort=False)[["kl", "s"]]
    table = table.agg(["median", "max"])
    print(f"\nIn the plane, N = {N:,}; KL in millinats and seconds of processor time, those of the")
    print(f"recipe from {FILE.name}: median and worst of {len(SEEDS)} seeds")
    print(table.round(1).to_string())
    medians = table["kl", "median"].unstack(sort=False)
    for name, kl in medians.iterrows():
        ratios = kl / kl.recipe
        best = ratios.filter(like="TorchEBM").idxmin()
        print(f"{name}: KL / the recipe's {ratios.flow:.1f} flow, {ratios[best]:.1f} {best}")
    print(f"\n{time.perf_counter() - begin:.0f} s in all")
    return rows


def development() -> dict[str, _Shape]:
    """Return three densities on which the flow's settings were chosen."""
    t = torch.arange(0.5, 128, dtype=torch.float64) * 2 * math.pi / 128
    side, edge = torch.linspace(-2, 2, 64, dtype=torch.float64), torch.full((64,), 2.0).double()
    lines = [(side, edge), (side, -edge), (edge, side), (-edge, side), (side, side)]
    return {
        "figure of eight": blurred(2.2 * torch.stack([t.sin(), t.sin() * t.cos()], 1), 0.12**2),
        "nine Gaussians": blurred(1.6 * torch.cartesian_prod(*2 * [torch.arange(-1.0, 2)]), 0.2**2),
        "square, crossed": blurred(torch.cat([torch.stack(line, 1) for line in lines]), 0.12**2),
    }


def choose() -> None:
    """Print the flow's KL for each change of its settings, with a seed that ``main`` has not."""
    rows = [
        {"change": str(changes), "density": name} | row(shape, 100, partial(flow, **changes))
        for changes in tqdm(TRIED)
        for name, shape in development().items()
    ]
    table = pd.DataFrame(rows).pivot(index="change", columns="density", values="kl")
    print(table.assign(mean=table.mean(axis=1)).round(1).to_string())


if __name__ == "__main__":
    torch.set_num_threads(1)
    choose()
