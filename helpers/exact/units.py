"""An energy in any number of dimensions whose log Z, draws and likelihood are exact.

Binary units h = (h_1 … h_H), each 0 or 1, are summed out of a Gaussian–Bernoulli machine (Welling,
Rosen-Zvi & Hinton 2004): e^{−f(x)} = Σ_h e^{−|x|²/2v + h·(Wx + c)}, a mixture of 2^H Gaussians
N(v Wᵀh, v I) with the log weights h·c + v |Wᵀh|²/2. These need no dimension but H, and no loop:
with h cut into two halves they are a matrix of 2^{H/2} × 2^{H/2}.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from helpers.checks import generator_for, number, whole
from helpers.data import as_samples

MOST_UNITS = 20
"""The largest H: its weights are 2^20 numbers, and take some milliseconds."""


class Units(nn.Module):
    """The energy f(x) = |x|²/2v − Σ_j log(1 + e^{w_j·x + c_j}), with its exact referee."""

    def __init__(self, W: Tensor, c: Tensor, v: float = 1.0):
        """Begin with these parameters.

        Args:
            W: the units' directions w_j, a row each, shape (H, d), H from 1 to 20.
            c: their biases, shape (H,).
            v: the variance that all the Gaussians share, positive.

        Raises:
            TypeError, ValueError: if they are not as above.
        """
        super().__init__()
        W = as_samples(W, "W", varied=False)
        whole(len(W), "the number of units, H,", 1, MOST_UNITS)
        c = as_samples(c, "c", varied=False)
        if c.shape != (len(W), 1):
            raise ValueError(f"c has shape {tuple(c.squeeze(-1).shape)}; it must be ({len(W)},).")
        self.W, self.c = nn.Parameter(W), nn.Parameter(c.squeeze(-1))
        log_v = math.log(number(v, "v", 0, above=True))
        self.log_v = nn.Parameter(torch.tensor(log_v, dtype=torch.float64))

    @property
    def v(self) -> Tensor:
        """The variance that all the Gaussians share."""
        return self.log_v.exp()

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), of particles x of shape (n, d)."""
        if x.ndim != 2 or x.shape[1] != self.W.shape[1]:
            wanted = f"(n, {self.W.shape[1]})"
            raise ValueError(f"x has shape {tuple(x.shape)}; it must be {wanted}.")
        return x.square().sum(-1) / (2 * self.v) - softplus(x @ self.W.T + self.c).sum(-1)

    def log_weights(self) -> Tensor:
        """Return the logarithms of the Gaussians' masses, shape (2^⌊H/2⌋, 2^⌈H/2⌉).

        Row and column, in binary, are the two halves of h, the first unit the highest digit.
        """
        H, d = self.W.shape
        first, second = _states(H // 2), _states(H - H // 2)
        gram = self.v * self.W @ self.W.T
        k = H // 2
        one, two = (
            h @ c + (h @ G * h).sum(1) / 2
            for h, c, G in (
                (first, self.c[:k], gram[:k, :k]),
                (second, self.c[k:], gram[k:, k:]),
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
            k = len(self.W) // 2
            h = torch.cat([_states(k)[row], _states(len(self.W) - k)[column]], 1)
            noise = torch.randn(n, self.W.shape[1], generator=generator, dtype=torch.float64)
            return self.v * h @ self.W + self.v.sqrt() * noise


def _states(units: int) -> Tensor:
    """Return all 2^units states of so many binary units, a row each, in the order of binaries."""
    bits = torch.arange(units - 1, -1, -1)
    return (torch.arange(2**units)[:, None] >> bits & 1).double()
