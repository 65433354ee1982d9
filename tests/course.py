"""Which files are the course's, and how to run them so that no setting of the reader's counts."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
OURS = re.compile(r"\d\d_[a-z_]+\.ipynb")
"""What the course's notebooks are called; a reader's ``Untitled.ipynb`` and copies are not."""
PATHS = {
    path.stem: path
    for folder in (".", "solutions")
    for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))
    if OURS.fullmatch(path.name)
}
"""Every notebook by its name: the lessons, then the solutions where they are."""
LESSONS = {stem: path for stem, path in PATHS.items() if path.parent == NOTEBOOKS}
SOURCES = ["helpers", "tests", "conftest.py", *map(str, PATHS.values())]
"""What ruff looks at."""
CELL_TIMEOUT = 120
"""Seconds a cell may take: as many as pyproject.toml gives it in the tests."""

SETTINGS = re.compile("MPLBACKEND|PYTHON(STARTUP|WARNINGS)|(JUPYTER|JPY_|IPYTHON).*|(?i:.*_proxy)")
"""The reader's environment variables that change what a kernel, a server or a browser does."""


def set_aside_settings(folder: Path) -> None:
    """Put nothing in the place of the reader's settings, for this process and all that it starts.

    No environment variable, IPython profile, matplotlibrc or Jupyter configuration of theirs
    counts, nor a module that lies beside a notebook; every number is computed on one thread.

    Args:
        folder: an empty folder, which is to outlive what is started.
    """
    for name in filter(SETTINGS.fullmatch, list(os.environ)):
        del os.environ[name]
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    config = "c = get_config()\nc.InteractiveShellApp.ignore_cwd = True\n"
    (profile / "ipython_config.py").write_text(config, encoding="utf-8")
    (folder / "matplotlibrc").touch()
    places = {
        "IPYTHONDIR": "ipython",
        "MATPLOTLIBRC": "matplotlibrc",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "run",
    }
    os.environ |= {name: str(folder / place) for name, place in places.items()}
    os.environ |= {"JUPYTER_NO_CONFIG": "1", "OMP_NUM_THREADS": "1"}


def print_anywhere() -> None:
    """Let a terminal that lacks a letter, "−" or "σ" for example, show "?" and not fail."""
    sys.stdout.reconfigure(errors="replace")


def client(path: Path, **options: Any) -> NotebookClient:
    """Return what runs a notebook in its own folder, in the kernel that nbval would start."""
    return NotebookClient(
        nbformat.read(path, as_version=4),
        km=AsyncKernelManager(
            kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
        ),
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": path.parent}},
        **options,
    )
