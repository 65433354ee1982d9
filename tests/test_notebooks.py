"""What nbval takes on trust: that every notebook was run, checks everything and can be read."""

import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from nbval.plugin import comment_markers, metadata_tags

from course import LESSONS, PATHS, ROOT, SOURCES
from excerpt import names
from refresh import WIDGET_VIEW, canonical

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
def test_a_name_that_others_read_is_bound_in_one_cell(path: Path) -> None:
    """Else a cell that is run again gives the cells that read it another thing."""
    cells = [names(cell.source) for cell in code_cells(path)]
    bound = Counter(name for binds, _ in cells for name in binds)
    assert sorted({name for _, reads in cells for name in reads if bound[name] > 1}) == []


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


FIRST = """\
try:
    from helpers import {}
except ImportError as error:
    raise ImportError(
        "Run `pip install -r requirements.txt` in the course's folder, with this kernel's Python,"
        " and restart it; a helpers.py of your own beside this notebook needs another name."
    ) from error
"""
"""How the first cell of each lesson begins, so that a reader without helpers is told what to do."""


@pytest.mark.parametrize("path", LESSONS.values(), ids=LESSONS)
@pytest.mark.parametrize("options", [["-S", "-E"], []], ids=["missing", "hidden"])
def test_first_cell_says_what_to_do_without_helpers(
    path: Path, options: list[str], tmp_path: Path
) -> None:
    """Without site-packages there are no helpers; in the folder lies a learner's own file."""
    if not options:
        (tmp_path / "helpers.py").write_text("numbers = [1, 2]", encoding="utf-8")
    source = code_cells(path)[0].source
    python = [sys.executable, *options, "-c", source]
    result = subprocess.run(python, cwd=tmp_path, capture_output=True, encoding="utf-8")
    sentence = "".join(line.strip().strip('"') for line in FIRST.splitlines()[4:6])
    assert source.startswith(FIRST.split("{}")[0])
    assert result.stderr.splitlines()[-1] == f"ImportError: {sentence}"


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_is_content(command: str) -> None:
    ruff = [sys.executable, "-m", "ruff", *command.split(), "--quiet", "--no-cache", *SOURCES]
    result = subprocess.run(ruff, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stdout + result.stderr


def test_readme_gives_the_command_that_is_run() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    readme = README.read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line in readme and line.endswith("-m pytest")]


def test_citation_agrees_with_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert " AND ".join(citation["license"]) == project["license"]
    title = README.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert citation["title"] == title
