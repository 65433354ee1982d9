"""The checks of notebook 8: two dimensions."""

import math

import torch

from helpers import shapes
from helpers.exact import plane
from helpers.exercises.verdicts import Wrong, as_tensor, call, check, expect

_COVARIANCE = torch.tensor([[1.5, 0.9], [0.9, 1.0]], dtype=torch.float64)


@check
def after_one_step(answer: object) -> str:
    """Check answer(mean, covariance, precision, s), the moments after a step on f = xᵀΛx/2."""
    eye, precision = torch.eye(2, dtype=torch.float64), _COVARIANCE.inverse()
    s, mean = 0.25, torch.tensor([1.0, -2.0], dtype=torch.float64)
    covariance = torch.tensor([[0.5, -0.2], [-0.2, 0.3]], dtype=torch.float64)
    keep = eye - s * precision
    spread, noise = keep @ covariance @ keep, 2 * s * eye
    pair = call(answer, mean.clone(), covariance.clone(), precision.clone(), s)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise Wrong("Return two things: the mean (2,) and the covariance (2, 2).")
    found = as_tensor(pair[0], (2,))
    mistakes = {
        "The mean has not moved: the drift acts on it, too.": mean,
        "The mean climbs: the drift is −s Λ x.": mean + s * precision @ mean,
        "This uses the covariance where the precision Λ should stand.": (
            mean - s * _COVARIANCE @ mean
        ),
    }
    expect("The mean after a step", found, keep @ mean, mistakes)
    found = as_tensor(pair[1], (2, 2))
    mistakes = {
        "The mean is right, but the noise is missing: it adds 2s I to the covariance.": spread,
        "The mean is right, but the noise has the variance 2s in each coordinate, not √(2s).": (
            spread + math.sqrt(2 * s) * eye
        ),
        "The mean is right, but the noise adds to the diagonal alone, 2s I.": spread + 2 * s,
        "The mean is right. The covariance is multiplied from both sides, (I − sΛ) C (I − sΛ).": (
            keep @ covariance + noise
        ),
        "The mean is right. Here each entry was squared; (I − sΛ) is a matrix, so use @.": (
            keep**2 * covariance + noise
        ),
    }
    expect("The covariance after a step", found, spread + noise, mistakes)
    return "Iterate it, and you have the exact law of every Langevin chain on a Gaussian."


@check
def largest_step(answer: object) -> str:
    """Check answer(covariance), the step up to which a Langevin chain on N(0, Σ) settles."""
    for covariance in (_COVARIANCE, torch.diag(torch.tensor([4.0, 0.25], dtype=torch.float64))):
        values = torch.linalg.eigvalsh(covariance)
        found = as_tensor(call(answer, covariance.clone()), ())
        mistakes = {
            "That is 2/λ for the largest eigenvalue of Σ. λ belongs to Λ = Σ⁻¹.": 2 / values[-1],
            "That step suits the flat direction only; the steep one would blow up.": 2 * values[-1],
            "This is 1/λ_max, where the steep direction is forgotten in one step. It settles up to"
            " twice that.": values[0],
            "These are the variances along the coordinates. The steepest direction may lie"
            " between them: take eigenvalues.": 2 * covariance.diagonal().min(),
        }
        expect("The largest step", found, 2 * values[0], mistakes)
    return "The steepest direction sets it, wherever it points; the flattest one pays for it."


@check
def mode_weights(answer: object) -> str:
    """Check answer(log_p, points, cell, centres), the mass nearest to each centre, (k,)."""
    centres = torch.tensor([[1.56, 0.0], [-0.96, 1.2], [-0.48, -1.44]], dtype=torch.float64)
    places = centres[torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])]
    target, on = shapes.blurred(places, 0.16), plane.grid(4.2, 71)
    log_p, _ = plane.log_density(target.energy, on)
    near = torch.cdist(on.points, centres).argmin(1)
    mass = torch.zeros(3, dtype=torch.float64).index_add(0, near, log_p.exp().flatten() * on.cell)
    logs = torch.zeros(3, dtype=torch.float64).index_add(0, near, log_p.flatten() * on.cell)
    found = as_tensor(
        call(answer, log_p.clone(), on.points.clone(), on.cell, centres.clone()), (3,)
    )
    mistakes = {
        "These sums lack the area of a cell.": mass / on.cell,
        "Multiply by the area of a cell once only.": mass * on.cell,
        "These are sums of log p; the mass is a sum of p.": logs,
        "These are the densities at the centres. A weight is a mass: sum p over the points that are"
        " nearest to a centre.": target.log_prob(centres).exp(),
        "These are the numbers of grid points. Weigh each point with p.": (
            torch.bincount(near, minlength=3).double()
        ),
        "These are shares of the area. Weigh each point with p.": (
            torch.bincount(near, minlength=3).double() / len(near)
        ),
    }
    expect("The three weights", found, mass, mistakes, 1e-3)
    return (
        "With it you can watch any law fill its modes. They are near 0.5, 0.3 and 0.2, less what"
        " the neighbours' tails exchange."
    )
