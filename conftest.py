"""What the tests add to nbval: one thread for every number, and a look at every picture."""

import os
from base64 import b64decode
from collections.abc import Generator, Iterable
from io import BytesIO

import numpy as np
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell
from PIL import Image

MAX_RMS = 2.0
"""The largest root mean square difference of two equal pictures, in steps of 0 to 255."""


def pytest_configure() -> None:
    """Give torch and numpy one thread here, in the workers and in the kernels, which inherit it."""
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Compare a cell's pictures, once nbval has run it and compared everything else."""
    yield
    if isinstance(item, IPyNbCell):
        difference = compare(pictures(item.cell.outputs), pictures(item.test_outputs))
        if difference:
            name = item.path.name
            item.raise_cell_error(
                f"{difference}\nIf {name} is meant to change: python tests/refresh.py {name}"
            )


def pictures(outputs: Iterable[NotebookNode]) -> list[Image.Image]:
    """Return the PNG and JPEG pictures in a cell's outputs, in their order."""
    bundles = [output.get("data", {}) for output in outputs]
    return [
        Image.open(BytesIO(b64decode(bundle[kind]))).convert("RGB")
        for bundle in bundles
        for kind in ("image/png", "image/jpeg")
        if kind in bundle
    ]


def compare(stored: list[Image.Image], new: list[Image.Image]) -> str | None:
    """Say how the new pictures differ from the stored ones; None if they do not."""
    if len(stored) != len(new):
        return f"Pictures: {len(stored)} stored, {len(new)} made"
    for number, (before, after) in enumerate(zip(stored, new, strict=True), start=1):
        if before.size != after.size:
            return f"Picture {number} is stored with {before.size} pixels, now it has {after.size}"
        rms = np.sqrt(np.mean((np.asarray(before, float) - np.asarray(after, float)) ** 2))
        if rms > MAX_RMS:
            return f"Picture {number} has changed: RMS difference {rms:.1f}, allowed {MAX_RMS}"
    return None
