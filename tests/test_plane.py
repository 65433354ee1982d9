"""The plane: draws agree with densities, the referee with closed forms, and bad input is named."""

import math

import pytest
import torch
from torch import Tensor

from cases import covariance_is, seeded
from helpers import jumps
from helpers.exact import GridError, plane
from helpers.langevin import mala
from helpers.shapes import SHAPES, _Shape, blurred, eight

every_shape = pytest.mark.parametrize("name", SHAPES)
COVARIANCE = torch.tensor([[2.0, 1.2], [1.2, 1.0]], dtype=torch.float64)
EYE, PRECISION = torch.eye(2, dtype=torch.float64), COVARIANCE.inverse()
ON = plane.grid(10.0, 101)


def normal(mean: list[float], covariance: Tensor) -> _Shape:
    return blurred(torch.tensor([mean], dtype=torch.float64), covariance)


def on_grid(shape: _Shape, on: plane._Grid = ON) -> Tensor:
    return plane.log_density(shape.energy, on)[0]


@every_shape
def test_a_shape_integrates_to_1_within_its_reach(name: str) -> None:
    shape = SHAPES[name]
    on = plane.grid(shape.reach, 151)
    log_p, log_z = plane.log_density(shape.energy, on)
    assert abs(log_z) < 2e-9
    assert (log_p.flatten() - shape.log_prob(on.points)).abs().max() < 2e-9


@every_shape
def test_draws_agree_with_the_density(name: str) -> None:
    """Both the mean of log p and the shares of a 4 × 4 board; draws that are 3 % too wide do not.

    The board's χ² has 15 degrees of freedom or fewer: 52 is passed once in 10⁵.
    """
    shape, n = SHAPES[name], 40_000
    draws, on = shape.draw(n, generator=seeded(1)), plane.grid(shape.reach, 201)
    p = on_grid(shape, on).exp() * on.cell

    def misfit(x: Tensor) -> tuple[float, float]:
        log_p = torch.cat([shape.log_prob(part) for part in x.split(4000)])
        entropy = -(p * p.div(on.cell).log().nan_to_num()).sum()
        return ((log_p.mean() + entropy) / log_p.std() * n**0.5).abs().item(), chi2(x)

    def chi2(x: Tensor) -> float:
        """Compare the shares of 16 cells, whose edges lie between grid points."""
        h = on.cell**0.5
        edges = on.axis[torch.tensor([70, 100, 130])] + h / 2
        cells = [
            torch.bucketize(v.contiguous(), edges) @ torch.tensor([4, 1]) for v in (x, on.points)
        ]
        mass = torch.zeros(16, dtype=torch.float64).index_add(0, cells[1], p.flatten())
        counts = torch.bincount(cells[0], minlength=16)
        full = mass > 1e-4
        return ((counts - n * mass).square() / (n * mass))[full].sum().item()

    z, distance = misfit(draws)
    assert z < 4
    assert distance < 52
    assert max(misfit(1.03 * draws)[0] / 4, misfit(1.03 * draws)[1] / 52) > 1


def test_two_draws_with_one_seed_are_equal_and_the_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    for shape in SHAPES.values():
        a, b = (shape.draw(7, generator=seeded(3)) for _ in range(2))
        assert torch.equal(a, b)
        assert (a.shape, a.dtype) == ((7, 2), torch.float64)
    assert torch.equal(before, torch.get_rng_state())


@every_shape
def test_the_energy_has_a_finite_gradient_wherever_a_chain_may_go(name: str) -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [-40.0, 30.0], [40.0, 0.0]], dtype=torch.float64)
    f = SHAPES[name].energy(x.requires_grad_())
    (gradient,) = torch.autograd.grad(f.sum(), x)
    assert f.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("covariance", [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]], 0.0])
def test_a_covariance_that_is_none_is_named(covariance) -> None:
    with pytest.raises(ValueError, match="must be symmetric and positive definite"):
        blurred(torch.zeros(1, 2), covariance)


def test_quadrature_agrees_with_closed_forms_on_a_gaussian() -> None:
    """Of p = N(a, C) and q = N(0, C'): log Z, entropy, moments, marginals and KL."""
    a, other = torch.tensor([0.5, -0.3], dtype=torch.float64), EYE * 2
    p, q = normal(a.tolist(), COVARIANCE), normal([0.0, 0.0], other)
    log_p, log_z = plane.log_density(lambda x: p.energy(x) - 3, ON)
    assert log_z == pytest.approx(3, abs=1e-8)
    right = math.log(2 * math.pi * math.e) + COVARIANCE.det().log().item() / 2
    assert plane.entropy(log_p, ON) == pytest.approx(right, abs=1e-7)
    mean, covariance = plane.moments(log_p, ON)
    assert (mean - a).abs().max() < 1e-7
    assert (covariance - COVARIANCE).abs().max() < 1e-6
    margin = plane.marginals(log_p, ON)[1]
    middle = -((ON.axis + 0.3) ** 2) / 2 - math.log(2 * math.pi) / 2
    assert (margin - middle)[30:70].abs().max() < 1e-7
    kl = (COVARIANCE.trace() + a @ a) / 4 - 1 + (other.det() / COVARIANCE.det()).log() / 2
    assert plane.kl(log_p, on_grid(q), ON) == pytest.approx(kl.item(), abs=1e-6)


@pytest.mark.parametrize(
    ("reach", "m", "said"),
    [(4.0, 101, "cuts off"), (10.0, 21, "too coarse"), (40.0, 101, "too coarse")],
)
def test_a_grid_that_cuts_off_or_is_too_coarse_is_refused(reach, m, said) -> None:
    with pytest.raises(GridError, match=said):
        on_grid(SHAPES["Gaussian"], plane.grid(reach, m))


def test_a_grid_refuses_no_more_than_it_must() -> None:
    """Where it accepts one, log Z is right to 3e-5, most often far better."""
    for shape in SHAPES.values():
        for m in range(15, 100, 8):
            try:
                _, log_z = plane.log_density(shape.energy, plane.grid(shape.reach, m))
            except GridError:
                continue
            assert abs(log_z) < 3e-5


@pytest.mark.parametrize(("reach", "m"), [(1.0, 2000), (1.0, 5), (0.0, 51), (math.nan, 51)])
def test_a_grid_that_is_none_is_named(reach, m) -> None:
    with pytest.raises(ValueError, match=r"^(m|reach) is "):
        plane.grid(reach, m)


def test_what_is_no_law_is_named() -> None:
    log_p = on_grid(SHAPES["Gaussian"])
    for wrong, said in [(log_p[:-1], "has shape"), (log_p + 1, "has the mass 2.718")]:
        for ask in (
            lambda v: plane.kl(log_p, v, ON),
            lambda v: plane.moments(v, ON),
            lambda v: next(
                plane.law(v, plane.langevin_step(SHAPES["moons"].energy, 0.1, ON), 1, ON)
            ),
        ):
            with pytest.raises(ValueError, match=said):
                ask(wrong)
    with pytest.raises(ValueError, match="entries; take a coarser grid"):
        plane.mala_step(SHAPES["Gaussian"].energy, 0.5, ON)
    with pytest.raises(ValueError, match="means have shape"):
        plane.gaussian_step(ON.axis[:, None], 1.0, ON)
    with pytest.raises(ValueError, match="log Z = inf"):
        plane.log_density(lambda x: x[:, 0] * -math.inf, ON)


def closed_form(mean: Tensor, covariance: Tensor, drift: Tensor, s: float, k: int):
    """Return mean and covariance after k steps x ← x − s · drift · x + √(2s) N."""
    keep = EYE - s * drift
    for _ in range(k):
        mean, covariance = keep @ mean, keep @ covariance @ keep.T + 2 * s * EYE
    return mean, covariance


@pytest.mark.parametrize("turn", [0.0, 1.4], ids=["plain", "with a rotation"])
def test_the_law_agrees_with_the_closed_form(turn: float) -> None:
    """After each of 50 steps from N((1, −1), 0.3 I): mean, covariance and the density itself."""
    s, start = 0.05, [1.0, -1.0]
    whirl = torch.tensor([[1.0, turn], [-turn, 1.0]], dtype=torch.float64)
    on = plane.grid(10.0, 121)
    step = plane.gaussian_step(on.points - s * on.points @ (whirl @ PRECISION).T, 2 * s, on)
    if not turn:
        same = plane.langevin_step(SHAPES["Gaussian"].energy, s, on)
        p = on_grid(normal(start, 0.3), on).exp()
        assert (same.apply(p) - step.apply(p)).abs().max() < 1e-12
    first = on_grid(normal(start, 0.3), on)
    for k, log_p in enumerate(plane.law(first, step, 50, on)):
        begin = torch.tensor(start, dtype=torch.float64), 0.3 * EYE
        mean, covariance = closed_form(*begin, whirl @ PRECISION, s, k)
        found = plane.moments(log_p, on)
        assert (found[0] - mean).abs().max() < 1e-7
        assert (found[1] - covariance).abs().max() < 1e-6
    exact = normal(mean.tolist(), (covariance + covariance.T) / 2).log_prob(on.points).exp()
    assert (log_p.exp().flatten() - exact).abs().max() < 1e-9


@pytest.mark.parametrize(("reach", "s"), [(10.0, 0.008), (10.0, 0.5)], ids=["coarse", "unstable"])
def test_a_law_that_the_grid_cannot_hold_is_refused(reach: float, s: float) -> None:
    """2/λ_max = 0.4: beyond it the law grows off the grid."""
    shape, on = SHAPES["Gaussian"], plane.grid(reach, 101)
    step = plane.langevin_step(shape.energy, s, on)
    with pytest.raises(GridError, match="the grid loses a mass"):
        list(plane.law(on_grid(shape, on), step, 100, on))


SMALL = plane.grid(3.2, 45)
FOUR = blurred(torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-0.4, 0.0]]), 0.1)


def wide(x: Tensor) -> Tensor:
    return jumps.wide().log_density(x)


def test_a_jump_is_the_sum_over_all_pairs() -> None:
    """The matrix of all pairs, min(1, w_y/w_x) g(y), written out."""
    log_p, step = on_grid(FOUR, SMALL), plane.jump_step(FOUR.energy, wide, SMALL)
    g = wide(SMALL.points).exp() * SMALL.cell
    w = log_p.flatten().exp() / g
    pairs = (w / w[:, None]).clamp(max=1) * g
    pairs.diagonal().add_(1 - pairs.sum(1))
    p = on_grid(normal([0.5, 0.2], 0.2), SMALL).exp()
    assert (step.apply(p).flatten() - p.flatten() @ pairs).abs().max() < 1e-12


@pytest.mark.parametrize("kind", ["mala", "jump"])
def test_accept_reject_keeps_the_density(kind: str) -> None:
    log_p = on_grid(FOUR, SMALL)
    step = {
        "mala": lambda: plane.mala_step(FOUR.energy, 0.05, SMALL),
        "jump": lambda: plane.jump_step(FOUR.energy, wide, SMALL),
    }[kind]()
    *_, last = plane.law(log_p, step, 20, SMALL)
    assert (last.exp() - log_p.exp()).abs().max() < 1e-7
    off = on_grid(normal([0.5, 0.2], 0.2), SMALL)
    *_, moved = plane.law(off, step, 20, SMALL)
    assert plane.kl(log_p, moved, SMALL) < 0.8 * plane.kl(log_p, off, SMALL)


def test_mala_in_the_plane_is_what_particles_do() -> None:
    """After four steps of 0.1, acceptance about 0.8: mean and covariance of 20 000 particles."""
    start = normal([0.5, 0.2], 0.2)
    x = mala(FOUR.energy, start.draw(20_000, generator=seeded(1)), 4, 0.1, generator=seeded(2))
    step = plane.mala_step(FOUR.energy, 0.1, SMALL)
    *_, last = plane.law(on_grid(start, SMALL), step, 4, SMALL)
    mean, covariance = plane.moments(last, SMALL)
    assert ((x.mean(0) - mean).abs() < 5 * (covariance.diagonal() / len(x)).sqrt()).all()
    assert covariance_is(x, covariance)


def test_eight_separate_gaussians_have_the_entropy_of_one_and_of_the_choice() -> None:
    on = plane.grid(2.7, 201)
    right = math.log(8) + math.log(2 * math.pi * math.e * 0.1**2)
    assert plane.entropy(on_grid(eight(0.1), on), on) == pytest.approx(right, abs=1e-7)
