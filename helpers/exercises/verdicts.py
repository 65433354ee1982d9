"""What the checks of the exercises share: how an answer is called, compared and spoken of."""

import math
from collections.abc import Callable, Mapping
from functools import wraps
from textwrap import fill

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Relative error allowed where nothing is random: for float32, or a derivative by differences."""

Z = 6.0
"""Standard errors that a statistic may be off: 2e-9 for a normal one, on both sides together.

The least normal one, the variance of 400 normal numbers, is farther off with a probability of
5e-8, and no check looks at more than 10: a right answer fails less than once in 10⁶ runs.
"""


class NotDone(Exception):
    """The learner has not begun: the stub has raised its NotImplementedError."""


class Wrong(Exception):
    """An answer is not right; the message says in what way."""


def check(judge: Callable[..., str]) -> Callable[..., None]:
    """Turn a function that returns why the answer matters, or raises, into one that prints it."""

    @wraps(judge)
    def verdict(answer: object, **options) -> None:
        try:
            with torch.random.fork_rng(devices=[]), np.errstate(all="ignore"):
                torch.default_generator.manual_seed(options.get("seed", 0))
                text = f"Right. {judge(answer, **options)}"
        except NotDone as stub:
            text = f"Not done yet. {stub}"
        except Wrong as wrong:
            text = f"Not right yet. {wrong}"
        print(fill(text, 92, break_long_words=False, break_on_hyphens=False))

    return verdict


def call(answer: object, *arguments) -> object:
    """Return what the learner's function makes of the arguments, or say why it cannot be had."""
    if answer is None or answer is ...:
        raise NotDone("Fill in the stub above.")
    if not callable(answer):
        raise Wrong(f"The check needs a function; this is {named(answer)}.")
    try:
        return answer(*arguments)
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        if isinstance(error, NotImplementedError) and said.startswith("Exercise"):
            raise NotDone(f"{said}.") from None
        raise Wrong(f"Your function raised {type(error).__name__}: {said}") from None


def as_tensor(value: object, shape: tuple[int, ...]) -> Tensor:
    """Return a learner's tensor, array or number as float64 of this shape, or say what is wrong.

    Axes of length 1 do not matter: (n,) does for (n, 1).
    """
    wanted = f"an array of shape {shape}" if shape else "a number"
    if value is ...:
        raise NotDone("Fill in the stub above.")
    try:
        value = value.copy() if isinstance(value, np.ndarray) else value
        found = torch.as_tensor(value).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"Your function should return {wanted}; it returned {named(value)}.") from None
    if [n for n in found.shape if n != 1] != [n for n in shape if n != 1]:
        hint = ""
        if found.ndim == 2 and found.shape[0] == found.shape[1] == max(shape, default=0):
            hint = " A row was combined with a column, and torch filled in a square."
        raise Wrong(
            f"Your function should return {wanted}; it returned shape {tuple(found.shape)}.{hint}"
        )
    return found.reshape(shape)


def expect(
    what: str,
    found: Tensor,
    expected: Tensor | float,
    mistakes: Mapping[str, Tensor | float],
    tolerance: Tensor | float | None = None,
) -> None:
    """Raise Wrong unless found is what was expected; name the mistake that gives what it is.

    Args:
        what: what to call the answer where no mistake fits.
        found: the answer, float64.
        expected: the right value, of the same shape.
        mistakes: to each message the value that this mistake gives.
        tolerance: the absolute error allowed; without it, ``TOLERANCE`` times the largest value.
    """

    def near(value: Tensor | float) -> bool:
        value = torch.as_tensor(value, dtype=torch.float64)
        allowed = TOLERANCE * value.abs().max() if tolerance is None else tolerance
        return bool(((found - value).abs() <= allowed).all())

    if near(expected):
        return
    for message, value in mistakes.items():
        if near(value):
            raise Wrong(message)
    raise Wrong(f"{what}: expected {figures(expected)}, found {figures(found)}.")


def untouched(x: Tensor, before: Tensor) -> None:
    """Raise Wrong if the learner's function has changed the tensor x that it was given."""
    if not torch.equal(x.detach(), before):
        raise Wrong(
            "The values are changed in place: the caller's tensor is no longer what it was. Work"
            " on a copy, x.detach().clone() (section 3.1)."
        )
    if x.requires_grad:
        raise Wrong(
            "The caller's tensor is changed: it now requires a gradient. Switch that on for a"
            " copy, x.detach().clone().requires_grad_() (section 3.1)."
        )


def no_graph(value: object) -> object:
    """Raise Wrong if a tensor still carries the graph that made it; return what was given."""
    if isinstance(value, Tensor) and value.requires_grad:
        raise Wrong(
            "What you return still carries its graph. Along a chain that graph grows with every"
            " step, and a loss would be differentiated back through the sampler: end with"
            " .detach() (section 3.1)."
        )
    return value


def named(value: object) -> str:
    """Name a value's type in a sentence."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def figures(value: Tensor | float) -> str:
    """Print up to four values with three decimals."""
    values = torch.as_tensor(value, dtype=torch.float64).flatten()
    shown = ", ".join(f"{v:.3f}" for v in values[:4].tolist())
    return f"({shown}{', …' if len(values) > 4 else ''})" if len(values) > 1 else shown


def seeded(seed: int) -> torch.Generator:
    """Return a new generator."""
    return torch.Generator().manual_seed(seed)


def positive(**values: float) -> None:
    """Raise Wrong unless the values that the learner chose are positive numbers."""
    for name, value in values.items():
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise Wrong(f"Choose a positive number for {name}; this is {value!r}.")
