"""The panel that fills in images: its chains are right, and it shows and says what they are."""

import numpy as np
import pytest
import torch

from cases import DIGITS, WHITE, uneven
from helpers import images, panels
from helpers.panels import inpainting
from helpers.panels.inpainting import HALVES, draw_inpainting, fill, given
from helpers.panels.widgets import blank
from test_panels import as_if_new


def gaussian(z: torch.Tensor) -> torch.Tensor:
    return z.square().sum(1) / 2


def test_each_half_is_the_half_that_it_is_called() -> None:
    rows = {half: given(half, 16).reshape(4, 4) for half in HALVES}
    assert rows["upper half"][:2].all() and not rows["upper half"][2:].any()
    assert rows["left half"][:, :2].all() and not rows["left half"][:, 2:].any()
    assert torch.equal(rows["lower half"], ~rows["upper half"])
    assert torch.equal(rows["right half"], ~rows["left half"])


def test_chains_start_at_the_conditional_law_of_the_gaussian(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the formula with the inverse covariance; and they stay there if the energy is its own."""
    monkeypatch.setattr(inpainting, "CHAINS", 4000)
    monkeypatch.setattr(inpainting, "STEPS", 20)
    known, image = given("upper half", 64), DIGITS[3]
    filled = fill(gaussian, WHITE, image, known, 0)
    precision, hidden = WHITE.C.inverse(), ~known
    rest = precision[hidden][:, hidden].inverse()
    off = rest @ precision[hidden][:, known] @ (image - WHITE.m)[known]
    assert torch.allclose(filled.mean[hidden], WHITE.m[hidden] - off, atol=1e-8)
    for images_of in (filled.images[0], filled.images[-1]):
        assert torch.allclose(images_of[:, known], image[known].expand(4000, -1))
        away = (images_of - filled.mean)[:, hidden]
        error = (rest.diagonal()[:, None] * rest.diagonal() + rest**2).div(4000).sqrt()
        assert ((away.T.cov() - rest).abs() < 6 * error).all()
        assert (away.mean(0).abs() < 6 * (rest.diagonal() / 4000).sqrt()).all()
    assert 0.5 < filled.accepted < 1 and not torch.equal(filled.images[0], filled.images[-1])


def test_sentence_and_picture_are_of_the_same_images() -> None:
    figure, x = blank(7.6, 3.8), DIGITS[:3]

    def fill_in(image: int, half: str, seed: int) -> inpainting.Filled:
        return fill(uneven, WHITE, x[image], given(half, 64), seed)

    values = {"image": 2, "seed": 1, "half": "right half", "x": x, "fill_in": fill_in}
    draw_inpainting(figure, k=0, **values)
    says = draw_inpainting(figure, k=7, **values)
    filled, hidden = fill_in(2, "right half", 1), ~given("right half", 64)
    left, right = (ax.images[0].get_array() for ax in figure.axes)
    assert np.array_equal(right.filled(9), np.nan_to_num(images.sheet(filled.images[7], 5), nan=9))
    assert left.mask[:8, :4].all() and np.array_equal(left[9:], x[2].reshape(8, 8))
    errors = [filled.images[7], filled.images[0], filled.images[7].mean(0), filled.mean]
    told = [f"{(e - x[2])[..., hidden].square().mean().sqrt():.3f}" for e in errors]
    assert says == (
        "Image 2, right half given, 15 chains after 70 MALA steps of 0.02, of which"
        f" {100 * filled.accepted:.0f} % are accepted. The hidden pixels are off by {told[0]} (root"
        f" mean square); the Gaussian's draws, at step 0, by {told[1]}. Means, which are no draws:"
        f" the chains' {told[2]}, the Gaussian's {told[3]}."
    )


def test_panel_is_limited_to_its_images() -> None:
    panel = panels.inpainting_panel(uneven, WHITE, DIGITS[:4])
    with pytest.raises(ValueError, match="image is 4; it must be a whole number from 0 to 3"):
        panel.set(image=4)
    panel.set(k=40, image=3, half="lower half", seed=99)
    assert as_if_new(panel)
    with pytest.raises(ValueError, match="d must be a square"):
        images.sheet(torch.zeros(2, 63), 5)


def test_same_chains_for_the_same_seed() -> None:
    runs = [
        fill(uneven, WHITE, DIGITS[0], given("left half", 64), seed).images for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
