"""One changed letter, tick or dash in a figure of the course is noticed; noise is not."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from course import LESSONS
from excerpt import excerpt
from pictures import BLUR, MAX_RMS, MAX_SPOT, compare, measures

CHANGES = {
    "letter of a small legend": ("01_data_histogram", "code-15", 'label="p*"', 'label="p"'),
    "letter of a legend": ("01_data_histogram", "code-06", 'label="p*"', 'label="p"'),
    "letter of a label": ("01_data_histogram", "code-06", 'xlabel="x"', 'xlabel="y"'),
    "digit": ("03_langevin_monte_carlo", "code-06", "5 000 particles", "6 000 particles"),
    "tick": ("03_langevin_monte_carlo", "code-18", "xticks=[0, 5, 10]", "xticks=[0, 5.1, 10]"),
    "dashes": ("03_langevin_monte_carlo", "code-18", '"--"', '"-."'),
    "shorter dashes": ("03_langevin_monte_carlo", "code-13", '"--"', "(0, (3.5, 1.6))"),
}
"""For each kind of change the figure, by notebook and cell, and what becomes what in its code."""
WITHOUT_AVX = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
WITHOUT_AVX |= {"OPENBLAS_CORETYPE": "Nehalem"}
WITHOUT_AVX |= {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
ANOTHER_PROCESSOR = (0.0247, 1)
"""How much a picture differed that was made with other instructions: see ``measures``."""


def figures(path: Path, cell: str, *changes: tuple[str, str]) -> list[Image.Image]:
    """Return the figure of a cell, as the notebook shows it, and again with each change made."""
    *needed, last = excerpt(path, cell)
    names: dict[str, object] = {}
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", lambda: None)
        for source in needed:
            exec(source, names)
        for before, after in (("", ""), *changes):
            assert before in last, f"cell {cell} of {path.name} has changed"
            plt.close("all")
            exec(last.replace(before, after, 1), dict(names))
            plt.savefig(file := BytesIO(), bbox_inches="tight", dpi="figure")
            made.append(Image.open(file).convert("RGB"))
    plt.close("all")
    return made


@pytest.mark.parametrize("change", CHANGES)
def test_small_change_is_noticed(change: str) -> None:
    lesson, cell, before, after = CHANGES[change]
    stored, again, new = figures(LESSONS[lesson], cell, ("", ""), (before, after))
    assert compare([stored], [again]) is None
    assert stored.size == new.size
    assert compare([stored], [new]) is not None
    _, spot = measures(stored, new)
    assert spot > 2 * MAX_SPOT, "there is room between the limit and the smallest change"


def test_other_instructions_are_not_noticed(tmp_path: Path) -> None:
    """A figure of chains, made anew without AVX; the three instruction sets of the README differ
    in the pictures of all notebooks by ``ANOTHER_PROCESSOR`` at most."""
    figure, path = (LESSONS["03_langevin_monte_carlo"], "code-18"), tmp_path / "other.png"
    code = "import sys, course, test_pictures; test_pictures.figures(course.LESSONS[sys.argv[1]],"
    code += " sys.argv[2])[0].save(sys.argv[3])"
    command = [sys.executable, "-W", "ignore", "-c", code, figure[0].stem, figure[1], str(path)]
    tests = Path(__file__).parent
    subprocess.run(command, cwd=tests, env={**os.environ, **WITHOUT_AVX}, check=True)
    with Image.open(path) as other:
        assert compare(figures(*figure), [other.convert("RGB")]) is None
    assert 3 * ANOTHER_PROCESSOR[0] <= MAX_RMS and 3 * ANOTHER_PROCESSOR[1] <= MAX_SPOT


@pytest.mark.parametrize("size", [1, 2])
def test_noise_is_not_noticed(size: int) -> None:
    (stored,) = figures(LESSONS["01_data_histogram"], "code-06")
    pixels = np.asarray(stored, int)
    generator = np.random.default_rng(0)
    share = (0.11 / size) ** 2
    noise = generator.choice([-size, 0, size], pixels.shape, p=[share / 2, 1 - share, share / 2])
    noisy = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
    assert measures(stored, noisy)[0] > 3 * ANOTHER_PROCESSOR[0]
    assert compare([stored], [noisy]) is None


def test_a_spot_is_judged_where_the_whole_would_pass() -> None:
    white = Image.new("RGB", (811, 411), "white")
    dot = white.copy()
    dot.paste("black", (400, 200, 400 + 2 * BLUR, 200 + 2 * BLUR))
    rms, spot = measures(white, dot)
    assert rms < 2.0 and spot > MAX_SPOT
    assert compare([white], [dot]) is not None
