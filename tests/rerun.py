"""Run each notebook from top to bottom, then its cells again, from last to first: all the same?

python tests/rerun.py
python tests/rerun.py 03_langevin_monte_carlo 03_solutions

A reader goes back and runs a cell again. So no cell may depend on what a later one left behind, or
change what it was given. Both runs are in one kernel; text, tables and pictures are compared, and
the cells that differ are printed. The exit status is 1 if there are any.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from course import PATHS, client, print_anywhere, set_aside_settings
from pictures import compare, pictures

AT_ONCE = 2
"""How many notebooks are run at the same time, on one thread each."""


def words(outputs: list[NotebookNode]) -> list[Any]:
    """Return what is shown in words: streams, texts, tables and errors."""
    shown = []
    for output in outputs:
        data = output.get("data", {})
        texts = {kind: text for kind, text in data.items() if kind.startswith("text/")}
        shown.append((output.get("name"), output.get("text"), output.get("evalue"), texts))
    return shown


def difference(before: list[NotebookNode], after: list[NotebookNode]) -> str | None:
    """Say how a cell's outputs differ from those before; None if they do not."""
    if words(before) != words(after):
        return "its text has changed"
    return compare(pictures(before), pictures(after))


async def rerun(path: Path, bar: tqdm) -> dict[str, str]:
    """Run a notebook and then its cells from last to first; say for which ids what differs."""
    run = client(path)
    cells = [(i, cell) for i, cell in enumerate(run.nb.cells) if cell.cell_type == "code"]
    found: dict[str, str] = {}
    async with run.async_setup_kernel(cleanup_kc=True, stderr=DEVNULL):
        for index, cell in cells:
            await run.async_execute_cell(cell, index)
            bar.update()
        for index, cell in reversed(cells):
            before = cell.outputs
            try:
                await run.async_execute_cell(cell, index)
                said = difference(before, cell.outputs)
            except CellExecutionError as error:
                said = f"it raises {error.ename}: {error.evalue}"
            if said:
                found[cell.id] = said
            bar.update()
    return dict(reversed(found.items()))


async def rerun_all(paths: list[Path]) -> list[dict[str, str]]:
    """Run notebooks, a few at a time, under one progress bar."""
    gate = asyncio.Semaphore(AT_ONCE)
    runs = [client(path).nb.cells for path in paths]
    total = 2 * sum(cell.cell_type == "code" for cells in runs for cell in cells)

    async def one(path: Path) -> dict[str, str]:
        async with gate:
            return await rerun(path, bar)

    with tqdm(total=total, unit="cell") as bar:
        return await asyncio.gather(*map(one, paths))


def main() -> None:
    """Run the notebooks named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="notebook", help="for example 02_nll_gradient")
    stems = [Path(name).stem for name in parser.parse_args().names] or list(PATHS)
    if unknown := [stem for stem in stems if stem not in PATHS]:
        parser.error(f"there is no notebook {unknown[0]}; there are {', '.join(PATHS)}")
    print_anywhere()
    with tempfile.TemporaryDirectory() as folder:
        set_aside_settings(Path(folder))
        results = asyncio.run(rerun_all([PATHS[stem] for stem in stems]))
    for stem, found in zip(stems, results, strict=True):
        print(f"{stem}: {'these cells differ' if found else 'the same'}")
        for cell_id, said in found.items():
            print(f"    {cell_id}: {said}")
    sys.exit(any(results))


if __name__ == "__main__":
    main()
