"""The checks that every argument goes through."""

import math
import re

import numpy as np
import pytest
import torch

from helpers.checks import generator_for, number, seeded, whole


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_come_back_as_python_s(value) -> None:
    assert whole(value, "n", 1) == 3 and type(whole(value, "n", 3, 3)) is int


@pytest.mark.parametrize("value", [2.5, 3.0, True, np.True_, "3", None, [3], 3j, np.float64(3)])
def test_what_is_no_whole_number_is_refused_by_kind(value) -> None:
    said = f"n is {value!r}; it must be a whole number, 1 or more."
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        whole(value, "n", 1)


@pytest.mark.parametrize("value", [-1, 0, 6, np.int64(-3)])
def test_whole_numbers_out_of_range_are_refused(value) -> None:
    with pytest.raises(ValueError, match=f"^n is {value}; it must be a whole number from 1 to 5."):
        whole(value, "n", 1, 5)


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5, dtype=torch.float64)]
)
def test_numbers_come_back_as_python_s(value) -> None:
    assert number(value, "h", 0, 1) == 0.5 and type(number(value, "h", 0.5, above=False)) is float


@pytest.mark.parametrize(
    "value", ["0.5", b"1", None, True, np.True_, torch.tensor(True), [0.5], np.ones(1), 1j]
)
def test_what_is_no_number_is_refused_by_kind(value) -> None:
    said = f"h is {value!r}; it must be a finite number, above 0, at most 1."
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        number(value, "h", 0, 1, above=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 0, 1.1, np.float64("nan")])
def test_numbers_out_of_range_are_refused(value) -> None:
    with pytest.raises(ValueError, match=rf"^h is {value}; it must be a finite number, above 0"):
        number(value, "h", 0, 1, above=True)
    with pytest.raises(ValueError, match=r"; it must be a finite number\.$"):
        number(math.inf, "h")


def test_the_end_of_a_range_belongs_to_it() -> None:
    assert (number(0, "h", 0, 1), number(1, "h", 0, 1)) == (0, 1)
    assert number(1, "h", 0, 1, above=True) == 1


def test_seeds_are_whole_numbers() -> None:
    a, b = seeded(np.int64(4)), torch.Generator().manual_seed(4)
    assert torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    for wrong in (-1, 1.0, 2**64, None, True):
        with pytest.raises(
            (TypeError, ValueError), match=f"^seed is {wrong!r}; it must be a whole"
        ):
            seeded(wrong)


@pytest.mark.parametrize("wrong", [0, "cpu", np.random.default_rng(0), None])
def test_only_a_torch_generator_is_one(wrong) -> None:
    """None makes a fresh one where that is allowed, another at each call."""
    with pytest.raises(TypeError, match=r"^generator is .*; it must be a torch\.Generator\.$"):
        generator_for(wrong)
    g = seeded(0)
    assert generator_for(g) is g
    fresh = [generator_for(None, fresh=True).initial_seed() for _ in range(2)]
    assert fresh[0] != fresh[1]
    with pytest.raises(ValueError, match=r"^generator is on cpu; it must be on meta\.$"):
        generator_for(g, "meta")
