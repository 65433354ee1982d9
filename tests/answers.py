"""Answers to the exercises, right ones and mutants: an answer with one mistake."""

import io
import math
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np
import torch
from scipy.stats import gamma
from torch import Tensor

from helpers import densities, exact, exercises, training
from helpers.jumps import sample
from helpers.langevin import energy_and_gradient

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
    return ((energy(x - 1e-5) - energy(x + 1e-5)) / 2e-5).numpy()


def score_in_place(energy: Answer, x: Tensor) -> Tensor:
    x.requires_grad_()
    return -torch.autograd.grad(energy(x).sum(), x)[0]


def phases(sd=lambda b: b**-0.5, data=1, model=-1) -> Answer:
    """Return an estimate of the NLL's gradient, whose draws have the standard deviation sd(θ₂)."""

    def nll_gradient(theta, samples, n, generator):
        m, b = theta
        draws = m + sd(b) * torch.randn(n, generator=generator, dtype=torch.float64)
        first, second = (
            torch.stack([(-b * (x - m)).mean(), (x - m).square().mean() / 2])
            for x in (samples, draws)
        )
        return data * first + model * second

    return nll_gradient


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


def step_numpy(energy, x, s, generator):
    """Work on arrays, and return one."""
    _, gradient = energy_and_gradient(energy, x)
    noise = torch.randn(x.shape, generator=generator).numpy()
    return x.numpy() - s * gradient.numpy() + (2 * s) ** 0.5 * noise


def step_global(energy, x, s, generator):
    """Take the noise from torch's global random state, and return another shape."""
    y = x.clone()
    y -= s * energy_and_gradient(energy, x)[1]
    return (y + (2 * s) ** 0.5 * torch.randn_like(x)).squeeze()


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


def settling(
    kernel=exact.langevin_kernel, k=10**6, column=False, mass=lambda p, x, cut: p[x < cut].sum()
) -> Answer:
    """Return the mass left of cut after k steps from an even start; or a mistake."""

    def settled_mass(energy, x, s, cut):
        matrix = torch.linalg.matrix_power(kernel(energy, x, s), k)
        even = torch.full_like(x, 1 / len(x))
        return mass(matrix @ even if column else even @ matrix, x, cut)

    return settled_mass


def settled_by_system(energy, x, s, cut):
    """Solve p P = p, in NumPy."""
    matrix = exact.langevin_kernel(energy, x, s).numpy()
    system = np.vstack([matrix.T - np.eye(len(x)), np.ones(len(x))])
    p = np.linalg.lstsq(system, np.append(np.zeros(len(x)), 1.0))[0]
    return p[x.numpy() < cut].sum()


def settled_by_trapezoids(energy, x, s, cut):
    p = exact.langevin_kernel(energy, x, s).matrix_power(10**6)[len(x) // 2] / (x[1] - x[0])
    return torch.trapezoid(p[x < cut], x[x < cut])


# --- 4 -----------------------------------------------------------------------------------------


def asked_for(p, q, alpha):
    return (q - p) / (2 * alpha * (p + q))


def keep(step=None, restart=False, freeze=False, still=False, in_place=False) -> Answer:
    """Return persistent chains; with other arguments, some with a mistake."""

    def persistent(start, s, generator):
        chains, first = [start.clone()], []

        def negatives(energy):
            first.append(energy)
            old = start if restart else chains[0]
            new = (step or stepping())(first[0] if freeze else energy, old, s, generator)
            if in_place:
                return chains[0].copy_(new)
            chains[0] = old if still else new
            return chains[0]

        return negatives

    return persistent


class Persistent:
    """Persistent chains as a class."""

    def __init__(self, start, s, generator):
        self.chains, self.s, self.generator = start.numpy().copy(), s, generator

    def __call__(self, energy):
        x = torch.from_numpy(self.chains)
        self.chains = step_numpy(energy, x, self.s, self.generator)
        return self.chains


def update(
    zero=True,
    start=lambda z: z,
    graph=False,
    sign=1,
    polluted=False,
    move=True,
    step=True,
    drift=1,
    noise=1,
) -> Answer:
    """Return a training step; with other arguments, one with a mistake."""

    def train_step(model, optimiser, real, chains, s, generator):
        z = start(chains).clone().requires_grad_()
        if zero:
            optimiser.zero_grad()
        if polluted:
            model(z).sum().backward()
            gradient = z.grad
        else:
            (gradient,) = torch.autograd.grad(model(z).sum(), z, create_graph=graph)
        normal = torch.randn(z.shape, generator=generator)
        z = z - drift * s * gradient + noise * math.sqrt(2 * s) * normal
        z = z if graph else z.detach()
        (sign * (model(real).mean() - model(z).mean())).backward()
        if step:
            optimiser.step()
        return z.detach() if move else chains

    return train_step


def update_as_in_fit_energy(model, optimiser, real, chains, s, generator):
    """Use the chains as they are for the loss, move them afterwards; zero_grad comes last."""
    z = chains.clone().requires_grad_()
    (model(real).mean() - model(z).mean()).backward()
    noise = torch.randn(z.shape, generator=generator)
    z = z.detach() + s * len(z) * z.grad + math.sqrt(2 * s) * noise
    optimiser.step()
    optimiser.zero_grad()
    return z.numpy()


# --- 5 -----------------------------------------------------------------------------------------


def sorted_gap(a: Tensor, b: Tensor) -> Tensor:
    return a.sort().values - b.sort().values


def sorted_in_place(a, b):
    a.copy_(a.sort().values)
    return sorted_gap(a, b).abs().mean()


def count(shift=0, never=None, points=401) -> Answer:
    """Return how many steps are enough; with a shift or a wrong never, a mistake."""

    def steps_enough(s, w):
        target, x = densities.gaussian(5.0, 1.0), exact.grid(-5, 15, points)
        start, log_p = exact.uniform_law(0, 10, x), target.log_prob(x)
        laws = exact.law(start, densities.energy_of(target), x, 60, s)
        enough = [k for k, law in enumerate(laws) if exact.w1_of_laws(law, log_p, x) <= w]
        return enough[0] + shift if enough else never

    return steps_enough


def gamma_energy(x: Tensor, shape: float = 3.0) -> Tensor:
    """Return the energy of Gamma(shape, 1), with a steep wall at 0."""
    x = x[:, 0]
    return torch.where(x > 1e-3, x - (shape - 1) * x.clamp(min=1e-3).log(), 14 - 1e4 * x)


def gamma_draws(n: int = 5000, seed: int = 1) -> np.ndarray:
    return gamma(3).rvs(n, random_state=np.random.default_rng(seed))


def fitted(samples: Tensor) -> tuple[Answer, Tensor]:
    energy, _ = training.fit_energy(samples, show_progress=False)
    generator = torch.Generator().manual_seed(0)
    return energy, sample(energy, 5000, data=samples, generator=generator)


def bell(samples: Tensor) -> tuple[Answer, np.ndarray]:
    """Return the energy of a Gaussian fit."""
    return lambda x: ((x[:, 0] - samples.mean()) / samples.std()) ** 2 / 2, gamma_draws()


# --- 6 ------------------------------------------------------------------------------------------


def resting(s: float, v: float) -> float:
    return (1 - math.sqrt(1 - 2 * s / v)) / s if 2 * s <= v else math.nan


def resting_numpy(s: float, v: float) -> np.ndarray:
    roots = np.roots([s / 2, -1, 1 / v])  # (s/2) θ² − θ + 1/v = 0
    return roots.min() if np.isreal(roots).all() else np.array(np.nan)


def denoising(sign=-1.0, outer=None, inner=None, clean=False, half=0.5, graph=True):
    """Return the loss; with other arguments, one with a mistake."""

    def loss(energy, real, tau, generator):
        epsilon = torch.randn(real.shape, generator=generator, dtype=real.dtype)
        x = real if clean else real + (inner or tau) * epsilon
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=graph)
        u = (outer or tau) * gradient + sign * epsilon
        return half * u.square().sum(-1).mean()

    return loss


def denoising_in_one_term(energy, real, tau, generator, graph=True):
    """Work with the noisy point's displacement in place of ε."""
    noisy = (real + tau * torch.randn(real.shape, generator=generator, dtype=real.dtype)).detach()
    noisy.requires_grad_()
    slope = torch.autograd.grad(energy(noisy).sum(), noisy, create_graph=graph)[0]
    return 0.5 * tau**2 * (slope - (noisy - real) / tau**2).pow(2).mean()


def denoising_half_detached(*arguments):
    """Return the right loss with half of its gradient."""
    loss = denoising()(*arguments)
    return (loss + loss.detach()) / 2
