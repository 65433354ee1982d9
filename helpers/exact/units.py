"""An energy in any number of dimensions whose log Z, draws and likelihood are exact.

Binary units h = (h_1 … h_H), each 0 or 1, are summed out of a Gaussian–Bernoulli machine (Welling,
Rosen-Zvi & Hinton 2004): with w_h = Σ_j h_j w_j and b_h = Σ_j h_j b_j it is e^{−f(x)} = Σ_h
e^{−|x|²/2v + w_h·x + b_h}, a mixture of 2^H Gaussians N(v w_h, v I) of masses in proportion to
e^{b_h + v|w_h|²/2}. These need only the numbers w_i·w_j, and no loop: with h cut into two halves
they are a matrix of 2^{H/2} × 2^{H/2}.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from helpers.checks import generator_for, number, whole
from helpers.data import as_samples

_MOST_UNITS = 20
"""The largest H: its weights are 2^20 numbers, and take some milliseconds."""


class Units(nn.Module):
    """The energy f(x) = |x|²/2v − Σ_j log(1 + e^{w_j·x + b_j}), with its exact referee."""

    def __init__(self, w: Tensor, b: Tensor, v: float = 1.0):
        """Begin with these parameters.

        Args:
            w: the units' directions w_j, a row each, shape (H, d), H from 1 to 20.
            b: their biases, shape (H,).
            v: the variance that all the Gaussians share, positive.

        Raises:
            TypeError, ValueError: if they are not as above.
        """
        super().__init__()
        w = as_samples(w, "w", varied=False)
        whole(len(w), "the number of units, H,", 1, _MOST_UNITS)
        b = as_samples(b, "b", varied=False)
        if b.shape != (len(w), 1):
            raise ValueError(f"b has shape {tuple(b.squeeze(-1).shape)}; it must be ({len(w)},).")
        self.w, self.b = nn.Parameter(w), nn.Parameter(b.squeeze(-1))
        log_v = math.log(number(v, "v", 0, above=True))
        self.log_v = nn.Parameter(torch.tensor(log_v, dtype=torch.float64))

    @property
    def v(self) -> Tensor:
        """The variance that all the Gaussians share."""
        return self.log_v.exp()

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), of particles x of shape (n, d)."""
        if x.ndim != 2 or x.shape[1] != self.w.shape[1]:
            wanted = f"(n, {self.w.shape[1]})"
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be {wanted}.")
        return x.square().sum(-1) / (2 * self.v) - softplus(x @ self.w.T + self.b).sum(-1)

    def log_weights(self) -> Tensor:
        """Return the logarithms of the Gaussians' masses, shape (2^⌊H/2⌋, 2^⌈H/2⌉).

        Row and column, in binary, are the two halves of h, the first unit the highest digit.
        """
        H, d = self.w.shape
        first, second = _states(H // 2), _states(H - H // 2)
        gram = self.v * self.w @ self.w.T
        k = H // 2
        one, two = (
            h @ b + (h @ G * h).sum(1) / 2
            for h, b, G in (
                (first, self.b[:k], gram[:k, :k]),
                (second, self.b[k:], gram[k:, k:]),
            )
        )
        both = first @ gram[:k, k:] @ second.T
        return one[:, None] + two + both + d / 2 * (math.log(2 * math.pi) + self.log_v)

    def log_partition(self) -> Tensor:
        """Return log Z, with a graph to the parameters."""
        return torch.logsumexp(self.log_weights().flatten(), 0)

    def nll(self, x: Tensor) -> Tensor:
        """Return f(x) + log Z of each particle, shape (n,): its NLL in nats."""
        return self(x) + self.log_partition()

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Draw n exact, independent samples, shape (n, d)."""
        n, generator = whole(n, "n", 1), generator_for(generator)
        with torch.no_grad():
            logs = self.log_weights()
            chosen = torch.multinomial(logs.flatten().softmax(0), n, True, generator=generator)
            row, column = chosen // logs.shape[1], chosen % logs.shape[1]
            k = len(self.w) // 2
            h = torch.cat([_states(k)[row], _states(len(self.w) - k)[column]], 1)
            noise = torch.randn(n, self.w.shape[1], generator=generator, dtype=torch.float64)
            return self.v * h @ self.w + self.v.sqrt() * noise


def _states(units: int) -> Tensor:
    """Return all 2^units states of so many binary units, a row each, in the order of binaries."""
    bits = torch.arange(units - 1, -1, -1)
    return (torch.arange(2**units)[:, None] >> bits & 1).double()
