"""Digits as points: what is given, dequantised, whitened and shown."""

import math

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor

from cases import seeded
from helpers import images


@pytest.fixture(scope="module")
def levels() -> Tensor:
    return images.digits()[0]


@pytest.fixture(scope="module")
def points(levels: Tensor) -> Tensor:
    return images.dequantised(levels, generator=seeded())


def test_digits_are_what_the_lesson_says(levels: Tensor) -> None:
    _, shown = images.digits()
    assert levels.shape == (1797, 64) and levels.dtype == torch.float64
    assert levels.unique().tolist() == list(range(17))
    assert (levels == levels[0]).all(0).sum() == 3
    assert torch.bincount(shown).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_dequantised_images_keep_their_levels(levels: Tensor, points: Tensor) -> None:
    assert torch.equal((points * 17).floor(), levels)
    assert 0 <= points.min() and points.max() < 1
    u = points * 17 - levels
    assert abs(u.mean() - 0.5) < 5 / (12 * u.numel()) ** 0.5
    assert not torch.equal(points, images.dequantised(levels, generator=seeded(1)))
    assert torch.equal(points, images.dequantised(levels, generator=seeded()))


def test_whitened_images_have_the_covariance_of_the_fit(points: Tensor) -> None:
    """After Ledoit and Wolf: correlations shrunk towards I, by the share that one entry shows."""
    white = images.Whitening(points)
    z = white.z(points)
    assert torch.allclose(white.x(z), points, atol=1e-12)
    assert z.mean(0).abs().max() < 1e-10
    S, sd = points.T.cov(correction=0), points.std(0)
    R = S / sd / sd[:, None]
    average = R.diagonal().mean() * torch.eye(64, dtype=torch.float64)
    share = 1 - white.C[2, 3] / S[2, 3]
    assert 0 < share < 0.1
    assert torch.allclose(white.C / sd / sd[:, None], (1 - share) * R + share * average, atol=1e-12)
    expected = white.L.inverse() @ S @ white.L.inverse().T
    assert torch.allclose(z.T.cov(correction=0), expected, atol=1e-9)


def test_a_nll_in_z_is_one_in_x_with_the_log_determinant(points: Tensor) -> None:
    white = images.Whitening(points)
    gaussian = torch.distributions.MultivariateNormal(white.m, white.C)
    found = white.z(points[:9]).square().sum(1) / 2 + 32 * math.log(2 * math.pi) + white.log_det
    assert torch.allclose(found, -gaussian.log_prob(points[:9]), atol=1e-8)


def test_images_are_drawn_where_they_belong() -> None:
    _, ax = plt.subplots()
    x = torch.linspace(0, 1, 3 * 16, dtype=torch.float64).reshape(3, 16)
    images.show(ax, x, columns=2, title="three")
    sheet = ax.images[0].get_array()
    plt.close()
    assert sheet.shape == (9, 9) and ax.get_title() == "three"
    assert sheet[:4, 5:].tolist() == x[1].reshape(4, 4).tolist()
    assert sheet[5:, :4].tolist() == x[2].reshape(4, 4).tolist()
    assert sheet.mask[4].all() and sheet.mask[5:, 5:].all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: images.dequantised(x / 2, generator=seeded()), "levels holds 2.5; every grey"),
        (lambda x: images.dequantised(x - 1, generator=seeded()), "levels holds -1; every grey"),
        (lambda x: images.dequantised(x + 1, generator=seeded()), "levels holds 17; every grey"),
        (lambda x: images.Whitening(x), "images has a constant column; every column must vary."),
        (lambda x: white().z(x[:, :63]), "images has shape (1797, 63); it must be (n, 64), as the"),
        (lambda x: white().x(x[:, :1]), "z has shape (1797, 1); it must be (n, 64), as the images"),
        (lambda x: images.sheet(x[:, :63]), "images has shape (1797, 63); d must be a square"),
        (lambda x: images.sheet(x, 0), "columns is 0; it must be a whole number, 1 or more."),
        (lambda x: white().x(x[:2].tolist()), "z is list; it must be a floating-point tensor"),
    ],
)
def test_what_cannot_be_used_is_named(levels: Tensor, make, words: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        make(levels)
    assert words in str(error.value)


def white() -> images.Whitening:
    g = seeded()
    return images.Whitening(torch.randn(100, 64, generator=g, dtype=torch.float64))
