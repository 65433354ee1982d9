"""What the tests add to nbval: none of the reader's settings, and a look at every picture."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from course import OURS, set_aside_settings


def pytest_configure(config: pytest.Config) -> None:
    """Set the reader's settings aside here, in the workers and in the kernels, which inherit it."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory()
        config.add_cleanup(folder.cleanup)
        set_aside_settings(Path(folder.name))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Pass over notebooks that are not the course's."""
    strange = collection_path.suffix == ".ipynb" and not OURS.fullmatch(collection_path.name)
    return strange or None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Compare a cell's pictures, once nbval has run it and compared everything else."""
    from pictures import compare, pictures  # not above: matplotlib reads settings as it is imported

    yield
    if isinstance(item, IPyNbCell):
        difference = compare(pictures(item.cell.outputs), pictures(item.test_outputs))
        if difference:
            name = item.path.name
            item.raise_cell_error(
                f"{difference}\nIf {name} is meant to change: python tests/refresh.py {name}"
            )
