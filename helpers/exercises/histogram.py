"""The checks of notebook 1: densities and distances."""

import math

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    Wrong,
    as_tensor,
    call,
    check,
    expect,
    untouched,
)


def _mean_log_normal(x: Tensor, mean: float, sd: float) -> float:
    """Return the average of log N(x; mean, sd²)."""
    return -math.log(sd * math.sqrt(2 * math.pi)) - ((x - mean) ** 2).mean().item() / (2 * sd**2)


@check
def average_log_likelihood(answer: object) -> str:
    """Check answer(x, mean, sd), the average of log N(x_i; mean, sd²) over x of shape (n, 1)."""
    x = torch.linspace(-1, 6, 50, dtype=torch.float64).unsqueeze(1)
    for mean, sd in [(1.5, 2.0), (3.0, 3.5)]:
        found = as_tensor(call(answer, x.clone(), mean, sd), ())
        right = _mean_log_normal(x, mean, sd)
        log_p = -math.log(sd * math.sqrt(2 * math.pi)) - (x - mean) ** 2 / (2 * sd**2)
        mistakes = {
            "This is the sum over the samples. LL is their average: divide by n.": 50 * right,
            "The sign is turned: this is the average negative log-likelihood, NLL.": -right,
            "It looks as if sd² stands where sd should: sd is a standard deviation, and torch's"
            " Normal takes that too. Only the formula squares it (section 1.1).": (
                _mean_log_normal(x, mean, sd**2)
            ),
            "It looks as if sd was taken for a variance: the density has sd² in the exponent and"
            " sd before it (section 1.1).": _mean_log_normal(x, mean, math.sqrt(sd)),
            "The term −log √(2π) is missing: the density would not have area 1 (section 1.1).": (
                right + 0.5 * math.log(2 * math.pi)
            ),
            "The term −log sd is missing: a wide Gaussian must be lower (section 1.1).": (
                right + math.log(sd)
            ),
            "This is the average density. Take the logarithm of each density, then average.": (
                log_p.exp().mean()
            ),
            "This is the logarithm of the average density. Take the logarithm first, then average:"
            " the two do not commute.": log_p.exp().mean().log(),
        }
        expect(f"LL for mean {mean}, sd {sd}", found, right, mistakes)
    return (
        "It is the one number that a fit by maximum likelihood makes large, and its negative, the"
        " NLL, is the loss of notebook 2."
    )


@check
def kl_by_quadrature(answer: object) -> str:
    """Check answer(p, q, x), KL(p ‖ q) in nats of two densities (m,) on an even grid x (m,)."""
    x = exact.grid(-12, 12, 1201)
    p, q = (densities.gaussian(*a).log_prob(x).exp() for a in ((0.0, 1.0), (1.0, 1.5)))
    right = math.log(1.5) + (1 + 1) / (2 * 1.5**2) - 0.5  # closed form between Gaussians
    turned = -math.log(1.5) + (1.5**2 + 1) / 2 - 0.5
    mistakes = {
        "The direction is reversed: this is KL(q ‖ p). The expectation is over the first density,"
        " the truth (section 1.4).": turned,
        "dx is missing: a sum over grid points is no integral until it is multiplied by the"
        " spacing (section 1.4 has torch.trapezoid).": right / 0.02,
        "The sign is turned: log p − log q, not log q − log p.": -right,
        "The weight p before the logarithm is missing (section 1.4).": (
            exact.integrate((p / q).log(), x)
        ),
        "This is in bits: take the natural logarithm for nats.": right / math.log(2),
    }
    found = as_tensor(call(answer, p.clone(), q.clone(), x.clone()), ())
    expect("KL of N(0, 1) from N(1, 1.5²) in nats", found, right, mistakes, 1e-3)

    inside = x.abs() < 1 - 1e-9
    bump = torch.where(inside, torch.cos(math.pi * x / 2) ** 2, 0.0)  # zero outside [−1, 1]
    right = 1 - 2 * math.log(2) + 0.5 * math.log(2 * math.pi) + (1 / 3 - 2 / math.pi**2) / 2
    found = as_tensor(call(answer, bump, p.clone(), x.clone()), ())
    if not found.isfinite():
        raise Wrong(
            "On two Gaussians it is right. Where p is 0 you take log 0, and 0 · (−∞) is no number."
            " There the integrand is 0: leave those points out, or use torch.where(p > 0, …, 0)."
        )
    expect("KL of a density that is zero outside [−1, 1]", found, right, {}, 1e-3)
    return (
        "Both directions are legitimate, and different: this one punishes a model for being small"
        " where samples fall. And zeros of p cost nothing."
    )


@check
def draws_needed(answer: object) -> str:
    """Check answer(w), the number of perfect draws of N(5, 1) whose W₁ is w on average.

    E W₁ ≈ √(2/πn) ∫√(F(1 − F)) dx, section 1.5; see ``exact.mean_w1``. Within 15 %, as a floor read
    off the lesson's figures, 0.018 at 5 000 draws, is rounded.
    """
    x = exact.grid(-8, 8)
    at_5000 = exact.mean_w1(densities.gaussian(0.0, 1.0).log_prob(x), x, 5000)
    root = at_5000 * math.sqrt(math.pi * 5000 / 2)
    for w in (0.05, 0.005):
        found = as_tensor(call(answer, w), ())
        right = 2 / math.pi * (root / w) ** 2
        mistakes = {
            "It looks as if the floor fell like 1/n. It falls like 1/√n: half the distance takes"
            " four times the draws (section 1.5).": 5000 * at_5000 / w,
            "The factor 2/π is missing: the average of |N| is √(2/π), not 1 (section 1.5).": (
                (root / w) ** 2
            ),
        }
        what = f"Draws for an average W₁ of {w}, within 15 %"
        expect(what, found, right, mistakes, 0.15 * right)
    return "Ten times closer takes a hundred times the draws, however good the sampler is."


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
        given = a.clone(), b.clone()
        found = as_tensor(call(answer, *given), (3,))
        untouched(given[0], a)
        untouched(given[1], b)
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
