"""The check of notebook 1 on a held-out difference and its error."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    agree,
    as_tensor,
    call,
    check,
)

_HELD_OUT = [(9, 0.1, 0.98, -1.1), (24, 0.2, 0.1, -2.0), (2, 0.1, 1.0, -1.1)]
_HELD_OUT += [(40, 1e-3, -0.3, 2.0), (70, 30.0, 5.0, -800.0), (15, 2.0, -6.0, 1.0)]
"""How many values, the size of the differences, a shift of them, and where log-densities lie."""


def _right(a: Tensor, b: Tensor) -> list[Tensor]:
    """Return the three numbers."""
    gap, spread = (b - a).mean(), (b - a).std()
    return [gap, spread / len(a) ** 0.5, (2 * spread / gap) ** 2]


def _in_place(k: int, number: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., list]:
    """Return the right answer with another number in place k."""

    def mutant(a: Tensor, b: Tensor) -> list[Tensor]:
        three = _right(a, b)
        three[k] = number(a, b)
        return three

    return mutant


_FIRST = [
    (
        "The sign is turned: it says which model is better. NLL = −log-density, so where the"
        " first model's is the larger, the second is better.",
        lambda a, b: (a - b).mean(),
    ),
    (
        "The sign of the difference is lost: it says which model is better.",
        lambda a, b: (a - b).mean().abs(),
    ),
    (
        "This is the sum over the values. An NLL is their average: divide by m.",
        lambda a, b: (b - a).sum(),
    ),
    ("This is the NLL of the first model alone.", lambda a, b: -a.mean()),
    (
        "This is a difference of densities. The NLL averages their logarithms.",
        lambda a, b: (b.exp() - a.exp()).mean(),
    ),
]
_SECOND = [
    (
        "The error treats the two models as if each had values of its own. Both are judged on the"
        " same ones: take the differences value by value, then their spread (section 1.7).",
        lambda a, b: ((a.var() + b.var()) / len(a)).sqrt(),
    ),
    (
        "The errors of the two NLLs are added. Take the differences value by value first.",
        lambda a, b: (a.std() + b.std()) / len(a) ** 0.5,
    ),
    (
        "This is the error of one model's NLL; that of the difference was asked for.",
        lambda a, b: a.std() / len(a) ** 0.5,
    ),
    (
        "This is the error of one model's NLL; that of the difference was asked for.",
        lambda a, b: b.std() / len(a) ** 0.5,
    ),
    (
        "The errors of the two NLLs are subtracted. Take the differences value by value first.",
        lambda a, b: (a.std() - b.std()).abs() / len(a) ** 0.5,
    ),
    (
        "The squares are divided by m. Their mean is estimated from the same values, so it is"
        " m − 1.",
        lambda a, b: (b - a).std(correction=0) / len(a) ** 0.5,
    ),
    (
        "The −1 is there twice: m − 1 under the squares, but √m under the standard deviation.",
        lambda a, b: (b - a).std() / (len(a) - 1) ** 0.5,
    ),
    (
        "This is the spread of a single difference. Their mean varies less: divide by √m.",
        lambda a, b: (b - a).std(),
    ),
    (
        "The standard deviation is divided by m. The error of a mean falls like 1/√m.",
        lambda a, b: (b - a).std() / len(a),
    ),
    ("This is the squared error: take the root.", lambda a, b: (b - a).var() / len(a)),
    (
        "This is twice the error: an interval's half. One standard error was asked for.",
        lambda a, b: 2 * (b - a).std() / len(a) ** 0.5,
    ),
]
_THIRD = [
    *(
        (
            "It looks as if the error fell like 1/m. It falls like 1/√m: for half of it four times"
            " the values.",
            lambda a, b, sign=sign: 2 * (b - a).std() * len(a) ** 0.5 / sign((b - a).mean()),
        )
        for sign in (torch.abs, torch.clone)
    ),
    (
        "With that many the difference is one standard error. Two were asked for, which takes four"
        " times as many.",
        lambda a, b: (b - a).var() / (b - a).mean() ** 2,
    ),
    (
        "It looks as if 1.96 were taken for two: twice the standard error was asked for.",
        lambda a, b: 1.96**2 * (b - a).var() / (b - a).mean() ** 2,
    ),
    (
        "The squares behind this number are divided by m. The unbiased estimate divides by m − 1.",
        lambda a, b: 4 * (b - a).var(correction=0) / (b - a).mean() ** 2,
    ),
    (
        "The factor m is missing: this is by how many times the m values are too few.",
        lambda a, b: 4 * (b - a).var() / len(a) / (b - a).mean() ** 2,
    ),
    (
        "This is how many are still missing; the number in all was asked for.",
        lambda a, b: 4 * (b - a).var() / (b - a).mean() ** 2 - len(a),
    ),
]
_GAP = [
    (message, _in_place(k, mutant))
    for k, mistakes in enumerate((_FIRST, _SECOND, _THIRD))
    for message, mutant in mistakes
]


@check(mistakes=_GAP)
def held_out_gap(answer: object) -> str:
    """Check answer(log_a, log_b), from two models' log-densities of the same m values, (m,) each.

    Asked for: NLL of a minus NLL of b, its standard error, and how many values would make that
    difference twice its standard error. The last may be rounded.
    """
    given = {}
    for m, scale, shift, level in _HELD_OUT:
        t = torch.linspace(0, 3, m, dtype=torch.float64)
        a = level - (t - 1.7) ** 2 - scale * torch.sin(5 * t)
        given[m] = (a, a + scale * (t**1.5 * torch.cos(2 * t) + shift))
    for k, what in enumerate(
        ("Difference of the NLLs", "Standard error", "Values needed, from those")
    ):
        agree(
            lambda a, b, k=k: as_tensor(call(answer, a, b), (3,))[k],
            lambda a, b, k=k: _right(a, b)[k],
            {f"{what} of {m} values": pair for m, pair in given.items()},
            (_FIRST, _SECOND, _THIRD)[k],
            (lambda value: 1.001 + 1e-4 * value.abs()) if k == 2 else None,
        )
    return (
        "Models that are judged on the same values share their luck, and the paired difference"
        " leaves it out. A gap below two standard errors is no ranking yet."
    )
