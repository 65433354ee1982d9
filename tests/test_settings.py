"""Settings and files of the reader's that would spoil the proof, and do not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from browser import find_browser
from course import ROOT

SOURCES = [
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    "from helpers import plots\nplots.use_style()\nplt.plot([1, 2])\nplt.show()",
    'print("σ² − 1")',
]
FILES = {
    ".ipython/profile_default/ipython_kernel_config.py": """\
c.InlineBackend.figure_formats = {"retina"}
""",
    ".jupyter/jupyter_server_config.py": 'c.ServerApp.base_url = "/foo/"\n',
    "path/jupyter_server_config.py": 'c.ServerApp.base_url = "/foo/"\n',
    "matplotlibrc": "font.size: 30\nlines.marker: x\n",
    "startup.py": "print = None\n",
}
"""What lies in the reader's home folder."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which every setting that is known to spoil something is set."""
    home = tmp_path_factory.mktemp("home")
    for name, text in FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    settings = {
        "HOME": home,
        "XDG_CACHE_HOME": Path.home() / ".cache",  # matplotlib keeps its list of fonts there
        "MATPLOTLIBRC": home / "matplotlibrc",
        "PYTHONSTARTUP": home / "startup.py",
        "JUPYTER_CONFIG_PATH": home / "path",
        "MPLBACKEND": "Agg",
        "PYTHONIOENCODING": "cp1252",
        **dict.fromkeys(("http_proxy", "HTTPS_PROXY", "all_proxy"), "http://127.0.0.1:9"),
    }
    ours = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_NO_CONFIG")
    here = {name: value for name, value in os.environ.items() if name not in ours}
    return {**here, **{name: str(value) for name, value in settings.items()}}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small notebook that was stored, and what a reader leaves beside it."""
    folder = tmp_path_factory.mktemp("course")
    cells = [new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(SOURCES)]
    nbformat.write(new_notebook(cells=cells), folder / "01_small.ipynb")
    run_refresh(folder, dict(os.environ))
    spoiled = new_notebook(cells=[new_code_cell("1 / 0", execution_count=1)])
    for name in ("Untitled.ipynb", "01_small-Copy1.ipynb"):
        nbformat.write(spoiled, folder / name)
    (folder / "helpers.py").write_text("numbers = [1, 2]", encoding="utf-8")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run Python with these arguments, with the course's tests at hand; return what it prints."""
    python = [sys.executable, "-X", "utf8=0", *command]
    environment = {**environment, "PYTHONPATH": str(ROOT / "tests")}
    options = {"encoding": environment.get("PYTHONIOENCODING", "utf-8"), "errors": "replace"}
    result = subprocess.run(python, cwd=folder, env=environment, capture_output=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run_refresh(folder: Path, environment: dict[str, str]) -> None:
    """Do what ``tests/refresh.py`` does with the notebook in that folder."""
    code = f"import pathlib, refresh; path = pathlib.Path({str(folder / '01_small.ipynb')!r});"
    code += "refresh.PATHS[path.stem] = path; refresh.main()"
    run(["-c", code, "01_small"], folder.parent, environment)


def test_notebooks_pass_whatever_is_set_and_lies_beside_them(
    course: Path, hostile: dict[str, str]
) -> None:
    options = ["-n", "1", "-o", f"pythonpath={ROOT / 'tests'}", "--verbose"]
    says = run(["-m", "pytest", *options, "."], course, hostile)
    assert f"{len(SOURCES)} passed" in says
    assert not (course / ".pytest_cache").exists()


def test_notebooks_are_stored_the_same_whatever_is_set(
    course: Path, hostile: dict[str, str]
) -> None:
    path = course / "01_small.ipynb"
    before = path.read_bytes()
    run_refresh(course, hostile)
    assert path.read_bytes() == before


USE_BROWSER = """\
import pathlib, sys
from browser import jupyter_lab, new_page
from course import print_anywhere, set_aside_settings
print_anywhere()
settings, folder = map(pathlib.Path, sys.argv[1:])
set_aside_settings(settings)
with jupyter_lab(folder) as (url, log), new_page() as page:
    page.goto(url.split("/doc")[0] + "/api")
    print(page.locator("body").inner_text(), "σ² − 1")"""


@pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome on the PATH")
def test_browser_reaches_its_server_whatever_is_set(
    hostile: dict[str, str], tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("settings", "lab")]
    for folder in folders:
        folder.mkdir()
    says = run(["-c", USE_BROWSER, *map(str, folders)], tmp_path, hostile)
    assert '"version"' in says and "?² ? 1" in says


SHOW = """\
import matplotlib.pyplot as plt
from helpers import plots
plots.use_style()
plt.plot([1, 2])
plt.show()"""


def test_pictures_are_shown_in_a_readers_kernel_that_asks_for_none(
    tmp_path: Path, hostile: dict[str, str]
) -> None:
    """Here nothing is set aside: only ``use_style`` stands against MPLBACKEND and matplotlibrc."""
    path = tmp_path / "own.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(SHOW)]), path)
    settings = {name: hostile[name] for name in ("MPLBACKEND", "MATPLOTLIBRC")}
    code = "import pathlib, nbformat, course; c = course.client(pathlib.Path('own.ipynb'));"
    code += "nbformat.write(c.execute(), 'own.ipynb')"
    shown = []
    for environment in (dict(os.environ), {**os.environ, **settings}):
        run(["-c", code], tmp_path, environment)
        (cell,) = nbformat.read(path, as_version=4).cells
        shown.append([output.data["image/png"] for output in cell.outputs])
    assert len(shown[0]) == 1
    assert shown[0] == shown[1]


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "tests" / "panel_latency.py", "--json", "missing/times.json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert result.returncode == 2
    assert "there is no folder missing" in result.stderr
