"""The check of notebook 5 on the law of a chain after one step."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    agree,
    check,
)


def _stepped(
    drift=1.0,
    scale=lambda s, tau: s,
    width=lambda s, tau: abs(tau),
    backwards=False,
    factor=lambda h, sd: h,
    last=lambda p, h: p,
) -> Callable[..., Tensor]:
    """Return the density after one step; with other arguments, one with a mistake."""

    def law_after_step(p, slope, x, s, tau):
        h, sd = x[1] - x[0], width(s, tau)
        mean = x - drift * scale(s, tau) * slope
        q = torch.exp(-((x - mean[:, None]) ** 2) / (2 * sd**2)) / (sd * math.sqrt(2 * math.pi))
        return last(factor(h, sd) * (q @ p if backwards else p @ q), h)

    return law_after_step


_LAW = [
    (
        "The integral runs over the place where the step ends; it must run over x, where it begins:"
        " the law is a row, p Q with Q[i, j] = q(x_j | x_i).",
        _stepped(backwards=True),
    ),
    (
        "dx is missing: the sum over x becomes an integral when it is multiplied by the spacing.",
        _stepped(factor=lambda h, sd: 1.0),
    ),
    (
        "The area is the spacing in place of 1: dx is there twice, or these are the probabilities"
        " of cells. Densities were asked for.",
        _stepped(factor=lambda h, sd: h**2),
    ),
    (
        "The sign of the drift is turned: a step goes down the energy, x − s f'(x).",
        _stepped(drift=-1),
    ),
    ("There is no drift: the law only spreads.", _stepped(drift=0.0)),
    (
        "The slope is not multiplied by the step size s.",
        _stepped(scale=lambda s, tau: 1.0),
    ),
    (
        "It looks as if τ were the variance of the noise. It is its standard deviation.",
        _stepped(width=lambda s, tau: math.sqrt(abs(tau))),
    ),
    (
        "It looks as if τ² were the standard deviation of the noise. It is the variance.",
        _stepped(width=lambda s, tau: tau**2),
    ),
    (
        "It looks as if the noise were a Langevin step's, √(2s). Here it is τ, whatever s.",
        _stepped(width=lambda s, tau: math.sqrt(2 * s)),
    ),
    (
        "The noise's density lacks its factor 1/(τ√(2π)): the area comes out as τ√(2π), not 1.",
        _stepped(factor=lambda h, sd: h * sd * math.sqrt(2 * math.pi)),
    ),
    (
        "This is the logarithm of the law. The density was asked for.",
        _stepped(last=lambda p, h: p.log()),
    ),
]
_NEGATIVE = (
    "For τ > 0 it is right. τ may be negative: the noise τN then has the standard deviation |τ|."
)


def _if_negative(function: Callable[..., Tensor], spoil: Callable[[Tensor], Tensor]) -> Callable:
    """Return the function, spoiled where τ < 0."""

    def spoiled(p, slope, x, s, tau):
        law = function(p, slope, x, s, tau)
        return law if tau > 0 else spoil(law)

    return spoiled


def _refuse(law: Tensor) -> Tensor:
    raise ValueError


_LAW += [
    (message, _if_negative(mutant, spoil))
    for message, mutant in [*_LAW, (_NEGATIVE, _stepped())]
    for spoil in (torch.neg, lambda law: law * math.nan, _refuse)
    if message != _NEGATIVE or spoil is not _refuse  # the error speaks for itself
]
"""Each mistake also where τ is taken for positive: with −τ√(2π) in the density, nan or an error."""


_HUMPS = densities.mixture([0.3, 0.7], [-3.0, 1.5], [0.5, 0.9])
_CASES = {
    "N(2, 0.8²) on f = x²/4": (densities.gaussian(2.0, 0.8), (-8, 10, 241), 0.6, 0.5),
    "two humps on f = x²/2 − 2 sin x": (_HUMPS, (-9, 7, 321), 0.25, 0.9),
    "the same humps, a longer step": (_HUMPS, (-9, 9, 301), 0.8, 0.4),
    "N(−900, 200²) on f = 300x": (
        densities.gaussian(-900.0, 200.0),
        (-3500, 1500, 251),
        2.0,
        250.0,
    ),
    "N(0.002, 0.001²) on f = −x²/2": (
        densities.gaussian(2e-3, 1e-3),
        (-0.02, 0.03, 501),
        0.5,
        1e-3,
    ),
}
"""The density of X, the grid, s and τ."""


@check(mistakes=_LAW)
def law_after_step(answer: object) -> str:
    """Check answer(p, slope, x, s, tau), the density of X − s f'(X) + τN on the grid x (m,).

    ``p`` is the density of X, ``slope`` f' on the grid; no law comes near the ends of its grid.
    """
    cases = {}
    for (name, (density, ends, s, tau)), slope in zip(
        _CASES.items(),
        [lambda x: x / 2, *2 * [lambda x: x - 2 * x.cos()], lambda x: 300 + 0 * x, torch.neg],
        strict=True,
    ):
        x = exact.grid(*ends)
        arguments = density.log_prob(x).exp(), slope(x), x, s, tau
        cases[f"The law after one step, {name}, s = {s}, τ = {tau}"] = arguments
    p, slope, x, s, tau = arguments
    cases[f"The law after one step, {name}, s = {s}, τ = {-tau}"] = p, slope, x, s, -tau
    agree(answer, _stepped(), cases, _LAW, lambda law: 3e-3 * law.abs().max())
    return (
        "One integral a step, and no randomness: what infinitely many particles would do. In one"
        " dimension that is a product with a matrix; in ten no grid would hold it."
    )
