"""The classroom counts who finished, and sees how much memory a kernel takes."""

import asyncio
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from classroom import teach


def write(path: Path, *sources: str) -> Path:
    """Write a notebook with these cells."""
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def test_classroom_counts_and_measures(tmp_path: Path) -> None:
    wait = "import time\ntime.sleep(0.5)"
    light = asyncio.run(teach(write(tmp_path / "light.ipynb", wait), 2))
    heavy = asyncio.run(teach(write(tmp_path / "heavy.ipynb", "b = b'x' * 300_000_000", wait), 2))
    assert len(light.seconds) == len(heavy.seconds) == 2
    assert min(light.seconds) > 0.5
    assert 0.25 < heavy.kernel - light.kernel < 0.4
    assert 1.6 * heavy.kernel < heavy.together < 2.1 * heavy.kernel


def test_classroom_says_why_a_learner_stopped(tmp_path: Path) -> None:
    lesson = asyncio.run(teach(write(tmp_path / "wrong.ipynb", "1 / 0"), 1))
    assert lesson.seconds == []
    assert lesson.failures == ["ZeroDivisionError: division by zero"]
