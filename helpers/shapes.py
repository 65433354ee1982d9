"""Seven densities in the plane that we know, and exact draws from them."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.special import log_ndtr

from helpers.checks import generator_for, number, whole


class _Shape(NamedTuple):
    """A density in the plane: ``log_prob`` from places (n, 2) to log p (n,), and its draws.

    All but about 1e-9 of its mass has coordinates within ±reach.
    """

    log_prob: Callable[[Tensor], Tensor]
    make: Callable[[int, torch.Generator], Tensor]
    reach: float
    blur: Callable[[float], "_Shape"] | None = None

    def energy(self, x: Tensor) -> Tensor:
        """Return f(x) = −log p(x), shape (n,), whose Z is 1."""
        return -self.log_prob(x)

    def noised(self, noise: float) -> "_Shape":
        """Return the density of draws plus Gaussian noise of that standard deviation."""
        if self.blur is None:
            raise ValueError("this shape plus noise has no density in closed form.")
        return self.blur(number(noise, "noise", 0, above=True))

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw n exact, independent samples, shape (n, 2), float64."""
        return self.make(whole(n, "n", 1), generator_for(generator))


def blurred(places: Tensor, covariance: Tensor | Sequence | float) -> _Shape:
    """Return the even mixture of Gaussians of one covariance (2, 2) about places (k, 2).

    Places on a curve, no farther apart than the blur is wide, are as good as the curve. A
    covariance that is a number v stands for v · I.
    """
    places, covariance = places.double(), torch.as_tensor(covariance, dtype=torch.float64)
    covariance = covariance if covariance.ndim else covariance * torch.eye(2, dtype=torch.float64)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed or not torch.equal(covariance, covariance.T):
        raise ValueError(
            f"covariance is {covariance.tolist()}; it must be symmetric and positive definite."
        )
    whiten = torch.linalg.inv(factor)
    inside = places @ whiten.T
    near, constant = -inside.square().sum(1) / 2, math.log(2 * math.pi * len(places))
    constant += factor.diagonal().log().sum()

    def log_prob(x: Tensor) -> Tensor:
        z = x @ whiten.T
        logs = torch.logsumexp(torch.addmm(near, z, inside.T), 1)
        return logs - z.square().sum(1) / 2 - constant

    def make(n: int, generator: torch.Generator) -> Tensor:
        which = torch.randint(len(places), (n,), generator=generator)
        return places[which] + _normal(n, generator) @ factor.T

    sd = covariance.diagonal().max().sqrt().item()
    eye = torch.eye(2, dtype=torch.float64)
    return _Shape(
        log_prob,
        make,
        places.abs().max().item() + 6.2 * sd,
        lambda noise: blurred(places, covariance + noise**2 * eye),
    )


def eight(sd: float = 0.2) -> _Shape:
    """Return eight Gaussians of standard deviation sd, evenly spaced on a circle of radius 2."""
    sd = number(sd, "sd", 0, above=True)
    return blurred(2 * _circle(torch.arange(8, dtype=torch.float64) * math.pi / 4), sd**2)


def _normal(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, 2, generator=generator, dtype=torch.float64)


def _circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


def _turned(x: Tensor, angle: Tensor) -> Tensor:
    """Return x (…, 2), turned about the origin by an angle (…)."""
    side = torch.stack([-x[..., 1], x[..., 0]], -1)
    return angle.cos()[..., None] * x + angle.sin()[..., None] * side


def _checkerboard(sd: float = 0.1) -> _Shape:
    low = torch.arange(-2, 2, dtype=torch.float64)

    def strips(x: Tensor) -> Tensor:
        """Return log ∫ N(x; u, sd²) du over the strips from −2 and 0, and from −1 and 1, (n, 2)."""
        a, b = (low - x[:, None]) / sd, (low + 1 - x[:, None]) / sd
        a, b = torch.where(a + b > 0, -b, a), torch.where(a + b > 0, -a, b)  # where Φ is exact
        logs = log_ndtr(b) + torch.log1p(-(log_ndtr(a) - log_ndtr(b)).exp())
        return torch.logsumexp(logs.reshape(-1, 2, 2), 1)

    def log_prob(x: Tensor) -> Tensor:
        return torch.logsumexp(strips(x[:, 0]) + strips(x[:, 1]), 1) - math.log(8)

    def make(n: int, generator: torch.Generator) -> Tensor:
        column, row = torch.randint(2, (2, n), generator=generator) * 2
        odd = torch.randint(2, (n,), generator=generator)
        inside = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return torch.stack([column + odd, row + odd], 1) - 2 + inside + sd * _normal(n, generator)

    return _Shape(log_prob, make, 2 + 6.2 * sd, lambda noise: _checkerboard(math.hypot(sd, noise)))


def _pinwheel() -> _Shape:
    arms = torch.arange(5, dtype=torch.float64) * 2 * math.pi / 5
    sds = torch.tensor([0.6, 0.2], dtype=torch.float64)
    middle = torch.tensor([2.0, 0.0], dtype=torch.float64)

    def twist(x: Tensor) -> Tensor:
        """Return an angle that depends on the radius alone: to turn by it keeps areas."""
        return 0.6 * torch.linalg.vector_norm(x, dim=1)

    def log_prob(x: Tensor) -> Tensor:
        z = (_turned(x[:, None], -twist(x)[:, None] - arms) - middle) / sds
        return torch.logsumexp(-z.square().sum(2) / 2, 1) - math.log(10 * math.pi * 0.6 * 0.2)

    def make(n: int, generator: torch.Generator) -> Tensor:
        y = middle + sds * _normal(n, generator)
        return _turned(y, twist(y) + arms[torch.randint(5, (n,), generator=generator)])

    return _Shape(log_prob, make, 2 + 6.2 * 0.6)


_T = torch.arange(0.5, 128, dtype=torch.float64) / 128
_ARC = _circle(math.pi * _T) - torch.tensor([0.5, 0.25], dtype=torch.float64)
_ANGLE = math.pi * (0.25 + 8.75 * _T).sqrt()
_ARM = _ANGLE[:, None] / 3 * _circle(_ANGLE)  # even in arc length, nearly
SHAPES = {
    "eight Gaussians": eight(),
    "moons": blurred(torch.cat([_ARC, -_ARC]), 0.1**2),
    "rings": blurred(torch.cat([r * _circle(2 * math.pi * _T) for r in (1, 2, 3)]), 0.15**2),
    "checkerboard": _checkerboard(),
    "pinwheel": _pinwheel(),
    "spirals": blurred(torch.cat([_ARM, -_ARM]), 0.1**2),
    "Gaussian": blurred(torch.zeros(1, 2), [[2.0, 1.2], [1.2, 1.0]]),
}
"""The seven by their names."""
