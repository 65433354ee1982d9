"""The checks of notebook 9: a sum for log Z, an annealed estimate, a Gaussian's rest, and bits."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.verdicts import agree, check


def _log_z(
    half=0.5,
    power=1.0,
    states=((0, 0), (0, 1), (1, 0), (1, 1)),
    cross=2.0,
    gaussian=lambda d, v: d / 2 * math.log(2 * math.pi * v),
    reduce=lambda logs: torch.logsumexp(logs, 0),
) -> Callable[..., Tensor]:
    """Return log Z of two units; with other arguments, with a mistake."""

    def log_z(w, b, v):
        gram = w @ w.T
        squares = [p * gram[0, 0] + q * gram[1, 1] + cross * p * q * gram[0, 1] for p, q in states]
        masses = [
            p * b[0] + q * b[1] + half * v**power * square
            for (p, q), square in zip(states, squares, strict=True)
        ]
        return reduce(torch.stack(masses)) + gaussian(w.shape[1], v)

    return log_z


LOG_Z_MISTAKES = {
    "The ½ before v|w_h|² is missing: it comes from completing the square (section 9.2).": (
        _log_z(half=1.0)
    ),
    "The factor v before |w_h|² is missing.": _log_z(power=0.0),
    "|w_h|² is divided by v. The square of v·w_h is divided by 2v: that leaves v/2.": (
        _log_z(power=-1.0)
    ),
    "The state in which no unit is on is missing: its mass is that of N(0, v I).": (
        _log_z(states=((0, 1), (1, 0), (1, 1)))
    ),
    "The state in which both units are on is missing.": _log_z(states=((0, 0), (0, 1), (1, 0))),
    "With both units on, |w₁ + w₂|² has the cross term 2 w₁·w₂, which is missing.": (
        _log_z(cross=0.0)
    ),
    "With both units on, |w₁ + w₂|² has the cross term 2 w₁·w₂; here it is there once.": (
        _log_z(cross=1.0)
    ),
    "The masses' own integral, (2πv)^(d/2), is missing.": _log_z(gaussian=lambda d, v: 0.0),
    "(2πv)^(1/2) is there once. In d dimensions it is (2πv)^(d/2).": (
        _log_z(gaussian=lambda d, v: math.log(2 * math.pi * v) / 2)
    ),
    "The variance is missing in (2πv)^(d/2).": (
        _log_z(gaussian=lambda d, v: d / 2 * math.log(2 * math.pi))
    ),
    "v is used as a standard deviation: it is a variance, and the integral (2πv)^(d/2).": (
        _log_z(gaussian=lambda d, v: d / 2 * math.log(2 * math.pi * v**2))
    ),
    "This is Z. Its logarithm was asked for: Z itself may be too large for a float.": (
        lambda *a: _log_z()(*a).exp()
    ),
    "This is the largest of the four logarithms, not that of the sum.": (
        _log_z(reduce=lambda logs: logs.amax())
    ),
    "The logarithms of the masses are added. The masses are: exponential, sum, logarithm.": (
        _log_z(reduce=lambda logs: logs.sum())
    ),
    "This is the logarithm of the mean mass; Z is their sum.": (
        _log_z(reduce=lambda logs: torch.logsumexp(logs, 0) - math.log(len(logs)))
    ),
}


def _two(d: int, size: float, low: float, high: float, v: float) -> tuple[Tensor, Tensor, float]:
    """Return two units in d dimensions, neither parallel nor orthogonal."""
    t = torch.arange(2 * d, dtype=torch.float64).view(2, d)
    return size * torch.cos(1.3 * t + 0.4), torch.tensor([low, high], dtype=torch.float64), v


@check(mistakes=LOG_Z_MISTAKES.items())
def log_z_of_two(answer: object) -> str:
    """Check answer(w, b, v): log Z of an energy with two units, w (2, d) and b (2,).

    Two cases have masses too large for a float, and too small.
    """
    cases = {
        "log Z in two dimensions": _two(2, 0.9, -0.6, 0.8, 1.3),
        "log Z in one dimension": _two(1, 1.7, 0.5, -1.2, 0.4),
        "log Z of a narrow one in 64": _two(64, 0.4, 1.0, -0.7, 0.2),
        "log Z with a bias of 900": _two(3, 0.5, 900.0, -1.5, 2.0),
        "log Z with both biases far below 0": _two(3, 0.5, -800.0, -900.0, 2.0),
    }
    agree(answer, _log_z(), cases, LOG_Z_MISTAKES.items())
    return (
        "Four Gaussians, four masses. With H units there are 2^H of them, and the dimension enters"
        " through the numbers w_i·w_j alone."
    )


def _annealed(
    base=lambda x: x.square().sum(-1) / 2,
    steps=lambda betas: betas.diff(),
    sign=1.0,
    start=lambda d: d / 2 * math.log(2 * math.pi),
    reduce=lambda logs: torch.logsumexp(logs, 0) - math.log(len(logs)),
) -> Callable[..., Tensor]:
    """Return the estimate of log Z; with other arguments, with a mistake."""

    def annealed(energy, states, betas):
        gaps = torch.stack([base(x) - energy(x) for x in states])
        logs = sign * (steps(betas)[:, None] * gaps).sum(0)
        return reduce(logs) + start(states.shape[-1])

    return annealed


ANNEALED_MISTAKES = {
    "This is the mean of the log weights. It is the mean weight that is unbiased: first the mean,"
    " then the logarithm.": _annealed(reduce=lambda logs: logs.mean()),
    "The weights are summed. It is their mean that estimates Z/Z₀.": (
        _annealed(reduce=lambda logs: torch.logsumexp(logs, 0))
    ),
    "log Z₀ = d/2 · log 2π is missing: the weights estimate Z/Z₀.": _annealed(start=lambda d: 0.0),
    "log Z₀ is that of one dimension. In d it is d/2 · log 2π.": (
        _annealed(start=lambda d: math.log(2 * math.pi) / 2)
    ),
    "log Z₀ has the wrong sign: Z = Z₀ · mean weight.": (
        _annealed(start=lambda d: -d / 2 * math.log(2 * math.pi))
    ),
    "The weights are upside down: the energy before the step has the plus sign.": (
        _annealed(sign=-1.0)
    ),
    "The ½ of |x|²/2 is missing.": _annealed(base=lambda x: x.square().sum(-1)),
    "The Gaussian's energy is missing: (1 − β)|x|²/2 changes with β, too.": (
        _annealed(base=lambda x: 0 * x.sum(-1))
    ),
    "The temperatures are taken to be evenly spaced. Use the differences of the betas.": (
        _annealed(steps=lambda betas: torch.full_like(betas[1:], 1 / (len(betas) - 1)))
    ),
    "Each step is weighted with the whole β, not with the difference to the one before.": (
        _annealed(steps=lambda betas: betas[1:])
    ),
    "The steps are not weighted with the differences of the betas.": (
        _annealed(steps=lambda betas: torch.ones_like(betas[1:]))
    ),
}


def _well(x: Tensor) -> Tensor:
    """Return the energy of places (…, d): a quartic, uneven in its axes."""
    return (x**4 / 8 - x / torch.arange(1, x.shape[-1] + 1, dtype=x.dtype)).sum(-1)


def _run(n: int, d: int, betas: list[float], size: float) -> tuple[Callable, Tensor, Tensor]:
    """Return an energy, states (K, n, d) and K + 1 betas."""
    t = torch.arange((len(betas) - 1) * n * d, dtype=torch.float64)
    states = size * torch.sin(1.7 * t + 0.3 * t.sqrt()).view(-1, n, d)
    return _well, states, torch.tensor(betas, dtype=torch.float64)


@check(mistakes=ANNEALED_MISTAKES.items())
def annealed_log_z(answer: object) -> str:
    """Check answer(energy, states, betas): log Z from a forward run, states (K, n, d).

    ``betas`` are K + 1 from 0 to 1; the particles stand at states[k] when β goes from betas[k] to
    betas[k + 1]. The last case has log weights of −10 000 and less, far apart.
    """
    cases = {
        "log Z from three steps": _run(4, 2, [0, 0.1, 0.4, 1], 1.5),
        "log Z from one step of one particle": _run(1, 3, [0, 1], 0.8),
        "log Z from five steps": _run(7, 1, [0, 0.01, 0.05, 0.2, 0.6, 1], 2.5),
        "log Z where the weights underflow": _run(3, 2, [0, 0.3, 1], 20.0),
    }
    agree(answer, _annealed(), cases, ANNEALED_MISTAKES.items())
    return (
        "Unbiased for Z, whatever the steps did in between; so its logarithm is below log Z on"
        " average, and hardly ever far above."
    )


def _filled(
    sign=-1.0,
    gain=lambda P, h, k: torch.linalg.solve(P[h][:, h], P[h][:, k]),
    centre=lambda m: m,
    at=lambda m, h: m[h],
) -> Callable[..., Tensor]:
    """Return the image with its hidden pixels filled in; with other arguments, with a mistake."""

    def filled(P, m, x, known):
        hidden = ~known
        whole = x.clone()
        off = (x - centre(m))[known]
        whole[hidden] = at(m, hidden) + sign * gain(P, hidden, known) @ off
        return whole

    return filled


def _of_covariance(P: Tensor, h: Tensor, k: Tensor) -> Tensor:
    """Return the gain that P would have if it were a covariance matrix."""
    return P[h][:, k] @ P[k][:, k].inverse()


FILL_MISTAKES = {
    "The hidden pixels are on the wrong side of their mean: where the slope is 0, the terms of"
    " hidden and known pixels cancel, which gives a minus.": _filled(sign=1.0),
    "P is taken for the covariance. It is its inverse, the matrix in the energy.": (
        _filled(sign=1.0, gain=_of_covariance)
    ),
    "The hidden pixels are given their mean, whatever the known ones are.": _filled(sign=0.0),
    "The system is not solved: the block of the hidden pixels has to be divided by.": (
        _filled(gain=lambda P, h, k: P[h][:, k])
    ),
    "Only the diagonal of the hidden block is divided by: hidden pixels hold each other, too.": (
        _filled(gain=lambda P, h, k: P[h][:, k] / P[h][:, h].diagonal()[:, None])
    ),
    "The mean is not taken from the known pixels: what counts is how far they are off it.": (
        _filled(centre=lambda m: 0 * m)
    ),
    "The mean of the hidden pixels is not added.": _filled(at=lambda m, h: 0 * m[h]),
}


def _gaussian(d: int, known: list[int], scale: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a precision matrix, a mean, an image whose hidden pixels are junk, and the mask."""
    t = torch.arange(d * d, dtype=torch.float64).view(d, d)
    root = torch.cos(1.1 * t + 0.2 * t.sqrt())
    P = (root @ root.T + torch.eye(d, dtype=torch.float64)) / scale**2
    m, mask = scale * torch.linspace(0.5, 2, d, dtype=torch.float64), torch.zeros(d).bool()
    mask[known] = True
    x = torch.where(mask, scale * torch.linspace(3, -1, d, dtype=torch.float64), 99.0 * scale)
    return P, m, x, mask


@check(mistakes=FILL_MISTAKES.items())
def fill_in(answer: object) -> str:
    """Check answer(P, m, x, known): the whole image (d,), the hidden pixels at their mean.

    The energy is (x − m)ᵀP(x − m)/2; known (d,) is True where x is to be kept.
    """
    cases = {
        "The image of four pixels": _gaussian(4, [0, 2], 1.0),
        "The image with one hidden pixel": _gaussian(3, [0, 1], 0.01),
        "The image with one known pixel": _gaussian(5, [1], 100.0),
        "The image of nine pixels": _gaussian(9, [0, 1, 2, 6], 1.0),
    }
    agree(answer, _filled(), cases, FILL_MISTAKES.items())
    return (
        "An energy holds its conditional densities ready: fix what is known, and what is left is an"
        " energy of the rest. Only for a Gaussian is that solved by a matrix."
    )


_BIT = math.log(2)


def _bits(nll, d, levels, *, sign=1.0, divide=True, count=None, unit=_BIT) -> float:
    """Return bits a pixel; with other arguments, with a mistake."""
    return (nll / (d if divide else 1) + sign * math.log(count or levels)) / unit


BITS_MISTAKES = {
    "The change of unit is missing: per grey level a pixel costs log(levels) more nats.": (
        lambda *a: _bits(*a, sign=0.0)
    ),
    "The change of unit has the wrong sign: a cell is 1/levels wide, so each level's probability"
    " is smaller than the density.": lambda *a: _bits(*a, sign=-1.0),
    "This is nats a pixel. A bit is log 2 nats.": lambda *a: _bits(*a, unit=1.0),
    "Nats are multiplied by log 2: there are more bits than nats, so divide.": (
        lambda *a: _bits(*a, unit=1 / _BIT)
    ),
    "The NLL is of a whole image: divide it by d.": lambda *a: _bits(*a, divide=False),
    "Bits of an image were computed. Asked for are bits a pixel.": (
        lambda nll, d, levels: d * _bits(nll, d, levels)
    ),
    "There are 256 levels in many images, not in all: use the argument.": (
        lambda *a: _bits(*a, count=256)
    ),
}


@check(mistakes=BITS_MISTAKES.items())
def bits_per_pixel(answer: object) -> str:
    """Check answer(nll, d, levels): bits a pixel of images with so many grey levels."""
    cases = {
        "Bits of digits": (-65.0, 64, 17),
        "Bits of a photograph": (-5000.0, 3072, 256),
        "Bits where the density is worse than uniform": (12.5, 10, 2),
        "Bits where it is uniform": (0.0, 784, 100),
    }
    agree(answer, _bits, cases, BITS_MISTAKES.items())
    return (
        "So a density in [0, 1]^d and a code for grey levels can be compared: a uniform density"
        " costs log₂ 17 = 4.09 bits a pixel, each nat an image 0.023 bits less."
    )
