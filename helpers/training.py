"""One loop for every loss, and the recipe that the course recommends."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from helpers.chains import DivergenceError, check_bounds
from helpers.checks import generator_for, number, seeded, whole
from helpers.data import as_samples
from helpers.energy import EnergyNet
from helpers.jumps import Proposal, defensive, jump, move, wide
from helpers.langevin import energy_and_gradient, euler_maruyama, normal_like
from helpers.objectives import Loss, Negatives, contrast
from helpers.progress import progress
from helpers.rivals import mixture_by_bic

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

    Raises:
        TypeError, ValueError: for an argument that is not as above.
        DivergenceError: if the loss is not finite.
    """
    samples, updates = as_samples(samples), whole(updates, "updates", 1)
    batch_size, lr = whole(batch_size, "batch_size", 1), number(lr, "lr", 0, above=True)
    decay = number(decay, "decay", 0)
    generator = generator_for(seeded(0) if generator is None else generator)
    real, state = batches(samples, batch_size, generator), None
    optimiser = torch.optim.AdamW(
        energy.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=decay, fused=True
    )
    optimiser.register_step_post_hook(round_weights)
    schedule = CosineAnnealingLR(optimiser, updates) if cosine else None
    for k in progress(range(updates), "training", show_progress):
        value, state = loss(energy, next(real), state, generator)
        if not math.isfinite(value.item()):
            raise DivergenceError(
                f"the loss is {value.item()} at update {k + 1}; lr = {lr:g} must be lower.", k + 1
            )
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
    jumps: str | None = "mixture",
    cosine: bool = True,
    base: bool = True,
    features: bool = True,
    watch: Callable[[EnergyNet], Any] | None = None,
    show_progress: bool = True,
) -> tuple[EnergyNet, dict[str, list]]:
    """Fit an energy to samples by maximum likelihood with persistent chains.

    ``train`` with E_data[f] − E_chains[f]: 256 chains, in standardised units, started at samples
    and moved by one MALA step and one jump before each update (Tieleman 2008, for chains that
    persist). Jumps are proposed by the Gaussian mixture that the BIC chooses, and a tenth of them
    from far around. That mixture also says how much the network need see: 16 units if it has one
    component, else 64; and if it has more than three, 16 waves. Few samples are kept from being
    overfitted by fewer units, n/60 but at least 3, and by a weight decay of 1 000/n that stops at
    0.1, or is 45/n up to 0.3; with one component it stops at 0.3, or is 25/n. Beyond one dimension
    the weights are averaged over the last third of the updates (Polyak and Juditsky 1992), the
    decay is 2 000/n, and more than one component asks for 64 waves and no units, layers twice as
    wide, and a decay of at most 75/√n. The defaults are the recipe that the course recommends; the
    others show what a part is good for.

    Args:
        samples: numbers of shape (n,) or (n, d), in any unit.
        seed: of the weights, the batches and the chains.
        updates, show_progress: how many updates; whether to show a bar.
        adjust: accept or reject each Langevin move, with a step that is steered towards 70 %
            acceptance; False makes it plain, with a fixed step 0.1.
        jumps: what proposes the jumps: "mixture", or "wide", N(0, 4 I) alone; None makes none.
        cosine: lower the learning rate to 0; False keeps it.
        base: begin from the energy of a Gaussian or of Student's t, see ``EnergyNet``.
        features: let the network see units and waves, see ``EnergyNet``; False gives it z itself.
            They are bounded, so without a base energy z itself it is.
        watch: a function of the energy under training, not averaged, whose values are recorded.

    Returns:
        The energy, a module from (n, d) to (n,), and what ``watch`` said after every 40 updates:
        lists under ``update`` and ``watch``.

    Raises:
        TypeError, ValueError: for an argument that is not as above, or samples that are empty,
            constant, not finite or of another shape.
        DivergenceError: if a plain chain (adjust=False) or the loss diverges.
    """
    samples, updates = as_samples(samples), whole(updates, "updates", 1)
    n, generator = len(samples), seeded(seed)
    if jumps not in ("mixture", "wide", None):
        raise ValueError(f"jumps is {jumps!r}; it must be 'mixture', 'wide' or None.")
    mixture = mixture_by_bic(samples) if features or jumps == "mixture" else None
    parts = len(mixture.mixture_distribution.probs) if mixture else 1
    plane = samples.shape[1] > 1
    size = {"units": 0}
    if features and base and plane and parts > 1:
        size |= {"waves": 64, "width": 64}
    elif features and base:
        size = {"units": max(3, min(64 if parts > 1 else 16, n // 60)), "waves": 16 * (parts > 3)}
    energy = EnergyNet(samples, base=base, generator=generator, **size)
    data = (samples - energy.centre) / energy.scale
    start = data[torch.randint(len(data), (256,), generator=generator)]
    proposal = wide() if jumps else None
    if jumps == "mixture":
        proposal = defensive(mixture, energy.centre, energy.scale, energy.standard.nu)
    record, done = {"update": [], "watch": []}, iter(range(1, updates + 1))
    mean = torch.optim.swa_utils.AveragedModel(energy.standard)

    def write(standard: nn.Module) -> None:
        update = next(done)
        if plane and 3 * update > 2 * updates:
            mean.update_parameters(standard)
        if watch and update % 40 == 0:
            record["update"].append(update)
            record["watch"].append(watch(energy))

    loss = contrast(_moving(start, adjust=adjust, proposal=proposal))
    most, least = (0.1, min(0.3, 45 / n)) if parts > 1 else (0.3, 25 / n)
    most = 75 / math.sqrt(n) if plane and parts > 1 else most
    options = {"lr": 2e-2, "decay": max(min(most, 1000 * (1 + plane) / n), least), "cosine": cosine}
    options |= {"updates": updates, "generator": generator, "watch": write}
    train(energy.standard, data, loss, show_progress=show_progress, **options)
    if plane:
        energy.standard = mean.module.requires_grad_(False)
    return energy, record


def _moving(start: Tensor, *, adjust: bool, proposal: Proposal | None) -> Negatives:
    """Return the chains of ``fit_energy``, from start (m, d), in standardised units.

    The state is the chains, the step size and the number of updates. The chains are rounded, too,
    to 24 significant bits: on a fixed grid one sample far out would leave the others a few places.
    """

    def negatives(energy, real, state, generator):
        z, step, k = state or (start, 0.1, 0)
        if adjust:
            z, accepted = move(energy, z, step, generator, proposal)
            step *= math.exp(0.05 * (accepted - 0.7))
        else:
            _, gradient = energy_and_gradient(energy, z)
            new = euler_maruyama(z, gradient, step, normal_like(z, generator))
            check_bounds(k, start, z, new, lambda i: "plain steps of 0.1 are too large there")
            z = jump(energy, new, generator=generator, proposal=proposal) if proposal else new
        z = z.float().double()
        return z, (z, step, k + 1)

    return negatives


def batches(data: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of min(size, n) rows without end; a smaller last one is dropped."""
    size = min(size, len(data))
    while True:
        order = torch.randperm(len(data), generator=generator)
        yield from (data[rows] for rows in order.split(size) if len(rows) == size)
