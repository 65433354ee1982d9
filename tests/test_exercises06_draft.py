"""Notebook 06's checks: right answers pass in two styles, each mistake gets its own message."""

import io
import math
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch

from helpers import exercises06_draft as exercises


def said(check: str, answer: object, **options) -> str:
    """Return what a check prints on an answer, in one line."""
    with redirect_stdout(io.StringIO()) as out:
        getattr(exercises, check)(answer, **options)
    return " ".join(out.getvalue().split())


def theta(s: float, v: float) -> float:
    return (1 - math.sqrt(1 - 2 * s / v)) / s if 2 * s <= v else math.nan


def theta_numpy(s: float, v: float) -> np.ndarray:
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


def denoising_in_one_term(energy, real, tau, generator):
    """Work with the noisy point's displacement in place of ε."""
    noisy = (real + tau * torch.randn(real.shape, generator=generator, dtype=real.dtype)).detach()
    noisy.requires_grad_()
    slope = torch.autograd.grad(energy(noisy).sum(), noisy, create_graph=True)[0]
    return 0.5 * tau**2 * (slope - (noisy - real) / tau**2).pow(2).mean()


RIGHT = {
    "noise_for": [lambda s, T: (2 * s * T) ** 0.5, lambda s, T: np.sqrt([2 * s * T])],
    "resting_theta": [theta, theta_numpy],
    "denoising_loss": [denoising(), denoising_in_one_term],
}
WRONG = {
    "variance": ("noise_for", lambda s, T: 2 * s * T, "noise's variance"),
    "no 2": ("noise_for", lambda s, T: (s * T) ** 0.5, "factor 2"),
    "divides": ("noise_for", lambda s, T: (T / (2 * s)) ** 0.5, "don't divide"),
    "no T": ("noise_for", lambda s, T: (2 * s) ** 0.5, "temperature is missing"),
    "T outside": ("noise_for", lambda s, T: (2 * s) ** 0.5 * T, "under the root"),
    "other noise": ("noise_for", lambda s, T: 3 * s, "expected"),
    "exact": ("resting_theta", lambda s, v: 1 / v, "exact kernel"),
    "wrong side": ("resting_theta", lambda s, v: (1 - s / (2 * v)) / v, "wrong sign"),
    "inverse": ("resting_theta", lambda s, v: 1 / theta(s, v), "variance 1/θ"),
    "a": ("resting_theta", lambda s, v: s * theta(s, v), "divide by s"),
    "other root": (
        "resting_theta",
        lambda s, v: (1 + math.sqrt(1 - 2 * s / v)) / s,
        "other root",
    ),
    "no nan": (
        "resting_theta",
        lambda s, v: (1 - math.sqrt(max(0, 1 - 2 * s / v))) / s,
        "Return math.nan",
    ),
    "sign": ("denoising_loss", denoising(sign=1.0), "sign of ε"),
    "clean": ("denoising_loss", denoising(clean=True), "clean x"),
    "no outer τ": ("denoising_loss", denoising(outer=1.0), "before the gradient"),
    "no inner τ": ("denoising_loss", denoising(inner=1.0), "before it was added"),
    "no half": ("denoising_loss", denoising(half=1.0), "half is missing"),
    "no graph": ("denoising_loss", lambda *a: denoising()(*a).detach(), "create_graph=True"),
    "constant": ("denoising_loss", lambda *a: 7.0, "expected"),
}


@pytest.mark.parametrize("check", RIGHT)
@pytest.mark.parametrize("style", [0, 1])
def test_right_answers_pass(check, style) -> None:
    assert said(check, RIGHT[check][style]).startswith("Right. ")


@pytest.mark.parametrize("check, answer, words", WRONG.values(), ids=WRONG)
def test_each_mistake_is_named(check, answer, words) -> None:
    text = said(check, answer)
    assert text.startswith("Not right yet. ") and words in text, text


@pytest.mark.parametrize("seed", range(30))
def test_the_random_check_passes_with_every_seed(seed) -> None:
    assert said("denoising_loss", denoising(), seed=seed).startswith("Right. ")


@pytest.mark.parametrize("check", RIGHT)
def test_a_stub_is_not_done(check) -> None:
    def stub(*arguments):
        raise NotImplementedError("Exercise 6.0: write it")

    assert said(check, stub) == "Not done yet. Exercise 6.0: write it."
