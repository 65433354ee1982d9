"""Cells of a notebook together with the cells before them that they need, and no others."""

import symtable
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace

import nbformat

from course import LESSONS

SEED = 7
"""Of data and training where a lesson's tables are measured again; no lesson shows it."""

SEEDS = f"seeds = [{SEED}]"
"""What then takes the place of the cell that binds a lesson's ``seeds``."""


def names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a cell binds, and those that it takes from cells before it."""
    cell = symtable.symtable(source, "cell", "exec")
    symbols = cell.get_symbols()
    bound = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in symbols if s.is_referenced()}
    inner = cell.get_children()
    while inner:
        table = inner.pop()
        used |= {s.get_name() for s in table.get_symbols() if s.is_global()}
        inner += table.get_children()
    return bound, used - bound


def excerpt(path: Path, last: str, instead: Mapping[str, str] | None = None) -> list[str]:
    """Return the sources of the cells that bind what the last one needs, and of the last one.

    Args:
        path: the notebook.
        last: the id of the last cell.
        instead: for the ids of some cells, sources that take their place.
    """
    cells = nbformat.read(path, as_version=4).cells
    sources: list[str] = []
    needed: set[str] = set()
    for cell in reversed(cells):
        if cell.cell_type == "code":
            source = (instead or {}).get(cell.id, cell.source)
            bound, used = names(source)
            if cell.id == last or bound & needed:
                sources.insert(0, source)
                needed = (needed - bound) | used
    return sources


def lesson(name: str, cells: Iterable[str], instead: Mapping[str, str]) -> SimpleNamespace:
    """Run some cells of a lesson, with what they need, and return the names that they bind.

    Args:
        name: the lesson's file, without its ending.
        cells: the ids of the cells.
        instead: for ids of cells the source that takes their place, as another seed's.
    """
    names: dict[str, object] = {}
    done: set[str] = set()
    for cell in cells:
        for source in excerpt(LESSONS[name], cell, instead):
            if source not in done:
                exec(source, names)
                done.add(source)
    return SimpleNamespace(**names)
