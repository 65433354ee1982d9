"""Answers to the exercises 1.4, 2.4, 2.5, 3.5, 3.6 and 5.4: right ones and mutants."""

import math

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch import Tensor

from answers import Answer
from helpers import exact
from helpers.langevin import energy_and_gradient

# --- 1.4 ---------------------------------------------------------------------------------------


def gap_of(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    d = b - a
    error = d.std() / len(d) ** 0.5
    return d.mean(), error, len(d) * (2 * error / d.mean()) ** 2


def gap_numpy(a: Tensor, b: Tensor) -> np.ndarray:
    d = a.numpy() - b.numpy()
    return np.array(
        [-d.mean(), d.std(ddof=1) / d.size**0.5, np.ceil(4 * d.var(ddof=1) / d.mean() ** 2)]
    )


def gap_by_hand(a: Tensor, b: Tensor) -> list[float]:
    m, mean = len(a), (sum(b.tolist()) - sum(a.tolist())) / len(a)
    square = sum((q - p - mean) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True))
    error = math.sqrt(square / (m - 1) / m)
    return [mean, error, 4 * m * error**2 / mean**2]


# --- 2.4, 2.5 ----------------------------------------------------------------------------------


def log_z(f: Tensor, x: Tensor) -> Tensor:
    return torch.trapezoid((f.min() - f).exp(), x).log() - f.min()


def log_z_of_cells(f: Tensor, x: Tensor) -> Tensor:
    """Sum over the cells between points, in the logarithm."""
    return torch.logsumexp(torch.logaddexp(-f[1:], -f[:-1]) + (x.diff() / 2).log(), 0)


def log_z_scipy(f: Tensor, x: Tensor) -> float:
    return logsumexp(-f.numpy(), b=np.gradient(x.numpy()))


def has_tails(a: float, b: float, c: float) -> bool:
    return b > abs(a) or (b == abs(a) and c > 0.5)


def has_tails_each(a: float, b: float, c: float) -> np.bool_:
    return np.all([slope > 0 or (slope == 0 and 2 * c > 1) for slope in (b - a, a + b)])


# --- 3.5 ---------------------------------------------------------------------------------------


def ratio_by_normals(energy: Answer, x: Tensor, y: Tensor, s: float, tau: float) -> Tensor:
    """Let torch's Normal write the proposal."""

    def log_q(to: Tensor, start: Tensor) -> Tensor:
        mean = start - s * energy_and_gradient(energy, start)[1]
        return torch.distributions.Normal(mean, tau).log_prob(to).sum(-1)

    return energy(x) - energy(y) + log_q(x, y) - log_q(y, x)


def ratio_by_autograd(energy: Answer, x: Tensor, y: Tensor, s: float, tau: float) -> np.ndarray:
    terms = []
    for start, to in ((x, y), (y, x)):
        leaf = start.clone().requires_grad_()
        f = energy(leaf)
        (slope,) = torch.autograd.grad(f.sum(), leaf)
        terms.append(-f.detach() - ((to - start + s * slope) ** 2).sum(1) / (2 * tau**2))
    return (terms[1] - terms[0]).numpy()


def ratio_by_loop(energy: Answer, x: Tensor, y: Tensor, s: float, tau: float) -> list[float]:
    return [
        ratio_by_normals(energy, x[i : i + 1], y[i : i + 1], s, tau).item() for i in range(len(x))
    ]


def ratio_with_graph(energy: Answer, x: Tensor, y: Tensor, s: float, tau: float) -> Tensor:
    return ratio_by_normals(energy, x, y.clone().requires_grad_(), s, tau)


# --- 3.6 ---------------------------------------------------------------------------------------


def kernels(z: Tensor, centres: Tensor, w: float) -> Tensor:
    return -((z - centres.T) ** 2) / (2 * w**2)


def normal_kernels(z: Tensor, centres: Tensor, w: float) -> Tensor:
    """Return the logarithms of the kernels' shares in g, a density."""
    return torch.distributions.Normal(centres.T, w).log_prob(z) - math.log(len(centres))


def jumping(
    g=lambda logs, j: torch.logsumexp(logs, 1),
    kernels=kernels,
    ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y + g_x - g_y,
    width=lambda w: w,
    uniforms=None,
    proposals=None,
    numbers=None,
    noise=1.0,
    compare=lambda u, log_ratio: u.log() < log_ratio,
    swap=False,
    reseed=False,
    choose=None,
) -> Answer:
    """Return a jump to the data; with other arguments, one with a mistake."""

    def jump(energy, x, centres, w, generator):
        if reseed:
            generator = torch.Generator().manual_seed(3)
        n = len(x)
        j = torch.randint(len(centres), (numbers or n,), generator=generator).expand(n)
        j = choose(len(centres), n) if choose else j
        fresh = torch.randn((proposals or n, 1), generator=generator).expand(n, 1)
        y = centres[j] + noise * width(w) * fresh
        g_x, g_y = (g(kernels(z, centres, w), j) for z in (x, y))
        u = torch.rand(uniforms or n, generator=generator)
        accept = compare(u, ratio(energy(x), energy(y), g_x, g_y))
        return torch.where((accept ^ swap)[:, None], y, x)

    return jump


def jump_numpy(energy, x, centres, w, generator):
    """Draw from NumPy, seeded by the generator, and divide densities."""
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    old, c = x.numpy(), centres.numpy()[:, 0]
    new = rng.normal(rng.choice(c, len(old)), w)[:, None]

    def weight(z):
        return np.exp(-energy(torch.from_numpy(z)).numpy()) / np.exp(
            -0.5 * ((z - c) / w) ** 2
        ).mean(1)

    return np.where((rng.uniform(size=len(old)) * weight(old) < weight(new))[:, None], new, old)


def jump_float(energy, x, centres, w, generator):
    """Work in float32, and compare densities."""
    x, centres = x.float(), centres.float()
    return jumping(compare=lambda u, r: u < r.exp())(energy, x, centres, w, generator)


def jump_in_place(energy, x, centres, w, generator):
    return x.copy_(jumping()(energy, x, centres, w, generator))


def jump_global(energy, x, centres, w, generator):
    y = centres[torch.randint(len(centres), (len(x),))] + w * torch.randn(x.shape)
    log_g = [torch.logsumexp(kernels(z, centres, w), 1) for z in (x, y)]
    accept = torch.rand(len(x)).log() < energy(x) - energy(y) + log_g[0] - log_g[1]
    return torch.where(accept[:, None], y, x)


# --- 5.4 ---------------------------------------------------------------------------------------


def next_law(p: Tensor, slope: Tensor, x: Tensor, s: float, tau: float) -> Tensor:
    normal = torch.distributions.Normal(x - s * slope, abs(tau))
    return torch.trapezoid(p * normal.log_prob(x[:, None]).exp(), x)


def next_law_by_matrix(p: Tensor, slope: Tensor, x: Tensor, s: float, tau: float) -> Tensor:
    return p @ exact.gaussian_kernel(x - s * slope, tau**2, x)


def next_law_by_loop(p: Tensor, slope: Tensor, x: Tensor, s: float, tau: float) -> list[float]:
    p, mean, h = p.numpy(), (x - s * slope).numpy(), (x[1] - x[0]).item()
    return [float(h * (p * norm(mean, abs(tau)).pdf(y)).sum()) for y in x.tolist()]


def next_law_of_cells(p: Tensor, slope: Tensor, x: Tensor, s: float, tau: float) -> Tensor:
    """Average over each cell of arrival, by differences of the distribution function."""
    h, mean = x[1] - x[0], (x - s * slope)[:, None]
    low, high = (torch.special.ndtr((x + d - mean) / abs(tau)) for d in (-h / 2, h / 2))
    return p @ (high - low)


def next_law_of_middles(p: Tensor, slope: Tensor, x: Tensor, s: float, tau: float) -> Tensor:
    """Sum over the middles between the points, with the means of p and of the slope there."""
    p, slope, at = ((v[1:] + v[:-1]) / 2 for v in (p, slope, x))
    normal = torch.distributions.Normal((at - s * slope)[:, None], abs(tau))
    return p @ normal.log_prob(x).exp() * (x[1] - x[0])


def next_law_in_place(p: Tensor, slope: Tensor, x: Tensor, s: float, tau: float) -> Tensor:
    return p.copy_(next_law(p, slope, x, s, tau))


MORE_RIGHT: dict[str, list[Answer]] = {
    "held_out_gap": [gap_of, gap_numpy, gap_by_hand],
    "log_integral": [log_z, log_z_of_cells, log_z_scipy],
    "has_density": [has_tails, has_tails_each, lambda a, b, c: int(has_tails(a, b, c))],
    "log_acceptance": [ratio_by_normals, ratio_by_autograd, ratio_by_loop, ratio_with_graph],
    "jump_to_data": [jumping(), jump_numpy, jumping(kernels=normal_kernels), jump_float],
    "law_after_step": [
        next_law,
        next_law_by_matrix,
        next_law_by_loop,
        next_law_of_cells,
        next_law_of_middles,
    ],
}


MORE_WRONG: list[tuple[str, Answer, str]] = [
    ("held_out_gap", lambda a, b: gap_of(a, b.sub_(1)), "changed in place"),
    ("held_out_gap", lambda a, b: (0.5, *gap_of(a, b)[1:]), "Difference of the NLLs of 9"),
    (
        "held_out_gap",
        lambda a, b: (*gap_of(a, b)[:2], max(len(a), gap_of(a, b)[2])),
        "from those of 70",
    ),
    ("log_integral", lambda f, x: log_z(f.nan_to_num(posinf=0.0), x), "x − 2 log x for x > 0"),
    ("log_integral", lambda f, x: log_z(f, x.clamp(-100, 100)), "in thousands"),
    ("log_integral", lambda f, x: log_z(f.sub_(1), x) - 1, "changed in place"),
    ("log_integral", lambda f, x: log_z(f, x) + 0.1, "log Z of f = (x − 1)²/8 − 1: expected"),
    ("has_density", lambda a, b, c: True, "b = -1, c = 0: False expected, found True"),
    ("has_density", lambda a, b, c: 0.5, "Return True or False"),
    ("log_acceptance", lambda f, x, y, s, t: ratio_by_normals(f, x.add_(1), y, s, t), "in place"),
    (
        "log_acceptance",
        lambda *a: ratio_by_normals(*a).nan_to_num(neginf=-1e4),
        "its logarithm is −∞",
    ),
    ("log_acceptance", lambda *a: ratio_by_normals(*a) + 1, "The log ratios with s = 0.3"),
    (
        "log_acceptance",
        lambda f, x, y, s, t: ratio_by_normals(f, x, y, s, t) + 0 / torch.tensor(s),
        "The log ratios with s = 0:",
    ),
    ("law_after_step", next_law_in_place, "changed in place"),
    ("law_after_step", lambda *a: 2 * next_law(*a), "The law after one step, N(2"),
    (
        "law_after_step",
        lambda p, slope, x, s, t: (
            torch.distributions.Normal(0.0, t) and next_law(p, slope, x, s, t)
        ),
        "raised ValueError",
    ),
    ("jump_to_data", jumping(compare=lambda u, r: u < 2), "Every proposal is accepted"),
    ("jump_to_data", jumping(ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y), "of g are missing"),
    (
        "jump_to_data",
        jumping(ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y - g_x + g_y),
        "of g are swapped",
    ),
    (
        "jump_to_data",
        jumping(ratio=lambda f_x, f_y, g_x, g_y: f_y - f_x + g_x - g_y),
        "energies have the wrong sign",
    ),
    (
        "jump_to_data",
        jumping(ratio=lambda f_x, f_y, g_x, g_y: f_y - f_x - g_x + g_y),
        "upside down",
    ),
    ("jump_to_data", jumping(compare=lambda u, r: u < torch.sigmoid(r)), "Barker's rule"),
    ("jump_to_data", jumping(choose=lambda k, n: torch.arange(n) % k), "same centre forty"),
    ("jump_to_data", jumping(compare=lambda u, r: u < r.exp().clamp(max=0.9)), "x = 0.6"),
    ("jump_to_data", jumping(compare=lambda u, r: u < r), "logarithm are mixed"),
    ("jump_to_data", jumping(ratio=lambda f_x, f_y, g_x, g_y: g_x - g_y), "energies are missing"),
    (
        "jump_to_data",
        jumping(ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y + g_x),
        "log g(y) is missing, and",
    ),
    (
        "jump_to_data",
        jumping(ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y - g_y),
        "log g(x) is missing, and",
    ),
    (
        "jump_to_data",
        jumping(kernels=normal_kernels, ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y + g_x),
        "log g(y) is missing: a",
    ),
    (
        "jump_to_data",
        jumping(kernels=normal_kernels, ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y - g_y),
        "log g(x) is missing: the",
    ),
    ("jump_to_data", jumping(swap=True), "rejected are exchanged"),
    ("jump_to_data", jumping(g=lambda logs, j: logs.sum(1)), "logarithms are summed"),
    ("jump_to_data", jumping(g=lambda logs, j: logs.mean(1)), "logarithms are averaged"),
    ("jump_to_data", jumping(g=lambda logs, j: logs.amax(1)), "the nearest kernel"),
    (
        "jump_to_data",
        jumping(g=lambda logs, j: logs.gather(1, j[:, None])[:, 0]),
        "kernel that y was drawn from",
    ),
    ("jump_to_data", jumping(width=math.sqrt), "standard deviation √w"),
    ("jump_to_data", jumping(width=lambda w: w**2), "standard deviation w²"),
    ("jump_to_data", jumping(uniforms=1), "share one uniform number"),
    ("jump_to_data", jumping(proposals=1), "share one normal number"),
    ("jump_to_data", jumping(numbers=1), "All particles get one centre"),
    ("jump_to_data", jumping(noise=0.0), "land on the centres"),
    ("jump_to_data", jumping(reseed=True), "seeded afresh"),
    ("jump_to_data", jump_global, "same generator gives other"),
    ("jump_to_data", jump_in_place, "changed in place"),
    ("jump_to_data", lambda f, x, *rest: x.clone(), "No particle moves"),
    ("jump_to_data", lambda f, x, *rest: x / 0, "come back as nan or inf"),
    (
        "jump_to_data",
        lambda f, x, c, w, g: jumping()(f, x, c, 0.4, g),
        "With w = 1.3, 0.315 of the particles at",
    ),
    (
        "jump_to_data",
        jumping(g=lambda logs, j: torch.logsumexp(logs / 2, 1)),
        "With w = 0.4, 0.106 of the particles at",
    ),
]
"""As in ``mistakes.WRONG``: for each mutant the check, and words that only its verdict has."""
