"""What every sampler shares: step sizes, the check of its arguments, the watch over its chains."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from numbers import Integral

import torch
from torch import Tensor

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
    if isinstance(n_steps, bool) or not isinstance(n_steps, Integral):
        raise TypeError(f"n_steps is {n_steps!r}; it must be a whole number, 0 or more.")
    if n_steps < 0:
        raise ValueError(f"n_steps is {n_steps}; it must be a whole number, 0 or more.")
    listed = True
    if callable(step_size):
        steps = [step_size(k) for k in range(n_steps)]
    elif isinstance(step_size, str):
        raise TypeError(f"step_size is {step_size!r}; it must be a positive number or a schedule.")
    elif isinstance(step_size, Sequence) or getattr(step_size, "ndim", 0) == 1:
        if len(step_size) < n_steps:
            raise ValueError(
                f"step_size has {len(step_size)} entries for n_steps = {n_steps}; a sequence needs"
                " one for every step."
            )
        steps = list(step_size[:n_steps])
    else:
        steps, listed = [step_size], False
    for k, s in enumerate(steps):
        try:
            steps[k] = float(s)
        except (TypeError, ValueError):
            raise TypeError(
                f"step_size is {s!r} at step {k}; it must be a positive number."
            ) from None
        if not (math.isfinite(steps[k]) and steps[k] > 0):
            raise ValueError(f"step_size is {s} at step {k}; it must be finite and positive.")
    return steps if listed else repeat(steps[0], n_steps)


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
    if generator is None:
        generator = torch.Generator(x0.device)
        generator.seed()
    return step_sizes(step_size, n_steps), x0.detach().clone(), generator


def in_bounds(x: Tensor, x0: Tensor) -> bool:
    """Say whether |x − x0| ≤ 10⁶ (1 + |x0|) for every coordinate; NaN is out of bounds."""
    return bool(((x - x0).abs() <= 1e6 * (1 + x0.abs())).all())


def divergence(
    k: int,
    s: float,
    x0: Tensor,
    x: Tensor,
    gradient: Tensor,
    new: Tensor,
    previous: tuple[Tensor, Tensor] | None,
    *,
    adjusted: bool = False,
) -> DivergenceError:
    """Say at which step a chain diverged, and why, by the curvature along its last move."""
    i = ((new - x0).abs() <= 1e6 * (1 + x0.abs())).all(1).logical_not().nonzero()[0].item()
    said = f"the chain diverged at step {k + 1}: particle {i} went from {x[i].tolist()}"
    said += f" to {new[i].tolist()}"
    if not gradient[i].isfinite().all():
        said += f" with s = {s:.3g}; the energy has gradient {gradient[i].tolist()} at the former"
    elif adjusted:
        said += "; accept/reject keeps chains in bounds unless e^(-f) has no finite integral"
    elif previous is not None:
        move, change = x[i] - previous[0][i], gradient[i] - previous[1][i]
        curvature = (move @ change / (move @ move)).item()
        if curvature > 0:
            said += (
                f"; the step size s = {s:.3g} must stay below 2/curvature of the energy, which is"
                f" {2 / curvature:.3g} there"
            )
        else:
            said += (
                f"; the step size is s = {s:.3g}, and 2/curvature gives no bound because the energy"
                f" does not bend upwards there (curvature {curvature:.3g}): e^(-f) may have no"
                " finite integral"
            )
    else:
        said += f"; the step size s = {s:.3g} must stay below 2/curvature of the energy"
    return DivergenceError(said + ".", k + 1)
