"""Running the cells again from last to first finds what depends on the order."""

import asyncio
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from rerun import rerun_all

CELLS = {
    "start": "import matplotlib.pyplot as plt\nimport pandas as pd\nx, values = 1, [3]",
    "same": "print(x)",
    "table": "pd.DataFrame({'a': [1]})",
    "grows": "values.append(1)\nprint(len(values))",
    "later": "print(len(values))",
    "picture": "plt.plot(values[:2])\nplt.show()",
    "title": "plt.title(x)\nplt.show()",
    "error": "1 / 0",
    "breaks": "print(y if 'y' in globals() else 'no y', 1 / x)",
    "ends": "y = x = 0",
}


def test_hidden_state_is_found(tmp_path: Path) -> None:
    cells = [new_code_cell(source, id=name) for name, source in CELLS.items()]
    cells[list(CELLS).index("error")].metadata.tags = ["raises-exception"]
    path = tmp_path / "made_up.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    (found,) = asyncio.run(rerun_all([path]))
    assert found.pop("title").startswith("Picture 1 has changed")
    assert found == {
        "same": "its text has changed",
        "grows": "its text has changed",
        "breaks": "it raises ZeroDivisionError: division by zero",
    }
