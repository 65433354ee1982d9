"""The recipe beyond one dimension, against the exact density or the best that a model can do."""

import math

import pytest
import torch
from torch import Tensor

from cases import seeded
from helpers import training
from helpers.energy import EnergyNet
from helpers.exact import plane
from helpers.jumps import defensive
from helpers.rivals import mixture_by_bic
from helpers.shapes import SHAPES
from plane_rows import kernel_density


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


def test_two_dimensions_have_a_fit():
    """Correlation 0.8: the fitted energy is lower along the diagonal than across it."""
    z = normal(4000, 2)
    samples = torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1)
    energy, _ = training.fit_energy(samples, updates=400, show_progress=False)
    along, across = energy(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64))
    assert (across - along).item() == pytest.approx(1 / 0.2 - 1 / 1.8, rel=0.25)


@pytest.mark.parametrize(("d", "averaged"), [(1, 1), (2, 2), (3, 2)])
def test_beyond_one_dimension_the_last_third_of_the_weights_is_averaged(d, averaged, monkeypatch):
    """Of six updates the last two; in one dimension the last weights are kept."""
    history, update = [], training.round_weights

    def keep(optimiser, *rest):
        update(optimiser, *rest)
        history.append([w.detach().clone() for w in optimiser.param_groups[0]["params"]])

    monkeypatch.setattr(training, "round_weights", keep)
    energy, _ = training.fit_energy(normal(300, d), updates=6, show_progress=False)
    assert len(history) == 6
    for found, *last in zip(energy.parameters(), *history[-averaged:], strict=True):
        assert torch.allclose(found, sum(last) / averaged, rtol=0, atol=1e-12)
        assert not found.requires_grad


def test_a_hundred_samples_in_the_plane_are_not_learned_by_heart():
    """KL below that of the KDE of chosen width; with a decay that stops at 2 it is far above."""
    moons = SHAPES["moons"]
    samples, on = moons.draw(100, generator=seeded()), plane.grid(2.2 * moons.reach, 181)
    log_p, _ = plane.log_density(moons.energy, on)
    energy, _ = training.fit_energy(samples, show_progress=False)
    ours = plane.kl(log_p, plane.log_density(energy, on)[0], on)
    assert ours < plane.kl(log_p, kernel_density(samples, on)[0], on)


@pytest.mark.parametrize("d", [2, 10])
def test_waves_are_as_fine_in_any_dimension_and_the_finer_the_weaker(d):
    """|ω|² is 8 in the mean; in one dimension a tenth of each wave is seen, whatever ω."""
    data = normal(50, d)
    energy = EnergyNet(data, units=0, waves=4000, generator=seeded()).standard
    squares = energy.omega.square().sum(0)
    assert squares.mean().item() == pytest.approx(8, rel=0.05)
    assert torch.allclose(energy.amplitude, 4.2 / (9 + squares).sqrt())
    line = EnergyNet(data[:, :1], units=0, waves=9, generator=seeded()).standard
    assert (line.amplitude == 0.1).all()


def test_ten_dimensions_have_a_fit():
    """Four Gaussians: held-out NLL, log Z by importance sampling, at most 0.5 above their own."""
    places = 3 * normal(4, 10, seed=2)

    def draw(seed):
        which = torch.randint(4, (4000,), generator=seeded(seed))
        return places[which] + 0.6 * normal(4000, 10, seed + 1)

    samples, held_out = draw(3), draw(5)
    energy, _ = training.fit_energy(samples, show_progress=False)
    part, mixture = energy.standard, mixture_by_bic(samples)
    proposal = defensive(mixture, energy.centre, energy.scale, part.nu)
    z = proposal.like(torch.zeros(20_000, 10, dtype=torch.float64), seeded(7))
    log_ratio = -part(z) - proposal.log_density(z)
    log_z = torch.logsumexp(log_ratio, 0) - math.log(len(z)) + energy.scale.log().sum()
    assert (energy(held_out) + log_z + mixture.log_prob(held_out)).mean().item() < 0.5
