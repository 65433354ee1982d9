"""The checks of notebook 2: the gradient."""

import math

import numpy as np
import torch
from torch import Tensor

from helpers import densities
from helpers.exercises.verdicts import (
    Wrong,
    Z,
    as_tensor,
    call,
    check,
    expect,
    named,
    seeded,
    untouched,
)


@check
def score(answer: object) -> str:
    """Check answer(energy, x), the score −∇ₓf(x), shape (n, 1), of particles x (n, 1)."""
    x = torch.linspace(-2, 3, 6, dtype=torch.float64).unsqueeze(1)
    cases = {
        "f = (x − 3)²/8": (lambda x: ((x - 3) ** 2).sum(-1) / 8, (x - 3) / 4),
        "f = (x² − 1)²": (lambda x: ((x**2 - 1) ** 2).sum(-1), 4 * x * (x**2 - 1)),
    }
    for name, (energy, slope) in cases.items():
        given = x.clone()
        found = as_tensor(call(answer, energy, given), (6, 1))
        untouched(given, x)
        mistakes = {
            "The sign is turned: this is ∇ₓf. The score is the slope of the log-density, which is"
            " −f up to a constant.": slope,
            "It is too small by the number of particles: differentiate the sum of the energies,"
            " not their mean. Each particle enters only its own term.": -slope / 6,
            "This is the energy itself. The score is its derivative in x, sign turned.": (
                energy(x).unsqueeze(1)
            ),
            "This is −f, the log-density up to a constant. The score is its derivative in x.": (
                -energy(x).unsqueeze(1)
            ),
        }
        expect(f"The score of {name} at −2, −1, 0, …", found, -slope, mistakes)
    return (
        "The constant log Z has gone with the derivative. That is why a sampler can do without"
        " it; the plain one of notebook 3 needs nothing but this."
    )


@check
def nll_gradient(answer: object, *, seed: int = 0) -> str:
    """Check answer(theta, data, n, generator), ∇_θ NLL, shape (2,), with n draws of the model.

    The model is N(θ₁, 1/θ₂), f = θ₂ (x − θ₁)²/2. Under it ∇_θ f has mean (0, 1/2θ₂) and variances
    (θ₂, 1/2θ₂²), and the positive phase is a plain mean: the tolerance is ``Z`` standard errors.
    """
    n, data = 40_000, densities.draw(densities.gaussian(1.3, 1.5), 500, generator=seeded(seed))
    for m, b in [(0.5, 0.4), (2.0, 3.0)]:
        theta = torch.tensor([m, b], dtype=torch.float64)
        found = as_tensor(call(answer, theta, data.clone(), n, seeded(seed + 1)), (2,))
        positive = torch.stack([-b * (data - m).mean(), ((data - m) ** 2).mean() / 2])
        negative = torch.tensor([0.0, 1 / (2 * b)], dtype=torch.float64)

        def narrow(variance: float, positive=positive) -> Tensor:
            return positive - torch.tensor([0.0, variance / 2], dtype=torch.float64)

        mistakes = {
            "The sign is turned: this is ∇_θ LL. The loss is its negative, so its gradient is the"
            " data's mean minus the model's (section 2.3, step 7).": negative - positive,
            "The negative phase is missing: this is the mean over the data alone. It would push"
            " the energy down for ever (section 2.4).": positive,
            "The two phases are added. Their signs differ: data minus model.": positive + negative,
            "It looks as if 1/θ₂ was used as the model's standard deviation. It is the variance;"
            " the standard deviation is its root.": narrow(1 / b**2),
            "It looks as if θ₂ was used as the model's standard deviation. θ₂ is one over the"
            " variance.": narrow(b**2),
        }
        tolerance = Z * torch.tensor([b, 1 / (2 * b**2)], dtype=torch.float64).div(n).sqrt()
        expect(f"∇_θ NLL at θ = ({m}, {b})", found, positive - negative, mistakes, tolerance)
    return (
        "Data pull the energy down, the model's own draws push it up, and Z was never needed."
        " Every update in notebook 4 is this difference."
    )


@check
def two_slopes(answer: object) -> str:
    """Check answer(theta, m) for f = θ|x| and data with mean |x| = m: (∂NLL/∂θ, ∂difference/∂θ).

    Z = 2/θ, so NLL = θm + log(2/θ); and E|X| = 1/θ under p_θ, so the difference is θm − 1.
    """
    for theta, m in [(0.8, 2.0), (2.0, 0.3)]:
        found = as_tensor(call(answer, theta, m), (2,))
        nll, live = m - 1 / theta, m
        pairs = {
            "The two are swapped: the first is the NLL's.": (live, nll),
            "The second is the derivative with the samples held fixed. Here p_θ depends on θ as"
            " well: what is E[θ|X|] under p_θ? (section 2.5)": (nll, nll),
            "The first leaves out log Z: the NLL is the data's mean energy plus log Z, and here"
            " Z = 2/θ.": (live, live),
            "The sign of the first's second term is turned: log Z = log 2 − log θ falls in θ.": (
                m + 1 / theta,
                live,
            ),
            "The first has the ½ of a quadratic energy (section 2.5). For |x| it is Z = 2/θ.": (
                m - 1 / (2 * theta),
                live,
            ),
        }
        as_double = {k: torch.tensor(v, dtype=torch.float64) for k, v in pairs.items()}
        right = torch.tensor([nll, live], dtype=torch.float64)
        expect(f"The slopes at θ = {theta}, m = {m}", found, right, as_double)
    return (
        "The difference rises for every θ: it has no minimum, so following it in full would"
        " flatten the energy for ever. Held fixed, the samples leave the NLL's slope."
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
        given = f.clone(), points.clone()
        found = as_tensor(call(answer, *given), ())
        untouched(given[0], f)
        untouched(given[1], points)
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
