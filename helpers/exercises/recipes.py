"""The checks of notebook 6: what training fits."""

import math
from functools import partial

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
    seeded,
)


@check
def noise_for(answer: object) -> str:
    """Check answer(step, T), the noise's standard deviation for a step at temperature T."""
    for step, T in [(0.1, 1.0), (10.0, 1e-4)]:
        right = math.sqrt(2 * step * T)
        found = as_tensor(call(answer, step, T), ())
        mistakes = {
            "This is the noise's variance. Its standard deviation is the root (section 6.5).": (
                2 * step * T
            ),
            "The factor 2 is missing: T = noise²/(2 · step).": math.sqrt(step * T),
            "Multiply by 2 · step, don't divide: at a fixed T a longer step needs more noise.": (
                math.sqrt(T / (2 * step))
            ),
        }
        if T != 1:
            mistakes |= {
                "The temperature is missing: this is the noise of T = 1.": math.sqrt(2 * step),
                "T belongs under the root: noise² is proportional to T, not noise.": (
                    math.sqrt(2 * step) * T
                ),
            }
        expect(f"The noise for a step of {step} at T = {T}", found, right, mistakes)
    return "With it you can give any published code the temperature at which you mean to read it."


@check
def resting_theta(answer: object) -> str:
    """Check answer(s, v), θ of f = θ(x − m)²/2 where plain persistent chains rest on variance v.

    No such θ, no number: for s > v/2 the answer must be nan.
    """
    for s, v in [(0.3, 1.0), (0.5, 4.0)]:
        root = math.sqrt(1 - 2 * s / v)
        right = (1 - root) / s
        found = as_tensor(call(answer, s, v), ())
        mistakes = {
            "This is 1/v, where an exact kernel rests. The plain step is too noisy, so the energy"
            " must be steeper (section 6.3).": 1 / v,
            "The bias has the wrong sign: (1 − s/2v)/v is the precision of a chain that is run on"
            " the right energy. Here the *chain* has the variance v, and the energy gives way.": (
                (1 - s / (2 * v)) / v
            ),
            "This is the variance 1/θ; the question asks for θ.": 1 / right,
            "This is a = sθ; divide by s.": 1 - root,
            "This is the other root, a > 1. There a step throws each particle to the other side,"
            " and a steeper energy makes the chain *wider*, so training runs away from it.": (
                (1 + root) / s
            ),
        }
        expect(f"θ for s = {s}, v = {v}", found, right, mistakes)
    if not as_tensor(call(answer, 0.6, 1.0), ()).isnan():
        raise Wrong(
            "Where it exists it is right. But at s = 0.6, v = 1 one step alone adds the variance"
            " 2s = 1.2: no energy holds the chains at 1. Return math.nan there."
        )
    return (
        "CD ends there, too, whatever k. And s = v/2 is a bound that no training can push: compare"
        " 2s with the variance of your narrowest mode."
    )


@check
def denoising_loss(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, real, tau, generator), the mean of |τ ∇ₓf(x + τε) − ε|²/2.

    For f = θx²/2 and x ~ N(0, v), u = τ∇ₓf − ε and w = ∂u/∂θ = τ(x + τε) are Gaussian. So u²/2
    has the standard error Var u/√(2n), and its derivative uw √((Var u Var w + Cov²)/n).
    """
    n, v = 40_000, 2.25
    generator = seeded(seed)
    real = densities.draw(densities.gaussian(0.0, math.sqrt(v)), n, generator=generator)
    for theta, tau in [(0.6, 0.5), (0.3, 2.0)]:
        parameter = torch.tensor(theta, dtype=torch.float64, requires_grad=True)

        def energy(x: Tensor, parameter: Tensor = parameter) -> Tensor:
            return parameter * (x**2).sum(-1) / 2

        value = call(answer, energy, real.clone(), tau, generator)
        found = as_tensor(value, ())
        clean, noise = tau**2 * theta**2 * v, tau**2 * theta
        right = clean + (noise - 1) ** 2  # twice the loss: the variance of u
        mistakes = {
            "The sign of ε is turned: ∇ₓf points *up* the energy, away from the data, as the noise"
            " does.": (clean + (noise + 1) ** 2) / 2,
            "The gradient is taken at the clean x. It must be taken at x + τε, where the noise has"
            " carried the point.": (clean + 1) / 2,
            "The factor τ before the gradient is missing.": (
                (theta**2 * v + (tau * theta - 1) ** 2) / 2
            ),
            "The half is missing. (It moves no minimum; the check wants it all the same.)": right,
            "It looks as if the noise was not multiplied by τ before it was added.": (
                (tau**2 * theta**2 * v + (tau * theta - 1) ** 2) / 2
            ),
        }
        what = f"The loss for θ = {theta}, τ = {tau}, v = {v}"
        expect(what, found, right / 2, mistakes, Z * right / math.sqrt(2 * n))
        slope = None
        if getattr(value, "requires_grad", False):
            back = partial(torch.autograd.grad, allow_unused=True)
            (slope,) = call(back, value, parameter)
        covariance = tau**2 * theta * v + (tau**2 * theta - 1) * tau**2
        error = math.sqrt((right * tau**2 * (v + tau**2) + covariance**2) / n)
        if slope is None or not abs(slope.item() - covariance) <= Z * error:
            raise Wrong(
                "The value is right, but it can't be trained: the gradient does not reach θ whole."
                " Give torch.autograd.grad the option create_graph=True, and detach nothing."
            )
    return (
        "No negatives, no chains, no Z. What it fits is the law of the *noisy* data: choose τ small"
        " against the narrowest structure that matters."
    )
