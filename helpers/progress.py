"""A progress bar that leaves no dead widget behind in a stored notebook."""

from collections.abc import Iterable

from IPython.display import display
from tqdm.auto import tqdm
from tqdm.notebook import tqdm_notebook


def progress(steps: range, description: str, show: bool = True) -> Iterable[int]:
    """Go through the steps with a progress bar; in a notebook, a live one that goes when done.

    What a notebook stores of it is one line of text, so a viewer without a kernel shows that.
    """
    if not show:
        return steps
    if not issubclass(tqdm, tqdm_notebook):
        return tqdm(steps, desc=description, leave=False)
    bar = tqdm(steps, desc=description, leave=False, display=False)
    bundle = bar.container._repr_mimebundle_()
    display({**bundle, "text/plain": f"{description}: {len(steps):,} steps"}, raw=True)
    return bar
