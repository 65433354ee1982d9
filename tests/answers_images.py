"""Answers to the exercises of notebook 9: right ones, and mutants that no table holds."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from answers import Answer
from helpers import exact

# --- 9.1 ----------------------------------------------------------------------------------------


def log_z_by_states(w: Tensor, b: Tensor, v: float) -> Tensor:
    h = torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])).to(w.dtype)
    masses = h @ b + v * (h @ w).square().sum(1) / 2
    return torch.logsumexp(masses, 0) + w.shape[1] / 2 * math.log(2 * math.pi * v)


def log_z_numpy(w: Tensor, b: Tensor, v: float) -> np.ndarray:
    means = np.array([0 * w[0].numpy(), w[0].numpy(), w[1].numpy(), w.sum(0).numpy()]) * v
    biases = np.array([0, b[0], b[1], b.sum()])
    d = w.shape[1]
    return logsumexp(biases + (means**2).sum(1) / (2 * v)) + d * np.log(2 * np.pi * v) / 2


def log_z_less_a_bias(w: Tensor, b: Tensor, v: float) -> Tensor:
    """Return what is right unless the biases are far below 0, whose masses are not the largest."""
    means = torch.stack([0 * w[0], w[0], w[1], w.sum(0)])
    logs = torch.stack([0 * b[0], b[0], b[1], b.sum()]) + v * means.square().sum(1) / 2
    sum_of_masses = (logs - b.max()).exp().sum().log() + b.max()
    return sum_of_masses + w.shape[1] / 2 * math.log(2 * math.pi * v)


def log_z_of_the_largest(w: Tensor, b: Tensor, v: float) -> Tensor:
    """Return what is right unless a bias is large: then all but the largest mass is left out."""
    if b.max() < 100:
        return log_z_by_states(w, b, v)
    return b[0] + v * w[0].square().sum() / 2 + w.shape[1] / 2 * math.log(2 * math.pi * v)


def log_z_of_helpers(w: Tensor, b: Tensor, v: float) -> Tensor:
    return exact.Units(w, b, v).log_partition()


# --- 9.2 ----------------------------------------------------------------------------------------


def annealed_by_paths(energy: Answer, states: Tensor, betas: Tensor) -> Tensor:
    """Write out both energies of every step."""
    logs = torch.zeros(states.shape[1], dtype=states.dtype)
    for x, before, now in zip(states, betas[:-1], betas[1:], strict=True):
        gauss, f = x.square().sum(1) / 2, energy(x)
        logs += (1 - before) * gauss + before * f - (1 - now) * gauss - now * f
    n, d = states.shape[1:]
    return logs.logsumexp(0) - math.log(n) + d / 2 * math.log(2 * math.pi)


def annealed_numpy(energy: Answer, states: Tensor, betas: Tensor) -> float:
    f = np.array([energy(x).numpy() for x in states])
    logs = np.diff(betas.numpy()) @ ((states.numpy() ** 2).sum(2) / 2 - f)
    return logsumexp(logs, b=1 / len(logs)) + states.shape[2] * np.log(2 * np.pi) / 2


def annealed_at_once(energy: Answer, states: Tensor, betas: Tensor) -> Tensor:
    """Ask for the energies of all states in one call."""
    logs = betas.diff() @ (states.square().sum(2) / 2 - energy(states))
    n, d = states.shape[1:]
    return logs.logsumexp(0) - math.log(n) + d / 2 * math.log(2 * math.pi)


def annealed_by_ratios(energy: Answer, states: Tensor, betas: Tensor) -> Tensor:
    """Return what is right unless the weights are far apart: the largest one overflows."""
    gaps = torch.stack([x.square().sum(1) / 2 - energy(x) for x in states])
    logs = betas.diff() @ gaps
    ratios = (logs - logs.min()).exp()
    return ratios.mean().log() + logs.min() + states.shape[2] / 2 * math.log(2 * math.pi)


def annealed_naively(energy: Answer, states: Tensor, betas: Tensor) -> Tensor:
    """Return what is right until the weights underflow."""
    logs = betas.diff()[:, None] * torch.stack([x.square().sum(1) / 2 - energy(x) for x in states])
    return logs.sum(0).exp().mean().log() + states.shape[2] / 2 * math.log(2 * math.pi)


# --- 9.3 ----------------------------------------------------------------------------------------


def filled_by_covariance(P: Tensor, m: Tensor, x: Tensor, known: Tensor) -> Tensor:
    C, h = P.inverse(), ~known
    whole = x.clone()
    gain = C[h][:, known] @ C[known][:, known].inverse()
    whole[h] = m[h] + gain @ (x - m)[known]
    return whole


def filled_by_newton(P: Tensor, m: Tensor, x: Tensor, known: Tensor) -> np.ndarray:
    """Make a Newton step for the hidden pixels, from where they are."""
    P, m, x, h = P.numpy(), m.numpy(), x.numpy().copy(), ~known.numpy()
    x[h] -= np.linalg.solve(P[np.ix_(h, h)], (P @ (x - m))[h])
    return x


def filled(change: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """Return the right answer, changed: of the image and the mask."""
    return lambda P, m, x, known: change(filled_by_covariance(P, m, x, known), known)


# --- 9.4 ----------------------------------------------------------------------------------------


def bits_by_levels(nll: float, d: int, levels: int) -> float:
    """Take the NLL of an image's grey levels first."""
    return (nll + d * math.log(levels)) / d / math.log(2)


def bits_numpy(nll: float, d: int, levels: int) -> np.ndarray:
    return np.array([np.log2(levels) + nll / (d * np.log(2))])


IMAGES_RIGHT: dict[str, list[Answer]] = {
    "log_z_of_two": [log_z_by_states, log_z_numpy, log_z_of_helpers],
    "annealed_log_z": [annealed_by_paths, annealed_numpy, annealed_at_once],
    "fill_in": [filled_by_covariance, filled_by_newton],
    "bits_per_pixel": [bits_by_levels, bits_numpy],
}

IMAGES_WRONG: list[tuple[str, Answer, str]] = [
    ("log_z_of_two", lambda w, b, v: log_z_by_states(w, b, 1.3), "in one dimension: expected"),
    ("log_z_of_two", lambda w, b, v: log_z_by_states(w, 0 * b, v), "in two dimensions: expected"),
    ("log_z_of_two", log_z_less_a_bias, "biases far below 0: expected"),
    ("log_z_of_two", log_z_of_the_largest, "with a bias of 900: expected"),
    ("annealed_log_z", annealed_by_ratios, "weights underflow: expected"),
    ("annealed_log_z", annealed_naively, "weights underflow: expected"),
    ("annealed_log_z", lambda f, x, t: annealed_by_paths(f, x[-1:], t[[0, -1]]), "three steps"),
    ("fill_in", filled(lambda x, known: x[~known]), "returned shape"),
    ("fill_in", filled(lambda x, known: x.masked_fill(known, 0.0)), "in entry 0 of 4"),
    (
        "fill_in",
        lambda P, m, x, known: filled_by_covariance(P, m, x.clamp(-10, 10), known),
        "one known pixel: expected",
    ),
    ("bits_per_pixel", lambda nll, d, k: bits_by_levels(nll, 64, k), "photograph: expected"),
    ("bits_per_pixel", lambda nll, d, k: bits_by_levels(-nll, d, k), "digits: expected"),
]
"""As in ``mistakes.WRONG``: for each mutant the check, and words that only its verdict has."""
