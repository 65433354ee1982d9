"""The checks of notebook 6: what training fits."""

import math
from functools import partial

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    Z,
    agree,
    as_tensor,
    at_particles,
    call,
    check,
    drawn,
    expect,
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
    pairs = [(0.13, 0.7), (10.0, 1.3e-4), (0.6, 5.0)]
    cases = {f"The noise for a step of {step} at T = {T}": (step, T) for step, T in pairs}
    agree(answer, lambda step, T: math.sqrt(2 * step * T), cases, _NOISE)
    return "With it you can give any published code the temperature at which you mean to read it."


def _resting(step: float, noise: float, v: float, sign: int = -1) -> float:
    """Return θ = a/step of the root a of v = (1 − a)² v + noise², the smaller one by default."""
    return (1 + sign * math.sqrt(1 - noise**2 / v)) / step if noise**2 <= v else math.nan


_RESTING = [
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
]


@check(mistakes=_RESTING)
def resting_theta(answer: object) -> str:
    """Check answer(step, noise, v), θ where chains X − step · θ(X − m) + noise · N rest on v.

    No such θ, no number: for noise² > v the answer must be nan.
    """
    triples = [(0.3, 0.6, 0.9), (0.7, 1.1, 4.1), (2.0, 0.2, 0.5), (0.4, 1.3, 1.5)]
    cases = {f"θ for step = {a}, noise = {b}, v = {v}": (a, b, v) for a, b, v in triples}
    agree(answer, _resting, cases, _RESTING)
    return (
        "CD ends there, too, whatever k. And noise² = v is a bound that no training can push:"
        " compare noise² with the variance of your narrowest mode."
    )


@check
def denoising_loss(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, real, tau, generator), the mean of |τ ∇ₓf(x + τε) − ε|²/2.

    The energy notes the points at which it is asked; their distances from the data are τε, and so
    loss and slope are known exactly. If it is asked elsewhere or more than once a particle, they
    are known within ``Z`` standard errors.
    """
    generator = seeded(seed)
    rows = 2 - torch.rand(4000, 1, generator=generator, dtype=torch.float64).log()
    for n, theta, tau in [(8, 0.6, 0.7), (4000, 0.9, 0.6), (4000, 0.3, 1.9)]:
        parameter = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        asked, real, before = [], rows[:n], generator.get_state()

        def energy(x: Tensor, parameter: Tensor = parameter, asked: list = asked) -> Tensor:
            asked.append(torch.as_tensor(x).detach().reshape(-1, 1))
            return parameter * ((x - 2.5) ** 2).sum(-1) / 2

        value = call(answer, at_particles(energy), real.clone(), tau, generator)
        found = as_tensor(value, ())
        if n == 8:
            continue
        slope = torch.tensor(math.nan)
        if getattr(value, "requires_grad", False):
            back = partial(torch.autograd.grad, allow_unused=True)
            (slope,) = call(back, value.sum(), parameter)
        epsilon = _noise_added(asked, real, tau)
        _judge_denoising(found, slope, real - 2.5, theta, tau, epsilon)
        drawn(generator, before)
    return (
        "No negatives, no chains, no Z. What it fits is the law of the *noisy* data: choose τ small"
        " against the narrowest structure that matters."
    )


def _noise_added(asked: list[Tensor], real: Tensor, tau: float) -> Tensor | None:
    """Return ε if the energy was asked at each x + τε once; raise Wrong if ε is not N(0, 1)."""
    n = len(real)
    try:
        moved = torch.cat(asked).double() - real
    except (RuntimeError, ValueError):  # never asked, or elsewhere, or inside vmap
        return None
    if moved.abs().max() < 1e-9:
        raise Wrong(
            "The gradient is taken at the clean x. It must be taken at x + τε, where the noise has"
            " carried the point."
        )
    sd, right = moved.std().item(), Z / math.sqrt(2 * n)
    for factor, said in [(1.0, "was not multiplied by τ"), (tau**2, "was multiplied by τ²")]:
        if abs(sd / factor - 1) < right < abs(sd / tau - 1):
            raise Wrong(f"It looks as if the noise {said} before it was added to x.")
    if abs(sd / tau - 1) > right:
        raise Wrong(f"The noise that is added to x: expected an sd of τ = {tau}, found {sd:.3f}.")
    shape = moved.abs().mean().item() / moved.square().mean().sqrt().item()
    if abs(shape - math.sqrt(2 / math.pi)) > Z * math.sqrt((1 - 3 / math.pi) / n):
        raise Wrong("The noise has the right variance and is not normal: draw it by torch.randn.")
    return moved / tau


def _judge_denoising(
    found: Tensor, slope: Tensor | None, x: Tensor, theta: float, tau: float, noise: Tensor | None
) -> None:
    """Raise Wrong unless loss and slope in θ are those of f = θx²/2 at the data x (n, 1).

    u = τ∇ₓf − ε = c + dε with c = τθx, d = τ²θ − 1, and w = ∂u/∂θ = g + hε, g = τx, h = τ². So u²/2
    has the mean (c² + d²)/2 and the variance c²d² + d⁴/2; uw has cg + dh and (ch + dg)² + 2d²h².
    """
    c, d, g, h, n = tau * theta * x, tau**2 * theta - 1, tau * x, tau**2, len(x)
    mistakes: dict[str, Tensor | float] = {}
    if noise is None:
        right, rise = ((c**2).mean() + d**2) / 2, (c * g).mean() + d * h
        error = Z * (((c * d) ** 2 + d**4 / 2).mean() / n).sqrt()
        slack = Z * (((c * h + d * g) ** 2 + 2 * (d * h) ** 2).mean() / n).sqrt()
    else:
        up, u = c + (d + 1) * noise, c + d * noise
        right, rise, slack = u.square().mean() / 2, (u * (g + h * noise)).mean(), 1e-3
        error = 1e-3 * right
        mistakes = {
            "The sign of ε is turned: ∇ₓf points *up* the energy, away from the data, as the noise"
            " does.": (up + noise).square().mean() / 2,
            "The factor τ before the gradient is missing.": (up / tau - noise).square().mean() / 2,
            "The half is missing. (It moves no minimum; the check wants it all the same.)": (
                2 * right
            ),
            "ε is missing from the square: this is only τ∇ₓf at the noisy points.": (
                up.square().mean() / 2
            ),
            "In the square ε stands multiplied by τ: it is τ∇ₓf − ε.": (
                (up - tau * noise).square().mean() / 2
            ),
            "This is the sum over the batch; the mean was asked for.": n * right,
            "The loss is divided by τ²: here τ multiplies the gradient, and ε stands as it is.": (
                right / tau**2
            ),
            "The gradient is too small by the number of points: that of the mean energy. Take that"
            " of the sum.": (up / n - noise).square().mean() / 2,
            "The square is missing, or comes after the mean.": u.mean().square() / 2,
        }
        other, far = (up.square().mean() + 1) / 2, ((up.square() + 0.5).mean() / n).sqrt()
        if abs(found - other) <= Z * far and not any(near(found, v) for v in mistakes.values()):
            mistakes = {
                "The noise in the square is another draw than the one that was added to x.": found
            }
    expect(f"The loss for θ = {theta}, τ = {tau} and {n} data", found, right, mistakes, error)
    if slope is None or not abs(slope.item() - rise) <= slack:
        raise Wrong(
            "The value is right, but it can't be trained: the gradient does not reach θ whole."
            " Give torch.autograd.grad the option create_graph=True, and detach nothing."
        )
