"""Images as points: scikit-learn's digits, in one unit, whitened, and shown as pictures again.

E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository
(1998), CC BY 4.0; the copy that scikit-learn carries, 1 797 images of 8 × 8 pixels.
"""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from sklearn.covariance import LedoitWolf
from torch import Tensor

from helpers.chains import check_particles
from helpers.checks import generator_for, whole
from helpers.data import as_samples

_LEVELS = 17
"""The grey levels are 0 … 16."""


def digits() -> tuple[Tensor, Tensor]:
    """Return the grey levels (1797, 64), whole numbers in float64, and what each shows (1797,)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.from_numpy(data.data.copy()), torch.from_numpy(data.target.copy())


def dequantised(levels: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return (levels + u)/17, u uniform on [0, 1): images with a density, pixels in [0, 1].

    ∫ over a cell of a density on [0, 1]^d is a probability of the grey levels; so its NLL bounds
    theirs (Theis, van den Oord & Bethge 2016). A pixel that is constant varies from here on.
    """
    levels = as_samples(levels, "levels", varied=False)
    odd = (levels != levels.round()) | (levels < 0) | (levels >= _LEVELS)
    if odd.any():
        raise ValueError(
            f"levels holds {levels[odd][0]:.6g}; every grey level must be a whole number from 0 to"
            f" {_LEVELS - 1}."
        )
    u = torch.rand(levels.shape, generator=generator_for(generator), dtype=torch.float64)
    return (levels + u) / _LEVELS


class Whitening:
    """z = L⁻¹(x − m), m the mean of some images and C = LLᵀ their covariance.

    So |z|²/2 is the energy of the Gaussian fit. The correlations are shrunk, after Ledoit & Wolf
    (2004). ``log_det`` is log |det L|: what a NLL in z needs to be one in x.
    """

    def __init__(self, images: Tensor):
        """Fit it to images (n, d); none of the pixels may be constant."""
        images = as_samples(images, "images")
        self.m, sd = images.mean(0), images.std(0)
        shrunk = LedoitWolf(assume_centered=True).fit(((images - self.m) / sd).numpy())
        self.C = sd[:, None] * torch.from_numpy(shrunk.covariance_) * sd
        self.L = torch.linalg.cholesky(self.C)
        self.log_det = self.L.diagonal().log().sum().item()

    def z(self, images: Tensor) -> Tensor:
        """Whiten images (n, d)."""
        self._check(images, "images")
        return torch.linalg.solve_triangular(self.L, (images - self.m).T, upper=False).T

    def x(self, z: Tensor) -> Tensor:
        """Return the images (n, d) of whitened points."""
        self._check(z, "z")
        return self.m + z @ self.L.T

    def _check(self, x: Tensor, name: str) -> None:
        """Raise unless x has as many pixels as the images of the fit."""
        check_particles(x, name)
        if x.shape[1] != len(self.m):
            size = f"(n, {len(self.m)}), as the images that were whitened"
            raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be {size}.")


def sheet(images: Tensor, columns: int = 10) -> np.ndarray:
    """Return square images (n, d) beside and below each other, with NaN between them."""
    (n, d), columns = images.shape, whole(columns, "columns", 1)
    side, rows = math.isqrt(d), -(-n // columns)
    if side**2 != d:
        raise ValueError(f"images has shape {(n, d)}; d must be a square, such as 64.")
    result = np.full((rows * (side + 1), columns * (side + 1)), np.nan)
    for k, image in enumerate(images.reshape(n, side, side)):
        row, column = (side + 1) * (k // columns), (side + 1) * (k % columns)
        result[row : row + side, column : column + side] = image
    return result[:-1, :-1]


def show(ax: Axes, images: Tensor, *, columns: int = 10, title: str = "") -> None:
    """Draw square images (n, d), white on black, from 0 to 1."""
    ax.imshow(sheet(images, columns), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title)
