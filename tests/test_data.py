"""The columns of numbers that we are given: taken as they are, or refused with a reason."""

import math
import tempfile
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from course import PATHS
from helpers.data import as_samples, load_column, petal_lengths, split


def test_petal_lengths_are_fisher_s_with_a_gap_between_two_groups() -> None:
    """50 setosas from 1.0 to 1.9 cm, 100 others from 3.0 to 6.9 cm, a fresh array at each call."""
    x = petal_lengths()
    short, long = x[x < 2.5], x[x > 2.5]
    assert (x.shape, len(short), len(long)) == ((150,), 50, 100)
    assert (short.min(), short.max(), long.min(), long.max()) == (1.0, 1.9, 3.0, 6.9)
    x[:] = 0
    assert petal_lengths().any()


class Column:
    """What matters of a pandas column from which rows were dropped: an index is no position."""

    def __init__(self, values: list[float]):
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, label: int) -> float:
        raise KeyError(label)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize(
    "given, expected",
    [
        (np.array([1, 2, 4]), [[1.0], [2.0], [4.0]]),
        (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), [[1.0, 2.0], [3.0, 5.0]]),
        ([1.5, 0.5], [[1.5], [0.5]]),
        (np.array([1.0, 2.0, 3.0])[::-1], [[3.0], [2.0], [1.0]]),
        (np.array([1.5, 2.5], dtype=">f8"), [[1.5], [2.5]]),
        (np.array([1.5, 2.5], dtype=np.float16), [[1.5], [2.5]]),
        (np.array([1.5, 2.5], dtype=np.longdouble), [[1.5], [2.5]]),
        (np.array([1, 2.5, Fraction(1, 2)], dtype=object), [[1.0], [2.5], [0.5]]),
        (np.ma.masked_equal([1.0, 2.0], -999), [[1.0], [2.0]]),
        ([np.array([1, 2]), np.array([3, 5])], [[1.0, 2.0], [3.0, 5.0]]),
        ([torch.tensor(1.5), torch.tensor(0.5)], [[1.5], [0.5]]),
        (torch.tensor([[1.0], [2.0]]).to_sparse(), [[1.0], [2.0]]),
        (Column([1.0, 4.0]), [[1.0], [4.0]]),
    ],
    ids="integers,two columns,list,reversed,big-endian,float16,longdouble,objects,not masked,rows,"
    "tensors,sparse,by position".split(","),
)
def test_as_samples_keeps_the_numbers(given, expected) -> None:
    """Numbers of shape (n,) or (n, d) come back as float64 of shape (n, d)."""
    x = as_samples(given)
    assert x.dtype == torch.float64 and x.tolist() == expected


def test_as_samples_makes_a_copy_without_a_graph() -> None:
    """Changing the result changes neither the caller's tensor nor its array."""
    tensor = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    array = np.array([0.0, 1.0])
    for given in (tensor, array):
        x = as_samples(given)
        x += 7
        assert not x.requires_grad
    assert tensor.tolist() == [[0.0], [1.0]] and array.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "given, message",
    [
        ([], r"holds 0 value\(s\); at least 2"),
        ([3.0], r"holds 1 value\(s\); at least 2"),
        ([[3.0, 4.0, 5.0]], r"holds 1 value\(s\) of shape \(1, 3\); at least 2"),
        ([2.0, 2.0, 2.0], "has a constant column"),
        ([[1.0, 7.0], [2.0, 7.0]], "has a constant column"),
        ([1.0, math.nan, 2.0, math.inf], r"holds 2 row\(s\) .* at index 1: \[nan\]"),
        ([[1.0, 2.0], [3.0, -math.inf]], r"holds 1 row\(s\) .* at index 1: \[3.0, -inf\]"),
        (1.0, r"has shape \(\); it must be \(n,\) or \(n, d\)"),
        (np.ones((2, 3, 4)), r"has shape \(2, 3, 4\)"),
        (np.ones((3, 0)), r"has shape \(3, 0\)"),
    ],
)
def test_as_samples_says_what_is_wrong(given, message) -> None:
    """Each error begins with the name of the argument."""
    with pytest.raises(ValueError, match="^heights " + message):
        as_samples(given, "heights")


@pytest.mark.parametrize(
    "given, kind",
    [
        ("lengths.csv", "a str of <U11"),
        (["1.5", "2.5"], "a list of <U3"),
        ([1.5, "2.5"], "a list of <U"),
        (None, "a NoneType of objects such as None"),
        ([1.5, None], "a list of objects such as None"),
        (np.array([1.5, "a"], dtype=object), "a ndarray of objects such as 'a'"),
        (np.array([1.5, True], dtype=object), "a ndarray of objects such as True"),
        (np.array([1 + 2j, 2]), "a ndarray of complex128"),
        (torch.tensor([1 + 2j, 2]), "a Tensor of torch.complex64"),
        (np.array([True, False]), "a ndarray of bool"),
        (torch.tensor([True, False]), "a Tensor of torch.bool"),
        (np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]"), "a ndarray of datetime64"),
        ([[1.0, 2.0], [3.0]], "a list of no array"),
        ((x for x in (1.0, 2.0)), "a generator of objects such as <generator"),
        ({"length": [1.0, 2.0]}, "a dict of objects such as {'length"),
        (np.zeros(3, dtype=[("a", float)]), r"a ndarray of \[\('a'"),
        ([torch.ones(1, requires_grad=True), 2.0], "a list of no array"),
        (torch.ones(3, device="meta"), "a Tensor of no array"),
    ],
)
def test_as_samples_takes_real_numbers_only(given, kind) -> None:
    """One sentence each: nothing is cut to its real part, counted as 1 or read as text."""
    with pytest.raises(
        TypeError, match=rf"(?s)^heights is {kind}.*; it must hold real numbers.*\.$"
    ):
        as_samples(given, "heights")


def test_as_samples_leaves_no_masked_value_in() -> None:
    """A value to be ignored is no value."""
    with pytest.raises(ValueError, match=r"^x has 1 masked value\(s\); they must be left out"):
        as_samples(np.ma.masked_equal([1.0, 2.0, -999.0], -999), "x")


@pytest.mark.parametrize("given", [[1e200, 2e200], [1e-200, 2e-200], [1.0, -1e160], [0, 1e-170]])
def test_as_samples_refuses_what_cannot_be_squared(given) -> None:
    """Its standard deviation would be infinite, or 0."""
    with pytest.raises(ValueError, match=r"^x reaches .* standard deviation .* another unit\.$"):
        as_samples(given, "x")
    assert as_samples([1e149, 2e149]).std().isfinite() and as_samples([1e-149, 2e-149]).std() > 0


@pytest.mark.parametrize("given", [[3.0], [2.0, 2.0], [[1.0, 7.0], [2.0, 7.0]]])
def test_what_need_not_vary_may_stand_still(given) -> None:
    assert as_samples(given, varied=False).flatten().tolist() == np.ravel(given).tolist()
    with pytest.raises(ValueError, match=r"^samples holds 0 value\(s\); at least 1"):
        as_samples([], varied=False)


def test_split_parts_the_samples_by_the_seed_alone() -> None:
    """Every sample lands in one of two parts, shuffled, and a fifth is held out."""
    x, before = torch.arange(50.0).unsqueeze(-1), torch.get_rng_state()
    fit, held = split(x, seed=1)
    assert (fit.shape, held.shape) == ((40, 1), (10, 1))
    assert torch.equal(torch.cat([fit, held]).sort(0).values, x)
    assert not torch.equal(fit, fit.sort(0).values)
    assert torch.equal(held, split(x, seed=1)[1]) and not torch.equal(held, split(x, seed=2)[1])
    assert len(split(x, seed=1, held_out=0.5)[1]) == 25
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "n, options, said",
    [
        (
            1000,
            {"held_out": 20},
            "held_out is 20; it must be a finite number, at least 0, at most 1",
        ),
        (1000, {"held_out": -0.2}, "held_out is -0.2; it must be"),
        (1000, {"held_out": math.nan}, "held_out is nan; it must be"),
        (1000, {"held_out": True}, "held_out is True; it must be"),
        (1000, {"held_out": 1.0}, "held_out is 1.0, which is 1000 of 1000 samples; it must be"),
        (1000, {"held_out": 0}, "held_out is 0, which is 0 of 1000 samples; it must be"),
        (
            5,
            {},
            "held_out is 0.2, which is 1 of 5 samples; it must be a share that leaves at least 2",
        ),
        (50, {"seed": -1}, "seed is -1; it must be a whole number"),
        (50, {"seed": 1.5}, "seed is 1.5; it must be a whole number"),
    ],
)
def test_split_leaves_something_on_either_side(n, options, said) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + said):
        split(torch.arange(float(n)), **({"seed": 0} | options))


def test_split_takes_numpy_s_numbers_and_arrays() -> None:
    x = np.arange(50.0)
    given = split(x, seed=np.int64(1), held_out=np.float32(0.5))
    expected = split(as_samples(x), seed=1, held_out=0.5)
    assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))


def test_writing_the_samples_loses_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notebook 5's cell, in a temporary folder that others use too, run twice."""
    cells = nbformat.read(PATHS["05_particle_flow"], as_version=4).cells
    (source,) = (cell.source for cell in cells if "savetxt" in cell.source)
    theirs = tmp_path / "samples.csv"
    theirs.write_text("mine\n", encoding="utf-8")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    drawn = torch.linspace(0, 1, 5, dtype=torch.float64).unsqueeze(1)
    for _ in range(2):
        names = {"drawn": drawn, "tempfile": tempfile, "Path": Path, "np": np}
        exec(source, names | {"load_column": load_column})
    assert theirs.read_text(encoding="utf-8") == "mine\n"
    assert len(list(tmp_path.glob("*/samples.csv"))) == 2
