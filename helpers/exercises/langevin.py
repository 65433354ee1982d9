"""The checks of notebook 3: Langevin Monte Carlo."""

import math
from functools import partial

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.densities import Energy
from helpers.exercises.verdicts import (
    Wrong,
    agree,
    as_tensor,
    at_particles,
    call,
    check,
    positive,
)


def _settled_variance(s: float, sigma: float, noise: float) -> float:
    """Return v with v = (1 − a)² v + noise², a = s/σ²."""
    a = s / sigma**2
    return noise**2 / (a * (2 - a))


_VARIANCE = [
    (
        "This is the variance of the target, σ² (section 3.3).",
        lambda s, sd, b: sd**2,
    ),
    (
        "This is for the noise √(2s) of section 3.3. Here the noise has the standard deviation that"
        " is given: put noise² in the place of 2s.",
        lambda s, sd, b: _settled_variance(s, sd, math.sqrt(2 * s)),
    ),
    (
        "This is the variance of the noise in one step. The drift pulls back part of what came"
        " before: solve v = (1 − a)² v + noise², a = s/σ² (section 3.3).",
        lambda s, sd, b: b**2,
    ),
    (
        "It looks as if the noise was not squared: it is a standard deviation.",
        lambda s, sd, b: _settled_variance(s, sd, math.sqrt(b)),
    ),
    (
        "This is the standard deviation; the variance was asked for.",
        lambda s, sd, b: math.sqrt(_settled_variance(s, sd, b)),
    ),
    (
        "It looks as if a was taken to be s. It is a = s/σ² (section 3.2).",
        lambda s, sd, b: _settled_variance(s, 1.0, b),
    ),
    (
        "It looks as if a was taken to be s/σ. It is a = s/σ² (section 3.2).",
        lambda s, sd, b: _settled_variance(s, math.sqrt(sd), b),
    ),
    (
        "This is the ratio to σ²; the variance itself was asked for.",
        lambda s, sd, b: _settled_variance(s, sd, b) / sd**2,
    ),
    (
        "It looks as if 1 − a was not squared: a variance is multiplied by (1 − a)².",
        lambda s, sd, b: b**2 / (s / sd**2),
    ),
    (
        "This is what a small step does, σ² noise²/2s. The factor 1/(1 − a/2) is missing, the bias"
        " of the step (section 3.3).",
        lambda s, sd, b: sd**2 * b**2 / (2 * s),
    ),
    (
        "The sign of the bias is turned: it makes the variance larger, 1/(1 − a/2).",
        lambda s, sd, b: sd**2 * b**2 / (2 * s) * (1 - s / (2 * sd**2)),
    ),
    (
        "The sign of the bias is turned: it makes the variance larger, 1/(1 − a/2).",
        lambda s, sd, b: sd**2 * b**2 / (2 * s) / (1 + s / (2 * sd**2)),
    ),
]


@check(mistakes=_VARIANCE)
def stationary_variance(
    answer: object, *, s: float = 0.7, sigma: float = 1.5, noise: float = 1.0
) -> str:
    """Check answer(s, sigma, noise), the variance at which chains on N(μ, σ²) settle.

    A step is X − s ∇ₓf(X) + noise · N. The closed form is checked at the learner's values, too.
    """
    chosen = s, sigma, noise = positive(s=s, sigma=sigma, noise=noise)
    if s >= 2 * sigma**2:
        raise Wrong(
            f"With s = {s:g} and σ = {sigma:g} the chain never settles: s must stay below 2σ² ="
            f" {2 * sigma**2:.3f} (section 3.3). Choose a smaller step."
        )
    cases = {
        f"Variance for s = {s:g}, σ = {sd:g}, noise = {b:g}": (s, sd, b)
        for s, sd, b in [
            (2.9, 2.3, 0.6),
            (0.31, 0.8, 1.7),
            (0.02, 1.1, 0.05),
            (900.0, 30.0, 40.0),
            (3.2, 1.3, 0.7),
            (3e-5, 0.02, 1e-3),
            chosen,
        ]
    }
    agree(answer, _settled_variance, cases, _VARIANCE)
    T, bias = noise**2 / (2 * s), 1 / (1 - s / sigma**2 / 2)
    return (
        f"At s = {s:g}, σ = {sigma:g} and noise {noise:g} the chain's variance is {T * bias:.3f}"
        f" times the target's: noise²/2s = {T:.3f}, the temperature (section 3.5), times"
        f" {bias:.3f}, the bias of the step. More steps remove neither."
    )


def _settled(energy: Energy, x: Tensor, s: float, cut: float) -> Tensor:
    """Return the mass left of cut of the row p with p P = p and sum 1."""
    system = exact.langevin_kernel(energy, x, s).T - torch.eye(len(x), dtype=x.dtype)
    system[-1] = 1.0  # one equation follows from the others; the sum takes its place
    last = torch.zeros_like(x)
    last[-1] = 1.0
    return torch.linalg.solve(system, last)[x < cut].sum()


def _after(k: int, rows: slice, energy: Energy, x: Tensor, s: float, cut: float) -> Tensor:
    """Return the mass left of cut after k steps from the grid's points in rows, as many each."""
    power = torch.linalg.matrix_power(exact.langevin_kernel(energy, x, s), k)
    return power[rows].mean(0)[x < cut].sum()


def _own_mass(energy: Energy, x: Tensor, s: float, cut: float) -> Tensor:
    """Return the mass left of cut under e^(−f)."""
    return (-energy(x.unsqueeze(1))).softmax(0)[x < cut].sum()


_EVEN, _MIDDLE = slice(None), slice(190, 191)
"""All points of the grid, and the middle of the largest one."""

_MASS = [
    (
        "This is the mass under e^(−f) itself. Accept/reject would settle there; a plain step of"
        " finite size settles elsewhere (section 3.6).",
        _own_mass,
    ),
    (
        "This is the mass right of the cut; the left one was asked for.",
        lambda f, x, s, cut: 1 - _settled(f, x, s, cut),
    ),
    (
        "This is too large by 1/h, h the spacing of the grid: let p sum to 1, for P moves"
        " probabilities, not densities (section 3.6).",
        lambda f, x, s, cut: _settled(f, x, s, cut) / (x[1] - x[0]),
    ),
    (
        "This is too small by h, the spacing of the grid: P moves probabilities, so the mass is"
        " their sum, not an integral (section 3.6).",
        lambda f, x, s, cut: _settled(f, x, s, cut) * (x[1] - x[0]),
    ),
    (
        "This is the share of the grid's points that lie left of the cut, which comes out if P acts"
        " on a column, P p. A law is a row: p P (section 3.2).",
        lambda f, x, s, cut: (x < cut).double().mean(),
    ),
    *(
        (
            "This is the mass after a number of steps, and not settled yet. Between humps that may"
            " take millions (section 3.6); the condition p P = p needs none.",
            partial(_after, k, rows),
        )
        for k, rows in [(1, _EVEN), (100, _EVEN), (10_000, _EVEN), (100_000, _EVEN)]
        + [(1_000_000, rows) for rows in (_EVEN, _MIDDLE, slice(0, 1))]
    ),
]


@check(mistakes=_MASS)
def settled_mass(answer: object) -> str:
    """Check answer(energy, x, s, cut), the mass left of cut where steps of size s settle.

    It comes from p P = p with sum 1, a linear system. The last case forgets its start over
    2 000 000 steps. The error allowed is more than half a cell at the cut of the first, 4e-3.
    """
    cases = {}
    for weights, means, sds, x, s, cut in [
        ([1.0], [1.0], [1.0], exact.grid(-9, 11, 401), 0.8, 2.525),
        ([0.5, 0.5], [-2.0, 2.0], [0.5, 1.0], exact.grid(-8, 10, 361), 0.2, -0.6),
        ([0.3, 0.7], [0.0, 8.0], [0.6, 0.9], exact.grid(-5, 14, 381), 0.1, 0.725),
    ]:
        energy = at_particles(densities.energy_of(densities.mixture(weights, means, sds)))
        what = f"The mass left of {cut} for weights {weights}, means {means}, sds {sds}, s = {s}"
        cases[what] = (energy, x, s, cut)
    agree(answer, _settled, cases, _MASS, 5e-3)
    return (
        "Nothing near these steps diverges, and in the second case the narrow hump has lost three"
        " tenths of its weight. How small a step must be, the narrowest hump that matters decides."
    )


@check
def schedule_for_three(answer: object) -> str:
    """Check answer(k), step sizes k = 0 … 14 that take U(14, 15) to N(5, 3²).

    Mean and variance by the recursion of section 3.2; the start's distance from 5, 9.5 on average,
    is multiplied by A. Asked for: mean within 0.1 and standard deviation within 5 %. The variance
    can't come out too small: v − σ² becomes (1 − a)² (v − σ²) + σ² a².
    """
    steps = [as_tensor(call(answer, k), ()).item() for k in range(15)]
    for k, s in reversed(list(enumerate(steps))):
        if not 0 < s < 1e6:
            raise Wrong(f"A step size must be positive and finite; at k = {k} yours is {s:.4g}.")
        if as_tensor(call(answer, k), ()).item() != s:
            raise Wrong(f"Asked again for k = {k}, it is another step: let it depend on k only.")
    *_, (mean, variance) = exact.gaussian_moments(14.5, 1 / 12, 5.0, 3.0, steps)
    A, sd = (mean - 5) / 9.5, math.sqrt(variance)
    if abs(A) > 1 or sd > 100:
        raise Wrong(
            f"The chain blows up: the start's distance is multiplied by {A:.3g}, and the standard"
            f" deviation is {sd:.3g}. Steps must stay below 2σ² = 18 (section 3.3)."
        )
    if abs(mean - 5) > 0.1:
        why = "The steps are too small for σ = 3 (section 3.4)."
        if max(steps) > 13.5:
            why = "Steps of more than σ² throw the particles to the other side (section 3.3)."
        raise Wrong(
            f"The start is not forgotten: {abs(A):.3f} of it is left after 15 steps, and the mean"
            f" is {mean:.3f} in place of 5. {why}"
        )
    if not abs(sd / 3 - 1) <= 0.05:
        own = 3 / math.sqrt(1 - steps[-1] / 18) if steps[-1] < 18 else math.inf
        why = (
            "the last steps are so large that their bias remains (section 3.3)."
            if own / 3 > 1.05
            else f"steps of the last size would settle at {own:.3f}, but larger ones before them"
            " have widened the cloud, and the small ones are too small to narrow it in time."
        )
        raise Wrong(f"The start is forgotten, but the standard deviation is {sd:.3f}, not 3: {why}")
    return (
        "Large steps first, to forget; small ones last, for the bias. What is large is measured"
        " in units of σ², which one has to know: hence standardised units in notebook 4."
    )
