"""What losses, their sources of negatives and the article's recipe are given is checked at once."""

import math

import numpy as np
import pytest
import torch

from cases import X, quadratic, seeded, starts
from helpers import objectives
from helpers.article import fit_energy_as_published
from helpers.chains import DivergenceError
from helpers.langevin import langevin_monte_carlo

SOURCES = {
    "from_data": objectives.from_data,
    "from_noise": lambda *options, **named: objectives.from_noise(0, 15, *options, **named),
    "persistent": lambda *options, **named: objectives.persistent(starts(), *options, **named),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize(
    "arguments, said",
    [
        ((0, 0.1), "n_steps is 0; it must be a whole number, 1 or more"),
        ((-3, 0.1), "n_steps is -3; it must be"),
        ((2.5, 0.1), "n_steps is 2.5; it must be"),
        ((True, 0.1), "n_steps is True; it must be"),
        ((5, 0), "step_size at step 0 is 0; it must be"),
        ((5, [0.1]), "step_size has 1 entries for n_steps = 5"),
        ((5, "0.1"), "step_size at step 0 is '0.1'; it must be"),
    ],
)
def test_sources_of_negatives_check_their_chains(source, arguments, said) -> None:
    """When they are made, not at the first update."""
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        source(*arguments)
    with pytest.raises(TypeError, match=r"^sampler is 'mala'; it must be a function"):
        source(5, 0.1, sampler="mala")


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_sources_of_negatives_take_numpy_s_numbers(source) -> None:
    same = [
        source(k, s)(quadratic(0, 1), starts(), None, seeded())[0]
        for k, s in ((3, 0.5), (np.int64(3), np.float32(0.5)))
    ]
    assert torch.equal(*same)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("generator", [0, np.random.default_rng(0)])
def test_losses_name_a_generator_that_is_none(source, generator) -> None:
    for loss in (objectives.contrast(source(2, 0.1)), objectives.denoising(0.5)):
        with pytest.raises(TypeError, match=r"^generator is .*; it must be a torch\.Generator\.$"):
            loss(quadratic(0, 1), starts(), None, generator)


BOXES = [(15, 0), (3, 3), (0, math.inf), (math.nan, 1), ("0", "15"), (0, 1, 2), 15, (True, 3)]


@pytest.mark.parametrize("box", BOXES)
def test_a_box_is_an_interval(box) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^box is .*; it must be "):
        objectives.persistent(starts(), 5, 0.1, restarts=0.1, box=box)
    if np.shape(box) == (2,):
        with pytest.raises((TypeError, ValueError), match=r"^low, high is .*; it must be "):
            objectives.from_noise(*box, 5, 0.1)


@pytest.mark.parametrize(
    "chains",
    [torch.zeros(5), torch.zeros(0, 1), np.zeros((5, 1)), starts().long(), starts() / 0, None],
)
def test_chains_are_particles(chains) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^chains (is|has|holds) .*; "):
        objectives.persistent(chains, 5, 0.1)


def test_restarts_keep_the_chains_type() -> None:
    negatives = objectives.persistent(
        starts(dtype=torch.float32), 2, 0.1, restarts=0.5, box=(0.0, 15.0)
    )
    x, _ = negatives(quadratic(0, 1), starts(), None, seeded())
    assert x.dtype == torch.float32


@pytest.mark.parametrize("value", ["0.1", None, True, 1j])
def test_weights_are_numbers(value) -> None:
    for make in (
        lambda: objectives.contrast(objectives.from_data(1, 0.1), penalty=value),
        lambda: objectives.denoising(value),
        lambda: objectives.persistent(starts(), 1, 0.1, restarts=value, box=(0, 1)),
    ):
        with pytest.raises(
            TypeError, match=r"^(penalty|noise|restarts) is .*; it must be a finite"
        ):
            make()


def test_negatives_of_another_dimension_are_named() -> None:
    loss = objectives.contrast(lambda *_: (torch.zeros(4, 2), None))
    with pytest.raises(ValueError, match=r"^negatives have shape \(4, 2\); it must be \(m, 1\)\."):
        loss(quadratic(0, 1), starts(), None, seeded())


@pytest.mark.parametrize(
    "options, said",
    [
        ({"epochs": 0}, "epochs is 0; it must be a whole number, 1 or more"),
        ({"epochs": 1.5}, "epochs is 1.5; it must be"),
        ({"seed": -1}, "seed is -1; it must be"),
        ({"seed": "0"}, "seed is '0'; it must be"),
        ({"penalty": -0.1}, "penalty is -0.1; it must be"),
        ({"penalty": math.nan}, "penalty is nan; it must be"),
        ({"step_size": lambda k: 0.5 - 0.1 * k}, "step_size at step 5 is 0.0; it must be"),
        ({"step_size": "1"}, "step_size at step 0 is '1'; it must be"),
    ],
)
def test_the_article_s_recipe_checks_its_arguments(options, said) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        fit_energy_as_published(starts(), show_progress=False, **options)


def test_the_article_s_recipe_says_when_it_diverges() -> None:
    """Not NaN weights, in silence."""
    with pytest.raises(DivergenceError, match=r"^the loss is (nan|inf) in epoch 1; try a smaller"):
        fit_energy_as_published(starts(200), epochs=3, step_size=1e300, show_progress=False)
    quiet = {"epochs": np.int64(1), "seed": np.int64(2), "show_progress": False}
    energy, _ = fit_energy_as_published(starts(200), **quiet)
    again, _ = fit_energy_as_published(starts(200), epochs=1, seed=2, show_progress=False)
    assert torch.equal(energy(starts()), again(starts()))


def test_a_box_is_no_burden_without_restarts() -> None:
    x = objectives.persistent(starts(), 2, 0.1, box=(0, 15))(
        quadratic(0, 1), starts(), None, seeded()
    )
    assert torch.equal(
        x[0], langevin_monte_carlo(quadratic(0, 1), starts(), 2, 0.1, generator=seeded())
    )


LOSSES = {
    "contrast": objectives.contrast(objectives.persistent(starts(), 2, 0.1)),
    "denoising": objectives.denoising(0.5),
    "exact_nll": objectives.exact_nll(X),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(
    "real", [starts()[:, 0], starts().numpy(), starts().long(), starts()[:0], starts() / 0, None]
)
def test_a_batch_is_particles(loss, real) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^real (is|has|holds) .*; "):
        loss(quadratic(0, 1), real, None, seeded())


def test_what_is_of_another_dimension_or_no_function_is_named() -> None:
    with pytest.raises(ValueError, match=r"^real has shape \(5, 2\); the exact NLL needs \(n, 1\)"):
        LOSSES["exact_nll"](quadratic(0, 1), torch.zeros(5, 2), None, seeded())
    with pytest.raises(TypeError, match=r"^negatives is 3; it must be a function"):
        objectives.contrast(3)
