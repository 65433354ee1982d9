"""Each solution fits into its stub; the planted mistakes are found one after the other."""

import io
import re
from contextlib import redirect_stdout

import nbformat
import pytest
import torch
from nbformat import NotebookNode

from answers import said
from course import LESSONS, PATHS, ROOT

LESSON = {path.name[:2]: path for path in LESSONS.values()}
SOLUTIONS = [path for path in PATHS.values() if path not in LESSONS.values()]


def cells_of(path) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def numbers(path, kind: str) -> list[str]:
    """Return the numbers, as 3-2, of a notebook's cells exercise-3-2-stub or solution-3-2."""
    pattern = {"exercise": r"exercise-(\d+-\d+)-stub", "solution": r"solution-(\d+-\d+)"}[kind]
    return [match[1] for id in cells_of(path) if (match := re.fullmatch(pattern, id))]


@pytest.fixture
def plain_torch():
    """Give back torch's defaults, which a lesson's first cell changes."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    yield
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)


def run(*cells: str) -> str:
    """Run cells one after the other in one namespace; return what they print, in one line."""
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as out:
        for cell in cells:
            exec(cell, names)
    return " ".join(out.getvalue().split())


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_each_exercise_has_a_solution(path) -> None:
    found = numbers(LESSON[path.name[:2]], "exercise")
    assert 3 <= len(found) <= 6
    assert found == numbers(path, "solution")


@pytest.mark.usefixtures("plain_torch")
@pytest.mark.parametrize(
    ("path", "number"),
    [(path, number) for path in SOLUTIONS for number in numbers(path, "solution")],
)
def test_a_solution_fits_into_its_stub(path, number: str) -> None:
    """In the lesson: its imports, the exercises' setup, the solution for the stub, the check."""
    lesson, solution = cells_of(LESSON[path.name[:2]]), cells_of(path)[f"solution-{number}"].source
    first = next(cell for cell in lesson.values() if cell.cell_type == "code")
    setup = lesson[f"exercise-{number.split('-')[0]}-0-setup"].source
    stub, check = (lesson[f"exercise-{number}-{part}"].source for part in ("stub", "check"))
    head = stub.splitlines()[0]
    assert head in solution, "the solution has another name or other arguments than the stub"
    task = f"Exercise {number.replace('-', '.')}: "
    assert run(first.source, setup, stub, check).startswith(f"Not done yet. {task}")
    assert run(first.source, setup, solution, check).startswith("Right. ")


def test_the_planted_mistakes_are_found_one_after_the_other() -> None:
    """The code of exercise 4.2 as printed, and after each of the four repairs.

    Without the hint no verdict names the cause.
    """
    text = cells_of(LESSON["04"])["exercise-4-2-text"].source
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    repairs = [
        ("torch.randn(chains.shape, generator=generator)", "chains.clone()", "restarted"),
        (", create_graph=True", "", "not detached where it matters"),
        ("model(z).mean() - model(real)", "model(real).mean() - model(z)", "signs are swapped"),
        ("    loss.", "    optimiser.zero_grad()\n    loss.", "zero_grad is missing"),
    ]
    for old, new, words in repairs:
        names: dict[str, object] = {"torch": torch}
        exec(code, names)
        assert words in said("train_step", names["train_step"], hint=True)
        assert words not in said("train_step", names["train_step"])
        assert code.count(old) == 1
        code = code.replace(old, new)
    exec(code, names)
    assert said("train_step", names["train_step"]).startswith("Right. ")


def test_a_section_that_is_referred_to_is_there() -> None:
    """In the lessons, the solutions and what the checks say: "section 2.3" is a heading "2.3"."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in PATHS.values()}
    heading = re.compile(r'"#{2,3} (\d+\.\d+) ')
    there = {number for text in texts.values() for number in heading.findall(text)}
    for path in (ROOT / "helpers").rglob("*.py"):
        texts[path.name] = path.read_text(encoding="utf-8")
    for name, text in texts.items():
        flat = re.sub(r'["\s]+', " ", text)
        found = set(re.findall(r"[Ss]ections? (\d+\.\d+)", flat))
        found |= set(re.findall(r"[Ss]ections? \d+\.\d+ (?:and|to|or) (\d+\.\d+)", flat))
        assert found <= there, name
    assert len(there) > 40
