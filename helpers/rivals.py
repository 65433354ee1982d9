"""The rivals: what a user would take who has no energy, and the fits that a recipe starts from.

A kernel density estimate, of Scott's width or of one that is chosen, and a Gaussian mixture whose
size the BIC chooses. None of them enters an energy; the mixture proposes the jumps of its chains.
"""

import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from helpers.checks import number, whole
from helpers.data import as_samples

_MOST = 10_000
"""A mixture is fitted to at most so many samples, taken evenly; more change little but the time."""


def kde_width(samples: np.ndarray | Tensor) -> float:
    """Return the kernel width that gives each sample the largest likelihood under all the others.

    Leave-one-out likelihood (Habbema, Hermans & van den Broek 1974) over 40 widths, from a
    twentieth of Scott's to three times it, in the samples' unit. Where samples are tied, as
    rounded ones are, it may choose the smallest. Scott's width is from the quartiles where they
    say less than the standard deviation.

    Args:
        samples: numbers of shape (n,) or (n, 1).
    """
    x = _column(samples)
    widths = _scott(x, robust=True) * np.geomspace(1 / 20, 3, 40)
    return float(max(widths, key=lambda width: _left_out(x, width)))


def kde_log_density(
    samples: np.ndarray | Tensor, x: Tensor, *, width: float | None = None
) -> Tensor:
    """Return log of the kernel density estimate (1/n) Σ_i N(x; x_i, width²) at x (m,).

    Samples are first rounded to a twentieth of the width, so that 100 000 of them take a second:
    that widens a kernel by a ten-thousandth. Sums are of logarithms: far tails do not underflow.

    Args:
        samples: numbers of shape (n,) or (n, 1).
        x: where, shape (m,).
        width: the kernels' standard deviation; None takes Scott's, sd · n^(−1/5).
    """
    values = _column(samples)
    if x.ndim != 1:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (m,).")
    width = _scott(values) if width is None else number(width, "width", 0, above=True)
    places, counts = _binned(values, width / 20)
    logs = counts.log() - math.log(len(values) * width * math.sqrt(2 * math.pi))
    rows = max(1, 4_000_000 // len(places))
    pieces = [
        torch.logsumexp(logs - ((part[:, None] - places) / width).square() / 2, 1)
        for part in x.split(rows)
    ]
    return torch.cat(pieces)


def kde_widths(samples: np.ndarray | Tensor) -> Tensor:
    """Return kernel widths (d,), that multiple of the sds which cross-validation prefers.

    Of 25 multiples from 0.01 to 1.06 the one under which a fifth of the samples is likeliest, given
    the others; of at most 2 000 samples each fifth in turn.

    Args:
        samples: numbers of shape (n, d).
    """
    x = as_samples(samples)
    sd, fifth = x.std(0), torch.arange(len(x)) % 5
    turns = [(x[fifth == k] / sd, x[fifth != k] / sd) for k in range(5 if len(x) <= 2000 else 1)]

    def likelihood(width: float) -> float:
        gaps = (torch.cdist(part, z) / width for held, z in turns for part in held.split(500))
        logs = torch.cat([torch.logsumexp(-gap.square_() / 2, 1) for gap in gaps])
        return logs.mean().item() - x.shape[1] * math.log(width)

    return max(0.01 * 40 ** (np.arange(25) / 19), key=likelihood) * sd


def _column(samples: np.ndarray | Tensor) -> Tensor:
    """Return samples as a column (n,), or say what is wrong with them."""
    x = as_samples(samples)
    if x.shape[1] != 1:
        raise ValueError(f"samples has shape {tuple(x.shape)}; it must be (n,) or (n, 1).")
    return x[:, 0]


def _scott(x: Tensor, *, robust: bool = False) -> float:
    """Return Scott's kernel width; if robust, from the quartiles where these are narrower."""
    spread = x.std().item()
    if robust:
        low, high = np.quantile(x.numpy(), [0.25, 0.75])
        spread = min(spread, (high - low) / 1.349) if high > low else spread
    return spread * len(x) ** -0.2


def _binned(x: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Return the places of the bins that are not empty, and how many samples each holds."""
    middle = x.median()
    numbers, counts = ((x - middle) / width).round().unique(return_counts=True)
    return middle + numbers * width, counts.double()


def _left_out(x: Tensor, width: float) -> float:
    """Return the mean log-likelihood of each sample under the kernels of all the others."""
    places, counts = _binned(x, width / 10)
    total = 0.0
    for part, count in zip(places.split(500), counts.split(500), strict=True):
        near = (places - part[0] > -38 * width) & (places - part[-1] < 38 * width)
        kernels = (-((part[:, None] - places[near]) / width).square() / 2).exp()
        total += (count @ (kernels @ counts[near] - 1).clamp(min=1e-300).log()).item()
    return total / len(x) - math.log(width)


def student_fit(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return centre (d,), scale (d,) and degrees of freedom ν of Student's t, fitted to x (n, d).

    By maximum likelihood (EM, Lange, Little & Taylor 1989), for ν on a grid and one scale for each
    principal axis of the values; so a correlation is not taken for heavy tails. Where the BIC
    prefers a Gaussian, ν is infinite, and the two are mean and sd. So they are where half the
    values of a column, or along an axis, are one and the same.
    """
    middle = x.median(0).values
    unit = 1.483 * (x - middle).abs().median(0).values
    if x.shape[1] == 1 or not (unit > 0).all():
        return _fit_along(x)
    z = (x - middle) / unit
    signs = torch.nn.functional.normalize(z)
    axes = torch.linalg.eigh(signs.T @ signs).eigenvectors  # those of an ellipse, however it falls
    centre, scale, nu = _fit_along(z @ axes)
    if math.isinf(nu):
        return x.mean(0), x.std(0), nu
    return middle + unit * (axes @ centre), unit * (axes.square() @ scale.square()).sqrt(), nu


def _fit_along(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return what ``student_fit`` does, of values x (n, d) whose axes are the principal ones."""
    n, d = x.shape
    best = (x.mean(0), x.std(0), math.inf)
    widest = x.std(0, correction=0).log().sum().item()
    most = -n * (widest + d / 2 * math.log(2 * math.pi) + d / 2) + math.log(n) / 2
    middle = x.median(0).values
    spread = 1.483 * (x - middle).abs().median(0).values
    if not (spread > 0).all():
        return best
    centre, scale = middle, spread
    for nu in (30.0, 20.0, 15.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.0):
        for _ in range(20):
            weights = (nu + d) / (nu + ((x - centre) / scale).square().sum(1, keepdim=True))
            centre = (weights * x).sum(0) / weights.sum(0)
            scale = (weights * (x - centre).square()).mean(0).sqrt().maximum(spread / 10)
        r = ((x - centre) / scale).square().sum(1)
        constant = math.lgamma((nu + d) / 2) - math.lgamma(nu / 2) - d / 2 * math.log(nu * math.pi)
        each = constant - scale.log().sum() - (nu + d) / 2 * torch.log1p(r / nu)
        if each.sum().item() > most:
            best, most = (centre, scale, nu), each.sum().item()
    return best


def mixture_by_bic(
    samples: np.ndarray | Tensor, *, most: int = 12, patience: int = 3
) -> MixtureSameFamily:
    """Return the Gaussian mixture that the BIC prefers, fitted by scikit-learn's EM.

    From one component on, until ``patience`` more in a row have not lowered the BIC (Schwarz 1978),
    on at most 10 000 of the samples, taken evenly. Parameters have 24 bits, the same on every
    processor.

    Args:
        samples: numbers of shape (n,) or (n, d).
        most: the largest number of components.
        patience: three may stop early where many components lie along a curve; ``most`` tries all.

    Returns:
        A distribution over d dimensions: ``log_prob`` takes x of shape (m, d).
    """
    x, most = as_samples(samples), whole(most, "most", 1)
    patience = whole(patience, "patience", 1)
    centre, scale, _ = student_fit(x)
    z = ((x - centre) / scale)[:: math.ceil(len(x) / _MOST)].numpy()
    fits: list[tuple[float, GaussianMixture]] = []
    for k in range(1, min(most, max(1, len(z) // 10)) + 1):
        fit = GaussianMixture(k, reg_covar=1e-6, max_iter=200, random_state=0)
        with warnings.catch_warnings(), threadpool_limits(1):  # threads would wait for one another
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit.fit(z)
        fits.append((fit.bic(z), fit))
        if min(range(k), key=lambda j: fits[j][0]) < k - patience:
            break
    _, fit = min(fits, key=lambda pair: pair[0])
    weights, means, factors = (
        torch.from_numpy(v).float().double()
        for v in (fit.weights_, fit.means_, np.linalg.cholesky(fit.covariances_))
    )
    components = MultivariateNormal(
        centre + scale * means, scale_tril=scale[:, None] * factors, validate_args=False
    )
    return MixtureSameFamily(Categorical(weights), components, validate_args=False)
