"""What a recipe minimises, and where its negative samples come from.

A loss takes the energy f, a batch of data (n, d), a state and a generator. It returns a scalar to
be lowered, and the state that it wants back at the next update: None at the first, and always None
unless chains persist. Negative samples come from a function of the same arguments. So two recipes
differ in one argument, and nothing is remembered outside the loop that trains.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from helpers import exact
from helpers.chains import check_particles, step_sizes
from helpers.checks import generator_for, number, whole
from helpers.densities import Energy, ask, uniform
from helpers.langevin import StepSize, langevin_monte_carlo, normal_like

Loss = Callable[[Energy, Tensor, Any, torch.Generator], tuple[Tensor, Any]]
"""From an energy, a batch (n, d), a state and a generator to a scalar and the next state."""

Negatives = Callable[[Energy, Tensor, Any, torch.Generator], tuple[Tensor, Any]]
"""From the same to negative samples (m, d), and the next state."""


def exact_nll(x: Tensor) -> Loss:
    """Return the exact NLL in nats, E_data[f] + log Z with log Z by quadrature on the grid x (m,).

    One dimension only. Errors as in ``exact.log_partition``.
    """

    def loss(energy, real, *_):
        check_particles(real, "real")
        if real.shape[1] != 1:
            raise ValueError(f"real has shape {tuple(real.shape)}; the exact NLL needs (n, 1).")
        log_z = exact.log_partition(energy, x)
        return ask(energy, real.clone()).mean() + log_z, None

    return loss


def contrast(negatives: Negatives, *, penalty: float = 0.0) -> Loss:
    """Return E_data[f] − E_negatives[f], whose gradient is the NLL's if the negatives follow p_θ.

    Args:
        negatives: the source of the negative samples, which are held fixed.
        penalty: α ≥ 0 in α (E_data[f²] + E_negatives[f²]), added.
    """
    penalty = number(penalty, "penalty", 0)
    _check_callable(negatives, "negatives", "objectives.from_data's result")

    def loss(energy, real, state, generator):
        check_particles(real, "real")
        fake, state = negatives(energy, real, state, generator)
        if fake.shape[1:] != real.shape[1:]:
            raise ValueError(
                f"negatives have shape {tuple(fake.shape)}; it must be (m, {real.shape[-1]})."
            )
        together = torch.cat([real, fake.detach()])
        f, f_negative = ask(energy, together).split([len(real), len(fake)])
        value = f.mean() - f_negative.mean()
        return value + penalty * (f.square().mean() + f_negative.square().mean()), state

    return loss


def denoising(noise: float | tuple[float, float]) -> Loss:
    """Return E|τ ∇ₓf(x + τε) − ε|²/2 with τ = noise, which asks for the law of the data plus τε.

    Denoising score matching (Vincent 2011). The noise is a standard deviation, in the data's unit.
    Of a pair (low, high) each sample gets a level σ between them, a batch evenly over log σ; the
    energy then takes (x, σ), σ of shape (n, 1).
    """
    level = _drawn_level(noise)

    def loss(energy, real, state, generator):
        check_particles(real, "real")
        generator = generator_for(generator, real.device)
        sigma = level(real, generator)
        epsilon = normal_like(real, generator)
        noisy = (real + sigma * epsilon).requires_grad_()
        known = energy if isinstance(sigma, float) else lambda x: energy(x, sigma)
        (gradient,) = torch.autograd.grad(ask(known, noisy.clone()).sum(), noisy, create_graph=True)
        return (sigma * gradient - epsilon).square().sum(-1).mean() / 2, None

    return loss


def denoising_score(noise: tuple[float, float]) -> Loss:
    """Return the same loss for a score S(x, σ) in the place of −∇ₓf: E|σ S(x + σε, σ) + ε|²/2."""
    level = _drawn_level(noise)

    def loss(score, real, state, generator):
        check_particles(real, "real")
        sigma = level(real, generator)
        epsilon = normal_like(real, generator)
        error = sigma * score(real + sigma * epsilon, sigma) + epsilon
        return error.square().sum(-1).mean() / 2, None

    return loss


def _drawn_level(noise: float | tuple[float, float]) -> Callable[[Tensor, torch.Generator], Any]:
    """Return what gives a batch (n, d) its noise: a number, or log-uniform levels (n, 1)."""
    if np.ndim(noise) == 0:
        noise = number(noise, "noise", 0, above=True)
        return lambda real, generator: noise
    _check_box(noise, "noise")
    low, high = number(noise[0], "noise", 0, above=True), noise[1]

    def level(real: Tensor, generator: torch.Generator) -> Tensor:
        n = len(real)
        u = torch.rand(n, 1, generator=generator, dtype=real.dtype) + torch.arange(n)[:, None]
        return low * (high / low) ** (u / n)

    return level


def from_data(
    n_steps: int, step_size: StepSize, *, sampler: Callable[..., Tensor] = langevin_monte_carlo
) -> Negatives:
    """Return CD-k: chains of k = n_steps steps that start at the batch itself (Hinton 2002)."""
    _check_chains(n_steps, step_size, sampler)
    return lambda energy, real, state, generator: (
        sampler(energy, real, n_steps, step_size, generator=generator),
        None,
    )


def from_noise(
    low: float,
    high: float,
    n_steps: int,
    step_size: StepSize,
    *,
    sampler: Callable[..., Tensor] = langevin_monte_carlo,
) -> Negatives:
    """Return short runs: one chain for each row of the batch, started from U(low, high).

    One dimension (Nijkamp, Hill, Zhu & Wu 2019); a batch of another shape raises a ValueError.
    """
    _check_chains(n_steps, step_size, sampler)
    _check_box((low, high), "low, high")

    def negatives(energy, real, state, generator):
        if real.ndim != 2 or real.shape[1] != 1:
            raise ValueError(f"real has shape {tuple(real.shape)}; runs from noise need (n, 1).")
        start = uniform(low, high, len(real), generator=generator)
        return sampler(energy, start, n_steps, step_size, generator=generator), None

    return negatives


def persistent(
    chains: Tensor,
    n_steps: int,
    step_size: StepSize,
    *,
    sampler: Callable[..., Tensor] = langevin_monte_carlo,
    restarts: float = 0.0,
    box: tuple[float, float] | None = None,
) -> Negatives:
    """Return chains that go on from one update to the next (Tieleman 2008); they are the state.

    Args:
        chains: where they start, shape (m, d); the tensor itself is left alone.
        n_steps: steps of every chain at every update.
        step_size: as for the samplers.
        sampler: ``langevin_monte_carlo``, ``leimkuhler_matthews`` or ``mala``.
        restarts: the probability with which a chain, before its steps, starts anew.
        box: the interval (low, high) that it then starts from, uniformly; needed for restarts.

    Raises:
        ValueError: if restarts is not a probability, or is not 0 with no box or with d > 1.
    """
    restarts = number(restarts, "restarts", 0, 1)
    if restarts and box is None:
        raise ValueError(f"box is None; restarts = {restarts} needs an interval (low, high).")
    _check_chains(n_steps, step_size, sampler)
    check_particles(chains, "chains")
    if box is not None:
        _check_box(box, "box")
    if restarts and chains.shape[1] != 1:
        raise ValueError(f"chains has shape {tuple(chains.shape)}; restarts need (m, 1).")
    start = chains.detach().clone()

    def negatives(energy, real, state, generator):
        x = start if state is None else state
        if restarts:
            fresh = uniform(*box, len(x), generator=generator)
            again = torch.rand(len(x), 1, generator=generator, dtype=x.dtype) < restarts
            x = torch.where(again, fresh.to(x.dtype), x)
        x = sampler(energy, x, n_steps, step_size, generator=generator)
        return x, x

    return negatives


def _check_chains(n_steps: int, step_size: StepSize, sampler: Callable[..., Tensor]) -> None:
    """Raise unless chains can make so many steps, at least one, by the sampler."""
    step_sizes(step_size, whole(n_steps, "n_steps", 1))
    _check_callable(sampler, "sampler", "langevin.mala")


def _check_callable(value: Callable, name: str, example: str) -> None:
    """Raise unless value can be called."""
    if not callable(value):
        raise TypeError(f"{name} is {value!r}; it must be a function, as {example}.")


def _check_box(box: tuple[float, float], name: str) -> None:
    """Raise unless a box is an interval (low, high)."""
    if np.shape(box) != (2,) or not number(box[0], name) < number(box[1], name):
        raise ValueError(f"{name} is {box!r}; it must be two numbers, low < high.")
