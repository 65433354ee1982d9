"""What every sampler shares: step sizes, the check of its arguments, the watch over its chains."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import torch
from torch import Tensor

from helpers.checks import generator_for, number, whole

_FAR = 1e5
"""How many times the size of a step's noise a chain may go, whatever the unit."""

StepSize = float | Sequence[float] | Callable[[int], float]
"""A constant, one step size for each k = 0 … n_steps − 1, or a function of k."""


class DivergenceError(RuntimeError):
    """A chain has left every bound; ``step`` is the number of the update that did it, from 1."""

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


def step_sizes(step_size: StepSize, n_steps: int) -> Iterable[float]:
    """Return the n_steps step sizes that a constant or a schedule stands for.

    A constant is not written out n_steps times, so it takes no memory however long the chain.

    Raises:
        TypeError, ValueError: if n_steps is not a whole number ≥ 0, a step size is not finite
            and positive, or a sequence is shorter than n_steps.
    """
    n_steps = whole(n_steps, "n_steps", 0)
    if callable(step_size):
        return [_positive(step_size(k), k) for k in range(n_steps)]
    many = isinstance(step_size, Sequence) or getattr(step_size, "ndim", 0) == 1
    if isinstance(step_size, str) or not many:
        return repeat(_positive(step_size, 0), n_steps)
    if len(step_size) < n_steps:
        raise ValueError(
            f"step_size has {len(step_size)} entries for n_steps = {n_steps}; a sequence needs one"
            " for every step."
        )
    return [_positive(s, k) for k, s in enumerate(step_size[:n_steps])]


def _positive(s: float, k: int) -> float:
    """Return the step size of step k as a number, or say what is wrong with it."""
    return number(s, f"step_size at step {k}", 0, above=True)


def check_particles(x: Tensor, name: str) -> None:
    """Raise unless x is a floating-point tensor of particles (n, d), each at a finite place."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.layout != torch.strided:
        kind = isinstance(x, Tensor) and f"a tensor of {x.dtype} ({x.layout})"
        came = kind or type(x).__name__
        raise TypeError(f"{name} is {came}; it must be a floating-point tensor of shape (n, d).")
    if x.ndim != 2 or x.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be (n, d), none of them 0.")
    if not x.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity; every particle must be at a finite place.")


def check_arguments(
    x0: Tensor, n_steps: int, step_size: StepSize, generator: torch.Generator | None
) -> tuple[Iterable[float], Tensor, torch.Generator]:
    """Check a sampler's arguments; return the step sizes, a detached x0 and a generator."""
    check_particles(x0, "x0")
    generator = generator_for(generator, x0.device, fresh=True)
    return step_sizes(step_size, n_steps), x0.detach().clone(), generator


def check_start(x: Tensor, gradient: Tensor, s: float) -> None:
    """Raise if a step of size s would be rounded away where a particle stands."""
    step = math.sqrt(2 * s) + s * gradient.abs()
    lost = (step < torch.finfo(x.dtype).eps / 4 * x.abs()).all(1)
    if lost.any():
        i = lost.nonzero()[0].item()
        raise ValueError(
            f"x0 is a tensor of {x.dtype}, in which particle {i} cannot move from {x[i].tolist()}"
            f" with s = {s:.3g}; s must be larger, or x0 of a finer type."
        )


def check_energy(k: int, x: Tensor, f: Tensor, gradient: Tensor) -> None:
    """Raise a DivergenceError for step k, from 0, if f or ∇ₓf at a particle is not finite."""
    if math.isfinite((f.sum() + gradient.sum()).item()):
        return
    steep = gradient.isfinite().all(1).logical_not()
    bad = steep | ~f.isfinite()
    if bad.any():
        i = bad.nonzero()[0].item()
        value = f"gradient {gradient[i].tolist()}" if steep[i] else f"the value {f[i].item()}"
        why = ", where no plain step may end" if k and f[i] == math.inf else ""
        raise DivergenceError(
            f"the chain diverged at step {k + 1}: particle {i} is at {x[i].tolist()}, where the"
            f" energy has {value}{why}.",
            k + 1,
        )


def check_bounds(
    k: int,
    x0: Tensor,
    x: Tensor,
    new: Tensor,
    why: Callable[[int], str],
    *,
    s: float = 0.0,
    outwards: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Raise a DivergenceError for step k, of size s, if it took a particle out of all bounds.

    These are |x − x0| ≤ 10⁶ (1 + |x0|) or, where units are large, ``_FAR`` √(2s). Beyond both a
    particle may still be on its way to a far target: ``outwards``, asked for the particles new,
    then says which (n,) are not. ``why`` says what may have thrown particle i out.
    """
    if (new - x0).abs().max().item() <= 1e6:
        return
    bound = (1e6 * (1 + x0.abs().double())).clamp(min=_FAR * math.sqrt(2 * s))
    out = ((new - x0).abs() <= bound).all(1).logical_not()
    if out.any() and outwards:
        out &= new.isfinite().all(1).logical_not() | outwards(new)
    if out.any():
        i = out.nonzero()[0].item()
        finite, largest = new[i].isfinite().all(), torch.finfo(new.dtype).max
        overflow = "" if finite else f" (no number of {new.dtype} is beyond {largest:.3g})"
        raise DivergenceError(
            f"the chain diverged at step {k + 1}: particle {i} went from {x[i].tolist()} to"
            f" {new[i].tolist()}{overflow}; {why(i)}.",
            k + 1,
        )


def steepness(s: float, places: Sequence[Tensor], gradients: Sequence[Tensor], i: int) -> str:
    """Say which step the curvature allows along particle i's last move, from one to the other."""
    said = f"the step size s = {s:.3g} must stay below 2/curvature of the energy"
    move, change = (pair[1][i] - pair[0][i] for pair in (places, gradients))
    curvature = (move @ change / (move @ move)).item()
    if curvature > 0 and s * curvature >= 2:
        return f"{said}, which is {2 / curvature:.3g} there"
    if math.isfinite(curvature):
        bends = "does not bend upwards" if curvature <= 0 else "bends too little for that"
        return (
            f"the step size is s = {s:.3g}, and 2/curvature gives no bound because the energy"
            f" {bends} there (curvature {curvature:.3g}): e^(-f) may have no finite integral"
        )
    return said
