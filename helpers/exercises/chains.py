"""The checks of notebook 7 on what a chain reports: 7.1 and 7.2."""

import math
from collections.abc import Callable

import torch
from scipy.signal import lfilter
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    agree,
    as_tensor,
    call,
    check,
    seeded,
)

_LENGTH = 0.3
"""Relative error allowed in a length: nearly five standard errors of an estimate by 500 batches."""


def _trace(phi: list[float], n: int, scale: float, generator: torch.Generator) -> Tensor:
    """Return 3 + scale · the sum of chains X ← φ X + √(1 − φ²) N, one for each φ, n steps (n,)."""
    noise = torch.randn(len(phi), n + 1000, generator=generator, dtype=torch.float64).numpy()
    chains = [lfilter([math.sqrt(1 - f * f)], [1, -f], N) for f, N in zip(phi, noise, strict=True)]
    return 3 + scale * torch.from_numpy(sum(chains)[1000:])


_LENGTHS: list[tuple[str, Callable[..., float]]] = [
    (
        "The 2 before the sum is missing: t = 1 + 2 Σ ρ_j counts every pair twice, as j after k and"
        " as k after j.",
        lambda V, t, rho, error, n: V * (1 + t) / 2 / error**2,
    ),
    (
        "ρ₀ = 1 is counted twice: the sum of t = 1 + 2 Σ ρ_j begins at j = 1.",
        lambda V, t, rho, error, n: V * (t + 2) / error**2,
    ),
    (
        "The error is not squared: it falls like 1/√n.",
        lambda V, t, rho, error, n: V * t / error,
    ),
    (
        "This divides by t. A correlated chain must be t times *longer*.",
        lambda V, t, rho, error, n: V / t / error**2,
    ),
    (
        "A standard deviation stands where the variance V should: error² = V t/n.",
        lambda V, t, rho, error, n: math.sqrt(V) * t / error**2,
    ),
    (
        "This is the effective size of the trace that you were given, not the length that is"
        " needed.",
        lambda V, t, rho, error, n: n / t,
    ),
    (
        "This is the length for independent draws: the autocorrelation time is missing (section"
        " 7.1).",
        lambda V, t, rho, error, n: V / error**2,
    ),
    (
        "(1 + ρ₁)/(1 − ρ₁) is t only if ρ_j = ρ₁^j. Where a slow part is hidden behind a fast one"
        " it is not: sum the estimated ρ_j.",
        lambda V, t, rho, error, n: V * (1 + rho) / (1 - rho) / error**2,
    ),
    (
        "Negative ρ_j count as well: a chain that overshoots needs *fewer* steps than independent"
        " draws.",
        lambda V, t, rho, error, n: V * max(t, 1) / error**2,
    ),
    (
        "This is t, the autocorrelation time; the length was asked for.",
        lambda V, t, rho, error, n: t,
    ),
    (
        "This is almost 0. The estimated ρ_j of *all* lags sum to −½, whatever the chain: stop"
        " before the noise (section 7.1).",
        lambda V, t, rho, error, n: 0.0,
    ),
]
"""To each mistake the length that it gives for a chain with variance V, time t and ρ₁ = rho."""


@check
def length_for(answer: object, *, seed: int = 0) -> str:
    """Check answer(trace, error), how long a chain must be for this standard error of its mean.

    The traces are sums of chains with ρ_j = φ^j, so that V t is the sum of (1 + φ)/(1 − φ). A
    mistake is named if all lengths are within half of ``_LENGTH`` of those that it gives.
    """
    n, generator, rows = 400_000, seeded(seed), []
    for name, phi, scale, error in [
        ("a chain that forgets in some ten steps", [0.8], 2.0, 0.03),
        ("the sum of a slow and a fast chain", [0.9, 0.0], 30.0, 0.5),
        ("a chain that overshoots", [-0.3], 1.0, 0.01),
        ("a chain that forgets in some hundred steps", [0.98], 0.05, 0.002),
    ]:
        V, rho = scale**2 * len(phi), sum(phi) / len(phi)
        t = sum((1 + f) / (1 - f) for f in phi) / len(phi)
        trace = _trace(phi, n, scale, generator)
        found = as_tensor(call(answer, trace, error), ()).item()
        rows.append((name, found, V * t / error**2, (V, t, rho, error, n)))
    for name, found, right, _ in rows:
        if not abs(found / right - 1) <= _LENGTH:
            for message, length in _LENGTHS:
                if all(_alike(value, length(*given), good) for _, value, good, given in rows):
                    raise Wrong(message)
            raise Wrong(
                f"The length for {name} should be {right:.0f}, within 30 %; found {found:.6g}."
            )
    return (
        "That is what a pilot run is for: V and t from a short trace, then the length of the long"
        " one. The pilot itself must be many t long."
    )


def _alike(found: float, value: float, right: float) -> bool:
    """Return whether a length is a mistake's, within half of what is allowed, or 0 as that is."""
    return abs(found - value) < (_LENGTH / 2 * value or 1e-6 * right)


def _r_hat(
    between=lambda m, v, n: m.var() / v.mean(),
    first=lambda n: (n - 1) / n,
    last=torch.sqrt,
    still=lambda m, v: not v.any(),
) -> Callable[..., Tensor]:
    """Return R̂ from the reports of chains of n draws; with other arguments, with a mistake."""

    def r_hat_of_reports(n: int, m: Tensor, v: Tensor) -> Tensor:
        return torch.tensor(math.nan) if still(m, v) else last(first(n) + between(m, v, n))

    return r_hat_of_reports


_R_HAT = [
    ("This is R̂². Take the root.", _r_hat(last=lambda square: square)),
    (
        "The variance of the means is divided by the number of chains; divide by one less: their"
        " own mean was estimated.",
        _r_hat(lambda m, v, n: m.var(correction=0) / v.mean()),
    ),
    (
        "The variance of the means is divided by n once more. They are means already, and their"
        " variance is B/n.",
        _r_hat(lambda m, v, n: m.var() / n / v.mean()),
    ),
    (
        "The variance of the means is multiplied by n: that is B, and R̂ needs B/n.",
        _r_hat(lambda m, v, n: n * m.var() / v.mean()),
    ),
    ("The first term is (n − 1)/n, not 1.", _r_hat(first=lambda n: 1)),
    (
        "The first term is missing: equal means must give about 1, not 0.",
        _r_hat(first=lambda n: 0),
    ),
    (
        "The mean of the standard deviations was squared. Average the variances.",
        _r_hat(lambda m, v, n: m.var() / v.sqrt().mean() ** 2),
    ),
    (
        "Numerator and denominator are swapped: what is within stands below.",
        _r_hat(lambda m, v, n: v.mean() / m.var()),
    ),
    (
        "One chain that stands still is no reason for nan: the others move. Only if all variances"
        " are 0 is there nothing to compare.",
        _r_hat(still=lambda m, v: not v.all()),
    ),
    (
        "Chains that all stand still, each at a place of its own, give ∞ here. All variances are 0"
        " then: return math.nan.",
        _r_hat(still=lambda m, v: not v.any() and m.var() == 0),
    ),
    (
        "Equal means are no reason for nan: if the chains move, R̂ is √((n − 1)/n) then.",
        _r_hat(still=lambda m, v: m.var() == 0 or not v.any()),
    ),
]


@check(mistakes=_R_HAT)
def r_hat_of_reports(answer: object) -> str:
    """Check answer(n, means, variances), R̂ of chains of n draws from their reports."""
    cases = {}
    for n, means, variances in [
        (50, [1.0, 1.4, 0.7, 1.1], [2.0, 1.5, 1.2, 2.4]),
        (8, [0.0, 3.0, -1.0], [4.0, 9.0, 6.5]),
        (2, [-700.0, 900.0], [3e4, 1e5]),
        (400, [2e-5, 1e-5, -4e-5, 0.0, 3e-5], [1e-8, 3e-8, 6e-9, 2e-8, 1e-8]),
        (6, [1.0, 2.5, 4.0], [0.0, 3.0, 2.0]),
        (5, [2.0, 2.0, 2.0], [1.0, 0.5, 3.0]),
        (20, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        (20, [1.0, -2.0, 4.0], [0.0, 0.0, 0.0]),
    ]:
        m, v = (torch.tensor(values, dtype=torch.float64) for values in (means, variances))
        cases[f"R̂ for n = {n}, means {means} and variances {variances}"] = (n, m, v)
    agree(answer, _r_hat(), cases, _R_HAT)
    return (
        "Two numbers a chain are enough for it, but not for its repairs: halves and ranks need the"
        " draws, so ask for the reports of both halves at least."
    )
