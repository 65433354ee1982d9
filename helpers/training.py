"""One loop for every loss, and the recipe that the course recommends."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from helpers import exact
from helpers.data import as_samples
from helpers.densities import Energy
from helpers.energy import EnergyNet
from helpers.langevin import DivergenceError, jump, mala_step
from helpers.objectives import Loss
from helpers.progress import progress


def fit_energy(
    samples: np.ndarray | Tensor,
    *,
    seed: int = 0,
    updates: int = 1200,
    chains: int = 256,
    batch_size: int = 256,
    lr: float = 1e-2,
    acceptance: float = 0.7,
    decay: float = 50.0,
    adjust: bool = True,
    jumps: bool = True,
    cosine: bool = True,
    every: int = 40,
    watch: Callable[[Energy], float] | None = None,
    show_progress: bool = True,
    **network,
) -> tuple[EnergyNet, dict[str, list[float]]]:
    """Fit an energy to samples by maximum likelihood with persistent chains.

    Each update makes one AdamW step on E_data[f] − E_chains[f], the chains held fixed, and moves
    every chain by one MALA step and one jump. The step size is steered towards an acceptance; the
    learning rate falls to 0 on a cosine. Persistent chains: Tieleman 2008. The default arguments
    are the recipe that the course recommends; the others show what each part is good for.

    Args:
        samples: numbers of shape (n,) or (n, d), in any unit.
        seed: of the weights, the batches and the chains.
        updates: how many AdamW steps.
        chains: how many persistent chains, started at samples.
        batch_size: how many samples an update sees.
        lr: AdamW's learning rate at the start.
        acceptance: the share of Langevin moves that the step size is steered towards.
        decay: the weight decay is decay/n: it matters for a few hundred samples and fades with n.
        adjust: accept or reject each Langevin move; False makes it plain, with a fixed step 0.1.
        jumps: make a jump after each Langevin move.
        cosine: lower the learning rate to 0; False keeps it.
        every: evaluate the NLL, and what ``watch`` asks for, after every so many updates.
        watch: a function of the energy, whose values go into the record.
        show_progress: show a progress bar.
        network: passed to ``EnergyNet``.

    Returns:
        The energy, a module from (n, d) to (n,), and a record: ``update``, ``nll`` (exact, of the
        samples, nats; None unless d = 1), ``watch``, and
        ``acceptance`` and ``step`` (standardised units) of each update.

    Raises:
        ValueError: if samples are empty, constant, not finite or of another shape.
        DivergenceError: if a plain chain (adjust=False) diverges.
    """
    samples = as_samples(samples)
    generator = torch.Generator().manual_seed(seed)
    energy = EnergyNet(samples, generator=generator, **network)
    data = (samples - energy.mean) / energy.sd
    real_batches = batches(data, batch_size, generator)
    optimiser = torch.optim.AdamW(
        energy.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=decay / len(data), fused=True
    )
    schedule = CosineAnnealingLR(optimiser, updates) if cosine else None

    z = data[torch.randint(len(data), (chains,), generator=generator)]
    step = 0.1
    one_dimensional = data.shape[1] == 1
    record = {"acceptance": [], "step": [], "update": [], "watch": []}
    record["nll"] = [] if one_dimensional else None
    for update in progress(range(1, updates + 1), "training", show_progress):
        real, z = next(real_batches), z.requires_grad_()
        f_real, f_z = energy.standard(torch.cat([real, z])).split([len(real), chains])
        optimiser.zero_grad()
        (f_real.mean() - f_z.mean()).backward()
        gradient = -chains * z.grad  # the same backward pass: ∇_z of Σ f(z), for the move below
        z, f_z = z.detach(), f_z.detach()

        if adjust:
            z, f_z, _, moved = mala_step(energy.standard, z, f_z, gradient, step, generator)
            accepted = moved.double().mean().item()
            step *= math.exp(0.05 * (accepted - acceptance))
        else:
            accepted = 1.0
            noise = torch.randn(z.shape, generator=generator, dtype=z.dtype)
            z = z - step * gradient + math.sqrt(2 * step) * noise
            if not (z.abs() < 1e6).all():
                raise DivergenceError(f"the chains diverged at update {update}.", update)
        if jumps:
            z = jump(energy.standard, z, generator=generator)

        optimiser.step()
        if schedule:
            schedule.step()
        record["acceptance"].append(accepted)
        record["step"].append(step)
        if update % every == 0:
            record["update"].append(update)
            if one_dimensional:
                record["nll"].append(exact_nll(energy, data))
            if watch:
                record["watch"].append(watch(energy))
    return energy.requires_grad_(False), record


def train(
    energy: nn.Module,
    samples: Tensor,
    loss: Loss,
    *,
    updates: int,
    seed: int = 0,
    batch_size: int = 256,
    lr: float = 1e-2,
    watch: Callable[[nn.Module], None] | None = None,
    show_progress: bool = True,
) -> nn.Module:
    """Lower the loss by Adam, with a learning rate that falls to 0 on a cosine.

    Args:
        energy: the energy to be trained, in place, from (n, d) to (n,).
        samples: numbers of shape (n,) or (n, d).
        loss: what is minimised.
        updates: how many steps of Adam.
        seed: of the batches, the noise and the chains.
        batch_size: how many samples an update sees.
        lr: the learning rate at the start.
        watch: called with the energy after every update.
        show_progress: show a progress bar.

    Returns:
        The energy, whose parameters no longer require a gradient.
    """
    samples, generator = as_samples(samples), torch.Generator().manual_seed(seed)
    real_batches = batches(samples, batch_size, generator)
    optimiser = torch.optim.Adam(energy.parameters(), lr=lr, betas=(0.9, 0.99))
    schedule = CosineAnnealingLR(optimiser, updates)
    for _ in progress(range(updates), "training", show_progress):
        optimiser.zero_grad()
        loss(energy, next(real_batches), generator).backward()
        optimiser.step()
        schedule.step()
        if watch:
            watch(energy)
    return energy.requires_grad_(False)


def batches(data: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of min(size, n) rows without end; a smaller last one is dropped."""
    size = min(size, len(data))
    while True:
        order = torch.randperm(len(data), generator=generator)
        yield from (data[rows] for rows in order.split(size) if len(rows) == size)


@torch.no_grad()
def exact_nll(energy: EnergyNet, data: Tensor, *, width: float = 8.0, points: int = 501) -> float:
    """Return the NLL of standardised data (n, 1), in the data's own units, by quadrature.

    The grid reaches ±width, or a fifth beyond the farthest sample; it does not check its tails,
    since an energy in training may have any.
    """
    width = max(width, 1.2 * data.abs().max().item())
    z = exact.grid(-width, width, points)
    log_z = exact.log_partition(energy.standard, z, restricted=True)
    return (energy.standard(data).mean() + log_z + energy.sd.log().sum()).item()
