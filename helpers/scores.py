"""Scores at many noise levels: the levels, networks that know the level, and the steps back.

A score takes particles x (n, d) and a level σ to ∇ₓ log p_σ(x), shape (n, d), where p_σ is the law
of the data plus noise, x + σε. The levels of a run are decreasing numbers, σ_0 > … > σ_K > 0.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from helpers.chains import check_particles
from helpers.checks import generator_for, number, whole
from helpers.data import as_samples
from helpers.energy import linear
from helpers.langevin import energy_and_gradient, normal_like

Score = Callable[[Tensor, float], Tensor]
"""From particles (n, d) and a level σ to ∇ₓ log p_σ, shape (n, d)."""


def geometric(high: float, low: float, n_steps: int) -> list[float]:
    """Return the levels of so many steps from high to low, each the same part of the one before."""
    n_steps, low = whole(n_steps, "n_steps", 1), number(low, "low", 0, above=True)
    high = number(high, "high", low, above=True)
    return [high * (low / high) ** (k / n_steps) for k in range(n_steps)] + [low]


def powers(high: float, low: float, n_steps: int, power: float = 7.0) -> list[float]:
    """Return levels whose power-th roots are evenly spaced (Karras and others 2022)."""
    n_steps, low = whole(n_steps, "n_steps", 1), number(low, "low", 0, above=True)
    high, power = number(high, "high", low, above=True), number(power, "power", 0, above=True)
    ends = [level ** (1 / power) for level in (high, low)]
    inner = [(ends[0] + k / n_steps * (ends[1] - ends[0])) ** power for k in range(1, n_steps)]
    return [high, *inner, low]


def check_levels(levels: Sequence[float]) -> list[float]:
    """Return the levels, at least two, as numbers; raise unless each is below the one before."""
    if isinstance(levels, str) or not hasattr(levels, "__len__"):
        raise TypeError(f"levels is {levels!r}; it must be a sequence of decreasing numbers.")
    levels = [number(level, f"levels[{k}]", 0, above=True) for k, level in enumerate(levels)]
    if len(levels) < 2:
        raise ValueError(f"levels has {len(levels)} level(s); a step needs one to go to.")
    for k, (level, lower) in enumerate(pairwise(levels)):
        if not lower < level:
            raise ValueError(
                f"levels go from {level:g} to {lower:g} at {k + 1}; each must be below the last."
            )
    return levels


def _ask(score: Score, x: Tensor, level: float) -> Tensor:
    """Return the score of particles x, checked."""
    if not callable(score):
        raise TypeError(f"score is {score!r}; it must be a function of particles and a level.")
    with torch.no_grad():
        value = score(x, level)
    shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    if shape != tuple(x.shape):
        raise ValueError(
            f"score returned {shape} for particles of shape {tuple(x.shape)}; it must return a"
            " tensor of their shape."
        )
    if not value.isfinite().all():
        raise ValueError(f"score returned NaN or infinity at the level {level:g}.")
    return value


def reverse_step(
    score: Score, x: Tensor, level: float, lower: float, v: float = 0.0
) -> tuple[Tensor, float]:
    """Return the mean, of x's shape, and the variance of a step from a level to a lower one.

    The mean is exact for any law: x + (σ² − σ'²) ∇ₓ log p_σ(x) is that of the less noisy place,
    given x (Tweedie's formula, Robbins 1956). The variance, (σ² − σ'²)(v + σ'²)/(v + σ²), is exact
    for Gaussian data of the variance v. v = 0 is the ancestral step (Ho and others 2020, Song and
    others 2021), v = ∞ the Euler–Maruyama step of the reverse diffusion in the time σ².

    Raises:
        TypeError, ValueError: if lower is not below level, v is negative, or the score returns
            another shape or is not finite.
    """
    level, lower = check_levels([level, lower])
    v = v if v == math.inf else number(v, "v", 0)
    drop = level**2 - lower**2
    share = 1.0 if v == math.inf else (v + lower**2) / (v + level**2)
    return x + drop * _ask(score, x, level), drop * share


def flow_step(score: Score, x: Tensor, level: float, lower: float) -> Tensor:
    """Return x after a Heun step of dx/dσ = −σ ∇ₓ log p_σ(x), which moves p_σ without noise.

    It goes to a lower level or to a higher one, as lower says.
    """
    check_levels(sorted([level, lower], reverse=True))
    slope = -level * _ask(score, x, level)
    there = x + (lower - level) * slope
    return x + (lower - level) * (slope - lower * _ask(score, there, lower)) / 2


def descend(
    score: Score,
    x: Tensor,
    levels: Sequence[float],
    *,
    generator: torch.Generator,
    v: float = 0.0,
) -> Iterator[Tensor]:
    """Yield the particles (n, d) before the first and after every step down the levels.

    Raises:
        TypeError, ValueError: if levels do not decrease or are fewer than two, v is negative, or
            the score returns another shape or is not finite.
    """
    check_particles(x, "x")
    levels, generator = check_levels(levels), generator_for(generator, x.device)
    yield x
    for level, lower in pairwise(levels):
        mean, variance = reverse_step(score, x, level, lower, v)
        x = mean + math.sqrt(variance) * normal_like(x, generator)
        yield x


class _AtLevels(nn.Module):
    """A network of z and log σ, where z = (x − mean)/√(sd² + σ²) is the noisy data standardised."""

    scalar: bool
    """Whether the network gives a number for each particle, or one for each of its coordinates."""

    def __init__(
        self,
        data: Tensor,
        low: float,
        high: float,
        *,
        width: int = 64,
        layers: int = 2,
        generator: torch.Generator,
    ):
        """Build it for data (n, d) and levels from low to high; width and layers are hidden."""
        super().__init__()
        data, generator = as_samples(data, "data"), generator_for(generator)
        width, layers = whole(width, "width", 1), whole(layers, "layers", 1)
        self.low, self.high = check_levels([high, low])[::-1]
        self.register_buffer("mean", data.mean(0))
        self.register_buffer("sd", data.std(0))
        sizes = [data.shape[1] + 1] + layers * [width]
        hidden = [(linear(i, o, generator), nn.SiLU()) for i, o in pairwise(sizes)]
        self.net = nn.Sequential(*(part for pair in hidden for part in pair))
        self.net.append(linear(width, 1 if self.scalar else data.shape[1], generator))

    def inside(self, x: Tensor, level: Tensor | float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return z (n, d), √(sd² + σ²), σ (n, 1) and what the network says of z and σ."""
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be (n, {len(self.mean)}).")
        level = torch.as_tensor(level, dtype=x.dtype)
        if level.shape not in {(), (len(x), 1)} or not (level > 0).all():
            came = level.item() if level.ndim == 0 else f"a tensor {tuple(level.shape)}"
            raise ValueError(f"level is {came}; it must be a positive number, or ({len(x)}, 1).")
        level = level.expand(len(x), 1)
        total = (self.sd**2 + level**2).sqrt()
        z = (x - self.mean) / total
        place = (level / self.low).log() / math.log(self.high / self.low)
        return z, total, level, self.net(torch.cat([3 * z, 4 * place - 2], 1))


class LevelEnergy(_AtLevels):
    """An energy f(x, σ): that of a Gaussian, |z|²/2, and a correction that is learned.

    Its score is −∇ₓf, and e^{−f} at one level has an unknown Z, another at each.
    """

    scalar = True

    def forward(self, x: Tensor, level: Tensor | float) -> Tensor:
        """Return f, shape (n,), of particles x (n, d) at a level, a number or (n, 1)."""
        z, _, _, out = self.inside(x, level)
        return z.square().sum(1) / 2 + out[:, 0]

    def score(self, x: Tensor, level: float) -> Tensor:
        """Return −∇ₓf, shape (n, d)."""
        return -energy_and_gradient(lambda y: self(y, level), x)[1]


class LevelScore(_AtLevels):
    """A score of (x, σ): that of a Gaussian, and a correction that is learned; no energy's slope.

    −z/√(sd² + σ²) + F(z, σ) sd/(σ√(sd² + σ²)): the preconditioning of Karras and others (2022), in
    which the network F has the same size at all levels.
    """

    scalar = False

    def forward(self, x: Tensor, level: Tensor | float) -> Tensor:
        """Return the score, shape (n, d), of particles x (n, d) at a level, a number or (n, 1)."""
        z, total, level, out = self.inside(x, level)
        return (out * self.sd / level - z) / total
