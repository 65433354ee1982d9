"""What we are given: columns of numbers, their checks, and the baselines of a fit."""

from pathlib import Path

import numpy as np
import torch
from scipy.stats import gaussian_kde
from torch import Tensor


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
