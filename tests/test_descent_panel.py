"""The panel of notebook 10: what it computes is true, and it shows and says what it computed."""

import math

import numpy as np
import pytest
import torch

from helpers import exact, panels, scores
from helpers.exact import reverse
from helpers.panels import descent
from helpers.panels.widgets import Panel, blank
from test_panels import as_if_new, lines

BASE = {"steps": 20, "score": "exact", "spacing": "geometric", "noise": "ancestral"}


def half_blind(x: torch.Tensor, level: float) -> torch.Tensor:
    """A score that is wrong by a part, as a learned one is."""
    return 0.95 * descent.exact_score(x, level)


@pytest.mark.parametrize("level", [0.1, 3.0, 20.0])
def test_the_exact_score_is_the_slope_of_the_log_density(level: float) -> None:
    x = torch.linspace(-30, 40, 99, dtype=torch.float64)
    humps = descent._humps(level)
    slope = torch.func.grad(lambda y: humps.log_prob(y).sum())(x)
    assert torch.allclose(descent.exact_score(x[:, None], level)[:, 0], slope, rtol=1e-10)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panels.descent_panel(half_blind)


@pytest.mark.parametrize("score", ["exact", "learned"])
@pytest.mark.parametrize("noise", descent.NOISES)
@pytest.mark.parametrize("spacing", descent.SPACINGS)
def test_picture_and_sentence_are_of_the_same_law(spacing: str, noise: str, score: str) -> None:
    figure = blank(7.6, 3.8)
    values = {**BASE, "spacing": spacing, "noise": noise, "score": score}
    descent.draw_descent(figure, learned=half_blind, **BASE)
    says = descent.draw_descent(figure, learned=half_blind, **values)
    slope = half_blind if score == "learned" else descent.exact_score
    levels = descent.SPACINGS[spacing](20.0, 0.1, 20)
    *_, (x, log_q) = reverse.line_law(slope, levels, descent.START, v=descent.NOISES[noise])
    drawn_x, drawn = map(np.asarray, lines(figure, 0)["sampler's law"].get_data())
    there = np.interp(drawn_x, x.numpy(), log_q.exp().numpy())
    assert np.abs(there - drawn).max() < 0.02 * there.max()
    h = (x[1] - x[0]).item()
    weights = [(log_q.exp() * ((x >= a) & (x < a + 6))).sum().item() * h for a in (-3, 3, 9)]
    told = [float(w) for w in says.partition("weights ")[2].partition(",")[0].split()]
    assert told == pytest.approx(weights, abs=0.004)
    bars = next(patch for patch in figure.axes[1].patches if patch.get_gid() == "sampler")
    assert bars.get_data().values[::2] == pytest.approx(told, abs=5e-4)
    wanted = descent._humps(0.1).log_prob(x)
    kl = 1000 * (wanted.exp() * (wanted - log_q)).sum().item() * h
    assert float(says.partition("KL ")[2].partition(" ")[0]) == pytest.approx(kl, rel=0.03)


def test_langevin_has_the_law_of_its_chain_and_its_marks() -> None:
    figure = blank(7.6, 3.8)
    says = descent.draw_descent(figure, learned=half_blind, **{**BASE, "steps": 7})
    x = exact.grid(-140, 154, 2941)
    start = torch.distributions.Normal(*map(torch.tensor, descent.START)).log_prob(x)
    law = exact.law(start, lambda y: -descent._humps(0.0).log_prob(y[:, 0]), x, 7, 0.1)[-1].exp()
    weights = [(law * ((x >= a) & (x < a + 6))).sum().item() * 0.1 for a in (-3, 3, 9)]
    told = says.partition("as many steps: weights ")[2].partition(",")[0].split()
    assert [float(w) for w in told] == pytest.approx(weights, abs=0.01)
    assert lines(figure, 1)["Langevin"].get_ydata() == pytest.approx(weights, abs=0.01)
    assert list(lines(figure, 1)["p*"].get_ydata()) == [0.2, 0.5, 0.3]


def test_more_steps_help_as_the_notebook_says(panel: Panel) -> None:
    """What it asks the reader to find: directions of the weights, even spacing, the floor."""

    def kl(**values: object) -> float:
        return float(panel.set(**values).partition("KL ")[2].partition(" ")[0])

    def middle(**values: object) -> float:
        return float(panel.set(**values).partition("weights ")[2].split()[1])

    for steps in (5, 20):
        assert middle(steps=steps) > 0.5 > middle(steps=steps, noise="Euler–Maruyama")
    assert kl(steps=100) < kl(steps=50) / 3 < kl(steps=20) / 10
    assert kl(steps=100, spacing="even") > 20 * kl(steps=100)
    assert abs(middle(steps=100, spacing="even") - 0.5) < 0.02
    assert kl(steps=100, score="learned") > kl(steps=50, score="learned") / 2
    assert as_if_new(panel)


def test_one_step_has_a_picture_too(panel: Panel) -> None:
    for spacing in descent.SPACINGS:
        for noise in descent.NOISES:
            says = panel.set(steps=1, spacing=spacing, noise=noise)
            assert says.startswith(f"1 {noise} step down") and as_if_new(panel)
    assert math.isfinite(lines(panel._screen.figure, 0)["sampler's law"].get_ydata().max())


def test_spacings_are_those_of_the_course() -> None:
    assert descent.SPACINGS["geometric"](20, 0.1, 9) == scores.geometric(20, 0.1, 9)
    even = descent.SPACINGS["even"](20, 0.1, 10)
    assert np.diff(even) == pytest.approx([-1.99] * 10)
