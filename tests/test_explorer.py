"""The step-size explorer: what its exact law says is true, and it shows and says what it is."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from helpers import densities, exact, langevin, panels
from helpers.panels import chain, steps
from helpers.panels.chain import Setting, run_chain
from helpers.panels.widgets import blank
from test_panels import TARGET, lines, w1_of_draws

BASE = Setting(0.1, 20, "one hump", 1.0, "from [0, 10]", "plain", "constant s")


@pytest.mark.parametrize("s", [0.02, 0.5, 1.5])
@pytest.mark.parametrize("start", panels.STARTS)
@pytest.mark.parametrize("schedule", panels.SCHEDULES)
def test_plain_chain_has_the_moments_and_law_of_the_closed_form(
    s: float, start: str, schedule: str
) -> None:
    run = run_chain(BASE._replace(s=s, start=start, schedule=schedule, sigma=1.2), 0)
    mean, variance = run.moments
    assert run.path.shape == (21, chain.PARTICLES) and run.held and run.stopped is None
    on_grid = exact.moments(run.law.log_p[-1], run.law.x)
    assert on_grid == pytest.approx((mean, math.sqrt(variance)), abs=2e-6)
    standard_error = math.sqrt(2 / chain.PARTICLES) * variance
    assert abs(run.path[-1].var().item() - variance) < 5 * standard_error
    assert abs(run.path[-1].mean().item() - mean) < 5 * math.sqrt(variance / chain.PARTICLES)


def simulate(setting: Setting, n_steps: int, n: int = 20_000) -> np.ndarray:
    """Run the explorer's chain again in NumPy, from the formulas."""
    rng, s2 = np.random.default_rng(5), setting.sigma**2
    weights = [1.0] if len(setting.means) == 1 else [0.8, 0.2]

    def energy_and_slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f = [
            (x - m) ** 2 / (2 * s2) - math.log(w)
            for m, w in zip(setting.means, weights, strict=True)
        ]
        if len(f) == 1:
            return f[0], (x - setting.means[0]) / s2
        gap = f[1] - f[0]
        share = (1 + np.tanh(gap / 2)) / 2  # of the first hump
        mean = share * setting.means[0] + (1 - share) * setting.means[1]
        return np.minimum(*f) - np.log1p(np.exp(-np.abs(gap))), (x - mean) / s2

    x = rng.uniform(*panels.STARTS[setting.start], n)
    f, slope = energy_and_slope(x)
    for s in setting.steps[:n_steps]:
        y = x - s * slope + math.sqrt(2 * s) * rng.standard_normal(n)
        new_f, new_slope = energy_and_slope(y)
        if not setting.plain:
            there, back = (y - x + s * slope) ** 2, (x - y + s * new_slope) ** 2
            stays = np.log(rng.random(n)) > f - new_f + (there - back) / (4 * s)
            y, new_f, new_slope = (
                np.where(stays, old, new) for old, new in ((x, y), (f, new_f), (slope, new_slope))
            )
        x, f, slope = y, new_f, new_slope
    return x


@pytest.mark.parametrize("start", panels.STARTS)
@pytest.mark.parametrize("sampler", panels.SAMPLERS)
def test_exact_law_is_that_of_many_particles(start: str, sampler: str) -> None:
    """At the corners, up to the step to which there is an exact law, but for what a grid loses."""
    settings = [
        BASE._replace(s=s, n_steps=k, sigma=sigma, target=target, schedule=schedule)
        for k, s, sigma in [
            (0, 0.01, 3.0),
            (100, 2.5, 1.0),
            *product([100], [0.01, 20.0], [0.3, 3.0]),
        ]
        for target, schedule in product(panels.TARGETS, panels.SCHEDULES)
    ]
    for setting in settings:
        setting = setting._replace(start=start, sampler=sampler)
        x, log_p = chain.law_of(setting)
        particles = simulate(setting, len(log_p) - 1)
        n, (mean, sd) = len(particles), exact.moments(log_p[-1], x)
        left = np.interp(5.0, x, exact.cdf(log_p[-1], x))
        fourth = exact.integrate(log_p[-1].exp() * (x - mean) ** 4, x).item()
        spread = math.sqrt(max(fourth - sd**4, 0) / n)
        assert abs(particles.mean() - mean) <= 5 * sd / math.sqrt(n) + 1e-5, setting
        assert abs(particles.var() - sd**2) <= 5 * spread + 1e-5, setting
        tolerance = 5 * math.sqrt(left * (1 - left) / n) + 2 / n
        assert abs((particles < 5).mean() - left) <= tolerance, setting


def test_exact_law_is_there_wherever_the_chain_settles() -> None:
    """So the tails are wide enough, and no wider than the grid can resolve."""
    for s, sigma in [(0.01, 0.3), (0.1, 0.7), (0.1, 1.0), (1.0, 1.0), (1.9, 1.0), (2.5, 3.0)]:
        for start, target in product(panels.STARTS, panels.TARGETS):
            setting = BASE._replace(s=s, sigma=sigma, start=start, target=target, n_steps=100)
            assert len(chain.law_of(setting).log_p) == 101, setting
            repaired = setting._replace(sampler="accept/reject", schedule="s/(k + 1)", s=10 * s)
            if start == "from [0, 10]" and sigma > 0.5:
                assert len(chain.law_of(repaired).log_p) == 101, repaired


@pytest.mark.parametrize(
    "change",
    [
        {"s": 2.5, "n_steps": 10},
        {"s": 20.0, "sigma": 3.0},
        {"s": 2.5, "target": "two humps"},
        {"s": 0.01, "sigma": 0.3, "target": "two humps"},
        {"s": 0.4, "sigma": 0.4, "start": "from x = 9", "sampler": "accept/reject"},
        {"s": 0.35, "sigma": 0.4, "start": "from [14, 15]", "sampler": "accept/reject"},
        {"s": 2.5, "start": "from [14, 15]", "sampler": "accept/reject"},
    ],
)
def test_law_that_is_shown_is_that_of_a_finer_grid(
    change: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of these a grid of 401 points holds for a few steps only, or not at all."""
    setting = BASE._replace(**change)
    x, log_p = chain.law_of(setting)
    monkeypatch.setattr(chain, "GRID_POINTS", 1601)
    fine = chain.law_of.__wrapped__(setting._replace(n_steps=len(log_p) - 1))
    assert len(log_p) == len(fine.log_p)
    shown, finer = (exact.moments(p[-1], x) for x, p in ((x, log_p), fine))
    assert shown == pytest.approx(finer, rel=2e-4, abs=1e-5)


def test_accept_reject_from_afar_has_the_variance_of_many_particles() -> None:
    """The mean of ten runs of 2 000 with other seeds was 56.74 ± 0.16."""
    far = BASE._replace(s=2.5, n_steps=100, start="from [14, 15]", sampler="accept/reject")
    assert run_chain(far, 0).moments[1] == pytest.approx(56.74, abs=0.5)
    says = steps.draw_steps(blank(7.6, 3.8), seed=0, **far._asdict())
    assert "of the moves accepted" in says


def test_explorer_shows_and_says_what_its_chain_is() -> None:
    setting, figure = BASE._replace(start="from x = 9"), blank(7.6, 3.8)
    steps.draw_steps(figure, seed=1, **setting._replace(n_steps=3)._asdict())
    says = steps.draw_steps(figure, seed=1, **setting._asdict())
    mean, variance = 5 + 4 * 0.9**20, 0.2 * (1 - 0.81**20) / (1 - 0.81)
    assert f"measured, {variance:.3f} exact; the target has 1.000." in says
    x, law = lines(figure, 0)["exact law"].get_data()
    assert exact.moments(law.log(), x) == pytest.approx((mean, variance**0.5), abs=1e-6)
    z = exact.grid(-8, 8)
    gap = (mean - 5 + (variance**0.5 - 1) * z).abs() * torch.exp(-(z**2) / 2)
    expected = exact.integrate(gap, z).item() / math.sqrt(2 * math.pi)
    curves = {name: line.get_ydata() for name, line in lines(figure, 1).items()}
    assert curves["exact law"][[0, -1]].tolist() == pytest.approx([4.0, expected], abs=2e-3)
    measured = w1_of_draws(run_chain(setting, 1).path[-1])
    assert curves["particles"][-1] == pytest.approx(measured, abs=2e-3)
    assert f"W₁ to the target {curves['particles'][-1]:.3f}" in says


def test_measured_variance_is_said_with_its_standard_error() -> None:
    """Over 200 seeds the variances scatter as much as the panel says, for a box and for a bell."""
    for n_steps in (0, 20):
        ends = [
            run_chain(BASE._replace(n_steps=n_steps), seed).path[-1].clone() for seed in range(200)
        ]
        variances, errors = np.array([steps.variance_and_error(end) for end in ends]).T
        assert errors.mean() == pytest.approx(variances.std(), rel=0.2)
    says = steps.draw_steps(blank(7.6, 3.8), seed=199, **BASE._asdict())
    assert f"variance {variances[-1]:.3f} ± {errors[-1]:.3f} measured" in says


def test_seed_changes_the_particles_and_not_the_law() -> None:
    first, second = run_chain(BASE, 0), run_chain(BASE, 1)
    assert (first.path != second.path).all() and first.law is second.law


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"s": 1.9}, None),
        ({"s": 2.0}, "s is 2σ² = 2: the chain walks at random and never settles."),
        ({"s": 2.1}, "s is beyond 2σ² = 2: the chain diverges."),
        ({"s": 0.5, "sigma": 0.4}, "s is beyond 2σ² = 0.32: the chain diverges."),
        ({"s": 2.0, "target": "two humps"}, None),
        ({"s": 2.1, "target": "two humps"}, "and from far out the chain diverges."),
        ({"s": 2.1, "schedule": "s/(k + 1)"}, None),
        ({"s": 2.1, "sampler": "accept/reject"}, None),
    ],
)
def test_divergence_is_said_in_words(change: dict, words: str | None) -> None:
    says = steps.draw_steps(blank(7.6, 3.8), seed=0, **BASE._replace(**change)._asdict())
    assert words in says if words else "s is" not in says


def test_two_humps_settle_at_the_step_at_which_one_does_not() -> None:
    """As ``_say_stability`` explains; three times as large a step throws the chain out."""
    setting = BASE._replace(s=2.0, target="two humps")
    far = setting._replace(s=6.0, n_steps=100)
    assert simulate(setting._replace(n_steps=4000), 4000, 500).std() < 20
    assert run_chain(far, 0).stopped


def test_explorer_draws_up_to_the_step_at_which_the_sampler_gives_up() -> None:
    setting = BASE._replace(s=5.0, n_steps=100)
    run = run_chain(setting, 0)
    generator = torch.Generator().manual_seed(0)
    x0 = densities.uniform(0, 10, chain.PARTICLES, generator=generator)
    with pytest.raises(langevin.DivergenceError) as caught:
        langevin.langevin_monte_carlo(
            densities.energy_of(TARGET), x0, 100, 5.0, generator=generator
        )
    assert run.stopped == len(run.path) == caught.value.step
    says = steps.draw_steps(blank(7.6, 3.8), seed=0, **setting._asdict())
    assert f"The sampler gave up at step {run.stopped}" in says


def test_only_the_grids_limit_is_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*arguments: Any, **options: Any) -> None:
        raise ValueError("another mistake")

    monkeypatch.setattr(exact, "iterate_law", mistaken)
    with pytest.raises(ValueError, match="another mistake"):
        chain.law_of(BASE._replace(s=0.123))


def test_floor_is_that_of_perfect_draws() -> None:
    x = exact.grid(-5, 15)
    floor = exact.w1_floor(
        TARGET.log_prob(x), x, chain.PARTICLES, generator=torch.Generator().manual_seed(0)
    )
    assert steps.floor_of_w1(TARGET) == pytest.approx(floor.mean().item(), rel=0.1)
