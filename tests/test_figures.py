"""The stored animations show what the notebooks' cells make today."""

from pathlib import Path

from PIL import Image, ImageSequence

import refresh
from course import FIGURES
from pictures import compare


def frames(path: Path) -> list[Image.Image]:
    """Return all pictures of a GIF."""
    with Image.open(path) as gif:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]


def test_stored_animations_are_what_the_notebooks_make(tmp_path: Path) -> None:
    refresh.write_figures(tmp_path)
    for name, pictures in {"particle_flow.gif": 31, "noise_to_data.gif": 41}.items():
        stored, new = (frames(folder / name) for folder in (FIGURES, tmp_path))
        assert len(stored) == pictures
        assert compare(stored, new) is None
        assert compare(stored, new[::-1]) is not None
        assert (FIGURES / name).stat().st_size <= 400 * 1024
    assert refresh.ANIMATIONS.keys() == {path.name for path in FIGURES.glob("*.gif")}
