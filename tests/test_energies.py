"""What an energy may do and may not: it is asked for a copy, and must be a function of x alone."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cases import SAMPLERS, X, quadratic, seeded, starts
from helpers import exact, objectives
from helpers.densities import Energy
from helpers.langevin import energy_and_gradient


def minus(x: Tensor) -> Tensor:
    """Return (x − 5)²/2, in place."""
    x -= 5
    return x.square().sum(-1) / 2


def scaled(x: Tensor) -> Tensor:
    """Return (x − 5)²/2 by three works in place."""
    return x.sub_(5).pow_(2).mul_(0.5).sum(-1)


def rowwise(x: Tensor) -> Tensor:
    """Return (x − 5)²/2, where a view is written to."""
    x[:, 0].sub_(5)
    return (x[:, 0] ** 2).div_(2)


def unrecorded(x: Tensor) -> Tensor:
    """Return (x − 5)²/2, and write to x behind autograd's back."""
    f = ((x - 5) ** 2).sum(-1) / 2
    with torch.no_grad():
        x.zero_()
    return f


IN_PLACE = pytest.mark.parametrize("energy", [minus, scaled, rowwise])


@IN_PLACE
def test_the_referee_s_tensors_are_left_alone(energy) -> None:
    """The values are right, and samples and grid are what they were."""
    right, x, samples = quadratic(5, 1), exact.grid(-4, 14), starts()
    for call in (
        lambda f: exact.nll(samples, f, x),
        lambda f: exact.log_partition(f, x).item(),
        lambda f: exact.log_density(f, x).sum().item(),
        lambda f: exact.langevin_kernel(f, x[::20], 0.1).sum().item(),
        lambda f: exact.mala_kernel(f, x[::20], 0.1).sum().item(),
        lambda f: exact.leimkuhler_matthews_kernel(f, x[::20], 0.1).sum().item(),
        lambda f: exact.law(quadratic(5, 1)(x[::20, None]) * -1 - 0.5 * math.log(2 * math.pi), f,
                            x[::20], 2, 0.1).exp().sum().item(),
        lambda f: sum(exact.outer_slopes(f)),
    ):  # fmt: skip
        assert call(energy) == pytest.approx(call(right), rel=1e-12)
    assert torch.equal(x, exact.grid(-4, 14)) and torch.equal(samples, starts())


@SAMPLERS
@pytest.mark.parametrize("energy", [minus, scaled, rowwise, unrecorded])
def test_the_samplers_particles_are_left_alone(sampler, energy) -> None:
    """A run is that of the same energy written out of place."""
    x0, expected = starts(), quadratic(5, 1)
    options = {"return_trajectory": True}
    path = sampler(energy, x0, 4, 0.1, generator=seeded(), **options)
    assert torch.equal(x0, starts())
    torch.testing.assert_close(path, sampler(expected, x0, 4, 0.1, generator=seeded(), **options))
    for value, right in zip(
        energy_and_gradient(energy, x0), energy_and_gradient(expected, x0), strict=True
    ):
        torch.testing.assert_close(value, right)
    assert torch.equal(x0, starts())


@IN_PLACE
def test_the_losses_batch_is_left_alone(energy) -> None:
    """Training data stay as they are, whatever the loss."""
    negatives = objectives.from_data(2, 0.1)
    for loss in (
        objectives.exact_nll(exact.grid(-4, 14)),
        objectives.contrast(negatives),
        objectives.denoising(0.5),
    ):
        real = starts()
        value, _ = loss(energy, real, None, seeded())
        assert torch.equal(real, starts())
        assert value.item() == pytest.approx(loss(quadratic(5, 1), real, None, seeded())[0].item())


def test_what_autograd_needs_may_not_be_overwritten() -> None:
    """x² is needed for its gradient, when x has been changed by then."""

    def energy(x: Tensor) -> Tensor:
        f = (x**2).sum(-1)
        x -= 5
        return f

    with pytest.raises(ValueError, match=r"^energy overwrites in place what its gradient needs"):
        energy_and_gradient(energy, starts())


# --- a function of x alone --------------------------------------------------------------------


def net(*layers: nn.Module) -> nn.Module:
    """Return a network from (n, 1) to (n,), in float64, with the layers in its middle."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 8), *layers, nn.Linear(8, 1), nn.Flatten(0)).double()


def every_use(energy) -> list:
    """Return calls of everything that asks for an energy."""
    samplers = SAMPLERS.args[1]
    calls = [lambda s=s: s(energy, starts(), 2, 0.1, generator=seeded()) for s in samplers]
    calls += [
        lambda: exact.log_partition(energy, X, restricted=True),
        lambda: exact.log_density(energy, X, restricted=True),
        lambda: exact.nll(starts(), energy, X),
        lambda: exact.langevin_kernel(energy, X, 0.1),
        lambda: exact.mala_kernel(energy, X, 0.1),
        lambda: exact.outer_slopes(energy),
        lambda: objectives.exact_nll(X)(energy, starts(), None, seeded()),
        lambda: objectives.contrast(objectives.from_data(2, 0.1))(energy, starts(), None, seeded()),
    ]
    return calls


LAYERS = [nn.Dropout(0.5), nn.AlphaDropout(0.2), nn.BatchNorm1d(8), nn.RReLU()]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize(
    "wrap", [lambda f: f, lambda f: lambda x: f(x)], ids=["module", "function"]
)
def test_a_network_in_train_mode_is_refused(layer, wrap) -> None:
    """By everything, with what to do, however the network is wrapped, and nothing has moved."""
    energy = wrap(net(layer))
    before = torch.get_rng_state()
    for call in every_use(energy):
        with pytest.raises(ValueError, match=r"^energy is in train mode, with \w+\(.*\.eval\(\)"):
            call()
    assert torch.equal(before, torch.get_rng_state())


def test_the_same_network_in_eval_mode_is_taken() -> None:
    """And so is one without such layers in train mode."""
    for energy in (net(*LAYERS).eval(), net(nn.SiLU())):
        f = lambda x, energy=energy: energy(x) + x.square().sum(-1) / 2  # noqa: E731
        for call in every_use(f):
            call()


def test_an_energy_that_draws_numbers_is_refused() -> None:
    """And the global random state is put back."""
    for noise in (torch.rand_like, nn.functional.dropout):
        before = torch.get_rng_state()
        for call in every_use(lambda x, noise=noise: (noise(x) + x**2).sum(-1)):
            with pytest.raises(ValueError, match=r"^energy drew random numbers; it must be a func"):
                call()
        assert torch.equal(before, torch.get_rng_state())


def own_random_numbers() -> Energy:
    """Return an energy with a generator of its own."""
    rng = np.random.default_rng(0)
    return lambda x: (x**2).sum(-1) + rng.normal()


COUPLED = {
    "mean": lambda x: ((x - x.mean(0)) ** 2).sum(-1),
    "repulsion": lambda x: (x**2).sum(-1) + (x[:, None] - x).square().sum((1, 2)),
    "softmax": lambda x: (x**2).sum(-1) + x.softmax(0).sum(-1),
    "batch norm": lambda x: (
        nn.functional.batch_norm(x, None, None, training=True).sum(-1) + x[:, 0]
    ),
    "cumulative from the end": lambda x: x.flip(0).cumsum(0).flip(0).square().sum(-1),
    "the first": lambda x: (x**2).sum(-1) + x[0].square().sum(),
    "the last": lambda x: (x**2).sum(-1) + x[-1].square().sum(),
    "median": lambda x: ((x - x.median()) ** 2).sum(-1),
    "another at each call": own_random_numbers(),
}


@SAMPLERS
@pytest.mark.parametrize("energy", COUPLED.values(), ids=COUPLED)
@pytest.mark.parametrize("x0", [starts(), torch.zeros(6, 1)], ids=["spread", "one point"])
def test_particles_must_not_depend_on_one_another(sampler, energy, x0) -> None:
    with pytest.raises(ValueError, match=r"^energy gave particle \d .* when others had moved; it"):
        sampler(energy, x0, 5, 0.1, generator=seeded())


@pytest.mark.parametrize("energy", COUPLED.values(), ids=COUPLED)
def test_nor_may_the_points_of_a_grid(energy) -> None:
    """log Z of such an energy is that of no density."""
    for call in (
        lambda: exact.log_density(energy, X, restricted=True),
        lambda: exact.nll(starts(), energy, X),
        lambda: exact.mala_kernel(energy, X, 0.1),
    ):
        with pytest.raises(ValueError, match=r"^energy gave particle \d+ .* when others had moved"):
            call()


@SAMPLERS
def test_every_particle_may_have_a_target_of_its_own(sampler) -> None:
    """Constants by the particle are no dependence of one on another."""
    centres = 100 * starts()
    x = sampler(lambda x: ((x - centres) ** 2).sum(-1), starts(), 60, 0.1, generator=seeded())
    assert ((x - centres).abs() < 5).all()


# --- what an energy cannot take, and what it returns ------------------------------------------


@pytest.mark.parametrize(
    "energy", [net(nn.SiLU()).float(), nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).double()]
)
def test_another_kind_of_particles_is_named(energy) -> None:
    """A float32 network, or one of two inputs, is not left to torch's words alone."""
    said = r"^energy cannot take particles of shape \(\d+, 1\), torch\.float64, on cpu, as its own"
    for call in every_use(energy):
        with pytest.raises(TypeError, match=said):
            call()


@pytest.mark.parametrize(
    "energy, said",
    [
        (lambda x: x**2, r"energy returned shape \(\d+, 1\) for particles of shape"),
        (lambda x: (x**2).sum(), r"energy returned shape \(\) for particles of shape"),
        (
            lambda x: (x**2).sum(-1).long(),
            r"energy returned torch.int64, no floating point, for particles of shape",
        ),
        (
            lambda x: (x**2).sum(-1) + 0j,
            r"energy returned torch.complex128, no floating point, for particles",
        ),
        (lambda x: 1.0, r"energy returned float for particles of shape"),
        (None, r"energy is None; it must be a function of particles"),
        (3.0, r"energy is 3.0; it must be a function of particles"),
    ],
)
def test_what_is_no_energy_is_named(energy, said) -> None:
    for call in every_use(energy):
        with pytest.raises((TypeError, ValueError), match="^" + said):
            call()


@SAMPLERS
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_samplers_work_in_every_mode_of_autograd(sampler, mode) -> None:
    """Nothing is detached there, and nothing is said to be; what was made there is named."""
    expected = sampler(quadratic(0, 1), starts(), 5, 0.1, generator=seeded())
    with mode():
        assert torch.equal(sampler(quadratic(0, 1), starts(), 5, 0.1, generator=seeded()), expected)
        _, gradient = energy_and_gradient(quadratic(0, 1), starts())
        torch.testing.assert_close(gradient, starts())
        made = net(nn.SiLU())
    if mode is torch.inference_mode:
        with pytest.raises(TypeError, match=r"^energy cannot take .*Inference tensors cannot be"):
            sampler(made, starts(), 5, 0.1, generator=seeded())
