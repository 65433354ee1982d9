"""What the referee refuses: another kind of curve, another shape, a grid that cannot hold it."""

import math

import numpy as np
import pytest
import torch

from cases import CENTRED, X, quadratic, seeded, starts
from helpers import exact
from helpers.densities import draw, energy_of, gaussian, mixture
from helpers.exact import GridError, grid
from helpers.langevin import DivergenceError, langevin_monte_carlo, mala

TWO = torch.stack([CENTRED, CENTRED])
DRAWS = draw(gaussian(0.0, 1.0), len(X), generator=seeded())
LAW_USERS = {
    "kl of": lambda p, x: exact.kl(p, CENTRED, x),
    "kl to": lambda p, x: exact.kl(CENTRED, p, x),
    "w1": lambda p, x: exact.w1(DRAWS, p, x),
    "moments": exact.moments,
    "perfect_draws": lambda p, x: exact.perfect_draws(p, x, 5, generator=seeded()),
    "w1_floor": lambda p, x: exact.w1_floor(p, x, 5, generator=seeded(), repeats=2),
    "mean_w1": lambda p, x: exact.mean_w1(p, x, 5),
    "law": lambda p, x: exact.law(p, quadratic(0, 1), x, 1, 0.5),
    "cdf": exact.cdf,
    "w1_of_laws": lambda p, x: exact.w1_of_laws(p, CENTRED, x),
}
OF_LAWS = pytest.mark.parametrize("use", LAW_USERS.values(), ids=LAW_USERS)
OF_ONE_LAW = pytest.mark.parametrize("use", list(LAW_USERS.values())[:-2], ids=list(LAW_USERS)[:-2])
WRONG = {
    "density": CENTRED.exp(),
    "energy": -CENTRED,
    "not normalised": CENTRED + 1e-4,
    "another grid's": CENTRED[:-1],
    "column": CENTRED[:, None],
    "samples": DRAWS,
    "sorted samples": DRAWS.flatten().sort().values,
    "NaN": torch.where(X > 3, math.nan, CENTRED),
    "array": CENTRED.numpy(),
    "float32": CENTRED.float(),
    "number": 0.0,
}


@OF_LAWS
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_no_law_on_the_grid_is_refused(use, wrong) -> None:
    with pytest.raises(
        ValueError, match=r"^(a log-density (integrates to|has shape|has type)|x = .* cuts off)"
    ):
        use(wrong, X)


@OF_ONE_LAW
@pytest.mark.parametrize("wrong", [TWO, TWO[:1]], ids=["two laws", "(1, m)"])
def test_many_laws_are_refused_where_one_is_meant(use, wrong) -> None:
    with pytest.raises(
        ValueError, match=r"^a log-density has shape \(\d, 1201\); it must be \(1201,\)"
    ):
        use(wrong, X)


def test_many_laws_are_taken_where_they_may_be() -> None:
    assert exact.cdf(TWO, X).shape == TWO.shape
    assert exact.w1_of_laws(TWO, CENTRED, X).tolist() == [0, 0]


GRIDS = {
    "descending": X.flip(0),
    "uneven": X + 0.01 * X.sin(),
    "logarithmic": torch.logspace(-2, 1, len(X), dtype=torch.float64),
    "NaN": torch.full_like(X, math.nan),
    "constant": torch.zeros_like(X),
}


@pytest.mark.parametrize("x", GRIDS.values(), ids=GRIDS)
def test_what_is_no_grid_is_refused(x) -> None:
    """By everything that takes one."""
    calls = [lambda use=use: use(CENTRED, x) for use in LAW_USERS.values()]
    calls += [
        lambda: exact.log_partition(quadratic(0, 1), x),
        lambda: exact.log_density(quadratic(0, 1), x, restricted=True),
        lambda: exact.nll(starts(), quadratic(0, 1), x),
        lambda: exact.uniform_law(0, 1, x),
        lambda: exact.gaussian_kernel(X, 1.0, x),
        *(lambda k=k: k(quadratic(0, 1), x, 0.1) for k in KERNELS),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^x has spacings from .*; it must be a grid, evenly"):
            call()


KERNELS = (exact.langevin_kernel, exact.mala_kernel, exact.leimkuhler_matthews_kernel)


@pytest.mark.parametrize(
    "x", [X.numpy(), X[:, None], X[:2], X.long(), X.float(), 3.0, [0.0, 1.0, 2.0]]
)
def test_a_grid_is_a_tensor(x) -> None:
    for call in (
        lambda: exact.log_partition(quadratic(0, 1), x),
        lambda: exact.moments(CENTRED, x),
        lambda: exact.uniform_law(0, 1, x),
    ):
        with pytest.raises(TypeError, match=r"^x is .*; it must be a grid \(m,\), as exact\.grid"):
            call()


def test_mass_in_a_gap_beyond_the_grid_is_missed() -> None:
    """½N(5, 1) + ½N(30, 1) on [−5, 15] has no tails there, and half its mass."""
    x = grid(-5, 15)
    p, q = mixture([0.5, 0.5], [5.0, 30.0], [1.0, 1.0]).log_prob(x), gaussian(5.0, 1.0).log_prob(x)
    for call in (lambda: exact.kl(p, q, x), lambda: exact.kl(q, p, x), lambda: exact.cdf(p, x)):
        with pytest.raises(ValueError, match=r"^a log-density integrates to 0\.5 on"):
            call()


@pytest.mark.parametrize("use", [*list(LAW_USERS.values())[3:7], exact.cdf])
@pytest.mark.parametrize("sd", [0.0003, 0.003, 0.004, 0.005, 0.0057])
@pytest.mark.parametrize("centre", [5.0, 5.0025, 5.003, 5.005])
def test_a_law_narrower_than_the_grid_s_cells_is_refused(use, sd, centre) -> None:
    """Whatever its phase: a quarter of a cell off, the mass alone would not tell."""
    x = grid(-5, 15)
    with pytest.raises(ValueError, match=r"integrates to|^x has a spacing of 0\.01, too coarse"):
        use(gaussian(centre, sd).log_prob(x), x)
    use(gaussian(centre, 0.015).log_prob(x), x)
    with pytest.raises(GridError, match=r"^x has a spacing of 0\.01, too coarse"):
        exact.log_partition(quadratic(centre, sd), x)


def test_laws_with_edges_are_no_coarse_ones() -> None:
    """A box of five cells, or a single point, is what it is."""
    x = grid(-10, 10, 201)
    assert exact.moments(exact.uniform_law(1.05, 1.55, x), x)[0] == pytest.approx(1.3, abs=1e-9)
    point = torch.full_like(x, -math.inf)
    point[120] = -math.log(0.1)
    assert exact.moments(point, x) == pytest.approx((2, 0), abs=1e-9)


@pytest.mark.parametrize("low, high", [(0.0, 10.0), (-5.0, 15.0), (10.0, 15.0)])
def test_a_box_may_end_where_the_grid_does(low, high) -> None:
    """Nothing lies beyond: its mass is all there."""
    x = grid(-5, 15) if high == 15 else grid(0, 10)
    p = exact.uniform_law(low, high, x)
    q = gaussian(5.0, 9.0).log_prob(grid(-60, 70, 6501))
    wide = exact.uniform_law(low, high, grid(-60, 70, 6501))
    assert exact.w1([low, high], p, x) == pytest.approx((high - low) / 4, abs=0.02)
    assert exact.kl(p, p, x) == 0 and exact.kl(wide, q, grid(-60, 70, 6501)) > 0


@pytest.mark.parametrize("samples", [[2.0], [2.0, 2.0], np.full(50, 2.0), torch.full((7, 1), 2.0)])
def test_a_cloud_at_one_point_has_a_w1(samples) -> None:
    """E|Z − 2| for Z ~ N(0, 1) is 2φ(2) + 2(2Φ(2) − 1)."""
    expected = 2 * math.exp(-2) / math.sqrt(2 * math.pi) + 2 * math.erf(math.sqrt(2))
    assert exact.w1(samples, CENTRED, X) == pytest.approx(expected, abs=0.01)


def test_nll_takes_a_column_in_either_shape() -> None:
    """Not 1 413 for 1.41."""
    expected = exact.nll(DRAWS, quadratic(0, 1), X)
    assert exact.nll(DRAWS[:, 0], quadratic(0, 1), X) == expected == pytest.approx(1.42, abs=0.1)
    for wrong in (DRAWS[:1200].reshape(-1, 2), DRAWS[None], DRAWS[:0]):
        with pytest.raises(ValueError, match=r"^samples "):
            exact.nll(wrong, quadratic(0, 1), X)


@pytest.mark.parametrize(
    "call, said",
    [
        (
            lambda: exact.perfect_draws(CENTRED, X, 0, generator=seeded()),
            "n is 0; it must be a whole",
        ),
        (lambda: exact.perfect_draws(CENTRED, X, 2.5, generator=seeded()), "n is 2.5; it must be"),
        (lambda: exact.perfect_draws(CENTRED, X, 5, generator=None), "generator is None; it must"),
        (lambda: exact.w1_floor(CENTRED, X, 0, generator=seeded()), "n is 0; it must be a whole"),
        (
            lambda: exact.w1_floor(CENTRED, X, 5, generator=seeded(), repeats=0),
            "repeats is 0; it mu",
        ),
        (
            lambda: exact.w1_floor(CENTRED, X, 5, generator=seeded(), repeats=1.5),
            "repeats is 1.5; it",
        ),
        (lambda: exact.mean_w1(CENTRED, X, -5), "n is -5; it must be a whole number"),
        (
            lambda: exact.outer_slopes(quadratic(0, 1), far=-1),
            "far is -1; it must be a finite number",
        ),
        (
            lambda: exact.outer_slopes(quadratic(0, 1), far=math.inf),
            "far is inf; it must be a finite",
        ),
        (lambda: exact.uniform_law("0", 1, X), "low is '0'; it must be a finite number"),
        (lambda: exact.uniform_law(math.nan, 1, X), "low is nan; it must be a finite number"),
        (lambda: exact.gaussian_kernel(X, -1.0, X), "variance is -1.0; it must be a finite number"),
        (
            lambda: next(exact.gaussian_moments(0, 1, 0, 0, [])),
            "sd is 0; it must be a finite number",
        ),
        *(
            (lambda k=k: k(quadratic(0, 1), X, -0.1), "s is -0.1; it must be a fin")
            for k in KERNELS
        ),
    ],
)
def test_numbers_are_checked(call, said) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        call()


NO_NUMBER = {
    "nan": (lambda x: torch.where(x > 1, math.nan, x**2).sum(-1), "nan at x = 1.02"),
    "-inf": (lambda x: torch.where(x.abs() < 0.01, -math.inf, x**2).sum(-1), "-inf at x = "),
    "nowhere": (lambda x: 0 * x.sum(-1) + math.inf, "inf on the whole grid"),
}


@pytest.mark.parametrize("energy, said", NO_NUMBER.values(), ids=NO_NUMBER)
def test_an_energy_must_be_a_number(energy, said) -> None:
    """And the grid is not said to cut something off."""
    for call in (
        lambda: exact.log_partition(energy, X),
        lambda: exact.log_partition(energy, X, restricted=True),
        lambda: exact.log_density(energy, X),
        lambda: exact.nll(starts(), energy, X),
        *(lambda k=k: k(energy, X, 0.1) for k in KERNELS),
    ):
        with pytest.raises(ValueError, match=rf"^energy is {said}.*; it must be a number"):
            call()


def test_an_energy_may_be_infinite_where_the_density_is_zero() -> None:
    """Γ(3) has f = x − 2 log x for x > 0: Z = 2, and MALA's law goes to it."""
    energy, x = energy_of(torch.distributions.Gamma(3.0, 1.0)), grid(-2, 40, 2101)
    assert exact.log_partition(energy, x).item() == pytest.approx(0, abs=1e-5)
    log_p = exact.log_density(energy, x, restricted=True)
    assert exact.moments(log_p, x) == pytest.approx((3, math.sqrt(3)), abs=1e-4)
    kernel = exact.mala_kernel(energy, x, 0.3)
    assert kernel.isfinite().all() and kernel.min() >= 0 and kernel[x < 0].sum() == 0
    torch.testing.assert_close(log_p.exp() @ kernel, log_p.exp(), rtol=0, atol=1e-9)
    assert (log_p.exp() @ kernel)[x < 0].max() < 1e-200
    start = exact.uniform_law(4, 5, x)
    law = exact.law(start, energy, x, 400, 0.3, kernel=exact.mala_kernel)[-1]
    assert exact.w1_of_laws(law, log_p, x) < 1e-3
    x0 = 4.5 + torch.zeros(40_000, 1, dtype=torch.float64)
    y = mala(energy, x0, 400, 0.3, generator=seeded())
    assert exact.w1(y, log_p, x) < 5 * exact.mean_w1(log_p, x, len(y))


def test_a_plain_chain_s_law_is_lost_where_the_energy_is_infinite() -> None:
    """As the sampler says, which stops there."""
    energy, x = energy_of(torch.distributions.Exponential(1.0)), grid(-5, 30, 3501)
    with pytest.raises(GridError, match=r"^x loses a mass of .* by step 2"):
        exact.law(exact.uniform_law(0.2, 0.6, x), energy, x, 5, 0.1)
    with pytest.raises(DivergenceError, match="the value inf"):
        langevin_monte_carlo(energy, starts().abs() + 0.2, 50, 0.1, generator=seeded())
