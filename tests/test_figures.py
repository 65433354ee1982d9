"""The stored animations show what the notebooks' cells make today."""

from pathlib import Path

import pytest
from PIL import Image, ImageSequence

import refresh
from course import FIGURES
from pictures import compare


def frames(path: Path) -> list[Image.Image]:
    """Return all pictures of a GIF."""
    with Image.open(path) as gif:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the animations, made anew."""
    folder = tmp_path_factory.mktemp("figures")
    refresh.write_figures(folder)
    return folder


PICTURES = {"particle_flow": 31, "plane_flow": 21, "noise_to_data": 41}


@pytest.mark.parametrize(("name", "pictures"), PICTURES.items())
def test_stored_animation_is_what_the_notebook_makes(name: str, pictures: int, made: Path) -> None:
    stored, new = (frames(folder / f"{name}.gif") for folder in (FIGURES, made))
    assert len(stored) == pictures
    assert compare(stored, new) is None
    assert compare(stored, new[::-1]) is not None


def test_animations_are_small_and_no_others_are_stored() -> None:
    sizes = {path.stem: path.stat().st_size for path in FIGURES.glob("*.gif")}
    assert sizes.keys() == refresh.ANIMATIONS.keys()
    assert max(sizes.values()) <= 400_000
