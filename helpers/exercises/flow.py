"""The checks of notebook 5: samples."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    Wrong,
    agree,
    as_tensor,
    call,
    check,
    named,
    seeded,
)


def _gap(a: Tensor, b: Tensor) -> Tensor:
    """Return the way of each grain of b: to a sorted, of which each weighs as two of b."""
    return a.sort().values.repeat_interleave(2) - b.sort().values


_W1 = [
    (
        "The samples are paired as they came. Sort both first: in one dimension the cheapest plan"
        " keeps the order (section 1.5).",
        lambda a, b: (a.repeat_interleave(2) - b).abs().mean(),
    ),
    (
        "The samples are paired as they came. Sort both first: in one dimension the cheapest plan"
        " keeps the order (section 1.5).",
        lambda a, b: (a.repeat(2) - b).abs().mean(),
    ),
    (
        "The values of a are strung together twice, or b is cut into a lower and an upper half, so"
        " the order is lost: each value of a must be doubled where it stands,"
        " repeat_interleave(2).",
        lambda a, b: (a.sort().values.repeat(2) - b.sort().values).abs().mean(),
    ),
    (
        "Half of b is left out. Every grain of a weighs as much as two of b: give it two of them.",
        lambda a, b: (a.sort().values - b.sort().values[::2]).abs().mean(),
    ),
    (
        "Half of b is left out. Every grain of a weighs as much as two of b: give it two of them.",
        lambda a, b: (a.sort().values - b.sort().values[1::2]).abs().mean(),
    ),
    (
        "Half of b is left out. Every grain of a weighs as much as two of b: give it two of them.",
        lambda a, b: (a.sort().values - b[: len(a)].sort().values).abs().mean(),
    ),
    (
        "Half of b is left out. Every grain of a weighs as much as two of b: give it two of them.",
        lambda a, b: (a.sort().values - b.sort().values[: len(a)]).abs().mean(),
    ),
    (
        "Pairs of b are averaged before they are carried: a grain that goes left and one that goes"
        " right then cancel. Each goes its own way.",
        lambda a, b: _gap(a, b).reshape(-1, 2).mean(1).abs().mean(),
    ),
    ("This is the sum of the distances. W₁ is their average.", lambda a, b: _gap(a, b).abs().sum()),
    (
        "It is twice too large: there are 2n distances to average, not n.",
        lambda a, b: 2 * _gap(a, b).abs().mean(),
    ),
    (
        "The absolute value is missing, or comes too late: this is the distance of the means."
        " Take it of each pair, then average.",
        lambda a, b: _gap(a, b).mean(),
    ),
    (
        "The absolute value is missing, or comes too late: this is the distance of the means."
        " Take it of each pair, then average.",
        lambda a, b: _gap(a, b).mean().abs(),
    ),
    (
        "The absolute value is missing, or comes too late: this is the distance of the means."
        " Take it of each pair, then average.",
        lambda a, b: -_gap(a, b).mean(),
    ),
    (
        "This is W₂, the root of the mean square. W₁ averages the distances themselves.",
        lambda a, b: _gap(a, b).square().mean().sqrt(),
    ),
    (
        "This is the mean square, W₂². W₁ averages the distances themselves.",
        lambda a, b: _gap(a, b).square().mean(),
    ),
    ("This is the largest distance; W₁ is their average.", lambda a, b: _gap(a, b).abs().max()),
]


@check(mistakes=_W1)
def w1_sorted(answer: object) -> str:
    """Check answer(a, b), the W₁ of n numbers and 2n numbers; scipy is the referee."""
    g = seeded(0)
    a = torch.tensor([5.0, 0.1, 1.2], dtype=torch.float64)
    b = torch.tensor([6.5, -0.7, 4.1, 0.6, 2.3, 0.9], dtype=torch.float64)
    cases = {"W₁ of (5, 0.1, 1.2) and (6.5, −0.7, 4.1, 0.6, 2.3, 0.9)": (a, b)}
    for n, scale, shift in [(150, 1.1, 0.1), (200, -3.0, 2.0), (1, 0.5, 2.0), (30, 1e3, -2e3)]:
        a = torch.randn(n, generator=g, dtype=torch.float64).exp()
        b = scale * torch.randn(2 * n, generator=g, dtype=torch.float64) + shift
        cases[f"W₁ of {n} and {2 * n} numbers"] = (a, b)
    a, b = (1e-3 * torch.randint(-4, 5, (n,), generator=g).double() for n in (40, 80))
    cases["W₁ of 40 and 80 numbers, many of them equal"] = (a, b)
    agree(answer, wasserstein_distance, cases, _W1)
    return (
        "Two lines, no density, no bins. Beside its floor it is the plainest judge of a sampler"
        " in one dimension; in more dimensions there is no order to keep, and it gets hard."
    )


@lru_cache
def _distances(s: float, start: str) -> Tensor:
    """Return W₁ to N(5, 1) of the laws of X_0, …, X_250, from U(0, 10) or its Gaussian."""
    target = densities.gaussian(5.0, 1.0)
    x = exact.grid(-9, 19, 561)
    p0 = exact.uniform_law(0, 10, x)
    if start == "normal":
        p0 = densities.gaussian(5.0, 10 / math.sqrt(12)).log_prob(x)
        p0 = p0 - exact.integrate(p0.exp(), x).log()
    laws = exact.law(p0, densities.energy_of(target), x, 250, s)
    return exact.w1_of_laws(laws, target.log_prob(x), x)


def _enough(
    s: float, w: float, start: str = "uniform", steps: int = 250, first: int = 0, shift: int = 0
) -> int | None:
    """Return the first k with W₁ of the law of X_k to N(5, 1) at most w; or a mistake."""
    near = (_distances(s, start)[first : steps + 1] <= w).nonzero()
    return first + near[0].item() + shift if len(near) else None


_ENOUGH = [
    (
        "Off by one: the first of the laws is the start; law k has made k steps.",
        lambda s, w: _enough(s, w, shift=1),
    ),
    (
        "Off by one: the first of the laws is the start; law k has made k steps.",
        lambda s, w: _enough(s, w, shift=-1),
    ),
    (
        "Off by one: the first of the laws is the start; law k has made k steps.",
        lambda s, w: None if _enough(s, w) is None else _enough(s, w, first=1) - 1,
    ),
    (
        "With 0 steps it is the start itself that is judged, and it may be near enough.",
        lambda s, w: _enough(s, w, first=1),
    ),
    (
        "It looks as if the start were a Gaussian with the mean and sd of U(0, 10). Its law is"
        " flat: exact.uniform_law.",
        lambda s, w: _enough(s, w, "normal"),
    ),
    *(
        (
            "None comes from another quantity's bias: it is W₁ that must be compared with w, which"
            " for N(5, 1/(1 − s/2)) is √(2/π) times the bias of the standard deviation.",
            lambda s, w, bias=bias: None if bias(s) >= w else _enough(s, w),
        )
        for bias in (lambda s: (1 - s / 2) ** -0.5 - 1, lambda s: s / (2 - s), lambda s: s / 4)
    ),
    *(
        (
            "A run of so many steps has not reached w, and more steps would: the bias of the"
            " step, not the end of a run, says when to return None (section 3.3).",
            lambda s, w, steps=steps: _enough(s, w, steps=steps),
        )
        for steps in (20, 30, 40, 50, 60, 80, 100, 120, 150)
    ),
]


@check(mistakes=_ENOUGH)
def steps_enough(answer: object) -> str:
    """Check answer(s, w): the first k at which W₁ of the law of X_k to N(5, 1) is at most w.

    Langevin steps of size s from U(0, 10), judged by the exact law; None if no number of steps is
    enough. At the steps asked for, W₁ is more than 0.7 % off w, before and after.
    """
    cases = [(0.3, 2.0), (0.1, 0.05), (0.15, 1.0), (0.4, 0.05), (0.2, 0.04), (0.04, 0.0197)]
    cases += [(0.4, 0.105), (0.4, 0.097), (1.0, 0.4), (1.0, 0.32), (0.02, 0.0075), (0.7, 50.0)]
    cases += [(0.15, 0.044)]
    right = [_enough(s, w) for s, w in cases]
    found = [call(answer, s, w) for s, w in cases]
    for (s, w), value in zip(cases, found, strict=True):
        if value is not None and not as_tensor(value, ()).isfinite():
            raise Wrong(f"At s = {s}, w = {w}: return a number of steps, or None; not {value}.")
    found = [value if value is None else as_tensor(value, ()).item() for value in found]
    if found != right:
        for message, mutant in _ENOUGH:
            if found == [mutant(s, w) for s, w in cases]:
                raise Wrong(message)
    for (s, w), value, k in zip(cases, found, right, strict=True):
        if k is None and value is not None:
            raise Wrong(
                f"At s = {s} no number of steps is enough for W₁ ≤ {w}: the bias of the step is"
                " larger (section 3.3), and more steps do not lower it. Return None."
            )
        if k is not None and value is None:
            raise Wrong(f"At s = {s} some number of steps is enough for W₁ ≤ {w}; found None.")
        if value != k:
            raise Wrong(f"Steps for W₁ ≤ {w} at s = {s}: expected {k}, found {value:g}.")
    return (
        "A larger step gets there sooner, until its bias is larger than what was asked for: then"
        " it never does. The law knows; the particles alone could not tell it from chance."
    )


NEW_KL = 3.0
"""Millinats allowed: the recipe on log x has 0.6 to 1.3, a KDE on log x 3.4 to 5.8."""

NEW_W1 = 0.15
"""W₁ allowed to 5 000 draws: 5 standard errors of their mean; perfect ones have about 0.03."""


@check(limit=600)
def new_density(answer: object, *, seed: int = 0) -> str:
    """Check answer(samples), which returns an energy and 5 000 draws, from 10 000 positive numbers.

    Their logarithm u has two humps. KL is computed on a grid of u, on which p(x) dx is
    p(e^u) e^u du; the draws are judged by W₁. See ``NEW_KL`` and ``NEW_W1``.
    """
    u = exact.grid(-9, 7, 3201)
    humps = densities.mixture([0.6, 0.4], [0.2, 1.6], [0.45, 0.25])
    samples = densities.draw(humps, 10_000, generator=seeded(seed)).exp()
    pair = call(answer, samples.clone())
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and callable(pair[0])):
        raise Wrong(
            "Return two things, first the energy, a function, then the draws; what came back is"
            f" {named(pair)}."
        )
    log_p = humps.log_prob(u)
    _judge_energy(pair[0], log_p, u)
    _judge_draws(as_tensor(pair[1], (5000, 1)), samples, log_p, u)
    return (
        "From a column of numbers to a density that knows where it must be 0, and new draws of it;"
        " and closer than a kernel density estimate gets with the same samples."
    )


def _judge_energy(energy: Callable, log_p: Tensor, u: Tensor) -> None:
    """Raise Wrong unless e^(−f) has no mass at x ≤ 0, and its KL is small."""
    as_tensor(call(energy, u[:8].exp().unsqueeze(1)), (8,))
    f = as_tensor(call(energy, u.exp().unsqueeze(1)), tuple(u.shape))
    if f.isnan().any() or (f == -math.inf).any():
        raise Wrong("Somewhere between 0.0001 and 1000 the energy is nan or −inf.")

    def loss(f: Tensor) -> float:
        """Return KL in millinats of the density of u that e^(−f) has; x = e^u, dx = x du."""
        log_q = u - f
        if not log_q.isfinite().any():
            return math.inf
        log_q = log_q - log_q.logsumexp(0) - (u[1] - u[0]).log()
        return 1000 * exact.integrate(log_p.exp() * (log_p - log_q), u).item()

    kl = loss(f)
    of_u = as_tensor(call(energy, u.unsqueeze(1)), tuple(u.shape)) if kl > NEW_KL else f
    for message, other in [
        ("This is the log-density. The energy is its negative: f = −log p.", -f),
        (
            "This is the density of log x, at log x. That of x has the factor |du/dx| = 1/x, so"
            " the energy gains log x.",
            f + u,
        ),
        ("The sign of log x is turned: the density of x is that of log x times 1/x.", f + 2 * u),
        ("This is the energy of log x. Asked for is that of x itself.", of_u + u),
    ]:
        if kl > NEW_KL >= loss(other):
            raise Wrong(message)
    if not kl <= NEW_KL:
        raise Wrong(f"KL to the density: at most {NEW_KL} millinats expected, found {kl:.1f}.")
    below = torch.tensor([0.0, -1e-3, -0.5, -3.0, -40.0], dtype=torch.float64).unsqueeze(1)
    try:
        outside = as_tensor(call(energy, below), (5,))
    except Wrong as wrong:
        raise Wrong(f"For x > 0 the energy is right. For x ≤ 0: {wrong}") from None
    if not (outside == math.inf).all():
        raise Wrong(
            "For x > 0 the energy is right. No number can be 0 or below, so there it must be"
            f" torch.inf; at x = 0 it is {outside[0]:.4g}, at −0.5 {outside[2]:.4g}."
        )


def _judge_draws(draws: Tensor, samples: Tensor, log_p: Tensor, u: Tensor) -> None:
    """Raise Wrong unless the draws are new and near the density; log_p is that of u = log x."""
    if not draws.isfinite().all():
        raise Wrong("The energy is right. Among its draws is a nan or inf.")
    given, at = samples.ravel().sort().values, draws.ravel().contiguous()
    nearest = torch.searchsorted(given, at).clamp(1, len(given) - 1)
    gaps = torch.minimum((at - given[nearest - 1]).abs(), (at - given[nearest]).abs())
    copies, fresh = int((gaps < 1e-6 * at.abs()).sum()), len(at.unique())
    if copies > 250:  # of new draws about 50 are so near a sample
        raise Wrong(
            f"{copies} of the draws are samples that you were given. Draw new ones from the energy"
            " (section 5.5)."
        )
    if fresh < 4900:
        raise Wrong(f"Only {fresh} of the 5 000 draws are different numbers. Draw as many.")
    at = (np.arange(len(draws)) + 0.5) / len(draws)
    ideal = np.exp(np.interp(at, exact.cdf(log_p, u).numpy(), u.numpy()))

    def distance(draws: Tensor) -> float:
        return np.abs(np.sort(draws.numpy().ravel()) - ideal).mean().item()

    w1 = distance(draws)
    if w1 > NEW_W1 >= distance(draws.exp()):
        raise Wrong("The energy is right. Its draws are of log x: take exp of them.")
    if w1 > NEW_W1 >= distance(samples.mean() + samples.std() * draws):
        raise Wrong("The draws are in standardised units: multiply by the sd, add the mean.")
    if not w1 <= NEW_W1:
        raise Wrong(
            f"The energy is right. W₁ of its draws: at most {NEW_W1} expected, found"
            f" {w1:.3f}. Have they forgotten their start (section 5.3)?"
        )
