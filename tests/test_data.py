"""The columns of numbers that we are given: taken as they are, or refused with a reason."""

import math
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from course import PATHS
from helpers.data import as_samples, kde_log_density, load_column, petal_lengths, split
from helpers.densities import draw, mixture

W, M, S = [0.3, 0.7], [-2.0, 1.5], [0.5, 0.9]
MIXTURE = mixture(W, M, S)


def test_petal_lengths_are_fisher_s_with_a_gap_between_two_groups() -> None:
    """50 setosas from 1.0 to 1.9 cm, 100 others from 3.0 to 6.9 cm, a fresh array at each call."""
    x = petal_lengths()
    short, long = x[x < 2.5], x[x > 2.5]
    assert (x.shape, len(short), len(long)) == ((150,), 50, 100)
    assert (short.min(), short.max(), long.min(), long.max()) == (1.0, 1.9, 3.0, 6.9)
    x[:] = 0
    assert petal_lengths().any()


@pytest.mark.parametrize(
    "given, expected",
    [
        (np.array([1, 2, 4]), [[1.0], [2.0], [4.0]]),
        (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), [[1.0, 2.0], [3.0, 5.0]]),
        ([1.5, 0.5], [[1.5], [0.5]]),
    ],
    ids=["integers", "two columns", "list"],
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
    "content",
    [
        b"1.5\n-2\n3e1\n",
        b"length (cm)\n1.5\n-2\n3e1",
        b"\xef\xbb\xbf1.5\r\n-2\r\n3e1\r\n",
        b'\xef\xbb\xbf"length"\n1.5\n-2\n3e1\n',
        b"length,\n1.5,\n-2,\n3e1;\n",
        b"\n 1.5\n\n-2 \n\t3e1\n\n",
        b'"1.5"\n"-2"\n"3e1"\n',
        "Länge\n1.5\n-2\n3e1\n".encode("cp1252"),
    ],
    ids=["plain", "heading", "BOM", "BOM+heading", "comma", "blank", "quotes", "cp1252"],
)
def test_load_column_reads_what_people_have(tmp_path: Path, content: bytes) -> None:
    """The same three numbers come out of every form in which a program may write them."""
    path = tmp_path / "lengths.csv"
    path.write_bytes(content)
    for given in (path, str(path)):
        x = load_column(given)
        assert x.dtype == np.float64 and x.tolist() == [1.5, -2.0, 30.0]


@pytest.mark.parametrize(
    "content, message",
    [
        ("1\n2\nthree\n4\n", "has 'three' in line 3"),
        ("length\n\n1,5\n2,5\n", "has '1,5' in line 3"),
        ("title\nunit\n1\n2\n", "has 'unit' in line 2"),
        ("2\n2\n2\n", "has a constant column"),
        ("", r"holds 0 value\(s\)"),
        ("length\n7\n", r"holds 1 value\(s\)"),
        ("1\nnan\n2\n", r".* at index 1: \[nan\]"),
        ("1\n2\n-inf\n", r".* at index 2: \[-inf\]"),
    ],
)
def test_load_column_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    """Each error names the path, and text that is not a number is quoted with its line."""
    path = tmp_path / "lengths.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"path .*lengths.csv' {message}"):
        load_column(path)


def test_load_column_names_a_missing_file(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is reported as such."""
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"path is .*; there is no such file"):
            load_column(path)


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


def test_kde_is_the_mean_of_gaussian_kernels_of_scott_s_width() -> None:
    """The width is sd · n^(−1/5), and far out the logarithm stays finite."""
    data = draw(MIXTURE, 200, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([-50.0, -2.0, 0.3, 60.0], dtype=torch.float64)
    width = data.std().item() * 200 ** (-1 / 5)
    kernels = norm.logpdf(x.numpy()[:, None], data.flatten().numpy(), width)
    expected = torch.from_numpy(logsumexp(kernels, axis=1) - math.log(200))
    torch.testing.assert_close(kde_log_density(data, x), expected, rtol=1e-10, atol=1e-10)
    assert expected.isfinite().all() and expected[-1] < -745


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
