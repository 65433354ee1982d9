"""Noise levels: networks, steps and laws agree with closed forms, and bad input is named."""

import math
import re
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from cases import covariance_is, seeded
from helpers import densities, exact, objectives, scores, shapes, training
from helpers.exact import GridError, plane, reverse
from helpers.langevin import energy_and_gradient

V, MU = 1.7, 0.8
LEVELS = [5.0, 2.0, 0.9, 0.3]
DATA = torch.randn(500, 2, generator=seeded(3), dtype=torch.float64) * torch.tensor([2.0, 0.5])


def gaussian_score(x: Tensor, level: float) -> Tensor:
    """The score of N(MU, V) plus noise in every coordinate."""
    return (MU - x) / (V + level**2)


def humps(level: float) -> torch.distributions.Distribution:
    sds = [math.hypot(0.5, level), math.hypot(0.9, level)]
    return densities.mixture([0.3, 0.7], [-3, 4], sds)


def humps_score(x: Tensor, level: float) -> Tensor:
    return torch.func.grad(lambda y: humps(level).log_prob(y).sum())(x)


def test_levels_are_what_they_are_called() -> None:
    steps = scores.geometric(20, 0.1, 4)
    ratios = [b / a for a, b in pairwise(steps)]
    assert len(steps) == 5 and steps[0] == 20 and steps[-1] == 0.1
    assert ratios == pytest.approx([(0.1 / 20) ** 0.25] * 4)
    roots = [level ** (1 / 7) for level in scores.powers(20, 0.1, 6)]
    gaps = [a - b for a, b in pairwise(roots)]
    assert len(roots) == 7 and gaps == pytest.approx([gaps[0]] * 6)
    for spaced in (scores.geometric, scores.powers):
        assert spaced(3, 1, 1) == [3, 1]
        assert scores.check_levels(spaced(80, 0.002, 50)) == spaced(80, 0.002, 50)


@pytest.mark.parametrize("spaced", [scores.geometric, scores.powers])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((20, 0.1, 0), "n_steps is 0; it must be a whole number, 1 or more"),
        ((20, 0.1, 2.5), "n_steps is 2.5; it must be a whole number"),
        ((0.1, 20, 5), "high is 0.1; it must be a finite number, above 20"),
        ((1, 1, 5), "high is 1; it must be a finite number, above 1"),
        ((20, 0, 5), "low is 0; it must be a finite number, above 0"),
        ((math.inf, 1, 5), "high is inf; it must be"),
    ],
)
def test_what_gives_no_levels_is_named(spaced, arguments, said) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(said)}"):
        spaced(*arguments)


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([], "levels has 0 level(s); a step needs one to go to."),
        ([1.0], "levels has 1 level(s); a step needs one to go to."),
        ([1.0, 2.0], "levels go from 1 to 2 at 1; each must be below the last."),
        ([3.0, 1.0, 1.0], "levels go from 1 to 1 at 2; each must be below the last."),
        ([1.0, 0.0], "levels[1] is 0.0; it must be a finite number, above 0."),
        ([1.0, math.nan], "levels[1] is nan; it must be a finite number, above 0."),
        ([1.0, "0.5"], "levels[1] is '0.5'; it must be a finite number, above 0."),
        (1.0, "levels is 1.0; it must be a sequence of decreasing numbers."),
    ],
)
def test_bad_levels_are_named_wherever_they_go(levels, said) -> None:
    x, start = torch.zeros(4, 2), (torch.zeros(2), torch.ones(2))
    for call in (
        lambda: list(scores.descend(gaussian_score, x, levels, generator=seeded())),
        lambda: list(reverse.line_law(gaussian_score, levels, (0.0, 1.0))),
        lambda: list(reverse.plane_law(gaussian_score, levels, start)),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{re.escape(said)}$"):
            call()


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda x, level: x[:, 0], "score returned (4,) for particles of shape (4, 2); it must"),
        (lambda x, level: x.sum(), "score returned () for particles of shape (4, 2); it must"),
        (lambda x, level: 0.0, "score returned float for particles of shape (4, 2); it must"),
        (None, "score is None; it must be a function of particles and a level."),
        (lambda x, level: x / 0, "score returned NaN or infinity at the level "),
    ],
)
def test_a_score_of_another_shape_is_named(score, said) -> None:
    x = torch.zeros(4, 2, dtype=torch.float64)
    for call in (
        lambda: scores.reverse_step(score, x, 2.0, 1.0),
        lambda: scores.flow_step(score, x, 2.0, 1.0),
        lambda: list(scores.descend(score, x, LEVELS, generator=seeded())),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{re.escape(said)}"):
            call()


def test_what_no_step_or_start_can_be_is_named() -> None:
    x = torch.zeros(4, 2, dtype=torch.float64)
    for said, call in {
        "levels go from 1 to 2": lambda: scores.reverse_step(gaussian_score, x, 1.0, 2.0),
        "v is -1": lambda: scores.reverse_step(gaussian_score, x, 2.0, 1.0, -1),
        "levels[1] is -1": lambda: scores.flow_step(gaussian_score, x, -1, 2.0),
        "v is nan": lambda: list(reverse.line_law(gaussian_score, LEVELS, (0, 1), v=math.nan)),
        "start is (0, 1, 2)": lambda: list(reverse.line_law(gaussian_score, LEVELS, (0, 1, 2))),
        "start is (0, 1)": lambda: list(reverse.plane_law(gaussian_score, LEVELS, (0, 1))),
        "start's standard": lambda: list(reverse.line_law(gaussian_score, LEVELS, (0, 0))),
    }.items():
        with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
            call()


@pytest.mark.parametrize("network", [scores.LevelEnergy, scores.LevelScore])
def test_what_no_network_takes_is_named(network) -> None:
    data = torch.randn(50, 2, dtype=torch.float64, generator=seeded())
    net = network(data, 0.1, 1, generator=seeded())
    for said, call in {
        "width is 0": lambda: network(data, 0.1, 1, width=0, generator=seeded()),
        "layers is 0": lambda: network(data, 0.1, 1, layers=0, generator=seeded()),
        "generator is None": lambda: network(data, 0.1, 1, generator=None),
        "x has shape (50, 1)": lambda: net(data[:, :1], 0.5),
        "level is 0.0": lambda: net(data, 0.0),
        "level is a tensor (50,)": lambda: net(data, torch.ones(50)),
    }.items():
        with pytest.raises((TypeError, ValueError), match=f"^{re.escape(said)}"):
            call()


@pytest.mark.parametrize("v", [0.0, 0.6, V, math.inf])
def test_a_step_on_a_gaussian_is_the_conditional_law(v: float) -> None:
    """Mean and variance of x' given x, from their joint covariance; exact for v = V."""
    x = torch.tensor([[-3.0], [0.0], [7.0]], dtype=torch.float64)
    for level, lower in pairwise(LEVELS):
        mean, variance = scores.reverse_step(gaussian_score, x, level, lower, v)
        slope = (V + lower**2) / (V + level**2)
        assert mean == pytest.approx(MU + slope * (x - MU))
        right = V + lower**2 - (V + lower**2) * slope
        assert (variance == pytest.approx(right)) == (v == V)
        assert v == V or (variance < right) == (v < V)


def test_the_mean_of_a_step_is_tweedie_s_for_any_law() -> None:
    """Against the posterior mean on a grid, ∫ x' p(x') N(x; x', σ² − σ'²) dx' / p(x)."""
    y, (level, lower) = exact.grid(-30, 30, 6001), (2.0, 0.7)
    x = torch.tensor([[-4.0], [0.2], [1.5], [6.0]], dtype=torch.float64)
    logs = humps(lower).log_prob(y) - (x - y) ** 2 / (2 * (level**2 - lower**2))
    right = (logs.softmax(1) * y).sum(1, keepdim=True)
    assert torch.allclose(scores.reverse_step(humps_score, x, level, lower)[0], right, atol=1e-9)


def test_the_flow_moves_a_gaussian_by_the_ratio_of_its_widths() -> None:
    """Exactly for small steps, with an error of their square for larger ones."""
    x = torch.tensor([[4.0], [-2.0]], dtype=torch.float64)
    right = MU + math.sqrt((V + 0.3**2) / (V + 25)) * (x - MU)
    errors = []
    for n in (20, 40, 80):
        y, steps = x, scores.geometric(5, 0.3, n)
        for level, lower in pairwise(steps):
            y = scores.flow_step(gaussian_score, y, level, lower)
        errors.append((y - right).abs().max().item())
    assert errors[2] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("v", [0.0, V, math.inf])
def test_particles_and_law_follow_the_moments_of_a_linear_sampler(v: float) -> None:
    """On a Gaussian each step multiplies by a number and adds a variance."""
    mean, variance = -1.0, 26.0
    x = mean + math.sqrt(variance) * torch.randn(40_000, 1, generator=seeded(1)).double()
    path = scores.descend(gaussian_score, x, LEVELS, generator=seeded(2), v=v)
    laws = reverse.line_law(gaussian_score, LEVELS, (mean, math.sqrt(variance)), v=v)
    for k, (cloud, (grid, log_p)) in enumerate(zip(path, laws, strict=True)):
        if k:
            level, lower = LEVELS[k - 1 : k + 1]
            keep = (V + lower**2) / (V + level**2)
            noise = scores.reverse_step(gaussian_score, x[:1], level, lower, v)[1]
            mean, variance = MU + keep * (mean - MU), keep**2 * variance + noise
        error = math.sqrt(variance / 40_000)
        assert abs(cloud.mean().item() - mean) < 5 * error
        assert cloud.var().item() == pytest.approx(variance, rel=5 * math.sqrt(2 / 40_000))
        found = exact.moments(log_p, grid)
        assert found == pytest.approx((mean, math.sqrt(variance)), abs=2e-6)


def test_with_the_variance_of_the_data_a_gaussian_is_exact_in_any_number_of_steps() -> None:
    start = MU, math.sqrt(V + 25)
    for levels in ([5.0, 0.3], LEVELS):
        *_, (x, log_p) = reverse.line_law(gaussian_score, levels, start, v=V)
        right = densities.gaussian(MU, math.sqrt(V + 0.09)).log_prob(x)
        assert exact.kl(right, log_p, x) < 1e-9


def test_the_error_of_the_steps_falls_with_their_square() -> None:
    """On two humps with the exact score; and a finer grid says the same."""
    kls = {}
    for n in (20, 40, 80):
        levels, start = scores.geometric(20, 0.2, n), (1.9, math.sqrt(10.9 + 400))
        *_, (x, log_p) = reverse.line_law(humps_score, levels, start)
        kls[n] = exact.kl(humps(0.2).log_prob(x), log_p, x)
    assert kls[20] / kls[40] == pytest.approx(4, rel=0.2)
    assert kls[40] / kls[80] == pytest.approx(4, rel=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reverse, "_FINE", 0.4)
        *_, (x, log_p) = reverse.line_law(humps_score, scores.geometric(20, 0.2, 20), start)
    assert exact.kl(humps(0.2).log_prob(x), log_p, x) == pytest.approx(kls[20], rel=1e-5)


def test_the_law_in_the_plane_is_that_of_two_lines_and_of_many_particles() -> None:
    """A score of each coordinate by itself has a product of laws."""
    start = torch.tensor([1.0, -2.0]).double(), torch.tensor([5.2, 5.1]).double()

    def score(x: Tensor, level: float) -> Tensor:
        return torch.cat([humps_score(x[:, :1], level), gaussian_score(x[:, 1:], level)], 1)

    *_, (on, log_p) = reverse.plane_law(score, LEVELS, start)
    lines = []
    for i, one in enumerate([humps_score, gaussian_score]):
        *_, line = reverse.line_law(one, LEVELS, (start[0][i].item(), start[1][i].item()))
        lines.append(line)
    for (x, log_q), log_m in zip(lines, plane.marginals(log_p, on), strict=True):
        assert exact.moments(log_q, x) == pytest.approx(exact.moments(log_m, on.axis), abs=1e-5)
    g = seeded(6)
    x = start[0] + start[1] * torch.randn(40_000, 2, generator=g, dtype=torch.float64)
    *_, cloud = scores.descend(score, x, LEVELS, generator=g)
    mean, covariance = plane.moments(log_p, on)
    assert ((cloud.mean(0) - mean).abs() < 5 * (covariance.diagonal() / 40_000).sqrt()).all()
    assert cloud[:, 1].var().item() == pytest.approx(covariance[1, 1].item(), rel=0.04)
    left = (on.points[:, 0] < 0).double() @ log_p.exp().flatten() * on.cell
    share = (cloud[:, 0] < 0).double().mean()
    assert abs(share - left) < 5 * math.sqrt(0.25 / 40_000)


def test_a_law_that_no_grid_holds_is_refused() -> None:
    """A score that throws mass out ever farther; in the plane, levels that need too fine a grid."""
    start = torch.zeros(2).double(), torch.full((2,), 5.0).double()
    with pytest.raises((GridError, ValueError)):
        list(reverse.plane_law(gaussian_score, [5.0, 4.999], start))


@pytest.mark.parametrize("name", ["eight Gaussians", "moons", "checkerboard", "rings", "Gaussian"])
def test_a_shape_with_noise_is_the_shape_s_draws_with_noise(name: str) -> None:
    """Draws of the one have the mean energy of draws of the other, in the other's energy."""
    shape, noise, n = shapes.SHAPES[name], 0.4, 20_000
    noised = shape.noised(noise)
    x = shape.draw(n, generator=seeded(1))
    x = x + noise * torch.randn(n, 2, generator=seeded(2), dtype=torch.float64)
    a, b = noised.energy(x), noised.energy(noised.draw(n, generator=seeded(3)))
    assert abs(a.mean() - b.mean()) < 5 * (2 * a.var() / n).sqrt()
    covariance = noised.draw(n, generator=seeded(4)).T.cov()
    assert covariance_is(x, covariance) or name != "Gaussian"
    assert x.var(0) == pytest.approx(covariance.diagonal(), rel=0.06)


def test_a_shape_without_a_closed_form_says_so() -> None:
    with pytest.raises(ValueError, match=r"^this shape plus noise has no density in closed form"):
        shapes.SHAPES["pinwheel"].noised(0.3)


def test_networks_begin_as_gaussians_and_keep_their_form() -> None:
    """With the last layer at 0 both have the score of the Gaussian fit, at every level."""
    x = 3 * torch.randn(7, 2, generator=seeded(4), dtype=torch.float64)
    for kind in (scores.LevelEnergy, scores.LevelScore):
        net = kind(DATA, 0.1, 9, width=8, generator=seeded())
        with torch.no_grad():
            net.net[-1].weight.zero_()
            net.net[-1].bias.zero_()
        score = net.score if kind is scores.LevelEnergy else net
        for level in (0.1, 1.0, 9.0):
            right = (DATA.mean(0) - x) / (DATA.var(0) + level**2)
            assert torch.allclose(score(x, level), right)


def test_a_score_network_is_the_denoiser_of_karras_and_others() -> None:
    """D = c_skip x + c_out G(z, σ), and the score is (D − x)/σ², for data of mean 0."""
    data = DATA - DATA.mean(0)
    net, x, level = scores.LevelScore(data, 0.1, 9, generator=seeded()), DATA[:5], 1.3
    v = data.var(0)
    _, total, _, G = net.inside(x, level)
    D = v / (v + level**2) * x + level * v.sqrt() / total * G
    assert torch.allclose(net(x, level), (D - x) / level**2)


def test_an_energy_s_score_is_minus_its_gradient_and_levels_may_differ() -> None:
    net = scores.LevelEnergy(DATA, 0.1, 9, generator=seeded())
    x, levels = DATA[:4], torch.tensor([[0.2], [1.0], [3.0], [9.0]], dtype=torch.float64)
    each = [net(x[i : i + 1], levels[i].item()) for i in range(4)]
    assert torch.allclose(net(x, levels), torch.cat(each))
    right = -energy_and_gradient(lambda y: net(y, 0.7), x)[1]
    assert torch.equal(net.score(x, 0.7), right)


def test_denoising_at_many_levels_is_the_mean_of_single_ones() -> None:
    """On a Gaussian's exact energy, and a score's loss is that of its energy."""

    def energy(x: Tensor, level: Tensor) -> Tensor:
        return ((x - MU) ** 2 / (2 * (V + level**2))).sum(1)

    n = 40_000
    x = MU + math.sqrt(V) * torch.randn(n, 1, generator=seeded(1), dtype=torch.float64)
    for loss, model in [
        (objectives.denoising((0.1, 10)), energy),
        (objectives.denoising_score((0.1, 10)), gaussian_score),
    ]:
        value = loss(model, x, None, seeded(5))[0].item()
        levels = torch.logspace(-1, 1, 2001, dtype=torch.float64)
        right = (V / (V + levels**2)).mean().item() / 2  # E|σ f' − ε|² = v/(v + σ²)
        assert value == pytest.approx(right, rel=0.02)
    one = objectives.denoising(0.6)(lambda y: energy(y, 0.6), x, None, seeded(5))[0]
    assert one.item() == pytest.approx(V / (V + 0.36) / 2, rel=0.02)


@pytest.mark.parametrize("noise", [(1, 0.1), (0, 1), (0.1, 0.1), (0.1, 1, 2), (math.nan, 1)])
def test_levels_of_a_loss_are_checked(noise) -> None:
    for loss in (objectives.denoising, objectives.denoising_score):
        with pytest.raises((TypeError, ValueError), match=r"^noise is "):
            loss(noise)


def test_training_finds_the_weights_of_separate_humps() -> None:
    """What one level alone leaves open, all levels settle."""
    data = densities.draw(humps(1e-9), 4000, generator=seeded(2))
    net = scores.LevelEnergy(data, 0.2, 15, width=32, generator=seeded(2))
    loss = objectives.denoising((0.2, 15))
    training.train(net, data, loss, updates=400, lr=2e-2, generator=seeded(2), show_progress=False)
    start = data.mean().item(), math.hypot(data.std().item(), 15)
    *_, (x, log_p) = reverse.line_law(net.score, scores.geometric(15, 0.2, 40), start)
    left = exact.integrate(log_p.exp() * (x < 0.5), x).item()
    assert left == pytest.approx(0.3, abs=0.05)
