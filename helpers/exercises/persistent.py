"""The check of persistent chains, exercise 4.3."""

import math

import torch
from torch import Tensor

from helpers.exercises.step import all_move, judge_draws, judge_noise
from helpers.exercises.verdicts import (
    Wrong,
    Z,
    as_tensor,
    at_particles,
    blame,
    call,
    check,
    drawn,
    gradient_left,
    named,
    no_graph,
    seeded,
    untouched,
)

_FEW, _MANY = 8, 2000
_SHARED = (
    "Two sets of chains get mixed up: what one call of persistent made goes on from the chains of"
    " another. Each must have chains of its own, not one global variable."
)


def _centre(k: int) -> float:
    """Return the centre of the energy that the chains get in step k = 0, 1, …"""
    return 0.0 if k < 10 else 20.0


class _Set:
    """Persistent chains under test: what the learner's function made, and what it should do."""

    def __init__(self, answer: object, place: float, s: float, seed: int, n: int = _MANY):
        self.start = torch.full((n, 1), place, dtype=torch.float64)
        self.given, self.s, self.generator = self.start.clone(), s, seeded(seed)
        self.negatives = call(answer, self.given, s, self.generator)
        if not callable(self.negatives):
            what = named(self.negatives)
            raise Wrong(f"Return a function negatives(energy); what came back is {what}.")
        self.returned: list[tuple[object, Tensor]] = []
        self.middles: list[Tensor] = []

    def step(self, centre: float) -> Tensor:
        """Let the chains make a step on the energy (x − centre)²/2, and return where they are."""
        middle = torch.tensor(centre, dtype=torch.float64, requires_grad=True)
        self.middles.append(middle)
        energy = at_particles(lambda x: ((x - middle) ** 2).sum(-1) / 2)
        before = self.generator.get_state()
        value = no_graph(call(self.negatives, energy))
        untouched(self.given, self.start)
        if len(self.start) != _FEW and getattr(value, "shape", ()) == (_FEW, 1):
            raise Wrong(_SHARED)
        new = as_tensor(value, tuple(self.start.shape))
        old = self.returned[-1][1] if self.returned else self.start
        if new.equal(old):
            raise Wrong(
                "No particle moves: what comes back is where they were before this call's move, or"
                " nothing moves."
            )
        all_move(old, new)
        self.returned.append((value, new))
        if len(self.returned) > 1:
            drawn(self.generator, before)
        return new

    def means(self, drift: float = 1.0, restart: bool = False, frozen: bool = False) -> list[float]:
        """Return the chains' means after each step; with other arguments, those of a mistake."""
        place = self.start[0].item()
        means = [place]
        for k in range(20):
            old, centre = place if restart else means[-1], _centre(0 if frozen else k)
            means.append(old - drift * self.s * (old - centre))
        return means[1:]

    def noise(self) -> Tensor:
        """Return what the chains have moved in every step, less the drift."""
        old = self.start
        noises = []
        for k, (_, new) in enumerate(self.returned):
            noises.append(new - old + self.s * (old - _centre(k)))
            old = new
        return torch.cat(noises)

    def states(self) -> Tensor:
        """Return where the chains were after each step, (k, n)."""
        return torch.stack([new[:, 0] for _, new in self.returned])


_MEANS = [
    (
        "The chains are restarted at every call: all steps end where one step takes them. Keep"
        " their state between calls (section 4.5, part 1).",
        {"restart": True},
    ),
    (
        "The chains follow the energy of the first call. It changes with training: use the one"
        " that each call gives.",
        {"frozen": True},
    ),
    ("The chains climb the energy: the sign of the drift is turned (section 3.1).", {"drift": -1}),
    (
        "The drift is too small by the number of chains: differentiate the sum of the energies, not"
        " their mean (section 3.1).",
        {"drift": 1 / _MANY},
    ),
]
"""To each mistake how the chains' means show it."""


def _judge_means(sets: list[_Set]) -> None:
    """Raise Wrong unless the means of all chains are right after every step."""
    found = torch.cat([one.states().mean(1) for one in sets])
    error = torch.cat([one.states().std(1) for one in sets]) / math.sqrt(_MANY)

    def off(**mistake) -> Tensor:
        means = [torch.tensor(one.means(**mistake), dtype=torch.float64) for one in sets]
        return ((found - torch.cat(means)).abs() / error).nan_to_num(math.inf)

    if off().max() > Z:
        for one, other in (sets, sets[::-1]):
            begun, here = other.start[0].item(), one.states()[0].mean()
            steps = [(1 - s) * begun * rest for s in (one.s, other.s) for rest in (1, 1 - other.s)]
            if min(abs(here - step) for step in steps) < 0.05:
                raise Wrong(_SHARED)
        named = [message for message, mistake in _MEANS if off(**mistake).max() < 4]
        k = int((off() > Z).int().argmax())
        one, right = sets[k // 20], sets[k // 20].means()[k % 20]
        what = (
            f"Mean of the chains after {k % 20 + 1} steps of {one.s} from {one.start[0].item():g}"
        )
        blame(what, found[k], right, named)


@check
def persistent(answer: object, *, seed: int = 0) -> str:
    """Check answer(start, s, generator), which returns a function negatives(energy).

    Each call of ``negatives`` moves all chains by one Langevin step of the energy given and returns
    them. On a Gaussian the mean after every step is known, and with it all noise; both are
    checked for two sets of chains, which take turns, within ``Z`` standard errors.
    """
    _Set(answer, 2.0, 0.1, seed, _FEW).step(0.0)
    sets = [_Set(answer, 8.0, 0.1, seed), _Set(answer, -3.0, 0.04, seed + 1)]
    for k in range(20):
        for one in sets:
            one.step(_centre(k))
            if k == 0:
                judge_draws(one.noise())
    _judge_means(sets)
    judge_noise({one.s: one.noise() for one in sets})
    for middle in (middle for one in sets for middle in one.middles):
        gradient_left(middle, None)
    for value, then in (pair for one in sets for pair in one.returned):
        if not torch.equal(as_tensor(value, tuple(then.shape)), then):
            raise Wrong(
                "What you returned earlier has changed since: the next step writes into the same"
                " tensor. Return a new one."
            )
    return (
        "The chains go on from update to update, so a few steps each suffice to keep up with a"
        " slowly changing energy. Restarted, they would be short runs that remember the start."
    )
