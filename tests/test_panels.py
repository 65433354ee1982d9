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

from cases import DIGITS, WHITE, uneven
from helpers import densities, exact, panels
from helpers.panels import descent, flow, histogram, penalty
from helpers.panels.controls import choice, number, player
from helpers.panels.screen import Screen
from helpers.panels.widgets import Panel, blank

TARGET = densities.gaussian(5.0, 1.0)
GRID = exact.grid(-5, 20, 501)
NEGATIVES = {
    "a bell": densities.gaussian(5.0, 2.8).log_prob(GRID),
    "p* itself": TARGET.log_prob(GRID),
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
    "diagnostics": panels.diagnostics_panel,
    "plane": panels.plane_panel,
    "inpainting": lambda: panels.inpainting_panel(uneven, WHITE, DIGITS[:9]),
    "descent": lambda: panels.descent_panel(lambda x, level: 0.9 * descent.exact_score(x, level)),
}


@pytest.fixture(scope="module", params=MAKERS)
def panel(request: pytest.FixtureRequest) -> Panel:
    """Return each of the panels."""
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


def lines(figure: Figure, number: int) -> dict[str, Any]:
    """Return the moving lines in one of a figure's axes, by name."""
    return {line.get_gid(): line for line in figure.axes[number].lines}


def as_if_new(panel: Panel) -> bool:
    """Say whether a panel shows what a new figure would show, and says the same."""
    screen = Screen(blank(7.6, 3.8))
    says = panel._draw(screen.figure, **panel._values())
    shown = np.asarray(Image.open(BytesIO(panel.picture)))
    return says == panel.says and np.array_equal(shown, np.asarray(screen.picture()))


def test_every_corner_and_every_combination_of_choices_draws(panel: Panel) -> None:
    """Each says something, and says so where it draws no exact law."""
    home = panel._values()
    pictures = set()
    for values in corners(panel):
        says = panel.set(**{**home, **values})
        assert says and "could not be drawn" not in says and "nan" not in says
        law = lines(panel._screen.figure, 0).get("exact law")
        if law is not None:
            assert np.isfinite(np.asarray(law.get_ydata())).any() == ("No exact law" not in says)
        pictures.add(panel.picture)
    assert len(pictures) > len(corners(panel)) / 2
    panel.set(**home)


def test_picture_is_as_if_drawn_afresh(panel: Panel) -> None:
    """Artists that move leave nothing of the settings before behind, and nothing stays."""
    for end in (0, -1, 0):
        panel.set(**{name: ends(control.source)[end] for name, control in panel.controls.items()})
        assert as_if_new(panel)


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
    controls = {"k": number("k", 0, range(6)), "how": choice("how", ["well", "badly"])}
    return Panel("fragile", broken, controls, stills=[{}])


def test_mistake_in_a_callback_is_told_and_raised(fragile: Panel) -> None:
    picture = fragile.picture
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        fragile.set(k=3)
    assert "ZeroDivisionError: a mistake &lt;in&gt; the callback" in fragile._view.value
    assert fragile.picture == picture
    assert fragile.set(k=4) == "k is 4, well"
    assert "ZeroDivisionError" not in fragile._view.value


def test_set_depends_on_no_call_before(fragile: Panel) -> None:
    """What is not named is as at first, so a cell that is run again shows what it showed."""
    assert fragile.set(k=4, how="badly") == "k is 4, badly"
    assert fragile.set(k=4) == "k is 4, well"


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
    source = number("s", 0.1, [0.01, 0.1, 1.0], "m").source
    field, slider, unit = source.children
    slider.value = 1.0
    assert (source.value, field.value) == (1.0, "1")
    field.value = "0.12"
    assert (slider.value, source.value) == (0.1, 0.12)
    slider.value = 0.01
    assert (source.value, field.value) == (0.01, "0.01")
    source.value = 1 / 3
    assert (source.value, field.value, slider.value) == (1 / 3, "0.333333", 0.1)
    assert unit.value == "m"


@pytest.mark.parametrize(
    ("typed", "value"), [("0.5", 0.5), ("0,5", 0.5), (" 1 ", 1.0), ("1e-2", 0.01), (".5", 0.5)]
)
def test_field_takes_a_decimal_point_or_comma(typed: str, value: float) -> None:
    source = number("s", 0.1, [0.01, 0.1, 1.0]).source
    source.field.value = typed
    assert source.value == value and source.field.value == f"{value:g}"


@pytest.mark.parametrize(
    "typed", ["6", "-1", "2.5", "0,5", "1,000", "", "x", "nan", "0_1", "1e400"]
)
def test_refused_entry_is_told_and_changes_nothing(fragile: Panel, typed: str) -> None:
    source, picture = fragile.controls["k"].source, fragile.picture
    for _ in range(2):
        source.field.value = typed
        assert fragile.says == f"k is {typed!r}; it must be a whole number from 0 to 5."
        assert "it must be a whole number from 0 to 5" in fragile._view.value
        assert (source.value, source.slider.value, source.field.value) == (0, 0, "0")
        assert fragile.picture == picture
        fragile.set(how="badly")
        assert fragile.says == "k is 0, badly"
    source.field.value = "4"
    assert fragile.says == "k is 4, badly" and source.slider.value == 4


@pytest.mark.parametrize("typed", ["inf", "nan", "0.001", "1,000,5", "1_0", "one"])
def test_field_refuses_what_is_no_number_in_its_range(typed: str) -> None:
    source = number("s", 0.1, [0.01, 0.1, 20.0]).source
    source.field.value = typed
    assert source.refused == f"s is {typed!r}; it must be a number from 0.01 to 20.0."
    assert (source.value, source.field.value) == (0.1, "0.1")


def test_player_plays_over_and_over() -> None:
    source = player("k", 30, "steps").source
    play = next(child for child in source.children if hasattr(child, "repeat"))
    assert play.repeat and (play.min, play.max, play.step) == (0, 30, 1)
    source.slider.value = 7
    assert (source.value, source.field.value) == (7, "7")


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


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0])
def test_penalised_energy_minimises_the_penalised_loss(alpha: float) -> None:
    log_p, log_q = TARGET.log_prob(GRID), NEGATIVES["a bell"]
    p, q = log_p.exp(), log_q.exp()
    f = penalty.penalised_energy(log_p, log_q, alpha)
    assert (f.abs() <= (1 + 1e-12) / (2 * alpha)).all()

    def loss(f: torch.Tensor) -> torch.Tensor:
        return p * (f + alpha * f**2) - q * (f - alpha * f**2)

    for nudge in (-1e-3, 1e-3):
        assert (loss(f + nudge) >= loss(f)).all()
        assert (loss(f + nudge) > loss(f)).any()


def test_penalty_shows_the_energy_and_its_density() -> None:
    figure, values = blank(7.6, 3.8), {"log_densities": NEGATIVES, "x": GRID}
    values |= {"log_p": TARGET.log_prob(GRID), "negatives": "a bell"}
    penalty.draw_penalty(figure, alpha=0.2, **values)
    says = penalty.draw_penalty(figure, alpha=1.0, **values)
    p, q = TARGET.log_prob(GRID).exp().numpy(), NEGATIVES["a bell"].exp().numpy()
    f = (q - p) / (2 * (p + q))
    density = np.exp(-f) / np.trapezoid(np.exp(-f), GRID)
    assert np.allclose(lines(figure, 0)["model"].get_ydata(), f)
    assert np.allclose(lines(figure, 1)["asked for"].get_ydata(), density)
    kl = np.trapezoid(p * np.log(p / density), GRID)
    assert f"has a KL of {1000 * kl:.1f} millinats" in says
    assert f"from {f.min():.3f} to {f.max():.3f} nats" in says


def w1_of_draws(particles: torch.Tensor) -> float:
    """Return W₁ of particles to N(5, 1), as the mean distance of ordered ones to quantiles."""
    levels = (torch.arange(len(particles), dtype=torch.float64) + 0.5) / len(particles)
    return (particles.sort().values - TARGET.icdf(levels)).abs().mean().item()


@pytest.mark.parametrize("model", ENERGIES)
def test_flow_shows_and_says_its_step(model: str) -> None:
    panel = panels.flow_panel(ENERGIES, TARGET)
    for k in (2, 30):
        says = panel.set(k=k, model=model, seed=3, box="from [0, 15]")
        particles = flow.flow_particles(ENERGIES[model], "from [0, 15]", 3)[k]
        s = 0.1 if model == "exact" else 0.1 / 9
        expected = list(exact.gaussian_moments(7.5, 15**2 / 12, 5.0, 1.0, [s] * k))[-1][0]
        x, law = lines(panel._screen.figure, 0)["exact law"].get_data()
        mean, sd = exact.moments(law.log(), x)
        assert mean == pytest.approx(expected, abs=1e-5)
        assert abs(particles.mean() - mean) < 5 * sd / math.sqrt(500)
        assert f"mean {particles.mean():.3f}, sd {particles.std():.3f}" in says
        far = (np.abs(particles.numpy() - 5) > 3).mean()
        assert f"{100 * far:.1f} % of the particles are more than 3 sd" in says
        W1 = float(says.split("particles ")[-1].split(",")[0])
        assert W1 == pytest.approx(w1_of_draws(particles), abs=0.01)
        p, z = TARGET.log_prob(x), exact.cdf(law.log(), x)
        W1 = float(says.split("exact law ")[-1].rstrip("."))
        gap = (z - TARGET.cdf(x)).abs()
        assert p.exp().max() < 1 and W1 == pytest.approx(exact.integrate(gap, x).item(), abs=2e-3)


@pytest.mark.parametrize(
    "name", ["histogram", "steps", "flow", "diagnostics", "plane", "inpainting"]
)
def test_a_panel_that_draws_particles_has_a_seed(name: str) -> None:
    panel = MAKERS[name]()
    assert panel.controls["seed"].label == "seed"
    pictures = []
    for seed in (0, 1, 0):
        panel.set(seed=seed)
        pictures.append(panel.picture)
    assert pictures[0] == pictures[2] != pictures[1]


def test_each_seed_has_a_flow_of_its_own() -> None:
    flows = [flow.flow_particles(ENERGIES["exact"], "from [0, 10]", seed) for seed in (0, 1, 0)]
    assert (flows[0] != flows[1]).all() and (flows[0] == flows[2]).all()


def test_flow_says_where_its_grid_does_not_hold_the_law() -> None:
    panel = panels.flow_panel({"downhill": lambda x: -3 * x.sum(-1)}, TARGET)
    assert "exact law 4." in panel.set(k=5, box="from [0, 15]")
    assert "No exact law: the grid does not hold it." in panel.set(k=30, box="from [0, 15]")


def test_still_shows_each_setting() -> None:
    parts = Image.open(BytesIO(panels.step_panel()._still))
    assert parts.size == (1220, 1020)
    cells = [(x, y, x + 610, y + 340) for x in (0, 610) for y in (0, 340, 680)]
    assert len({parts.crop(cell).tobytes() for cell in cells}) == 6
