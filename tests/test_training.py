"""The recipes against exact densities: what they reach, what they refuse, and what they touch."""

import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch

from cases import seeded
from helpers import densities, exact, training
from helpers.article import fit_energy_as_published
from helpers.energy import EnergyNet
from helpers.jumps import move, sample, wide
from helpers.langevin import DivergenceError, energy_and_gradient
from helpers.objectives import contrast, exact_nll
from helpers.rivals import kde_log_density, kde_width

TWO_MODES = densities.mixture([0.5, 0.5], [-2.0, 2.0], [0.6, 0.9])
X = exact.grid(-20, 20, 4001)


@pytest.fixture(scope="module")
def fit():
    """Fit the two modes with the default recipe."""
    samples = densities.draw(TWO_MODES, 10_000, generator=seeded())
    watch = partial(exact.nll, samples, x=X)
    return samples, *training.fit_energy(samples, watch=watch, show_progress=False)


def test_the_recipe_is_closer_than_the_kde(fit):
    """At most half the KL of Scott's width, at most 0.8 of that of the chosen one."""
    samples, energy, _ = fit
    log_p, widths = TWO_MODES.log_prob(X), (None, kde_width(samples))
    ours = exact.kl(log_p, exact.log_density(energy, X), X)
    kdes = [exact.kl(log_p, kde_log_density(samples, X, width=w), X) for w in widths]
    assert ours < kdes[0] / 2 and ours < 0.8 * kdes[1]


def test_the_watch_sees_the_energy_after_every_40_updates(fit):
    samples, energy, record = fit
    assert record["watch"][-1] == exact.nll(samples, energy, X) < record["watch"][0]
    assert record["update"] == list(range(40, 1201, 40))


def test_the_chains_keep_the_energy_s_law_at_a_steered_acceptance(fit):
    """From one point, 300 rounds: 24 bits each, the law of the energy, 70 % accepted."""
    energy = fit[1]
    chains = training._moving(
        torch.zeros(2000, 1, dtype=torch.float64), adjust=True, proposal=wide()
    )
    state, g, shares = None, seeded(4), []
    for k in range(300):
        z, state = chains(energy.standard, None, state, g)
        shares.append(move(energy.standard, z, state[1], seeded(k), None)[1])
    assert state[2] == 300 and torch.equal(z, z.float().double())
    assert sum(shares[100:]) / 200 == pytest.approx(0.7, abs=0.03)
    log_p = exact.log_density(energy, X)
    floor = exact.w1_floor(log_p, X, 2000, generator=seeded(3))
    assert exact.w1(energy.centre + energy.scale * z, log_p, X) < 2 * floor[-1]


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
    draws = sample(energy, 5000, data=start, generator=seeded(2), rounds=300)
    floor = exact.w1_floor(log_p, X, 5000, generator=seeded(3))
    assert exact.w1(draws, log_p, X) < 2 * floor[-1]


@pytest.mark.parametrize("scale", [1e-9, 1 / 1000, 1000.0, 1e9])
def test_units_do_not_matter(scale):
    samples = densities.draw(TWO_MODES, 500, generator=seeded())
    options = {"updates": 60, "show_progress": False}
    one, _ = training.fit_energy(samples, **options)
    other, _ = training.fit_energy(scale * samples, **options)
    torch.testing.assert_close(one(samples), other(scale * samples), rtol=1e-6, atol=1e-6)


def normal(n, seed=0):
    return densities.draw(densities.gaussian(0.0, 1.0), n, generator=seeded(seed))


FEW = {
    "2": [0.0, 1.0],
    "3": [0.0, 1.0, 5.0],
    "5": normal(5),
    "30": normal(30),
    "a coin": [0.0, 1.0] * 50,
    "ties": [*30 * [2.0], *normal(30).flatten().tolist()],
    "counts": np.random.default_rng(0).poisson(3.0, 500),
    "two columns": normal(60).view(30, 2),
    "two rows": [[0.0, 1.0], [1.0, 0.0]],
    "a line": torch.cat([normal(200), normal(200)], 1),
}


@pytest.mark.parametrize("samples", FEW.values(), ids=FEW)
def test_few_and_tied_samples_have_a_fit(samples):
    """Finite at the samples and between them, and a warning would be an error here."""
    energy, _ = training.fit_energy(samples, updates=60, show_progress=False)
    x = torch.as_tensor(np.asarray(samples), dtype=torch.float64)
    x = x.view(len(x), -1)
    z = torch.cat([x, 10 * x, x.mean(0, keepdim=True)])
    assert energy(z).isfinite().all() and (energy(1e6 + z) > energy(x.mean(0)[None])).all()


def test_one_outlier_does_not_ruin_a_fit():
    """N(0, 1) and a single 1e6: on [−6, 6] the KL stays small. A Gaussian fit has 9 nats there."""
    samples, x = normal(3000), exact.grid(-6, 6, 1201)
    samples[7] = 1e6
    energy, _ = training.fit_energy(samples, show_progress=False)
    log_p = densities.gaussian(0.0, 1.0).log_prob(x)
    log_p -= exact.integrate(log_p.exp(), x).log()
    assert exact.kl(log_p, exact.log_density(energy, x, restricted=True), x) < 0.02


def test_fitting_leaves_data_and_global_randomness_alone():
    samples = densities.draw(TWO_MODES, 300, generator=seeded())
    before, state = samples.clone(), torch.get_rng_state()
    first, _ = training.fit_energy(samples, updates=20, show_progress=False)
    again, _ = training.fit_energy(samples.numpy(), updates=20, show_progress=False)
    fit_energy_as_published(samples, epochs=1, show_progress=False)
    assert torch.equal(samples, before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first(samples), again(samples))


@pytest.mark.parametrize(
    ("d", "modes", "units", "waves", "width"),
    [
        (1, 1, 16, 0, 32),
        (1, 2, 64, 0, 32),
        (1, 5, 64, 16, 32),
        (2, 1, 16, 0, 32),
        (2, 2, 0, 64, 64),
    ],
)
def test_what_the_network_sees_follows_from_d_and_the_modes(d, modes, units, waves, width):
    """Narrow modes in a row, of 4 000 samples; without features the network sees z alone."""
    place = torch.randint(modes, (4000, 1), generator=seeded(1)).double()
    samples = 10 * place + torch.randn(4000, d, generator=seeded(), dtype=torch.float64)
    energy, _ = training.fit_energy(samples, updates=1, show_progress=False)
    part = energy.standard
    found = part.units.out_features if part.units else 0, part.omega.shape[1]
    assert (*found, part.net[0].out_features) == (units, waves, width)
    plain, _ = training.fit_energy(samples, updates=1, features=False, show_progress=False)
    assert plain.standard.net[0].in_features == d and plain.standard.units is None


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


@pytest.mark.parametrize(
    "options, said",
    [
        ({"updates": 0}, "updates is 0; it must be a whole number, 1 or more"),
        ({"updates": 2.5}, "updates is 2.5; it must be a whole number, 1 or more"),
        ({"updates": True}, "updates is True; it must be a whole number"),
        ({"seed": -1}, "seed is -1; it must be a whole number"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
        ({"jumps": "x"}, "jumps is 'x'; it must be 'mixture', 'wide' or None"),
        ({"jumps": True}, "jumps is True; it must be 'mixture', 'wide' or None"),
        ({"samples": "petals"}, "samples is a str"),
    ],
)
def test_the_recipe_names_a_bad_argument(options, said):
    """At once, before anything is fitted, and in one sentence."""
    options = {"samples": [0.0, 1.0], "show_progress": False} | options
    with pytest.raises((TypeError, ValueError), match=rf"(?s)^{said}[^.]*\.?$"):
        training.fit_energy(options.pop("samples"), **options)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"updates": 0}, "updates is 0; it must be a whole number, 1 or more"),
        ({"updates": "3"}, "updates is '3'; it must be a whole number"),
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number, 1 or more"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be a whole number"),
        ({"lr": 0}, "lr is 0; it must be a finite number, above 0"),
        ({"lr": math.nan}, "lr is nan; it must be a finite number, above 0"),
        ({"lr": None}, "lr is None; it must be a finite number, above 0"),
        ({"decay": -1}, "decay is -1; it must be a finite number, at least 0"),
        ({"decay": math.inf}, "decay is inf; it must be a finite number"),
        ({"generator": 0}, r"generator is 0; it must be a torch\.Generator"),
        ({"generator": np.random.default_rng(0)}, "generator is .*; it must be a torch"),
        ({"samples": [1.0, math.nan]}, "samples holds 1 row"),
    ],
)
def test_train_names_a_bad_argument(options, said):
    options = {"samples": [0.0, 1.0], "updates": 1, "show_progress": False} | options
    net, loss = EnergyNet(normal(20), generator=seeded()), exact_nll(exact.grid(-9, 9, 201))
    before = [weights.clone() for weights in net.parameters()]
    with pytest.raises((TypeError, ValueError), match="^" + said):
        training.train(net, options.pop("samples"), loss, **options)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert all(weights.requires_grad for weights in net.parameters())


def test_numpy_s_numbers_are_numbers():
    options = {"show_progress": False, "seed": np.int64(3), "updates": np.int32(5)}
    one, _ = training.fit_energy([0.0, 1.0, 3.0], **options)
    other, _ = training.fit_energy([0.0, 1.0, 3.0], seed=3, updates=5, show_progress=False)
    x = normal(5)
    assert torch.equal(one(x), other(x))


def test_training_that_diverges_says_so():
    """A learning rate of 1 000 throws the weights out; a loss that is NaN is named at once."""
    net, loss = (
        EnergyNet(normal(200), units=0, generator=seeded()),
        contrast(lambda *_: (far, None)),
    )
    far = torch.full((9, 1), 1e300, dtype=torch.float64)
    with pytest.raises(
        DivergenceError, match=r"^the loss is .* at update 1; lr = .* lower\.$"
    ) as e:
        training.train(net, normal(200), loss, updates=3, show_progress=False)
    assert e.value.step == 1
    net, loss = EnergyNet(normal(200), units=0, generator=seeded()), exact_nll(exact.grid(-9, 9))
    with pytest.raises((DivergenceError, ValueError), match=r"lr = |energy |cuts off|coarse"):
        training.train(net, normal(200), loss, updates=200, lr=1e3, show_progress=False)


def test_plain_chains_that_diverge_say_so():
    """A spring of precision 100, standardised: 1 − sθ = −9, so |z| grows ninefold a step."""
    chains = training._moving(torch.ones(5, 1, dtype=torch.float64), adjust=False, proposal=None)
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


def test_a_recipe_warns_of_nothing():
    """Neither in fitting nor in sampling, whatever the parts; jumps may be left out, too."""
    samples = densities.draw(TWO_MODES, 300, generator=seeded())
    parts = ({}, {"jumps": "wide"}, {"jumps": None}, {"features": False}, {"base": False})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in parts:
            energy, _ = training.fit_energy(samples, updates=40, show_progress=False, **part)
            assert energy(samples).isfinite().all()


def test_energy_rises_outwards_whatever_the_weights():
    data = densities.draw(TWO_MODES, 100, generator=seeded())
    energy = EnergyNet(data, generator=seeded(1))
    assert min(exact.outer_slopes(energy)) > 0
    far = torch.tensor([[1e4]], dtype=torch.float64)
    _, gradient = energy_and_gradient(energy, far)
    assert gradient.item() == pytest.approx(1e4 / data.var().item(), rel=0.01)
