"""The checks of notebook 3: Langevin Monte Carlo."""

import math

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    TOLERANCE,
    Wrong,
    Z,
    as_tensor,
    call,
    check,
    expect,
    no_graph,
    positive,
    seeded,
    untouched,
)


def _well(x: Tensor) -> Tensor:
    """Return the energy (x² − 1)²/4 of particles (n, 1), whose slope is x (x² − 1)."""
    return ((x**2 - 1) ** 2).sum(-1) / 4


@check
def langevin_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, x, s, generator), which makes one Langevin step from x (n, 1).

    Eight particles on an energy as steep as 10⁶ show the drift, with the noise lost in it; 20 000
    on a gentle one show the noise: mean 0 and variance 2s, both within ``Z`` standard errors.
    """
    s = 0.2
    _judge_drift(answer, s, seeded(seed))
    _judge_noise(answer, s, seeded(seed + 1))
    return (
        "Repeated, this step samples e^(−f) up to a bias that shrinks with s, and without Z, if the"
        " energy grows no faster than a parabola. The course's samplers are built on it."
    )


def _judge_drift(answer: object, s: float, generator: torch.Generator) -> None:
    """Raise Wrong unless eight particles go down a steep energy, whose noise is lost in it."""
    x = torch.linspace(-2, 2, 8, dtype=torch.float64).unsqueeze(1)
    given, drift = x.clone(), -s * 1e6 * x * (x**2 - 1)
    new = call(answer, lambda x: 1e6 * _well(x), given, s, generator)
    untouched(given, x)
    new = as_tensor(no_graph(new), (8, 1))
    mistakes = {
        "The sign of the drift is turned: the particles climb the energy. A step goes down,"
        " x − s ∇ₓf (section 3.1).": -drift,
        "The drift is too small by the number of particles: it is the gradient of the mean"
        " energy. Differentiate the sum, so that each particle keeps its own (section 3.1).": (
            drift / 8
        ),
        "There is no drift: the particles do not feel the energy (section 3.1).": 0 * drift,
        "The slope is not multiplied by the step size s (section 3.1).": drift / s,
    }
    slack = TOLERANCE * drift.abs().max()
    expect("Drift from x = −2, −1.429, …", new - x, drift, mistakes, slack)


def _judge_noise(answer: object, s: float, generator: torch.Generator) -> None:
    """Raise Wrong unless the noise of 20 000 particles is normal numbers with variance 2s."""
    n = 20_000
    x = torch.linspace(-2, 2, n, dtype=torch.float64).unsqueeze(1)
    first, second = (
        as_tensor(call(answer, _well, x.clone(), s, generator), (n, 1)) - x + s * x * (x**2 - 1)
        for _ in range(2)
    )
    mean, variance = first.mean().item(), first.var().item()
    if first.abs().max() < 1e-6:
        raise Wrong(
            "There is no noise: this is gradient descent, and all particles end in a minimum of"
            " the energy. Add √(2s) N (section 3.1)."
        )
    if variance < 1e-9:
        raise Wrong(
            "All particles share one draw of the noise: the cloud moves as a whole and does not"
            " spread. Draw one number for each, torch.randn(x.shape, …) (section 3.1)."
        )
    if torch.equal(first, second):
        raise Wrong(
            "Two steps in a row got the same noise: the generator is seeded afresh inside the"
            " step. Use the one that you are given."
        )
    kinds = {
        "The noise has the standard deviation √s. It must be √(2s): at √s the temperature is ½,"
        " and the cloud comes out too narrow (section 3.1).": s,
        "The noise is proportional to s. It must be √(2s), as a diffusion spreads like the root"
        " of the time; with s the temperature vanishes for small steps (section 3.1).": s**2,
        "The noise is proportional to s. It must be √(2s): the root belongs over the s as"
        " well (section 3.1).": 2 * s**2,
        "The noise has the standard deviation 2s, proportional to s: that is the variance. Take"
        " its root, √(2s) (section 3.1).": 4 * s**2,
        "The noise has the variance 1, whatever the step: multiply it by √(2s) (section 3.1).": 1,
        "The noise is uniform, from torch.rand. It must be normal: torch.randn.": 2 * s / 12,
    }
    spread = torch.tensor(variance, dtype=torch.float64)
    expect("Variance of the noise", spread, 2 * s, kinds, Z * variance * math.sqrt(2 / n))
    if abs(mean) > Z * math.sqrt(2 * s / n):
        raise Wrong(f"Mean of the noise: expected 0.000, found {mean:.3f}.")


@check
def stationary_variance(answer: object, *, s: float = 0.7, sigma: float = 1.5) -> str:
    """Check answer(s, sigma), the variance at which Langevin steps of size s on N(μ, σ²) settle.

    The closed form is σ²/(1 − s/2σ²), section 3.3; it is checked at the learner's s and sigma too.
    """
    positive(s=s, sigma=sigma)
    if s >= 2 * sigma**2:
        raise Wrong(
            f"With s = {s} and σ = {sigma} the chain never settles: s must stay below 2σ² ="
            f" {2 * sigma**2:.3f} (section 3.3). Choose a smaller step."
        )
    for step, sd in [(3.0, 2.0), (s, sigma)]:
        a = step / sd**2
        right = sd**2 / (1 - a / 2)
        mistakes = {
            "This is the variance of the target, σ². With a finite step the chain settles at a"
            " larger one (section 3.3).": sd**2,
            "This is the variance of the noise in one step, 2s. The drift pulls back part of what"
            " came before: solve v = (1 − a)² v + 2s, a = s/σ² (section 3.3).": 2 * step,
            "The sign of the bias is turned: dividing by 1 − s/2σ² makes the variance larger.": (
                sd**2 * (1 - a / 2)
            ),
            "This is the standard deviation; the variance was asked for.": math.sqrt(right),
            "It looks as if a was taken to be s. It is a = s/σ² (section 3.2).": (
                sd**2 / ((1 - step / 2) or math.nan)
            ),
            "The factor σ² is missing: this is the ratio of the variances.": right / sd**2,
        }
        found = as_tensor(call(answer, step, sd), ())
        expect(f"Variance for s = {step}, σ = {sd}", found, right, mistakes)
    return (
        f"At s = {s} and σ = {sigma} the chain's variance is {1 / (1 - s / sigma**2 / 2):.3f} times"
        " the target's. No number of steps removes that; a smaller step or accept/reject does."
    )


@check
def settled_mass(answer: object) -> str:
    """Check answer(energy, x, s, cut), the mass left of cut where steps of size s settle.

    On N(μ, σ²) that is a closed form; on two humps it comes from p P = p with sum 1, a linear
    system. Within ``_MASS``, more than half a cell at the cut.
    """
    for name, density, x, s, cut in [
        ("N(1, 1)", densities.gaussian(1.0, 1.0), exact.grid(-9, 11, 501), 0.8, 2.5),
        (
            "0.5·N(−2, 0.5²) + 0.5·N(2, 1)",
            densities.mixture([0.5, 0.5], [-2.0, 2.0], [0.5, 1.0]),
            exact.grid(-8, 10, 361),
            0.2,
            -0.6,
        ),
        (
            "0.3·N(0, 0.5²) + 0.7·N(5, 0.9²)",
            densities.mixture([0.3, 0.7], [0.0, 5.0], [0.5, 0.9]),
            exact.grid(-5, 12, 341),
            0.1,
            1.9,
        ),
    ]:
        energy = densities.energy_of(density)
        found = as_tensor(call(answer, energy, x.clone(), s, cut), ())
        kernel, left = exact.langevin_kernel(energy, x, s), x < cut
        right = _settled(kernel)[left].sum().item()
        if name == "N(1, 1)":
            wide = densities.gaussian(1.0, (1 - s / 2) ** -0.5)
            right = wide.cdf(torch.tensor(cut, dtype=torch.float64)).item()
        h, even = x[1] - x[0], torch.full_like(x, 1 / len(x))
        mistakes = {
            "This is the mass under e^(−f) itself. Accept/reject would settle there; a plain step"
            " of finite size settles elsewhere (section 3.6).": (
                (density.log_prob(x).exp() * h)[left].sum()
            ),
            "This is the mass right of the cut; the left one was asked for.": 1 - right,
            "This is too large by 1/h, h the spacing of the grid: let p sum to 1, for P moves"
            " probabilities, not densities (section 3.6).": right / h,
            "This is the share of the grid's points that lie left of the cut, which comes out if"
            " P acts on a column, P p. A law is a row: p P (section 3.2).": even[left].sum(),
        }
        for k in (1, 10, 100, 1000):
            mistakes[
                f"This is the mass after {k} steps from an even start: not settled yet. Between"
                " humps it may take many thousands (section 3.6); a power of P is soon had."
            ] = (even @ torch.linalg.matrix_power(kernel, k))[left].sum()
        expect(f"The mass left of {cut} for {name}, s = {s}", found, right, mistakes, _MASS)
    return (
        "Nothing near these steps diverges, and in the second case the narrow hump has lost three"
        " tenths of its weight. How small a step must be, the narrowest hump that matters decides."
    )


_MASS = 5e-3
"""Absolute error allowed in a mass: half a cell at the cut of the first case is 3e-3."""


def _settled(kernel: Tensor) -> Tensor:
    """Return the row p with p P = p and sum 1."""
    one = torch.eye(len(kernel), dtype=kernel.dtype)
    system = kernel.T - one
    system[-1] = 1.0  # one equation follows from the others; the sum takes its place
    return torch.linalg.solve(system, one[-1])


@check
def schedule_for_three(answer: object) -> str:
    """Check answer(k), step sizes k = 0 … 14 that take U(14, 15) to N(5, 3²).

    Mean and variance by the recursion of section 3.2; the start's distance from 5, 9.5 on average,
    is multiplied by A. Asked for: mean within 0.1 and standard deviation within 5 %.
    """
    steps = []
    for k in range(15):
        s = as_tensor(call(answer, k), ()).item()
        if not 0 < s < math.inf:
            raise Wrong(f"A step size must be positive and finite; at k = {k} yours is {s:.3f}.")
        steps.append(s)
    *_, (mean, variance) = exact.gaussian_moments(14.5, 1 / 12, 5.0, 3.0, steps)
    A, sd = (mean - 5) / 9.5, math.sqrt(variance)
    if abs(A) > 1:
        raise Wrong(
            f"The chain blows up: the start's distance is multiplied by {A:.3g}. Steps must stay"
            " below 2σ² = 18 (section 3.3)."
        )
    if abs(mean - 5) > 0.1:
        raise Wrong(
            f"The start is not forgotten: {abs(A):.3f} of it is left after 15 steps, and the mean"
            f" is {mean:.3f} in place of 5. The steps are too small for σ = 3 (section 3.4)."
        )
    if not abs(sd / 3 - 1) <= 0.05:
        raise Wrong(
            f"The start is forgotten, but the standard deviation is {sd:.3f} in place of 3: the"
            " last steps are so large that their bias remains (section 3.3)."
        )
    return (
        "Large steps first, to forget; small ones last, for the bias. What is large is measured"
        " in units of σ², which one has to know: hence standardised units in notebook 4."
    )
