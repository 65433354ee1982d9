"""Run notebooks and store them in one canonical form; without names, all of them and the figures.

python tests/refresh.py
python tests/refresh.py 02_nll_gradient 03_solutions
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image
from tqdm import tqdm

from course import FIGURES, NOTEBOOKS, PATHS, client, print_anywhere, set_aside_settings

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def execute(path: Path) -> NotebookNode:
    """Run the notebook in its own folder, with the kernel nbval would start, and return it.

    Raises:
        SystemExit: a cell failed, and has no tag that expects it to.
    """
    run = client(path)
    with run.setup_kernel(cleanup_kc=True, stderr=DEVNULL):
        for index, cell in enumerate(tqdm(run.nb.cells, desc=path.stem, unit="cell")):
            try:
                run.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise SystemExit(f"{path.name}, cell {index} ({cell.id}):\n{error}") from None
    return run.nb


def canonical(notebook: NotebookNode) -> str:
    """Return the notebook's text with nothing in it that changes from run to run.

    The cells, their ids, tags, counts and outputs stay; all other metadata, live widgets and
    tracebacks go.
    """
    notebook = nbformat.from_dict({**notebook, "nbformat": 4, "nbformat_minor": 5})
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata.tags} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET_VIEW, None)
                if output.output_type == "error":
                    output.traceback = [f"{output.ename}: {output.evalue}"]
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def refresh(path: Path) -> None:
    """Run the notebook and store it canonically; if a cell fails, leave the file as it is."""
    path.write_text(canonical(execute(path)), encoding="utf-8")


ANIMATIONS = {
    "particle_flow": "05_particle_flow",
    "plane_flow": "08_two_dimensions",
    "noise_to_data": "10_scores_and_diffusion",
}
"""The animations in figures/, each with the notebook that shows it."""


def write_figures(folder: Path) -> None:
    """Write the animations that notebooks show, from their own cells.

    The cells with the tag ``figure`` end in ``frames``, the pictures of the animation.
    """
    for name, stem in ANIMATIONS.items():
        names: dict[str, object] = {}
        for cell in nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells:
            if "figure" in cell.metadata.get("tags", []):
                exec(cell.source, names)
        save_gif(names["frames"], folder / f"{name}.gif")


def save_gif(frames: Sequence[Image.Image], path: str | Path) -> None:
    """Write pictures as a GIF that plays for ever: 10 a second, with a rest at both ends.

    One palette of 32 colours, taken from the first, middle and last picture, serves all of them;
    so the file is small and comes out the same every time.
    """
    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(chosen)))
    for i, frame in enumerate(chosen):
        strip.paste(frame, (0, i * height))
    palette = strip.quantize(32, dither=Image.Dither.NONE)
    pictures = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [600, *[100] * (len(frames) - 2), 1500]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def main() -> None:
    """Refresh the notebooks named on the command line, or everything.

    All of it runs as in the tests: with none of the reader's settings, and on one thread, since
    the order of a sum decides its last digits.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="notebook", help="for example 02_nll_gradient")
    names = parser.parse_args().names
    stems = [Path(name).stem for name in names]
    if unknown := [stem for stem in stems if stem not in PATHS]:
        parser.error(f"there is no notebook {unknown[0]}; there are {', '.join(PATHS)}")
    print_anywhere()
    with tempfile.TemporaryDirectory() as folder:
        set_aside_settings(Path(folder))
        for stem in stems or PATHS:
            refresh(PATHS[stem])
        if not names:
            write_figures(FIGURES)


if __name__ == "__main__":
    main()
