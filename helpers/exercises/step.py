"""The check of one Langevin step, exercise 3.1."""

import math

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    TOLERANCE,
    Wrong,
    Z,
    as_tensor,
    at_particles,
    call,
    check,
    drawn,
    expect,
    no_graph,
    seeded,
)


def _well(x: Tensor) -> Tensor:
    """Return the energy (x² − 1)²/4 + x/5 of particles (n, 1): two wells that are not alike."""
    return ((x**2 - 1) ** 2 / 4 + x / 5).sum(-1)


def _slope(x: Tensor) -> Tensor:
    """Return the slope of ``_well``."""
    return x * (x**2 - 1) + 0.2


@check
def langevin_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, x, s, generator), which makes one Langevin step from x (n, 1).

    Eight particles on an energy as steep as 10⁶ show the drift, with the noise lost in it; 4 000
    on a gentle one show the noise: mean, variance 2s and normal shape, within ``Z`` standard
    errors. All of it for two steps s.
    """
    generator = seeded(seed)
    for s in (0.2, 0.07):
        before = generator.get_state()
        _judge_drift(answer, s, generator)
        _judge_noise(answer, s, generator)
        drawn(generator, before)
    return (
        "Repeated, this step samples e^(−f) up to a bias that shrinks with s, and without Z, if the"
        " energy grows no faster than a parabola. The course's samplers are built on it."
    )


def _judge_drift(answer: object, s: float, generator: torch.Generator) -> None:
    """Raise Wrong unless eight particles go down a steep energy, whose noise is lost in it."""
    x = torch.linspace(-2, 2, 8, dtype=torch.float64).unsqueeze(1)
    steep, drift = at_particles(lambda x: 1e6 * _well(x)), -s * 1e6 * _slope(x)
    new = as_tensor(no_graph(call(answer, steep, x.clone(), s, generator)), (8, 1))
    if (new == x).any():
        many = torch.linspace(-2, 2, 400, dtype=torch.float64).unsqueeze(1)
        moved = call(answer, at_particles(_well), many.clone(), s, generator)
        all_move(many, as_tensor(moved, (400, 1)))
        all_move(x, new)
    gentle = call(answer, at_particles(_well), x.clone(), s, generator)
    if (new - x).abs().max() < 1e3 and (as_tensor(gentle, (8, 1)) - x).abs().max() > 1e-9:
        _judge_flat(answer, s, generator)
    mistakes = {
        "The sign of the drift is turned: the particles climb the energy. A step goes down,"
        " x − s ∇ₓf (section 3.1).": -drift,
        "The drift is too small by the number of particles: it is the gradient of the mean"
        " energy. Differentiate the sum, so that each particle keeps its own (section 3.1).": (
            drift / 8
        ),
        "The drift is half as large: x − (s/2) ∇ₓf is how other texts write the step, with the"
        " noise √s, so that their s is twice ours. Here it is s, and √(2s).": drift / 2,
        "The slope is not multiplied by the step size s (section 3.1).": drift / s,
        "The drift is twice as large: the 2 belongs to the noise alone, √(2s).": 2 * drift,
        "The slope is multiplied by √(2s), like the noise. The drift takes s (section 3.1).": (
            drift * math.sqrt(2 / s)
        ),
        "The slope is multiplied by √s. The drift takes s (section 3.1).": drift / math.sqrt(s),
    }
    slack = TOLERANCE * drift.abs().max()
    expect(f"Drift from x = −2, −1.429, … with s = {s}", new - x, drift, mistakes, slack)


def _judge_flat(answer: object, s: float, generator: torch.Generator) -> None:
    """Raise Wrong: the drift does not grow with the slope. Does a gentle one show any?"""
    x = torch.linspace(-2, 2, 4000, dtype=torch.float64).unsqueeze(1)
    g = _slope(x)
    new = as_tensor(call(answer, at_particles(_well), x.clone(), s, generator), (4000, 1))
    move = new - x
    error = move.std() / (g.std() * math.sqrt(len(g)))
    if abs(((g - g.mean()) * move).mean() / g.var()) < Z * error:
        raise Wrong(
            "There is no drift, or next to none: the particles do not feel the energy"
            " (section 3.1)."
        )
    raise Wrong(
        "Where the energy is steep, the particles move less than s times its slope: it looks as if"
        " the gradient were clipped, or only its sign used, or the move bounded. A Langevin step"
        " takes the gradient as it is."
    )


def all_move(before: Tensor, after: Tensor) -> None:
    """Raise Wrong if a particle is where it was, to the last digit."""
    still = int((before == after).sum())
    if still == len(before):
        raise Wrong("No particle moves: what comes back is where they were.")
    if still:
        raise Wrong(
            f"{still} of {len(before)} particles do not move at all. A Langevin step moves each of"
            " them: there is nothing to reject, that is MALA (section 3.7)."
        )


def noise_kinds(s: float) -> dict[str, float]:
    """Return to each mistake in the noise of a step of size s the variance that it gives."""
    return {
        "The noise has the standard deviation √s. It must be √(2s): at √s the temperature is ½,"
        " and the cloud comes out too narrow (section 3.1).": s,
        "The noise is proportional to s. It must be √(2s), as a diffusion spreads like the root"
        " of the time; with s the temperature vanishes for small steps (section 3.1).": s**2,
        "The noise is proportional to s. It must be √(2s): the root belongs over the s as"
        " well (section 3.1).": 2 * s**2,
        "The noise has the standard deviation 2s, proportional to s: that is the variance. Take"
        " its root, √(2s) (section 3.1).": 4 * s**2,
        "The noise has the standard deviation 2√s: the 2 belongs under the root, √(2s)"
        " (section 3.1).": 4 * s,
        "The noise has the variance 1, whatever the step: multiply it by √(2s) (section 3.1).": 1,
        "The noise is uniform, from torch.rand. It must be normal: torch.randn.": 2 * s / 12,
    }


def _judge_noise(answer: object, s: float, generator: torch.Generator) -> None:
    """Raise Wrong unless the noise of 4 000 particles is normal numbers with variance 2s."""
    n = 4000
    x = torch.linspace(-2, 2, n, dtype=torch.float64).unsqueeze(1)
    energy = at_particles(_well)
    first, second = (
        as_tensor(call(answer, energy, x.clone(), s, generator), (n, 1)) - x + s * _slope(x)
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
    if torch.allclose(first, second, atol=1e-9):
        raise Wrong(
            "Two steps in a row got the same noise: the generator is seeded afresh inside the"
            " step. Use the one that you are given."
        )
    spread = torch.tensor(variance, dtype=torch.float64)
    what = f"Variance of the noise for s = {s}"
    alone = "What comes back is the move alone. Add it to where the particles are."
    kinds = {**noise_kinds(s), alone: 2 * s + x.var()}
    expect(what, spread, 2 * s, kinds, Z * variance * math.sqrt(2 / n))
    if abs(mean) > Z * math.sqrt(2 * s / n):
        raise Wrong(f"Mean of the noise: expected 0.000, found {mean:.3f}.")
    shape = (first - mean).abs().mean().item() / math.sqrt(variance)  # √(2/π) for normal numbers
    if abs(shape - math.sqrt(2 / math.pi)) > Z * math.sqrt((1 - 3 / math.pi) / n):
        raise Wrong(
            "The noise has the right variance and is not normal. A chain that makes many small"
            " steps would not notice; one step does. Draw it with torch.randn."
        )
