"""The exact law of a chain on a line: one step is a product with a matrix on the grid."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from helpers.chains import StepSize, step_sizes
from helpers.densities import Energy
from helpers.exact.line import GridError
from helpers.langevin import energy_and_gradient

Kernel = Callable[[Energy, Tensor, float], Tensor]
"""From f, a grid x (m,) and a step size to q[i, j], the density at x_j of one step from x_i."""

TINY = -700.0
"""Densities below e^−700 are raised to that: nothing is lost, and subnormal numbers are slow."""


def uniform_law(low: float, high: float, x: Tensor) -> Tensor:
    """Return U(low, high) on the grid: to each point the part of its cell that is inside."""
    half = (x[1] - x[0]) / 2
    inside = (torch.clamp(x + half, max=high) - torch.clamp(x - half, min=low)).clamp(min=0)
    return inside / (2 * half * inside.sum())


def gaussian_kernel(mean: Tensor, variance: float, x: Tensor) -> Tensor:
    """Return q[i, j], the density of N(mean_i, variance) at x_j, for means (m,); shape (m, m)."""
    return _log_gaussian_kernel(mean, variance, x).clamp_(min=TINY).exp_()


def _log_gaussian_kernel(mean: Tensor, variance: float, x: Tensor) -> Tensor:
    """Return the logarithm of ``gaussian_kernel``."""
    log_q = (x - mean[:, None]).square_().div_(-2 * variance)
    return log_q.sub_(math.log(2 * math.pi * variance) / 2)


def langevin_kernel(energy: Energy, x: Tensor, s: float) -> Tensor:
    """Return q[i, j], the density at x_j of one plain Langevin step of size s from x_i, (m, m)."""
    _, gradient = energy_and_gradient(energy, x.unsqueeze(-1))
    return gaussian_kernel(x - s * gradient.squeeze(-1), 2 * s, x)


def mala_kernel(energy: Energy, x: Tensor, s: float) -> Tensor:
    """Return the law of one MALA step from x_i, (m, m); rejected mass stays on the diagonal."""
    f, gradient = energy_and_gradient(energy, x.unsqueeze(-1))
    return _metropolis(_log_gaussian_kernel(x - s * gradient.squeeze(-1), 2 * s, x), f, x)


def metropolis_kernel(q: Tensor, energy: Energy, x: Tensor) -> Tensor:
    """Return the law of a step that proposes by q, (m, m), and accepts or rejects for p ∝ e^{−f}.

    The move x_i → x_j is made with probability min(1, p_j q[j, i] / (p_i q[i, j])); what is
    rejected stays on the diagonal (Metropolis and Hastings).
    """
    with torch.no_grad():
        return _metropolis(q.log(), energy(x.unsqueeze(-1)), x)


def _metropolis(log_q: Tensor, f: Tensor, x: Tensor) -> Tensor:
    """Do so for log q: what moves has the density min(p_i q[i, j], p_j q[j, i]) / p_i."""
    log_flow = log_q - f[:, None]
    moves = torch.minimum(log_flow, log_flow.T).add_(f[:, None]).clamp_(min=TINY).exp_()
    h = x[1] - x[0]
    moves.diagonal().add_((1 - moves.sum(1) * h) / h)
    return moves


def leimkuhler_matthews_kernel(energy: Energy, x: Tensor, s: float) -> Tensor:
    """Return the law of one step of the Markov chain behind Leimkuhler–Matthews, (m, m).

    X itself remembers its noise. But Y_k = X_k − √(s/2) N_k does not depend on N_k, and
    Y_{k+1} = 2 X_k − s f'(X_k) − Y_k. So Y is Markov, and X_k is Y_k blurred by
    ``gaussian_kernel(x, s / 2, x)``. The density of a step from y to y' is that of
    X_k ~ N(y, s/2) at the root of 2X − s f'(X) = y + y', divided by the slope 2 − s f'' there.

    Raises:
        ValueError: if 2x − s f'(x) does not increase on the grid: it does if s f'' < 2.
    """
    _, gradient = energy_and_gradient(energy, x.unsqueeze(-1))
    reach = 2 * x - s * gradient.squeeze(-1)
    if not (reach.diff() > 0).all():
        raise ValueError(f"s is {s}; it must stay below 2/curvature of the energy on the grid.")
    root = CubicSpline(reach, x)
    total = (x[:, None] + x).clamp(reach[0], reach[-1])
    place, slope = (torch.from_numpy(root(total, order)) for order in (0, 1))
    return torch.exp(-((place - x[:, None]) ** 2) / s) / math.sqrt(math.pi * s) * slope


def law(
    p0: Tensor,
    energy: Energy,
    x: Tensor,
    n_steps: int,
    step_size: StepSize,
    *,
    kernel: Kernel = langevin_kernel,
) -> Tensor:
    """Return the exact law of a chain after every step, densities of shape (n_steps + 1, m).

    The law of X_{k+1} is p_{k+1}(y) = ∫ p_k(x) q(y | x) dx, a product with a matrix on the grid.

    Args:
        p0: the density that the chain starts from, on the grid.
        energy: f, from (m, 1) to (m,).
        x: the grid, finer than √(2s) and wide enough for every step.
        n_steps: how many steps.
        step_size: as for the samplers.
        kernel: the law of one step, of any chain that forgets all but its state; see ``Kernel``.

    Raises:
        GridError: if the grid is too narrow or too coarse to keep the mass at 1 within 10⁻⁶.
    """
    steps = step_sizes(step_size, n_steps)
    return torch.stack(list(iterate_law(p0, energy, x, steps, kernel=kernel)))


def iterate_law(
    p0: Tensor,
    energy: Energy,
    x: Tensor,
    steps: Sequence[float],
    *,
    kernel: Kernel = langevin_kernel,
) -> Iterator[Tensor]:
    """Yield the exact law before the first and after every step; otherwise as ``law``."""
    h = x[1] - x[0]
    p, known = p0, None
    yield p
    for k, s in enumerate(steps):
        if s != known:
            matrix, known = kernel(energy, x, s), s
        p = p @ matrix * h
        mass = p.sum() * h
        if not abs(mass - 1) <= 1e-6:
            raise GridError(
                f"x holds a mass of {mass:.6f} at step {k + 1}; the grid must be wide enough for"
                " every step, and finer than √(2s), to keep it at 1."
            )
        yield p
