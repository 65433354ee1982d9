"""What the samplers check: step sizes, arguments, and divergence said in words."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch

from cases import SAMPLERS, N, quadratic, seeded, starts
from helpers.chains import step_sizes
from helpers.densities import draw, energy_of
from helpers.langevin import (
    DivergenceError,
    langevin_monte_carlo,
    leimkuhler_matthews,
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
    "zero": ({"step_size": 0}, ValueError, "step_size at step 0 is 0; it must be a finite"),
    "negative": ({"step_size": -0.1}, ValueError, "step_size at step 0 is -0.1"),
    "nan": ({"step_size": math.nan}, ValueError, "step_size at step 0 is nan"),
    "inf": ({"step_size": math.inf}, ValueError, "step_size at step 0 is inf"),
    "text": ({"step_size": "0.1"}, TypeError, "step_size at step 0 is '0.1'; it must be"),
    "digits": ({"step_size": "111"}, TypeError, "step_size at step 0 is '111'; it must be"),
    "none": ({"step_size": None}, TypeError, "step_size at step 0 is None; it must be a finite"),
    "matrix": ({"step_size": np.ones((3, 2))}, TypeError, "step_size at step 0 is array"),
    "runs out": ({"step_size": [0.1] * 2}, ValueError, "step_size has 2 entries for n_steps = 3"),
    "empty": ({"step_size": []}, ValueError, "step_size has 0 entries for n_steps = 3"),
    "later": ({"step_size": [0.1, 0.1, 0.0]}, ValueError, "step_size at step 2 is 0.0"),
    "function": ({"step_size": lambda k: 0.2 - 0.1 * k}, ValueError, "step_size at step 2 is 0.0"),
    "returns none": ({"step_size": lambda k: None}, TypeError, "step_size at step 0 is None"),
    "unused": ({"step_size": -1.0, "n_steps": 0}, ValueError, "step_size at step 0 is -1.0"),
    "-1 steps": ({"n_steps": -1}, ValueError, "n_steps is -1; it must be a whole number, 0 or"),
    "1.5 steps": ({"n_steps": 1.5}, TypeError, "n_steps is 1.5; it must be a whole number"),
    "True steps": ({"n_steps": True}, TypeError, "n_steps is True; it must be a whole number"),
    "integers": ({"x0": torch.ones(3, 1, dtype=torch.int64)}, TypeError, "x0 is a tensor of torch"),
    "sparse": (
        {"x0": torch.ones(3, 1).to_sparse()},
        TypeError,
        "x0 is a tensor of torch.float32 (t",
    ),
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
    "generator": ({"generator": 0}, TypeError, "generator is 0; it must be a torch.Generator."),
    "numpy's": ({"generator": np.random.default_rng(0)}, TypeError, "generator is Generator(PCG"),
    "step True": ({"step_size": True}, TypeError, "step_size at step 0 is True; it must be"),
    "step 1j": ({"step_size": 1j}, TypeError, "step_size at step 0 is 1j; it must be"),
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


@SAMPLERS
@pytest.mark.parametrize(
    "mean, sd, s",
    [(1e8, 1e7, 1e13), (5e6, 1e6, 1e11), (-3e12, 1e11, 1e21), (1e9, 1.0, 0.3), (1e8, 3e7, 1e15)],
)
def test_a_target_in_any_unit_is_reached(sampler, mean, sd, s) -> None:
    """N(10⁸, (10⁷)²) is as good as N(10, 1): there is nothing to say of it, and no wrong reason."""
    x = sampler(quadratic(mean, sd), torch.zeros(400, 1, dtype=torch.float64), 400, s,
                generator=seeded())  # fmt: skip
    if sampler is not mala or mean < 40 * sd:  # MALA refuses the way in from too far out
        assert abs(x.mean() - mean) < 5 * 1.2 * sd / 20


@pytest.mark.parametrize("sampler", [langevin_monte_carlo, leimkuhler_matthews])
@pytest.mark.parametrize("sign, said", [(1, "2/curvature of"), (-1, "no finite integral")])
def test_divergence_is_noticed_in_any_unit(sampler, sign, said) -> None:
    """With the same reason; in larger units no later, in smaller ones it first has to grow.

    Each step takes f = x² to −2x at s = 1.5, and f = −x² to 2.5x at s = 0.75.
    """
    steps, s = [], 1.5 if sign > 0 else 0.75
    for unit in (1.0, 1e9, 1e-9):
        with pytest.raises(DivergenceError, match=said) as error:
            x0, f = unit * starts(), partial(parabola, sign=sign, unit=unit)
            sampler(f, x0, 2000, s * unit**2, generator=seeded())
        steps.append(error.value.step)
    assert steps[1] <= steps[0] <= steps[2] <= steps[0] + math.log(1e9, 2) + 2


def parabola(x: torch.Tensor, sign: int, unit: float) -> torch.Tensor:
    """Return ± (x/unit)²."""
    return sign * ((x / unit) ** 2).sum(-1)


def test_the_step_is_blamed_only_where_it_is_to_blame() -> None:
    """A fall that is steepest at 8 · 10⁵ bends upwards beyond, by less than s = 1 can bear."""

    def energy(x):
        hill = 4.5e5 * math.sqrt(math.pi) * torch.erf((x - 8e5) / 3e5)
        return -1e4 * (x + hill).sum(-1)

    said = r"1, and 2/curvature gives no bound because the energy bends too little for that there"
    with pytest.raises(DivergenceError, match=said) as caught:
        langevin_monte_carlo(energy, 0 * starts(), 100, 1.0, generator=seeded())
    assert "must stay below" not in str(caught.value)


@pytest.mark.parametrize("sampler", [langevin_monte_carlo, leimkuhler_matthews])
def test_an_overflow_is_said_to_be_one(sampler) -> None:
    """float16 ends at 65 504."""
    x0 = torch.full((3, 1), 6e4, dtype=torch.float16)
    with pytest.raises(DivergenceError, match=r"no number of torch.float16 is beyond 6.55e\+04"):
        sampler(lambda x: -x.sum(-1), x0, 200, 100.0, generator=seeded())


@SAMPLERS
@pytest.mark.parametrize(
    "dtype, place, s",
    [(torch.float16, 2e4, 0.1), (torch.float32, 1e9, 0.5), (torch.float64, 1e18, 1)],
)
def test_a_step_that_would_be_rounded_away_is_refused(sampler, dtype, place, s) -> None:
    """Numbers near 20 000 are 16 apart in float16; where a particle can move, nothing is said."""
    x0 = torch.tensor([[1.0], [place]], dtype=dtype)
    said = rf"^x0 is a tensor of {dtype}, in which particle 1 cannot move from .* with s = {s:.3g};"
    with pytest.raises(ValueError, match=said):
        sampler(lambda x: 0.1 * (x - place).abs().sum(-1), x0, 5, s, generator=seeded())
    sampler(lambda x: 0.1 * (x - place).abs().sum(-1), x0[:1], 5, s, generator=seeded())


WALLS = {
    "NaN": (lambda x: torch.where(x.detach() > 0, x, 0 * x + math.nan).sum(-1), "nan"),
    "inf": (lambda x: torch.where(x > 0, x, math.inf).sum(-1), "inf"),
    "-inf": (lambda x: torch.where(x > 0, x, -math.inf).sum(-1), "-inf"),
}


@SAMPLERS
@pytest.mark.parametrize("energy, value", WALLS.values(), ids=WALLS)
def test_a_start_without_an_energy_is_refused(sampler, energy, value) -> None:
    """Such a particle would never move, or move as if it had one."""
    x0 = torch.tensor([[9.0], [-4.0]], dtype=torch.float64)
    said = (
        rf"step 1: particle 1 is at \[-4.0\], where the energy has (the value|gradient) \[?{value}"
    )
    with pytest.raises(DivergenceError, match=said):
        sampler(energy, x0, 5, 0.1, generator=seeded())


def test_a_support_that_ends_is_for_mala() -> None:
    """It stays inside, and is the exponential law; a plain step that has left is reported."""
    energy = energy_of(torch.distributions.Exponential(1.0))
    x0 = draw(torch.distributions.Exponential(1.0), N, generator=seeded(1))
    x = mala(energy, x0, 20, 0.1, generator=seeded(2))
    assert (x > 0).all() and abs(x.mean() - 1) < 5 / math.sqrt(N)
    for plain in (langevin_monte_carlo, leimkuhler_matthews):
        with pytest.raises(DivergenceError, match=r"the value inf, where no plain step may end\.$"):
            plain(energy, x0, 20, 0.1, generator=seeded(2))


def test_an_infinite_density_is_no_place_to_stay() -> None:
    """−∞ would be accepted, and never left."""

    def energy(x):
        return torch.where(x.abs() < 0.1, -math.inf, x**2).sum(-1)

    with pytest.raises(DivergenceError, match="where the energy has the value -inf"):
        mala(energy, 1 + starts(50).abs(), 50, 0.3, generator=seeded())
