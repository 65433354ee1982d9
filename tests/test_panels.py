"""The panels' callbacks at the ends of every slider and in every combination of choices."""

import math
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from helpers import densities, exact, langevin, panels
from helpers.panels import flow, histogram, penalty, steps
from helpers.panels.widgets import Panel, blank, choice, number, whole_number

TARGET = densities.gaussian(5.0, 1.0)
GRID = exact.grid(-5, 20, 501)
NEGATIVES = {
    "a bell": densities.gaussian(5.0, 2.8).log_prob(GRID).exp(),
    "p* itself": TARGET.log_prob(GRID).exp(),
}
ENERGIES = {
    "exact": densities.energy_of(TARGET),
    "wide": densities.energy_of(densities.gaussian(5.0, 3.0)),
}
MAKERS = {
    "histogram": panels.histogram_panel,
    "steps": panels.step_panel,
    "penalty": lambda: panels.penalty_panel(NEGATIVES, TARGET, GRID),
    "flow": lambda: panels.flow_panel(ENERGIES, TARGET),
}
BASE = {"s": 0.1, "n_steps": 20, "sigma": 1.0, "target": "one hump", "start": "from [0, 10]"}
BASE |= {"sampler": "plain", "schedule": "constant s"}


@pytest.fixture(scope="module", params=MAKERS)
def panel(request: pytest.FixtureRequest) -> Panel:
    """Return each of the four panels."""
    return MAKERS[request.param]()


def ends(source: Any) -> list[Any]:
    """Return the extremes of a control that takes numbers, all values of one that chooses."""
    return list(source.options) if hasattr(source, "options") else [source.min, source.max]


def corners(panel: Panel) -> list[dict[str, Any]]:
    """Return each extreme alone, and all low and all high in every combination of choices."""
    sources = {name: control.source for name, control in panel.controls.items()}
    numbers = [name for name, source in sources.items() if not hasattr(source, "options")]
    alone = [{name: end} for name in numbers for end in ends(sources[name])]
    choices = {name: ends(source) for name, source in sources.items() if name not in numbers}
    together = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    return alone + [
        {**values, **{name: ends(sources[name])[end] for name in numbers}}
        for values in together
        for end in (0, 1)
    ]


def test_every_corner_and_every_combination_of_choices_draws(panel: Panel) -> None:
    home = panel._values()
    pictures = set()
    for values in corners(panel):
        says = panel.set(**{**home, **values})
        assert says and "could not be drawn" not in says and "nan" not in says
        pictures.add(panel.picture)
    assert len(pictures) > len(corners(panel)) / 2
    panel.set(**home)


def test_picture_is_as_if_drawn_afresh(panel: Panel) -> None:
    """Artists that move leave nothing of the settings before behind."""
    home = {name: ends(control.source)[0] for name, control in panel.controls.items()}
    away = {name: ends(control.source)[-1] for name, control in panel.controls.items()}
    panel.set(**home)
    before = panel.picture, panel.says
    panel.set(**away)
    assert panel.picture != before[0]
    panel.set(**home)
    assert (panel.picture, panel.says) == before


def test_panel_shows_a_still_where_there_is_no_kernel(panel: Panel) -> None:
    bundle = panel._repr_mimebundle_()
    assert {"image/png", "text/plain", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()
    assert panel.name in bundle["text/plain"]


def test_text_alternative_tells_the_settings_and_the_sentence(panel: Panel) -> None:
    for name, control in panel.controls.items():
        value = ends(control.source)[-1]
        panel.set(**{name: value})
        shown = value if isinstance(value, str) else f"{value:g}"
        text = panel._view.value.partition("<img alt='")[2].partition("'")[0]
        assert f"{control.label} {shown}" in text.replace("&#x27;", "'")


def test_every_control_has_a_label_and_a_value(panel: Panel) -> None:
    for control in panel.controls.values():
        assert control.label == control.row.children[0].description


# The machinery


def broken(figure: Figure, *, k: int, how: str) -> str:
    """Draw nothing; make a mistake at k = 3."""
    if k == 3:
        raise ZeroDivisionError("a mistake <in> the callback")
    return f"k is {k}, {how}"


@pytest.fixture
def fragile() -> Panel:
    """Return a panel with a mistake in its callback."""
    controls = {"k": whole_number("k", 0, 0, 5), "how": choice("how", ["well", "badly"])}
    return Panel("fragile", broken, controls, stills=[{}])


def test_mistake_in_a_callback_is_told_and_raised(fragile: Panel) -> None:
    picture = fragile.picture
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        fragile.set(k=3)
    assert "ZeroDivisionError: a mistake &lt;in&gt; the callback" in fragile._view.value
    assert fragile.picture == picture
    assert fragile.set(k=4) == "k is 4, well"
    assert "ZeroDivisionError" not in fragile._view.value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k": 6}, "k is 6; it must be a whole number from 0 to 5"),
        ({"k": 2.5}, "k is 2.5; it must be a whole number from 0 to 5"),
        ({"k": "3"}, "k is '3'; it must be a whole number from 0 to 5"),
        ({"k": 1, "how": None}, "how is None; it must be one of well, badly"),
        ({"how": "so"}, "how is 'so'; it must be one of well, badly"),
        ({"j": 1}, "name is 'j'; it must be one of k, how"),
    ],
)
def test_what_cannot_be_set_is_named(fragile: Panel, values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fragile.set(**values)
    assert fragile.says == "k is 0, well"


def test_slider_steps_through_round_values_and_field_takes_any() -> None:
    row, field = number("s", 0.1, [0.01, 0.1, 1.0], "m")[1:]
    slider = row.children[1]
    slider.value = 1.0
    assert field.value == 1.0
    field.value = 0.12
    assert (slider.value, field.value) == (0.1, 0.12)
    slider.value = 0.01
    assert field.value == 0.01
    assert row.children[2].value == "m"


# What the callbacks compute


@pytest.mark.parametrize(("n", "bins"), [(50, 8), (200, 60), (1000, 25)])
def test_histogram_error_is_the_mean_over_data_sets(n: int, bins: int) -> None:
    draws = densities.draw(TARGET, 4000 * n, generator=torch.Generator().manual_seed(1))
    h = 10 / bins
    counts = [np.histogram(rows, bins, (0, 10))[0] for rows in draws.view(4000, n).numpy()]
    x = np.linspace(0, 10, 200 * bins + 1)
    middles = (x[1:] + x[:-1]) / 2
    p = TARGET.log_prob(torch.from_numpy(middles)).exp().numpy()
    heights = np.repeat(np.array(counts) / (n * h), 200, axis=1)
    errors = ((heights - p) ** 2).mean(1) * 10 / (p**2).mean() / 10
    expected = sum(histogram.histogram_error(n, bins))
    assert abs(errors.mean() - expected) < 5 * errors.std() / math.sqrt(4000)


def test_histogram_sentence_gives_the_error_of_its_picture() -> None:
    says = histogram.draw_histogram(blank(7.6, 3.8), n=200, bins=20, seed=3)
    samples = densities.draw(TARGET, 200, generator=torch.Generator().manual_seed(3))
    heights, edges = np.histogram(samples, 20, (0, 10), density=True)
    x = np.linspace(0, 10, 20_001)[:-1] + 0.00025
    p = TARGET.log_prob(torch.from_numpy(x)).exp().numpy()
    error = ((heights[np.digitize(x, edges) - 1] - p) ** 2).mean() / (p**2).mean()
    assert f"squared error {100 * error:.1f} %" in says


def test_best_number_of_bins_grows_with_the_cube_root_of_n() -> None:
    small, large = histogram.expected_errors(100)[1], histogram.expected_errors(10_000)[1]
    assert large / small == pytest.approx(100 ** (1 / 3), rel=0.1)


@pytest.mark.parametrize("s", [0.02, 0.5, 1.5])
@pytest.mark.parametrize("start", panels.STARTS)
@pytest.mark.parametrize("schedule", panels.SCHEDULES)
def test_plain_chain_has_the_variance_and_law_of_the_closed_form(
    s: float, start: str, schedule: str
) -> None:
    values = {**BASE, "s": s, "start": start, "schedule": schedule, "sigma": 1.2}
    chain = steps.run_chain(**values)
    assert chain.path.shape == (21, steps.PARTICLES)
    mean, sd = exact.moments(chain.laws[-1].log(), chain.x)
    assert sd**2 == pytest.approx(chain.variance, abs=2e-3)
    standard_error = math.sqrt(2 / steps.PARTICLES) * chain.variance
    assert abs(chain.path[-1].var().item() - chain.variance) < 5 * standard_error
    assert abs(chain.path[-1].mean().item() - mean) < 5 * sd / math.sqrt(steps.PARTICLES)
    assert chain.acceptance == 1 and chain.stopped is None


@pytest.mark.parametrize("target", panels.TARGETS)
@pytest.mark.parametrize("sampler", panels.SAMPLERS)
def test_particles_follow_their_exact_law(target: str, sampler: str) -> None:
    chain = steps.run_chain(**{**BASE, "s": 0.5, "target": target, "sampler": sampler})
    distances = exact.w1_of_rows(chain.path[[-1]], exact.cdf(chain.laws[-1], chain.x), chain.x)
    generator = torch.Generator().manual_seed(2)
    floor = exact.w1_floor(
        chain.laws[-1].log(), chain.x, steps.PARTICLES, repeats=400, generator=generator
    )
    assert distances.item() < 1.5 * floor[-1]


def test_accept_reject_has_the_law_of_the_mala_kernel() -> None:
    values = {**BASE, "s": 2.5, "n_steps": 60, "sampler": "accept/reject"}
    chain = steps.run_chain(**values)
    assert exact.w1_of_laws(chain.laws[-1], TARGET.log_prob(chain.x).exp(), chain.x) < 0.01
    assert 0.2 < chain.acceptance < 0.6
    assert "of the moves accepted" in steps.draw_steps(blank(7.6, 3.8), **values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"s": 1.9}, "settle"),
        ({"s": 2.0}, "s is 2σ² = 2: the chain walks at random and never settles."),
        ({"s": 2.1}, "s is beyond 2σ² = 2: the chain diverges."),
        ({"s": 0.5, "sigma": 0.4}, "s is beyond 2σ² = 0.32: the chain diverges."),
        (
            {"s": 2.1, "target": "two humps"},
            "s is not below 2σ² = 2: inside a hump the steps overshoot.",
        ),
    ],
)
def test_divergence_is_said_in_words(change: dict, words: str) -> None:
    says = steps.draw_steps(blank(7.6, 3.8), **{**BASE, **change})
    assert (words in says) == (change["s"] != 1.9)


def test_explorer_draws_up_to_the_step_at_which_the_sampler_gives_up() -> None:
    values = {**BASE, "s": 5.0, "n_steps": 100}
    chain = steps.run_chain(**values)
    generator = torch.Generator().manual_seed(0)
    x0 = densities.uniform(0, 10, steps.PARTICLES, generator=generator)
    with pytest.raises(langevin.DivergenceError) as caught:
        langevin.langevin_monte_carlo(
            densities.energy_of(TARGET), x0, 100, 5.0, generator=generator
        )
    assert chain.stopped == caught.value.step
    assert len(chain.path) == chain.stopped
    assert f"The sampler gave up at step {chain.stopped}" in steps.draw_steps(
        blank(7.6, 3.8), **values
    )


def test_law_that_no_grid_can_hold_is_left_out_and_said() -> None:
    values = {**BASE, "s": 0.01, "n_steps": 100, "schedule": "s/(k + 1)"}
    chain = steps.run_chain(**values)
    assert len(chain.laws) < len(chain.path)
    says = steps.draw_steps(blank(7.6, 3.8), **values)
    assert f"The grid of 401 points holds the law to step {len(chain.laws) - 1}." in says


def test_only_the_grids_limit_is_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*arguments: Any, **options: Any) -> None:
        raise ValueError("another mistake")

    monkeypatch.setattr(exact, "iterate_law", mistaken)
    with pytest.raises(ValueError, match="another mistake"):
        steps.run_chain(**BASE)


def test_floor_is_that_of_perfect_draws() -> None:
    x = exact.grid(-5, 15)
    floor = exact.w1_floor(
        TARGET.log_prob(x), x, steps.PARTICLES, generator=torch.Generator().manual_seed(0)
    )
    assert steps.floor_of_w1(TARGET) == pytest.approx(floor.mean().item(), rel=0.1)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0])
def test_penalised_energy_minimises_the_penalised_loss(alpha: float) -> None:
    p, q = TARGET.log_prob(GRID).exp(), NEGATIVES["a bell"]
    f = penalty.penalised_energy(p, q, alpha)
    assert (f.abs() <= (1 + 1e-12) / (2 * alpha)).all()

    def loss(f: torch.Tensor) -> torch.Tensor:
        return p * (f + alpha * f**2) - q * (f - alpha * f**2)

    for nudge in (-1e-3, 1e-3):
        assert (loss(f + nudge) >= loss(f)).all()
        assert (loss(f + nudge) > loss(f)).any()


def test_flow_follows_its_law_and_its_box() -> None:
    x = exact.grid(-15, 30, steps.GRID_POINTS)
    run = flow.run_flow(ENERGIES["exact"], "from [0, 15]", x)
    assert run.particles.shape == (31, 500) and run.laws.shape == (31, len(x))
    means = torch.stack([exact.integrate(p * x, x) for p in run.laws])
    expected = 5 + 2.5 * 0.9 ** torch.arange(31.0, dtype=torch.float64)
    assert (means - expected).abs().max() < 1e-3
    assert (run.particles.mean(1) - expected).abs().max() < 5 * 15 / math.sqrt(12 * 500)


def test_still_shows_each_setting() -> None:
    parts = Image.open(BytesIO(panels.step_panel()._still))
    assert parts.size == (1360, 1080)
    halves = [np.asarray(parts.crop((x, 0, x + 680, 360))) for x in (0, 680)]
    assert (halves[0] != halves[1]).any()
