"""log Z of any energy by annealed importance sampling, from below and from above.

From N(0, I) to e^{−f}/Z in steps (Neal 2001): the energies (1 − β)|x|²/2 + β f(x), β from 0 to 1,
one MALA step at each. The particles' weights have the mean Z, exactly, whatever the chains do.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from helpers.chains import StepSize, check_particles, step_sizes
from helpers.checks import generator_for, whole
from helpers.densities import Energy, ask
from helpers.langevin import energy_and_gradient, mala_step


class _Annealed(NamedTuple):
    """What a run of annealed importance sampling gives."""

    log_z: float  # its estimate of log Z
    log_weights: Tensor  # of each particle, (n,); forward, the mean weight is what estimates Z
    effective: float  # how many particles' worth the weights are, at most n
    accepted: float  # the share of MALA steps that were accepted


def ais(
    energy: Energy,
    x: Tensor,
    temperatures: int,
    step_size: StepSize,
    *,
    generator: torch.Generator,
    reverse: bool = False,
) -> _Annealed:
    """Estimate log Z of e^{−f} in the whitened units in which the path begins at N(0, I).

    Forward, the particles start at draws of N(0, I) and the mean weight is unbiased for Z; so its
    logarithm is below log Z on average, and above log Z + r with a probability of at most e^{−r}.
    In reverse they start at draws of e^{−f}/Z, and the mean of 1/weight is unbiased for 1/Z: a
    bound from above, but only if those draws are exact (Grosse, Ghahramani & Adams 2015). States
    are rounded to multiples of 2⁻¹⁶, so that processors agree.

    Args:
        energy: f, from particles (n, d) to (n,).
        x: where it starts, shape (n, d): draws of N(0, I), or in reverse of e^{−f}/Z.
        temperatures: how many values β takes from 0 to 1, at least 2.
        step_size: of the MALA steps, a constant or one for each temperature, β from 0 to 1.
        generator: the source of randomness.
        reverse: go from β = 1 to 0.

    Raises:
        TypeError, ValueError: for an argument that is not as above.
    """
    check_particles(x, "x")
    last = whole(temperatures, "temperatures", 2) - 1
    steps, generator = list(step_sizes(step_size, last + 1)), generator_for(generator)
    logs = torch.full((len(x),), x.shape[1] / 2 * math.log(2 * math.pi), dtype=torch.float64)
    x, order, accepted = x.double(), range(last + 1), 0.0
    for before, now in pairwise(reversed(order) if reverse else order):
        with torch.no_grad():
            f = ask(energy, x.clone())
        if (f.isnan() | (f == -math.inf)).any():
            raise ValueError("energy is NaN or −∞ at a particle; it must be a number, or ∞.")
        higher = x.square().sum(-1) / 2 - f  # what f lies below the first energy
        logs += higher * abs(now - before) / last

        def path(z: Tensor, beta: float = now / last) -> Tensor:
            return (1 - beta) * z.square().sum(-1) / 2 + beta * energy(z)

        x, _, _, moved = mala_step(path, x, *energy_and_gradient(path, x), steps[now], generator)
        x, accepted = (x * 2**16).round() / 2**16, accepted + moved.double().mean().item()
    sign = -1 if reverse else 1
    log_sum, log_squares = (torch.logsumexp(sign * k * logs, 0).item() for k in (1, 2))
    return _Annealed(
        sign * (log_sum - math.log(len(x))),
        logs,
        math.exp(2 * log_sum - log_squares),
        accepted / last,
    )
