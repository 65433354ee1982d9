"""Answers to the exercises of notebook 7, right ones and mutants, as in ``answers``."""

import math

import numpy as np
import torch
from torch import Tensor

from answers import Answer
from helpers import exact

LAGS = 2000
"""How many ρ_j the traces of the check need."""


def correlations(trace: Tensor, lags: int) -> Tensor:
    """Return ρ_0 … ρ_{lags − 1}, estimated from a trace (n,)."""
    off = trace - trace.mean()
    sums = torch.fft.irfft(torch.fft.rfft(off, 2 * len(off)).abs() ** 2)[:lags]
    return sums / sums[0]


def window(rho: Tensor) -> float:
    """Return Σ ρ_j over j ≥ 1, cut off where the pairs are no longer positive."""
    pairs = rho.unflatten(0, (-1, 2)).sum(1)
    return (pairs * (pairs > 0).cumprod(0)).sum().item() - 1


def length(time=lambda rho: 1 + 2 * window(rho), power=2, sd=False, lags=LAGS) -> Answer:
    """Return the length from the trace's own t; with other arguments, a mistake."""

    def length_for(trace, error):
        V = trace.std().item() if sd else trace.var().item()
        return V * time(correlations(trace, lags)) / error**power

    return length_for


def length_by_batches(trace, error):
    """Take the variance of the means of 500 batches, in NumPy."""
    means = trace.numpy().reshape(500, -1).mean(1)
    return np.array([means.var(ddof=1) * len(trace) / 500 / error**2])


def length_by_sokal(trace, error):
    """Sum up to the first lag beyond 5 t."""
    t = 2 * correlations(trace, LAGS).cumsum(0) - 1
    return trace.var() * t[(torch.arange(LAGS) >= 5 * t).int().argmax()] / error**2


def to_the_first_negative(rho: Tensor) -> float:
    """Return t, summed as long as every ρ_j is positive."""
    return 2 * (rho * (rho > 0).cumprod(0)).sum().item() - 1


def reports(between=lambda m, v, n: m.var(), first=lambda n: (n - 1) / n, root=0.5) -> Answer:
    """Return R̂ from reports; with other arguments, a mistake."""

    def r_hat_of_reports(n, means, variances):
        if not variances.any():
            return math.nan
        return (first(n) + between(means, variances, n) / variances.mean()) ** root

    return r_hat_of_reports


def reports_numpy(n, means, variances):
    """Return R̂ as V̂/W, in NumPy."""
    within = np.mean(variances.numpy()) or math.nan
    return np.sqrt(((n - 1) / n * within + np.var(means.numpy(), ddof=1)) / within)


def stepping_by(
    score=lambda p, P, gap: (p[:, None] * P * gap**2).sum(),
    kernel=exact.mala_kernel,
    steps=60,
    chosen=None,
) -> Answer:
    """Return the step with the best score; with another score, a mistake."""

    def best_step(energy, x):
        p = exact.log_density(energy, x).softmax(0)
        gap, sizes = x - x[:, None], np.geomspace(0.01, 4, steps).tolist()
        return max(sizes, key=lambda s: score(p, kernel(energy, x, s), gap).item())

    return best_step


def largest_jump(energy, x) -> float:
    """Return the jump in place of the step."""
    p, gap, s = exact.log_density(energy, x).softmax(0), x - x[:, None], stepping_by()(energy, x)
    return (p @ (exact.mala_kernel(energy, x, s) * gap**2).sum(1)).item()


def accepted(p: Tensor, energy, x: Tensor, s: float) -> float:
    """Return MALA's acceptance."""
    return 1 - (p @ (exact.mala_kernel(energy, x, s) - exact.langevin_kernel(energy, x, s)).diag())


def at_acceptance(aim: float) -> Answer:
    """Return the step whose acceptance is nearest to aim."""

    def best_step(energy, x):
        p, sizes = exact.log_density(energy, x).softmax(0), np.geomspace(0.01, 4, 80)
        return min(sizes.tolist(), key=lambda s: abs(accepted(p, energy, x, s) - aim).item())

    return best_step


def step_by_refining(energy, x):
    """Halve an interval of log s round the best, six times."""
    p, low, high = exact.log_density(energy, x).softmax(0), math.log(0.01), math.log(4)
    gap = (x - x[:, None]) ** 2
    for _ in range(6):
        sizes = torch.linspace(low, high, 9).tolist()
        found = [(p @ (exact.mala_kernel(energy, x, math.exp(s)) * gap).sum(1)) for s in sizes]
        best = sizes[int(torch.stack(found).argmax())]
        low, high = best - (high - low) / 4, min(best + (high - low) / 4, math.log(4))
    return torch.tensor(math.exp(best))


def crossings(chains: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return how many leave left, how many leave right, and the steps spent on either side."""
    now, after = chains[:, :-1], chains[:, 1:]
    return (now & ~after).sum(), (~now & after).sum(), now.sum(), (~now).sum()


def weight(share=lambda a, b: b / (a + b), rates=lambda A, B, L, R: (A / L, B / R)) -> Answer:
    """Return the left weight from all crossings; with other arguments, a mistake."""
    return lambda left, right: share(*rates(*crossings(torch.cat([left, right]))))


def weight_by_groups(left, right):
    """Take each rate from the chains that started on its side, before they cross, in NumPy."""
    stayed = (
        np.logical_and.accumulate(left.numpy(), 1),
        np.logical_and.accumulate(~right.numpy(), 1),
    )
    a, b = ((s[:, :-1] & ~s[:, 1:]).sum() / s[:, :-1].sum() for s in stayed)
    return b / (a + b)


CHAINS_WRONG: list[tuple[str, Answer, str]] = [
    ("length_for", length(lambda rho: 1), "for independent draws:"),
    ("length_for", length(lambda rho: 1 + window(rho)), "2 before the sum"),
    ("length_for", length(lambda rho: 3 + 2 * window(rho)), "counted twice"),
    ("length_for", length(power=1), "not squared"),
    ("length_for", length(lambda rho: 1 / (1 + 2 * window(rho))), "This divides by t"),
    ("length_for", length(sd=True), "where the variance V"),
    ("length_for", lambda x, e: len(x) * x.var() / length()(x, e) / e**2, "effective"),
    ("length_for", length(lambda rho: (1 + rho[1]) / (1 - rho[1])), "hidden behind"),
    ("length_for", length(lambda rho: 2 * rho.sum() - 1, lags=400_000), "almost 0"),
    ("length_for", length(to_the_first_negative), "overshoots needs *fewer*"),
    ("length_for", lambda x, e: 70_000, "in some ten steps should"),
    ("length_for", length(lambda rho: 2 * rho[:20].sum() - 1), "in some hundred steps should be"),
    ("length_for", length(lambda rho: 1 + 2 * rho[1]), "in some ten steps should"),
    ("length_for", lambda x, e: length()(x, e) * e**2 / x.var(), "This is t, the"),
    (
        "length_for",
        lambda x, e: 10 * x.unflatten(0, (-1, 10)).mean(1).var() / e**2,
        "in some ten steps should",
    ),
    ("r_hat_of_reports", lambda n, m, v: 1.0, "R̂ for n = 50,"),
    ("r_hat_of_reports", lambda n, m, v: reports()(n, m, v + 1e-12), "expected nan, found 0.97"),
    ("r_hat_of_reports", reports(lambda m, v, n: m.var() * v.mean() / v.median()), "R̂ for n = 50,"),
    (
        "r_hat_of_reports",
        reports(lambda m, v, n: m.var() * n / (n - 1)),
        "R̂ for n = 50,",
    ),
    ("r_hat_of_reports", lambda n, m, v: reports()(n, m, v).clamp(min=1), "expected 0.894"),
    ("best_step", stepping_by(lambda p, P, gap: (P * gap**2).sum()), "counts alike"),
    ("best_step", stepping_by(kernel=exact.langevin_kernel), "only grows with s"),
    ("best_step", at_acceptance(1.0), "accepts most"),
    ("best_step", at_acceptance(0.574), "optimum of many"),
    (
        "best_step",
        stepping_by(lambda p, P, gap: (p * P * gap**2).sum(), steps=80),
        "point of arrival",
    ),
    ("best_step", stepping_by(lambda p, P, gap: p @ (P * gap.abs()).sum(1)), "mean |jump|"),
    ("best_step", largest_jump, "largest jump itself"),
    (
        "best_step",
        stepping_by(lambda p, P, gap: p @ (P * gap).sum(1) ** 2),
        "jump for 0.3·N(−2, 0.3²) + 0.7·N(0, 0.2²) at",
    ),
    ("best_step", lambda f, x: 0.1, "at your s = 0.100: expected"),
    ("best_step", lambda f, x: 7.0, "look between"),
    ("best_step", lambda f, x: -1.0, "positive number"),
    ("left_weight", lambda a, b: torch.cat([a, b]).double().mean(), "started where"),
    ("left_weight", lambda a, b: torch.cat([a, b])[:, -1].double().mean(), "share at the last"),
    ("left_weight", lambda a, b: (a.double().mean() + b.double().mean()) / 2, "two groups' shares"),
    (
        "left_weight",
        lambda a, b: (a[:, -1].double().mean() + b[:, -1].double().mean()) / 2,
        "two groups' last",
    ),
    ("left_weight", weight(rates=lambda A, B, L, R: (A, B)), "not for each step"),
    ("left_weight", weight(share=lambda a, b: a / (a + b)), "right mode's weight"),
    (
        "left_weight",
        lambda a, b: 1 / (1 + (~a).any(1).double().mean() / b.any(1).double().mean()),
        "have ever crossed",
    ),
    (
        "left_weight",
        weight(rates=lambda A, B, L, R: (A**0.5, B**0.5)),
        "few crossings: expected",
    ),
    ("left_weight", lambda a, b: 0.4, "few crossings: expected"),
]
"""As in ``mistakes.WRONG``: for each mutant the check, and words that only its verdict has."""
