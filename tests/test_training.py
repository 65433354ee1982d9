"""The recipes against exact densities, and the samplers that only they use."""

import math
from functools import partial

import pytest
import torch

from helpers import densities, exact, training
from helpers.article import fit_energy_as_published
from helpers.data import kde_log_density
from helpers.energy import EnergyNet
from helpers.langevin import DivergenceError, energy_and_gradient, jump, move, sample

TWO_MODES = densities.mixture([0.5, 0.5], [-2.0, 2.0], [0.6, 0.9])
X = exact.grid(-20, 20, 4001)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def fit():
    """Fit the two modes with the default recipe."""
    samples = densities.draw(TWO_MODES, 10_000, generator=seeded())
    watch = partial(exact.nll, samples, x=X)
    return samples, *training.fit_energy(samples, watch=watch, show_progress=False)


def test_the_recipe_halves_the_kl_of_the_kde(fit):
    samples, energy, _ = fit
    log_p = TWO_MODES.log_prob(X)
    kde = exact.kl(log_p, kde_log_density(samples, X), X)
    assert exact.kl(log_p, exact.log_density(energy, X), X) < kde / 2


def test_the_watch_sees_the_energy_after_every_40_updates(fit):
    samples, energy, record = fit
    assert record["watch"][-1] == exact.nll(samples, energy, X) < record["watch"][0]
    assert record["update"] == list(range(40, 1201, 40))


def test_the_chains_keep_the_energy_s_law_at_a_steered_acceptance(fit):
    """From one point, 300 rounds: 24 bits each, the law of the energy, 70 % accepted."""
    energy = fit[1]
    chains = training._moving(torch.zeros(2000, 1, dtype=torch.float64), adjust=True, jumps=True)
    state, g, shares = None, seeded(4), []
    for k in range(300):
        z, state = chains(energy.standard, None, state, g)
        shares.append(move(energy.standard, z, state[1], seeded(k))[1])
    assert state[2] == 300 and torch.equal(z, z.float().double())
    assert sum(shares[100:]) / 200 == pytest.approx(0.7, abs=0.03)
    log_p = exact.log_density(energy, X)
    floor = exact.w1_floor(log_p, X, 2000, generator=seeded(3))
    assert exact.w1(energy.mean + energy.sd * z, log_p, X) < 2 * floor[-1]


def test_weights_are_rounded_in_both_recipes(fit):
    article, _ = fit_energy_as_published(fit[0][:500], epochs=1, show_progress=False)
    for energy in (fit[1], article):
        for weights in energy.parameters():
            steps = weights / training._GRAIN
            assert torch.equal(steps, steps.round())


def test_sample_draws_the_law_of_its_energy_wherever_it_starts(fit):
    """5 000 draws stay below the largest W1 of 100 perfect sets, twice as a margin."""
    _, energy, _ = fit
    log_p = exact.log_density(energy, X)
    start = densities.uniform(-4, -1, 1000, generator=seeded(1))
    draws = sample(energy, 5000, data=start, generator=seeded(2))
    floor = exact.w1_floor(log_p, X, 5000, generator=seeded(3))
    assert exact.w1(draws, log_p, X) < 2 * floor[-1]


@pytest.mark.parametrize("scale", [1000.0, 1 / 1000])
def test_units_do_not_matter(scale):
    samples = densities.draw(TWO_MODES, 500, generator=seeded())
    options = {"updates": 60, "show_progress": False}
    one, _ = training.fit_energy(samples, **options)
    other, _ = training.fit_energy(scale * samples, **options)
    torch.testing.assert_close(one(samples), other(scale * samples), rtol=1e-6, atol=1e-6)


def test_fitting_leaves_data_and_global_randomness_alone():
    samples = densities.draw(TWO_MODES, 300, generator=seeded())
    before, state = samples.clone(), torch.get_rng_state()
    first, _ = training.fit_energy(samples, updates=20, show_progress=False)
    again, _ = training.fit_energy(samples.numpy(), updates=20, show_progress=False)
    fit_energy_as_published(samples, epochs=1, show_progress=False)
    assert torch.equal(samples, before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first(samples), again(samples))


def test_two_dimensions_have_a_fit():
    """Correlation 0.8: the fitted energy is lower along the diagonal than across it."""
    z = torch.randn(4000, 2, generator=seeded(), dtype=torch.float64)
    samples = torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1)
    energy, _ = training.fit_energy(samples, updates=400, show_progress=False)
    along, across = energy(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64))
    assert (across - along).item() == pytest.approx(1 / 0.2 - 1 / 1.8, rel=0.25)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "holds 0 value"),
        ([1.0, 1.0, 1.0], "constant"),
        ([1.0, math.nan], "NaN or infinity"),
        ([1.0, math.inf], "NaN or infinity"),
    ],
)
@pytest.mark.parametrize("recipe", [training.fit_energy, fit_energy_as_published])
def test_bad_data_are_named(recipe, samples, message):
    with pytest.raises(ValueError, match=f"samples .*{message}"):
        recipe(torch.tensor(samples, dtype=torch.float64))


def test_the_published_network_takes_one_dimension():
    with pytest.raises(ValueError, match=r"samples has shape \(3, 2\)"):
        fit_energy_as_published(torch.arange(6.0).view(3, 2))


def test_plain_chains_that_diverge_say_so():
    """A spring of precision 100, standardised: 1 − sθ = −9, so |z| grows ninefold a step."""
    chains = training._moving(torch.ones(5, 1, dtype=torch.float64), adjust=False, jumps=False)
    state = None
    with pytest.raises(DivergenceError, match=r"diverged at step 7: .* plain steps of 0.1"):
        for _ in range(10):
            _, state = chains(lambda z: 50 * (z**2).sum(-1), None, state, seeded())


def test_published_recipe_has_the_published_flaw():
    """With the penalty the energy stays below about 1/(2α) = 2.5 far from the data."""
    samples = densities.draw(densities.gaussian(5.0, 1.0), 2000, generator=seeded())
    capped, _ = fit_energy_as_published(samples, epochs=20, show_progress=False)
    free, _ = fit_energy_as_published(
        samples, epochs=20, penalty=0.0, zero_grad=True, show_progress=False
    )
    there, data = torch.tensor([[12.0]], dtype=torch.float64), samples[:100]
    assert (capped(there) - capped(data).mean()).item() < 2 * 2.5
    assert (free(there) - free(data).mean()).item() > 2 * 2.5


def test_jumps_set_the_weights_of_the_modes():
    """From one mode alone: after 200 jumps each side has 0.5 within 5 standard errors."""
    target = densities.mixture([0.5, 0.5], [-1.0, 1.0], [0.2, 0.2])
    z = torch.full((4000, 1), -1.0, dtype=torch.float64)
    generator = seeded()
    for _ in range(200):
        z = jump(densities.energy_of(target), z, generator=generator)
    assert abs((z > 0).double().mean().item() - 0.5) < 5 * 0.5 / 4000**0.5
    assert z[z > 0].std().item() == pytest.approx(0.2, rel=5 / 4000**0.5)


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_sample_wants_a_whole_number(n):
    energy = densities.energy_of(TWO_MODES)
    with pytest.raises(ValueError, match="n is"):
        sample(energy, n, data=torch.tensor([0.0, 1.0]))


def test_energy_rises_outwards_whatever_the_weights():
    data = densities.draw(TWO_MODES, 100, generator=seeded())
    energy = EnergyNet(data, generator=seeded(1))
    assert min(exact.outer_slopes(energy)) > 0
    far = torch.tensor([[1e4]], dtype=torch.float64)
    _, gradient = energy_and_gradient(energy, far)
    assert gradient.item() == pytest.approx(1e4 / data.var().item(), rel=0.01)
