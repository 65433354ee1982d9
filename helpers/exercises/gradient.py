"""The checks of notebook 2: the gradient."""

import torch
from torch import Tensor

from helpers.exercises.verdicts import (
    Wrong,
    Z,
    agree,
    as_tensor,
    at_particles,
    call,
    check,
    drawn,
    expect,
    seeded,
)


def _bowl(x: Tensor) -> Tensor:
    """Return the energy (x − 3)²/8 of particles (n, 1)."""
    return ((x - 3) ** 2).sum(-1) / 8


def _tilted(x: Tensor) -> Tensor:
    """Return the energy (x² − 1)² + x/2: two wells that are not alike."""
    return ((x**2 - 1) ** 2 + x / 2).sum(-1)


def _score(energy: object, x: Tensor) -> Tensor:
    """Return the score of ``_bowl`` or of ``_tilted``, worked out by hand."""
    u = x.detach()
    return (3 - u) / 4 if energy is _CASES[0] else 4 * u * (1 - u**2) - 0.5


_CASES = [at_particles(_bowl), at_particles(_tilted)]
_SCORE = [
    (
        "The sign is turned: this is ∇ₓf. The score is the slope of the log-density, which is −f up"
        " to a constant.",
        lambda f, x: -_score(f, x),
    ),
    (
        "It is too small by the number of particles: differentiate the sum of the energies, not"
        " their mean. Each particle enters only its own term.",
        lambda f, x: _score(f, x) / len(x),
    ),
    (
        "It is too small by the number of particles, and its sign is turned: this is the gradient"
        " of the energies' mean. Differentiate minus their sum.",
        lambda f, x: -_score(f, x) / len(x),
    ),
    (
        "All particles get one value: the slopes were added up or averaged. Each has its own.",
        lambda f, x: _score(f, x).sum().expand_as(x),
    ),
    (
        "All particles get one value: the slopes were added up or averaged. Each has its own.",
        lambda f, x: _score(f, x).mean().expand_as(x),
    ),
    (
        "This is the energy itself. The score is its derivative in x, sign turned.",
        lambda f, x: f(x).unsqueeze(1),
    ),
    (
        "This is −f, the log-density up to a constant. The score is its derivative in x.",
        lambda f, x: -f(x).unsqueeze(1),
    ),
    (
        "This is the slope of e^(−f), not of its logarithm: the factor e^(−f) does not belong.",
        lambda f, x: _score(f, x) * (-f(x)).exp().unsqueeze(1),
    ),
]


@check(mistakes=_SCORE)
def score(answer: object) -> str:
    """Check answer(energy, x), the score −∇ₓf(x), shape (n, 1), of particles x (n, 1)."""
    few, many = (torch.linspace(-2, 3, n, dtype=torch.float64).unsqueeze(1) for n in (6, 800))
    bowl, tilted = _CASES
    cases = {
        "The score of f = (x − 3)²/8 at −2, −1, …, 3": (bowl, few),
        "The score of f = (x² − 1)² + x/2 at −2, −1, …, 3": (tilted, few),
        "The same at 800 points from −2 to 3": (tilted, many),
    }
    agree(answer, _score, cases, _SCORE)
    return (
        "The constant log Z has gone with the derivative. That is why a sampler can do without"
        " it; the plain one of notebook 3 needs nothing but this."
    )


N = 40_000
"""Draws of the model for one estimate."""


@check
def nll_gradient(answer: object, *, seed: int = 0) -> str:
    """Check answer(theta, data, n, generator), ∇_θ NLL, shape (2,), with n draws of the model.

    The model is N(θ₁, 1/θ₂), f = θ₂ (x − θ₁)²/2. Under it ∇_θ f has mean (0, 1/2θ₂) and variances
    (θ₂, 1/2θ₂²), and the positive phase is a plain mean: the tolerance is ``Z`` standard errors.
    """
    skewed = 2 * torch.rand(200, 1, generator=seeded(seed), dtype=torch.float64).square() + 0.3
    generator = seeded(seed + 1)
    for data, n, m, b in [(skewed[:5], 8, 0.5, 0.4), (skewed, N, 2.0, 1.6), (skewed, N, 0.5, 0.4)]:
        theta, before = torch.tensor([m, b], dtype=torch.float64), generator.get_state()
        found = as_tensor(call(answer, theta, data.clone(), n, generator), (2,))
        if n == N:
            _judge_phases(found, theta, data, n)
            drawn(generator, before)
    _judge_n(answer, 5 * skewed[:5], generator)
    return (
        "Data pull the energy down, the model's own draws push it up, and Z was never needed."
        " Every update in notebook 4 is this difference."
    )


def _judge_phases(found: Tensor, theta: Tensor, data: Tensor, n: int) -> None:
    """Raise Wrong unless found is the difference of the phases, within ``Z`` standard errors."""
    m, b = theta.tolist()
    positive = torch.stack([-b * (data - m).mean(), ((data - m) ** 2).mean() / 2])
    negative = torch.tensor([0.0, 1 / (2 * b)], dtype=torch.float64)
    wide = torch.tensor([0.0, 1.0], dtype=torch.float64)
    mistakes = {
        "The sign is turned: this is ∇_θ LL. The loss is its negative, so its gradient is the"
        " data's mean minus the model's (section 2.3, step 7).": negative - positive,
        "The negative phase is missing: this is the mean over the data alone, which would push the"
        " energy down for ever (section 2.4). Or autograd went back through the draws, and then it"
        " cancels: they are to be held fixed, detached (section 2.5).": positive,
        "This is the mean over the model's draws alone; the data's is missing.": negative,
        "This is minus the mean over the model's draws; the data's is missing.": -negative,
        "The two phases are added. Their signs differ: data minus model.": positive + negative,
        "It looks as if 1/θ₂ was used as the model's standard deviation. It is the variance;"
        " the standard deviation is its root.": positive - wide / (2 * b**2),
        "It looks as if θ₂ was used as the model's standard deviation. θ₂ is one over the"
        " variance.": positive - wide * b**2 / 2,
        "It looks as if θ₂ was used as the model's variance. It is one over the variance.": (
            positive - wide * b / 2
        ),
        "The draws have the standard deviation 1, whatever θ₂: it is 1/√θ₂.": positive - wide / 2,
        "The ½ is missing from ∂f/∂θ₂ = ½(x − θ₁)².": (positive - negative) * (1 + wide),
        "In ∂f/∂θ₁ the sign is turned: f falls as θ₁ comes nearer to x, −θ₂ (x − θ₁).": (
            (positive - negative) * (2 * wide - 1)
        ),
        "In ∂f/∂θ₁ the factor θ₂ is missing: −θ₂ (x − θ₁).": (
            (positive - negative) * (wide + (1 - wide) / b)
        ),
    }
    if abs(found[1] / (positive * len(data) - negative * n)[1] - 1) < 0.02:
        raise Wrong("These are sums over the data and over the draws; each phase is a mean.")
    error = torch.tensor([b, 1 / (2 * b**2)], dtype=torch.float64).div(n).sqrt()
    what = f"∇_θ NLL at θ = ({m}, {b}) with {n} draws"
    expect(what, found, positive - negative, mistakes, Z * error, slack=4)  # other noise


def _judge_n(answer: object, data: Tensor, generator: torch.Generator) -> None:
    """Raise Wrong unless 300 estimates from 9 draws spread as the mean of 9: in θ₁, by θ₂/9."""
    theta, n = torch.tensor([0.4, 1.2], dtype=torch.float64), 9
    found = [as_tensor(call(answer, theta, data.clone(), n, generator), (2,)) for _ in range(300)]
    ratio = torch.stack(found)[:, 0].var().item() / (theta[1].item() / n)
    if not abs(ratio - 1) <= Z * (2 / 299) ** 0.5:
        raise Wrong(
            f"With n = {n} the estimates' variance is {ratio:.3f} times what the mean of {n} draws"
            " has: take n draws, and new ones at each call."
        )


_SLOPES = [
    ("The two are swapped: the first is the NLL's.", lambda t, m: (m, m - 1 / t)),
    (
        "The second is the derivative with the samples held fixed. Here p_θ depends on θ as well:"
        " what is E[θ|X|] under p_θ? (section 2.5)",
        lambda t, m: (m - 1 / t, m - 1 / t),
    ),
    (
        "The first leaves out log Z: the NLL is the data's mean energy plus log Z, and here Z is"
        " 2/θ.",
        lambda t, m: (m, m),
    ),
    (
        "The sign of the first's second term is turned: log Z = log 2 − log θ falls in θ.",
        lambda t, m: (m + 1 / t, m),
    ),
    (
        "The first has the ½ of a quadratic energy (section 2.5). For |x| it is Z = 2/θ.",
        lambda t, m: (m - 1 / (2 * t), m),
    ),
    (
        "The first has the derivative of Z in place of that of log Z.",
        lambda t, m: (m - 2 / t**2, m),
    ),
    (
        "The second is the value of the difference; its derivative was asked for.",
        lambda t, m: (m - 1 / t, t * m - 1),
    ),
    ("Both signs are turned: these are the slopes of LL.", lambda t, m: (1 / t - m, -m)),
    (
        "In the second the samples' mean is left out: θm − 1 has another slope.",
        lambda t, m: (m - 1 / t, 0 * m),
    ),
]


@check(mistakes=_SLOPES)
def two_slopes(answer: object) -> str:
    """Check answer(theta, m) for f = θ|x| and data with mean |x| = m: (∂NLL/∂θ, ∂difference/∂θ).

    Z = 2/θ, so NLL = θm + log(2/θ); and E|X| = 1/θ under p_θ, so the difference is θm − 1.
    """
    cases = {f"The slopes at θ = {t}, m = {m}": (t, m) for t, m in [(0.7, 2.3), (1.9, 0.37)]}
    agree(answer, lambda t, m: (m - 1 / t, m), cases, _SLOPES)
    return (
        "The difference rises for every θ: it has no minimum, so following it in full would"
        " flatten the energy for ever. Held fixed, the samples leave the NLL's slope."
    )
