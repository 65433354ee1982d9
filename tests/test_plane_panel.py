"""The panel of notebook 8: particles and law are the course's, and it says what it shows."""

import math

import numpy as np
import pytest
import torch

from helpers import jumps, langevin, panels, shapes
from helpers.exact import plane
from helpers.panels import modes
from helpers.panels.plane import LEVELS, MOVES, NAMES, draw_plane
from helpers.panels.widgets import blank
from test_panels import lines

CORNERS = [(sd, s, jumping) for sd in (0.2, 0.4) for s in (0.02, 0.06) for jumping in (False, True)]
corners = pytest.mark.parametrize(("sd", "s", "jumping"), CORNERS)


@pytest.mark.parametrize("jumping", [False, True])
def test_particles_are_those_of_the_course(jumping: bool) -> None:
    """Of its samplers, fed from the same generator; and another seed moves others."""
    sd, s, g = 0.3, 0.04, torch.Generator().manual_seed(7)
    found, energy = modes.run(sd, s, jumping, 7), shapes.eight(sd).energy
    x = torch.from_numpy(found[0])
    assert ((x - torch.tensor([2.0, 0.0])) / sd).std(0).numpy() == pytest.approx(1, abs=0.15)
    shapes.eight(sd).draw(modes.PARTICLES, generator=g)  # takes of g what the start has taken
    for k in range(1, 31):
        x = langevin.langevin_monte_carlo(energy, x, 1, s, generator=g)
        x = jumps.jump(energy, x, generator=g) if jumping else x
        assert np.abs(found[k] - x.numpy()).max() < 1e-4
    assert np.abs(found[30] - modes.run(sd, s, jumping, 8)[30]).max() > 0.1


@corners
def test_law_is_that_of_many_particles(sd: float, s: float, jumping: bool) -> None:
    """Twenty clouds of other seeds, mode by mode; and in every weight a finer grid agrees."""
    law, finer = modes.Law(sd, s, jumping), modes.Law(sd, s, jumping, 101)
    log_law, weights = law.up_to(modes.ROUNDS)
    paths = np.concatenate([modes.run(sd, s, jumping, seed) for seed in range(1, 21)], axis=1)
    for k in (0, 1, 5, 20, 100):
        shares, n = modes.shares(paths[k]), paths.shape[1]
        spread = np.sqrt(weights[k] * (1 - weights[k]) / n)
        assert (np.abs(shares - weights[k]) <= 5 * spread + 2 / n).all()
    best = finer.up_to(modes.ROUNDS)[1]
    assert np.abs(best - weights).max() < 3e-4
    assert best[-1] == pytest.approx(weights[-1], rel=0.01)
    assert weights.sum(1) == pytest.approx(1, abs=1e-5)
    assert weights[:, 1:4] == pytest.approx(weights[:, :4:-1], abs=1e-9)
    mean, covariance = plane.moments(log_law, law.on)
    last = torch.from_numpy(paths[-1])
    off = (last.mean(0) - mean) / (covariance.diagonal() / len(last)).sqrt()
    assert (off.abs() < 5).all()


def test_shares_go_by_sectors() -> None:
    angle = np.deg2rad([0, 22, 23, 45, 180, -22, -23, 200])
    where = np.stack([np.cos(angle), np.sin(angle)], 1)
    assert modes.shares(where).tolist() == [3 / 8, 2 / 8, 0, 0, 2 / 8, 0, 0, 1 / 8]


@pytest.mark.parametrize("moves", MOVES)
def test_picture_and_sentence_are_of_the_same_setting(moves: str) -> None:
    figure, values = blank(7.6, 3.8), {"s": 0.02, "seed": 3, "moves": moves}
    draw_plane(figure, k=100, sd=0.2, **values)
    says = draw_plane(figure, k=30, sd=0.3, **values)
    jumping = moves == MOVES[1]
    path, law = modes.run(0.3, 0.02, jumping, 3), modes.Law(0.3, 0.02, jumping)
    log_law, weights = law.up_to(30)
    shown, drawn = lines(figure, 0), lines(figure, 1)
    assert np.array_equal(np.stack(shown["particles"].get_data(), 1), path[30])
    sector = np.floor(np.arctan2(path[..., 1], path[..., 0]) / (math.pi / 4) + 0.5) % 8
    for away, name in enumerate(NAMES):
        k, weight = drawn[name].get_data()
        assert list(k) == list(range(31)) and weight == pytest.approx(weights[:, away])
        k, share = drawn[f"dots {name}"].get_data()
        both = [(sector[i] == away).mean() / 2 + (sector[i] == -away % 8).mean() / 2 for i in k]
        assert list(k) == list(range(0, 31, 4)) and share == pytest.approx(both)
    contour = np.stack(shown["exact law"].get_data(), 1)
    contour = torch.from_numpy(contour[np.isfinite(contour).all(1)])
    at = torch.nn.functional.grid_sample(
        log_law.T[None, None], (contour / law.on.axis[-1])[None, None], align_corners=True
    )
    levels = -shapes.eight(0.3).energy(2 * torch.eye(1, 2).double()).item() + np.log(LEVELS)
    assert np.abs(at.flatten().numpy()[:, None] - levels).min(1).max() < 0.15
    rings = np.stack(shown["p*"].get_data(), 1)
    rings = rings[np.isfinite(rings).all(1)]
    distance = np.linalg.norm(rings[:, None] - modes.CENTRES, axis=2)
    assert np.abs(distance - 0.6).min(1).max() < 1e-9
    kl = 1000 * plane.kl(law.log_p, log_law, law.on)
    assert says == (
        f"After 30 rounds of 0.02 the mode of the start holds {weights[30, 0]:.3f} of the law and"
        f" {(sector[30] == 0).mean():.3f} of the 500 particles, the opposite mode"
        f" {weights[30, 4]:.1e} and {(sector[30] == 4).mean():.3f}; 0.125 is due to each."
        f" KL(p* ‖ law) is {kl:.1f} millinats."
    )


@corners
def test_every_setting_is_held_to_the_last_round(sd: float, s: float, jumping: bool) -> None:
    """And any spread and step between the ends, which the fields take."""
    for share in (0.0, 0.3, 0.7):
        between = sd + share * (0.3 - sd), s + share * (0.04 - s)
        assert modes.Law(*between, jumping).up_to(modes.ROUNDS)[1].shape == (101, 8)


def test_pictures_of_the_animation_show_their_round() -> None:
    """From left to right in a picture: opposite and start without jumps, then with them."""
    frames = panels.plane_frames(0.3, 0.02, last=40, every=20)
    assert [frame.size for frame in frames] == [(700, 370)] * 3
    blue = [(np.asarray(frame)[45:] == (0x56, 0xB4, 0xE9)).all(2) for frame in frames]
    seen = [[part.sum() > 50 for part in np.split(picture, 4, axis=1)] for picture in blue]
    assert seen == [[False, True, False, True], *[[False, True, True, True]] * 2]
