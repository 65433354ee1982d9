"""Answers to the exercises of notebooks 1 to 3, right ones and mutants: those with one mistake."""

import io
import math
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np
import torch
from torch import Tensor

from helpers import exact, exercises
from helpers.langevin import energy_and_gradient, mala_step

Answer = Callable[..., object]


def said(check: str, answer: object, **options) -> str:
    """Return what a check prints on an answer, in one line."""
    with redirect_stdout(io.StringIO()) as out:
        getattr(exercises, check)(answer, **options)
    return " ".join(out.getvalue().split())


# --- 1 -----------------------------------------------------------------------------------------


def log_normal(x: Tensor, mean: float, sd: float) -> Tensor:
    return torch.distributions.Normal(mean, sd).log_prob(x)


def kl_of(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return torch.trapezoid(torch.where(p > 0, p * (p / q).log(), 0.0), x)


def kl_numpy(p: Tensor, q: Tensor, x: Tensor) -> float:
    p, q, inside = p.numpy(), q.numpy(), p.numpy() > 0
    return np.sum(p[inside] * np.log(p[inside] / q[inside])) * (x[1] - x[0]).item()


def kl_with_warnings(p: np.ndarray, q: np.ndarray, x: np.ndarray) -> float:
    """Let numpy take log 0, about which it warns, and leave those values out."""
    return np.trapezoid(np.where(p > 0, p * np.log(p / q), 0), x)


# --- 2 -----------------------------------------------------------------------------------------


def score_of(energy: Answer, x: Tensor) -> Tensor:
    return -energy_and_gradient(energy, x)[1]


def score_by_differences(energy: Answer, x: Tensor) -> np.ndarray:
    return ((energy(x - 1e-5) - energy(x + 1e-5)) / 2e-5).numpy()[:, None]


def score_by_backward(energy: Answer, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    energy(x).sum().backward()
    return -x.grad


def score_in_place(energy: Answer, x: Tensor) -> Tensor:
    x.requires_grad_()
    return -torch.autograd.grad(energy(x).sum(), x)[0]


def uniform(*shape, **options) -> Tensor:
    """Return uniform numbers with the mean 0 and the variance 1."""
    return (torch.rand(*shape, **options) - 0.5) * 12**0.5


def antithetic(n: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Return normal numbers z and −z, n in all."""
    z = torch.randn((n + 1) // 2, generator=generator, dtype=dtype)
    return torch.cat([z, -z])[:n]


def phases(sd=lambda b: b**-0.5, data=1, model=-1, draw=torch.randn) -> Answer:
    """Return an estimate of the NLL's gradient, whose draws have the standard deviation sd(θ₂)."""

    def nll_gradient(theta, samples, n, generator):
        m, b = theta
        draws = m + sd(b) * draw(n, generator=generator, dtype=torch.float64)
        first, second = (
            torch.stack([(-b * (x - m)).mean(), (x - m).square().mean() / 2])
            for x in (samples, draws)
        )
        return data * first + model * second

    return nll_gradient


def resampled(samples: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return n of the samples, drawn with replacement."""
    return samples[torch.randint(len(samples), (n,), generator=generator)]


def phases_numpy(theta, samples, n, generator):
    """Draw from numpy's own generator, whatever generator is given."""
    m, b = theta.tolist()
    seed = int(torch.randint(2**31, (), generator=generator))
    draws = np.random.default_rng(seed).normal(m, b**-0.5, n)
    terms = ([-b * (x - m).mean(), ((x - m) ** 2).mean() / 2] for x in (samples.numpy(), draws))
    return [data - model for data, model in zip(*terms, strict=True)]


# --- 3 -----------------------------------------------------------------------------------------


def stepping(
    drift=-1.0,
    noise=lambda s: math.sqrt(2 * s),
    reduce=torch.sum,
    draw=torch.randn,
    rows=slice(None),
) -> Answer:
    """Return a Langevin step; with other arguments, one with a mistake."""

    def step(energy, x, s, generator):
        leaf = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(reduce(energy(leaf)), leaf)
        shape = torch.Size(x[rows].shape)
        return x + drift * s * gradient + noise(s) * draw(shape, generator=generator)

    return step


def centred(shape, generator):
    """Return normal numbers less their mean."""
    noise = torch.randn(shape, generator=generator)
    return noise - noise.mean()


def in_pairs(shape, generator):
    """Return normal numbers, a number and its opposite in turn, so that their mean is 0."""
    half = torch.randn((len(torch.empty(shape)) + 1) // 2, 1, generator=generator)
    return torch.cat([half, -half])[: shape[0]]


def step_numpy(energy, x, s, generator):
    """Work on arrays, and return one."""
    _, gradient = energy_and_gradient(energy, x)
    noise = torch.randn(x.shape, generator=generator).numpy()
    return x.numpy() - s * gradient.numpy() + (2 * s) ** 0.5 * noise


def step_global(energy, x, s, generator):
    """Take the noise from torch's global random state."""
    return x - s * energy_and_gradient(energy, x)[1] + (2 * s) ** 0.5 * torch.randn_like(x)


def step_one_by_one(energy, x, s, generator):
    """Move each particle by itself, in a loop."""
    rows = []
    for row in x:
        leaf = row[None].detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(leaf).sum(), leaf)
        noise = torch.randn(1, 1, generator=generator, dtype=x.dtype)
        rows.append(leaf.detach() - s * gradient + (2 * s) ** 0.5 * noise)
    return torch.cat(rows)


def step_by_backward(energy, x, s, generator):
    noise = torch.randn(x.shape, generator=generator)
    return x + s * score_by_backward(energy, x) + math.sqrt(2 * s) * noise


def step_clipped(energy, x, s, generator):
    _, gradient = energy_and_gradient(energy, x)
    noise = torch.randn(x.shape, generator=generator)
    return x - s * gradient.clamp(-1, 1) + math.sqrt(2 * s) * noise


def step_mala(energy, x, s, generator):
    f, gradient = energy_and_gradient(energy, x)
    return mala_step(energy, x, f, gradient, s, generator)[0]


def step_in_place(energy, x, s, generator):
    x -= s * energy_and_gradient(energy, x)[1]
    return x.add_(math.sqrt(2 * s) * torch.randn(x.shape, generator=generator))


def step_with_graph(energy, x, s, generator):
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(leaf).sum(), leaf)
    return leaf - s * gradient + math.sqrt(2 * s) * torch.randn(x.shape, generator=generator)


def step_on_the_callers(energy, x, s, generator):
    x.requires_grad = True
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    return (x - s * gradient).detach() + math.sqrt(2 * s) * torch.randn(x.shape)


def step_seeded(energy, x, s, generator):
    return stepping()(energy, x, s, torch.Generator().manual_seed(3))


def settled_by_power(energy, x, s, cut):
    """Square the matrix until the rows no longer change, and let them sum to 1."""
    matrix = exact.langevin_kernel(energy, x, s)
    for _ in range(40):
        matrix = matrix @ matrix
        matrix = matrix / matrix.sum(1, keepdim=True)
    return matrix[0][x < cut].sum()


def settled_by_system(energy, x, s, cut):
    """Solve p P = p, in NumPy."""
    matrix = exact.langevin_kernel(energy, x, s).numpy()
    system = np.vstack([matrix.T - np.eye(len(x)), np.ones(len(x))])
    p = np.linalg.lstsq(system, np.append(np.zeros(len(x)), 1.0))[0]
    return p[x.numpy() < cut].sum()


def settled_by_eigenvector(energy, x, s, cut):
    """Integrate the eigenvector of the largest eigenvalue by trapezoids."""
    values, vectors = torch.linalg.eig(exact.langevin_kernel(energy, x, s).T)
    p = vectors[:, values.real.argmax()].real
    p = p / torch.trapezoid(p, x)
    return torch.trapezoid(p[x < cut], x[x < cut])
