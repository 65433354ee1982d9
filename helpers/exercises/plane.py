"""The checks of notebook 8: two dimensions."""

import math
from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from helpers import shapes
from helpers.exact import plane
from helpers.exercises.values import as_tensor
from helpers.exercises.verdicts import Mistakes, Wrong, agree, at_particles, check, seeded


def _matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _after(
    drift: float = -1,
    by: Callable = lambda P, C: P,
    last: Callable = lambda K, C: K @ C @ K,
    noise: Callable = lambda s, eye: 2 * s * eye,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return what gives the moments after a step; with other arguments, with a mistake."""

    def after_one_step(mean, covariance, precision, s):
        eye = torch.eye(2, dtype=torch.float64)
        moved = mean + drift * s * by(precision, covariance) @ mean
        return moved, last(eye - s * precision, covariance) + noise(s, eye)

    return after_one_step


AFTER: Mistakes = [
    ("The mean has not moved: the drift acts on it, too.", _after(0)),
    ("The mean climbs: the drift is −s Λ x.", _after(1)),
    ("The mean is drawn half as far as by −s Λ x.", _after(-0.5)),
    (
        "The mean is drawn by the inverse of Λ: the drift is −s Λ x.",
        _after(by=lambda P, C: P.inverse()),
    ),
    (
        "The mean is drawn by the cloud's covariance: the drift is −s Λ x.",
        _after(by=lambda P, C: C),
    ),
    (
        "The mean is right, but the noise is missing: it adds 2s I to the covariance.",
        _after(noise=lambda s, eye: 0 * eye),
    ),
    (
        "The mean is right, but the noise has the variance 2s in each coordinate, not √(2s).",
        _after(noise=lambda s, eye: math.sqrt(2 * s) * eye),
    ),
    (
        "The mean is right, but the noise has the variance 2s in each coordinate, not s.",
        _after(noise=lambda s, eye: s * eye),
    ),
    (
        "The mean is right, but the noise adds to the diagonal alone, 2s I.",
        _after(noise=lambda s, eye: 2 * s + 0 * eye),
    ),
    (
        "The mean is right. The covariance is multiplied from both sides, (I − sΛ) C (I − sΛ).",
        _after(last=lambda K, C: K @ C),
    ),
    (
        "The mean is right. The covariance is multiplied from both sides, (I − sΛ) C (I − sΛ).",
        _after(last=lambda K, C: C @ K),
    ),
    (
        "The mean is right. Here each entry was squared; (I − sΛ) is a matrix, so use @.",
        _after(last=lambda K, C: K**2 * C),
    ),
    ("The mean is right, but the drift acts on the covariance, too.", _after(last=lambda K, C: C)),
]


def _stacked(answer: object) -> object:
    """Return the learner's function, whose pair now comes as three rows: mean and covariance."""
    if not callable(answer):
        return answer

    @wraps(answer)
    def stacked(*arguments):
        pair = answer(*arguments)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Wrong("Return two things: the mean (2,) and the covariance (2, 2).")
        if [getattr(value, "shape", None) for value in pair] == [(2, 2), (2,)]:
            raise Wrong("Return the mean (2,) first, and then the covariance (2, 2).")
        return torch.cat([as_tensor(pair[0], (2,))[None], as_tensor(pair[1], (2, 2))])

    return stacked


@check(mistakes=AFTER)
def after_one_step(answer: object) -> str:
    """Check answer(mean, covariance, precision, s), the moments after a step on f = xᵀΛx/2."""
    m, C = torch.tensor([1.0, -2.0], dtype=torch.float64), _matrix([0.5, -0.2], [-0.2, 0.3])
    P, even = _matrix([1.5, 0.9], [0.9, 1.0]).inverse(), _matrix([0.25, 0.0], [0.0, 3.0])
    cases = {
        "Mean and covariance, row by row": (m, C, P, 0.25),
        "Mean and covariance after a large step": (m, C, P, 1.3),
        "Mean and covariance with a diagonal Λ": (3 * m.flip(0), 2 * C, even, 0.07),
        "Mean and covariance after a step from one point": (-m, 0 * C, P, 0.25),
    }
    mistakes = [(message, _stacked(mutant)) for message, mutant in AFTER]
    agree(_stacked(answer), _stacked(_after()), cases, mistakes)
    return "Iterate it, and you have the exact law of every Langevin chain on a Gaussian."


def _variances(Sigma: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(Sigma)


LARGEST: Mistakes = [
    (
        "That is 2/λ for the largest eigenvalue of Σ. λ belongs to Λ = Σ⁻¹.",
        lambda Sigma: 2 / _variances(Sigma)[-1],
    ),
    (
        "That is 2/λ for the smallest eigenvalue of Σ. λ belongs to Λ = Σ⁻¹.",
        lambda Sigma: 2 / _variances(Sigma)[0],
    ),
    (
        "That step suits the flat direction only; the steep one would blow up.",
        lambda Sigma: 2 * _variances(Sigma)[-1],
    ),
    (
        "This is 1/λ_max, where the steep direction is forgotten in one step. It settles up to"
        " twice that.",
        lambda Sigma: _variances(Sigma)[0],
    ),
    (
        "These are the variances along the coordinates. The steepest direction may lie between"
        " them: take eigenvalues.",
        lambda Sigma: 2 * Sigma.diagonal().min(),
    ),
    (
        "This takes the diagonal of Σ⁻¹. The steepest direction may lie between the coordinates:"
        " take eigenvalues.",
        lambda Sigma: 2 / Sigma.inverse().diagonal().max(),
    ),
    (
        "This uses standard deviations, the roots of Σ's eigenvalues. λ is one over a variance.",
        lambda Sigma: 2 * _variances(Sigma)[0] ** 0.5,
    ),
]


@check(mistakes=LARGEST)
def largest_step(answer: object) -> str:
    """Check answer(covariance), the step up to which a Langevin chain on N(0, Σ) settles."""
    cases = {
        "The largest step for a long ellipse": (_matrix([1.5, 0.9], [0.9, 1.0]),),
        "The largest step for an even ellipse": (_matrix([4.0, 0.0], [0.0, 0.25]),),
        "The largest step for one that leans to the left": (_matrix([0.3, -0.5], [-0.5, 6.0]),),
        "The largest step for a wide ellipse": (_matrix([90.0, 20.0], [20.0, 30.0]),),
        "The largest step in three dimensions": (
            _matrix([2.0, 0.3, -0.4], [0.3, 0.7, 0.2], [-0.4, 0.2, 5.0]),
        ),
    }
    agree(answer, lambda Sigma: 2 * _variances(Sigma)[0], cases, LARGEST)
    return "The steepest direction sets it, wherever it points; the flattest one pays for it."


def _on_grid(
    least: Callable = torch.min,
    total: Callable = lambda p, h: p.sum() * h**2,
    turn: bool = False,
    sign: float = -1.0,
) -> Callable[..., Tensor]:
    """Return the density e^{−f}/Z on a grid; with other arguments, with a mistake."""

    def density_by_quadrature(energy, axis):
        points = torch.cartesian_prod(axis, axis)
        f = energy(points.flip(1) if turn else points).reshape(len(axis), -1)
        p = (sign * (f - least(f))).exp()
        return p / total(p, axis[1] - axis[0])

    return density_by_quadrature


def _as_it_is(f: Tensor) -> float:
    return 0.0


_OVERFLOWS = (
    "e^(−f) leaves what float64 can hold, which ends near e^709 and e^−745. A constant added to f"
    " changes no density: which one makes the largest value 1?"
)
DENSITY: Mistakes = [
    (_OVERFLOWS, _on_grid(_as_it_is)),
    (_OVERFLOWS, _on_grid(torch.max)),
    (_OVERFLOWS, _on_grid(torch.mean)),
    ("This is e^(−f), not yet a density: divide by Z.", _on_grid(_as_it_is, lambda p, h: 1.0)),
    (
        "The largest value is 1 here. A density's integral is 1: divide by the sum times the area"
        " of a cell.",
        _on_grid(total=lambda p, h: 1.0),
    ),
    *(
        (
            "These sum to 1, so they are masses of cells. A density is mass per area.",
            _on_grid(least, lambda p, h: p.sum()),
        )
        for least in (torch.min, _as_it_is)
    ),
    *(
        (
            "Z is the sum times a cell's side here. In the plane a point stands for an area.",
            _on_grid(least, lambda p, h: p.sum() * h),
        )
        for least in (torch.min, _as_it_is)
    ),
    (
        "These are the masses of cells, times their area. A density is mass per area: divide.",
        _on_grid(total=lambda p, h: p.sum() / h**2),
    ),
    (
        "The average over the points is 1 here. Z is the sum times the area of one cell.",
        _on_grid(total=lambda p, h: p.mean()),
    ),
    (
        "m points leave m − 1 gaps between them, so a cell's side is a little larger.",
        _on_grid(total=lambda p, h: p.sum() * (h * (len(p) - 1) / len(p)) ** 2),
    ),
    (
        "Each row has an integral of 1 here: that is the density of x₂ where x₁ is known.",
        _on_grid(total=lambda p, h: p.sum(1, keepdim=True) * h),
    ),
    (
        "Each column has an integral of 1 here: that is the density of x₁ where x₂ is known.",
        _on_grid(total=lambda p, h: p.sum(0) * h),
    ),
    (
        "The axes are exchanged: p[i, j] is the density at (x_i, x_j), so the first index is that"
        " of the first coordinate.",
        _on_grid(turn=True),
    ),
    (
        "This is e^(+f), normalised: it is high where the energy is.",
        _on_grid(torch.max, sign=1.0),
    ),
    ("This is log p. The density was asked for.", lambda *a: _on_grid()(*a).log()),
]


@check(mistakes=DENSITY)
def density_by_quadrature(answer: object) -> str:
    """Check answer(energy, axis), the density on the grid of an energy from (n, 2) to (n,)."""
    places, cases = _matrix([1.2, 0.3], [1.2, 0.3], [-0.9, 1.4], [0.1, -0.8]), {}
    for what, sd, constant, m in [
        ("The density of an energy near 0", 0.45, 1.2, 31),
        ("The density of an energy near −2 000", 0.6, -2000.0, 41),
        ("The density of an energy that reaches 5 000", 0.08, 800.0, 121),
    ]:
        target = at_particles(shapes.blurred(places, sd**2).energy, 2)
        axis = torch.linspace(-5.1, 5.9, m, dtype=torch.float64)
        cases[what] = (lambda x, f=target, c=constant: f(x) + c, axis)
    agree(answer, _on_grid(), cases, DENSITY)
    return (
        "Entropy, KL and moments are sums over the same cells, and that is all the referee does in"
        " the plane. In ten dimensions, with 101 points an axis, there would be 10²⁰ of them."
    )


def _nearest(
    weigh: Callable = torch.exp, cell: Callable = lambda cell: cell, turn: bool = False
) -> Callable[..., Tensor]:
    """Return the mass nearest to each centre; with other arguments, one with a mistake."""

    def mode_weights(log_p, points, area, centres):
        near = torch.cdist(points, centres).argmin(1)
        values = weigh(log_p.T if turn else log_p).flatten() * cell(area)
        return torch.zeros(len(centres), dtype=torch.float64).index_add(0, near, values)

    return mode_weights


def _at_centres(log_p, points, area, centres):
    return torch.stack([log_p.flatten()[(points - c).norm(dim=1).argmin()].exp() for c in centres])


WEIGHTS: Mistakes = [
    ("These sums lack the area of a cell.", _nearest(cell=lambda cell: 1.0)),
    ("Multiply by the area of a cell once only.", _nearest(cell=lambda cell: cell**2)),
    (
        "This multiplies by a cell's side. In the plane a point stands for an area.",
        _nearest(cell=lambda cell: cell**0.5),
    ),
    ("These are sums of log p; the mass is a sum of p.", _nearest(weigh=lambda log_p: log_p)),
    (
        "These are the densities at the centres. A weight is a mass: sum p over the points that"
        " are nearest to a centre.",
        _at_centres,
    ),
    (
        "These are numbers of grid points. Weigh each point with p.",
        _nearest(weigh=torch.ones_like, cell=lambda cell: 1.0),
    ),
    (
        "These are areas. Weigh each point with p.",
        _nearest(weigh=torch.ones_like),
    ),
    (
        "These are shares of the area. Weigh each point with p.",
        lambda log_p, *a: _nearest(weigh=torch.ones_like, cell=lambda _: 1 / log_p.numel())(
            log_p, *a
        ),
    ),
    (
        "The axes are exchanged: log_p.flatten() has the order of points as it is.",
        _nearest(turn=True),
    ),
]


@check(mistakes=WEIGHTS)
def mode_weights(answer: object) -> str:
    """Check answer(log_p, points, cell, centres), the mass nearest to each centre, (k,)."""
    centres = _matrix([1.56, 0.02], [-0.96, 1.2], [-0.48, -1.44])
    cases = {}
    for what, shares, reach, m in [
        ("The two weights", [9, 1], 3.7, 31),
        ("The three weights", [5, 3, 2], 4.2, 71),
    ]:
        places = centres[: len(shares)].repeat_interleave(torch.tensor(shares), dim=0)
        on = plane.grid(reach, m)
        log_p, _ = plane.log_density(shapes.blurred(places, 0.16).energy, on)
        cases[what] = (log_p, on.points, on.cell, centres[: len(shares)])
    on = plane.grid(2.6, 11)
    log_p = torch.randn(11, 11, generator=seeded(4), dtype=torch.float64)
    log_p = log_p - torch.logsumexp(log_p.flatten(), 0) - math.log(on.cell)
    four = _matrix([2.2, 0.6], [-1.22, 1.86], [-0.84, -1.54], [6.0, 6.2])
    cases["The weights of a rough law"] = (log_p, on.points, on.cell, four)
    agree(answer, _nearest(), cases, WEIGHTS)
    return (
        "With it you can watch any law fill its modes. What a mode's tail has beyond the border"
        " counts for the neighbour."
    )
