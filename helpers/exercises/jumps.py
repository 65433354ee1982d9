"""The check of notebook 3 on jumps: accept and reject with a proposal of one's own."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    Z,
    as_tensor,
    call,
    check,
    seeded,
)


def _log_kernels(z: Tensor, centres: Tensor, w: float) -> Tensor:
    """Return log N(z_i; c_j, w²) of z (n, 1) and centres (k, 1), shape (n, k)."""
    return -((z - centres.T) ** 2) / (2 * w**2) - math.log(w * math.sqrt(2 * math.pi))


def _mixture(logs: Tensor) -> Tensor:
    """Return log g, shape (n, 1), of the kernels' logarithms (n, k)."""
    return torch.logsumexp(logs, 1, keepdim=True) - math.log(logs.shape[1])


def _unscaled(logs: Tensor, w: float) -> Tensor:
    """Return log Σ e^(−(z − c)²/2w²), which is log g but for a constant."""
    return torch.logsumexp(logs, 1, keepdim=True) + math.log(w * math.sqrt(2 * math.pi))


def _moves(
    ratio=lambda f_x, f_y, g_x, g_y: f_x - f_y + g_x - g_y,
    chance=lambda log_ratio: log_ratio.exp().clamp(max=1),
    g=lambda logs, w: _mixture(logs),
    width=lambda w: w,
) -> Callable[..., Tensor]:
    """Return how often a jump from x0 is made to each cell between edges; or with a mistake.

    ``g`` makes of the kernels' logarithms (n, k) and w what stands in the ratio, (n, 1), or (n, k)
    where each kernel is judged by itself. The integrals are sums over a fine grid.
    """

    def moves(energy, x0, centres, w, edges):
        h = 0.01
        y = torch.arange(-30, 30, h, dtype=torch.float64)[:, None] + h / 2
        x = torch.full((1, 1), x0, dtype=torch.float64)
        drawn = _log_kernels(y, centres, width(w)).exp()
        g_x, g_y = (g(_log_kernels(z, centres, w), w) for z in (x, y))
        log_ratio = ratio(energy(x)[:, None], energy(y)[:, None], g_x, g_y)
        made = (drawn * chance(log_ratio).nan_to_num(0)).mean(1) * h
        cells = torch.bucketize(y[:, 0], edges)
        return torch.zeros(len(edges) + 1, dtype=made.dtype).index_add(0, cells, made)

    return moves


JUMP_MISTAKES = {
    "Every proposal is accepted: then the particles have the law g, not e^(−f)/Z.": (
        _moves(chance=torch.ones_like)
    ),
    "The terms of g are missing: a place that g proposes often would be held too often.": (
        _moves(lambda f_x, f_y, g_x, g_y: f_x - f_y)
    ),
    "The terms of g are swapped: q(x | y) = g(x) is above the bar (section 3.8).": (
        _moves(lambda f_x, f_y, g_x, g_y: f_x - f_y - g_x + g_y)
    ),
    "The energies have the wrong sign: log p(y) − log p(x) is f(x) − f(y).": (
        _moves(lambda f_x, f_y, g_x, g_y: f_y - f_x + g_x - g_y)
    ),
    "The ratio is upside down: p(y) g(x) is above the bar.": (
        _moves(lambda f_x, f_y, g_x, g_y: f_y - f_x + g_y - g_x)
    ),
    "The energies are missing: this keeps the particles in the law g.": (
        _moves(lambda f_x, f_y, g_x, g_y: g_x - g_y)
    ),
    "The term log g(y) is missing: a place is proposed the more often the larger g is there, and"
    " that has to be divided out.": _moves(lambda f_x, f_y, g_x, g_y: f_x - f_y + g_x),
    "The term log g(x) is missing: the way back has to propose x.": (
        _moves(lambda f_x, f_y, g_x, g_y: f_x - f_y - g_y)
    ),
    "The term log g(y) is missing, and g is not normalised, which matters now: a place is proposed"
    " the more often the larger g is there.": (
        _moves(lambda f_x, f_y, g_x, g_y: f_x - f_y + g_x, g=_unscaled)
    ),
    "The term log g(x) is missing, and g is not normalised, which matters now: the way back has to"
    " propose x.": _moves(lambda f_x, f_y, g_x, g_y: f_x - f_y - g_y, g=_unscaled),
    "This accepts with r/(1 + r), Barker's rule. That leaves e^(−f) as it is, too, but refuses"
    " more; asked for is min(1, r), r the ratio (section 3.7).": _moves(chance=torch.sigmoid),
    "Density and logarithm are mixed: the uniform number is compared with the logarithm of the"
    " ratio.": _moves(chance=lambda log_ratio: log_ratio.clamp(0, 1)),
    "Accepted and rejected are exchanged: the refused particles move.": (
        _moves(chance=lambda log_ratio: 1 - log_ratio.exp().clamp(max=1))
    ),
    "The kernels' logarithms are summed. g is the mean of their densities: first that, then the"
    " logarithm.": _moves(g=lambda logs, w: logs.sum(1, keepdim=True)),
    "The kernels' logarithms are averaged. g is the mean of their densities: first that, then the"
    " logarithm.": _moves(g=lambda logs, w: logs.mean(1, keepdim=True)),
    "g is taken to be the nearest kernel. It is the mean of all of them.": (
        _moves(g=lambda logs, w: logs.amax(1, keepdim=True))
    ),
    "g is taken to be the kernel that y was drawn from. That leaves e^(−f) as it is, too, but"
    " refuses more; asked for is the g of the whole proposal, the mean of all kernels.": (
        _moves(g=lambda logs, w: logs)
    ),
    "The noise about a centre has the standard deviation √w: w is the standard deviation.": (
        _moves(width=math.sqrt)
    ),
    "The noise about a centre has the standard deviation w²: w is the standard deviation.": (
        _moves(width=lambda w: w**2)
    ),
}
"""For each mistake in the jump how often the moves are made with it."""


def _humps(x: Tensor) -> Tensor:
    """Return the energy 0.4·N(−1.2, 0.7²) + 0.6·N(2.8, 1.1²) has, but +∞ left of −2.5."""
    logs = torch.cat([_log_kernels(x, torch.full_like(x[:1], m), sd) for m, sd in _HUMPS], 1)
    f = -torch.logsumexp(logs + torch.tensor([0.4, 0.6], dtype=x.dtype).log(), 1)
    return torch.where(x[:, 0] > -2.5, f, math.inf)


_MANY = 8000
"""Particles at each place."""

_HUMPS = [(-1.2, 0.7), (2.8, 1.1)]


@check
def jump_to_data(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, x, centres, w, generator), one jump of the particles x (n, 1).

    The proposal is a kernel density estimate's draw: one of the centres (k, 1), each equally
    likely, plus a normal number of standard deviation w. How many particles of two places go to
    which cell is an integral, and counts agree with it within ``Z`` standard errors.
    """
    centres = torch.tensor([-2.0, 0.9, 1.0, 1.2, 4.0], dtype=torch.float64)[:, None]
    _judge_use(answer, centres, seed)
    _judge_uniforms(answer, seeded(seed + 1))
    pair = torch.tensor([[3.0], [0.5]], dtype=torch.float64)
    _judge_moves(
        answer,
        [
            _Jumps([-1.9, 0.3], centres, 0.4, [-2.28, -1.72, 0.72, 1.28, 3.72, 4.28]),
            _Jumps([2.0, -1.0], pair, 1.3, [-0.5, 1.0, 3.0]),
            _Jumps([0.6], pair, 1.3, []),  # from here nearly every proposal is accepted
        ],
        seeded(seed + 2),
    )
    return (
        "The data propose where to go, so particles change humps without a climb, and the rule"
        " makes up for what the kernels get wrong. In many dimensions it would refuse nearly all"
        " (section 3.8)."
    )


def _jump(answer: object, energy: Callable, x: Tensor, *rest) -> Tensor:
    """Return the particles after the learner's jump, or say what is wrong with them."""
    new = as_tensor(call(answer, energy, x, *rest), (len(x), 1))
    if not new.isfinite().all():
        raise Wrong("Some particles come back as nan or inf.")
    return torch.where((new - x).abs() < 1e-6, x, new)  # who stayed, even if in float32


def _judge_use(answer: object, centres: Tensor, seed: int) -> None:
    """Raise Wrong unless forty particles move, each its own way, as the generator says."""
    x, same = torch.linspace(-3, 5, 40, dtype=torch.float64)[:, None], seeded(seed)

    def energy(x: Tensor) -> Tensor:  # with it the ratio is e^((x − y)/5)
        return x[:, 0] / 5 - _mixture(_log_kernels(x, centres, 0.4))[:, 0]

    def again(generator: torch.Generator, other: int) -> Tensor:
        torch.default_generator.manual_seed(other)
        return _jump(answer, energy, x, centres, 0.4, generator)

    first, repeated, later = again(same, 1), again(seeded(seed), 2), again(same, 3)
    clouds = [new[new != x] for new in (first, later)]
    moved = torch.cat(clouds)
    if len(moved) == 0:
        raise Wrong("No particle moves, though p is nearly g: most proposals should be accepted.")
    if torch.isin(moved, centres).all():
        raise Wrong("The particles land on the centres: add w times a normal number to each.")
    if len(moved) > 2 * len(centres) >= len(moved.unique()):
        raise Wrong("All particles share one normal number. Draw a centre and a number for each.")
    if all(len(cloud) > 10 and cloud.max() - cloud.min() < 6 * 0.4 for cloud in clouds):
        raise Wrong("All particles get one centre. Draw one for each.")
    if not torch.equal(first, repeated):
        raise Wrong("The same generator gives other jumps: draw all that is random from it.")
    if torch.equal(first, later):
        raise Wrong(
            "Two jumps in a row came out the same: the generator is seeded afresh, or not used."
            " Draw from the one that you are given."
        )


def _judge_uniforms(answer: object, generator: torch.Generator) -> None:
    """Raise Wrong if a particle always gets one centre, or all share one uniform number.

    p is g left of 0.5 and g/e right of it. So half of the proposals from the left have the ratio
    1/e, and a share of 1/e of these is accepted; with one number for all, none or all of them.
    """
    centres = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)

    def flat(x: Tensor) -> Tensor:  # with it every ratio is 1
        return -_mixture(_log_kernels(x, centres, 0.2))[:, 0]

    one = torch.full((1, 1), 0.5, dtype=torch.float64)
    moves = [_jump(answer, flat, one, centres, 0.2, generator).item() - 0.5 for _ in range(40)]
    moves = [move for move in moves if move]
    if len(moves) > 15 and (min(moves) > 0 or max(moves) < 0):
        raise Wrong("A single particle jumps to the same centre forty times. Draw one of them.")

    def energy(x: Tensor) -> Tensor:
        return (x[:, 0] > 0.5).double() - _mixture(_log_kernels(x, centres, 0.5))[:, 0]

    x = torch.full((200, 1), -1.0, dtype=torch.float64)
    right = []
    for _ in range(12):
        new = _jump(answer, energy, x, centres, 0.5, generator)
        right.append((new > 0.5).double().mean().item())
    if min(right) == 0 and max(right) > 0.4 and not any(0 < share < 0.35 for share in right):
        raise Wrong(
            "Particles with one ratio are accepted all together or not at all: they share one"
            " uniform number. Draw one for each (section 3.7)."
        )


class _Jumps:
    """Many particles at each of some places, and which share of them moves to which cell."""

    def __init__(self, places: list[float], centres: Tensor, w: float, edges: list[float]):
        self.places, self.centres, self.w = places, centres, w
        self.edges = torch.tensor(edges, dtype=torch.float64)

    def found(self, answer: object, generator: torch.Generator) -> Tensor:
        """Return the shares of the particles that the learner's jump has moved."""
        x = torch.tensor(self.places, dtype=torch.float64).repeat_interleave(_MANY)[:, None]
        new = _jump(answer, _humps, x, self.centres, self.w, generator)
        cells = [
            torch.bincount(torch.bucketize(y[y != place], self.edges), minlength=self.cells)
            for y, place in zip(new[:, 0].split(_MANY), self.places, strict=True)
        ]
        return torch.cat(cells).double() / _MANY

    def shares(self, moves: Callable[..., Tensor]) -> Tensor:
        """Return the shares with one of the functions that ``_moves`` makes."""
        each = [moves(_humps, x, self.centres, self.w, self.edges) for x in self.places]
        return torch.cat(each)

    @property
    def cells(self) -> int:
        """How many parts the edges make of the line."""
        return len(self.edges) + 1

    def told(self, number: int, right: float, found: float) -> str:
        """Return what the share of that number should be, and is."""
        place, cell = divmod(number, self.cells)
        ends = [-math.inf, *self.edges.tolist(), math.inf][cell : cell + 2]
        return (
            f"With w = {self.w}, {right:.3f} of the particles at x = {self.places[place]} should"
            f" move to the part of the line from {ends[0]} to {ends[1]}; found {found:.3f}."
        )


def _judge_moves(answer: object, jumps: list[_Jumps], generator: torch.Generator) -> None:
    """Raise Wrong unless the right share of the particles at each place moves to each cell.

    The shares agree within ``Z`` standard errors. A mistake is named if all shares are within 4 of
    what it gives; if that goes for several, the nearest one.
    """
    found = [jump.found(answer, generator) for jump in jumps]

    def off(moves: Callable[..., Tensor]) -> list[float]:
        """Return by how many standard errors each jump's shares are off, one particle more."""
        worst = []
        for jump, shares in zip(jumps, found, strict=True):
            expected = jump.shares(moves)
            error = (expected * (1 - expected) / _MANY).sqrt() + 1 / _MANY
            worst.append(((shares - expected).abs() / error).max().item())
        return worst

    right = off(_moves())
    if max(right) > Z:
        distances = {message: max(off(moves)) for message, moves in JUMP_MISTAKES.items()}
        message = min(distances, key=distances.get)
        if distances[message] < 4:
            raise Wrong(message)
        jump, shares = next(
            pair for pair, far in zip(zip(jumps, found, strict=True), right, strict=True) if far > Z
        )
        expected = jump.shares(_moves())
        k = int((shares - expected).abs().argmax())
        raise Wrong(jump.told(k, expected[k], shares[k]))
