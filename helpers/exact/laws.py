"""The exact law of a chain on a line: one step is a product with a matrix on the grid.

A kernel is a transition matrix P, shape (m, m): P[i, j] is the probability that a step from x_i
ends in the cell of x_j, of width h. So a density p on the grid becomes p @ P, and each row sums to
1, less what the grid cannot hold or is too coarse for.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from scipy.interpolate import CubicSpline
from torch import Tensor
from torch.special import ndtr

from helpers.chains import StepSize, step_sizes
from helpers.checks import number
from helpers.densities import Energy
from helpers.exact import line
from helpers.exact.line import GridError, density
from helpers.langevin import energy_and_gradient

_Kernel = Callable[[Energy, Tensor, float], Tensor]
"""From f, a grid x (m,) and a step size to the transition matrix of one step, (m, m)."""

_LOSS = 1e-6
"""The largest probability that the grid may lose, all steps of a law together."""

_TINY = -700.0
"""Densities below e^−700 are raised to that: nothing is lost, and subnormal numbers are slow."""


def uniform_law(low: float, high: float, x: Tensor) -> Tensor:
    """Return the log-density of U(low, high): to each point the part of its cell that is inside."""
    line.check_grid(x)
    low, high, half = number(low, "low"), number(high, "high"), (x[1] - x[0]) / 2
    if not x[0] <= low < high <= x[-1]:
        raise ValueError(
            f"low, high are {low:g}, {high:g}; they must be low < high, both on the grid x ="
            f" [{x[0]:.4g}, {x[-1]:.4g}]."
        )
    above, below = torch.clamp(x + half, max=x[-1]), torch.clamp(x - half, min=x[0])
    inside = (above.clamp(max=high) - below.clamp(min=low)).clamp(min=0)
    return (inside / ((above - below) * inside.sum())).log()


def gaussian_kernel(mean: Tensor, variance: float, x: Tensor) -> Tensor:
    """Return the kernel of a step from x_i to N(mean_i, variance), for means of shape (m,)."""
    line.check_grid(x)
    variance = number(variance, "variance", 0, above=True)
    return _log_gaussian(mean, variance, x).clamp_(min=_TINY).exp_().mul_(x[1] - x[0])


def _log_gaussian(mean: Tensor, variance: float, x: Tensor) -> Tensor:
    """Return log N(x_j; mean_i, variance), shape (m, m)."""
    log_q = (x - mean[:, None]).square_().div_(-2 * variance)
    return log_q.sub_(math.log(2 * math.pi * variance) / 2)


def langevin_kernel(energy: Energy, x: Tensor, s: float) -> Tensor:
    """Return the kernel of a plain Langevin step of size s: from x_i to N(x_i − s f'(x_i), 2s)."""
    f, gradient = _slopes(energy, x, s)
    kernel = gaussian_kernel(x - s * gradient, 2 * s, x)
    kernel[f == math.inf] = 0
    return kernel


def _slopes(energy: Energy, x: Tensor, s: float) -> tuple[Tensor, Tensor]:
    """Return f and f' on the grid, for steps of size s; where f is +∞, f' is 0."""
    number(s, "s", 0, above=True)
    f = line.energies(energy, x)
    _, gradient = energy_and_gradient(energy, x.unsqueeze(-1))
    return f.detach(), gradient.squeeze(-1).masked_fill(f == math.inf, 0)


def mala_kernel(energy: Energy, x: Tensor, s: float) -> Tensor:
    """Return the kernel of a MALA step of size s; what is rejected stays on the diagonal.

    The move x_i → x_j has the density min(p_i q[i, j], p_j q[j, i]) / p_i, with q the plain step's
    density and p ∝ e^{−f} (Metropolis and Hastings). What is proposed beyond the grid may be
    accepted there: at most ∫ p_j q[j, i] dx_j / p_i over what is outside, and q ≤ 1/√(4πs). That
    much, or all that is proposed there if it is less, counts as lost, as long as p falls on beyond
    the ends. So does the error of a sum over points h apart, 2 e^{−(2πσ/h)²/2} for a Gaussian with
    σ² = 2s (Poisson's summation formula). An edge of the acceptance only a finer grid can show.

    Raises:
        GridError: if the grid is too coarse for e^{−f}.
    """
    f, gradient = _slopes(energy, x, s)
    h, outside_support = (x[1] - x[0]).item(), f == math.inf
    log_p = line.log_density(lambda _: f, x, restricted=True)
    line.check_spacing(log_p, x, 1e-4)
    mean, sd = x - s * gradient, math.sqrt(2 * s)
    log_q = _log_gaussian(mean, 2 * s, x)
    held = ndtr((x[-1] + h / 2 - mean) / sd) - ndtr((x[0] - h / 2 - mean) / sd)
    beyond = sum(line.outside(log_p, x)) / math.sqrt(4 * math.pi * s)
    escaped = (math.log(beyond) - log_p).exp() if beyond > 0 else torch.zeros_like(x)
    coarse = 2 * math.exp(-((2 * math.pi * sd / h) ** 2) / 2)
    lost = torch.minimum(1 - held, escaped) + coarse

    f = f.masked_fill(outside_support, f[~outside_support].max() + 1e4)
    log_flow = log_q.sub_(f[:, None])
    moves = torch.minimum(log_flow, log_flow.T).add_(f[:, None]).clamp_(min=_TINY).exp_().mul_(h)
    moves.diagonal().add_((1 - moves.sum(1) - lost).clamp(min=0))
    moves[outside_support] = 0
    return moves


def leimkuhler_matthews_kernel(energy: Energy, x: Tensor, s: float) -> Tensor:
    """Return the kernel of the Markov chain behind Leimkuhler–Matthews.

    X itself remembers its noise. But Y_k = X_k − √(s/2) N_k does not depend on N_k, and
    Y_{k+1} = 2 X_k − s f'(X_k) − Y_k. So Y is Markov, and X_k is Y_k blurred by
    ``gaussian_kernel(x, s / 2, x)``. The density of a step from y to y' is that of
    X_k ~ N(y, s/2) at the root of 2X − s f'(X) = y + y', divided by the slope 2 − s f'' there.

    Raises:
        ValueError: if 2x − s f'(x) does not increase on the grid: it does if s f'' < 2.
    """
    _, gradient = _slopes(energy, x, s)
    reach = 2 * x - s * gradient
    if not (reach.diff() > 0).all():
        raise ValueError(f"s is {s}; it must stay below 2/curvature of the energy on the grid.")
    root = CubicSpline(reach, x)
    total = (x[:, None] + x).clamp(reach[0], reach[-1])
    place, slope = (torch.from_numpy(root(total, order)) for order in (0, 1))
    log_q = (place - x[:, None]).square_().div_(-s).sub_(math.log(math.pi * s) / 2)
    return log_q.exp_().mul_(slope).mul_(x[1] - x[0])


def gaussian_moments(
    mean: float, variance: float, centre: float, sd: float, steps: Iterable[float]
) -> Iterator[tuple[float, float]]:
    """Yield a plain chain's mean and variance on N(μ, σ²), before the first and after every step.

    With μ = centre, σ = sd and a = s/σ²: m ← μ + (1 − a)(m − μ) and v ← (1 − a)² v + 2s.
    """
    mean, variance = number(mean, "mean"), number(variance, "variance", 0)
    centre, sd = number(centre, "centre"), number(sd, "sd", 0, above=True)
    yield mean, variance
    for s in steps:
        keep = 1 - number(s, "s", 0, above=True) / sd**2
        mean, variance = centre + keep * (mean - centre), keep**2 * variance + 2 * s
        yield mean, variance


def law(
    log_p0: Tensor,
    energy: Energy,
    x: Tensor,
    n_steps: int,
    step_size: StepSize,
    *,
    kernel: _Kernel = langevin_kernel,
) -> Tensor:
    """Return the exact law of a chain after every step, log-densities of shape (n_steps + 1, m).

    The law of X_{k+1} is p_{k+1}(y) = ∫ p_k(x) q(y | x) dx, a product with a matrix on the grid.

    Args:
        log_p0: the log-density that the chain starts from, on the grid.
        energy: f, from (m, 1) to (m,).
        x: the grid, finer than √(2s) and wide enough for every step.
        n_steps: how many steps.
        step_size: as for the samplers.
        kernel: gives the transition matrix of any chain that forgets all but its state.

    Raises:
        GridError: if the grid is too narrow or too coarse to lose no more than ``_LOSS``.
    """
    steps = step_sizes(step_size, n_steps)
    return torch.stack(list(iterate_law(log_p0, energy, x, steps, kernel=kernel)))


def iterate_law(
    log_p0: Tensor,
    energy: Energy,
    x: Tensor,
    steps: Iterable[float],
    *,
    kernel: _Kernel = langevin_kernel,
) -> Iterator[Tensor]:
    """Yield the exact law before the first and after every step; otherwise as ``law``."""
    p, known, lost = density(log_p0, x), None, 0.0
    if not callable(kernel):
        raise TypeError(f"kernel is {kernel!r}; it must be a function such as exact.mala_kernel.")
    yield log_p0
    for k, s in enumerate(steps):
        if s != known:
            matrix, known = kernel(energy, x, s), s
            if matrix.shape != (len(x), len(x)):
                raise ValueError(f"kernel has shape {tuple(matrix.shape)}; it must be (m, m) on x.")
            loss = (1 - matrix.sum(1)).abs() * (x[1] - x[0])
        lost += (p @ loss).item()
        if not lost <= _LOSS:
            raise GridError(
                f"x loses a mass of {lost:.1e} by step {k + 1}; the grid must be wide enough for"
                " every step, and finer than √(2s), to hold it."
            )
        p = p @ matrix
        yield p.log()
