"""What we are given: columns of numbers, and their checks."""

import csv
import re
from collections.abc import Sequence
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers.checks import number, seeded

_SMALL = 1e-150
"""Data reach no farther than 1/_SMALL, nor are they closer together than it: squares must do."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NO_HEADING = re.compile(
    r"\W*(nan|nat|n\W?a|null|none|nil|missing|inf(inity)?|true|false|O[.,]\d+)\W*|.*\d[.,]\d.*",
    re.I,
)
"""What a line may hold, and what stands for a value, or for none, and so is no heading."""

_KINDS = {
    b"PK\x03\x04": "a zip file, as Excel's .xlsx is one",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"PAR1": "a parquet file",
    b"%PDF": "a PDF",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF": "an HDF5 file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
"""How files begin that are no plain text."""


def petal_lengths() -> np.ndarray:
    """Return the 150 petal lengths (cm) of the iris data that scikit-learn carries.

    R. A. Fisher, The Use of Multiple Measurements in Taxonomic Problems, Annals of Eugenics 7
    (1936). Measured to 0.1 cm, three species, two clearly separate groups of lengths.
    """
    from sklearn.datasets import load_iris

    return load_iris().data[:, 2].copy()


def as_samples(
    samples: np.ndarray | Tensor, name: str = "samples", *, varied: bool = True
) -> Tensor:
    """Return data as a new float64 tensor of shape (n, d), or say what is wrong with them.

    Args:
        samples: numbers of shape (n,) or (n, d): a tensor, an array, a list, a pandas column.
        name: what to call them in an error.
        varied: False lets a single value pass, or the same one n times.

    Raises:
        TypeError, ValueError: if they are not real numbers, one is masked or not finite, the shape
            is another or, if they are to vary, there are fewer than two, a column is constant or
            its squares leave the range of float64.
    """
    x = _as_float64(samples, name)
    x = x.unsqueeze(-1) if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must be (n,) or (n, d).")
    if len(x) < 1 + varied:
        row = f" of shape {tuple(x.shape)}" if x.shape[1] > 1 else ""
        raise ValueError(f"{name} holds {len(x)} value(s){row}; at least {1 + varied} are needed.")
    bad = (~x.isfinite()).any(1).nonzero().flatten()
    if len(bad):
        value = x[bad[0]].tolist()
        raise ValueError(
            f"{name} holds {len(bad)} row(s) with NaN or infinity, the first at index"
            f" {bad[0]}: {value}; every value must be finite."
        )
    if varied and (x == x[0]).all(0).any():
        raise ValueError(f"{name} has a constant column; every column must vary.")
    size, sd = x.abs().max().item(), x.std(0).min().item() if varied else 1.0
    if size > 1 / _SMALL or sd < _SMALL:
        raise ValueError(
            f"{name} reaches {size:.3g} and has a standard deviation of {sd:.3g}; they must lie"
            f" between {_SMALL:.0e} and {1 / _SMALL:.0e}, in another unit."
        )
    return x


def _as_float64(samples: np.ndarray | Tensor, name: str) -> Tensor:
    """Return numbers of any kind as a new float64 tensor, or say that they are none."""
    if np.ma.is_masked(samples):
        raise ValueError(
            f"{name} has {np.ma.count_masked(samples)} masked value(s); they must be left out, as"
            " .compressed() does."
        )
    try:
        if isinstance(samples, Tensor):
            kind = samples.dtype
            if not (samples.is_complex() or kind == torch.bool):
                return samples.detach().to_dense().to("cpu", torch.float64, copy=True)
        else:
            array = np.asarray(samples)
            boxed = array.flat if array.dtype == object else ()
            odd = [v for v in boxed if isinstance(v, bool) or not isinstance(v, Real)]
            kind = f"objects such as {odd[0]!r:.40}" if odd else array.dtype
            if array.dtype.kind in "iuf" or (boxed and not odd):
                with np.errstate(over="ignore"):
                    return torch.from_numpy(np.array(array, np.float64, order="C"))
    except (TypeError, ValueError, RuntimeError) as error:
        kind = f"no array ({str(error).splitlines()[0].rstrip('.')})"
    raise TypeError(
        f"{name} is a {type(samples).__name__} of {kind}; it must hold real numbers, in shape (n,)"
        " or (n, d)."
    )


def load_column(path: str | Path) -> np.ndarray:
    """Read a text file with one number a line, which may end in commas, semicolons or tabs.

    The first line may be a heading, that is, it has a letter before any digit. Numbers are written
    as in -1234.5 or 1e-3. Blank lines may come first and last, but not between numbers, where one
    may stand for a value that is missing.

    Returns:
        The numbers, shape (n,), float64.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no text, a line is not one finite number, or the numbers are too
            few or constant.
    """
    name, lines = _lines(path)
    first = next((k for k, line in enumerate(lines) if line.strip()), 0)
    numbers: list[float] = []
    for k, line in enumerate(lines[first:], start=first):
        text = line.strip().rstrip(",;").strip().strip('"').strip()
        if _NUMBER.fullmatch(text):
            numbers.append(float(text))
        elif k > first or not _is_heading(text):
            said = repr(text[:60]) if text else "nothing"
            raise ValueError(
                f"{name} has {said} in line {k + 1}; below an optional heading, which begins with a"
                " letter, every line must hold one number, written like -1234.5 or 1e-3."
            )
    return as_samples(np.array(numbers), name).flatten().numpy()


def load_columns(path: str | Path, names: Sequence[str]) -> np.ndarray:
    """Read columns, chosen by their names, of a text file that begins with a heading.

    Columns are separated by commas, semicolons or tabs, whichever the heading has most of. Numbers
    are written as for ``load_column``; they and the names may stand in quotes.

    Returns:
        The numbers, shape (n, number of names), float64.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no text, a name is not there or twice, a value is not one finite
            number, or the rows are fewer than 20, a column constant, or one of them a linear
            function of the others.
    """
    if isinstance(names, str) or not 0 < len(set(names)) == len(names):
        raise ValueError(f"names is {names!r}; it must be a list of different names.")
    name, lines = _lines(path)
    mark = max(",;\t", key=lines[0].count) if lines else ","
    rows = csv.reader(lines, delimiter=mark, skipinitialspace=True)
    head = [field.strip() for field in next(rows, [])]
    for wanted in names:
        if (count := head.count(wanted)) != 1:
            raise ValueError(
                f"{name} has {count or 'no'} column{'s' * (count > 1)} named {wanted!r}; its"
                f" heading is {', '.join(head)[:80]!r}, and each name must be in it once."
            )
    numbers: list[list[float]] = []
    for row in rows:
        whole = len(row) == len(head)
        chosen = [row[head.index(wanted)].strip() if whole else "" for wanted in names]
        wrong = [text for text in chosen if not _NUMBER.fullmatch(text)]
        if wrong:
            said = repr(wrong[0][:60]) if whole else f"{len(row)} values for {len(head)} columns"
            raise ValueError(
                f"{name} has {said} in line {rows.line_num}; below the heading, every line must"
                " hold a number in each chosen column, written like -1234.5 or 1e-3."
            )
        numbers.append([float(text) for text in chosen])
    if len(numbers) < 20:
        raise ValueError(f"{name} has {len(numbers)} row(s) of numbers; at least 20 are needed.")
    x = as_samples(np.array(numbers), name)
    if torch.linalg.svdvals((x - x.mean(0)) / x.std(0))[-1] < 1e-6 * len(x) ** 0.5:
        raise ValueError(
            f"{name} has columns {', '.join(names)} on one line or plane: one is a linear function"
            " of the others; choose columns of which none is."
        )
    return x.numpy()


def _lines(path: str | Path) -> tuple[str, list[str]]:
    """Return what to call a text file in errors, and its lines."""
    if not isinstance(path, str | Path):
        raise TypeError(f"path is {path!r}; it must be a string or a pathlib.Path.")
    given, path = repr(str(path)), Path(path).expanduser()
    if not path.is_file():
        here = "" if path.is_absolute() else f" in {Path.cwd()}"
        here += ", but a folder" if path.is_dir() else ""
        raise FileNotFoundError(f"path is {given}; there is no such file{here}.")
    name, content = f"path {given}", path.read_bytes()
    binary = re.search(rb"[\0-\x08\x0e-\x19\x1b-\x1f]", content) and "a binary file or UTF-16"
    kind = next((_KINDS[start] for start in _KINDS if content.startswith(start)), binary)
    if kind:
        raise ValueError(f"{name} looks like {kind}; it must be plain text in UTF-8.")
    return name, content.decode("utf-8-sig", errors="replace").rstrip().splitlines()


def _is_heading(text: str) -> bool:
    """Return whether a first line can be no value: a letter comes before any digit."""
    first = next((letter for letter in text if letter.isalnum()), "0")
    return first.isalpha() and not _NO_HEADING.fullmatch(text)


def split(samples: Tensor, *, seed: int, held_out: float = 0.2) -> tuple[Tensor, Tensor]:
    """Shuffle samples (n, d) by the seed and return the part to fit and the part held out.

    ``held_out`` is the share of the second, above 0 and below 1; each part gets at least 2 rows.
    """
    samples = samples if isinstance(samples, Tensor) else as_samples(samples)
    if samples.ndim == 0:
        raise ValueError("samples has shape (); it must be (n,) or (n, d).")
    n = round(number(held_out, "held_out", 0, 1) * len(samples))
    if not 2 <= n <= len(samples) - 2:
        raise ValueError(
            f"held_out is {held_out}, which is {n} of {len(samples)} samples; it must be a share"
            " that leaves at least 2 on either side."
        )
    order = torch.randperm(len(samples), generator=seeded(seed))
    return samples[order[n:]], samples[order[:n]]
