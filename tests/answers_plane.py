"""Answers to the exercises of notebook 8; see ``answers``."""

import numpy as np
import torch


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


def nearest(log_p, points, cell, centres):
    near = torch.cdist(points, centres).argmin(1)
    return torch.stack([log_p.exp().flatten()[near == j].sum() * cell for j in range(len(centres))])


def nearest_numpy(log_p, points, cell, centres):
    gaps = np.linalg.norm(points.numpy()[:, None] - centres.numpy(), axis=2)
    return (
        np.bincount(gaps.argmin(1), weights=np.exp(log_p.numpy()).ravel(), minlength=len(centres))
        * cell
    )
