"""One loop for every loss, and the recipe that the course recommends."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from helpers.chains import check_bounds
from helpers.data import as_samples
from helpers.energy import EnergyNet
from helpers.langevin import energy_and_gradient, euler_maruyama, jump, move, normal_like
from helpers.objectives import Loss, Negatives, contrast
from helpers.progress import progress

_GRAIN = 2.0**-16
"""Weights are rounded to multiples of this after every update.

Processors differ in the last digits of a sum, and training makes of that another network. Rounded,
each update starts from the same numbers.
"""


def round_weights(optimiser: torch.optim.Optimizer, *_: Any) -> None:
    """Round all weights to multiples of ``_GRAIN``: a hook for ``register_step_post_hook``.

    For float64, weights of the order of 1, and learning rates well above it: less is rounded away.
    """
    with torch.no_grad():
        for group in optimiser.param_groups:
            for weights in group["params"]:
                weights.div_(_GRAIN).round_().mul_(_GRAIN)


def train(
    energy: nn.Module,
    samples: np.ndarray | Tensor,
    loss: Loss,
    *,
    updates: int,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
    lr: float = 1e-2,
    decay: float = 0.0,
    cosine: bool = True,
    watch: Callable[[nn.Module], None] | None = None,
    show_progress: bool = True,
) -> nn.Module:
    """Lower a loss by AdamW on batches of the samples; weights are rounded after each update.

    Args:
        energy: the energy to be trained, in place, from (n, d) to (n,).
        samples: numbers of shape (n,) or (n, d).
        loss: what is lowered; its state begins as None and lives as long as this call.
        updates: how many steps of AdamW.
        generator: of the batches, the noise and the chains; None is one with the seed 0.
        batch_size: how many samples an update sees.
        lr, decay: AdamW's learning rate, at the start, and weight decay.
        cosine: lower the learning rate to 0 on a cosine; False keeps it.
        watch: called with the energy after every update.
        show_progress: show a progress bar.

    Returns:
        The energy, whose parameters no longer require a gradient.
    """
    samples = as_samples(samples)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    real, state = batches(samples, batch_size, generator), None
    optimiser = torch.optim.AdamW(
        energy.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=decay, fused=True
    )
    optimiser.register_step_post_hook(round_weights)
    schedule = CosineAnnealingLR(optimiser, updates) if cosine else None
    for _ in progress(range(updates), "training", show_progress):
        value, state = loss(energy, next(real), state, generator)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if schedule:
            schedule.step()
        if watch:
            watch(energy)
    return energy.requires_grad_(False)


def fit_energy(
    samples: np.ndarray | Tensor,
    *,
    seed: int = 0,
    updates: int = 1200,
    adjust: bool = True,
    jumps: bool = True,
    cosine: bool = True,
    base: bool = True,
    watch: Callable[[EnergyNet], Any] | None = None,
    show_progress: bool = True,
) -> tuple[EnergyNet, dict[str, list]]:
    """Fit an energy to samples by maximum likelihood with persistent chains.

    ``train`` with E_data[f] − E_chains[f]: 256 chains, in standardised units, started at samples
    and moved by one MALA step and one jump before each update (Tieleman 2008, for chains that
    persist). The weight decay, 50/n, matters for a few hundred samples and fades with n. The
    default arguments are the recipe that the course recommends; the others show what each part is
    good for.

    Args:
        samples: numbers of shape (n,) or (n, d), in any unit.
        seed: of the weights, the batches and the chains.
        updates, show_progress: how many updates; whether to show a bar.
        adjust: accept or reject each Langevin move, with a step that is steered towards 70 %
            acceptance; False makes it plain, with a fixed step 0.1.
        jumps: make a jump after each Langevin move.
        cosine: lower the learning rate to 0; False keeps it.
        base: begin from the energy of the Gaussian fit, see ``EnergyNet``.
        watch: a function of the energy, whose values are recorded.

    Returns:
        The energy, a module from (n, d) to (n,), and what ``watch`` said after every 40 updates:
        lists under ``update`` and ``watch``.

    Raises:
        ValueError: if samples are empty, constant, not finite or of another shape.
        DivergenceError: if a plain chain (adjust=False) diverges.
    """
    samples = as_samples(samples)
    generator = torch.Generator().manual_seed(seed)
    energy = EnergyNet(samples, base=base, generator=generator)
    data = (samples - energy.mean) / energy.sd
    start = data[torch.randint(len(data), (256,), generator=generator)]
    record, done = {"update": [], "watch": []}, iter(range(1, updates + 1))

    def write(_: nn.Module) -> None:
        update = next(done)
        if watch and update % 40 == 0:
            record["update"].append(update)
            record["watch"].append(watch(energy))

    loss = contrast(_moving(start, adjust=adjust, jumps=jumps))
    options = {"lr": 1e-2, "decay": 50 / len(data), "cosine": cosine, "watch": write}
    options |= {"updates": updates, "generator": generator, "show_progress": show_progress}
    train(energy.standard, data, loss, **options)
    return energy, record


def _moving(start: Tensor, *, adjust: bool, jumps: bool) -> Negatives:
    """Return the chains of ``fit_energy``, from start (m, d), in standardised units.

    The state is the chains, the step size and the number of updates. The chains are rounded, too,
    to 24 significant bits: on a fixed grid one sample far out would leave the others a few places.
    """

    def negatives(energy, real, state, generator):
        z, step, k = state or (start, 0.1, 0)
        if adjust:
            z, accepted = move(energy, z, step, generator, jumps=jumps)
            step *= math.exp(0.05 * (accepted - 0.7))
        else:
            _, gradient = energy_and_gradient(energy, z)
            new = euler_maruyama(z, gradient, step, normal_like(z, generator))
            check_bounds(k, start, z, new, lambda i: "plain steps of 0.1 are too large there")
            z = jump(energy, new, generator=generator) if jumps else new
        z = z.float().double()
        return z, (z, step, k + 1)

    return negatives


def batches(data: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of min(size, n) rows without end; a smaller last one is dropped."""
    size = min(size, len(data))
    while True:
        order = torch.randperm(len(data), generator=generator)
        yield from (data[rows] for rows in order.split(size) if len(rows) == size)
