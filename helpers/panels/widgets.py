"""What every interactive panel is made of: controls, a sentence, a picture, and a still.

A panel keeps one figure and sends the picture of it anew, into a place of a fixed height: nothing
flickers or jumps. Nothing queues either: ipywidgets keeps one change under way and only the newest
waiting.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO
from numbers import Integral, Real
from typing import Any, NamedTuple

import ipywidgets as widgets
from matplotlib.figure import Figure

from helpers.panels.screen import Screen

Draw = Callable[..., str]
"""draw(figure, **values) draws into a figure or subfigure and says in a sentence what it shows."""

PIXELS = 760
"""The width of a live picture."""


class Control(NamedTuple):
    """A visible label, a row of widgets, and the one among them whose ``value`` counts."""

    label: str
    row: widgets.Box
    source: widgets.ValueWidget

    def setting(self) -> str:
        """Return the label with the value, as a reader sees it."""
        value = self.source.value
        return f"{self.label} {value if isinstance(value, str) else f'{value:.6g}'}"


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
        first = self._values()
        still = small_multiples(draw, [{**first, **values} for values in stills])
        self._still = png(Screen(still))
        self._view = widgets.HTML()
        for control in controls.values():
            control.row.add_class("course-row")
        wrapped = {"flex_flow": "row wrap", "max_width": f"{PIXELS + 50}px"}
        rows = [
            widgets.Box([c.row for c in controls.values() if chosen(c) == kind], layout=wrapped)
            for kind in (False, True)
        ]
        super().__init__([*rows, self._view])
        self.add_class("course-panel")
        for control in controls.values():
            control.source.observe(self._follow, "value")
        self._follow()

    def set(self, **values: Any) -> str:
        """Move controls, as a reader would by hand, and return what the picture then shows.

        Raises:
            ValueError: for a control that there is not, or a value that it does not allow.
        """
        for name, value in values.items():
            if name not in self.controls:
                raise ValueError(f"name is {name!r}; it must be one of {', '.join(self.controls)}.")
            source = self.controls[name].source
            if chosen(self.controls[name]):
                if value not in source.options:
                    allowed = ", ".join(source.options)
                    raise ValueError(f"{name} is {value!r}; it must be one of {allowed}.")
                continue
            whole = isinstance(source.min, int)
            kind = Integral if whole else Real
            if not isinstance(value, kind) or not source.min <= value <= source.max:
                raise ValueError(
                    f"{name} is {value!r}; it must be a {'whole ' if whole else ''}number from"
                    f" {source.min} to {source.max}."
                )
        self._waiting = True
        try:
            for name, value in values.items():
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
            self.says = self._draw(self._screen.figure, **self._values())
            self.picture = png(self._screen)
        except Exception as error:
            self.says = (
                "This setting could not be drawn, and the picture is the one before it."
                f" {type(error).__name__}: {error}"
            )
            raise
        finally:
            settings = "; ".join(control.setting() for control in self.controls.values())
            self._view.value = view(
                self.says, self.picture, f"{self.name}: {settings}. {self.says}"
            )

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**options)
        text = f"Panel: {self.name}. What is shown here is a still; run the cell to move it."
        return {**bundle, "image/png": b64encode(self._still).decode(), "text/plain": text}


def view(says: str, picture: bytes, alternative: str) -> str:
    """Return a sentence above a picture, with its text alternative, as HTML of a fixed height.

    ``ipywidgets.Image`` would do for the picture, but has no place for a text alternative.
    """
    return (
        f"<p style='min-height: 4.2em; max-width: {PIXELS}px; line-height: 1.4'>{escape(says)}</p>"
        f"<img alt='{escape(alternative)}' decoding='sync' width='{PIXELS}' height='{PIXELS // 2}'"
        " style='max-width: 100%; height: auto'"
        f" src='data:image/png;base64,{b64encode(picture).decode()}'>"
    )


def chosen(control: Control) -> bool:
    """Say whether a control chooses among names; otherwise it takes numbers."""
    return isinstance(control.source, widgets.RadioButtons)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches, which pyplot does not know and will not show."""
    return Figure(figsize=(width, height), dpi=100, layout="none")


def png(screen: Screen) -> bytes:
    """Return a picture of a figure as a PNG; compressed lightly, since a reader waits for it."""
    file = BytesIO()
    screen.picture().save(file, "png", compress_level=1)
    return file.getvalue()


def small_multiples(draw: Draw, settings: Sequence[Mapping[str, Any]]) -> Figure:
    """Return one figure that shows draw at each of some settings, two beside each other."""
    rows = -(-len(settings) // 2)
    figure = blank(13.6, 3.6 * rows)
    parts = figure.subfigures(rows, 2, squeeze=False)
    for part, values in zip(parts.flat, settings, strict=False):
        draw(part, **values)
    return figure


FIELD = {"width": "190px"}
SLIDER = {"width": "130px"}
ROW = {"width": "390px", "margin": "0 10px 0 0"}
STYLE = {"description_width": "100px"}


def whole_number(label: str, value: int, low: int, high: int, unit: str = "") -> Control:
    """Return a field and a slider for a whole number from low to high, with its unit."""
    field = widgets.BoundedIntText(value, low, high, description=label, layout=FIELD, style=STYLE)
    slider = widgets.IntSlider(value, low, high, readout=False, layout=SLIDER)
    widgets.jslink((field, "value"), (slider, "value"))
    return Control(label, widgets.HBox([field, slider, widgets.Label(unit)], layout=ROW), slider)


def number(label: str, value: float, values: Sequence[float], unit: str = "") -> Control:
    """Return a field for a number and a slider through some of its values, with its unit.

    The slider may go in any steps, logarithmic ones for example, and the field shows round numbers.
    """
    kind = widgets.BoundedIntText if isinstance(value, int) else widgets.BoundedFloatText
    field = kind(value, min=values[0], max=values[-1], step=values[0], description=label)
    field.layout, field.style = FIELD, STYLE
    slider = widgets.SelectionSlider(options=values, value=value, readout=False, layout=SLIDER)
    following = False

    def move_field(change: Any) -> None:
        if not following:
            field.value = change.new

    def move_slider(change: Any) -> None:
        nonlocal following
        following = True
        slider.value = min(values, key=lambda near: abs(near - change.new))
        following = False

    slider.observe(move_field, "value")
    field.observe(move_slider, "value")
    return Control(label, widgets.HBox([field, slider, widgets.Label(unit)], layout=ROW), field)


def choice(label: str, options: Sequence[str]) -> Control:
    """Return buttons of which one is chosen; it starts at the first.

    Not a drop-down list: JupyterLab takes its arrow keys for itself.
    """
    buttons = widgets.RadioButtons(options=options, description=label)
    buttons.style.description_width = "60px"
    buttons.layout.width = "max-content"
    return Control(label, widgets.HBox([buttons], layout={"margin": "0 30px 0 0"}), buttons)


def player(label: str, last: int, unit: str, *, milliseconds: int = 150) -> Control:
    """Return a whole number from 0 to last that can also be played, over and over.

    The buttons of ``ipywidgets.Play`` have no names, so it stays hidden behind one that has.
    """
    _, row, slider = whole_number(label, 0, 0, last, unit)
    play = widgets.Play(value=0, min=0, max=last, interval=milliseconds, repeat=True)
    play.layout.display = "none"
    button = widgets.ToggleButton(False, description="Play", layout={"width": "80px"})
    widgets.jslink((button, "value"), (play, "playing"))
    widgets.jslink((play, "value"), (slider, "value"))
    row.children = [*row.children, button, play]
    row.layout.width = "480px"
    return Control(label, row, slider)
