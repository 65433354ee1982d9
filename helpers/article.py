"""The recipe of the blog post "Energy-Based Models + LMC", as published, and only that."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from helpers.chains import DivergenceError, StepSize, step_sizes
from helpers.checks import number, seeded, whole
from helpers.data import as_samples
from helpers.densities import Energy
from helpers.energy import linear
from helpers.langevin import euler_maruyama, normal_like
from helpers.progress import progress
from helpers.training import round_weights


def fit_energy_as_published(
    samples: np.ndarray | Tensor,
    *,
    seed: int = 0,
    epochs: int = 30,
    penalty: float = 0.2,
    step_size: StepSize = lambda k: 1 / (k + 1),
    zero_grad: bool = False,
    show_progress: bool = True,
) -> tuple[Energy, list[float]]:
    """Train as the blog post "Energy-Based Models + LMC" does. It does not fit the density.

    The article's network, loop and constants, in float64. What it leaves out is supplied: the
    seed, the batches (shuffled, of 128), fakes detached from their chains (same gradient), and
    weights rounded after each update (see ``training``). The default arguments are the recipe as
    published; the others change one thing at a time.

    Args:
        samples: numbers of shape (n,) or (n, 1).
        seed: of the weights, the batches and the chains.
        epochs: passes through the samples.
        penalty: α in α · mean(f(real)² + f(fake)²).
        step_size: s of Langevin step k = 0 … 14, as for the samplers.
        zero_grad: forget the last update's gradient, which the article does not.
        show_progress: show a progress bar.

    Returns:
        The energy, a module from (n, 1) to (n,), and each epoch's mean loss, penalty and all.

    Raises:
        DivergenceError: if the loss is not finite; its ``step`` is the epoch.
    """
    samples = as_samples(samples)
    if samples.shape[1] != 1:
        raise ValueError(f"samples has shape {tuple(samples.shape)}; it must be (n,) or (n, 1).")
    epochs, penalty = whole(epochs, "epochs", 1), number(penalty, "penalty", 0)
    steps = list(step_sizes(step_size, 15))
    generator = seeded(seed)
    model = _article_net(generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001)
    optimiser.register_step_post_hook(round_weights)
    losses = []
    for _ in progress(range(epochs), "training as published", show_progress):
        order = torch.randperm(len(samples), generator=generator)
        total = 0.0
        for real in samples[order].split(128):
            fake = 15 * torch.rand(real.shape, generator=generator, dtype=real.dtype)
            for s in steps:
                fake.requires_grad_()
                (gradient,) = torch.autograd.grad(model(fake).sum(), fake)
                noise = normal_like(fake, generator)
                fake = euler_maruyama(fake.detach(), gradient, s, noise)
            if zero_grad:
                optimiser.zero_grad()
            f_real, f_fake = model(real), model(fake)
            loss = f_real.mean() - f_fake.mean() + penalty * (f_real**2 + f_fake**2).mean()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)
            optimiser.step()
            total += loss.item() * len(real)
        if not math.isfinite(total):
            k = len(losses) + 1
            raise DivergenceError(f"the loss is {total} in epoch {k}; try a smaller step_size.", k)
        losses.append(total / len(samples))
    return model.requires_grad_(False), losses


def _article_net(generator: torch.Generator) -> nn.Module:
    """Return the article's network 1 → 64 → 64 → 1 with LeakyReLU(0.2), from (n, 1) to (n,)."""
    return nn.Sequential(
        linear(1, 64, generator),
        nn.LeakyReLU(0.2),
        linear(64, 64, generator),
        nn.LeakyReLU(0.2),
        linear(64, 1, generator),
        nn.Flatten(0),
    )
