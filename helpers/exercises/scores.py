"""The checks of notebook 10: scores at many noise levels."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from helpers.exercises.values import Wrong, named
from helpers.exercises.verdicts import Mistakes, agree, check, seeded

TARGET: Mistakes = [
    (
        "The sign is turned: the slope of log N(y; x, σ²) at y points back to x. With this sign a"
        " sampler walks away from the data.",
        lambda x, y, sigma: (y - x) / sigma**2,
    ),
    (
        "This is −ε, the noise itself with its sign turned. The score is that divided by σ.",
        lambda x, y, sigma: (x - y) / sigma,
    ),
    (
        "This is ε, the noise itself. The score is −ε/σ: another sign, and divided by σ.",
        lambda x, y, sigma: (y - x) / sigma,
    ),
    ("This is x − y = −σε. The score is −ε/σ: divide by σ².", lambda x, y, sigma: x - y),
    ("This is y − x = σε. The score is −ε/σ: turn it and divide by σ².", lambda x, y, s: y - x),
    (
        "The half is in the exponent, −|y − x|²/(2σ²). Its derivative has none.",
        lambda x, y, sigma: (x - y) / (2 * sigma**2),
    ),
    ("This is the datum itself. A score is a slope.", lambda x, y, sigma: x + 0 * y),
]


@check(mistakes=TARGET)
def denoising_target(answer: object) -> str:
    """Check answer(x, y, sigma), what a score is regressed on: −(y − x)/σ²."""
    g = seeded(10)
    cases = {}
    for name, sigma, shape in [("one level", 0.4, (4, 1)), ("many", None, (6, 2))]:
        x = torch.randn(shape, generator=g, dtype=torch.float64)
        level = sigma or 0.2 + 2 * torch.rand(shape[0], 1, generator=g, dtype=torch.float64)
        y = x + level * torch.randn(shape, generator=g, dtype=torch.float64)
        cases[f"The target at {name}"] = (x, y, level)
    agree(answer, lambda x, y, sigma: (x - y) / sigma**2, cases, TARGET)
    return (
        "Times σ it is −ε: so a loss in σ · score + ε weighs all levels alike, and one in the score"
        " alone counts little but the lowest."
    )


def _humps(y: Tensor, sigma: float | Tensor) -> Tensor:
    """The exact score of two humps in d dimensions plus noise, at y, shape (n, d)."""
    if not isinstance(y, Tensor):
        raise Wrong(f"The score takes a tensor (n, d) first, then a level; this is {named(y)}.")
    level = torch.as_tensor(sigma, dtype=torch.float64)
    if level.numel() != 1 and level.shape != (*y.shape[:-1], 1):
        shape = tuple(level.shape)
        raise Wrong(f"The score takes a number or (n, 1) as the level; this has the shape {shape}.")
    variances = torch.tensor([0.5, 0.8], dtype=torch.float64) ** 2 + level**2
    sides = torch.cos(torch.arange(y.shape[-1], dtype=torch.float64))
    gaps = torch.stack([-2 * sides, 3 * sides]) - y[..., None, :]
    logs = -gaps.square().sum(-1) / (2 * variances) - y.shape[-1] / 2 * variances.log()
    share = (logs + torch.tensor([0.3, 0.7]).log()).softmax(-1)
    return ((share / variances)[..., None] * gaps).sum(-2)


def _denoised(by: Callable[[float], float], at: float = 1.0) -> Callable[..., Tensor]:
    """Return y plus so many scores, asked at that part of the level."""
    return lambda y, score, sigma: y + by(sigma) * score(y, at * sigma)


DENOISED: Mistakes = [
    (
        "The sign is turned: the score points to the data, and the clean place lies there.",
        _denoised(lambda sigma: -(sigma**2)),
    ),
    ("The score is multiplied by σ; it must be σ².", _denoised(lambda sigma: sigma)),
    (
        "The score is multiplied by −σ, as if it were the noise ε. It must be σ².",
        _denoised(lambda sigma: -sigma),
    ),
    ("The score must be multiplied by σ².", _denoised(lambda sigma: 1.0)),
    (
        "This is half the way. σ² belongs to the mean; σ²/2 is the drift of the flow.",
        _denoised(lambda sigma: sigma**2 / 2),
    ),
    (
        "The score was asked at σ². Its second argument is the level, a standard deviation.",
        lambda y, score, sigma: y + sigma**2 * score(y, sigma**2),
    ),
    (
        "The noisy y is missing: this is only how far to move it.",
        lambda y, score, sigma: sigma**2 * score(y, sigma),
    ),
]


@check(mistakes=DENOISED)
def denoised(answer: object) -> str:
    """Check answer(y, score, sigma), the mean of x given y = x + σε, by Tweedie's formula."""
    g = seeded(11)
    cases = {}
    for sigma, n, d in [(0.6, 7, 1), (2.3, 7, 1), (1.4, 4, 3)]:
        y = 1 + 3 * torch.randn(n, d, generator=g, dtype=torch.float64)
        at = f" in {d} dimensions" if d > 1 else ""
        cases[f"The mean of x given y{at} at σ = {sigma}"] = (y, _humps, sigma)
    agree(answer, _denoised(lambda sigma: sigma**2), cases, DENOISED)
    return "So a score is a denoiser, and a denoiser a score, whatever the density."


def _variance(drop: Callable, share: Callable) -> Callable[[float, float, float], float]:
    return lambda sigma, lower, v: drop(sigma, lower) * share(sigma, lower, v)


def _fall(sigma: float, lower: float) -> float:
    return sigma**2 - lower**2


def _share(sigma: float, lower: float, v: float) -> float:
    return (v + lower**2) / (v + sigma**2)


VARIANCE: Mistakes = [
    (
        "This is the Euler–Maruyama step's variance, v = ∞: the step ends too wide.",
        _variance(_fall, lambda a, b, v: 1.0),
    ),
    (
        "This is the ancestral step's variance, v = 0: the step ends too narrow.",
        _variance(_fall, lambda a, b, v: b**2 / a**2),
    ),
    (
        "The two levels have changed places in the fraction: the lower one stands above.",
        _variance(_fall, lambda a, b, v: (v + a**2) / (v + b**2)),
    ),
    (
        "This has σ − σ' where σ² − σ'² belongs: variances are subtracted.",
        _variance(lambda a, b: a - b, _share),
    ),
    (
        "This has (σ − σ')² where σ² − σ'² belongs: variances are subtracted.",
        _variance(lambda a, b: (a - b) ** 2, _share),
    ),
    (
        "In the fraction v is added to levels; they must be squared.",
        _variance(_fall, lambda a, b, v: (v + b) / (v + a)),
    ),
    (
        "In the fraction v was squared: it is a variance already.",
        _variance(_fall, lambda a, b, v: (v**2 + b**2) / (v**2 + a**2)),
    ),
    (
        "This is a standard deviation; the variance was asked for.",
        lambda a, b, v: math.sqrt(_fall(a, b) * _share(a, b, v)),
    ),
    (
        "It is negative: what is left is the higher level squared less the lower.",
        _variance(lambda a, b: b**2 - a**2, _share),
    ),
    ("This is the variance at the lower level, whatever x is.", lambda a, b, v: v + b**2),
]


@check(mistakes=VARIANCE)
def step_variance(answer: object) -> str:
    """Check answer(sigma, lower, v), the variance of x' given x for Gaussian data."""
    triples = [(2.0, 0.7, 0.49), (20.0, 12.0, 18.0), (0.3, 0.1, 1.7), (0.5, 0.46, 0.2)]
    cases = {f"From {a} to {b} with v = {v}": (a, b, v) for a, b, v in triples}
    agree(answer, _variance(_fall, _share), cases, VARIANCE)
    return "With it a reverse sampler is exact on a Gaussian, in any number of steps."


def _area(height: Callable, over: Callable = lambda sigmas: sigmas) -> Callable[..., Tensor]:
    """Return the area under height(σ, F) over a function of σ, by the trapezoid rule."""
    return lambda sigmas, fisher: torch.trapezoid(height(sigmas, fisher), over(sigmas))


AREA: Mistakes = [
    ("The factor 2 is missing: dσ² = 2σ dσ.", _area(lambda s, F: s * F)),
    (
        "A σ is missing: dσ² = 2σ dσ, so the height is 2σF over σ, and 2σ²F over log σ.",
        _area(lambda s, F: 2 * F),
    ),
    (
        "This is the weight for an axis of log σ, 2σ²F; over σ it is 2σF.",
        _area(lambda s, F: 2 * s**2 * F),
    ),
    (
        "All levels count alike here, as if F were added up over log σ.",
        _area(lambda s, F: F, torch.log),
    ),
    (
        "These are sums of heights; the levels are not evenly spaced, so each needs its width.",
        lambda sigmas, fisher: (2 * sigmas * fisher).sum(),
    ),
]


@check(mistakes=AREA)
def kl_from_slopes(answer: object) -> str:
    """Check answer(sigmas, fisher), ∫ 2σF dσ over levels, lowest first.

    For N(μ, 1) against N(0, 1) it is F = μ²/2(1 + σ²)², and KL = μ²/2 · σ²/(1 + σ²) up to σ.
    The levels are not evenly spaced in log σ either, and the last gap is wide.
    """
    cases = {}
    for mu, high, n in [(0.7, 3.0, 8000), (1.9, 30.0, 8000)]:
        parts = torch.linspace(0, 1, n - 1, dtype=torch.float64) ** 1.3
        sigmas = torch.cat([1e-3 * (high / 1.02e-3) ** parts, torch.tensor([high])])
        fisher = mu**2 / 2 / (1 + sigmas**2) ** 2
        cases[f"The KL of N({mu}, 1) from N(0, 1), up to σ = {high:g}"] = (sigmas, fisher)
    agree(answer, _area(lambda s, F: 2 * s * F), cases, AREA, lambda right: 2e-3 * right)
    return "No density was needed for it, and no Z: slopes at all levels are enough."
