"""How quickly the panels follow, in a real browser: from a key pressed to the new picture shown.

python tests/panel_latency.py
python tests/panel_latency.py --json latency.json
python tests/panel_latency.py --rows echo "inpainting, scrubbing"

For each panel its slider is moved 40 times by key, turning round at its ends, then dragged to and
fro for two seconds; printed are the median, the 95 % quantile and the longest of the 40 times, and
how long after the release the last picture came, all in milliseconds. The row ``echo`` is a bare
slider whose kernel answers with its value: the floor.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page

from browser import find_browser, jupyter_lab, new_page, run_all
from course import print_anywhere, set_aside_settings
from live import LivePanel
from refresh import METADATA

SETUP = """\
import ipywidgets as widgets
import torch
from helpers import densities, exact, panels, plots

torch.set_num_threads(1)
plots.use_style()
target = densities.gaussian(5.0, 1.0)
x = exact.grid(-5, 20, 501)
bells = {"a bell": densities.gaussian(5.0, 2.8).log_prob(x)}
energies = {"exact": densities.energy_of(target)}"""
ECHO = """\
slider, answer = widgets.IntSlider(50), widgets.HTML("50")
slider.observe(lambda change: answer.set_trait("value", str(change.new)), "value")
row = widgets.HBox([widgets.BoundedIntText(description="echo"), slider]).add_class("course-row")
widgets.VBox([row, answer]).add_class("course-panel")"""
SLOWEST = """\
slow = panels.step_panel()
slow.set(n_steps=100, target="two humps", sampler="accept/reject", schedule="s/(k + 1)")
slow"""
SLOW_CHAINS = """\
chains = panels.diagnostics_panel()
chains.set(chains=8, target="two humps", sampler="MALA")
chains"""
SLOW_MODES = """\
modes = panels.plane_panel()
modes.set(k=100, sd=0.2, moves="with jumps")
modes"""
FEW_STEPS = """\
from helpers.panels import descent
panels.descent_panel(descent.exact_score)"""
INPAINTING = """\
from torch import nn
from helpers import images
from helpers.energy import linear
generator = torch.Generator().manual_seed(0)
digits = images.dequantised(images.digits()[0], generator=generator)
layers = [linear(*size, generator) for size in [(64, 128), (128, 128), (128, 1)]]
net = nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2]).requires_grad_(False)
energy = lambda z: z.square().sum(1) / 2 + net(z).squeeze(1)
panels.inpainting_panel(energy, images.Whitening(digits), digits)"""
ROWS = {
    "echo": (ECHO, "echo"),
    "histogram": ("panels.histogram_panel()", "number of bins"),
    "steps": ("panels.step_panel()", "step size s"),
    "steps, slowest choices": (SLOWEST, "step size s"),
    "penalty": ("panels.penalty_panel(bells, target, x)", "penalty α"),
    "flow": ("panels.flow_panel(energies, target)", "step k"),
    "diagnostics": ("panels.diagnostics_panel()", "step size s"),
    "diagnostics, slowest choices": (SLOW_CHAINS, "step size s"),
    "plane, scrubbing": ("panels.plane_panel()", "round k"),
    "plane, slowest choices": (SLOW_MODES, "spread sd"),
    "inpainting, scrubbing": (INPAINTING, "steps"),
    "inpainting, another image": (INPAINTING, "image"),
    "down the levels": (FEW_STEPS, "steps K"),
}
"""For each row the cell that makes the panel, and the label of the slider that is moved."""

MOVES = 40


def measure(page: Page, number: int, label: str) -> dict[str, float]:
    """Move and drag one slider; return the times in milliseconds."""
    panel = LivePanel(page, number)
    handle = panel.row(label).locator("[role=slider]")
    key = "ArrowRight"
    for move in range(MOVES + 1):  # the first one is not counted
        if panel.at_end(label):
            key = "ArrowLeft"
        elif panel.at_end(label, "min"):
            key = "ArrowRight"
        handle.focus()
        page.keyboard.press(key)
        page.wait_for_function(
            "([root, n]) => root.seen.shown.length > n", arg=[panel.root.element_handle(), move]
        )
        page.wait_for_timeout(50)
    times = sorted(shown - pressed for pressed, shown in panel.seen["shown"][1:])
    return {
        "median_ms": statistics.median(times),
        "p95_ms": statistics.quantiles(times, n=20)[-1],
        "max_ms": times[-1],
        "settle_ms": settle(page, panel, label),
    }


def settle(page: Page, panel: LivePanel, label: str) -> float:
    """Drag the slider to and fro for two seconds; return how long the last picture took after."""
    panel.row(label).scroll_into_view_if_needed()
    box: Any = panel.row(label).locator(".noUi-base").bounding_box()
    middle = box["y"] + box["height"] / 2
    knob: Any = panel.row(label).locator("[role=slider]").bounding_box()
    page.mouse.move(knob["x"] + knob["width"] / 2, middle)
    page.mouse.down()
    for move in range(120):
        share = abs(move % 60 - 30) / 30
        page.mouse.move(box["x"] + box["width"] * (0.1 + 0.8 * share), middle)
        page.wait_for_timeout(1000 / 60)
    page.mouse.up()
    page.wait_for_timeout(1500)
    seen = panel.seen
    return max(0.0, seen["shown"][-1][1] - seen["released"])


def write(path: Path, names: list[str]) -> None:
    """Write a notebook that shows the panels of these rows."""
    cells = [new_code_cell(source) for source in (SETUP, *(ROWS[name][0] for name in names))]
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)


def main() -> None:
    """Measure the rows; print a table, and write it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    options = parser.parse_args()
    file = options.json
    if file and not file.parent.is_dir():
        parser.error(f"there is no folder {file.parent}")
    if find_browser() is None:
        parser.error("there is no Chromium or Chrome on the PATH")
    print_anywhere()
    rows = []
    with tempfile.TemporaryDirectory() as settings, tempfile.TemporaryDirectory() as folder:
        set_aside_settings(Path(settings))
        with jupyter_lab(Path(folder)) as (url, _), new_page() as page:
            write(Path(folder) / "course" / "notebooks" / "panels.ipynb", options.rows)
            run_all(page, url.format("panels"))
            print(f"{'panel':29}{'median':>8}{'95 %':>8}{'longest':>9}{'settled':>9}")
            for number, name in enumerate(options.rows):
                times = measure(page, number, ROWS[name][1])
                rows.append({"panel": name, **{key: round(ms, 1) for key, ms in times.items()}})
                print(f"{name:29}", *(f"{ms:8.0f}" for ms in times.values()), flush=True)
    if file:
        file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
