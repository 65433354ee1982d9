"""README's table of symbols, beside the formulas of the lessons."""

import html
import re
from pathlib import Path

import nbformat
import pytest

from course import LESSONS, ROOT

TABLE = re.compile(r"^\| \$([^$]+)\$ \| (.+) \| (\d+\.\d) \|$", re.MULTILINE)
MATHS = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
SPACING = re.compile(r"\\(?:[,;!: ]|[bB]ig\b|left\b|right\b|quad\b|qquad\b)|\s")
TOKEN = re.compile(
    r"\\(?:text|mathrm|operatorname)\{[^}]*\}|\\(?:mathbb|mathcal|hat)[ {]*[A-Z]"
    r"|LL|[NU]\(|\\[A-Za-z]+|\S"
)
"""Words; letters of a kind of their own, like the R of R̂; LL; N( and U(, the laws; other signs."""
LETTER = re.compile(r"[^\W\d_]|LL|\\(?:mathbb|mathcal|hat)[A-Z]")
EVERYWHERE = set("x y i j e π")
"""Values, running indices, the base of the exponential and the number: no row, no clash."""
LOCAL = {
    1: "F b h w χ",
    2: "C G L M h w κ φ",
    3: "B u",
    4: "b u w ω",
    5: "",
    6: "D r w β",
    7: "Y b r u δ λ",
    8: "C F G H I J L M h u w γ κ λ Λ Σ Φ",
    9: "C H L b h r w β ω",
    10: "D F G J b r u w φ",
}
"""Letters that need no row, by the notebook in which they are explained and used."""
lesson = pytest.mark.parametrize("path", LESSONS.values(), ids=LESSONS)


def rows() -> list[tuple[str, str]]:
    """Return each row of README's table: the symbol, and the section of its first formula."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("## Symbols\n")[1].split("\n## ")[0]
    found = [(symbol, place) for symbol, _, place in TABLE.findall(table)]
    assert len(found) == len(re.findall(r"^\| ", table, re.MULTILINE)) - 1
    return found


def tokens(maths: str) -> list[str]:
    """Cut a formula into signs: Greek as characters, without spacing and the d of dx."""
    found = []
    for token in TOKEN.findall(SPACING.sub(lambda gap: " " if gap[0].isspace() else "", maths)):
        code = html.entities.name2codepoint.get(token.removeprefix("\\").removeprefix("var"), 0)
        greek = token[0] == "\\" and 0x370 < code < 0x400
        found.append(chr(code) if greek else re.sub("[ {]+(?=[A-Z]$)", "", token))
    after = [*found[1:], ""]
    return [a for a, b in zip(found, after, strict=True) if not (a == "d" and b.isalpha())]


def formulas(path: Path) -> list[tuple[str, list[str]]]:
    """Return a lesson's formulas, each with its section; those of the exercises are left out."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        place = section.split()[0]
        if place != "Exercises":
            found += [(place, tokens(a or b)) for a, b in MATHS.findall(section)]
    return found


def holds(formula: list[str], symbol: list[str]) -> bool:
    """Return whether a formula has the signs of a symbol, one after the other."""
    starts = range(len(formula) - len(symbol) + 1)
    return any(formula[i : i + len(symbol)] == symbol for i in starts)


@pytest.mark.parametrize(("symbol", "place"), rows())
def test_a_symbol_comes_first_where_its_row_says(symbol: str, place: str) -> None:
    numbered = [f for path in LESSONS.values() for f in formulas(path) if f[0][:1].isdigit()]
    assert next(at for at, formula in numbered if holds(formula, tokens(symbol))) == place


def test_a_symbol_has_one_row() -> None:
    symbols = [tuple(tokens(symbol)) for symbol, _ in rows()]
    assert len(symbols) == len(set(symbols)) > 20


@lesson
def test_a_letter_of_a_formula_has_a_row(path: Path) -> None:
    table = {tokens(symbol)[0] for symbol, _ in rows()}
    local = set(LOCAL[int(path.stem[:2])].split())
    signs = {sign for _, formula in formulas(path) for sign in formula}
    used = {sign for sign in signs if LETTER.fullmatch(sign)}
    assert used - table - EVERYWHERE - local == set()
    assert local - used == set()
    assert local & table == set()


@lesson
def test_a_lesson_links_the_table(path: Path) -> None:
    opening = nbformat.read(path, as_version=4).cells[0].source
    assert "[Symbols](../README.md#symbols)" in opening
