"""Answers to the exercises of notebook 8: right ones, and mutants that no table holds."""

import numpy as np
import torch
from scipy.special import logsumexp

from answers import Answer


def stepped(mean, covariance, precision, s):
    keep = torch.eye(2, dtype=torch.float64) - s * precision
    return keep @ mean, keep @ covariance @ keep.T + 2 * s * torch.eye(2)


def stepped_numpy(mean, covariance, precision, s):
    keep = np.eye(2) - s * precision.numpy()
    return [keep.dot(mean.numpy()), keep @ covariance.numpy() @ keep.T + np.diag([2 * s, 2 * s])]


def stepped_along_axes(mean, covariance, precision, s):
    """In the eigenvectors' coordinates, as lists."""
    values, vectors = torch.linalg.eigh(precision)
    part, turned = 1 - s * values, vectors.T @ covariance @ vectors
    turned = part[:, None] * turned * part + torch.diag(0 * part + 2 * s)
    moved = vectors @ (part * (vectors.T @ mean))
    return moved.tolist(), (vectors @ turned @ vectors.T).tolist()


def closed_in_two(covariance):
    """The smaller root of λ² − tr λ + det: right for two dimensions only."""
    half = covariance.diagonal().sum() / 2
    determinant = covariance[0, 0] * covariance[1, 1] - covariance[0, 1] ** 2
    return 2 * (half - (half**2 - determinant).sqrt())


def by_logarithms(energy, axis):
    points = torch.cartesian_prod(axis, axis)
    log_p = torch.log_softmax(-energy(points), 0) - 2 * (axis[1] - axis[0]).log()
    return log_p.exp().reshape(len(axis), -1)


def by_trapezoids_numpy(energy, axis):
    """Right to many digits, since the density vanishes at the edges."""
    x = axis.numpy()
    points = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    f = energy(torch.from_numpy(points)).numpy().reshape(len(x), -1)
    p = np.exp(-f - logsumexp(-f))
    return p / np.trapezoid(np.trapezoid(p, x), x)


def row_by_row(energy, axis):
    f = torch.stack([energy(torch.stack([x.expand(len(axis)), axis], 1)) for x in axis])
    p = (f.min() - f).exp()
    return (p / (p.sum() * (axis[1] - axis[0]) ** 2)).tolist()


def nearest(log_p, points, cell, centres):
    near = torch.cdist(points, centres).argmin(1)
    return torch.stack([log_p.exp().flatten()[near == j].sum() * cell for j in range(len(centres))])


def nearest_numpy(log_p, points, cell, centres):
    gaps = np.linalg.norm(points.numpy()[:, None] - centres.numpy(), axis=2)
    return (
        np.bincount(gaps.argmin(1), weights=np.exp(log_p.numpy()).ravel(), minlength=len(centres))
        * cell
    )


PLANE_RIGHT: dict[str, list[Answer]] = {
    "after_one_step": [stepped, stepped_numpy, stepped_along_axes],
    "largest_step": [
        lambda C: 2 / torch.linalg.eigvalsh(C.inverse()).max(),
        lambda C: 2 * np.linalg.eigvalsh(C.numpy())[0],
    ],
    "density_by_quadrature": [by_logarithms, by_trapezoids_numpy, row_by_row],
    "mode_weights": [nearest, nearest_numpy],
}

PLANE_WRONG: list[tuple[str, Answer, str]] = [
    ("after_one_step", lambda m, C, P, s: stepped(m, C, P, s)[0], "Return two things"),
    ("after_one_step", lambda m, C, P, s: (m[:, None], C), "shape (2, 1)"),
    ("after_one_step", lambda m, C, P, s: stepped(m, C, P, s)[::-1], "mean (2,) first"),
    ("after_one_step", lambda m, C, P, s: stepped(2 * m, C, P, s), "row by row: expected"),
    ("after_one_step", lambda m, C, P, s: stepped(m, C, P, 0.25), "after a large step"),
    ("after_one_step", lambda m, C, P, s: stepped(m.mul_(1.0001), C, P, s), "in place"),
    ("largest_step", lambda C: 7.0, "a long ellipse"),
    ("largest_step", closed_in_two, "in three dimensions"),
    ("largest_step", lambda C: closed_in_two(C).clamp(max=2), "a wide ellipse"),
    ("density_by_quadrature", lambda f, x: by_logarithms(f, x).flatten(), "shape (961,)"),
    ("density_by_quadrature", lambda f, x: f(torch.stack([x, x])), "array of shape (2, 31)"),
    ("density_by_quadrature", lambda f, x: f(x), "array of shape (31,)"),
    ("density_by_quadrature", lambda f, x: by_logarithms(f, x.mul_(1.001)), "in place"),
    ("density_by_quadrature", lambda f, x: 2 * by_logarithms(f, x), "energy near 0: expected"),
    ("mode_weights", lambda p, x, h, c: torch.zeros(len(c)), "The two weights: expected"),
    ("mode_weights", lambda p, x, h, c: nearest(p, x, h, c)[:, None], "shape (2, 1)"),
]
"""As in ``mistakes.WRONG``: for each mutant the check, and words that only its verdict has."""
