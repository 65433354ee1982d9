"""The checks of notebook 2: the gradient."""

import math
from contextlib import suppress
from functools import partial

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
    expect,
    from_generator,
    gradient_left,
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
    far = torch.tensor([[-900.0], [700.0], [0.02], [700.0]], dtype=torch.float64)
    bowl, tilted = _CASES
    cases = {
        "The score of f = (x − 3)²/8 at −2, −1, …, 3": (bowl, few),
        "The score of f = (x² − 1)² + x/2 at −2, −1, …, 3": (tilted, few),
        "The same at 800 points from −2 to 3": (tilted, many),
        "The score of f = (x − 3)²/8 at −900, 700, 0.02, 700": (bowl, far),
        "The score of f = (x² − 1)² + x/2 at −2 alone": (tilted, few[:1]),
    }
    agree(answer, _score, cases, _SCORE)
    for before in (None, torch.tensor(3.0, dtype=torch.float64)):
        _judge_left(answer, few.clone(), before)
    return (
        "The constant log Z has gone with the derivative. That is why a sampler can do without"
        " it; the plain one of notebook 3 needs nothing but this."
    )


def _judge_left(answer: object, x: Tensor, before: Tensor | None) -> None:
    """Raise Wrong if the answer changes the gradient that a parameter of the energy has.

    Who asks for the energies alone, as by differences, need not know what to do with a graph.
    """
    centre = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    centre.grad = None if before is None else before.clone()
    with suppress(Wrong):
        call(answer, at_particles(lambda x: ((x - centre) ** 2).sum(-1)), x)
    gradient_left(centre, before)


N = 40_000
"""Draws of the model for one estimate."""


def _pair(first: float, second: float) -> Tensor:
    """Return two numbers, one for each θ."""
    return torch.tensor([first, second], dtype=torch.float64)


_TWO = [
    (
        "The sign is turned: this is ∇_θ LL. The loss is its negative, so its gradient is the"
        " data's mean minus the model's (section 2.3, step 7).",
        lambda b, data, model: model - data,
    ),
    (
        "The negative phase is missing: this is the mean over the data alone, which would push the"
        " energy down for ever (section 2.4). Or autograd went back through the draws, and then it"
        " cancels: they are to be held fixed, detached (section 2.5). Or the draws do not spread.",
        lambda b, data, model: data,
    ),
    (
        "This is the mean over the model's draws alone; the data's is missing.",
        lambda b, data, model: model,
    ),
    (
        "This is minus the mean over the model's draws; the data's is missing.",
        lambda b, data, model: -model,
    ),
    (
        "The two phases are added. Their signs differ: data minus model.",
        lambda b, data, model: data + model,
    ),
    (
        "The model's draws have another standard deviation than 1/√θ₂. This is what 1/θ₂ gives.",
        lambda b, data, model: data - _pair(0, b**-2 / 2),
    ),
    (
        "The model's draws have another standard deviation than 1/√θ₂. This is what θ₂ gives.",
        lambda b, data, model: data - _pair(0, b**2 / 2),
    ),
    (
        "The model's draws have another standard deviation than 1/√θ₂. This is what √θ₂ gives.",
        lambda b, data, model: data - _pair(0, b / 2),
    ),
    (
        "The model's draws have another standard deviation than 1/√θ₂. This is what 1 gives.",
        lambda b, data, model: data - _pair(0, 1 / 2),
    ),
    (
        "The ½ is missing from ∂f/∂θ₂ = ½(x − θ₁)².",
        lambda b, data, model: (data - model) * _pair(1, 2),
    ),
    (
        "In ∂f/∂θ₁ the sign is turned: f falls as θ₁ comes nearer to x, −θ₂ (x − θ₁).",
        lambda b, data, model: (data - model) * _pair(-1, 1),
    ),
    (
        "In ∂f/∂θ₁ the factor θ₂ is missing: −θ₂ (x − θ₁).",
        lambda b, data, model: (data - model) / _pair(b, 1),
    ),
]


@check
def nll_gradient(answer: object, *, seed: int = 0) -> str:
    """Check answer(theta, data, n, generator), ∇_θ NLL, shape (2,), with n draws of the model.

    The model is N(θ₁, 1/θ₂), f = θ₂ (x − θ₁)²/2. Under it ∇_θ f has mean (0, 1/2θ₂) and variances
    (θ₂, 1/2θ₂²), and the positive phase is a plain mean: the tolerance is ``Z`` standard errors.
    """
    skewed = 2 * torch.rand(200, 1, generator=seeded(seed), dtype=torch.float64).square() + 0.3
    cases = [(skewed[:5], 20, 0.5, 0.4), (skewed, N, 2.0, 1.6), (-3 * skewed[:70], N, -1.2, 0.6)]
    cases += [(skewed, N, 0.7, 1.3)]

    def estimate(k: int, generator: torch.Generator) -> Tensor:
        x, n, *theta = cases[k]
        return as_tensor(call(answer, _pair(*theta), x.clone(), n, generator), (2,))

    found, right, error, wrong = [], [], [], []
    for k, (x, n, m, b) in enumerate(cases):
        found.append(estimate(k, seeded(seed + 10 * k)))
        data, model = _pair(-b * (x - m).mean(), (x - m).square().mean() / 2), _pair(0, 1 / (2 * b))
        right.append(data - model)
        error.append(Z * (_pair(b, 1 / (2 * b**2)) / n).sqrt())
        wrong.append([mutant(b, data, model) for _, mutant in _TWO])
    found, right, error = (torch.cat(values[1:]) for values in (found, right, error))
    wrong = map(torch.cat, zip(*wrong[1:], strict=True))
    mistakes = dict(zip((message for message, _ in _TWO), wrong, strict=True))
    what = f"∇_θ NLL, two numbers each at θ = (2, 1.6), (−1.2, 0.6), (0.7, 1.3), with {N} draws"
    expect(what, found, right, mistakes, error, slack=4)  # draws that are spread otherwise
    from_generator(partial(estimate, 0), seed + 1)
    _judge_n(answer, 5 * skewed[:5], seeded(seed + 2))
    return (
        "Data pull the energy down, the model's own draws push it up, and Z was never needed."
        " Every update in notebook 4 is this difference."
    )


def _judge_n(answer: object, data: Tensor, generator: torch.Generator) -> None:
    """Raise Wrong unless estimates from so few draws spread as theirs do, in both places.

    Draws that balance each other, as z and −z, spread less in θ₁. A mean of n squares has the
    fourth moment 3 + 12/n, in units of its variance. The logarithm of a single square has the mean
    −1.270 and the variance π²/2; for two squares' mean they are −0.577 and π²/6.
    """
    theta = _pair(0.4, 1.2)

    def estimates(n: int, many: int) -> Tensor:
        every = (call(answer, theta.clone(), data.clone(), n, generator) for _ in range(many))
        return torch.stack([as_tensor(value, (2,)) for value in every])

    for n, many in [(20, 600), (2, 1000)]:
        ratio = estimates(n, many).var(0) * n / _pair(theta[1], 1 / (2 * theta[1] ** 2))
        low = 1 - Z * ((2 + 12 / n) / many) ** 0.5
        if not (ratio[0] <= 1 + Z * (2 / many) ** 0.5 and ratio[1] >= low):
            raise Wrong(
                f"With n = {n} the estimates' variances are {ratio[0]:.3f} and {ratio[1]:.3f} times"
                f" what means of {n} draws have: take n draws, normal ones, and new ones at each"
                " call."
            )
    square = (data - theta[0]).square().mean() - 2 * estimates(1, 1000)[:, 1]
    mean = (theta[1] * square).clamp(min=1e-9).log().mean().item()  # nan if draws come in pairs
    if mean > -(math.log(2) + 0.5772) + Z * math.pi / 2000**0.5:
        raise Wrong(
            f"With n = 1 the mean logarithm of the squares (x − θ₁)²θ₂ is {mean:.3f}; for one draw"
            " it is -1.270, for the mean of two -0.577. Take n draws, no more."
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
    pairs = [(0.7, 2.3), (1.9, 0.37), (250.0, 4e-3), (3e-3, 900.0)]  # at the third, m = 1/θ
    cases = {f"The slopes at θ = {t}, m = {m}": (t, m) for t, m in pairs}
    agree(answer, lambda t, m: (m - 1 / t, m), cases, _SLOPES)
    return (
        "The difference rises for every θ: it has no minimum, so following it in full would"
        " flatten the energy for ever. Held fixed, the samples leave the NLL's slope."
    )
