"""What ``benchmark.py --images`` measures: the cells of notebook 9 with three splits of the digits.

Each split is another seed: other images held out, other noise, weights and chains.
"""

from collections.abc import Collection, Iterator
from types import SimpleNamespace

import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import excerpt
from course import FIGURES
from helpers import exact, objectives, training
from helpers.energy import linear
from helpers.langevin import mala

FILE = FIGURES / "images.csv"
SPLITS = range(3)
TEMPERATURES, SETTLE = 3000, 5000
UPDATES, FEW = 1500, 200
"""Of a classifier; and how many labels it sees when they are few."""


def lesson(split: int, *cells: str) -> SimpleNamespace:
    """Run these cells of the notebook, and those that they need, with the seed of a split."""
    return excerpt.lesson("09_images", cells, {"seeds-09": f"seed = {split}"})


def rounded(row: dict) -> dict:
    """Return a row with three decimals, as it is written."""
    return {
        k: round(float(v), 3) if k not in ("split", "kind", "what") else v for k, v in row.items()
    }


def densities(split: int) -> Iterator[dict]:
    """Yield a row for each smooth density: its NLL, and how far the deep one is ahead."""
    here = lesson(split, "rivals-09", "referee-09", "bracket-09")
    sharper = here.fit_deep(here.steered, 2000, lr=5e-3, decay=0.1)
    brackets = {}
    for what, energy in (("deep", here.deep), ("deep, sharper", sharper)):
        runs = here.bracket(energy, [TEMPERATURES], SETTLE)[TEMPERATURES]
        brackets[what] = [run.log_z for run in runs]
        log_z = max(brackets[what])
        here.nlls[what] = here.in_x(energy(here.z_test).detach() + log_z)
    for what, nll in here.nlls.items():
        row = {"kind": "density", "split": split, "what": what, "nll": nll.mean()}
        if what in brackets:
            for name, rival in (("BIC", "mixture by BIC"), ("luckiest", "mixture, luckiest")):
                ahead = here.nlls[rival] - nll
                row[f"ahead of {name}"] = ahead.mean()
                row[f"± {name}"] = ahead.std() / len(nll) ** 0.5
            row["forward"], row["reverse"] = brackets[what]
        yield rounded(row)


def gibbs(here: SimpleNamespace) -> objectives.Loss:
    """Return training by block Gibbs chains that go on: units given x, then x given the units."""

    def negatives(energy, real, state, generator):
        y = here.normal(256, here.seed) if state is None else state
        for _ in range(5):
            p = torch.sigmoid(y @ energy.w.T + energy.b)
            h = (torch.rand(p.shape, generator=generator) < p).to(p.dtype)
            noise = torch.randn(y.shape, generator=generator)
            y = here.coarse(energy.v * h @ energy.w + energy.v.sqrt() * noise).detach()
        return y, y

    return objectives.contrast(negatives)


def score_matching(energy: exact.Units, real: Tensor, *_: object) -> tuple[Tensor, None]:
    """Return E|∇f|²/2 − E Δf, exactly, for the energy of units (Hyvärinen 2005)."""
    p = torch.sigmoid(real @ energy.w.T + energy.b)
    slope = real / energy.v - p @ energy.w
    bend = real.shape[1] / energy.v - (p * (1 - p)) @ energy.w.square().sum(1)
    return (slope.square().sum(1) / 2 - bend).mean(), None


def ways(split: int, only: Collection[str] = ()) -> Iterator[dict]:
    """Yield a row for each way, or some, of training the units: its v and what it gains."""
    here = lesson(split, "ways-09", "rivals-09")
    one_step = objectives.from_data(1, 0.1, sampler=mala)
    more = {
        "CD-1, MALA": objectives.contrast(one_step),
        "chains, block Gibbs": gibbs(here),
        "denoising, τ = 0.3": objectives.denoising(0.3),
        "score matching": score_matching,
    }
    for what, loss in (here.ways | more).items():
        if only and what not in only:
            continue
        energy = here.fit_units(loss)
        ahead = here.nlls["Gaussian"] - here.in_x(energy.nll(here.z_test))
        row = {"kind": "way", "split": split, "what": what}
        yield rounded(row | {"v": energy.v, "ahead of Gaussian": ahead.mean()})


class Logits(nn.Module):
    """Ten logits; the energy |z|²/2 − logsumexp of them is that of a classifier (JEM)."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        sizes = [(64, 128), (128, 128), (128, 10)]
        first, second, last = (linear(*size, generator) for size in sizes)
        self.net = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)

    def forward(self, z: Tensor) -> Tensor:
        return z.square().sum(1) / 2 - self.net(z).logsumexp(1)


def classifier(here: SimpleNamespace, labels: int, *, chains: bool) -> float:
    """Return the share of held-out digits that it reads right, trained on so many labels."""
    known = here.rows[:labels]
    contrast = here.fresh(here.steered)

    def loss(energy, batch, state, generator):
        some = known[torch.randint(len(known), (128,), generator=generator)]
        y = here.images.dequantised(here.levels[some], generator=generator)
        value = cross_entropy(energy.net(here.white.z(y)), here.digit[some])
        if chains:
            more, state = contrast(energy, batch, state, generator)
            value = value + more
        return value, state

    settings = {"updates": UPDATES, "lr": 5e-3, "decay": 0.1, "show_progress": False}
    energy = Logits(here.seeded(here.seed))
    training.train(energy, here.rows, loss, generator=here.seeded(here.seed), **settings)
    read = energy.net(here.z_test).argmax(1)
    return (read == here.digit[here.held_out]).double().mean().item()


def classifiers(split: int) -> Iterator[dict]:
    """Yield a row for each classifier and number of labels: the share that it reads right."""
    here = lesson(split, "fresh-09", "steered-09")
    for labels in (FEW, len(here.rows)):
        z, shown = here.z[:labels], here.digit[here.rows[:labels]]
        fit = LogisticRegression(max_iter=1000).fit(z.numpy(), shown.numpy())
        right = fit.score(here.z_test.numpy(), here.digit[here.held_out].numpy())
        shares = {"logistic regression": right}
        shares["the net alone"] = classifier(here, labels, chains=False)
        shares["the net as an energy"] = classifier(here, labels, chains=True)
        for what, share in shares.items():
            row = {"kind": "classifier", "split": split, "what": what}
            yield rounded(row | {"labels": labels, "right": share})


def main() -> pd.DataFrame:
    """Measure everything, write the file that the notebook shows, and return the table."""
    parts = [part(split) for split in SPLITS for part in (densities, ways, classifiers)]
    table = pd.DataFrame([row for part in parts for row in part])
    table.to_csv(FILE, index=False)
    return table
