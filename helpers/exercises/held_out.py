"""The check of notebook 1 on a held-out difference and its error."""

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    as_tensor,
    call,
    check,
    expect,
)


def _unpaired(log_a: Tensor, log_b: Tensor) -> Tensor:
    """Return the standard error of a difference between means of independent samples."""
    return ((log_a.var() + log_b.var()) / len(log_a)).sqrt()


GAP_MISTAKES = {
    "The sign is turned, or lost: it says which model is better. NLL = −log-density, so where the"
    " first model's is the larger, the second is better.": lambda a, b: (a - b).mean(),
    "This is the sum over the values. An NLL is their average: divide by m.": (
        lambda a, b: (b - a).sum()
    ),
    "This is the NLL of the first model alone.": lambda a, b: -a.mean(),
    "This is a difference of densities. The NLL averages their logarithms.": (
        lambda a, b: (b.exp() - a.exp()).mean()
    ),
}
"""For each mistake in the difference a function that makes it."""

ERROR_MISTAKES = {
    "The error treats the two models as if each had values of its own. Both are judged on the same"
    " ones: take the differences value by value, then their spread (section 1.7).": _unpaired,
    "The errors of the two NLLs are added. Take the differences value by value first.": (
        lambda a, b: (a.std() + b.std()) / len(a) ** 0.5
    ),
    "This is the error of one model's NLL; that of the difference was asked for.": (
        lambda a, b: a.std() / len(a) ** 0.5
    ),
    "The errors of the two NLLs are subtracted. Take the differences value by value first.": (
        lambda a, b: (a.std() - b.std()).abs() / len(a) ** 0.5
    ),
    "The squares are divided by m. Their mean is estimated from the same values, so it is m − 1.": (
        lambda a, b: (b - a).std(correction=0) / len(a) ** 0.5
    ),
    "The −1 is there twice: m − 1 under the squares, but √m under the standard deviation.": (
        lambda a, b: (b - a).std() / (len(a) - 1) ** 0.5
    ),
    "This is the spread of a single difference. Their mean varies less: divide by √m.": (
        lambda a, b: (b - a).std()
    ),
    "The standard deviation is divided by m. The error of a mean falls like 1/√m.": (
        lambda a, b: (b - a).std() / len(a)
    ),
    "This is the squared error: take the root.": lambda a, b: (b - a).var() / len(a),
    "This is twice the error: an interval's half. One standard error was asked for.": (
        lambda a, b: 2 * (b - a).std() / len(a) ** 0.5
    ),
}
"""For each mistake in the standard error a function that makes it."""

NEEDED_MISTAKES = {
    "It looks as if the error fell like 1/m. It falls like 1/√m: for half of it four times the"
    " values.": lambda a, b: 2 * (b - a).std() * len(a) ** 0.5 / (b - a).mean().abs(),
    "With that many the difference is one standard error. Two were asked for, which takes four"
    " times as many.": lambda a, b: (b - a).var() / (b - a).mean() ** 2,
    "The squares behind this number are divided by m. The unbiased estimate divides by m − 1.": (
        lambda a, b: 4 * (b - a).var(correction=0) / (b - a).mean() ** 2
    ),
    "The factor m is missing: this is by how many times the m values are too few.": (
        lambda a, b: 4 * (b - a).var() / len(a) / (b - a).mean() ** 2
    ),
    "This is how many are still missing; the number in all was asked for.": (
        lambda a, b: 4 * (b - a).var() / (b - a).mean() ** 2 - len(a)
    ),
}
"""For each mistake in the number of values a function that makes it."""


@check
def held_out_gap(answer: object) -> str:
    """Check answer(log_a, log_b), from two models' log-densities of the same m values, (m,) each.

    Asked for: NLL of a minus NLL of b, its standard error, and how many values would make that
    difference twice its standard error. The last may be rounded.
    """
    for m, sign in [(9, 1.0), (24, -1.0)]:
        t = torch.linspace(0, 3, m, dtype=torch.float64)
        shared = -1.1 - (t - 1.7) ** 2
        a, b = shared - 0.2 * torch.sin(5 * t), shared + sign * 0.1 * t**1.5 * torch.cos(2 * t)
        found = as_tensor(call(answer, a, b), (3,))
        gap, spread = (b - a).mean(), (b - a).std()
        here = f"of {m} values"
        for k, (what, right, mistakes) in enumerate(
            [
                (f"Difference of the NLLs {here}", gap, GAP_MISTAKES),
                (f"Standard error {here}", spread / m**0.5, ERROR_MISTAKES),
                (f"Values needed, from those {here}", (2 * spread / gap) ** 2, NEEDED_MISTAKES),
            ]
        ):
            values = {message: mutant(a, b) for message, mutant in mistakes.items()}
            slack = 1.001 + 1e-3 * right if k == 2 else None
            expect(what, found[k], right, values, slack)
    return (
        "Models that are judged on the same values share their luck, and the paired difference"
        " leaves it out. A gap below two standard errors is no ranking yet."
    )
