"""The checks of notebook 2: the gradient."""

import torch
from torch import Tensor

from helpers import densities
from helpers.exercises.verdicts import Z, as_tensor, call, check, expect, seeded, untouched


@check
def score(answer: object) -> str:
    """Check answer(energy, x), the score −∇ₓf(x), shape (n, 1), of particles x (n, 1)."""
    x = torch.linspace(-2, 3, 6, dtype=torch.float64).unsqueeze(1)
    cases = {
        "f = (x − 3)²/8": (lambda x: ((x - 3) ** 2).sum(-1) / 8, (x - 3) / 4),
        "f = (x² − 1)²": (lambda x: ((x**2 - 1) ** 2).sum(-1), 4 * x * (x**2 - 1)),
    }
    for name, (energy, slope) in cases.items():
        given = x.clone()
        found = as_tensor(call(answer, energy, given), (6, 1))
        untouched(given, x)
        mistakes = {
            "The sign is turned: this is ∇ₓf. The score is the slope of the log-density, which is"
            " −f up to a constant.": slope,
            "It is too small by the number of particles: differentiate the sum of the energies,"
            " not their mean. Each particle enters only its own term.": -slope / 6,
            "This is the energy itself. The score is its derivative in x, sign turned.": (
                energy(x).unsqueeze(1)
            ),
            "This is −f, the log-density up to a constant. The score is its derivative in x.": (
                -energy(x).unsqueeze(1)
            ),
        }
        expect(f"The score of {name} at −2, −1, 0, …", found, -slope, mistakes)
    return (
        "The constant log Z has gone with the derivative. That is why a sampler can do without"
        " it; the plain one of notebook 3 needs nothing but this."
    )


@check
def nll_gradient(answer: object, *, seed: int = 0) -> str:
    """Check answer(theta, data, n, generator), ∇_θ NLL, shape (2,), with n draws of the model.

    The model is N(θ₁, 1/θ₂), f = θ₂ (x − θ₁)²/2. Under it ∇_θ f has mean (0, 1/2θ₂) and variances
    (θ₂, 1/2θ₂²), and the positive phase is a plain mean: the tolerance is ``Z`` standard errors.
    """
    n, data = 40_000, densities.draw(densities.gaussian(1.3, 1.5), 500, generator=seeded(seed))
    for m, b in [(0.5, 0.4), (2.0, 3.0)]:
        theta = torch.tensor([m, b], dtype=torch.float64)
        found = as_tensor(call(answer, theta, data.clone(), n, seeded(seed + 1)), (2,))
        positive = torch.stack([-b * (data - m).mean(), ((data - m) ** 2).mean() / 2])
        negative = torch.tensor([0.0, 1 / (2 * b)], dtype=torch.float64)

        def narrow(variance: float, positive=positive) -> Tensor:
            return positive - torch.tensor([0.0, variance / 2], dtype=torch.float64)

        mistakes = {
            "The sign is turned: this is ∇_θ LL. The loss is its negative, so its gradient is the"
            " data's mean minus the model's (section 2.3, step 7).": negative - positive,
            "The negative phase is missing: this is the mean over the data alone. It would push"
            " the energy down for ever (section 2.4).": positive,
            "The two phases are added. Their signs differ: data minus model.": positive + negative,
            "It looks as if 1/θ₂ was used as the model's standard deviation. It is the variance;"
            " the standard deviation is its root.": narrow(1 / b**2),
            "It looks as if θ₂ was used as the model's standard deviation. θ₂ is one over the"
            " variance.": narrow(b**2),
        }
        tolerance = Z * torch.tensor([b, 1 / (2 * b**2)], dtype=torch.float64).div(n).sqrt()
        expect(f"∇_θ NLL at θ = ({m}, {b})", found, positive - negative, mistakes, tolerance)
    return (
        "Data pull the energy down, the model's own draws push it up, and Z was never needed."
        " Every update in notebook 4 is this difference."
    )


@check
def two_slopes(answer: object) -> str:
    """Check answer(theta, m) for f = θ|x| and data with mean |x| = m: (∂NLL/∂θ, ∂difference/∂θ).

    Z = 2/θ, so NLL = θm + log(2/θ); and E|X| = 1/θ under p_θ, so the difference is θm − 1.
    """
    for theta, m in [(0.8, 2.0), (2.0, 0.3)]:
        found = as_tensor(call(answer, theta, m), (2,))
        nll, live = m - 1 / theta, m
        pairs = {
            "The two are swapped: the first is the NLL's.": (live, nll),
            "The second is the derivative with the samples held fixed. Here p_θ depends on θ as"
            " well: what is E[θ|X|] under p_θ? (section 2.5)": (nll, nll),
            "The first leaves out log Z: the NLL is the data's mean energy plus log Z, and here"
            " Z = 2/θ.": (live, live),
            "The sign of the first's second term is turned: log Z = log 2 − log θ falls in θ.": (
                m + 1 / theta,
                live,
            ),
            "The first has the ½ of a quadratic energy (section 2.5). For |x| it is Z = 2/θ.": (
                m - 1 / (2 * theta),
                live,
            ),
        }
        as_double = {k: torch.tensor(v, dtype=torch.float64) for k, v in pairs.items()}
        right = torch.tensor([nll, live], dtype=torch.float64)
        expect(f"The slopes at θ = {theta}, m = {m}", found, right, as_double)
    return (
        "The difference rises for every θ: it has no minimum, so following it in full would"
        " flatten the energy for ever. Held fixed, the samples leave the NLL's slope."
    )
