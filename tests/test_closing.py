"""The closing table is what its ways give today, and judges as it says."""

import math

import pandas as pd
import pytest
import torch

import closing
from cases import seeded

STORED = pd.read_csv(closing.FILE, dtype={"section": str})


def test_every_way_is_there_on_every_target_with_every_seed() -> None:
    found = list(zip(STORED.target, STORED.way, STORED.seed, strict=True))
    every = [(t, w, s) for t in closing.TARGETS for w in closing.WAYS for s in closing.SEEDS]
    assert sorted(found) == sorted(every)
    assert STORED.groupby("way").section.nunique().eq(1).all()


@pytest.mark.parametrize(
    ("target", "way", "seed"),
    [("eight Gaussians", "mixture by BIC", 1), ("three humps", "levels, down with noise", 2)],
)
def test_a_stored_row_is_what_comes_today(target: str, way: str, seed: int) -> None:
    """Another row is computed again in notebook 10."""
    found = closing.row(target, way, seed)
    kept = STORED.query("target == @target and way == @way and seed == @seed").iloc[0]
    assert found["kl"] == pytest.approx(kept["kl"], abs=0.02)
    assert found["distance"] == pytest.approx(kept["distance"], abs=2e-4)
    assert found["section"] == kept["section"]


@pytest.mark.parametrize("name", closing.TARGETS)
def test_the_right_density_and_perfect_draws_are_judged_so(name: str) -> None:
    target = closing.TARGETS[name]
    d = target.draw(2, 0).shape[1]
    assert abs(closing.kl_on_grid(target, target.log_p, d, 0.0)) < 0.01
    noised = closing.kl_on_grid(target, lambda x: target.noised(x, 0.1), d, 0.1)
    assert abs(noised) < 0.01
    assert closing.kl_on_grid(target, lambda x: target.noised(x, 0.1), d, 0.0) > 0.05
    floor = STORED.query("target == @name")["floor"]
    draws = target.draw(closing.DRAWS, 77)
    assert closing.distance(draws, target) < 3 * floor.max()
    assert closing.distance(draws + 1, target) > 0.5


def test_the_flow_s_kl_is_that_of_its_density() -> None:
    """With a Gaussian's exact score the density is the noised Gaussian, but for the steps."""
    data = torch.randn(5000, 1, generator=seeded(1), dtype=torch.float64) * 2 + 1
    mean, v = data.mean().item(), data.var().item()

    def log_p(x: torch.Tensor, noise: float = 0.0) -> torch.Tensor:
        return torch.distributions.Normal(mean, math.sqrt(v + noise**2)).log_prob(x[:, 0])

    target = closing.Target(lambda n, seed: data[:n], log_p, log_p, 20.0)
    score = lambda x, level: (mean - x) / (v + level**2)  # noqa: E731
    assert abs(closing.flow_kl(score, data, target)) < 1.0
    assert closing.flow_kl(lambda x, level: 0.9 * score(x, level), data, target) > 1.0
