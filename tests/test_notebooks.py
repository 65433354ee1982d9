"""What nbval takes on trust: that every notebook was run, checks everything and can be read."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from nbval.plugin import comment_markers, metadata_tags

from refresh import PATHS, ROOT, WIDGET_VIEW, canonical

README = ROOT / "README.md"
MAX_LINES = 25

every_notebook = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def code_cells(path: Path) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def markdown(path: Path) -> BeautifulSoup:
    """Return a Markdown file, or a notebook's Markdown cells, as a tree of HTML elements."""
    if path.suffix == ".md":
        texts = [path.read_text(encoding="utf-8")]
    else:
        cells = nbformat.read(path, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return BeautifulSoup("\n".join(map(markdown2html, texts)), "html.parser")


@every_notebook
def test_cells_were_run_once_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_no_cell_escapes_its_check(path: Path) -> None:
    escapes = metadata_tags.keys() - {"raises-exception"}
    for cell in code_cells(path):
        assert not escapes & set(cell.metadata.get("tags", []))
        assert not [marker for marker in comment_markers if marker in cell.source]


@every_notebook
def test_nothing_is_written_to_stderr(path: Path) -> None:
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


@every_notebook
def test_errors_are_expected_ones(path: Path) -> None:
    for cell in code_cells(path):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        assert not errors or "raises-exception" in cell.metadata.get("tags", [])


@every_notebook
def test_no_live_widget_is_stored(path: Path) -> None:
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    assert not [output for output in outputs if WIDGET_VIEW in output.get("data", {})]


@every_notebook
def test_form_is_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    same = text == canonical(nbformat.reads(text, as_version=4))
    assert same, f"store it with: python tests/refresh.py {path.name}"


@every_notebook
def test_code_cells_are_short(path: Path) -> None:
    long = [cell.source for cell in code_cells(path) if cell.source.count("\n") >= MAX_LINES]
    assert not long


@pytest.mark.parametrize("page", [README, *PATHS.values()], ids=lambda p: p.stem)
def test_images_have_a_text_and_links_an_end(page: Path) -> None:
    html = markdown(page)
    assert not [image for image in html("img") if not image.get("alt", "").strip()]
    targets = [tag.get("src") or tag["href"] for tag in html.select("img[src], a[href]")]
    files = [unquote(urlsplit(target).path) for target in targets if not urlsplit(target).scheme]
    assert not [file for file in files if not (page.parent / file).exists()]


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_is_content(command: str) -> None:
    ruff = [sys.executable, "-m", "ruff", *command.split(), "--quiet", "."]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_readme_gives_the_command_that_is_run() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.splitlines()[-1] in README.read_text(encoding="utf-8").splitlines()
