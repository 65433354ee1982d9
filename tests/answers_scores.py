"""Answers to the exercises of notebook 10; see ``answers``."""

import math

import numpy as np
import torch


def target(x, y, sigma):
    return (x - y) / sigma**2


def target_by_autograd(x, y, sigma):
    """The slope of log N(y; x, σ²)."""
    sd = torch.as_tensor(sigma, dtype=torch.float64)
    log_p = lambda y: torch.distributions.Normal(x, sd).log_prob(y).sum()  # noqa: E731
    return torch.func.grad(log_p)(y)


def tweedie(y, score, sigma):
    return y + sigma**2 * score(y, sigma)


def tweedie_numpy(y, score, sigma):
    return (y + sigma * sigma * score(y, sigma)).numpy()


def tweedie_by_rows(y, score, sigma):
    """With a level for each row."""
    level = torch.full((len(y), 1), sigma, dtype=torch.float64)
    return y + level**2 * score(y, level)


def left(sigma, lower, v):
    return (sigma**2 - lower**2) * (v + lower**2) / (v + sigma**2)


def left_by_regression(sigma, lower, v):
    """Var x' − Cov(x', x)²/Var x, for x' = x₀ + σ'ε and x = x' + more noise."""
    return v + lower**2 - (v + lower**2) ** 2 / (v + sigma**2)


def area(sigmas, fisher):
    return torch.trapezoid(2 * sigmas * fisher, sigmas)


def area_of_squares(sigmas, fisher):
    """∫ F dσ², in NumPy."""
    return np.trapezoid(fisher.numpy(), sigmas.numpy() ** 2)


def area_from_the_left(sigmas, fisher):
    """∫ F dσ² by the height at the left of each interval."""
    return (fisher[:-1] * (sigmas**2).diff()).sum()


def area_over_logs(sigmas, fisher):
    return torch.trapezoid(2 * sigmas**2 * fisher, sigmas.log()).item()


def published_target(x, y, sigma):
    """As a public code had it for years: the noise with its sign, weighed by the level."""
    return (y - x) / sigma


SCORES_RIGHT = {
    "denoising_target": [target, target_by_autograd],
    "denoised": [tweedie, tweedie_numpy, tweedie_by_rows],
    "step_variance": [left, left_by_regression],
    "kl_from_slopes": [area, area_of_squares, area_over_logs, area_from_the_left],
}

SCORES_WRONG = [
    ("denoising_target", published_target, "ε, the noise itself. The"),
    ("denoising_target", lambda x, y, s: target(x, y, s).sum(), "returned shape ()"),
    ("denoising_target", lambda x, y, s: target(x, y.add_(1), s), "in place"),
    ("denoising_target", lambda x, y, s: 3 * target(x, y, s), "The target at one level: expected"),
    (
        "denoising_target",
        lambda x, y, s: target(x, y, torch.as_tensor(s).max()),
        "The target at many: expected",
    ),
    ("denoised", lambda y, f, s: tweedie(y, f, s)[:, 0], "returned shape (7,)"),
    ("denoised", lambda y, f, s: tweedie(y, f, 0.6), "at σ = 2.3: expected"),
    ("denoised", lambda y, f, s: y, "at σ = 0.6: expected"),
    ("denoised", lambda y, f, s: y + s**2 * f(y, s).sum(1, keepdim=True), "y in 3 dimensions"),
    ("denoised", lambda y, f, s: y + s**2 * f(s, y), "this is a value of type float"),
    (
        "denoised",
        lambda y, f, s: y + s**2 * f(y, s + 0 * y[:, 0]),
        "level; this has the shape (7,)",
    ),
    ("step_variance", lambda a, b, v: left(a, b, 0.49), "From 20.0 to 12.0"),
    ("step_variance", lambda a, b, v: left(a, b, v) + 1, "From 2.0 to 0.7"),
    ("step_variance", lambda a, b, v: left(a, b, 1e9 if a - b < 0.1 else v), "From 0.5"),
    ("kl_from_slopes", lambda s, F: area(s, F) + math.pi, "up to σ = 3: expected"),
    ("kl_from_slopes", lambda s, F: area(s[:-1], F[:-1]), "up to σ = 3: expected"),
    (
        "kl_from_slopes",
        lambda s, F: (2 * s**2 * F).mean() * (s[-1] / s[0]).log(),  # as if even in log σ
        "up to σ = 3: expected",
    ),
    ("kl_from_slopes", lambda s, F: 2 * s * F, "returned shape (8000,)"),
]
"""The check's own table has the other mistakes; words here are those that no other verdict has."""
