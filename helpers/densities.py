"""Targets that we know, exact draws from them, and the columns of numbers that we are given.

A target is a ``torch.distributions`` object in one dimension: ``target.log_prob(x)`` is its
log-density. ``energy_of`` turns it into an energy for the samplers.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import gaussian_kde
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


def petal_lengths() -> np.ndarray:
    """Return the 150 petal lengths (cm) of the iris data that scikit-learn carries.

    R. A. Fisher, The Use of Multiple Measurements in Taxonomic Problems, Annals of Eugenics 7
    (1936). Measured to 0.1 cm, three species, two clearly separate groups of lengths.
    """
    from sklearn.datasets import load_iris

    return load_iris().data[:, 2].copy()


def as_samples(samples: np.ndarray | Tensor, name: str = "samples") -> Tensor:
    """Return data as a new float64 tensor of shape (n, d), or say what is wrong with them.

    Args:
        samples: numbers of shape (n,) or (n, d).
        name: what to call them in an error.

    Raises:
        ValueError: if there are fewer than two, a value is not finite, the shape is another,
            or a column is constant.
    """
    x = torch.as_tensor(samples).detach().to("cpu", torch.float64, copy=True)
    x = x.unsqueeze(-1) if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be (n,) or (n, d).")
    if len(x) < 2:
        raise ValueError(f"{name} holds {len(x)} value(s); at least 2 are needed.")
    bad = (~x.isfinite()).any(1).nonzero().flatten()
    if len(bad):
        value = x[bad[0]].tolist()
        raise ValueError(
            f"{name} holds {len(bad)} row(s) with NaN or infinity, the first at index"
            f" {bad[0]}: {value}; every value must be finite."
        )
    if (x == x[0]).all(0).any():
        raise ValueError(f"{name} has a constant column; every column must vary.")
    return x


def load_column(path: str | Path) -> np.ndarray:
    """Read a file with one number a line (CSV or text); the first line may be a heading.

    Returns:
        The numbers, shape (n,), float64.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line is not one finite number, or the numbers are too few or constant.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path is {str(path)!r}; there is no such file.")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    numbers: list[float] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip().rstrip(",;").strip().strip('"')
        try:
            if text:
                numbers.append(float(text))
        except ValueError:
            if number > 1:
                raise ValueError(
                    f"path {str(path)!r} has {text!r} in line {number}; below an optional"
                    " heading every line must hold one number."
                ) from None
    return as_samples(np.array(numbers), f"path {str(path)!r}").flatten().numpy()


def split(samples: Tensor, *, seed: int, held_out: float = 0.2) -> tuple[Tensor, Tensor]:
    """Shuffle samples (n, d) by the seed and return the part to fit and the part held out."""
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    n = round(held_out * len(samples))
    return samples[order[n:]], samples[order[:n]]


def kde_log_density(samples: Tensor, x: Tensor) -> Tensor:
    """Return log of the kernel density estimate (Gaussian kernels, Scott's rule) at x (m,).

    scipy's ``gaussian_kde.logpdf`` sums the kernels as logarithms, so far tails do not underflow.
    """
    return torch.from_numpy(gaussian_kde(samples.flatten().numpy()).logpdf(x.numpy()))
