"""The checks of the exercises: right answers pass, each mistake gets its own message.

Below, RIGHT holds for each check at least two ways to be right, and WRONG the mutants: an answer
with one mistake, and words that only the verdict on that mistake has.
"""

import io
import math
import re
from collections.abc import Callable
from contextlib import redirect_stdout

import nbformat
import numpy as np
import pytest
import torch
from nbformat import NotebookNode
from scipy.stats import gamma, wasserstein_distance
from torch import Tensor

from course import LESSONS, PATHS
from helpers import densities, exact, exercises, training
from helpers.langevin import energy_and_gradient, sample

Answer = Callable[..., object]


def said(check: str, answer: object, **options) -> str:
    """Return what a check prints on an answer, in one line."""
    with redirect_stdout(io.StringIO()) as out:
        getattr(exercises, check)(answer, **options)
    return " ".join(out.getvalue().split())


# --- 1 -----------------------------------------------------------------------------------------


def log_normal(x: Tensor, mean: float, sd: float) -> Tensor:
    return torch.distributions.Normal(mean, sd).log_prob(x)


def kl_of(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return torch.trapezoid(torch.where(p > 0, p * (p / q).log(), 0.0), x)


def kl_numpy(p: Tensor, q: Tensor, x: Tensor) -> float:
    p, q, inside = p.numpy(), q.numpy(), p.numpy() > 0
    return np.sum(p[inside] * np.log(p[inside] / q[inside])) * (x[1] - x[0]).item()


def kl_with_warnings(p: np.ndarray, q: np.ndarray, x: np.ndarray) -> float:
    """Let numpy take log 0, about which it warns, and leave those values out."""
    return np.trapezoid(np.where(p > 0, p * np.log(p / q), 0), x)


# --- 2 -----------------------------------------------------------------------------------------


def score_of(energy: Answer, x: Tensor) -> Tensor:
    return -energy_and_gradient(energy, x)[1]


def score_by_differences(energy: Answer, x: Tensor) -> np.ndarray:
    return ((energy(x - 1e-5) - energy(x + 1e-5)) / 2e-5).numpy()


def score_in_place(energy: Answer, x: Tensor) -> Tensor:
    x.requires_grad_()
    return -torch.autograd.grad(energy(x).sum(), x)[0]


def phases(sd=lambda b: b**-0.5, data=1, model=-1) -> Answer:
    """Return an estimate of the NLL's gradient, whose draws have the standard deviation sd(θ₂)."""

    def nll_gradient(theta, samples, n, generator):
        m, b = theta
        draws = m + sd(b) * torch.randn(n, generator=generator, dtype=torch.float64)
        first, second = (
            torch.stack([(-b * (x - m)).mean(), (x - m).square().mean() / 2])
            for x in (samples, draws)
        )
        return data * first + model * second

    return nll_gradient


def phases_numpy(theta, samples, n, generator):
    """Draw from numpy's own generator, whatever generator is given."""
    m, b = theta.tolist()
    seed = int(torch.randint(2**31, (), generator=generator))
    draws = np.random.default_rng(seed).normal(m, b**-0.5, n)
    terms = ([-b * (x - m).mean(), ((x - m) ** 2).mean() / 2] for x in (samples.numpy(), draws))
    return [data - model for data, model in zip(*terms, strict=True)]


# --- 3 -----------------------------------------------------------------------------------------


def stepping(
    drift=-1.0,
    noise=lambda s: math.sqrt(2 * s),
    reduce=torch.sum,
    draw=torch.randn,
    rows=slice(None),
) -> Answer:
    """Return a Langevin step; with other arguments, one with a mistake."""

    def step(energy, x, s, generator):
        leaf = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(reduce(energy(leaf)), leaf)
        shape = torch.Size(x[rows].shape)
        return x + drift * s * gradient + noise(s) * draw(shape, generator=generator)

    return step


def step_numpy(energy, x, s, generator):
    """Work on arrays, and return one."""
    _, gradient = energy_and_gradient(energy, x)
    noise = torch.randn(x.shape, generator=generator).numpy()
    return x.numpy() - s * gradient.numpy() + (2 * s) ** 0.5 * noise


def step_global(energy, x, s, generator):
    """Take the noise from torch's global random state, and return another shape."""
    y = x.clone()
    y -= s * energy_and_gradient(energy, x)[1]
    return (y + (2 * s) ** 0.5 * torch.randn_like(x)).squeeze()


def step_in_place(energy, x, s, generator):
    x -= s * energy_and_gradient(energy, x)[1]
    return x.add_(math.sqrt(2 * s) * torch.randn(x.shape, generator=generator))


def step_with_graph(energy, x, s, generator):
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(leaf).sum(), leaf)
    return leaf - s * gradient + math.sqrt(2 * s) * torch.randn(x.shape, generator=generator)


def step_on_the_callers(energy, x, s, generator):
    x.requires_grad = True
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    return (x - s * gradient).detach() + math.sqrt(2 * s) * torch.randn(x.shape)


def step_seeded(energy, x, s, generator):
    return stepping()(energy, x, s, torch.Generator().manual_seed(3))


def limit(bound=lambda c: 2 / c.max()) -> Answer:
    """Return the largest step by differences; another bound is a mistake."""

    def largest_step(energy, x):
        f, h = energy(x[:, None]), x[1] - x[0]
        return bound((f[2:] - 2 * f[1:-1] + f[:-2]) / h**2)

    return largest_step


def limit_by_autograd(energy, x):
    u = x.reshape(-1, 1).requires_grad_()
    (slope,) = torch.autograd.grad(energy(u).sum(), u, create_graph=True)
    return 2 / torch.autograd.grad(slope.sum(), u)[0].max().numpy()


def whole_variance(energy, x):
    return 2 * exact.moments(exact.log_density(energy, x), x)[1] ** 2


# --- 4 -----------------------------------------------------------------------------------------


def asked_for(p, q, alpha):
    return (q - p) / (2 * alpha * (p + q))


def keep(step=None, restart=False, freeze=False, still=False, in_place=False) -> Answer:
    """Return persistent chains; with other arguments, some with a mistake."""

    def persistent(start, s, generator):
        chains, first = [start.clone()], []

        def negatives(energy):
            first.append(energy)
            old = start if restart else chains[0]
            new = (step or stepping())(first[0] if freeze else energy, old, s, generator)
            if in_place:
                return chains[0].copy_(new)
            chains[0] = old if still else new
            return chains[0]

        return negatives

    return persistent


class Persistent:
    """Persistent chains as a class."""

    def __init__(self, start, s, generator):
        self.chains, self.s, self.generator = start.numpy().copy(), s, generator

    def __call__(self, energy):
        x = torch.from_numpy(self.chains)
        self.chains = step_numpy(energy, x, self.s, self.generator)
        return self.chains


def update(
    zero=True,
    start=lambda z: z,
    graph=False,
    sign=1,
    polluted=False,
    move=True,
    step=True,
    drift=1,
    noise=1,
) -> Answer:
    """Return a training step; with other arguments, one with a mistake."""

    def train_step(model, optimiser, real, chains, s, generator):
        z = start(chains).clone().requires_grad_()
        if zero:
            optimiser.zero_grad()
        if polluted:
            model(z).sum().backward()
            gradient = z.grad
        else:
            (gradient,) = torch.autograd.grad(model(z).sum(), z, create_graph=graph)
        normal = torch.randn(z.shape, generator=generator)
        z = z - drift * s * gradient + noise * math.sqrt(2 * s) * normal
        z = z if graph else z.detach()
        (sign * (model(real).mean() - model(z).mean())).backward()
        if step:
            optimiser.step()
        return z.detach() if move else chains

    return train_step


def update_as_in_fit_energy(model, optimiser, real, chains, s, generator):
    """Use the chains as they are for the loss, move them afterwards; zero_grad comes last."""
    z = chains.clone().requires_grad_()
    (model(real).mean() - model(z).mean()).backward()
    noise = torch.randn(z.shape, generator=generator)
    z = z.detach() + s * len(z) * z.grad + math.sqrt(2 * s) * noise
    optimiser.step()
    optimiser.zero_grad()
    return z.numpy()


# --- 5 -----------------------------------------------------------------------------------------


def sorted_gap(a: Tensor, b: Tensor) -> Tensor:
    return a.sort().values - b.sort().values


def sorted_in_place(a, b):
    a.copy_(a.sort().values)
    return sorted_gap(a, b).abs().mean()


def count(shift=0, never=None, points=401) -> Answer:
    """Return how many steps are enough; with a shift or a wrong never, a mistake."""

    def steps_enough(s, w):
        target, x = densities.gaussian(5.0, 1.0), exact.grid(-5, 15, points)
        start, log_p = exact.uniform_law(0, 10, x), target.log_prob(x)
        laws = exact.law(start, densities.energy_of(target), x, 60, s)
        enough = [k for k, law in enumerate(laws) if exact.w1_of_laws(law, log_p, x) <= w]
        return enough[0] + shift if enough else never

    return steps_enough


def gamma_energy(x: Tensor, shape: float = 3.0) -> Tensor:
    """Return the energy of Gamma(shape, 1), with a steep wall at 0."""
    x = x[:, 0]
    return torch.where(x > 1e-3, x - (shape - 1) * x.clamp(min=1e-3).log(), 14 - 1e4 * x)


def gamma_draws(n: int = 5000, seed: int = 1) -> np.ndarray:
    return gamma(3).rvs(n, random_state=np.random.default_rng(seed))


def fitted(samples: Tensor) -> tuple[Answer, Tensor]:
    energy, _ = training.fit_energy(samples, show_progress=False)
    generator = torch.Generator().manual_seed(0)
    return energy, sample(energy, 5000, data=samples, generator=generator)


def bell(samples: Tensor) -> tuple[Answer, np.ndarray]:
    """Return the energy of a Gaussian fit."""
    return lambda x: ((x[:, 0] - samples.mean()) / samples.std()) ** 2 / 2, gamma_draws()


# --- 6 ------------------------------------------------------------------------------------------


def resting(s: float, v: float) -> float:
    return (1 - math.sqrt(1 - 2 * s / v)) / s if 2 * s <= v else math.nan


def resting_numpy(s: float, v: float) -> np.ndarray:
    roots = np.roots([s / 2, -1, 1 / v])  # (s/2) θ² − θ + 1/v = 0
    return roots.min() if np.isreal(roots).all() else np.array(np.nan)


def denoising(sign=-1.0, outer=None, inner=None, clean=False, half=0.5, graph=True):
    """Return the loss; with other arguments, one with a mistake."""

    def loss(energy, real, tau, generator):
        epsilon = torch.randn(real.shape, generator=generator, dtype=real.dtype)
        x = real if clean else real + (inner or tau) * epsilon
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=graph)
        u = (outer or tau) * gradient + sign * epsilon
        return half * u.square().sum(-1).mean()

    return loss


def denoising_in_one_term(energy, real, tau, generator, graph=True):
    """Work with the noisy point's displacement in place of ε."""
    noisy = (real + tau * torch.randn(real.shape, generator=generator, dtype=real.dtype)).detach()
    noisy.requires_grad_()
    slope = torch.autograd.grad(energy(noisy).sum(), noisy, create_graph=graph)[0]
    return 0.5 * tau**2 * (slope - (noisy - real) / tau**2).pow(2).mean()


def denoising_half_detached(*arguments):
    """Return the right loss with half of its gradient."""
    loss = denoising()(*arguments)
    return (loss + loss.detach()) / 2


RIGHT: dict[str, list[Answer]] = {
    "average_log_likelihood": [
        lambda x, m, s: log_normal(x, m, s).mean(),
        lambda a, b, c: np.mean(-0.5 * ((a.numpy() - b) / c) ** 2 - np.log(c * np.sqrt(2 * np.pi))),
        lambda x, m, s: log_normal(x.float(), m, s).mean().item(),
    ],
    "kl_by_quadrature": [
        kl_of,
        kl_numpy,
        lambda *a: kl_with_warnings(*(value.numpy() for value in a)),
        lambda p, q, x: (torch.special.xlogy(p, p / q).sum() * (x[1] - x[0])).item(),
    ],
    "draws_needed": [
        lambda w: 5000 * (0.018 / w) ** 2,
        lambda w: int(2 / math.pi * (1.6135 / w) ** 2),
    ],
    "score": [score_of, score_by_differences],
    "nll_gradient": [phases(), phases_numpy],
    "two_slopes": [
        lambda theta, m: (m - 1 / theta, m),
        lambda theta, m: torch.tensor([m - 1 / theta, m]),
    ],
    "langevin_step": [stepping(), step_numpy, step_global],
    "stationary_variance": [
        lambda s, sd: sd**2 / (1 - s / (2 * sd**2)),
        lambda s, sd: np.array([2 * s / (1 - (1 - s / sd**2) ** 2)]),
    ],
    "largest_step": [limit(), limit_by_autograd],
    "schedule_for_three": [lambda k: 9 / (k + 1), lambda k: 9 * torch.tensor(0.8) ** k],
    "penalised_optimum": [
        asked_for,
        lambda p, q, a: ((0.5 - (p / (p + q)).numpy()) / a)[::-1].copy()[::-1],
    ],
    "train_step": [update(), update(start=torch.clone), update_as_in_fit_energy],
    "persistent": [keep(), Persistent],
    "w1_sorted": [
        lambda a, b: sorted_gap(a, b).abs().mean(),
        lambda a, b: np.abs(np.sort(a.numpy()) - np.sort(b.numpy())).mean(),
        lambda a, b: wasserstein_distance(a, b),
    ],
    "steps_enough": [count(), count(points=201)],
    "new_density": [fitted, lambda samples: [gamma_energy, gamma_draws()]],
    "noise_for": [lambda s, T: (2 * s * T) ** 0.5, lambda s, T: np.sqrt([2 * s * T])],
    "resting_theta": [resting, resting_numpy],
    "denoising_loss": [denoising(), denoising_in_one_term],
}

WRONG: list[tuple[str, Answer, str]] = [
    ("average_log_likelihood", lambda x, m, s: log_normal(x, m, s).sum(), "the sum over"),
    ("average_log_likelihood", lambda x, m, s: -log_normal(x, m, s).mean(), "sign is turned"),
    ("average_log_likelihood", lambda x, m, s: log_normal(x, m, s**2).mean(), "where sd should"),
    ("average_log_likelihood", lambda x, m, s: log_normal(x, m, s**0.5).mean(), "for a variance"),
    (
        "average_log_likelihood",
        lambda x, m, s: log_normal(x, m, s).exp().mean(),
        "This is the average",
    ),
    ("average_log_likelihood", lambda x, m, s: log_normal(x, m, s).exp().mean().log(), "commute"),
    (
        "average_log_likelihood",
        lambda x, m, s: log_normal(x, m, s).mean() + math.log(s),
        "−log sd is missing",
    ),
    (
        "average_log_likelihood",
        lambda x, m, s: -(((x - m) / s) ** 2).mean() / 2 - math.log(s),
        "√(2π) is missing",
    ),
    ("average_log_likelihood", lambda x, m, s: 1.0, "expected -2.268, found 1.000"),
    ("kl_by_quadrature", lambda p, q, x: kl_of(q, p, x), "reversed"),
    ("kl_by_quadrature", lambda p, q, x: (p * (p / q).log()).sum(), "dx is missing"),
    ("kl_by_quadrature", lambda p, q, x: -kl_of(p, q, x), "The sign is turned"),
    ("kl_by_quadrature", lambda p, q, x: torch.trapezoid((p / q).log(), x), "weight p"),
    ("kl_by_quadrature", lambda p, q, x: kl_of(p, q, x) / math.log(2), "bits"),
    ("kl_by_quadrature", lambda p, q, x: torch.trapezoid(p * (p / q).log(), x), "log 0"),
    ("kl_by_quadrature", lambda p, q, x: 0.35, "zero outside [−1, 1]: expected"),
    ("kl_by_quadrature", lambda p, q, x: 2.0, "in nats: expected 0.350, found 2.000"),
    ("draws_needed", lambda w: 5000 * 0.018 / w, "like 1/n"),
    ("draws_needed", lambda w: (1.6135 / w) ** 2, "2/π is missing"),
    ("draws_needed", lambda w: 100, "expected 663"),
    ("score", lambda f, x: -score_of(f, x), "this is ∇ₓf"),
    ("score", lambda f, x: score_of(f, x) / len(x), "number of particles"),
    ("score", lambda f, x: f(x), "the energy itself"),
    ("score", lambda f, x: -f(x)[:, None], "This is −f"),
    ("score", score_in_place, "now requires a gradient"),
    ("score", lambda f, x: score_of(f, x.add_(1)), "changed in place"),
    ("score", lambda f, x: 2 * score_of(f, x), "The score of f = (x − 3)²/8"),
    ("nll_gradient", phases(data=-1, model=1), "this is ∇_θ LL"),
    ("nll_gradient", phases(model=0), "negative phase is missing"),
    ("nll_gradient", phases(model=1), "are added"),
    ("nll_gradient", phases(sd=lambda b: 1 / b), "1/θ₂ was used"),
    ("nll_gradient", phases(sd=lambda b: b), "if θ₂ was used"),
    ("nll_gradient", phases(data=2), "∇_θ NLL at θ = (0.5, 0.4): expected"),
    ("two_slopes", lambda t, m: (m, m - 1 / t), "swapped"),
    ("two_slopes", lambda t, m: (m - 1 / t, m - 1 / t), "with the samples held fixed"),
    ("two_slopes", lambda t, m: (m, m), "leaves out log Z"),
    ("two_slopes", lambda t, m: (m + 1 / t, m), "first's second term"),
    ("two_slopes", lambda t, m: (m - 1 / (2 * t), m), "½ of a quadratic"),
    ("two_slopes", lambda t, m: (0.0, m), "expected (0.750, 2.000), found (0.000, 2.000)"),
    ("langevin_step", stepping(drift=1.0), "climb the energy"),
    ("langevin_step", stepping(noise=math.sqrt), "standard deviation √s"),
    ("langevin_step", stepping(noise=lambda s: s), "root of the time"),
    ("langevin_step", stepping(noise=lambda s: math.sqrt(2) * s), "root belongs over the s"),
    ("langevin_step", stepping(noise=lambda s: 2 * s), "that is the variance"),
    ("langevin_step", stepping(noise=lambda s: 1), "has the variance 1"),
    ("langevin_step", stepping(noise=lambda s: 0), "no noise"),
    ("langevin_step", stepping(reduce=torch.mean), "gradient of the mean"),
    ("langevin_step", stepping(rows=slice(1)), "share one draw"),
    ("langevin_step", step_in_place, "changed in place"),
    ("langevin_step", step_with_graph, "carries its graph"),
    ("langevin_step", step_on_the_callers, "now requires a gradient"),
    ("langevin_step", step_seeded, "seeded afresh"),
    ("langevin_step", stepping(drift=0.0), "There is no drift"),
    (
        "langevin_step",
        lambda f, x, s, g: stepping(drift=-1 / s)(f, x, s, g),
        "multiplied by the step",
    ),
    ("langevin_step", stepping(draw=torch.rand), "uniform"),
    ("langevin_step", lambda *a: stepping()(*a) + 0.1, "Mean of the noise: expected 0.000"),
    ("langevin_step", stepping(noise=lambda s: 0.5), "Variance of the noise: expected 0.400"),
    ("langevin_step", stepping(drift=-0.7), "Drift from x = −2"),
    ("stationary_variance", lambda s, sd: sd**2, "variance of the target"),
    ("stationary_variance", lambda s, sd: 2 * s, "noise in one step"),
    ("stationary_variance", lambda s, sd: sd**2 - s / 2, "sign of the bias"),
    ("stationary_variance", lambda s, sd: sd / (1 - s / sd**2 / 2) ** 0.5, "standard deviation;"),
    ("stationary_variance", lambda s, sd: sd**2 / (1 - s / 2), "taken to be s"),
    ("stationary_variance", lambda s, sd: 1 / (1 - s / sd**2 / 2), "factor σ² is missing"),
    ("stationary_variance", lambda s, sd: 7, "s = 3.0, σ = 2.0: expected 6.400, found 7.000"),
    ("stationary_variance", lambda s, sd: 6.4, "s = 0.7, σ = 1.5: expected 2.664"),
    ("largest_step", limit(lambda c: 1 / c.max()), "factor 2 is missing"),
    ("largest_step", limit(torch.max), "limit is 2 over it"),
    ("largest_step", whole_variance, "variance of the whole"),
    (
        "largest_step",
        lambda f, x: limit()(f, x[: len(x) // 2]),
        "the wide hump",
    ),
    ("largest_step", lambda f, x: 0.3, "N(3, 0.5²): expected 0.500, found 0.300"),
    ("schedule_for_three", lambda k: 1 / (k + 1), "start is not forgotten: 0.685"),
    ("schedule_for_three", lambda k: 4.0, "their bias remains"),
    ("schedule_for_three", lambda k: 20.0, "blows up"),
    ("schedule_for_three", lambda k: 9 / k if k else 0.0, "positive and finite; at k = 0"),
    ("penalised_optimum", lambda p, q, a: asked_for(q, p, a), "sign is turned"),
    ("penalised_optimum", lambda p, q, a: 2 * asked_for(p, q, a), "The 2 from"),
    ("penalised_optimum", lambda p, q, a: asked_for(p, q, 0.2), "α was not used"),
    ("penalised_optimum", lambda p, q, a: (q - p) / (2 * a), "division by p + q"),
    ("penalised_optimum", lambda p, q, a: -p.log(), "what an energy should be"),
    ("penalised_optimum", lambda p, q, a: (q / p).log(), "cross-entropy"),
    ("penalised_optimum", lambda p, q, a: asked_for(p, q, a) + 1, "f at x = −5, −4.9, … for"),
    ("train_step", update(zero=False), "zero_grad is missing"),
    ("train_step", update(graph=True), "not detached where it matters"),
    ("train_step", update(sign=-1), "signs are swapped"),
    ("train_step", update(start=torch.randn_like), "restarted"),
    ("train_step", update(start=lambda z: z.roll(200, 0)), "restarted"),
    ("train_step", update(polluted=True), "sampler's own backward"),
    ("train_step", update(move=False), "chains do not move"),
    ("train_step", lambda *a: update()(*a).requires_grad_(), "carries its graph"),
    ("train_step", update(step=False), "weights do not move"),
    ("train_step", update(drift=-1), "chains climb"),
    ("train_step", update(drift=1 / 400), "too small by their number"),
    ("train_step", update(drift=2), "Mean of the chains' move"),
    ("train_step", update(sign=2), "∇_θ of the loss: expected"),
    ("train_step", update(noise=1.5), "Variance of the chains'"),
    ("persistent", keep(restart=True), "restarted at every call"),
    ("persistent", keep(still=True), "chains do not move"),
    ("persistent", keep(freeze=True), "energy of the first call"),
    ("persistent", keep(in_place=True), "has changed since"),
    ("persistent", keep(step=step_with_graph), "carries its graph"),
    ("persistent", keep(step=step_in_place), "has changed since"),
    ("persistent", lambda start, *a: (start.add_(1), keep()(start, *a))[1], "changed in place"),
    ("persistent", keep(step=stepping(noise=math.sqrt)), "Variance of the chains after 1"),
    ("persistent", keep(step=stepping(drift=1.0)), "Mean of the chains after 1"),
    ("persistent", lambda *a: 3, "Return a function negatives"),
    ("w1_sorted", lambda a, b: (a - b).abs().mean(), "paired as they came"),
    ("w1_sorted", lambda a, b: sorted_gap(a, b).abs().sum(), "the sum of the distances"),
    ("w1_sorted", lambda a, b: sorted_gap(a, b).mean(), "absolute value is missing"),
    ("w1_sorted", lambda a, b: (a.mean() - b.mean()).abs(), "absolute value is missing"),
    ("w1_sorted", lambda a, b: sorted_gap(a, b).square().mean().sqrt(), "This is W₂"),
    ("w1_sorted", sorted_in_place, "sorted in place"),
    ("w1_sorted", lambda a, b: 0.5, "two clouds about one place: expected"),
    ("steps_enough", count(shift=1), "Off by one"),
    ("steps_enough", count(shift=-1), "Off by one"),
    ("steps_enough", count(shift=5), "22 expected, found 27"),
    ("steps_enough", count(never=60), "no number of steps is enough"),
    ("steps_enough", lambda s, w: None, "some number of steps is enough"),
    ("new_density", bell, "what a Gaussian fit has"),
    (
        "new_density",
        lambda s: (lambda x: gamma_energy(x, 3.3), gamma_draws()),
        "KL to the density: at most 4.0",
    ),
    ("new_density", lambda s: (lambda x: -gamma_energy(x), gamma_draws()), "the log-density."),
    ("new_density", lambda s: (gamma_energy, s[:5000]), "that you were given"),
    ("new_density", lambda s: (gamma_energy, (gamma_draws() - 3) / 3**0.5), "standardised units"),
    ("new_density", lambda s: (gamma_energy, 2 * gamma_draws()), "W₁ of its draws"),
    ("new_density", lambda s: gamma_energy, "Return two things"),
    ("noise_for", lambda s, T: 2 * s * T, "noise's variance"),
    ("noise_for", lambda s, T: (s * T) ** 0.5, "factor 2"),
    ("noise_for", lambda s, T: (T / (2 * s)) ** 0.5, "don't divide"),
    ("noise_for", lambda s, T: (2 * s) ** 0.5, "temperature is missing"),
    ("noise_for", lambda s, T: (2 * s) ** 0.5 * T, "under the root"),
    ("noise_for", lambda s, T: 3 * s, "expected"),
    ("resting_theta", lambda s, v: 1 / v, "exact kernel"),
    ("resting_theta", lambda s, v: (1 - s / (2 * v)) / v, "wrong sign"),
    ("resting_theta", lambda s, v: 1 / resting(s, v), "variance 1/θ"),
    ("resting_theta", lambda s, v: s * resting(s, v), "divide by s"),
    (
        "resting_theta",
        lambda s, v: (1 + math.sqrt(1 - 2 * s / v)) / s,
        "other root",
    ),
    (
        "resting_theta",
        lambda s, v: (1 - math.sqrt(max(0, 1 - 2 * s / v))) / s,
        "Return math.nan",
    ),
    ("denoising_loss", denoising(sign=1.0), "sign of ε"),
    ("denoising_loss", denoising(clean=True), "clean x"),
    ("denoising_loss", denoising(outer=1.0), "before the gradient"),
    ("denoising_loss", denoising(inner=1.0), "before it was added"),
    ("denoising_loss", denoising(half=1.0), "half is missing"),
    ("denoising_loss", lambda *a: denoising()(*a).detach(), "create_graph=True"),
    ("denoising_loss", denoising(graph=False), "create_graph=True"),
    ("denoising_loss", lambda *a: denoising_in_one_term(*a, graph=False), "create_graph=True"),
    ("denoising_loss", denoising_half_detached, "create_graph=True"),
    ("denoising_loss", lambda *a: 7.0, "expected"),
]


SEEDED = ["nll_gradient", "langevin_step", "train_step", "persistent", "new_density"]
SEEDED += ["denoising_loss"]
"""The checks with randomness of their own or of the learner's."""


def every_check() -> list[str]:
    """Return the names of all checks in the module."""
    return [name for name, value in vars(exercises).items() if hasattr(value, "__wrapped__")]


def test_every_check_is_tested() -> None:
    assert sorted(RIGHT) == sorted(every_check())
    assert min(map(len, RIGHT.values())) >= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("check", RIGHT)
def test_right_answers_pass(check: str, dtype: torch.dtype) -> None:
    """Whatever torch's default type is, and without a trace in the global random state."""
    torch.manual_seed(5)
    before, default = torch.get_rng_state(), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        for answer in RIGHT[check][dtype is torch.float32 and check == "new_density" :]:
            assert said(check, answer).startswith("Right. ")
    finally:
        torch.set_default_dtype(default)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[f"{w[0]}: {w[2]}" for w in WRONG])
def test_a_mistake_gets_its_own_message(number: int) -> None:
    """The verdict holds the words of this mistake and of no other one of the same check."""
    check, answer, words = WRONG[number]
    verdict = said(check, answer)
    assert verdict.startswith("Not right yet. ")
    others = {text for name, _, text in WRONG if name == check}
    assert {text for text in others if text in verdict} == {words}


@pytest.mark.parametrize("check", RIGHT)
def test_what_is_no_answer_gets_one_clear_sentence(check: str) -> None:
    def stub(*arguments):
        raise NotImplementedError(f"Exercise 0.0: do {check}")

    def fails(*arguments):
        raise ZeroDivisionError("by nothing\nat all")

    def lacks(*arguments):
        raise NotImplementedError("no kernel")

    assert said(check, stub) == f"Not done yet. Exercise 0.0: do {check}."
    assert said(check, None) == said(check, ...) == "Not done yet. Fill in the stub above."
    assert said(check, "f") == (
        "Not right yet. The check needs a function; this is a value of type str."
    )
    assert said(check, fails) == (
        "Not right yet. Your function raised ZeroDivisionError: by nothing"
    )
    assert "raised NotImplementedError: no kernel" in said(check, lacks)
    for value in ("text", object(), torch.zeros(3, 3), [1, [2, 3]]):
        verdict = said(check, lambda *arguments, value=value: value)
        assert verdict.startswith(("Not right yet. Your function should", "Not right yet. Return"))
        assert len(verdict) < 160
    assert "raised TypeError" in said(check, lambda: 1)


def test_a_square_from_a_row_and_a_column_is_explained() -> None:
    verdict = said("langevin_step", lambda f, x, s, g: x + torch.randn(len(x)))
    assert verdict.endswith("filled in a square.")


def test_a_verdict_repeats_even_if_the_answer_uses_the_global_random_state() -> None:
    def loud(energy, x, s, generator):
        return step_global(energy, x, s, generator)[:, None] + torch.randn(x.shape)

    verdicts = set()
    for seed in range(3):
        torch.manual_seed(seed)
        verdicts.add(said("langevin_step", loud))
    assert len(verdicts) == 1 and "Variance of the noise: expected" in verdicts.pop()


@pytest.mark.parametrize("check", SEEDED)
def test_right_answers_pass_with_other_seeds(check: str) -> None:
    """Twenty seeds: a right answer fails once in a million, so twenty fail once in 50 000."""
    answers = RIGHT[check]
    for seed in range(1, 21):
        if check == "new_density":
            answers = [lambda samples, seed=seed: (gamma_energy, gamma_draws(seed=seed))]
        for answer in answers:
            assert said(check, answer, seed=seed).startswith("Right. ")


@pytest.mark.parametrize(("check", "statistics"), [("langevin_step", 2), ("nll_gradient", 2)])
def test_the_standard_errors_are_neither_too_small_nor_too_large(
    monkeypatch: pytest.MonkeyPatch, check: str, statistics: int
) -> None:
    """Held to one standard error, a right answer passes with probability 0.683 each statistic.

    Mean and variance are independent for normal draws (the two θ of nll_gradient get the same
    ones). Of 400 seeds that share passes, within 5 of its standard errors.
    """
    monkeypatch.setattr(f"{getattr(exercises, check).__module__}.Z", 1.0)
    passed = [said(check, RIGHT[check][0], seed=seed)[:5] == "Right" for seed in range(400)]
    expected = 0.6827**statistics
    assert abs(np.mean(passed) - expected) < 5 * math.sqrt(expected * (1 - expected) / 400)


@pytest.mark.parametrize(
    ("check", "choice", "words"),
    [
        ("stationary_variance", {"s": 4.5}, "never settles: s must stay below 2σ² = 4.500"),
        ("stationary_variance", {"s": -1.0}, "positive number for s; this is -1.0"),
        ("stationary_variance", {"sigma": "1"}, "positive number for sigma; this is '1'"),
        ("penalised_optimum", {"alpha": 0}, "positive number for alpha; this is 0"),
        ("stationary_variance", {"s": 2.0, "sigma": 2.0}, "s = 2.0 and σ = 2.0"),
        ("penalised_optimum", {"alpha": 1}, "within ±0.500"),
    ],
)
def test_the_learners_own_choice_is_used(check: str, choice: dict, words: str) -> None:
    assert words in said(check, RIGHT[check][0], **choice)


# --- the notebooks -----------------------------------------------------------------------------

LESSON = {path.name[:2]: path for path in LESSONS.values()}
SOLUTIONS = [path for path in PATHS.values() if path not in LESSONS.values()]


def cells_of(path) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def numbers(path, kind: str) -> list[str]:
    """Return the numbers, as 3-2, of a notebook's cells exercise-3-2-stub or solution-3-2."""
    pattern = {"exercise": r"exercise-(\d+-\d+)-stub", "solution": r"solution-(\d+-\d+)"}[kind]
    return [match[1] for id in cells_of(path) if (match := re.fullmatch(pattern, id))]


@pytest.fixture
def plain_torch():
    """Give back torch's defaults, which a lesson's first cell changes."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    yield
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)


def run(*cells: str) -> str:
    """Run cells one after the other in one namespace; return what they print, in one line."""
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as out:
        for cell in cells:
            exec(cell, names)
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_each_exercise_has_a_solution(path) -> None:
    found = numbers(LESSON[path.name[:2]], "exercise")
    assert len(found) in (3, 4)
    assert found == numbers(path, "solution")


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize(
    ("path", "number"),
    [(path, number) for path in SOLUTIONS for number in numbers(path, "solution")],
)
def test_a_solution_fits_into_its_stub(path, number: str) -> None:
    """In the lesson: its imports, the exercises' setup, the solution for the stub, the check."""
    lesson, solution = cells_of(LESSON[path.name[:2]]), cells_of(path)[f"solution-{number}"].source
    first = next(cell for cell in lesson.values() if cell.cell_type == "code")
    setup = lesson[f"exercise-{number[0]}-0-setup"].source
    stub, check = (lesson[f"exercise-{number}-{part}"].source for part in ("stub", "check"))
    head = stub.splitlines()[0]
    assert head in solution, "the solution has another name or other arguments than the stub"
    task = f"Exercise {number.replace('-', '.')}: "
    assert run(first.source, setup, stub, check).startswith(f"Not done yet. {task}")
    assert run(first.source, setup, solution, check).startswith("Right. ")


def test_the_planted_mistakes_are_found_one_after_the_other() -> None:
    """The code of exercise 4.2 as printed, and after each of the four repairs."""
    text = cells_of(LESSON["04"])["exercise-4-2-text"].source
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    repairs = [
        ("torch.randn(chains.shape, generator=generator)", "chains.clone()", "restarted"),
        (", create_graph=True", "", "not detached where it matters"),
        ("model(z).mean() - model(real)", "model(real).mean() - model(z)", "signs are swapped"),
        ("    loss.", "    optimiser.zero_grad()\n    loss.", "zero_grad is missing"),
    ]
    for old, new, words in repairs:
        names: dict[str, object] = {"torch": torch}
        exec(code, names)
        assert words in said("train_step", names["train_step"])
        assert code.count(old) == 1
        code = code.replace(old, new)
    exec(code, names)
    assert said("train_step", names["train_step"]).startswith("Right. ")
