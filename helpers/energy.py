"""The energy networks of the course's recipe."""

import math
import warnings
from itertools import pairwise

import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn
from torch.nn.utils import skip_init

from helpers.rivals import student_fit


class EnergyNet(nn.Module):
    """An energy f from particles (n, d) to (n,), in the data's own units.

    The input is standardised, z = (x − centre)/scale, so that one recipe serves every unit.
    ``standard`` is the energy of z: a base energy plus a correction that is learned. The base is
    that of a Gaussian, |z|²/2, or, where the BIC says that the tails are heavier, that of
    Student's t, (ν + d)/2 · log(1 + |z|²/ν), with κ|z|²/2, κ > 0 learned, for tails that end after
    all. The correction is a network of z itself, or of ``units`` and ``waves``.

    * A unit tanh(w·z + b) switches at a place where data are, as steeply as the next ones are near.
    * Waves sin(ω·z), cos(ω·z) resolve what is fine (random Fourier features; Tancik and others
      2020): of size 0.1, |ω| from 2 to 30; beyond one dimension 1.4/√(1 + |ω|²/9), ω ~ N(0, 8I/d).

    More than one unit of z beyond the data, units and waves change no more, and the base energy
    takes over; of z itself the correction grows at most linearly. So with the base energy Z < ∞,
    whatever the weights.
    """

    def __init__(
        self,
        data: Tensor,
        *,
        width: int = 32,
        layers: int = 2,
        units: int = 64,
        waves: int = 0,
        base: bool = True,
        generator: torch.Generator,
    ):
        """Build it for data (n, d), float64; ``base=False`` leaves out the base energy.

        Args:
            width, layers: of the network's hidden layers.
            units: the number of units.
            waves: the number of frequencies ω; without units and waves it is a network of z itself.
        """
        super().__init__()
        centre, scale, nu = student_fit(data)
        z = (data - centre) / scale
        self.standard = _StandardEnergy(z, nu, width, layers, units, waves, base, generator)
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), of particles x of shape (n, d)."""
        return self.standard((x - self.centre) / self.scale)


class _StandardEnergy(nn.Module):
    """The energy of standardised particles; see ``EnergyNet``."""

    def __init__(
        self,
        z: Tensor,
        nu: float,
        width: int,
        layers: int,
        units: int,
        waves: int,
        base: bool,
        generator: torch.Generator,
    ):
        super().__init__()
        d, self.nu, self.base = z.shape[1], nu, base
        self.units = _units(z, units, generator) if units else None
        omega = torch.randn(d, waves, generator=generator, dtype=torch.float64)
        omega *= math.sqrt(8 / max(d, 2))
        amplitude = 1.4 / (1 + omega.square().sum(0) / 9).sqrt()
        if d == 1:
            size = 2 * 15 ** torch.rand(waves, generator=generator, dtype=torch.float64)
            omega, amplitude = omega / omega.norm(dim=0) * size, torch.full_like(amplitude, 0.1)
        self.register_buffer("low", z.min(0).values - 1)
        self.register_buffer("high", z.max(0).values + 1)
        self.register_buffer("omega", omega)
        self.register_buffer("amplitude", amplitude)
        inputs = (self.units.out_features if units else 0) + 2 * waves
        sizes = [inputs or d] + layers * [width]
        hidden = [(linear(i, o, generator), nn.SiLU()) for i, o in pairwise(sizes)]
        self.net = nn.Sequential(*(part for pair in hidden for part in pair))
        self.net.append(linear(width, 1, generator))
        if base and math.isfinite(nu):
            self.far = z.square().sum(1).max().item()
            self.log_kappa = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        """Return the energy, shape (n,), at standardised particles z of shape (n, d)."""
        features = z
        if self.units or self.omega.numel():
            near = z.clamp(self.low, self.high)
            phase = near @ self.omega
            waves = [self.amplitude * phase.sin(), self.amplitude * phase.cos()]
            units = [self.units(near).tanh()] if self.units else []
            features = torch.cat([*units, *waves], -1)
        correction = self.net(features).squeeze(-1)
        return correction + self.base_energy(z) if self.base else correction

    def base_energy(self, z: Tensor) -> Tensor:
        """Return the base energy, shape (n,), at z of shape (n, d)."""
        r = z.square().sum(-1)
        if math.isinf(self.nu):
            return r / 2
        kappa = 4 * self.log_kappa.exp() / self.far
        return (self.nu + z.shape[-1]) / 2 * torch.log1p(r / self.nu) + kappa * r / 2


def _units(z: Tensor, units: int, generator: torch.Generator) -> nn.Linear:
    """Return the layer w·z + b of units that switch where the standardised data z (n, d) are.

    The places are k-means centres, which spread further into the tails than the data do; w has a
    random direction, and as length the inverse distance to the centre next but one.
    """
    d, distinct = z.shape[1], len(z.unique(dim=0))
    units = max(2, min(units, distinct // 3))
    few = z[torch.randperm(len(z), generator=generator)[:4000]]
    seed = torch.randint(2**31, (), generator=generator).item()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(units, n_init=1, max_iter=30, random_state=seed).fit(few.numpy())
    places = torch.from_numpy(found.cluster_centers_).float().double()
    near = torch.cdist(places, places).sort(1).values[:, min(2, units - 1)].clamp(min=1e-3)
    direction = torch.randn(units, d, generator=generator, dtype=torch.float64)
    layer = linear(d, units, generator)
    with torch.no_grad():
        layer.weight.copy_(direction / direction.norm(dim=1, keepdim=True) / near[:, None])
        layer.bias.copy_(-(layer.weight * places).sum(1))
    return layer


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return ``nn.Linear`` in float64, U(−1/√inputs, 1/√inputs), drawn from the generator alone."""
    layer = skip_init(nn.Linear, inputs, outputs, dtype=torch.float64)
    bound = 1 / math.sqrt(inputs)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
