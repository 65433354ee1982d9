"""The checks of notebook 7: chains you can trust."""

import math

import torch
from scipy.signal import lfilter
from torch import Tensor

from helpers import densities, exact
from helpers.densities import Energy
from helpers.exercises.verdicts import (
    Wrong,
    Z,
    as_tensor,
    call,
    check,
    expect,
    seeded,
)

_LENGTH = 0.3
"""Relative error allowed in a length: nearly five standard errors of an estimate by 500 batches."""


def _trace(phi: list[float], n: int, scale: float, generator: torch.Generator) -> Tensor:
    """Return 3 + scale · the sum of chains X ← φ X + √(1 − φ²) N, one for each φ, n steps (n,)."""
    noise = torch.randn(len(phi), n + 1000, generator=generator, dtype=torch.float64).numpy()
    chains = [lfilter([math.sqrt(1 - f * f)], [1, -f], N) for f, N in zip(phi, noise, strict=True)]
    return 3 + scale * torch.from_numpy(sum(chains)[1000:])


@check
def length_for(answer: object, *, seed: int = 0) -> str:
    """Check answer(trace, error), how long a chain must be for this standard error of its mean.

    The traces are sums of chains with ρ_j = φ^j, so that V t is the sum of (1 + φ)/(1 − φ).
    """
    n, generator = 100_000, seeded(seed)
    for name, phi, scale, error in [
        ("a slow chain", [0.8], 2.0, 0.03),
        ("the sum of a slow and a fast chain", [0.9, 0.0], 1.0, 0.02),
        ("a chain that overshoots", [-0.3], 1.0, 0.01),
    ]:
        trace = _trace(phi, n, scale, generator)
        V = scale**2 * len(phi)
        Vt = scale**2 * sum((1 + f) / (1 - f) for f in phi)
        right, first = Vt / error**2, sum(phi) / len(phi)
        found = as_tensor(call(answer, trace, error), ())
        mistakes = {
            "The 2 before the sum is missing: t = 1 + 2 Σ ρ_j counts every pair twice, as j after k"
            " and as k after j.": (V + Vt) / 2 / error**2,
            "ρ₀ = 1 is counted twice: the sum of t = 1 + 2 Σ ρ_j begins at j = 1.": (
                (Vt + 2 * V) / error**2
            ),
            "The error is not squared: it falls like 1/√n.": Vt / error,
            "This divides by t. A correlated chain must be t times *longer*.": (
                V**2 / Vt / error**2
            ),
            "A standard deviation stands where the variance V should: error² = V t/n.": (
                Vt / math.sqrt(V) / error**2
            ),
            "This is the effective size of the trace that you were given, not the length that is"
            " needed.": n * V / Vt,
        }
        if first > 0:
            mistakes[
                "This is the length for independent draws: the autocorrelation time is missing"
                " (section 7.1)."
            ] = V / error**2
        if len(phi) > 1:
            mistakes[
                "(1 + ρ₁)/(1 − ρ₁) is t only if ρ_j = ρ₁^j. Here a slow part is hidden behind a"
                " fast one: sum the estimated ρ_j."
            ] = V * (1 + first) / (1 - first) / error**2
        if first < 0:
            overshot = "Negative ρ_j count as well: a chain that overshoots needs *fewer* steps."
            mistakes[overshot] = V / error**2
        if abs(found.item()) < 0.01 * right:
            raise Wrong(
                "This is almost 0. The estimated ρ_j of *all* lags sum to −½, whatever the chain:"
                " stop before the noise (section 7.1)."
            )
        near = {text: value for text, value in mistakes.items() if abs(value / right - 1) > _LENGTH}
        expect(f"The length for {name}", found, right, _closest(found, near), _LENGTH * right)
    return (
        "That is what a pilot run is for: V and t from a short trace, then the length of the long"
        " one. The pilot itself must be many t long."
    )


def _closest(found: Tensor, mistakes: dict[str, float]) -> dict[str, Tensor | float]:
    """Return the one mistake whose value is within a tenth of what was found, at its place."""
    off = {text: abs(found.item() / value - 1) for text, value in mistakes.items()}
    text = min(off, key=off.get)
    return {text: found} if off[text] < 0.1 else {}


@check
def r_hat_of_reports(answer: object) -> str:
    """Check answer(n, means, variances), R̂ of chains of n draws from their reports."""
    for n, means, variances in [
        (50, [1.0, 1.4, 0.7, 1.1], [2.0, 1.5, 1.2, 2.4]),
        (8, [0.0, 3.0, -1.0], [4.0, 9.0, 6.5]),
    ]:
        m, v = (torch.tensor(values, dtype=torch.float64) for values in (means, variances))
        found = as_tensor(call(answer, n, m, v), ())
        between, within, shrink = m.var(), v.mean(), (n - 1) / n
        right = (shrink + between / within).sqrt()
        mistakes = {
            "This is R̂². Take the root.": right**2,
            "The variance of the means is divided by the number of chains; divide by one less:"
            " their own mean was estimated.": ((shrink + m.var(correction=0) / within).sqrt()),
            "The variance of the means is divided by n once more. They are means already, and"
            " their variance is B/n.": (shrink + between / n / within).sqrt(),
            "The variance of the means is multiplied by n: that is B, and R̂ needs B/n.": (
                (shrink + n * between / within).sqrt()
            ),
            "The first term is (n − 1)/n, not 1.": (1 + between / within).sqrt(),
            "The first term is missing: equal means must give about 1, not 0.": (
                (between / within).sqrt()
            ),
            "The mean of the standard deviations was squared. Average the variances.": (
                (shrink + between / v.sqrt().mean() ** 2).sqrt()
            ),
            "Numerator and denominator are swapped: what is within stands below.": (
                (shrink + within / between).sqrt()
            ),
        }
        expect(f"R̂ of {len(means)} chains of {n} draws", found, right, mistakes)
    still = torch.zeros(3, dtype=torch.float64)
    if not as_tensor(call(answer, 20, still + 1, still.clone()), ()).isnan():
        raise Wrong("Where chains move it is right. Where none has, return math.nan.")
    return (
        "Two numbers a chain are enough for it, but not for its repairs: halves and ranks need the"
        " draws, so ask for the reports of both halves at least."
    )


@check
def best_step(answer: object) -> str:
    """Check answer(energy, x), MALA's step with the largest expected squared jump, up to 1 %."""
    for name, density, x in [
        ("N(1, 0.6²)", densities.gaussian(1.0, 0.6), exact.grid(-8, 10, 361)),
        (
            "0.6·N(−1, 0.5²) + 0.4·N(1, 1)",
            densities.mixture([0.6, 0.4], [-1.0, 1.0], [0.5, 1.0]),
            exact.grid(-9, 9, 361),
        ),
    ]:
        energy = densities.energy_of(density)
        found = as_tensor(call(answer, energy, x.clone()), ()).item()
        if not 0 < found < math.inf:
            raise Wrong(f"A step is a positive number; yours for {name} is {found:.3f}.")
        if not 0.0099 <= found <= 4.04:
            raise Wrong(f"The step for {name} is {found:.3f}; look between 0.01 and 4.")
        steps = torch.logspace(-2, math.log10(4), 80, dtype=torch.float64).tolist()
        scores = {s: _scores(energy, x, s) for s in [*steps, found]}
        best = {key: max(steps, key=lambda s, key=key: scores[s][key]) for key in scores[found]}
        most = scores[best["jump"]]["jump"]
        mistakes = {
            "Every point of the grid counts alike here. A settled chain is at x_i with p_i: weigh"
            " the jumps by p.": best["unweighted"],
            "This has the largest mean |jump|. Squared, a jump is tied to the autocorrelation,"
            " E|X′ − X|² = 2V(1 − ρ₁).": best["absolute"],
            "This is the plain step's jump, which only grows with s: take the kernel of MALA, with"
            " what is refused on the diagonal.": best["plain"],
            "This accepts most, and goes nowhere: weigh the acceptance with how far a move goes.": (
                best["accepted"]
            ),
            "Here 0.574 of the moves are accepted: that is the optimum of many dimensions, not"
            " of one (section 7.3).": best["0.574"],
        }
        score = torch.tensor(scores[found]["jump"], dtype=torch.float64)
        named = {text: score for text, s in mistakes.items() if abs(math.log(found / s)) < 0.07}
        said = f"The expected squared jump for {name} at your s = {found:.3f}"
        expect(said, score, most, dict(list(named.items())[:1]), 0.01 * most)
    return (
        "The kernel's diagonal made the trade between far and often. In more dimensions the same"
        " sum is a mean along a chain: of |y − x|² times the acceptance."
    )


def _scores(energy: Energy, x: Tensor, s: float) -> dict[str, float]:
    """Return what could be made large by a choice of s, the right one among it."""
    p, P, Q = exact.log_density(energy, x).exp(), *(k(energy, x, s) for k in _KERNELS)
    p, gap = p / p.sum(), x - x[:, None]
    accepted = 1 - p @ (P - Q).diagonal()
    scores = {
        "jump": p @ (P * gap**2).sum(1),
        "unweighted": (P * gap**2).sum(),
        "absolute": p @ (P * gap.abs()).sum(1),
        "plain": p @ (Q * gap**2).sum(1),
        "accepted": accepted,
        "0.574": -(accepted - 0.574).abs(),
    }
    return {key: value.item() for key, value in scores.items()}


_KERNELS = (exact.mala_kernel, exact.langevin_kernel)


@check
def left_weight(answer: object, *, seed: int = 0) -> str:
    """Check answer(from_left, from_right), the settled share of a state from its crossings.

    With rates a (leaving left) and b the share is b/(a + b). Of A and B crossings the log of the
    odds has the standard error √(1/A + 1/B); ``Z`` of those are allowed.
    """
    generator = seeded(seed)
    for name, a, b, chains, steps in [
        ("many chains, few crossings", 0.002, 0.006, (1500, 2500), 100),
        ("more chains from the right", 0.01, 0.004, (700, 4000), 80),
    ]:
        runs = [
            _two_state(start, a, b, c, steps, generator)
            for start, c in zip((True, False), chains, strict=True)
        ]
        found = as_tensor(call(answer, *runs), ())
        every = torch.cat(runs)
        now, after = every[:, :-1], every[:, 1:]
        out, back = ((now & ~after).sum(), (~now & after).sum())
        right = b / (a + b)
        error = Z * right * (1 - right) * math.sqrt(1 / out + 1 / back)
        mistakes = {
            "This is the mean share over all chains and steps. It tells how many chains you have"
            " started where, as long as the shares have not settled.": every.double().mean(),
            "This is the share at the last step, not settled yet.": (every[:, -1].double().mean()),
            "This is the mean of the two groups' shares: near ½, whatever the weights.": (
                sum(run.double().mean() for run in runs) / 2
            ),
            "This is the mean of the two groups' last shares, not settled yet.": (
                sum(run[:, -1].double().mean() for run in runs) / 2
            ),
            "The crossings are counted, but not for each step spent there. A rate is a number of"
            " crossings divided by the steps from which one could cross.": back / (out + back),
            "The rates are per chain, not per step spent on that side: a chain that has crossed"
            " spends its steps on the other.": (
                (back / chains[1]) / (out / chains[0] + back / chains[1])
            ),
            "This is the right mode's weight.": 1 - _from_rates(every),
            "As many cross one way as the other once settled: w a = (1 − w) b. You have w = a/(a +"
            " b) in some form.": 1 - right,
        }
        near = {t: v for t, v in mistakes.items() if abs(float(v) - right) > error}
        near = {t: v for t, v in near.items() if abs(float(v) - found.item()) < 1e-3}
        expect(
            f"The left weight for {name}", found, right, {t: found for t in list(near)[:1]}, error
        )
    return (
        "Where nothing crosses, A = B = 0, and no estimate exists: the weights are not in the data."
        " A start in every mode shows the modes; crossings show the weights."
    )


def _from_rates(every: Tensor) -> float:
    """Return the share b/(a + b) from all chains (c, n)."""
    now, after = every[:, :-1], every[:, 1:]
    a = (now & ~after).sum() / now.sum()
    b = (~now & after).sum() / (~now).sum()
    return (b / (a + b)).item()


def _two_state(
    start: bool, a: float, b: float, chains: int, steps: int, generator: torch.Generator
) -> Tensor:
    """Return chains (chains, steps) that leave True with probability a and False with b."""
    left, states = torch.full((chains,), start), []
    for _ in range(steps):
        states.append(left)
        u = torch.rand(chains, generator=generator, dtype=torch.float64)
        left = torch.where(left, u >= a, u < b)
    return torch.stack(states, 1)
