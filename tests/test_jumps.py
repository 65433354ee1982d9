"""Jumps, their proposals, and the sampler that draws from a finished model.

Stochastic tolerances are 5 standard errors, the seed fixed, or 2.75/√n for an empirical
distribution function, as in test_langevin.
"""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm
from torch import Tensor

from cases import CORRELATED, N, correlated, covariance_is, quadratic, seeded, starts
from helpers import exact, jumps
from helpers.densities import draw, energy_of, gaussian, mixture
from helpers.jumps import Proposal, defensive, jump, move, sample, wide
from helpers.langevin import DivergenceError
from helpers.rivals import mixture_by_bic

MIXTURE = mixture([0.3, 0.7], [-2.0, 1.5], [0.5, 0.9])
NUS = pytest.mark.parametrize("nu", [math.inf, 3.0])


def near(nu: float, d: int = 1, scale: float = 1.0) -> tuple[Proposal, Tensor]:
    """Return a defensive proposal fitted to data of d columns, and these, standardised."""
    data = draw(MIXTURE, 2000 * d, generator=seeded(7)).view(2000, d)
    data[:, -1] += 0.5 * data[:, 0]
    centre, unit = scale * data.mean(0), scale * data.std(0)
    proposal = defensive(mixture_by_bic(scale * data), centre, unit, nu)
    return proposal, (scale * data - centre) / unit


# --- where jumps may go --------------------------------------------------------------------------


@NUS
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_proposal_draws_what_its_density_says(nu, scale) -> None:
    """In one dimension: the density is one, and 40 000 draws of it follow it."""
    x = exact.grid(-4000, 4000, 320_001)
    for proposal in (wide(nu=nu), wide(0.5, nu=nu), near(nu, scale=scale)[0]):
        log_g = proposal.log_density(x[:, None])
        assert exact.integrate(log_g.exp(), x).item() == pytest.approx(1, abs=1e-6)
        z = proposal.like(starts(N), seeded())
        assert z.shape == (N, 1) and z.dtype == torch.float64
        F = exact.cdf(log_g, x).numpy()
        compared = kstest(z.flatten().numpy(), lambda y, F=F: np.interp(y, x.numpy(), F))
        assert compared.statistic < 2.75 / math.sqrt(N)


@NUS
def test_a_proposal_draws_what_its_density_says_in_the_plane(nu) -> None:
    """Importance weights of draws of another density average to 1, as do those of its own."""
    proposal, data = near(nu, 2)
    z, other = proposal.like(data.repeat(20, 1), seeded()), wide(3.0, nu=1.0)
    y = other.like(z, seeded(1))
    for points, log_w in (
        (y, proposal.log_density(y) - other.log_density(y)),
        (z, wide(1.0).log_density(z) - proposal.log_density(z)),
    ):
        w = log_w.exp()
        assert abs(w.mean() - 1) < 5 * w.std() / math.sqrt(len(points))
    if math.isinf(nu):  # 0.9 · data and 0.1 · N(0, 4 I); of a mixture by EM the moments are exact
        expected = 0.9 * data.T.cov() + 0.4 * torch.eye(2)
        torch.testing.assert_close(z.T.cov(), expected, rtol=0.05, atol=0.02)
        torch.testing.assert_close(z.mean(0), torch.zeros(2).double(), rtol=0, atol=0.04)


def test_the_wide_share_is_a_floor_everywhere() -> None:
    """However far out, g is at least a tenth of the wide part, and its draws go there."""
    proposal, _ = near(3.0)
    far = torch.tensor([[-500.0], [0.1], [500.0]], dtype=torch.float64)
    floor = wide(nu=3.0).log_density(far) + math.log(0.1)
    assert (proposal.log_density(far) >= floor).all()
    torch.testing.assert_close(proposal.log_density(far)[[0, 2]], floor[[0, 2]])


# --- jumps ---------------------------------------------------------------------------------------


@NUS
@pytest.mark.parametrize("d", [1, 2])
def test_a_jump_leaves_its_law_as_it_is(nu, d) -> None:
    """Perfect draws of N(0, Σ) stay such, though the proposal is another law, and many move."""
    covariance = CORRELATED[:d, :d] / 4
    factor = torch.linalg.cholesky(covariance)
    z0 = torch.randn(N, d, generator=seeded(1), dtype=torch.float64) @ factor.T
    proposal, z, g = near(nu, d)[0], z0, seeded(2)
    for _ in range(5):
        z = jump(
            lambda z: (z @ covariance.inverse() * z).sum(-1) / 2, z, generator=g, proposal=proposal
        )
    assert covariance_is(z, covariance)
    assert (z.mean(0).abs() < 5 * (covariance.diagonal() / N).sqrt()).all()
    assert (z != z0).all(1).double().mean() > 0.4


def test_jumps_from_the_wide_proposal_leave_the_plane_s_gaussian_as_it_is() -> None:
    factor = torch.linalg.cholesky(CORRELATED)
    x0 = torch.randn(N, 2, generator=seeded(1), dtype=torch.float64) @ factor.T
    g = seeded(2)
    x = jump(correlated, jump(correlated, x0, generator=g), generator=g)
    assert covariance_is(x, CORRELATED)
    assert (x != x0).all(1).double().mean() > 0.5


def test_jumps_carry_particles_to_the_other_mode() -> None:
    """From one mode alone, 40 jumps share the particles out by the modes' weights."""
    energy = energy_of(mixture([0.2, 0.8], [-1.5, 1.5], [0.3, 0.3]))
    x, before = torch.full((N, 1), -1.5, dtype=torch.float64), torch.get_rng_state()
    g = seeded()
    for _ in range(40):
        x = jump(energy, x, generator=g)
    share = (x > 0).double().mean()
    assert abs(share - 0.8) < 5 * math.sqrt(0.16 / N)
    assert torch.equal(before, torch.get_rng_state())


def test_a_jump_within_its_own_proposal_is_always_accepted() -> None:
    """If p = N(0, τ²) is the proposal too, every particle moves, from anywhere, to N(0, τ²)."""
    tau, x0 = 0.7, starts(N)
    x = jump(quadratic(0, tau), x0, generator=seeded(), proposal=wide(tau))
    assert (x != x0).all()
    assert abs(x.mean()) < 5 * tau / math.sqrt(N)
    assert abs(x.var() - tau**2) < 5 * tau**2 * math.sqrt(2 / N)


def test_sample_draws_the_energy_it_is_given() -> None:
    """Started from data of the wrong weights, in other units, it ends with the energy's own law."""
    weights, n = [0.3, 0.7], 10_000
    target = mixture(weights, [94.0, 106.0], [1.5, 2.0])
    data = draw(mixture([0.5, 0.5], [94.0, 106.0], [1.5, 2.0]), 500, generator=seeded(1))
    x = sample(energy_of(target), n, data=data, generator=seeded(2))
    assert x.shape == (n, 1) and x.dtype == torch.float64

    def exact(y):
        return 0.3 * norm.cdf(y, 94, 1.5) + 0.7 * norm.cdf(y, 106, 2)

    assert kstest(x.flatten().numpy(), exact).statistic < 2.75 / math.sqrt(n)


def test_sample_works_in_two_dimensions_and_touches_nothing() -> None:
    """Columns keep their own scales; the data and the global random state stay as they were."""
    scale = torch.tensor([100.0, 0.01], dtype=torch.float64)
    data = torch.randn(300, 2, generator=seeded(1), dtype=torch.float64) * scale
    kept, before = data.clone(), torch.get_rng_state()
    x = sample(lambda x: ((x / scale) ** 2).sum(-1) / 2, 4000, data=data, generator=seeded(2))
    assert covariance_is(x / scale, torch.eye(2, dtype=torch.float64))
    assert torch.equal(data, kept) and torch.equal(before, torch.get_rng_state())
    first, second = (sample(quadratic(0, 1), 4, data=data, rounds=2) for _ in range(2))
    assert not torch.equal(first, second) and torch.equal(before, torch.get_rng_state())


def test_sample_finds_its_step_where_jumps_do_not_help() -> None:
    """A target of a twentieth of the data's width refuses s = 0.1; steered, MALA reaches it."""
    data = torch.randn(300, 2, generator=seeded(1), dtype=torch.float64)
    x = sample(quadratic(0, 0.05), 2000, data=data, generator=seeded(2), rounds=200)
    assert covariance_is(x, 0.05**2 * torch.eye(2, dtype=torch.float64))


def test_sample_keeps_its_step_in_the_second_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a step that is kept leaves p as it is: 10 rounds steer it, 10 more do not."""
    steps = []

    def noted(energy, z, step, generator, proposal):
        steps.append(step)
        return move(energy, z, step, generator, proposal)

    monkeypatch.setattr(jumps, "move", noted)
    sample(quadratic(0, 1), 50, data=starts(20), generator=seeded(), rounds=20)
    assert len(set(steps[:11])) == 11 and len(steps) == 20
    assert set(steps[10:]) == {steps[10]}


BAD_WHOLE = [0, -1, 2.5, True, "3", None, math.nan]


@pytest.mark.parametrize(
    "name, bad", [("n", v) for v in BAD_WHOLE] + [("rounds", v) for v in BAD_WHOLE[1:]]
)
def test_sample_names_a_bad_number(name, bad) -> None:
    """One sentence each, and nothing is drawn."""
    options = {"n": 3, "data": [0.0, 1.0], name: bad}
    with pytest.raises(
        (TypeError, ValueError), match=rf"^{name} is {bad!r}; it must be a whole [^.]*\.$"
    ):
        sample(quadratic(0, 1), **options)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"data": [0.0]}, r"data holds 1 value\(s\)"),
        ({"data": [1.0, 1.0]}, "data has a constant column"),
        ({"data": [1.0, math.nan]}, "data holds 1 row"),
        ({"data": "petals"}, "data is a str"),
        ({"generator": 0}, r"generator is 0; it must be a torch\.Generator"),
        ({"generator": np.random.default_rng(0)}, "generator is Generator.*; it must be a torch"),
    ],
)
def test_sample_names_what_else_is_bad(options, said) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + said):
        sample(quadratic(0, 1), **({"n": 3, "data": [0.0, 1.0]} | options))


def test_sample_takes_numpy_s_numbers_and_no_rounds() -> None:
    """Without a round it returns data, and says nothing."""
    data = starts(20)
    x = sample(quadratic(0, 1), np.int64(7), data=data.numpy(), rounds=np.int32(0))
    assert x.shape == (7, 1) and torch.isin(x, data).all()


# --- what sample says of an energy that it cannot draw from --------------------------------------


@pytest.mark.parametrize(
    "energy",
    [
        energy_of(mixture([0.5, 0.5], [-100.0, -93.0], [1.0, 1.0])),
        energy_of(mixture([0.5, 0.5], [-100.0, -60.0], [1.0, 1.0])),
        energy_of(mixture([0.97, 0.03], [-100.0, -80.0], [1.0, 0.5])),
        lambda x: 0 * x.sum(-1),
        lambda x: -(x**2).sum(-1),
        lambda x: (x**2).sum(-1).sqrt() / 100,
    ],
    ids=[
        "a mode without data",
        "farther off",
        "a small one",
        "f = 0",
        "f = −x²",
        "f much wider than the data",
    ],
)
def test_sample_says_so_if_the_start_matters(energy) -> None:
    """Data around −100 alone: a warning, or an error, but no samples without a word."""
    data = draw(gaussian(-100.0, 1.0), 500, generator=seeded(1))
    with pytest.warns(UserWarning, match=r"^after rounds = 100 the samples still depend on .*\.$"):
        sample(energy, 2000, data=data, generator=seeded(2))


@pytest.mark.parametrize("share, right", [(0.91, True), (0.998, False)])
def test_sample_weighs_modes_that_are_far_apart_or_says_so(share, right) -> None:
    """Modes 200 sd apart, of data with the wrong weights: the jumps know both places."""
    modes = [-100.0, 100.0], [1.0, 1.0]
    data = draw(mixture([share, 1 - share], *modes), 10_000, generator=seeded(1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        x = sample(energy_of(mixture([0.5, 0.5], *modes)), 5000, data=data, generator=seeded(2))
    assert bool(caught) != right
    assert (abs((x > 0).double().mean() - 0.5) < 2.5 / math.sqrt(5000)) == right


def test_sample_says_so_if_few_rounds_are_too_few() -> None:
    """A chain from data that are a hundred times as wide as p is not at its end after 4 rounds."""
    data = draw(gaussian(0.0, 100.0), 500, generator=seeded(1))
    with pytest.warns(UserWarning, match="after rounds = 4 the samples still depend on"):
        sample(quadratic(0, 1), 2000, data=data, generator=seeded(2), rounds=4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_sample_is_silent_where_all_is_well(seed, d, scale) -> None:
    """Its two starts agree, whether the data are p's or of other weights; warnings are errors."""
    target = mixture([0.5, 0.5], [-2.0, 2.0], [0.6, 0.9])
    data = scale * draw(MIXTURE, 300 * d, generator=seeded(seed)).view(300, d)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = sample(
            lambda x: energy_of(target)((x / scale).view(-1, 1)).view(-1, d).sum(-1),
            2000,
            data=data,
            generator=seeded(10 + seed),
        )
    distribution = exact.cdf(target.log_prob(exact.grid(-9, 9)), exact.grid(-9, 9)).numpy()
    for column in (x / scale).T.numpy():
        compared = kstest(column, lambda y: np.interp(y, exact.grid(-9, 9).numpy(), distribution))
        assert compared.statistic < 2.75 / math.sqrt(2000)


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_sample_refuses_an_energy_that_is_no_number_where_data_are(bad) -> None:
    """Such a particle would never move, and the data would come back as samples."""
    for energy in (lambda x: x.sum(-1) * bad, lambda x: torch.where(x > 0.5, bad, x**2).sum(-1)):
        with pytest.raises((DivergenceError, ValueError), match="energy"):
            sample(energy, 50, data=starts(20), generator=seeded())
    net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Flatten(0)).double()
    torch.nn.init.constant_(net[0].weight, math.nan)
    with pytest.raises(DivergenceError, match=r"diverged at step 1: .*\[nan\]"):
        sample(net, 50, data=starts(20), generator=seeded())


def test_sample_refuses_an_energy_in_train_mode() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Dropout(), torch.nn.Linear(4, 1))
    net = net.append(torch.nn.Flatten(0)).double()
    with pytest.raises(ValueError, match="train mode"):
        sample(net, 50, data=starts(20), generator=seeded())
