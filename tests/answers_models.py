"""Answers to the exercises of notebooks 4 to 6, as in answers.py."""

import math
import warnings
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from answers import Answer, step_numpy, stepping
from helpers import densities, exact, training
from helpers.jumps import sample

# --- 4 -----------------------------------------------------------------------------------------


def asked_for(p, q, alpha, beta):
    return (q - p) / (2 * (alpha * p + beta * q))


def asked_for_by_parabolas(p, q, alpha, beta):
    """Find the vertex of the parabola at each point, in NumPy: c₁ f + c₂ f²."""
    p, q = p.numpy(), q.numpy()
    return -(p - q) / (2 * (alpha * p + beta * q))


def keep(step=None, restart=False, freeze=False, still=False, in_place=False, late=False) -> Answer:
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
            return old if late else chains[0]

        return negatives

    return persistent


def shared() -> Answer:
    """Return persistent chains whose state is one for all."""
    state = {}

    def persistent(start, s, generator):
        state["chains"] = start.clone()

        def negatives(energy):
            state["chains"] = stepping()(energy, state["chains"], s, generator)
            return state["chains"]

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
    late=False,
    reduce=torch.mean,
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
        (sign * (reduce(model(real)) - reduce(model(z)))).backward()
        if late:
            optimiser.zero_grad()
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
    return a.repeat_interleave(2).sort().values - b.sort().values


def sorted_in_place(a, b):
    a.copy_(a.sort().values)
    return sorted_gap(a, b).abs().mean()


def w1_by_cdfs(a, b):
    """Integrate |F − G| from value to value, in a loop."""
    values = sorted([*a.tolist(), *b.tolist()])
    total = 0.0
    for low, high in pairwise(values):
        gap = (a <= low).double().mean() - (b <= low).double().mean()
        total += abs(gap.item()) * (high - low)
    return total


def count(points=401, steps=200, ideal=True) -> Answer:
    """Return how many steps are enough, None by the formula of the bias or by a long run."""

    def steps_enough(s, w):
        bias = math.sqrt(2 / math.pi) * ((1 - s / 2) ** -0.5 - 1)
        if ideal and bias >= w:
            return None
        target, x = densities.gaussian(5.0, 1.0), exact.grid(-5, 15, points)
        start, log_p = exact.uniform_law(0, 10, x), target.log_prob(x)
        laws = exact.law(start, densities.energy_of(target), x, steps, s)
        enough = [k for k, law in enumerate(laws) if exact.w1_of_laws(law, log_p, x) <= w]
        return enough[0] if enough else None

    return steps_enough


HUMPS = densities.mixture([0.6, 0.4], [0.2, 1.6], [0.45, 0.25])
"""The law of log x that new_density draws its samples from."""


def inside(energy: Answer, outside: float = math.inf) -> Answer:
    """Return the energy, asked at x > 0 only, and a constant elsewhere."""

    def whole(x: Tensor) -> Tensor:
        return torch.where(x[:, 0] > 0, energy(x.clamp(min=1e-9)), outside)

    return whole


def of_x(x: Tensor, jacobian: float = 1.0) -> Tensor:
    """Return the energy of new_density's x at x > 0, and log x times another factor if asked."""
    u = x[:, 0].log()
    return jacobian * u - HUMPS.log_prob(u)


def no_zero(x: Tensor) -> Tensor:
    """Return ``of_x``, but refuse what is not above 0, as torch's distributions do."""
    if (x <= 0).any():
        raise ValueError("Expected value argument to be within the support")
    return of_x(x)


def new_draws(n: int = 5000, seed: int = 1) -> Tensor:
    return densities.draw(HUMPS, n, generator=torch.Generator().manual_seed(seed)).exp()


def fitted(samples: Tensor) -> tuple[Answer, Tensor]:
    u = samples.log()
    energy_of_u, _ = training.fit_energy(u, show_progress=False)
    draws = sample(energy_of_u, 5000, data=u, generator=torch.Generator().manual_seed(0)).exp()
    return inside(lambda x: energy_of_u(x.log()) + x[:, 0].log()), draws


def bell(samples: Tensor) -> tuple[Answer, Tensor]:
    """Return the energy of a Gaussian fit of log x."""
    u = samples.log()

    def energy(x: Tensor) -> Tensor:
        return x[:, 0].log() + ((x[:, 0].log() - u.mean()) / u.std()) ** 2 / 2

    return inside(energy), new_draws()


# --- 6 ------------------------------------------------------------------------------------------


def resting(step: float, noise: float, v: float) -> float:
    return (1 - math.sqrt(1 - noise**2 / v)) / step if noise**2 <= v else math.nan


def resting_numpy(step: float, noise: float, v: float) -> np.ndarray:
    roots = np.roots([step, -2, noise**2 / (v * step)])  # (1 − step θ)² v + noise² = v, over step
    return roots.min() if np.isreal(roots).all() else np.array(np.nan)


def denoising(
    sign=-1.0,
    outer=None,
    inner=None,
    clean=False,
    half=0.5,
    graph=True,
    draw=torch.randn,
    reduce=torch.mean,
    twice=False,
    flat=False,
    energies=torch.sum,
    square=True,
    crossless=False,
    backward=False,
):
    """Return the loss; with other arguments, one with a mistake."""

    def loss(energy, real, tau, generator):
        shape = real.shape[:1] if flat else real.shape
        epsilon = draw(shape, generator=generator, dtype=real.dtype)
        x = real if clean else real + (inner or tau) * epsilon
        x = x.detach().requires_grad_()
        if backward:
            with warnings.catch_warnings(action="ignore"):  # torch's, of a cycle in memory
                energy(x).sum().backward(create_graph=True)
            gradient = x.grad
        else:
            (gradient,) = torch.autograd.grad(energies(energy(x)), x, create_graph=graph)
        if crossless:
            return half * reduce((tau * gradient).square() + epsilon.square())
        if twice:
            epsilon = draw(shape, generator=generator, dtype=real.dtype)
        u = (outer or tau) * gradient + sign * epsilon
        return half * reduce(u.square().sum(-1)) if square else half**0.5 * reduce(u)

    return loss


def denoising_in_one_term(energy, real, tau, generator, graph=True):
    """Work with the noisy point's displacement in place of ε."""
    noisy = (real + tau * torch.randn(real.shape, generator=generator, dtype=real.dtype)).detach()
    noisy.requires_grad_()
    slope = torch.autograd.grad(energy(noisy).sum(), noisy, create_graph=graph)[0]
    return 0.5 * tau**2 * (slope - (noisy - real) / tau**2).pow(2).mean()


def crossed(energy, real, tau, generator):
    """Combine the gradients, a row, with ε, a column."""
    epsilon = torch.randn(real.shape, generator=generator, dtype=real.dtype)
    x = (real + tau * epsilon).requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return (tau * gradient[:, 0] - epsilon).square().mean() / 2


def denoising_with_backward(*arguments):
    """Return the right loss, of which the gradient is taken already."""
    loss = denoising()(*arguments)
    loss.backward(retain_graph=True)
    return loss


def denoising_half_detached(*arguments):
    """Return the right loss with half of its gradient."""
    loss = denoising()(*arguments)
    return (loss + loss.detach()) / 2
