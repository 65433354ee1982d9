"""The panels in a JupyterLab of their own, in a real browser, used by keyboard.

What is run of each lesson is the cell that makes its panel and the cells that this one needs, all
on one page. ``python tests/browser.py --all`` runs every cell of every lesson, and takes minutes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page

from browser import PANELS, complaints, find_browser, jupyter_lab, new_page, run_all, trouble
from course import LESSONS
from excerpt import excerpt, names
from live import LivePanel, enter
from refresh import METADATA

UNTRAINED = {
    "04_energy_based_model": {
        "code-10": "article = densities.energy_of(densities.gaussian(5.0, 2.8))",
    },
    "05_particle_flow": {
        "code-04": "target = densities.gaussian(5.0, 1.0); ours = densities.energy_of(target)",
        "code-15": "article = densities.energy_of(densities.gaussian(5.0, 2.8))",
    },
    "09_images": {
        "train-09": "deep = lambda z: z.square().sum(1) / 2 + 2 * z.sin().sum(1)",
    },
    "10_scores_and_diffusion": {
        "trained-10": "nets = {0: scores.LevelEnergy(columns[0], low, high, generator=seeded(0))}",
    },
}
"""For the ids of the cells that train a network, what takes their place here."""


def panel_cells(lesson: str) -> list[str]:
    """Return the sources of a lesson's panel and of the cells that it needs, none trained."""
    return excerpt(LESSONS[lesson], f"panel-{lesson[:2]}", UNTRAINED.get(lesson))


class Shown(NamedTuple):
    """A page on which all the panels were run: what its cells hold, and the server's log."""

    page: Page
    cells: list[dict[str, Any]]
    log: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Run all the panels in the browser, if there is one."""
    if find_browser() is None:
        message = "no Chromium or Chrome on the PATH: the panels were not used in a browser"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    folder = tmp_path_factory.mktemp("lab")
    cells = [new_code_cell(source) for lesson in PANELS for source in panel_cells(lesson)]
    with jupyter_lab(folder) as (url, log), new_page() as page:
        path = folder / "course" / "notebooks" / "panels.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)
        yield Shown(page, run_all(page, url.format(path.stem)), log)


def test_every_panel_comes_to_life_and_can_be_used(shown: Shown) -> None:
    assert trouble(*shown, panels=len(PANELS)) == []


def test_a_decimal_comma_is_understood(shown: Shown) -> None:
    panel = LivePanel(shown.page, list(PANELS).index("03_langevin_monte_carlo"))
    enter(panel.row("step size s").locator("input"), "0,5")
    panel.wait_until(lambda: " step size s 0.5;" in panel.alternative)
    assert complaints(shown.page) == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_panels_are_made_where_they_are_looked_for(lesson: str) -> None:
    cells = nbformat.read(LESSONS[lesson], as_version=4).cells
    made = [cell.id for cell in cells if cell.cell_type == "code" and "_panel(" in cell.source]
    assert made == ([f"panel-{lesson[:2]}"] if lesson in PANELS else [])
    assert lesson not in PANELS or f"panels.{PANELS[lesson]}(" in panel_cells(lesson)[-1]


@pytest.mark.parametrize("lesson", UNTRAINED)
def test_what_replaces_training_binds_the_same_names(lesson: str) -> None:
    sources = {cell.id: cell.source for cell in nbformat.read(LESSONS[lesson], as_version=4).cells}
    for cell_id, source in UNTRAINED[lesson].items():
        assert names(source)[0] <= names(sources[cell_id])[0]
        assert source in panel_cells(lesson)
