"""Proof that the tests bite: a small notebook passes, and each kind of change in it is noticed."""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import test_notebooks
from course import ROOT
from refresh import refresh

SETUP = """\
import io
from IPython.display import display
from matplotlib.figure import Figure
from tqdm.notebook import tqdm

def show(title="p(x)", width=4.0, kind="png"):
    figure, file = Figure(figsize=(width, 2.0)), io.BytesIO()
    figure.subplots().set_title(title)
    figure.savefig(file, format=kind)
    display({f"image/{kind}": file.getvalue(), "text/plain": "A picture"}, raw=True)"""

PASSES = ""
CELLS = {
    "setup": (SETUP, SETUP, PASSES),
    "picture": ("show()", "show(title='p(x)')", PASSES),
    "widget": ("for _ in tqdm(range(3)): pass", "for i in tqdm(range(3)): pass", PASSES),
    "number": ("print(0.123)", "print(0.124)", "0.124"),
    "error": ("1 / 0", "[][0]", "IndexError"),
    "title": ("show('p(x)')", "show('p(x)!')", "Picture 1 has changed: RMS difference"),
    "jpeg": ("show(kind='jpeg')", "show('p(x)!', kind='jpeg')", "Picture 1 has changed"),
    "size": ("show()", "show(width=4.1)", "stored with (400, 200) pixels, now it has (410, 200)"),
    "none": ("show()", "display({'text/plain': 'A picture'}, raw=True)", "1 stored, 0 made"),
}
"""For each cell its stored code, the code it is changed to, and what the test of that says."""


def write(path: Path, sources: dict[str, str]) -> None:
    """Write a notebook of code cells, with these ids and sources, which have not been run."""
    cells = [new_code_cell(source, id=name) for name, source in sources.items()]
    for cell in cells:
        cell.metadata.tags = ["raises-exception"] if cell.id == "error" else []
    nbformat.write(new_notebook(cells=cells), path)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the refreshed notebook."""
    path = tmp_path_factory.mktemp("course") / "01_stored.ipynb"
    write(path, {name: before for name, (before, _, _) in CELLS.items()})
    refresh(path)
    return path


@pytest.fixture(scope="module")
def changed(stored: Path) -> Path:
    """Return a copy with the code changed, the outputs not, and one more cell that was not run."""
    notebook = nbformat.read(stored, as_version=4)
    for cell in notebook.cells:
        cell.source = CELLS[cell.id][1]
    notebook.cells.append(new_code_cell("print('never run')", id="unrun"))
    path = stored.with_name("01_changed.ipynb")
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def failures(stored: Path, changed: Path) -> dict[tuple[str, str], str]:
    """Test both notebooks as the course's are tested; return what is said of each cell."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, stored.parent)
    report = stored.with_name("report.xml")
    options = [
        "-n",
        "0",
        "--color=no",
        f"--junitxml={report}",
        "-o",
        f"pythonpath={ROOT / 'tests'}",
    ]
    command = [sys.executable, "-m", "pytest", *options, stored.name, changed.name]
    subprocess.run(command, cwd=stored.parent, capture_output=True)
    cases = iter(ElementTree.parse(report).iter("testcase"))
    return {
        (path.stem.removeprefix("01_"), cell.id): next(cases).findtext("failure", default=PASSES)
        for path in (stored, changed)
        for cell in nbformat.read(path, as_version=4).cells
    }


@pytest.mark.parametrize("cell", CELLS)
def test_unchanged_cell_passes(failures: dict[tuple[str, str], str], cell: str) -> None:
    assert failures["stored", cell] == PASSES


@pytest.mark.parametrize("cell", CELLS)
def test_change_is_noticed(failures: dict[tuple[str, str], str], cell: str) -> None:
    message = CELLS[cell][2]
    assert bool(failures["changed", cell]) == bool(message)
    assert message in failures["changed", cell]


def test_only_the_guard_notices_a_cell_that_was_not_run(
    failures: dict[tuple[str, str], str], stored: Path, changed: Path
) -> None:
    assert failures["changed", "unrun"] == PASSES, "nbval alone lets it pass"
    test_notebooks.test_cells_were_run_once_from_top_to_bottom(stored)
    with pytest.raises(AssertionError):
        test_notebooks.test_cells_were_run_once_from_top_to_bottom(changed)


def test_refreshing_again_changes_no_byte(stored: Path) -> None:
    before = stored.read_bytes()
    refresh(stored)
    assert stored.read_bytes() == before


def test_refresh_leaves_a_notebook_that_fails_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "fails.ipynb"
    write(path, {"fine": "print(1)", "wrong": "1 / 0"})
    before = path.read_bytes()
    with pytest.raises(SystemExit, match=r"fails.ipynb, cell 1 \(wrong\)"):
        refresh(path)
    assert path.read_bytes() == before
