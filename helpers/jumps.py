"""Jumps between modes, and the sampler that draws from a finished model: MALA with jumps.

A jump proposes a place whatever the present one, and accepts or rejects it; so it needs a density
that is easily drawn from, and nowhere much smaller than p.
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import gammaincinv
from scipy.stats import ks_2samp
from torch import Tensor
from torch.distributions import MixtureSameFamily

from helpers import chains
from helpers.checks import generator_for, whole
from helpers.data import as_samples
from helpers.densities import Energy, ask, check_alone, watched
from helpers.langevin import energy_and_gradient, mala_step, normal_like
from helpers.rivals import mixture_by_bic, student_fit


class Proposal(NamedTuple):
    """Where jumps may go: a density on particles (n, d) whose draws need a generator alone."""

    log_density: Callable[[Tensor], Tensor]
    """From particles (n, d) to log g, shape (n,)."""
    like: Callable[[Tensor, torch.Generator], Tensor]
    """From particles and a generator to draws of the particles' shape."""


def wide(spread: float = 2.0, *, nu: float = math.inf) -> Proposal:
    """Return N(0, spread² I), or Student's t with ν degrees of freedom, spread times as wide."""

    def log_density(z: Tensor) -> Tensor:
        d, r = z.shape[1], (z / spread).square().sum(1)
        if math.isinf(nu):
            return -r / 2 - d / 2 * math.log(2 * math.pi) - d * math.log(spread)
        constant = math.lgamma((nu + d) / 2) - math.lgamma(nu / 2) - d / 2 * math.log(nu * math.pi)
        return constant - d * math.log(spread) - (nu + d) / 2 * torch.log1p(r / nu)

    def like(z: Tensor, generator: torch.Generator) -> Tensor:
        y = spread * normal_like(z, generator)
        if math.isinf(nu):
            return y
        u = torch.rand(len(z), generator=generator, dtype=torch.float64)
        chi2 = 2 * torch.from_numpy(gammaincinv(nu / 2, u.numpy())).clamp(min=1e-12)
        return y * (nu / chi2).sqrt()[:, None]

    return Proposal(log_density, like)


def defensive(
    mixture: MixtureSameFamily, centre: Tensor, scale: Tensor, nu: float, *, share: float = 0.1
) -> Proposal:
    """Return (1 − share) · mixture + share · ``wide(nu=nu)``, on z = (x − centre)/scale.

    The wide share is the defence: however little the mixture knows of a place, g is not much
    smaller than p there (Hesterberg 1995).

    Args:
        mixture: Gaussians over x, as ``rivals.mixture_by_bic`` returns them.
        centre, scale: shape (d,).
        nu: degrees of freedom of the wide part.
    """
    normals, far = mixture.component_distribution, wide(nu=nu)
    means = (normals.mean - centre) / scale
    factors = normals.scale_tril / scale[:, None]
    whiten = torch.linalg.inv(factors)
    weights = mixture.mixture_distribution.probs * (1 - share)
    norm = factors.diagonal(dim1=1, dim2=2).log().sum(1) + len(scale) / 2 * math.log(2 * math.pi)
    logs = weights.log() - norm

    def log_density(z: Tensor) -> Tensor:
        r = torch.einsum("kij,nkj->nki", whiten, z[:, None] - means).square().sum(-1)
        near = torch.logsumexp(logs - r / 2, 1)
        return torch.logaddexp(near, math.log(share) + far.log_density(z))

    def like(z: Tensor, generator: torch.Generator) -> Tensor:
        j = torch.multinomial(weights, len(z), True, generator=generator)
        y = means[j] + torch.einsum("nij,nj->ni", factors[j], normal_like(z, generator))
        u = torch.rand(len(z), 1, generator=generator, dtype=torch.float64)
        return torch.where(u < share, far.like(z, generator), y)

    return Proposal(log_density, like)


def jump(
    energy: Energy, z: Tensor, *, generator: torch.Generator, proposal: Proposal | None = None
) -> Tensor:
    """Propose a draw of g to every particle, wherever it is, and accept or reject it.

    The independence sampler: z → y with probability min(1, p(y) g(z) / (p(z) g(y))). It leaves
    p ∝ e^{−f} unchanged and carries particles between separate modes (Tierney 1994).

    Args:
        energy: f, from (n, d) to (n,).
        z: particles, shape (n, d).
        generator: the source of randomness.
        proposal: g; None takes N(0, 4 I).

    Returns:
        The particles after the jump, shape (n, d).
    """
    proposal = wide() if proposal is None else proposal
    y = proposal.like(z, generator)
    u = torch.rand(len(z), generator=generator, dtype=z.dtype, device=z.device)
    with torch.no_grad():
        log_ratio = energy(z) - energy(y) + proposal.log_density(z) - proposal.log_density(y)
    return torch.where((u.log() < log_ratio)[:, None], y, z)


def move(
    energy: Energy, z: Tensor, step: float, generator: torch.Generator, proposal: Proposal | None
) -> tuple[Tensor, float]:
    """Make a MALA step and, unless the proposal is None, a jump.

    Returns:
        The particles and the share of accepted MALA steps.
    """
    z, _, _, moved = mala_step(energy, z, *energy_and_gradient(energy, z), step, generator)
    z = jump(energy, z, generator=generator, proposal=proposal) if proposal else z
    return z, moved.double().mean().item()


def sample(
    energy: Energy,
    n: int,
    *,
    data: Tensor | np.ndarray,
    generator: torch.Generator | None = None,
    rounds: int = 100,
) -> Tensor:
    """Draw n samples of p ∝ e^{−f} by MALA with jumps, started at randomly chosen data.

    Each round is one MALA step and one jump for every particle, in standardised units. Jumps are
    proposed by ``defensive``, from the mixture that the BIC chooses for the data. The MALA step is
    steered to 70 % acceptance in the first half of the rounds and kept in the second, which
    therefore leaves p exactly unchanged. Up to 1 000 more particles start far out, by a Cauchy law
    ten times as wide as the data. If in the end they follow another law than those that started at
    the data, or these another than after half the rounds, a UserWarning says so.

    Args:
        energy: f, from (n, d) to (n,), in the data's units.
        n: how many samples.
        data: numbers of shape (m,) or (m, d), for the start, the scale and the jumps.
        generator: as in ``langevin_monte_carlo``.
        rounds: how many rounds; 0 returns the start.

    Returns:
        Samples of shape (n, d), float64.

    Raises:
        TypeError, ValueError: for an argument that is not as above.
        DivergenceError: if the energy or its gradient is not finite where data are.
    """
    data, n, rounds = as_samples(data, "data"), whole(n, "n", 1), whole(rounds, "rounds", 0)
    generator = generator_for(generator, fresh=True)
    centre, scale, nu = student_fit(data)
    proposal = defensive(mixture_by_bic(data), centre, scale, nu)

    def standard(z: Tensor) -> Tensor:
        return ask(energy, centre + scale * z)

    start = data[torch.randint(len(data), (n,), generator=generator)]
    z = (start - centre) / scale
    with watched(energy):
        f, gradient = energy_and_gradient(standard, z)
    check_alone(standard, z, f)
    chains.check_energy(0, centre + scale * z, f, gradient)
    z = torch.cat([z, wide(10.0, nu=1.0).like(z[:1000], generator)])
    step, half = 0.1, z
    for k in range(rounds):
        z, accepted = move(standard, z, step, generator, proposal)
        if k < rounds // 2:
            step, half = step * math.exp(0.1 * (accepted - 0.7)), z
    if not rounds:
        return start
    _warn(rounds, half[:n], z[:n], z[n:])
    return centre + scale * z[:n]


def _warn(rounds: int, half: Tensor, end: Tensor, far: Tensor) -> None:
    """Warn if particles follow another law by the end than at half time or from another start.

    By Kolmogorov and Smirnov's test, at a level of one in a million; and by the number of far ones
    beyond all n others: if m + n follow one law, Pr(k or more) ≤ (k + 1) (m / (m + n))^k.
    """
    doubts = []
    for column, other, before in zip(end.numpy().T, far.numpy().T, half.numpy().T, strict=True):
        k = ((other < column.min()) | (other > column.max())).sum()
        beyond = (k + 1) * (len(far) / (len(far) + len(end))) ** k
        p_value = min(ks_2samp(column, other).pvalue, beyond)
        doubts += [(p_value, "where they start")]
        doubts += [(ks_2samp(column, before).pvalue, "how long they run")]
    p_value, what = min(doubts)
    if p_value < 1e-6 / end.shape[1]:
        warnings.warn(
            f"after rounds = {rounds} the samples still depend on {what}; more rounds may help,"
            " unless e^(-f) has no finite integral or modes that no jump finds.",
            stacklevel=3,
        )
