"""The check of notebook 5 on the law of a chain after one step."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    as_tensor,
    call,
    check,
    expect,
)


def _stepped(
    drift=1.0,
    scale=lambda s, tau: s,
    width=lambda s, tau: tau,
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


LAW_MISTAKES = {
    "The integral runs over the place where the step ends; it must run over x, where it begins: the"
    " law is a row, p Q with Q[i, j] = q(x_j | x_i).": _stepped(backwards=True),
    "dx is missing: the sum over x becomes an integral when it is multiplied by the spacing.": (
        _stepped(factor=lambda h, sd: 1.0)
    ),
    "The area is the spacing in place of 1: dx is there twice, or these are the probabilities of"
    " cells. Densities were asked for.": _stepped(factor=lambda h, sd: h**2),
    "The sign of the drift is turned: a step goes down the energy, x − s f'(x).": _stepped(
        drift=-1
    ),
    "There is no drift: the law only spreads.": _stepped(drift=0.0),
    "The slope is not multiplied by the step size s.": _stepped(scale=lambda s, tau: 1.0),
    "It looks as if τ were the variance of the noise. It is its standard deviation.": (
        _stepped(width=lambda s, tau: math.sqrt(tau))
    ),
    "It looks as if τ² were the standard deviation of the noise. It is the variance.": (
        _stepped(width=lambda s, tau: tau**2)
    ),
    "It looks as if the noise were a Langevin step's, √(2s). Here it is τ, whatever s.": (
        _stepped(width=lambda s, tau: math.sqrt(2 * s))
    ),
    "The noise's density lacks its factor 1/(τ√(2π)): the area comes out as τ√(2π), not 1.": (
        _stepped(factor=lambda h, sd: h * sd * math.sqrt(2 * math.pi))
    ),
    "This is the logarithm of the law. The density was asked for.": (
        _stepped(last=lambda p, h: p.log())
    ),
}
"""For each mistake in the law of the next state a function that makes it."""


@check
def law_after_step(answer: object) -> str:
    """Check answer(p, slope, x, s, tau), the density of X − s f'(X) + τN on the grid x (m,).

    ``p`` is the density of X, ``slope`` f' on the grid. A Gaussian on a parabola stays one, in
    closed form; for two humps the sum is taken.
    """
    even, fine = exact.grid(-8, 10, 241), exact.grid(-9, 7, 321)
    bell, humps = (
        density.log_prob(grid).exp()
        for density, grid in [
            (densities.gaussian(2.0, 0.8), even),
            (densities.mixture([0.3, 0.7], [-3.0, 1.5], [0.5, 0.9]), fine),
        ]
    )
    wave = fine - 2 * fine.cos()
    closed = densities.gaussian(0.7 * 2.0, math.hypot(0.7 * 0.8, 0.5)).log_prob(even).exp()
    for name, right, *arguments in [
        ("N(2, 0.8²) on f = x²/4", closed, bell, even / 2, even, 0.6, 0.5),
        ("two humps on f = x²/2 − 2 sin x", None, humps, wave, fine, 0.25, 0.9),
    ]:
        found = as_tensor(call(answer, *arguments), (len(arguments[2]),))
        values = {message: mutant(*arguments) for message, mutant in LAW_MISTAKES.items()}
        values = {message: value for message, value in values.items() if value.isfinite().all()}
        right = _stepped()(*arguments) if right is None else right
        expect(f"The law after one step, {name}", found, right, values)
    return (
        "One integral a step, and no randomness: what infinitely many particles would do. In one"
        " dimension that is a product with a matrix; in ten no grid would hold it."
    )
