"""Files with a column of numbers: read as they are, or refused with the line and the reason."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers.data import load_column

NO_HEADING = "1,5|1_0|100_1|1 000|1.234,5|−5|'5'|$5|5 cm|50%|½|²|l2,5|O.5|CHF 1.50".split("|")
NO_HEADING += "NaN|NA|#N/A|n.a.|NaT|-inf|None|True|-".split("|")
"""First lines that stand for a number, or for one that is missing, and are no headings."""


@pytest.mark.parametrize(
    "content",
    [
        b"1.5\n-2\n3e1\n",
        b"length (cm)\n1.5\n-2\n3e1",
        b"\xef\xbb\xbf1.5\r\n-2\r\n3e1\r\n",
        b'\xef\xbb\xbf"length"\n1.5\n-2\n3e1\n',
        b"length,\n1.5,\n-2,\n3e1;\n",
        b"\n \n 1.5\n-2 \n\t3e1\n\n \n",
        b'"1.5"\n"-2"\n"3e1"\n',
        "Länge\n1.5\n-2\n3e1\n".encode("cp1252"),
        b"length_2\n+1.5\n-2.\n3.0E+01\n",
        b"# x1\n1.50\n-2e0\n30\n",
        "Δt (µs)\n1.5\n-2\n30\n".encode(),
        b"NaN share\n1.5\n-2\n30\n",
    ],
    ids="plain heading BOM BOM+heading comma blank quotes cp1252 digit # Greek NaN".split(),
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
        ("\nlength\n1,5\n2,5\n", "has '1,5' in line 3"),
        ("12,5\n13\n14\n", "has '12,5' in line 1; below an optional heading"),
        *(
            (f"{first}\n13\n14\n", f"has {re.escape(repr(first))} in line 1")
            for first in NO_HEADING
        ),
        ("13\n100_1\n14\n", "has '100_1' in line 2"),
        ("13\n1 000\n", "has '1 000' in line 2"),
        ("13\n１４\n", "has '１４' in line 2"),
        ("13\n0x10\n", "has '0x10' in line 2"),
        ("13\n2e\n", "has '2e' in line 2"),
        (",length\n0,1.5\n1,2.5\n", "has '0,1.5' in line 2"),
        ("1.5;2.5\n3;4\n", "has '1.5;2.5' in line 1"),
        ('length\n1\n""\n2\n', "has nothing in line 3"),
        ("length\n\n1\n2\n", "has nothing in line 2"),
        ("1\n2\n,\n", "has nothing in line 3"),
        ('1\n2\n""\n', "has nothing in line 3"),
        ("1\n2\nNA\n", "has 'NA' in line 3"),
        ("title\nunit\n1\n2\n", "has 'unit' in line 2"),
        ("2\n2\n2\n", "has a constant column"),
        ("", r"holds 0 value\(s\)"),
        ("length\n7\n", r"holds 1 value\(s\)"),
        ("1\nnan\n2\n", "has 'nan' in line 2"),
        ("1\n2\n-inf\n", "has '-inf' in line 3"),
        ("1\n2\n1e999\n", r".* at index 2: \[inf\]"),
    ],
)
def test_load_column_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    """Each error names the path, and text that is not a number is quoted with its line."""
    path = tmp_path / "lengths.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=f"path .*lengths.csv' {message}"):
        load_column(path)


def test_load_column_names_a_missing_file(tmp_path: Path, monkeypatch) -> None:
    """A path that leads nowhere, or to a folder, and where a relative one was looked for."""
    monkeypatch.chdir(tmp_path)
    for path, said in (
        (tmp_path / "absent.csv", r"; there is no such file\."),
        (tmp_path, r"; there is no such file, but a folder\."),
        ("absent.csv", rf"'absent.csv'; there is no such file in {re.escape(str(tmp_path))}\."),
        (".", rf"; there is no such file in {re.escape(str(tmp_path))}, but a folder\."),
    ):
        with pytest.raises(FileNotFoundError, match=rf"^path is .*{said}$"):
            load_column(path)
    with pytest.raises(TypeError, match=r"^path is 3; it must be a string or a pathlib.Path"):
        load_column(3)


def zipped(content: bytes) -> bytes:
    """Return a zip file, which is what Excel's .xlsx is."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        file.writestr("sheet.xml", content)
    return buffer.getvalue()


def as_npy(content: bytes) -> bytes:
    """Return what numpy.save writes."""
    np.save(buffer := io.BytesIO(), np.array([1.0, 2.0]))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "disguise, kind",
    [
        (zipped, "a zip file, as Excel's"),
        (gzip.compress, "a gzip file"),
        (bz2.compress, "a bzip2 file"),
        (lzma.compress, "an xz file"),
        (as_npy, "a NumPy file"),
        (lambda _: b"%PDF-1.7\n", "a PDF"),
        (lambda _: b"PAR1\x15\x04", "a parquet file"),
        (lambda _: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file"),
        (lambda content: content.decode().encode("utf-16"), "text in UTF-16"),
        (lambda content: content.decode().encode("utf-16-be"), "a binary file or UTF-16"),
        (lambda _: np.arange(5.0).tobytes(), "a binary file or UTF-16"),
    ],
)
def test_load_column_says_what_a_file_looks_like_that_is_no_text(tmp_path, disguise, kind) -> None:
    path = tmp_path / "lengths.csv"
    path.write_bytes(disguise(b"length\n1.5\n-2\n"))
    with pytest.raises(ValueError, match=f"^path .*lengths.csv' looks like {kind}.*plain text"):
        load_column(path)
