"""The samplers: plain Langevin Monte Carlo, Leimkuhler–Matthews, and MALA.

Each takes an energy f, any callable from particles (n, d) to energies (n,), and particles x0 of
shape (n, d); each works on x0's device in x0's dtype, never changes x0 and never touches the
global random state.
"""

import math
from functools import partial

import torch
from torch import Tensor

from helpers import chains
from helpers.chains import DivergenceError as DivergenceError
from helpers.chains import StepSize
from helpers.densities import Energy, ask, check_alone, watched

_PIECE = 2048
"""The largest number of particles whose energies are computed at once."""


def euler_maruyama(x: Tensor, gradient: Tensor, s: float, noise: Tensor) -> Tensor:
    """Return x − s ∇ₓf(x) + √(2s) N, the step that every sampler here makes or proposes."""
    return x - s * gradient + math.sqrt(2 * s) * noise


def normal_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return a draw of N(0, 1) for each entry of x."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def langevin_monte_carlo(
    energy: Energy,
    x0: Tensor,
    n_steps: int,
    step_size: StepSize,
    *,
    generator: torch.Generator | None = None,
    return_trajectory: bool = False,
) -> Tensor:
    """Run ``euler_maruyama`` steps, X ← X − s ∇ₓf(X) + √(2s) N, for every particle by itself.

    The Euler–Maruyama discretisation of dX = −∇ₓf(X) dt + √2 dB (Roberts & Tweedie 1996).

    Args:
        energy: f, differentiable in x.
        x0: starting particles, shape (n, d), floating point.
        n_steps: how many updates.
        step_size: s > 0, a constant or a schedule (see ``StepSize``).
        generator: the source of randomness, on x0's device; None makes a fresh one, seeded
            unpredictably.
        return_trajectory: return every state instead of the last.

    Returns:
        The final particles, shape (n, d), or the trajectory, shape (n_steps + 1, n, d), whose
        first row is x0.

    Raises:
        TypeError, ValueError: for an argument that is not as above.
            It must be a function of each particle alone, and x0's type fine enough for the steps.
        DivergenceError: if a position, energy or gradient is not finite, or a particle is farther
            from x0 than both 10⁶ (1 + |x0|) and 10⁵ √(2s), and the gradient no less than at x0.
    """
    return _walk(energy, x0, n_steps, step_size, generator, return_trajectory, False)


def leimkuhler_matthews(
    energy: Energy,
    x0: Tensor,
    n_steps: int,
    step_size: StepSize,
    *,
    generator: torch.Generator | None = None,
    return_trajectory: bool = False,
) -> Tensor:
    """Run X ← X − s ∇ₓf(X) + √(2s) (N_k + N_{k+1})/2: each noise is used in two steps.

    At the cost of a plain Langevin step its stationary law is off by O(s²) in place of O(s), and
    on a Gaussian, for s < 2σ², its variance is exactly σ² (Leimkuhler & Matthews 2013). X alone is
    not a Markov chain, since N_{k+1} comes back; a run that is continued by a second call starts
    from a fresh N. Arguments, results and errors as in ``langevin_monte_carlo``.
    """
    return _walk(energy, x0, n_steps, step_size, generator, return_trajectory, True)


def _walk(
    energy: Energy,
    x0: Tensor,
    n_steps: int,
    step_size: StepSize,
    generator: torch.Generator | None,
    return_trajectory: bool,
    averaged: bool,
) -> Tensor:
    """Run X ← X − s ∇ₓf(X) + √(2s) N, with N_k fresh, or averaged: (N_k + N_{k+1})/2."""
    steps, x, generator = chains.check_arguments(x0, n_steps, step_size, generator)
    states, places, gradients = [x], (x,), (torch.full_like(x, math.nan),)
    last = normal_like(x, generator) if averaged else x
    for k, s in enumerate(steps):
        if k == 0:
            f, gradient = _start(energy, x, s)
            outwards = partial(_steeper, energy, gradient)
        else:
            f, gradient = energy_and_gradient(energy, x)
            chains.check_energy(k, x, f, gradient)
        if k == min(1, n_steps - 1):
            check_alone(energy, x[:_PIECE], f[:_PIECE])
        fresh = normal_like(x, generator)
        noise, last = (last + fresh) / 2 if averaged else fresh, fresh
        new = euler_maruyama(x, gradient, s, noise)
        places, gradients = (places[-1], x), (gradients[-1], gradient)
        why = partial(chains.steepness, s, places, gradients)
        chains.check_bounds(k, x0, x, new, why, s=s, outwards=outwards)
        x = new
        if return_trajectory:
            states.append(x)
    return torch.stack(states) if return_trajectory else x


def _start(energy: Energy, x: Tensor, s: float) -> tuple[Tensor, Tensor]:
    """Return f and ∇ₓf where a run starts, and raise if the run could only go wrong."""
    with watched(energy):
        f, gradient = energy_and_gradient(energy, x)
    chains.check_energy(0, x, f, gradient)
    chains.check_start(x, gradient, s)
    return f, gradient


def _steeper(energy: Energy, first: Tensor, x: Tensor) -> Tensor:
    """Return which particles of x (n,) have no smaller a gradient than they had at first."""
    return ~(energy_and_gradient(energy, x)[1].norm(dim=1) < first.norm(dim=1))


def mala(
    energy: Energy,
    x0: Tensor,
    n_steps: int,
    step_size: StepSize,
    *,
    generator: torch.Generator | None = None,
    return_trajectory: bool = False,
) -> Tensor:
    """Run the Metropolis-adjusted Langevin algorithm: a Langevin step, then accept or reject it.

    The move x → y is accepted with probability min(1, p(y) q(x|y) / (p(x) q(y|x))), where
    q(y|x) = N(y; x − s ∇ₓf(x), 2s): every step leaves p ∝ e^{−f} unchanged, whatever s
    (Roberts & Tweedie 1996). Arguments, results and errors as in ``langevin_monte_carlo``. In a
    trajectory, a particle that was rejected stands still.
    """
    steps, x, generator = chains.check_arguments(x0, n_steps, step_size, generator)
    states, unseen = [x], True
    unbounded = "e^(-f) may have no finite integral, or its mass lie that far from x0"
    for k, s in enumerate(steps):
        if k == 0:
            f, gradient = _start(energy, x, s)
            outwards = partial(_steeper, energy, gradient)
        before = x
        x, f, gradient, moved = mala_step(energy, x, f, gradient, s, generator)
        chains.check_energy(k, x, f, gradient)
        if unseen and moved.any():
            check_alone(energy, x[:_PIECE], f[:_PIECE])
            unseen = False
        chains.check_bounds(k, x0, before, x, lambda _: unbounded, s=s, outwards=outwards)
        if return_trajectory:
            states.append(x)
    return torch.stack(states) if return_trajectory else x


def mala_step(
    energy: Energy, x: Tensor, f: Tensor, gradient: Tensor, s: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make one MALA step from x, whose energy f and gradient are known.

    Returns:
        The new x (n, d), its energy (n,) and gradient (n, d), and which particles moved (n,).
    """
    noise = normal_like(x, generator)
    y = euler_maruyama(x, gradient, s, noise)
    f_y, gradient_y = energy_and_gradient(energy, y)
    back = x - y + s * gradient_y
    log_ratio = f - f_y - back.square().sum(-1) / (4 * s) + noise.square().sum(-1) / 2
    u = torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device)
    moved = u.log() < log_ratio
    x, gradient = (torch.where(moved[:, None], a, b) for a, b in ((y, x), (gradient_y, gradient)))
    return x, torch.where(moved, f_y, f), gradient, moved


def energy_and_gradient(energy: Energy, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(x), shape (n,), and ∇ₓf(x), shape (n, d), of particles x, with no graph kept.

    Many particles go in pieces of ``_PIECE``, which keeps a network's layers in the cache. So the
    energy must treat every particle by itself: f of one must not depend on the others.

    Raises:
        ValueError: if the energy returns another shape or is not differentiable in x.
    """
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False):
            return energy_and_gradient(energy, x)
    if len(x) <= _PIECE:
        return _energy_and_gradient(energy, x, len(x))
    pieces = [_energy_and_gradient(energy, piece, len(x)) for piece in x.split(_PIECE)]
    f, gradient = zip(*pieces, strict=True)
    return torch.cat(f), torch.cat(gradient)


def _energy_and_gradient(energy: Energy, x: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return f and ∇ₓf of x, a piece of n particles."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        try:
            f = ask(energy, x, n)
        except RuntimeError as error:
            if "leaf Variable" not in str(error):
                raise
            f = ask(energy, x.clone(), n)  # it works in place, which autograd forbids on x itself
        try:
            gradient = f.requires_grad and torch.autograd.grad(f.sum(), x, allow_unused=True)[0]
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            raise ValueError(
                "energy overwrites in place what its gradient needs; it must work on a copy."
            ) from error
    if not isinstance(gradient, Tensor):
        raise ValueError(
            "energy returned values without a gradient in x; it must be differentiable in x"
            " (built from torch operations, nothing detached)."
        )
    return f.detach(), gradient
