"""What every sampler shares: step sizes, the check of its arguments, the watch over its chains."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import torch
from torch import Tensor

from helpers.checks import generator_for, whole

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
    try:
        value = None if isinstance(s, str) else float(s)
    except (TypeError, ValueError):
        value = None
    if value is None:
        raise TypeError(f"step_size is {s!r} at step {k}; it must be a positive number.")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"step_size is {s} at step {k}; it must be finite and positive.")
    return value


def check_arguments(
    x0: Tensor, n_steps: int, step_size: StepSize, generator: torch.Generator | None
) -> tuple[Iterable[float], Tensor, torch.Generator]:
    """Check a sampler's arguments; return the step sizes, a detached x0 and a generator."""
    if not isinstance(x0, Tensor) or not x0.is_floating_point():
        came = f"a tensor of {x0.dtype}" if isinstance(x0, Tensor) else type(x0).__name__
        raise TypeError(f"x0 is {came}; it must be a floating-point tensor of shape (n, d).")
    if x0.ndim != 2 or x0.numel() == 0:
        raise ValueError(f"x0 has shape {tuple(x0.shape)}; it must be (n, d), none of them 0.")
    if not x0.isfinite().all():
        raise ValueError("x0 holds NaN or infinity; every particle must start at a finite place.")
    generator = generator_for(generator, x0.device, fresh=True)
    return step_sizes(step_size, n_steps), x0.detach().clone(), generator


def check_gradient(k: int, x: Tensor, gradient: Tensor) -> None:
    """Raise a DivergenceError for step k, from 0, if the gradient at a particle is not finite."""
    if not gradient.isfinite().all():
        i = gradient.isfinite().all(1).logical_not().nonzero()[0].item()
        raise DivergenceError(
            f"the chain diverged at step {k + 1}: particle {i} is at {x[i].tolist()}, where the"
            f" energy has gradient {gradient[i].tolist()}.",
            k + 1,
        )


def check_bounds(k: int, x0: Tensor, x: Tensor, new: Tensor, why: Callable[[int], str]) -> None:
    """Raise a DivergenceError for step k if it took a particle beyond |x − x0| ≤ 10⁶ (1 + |x0|).

    ``why`` says what may have done that to particle i.
    """
    inside = (new - x0).abs() <= 1e6 * (1 + x0.abs())
    if not inside.all():
        i = inside.all(1).logical_not().nonzero()[0].item()
        raise DivergenceError(
            f"the chain diverged at step {k + 1}: particle {i} went from {x[i].tolist()} to"
            f" {new[i].tolist()}; {why(i)}.",
            k + 1,
        )


def steepness(s: float, places: Sequence[Tensor], gradients: Sequence[Tensor], i: int) -> str:
    """Say which step the curvature allows along particle i's last move, from one to the other."""
    said = f"the step size s = {s:.3g} must stay below 2/curvature of the energy"
    move, change = (pair[1][i] - pair[0][i] for pair in (places, gradients))
    curvature = (move @ change / (move @ move)).item()
    if curvature > 0:
        return f"{said}, which is {2 / curvature:.3g} there"
    if curvature <= 0:
        return (
            f"the step size is s = {s:.3g}, and 2/curvature gives no bound because the energy does"
            f" not bend upwards there (curvature {curvature:.3g}): e^(-f) may have no finite"
            " integral"
        )
    return said
