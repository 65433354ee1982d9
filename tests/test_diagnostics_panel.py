"""The diagnostics explorer: what it computes is true, and it shows and says what it computed."""

import math

import numpy as np
import pytest
import torch

from helpers import densities, langevin, panels
from helpers.panels import traces
from helpers.panels.chain import TARGETS
from helpers.panels.diagnostics import KINDS, PLACES, draw_diagnostics
from helpers.panels.widgets import Panel, blank
from test_panels import as_if_new, lines

BASE = {"s": 0.1, "chains": 4, "seed": 0, "target": "one hump", "start": "all at 2"}
BASE["sampler"] = "plain"


def density(target: str) -> torch.distributions.Distribution:
    """Return the density of that name."""
    sds = [traces.SIGMAS[target]] * len(TARGETS[target])
    return densities.mixture(traces.WEIGHTS[target], TARGETS[target], sds)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panels.diagnostics_panel()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("plain", [True, False])
def test_chains_are_those_of_the_course_on_the_same_noise(
    monkeypatch: pytest.MonkeyPatch, target: str, plain: bool
) -> None:
    """The samplers of helpers, fed with the explorer's draws in place of their own.

    The explorer rounds its states, which a plain step between humps magnifies; so 30 steps.
    """
    starts, s, g = np.linspace(2, 8, 3), 0.6, torch.Generator().manual_seed(7)
    noise = torch.randn(traces.STEPS, 3, generator=g, dtype=torch.float64)
    levels = iter(torch.rand(traces.STEPS, 3, generator=g, dtype=torch.float64))
    fed = iter(noise[:, :, None])
    monkeypatch.setattr(langevin, "normal_like", lambda x, generator: next(fed))
    monkeypatch.setattr(torch, "rand", lambda *size, **options: next(levels))
    sampler = langevin.langevin_monte_carlo if plain else langevin.mala
    energy = densities.energy_of(density(target))
    x0 = torch.from_numpy(starts)[:, None]
    path = sampler(energy, x0, 30, s, return_trajectory=True)[1:, :, 0].T.numpy()
    monkeypatch.undo()
    assert np.abs(traces.run(target, plain, s, starts, 7)[:, :30] - path).max() < 1e-5


@pytest.mark.parametrize(
    ("target", "plain", "s"),
    [
        ("one hump", True, 0.1),
        ("one hump", True, 1.5),
        ("one hump", False, 0.5),
        ("one hump", False, 2.5),
        ("two humps", True, 0.6),
        ("two humps", False, 2.0),
    ],
)
def test_settled_law_is_that_of_many_chains(target: str, plain: bool, s: float) -> None:
    """2 000 chains from perfect draws, on after a thousand steps where the step shifts the law."""
    law, g = traces.settled(target, plain, s), torch.Generator().manual_seed(1)
    x = densities.draw(density(target), 2000, generator=g)[:, 0].numpy()
    for seed in range(1 + plain):
        path = traces.run(target, plain, s, x, seed)
        x = path[:, -1]
    means, shift = path.mean(1), path - law.mean
    n = len(path)
    assert abs(means.mean() - law.mean) < 5 * law.error(1) / math.sqrt(n)
    assert means.std() == pytest.approx(law.error(1), rel=5 / math.sqrt(2 * n))
    ones = (shift**2).mean(1)
    assert abs(ones.mean() - law.variance) < 5 * ones.std() / math.sqrt(n)
    for j in (1, 10, 50):
        products = (shift[:, j:] * shift[:, :-j]).mean(1)
        assert abs(products.mean() - law.variance * law.rho[j]) < 5 * products.std() / math.sqrt(n)


@pytest.mark.parametrize(
    ("target", "plain", "s"),
    [
        *[("two humps", True, s) for s in (0.01, 0.3, 0.6)],
        *[(target, False, s) for target in TARGETS for s in (0.01, 0.5, 2.5)],
    ],
)
def test_a_finer_grid_says_the_same(target: str, plain: bool, s: float) -> None:
    law = traces.settled(target, plain, s)
    finer = traces.settled(target, plain, s, 2 * traces.FINE)
    assert law.mean == pytest.approx(finer.mean, abs=1e-4)
    assert law.time == pytest.approx(finer.time, rel=2e-3)
    assert law.error(4) == pytest.approx(finer.error(4), rel=2e-3)
    assert np.abs(law.rho - finer.rho).max() < 1e-3


def test_time_is_the_sum_of_the_autocorrelations() -> None:
    """As far as they are held, and the closed form where there is one."""
    for case in [("one hump", True, 0.1), ("one hump", False, 0.1), ("two humps", True, 0.6)]:
        law = traces.settled(*case)
        assert 2 * law.rho.sum() - 1 == pytest.approx(law.time, rel=1e-3)
        assert law.error(1) ** 2 == pytest.approx(law.variance * law.time / traces.STEPS, rel=0.15)
        assert law.draws(4) == pytest.approx(law.variance / law.error(4) ** 2)


def test_what_chains_say_of_themselves() -> None:
    """Against sums written out: autocorrelation, Geyer's t, and R̂ of halves."""
    chains = traces.run("one hump", True, 0.3, np.linspace(2, 8, 3), 5)
    n, means, times = chains.shape[1], [], []
    rows = []
    for chain in chains:
        off = chain - chain.mean()
        rho = np.array([off[: n - j] @ off[j:] for j in range(n)]) / (off @ off)
        rows.append(rho)
        t, i = -1.0, 0
        while rho[2 * i] + rho[2 * i + 1] > 0:
            t, i = t + 2 * (rho[2 * i] + rho[2 * i + 1]), i + 1
        times.append(t)
        means += [chain[: n // 2].mean(), chain[n // 2 :].mean()]
    within = np.mean([half.var(ddof=1) for chain in chains for half in np.split(chain, 2)])
    m = n // 2
    expected = math.sqrt(((m - 1) / m * within + np.var(means, ddof=1)) / within)
    rho, t, r_hat = traces.of_traces(chains)
    assert rho == pytest.approx(np.mean(rows, 0), abs=1e-12)
    assert (t, r_hat) == pytest.approx((np.mean(times), expected))
    assert math.isnan(traces.of_traces(chains[:1])[2])
    swinging = np.tile([1.0, -1.0, 1.0, -1.1], (2, 250))
    assert traces.of_traces(swinging)[1] == pytest.approx(1 / math.log10(2000))


@pytest.mark.parametrize("sampler", KINDS)
@pytest.mark.parametrize("target", TARGETS)
def test_picture_and_sentence_are_of_the_same_chains(sampler: str, target: str) -> None:
    figure, values = blank(7.6, 3.8), {**BASE, "sampler": sampler, "target": target}
    draw_diagnostics(figure, **{**values, "chains": 8, "seed": 3})
    says = draw_diagnostics(figure, **values)
    chains = traces.run(target, sampler == "plain", 0.1, np.full(4, 2.0), 0)
    law, (rho, t, r_hat) = traces.settled(target, sampler == "plain", 0.1), traces.of_traces(chains)
    drawn = [lines(figure, 0)[f"chain {i}"].get_ydata() for i in range(8)]
    assert np.array_equal(drawn[:4], chains) and [len(row) for row in drawn[4:]] == [0] * 4
    truth = density(target).mean.item()
    assert lines(figure, 0)["truth"].get_ydata() == pytest.approx([truth] * 2)
    assert np.array_equal(lines(figure, 1)["exact law"].get_ydata(), law.rho[:101])
    assert np.array_equal(lines(figure, 1)["their own"].get_ydata(), rho[:101])
    own = math.sqrt(chains.var(axis=1, ddof=1).mean() * t / chains.size)
    for name, error in [("own", own), ("exact law", law.error(4))]:
        ends = np.array(lines(figure, 2)[name].get_xdata())
        middle = chains.mean() - truth
        assert ends == pytest.approx(middle + 1.96 * error * np.array([-1, 0, 1]))
        low, high = figure.axes[2].get_xlim()
        assert name != "own" or (low <= ends[0] and ends[-1] <= high)
    assert f"mean {chains.mean():.3f} ± {own:.3f}," in says
    assert f"the truth is {truth:.3f}. Once settled, exactly: mean {law.mean:.3f} ±" in says
    assert f" ± {law.error(4):.3f}, t " in says and f"Split R̂ {r_hat:.3f}." in says


def test_chains_start_where_they_say() -> None:
    """Those that never move stand there."""
    figure = blank(7.6, 3.8)
    for start, (low, high) in PLACES.items():
        values = {**BASE, "s": 2.5, "sampler": "MALA", "start": start, "chains": 3}
        says = draw_diagnostics(figure, **values)
        assert ("3 of 3 chains never moved" in says) == (low == 25)
        top = figure.axes[0].get_ylim()[1]
        assert top > max(high, 10)
    assert (lines(figure, 0)["chain 2"].get_ydata() == 25).all()
    assert np.isnan(lines(figure, 2)["own"].get_xdata()).all()


def test_what_cannot_be_judged_is_said(panel: Panel) -> None:
    """A step too large, one that never settles, chains that stand still, one chain alone."""
    says = panel.set(s=2.5)
    step = int(says.partition("by step ")[2].partition(".")[0])
    chains = np.abs(traces.run("one hump", True, 2.5, np.linspace(2, 8, 4), 0))
    assert chains[:, step - 1].max() > 1e6 > chains[:, : step - 1].max()
    assert len(lines(panel._screen.figure, 0)["chain 0"].get_ydata()) == step - 1
    assert "No exact law" in says and "mean" not in says and as_if_new(panel)
    assert "No exact law" in panel.set(s=2.0) and "No exact law" not in panel.set(s=1.99)
    assert "No exact law" in panel.set(target="two humps", s=0.9)
    still = panel.set(s=2.5, sampler="MALA", start="all at 25")
    assert still.startswith("4 of 4 chains never moved") and as_if_new(panel)
    alone = panel.set(chains=1)
    assert alone.startswith("1 chain of") and alone.endswith("One chain has no R̂.")
    assert "Split" not in alone


def test_r_hat_sees_two_starts_and_not_one(panel: Panel) -> None:
    """What notebook 7 asks the reader to find, over five seeds."""
    values = {"target": "two humps", "sampler": "MALA", "s": 0.6}
    for seed in range(5):
        both, one, big = (
            float(panel.set(seed=seed, **setting).rpartition("R̂ ")[2].rstrip("."))
            for setting in (
                values,
                {**values, "start": "all at 2"},
                {"target": "two humps", "s": 0.9},
            )
        )
        assert both > 4 and one < 1.005 and big < 1.02
