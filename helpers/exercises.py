"""The checks of the exercises: an answer is right, and why that matters, or what it looks like.

A check takes the learner's function, calls it on arguments of its own, compares what comes back
with a closed form or with the exact law, and prints one verdict.

Where an answer draws random numbers, every statistic may be ``Z`` standard errors off. ``seed``
sets all randomness of such a check; another seed asks the same question with other numbers.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from scipy.stats import gamma, wasserstein_distance
from torch import Tensor, nn

from helpers import densities, exact
from helpers.verdicts import (
    TOLERANCE,
    Wrong,
    as_tensor,
    call,
    check,
    compare,
    figures,
    named,
    no_graph,
    untouched,
)

Z = 6.0
"""Standard errors that a statistic may be off: 2e-9 for a normal one, on both sides together.

The least normal one, the variance of 400 normal numbers, is farther off with a probability of
5e-8, and no check looks at more than 10: a right answer fails less than once in 10⁶ runs.
"""


def _seeded(seed: int) -> torch.Generator:
    """Return a new generator."""
    return torch.Generator().manual_seed(seed)


def _positive(**values: float) -> None:
    """Raise Wrong unless the values that the learner chose are positive numbers."""
    for name, value in values.items():
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise Wrong(f"Choose a positive number for {name}; this is {value!r}.")


# --- 1: densities and distances ----------------------------------------------------------------


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
        compare(f"LL for mean {mean}, sd {sd}", found, right, mistakes)
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
    compare("KL of N(0, 1) from N(1, 1.5²) in nats", found, right, mistakes, 1e-3)

    inside = x.abs() < 1 - 1e-9
    bump = torch.where(inside, torch.cos(math.pi * x / 2) ** 2, 0.0)  # zero outside [−1, 1]
    right = 1 - 2 * math.log(2) + 0.5 * math.log(2 * math.pi) + (1 / 3 - 2 / math.pi**2) / 2
    found = as_tensor(call(answer, bump, p.clone(), x.clone()), ())
    if not found.isfinite():
        raise Wrong(
            "On two Gaussians it is right. Where p is 0 you take log 0, and 0 · (−∞) is no number."
            " There the integrand is 0: leave those points out, or use torch.where(p > 0, …, 0)."
        )
    compare("KL of a density that is zero outside [−1, 1]", found, right, {}, 1e-3)
    return (
        "Both directions are legitimate, and different: this one punishes a model for being small"
        " where samples fall. And zeros of p cost nothing."
    )


@check
def draws_needed(answer: object) -> str:
    """Check answer(w), the number of perfect draws of N(5, 1) whose W₁ is w on average.

    E W₁ ≈ √(2/πn) ∫√(F(1 − F)) dx, section 1.5. Within 15 %, as a floor read off the lesson's
    figures, 0.018 at 5 000 draws, is rounded.
    """
    x = exact.grid(-8, 8)
    F = densities.gaussian(0.0, 1.0).cdf(x)
    root = exact.integrate((F * (1 - F)).clamp(min=0).sqrt(), x).item()
    at_5000 = root * math.sqrt(2 / (math.pi * 5000))
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
        compare(what, found, right, mistakes, 0.15 * right)
    return "Ten times closer takes a hundred times the draws, however good the sampler is."


# --- 2: the gradient ---------------------------------------------------------------------------


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
        compare(f"The score of {name} at −2, −1, 0, …", found, -slope, mistakes)
    return (
        "The constant log Z has gone with the derivative. That is why a sampler can do without"
        " it, and why notebook 3 needs nothing else."
    )


@check
def nll_gradient(answer: object, *, seed: int = 0) -> str:
    """Check answer(theta, data, n, generator), ∇_θ NLL, shape (2,), with n draws of the model.

    The model is N(θ₁, 1/θ₂), f = θ₂ (x − θ₁)²/2. Under it ∇_θ f has mean (0, 1/2θ₂) and variances
    (θ₂, 1/2θ₂²), and the positive phase is a plain mean: the tolerance is ``Z`` standard errors.
    """
    n, data = 40_000, densities.draw(densities.gaussian(1.3, 1.5), 500, generator=_seeded(seed))
    for m, b in [(0.5, 0.4), (2.0, 3.0)]:
        theta = torch.tensor([m, b], dtype=torch.float64)
        found = as_tensor(call(answer, theta, data.clone(), n, _seeded(seed + 1)), (2,))
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
        compare(f"∇_θ NLL at θ = ({m}, {b})", found, positive - negative, mistakes, tolerance)
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
        compare(f"The slopes at θ = {theta}, m = {m}", found, right, as_double)
    return (
        "The difference rises for every θ: it has no minimum, so following it in full would"
        " flatten the energy for ever. Held fixed, the samples leave the NLL's slope."
    )


# --- 3: Langevin Monte Carlo -------------------------------------------------------------------


def _well(x: Tensor) -> Tensor:
    """Return the energy (x² − 1)²/4 of particles (n, 1), whose slope is x (x² − 1)."""
    return ((x**2 - 1) ** 2).sum(-1) / 4


@check
def langevin_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, x, s, generator), which makes one Langevin step from x (n, 1).

    Eight particles on an energy as steep as 10⁶ show the drift, with the noise lost in it; 20 000
    on a gentle one show the noise: mean 0 and variance 2s, both within ``Z`` standard errors.
    """
    s, n = 0.2, 20_000
    x = torch.linspace(-2, 2, 8, dtype=torch.float64).unsqueeze(1)
    given, drift = x.clone(), -s * 1e6 * x * (x**2 - 1)
    new = call(answer, lambda x: 1e6 * _well(x), given, s, _seeded(seed))
    untouched(given, x)
    new = as_tensor(no_graph(new), (8, 1))
    mistakes = {
        "The sign of the drift is turned: the particles climb the energy. A step goes down,"
        " x − s ∇ₓf (section 3.1).": -drift,
        "The drift is too small by the number of particles: it is the gradient of the mean"
        " energy. Differentiate the sum, so that each particle keeps its own (section 3.1).": (
            drift / 8
        ),
        "There is no drift: the particles do not feel the energy (section 3.1).": 0 * drift,
        "The slope is not multiplied by the step size s (section 3.1).": drift / s,
    }
    slack = TOLERANCE * drift.abs().max()
    compare("Drift from x = −2, −1.429, …", new - x, drift, mistakes, slack)

    x = torch.linspace(-2, 2, n, dtype=torch.float64).unsqueeze(1)
    generator = _seeded(seed + 1)
    first, second = (
        as_tensor(call(answer, _well, x.clone(), s, generator), (n, 1)) - x + s * x * (x**2 - 1)
        for _ in range(2)
    )
    mean, variance = first.mean().item(), first.var().item()
    if first.abs().max() < 1e-6:
        raise Wrong(
            "There is no noise: this is gradient descent, and all particles end in a minimum of"
            " the energy. Add √(2s) N (section 3.1)."
        )
    if variance < 1e-9:
        raise Wrong(
            "All particles share one draw of the noise: the cloud moves as a whole and does not"
            " spread. Draw one number for each, torch.randn(x.shape, …) (section 3.1)."
        )
    if torch.equal(first, second):
        raise Wrong(
            "Two steps in a row got the same noise: the generator is seeded afresh inside the"
            " step. Use the one that you are given."
        )
    kinds = {
        "The noise has the standard deviation √s. It must be √(2s): at √s the temperature is ½,"
        " and the cloud comes out too narrow (section 3.1).": s,
        "The noise is proportional to s. It must be √(2s), as a diffusion spreads like the root"
        " of the time; with s the temperature vanishes for small steps (section 3.1).": s**2,
        "The noise is proportional to s. It must be √(2s): the root belongs over the s as"
        " well (section 3.1).": 2 * s**2,
        "The noise has the standard deviation 2s, proportional to s: that is the variance. Take"
        " its root, √(2s) (section 3.1).": 4 * s**2,
        "The noise has the variance 1, whatever the step: multiply it by √(2s) (section 3.1).": 1,
        "The noise is uniform, from torch.rand. It must be normal: torch.randn.": 2 * s / 12,
    }
    spread = torch.tensor(variance, dtype=torch.float64)
    compare("Variance of the noise", spread, 2 * s, kinds, Z * variance * math.sqrt(2 / n))
    if abs(mean) > Z * math.sqrt(2 * s / n):
        raise Wrong(f"Mean of the noise: expected 0.000, found {mean:.3f}.")
    return (
        "Repeated, this step samples e^(−f) up to a bias of the size of s, for every energy and"
        " without Z. The course's samplers are built on it."
    )


@check
def stationary_variance(answer: object, *, s: float = 0.7, sigma: float = 1.5) -> str:
    """Check answer(s, sigma), the variance at which Langevin steps of size s on N(μ, σ²) settle.

    The closed form is σ²/(1 − s/2σ²), section 3.3; it is checked at the learner's s and sigma too.
    """
    _positive(s=s, sigma=sigma)
    if s >= 2 * sigma**2:
        raise Wrong(
            f"With s = {s} and σ = {sigma} the chain never settles: s must stay below 2σ² ="
            f" {2 * sigma**2:.3f} (section 3.3). Choose a smaller step."
        )
    for step, sd in [(3.0, 2.0), (s, sigma)]:
        a = step / sd**2
        right = sd**2 / (1 - a / 2)
        mistakes = {
            "This is the variance of the target, σ². With a finite step the chain settles at a"
            " larger one (section 3.3).": sd**2,
            "This is the variance of the noise in one step, 2s. The drift pulls back part of what"
            " came before: solve v = (1 − a)² v + 2s, a = s/σ² (section 3.3).": 2 * step,
            "The sign of the bias is turned: dividing by 1 − s/2σ² makes the variance larger.": (
                sd**2 * (1 - a / 2)
            ),
            "This is the standard deviation; the variance was asked for.": math.sqrt(right),
            "It looks as if a was taken to be s. It is a = s/σ² (section 3.2).": (
                sd**2 / ((1 - step / 2) or math.nan)
            ),
            "The factor σ² is missing: this is the ratio of the variances.": right / sd**2,
        }
        found = as_tensor(call(answer, step, sd), ())
        compare(f"Variance for s = {step}, σ = {sd}", found, right, mistakes)
    return (
        f"At s = {s} and σ = {sigma} the chain's variance is {1 / (1 - s / sigma**2 / 2):.3f} times"
        " the target's. No number of steps removes that; a smaller step or accept/reject does."
    )


@check
def largest_step(answer: object) -> str:
    """Check answer(energy, x), 2 over the largest curvature of the energy on the grid x (m,).

    Within 1 %, for derivatives by differences. On a Gaussian it is 2σ², exactly the limit.
    """
    x = exact.grid(-9, 15, 4801)
    narrow = densities.mixture([0.8, 0.2], [0.0, 6.0], [1.2, 0.3])
    bell, humps = densities.energy_of(densities.gaussian(3.0, 0.5)), densities.energy_of(narrow)
    steepest = _curvature(humps, x).max().item()
    _, sd = exact.moments(narrow.log_prob(x), x)
    for name, energy, right, variance in [
        ("N(3, 0.5²)", bell, 0.5, 0.25),
        ("0.8·N(0, 1.2²) + 0.2·N(6, 0.3²)", humps, 2 / steepest, sd**2),
    ]:
        found = as_tensor(call(answer, energy, x.clone()), ())
        mistakes = {
            "The factor 2 is missing: at s = 1/curvature a step lands at the bottom, and only at"
            " twice that does it overshoot by as much as it came (section 3.3).": right / 2,
            "This is the largest curvature. The step's limit is 2 over it (section 3.3).": 2
            / right,
            "This is 2 times the variance of the whole density. What counts is the narrowest hump:"
            " the largest curvature anywhere (section 3.3).": 2 * variance,
            "This is the limit for the wide hump, which holds most of the mass. The narrow one"
            " decides (section 3.3).": 2 * 1.2**2,
        }
        compare(f"The largest step for {name}", found, right, mistakes, 0.01 * right)
    return (
        "One narrow hump sets the step for the whole density. For N(μ, σ²) the bound is 2σ², and"
        " it is sharp."
    )


def _curvature(energy: densities.Energy, x: Tensor) -> Tensor:
    """Return ∇ₓ²f on the grid x (m,), by autograd."""
    x = x.unsqueeze(1).requires_grad_()
    (slope,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return torch.autograd.grad(slope.sum(), x)[0].flatten()


@check
def schedule_for_three(answer: object) -> str:
    """Check answer(k), step sizes k = 0 … 14 that take U(14, 15) to N(5, 3²).

    The exact law is that of 5 + A (X₀ − 5) + √V N with A = ∏ (1 − a_k), a = s/9, and V by the
    recursion of section 3.2. Asked for: mean within 0.1 and standard deviation within 5 %.
    """
    A, V = 1.0, 0.0
    for k in range(15):
        s = as_tensor(call(answer, k), ()).item()
        if not 0 < s < math.inf:
            raise Wrong(f"A step size must be positive and finite; at k = {k} yours is {s:.3f}.")
        A, V = A * (1 - s / 9), (1 - s / 9) ** 2 * V + 2 * s
    off, sd = 9.5 * A, math.sqrt(A**2 / 12 + V)
    if abs(A) > 1:
        raise Wrong(
            f"The chain blows up: the start's distance is multiplied by {A:.3g}. Steps must stay"
            " below 2σ² = 18 (section 3.3)."
        )
    if abs(off) > 0.1:
        raise Wrong(
            f"The start is not forgotten: {abs(A):.3f} of it is left after 15 steps, and the mean"
            f" is {5 + off:.3f} in place of 5. The steps are too small for σ = 3 (section 3.4)."
        )
    if not abs(sd / 3 - 1) <= 0.05:
        raise Wrong(
            f"The start is forgotten, but the standard deviation is {sd:.3f} in place of 3: the"
            " last steps are so large that their bias remains (section 3.3)."
        )
    return (
        "Large steps first, to forget; small ones last, for the bias. What is large is measured"
        " in units of σ², which one has to know: hence standardised units in notebook 4."
    )


# --- 4: training -------------------------------------------------------------------------------


@check
def penalised_optimum(answer: object, *, alpha: float = 0.2) -> str:
    """Check answer(p, q, alpha), the energy (m,) that the penalised loss asks for (section 4.4)."""
    _positive(alpha=alpha)
    x = exact.grid(-5, 15, 201)
    log_p, log_q = (densities.gaussian(*a).log_prob(x) for a in ((5.0, 1.0), (6.0, 3.0)))
    p, q = log_p.exp(), log_q.exp()
    for value in (float(alpha), alpha / 2):
        found = as_tensor(call(answer, p.clone(), q.clone(), value), x.shape)
        right = (q - p) / (2 * value * (p + q))
        mistakes = {
            "The sign is turned: the energy must be low where the data are, so q − p.": -right,
            "The 2 from the derivative of f² is missing: the bound is 1/(2α).": 2 * right,
            "It looks as if α was not used: this is the answer for α = 0.2.": right * value / 0.2,
            "The division by p + q is missing: both terms of the penalty bend the loss, the one on"
            " real and the one on fake.": right * (p + q),
            "This is −log p, what an energy should be. The penalty asks for something else"
            " (section 4.4).": -log_p,
            "This is log q − log p, the answer of a classifier trained by cross-entropy. Squares"
            " have another minimum: set the derivative to 0 (section 4.4).": log_q - log_p,
        }
        compare(f"f at x = −5, −4.9, … for α = {value:.3g}", found, right, mistakes)
    return (
        f"With your α = {alpha} the energy stays within ±{1 / (2 * alpha):.3f}, whatever the data:"
        " densities may differ by a factor e^(1/α) at most. It is a classifier, not −log p."
    )


@check
def persistent(answer: object, *, seed: int = 0) -> str:
    """Check answer(start, s, generator), which returns a function negatives(energy).

    Each call of ``negatives`` moves all chains by one Langevin step of the energy given and returns
    them. On a Gaussian, from one point, their law is Gaussian with the mean and variance of section
    3.2; both are checked after 1, 10 and 20 steps, within ``Z`` standard errors.
    """
    n, s = 20_000, 0.1
    energies = {c: lambda x, c=c: ((x - c) ** 2).sum(-1) / 2 for c in (0.0, 20.0)}
    start = torch.full((n, 1), 8.0, dtype=torch.float64)
    given = start.clone()
    negatives = call(answer, given, s, _seeded(seed))
    if not callable(negatives):
        raise Wrong(f"Return a function negatives(energy); what came back is {named(negatives)}.")
    mean, variance, states = 8.0, 0.0, []
    for k in range(20):
        centre = 0.0 if k < 10 else 20.0
        new = no_graph(call(negatives, energies[centre]))
        untouched(given, start)
        new = as_tensor(new, (n, 1))
        states.append((new, new.clone()))
        mean, variance = centre + (1 - s) * (mean - centre), (1 - s) ** 2 * variance + 2 * s
        if k not in (0, 9, 19):
            continue
        mistakes = {
            "The chains are restarted at every call: after ten steps they are where one step takes"
            " them. Keep their state between calls (section 4.5, part 1).": 8 - s * (8 - centre),
            "The chains do not move: return them after the step.": 8.0,
            "The chains follow the energy of the first call. It changes with training: use the one"
            " that each call gives.": 8 * (1 - s) ** (k + 1),
        }
        error = Z * math.sqrt(variance / n)
        compare(f"Mean of the chains after {k + 1} steps", new.mean(), mean, mistakes, error)
        error = Z * variance * math.sqrt(2 / n)
        compare(f"Variance of the chains after {k + 1} steps", new.var(), variance, {}, error)
    if not all(torch.equal(new, then) for new, then in states):
        raise Wrong(
            "What you returned earlier has changed since: the next step writes into the same"
            " tensor. Return a new one."
        )
    return (
        "The chains go on from update to update, so a few steps each suffice to keep up with a"
        " slowly changing energy. Restarted, they would be short runs that remember the start."
    )


class _Bowl(nn.Module):
    """The energy b (x − m)²/2 with the parameters m and b, from (n, 1) to (n,)."""

    def __init__(self):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (self.b * (x - self.m) ** 2 / 2).sum(-1)

    def values(self) -> Tensor:
        """Return a copy of (m, b)."""
        return torch.stack([self.m, self.b]).detach().clone()


def _slopes(theta: Tensor, x: Tensor) -> Tensor:
    """Return ∇_θ f of the bowl at x (n, 1), shape (2, n)."""
    u = x[:, 0] - theta[0]
    return torch.stack([-theta[1] * u, u**2 / 2])


@check
def train_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(model, optimiser, real, chains, s, generator): one update; returns the chains.

    The chains, 400 between 20 and 30, make one Langevin step; the optimiser, plain SGD with a
    learning rate of 1e-6, makes one step on mean f(real) − mean f(chains). The chains that come
    back tell the noise, so the gradient is known exactly, whether the fakes are the chains before
    the step or after it. The noise itself is judged within ``Z`` standard errors.
    """
    lr, s, n = 1e-6, 0.05, 400
    model = _Bowl()
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    real = densities.draw(densities.gaussian(3.0, 1.0), 200, generator=_seeded(seed))
    chains = torch.linspace(20, 30, n, dtype=torch.float64).unsqueeze(1)
    generator, last = _seeded(seed + 1), torch.zeros(2, dtype=torch.float64)
    for _ in range(2):
        theta, before = model.values(), chains.clone()
        new = call(answer, model, optimiser, real.clone(), chains, s, generator)
        change = (theta - model.values()) / lr
        after = as_tensor(no_graph(new), (n, 1)).clone()
        _judge_chains(before, after, theta, s)
        last = _judge_update(change, last, theta, real, (before, after), s)
        chains = after
    return (
        "Gradient forgotten, chains kept, samples held fixed, data minus model. None of the"
        " four raises an error when it is missing."
    )


def _judge_chains(before: Tensor, after: Tensor, theta: Tensor, s: float) -> None:
    """Raise Wrong unless the chains made one Langevin step on the bowl from where they were."""
    n, drift = len(before), -s * theta[1] * (before - theta[0])
    if torch.equal(before, after):
        raise Wrong("The chains do not move: return them after their Langevin step.")
    spread = before - before.mean()
    if (spread * after).sum() / spread.square().sum() < 0.5:  # 1 − s b = 0.975 if they went on
        raise Wrong(
            "The chains are restarted: where they come back has nothing to do with where they"
            " were. Go on from the chains that you are given (section 4.5, part 1)."
        )
    noise = after - before - drift
    mistakes = {
        "The chains climb the energy: the sign of their drift is turned (section 3.1).": (
            -2 * drift.mean()
        ),
        "The chains' drift is too small by their number: differentiate the sum of the energies"
        " (section 3.1).": drift.mean() * (1 / n - 1),
    }
    what = "Mean of the chains' move, less its drift"
    compare(what, noise.mean(), 0.0, mistakes, Z * math.sqrt(2 * s / n))
    error = Z * 2 * s * math.sqrt(2 / n)
    compare("Variance of the chains' noise", noise.var(), 2 * s, {}, error)


def _judge_update(
    change: Tensor,
    last: Tensor,
    theta: Tensor,
    real: Tensor,
    chains: tuple[Tensor, Tensor],
    s: float,
) -> Tensor:
    """Raise Wrong unless the weights went down the right gradient, which is returned.

    ``last`` is the gradient of the update before; the fakes may be the chains before the Langevin
    step or after it.
    """
    before, after = chains

    def near(value: Tensor) -> bool:
        return bool(((change - value).abs() <= TOLERANCE * value.abs().max()).all())

    positive = _slopes(theta, real).mean(1)
    rights = [positive - _slopes(theta, fakes).mean(1) for fakes in (before, after)]
    for right in rights:
        if near(right):
            return right
    # through the step: z = x − s b (x − m) + √(2s) N depends on θ, and f on z with slope b (z − m)
    moved = torch.cat([s * theta[1].expand_as(before), -s * (before - theta[0])], 1).T
    through = rights[1] - (theta[1] * (after - theta[0])[:, 0] * moved).mean(1)
    sampled = _slopes(theta, before).sum(1)
    if change.abs().max() < 1e-3:
        raise Wrong("The weights do not move: is optimiser.step() called after loss.backward()?")
    if any(near(right + last) for right in rights):
        raise Wrong(
            "The gradient of the last update is still in the sum: zero_grad is missing. backward"
            " adds to .grad, so call optimiser.zero_grad() in every update (section 4.3)."
        )
    if near(through) or near(-through):
        raise Wrong(
            "The fakes are not detached where it matters: autograd has gone back through the"
            " Langevin step, and the samples were to be held fixed (section 2.5). Detach the"
            " chains before the loss, and do not ask for create_graph."
        )
    if any(near(-right) for right in rights):
        raise Wrong(
            "The phases' signs are swapped: the energy falls at the fakes and rises at the data."
            " The loss is mean f(real) − mean f(fake) (section 2.3, step 7)."
        )
    if any(near(right + sampled) for right in rights):
        raise Wrong(
            "The sampler's own backward() has left its gradient in the weights. Call zero_grad"
            " after it, or use torch.autograd.grad (section 4.1)."
        )
    raise Wrong(f"∇_θ of the loss: expected {figures(rights[1])}, found {figures(change)}.")


# --- 5: samples --------------------------------------------------------------------------------


@check
def w1_sorted(answer: object) -> str:
    """Check answer(a, b), the W₁ of two sets of n numbers (n,); scipy is the referee."""
    g = _seeded(0)
    a, c = (torch.randn(200, generator=g, dtype=torch.float64) for _ in range(2))
    for b, what in [(c + 0.1, "two clouds about one place"), (2 - 3 * c, "a wider one")]:
        given = a.clone(), b.clone()
        found = as_tensor(call(answer, *given), ())
        if not (torch.equal(given[0], a) and torch.equal(given[1], b)):
            raise Wrong("The samples are sorted in place: the caller's are now in another order.")
        gap = a.sort().values - b.sort().values
        mistakes = {
            "The samples are paired as they came. Sort both first: in one dimension the cheapest"
            " plan keeps the order (section 1.5).": (a - b).abs().mean(),
            "This is the sum of the distances. W₁ is their average.": gap.abs().sum(),
            "The absolute value is missing, or comes too late: this is the distance of the means."
            " Take it of each pair, then average.": gap.mean().abs() * found.sign(),
            "This is W₂, the root of the mean square. W₁ averages the distances themselves.": (
                gap.square().mean().sqrt()
            ),
        }
        compare(f"W₁ of {what}", found, wasserstein_distance(a, b), mistakes)
    return (
        "Two lines, no density, no bins. Beside its floor it is the plainest judge of a sampler"
        " in one dimension; in more dimensions there is no order to keep, and it gets hard."
    )


@check
def steps_enough(answer: object) -> str:
    """Check answer(s, w): the first k at which W₁ of the law of X_k to N(5, 1) is at most w.

    Langevin steps of size s from U(0, 10), judged by the exact law; None if no number of steps is
    enough. At the steps asked for, W₁ is more than 2 % off w, before and after.
    """
    x = exact.grid(-5, 15, 401)
    target = densities.gaussian(5.0, 1.0)
    p, start = target.log_prob(x).exp(), exact.uniform_law(0, 10, x)
    for s, w in [(0.1, 0.05), (0.2, 0.05), (0.4, 0.05)]:
        laws = exact.law(start, densities.energy_of(target), x, 60, s)
        enough = [k for k, law in enumerate(laws) if exact.w1_of_laws(law, p, x) <= w]
        found = call(answer, s, w)
        if not enough:
            if found is None or not as_tensor(found, ()).isfinite():
                continue
            raise Wrong(
                f"At s = {s} no number of steps is enough for W₁ ≤ {w}: the bias of the step is"
                " larger (section 3.3), and more steps do not lower it. Return None."
            )
        if found is None:
            raise Wrong(f"At s = {s} some number of steps is enough for W₁ ≤ {w}; found None.")
        value = as_tensor(found, ()).item()
        if abs(value - enough[0]) == 1:
            raise Wrong("Off by one: the first of the laws is the start; law k has made k steps.")
        if value != enough[0]:
            raise Wrong(f"Steps for W₁ ≤ {w} at s = {s}: {enough[0]} expected, found {value:g}.")
    return (
        "A larger step gets there sooner, until its bias is larger than what was asked for: then"
        " it never does. The law knows; the particles alone could not tell it from chance."
    )


GAMMA_KL = 4.0
"""Millinats allowed: the recipe has 1.4 to 2.2 over seeds, a KDE 4.8 and more, a Gaussian 121."""
GAMMA_W1 = 0.15
"""W₁ allowed to 5 000 draws: 6 standard errors of their mean; perfect ones have about 0.03."""


@check
def new_density(answer: object, *, seed: int = 0) -> str:
    """Check answer(samples), which returns an energy and 5 000 draws, from 10 000 of Gamma(3, 1).

    The energy is judged by KL on a grid, the draws by W₁; see ``GAMMA_KL`` and ``GAMMA_W1``.
    """
    g = _seeded(seed)
    samples = -torch.rand(10_000, 3, generator=g, dtype=torch.float64).log().sum(1, keepdim=True)
    x = exact.grid(-20, 60, 8001)
    log_p = torch.from_numpy(gamma(3).logpdf(x.numpy()))
    pair = call(answer, samples.clone())
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and callable(pair[0])):
        raise Wrong(
            "Return two things, first the energy, a function, then the draws; what came back is"
            f" {named(pair)}."
        )
    energy, draws = pair
    loss = _loss(energy, log_p, x)
    if loss > GAMMA_KL and _loss(lambda x: -energy(x), log_p, x) <= GAMMA_KL:
        raise Wrong("This is the log-density. The energy is its negative: f = −log p.")
    if abs(loss - 120.7) < 6:
        raise Wrong(
            f"KL is {loss:.1f} millinats, what a Gaussian fit has: it looks as if the energy"
            " were a parabola, which knows no skewness. Fit the network (section 5.1)."
        )
    if not loss <= GAMMA_KL:
        raise Wrong(f"KL to the density: at most {GAMMA_KL} millinats expected, found {loss:.1f}.")
    draws = as_tensor(draws, (5000, 1))
    if torch.isin(draws, samples).all():
        raise Wrong("The draws are samples that you were given. Draw new ones (section 5.4).")
    distances = [exact.w1(y, log_p, x) for y in (draws, samples.mean() + samples.std() * draws)]
    if distances[0] > GAMMA_W1 >= distances[1]:
        raise Wrong("The draws are in standardised units: multiply by the sd, add the mean.")
    if not distances[0] <= GAMMA_W1:
        raise Wrong(
            f"The energy is right. W₁ of its draws: at most {GAMMA_W1} expected, found"
            f" {distances[0]:.3f}. Have they forgotten their start (section 5.3)?"
        )
    return (
        "From a column of numbers to a density and new draws of it, with nothing set by hand; and"
        " closer than a kernel density estimate gets with the same samples."
    )


def _loss(energy: Callable, log_p: Tensor, x: Tensor) -> float:
    """Return KL in millinats of the energy's density from log_p; ∞ where it has no density."""

    def as_energy(points: Tensor) -> Tensor:
        return as_tensor(call(energy, points), x.shape)

    try:
        return 1000 * exact.kl(log_p, exact.log_density(as_energy, x), x)
    except ValueError:  # the referee refuses an energy whose e^(−f) does not vanish at the ends
        return math.inf


# --- 6: what training fits ---------------------------------------------------------------------


@check
def noise_for(answer: object) -> str:
    """Check answer(step, T), the noise's standard deviation for a step at temperature T."""
    for step, T in [(0.1, 1.0), (10.0, 1e-4)]:
        right = math.sqrt(2 * step * T)
        found = as_tensor(call(answer, step, T), ())
        mistakes = {
            "This is the noise's variance. Its standard deviation is the root (section 6.5).": (
                2 * step * T
            ),
            "The factor 2 is missing: T = noise²/(2 · step).": math.sqrt(step * T),
            "Multiply by 2 · step, don't divide: at a fixed T a longer step needs more noise.": (
                math.sqrt(T / (2 * step))
            ),
        }
        if T != 1:
            mistakes |= {
                "The temperature is missing: this is the noise of T = 1.": math.sqrt(2 * step),
                "T belongs under the root: noise² is proportional to T, not noise.": (
                    math.sqrt(2 * step) * T
                ),
            }
        compare(f"The noise for a step of {step} at T = {T}", found, right, mistakes)
    return "With it you can give any published code the temperature at which you mean to read it."


@check
def resting_theta(answer: object) -> str:
    """Check answer(s, v), θ of f = θ(x − m)²/2 where plain persistent chains rest on variance v.

    No such θ, no number: for s > v/2 the answer must be nan.
    """
    for s, v in [(0.3, 1.0), (0.5, 4.0)]:
        root = math.sqrt(1 - 2 * s / v)
        right = (1 - root) / s
        found = as_tensor(call(answer, s, v), ())
        mistakes = {
            "This is 1/v, where an exact kernel rests. The plain step is too noisy, so the energy"
            " must be steeper (section 6.3).": 1 / v,
            "The bias has the wrong sign: (1 − s/2v)/v is the precision of a chain that is run on"
            " the right energy. Here the *chain* has the variance v, and the energy gives way.": (
                (1 - s / (2 * v)) / v
            ),
            "This is the variance 1/θ; the question asks for θ.": 1 / right,
            "This is a = sθ; divide by s.": 1 - root,
            "This is the other root, a > 1. There a step throws each particle to the other side,"
            " and a steeper energy makes the chain *wider*, so training runs away from it.": (
                (1 + root) / s
            ),
        }
        compare(f"θ for s = {s}, v = {v}", found, right, mistakes)
    if not as_tensor(call(answer, 0.6, 1.0), ()).isnan():
        raise Wrong(
            "Where it exists it is right. But at s = 0.6, v = 1 one step alone adds the variance"
            " 2s = 1.2: no energy holds the chains at 1. Return math.nan there."
        )
    return (
        "CD ends there, too, whatever k. And s = v/2 is a bound that no training can push: compare"
        " 2s with the variance of your narrowest mode."
    )


@check
def denoising_loss(answer: object, *, seed: int = 0) -> str:
    """Check answer(energy, real, tau, generator), the mean of |τ ∇ₓf(x + τε) − ε|²/2.

    For f = θx²/2 and x ~ N(0, v), u = τ∇ₓf − ε and w = ∂u/∂θ = τ(x + τε) are Gaussian. So u²/2
    has the standard error Var u/√(2n), and its derivative uw √((Var u Var w + Cov²)/n).
    """
    n, v = 40_000, 2.25
    generator = _seeded(seed)
    real = densities.draw(densities.gaussian(0.0, math.sqrt(v)), n, generator=generator)
    for theta, tau in [(0.6, 0.5), (0.3, 2.0)]:
        parameter = torch.tensor(theta, dtype=torch.float64, requires_grad=True)

        def energy(x: Tensor, parameter: Tensor = parameter) -> Tensor:
            return parameter * (x**2).sum(-1) / 2

        value = call(answer, energy, real.clone(), tau, generator)
        found = as_tensor(value, ())
        clean, noise = tau**2 * theta**2 * v, tau**2 * theta
        right = clean + (noise - 1) ** 2  # twice the loss: the variance of u
        mistakes = {
            "The sign of ε is turned: ∇ₓf points *up* the energy, away from the data, as the noise"
            " does.": (clean + (noise + 1) ** 2) / 2,
            "The gradient is taken at the clean x. It must be taken at x + τε, where the noise has"
            " carried the point.": (clean + 1) / 2,
            "The factor τ before the gradient is missing.": (
                (theta**2 * v + (tau * theta - 1) ** 2) / 2
            ),
            "The half is missing. (It moves no minimum; the check wants it all the same.)": right,
            "It looks as if the noise was not multiplied by τ before it was added.": (
                (tau**2 * theta**2 * v + (tau * theta - 1) ** 2) / 2
            ),
        }
        what = f"The loss for θ = {theta}, τ = {tau}, v = {v}"
        compare(what, found, right / 2, mistakes, Z * right / math.sqrt(2 * n))
        slope = None
        if getattr(value, "requires_grad", False):
            back = partial(torch.autograd.grad, allow_unused=True)
            (slope,) = call(back, value, parameter)
        covariance = tau**2 * theta * v + (tau**2 * theta - 1) * tau**2
        error = math.sqrt((right * tau**2 * (v + tau**2) + covariance**2) / n)
        if slope is None or not abs(slope.item() - covariance) <= Z * error:
            raise Wrong(
                "The value is right, but it can't be trained: the gradient does not reach θ whole."
                " Give torch.autograd.grad the option create_graph=True, and detach nothing."
            )
    return (
        "No negatives, no chains, no Z. What it fits is the law of the *noisy* data: choose τ small"
        " against the narrowest structure that matters."
    )
