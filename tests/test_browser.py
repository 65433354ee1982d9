"""Every notebook in a JupyterLab of its own, in a real browser, used by keyboard."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from browser import LivePanel, complaints, find_browser, jupyter_lab, new_page, run_all
from refresh import NOTEBOOKS

PANELS = {"01_data_histogram": 1, "03_langevin_monte_carlo": 1, "04_energy_based_model": 1}
PANELS |= {"05_particle_flow": 1}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Start JupyterLab, if there is a browser to look at it with."""
    if find_browser() is None:
        message = "no Chromium or Chrome on the PATH: the notebooks were not opened in a browser"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def page(lab: tuple[str, Path]) -> Iterator[Page]:
    """Open an empty page."""
    with new_page() as page:
        yield page


@pytest.mark.parametrize("name", [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))])
def test_notebook_runs_and_its_panels_live(lab: tuple[str, Path], page: Page, name: str) -> None:
    url, log = lab
    cells = run_all(page, url.format(name))
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        if "raises-exception" not in cell["tags"]:
            kinds = [(output["output_type"], output.get("name")) for output in cell["outputs"]]
            assert not {"error", "stderr"} & {word for kind in kinds for word in kind}, cell["id"]

    assert page.locator(".course-panel").count() == PANELS.get(name, 0)
    for number in range(PANELS.get(name, 0)):
        use(LivePanel(page, number))
    assert complaints(page) == []
    for trouble in ("Error displaying widget", "Click to show javascript error", "model not found"):
        assert page.get_by_text(trouble).count() == 0
    assert "Traceback" not in log.read_text(encoding="utf-8")


KEYS = {
    "number": ("ArrowUp", "ArrowDown"),
    "radio": ("Space",),
    None: ("ArrowRight", "ArrowLeft"),
}
"""What moves a field, a choice and a slider, and what moves them back from their end."""


def move(panel: LivePanel, label: str, handle: Locator) -> None:
    """Move a control by key, and see the picture change and its text tell the new value."""
    before, source = panel.shown(label), panel.source
    handle.press(KEYS[handle.get_attribute("type")][-panel.at_end(label)])
    panel.wait_until(lambda: panel.shown(label) != before and panel.source != source)
    panel.wait_until(lambda: panel.tells(label) and panel.says in panel.alternative)


def use(panel: LivePanel) -> None:
    """Move each control of a panel by each of its handles, by keyboard; play what can be played."""
    handles = "input[type=number], input[type=radio]:not(:checked), [role=slider]"
    for label in panel.labels():
        for handle in panel.row(label).locator(handles).all():
            move(panel, label, handle)

    play = panel.page.get_by_role("button", name="Play", exact=True)
    if play.count():
        steps = {panel.alternative}
        play.press("Space")
        panel.wait_until(lambda: len(steps) > 3 or steps.add(panel.alternative))
        play.press("Space")
        panel.page.wait_for_timeout(500)
        still = panel.source
        panel.page.wait_for_timeout(500)
        assert panel.source == still, "it has stopped"
    assert panel.seen["blank"] == 0, "no flicker"
    assert len(panel.seen["heights"]) == 1, "no jump in height"
