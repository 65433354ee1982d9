"""What several tests use: energies, samplers, starts, and a generator of one's own."""

import pytest
import torch
from torch import Tensor

from helpers import images
from helpers.densities import Energy, gaussian
from helpers.exact import grid
from helpers.langevin import langevin_monte_carlo, leimkuhler_matthews, mala

N = 40_000
SAMPLERS = pytest.mark.parametrize("sampler", [langevin_monte_carlo, leimkuhler_matthews, mala])
CORRELATED = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
PRECISION = CORRELATED.inverse()
X = grid(-12, 12, 1201)
CENTRED = gaussian(0.0, 1.0).log_prob(X)
"""log N(0, 1) on X."""
DIGITS = images.dequantised(images.digits()[0], generator=torch.Generator().manual_seed(0))
WHITE = images.Whitening(DIGITS)


def quadratic(mean: float, sd: float, constant: float = 0.0) -> Energy:
    """Return the energy |x − mean|²/(2 sd²) + constant."""
    return lambda x: ((x - mean) ** 2).sum(-1) / (2 * sd**2) + constant


def correlated(x: Tensor) -> Tensor:
    """Return the energy of the two-dimensional N(0, CORRELATED)."""
    return 0.5 * (x @ PRECISION * x).sum(-1)


def seeded(seed: int = 0) -> torch.Generator:
    """Return a generator of its own for one test."""
    return torch.Generator().manual_seed(seed)


def starts(n: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return n different particles of shape (n, 1)."""
    return torch.linspace(-1, 2, n, dtype=dtype).unsqueeze(-1)


def covariance_is(x: Tensor, expected: Tensor) -> bool:
    """Compare a Gaussian cloud's: entry ij has standard error √((σ_ii σ_jj + σ_ij²)/n)."""
    diagonal = expected.diagonal()
    error = ((diagonal[:, None] * diagonal + expected**2) / len(x)).sqrt()
    return bool(((x.T.cov() - expected).abs() < 5 * error).all())


def uneven(z: Tensor) -> Tensor:
    """Return an energy of whitened images that is no Gaussian's."""
    return z.square().sum(1) / 2 + 2 * z.sin().sum(1)
