"""Run a notebook in many kernels at once, as a class does that shares one server.

python tests/classroom.py --learners 30 03_langevin_monte_carlo
python tests/classroom.py --learners 1

Printed for each notebook, all of them if none is named: who finished, in how many seconds, and the
largest memory of a kernel and of all together. One learner a notebook shows what a kernel needs.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import NamedTuple

import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

from course import LESSONS, PATHS, client, print_anywhere, set_aside_settings

LIMIT = 0.7
"""GB of memory that a notebook's kernel may take."""
EVERY = 0.1
"""Seconds between two looks at the memory."""
TRIES = 5
"""How often a kernel is started that dies at once."""
CELL_TIMEOUT = 3600
"""Seconds a cell may take where thirty share two cores."""


class Lesson(NamedTuple):
    """What came of a notebook in some kernels at once; memory in GB of 10⁹ bytes."""

    seconds: list[float]
    """Of each learner who finished."""
    failures: list[str]
    """Why the others did not."""
    kernel: float
    """The largest memory of one kernel."""
    together: float
    """The largest memory of all kernels at one time."""


async def learn(path: Path, running: dict[int, NotebookClient], i: int, bar: tqdm) -> float | str:
    """Run a notebook as learner i; return the seconds it took, or why it did not finish.

    A kernel may die as it starts, where another has just taken one of its ports; then another
    is started.
    """
    start = time.monotonic()
    for _ in range(TRIES):
        running[i] = run = client(path)
        run.timeout = run.startup_timeout = CELL_TIMEOUT
        run.on_cell_executed = lambda **_: bar.update()
        try:
            await run.async_execute(cleanup_kc=True, stderr=DEVNULL)
            return time.monotonic() - start
        except CellExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except (CellTimeoutError, DeadKernelError) as error:
            return str(error)
        except RuntimeError as error:
            said = str(error)
    return said


async def watch(running: dict[int, NotebookClient]) -> tuple[float, float]:
    """Watch the kernels' memory until they are done; return the peak of one and of all."""
    kernel = together = 0.0
    with suppress(asyncio.CancelledError):
        while True:
            sizes = [0.0]
            for run in running.values():
                with suppress(psutil.NoSuchProcess, AttributeError):
                    sizes.append(psutil.Process(run.km.provisioner.pid).memory_info().rss / 1e9)
            kernel, together = max(kernel, *sizes), max(together, sum(sizes))
            await asyncio.sleep(EVERY)
    return kernel, together


async def teach(path: Path, learners: int) -> Lesson:
    """Run a notebook in as many kernels as there are learners."""
    running: dict[int, NotebookClient] = {}
    cells = sum(cell.cell_type == "code" for cell in client(path).nb.cells)
    with tqdm(total=learners * cells, desc=path.stem, unit="cell") as bar:
        watching = asyncio.create_task(watch(running))
        results = await asyncio.gather(*(learn(path, running, i, bar) for i in range(learners)))
        watching.cancel()
        kernel, together = await watching
    seconds = [result for result in results if isinstance(result, float)]
    return Lesson(seconds, [str(r) for r in results if isinstance(r, str)], kernel, together)


def machine() -> str:
    """Say what this machine has: the cores that this process may use, and the memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {psutil.virtual_memory().total / 1e9:.1f} GB of memory"


def main() -> None:
    """Teach the notebooks named on the command line, or all lessons, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learners", type=int, default=1, help="how many at once; 1")
    parser.add_argument("names", nargs="*", metavar="notebook", help="for example 02_nll_gradient")
    arguments = parser.parse_args()
    stems = [Path(name).stem for name in arguments.names] or list(LESSONS)
    if unknown := [stem for stem in stems if stem not in PATHS]:
        parser.error(f"there is no notebook {unknown[0]}; there are {', '.join(PATHS)}")
    if arguments.learners < 1:
        parser.error("there must be one learner or more")
    print_anywhere()
    print(machine())
    print(f"{'notebook':28}{'finished':>10}{'median s':>10}{'last s':>8}{'a kernel':>10}{'all':>9}")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        set_aside_settings(Path(folder))
        for stem in stems:
            lesson = asyncio.run(teach(PATHS[stem], arguments.learners))
            good = good and not lesson.failures and lesson.kernel <= LIMIT
            finished = f"{len(lesson.seconds)} of {arguments.learners}"
            times = lesson.seconds or [float("nan")]
            print(
                f"{stem:28}{finished:>10}{statistics.median(times):10.1f}{max(times):8.1f}"
                f"{lesson.kernel:7.2f} GB{lesson.together:6.2f} GB",
                flush=True,
            )
            for failure in sorted(set(lesson.failures)):
                print(f"    {lesson.failures.count(failure)} stopped: {failure}")
    print(f"The limit for a kernel is {LIMIT} GB.")
    sys.exit(not good)


if __name__ == "__main__":
    main()
