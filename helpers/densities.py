"""Targets that we know, and exact draws from them.

A target is a ``torch.distributions`` object in one dimension: ``target.log_prob(x)`` is its
log-density. ``energy_of`` turns it into an energy for the samplers.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal

Energy = Callable[[Tensor], Tensor]
"""Any callable from particles of shape (n, d) to energies of shape (n,)."""


def gaussian(mean: float, sd: float) -> Normal:
    """Return N(mean, sd²) in float64."""
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(sd, dtype=torch.float64))


def mixture(weights: list[float], means: list[float], sds: list[float]) -> MixtureSameFamily:
    """Return the mixture Σ_j weights[j] · N(means[j], sds[j]²) in float64."""
    as_tensor = [torch.tensor(values, dtype=torch.float64) for values in (weights, means, sds)]
    return MixtureSameFamily(Categorical(as_tensor[0]), Normal(*as_tensor[1:]))


def energy_of(target: Distribution) -> Energy:
    """Return the energy f(x) = −log p(x) of a one-dimensional target; its Z is 1."""
    return lambda x: -target.log_prob(x).sum(-1)


def draw(target: Normal | MixtureSameFamily, n: int, *, generator: torch.Generator) -> Tensor:
    """Draw n exact, independent samples from a Gaussian or a mixture of Gaussians.

    ``torch.distributions`` draws from the global random state only; this takes a generator.

    Returns:
        Samples of shape (n, 1), float64.
    """
    if isinstance(target, MixtureSameFamily):
        j = torch.multinomial(target.mixture_distribution.probs, n, True, generator=generator)
        normal = target.component_distribution
        mean, sd = normal.loc[j], normal.scale[j]
    else:
        mean, sd = target.loc, target.scale
    return (mean + sd * torch.randn(n, generator=generator, dtype=torch.float64)).unsqueeze(-1)


def uniform(low: float, high: float, n: int, *, generator: torch.Generator) -> Tensor:
    """Draw n starting particles of shape (n, 1) from U(low, high), float64."""
    return low + (high - low) * torch.rand(n, 1, generator=generator, dtype=torch.float64)
