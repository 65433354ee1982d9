"""The minutes that the notebooks and README's tables promise, beside what there is to read."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode

from course import LESSONS, ROOT

WORDS = 130
"""Words a minute; folded answers and tables count like the rest."""
LINES = 8
"""Lines of code a minute."""
MOST = 45
"""Minutes of a lecture path, its opening and close among them."""
HEADING = re.compile(
    r"^(##|###) (?!Exercise \d)(?:.* · (lecture|at home), (\d+) min$|.*)", re.MULTILINE
)
PROMISE = re.compile(
    r"\*\*Time\*\* (\d+) minutes for the lecture path"
    r" and (\d+) for the exercises in class; (\d+) more at home\."
)
EXERCISE = re.compile(r"^### Exercise .* · (in class|at home), (\d+) min", re.MULTILINE)
lesson = pytest.mark.parametrize("path", LESSONS.values(), ids=LESSONS)


def sections(path: Path) -> list[tuple[str, int, float]]:
    """Return each section of a lesson as (place, promised minutes, minutes of reading).

    The place is "lecture" or "at home"; "opening" and "close" for what stands before the first
    section and under "What we saw"; "" for the exercises. A part of a lecture's section with a
    heading of its own may be *at home*; the next heading ends it.
    """
    here = parent = ["opening", 0, 0.0]
    found = [here]
    for cell in nbformat.read(path, as_version=4).cells:
        heading = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if heading and (heading[1] == "##" or heading[2]):
            place = "close" if heading[0] == "## What we saw" else heading[2] or ""
            here = [place, int(heading[3] or 0), 0.0]
            parent = here if heading[1] == "##" else parent
            found.append(here)
        elif heading:
            here = parent
        here[2] += reading(cell)
    return [(place, promised, minutes) for place, promised, minutes in found]


def reading(cell: NotebookNode) -> float:
    """Return the minutes that a cell takes at a fast pace."""
    if cell.cell_type == "code":
        return sum(bool(line.strip()) for line in cell.source.splitlines()) / LINES
    text = BeautifulSoup(cell.source, "html.parser").get_text()
    return sum(bool(re.search(r"\w", word)) for word in text.split()) / WORDS


def promise(path: Path) -> list[int]:
    """Return the minutes of a lesson's first cell: lecture path, exercises in class, at home."""
    opening = nbformat.read(path, as_version=4).cells[0].source
    return [int(minutes) for minutes in PROMISE.search(opening).groups()]


@lesson
def test_a_section_takes_no_more_than_it_says(path: Path) -> None:
    told = [section for section in sections(path) if section[0] in {"lecture", "at home"}]
    assert told
    assert [section for section in told if section[1] < round(section[2])] == []


@lesson
def test_the_lecture_path_is_honest_and_short(path: Path) -> None:
    on_path = [section for section in sections(path) if section[0] not in {"at home", ""}]
    read = sum(minutes for *_, minutes in on_path)
    told = promise(path)[0]
    assert max(read, sum(section[1] for section in on_path)) <= told + 0.5
    assert told <= min(MOST, read + 8)


@lesson
def test_home_and_exercises_add_up(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    exercises = EXERCISE.findall("\n".join(cell.source for cell in cells))
    sums = {place: sum(int(m) for p, m in exercises if p == place) for place, _ in exercises}
    home = sum(promised for place, promised, _ in sections(path) if place == "at home")
    assert promise(path)[1:] == [sums["in class"], home + sums.get("at home", 0)]


@lesson
def test_readme_says_the_same(path: Path) -> None:
    lecture, in_class, home = promise(path)
    here = sum(promised for place, promised, _ in sections(path) if place == "at home")
    rows = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    number = int(path.stem[:2])
    first = next(row for row in rows if f"](notebooks/{path.name})" in row)
    second = next(row for row in rows if row.startswith(f"| {number} |"))
    assert re.findall(r"(\d+) min", first) == [str(lecture), str(here)]
    told = re.findall(r"(\d+) min", second)
    assert told == [str(lecture), str(in_class), str(here), str(home - here)]
