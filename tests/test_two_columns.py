"""Files of which columns are chosen by their names: read as they are, or refused in a sentence."""

import re
from pathlib import Path

import numpy as np
import pytest

from helpers.data import load_columns

ROWS = [(k, (k * k) % 17 / 4, f"kind {k % 3}", 2 * k + 1) for k in range(20)]


def written(path: Path, rows: list[tuple], *, heading: str = "a,b,kind,c", mark: str = ",") -> Path:
    """Write a file with those rows, and return its path."""
    lines = [heading, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(line.replace(",", mark) for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t", ", "])
@pytest.mark.parametrize("heading", ["a,b,kind,c", '"a","b","kind","c"', "\ufeffa,b,kind,c"])
def test_columns_are_chosen_by_name_in_the_order_asked_for(
    tmp_path: Path, mark: str, heading: str
) -> None:
    path = written(tmp_path / "table.csv", ROWS, heading=heading, mark=mark)
    x = load_columns(path, ["b", "a"])
    assert x.dtype == np.float64 and x.tolist() == [[row[1], row[0]] for row in ROWS]
    assert load_columns(str(path), ("c",)).tolist() == [[row[3]] for row in ROWS]


def change(k: int, row: tuple) -> list[tuple]:
    """Return the rows with another one at k."""
    return [*ROWS[:k], row, *ROWS[k + 1 :]]


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        (ROWS, "ab", "names is 'ab'; it must be a list of different names."),
        (ROWS, ["a", "a"], "names is ['a', 'a']; it must be a list of different names."),
        (ROWS, [], "names is []; it must be a list of different names."),
        (
            ROWS,
            ["a", "d"],
            "has no column named 'd'; its heading is 'a, b, kind, c', and each name",
        ),
        (ROWS, ["a", "kind"], "has 'kind 0' in line 2; below the heading, every line must hold"),
        (change(3, (1, "", "x", 2)), ["a", "b"], "has '' in line 5;"),
        (change(3, (1, "nan", "x", 2)), ["a", "b"], "has 'nan' in line 5;"),
        (change(3, (1, "1;5", "x", 2)), ["a", "b"], "has '1;5' in line 5;"),
        (change(3, (1, 2)), ["a", "b"], "has 2 values for 4 columns in line 5;"),
        (change(3, ()), ["a", "b"], "has 0 values for 4 columns in line 5;"),
        (ROWS[:19], ["a", "b"], "has 19 row(s) of numbers; at least 20 are needed."),
        ([], ["a", "b"], "has 0 row(s) of numbers; at least 20 are needed."),
        ([(7, *row[1:]) for row in ROWS], ["a", "b"], "has a constant column"),
        (ROWS, ["a", "c"], "has columns a, c on one line or plane: one is a linear function"),
        (change(3, (1, "1e999", "x", 2)), ["a", "b"], "the first at index 3: [1.0, inf]"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, rows: list[tuple], names: list[str], message: str
) -> None:
    path = written(tmp_path / "table.csv", rows)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_columns(path, names)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("names is") or "table.csv" in str(caught.value)


def test_a_name_that_is_there_twice_is_not_chosen(tmp_path: Path) -> None:
    path = written(tmp_path / "table.csv", ROWS, heading="a,b,kind,a")
    with pytest.raises(
        ValueError, match=r"has 2 columns named 'a'; its heading is 'a, b, kind, a'"
    ):
        load_columns(path, ["a", "b"])
    assert load_columns(path, ["b"]).shape == (20, 1)


def test_a_file_that_is_empty_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load_columns(path, ["a", "b"])
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"has no column named 'a'; its heading is ''"):
        load_columns(path, ["a", "b"])
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="looks like a zip file"):
        load_columns(path, ["a", "b"])
