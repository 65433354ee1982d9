"""The checks of notebook 2 on log Z and on whether there is a Z."""

import math

import numpy as np
import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    agree,
    as_tensor,
    call,
    check,
    named,
)

_LOG_Z = 2e-3
"""Absolute error allowed in log Z: float32 holds 2 000 to 1e-4, and left sums are right to 1e-3."""


def _log_z(f: Tensor, x: Tensor, least: Tensor | None = None, back: float = -1.0) -> Tensor:
    """Return log ∫ e^(−f) dx by trapezoids, a constant taken out first, the least f by default."""
    least = f.min() if least is None else least
    return torch.trapezoid((least - f).exp(), x).log() + back * least


def _naive(f: Tensor, x: Tensor) -> Tensor:
    return torch.trapezoid((-f).exp(), x).log()


_FAR = (
    "A constant is taken out, which is right, but not the best one: where f is much below or above"
    " it, or ∞, it is of no use. Which one makes the largest value of the integrand 1?"
)
_INTEGRAL = [
    ("This is Z. Its logarithm was asked for.", lambda f, x: torch.trapezoid((-f).exp(), x)),
    ("This is Z. Its logarithm was asked for.", lambda f, x: _log_z(f, x).exp()),
    ("The sign is turned: this is −log Z.", lambda f, x: -_naive(f, x)),
    ("The sign is turned: this is −log Z.", lambda f, x: -_log_z(f, x)),
    (
        "e^(−f) alone leaves what float64 can hold, which ends near e^709 and e^−745. What may be"
        " added to f, and what does that do to Z (section 2.2)?",
        _naive,
    ),
    (
        "dx is missing: a sum over points is no integral until each is multiplied by its spacing.",
        lambda f, x: torch.logsumexp(-f, 0),
    ),
    (
        "The spacing at one end is taken for all of the points. They are uneven.",
        lambda f, x: torch.logsumexp(-f, 0) + (x[1] - x[0]).log(),
    ),
    (
        "One average spacing is taken for all of the points. They are uneven.",
        lambda f, x: torch.logsumexp(-f, 0) + ((x[-1] - x[0]) / (len(x) - 1)).log(),
    ),
    (
        "This is the logarithm of the average of e^(−f), not of its integral.",
        lambda f, x: torch.logsumexp(-f, 0) - math.log(len(x)),
    ),
    (
        "This is ∫ −f dx. The exponential comes first, then the integral, then the logarithm.",
        lambda f, x: torch.trapezoid(-f, x),
    ),
    (
        "A constant was taken out before the exponential and not put back: f and f − c have the"
        " same density, but not the same Z (section 2.2).",
        lambda f, x: _log_z(f, x, back=0.0),
    ),
    (
        "The constant that was taken out is put back with the wrong sign.",
        lambda f, x: _log_z(f, x, back=1.0),
    ),
    (_FAR, lambda f, x: _log_z(f, x, f.max())),
    (_FAR, lambda f, x: _log_z(f, x, f.mean())),
    (_FAR, lambda f, x: _log_z(f, x, f[f.isfinite()].max())),
    (_FAR, lambda f, x: _log_z(f, x, f[f.isfinite()].mean())),
    (_FAR, lambda f, x: _log_z(f, x, f[f.isfinite()].median())),
    (
        "The points where f is ∞ are left out, and the integral then runs straight across the gap."
        " Keep them: the integrand is 0 there.",
        lambda f, x: _log_z(f[f.isfinite()], x[f.isfinite()]),
    ),
]


def _energies() -> dict[str, tuple[Tensor, Tensor]]:
    """Return energies and their points, which are close together in the middle."""
    u = torch.linspace(0, 1, 1201, dtype=torch.float64)
    x = 2 + torch.sinh(6 * u - 3) + 6 * u - 3
    y, wide = 65 * u[::2] ** 1.5 - 5, 90 * (2 * u - 1) * (2 * u - 1).abs().sqrt()
    u = torch.linspace(0, 1, 6000, dtype=torch.float64)
    z = 2 + torch.sinh(6 * u - 3) + 6 * u - 3  # no point at the middle
    bell, apart = (x - 1) ** 2 / 8 - 1, (z - 2).abs()
    return {
        "log Z of f = (x − 1)²/8 − 1": (bell, x),
        "log Z of f = (x − 1)²/8 − 2000": (bell - 1999, x),
        "log Z of f = (x − 1)²/8 + 2000": (bell + 2001, x),
        "log Z of f = 2x² from −90 to 90": (2 * wide**2, wide),
        "log Z of f = x − 2 log x for x > 0, else ∞": (
            torch.where(y > 0, y - 2 * y.log(), math.inf),
            y,
        ),
        "log Z of f = |x − 2|, but ∞ where |x − 2| < 1": (
            torch.where(apart > 1, apart, math.inf),
            z,
        ),
        "log Z of f = (x − 1)²/8000 + 700, in thousands of x": (bell + 701, 1000 * x),
    }


@check(mistakes=_INTEGRAL)
def log_integral(answer: object) -> str:
    """Check answer(f, x), log ∫ e^(−f) dx from energies f (m,) at uneven points x (m,).

    The energies reach ±2 000, spread by 16 000, and are +∞ where the density is 0, also in a gap.
    """
    agree(answer, _log_z, _energies(), _INTEGRAL, _LOG_Z)
    return (
        "A network's energies may lie anywhere, since a constant added to f changes no density:"
        " only what stays in the logarithm can be trusted with them."
    )


_TAIL = [
    (
        "It looks as if the logarithm was left out. Where |x| and x cancel on one side, it alone"
        " decides there.",
        lambda a, b, c: b > abs(a),
    ),
    (
        "It looks as if a level tail had a finite integral (section 2.2).",
        lambda a, b, c: b >= abs(a),
    ),
    (
        "Only the right tail is looked at; the left one counts as well.",
        lambda a, b, c: b > -a or (b == -a and c > 0.5),
    ),
    (
        "Only the left tail is looked at; the right one counts as well.",
        lambda a, b, c: b > a or (b == a and c > 0.5),
    ),
    (
        "It looks as if the term a x were left out. It tilts: it raises one tail and lowers the"
        " other.",
        lambda a, b, c: b > 0 or (b == 0 and c > 0.5),
    ),
    (
        "It looks as if f → ∞ were enough. It must grow fast enough: what is the integral of"
        " 1/(1 + x²)^c?",
        lambda a, b, c: b > abs(a) or (b == abs(a) and c > 0),
    ),
    (
        "Almost: the case at the limit. What is the integral of 1/|x| far out?",
        lambda a, b, c: b > abs(a) or (b == abs(a) and c >= 0.5),
    ),
    (
        "It looks as if log(1 + x²) grew like log |x|. It grows twice as fast.",
        lambda a, b, c: b > abs(a) or (b == abs(a) and c > 1),
    ),
    (
        "It looks as if the logarithm always had to grow fast enough. On a tail where f rises in a"
        " line, no logarithm matters.",
        lambda a, b, c: b >= abs(a) and c > 0.5,
    ),
    (
        "It looks as if the logarithm could save a tail on which f falls in a line. Far out, the"
        " line wins.",
        lambda a, b, c: b > abs(a) or c > 0.5,
    ),
    (
        "It is turned round: this says when Z is infinite.",
        lambda a, b, c: not (b > abs(a) or (b == abs(a) and c > 0.5)),
    ),
]

_TAILS = [(0, 1, 0), (0, -1, 0), (0.5, 1, 0), (-1.5, 1, 0), (1.5, 1, 0), (1, 1, 0), (1, 1, 1)]
_TAILS += [(-1, 1, 0.25), (-2, 2, 0.75), (0, 0, 0.5), (0, 0, 0.75), (0, 0, -1), (0, 0, 0)]
_TAILS += [(0.25, 1, -3), (0, -1, 5), (-3, 2, 3), (2, 1, 3), (3, 3, 0.5), (-3, 3, 2)]
_TAILS += [(0, 0, 0.51), (0, 0, 0.49), (5, 5, 0.51), (-5, 5, 0.49), (5, 5, 1), (1, -1, 0.75)]
_TAILS += [(-1, -1, 0.75), (3, 0, 2), (-3, 0, 2), (-800, 801, -900), (800, 799, 900)]
_TAILS += [(1e-3, 2e-3, -1), (2e-3, 1e-3, 1), (0, 1e-3, -700), (0, -1e-3, 700), (7, 7, 0.25)]


@check(mistakes=_TAIL)
def has_density(answer: object) -> str:
    """Check answer(a, b, c): whether f = a x + b |x| + c log(1 + x²) has a finite Z.

    Far out f is (b ± a)|x| + 2c log |x|, so both b ± a must be positive, or 0 with 2c > 1.
    """
    found, right = [], []
    for a, b, c in _TAILS:
        value = call(answer, a, b, c)
        if not isinstance(value, bool | np.bool_):
            try:
                value = as_tensor(value, ()).item()
            except Wrong:
                raise Wrong(f"Return True or False; what came back is {named(value)}.") from None
        if value not in (0, 1):
            raise Wrong(f"Return True or False; for a = {a}, b = {b}, c = {c} it was {value:.3g}.")
        found.append(bool(value))
        right.append(b > abs(a) or (b == abs(a) and c > 0.5))
    if found != right:
        for message, mutant in _TAIL:
            if found == [mutant(*tail) for tail in _TAILS]:
                raise Wrong(message)
        k = [here != there for here, there in zip(found, right, strict=True)].index(True)
        a, b, c = _TAILS[k]
        raise Wrong(f"For a = {a}, b = {b}, c = {c}: {right[k]} expected, found {found[k]}.")
    return (
        "An energy has to rise on both sides, faster than log |x|. Training knows nothing of that:"
        " it sees no data far out, so the form of f has to see to it."
    )
