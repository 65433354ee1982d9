"""The referee in two dimensions: quadrature on a grid, and the exact law of a chain in the plane.

A law is its log-density on a ``_Grid`` of m × m points, a tensor (m, m). Integrals are sums over
the points times the area of a cell: as accurate as on a line where densities are smooth and vanish
at the edges. What a grid cuts off, or is too coarse for, is refused.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor

from helpers.checks import number, whole
from helpers.densities import Energy, ask
from helpers.exact import line
from helpers.langevin import energy_and_gradient


class _Grid(NamedTuple):
    """The points (x_i, x_j): ``axis`` (m,), all ``points`` (m², 2), and the area of a ``cell``."""

    axis: Tensor
    points: Tensor
    cell: float


class _Step(NamedTuple):
    """A step of a chain: ``apply`` takes p (m, m) to the next; ``lost`` (m, m) the grid loses."""

    apply: Callable[[Tensor], Tensor]
    lost: Tensor


def grid(reach: float, m: int = 101) -> _Grid:
    """Return the grid of m × m points, 11 ≤ m ≤ 251, from −reach to reach on both axes."""
    reach, m = number(reach, "reach", 0, above=True), whole(m, "m", 11, 251)
    axis = line.grid(-reach, reach, m)
    return _Grid(axis, torch.cartesian_prod(axis, axis), (2 * reach / (m - 1)) ** 2)


def log_density(energy: Energy, on: _Grid) -> tuple[Tensor, float]:
    """Return log p = −f − log Z on the grid, and log Z; a GridError if the grid cannot hold p."""
    with torch.no_grad():
        parts = [ask(energy, part.clone()).double() for part in on.points.split(2000)]
    return _normalised(torch.cat(parts), on)


def _normalised(f: Tensor, on: _Grid) -> tuple[Tensor, float]:
    """Return what ``log_density`` does, from the energies (m²,) of the grid's points."""
    log_z = torch.logsumexp(-f, 0).item() + math.log(on.cell)
    if not math.isfinite(log_z):
        raise ValueError(f"energy gives log Z = {log_z} on the grid; it must be finite.")
    log_p = (-f - log_z).reshape(len(on.axis), -1)
    _check(log_p, on)
    return log_p, log_z


def _density(log_p: Tensor, on: _Grid) -> Tensor:
    shape = (len(on.axis), len(on.axis))
    if log_p.shape != shape:
        raise ValueError(f"a log-density has shape {tuple(log_p.shape)}; it must be {shape}.")
    mass = log_p.exp().sum().item() * on.cell
    if not abs(mass - 1) <= 1e-5:
        raise ValueError(f"a log-density has the mass {mass:.6g} on the grid; it must be 1.")
    return log_p.exp()


def _check(log_p: Tensor, on: _Grid) -> Tensor:
    """Return p, or raise unless every second point on both axes gives a mass of 1 ± 0.01."""
    p, outside = _density(log_p, on), min(_outside(log_p, on), 1.0)
    if not outside <= 1e-5:
        raise line.GridError(f"the grid cuts off about {outside:.0e} of the density; widen it.")
    quarters = [4 * on.cell * p[i::2, j::2].sum().item() - 1 for i in (0, 1) for j in (0, 1)]
    if not max(map(abs, quarters)) <= 0.01:
        h = on.cell**0.5
        raise line.GridError(f"the grid's spacing, {h:.3g}, is too coarse; take a finer grid.")
    return p


def _outside(log_p: Tensor, on: _Grid) -> float:
    """Return about how much of p lies off the grid: at its ends the marginals go on falling."""
    ends = torch.stack([end for log_q in marginals(log_p, on) for end in (log_q, log_q.flip(0))])
    slopes = (ends[:, 1] - ends[:, 0]).nan_to_num() / on.cell**0.5
    return (ends[:, 0].exp() / slopes.clamp(min=1 / on.axis[-1].item())).sum().item()


def marginals(log_p: Tensor, on: _Grid) -> tuple[Tensor, Tensor]:
    """Return the log-densities of the two coordinates, each (m,): laws for the line's referee."""
    log_h = math.log(on.cell) / 2
    return torch.logsumexp(log_p, 1) + log_h, torch.logsumexp(log_p, 0) + log_h


def kl(log_p: Tensor, log_q: Tensor, on: _Grid) -> float:
    """Return KL(p ‖ q) in nats."""
    p, _ = _check(log_p, on), _density(log_q, on)
    return (torch.where(p == 0, 0.0, p * (log_p - log_q)).sum() * on.cell).item()


def entropy(log_p: Tensor, on: _Grid) -> float:
    """Return −∫ p log p dx in nats: the least NLL that any model can have."""
    return (torch.special.entr(_check(log_p, on)).sum() * on.cell).item()


def moments(log_p: Tensor, on: _Grid) -> tuple[Tensor, Tensor]:
    """Return the mean (2,) and the covariance (2, 2) of a law."""
    p = _density(log_p, on).flatten() * on.cell
    mean = p @ on.points
    return mean, ((on.points - mean).T * p) @ (on.points - mean)


def gaussian_step(means: Tensor, variance: float, on: _Grid) -> _Step:
    """Return the step from each grid point i to N(means[i], variance · I), means (m², 2).

    The noise is isotropic, so its density is a product, and p_{k+1} = G₁ᵀ diag(p_k) G₂, where
    G₁[i, a] = N(x_a; means[i, 0], variance) and G₂[i, b] = N(x_b; means[i, 1], variance): exact for
    any drift, for a spacing up to 0.75 √variance. Densities below e^−230 are raised to that. At
    101² a step takes 5 ms, and G₁ and G₂ 16 MB; at 201² 80 ms and 130 MB.
    """
    variance, m = number(variance, "variance", 0, above=True), len(on.axis)
    if means.shape != (m * m, 2):
        raise ValueError(f"means have shape {tuple(means.shape)}; they must be {(m * m, 2)}.")
    logs = ((on.axis - mean[:, None]).square_().div_(-2 * variance) for mean in means.T)
    scale = math.sqrt(on.cell / (2 * math.pi * variance))
    G1, G2 = (log.clamp_(min=-230).exp_().mul_(scale) for log in logs)
    lost = (1 - G1.sum(1) * G2.sum(1)).abs().reshape(m, m)
    parts = list(zip(G1.split(1024), G2.split(1024), strict=True))

    def apply(p: Tensor) -> Tensor:
        new = p.new_zeros(m, m)
        for w, (g1, g2) in zip(p.clamp(min=1e-100).reshape(-1, 1).split(1024), parts, strict=True):
            new.addmm_(g1.T, w * g2)
        return new

    return _Step(apply, lost)


def langevin_step(energy: Energy, s: float, on: _Grid) -> _Step:
    """Return the plain Langevin step of size s: from x to N(x − s ∇ₓf(x), 2s I)."""
    s = number(s, "s", 0, above=True)
    return gaussian_step(on.points - s * energy_and_gradient(energy, on.points)[1], 2 * s, on)


def mala_step(energy: Energy, s: float, on: _Grid) -> _Step:
    """Return the MALA step of size s: a sparse matrix, as a move ends within 6.5 √(2s) of its mean.

    What is proposed off the grid counts as lost, as far as it might be accepted there. At 61² and
    s = 0.02 it takes 0.2 s to make, 1 ms a step and 20 MB; at 101² 1.5 s, 15 ms and 160 MB.

    Raises:
        ValueError: if it would have more than 2e7 entries.
    """
    s, m = number(s, "s", 0, above=True), len(on.axis)
    entries = m * m * min(m * m, 2 * math.pi * 6.5**2 * s / on.cell)
    if not entries <= 2e7:
        raise ValueError(f"MALA's matrix would have {entries:.1e} entries; take a coarser grid.")
    f, gradient = energy_and_gradient(energy, on.points)
    log_p, _ = _normalised(f, on)
    means, height, parts, held = on.points - s * gradient, on.cell / (4 * math.pi * s), [], []
    for rows in torch.arange(m * m).split(m):
        a, b = ((on.axis - mean[:, None]).square() / (4 * s) for mean in means[rows].T)
        near = (a < 6.5**2 / 2).any(0).nonzero().flatten()
        there = a[:, near, None] + b[:, None]
        row, *to = (there < 6.5**2 / 2).nonzero(as_tuple=True)
        i, j, there = rows[row], near[to[0]] * m + to[1], there[row, *to]
        back = (on.points[i] - means[j]).square().sum(1) / (4 * s) + f[j] - f[i]
        flow = (-torch.maximum(there, back)).exp().numpy() * height
        parts.append(csr_array((flow, (row.int(), j.int())), (len(rows), m * m)))
        held.append(torch.zeros(len(rows)).double().index_add(0, row, (-there).exp() * height))
    moves = vstack(parts, format="csr")
    stay = torch.from_numpy(1 - moves.sum(1)).reshape(m, m)
    accepted = _outside(log_p, on) / (4 * math.pi * s) * (-log_p).exp()
    lost = (1 - torch.cat(held).reshape(m, m)).abs().minimum(accepted)
    lost += 4 * math.exp(-4 * math.pi**2 * s / on.cell)  # the error of sums so far apart
    return _Step(
        lambda p: torch.from_numpy(p.flatten().numpy() @ moves).reshape(m, m) + stay * p, lost
    )


def jump_step(energy: Energy, log_g: Callable[[Tensor], Tensor], on: _Grid) -> _Step:
    """Return the jump that proposes a draw of g, whatever the place, by sorting w = p/g.

    From x it accepts y with min(1, w_y/w_x), a sum over those below and those above in the order.
    """
    log_p, log_q = log_density(energy, on)[0].flatten(), log_g(on.points)
    log_w, order = (log_p - log_q).sort()
    w, g = (log_w - log_w[-1]).clamp(min=-600).exp(), log_q[order].exp() * on.cell
    accepted = g.flip(0).cumsum(0).flip(0) + ((g * w).cumsum(0) - g * w) / w
    off, m = _outside(log_p.reshape(len(on.axis), -1), on), len(on.axis)
    lost = (1 - g.sum()).abs().minimum(off * (log_q - log_p).exp()).reshape(m, m)

    def apply(p: Tensor) -> Tensor:
        q, new = p.flatten()[order], torch.empty(m * m, dtype=torch.float64)
        above = (q / w).flip(0).cumsum(0).flip(0) - q / w
        new[order] = g * (q.cumsum(0) + w * above) + (1 - accepted) * q
        return new.reshape(m, m)

    return _Step(apply, lost)


def law(log_p0: Tensor, steps: _Step | list[_Step], n_steps: int, on: _Grid) -> Iterator[Tensor]:
    """Yield the law before the first and after each of n_steps rounds of one step, or of several.

    Raises:
        GridError: if the grid is too narrow or too coarse to lose less than 1e-6, all in all.
    """
    p, lost = _density(log_p0, on), 0.0
    yield log_p0
    for k in range(whole(n_steps, "n_steps", 0)):
        for step in [steps] if isinstance(steps, _Step) else steps:
            lost += (p * step.lost).sum().item() * on.cell
            p = step.apply(p)
        if not lost <= 1e-6:
            raise line.GridError(
                f"the grid loses a mass of {lost:.1e} by step {k + 1}; it must be wide enough for"
                " every step, with a spacing of at most 0.75 √(2s), to hold it."
            )
        yield p.log()
