"""The checks of notebook 7 on how far chains move: 7.3 and 7.4."""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    Wrong,
    Z,
    as_tensor,
    blame,
    call,
    check,
    seeded,
)

_DENSITIES = {
    "N(1, 0.6²)": (densities.gaussian(1.0, 0.6), exact.grid(-6, 8, 281)),
    "0.6·N(−1, 0.5²) + 0.4·N(1, 1)": (
        densities.mixture([0.6, 0.4], [-1.0, 1.0], [0.5, 1.0]),
        exact.grid(-8, 8, 281),
    ),
    "0.3·N(−2, 0.3²) + 0.7·N(0, 0.2²)": (
        densities.mixture([0.3, 0.7], [-2.0, 0.0], [0.3, 0.2]),
        exact.grid(-6, 5, 281),
    ),
}
"""To the name of each density itself, and a grid that holds all steps."""

_STEPS = {
    "unweighted": "Every point of the grid counts alike here. A settled chain is at x_i with p_i:"
    " weigh the jumps by p.",
    "arrival": "The jumps are weighed by p at the point of arrival, p_j P_ij. Weigh them where they"
    " begin, p_i P_ij.",
    "absolute": "This has the largest mean |jump|. Squared, a jump is tied to the autocorrelation,"
    " E|X′ − X|² = 2V(1 − ρ₁).",
    "plain": "This is the plain step's jump, which only grows with s: take the kernel of MALA, with"
    " what is refused on the diagonal.",
    "accepted": "This accepts most, and goes nowhere: weigh the acceptance with how far a move"
    " goes.",
    "0.574": "Here 0.574 of the moves are accepted: that is the optimum of many dimensions, not of"
    " one (section 7.3).",
}
"""To each score but the right one what to say where its best step was taken."""


@check
def best_step(answer: object) -> str:
    """Check answer(energy, x), MALA's step with the largest expected squared jump, up to 1 %.

    A mistake is named if all steps are within 5 % of those that it gives.
    """
    steps = {}
    for name, (density, x) in _DENSITIES.items():
        s = as_tensor(call(answer, densities.energy_of(density), x.clone()), ()).item()
        if not 0 < s < math.inf:
            raise Wrong(f"A step is a positive number; yours for {name} is {s:.3f}.")
        if not 0.0099 <= s <= 4.04:
            raise Wrong(f"The step for {name} is {s:.3f}; look between 0.01 and 4.")
        steps[name] = s
    most = {name: _scores(name, _best(name)["jump"])["jump"] for name in steps}
    for name, s in steps.items():
        jump = _scores(name, s)["jump"]
        if jump < 0.99 * most[name]:
            named = [
                text
                for key, text in _STEPS.items()
                if all(abs(math.log(steps[n] / _best(n)[key])) < 0.05 for n in steps)
            ]
            if all(abs(steps[n] / most[n] - 1) < 0.01 for n in steps):
                named = ["This is the largest jump itself; the step that gives it was asked for."]
            said = f"The expected squared jump for {name} at your s = {s:.3f}"
            blame(said, torch.tensor(jump), most[name], named)
    return (
        "The kernel's diagonal made the trade between far and often. In more dimensions the same"
        " sum is a mean along a chain: of |y − x|² times the acceptance."
    )


@cache
def _best(name: str) -> dict[str, float]:
    """Return for each score the step at which it is largest: a parabola's top, from eighty."""
    logs = torch.linspace(math.log(0.01), math.log(4), 80, dtype=torch.float64)
    rows = [_scores(name, s) for s in logs.exp().tolist()]
    best = {}
    for key in ("jump", *_STEPS):
        y = torch.tensor([row[key] for row in rows], dtype=torch.float64)
        k = min(max(int(y.argmax()), 1), 78)
        low, top, high = y[k - 1 : k + 2].tolist()
        shift = (low - high) / (low - 2 * top + high) / 2
        best[key] = math.exp(logs[k] + max(-1.0, min(1.0, shift)) * (logs[1] - logs[0]))
    return best


def _scores(name: str, s: float) -> dict[str, float]:
    """Return what could be made large by a choice of s, the right one among it."""
    density, x = _DENSITIES[name]
    energy = densities.energy_of(density)
    P, Q = exact.mala_kernel(energy, x, s), exact.langevin_kernel(energy, x, s)
    p, gap = exact.log_density(energy, x).softmax(0), x - x[:, None]
    accepted = 1 - p @ (P - Q).diagonal()
    scores = {
        "jump": p @ (P * gap**2).sum(1),
        "unweighted": (P * gap**2).sum(),
        "arrival": (P * gap**2).sum(0) @ p,
        "absolute": p @ (P * gap.abs()).sum(1),
        "plain": p @ (Q * gap**2).sum(1),
        "accepted": accepted,
        "0.574": -(accepted - 0.574).abs(),
    }
    return {key: value.item() for key, value in scores.items()}


def _from_rates(every: Tensor, *_) -> float:
    """Return the share b/(a + b) from all chains (c, n)."""
    now, after = every[:, :-1], every[:, 1:]
    a = (now & ~after).sum() / now.sum()
    b = (~now & after).sum() / (~now).sum()
    return (b / (a + b)).item()


def _of(a: Tensor | float, b: Tensor | float) -> float:
    """Return b/(a + b)."""
    return float(b / (a + b))


_WEIGHTS: list[tuple[str, Callable[[Tensor, Tensor], float]]] = [
    (
        "This is the mean share over all chains and steps. It tells how many chains you have"
        " started where, as long as the shares have not settled.",
        lambda left, right: torch.cat([left, right]).double().mean().item(),
    ),
    (
        "This is the share at the last step, not settled yet.",
        lambda left, right: torch.cat([left, right])[:, -1].double().mean().item(),
    ),
    (
        "This is the mean of the two groups' shares: near ½, whatever the weights, as long as they"
        " have not settled.",
        lambda left, right: (left.double().mean() + right.double().mean()).item() / 2,
    ),
    (
        "This is the mean of the two groups' last shares, not settled yet.",
        lambda left, right: (left[:, -1].double().mean() + right[:, -1].double().mean()).item() / 2,
    ),
    (
        "The crossings are counted, but not for each step spent there. A rate is a number of"
        " crossings divided by the steps from which one could cross.",
        lambda left, right: _of(*_crossings(left, right)),
    ),
    (
        "The rates are per chain, not per step spent on that side: a chain that has crossed spends"
        " its steps on the other.",
        lambda left, right: _of(
            _crossings(left, right)[0] / len(left), _crossings(left, right)[1] / len(right)
        ),
    ),
    (
        "This is the share of the chains that have ever crossed, from either side. Most may cross"
        " in time; a rate is a number of crossings divided by the steps from which one could.",
        lambda left, right: _of((~left).any(1).double().mean(), right.any(1).double().mean()),
    ),
    (
        "This is the right mode's weight. As many cross one way as the other once settled:"
        " w a = (1 − w) b.",
        lambda left, right: 1 - _from_rates(torch.cat([left, right])),
    ),
]


def _crossings(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return how often a chain goes from left to right, and how often back."""
    every = torch.cat([left, right])
    now, after = every[:, :-1], every[:, 1:]
    return (now & ~after).sum(), (~now & after).sum()


@check
def left_weight(answer: object, *, seed: int = 0) -> str:
    """Check answer(from_left, from_right), the settled share of a state from its crossings.

    With rates a (leaving left) and b the share is b/(a + b). Of A and B crossings the log of the
    odds has the standard error √(1/A + 1/B); ``Z`` of those are allowed, with A and B the chains
    that have ever crossed: who stops at the first crossing has no more. In the last case the
    shares have settled, and most chains have crossed more than once.
    """
    generator, rows = seeded(seed), []
    for name, a, b, chains, steps in [
        ("many chains, few crossings", 0.002, 0.006, (1500, 2500), 100),
        ("more chains from the right", 0.01, 0.004, (700, 4000), 80),
        ("many crossings", 0.2, 0.04, (9000, 7000), 100),
    ]:
        runs = [
            _two_state(start, a, b, c, steps, generator)
            for start, c in zip((True, False), chains, strict=True)
        ]
        found, share = as_tensor(call(answer, *runs), ()).item(), b / (a + b)
        first = [(run != run[:, :1]).any(1).sum().item() for run in runs]
        error = share * (1 - share) * math.sqrt(sum(1 / count for count in first))
        rows.append((name, found, share, error, runs))
    for name, found, share, error, _ in rows:
        if not abs(found - share) <= Z * error:
            named = [
                message
                for message, weight in _WEIGHTS
                if all(abs(value - weight(*runs)) < 1e-4 for _, value, *_, runs in rows)
            ]
            blame(f"The left weight for {name}", torch.tensor(found), share, named)
    return (
        "Where nothing crosses, A = B = 0, and no estimate exists: the weights are not in the data."
        " A start in every mode shows the modes; crossings show the weights."
    )


def _two_state(
    start: bool, a: float, b: float, chains: int, steps: int, generator: torch.Generator
) -> Tensor:
    """Return chains (chains, steps) that leave True with probability a and False with b."""
    left, states = torch.full((chains,), start), []
    for _ in range(steps):
        states.append(left)
        u = torch.rand(chains, generator=generator, dtype=torch.float64)
        left = torch.where(left, u >= a, u < b)
    return torch.stack(states, 1)
