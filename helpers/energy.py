"""The energy network of the course's recipe."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init


class EnergyNet(nn.Module):
    """An energy f from particles (n, d) to (n,), in the data's own units.

    The input is standardised with the mean and standard deviation of the data, z = (x − m)/sd,
    so that one recipe serves every unit. ``standard`` is the energy of z, |z|²/2 + net(z): that of
    a Gaussian with the data's means and standard deviations, plus a correction that is learned. A
    SiLU network grows at most linearly, so |z|² wins far out, and Z < ∞ whatever the weights.
    """

    def __init__(
        self,
        data: Tensor,
        *,
        width: int = 16,
        layers: int = 3,
        base: bool = True,
        generator: torch.Generator,
    ):
        """Build it for data (n, d), float64; ``base=False`` leaves out |z|²/2."""
        super().__init__()
        self.standard = _StandardEnergy(data.shape[1], width, layers, base, generator)
        self.register_buffer("mean", data.mean(0))
        self.register_buffer("sd", data.std(0))

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), of particles x of shape (n, d)."""
        return self.standard((x - self.mean) / self.sd)


class _StandardEnergy(nn.Module):
    """The energy |z|²/2 + net(z) of standardised particles; see ``EnergyNet``."""

    def __init__(self, d: int, width: int, layers: int, base: bool, generator: torch.Generator):
        super().__init__()
        sizes = [d] + layers * [width]
        hidden = [(linear(i, o, generator), nn.SiLU()) for i, o in pairwise(sizes)]
        self.net = nn.Sequential(*(part for pair in hidden for part in pair))
        self.net.append(linear(width, 1, generator))
        self.base = base

    def forward(self, z: Tensor) -> Tensor:
        """Return the energy, shape (n,), at standardised particles z of shape (n, d)."""
        correction = self.net(z).squeeze(-1)
        return correction + z.square().sum(-1) / 2 if self.base else correction


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return ``nn.Linear`` in float64, U(−1/√inputs, 1/√inputs), drawn from the generator alone."""
    layer = skip_init(nn.Linear, inputs, outputs, dtype=torch.float64)
    bound = 1 / math.sqrt(inputs)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
