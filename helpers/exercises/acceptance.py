"""The checks of notebook 3 on accept and reject: the ratio."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    agree,
    as_tensor,
    call,
    check,
    expect,
)
from helpers.langevin import energy_and_gradient


def _ratio(
    forth=1.0,
    back=1.0,
    energies=1.0,
    drift=1.0,
    slopes=lambda at_x, at_y: (at_x, at_y),
    mean_slope=False,
    width=lambda s, tau: 2 * tau**2,
    reduce=lambda squares: squares.sum(-1),
    last=lambda log_ratio: log_ratio,
) -> Callable[..., Tensor]:
    """Return the log of the acceptance ratio; with other arguments, one with a mistake."""

    def log_acceptance(energy, x, y, s, tau):
        (f, gradient), (f_y, gradient_y) = (energy_and_gradient(energy, z) for z in (x, y))
        gradient, gradient_y = slopes(gradient, gradient_y)
        if mean_slope:
            gradient, gradient_y = gradient / len(x), gradient_y / len(y)
        there, here = (
            reduce((to - start + drift * s * slope).square() / -width(s, tau))
            for to, start, slope in ((y, x, gradient), (x, y, gradient_y))
        )
        return last(energies * (f - f_y) + back * here - forth * there)

    return log_acceptance


RATIO_MISTAKES = [
    (
        "The way there and the way back are swapped: q(x | y), the way back, is above the bar"
        " (section 3.7).",
        _ratio(forth=-1, back=-1),
    ),
    (
        "The way back uses the slope at x. It starts at y, so its mean is y − s ∇f(y).",
        _ratio(slopes=lambda at_x, at_y: (at_x, at_x)),
    ),
    (
        "The way there uses the slope at y. It starts at x, so its mean is x − s ∇f(x).",
        _ratio(slopes=lambda at_x, at_y: (at_y, at_y)),
    ),
    (
        "Each way uses the slope of its end. A step drifts by the slope where it starts.",
        _ratio(slopes=lambda at_x, at_y: (at_y, at_x)),
    ),
    (
        "The drift is half of what it should be. Where a step is x − s/2 ∇f + √s N, s means another"
        " thing; here the mean is x − s ∇f(x).",
        _ratio(drift=0.5),
    ),
    (
        "The two proposal terms are missing, or the drift is missing in them, when they cancel."
        " With a drift the way back is not as likely as the way there.",
        _ratio(forth=0, back=0),
    ),
    ("The term of the way there, log q(y | x), is missing.", _ratio(forth=0)),
    ("The term of the way back, log q(x | y), is missing.", _ratio(back=0)),
    (
        "The proposal terms are added up: the way there is below the bar, so its logarithm is"
        " subtracted.",
        _ratio(forth=-1),
    ),
    ("The energies have the wrong sign: log p(y) − log p(x) is f(x) − f(y).", _ratio(energies=-1)),
    ("The energies are missing: this is the ratio of the proposals alone.", _ratio(energies=0)),
    (
        "The ratio is upside down: p(y) q(x | y) is above the bar (section 3.7).",
        _ratio(forth=-1, back=-1, energies=-1),
    ),
    ("The drift has the wrong sign in the proposal: its mean is x − s ∇f(x).", _ratio(drift=-1)),
    (
        "The slope is that of the mean energy, too small by the number of particles (section 3.1).",
        _ratio(mean_slope=True),
    ),
    (
        "It looks as if the noise had the variance 2s, as in a Langevin step. Here it is τ²,"
        " whatever s.",
        _ratio(width=lambda s, tau: 4 * s),
    ),
    (
        "The ½ of the normal density is missing: the squares are divided by 2τ².",
        _ratio(width=lambda s, tau: tau**2),
    ),
    (
        "The squares are divided by 4τ². 4s is 2 · 2s, twice the variance; here that is 2τ².",
        _ratio(width=lambda s, tau: 4 * tau**2),
    ),
    (
        "The squares are divided by 2τ: τ is the standard deviation, so square it.",
        _ratio(width=lambda s, tau: 2 * tau),
    ),
    (
        "The squares are averaged over the axes. Densities of independent axes multiply, so their"
        " logarithms add.",
        _ratio(reduce=lambda squares: squares.mean(-1)),
    ),
    (
        "The squares are summed over all particles: each is accepted or rejected by itself.",
        _ratio(reduce=lambda squares: squares.sum()),
    ),
    (
        "This is the ratio. Its logarithm was asked for: the ratio itself may be too large for a"
        " float.",
        _ratio(last=torch.exp),
    ),
    (
        "This is the probability, min(1, ratio). The logarithm of the ratio was asked for.",
        _ratio(last=lambda log_ratio: log_ratio.exp().clamp(max=1)),
    ),
    (
        "This is cut off at 0. It is right as a logarithm of the probability, but the ratio itself"
        " was asked for.",
        _ratio(last=lambda log_ratio: log_ratio.clamp(max=0)),
    ),
]
"""Each mistake in the log of the acceptance ratio, and a function that makes it."""


def _valley(x: Tensor) -> Tensor:
    """Return the energy of particles (n, d): a quartic with a slope, uneven in its axes."""
    scale = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
    return ((x**2 - scale) ** 2 / 4 + x / scale).sum(-1)


def _quarter(x: Tensor) -> Tensor:
    """Return the energy Σ x_i²/2 + x_i where all axes are above −1, and +∞ elsewhere."""
    return torch.where((x > -1).all(-1), (x**2 / 2 + x).sum(-1), math.inf)


@check(mistakes=RATIO_MISTAKES)
def log_acceptance(answer: object) -> str:
    """Check answer(energy, x, y, s, tau), the log of the acceptance ratio of x → y, (n, d) each.

    The proposal is N(x − s ∇f(x), τ²) on each axis: MALA if τ² = 2s, a random walk if s = 0. The
    last places lie where f is +∞: the ratio is 0 there, and its logarithm −∞.
    """
    cases = {}
    for name, energy, n, d, s, tau in [
        ("s = 0.3 and τ = 0.7", _valley, 4, 1, 0.3, 0.7),
        ("s = 0.3 and τ = 1.6", _valley, 4, 1, 0.3, 1.6),
        ("s = 0.2 and τ = 1.1 on three axes", _valley, 7, 3, 0.2, 1.1),
        ("s = 0.2 and τ = 1.1, one particle", _valley, 1, 2, 0.2, 1.1),
        ("s = 0", _valley, 5, 1, 0.0, 0.5),
        ("s = 2 and τ = 0.05", _valley, 6, 6, 2.0, 0.05),
    ]:
        cases[f"The log ratios with {name}"] = (energy, *_moves(n, d), s, tau)
    agree(answer, _ratio(), cases, RATIO_MISTAKES)
    x, y = _moves(6, 2)
    found, right = (
        as_tensor(call(f, _quarter, x.clone(), y.clone(), 0.5, 1.0), (6,))
        for f in (answer, _ratio())
    )
    if not (found[right == -math.inf] == -math.inf).all():
        raise Wrong(
            "Where f(y) = ∞ the ratio is 0, so its logarithm is −∞ and the move is never made;"
            f" found {found[right == -math.inf][0]:.3f}."
        )
    expect("The log ratios with s = 0.5, τ = 1 and places where f = ∞", found, right, {})
    return (
        "With this rule every such proposal leaves e^(−f) as it is, however badly drift and noise"
        " fit together. They decide how many moves are refused, and how far the others go."
    )


def _moves(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Return places x and y, (n, d) each."""
    x = torch.linspace(-0.9, 1.6, n * d, dtype=torch.float64).view(n, d)
    return x, x.flip(0) * torch.linspace(0.4, 1.7, n, dtype=torch.float64)[:, None] + 0.15
