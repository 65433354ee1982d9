"""Controls: a visible label, a row of widgets, and in it what holds the value."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import ipywidgets as widgets
import traitlets

FIELD = {"width": "190px"}
SLIDER = {"width": "130px"}
ROW = {"width": "390px", "margin": "0 10px 0 0"}
STYLE = {"description_width": "100px"}


class Number(widgets.HBox):
    """A field and a slider for a number, with its unit; its ``value`` is the one in force.

    The slider goes through ``values``, in any steps; the field takes any number between the first
    and the last, a whole one if they are whole. ``refused`` says what it did not take.
    """

    value = traitlets.Any()
    refused = traitlets.Unicode()

    def __init__(self, label: str, value: float, values: Sequence[float], unit: str = ""):
        self.label, self.min, self.max, self._values = label, values[0], values[-1], values
        self.whole = isinstance(values[0], int)
        self.allowed = f"a {'whole ' * self.whole}number from {self.min} to {self.max}"
        self.field = widgets.Text(description=label, continuous_update=False)
        self.field.layout, self.field.style = FIELD, STYLE
        slider = {"value": value, "readout": False, "layout": SLIDER}
        self.slider = (
            widgets.IntSlider(min=self.min, max=self.max, **slider)
            if isinstance(values, range)
            else widgets.SelectionSlider(options=values, **slider)
        )
        super().__init__([self.field, self.slider, widgets.Label(unit)], layout=ROW)
        self.observe(self._show, "value")
        self.field.observe(self._take_typed, "value")
        self.slider.observe(self._take_slid, "value")
        self.value = value

    def takes(self, value: object) -> bool:
        """Say whether a value is allowed."""
        right = isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)
        return right and self.min <= value <= self.max

    @traitlets.validate("value")
    def _check(self, proposal: Any) -> float:
        if not self.takes(proposal.value):
            raise traitlets.TraitError(f"value is {proposal.value!r}; it must be {self.allowed}.")
        return proposal.value

    def _show(self, change: object = None) -> None:
        """Let the field and the slider show the value in force."""
        self.field.value = self._text()
        self.slider.value = self._nearest()

    def _text(self) -> str:
        return f"{self.value:.6g}"

    def _nearest(self) -> float:
        return min(self._values, key=lambda near: abs(near - self.value))

    def _take_slid(self, change: Any) -> None:
        """Take a value of the slider, unless it is there because it is the nearest."""
        if change.new != self._nearest():
            self.value = change.new

    def _take_typed(self, change: Any) -> None:
        """Take what was typed, or say that it cannot be; the field shows the value in force."""
        if change.new == self._text():
            return
        value = _read(change.new, self.whole)
        if self.takes(value):
            self.value = value
        else:
            self.refused = ""
            came = change.new if len(change.new) <= 20 else f"{change.new[:20]}…"
            self.refused = f"{self.label} is {came!r}; it must be {self.allowed}."
        self._show()


def _read(text: str, whole: bool) -> float | None:
    """Return the number that a text means, with a decimal point or comma; None if it means none.

    In a whole number a comma is refused: 50,000 is one number to some and another to others.
    """
    try:
        if "_" in text:
            return None
        return int(text) if whole else float(text.replace(",", "."))
    except ValueError:
        return None


class Control(NamedTuple):
    """A visible label, a row of widgets, and the one among them whose ``value`` counts."""

    label: str
    row: widgets.Box
    source: Number | widgets.RadioButtons

    @property
    def chosen(self) -> bool:
        """Whether it chooses among names; otherwise it takes numbers."""
        return isinstance(self.source, widgets.RadioButtons)

    @property
    def setting(self) -> str:
        """The label with the value, as a reader sees it."""
        value = self.source.value
        return f"{self.label} {value if self.chosen else f'{value:.6g}'}"

    def check(self, name: str, value: object) -> None:
        """Raise a ValueError for a value that is not allowed."""
        if self.chosen:
            fine, allowed = value in self.source.options, f"one of {', '.join(self.source.options)}"
        else:
            fine, allowed = self.source.takes(value), self.source.allowed
        if not fine:
            raise ValueError(f"{name} is {value!r}; it must be {allowed}.")


def number(label: str, value: float, values: Sequence[float], unit: str = "") -> Control:
    """Return a field and a slider for a number, with its unit; see ``Number``."""
    source = Number(label, value, values, unit)
    return Control(label, source, source)


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
    source = Number(label, 0, range(last + 1), unit)
    play = widgets.Play(value=0, min=0, max=last, interval=milliseconds, repeat=True)
    play.layout.display = "none"
    button = widgets.ToggleButton(False, description="Play", layout={"width": "80px"})
    widgets.jslink((button, "value"), (play, "playing"))
    widgets.jslink((play, "value"), (source.slider, "value"))
    source.children = [*source.children, button, play]
    source.layout.width = "480px"
    return Control(label, source, source)
