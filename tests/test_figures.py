"""The stored animation shows what the notebook's cells make today."""

from pathlib import Path

from PIL import Image, ImageSequence

import refresh
from course import FIGURES
from pictures import compare


def frames(path: Path) -> list[Image.Image]:
    """Return all pictures of a GIF."""
    with Image.open(path) as gif:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]


def test_stored_animation_is_what_the_notebook_makes(tmp_path: Path) -> None:
    refresh.write_figures(tmp_path)
    stored, new = (frames(folder / "particle_flow.gif") for folder in (FIGURES, tmp_path))
    assert len(stored) == 31
    assert compare(stored, new) is None
    assert compare(stored, new[::-1]) is not None
