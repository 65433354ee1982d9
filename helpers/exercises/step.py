"""The check of one Langevin step, exercise 3.1, and what others share that look at a step."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    TOLERANCE,
    Wrong,
    Z,
    as_tensor,
    at_particles,
    blame,
    call,
    check,
    drawn,
    near,
    no_graph,
    seeded,
)


def _well(x: Tensor) -> Tensor:
    """Return the energy (x² − 1)²/4 + x/5 of particles (n, 1): two wells that are not alike."""
    return ((x**2 - 1) ** 2 / 4 + x / 5).sum(-1)


def _slope(x: Tensor) -> Tensor:
    """Return the slope of ``_well``."""
    return x * (x**2 - 1) + 0.2


_DRIFT: list[tuple[str, Callable[[float, int], float]]] = [
    (
        "The sign of the drift is turned: the particles climb the energy. A step goes down,"
        " x − s ∇ₓf (section 3.1).",
        lambda s, n: s,
    ),
    (
        "The drift is too small by the number of particles: it is the gradient of the mean"
        " energy. Differentiate the sum, so that each particle keeps its own (section 3.1).",
        lambda s, n: -s / n,
    ),
    (
        "The drift is half as large: x − (s/2) ∇ₓf is how other texts write the step, with the"
        " noise √s, so that their s is twice ours. Here it is s, and √(2s).",
        lambda s, n: -s / 2,
    ),
    ("The slope is not multiplied by the step size s (section 3.1).", lambda s, n: -1.0),
    ("The drift is twice as large: the 2 belongs to the noise alone, √(2s).", lambda s, n: -2 * s),
    (
        "The slope is multiplied by √(2s), like the noise. The drift takes s (section 3.1).",
        lambda s, n: -math.sqrt(2 * s),
    ),
    (
        "The slope is multiplied by √s. The drift takes s (section 3.1).",
        lambda s, n: -math.sqrt(s),
    ),
]
"""To each mistake in the drift, what the slope is multiplied by in a step of n particles."""

_NOISE: list[tuple[str, Callable[[float], float]]] = [
    (
        "The noise has the standard deviation √s. It must be √(2s): at √s the temperature is ½,"
        " and the cloud comes out too narrow (section 3.1).",
        lambda s: s,
    ),
    (
        "The noise is proportional to s. It must be √(2s), as a diffusion spreads like the root"
        " of the time; with s the temperature vanishes for small steps (section 3.1).",
        lambda s: s**2,
    ),
    (
        "The noise is proportional to s. It must be √(2s): the root belongs over the s as well"
        " (section 3.1).",
        lambda s: 2 * s**2,
    ),
    (
        "The noise has the standard deviation 2s, proportional to s: that is the variance. Take"
        " its root, √(2s) (section 3.1).",
        lambda s: 4 * s**2,
    ),
    (
        "The noise has the standard deviation 2√s: the 2 belongs under the root, √(2s)"
        " (section 3.1).",
        lambda s: 4 * s,
    ),
    (
        "The noise has the variance 1, whatever the step: multiply it by √(2s) (section 3.1).",
        lambda s: 1.0,
    ),
]
"""To each mistake in the size of normal noise the variance that it gives a step of size s."""


@check
def langevin_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, x, s, generator), which makes one Langevin step from x (n, 1).

    A few particles on an energy as steep as 10⁶ show the drift, with the noise lost in it; 4 000
    on a gentle one show the noise, in two steps. All of it for two sizes s.
    """
    generator = seeded(seed)
    before = generator.get_state()
    _judge_drift(answer, {0.07: 5, 0.2: 8}, generator)
    one = torch.full((1, 1), 0.5, dtype=torch.float64)
    single = as_tensor(call(answer, at_particles(_well), one.clone(), 0.2, generator), (1, 1))
    x = torch.linspace(-2, 2, 4000, dtype=torch.float64).unsqueeze(1)
    noises = {}
    for s in (0.2, 0.07):
        state = generator.get_state()
        first, second = (
            as_tensor(call(answer, at_particles(_well), x.clone(), s, generator), (4000, 1))
            for _ in range(2)
        )
        judge_draws(first - x + s * _slope(x))
        if torch.equal(first, second):
            raise Wrong(
                "Two steps in a row got the same noise: the generator is seeded afresh inside the"
                " step. Use the one that you are given."
            )
        _judge_place(torch.cat([first, second]), x.repeat(2, 1), s)
        noises[s] = torch.cat([first, second]) - (x - s * _slope(x)).repeat(2, 1)
        drawn(generator, state)
    judge_noise(noises)
    alone = (single - one + 0.2 * _slope(one)).item()
    if not abs(alone) > 1e-9:
        raise Wrong(
            f"If there is one particle only, its noise is {alone:.3f}: draw it as it comes."
        )
    drawn(generator, before)
    return (
        "Repeated, this step samples e^(−f) up to a bias that shrinks with s, and without Z, if the"
        " energy grows no faster than a parabola. The course's samplers are built on it."
    )


def _judge_drift(answer: object, particles: dict[float, int], generator: torch.Generator) -> None:
    """Raise Wrong unless few particles go down a steep energy, whose noise is lost in it."""
    moves, slopes = [], []
    for s, n in particles.items():
        x = torch.linspace(-2, 2, n, dtype=torch.float64).unsqueeze(1)
        steep = at_particles(lambda x: 1e6 * _well(x))
        new = as_tensor(no_graph(call(answer, steep, x.clone(), s, generator)), (n, 1))
        all_move(x, new)
        moves.append((new - x).flatten() / 1e6)
        slopes.append(_slope(x).flatten())
    found = torch.cat(moves)
    if found.abs().max() < 1e-3:
        raise Wrong(
            "However steep the energy, the particles move no farther. There is no drift, or the"
            " gradient is clipped, or only its sign is used, or the move is bounded. A Langevin"
            " step takes the gradient as it is (section 3.1)."
        )

    def drift(factor: Callable[[float, int], float]) -> Tensor:
        pairs = zip(particles.items(), slopes, strict=True)
        return torch.cat([factor(s, n) * slope for (s, n), slope in pairs])

    right = drift(lambda s, n: -s)
    if not near(found, right, TOLERANCE * right.abs().max()):
        named = [text for text, factor in _DRIFT if near(found, drift(factor), 2e-5)]
        places = " and ".join(f"{n} places with s = {s}" for s, n in particles.items())
        blame(
            f"Drift on 10⁶ ((x² − 1)²/4 + x/5), divided by 10⁶, from {places}", found, right, named
        )


def _judge_place(new: Tensor, x: Tensor, s: float) -> None:
    """Raise Wrong if what is not drift depends on where a particle is, as it would in (1 − s) x."""
    if abs(_correlation(new + s * _slope(x), x)) < Z / math.sqrt(len(x)):
        raise Wrong("What comes back is the move alone. Add it to where the particles are.")
    noise = new - x + s * _slope(x)
    for power, what in ((1, "the"), (2, "the squares of the")):
        r = _correlation(noise**power, x**power)
        if abs(r) > Z / math.sqrt(len(x)):
            raise Wrong(
                "Where the energy is gentle the move, less −s ∇ₓf, still depends on x: for s ="
                f" {s} {what} two have the correlation {r:.3f}. It should be noise alone."
            )


def _correlation(a: Tensor, b: Tensor) -> float:
    """Return the correlation of two columns."""
    return torch.corrcoef(torch.cat([a, b], 1).T)[0, 1].item()


def all_move(before: Tensor, after: Tensor) -> None:
    """Raise Wrong if a particle is where it was, to the last digit."""
    still = int((before == after).sum())
    if still == len(before):
        raise Wrong("No particle moves: what comes back is where they were.")
    if still:
        raise Wrong(
            f"{still} of {len(before)} particles do not move at all. A Langevin step moves each of"
            " them: none is refused (that is MALA, section 3.7), and none is held in a box."
        )


def judge_draws(noise: Tensor) -> None:
    """Raise Wrong unless there is noise, of another size for each particle."""
    if noise.abs().max() < 1e-6:
        raise Wrong(
            "There is no noise: this is gradient descent, and all particles end in a minimum of"
            " the energy. Add √(2s) N (section 3.1)."
        )
    sizes = len(noise.abs().mul(1e9).round().unique())
    if sizes < 0.9 * len(noise):
        raise Wrong(
            f"The noise of {len(noise)} particles has only {sizes} different sizes: they share"
            " draws. Draw one normal number for each, torch.randn(x.shape, …) (section 3.1)."
        )


def judge_noise(noises: Mapping[float, Tensor]) -> None:
    """Raise Wrong unless the noise in steps of each size s is normal numbers with variance 2s.

    Mean, variance and mean distance from the mean are judged within ``Z`` standard errors. A
    mistake is named if all of them are within 3 of what it gives, for every s.
    """
    found = {s: _figures(noise) for s, noise in noises.items()}

    def fits(variance: Callable[[float], float], allowed: float, normal: bool = True) -> bool:
        return all(
            max(_off(found[s], variance(s), len(noises[s]), normal).values()) < allowed
            for s in noises
        )

    for noise in noises.values():
        judge_draws(noise)
    named = [text for text, variance in _NOISE if fits(variance, 3.0)]
    if fits(lambda s: 2 * s / 12, 3.0, normal=False):
        named = ["The noise is uniform, from torch.rand. It must be normal: torch.randn."]
    for s, noise in noises.items():
        off = _off(found[s], 2 * s, len(noise))
        if max(off.values()) > Z and named:
            blame("", noise, noise, named)
        for what, expected in (("Mean", 0.0), ("Variance", 2 * s)):
            if off[what] > Z:
                value = found[s][what]
                raise Wrong(
                    f"{what} of the noise for s = {s}: expected {expected:.3f}, found {value:.3f}."
                )
        if off["shape"] > Z or noise.abs().max() < 2.5 * noise.std():
            raise Wrong(
                "The noise has about the right variance and is not normal. A chain that makes many"
                " small steps would not notice; one step does. Draw it with torch.randn."
            )


def _figures(noise: Tensor) -> dict[str, float]:
    """Return mean and variance, and how far from the mean a number is on average, in sds."""
    mean, variance = noise.mean(), noise.var()
    distance = (noise - mean).abs().mean() / variance.sqrt()
    return {"Mean": mean.item(), "Variance": variance.item(), "shape": distance.item()}


def _off(found: dict[str, float], variance: float, n: int, normal: bool = True) -> dict[str, float]:
    """Return by how many standard errors each figure is off that of n normal numbers, or uniform.

    The uniform ones have the variance given, and half their range as their mean.
    """
    mean, distance = (
        (0.0, math.sqrt(2 / math.pi)) if normal else (math.sqrt(3 * variance), 0.75**0.5)
    )
    return {
        "Mean": abs(found["Mean"] - mean) / math.sqrt(variance / n),
        "Variance": abs(found["Variance"] - variance) / (variance * math.sqrt(2 / n)),
        "shape": abs(found["shape"] - distance) / math.sqrt((1 - 3 / math.pi) / n),
    }
