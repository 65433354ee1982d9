"""The checks of notebook 6: what training fits."""

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    Z,
    agree,
    as_tensor,
    at_particles,
    blame,
    call,
    check,
    expect,
    from_generator,
    gradient_left,
    near,
    seeded,
)

_NOISE = [
    (
        "This is the noise's variance. Its standard deviation is the root (section 6.5).",
        lambda step, T: 2 * step * T,
    ),
    (
        "The factor 2 is missing: T = noise²/(2 · step).",
        lambda step, T: math.sqrt(step * T),
    ),
    (
        "Multiply by 2 · step, don't divide: at a fixed T a longer step needs more noise.",
        lambda step, T: math.sqrt(T / (2 * step)),
    ),
    (
        "The temperature is missing: this is the noise of T = 1.",
        lambda step, T: math.sqrt(2 * step),
    ),
    (
        "T belongs under the root: noise² is proportional to T, not noise.",
        lambda step, T: math.sqrt(2 * step) * T,
    ),
    (
        "The 2 belongs under the root: noise² = 2 · step · T.",
        lambda step, T: 2 * math.sqrt(step * T),
    ),
    (
        "Multiply by T, don't divide: a hotter chain needs more noise.",
        lambda step, T: math.sqrt(2 * step / T),
    ),
    (
        "The step belongs under the root as well: noise² is proportional to it.",
        lambda step, T: step * math.sqrt(2 * T),
    ),
]


@check(mistakes=_NOISE)
def noise_for(answer: object) -> str:
    """Check answer(step, T), the noise's standard deviation for a step at temperature T."""
    pairs = [(0.13, 0.7), (10.0, 1.3e-4), (0.6, 5.0), (2e-5, 3e-3), (1.0, 1.0), (40.0, 900.0)]
    cases = {f"The noise for a step of {step} at T = {T}": (step, T) for step, T in pairs}
    agree(answer, lambda step, T: math.sqrt(2 * step * T), cases, _NOISE)
    return "With it you can give any published code the temperature at which you mean to read it."


def _resting(step: float, noise: float, v: float, sign: int = -1) -> float:
    """Return θ = a/step of the root a of v = (1 − a)² v + noise², the smaller one by default."""
    return (1 + sign * math.sqrt(1 - noise**2 / v)) / step if noise**2 <= v else math.nan


_ROOTS = [
    (
        "This is 1/v, where an exact kernel at temperature 1 rests (section 6.3).",
        lambda step, noise, v: 1 / v,
    ),
    (
        "This is T/v, T = noise²/2·step, where small steps rest. The plain step is too noisy, so"
        " the energy must be steeper: solve v = (1 − a)² v + noise² with a = step · θ.",
        lambda step, noise, v: noise**2 / (2 * step * v),
    ),
    (
        "This is for the noise √(2 · step) of section 6.3. Here the noise is given: put noise² in"
        " the place of 2 · step.",
        lambda step, noise, v: _resting(step, math.sqrt(2 * step), v),
    ),
    (
        "It looks as if the noise was not squared: it is a standard deviation.",
        lambda step, noise, v: _resting(step, math.sqrt(noise), v),
    ),
    (
        "It looks as if v was squared: v is the variance itself.",
        lambda step, noise, v: _resting(step, noise, v**2),
    ),
    (
        "It looks as if the distance were multiplied by 1 − a in the variance as well; a variance"
        " gets (1 − a)².",
        lambda step, noise, v: noise**2 / v / step,
    ),
    (
        "The bias has the wrong sign: this is the precision of a chain that is run on the right"
        " energy. Here the *chain* has the variance v, and the energy gives way.",
        lambda step, noise, v: (1 - step / (2 * v)) / v,
    ),
    (
        "This is the variance 1/θ; the question asks for θ.",
        lambda step, noise, v: 1 / _resting(step, noise, v),
    ),
    (
        "This is a = step · θ; divide by the step.",
        lambda step, noise, v: step * _resting(step, noise, v),
    ),
    (
        "This is the other root, a > 1. There a step throws each particle to the other side, and a"
        " steeper energy makes the chain *wider*, so training runs away from it.",
        partial(_resting, sign=1),
    ),
    (
        "Where it exists it is right. But where noise² > v one step alone adds a variance of more"
        " than v: no energy holds the chains there. Return math.nan.",
        lambda step, noise, v: (1 - math.sqrt(max(0.0, 1 - noise**2 / v))) / step,
    ),
    (
        "Where noise² = v there is a θ: the particles jump to m, and the noise alone makes v.",
        lambda step, noise, v: _resting(step, noise, v) if noise**2 < v else math.nan,
    ),
]
_RESTING = _ROOTS + [
    (message, lambda step, noise, v, f=f: f(step, noise, v) if noise**2 <= v else math.nan)
    for message, f in _ROOTS[:-2]
]
"""Each mistake also where the answer tells rightly that there is no θ."""


@check(mistakes=_RESTING)
def resting_theta(answer: object) -> str:
    """Check answer(step, noise, v), θ where chains X − step · θ(X − m) + noise · N rest on v.

    No such θ, no number: for noise² > v the answer must be nan.
    """
    triples = [(0.3, 0.6, 0.9), (0.7, 1.1, 4.1), (2.0, 0.2, 0.5), (0.4, 1.3, 1.5), (0.5, 0.5, 0.25)]
    triples += [(0.05, 0.8, 0.9), (0.9, 0.6, 0.5), (2e-3, 30.0, 1500.0), (90.0, 0.01, 2e-3)]
    cases = {f"θ for step = {a}, noise = {b}, v = {v}": (a, b, v) for a, b, v in triples}
    agree(answer, _resting, cases, _RESTING)
    return (
        "CD ends there, too, whatever k. And noise² = v is a bound that no training can push:"
        " compare noise² with the variance of your narrowest mode."
    )


_LOSS = [
    (
        "The sign of ε is turned: ∇ₓf points *up* the energy, away from the data, as the noise"
        " does.",
        lambda up, e, tau: (up + e).square().mean() / 2,
    ),
    (
        "The factor τ before the gradient is missing.",
        lambda up, e, tau: (up / tau - e).square().mean() / 2,
    ),
    (
        "The half is missing. (It moves no minimum; the check wants it all the same.)",
        lambda up, e, tau: (up - e).square().mean(),
    ),
    (
        "The cross term is lost: (a − b)² is a² − 2ab + b².",
        lambda up, e, tau: (up.square() + e.square()).mean() / 2,
    ),
    (
        "ε is missing from the square: this is only τ∇ₓf at the noisy points.",
        lambda up, e, tau: up.square().mean() / 2,
    ),
    (
        "In the square ε stands multiplied by τ: it is τ∇ₓf − ε.",
        lambda up, e, tau: (up - tau * e).square().mean() / 2,
    ),
    (
        "This is the sum over the batch; the mean was asked for.",
        lambda up, e, tau: (up - e).square().sum() / 2,
    ),
    (
        "The loss is divided by τ²: here τ multiplies the gradient, and ε stands as it is.",
        lambda up, e, tau: ((up - e) / tau).square().mean() / 2,
    ),
    (
        "The gradient is too small by the number of points: that of the mean energy. Take that"
        " of the sum.",
        lambda up, e, tau: (up / len(e) - e).square().mean() / 2,
    ),
    (
        "The square is missing, or comes after the mean.",
        lambda up, e, tau: (up - e).mean().square() / 2,
    ),
    (
        "A row is combined with a column: every point's gradient with every point's ε, a square"
        " of n × n differences. Give both the shape (n, 1).",
        lambda up, e, tau: (up - e.T).square().mean() / 2,
    ),
]


def _hills(x: Tensor) -> Tensor:
    """Return what θ multiplies in the energy of particles (n, 1): a bowl with hills in it."""
    return ((x - 2.5) ** 2 / 2 + 0.6 * (2 * x).sin()).sum(-1)


def _slopes(x: Tensor) -> Tensor:
    """Return the slope of ``_hills``, worked out by hand."""
    return x - 2.5 + 1.2 * (2 * x).cos()


@check
def denoising_loss(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, real, tau, generator), the mean of |τ ∇ₓf(x + τε) − ε|²/2.

    The energy notes the points at which it is asked; their distances from the data are τε, and so
    loss and slope are known exactly. If it is asked elsewhere or more than once a particle, they
    are known within ``Z`` standard errors.
    """
    rows = 2 - torch.rand(4000, 1, generator=seeded(seed), dtype=torch.float64).log()
    cases = [(8, 0.6, 0.7), (4000, 0.0, 0.8), (4000, 0.9, 0.6), (4000, -0.3, 1.9)]
    every, parameters = [], []

    def loss(k: int, generator: torch.Generator) -> Tensor:
        (n, theta, tau), asked = cases[k], []
        parameter = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        before = torch.tensor(3.0, dtype=torch.float64) if k % 2 else None
        parameter.grad = before if before is None else before.clone()
        parameters.append((parameter, before))

        def energy(x: Tensor) -> Tensor:
            asked.append(torch.as_tensor(x).detach().reshape(-1, 1))
            return parameter * _hills(x)

        value = call(answer, at_particles(energy), rows[:n].clone(), tau, generator)
        slope, found = None, as_tensor(value, ())
        if getattr(value, "requires_grad", False):
            back = partial(torch.autograd.grad, allow_unused=True)
            (slope,) = call(back, value.sum(), parameter)
        every.append((found, slope, rows[:n], theta, tau, _noise_added(asked, rows[:n], tau)))
        return found

    for k in range(len(cases)):
        loss(k, seeded(seed + 10 * k + 1))
    _judge_losses(every)
    for pair in parameters:
        gradient_left(*pair)
    from_generator(partial(loss, 0), seed + 2)
    return (
        "No negatives, no chains, no Z. What it fits is the law of the *noisy* data: choose τ small"
        " against the narrowest structure that matters."
    )


def _noise_added(asked: list[Tensor], real: Tensor, tau: float) -> Tensor | None:
    """Return ε if the energy was asked at each x + τε once; raise Wrong if ε is not N(0, 1)."""
    n = len(real)
    try:
        moved = (torch.cat(asked).double() - real) / tau
        size, spread = moved.abs().mean().item(), moved.square().mean().sqrt().item()
    except (RuntimeError, ValueError):  # never asked, or elsewhere, or inside vmap
        return None
    if spread < 1e-9:
        raise Wrong(
            "The gradient is taken at the clean x. It must be taken at x + τε, where the noise has"
            " carried the point."
        )
    near_one = abs(spread - 1) < Z / math.sqrt(2 * n)
    if n > 8 and not (near_one and abs(size - 0.7979) < Z * math.sqrt((1 - 2 / math.pi) / n)):
        raise Wrong(
            f"What is added to x has the root mean square {spread:.3f} τ and the mean size"
            f" {size:.3f} τ, at τ = {tau}. For τ times normal numbers it is 1 and 0.798."
        )
    return moved


def _expected(
    x: Tensor, theta: float, tau: float, noise: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return loss and slope in θ, the errors allowed, ε and τ∇ₓf; by quadrature if ε is unknown."""
    nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(80))
    weights = torch.ones(1) if noise is not None else weights / weights.sum()
    e = nodes if noise is None else noise
    slope = tau * _slopes(x + tau * e)
    u = theta * slope - e
    each = torch.stack([u.square() / 2, u * slope]).double()
    mean = (each * weights).sum(-1)
    variance = ((each.square() * weights).sum(-1) - mean**2).mean(1)
    error = Z * (variance / len(x)).sqrt() if len(x) > 8 else torch.full((2,), math.inf)
    error = error if noise is None else 1e-3 * mean.abs().mean(1)
    return mean.mean(1), error, e, theta * slope


def _judge_losses(every: list[tuple]) -> None:
    """Raise Wrong unless all losses are right, and then their slopes; name what fits all losses."""
    known = all(one[-1] is not None for one in every)
    cases = [(found, tau, *_expected(x, t, tau, noise)) for found, _, x, t, tau, noise in every]
    for (found, tau, right, error, _, up), (_, _, _, theta, *_) in zip(cases, every, strict=True):
        if near(found, right[0], error[0]):
            continue
        named = [
            message
            for message, mutant in _LOSS * known
            if all(near(f, v := mutant(a, b, t), 1e-3 * v.abs()) for f, t, _, _, b, a in cases)
        ]
        others = [(f, (a**2 + 1) / 2, (a**2 + 0.5).mean() / len(a)) for f, *_, a in cases[1:]]
        if known and not named and all(near(f, v.mean(), Z * w.sqrt()) for f, v, w in others):
            named = ["The noise in the square is another draw than the one that was added to x."]
        blame(f"The loss for θ = {theta}, τ = {tau} and {len(up)} data", found, right[0], named)
    for (_, tau, right, error, _, _), (_, slope, _, theta, *_) in zip(cases, every, strict=True):
        if slope is None or (known and not near(slope.double(), right[1], error[1])):
            raise Wrong(
                "The value is right, but it can't be trained: the gradient does not reach θ whole."
                " Give torch.autograd.grad the option create_graph=True, and detach nothing."
            )
        what = f"∂loss/∂θ at θ = {theta}, τ = {tau}"
        expect(what, slope.double(), right[1], {}, error[1])
