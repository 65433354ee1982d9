"""The checks of notebook 5: samples."""

import math
from collections.abc import Callable

import torch
from scipy.stats import gamma, wasserstein_distance
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    Wrong,
    as_tensor,
    call,
    check,
    expect,
    named,
    seeded,
    untouched,
)


@check
def w1_sorted(answer: object) -> str:
    """Check answer(a, b), the W₁ of two sets of n numbers (n,); scipy is the referee."""
    g = seeded(0)
    a, c = (torch.randn(200, generator=g, dtype=torch.float64) for _ in range(2))
    for b, what in [(c + 0.1, "two clouds about one place"), (2 - 3 * c, "a wider one")]:
        given = a.clone(), b.clone()
        found = as_tensor(call(answer, *given), ())
        if not (torch.equal(given[0], a) and torch.equal(given[1], b)):
            raise Wrong("The samples are sorted in place: the caller's are now in another order.")
        gap = a.sort().values - b.sort().values
        mistakes = {
            "The samples are paired as they came. Sort both first: in one dimension the cheapest"
            " plan keeps the order (section 1.5).": (a - b).abs().mean(),
            "This is the sum of the distances. W₁ is their average.": gap.abs().sum(),
            "The absolute value is missing, or comes too late: this is the distance of the means."
            " Take it of each pair, then average.": gap.mean().abs() * found.sign(),
            "This is W₂, the root of the mean square. W₁ averages the distances themselves.": (
                gap.square().mean().sqrt()
            ),
        }
        expect(f"W₁ of {what}", found, wasserstein_distance(a, b), mistakes)
    return (
        "Two lines, no density, no bins. Beside its floor it is the plainest judge of a sampler"
        " in one dimension; in more dimensions there is no order to keep, and it gets hard."
    )


@check
def steps_enough(answer: object) -> str:
    """Check answer(s, w): the first k at which W₁ of the law of X_k to N(5, 1) is at most w.

    Langevin steps of size s from U(0, 10), judged by the exact law; None if no number of steps is
    enough. At the steps asked for, W₁ is more than 2 % off w, before and after.
    """
    x = exact.grid(-5, 15, 401)
    target = densities.gaussian(5.0, 1.0)
    log_p, start = target.log_prob(x), exact.uniform_law(0, 10, x)
    for s, w in [(0.1, 0.05), (0.2, 0.05), (0.4, 0.05)]:
        laws = exact.law(start, densities.energy_of(target), x, 60, s)
        enough = (exact.w1_of_laws(laws, log_p, x) <= w).nonzero().flatten().tolist()
        found = call(answer, s, w)
        if not enough:
            if found is None or not as_tensor(found, ()).isfinite():
                continue
            raise Wrong(
                f"At s = {s} no number of steps is enough for W₁ ≤ {w}: the bias of the step is"
                " larger (section 3.3), and more steps do not lower it. Return None."
            )
        if found is None:
            raise Wrong(f"At s = {s} some number of steps is enough for W₁ ≤ {w}; found None.")
        value = as_tensor(found, ()).item()
        if abs(value - enough[0]) == 1:
            raise Wrong("Off by one: the first of the laws is the start; law k has made k steps.")
        if value != enough[0]:
            raise Wrong(f"Steps for W₁ ≤ {w} at s = {s}: {enough[0]} expected, found {value:g}.")
    return (
        "A larger step gets there sooner, until its bias is larger than what was asked for: then"
        " it never does. The law knows; the particles alone could not tell it from chance."
    )


GAMMA_KL = 4.0
"""Millinats allowed: the recipe has 1.4 to 2.2 over seeds, a KDE 4.8 and more, a Gaussian 121."""

GAMMA_W1 = 0.15
"""W₁ allowed to 5 000 draws: 6 standard errors of their mean; perfect ones have about 0.03."""


@check
def new_density(answer: object, *, seed: int = 0) -> str:
    """Check answer(samples), which returns an energy and 5 000 draws, from 10 000 of Gamma(3, 1).

    The energy is judged by KL on a grid, the draws by W₁; see ``GAMMA_KL`` and ``GAMMA_W1``.
    """
    g = seeded(seed)
    samples = -torch.rand(10_000, 3, generator=g, dtype=torch.float64).log().sum(1, keepdim=True)
    x = exact.grid(-20, 60, 8001)
    log_p = torch.from_numpy(gamma(3).logpdf(x.numpy()))
    pair = call(answer, samples.clone())
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and callable(pair[0])):
        raise Wrong(
            "Return two things, first the energy, a function, then the draws; what came back is"
            f" {named(pair)}."
        )
    energy, draws = pair
    loss = _loss(energy, log_p, x)
    if loss > GAMMA_KL and _loss(lambda x: -energy(x), log_p, x) <= GAMMA_KL:
        raise Wrong("This is the log-density. The energy is its negative: f = −log p.")
    if abs(loss - 120.7) < 6:
        raise Wrong(
            f"KL is {loss:.1f} millinats, what a Gaussian fit has: it looks as if the energy"
            " were a parabola, which knows no skewness. Fit the network (section 5.1)."
        )
    if not loss <= GAMMA_KL:
        raise Wrong(f"KL to the density: at most {GAMMA_KL} millinats expected, found {loss:.1f}.")
    draws = as_tensor(draws, (5000, 1))
    if torch.isin(draws, samples).all():
        raise Wrong("The draws are samples that you were given. Draw new ones (section 5.4).")
    distances = [exact.w1(y, log_p, x) for y in (draws, samples.mean() + samples.std() * draws)]
    if distances[0] > GAMMA_W1 >= distances[1]:
        raise Wrong("The draws are in standardised units: multiply by the sd, add the mean.")
    if not distances[0] <= GAMMA_W1:
        raise Wrong(
            f"The energy is right. W₁ of its draws: at most {GAMMA_W1} expected, found"
            f" {distances[0]:.3f}. Have they forgotten their start (section 5.3)?"
        )
    return (
        "From a column of numbers to a density and new draws of it, with nothing set by hand; and"
        " closer than a kernel density estimate gets with the same samples."
    )


def _loss(energy: Callable, log_p: Tensor, x: Tensor) -> float:
    """Return KL in millinats of the energy's density from log_p; ∞ where it has no density."""

    def as_energy(points: Tensor) -> Tensor:
        return as_tensor(call(energy, points), x.shape)

    try:
        return 1000 * exact.kl(log_p, exact.log_density(as_energy, x), x)
    except ValueError:  # the referee refuses an energy whose e^(−f) does not vanish at the ends
        return math.inf


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
        given = [value.clone() for value in arguments[:3]]
        found = as_tensor(call(answer, *given, *arguments[3:]), (len(given[2]),))
        for now, before in zip(given, arguments[:3], strict=True):
            untouched(now, before)
        values = {message: mutant(*arguments) for message, mutant in LAW_MISTAKES.items()}
        values = {message: value for message, value in values.items() if value.isfinite().all()}
        right = _stepped()(*arguments) if right is None else right
        expect(f"The law after one step, {name}", found, right, values)
    return (
        "One integral a step, and no randomness: what infinitely many particles would do. In one"
        " dimension that is a product with a matrix; in ten no grid would hold it."
    )
