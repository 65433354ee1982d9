"""The check of persistent chains, exercise 4.3."""

import math

import torch
from torch import Tensor

from helpers import exact
from helpers.exercises.step import all_move, noise_kinds
from helpers.exercises.verdicts import (
    Wrong,
    Z,
    as_tensor,
    at_particles,
    call,
    check,
    drawn,
    expect,
    named,
    no_graph,
    seeded,
    untouched,
)

_FEW = 8
_SHARED = (
    "Two sets of chains get mixed up: what one call of persistent made goes on from the chains of"
    " another. Each must have chains of its own, not one global variable."
)


class _Set:
    """Persistent chains under test: what the learner's function made, and what it should do."""

    def __init__(self, answer: object, place: float, s: float, seed: int, n: int = 2000):
        self.start = torch.full((n, 1), place, dtype=torch.float64)
        self.given, self.s, self.generator = self.start.clone(), s, seeded(seed)
        self.negatives = call(answer, self.given, s, self.generator)
        if not callable(self.negatives):
            what = named(self.negatives)
            raise Wrong(f"Return a function negatives(energy); what came back is {what}.")
        closed = list(exact.gaussian_moments(place, 0.0, 0.0, 1.0, [s] * 10))
        self.closed = closed + list(exact.gaussian_moments(*closed[-1], 20.0, 1.0, [s] * 10))[1:]
        self.returned: list[tuple[object, Tensor]] = []

    def step(self, centre: float) -> Tensor:
        """Let the chains make a step on the energy (x − centre)²/2, and return where they are."""
        energy = at_particles(lambda x: ((x - centre) ** 2).sum(-1) / 2)
        before = self.generator.get_state()
        value = no_graph(call(self.negatives, energy))
        untouched(self.given, self.start)
        if len(self.start) != _FEW and getattr(value, "shape", ()) == (_FEW, 1):
            raise Wrong(_SHARED)
        new = as_tensor(value, tuple(self.start.shape))
        all_move(self.returned[-1][1] if self.returned else self.start, new)
        self.returned.append((value, new))
        if len(self.returned) > 1:
            drawn(self.generator, before)
        return new

    def judge(self, other: "_Set") -> None:
        """Raise Wrong unless the last state has the mean and variance of section 3.2."""
        k, new, place = len(self.returned), self.returned[-1][1], self.start[0].item()
        (mean, variance), centre = self.closed[k], 0.0 if k <= 10 else 20.0
        theirs = other.closed[len(other.returned)][0]
        mistakes = {
            "The chains are restarted at every call: after ten steps they are where one step takes"
            " them. Keep their state between calls (section 4.5, part 1).": (
                place - self.s * (place - centre)
            ),
            "The chains follow the energy of the first call. It changes with training: use the one"
            " that each call gives.": place * (1 - self.s) ** k,
            _SHARED: [theirs - s * (theirs - centre) for s in (self.s, other.s)],
            "The chains climb the energy: the sign of the drift is turned (section 3.1).": (
                place * (1 + self.s)
            ),
            "The drift is too small by the number of chains: differentiate the sum of the energies,"
            " not their mean (section 3.1).": place * (1 - self.s / len(new)),
        }
        n, what = len(new), f"of the chains after {k} steps of {self.s}"
        error = Z * math.sqrt(variance / n)
        expect(f"Mean {what}", new.mean(), mean, mistakes, error)
        kinds = noise_kinds(self.s) if k == 1 else {}
        if k == 1 and new.var() < 1e-9:
            raise Wrong("The chains have no noise, or share one draw of it: each needs its own.")
        expect(f"Variance {what}", new.var(), variance, kinds, Z * variance * math.sqrt(2 / n))


@check
def persistent(answer: object, *, seed: int = 0) -> str:
    """Check answer(start, s, generator), which returns a function negatives(energy).

    Each call of ``negatives`` moves all chains by one Langevin step of the energy given and returns
    them. From one point, on a Gaussian, their law is Gaussian; its mean and variance are checked
    for two sets of chains, which take turns, within ``Z`` standard errors.
    """
    _Set(answer, 2.0, 0.1, seed, _FEW).step(0.0)
    sets = [_Set(answer, 8.0, 0.1, seed), _Set(answer, -3.0, 0.04, seed + 1)]
    for k in range(20):
        for one, other in (sets, sets[::-1]):
            one.step(0.0 if k < 10 else 20.0)
            if k in (0, 9, 19):
                one.judge(other)
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
