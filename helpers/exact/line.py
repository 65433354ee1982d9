"""The referee: in one dimension everything can be computed, by quadrature on a grid.

A grid x is an evenly spaced float64 tensor of shape (m,) from ``grid``. A law on it is given by
its log-density everywhere, a tensor of shape (m,), or (…, m) for many; one that does not integrate
to 1 is refused. Integrals are trapezoid sums, which for smooth densities that vanish at both ends
are accurate far beyond the digits that we print. Logarithms are natural, so KL is in nats.
"""

import math

import numpy as np
import torch
from torch import Tensor

from helpers.checks import generator_for, number, whole
from helpers.data import as_samples
from helpers.densities import Energy, ask, check_alone, watched
from helpers.langevin import energy_and_gradient

_CUT_OFF = 1e-9
"""The largest probability that a grid may leave outside."""

_SLACK = 1e-5
"""How far the mass of a law on the grid may be from 1."""


class GridError(ValueError):
    """A grid is too narrow or too coarse for the law that it should hold."""


def grid(low: float, high: float, n: int = 2001) -> Tensor:
    """Return n evenly spaced points from low to high, shape (n,), float64."""
    low, high, n = number(low, "low"), number(high, "high"), whole(n, "n", 3)
    if not low < high:
        raise ValueError(f"low, high are {low:g}, {high:g}; they must be low < high.")
    return torch.linspace(low, high, n, dtype=torch.float64)


def check_grid(x: Tensor) -> None:
    """Raise unless x is a grid."""
    if not (isinstance(x, Tensor) and x.ndim == 1 and len(x) > 2 and x.dtype == torch.float64):
        kind = isinstance(x, Tensor) and f"a tensor of shape {tuple(x.shape)}, {x.dtype}"
        raise TypeError(
            f"x is {kind or type(x).__name__}; it must be a grid (m,), as exact.grid makes it."
        )
    least, most = (gap.item() for gap in x.diff().aminmax())
    if not 0 < least <= most <= 1.001 * least:
        raise ValueError(
            f"x has spacings from {least:.3g} to {most:.3g}; it must be a grid, evenly spaced and"
            " ascending, as exact.grid makes it."
        )


def energies(energy: Energy, x: Tensor) -> Tensor:
    """Return f on the grid, (m,), where it may be +∞; what it may be besides is a number."""
    check_grid(x)
    with watched(energy):
        f = ask(energy, x.unsqueeze(-1).clone())
    if not math.isfinite(f.min().item()):
        bad = (f > -math.inf).logical_not().nonzero().flatten().tolist()
        came = f"{f[bad[0]].item()} at x = {x[bad[0]]:.4g}" if bad else "inf on the whole grid"
        raise ValueError(f"energy is {came}; it must be a number, or inf where the density is 0.")
    if not f.requires_grad:  # when training, time counts
        check_alone(energy, x.unsqueeze(-1), f)
    return f.to(x.dtype)


def integrate(values: Tensor, x: Tensor) -> Tensor:
    """Return ∫ values dx over the last axis by the trapezoid rule."""
    return torch.trapezoid(values, x)


def log_partition(energy: Energy, x: Tensor, *, restricted: bool = False) -> Tensor:
    """Return log Z = log ∫ e^{−f(x)} dx, a scalar through which autograd reaches f's parameters.

    Args:
        energy: f, from (m, 1) to (m,).
        x: the grid.
        restricted: take the integral over the grid alone, whatever lies outside.

    Raises:
        ValueError: if the grid cuts off more than ``_CUT_OFF`` of the mass that it sees or is far
            too coarse for it, unless restricted, or the energy is none (see ``densities.ask``).
    """
    return _normalised(energy, x, restricted)[1]


def _normalised(energy: Energy, x: Tensor, restricted: bool) -> tuple[Tensor, Tensor]:
    """Return log p_θ on the grid and log Z; otherwise as ``log_partition``."""
    f, weights = energies(energy, x), torch.full_like(x, (x[1] - x[0]).item())
    weights[[0, -1]] /= 2
    log_z = torch.logsumexp(-f + weights.log(), 0)
    log_p = -f.detach() - log_z.detach()
    if not restricted:
        _check_tails(log_p, x)
        check_spacing(log_p, x, 0.05)
        if not f.requires_grad:
            _check_peak(log_p, x)
    return log_p, log_z


def log_density(energy: Energy, x: Tensor, *, restricted: bool = False) -> Tensor:
    """Return log p_θ = −f − log Z on the grid; arguments and errors as in ``log_partition``."""
    with torch.no_grad():
        return _normalised(energy, x, restricted)[0]


def outer_slopes(energy: Energy, *, far: float = 1e4) -> tuple[float, float]:
    """Return how steeply f rises outwards at −far and at far.

    Units: energy per unit of x. Where f is linear beyond ±far, as a LeakyReLU network is, Z < ∞
    if and only if both are positive; for other tails the two numbers decide nothing.
    """
    ends = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) * number(far, "far", 0, above=True)
    with watched(energy):
        _, slope = energy_and_gradient(energy, ends)
    return -slope[0].item(), slope[1].item()


def moments(log_p: Tensor, x: Tensor) -> tuple[float, float]:
    """Return the mean and the standard deviation of a law on the grid."""
    p = density(log_p, x)
    mean = integrate(p * x, x)
    return mean.item(), integrate(p * (x - mean) ** 2, x).sqrt().item()


def nll(samples: Tensor, energy: Energy, x: Tensor) -> float:
    """Return −(1/N) Σ log p_θ(x_i) of samples (N, 1) in nats: the mean energy plus log Z."""
    samples = _column(samples)
    with torch.no_grad():
        return (log_partition(energy, x) + ask(energy, samples).mean()).item()


def _column(samples: np.ndarray | Tensor) -> Tensor:
    """Return samples in one dimension as a new tensor (n, 1), or say what is wrong with them."""
    samples = as_samples(samples, varied=False)
    if samples.shape[1] != 1:
        raise ValueError(f"samples has shape {tuple(samples.shape)}; it must be (n,) or (n, 1).")
    return samples


def kl(log_p: Tensor, log_q: Tensor, x: Tensor) -> float:
    """Return KL(p ‖ q) = ∫ p (log p − log q) dx in nats; where p = 0 the integrand is 0.

    Raises:
        ValueError: if one of them is not the log-density of a law that the grid holds, or the
            grid cuts off more than ``_CUT_OFF`` of p.
    """
    _check_held(log_p, x)
    p, _ = density(log_p, x), density(log_q, x, peaked=True)
    return integrate(torch.where(p == 0, 0.0, p * (log_p - log_q)), x).item()


def cdf(log_p: Tensor, x: Tensor) -> Tensor:
    """Return the distribution functions of laws (…, m) on the grid, scaled to end at 1."""
    mass = torch.cumulative_trapezoid(density(log_p, x, many=True), x)
    return torch.cat([torch.zeros_like(mass[..., :1]), mass / mass[..., -1:]], -1)


def w1(samples: np.ndarray | Tensor, log_p: Tensor, x: Tensor) -> float:
    """Return the 1-Wasserstein distance W₁ = ∫ |F_n(x) − F(x)| dx of samples to a law.

    Args:
        samples: shape (n,) or (n, 1); those beyond the grid count in full.
        log_p: the law on the grid.
        x: the grid; W₁ comes in the same unit.

    Raises:
        ValueError: if the grid cuts off mass of the law, or samples are not as above.
    """
    _check_held(log_p, x)
    return w1_of_rows(_column(samples).T, log_p, x).item()


def w1_of_rows(samples: Tensor, log_p: Tensor, x: Tensor) -> Tensor:
    """Return the W₁ of each row of samples (rows, n) to one law on the grid, shape (rows,).

    F_n is averaged over each grid point's cell, so that no sample's last digit makes it jump.
    """
    check_grid(x)
    ordered, h = samples.sort().values, x[1] - x[0]
    edges = torch.cat([x - h / 2, x[-1:] + h / 2]).expand(len(ordered), -1).contiguous()
    below = torch.searchsorted(ordered, edges, right=True)
    sums = torch.nn.functional.pad(ordered.cumsum(1), (1, 0))
    area = (below * edges - sums.gather(1, below)) / ordered.shape[1]  # ∫ F_n dx up to each edge
    beyond = (x[0] - ordered).clamp(min=0).mean(1) + (ordered - x[-1]).clamp(min=0).mean(1)
    return integrate((area.diff() / h - cdf(log_p, x)).abs(), x) + beyond


def w1_of_laws(log_p: Tensor, log_q: Tensor, x: Tensor) -> Tensor:
    """Return W₁ between laws (…, m) and (m,) on the same grid, in the grid's unit, shape (…)."""
    return integrate((cdf(log_p, x) - cdf(log_q, x)).abs(), x)


def perfect_draws(log_p: Tensor, x: Tensor, n: int, *, generator: torch.Generator) -> Tensor:
    """Draw n samples of shape (n, 1) from the law on the grid, by its inverse CDF."""
    _check_shape(log_p, x)
    n, generator = whole(n, "n", 1), generator_for(generator)
    u = torch.rand(n, generator=generator, dtype=torch.float64)
    draws = np.interp(u.numpy(), cdf(log_p.detach(), x).numpy(), x.numpy())
    return torch.from_numpy(draws).unsqueeze(-1)


def w1_floor(
    log_p: Tensor, x: Tensor, n: int, *, generator: torch.Generator, repeats: int = 100
) -> Tensor:
    """Return W₁ of n perfect draws to their own law, ``repeats`` times, sorted, (repeats,)."""
    times = range(whole(repeats, "repeats", 1))
    values = [w1(perfect_draws(log_p, x, n, generator=generator), log_p, x) for _ in times]
    return torch.tensor(values, dtype=torch.float64).sort().values


def mean_w1(log_p: Tensor, x: Tensor, n: int) -> float:
    """Return √(2/πn) ∫ √(F(1 − F)) dx, which the mean W₁ of n perfect draws approaches."""
    _check_shape(log_p, x)
    F, n = cdf(log_p, x), whole(n, "n", 1)
    root = integrate((F * (1 - F)).clamp(min=0).sqrt(), x)
    return math.sqrt(2 / (math.pi * n)) * root.item()


def density(log_p: Tensor, x: Tensor, *, many: bool = False, peaked: bool = False) -> Tensor:
    """Return the density of a law (m,) on the grid, or of many (…, m), or say that it is none.

    A law that is ``peaked`` may have a peak that is narrower than the spacing.
    """
    _check_shape(log_p, x, many)
    p = log_p.exp()
    mass = integrate(p, x)
    if not ((mass - 1).abs() <= _SLACK).all():
        wrong = mass.flatten()[((mass - 1).abs() <= _SLACK).flatten().logical_not()][0]
        raise ValueError(
            f"a log-density integrates to {wrong:.6g} on x = [{x[0]:.4g}, {x[-1]:.4g}]; it must be"
            " the logarithm of a density, normalised, on a grid that holds it and is fine enough."
        )
    if not peaked:
        _check_peak(log_p, x)
    return p


def _check_shape(log_p: Tensor, x: Tensor, many: bool = False) -> None:
    """Raise unless x is a grid and log_p a tensor of shape (m,), or of (…, m)."""
    check_grid(x)
    shape = tuple(log_p.shape) if isinstance(log_p, Tensor) else type(log_p).__name__
    if shape != tuple(x.shape) and not (many and shape[-1:] == tuple(x.shape)):
        allowed = f"(…, {len(x)})" if many else f"({len(x)},)"
        raise ValueError(f"a log-density has shape {shape}; it must be {allowed}.")
    if log_p.dtype != x.dtype:
        raise ValueError(f"a log-density has type {log_p.dtype}; it must be {x.dtype}.")


def _check_peak(log_p: Tensor, x: Tensor) -> None:
    """Raise if a law has a smooth peak narrower than 0.65 h; an atom in one cell is none."""
    top = log_p.argmax().item() if log_p.ndim == 1 else 0
    bends = log_p[top - 2 : top + 3].diff(n=2) if top > 1 else ()
    if len(bends) == 3 and (bends < -2.4).all():
        raise GridError(f"x has a spacing of {x[1] - x[0]:.3g}, too coarse for the density.")


def check_spacing(log_p: Tensor, x: Tensor, most: float) -> None:
    """Raise unless every second point of the grid gives a density's mass of 1, but for so much."""
    if not abs(integrate(log_p[::2].exp(), x[::2]).item() - 1) <= most:
        raise GridError(f"x has a spacing of {x[1] - x[0]:.3g}, too coarse for the density.")


def outside(log_p: Tensor, x: Tensor) -> tuple[float, float]:
    """Return about how much of a log-density lies left and right of the grid.

    Beyond each end the density is continued as an exponential with the slope that it has there.
    """
    h, tails = (x[1] - x[0]).item(), []
    for end, inner in ((log_p[0].item(), log_p[1].item()), (log_p[-1].item(), log_p[-2].item())):
        slope = (inner - end) / h
        beyond = math.exp(end) / slope if slope > 0 else math.inf
        tails.append(0.0 if end == -math.inf else beyond)
    return tails[0], tails[1]


def _check_held(log_p: Tensor, x: Tensor) -> None:
    """As ``_check_tails``; but nothing lies outside of a law whose mass on the grid is 1."""
    _check_shape(log_p, x)
    excess = integrate(log_p.exp(), x).item() - 1
    if excess <= _SLACK and not abs(excess) <= _CUT_OFF:
        _check_tails(log_p, x)


def _check_tails(log_p: Tensor, x: Tensor) -> None:
    """Raise if a normalised log-density leaves more than ``_CUT_OFF`` outside the grid."""
    for end, beyond in zip(("left", "right"), outside(log_p, x), strict=True):
        if not beyond <= _CUT_OFF:
            raise ValueError(
                f"x = [{x[0]:.4g}, {x[-1]:.4g}] cuts off about {beyond:.1e} of the density on the"
                f" {end}; the grid must be wide enough to leave less than {_CUT_OFF:.0e} outside."
            )
