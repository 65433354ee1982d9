"""What every interactive panel is: controls, a sentence, a picture, and a still.

A panel keeps one figure and sends the picture of it anew, into a place of a fixed height: nothing
flickers or jumps. Nothing queues either: ipywidgets keeps one change under way and only the newest
waiting.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from helpers.panels.controls import Control
from helpers.panels.screen import Screen

Draw = Callable[..., str]
"""draw(figure, **values) draws into a figure or subfigure and says in a sentence what it shows."""

PIXELS = 760
"""The width of a live picture."""


class Panel(widgets.VBox):
    """Controls with a picture that follows them; without a kernel, a still of some settings.

    ``panel.set(name=value, …)`` moves controls from a cell and returns the sentence.
    """

    def __init__(
        self,
        name: str,
        draw: Draw,
        controls: Mapping[str, Control],
        *,
        stills: Sequence[Mapping[str, Any]],
    ):
        """Make a panel.

        Args:
            name: what a reader calls it.
            draw: called now and after each change with the figure and a value for each control.
            controls: by the names of draw's arguments.
            stills: settings for the still; where a control is not named, its first value.
        """
        self.name = name
        self.controls = controls
        self.says, self.picture = "", b""
        self._draw = draw
        self._waiting = False
        self._screen = Screen(blank(7.6, 3.8))
        self._first = self._values()
        still = still_of(draw, [{**self._first, **values} for values in stills])
        self._still = _png(Screen(still))
        self._view = widgets.HTML()
        for control in controls.values():
            control.row.add_class("course-row")
        wrapped = {"flex_flow": "row wrap", "max_width": f"{PIXELS + 50}px"}
        rows = [
            widgets.Box([c.row for c in controls.values() if c.chosen == kind], layout=wrapped)
            for kind in (False, True)
        ]
        super().__init__([*rows, self._view])
        self.add_class("course-panel")
        for control in controls.values():
            control.source.observe(self._follow, "value")
            if not control.chosen:
                control.source.observe(self._refuse, "refused")
        self._follow()

    def set(self, **values: Any) -> str:
        """Move controls, as a reader would by hand, and return what the picture then shows.

        Those that are not named go back to their first values: no call depends on one before.

        Raises:
            ValueError: for a control that there is not, or a value that it does not allow.
        """
        for name, value in values.items():
            if name not in self.controls:
                raise ValueError(f"name is {name!r}; it must be one of {', '.join(self.controls)}.")
            self.controls[name].check(name, value)
        self._waiting = True
        try:
            for name, value in {**self._first, **values}.items():
                self.controls[name].source.value = value
        finally:
            self._waiting = False
        self._follow()
        return self.says

    def _values(self) -> dict[str, Any]:
        return {name: control.source.value for name, control in self.controls.items()}

    def _follow(self, change: object = None) -> None:
        """Redraw; a mistake is told to the reader, whom its traceback does not reach, and raised.

        Jupyter shows what a callback raises in its log only.
        """
        if self._waiting:
            return
        try:
            says = self._draw(self._screen.figure, **self._values())
            self.picture = _png(self._screen)
        except Exception as error:
            self._say(
                "This setting could not be drawn, and the picture is the one before it."
                f" {type(error).__name__}: {error}"
            )
            raise
        self._say(says)

    def _refuse(self, change: Any) -> None:
        """Tell the reader what a field did not take; the picture stays."""
        if change.new:
            self._say(change.new)

    def _say(self, says: str) -> None:
        """Show a sentence above the picture."""
        self.says = says
        settings = "; ".join(control.setting for control in self.controls.values())
        self._view.value = _view(says, self.picture, f"{self.name}: {settings}. {says}")

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**options)
        text = f"Panel: {self.name}. What is shown here is a still; run the cell to move it."
        return {**bundle, "image/png": b64encode(self._still).decode(), "text/plain": text}


def _view(says: str, picture: bytes, alternative: str) -> str:
    """Return a sentence above a picture, with its text alternative, as HTML of a fixed height.

    ``ipywidgets.Image`` would do for the picture, but has no place for a text alternative.
    """
    return (
        f"<p style='min-height: 4.2em; max-width: {PIXELS}px; line-height: 1.4'>{escape(says)}</p>"
        f"<img alt='{escape(alternative)}' decoding='sync' width='{PIXELS}' height='{PIXELS // 2}'"
        " style='max-width: 100%; height: auto'"
        f" src='data:image/png;base64,{b64encode(picture).decode()}'>"
    )


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches, which pyplot does not know and will not show."""
    return Figure(figsize=(width, height), dpi=100, layout="none")


def _png(screen: Screen) -> bytes:
    """Return a picture of a figure as a PNG; compressed lightly, since a reader waits for it."""
    file = BytesIO()
    screen.picture().save(file, "png", compress_level=1)
    return file.getvalue()


def still_of(draw: Draw, settings: Sequence[Mapping[str, Any]]) -> Figure:
    """Return one figure that shows draw at each of some settings, two beside each other."""
    rows = -(-len(settings) // 2)
    figure = blank(12.2, 3.4 * rows)
    parts = figure.subfigures(rows, 2, squeeze=False)
    for part, values in zip(parts.flat, settings, strict=False):
        draw(part, **values)
    return figure
