"""The checks of notebook 1: densities and distances."""

import math

import torch
from torch import Tensor

from helpers import densities, exact
from helpers.exercises.verdicts import (
    agree,
    check,
)


def _ll(x: Tensor, mean: float, sd: float, root: float = 1.0, log_sd: float = 1.0) -> Tensor:
    """Return log N(x; mean, sd²), with so much of the terms −log √(2π) and −log sd."""
    constant = root * math.log(math.sqrt(2 * math.pi)) + log_sd * math.log(sd)
    return -((x - mean) ** 2) / (2 * sd**2) - constant


_LL = [
    (
        "This is the sum over the samples. LL is their average: divide by n.",
        lambda x, m, sd: _ll(x, m, sd).sum(),
    ),
    (
        "The sign is turned: this is the average negative log-likelihood, NLL.",
        lambda x, m, sd: -_ll(x, m, sd).mean(),
    ),
    (
        "It looks as if sd² stands where sd should: sd is a standard deviation, and torch's Normal"
        " takes that too. Only the formula squares it (section 1.1).",
        lambda x, m, sd: _ll(x, m, sd**2).mean(),
    ),
    (
        "It looks as if sd was taken for a variance: the density has sd² in the exponent and sd"
        " before it (section 1.1).",
        lambda x, m, sd: _ll(x, m, sd**0.5).mean(),
    ),
    (
        "The term −log √(2π) is missing: the density would not have area 1 (section 1.1).",
        lambda x, m, sd: _ll(x, m, sd, root=0).mean(),
    ),
    (
        "It looks as if the root over 2π is missing: it is −log √(2π), half of −log 2π.",
        lambda x, m, sd: _ll(x, m, sd, root=2).mean(),
    ),
    (
        "The term −log sd is missing: a wide Gaussian must be lower (section 1.1).",
        lambda x, m, sd: _ll(x, m, sd, log_sd=0).mean(),
    ),
    (
        "It looks as if the density was divided by sd² in place of sd: it is −log sd.",
        lambda x, m, sd: _ll(x, m, sd, log_sd=2).mean(),
    ),
    (
        "Both −log √(2π) and −log sd are missing: this is only the exponent (section 1.1).",
        lambda x, m, sd: _ll(x, m, sd, root=0, log_sd=0).mean(),
    ),
    (
        "The ½ in the exponent is missing: it is (x − μ)²/2σ² (section 1.1).",
        lambda x, m, sd: (2 * _ll(x, m, sd) - _ll(x, x, sd)).mean(),
    ),
    (
        "In the exponent sd is not squared: it is (x − μ)²/2σ² (section 1.1).",
        lambda x, m, sd: (sd * _ll(x, m, sd) + (1 - sd) * _ll(x, x, sd)).mean(),
    ),
    (
        "The exponent is not divided by sd²: it is (x − μ)²/2σ² (section 1.1).",
        lambda x, m, sd: (sd**2 * _ll(x, m, sd) + (1 - sd**2) * _ll(x, x, sd)).mean(),
    ),
    (
        "This is the average density. Take the logarithm of each density, then average.",
        lambda x, m, sd: _ll(x, m, sd).exp().mean(),
    ),
    (
        "This is the logarithm of the average density. Take the logarithm first, then average: the"
        " two do not commute.",
        lambda x, m, sd: _ll(x, m, sd).exp().mean().log(),
    ),
    (
        "With few samples it is right. A product of many densities is smaller than any number that"
        " the computer has, and log 0 is −∞: take each logarithm first.",
        lambda x, m, sd: _ll(x, m, sd).exp().prod().log() / len(x),
    ),
    (
        "It looks as if mean and sd were taken from the samples. Use the two that are given.",
        lambda x, m, sd: _ll(x, x.mean(), x.std(correction=0).item()).mean(),
    ),
    (
        "It looks as if mean and sd were taken from the samples. Use the two that are given.",
        lambda x, m, sd: _ll(x, x.mean(), x.std().item()).mean(),
    ),
]

_LL_CASES = [(7, 1.3, 1.7, 1), (90, 2.9, 0.4, 1), (3000, -0.4, 2.6, 1)]
_LL_CASES += [(40, 3300.0, 900.0, 1e3), (30, 2e-3, 1e-3, 1e-3), (1, -2.0, 0.7, 1)]
"""How many numbers, mean and sd, and the unit of the numbers."""


@check(mistakes=_LL)
def average_log_likelihood(answer: object) -> str:
    """Check answer(x, mean, sd), the average of log N(x_i; mean, sd²) over x of shape (n, 1)."""
    cases = {}
    for n, mean, sd, scale in _LL_CASES:
        x = 2.3 - torch.linspace(0.02, 0.99, n, dtype=torch.float64).log().unsqueeze(1)  # skewed
        x[-1] = x[n // 2]  # a tie
        cases[f"LL of {n} numbers for mean {mean}, sd {sd}"] = (scale * x, mean, sd)
    agree(answer, lambda x, mean, sd: _ll(x, mean, sd).mean(), cases, _LL)
    return (
        "It is the one number that a fit by maximum likelihood makes large, and its negative, the"
        " NLL, is the loss of notebook 2."
    )


def _kl(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """Return KL(p ‖ q) as a sum over an even grid."""
    return (torch.where(p > 0, p * (p / q).log(), 0.0) * (x[1] - x[0])).sum()


def _bridged(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """Return the integral over the grid points where p > 0, with straight lines over the gaps."""
    keep = p > 0
    return torch.trapezoid((p * (p / q).log())[keep], x[keep])


_KL = [
    (
        "The direction is reversed: this is KL(q ‖ p). The expectation is over the first density,"
        " the truth (section 1.4).",
        lambda p, q, x: _kl(q, p, x),
    ),
    (
        "dx is missing: a sum over grid points is no integral until it is multiplied by the"
        " spacing (torch.trapezoid, section 1.4).",
        lambda p, q, x: _kl(p, q, x) / (x[1] - x[0]),
    ),
    (
        "This is an average over the grid points. The integral is the sum times the spacing dx"
        " (torch.trapezoid, section 1.4).",
        lambda p, q, x: _kl(p, q, x) / (x[1] - x[0]) / len(x),
    ),
    ("The sign is turned: log p − log q, not log q − log p.", lambda p, q, x: -_kl(p, q, x)),
    (
        "The weight p before the logarithm is missing (section 1.4).",
        lambda p, q, x: torch.trapezoid((p / q).log(), x),
    ),
    (
        "This is −∫ p log q, the cross-entropy: ∫ p log p is missing (section 1.4).",
        lambda p, q, x: _kl(p, q, x) - _kl(p, torch.ones_like(q), x),
    ),
    (
        "This is in bits: take the natural logarithm for nats.",
        lambda p, q, x: _kl(p, q, x) / math.log(2),
    ),
    ("This is in millinats; nats were asked for.", lambda p, q, x: 1000 * _kl(p, q, x)),
    (
        "On two Gaussians it is right. Where p is 0 you take log 0, and 0 · (−∞) is no number."
        " There the integrand is 0, as torch.where(p > 0, …, 0) has it.",
        lambda p, q, x: torch.trapezoid(p * (p / q).log(), x),
    ),
    (
        "Points where p is 0 are left out of the grid, and the integral then runs straight across"
        " the gap. Keep them, with an integrand of 0: torch.where(p > 0, …, 0).",
        _bridged,
    ),
    (
        "Where q is 0 and p is not, the model calls impossible what happens: there KL is infinite."
        " Yours is not: does it leave these points out?",
        lambda p, q, x: _kl(p * (q > 0), q, x),
    ),
    (
        "It looks as if nan_to_num made a number of ∞ as well. Where q is 0 and p is not, the model"
        " calls impossible what happens: there KL is infinite.",
        lambda p, q, x: torch.trapezoid((p * (p / q).log()).nan_to_num(), x),
    ),
    (
        "It is infinite only where q is 0 and p is not. Where both are 0, nothing happens that the"
        " model calls impossible: the integrand is 0.",
        lambda p, q, x: _kl(p, q, x) if (q > 0).all() else torch.tensor(math.inf),
    ),
    (
        "Where p and q are both 0 you take 0/0, which is no number. There the integrand is 0, as"
        " torch.where(p > 0, …, 0) has it.",
        lambda p, q, x: _kl(p, q, x) if ((p > 0) | (q > 0)).all() else torch.tensor(math.nan),
    ),
]


@check(mistakes=_KL)
def kl_by_quadrature(answer: object) -> str:
    """Check answer(p, q, x), KL(p ‖ q) in nats of two densities (m,) on an even grid x (m,).

    Both fall to 0 at the ends of the grid, so every rule of quadrature gives nearly the same.
    """
    cases = {}
    for first, second, x in [
        ((0.0, 1.0), (1.0, 1.5), exact.grid(-12, 12, 41)),
        ((2.0, 0.7), (1.4, 1.2), exact.grid(-8, 11, 901)),
        ((-500.0, 1000.0), (300.0, 700.0), exact.grid(-9000, 8000, 701)),
        ((3e-3, 1e-3), (2e-3, 2e-3), exact.grid(-0.02, 0.03, 801)),
    ]:
        p, q = (densities.gaussian(*pair).log_prob(x).exp() for pair in (first, second))
        cases[f"KL of N{first} from N{second}, each (mean, sd), in nats"] = (p, q, x)
    x = exact.grid(-7, 9, 32_000)  # no edge of a bar falls on a point
    bars = sum(w * ((x > a) & (x < a + 1)) for a, w in [(-2.0, 0.5), (1.0, 0.2), (2.0, 0.3)])
    model = densities.gaussian(0.5, 2.0).log_prob(x).exp()
    half = torch.where((x > 2) & (x < 3), 0.0, model)  # nothing where the last bar is
    one = torch.where(x == x[16_500], 0.0, model)
    cases["KL of a histogram with empty bins"] = (bars, model, x)
    cases["KL from a model that is 0 where p is not"] = (bars, half, x)
    cases["KL from a model that is 0 at a single point where p is not"] = (bars, one, x)
    empty = ((x > -0.6) & (x < 0.7)) | (x < -4) | (x > 6)
    cases["KL of two densities that are both 0 in places"] = (bars, model * ~empty, x)
    agree(answer, _kl, cases, _KL, lambda value: 1e-3 + 1e-3 * abs(value.item()))
    return (
        "Both directions are legitimate, and different: this one punishes a model for being small"
        " where samples fall, without end where it is 0. And zeros of p cost nothing."
    )


def _draws(w: float, sigma: float) -> float:
    """Return n of E W₁ ≈ √2 σ √(2/πn) ∫√(F(1 − F)) dx, with F of N(0, 1): see section 1.5."""
    x = exact.grid(-8, 8)
    one = exact.mean_w1(densities.gaussian(0.0, 1.0).log_prob(x), x, 1)
    return 2 * (sigma * one / w) ** 2


_DRAWS = [
    (
        "This is for one set beside its law. Here two sets are compared, and both have accidents:"
        " the floor is larger by √2 (section 1.5).",
        lambda w, sigma: _draws(w, sigma) / 2,
    ),
    (
        "This is twice too many: the draws of both sets together, where those of each were asked"
        " for, or the floors of two are added. They add up in squares, to √2 times one.",
        lambda w, sigma: 2 * _draws(w, sigma),
    ),
    (
        "It looks as if the floor fell like 1/n. It falls like 1/√n: half the distance takes four"
        " times the draws (section 1.5).",
        lambda w, sigma: 5000 * math.sqrt(_draws(w, sigma) / 5000),
    ),
    (
        "It looks as if the floor fell like 1/n. It falls like 1/√n: half the distance takes four"
        " times the draws (section 1.5).",
        lambda w, sigma: 10_000 * math.sqrt(_draws(w, sigma) / 10_000),
    ),
    (
        "It looks as if σ was not used. W₁ has the unit of x, so the floor grows with σ.",
        lambda w, sigma: _draws(w, 1.0),
    ),
    (
        "The floor is proportional to σ, and n goes with its square: σ², not σ.",
        lambda w, sigma: _draws(w, math.sqrt(sigma)),
    ),
    (
        "This is the floor of so many draws. It is asked the other way round: how many draws.",
        lambda w, sigma: math.sqrt(_draws(1.0, sigma) / w),
    ),
]


@check(mistakes=_DRAWS)
def draws_needed(answer: object) -> str:
    """Check answer(w, sigma), how many draws of N(μ, σ²) in each of two sets have the W₁ w.

    Within 15 %, as a floor read off the lesson's figures, 0.017 to 0.018 at 5 000, is rounded.
    """
    pairs = [(0.03, 1.0), (0.05, 2.7), (0.012, 0.4), (3.0, 250.0), (1e-4, 2e-3), (2e-3, 3.0)]
    cases = {f"Draws for a W₁ of {w} at σ = {sd}, within 15 %": (w, sd) for w, sd in pairs}
    agree(answer, _draws, cases, _DRAWS, lambda value: 0.15 * value.item())
    return "Ten times closer takes a hundred times the draws, however good the sampler is."
