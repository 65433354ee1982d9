"""The checks of notebook 2 on log Z and on whether there is a Z."""

import math

import numpy as np
import torch

from helpers.exercises.verdicts import (
    Wrong,
    as_tensor,
    call,
    check,
    expect,
    named,
)

_LOG_Z = 2e-3
"""Absolute error allowed in log Z: float32 holds 2 000 to 1e-4, and left sums are right to 1e-3."""

INTEGRAL_MISTAKES = {
    "This is Z. Its logarithm was asked for.": lambda f, x: torch.trapezoid((-f).exp(), x),
    "The sign is turned: this is −log Z.": lambda f, x: -torch.trapezoid((-f).exp(), x).log(),
    "The sign of the energy is turned: the integrand is e^(−f).": (
        lambda f, x: torch.trapezoid(f.exp(), x).log()
    ),
    "dx is missing: a sum over points is no integral until each is multiplied by its spacing.": (
        lambda f, x: torch.logsumexp(-f, 0)
    ),
    "The spacing at one end is taken for all of the points. They are uneven.": (
        lambda f, x: torch.logsumexp(-f, 0) + (x[1] - x[0]).log()
    ),
    "One average spacing is taken for all of the points. They are uneven.": (
        lambda f, x: torch.logsumexp(-f, 0) + ((x[-1] - x[0]) / (len(x) - 1)).log()
    ),
    "This is the logarithm of the average of e^(−f), not of its integral.": (
        lambda f, x: torch.logsumexp(-f, 0) - math.log(len(x))
    ),
    "This is ∫ −f dx. The exponential comes first, then the integral, then the logarithm.": (
        lambda f, x: torch.trapezoid(-f, x)
    ),
    "A constant was taken out before the exponential and not put back: f and f − c have the same"
    " density, but not the same Z (section 2.2).": (
        lambda f, x: torch.trapezoid((f.min() - f).exp(), x).log()
    ),
    "The constant that was taken out is put back with the wrong sign.": (
        lambda f, x: torch.trapezoid((f.min() - f).exp(), x).log() + f.min()
    ),
}
"""For each mistake in log Z a function that makes it."""


@check
def log_integral(answer: object) -> str:
    """Check answer(f, x), log ∫ e^(−f) dx from energies f (m,) at uneven points x (m,).

    The energies reach ±2 000, and +∞ where the density is 0. The closed forms are the referee.
    """
    u = torch.linspace(0, 1, 1201, dtype=torch.float64)
    x = 2 + torch.sinh(6 * u - 3) + 6 * u - 3  # from −11 to 15, close together in the middle
    y = 65 * u[::2] ** 1.5 - 5
    bell, one_sided = (x - 1) ** 2 / 8 - 1, torch.where(y > 0, y - 2 * y.log(), math.inf)
    log_z = 1 + math.log(8 * math.pi) / 2
    for name, f, points, right in [
        ("(x − 1)²/8 − 1", bell, x, log_z),
        ("(x − 1)²/8 − 2000", bell - 1999, x, log_z + 1999),
        ("(x − 1)²/8 + 2000", bell + 2001, x, log_z - 2001),
        ("x − 2 log x for x > 0, else ∞", one_sided, y, math.log(2)),
    ]:
        found = as_tensor(call(answer, f, points), ())
        if not found.isfinite() and "00" in name:
            raise Wrong(
                f"For f = {name} it is {found.item()}: e^(−f) alone leaves what float64 can hold,"
                " which ends near e^709 and e^−745. What may be added to f, and what does that do"
                " to Z (section 2.2)?"
            )
        if not found.isfinite() and "∞" in name:
            raise Wrong(
                f"For f = {name}, it is {found.item()}. Where f is ∞ the density is 0, and those"
                " points add nothing; but ∞ − ∞ is no number."
            )
        values = {message: mutant(f, points) for message, mutant in INTEGRAL_MISTAKES.items()}
        values = {message: value for message, value in values.items() if value.isfinite()}
        expect(f"log Z of f = {name}", found, right, values, _LOG_Z)
    return (
        "A network's energies may lie anywhere, since a constant added to f changes no density:"
        " only what stays in the logarithm can be trusted with them."
    )


TAIL_MISTAKES = {
    "It looks as if the logarithm was left out. Where |x| and x cancel on one side, it alone"
    " decides there.": lambda a, b, c: b > abs(a),
    "It looks as if a level tail had a finite integral (section 2.2).": (
        lambda a, b, c: b >= abs(a)
    ),
    "Only the right tail is looked at; the left one counts as well.": (
        lambda a, b, c: b > -a or (b == -a and c > 0.5)
    ),
    "Only the left tail is looked at; the right one counts as well.": (
        lambda a, b, c: b > a or (b == a and c > 0.5)
    ),
    "It looks as if the term a x were left out. It tilts: it raises one tail and lowers the"
    " other.": lambda a, b, c: b > 0 or (b == 0 and c > 0.5),
    "It looks as if f → ∞ were enough. It must grow fast enough: what is the integral of"
    " 1/(1 + x²)^c?": lambda a, b, c: b > abs(a) or (b == abs(a) and c > 0),
    "Almost: the case at the limit. What is the integral of 1/|x| far out?": (
        lambda a, b, c: b > abs(a) or (b == abs(a) and c >= 0.5)
    ),
    "It looks as if log(1 + x²) grew like log |x|. It grows twice as fast.": (
        lambda a, b, c: b > abs(a) or (b == abs(a) and c > 1)
    ),
    "It looks as if the logarithm always had to grow fast enough. On a tail where f rises in a"
    " line, no logarithm matters.": lambda a, b, c: b >= abs(a) and c > 0.5,
    "It looks as if the logarithm could save a tail on which f falls in a line. Far out, the line"
    " wins.": lambda a, b, c: b > abs(a) or c > 0.5,
    "It is turned round: this says when Z is infinite.": (
        lambda a, b, c: not (b > abs(a) or (b == abs(a) and c > 0.5))
    ),
}
"""For each mistake about the tails a function that makes it."""

_TAILS = [(0, 1, 0), (0, -1, 0), (0.5, 1, 0), (-1.5, 1, 0), (1.5, 1, 0), (1, 1, 0), (1, 1, 1)]
_TAILS += [(-1, 1, 0.25), (-2, 2, 0.75), (0, 0, 0.5), (0, 0, 0.75), (0, 0, -1), (0, 0, 0)]
_TAILS += [(0.25, 1, -3), (0, -1, 5), (-3, 2, 3), (2, 1, 3), (3, 3, 0.5), (-3, 3, 2)]


@check
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
        for message, mutant in TAIL_MISTAKES.items():
            if found == [mutant(*tail) for tail in _TAILS]:
                raise Wrong(message)
        k = [here != there for here, there in zip(found, right, strict=True)].index(True)
        a, b, c = _TAILS[k]
        raise Wrong(f"For a = {a}, b = {b}, c = {c}: {right[k]} expected, found {found[k]}.")
    return (
        "An energy has to rise on both sides, faster than log |x|. Training knows nothing of that:"
        " it sees no data far out, so the form of f has to see to it."
    )
