"""What the samplers check: step sizes, arguments, and divergence said in words."""

import math
import re

import numpy as np
import pytest
import torch

from cases import SAMPLERS, N, quadratic, seeded, starts
from helpers.chains import step_sizes
from helpers.langevin import (
    DivergenceError,
    langevin_monte_carlo,
    mala,
)

# --- step sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        [0.5, 0.25, 0.125],
        (0.5, 0.25, 0.125, "never read"),
        torch.tensor([0.5, 0.25, 0.125]),
        np.array([0.5, 0.25, 0.125, 9.0]),
        lambda k: 0.5 / 2**k,
        lambda k: torch.tensor(0.5) / 2**k,
    ],
    ids=["list", "longer tuple", "tensor", "array", "function", "function of tensors"],
)
def test_every_form_of_schedule_means_the_same(schedule) -> None:
    """A sequence or a function of k, read for k = 0 … n_steps − 1."""
    assert step_sizes(schedule, 3) == [0.5, 0.25, 0.125]
    expected = langevin_monte_carlo(
        quadratic(0, 1), starts(), 3, [0.5, 0.25, 0.125], generator=seeded()
    )
    for sampler, same in ((langevin_monte_carlo, True), (mala, False)):
        x = sampler(quadratic(0, 1), starts(), 3, schedule, generator=seeded())
        assert torch.equal(x, expected) == same


@pytest.mark.parametrize("constant", [0.5, torch.tensor(0.5), np.float64(0.5)])
def test_a_constant_stands_for_every_step(constant) -> None:
    """Plain numbers, and tensors and arrays without a dimension."""
    assert list(step_sizes(constant, 3)) == [0.5] * 3 and not list(step_sizes(constant, 0))
    assert list(step_sizes(constant, np.int64(2))) == [0.5] * 2


BAD = {
    "zero": ({"step_size": 0}, ValueError, "step_size is 0 at step 0; it must be finite and pos"),
    "negative": ({"step_size": -0.1}, ValueError, "step_size is -0.1 at step 0"),
    "nan": ({"step_size": math.nan}, ValueError, "step_size is nan at step 0"),
    "inf": ({"step_size": math.inf}, ValueError, "step_size is inf at step 0"),
    "text": ({"step_size": "0.1"}, TypeError, "step_size is '0.1' at step 0; it must be"),
    "digits": ({"step_size": "111"}, TypeError, "step_size is '111' at step 0; it must be"),
    "none": ({"step_size": None}, TypeError, "step_size is None at step 0; it must be a positive"),
    "matrix": ({"step_size": np.ones((3, 2))}, TypeError, "step_size is array"),
    "runs out": ({"step_size": [0.1] * 2}, ValueError, "step_size has 2 entries for n_steps = 3"),
    "empty": ({"step_size": []}, ValueError, "step_size has 0 entries for n_steps = 3"),
    "later": ({"step_size": [0.1, 0.1, 0.0]}, ValueError, "step_size is 0.0 at step 2"),
    "function": ({"step_size": lambda k: 0.2 - 0.1 * k}, ValueError, "step_size is 0.0 at step 2"),
    "returns none": ({"step_size": lambda k: None}, TypeError, "step_size is None at step 0"),
    "unused": ({"step_size": -1.0, "n_steps": 0}, ValueError, "step_size is -1.0 at step 0"),
    "-1 steps": ({"n_steps": -1}, ValueError, "n_steps is -1; it must be a whole number, 0 or"),
    "1.5 steps": ({"n_steps": 1.5}, TypeError, "n_steps is 1.5; it must be a whole number"),
    "True steps": ({"n_steps": True}, TypeError, "n_steps is True; it must be a whole number"),
    "integers": ({"x0": torch.ones(3, 1, dtype=torch.int64)}, TypeError, "x0 is a tensor of torch"),
    "array": ({"x0": np.ones((3, 1))}, TypeError, "x0 is ndarray; it must be a floating-point"),
    "1-D": ({"x0": torch.ones(3)}, ValueError, "x0 has shape (3,); it must be (n, d)"),
    "no particles": ({"x0": torch.ones(0, 1)}, ValueError, "x0 has shape (0, 1); it must be"),
    "no columns": ({"x0": torch.ones(3, 0)}, ValueError, "x0 has shape (3, 0); it must be"),
    "x0 nan": ({"x0": torch.tensor([[0.0], [math.nan]])}, ValueError, "x0 holds NaN or infinity"),
    "x0 inf": ({"x0": torch.tensor([[-math.inf]])}, ValueError, "x0 holds NaN or infinity"),
    "column": (
        {"energy": lambda x: x**2},
        ValueError,
        "energy returned shape (5, 1) for particles of shape (5, 1); it must return a tensor of"
        " shape (5,).",
    ),
    "scalar": ({"energy": lambda x: (x**2).sum()}, ValueError, "energy returned shape () for"),
    "float": ({"energy": lambda x: 1.0}, ValueError, "energy returned float for particles of"),
    "detached": (
        {"energy": lambda x: (x.detach() ** 2).sum(-1)},
        ValueError,
        "energy returned values without a gradient in x; it must be differentiable in x",
    ),
    "of parameters only": (
        {"energy": lambda x: torch.ones(5, requires_grad=True) * 2},
        ValueError,
        "energy returned values without a gradient in x",
    ),
}


@SAMPLERS
@pytest.mark.parametrize("change, error, message", BAD.values(), ids=BAD)
def test_a_bad_argument_is_named(sampler, change, error, message) -> None:
    """The message begins with the argument, says what came and what must come."""
    good = {"energy": quadratic(0, 1), "x0": starts(), "n_steps": 3, "step_size": 0.1}
    sampler(**good)
    with pytest.raises(error, match="^" + re.escape(message)):
        sampler(**(good | change))


# --- divergence -------------------------------------------------------------------------------


@pytest.mark.parametrize("sd, s", [(0.5, 0.6), (1.0, 2.5), (2.0, 30.0)])
def test_too_large_a_step_raises_with_the_bound_2_over_curvature(sd, s) -> None:
    """Beyond s = 2σ² the chain blows up; the error gives that bound and the first bad step."""
    x0, bound = starts(), 1e6 * (1 + starts().abs())
    with pytest.raises(DivergenceError, match=f"s = {s:.3g} must stay below 2/curv") as caught:
        langevin_monte_carlo(quadratic(0, sd), x0, 1000, s, generator=seeded())
    said = re.search(r"2/curvature of the energy, which is ([\d.]+) there\.$", str(caught.value))
    assert float(said[1]) == pytest.approx(2 * sd**2, rel=0.01)
    k = caught.value.step
    assert f"diverged at step {k}: particle " in str(caught.value)
    path = langevin_monte_carlo(
        quadratic(0, sd), x0, k - 1, s, generator=seeded(), return_trajectory=True
    )
    assert ((path - x0).abs() <= bound).all()
    langevin_monte_carlo(quadratic(0, sd), x0, 1000, 0.9 * 2 * sd**2, generator=seeded())


@SAMPLERS
@pytest.mark.parametrize("start, step", [(0.0, 10), (1.0, 20), (-3.0, 39)])
def test_the_bound_is_a_million_of_the_starting_scale(sampler, start, step) -> None:
    """Falling by 1.05e5 a step along a slope, |x − x0| passes 10⁶ (1 + |x0|) at a known step."""
    x0 = torch.tensor([[start]], dtype=torch.float64)
    with pytest.raises(DivergenceError, match="no finite integral") as caught:
        sampler(lambda x: 1.05e5 * x.sum(-1), x0, 100, 1.0, generator=seeded())
    assert caught.value.step == step


def test_an_energy_unbounded_below_is_said_to_be_one() -> None:
    """f = −x² has curvature −2: no step size helps."""
    with pytest.raises(
        DivergenceError,
        match=r"does not bend upwards there \(curvature -2\): e\^\(-f\) may have no",
    ):
        langevin_monte_carlo(lambda x: -(x**2).sum(-1), starts(), 1000, 0.1, generator=seeded())


@SAMPLERS
def test_a_gradient_that_is_no_number_is_reported(sampler) -> None:
    """√x has none below 0: the particle that stands there is named, even if MALA would not move."""
    x0 = torch.tensor([[9.0], [-4.0]], dtype=torch.float64)
    said = r"step 1: particle 1 is at \[-4.0\], where the energy has gradient \[nan\]"
    with pytest.raises(DivergenceError, match=said) as caught:
        sampler(lambda x: x.sqrt().sum(-1), x0, 5, 0.1, generator=seeded())
    assert caught.value.step == 1
    assert torch.equal(sampler(lambda x: x.sqrt().sum(-1), x0, 0, 0.1), x0)


def test_mala_refuses_moves_to_where_the_energy_is_no_number() -> None:
    """Gamma(2) has f = x − log x, NaN below 0: particles stay positive, mean and variance 2.

    Its fourth central moment is 24, so the variance has standard error √((24 − 4)/n).
    """
    x0 = -torch.rand(N, 2, generator=seeded(1), dtype=torch.float64).log().sum(1, keepdim=True)
    x = mala(lambda x: (x - x.log()).sum(-1), x0, 10, 0.5, generator=seeded(2))
    assert (x > 0).all() and (x != x0).double().mean() > 0.5
    assert abs(x.mean() - 2) < 5 * math.sqrt(2 / N)
    assert abs(x.var() - 2) < 5 * math.sqrt(20 / N)
