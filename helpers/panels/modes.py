"""What the panel of the eight modes computes: particles, their exact law, and who is in which mode.

Every round is a plain Langevin step and, with jumps, a jump as well; all begin in one mode.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from helpers import jumps, shapes
from helpers.exact import plane
from helpers.langevin import energy_and_gradient, euler_maruyama, normal_like

ROUNDS, PARTICLES = 100, 500

_POINTS, _TAIL = 61, 6.0
"""Of the grid: its points on an axis, and the standard deviations of a chain's mode that it has."""

_ANGLES = np.arange(8) * math.pi / 4
CENTRES = 2 * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
"""The modes, from the one where everything begins and round the circle: at 4 is the opposite."""


def run(sd: float, s: float, jumping: bool, seed: int) -> np.ndarray:
    """Return the particles before the first and after every round, (ROUNDS + 1, PARTICLES, 2).

    Rounded after every round, so that all processors go on from the same places.
    """
    energy, g = shapes.eight(sd).energy, torch.Generator().manual_seed(seed)
    x = shapes.blurred(torch.from_numpy(CENTRES[:1]), sd**2).draw(PARTICLES, generator=g)
    path = [x]
    for _ in range(ROUNDS):
        x = euler_maruyama(x, energy_and_gradient(energy, x)[1], s, normal_like(x, g))
        x = jumps.jump(energy, x, generator=g) if jumping else x
        x = x.float().double()
        path.append(x)
    return torch.stack(path).numpy()


def shares(path: np.ndarray) -> np.ndarray:
    """Return the share of the particles (…, n, 2) that are in each mode's sector, (…, 8)."""
    sector = np.round(np.arctan2(path[..., 1], path[..., 0]) / (math.pi / 4)) % 8
    return (sector[..., None] == np.arange(8)).mean(-2)


@lru_cache
def _weigher(m: int, fine: int = 8) -> np.ndarray:
    """Return what turns a law on m × m points, flat, into the masses of the sectors, (m², 8).

    As sums over a finer grid, between whose points and the law's lies an interpolation by cubics:
    right to 3e-4, and to 1 % of what a mode has after 100 rounds.
    """
    at = (np.arange(m * fine) + 0.5) / fine - 0.5
    t = np.abs(at[:, None] - np.arange(m))
    near, far = (1 - t**2) * (2 - t) / 2, (1 - t) * (2 - t) * (3 - t) / 6
    between = np.where(t < 1, near, np.where(t < 2, far, 0)) / fine
    x = at - (m - 1) / 2
    inside = shares(np.stack(np.meshgrid(x, x, indexing="ij"), -1)[:, :, None])
    return np.einsum("ai,abc,bj->ijc", between, inside, between, optimize=True).reshape(m * m, 8)


class Law:
    """The exact law round by round, made as far as it is asked for.

    The grid holds six standard deviations of a mode to which the chain would settle.
    """

    def __init__(self, sd: float, s: float, jumping: bool, points: int = _POINTS):
        target = shapes.eight(sd)
        self.on = plane.grid(2 + _TAIL * sd / math.sqrt(1 - s / (2 * sd**2)), points)
        self.log_p = plane.log_density(target.energy, self.on)[0]
        start = shapes.blurred(torch.from_numpy(CENTRES[:1]), sd**2)
        steps = [plane.langevin_step(target.energy, s, self.on)]
        if jumping:
            steps.append(plane.jump_step(target.energy, jumps.wide().log_density, self.on))
        begin = plane.log_density(start.energy, self.on)[0]
        self._more: Iterator[Tensor] = plane.law(begin, steps, ROUNDS, self.on)
        self._made = 0
        self._laws = torch.empty(ROUNDS + 1, points, points, dtype=torch.float64)
        self._weights = np.empty((ROUNDS + 1, 8))
        self._weigh = _weigher(points)

    def up_to(self, k: int) -> tuple[Tensor, np.ndarray]:
        """Return the law after k rounds, and the modes' weights up to then, (k + 1, 8)."""
        for i in range(self._made, k + 1):
            self._laws[i] = next(self._more)
            p = self._laws[i].exp().numpy().ravel() * self.on.cell
            self._weights[i], self._made = (p @ self._weigh).clip(0), i + 1
        return self._laws[k], self._weights[: k + 1]
