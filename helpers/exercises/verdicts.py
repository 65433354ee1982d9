"""What the checks of the exercises share: how an answer is called, compared and spoken of."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from itertools import zip_longest
from textwrap import fill

import numpy as np
import torch
from torch import Tensor

from helpers.checks import seeded as seeded
from helpers.exercises.guards import GIB, Clock, TooLong
from helpers.exercises.values import TOLERANCE as TOLERANCE
from helpers.exercises.values import NotDone, Wrong, as_tensor, figures, floats, named, near, square

Z = 6.0
"""Standard errors that a statistic may be off: 2e-9 for a normal one, on both sides together.

The least normal one, the variance of 400 normal numbers, is farther off with a probability of
5e-8, and no check looks at more than 20: a right answer fails less than once in 10⁶ runs.
"""

LIMIT = 45.0
"""Seconds of computing that all calls of a check may take together: ten loops over rows."""

Mistakes = Iterable[tuple[str, Callable[..., object]]]
"""What to say, and a function that makes this mistake; check and test use both."""


_clock = Clock(LIMIT)


def check(
    judge: Callable[..., str] | None = None, *, mistakes: Mistakes = (), limit: float = LIMIT
) -> Callable[..., None]:
    """Turn a function that returns why the answer matters, or raises, into one that prints it.

    ``mistakes`` are those that it names by ``agree``; ``limit`` is in seconds. The verdict takes
    ``hint=True``, which adds a hint where there is one.
    """
    if judge is None:
        return partial(check, mistakes=mistakes, limit=limit)

    @wraps(judge)
    def verdict(answer: object, *, hint: bool = False, **options) -> None:
        global _clock
        _clock, dtype, grad = Clock(limit), torch.get_default_dtype(), torch.is_grad_enabled()
        try:
            with torch.random.fork_rng(devices=[]), np.errstate(all="ignore"), torch.enable_grad():
                torch.default_generator.manual_seed(options.get("seed", 0) + 10**6)
                text = f"Right. {judge(answer, **options)}"
        except NotDone as stub:
            text = f"Not done yet. {stub}"
        except Wrong as wrong:
            text = f"Not right yet. {wrong}"
            if wrong.hint:
                text += f" {wrong.hint}" if hint else " (With hint=True the check says more.)"
        finally:
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
        print(fill(text, 92, break_long_words=False, break_on_hyphens=False))

    verdict.mistakes = tuple(mistakes)
    return verdict


def call(answer: object, *arguments) -> object:
    """Return what the learner's function makes of the arguments, or say why it cannot be had.

    No tensor among the arguments may be another one afterwards.
    """
    if answer is None or answer is ...:
        raise NotDone("Fill in the stub above.")
    if not callable(answer):
        raise Wrong(f"The check needs a function; this is {named(answer)}.")
    given = [value for value in arguments if isinstance(value, Tensor)]
    before = [(value.detach().clone(), value.requires_grad) for value in given]
    rows = max((len(value) for value in given if value.ndim), default=1)
    with_them = _told(answer, arguments)
    if _clock.foretells_too_long(rows):
        raise Wrong(
            f"Your function took {_clock.seconds:.1f} s for {_clock.rows} rows: for {rows} it would"
            " take too long. Let torch work on all rows at once."
        )
    try:
        with _clock.running(rows):
            value = answer(*arguments)
    except (Wrong, NotDone):
        raise
    except TooLong:
        raise Wrong(
            f"Your function had not come back after {_clock.limit:g} seconds{with_them}. Does a"
            " loop never end? Can torch work on all rows at once?"
        ) from None
    except (Exception, SystemExit) as error:
        said = (str(error).splitlines() or [""])[0]
        if isinstance(error, NotImplementedError) and said.startswith("Exercise"):
            raise NotDone(f"{said}.") from None
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise Wrong(
                f"Your function asked for more than {GIB} GiB of memory{with_them}. Is a row"
                " combined with a column, so that torch fills in a square?"
            ) from None
        said = f": {said}" if said else ""
        raise Wrong(f"Your function raised {type(error).__name__}{said}{with_them}.") from None
    for tensor, (copy, needed) in zip(given, before, strict=True):
        untouched(tensor, copy, needed)
    return value


def _told(answer: Callable, arguments: tuple) -> str:
    """Return the arguments that can be said in a word, under the learner's names for them."""
    try:
        parameters = inspect.signature(answer).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    names, told = [p.name for p in parameters if p.kind in kinds], []
    for name, value in zip_longest(names[: len(arguments)], arguments):
        if isinstance(value, Tensor):
            told.append(f"{name or 'a tensor'} of shape {tuple(value.shape)}")
        elif isinstance(value, int | float):
            told.append(f"{name} = {value:.6g}" if name else f"{value:.6g}")
    return f" (with {', '.join(told)})" if told else ""


def at_particles(energy: Callable[[Tensor], Tensor], d: int = 1) -> Callable[[Tensor], Tensor]:
    """Return the energy, which now says so if it is called with a square or a bare row."""

    def watched(x: Tensor) -> Tensor:
        shape = tuple(getattr(x, "shape", ()))
        lone = d == 1 and shape in ((), (1,))
        if not lone and (len(shape) != 2 or shape[1] != d):
            raise Wrong(
                f"Your function calls the energy with an array of shape {shape}; it takes"
                f" particles, one a row: shape (n, {d}).{square(shape)}"
            )
        return energy(x)

    return watched


def agree(
    answer: object,
    right: Callable[..., object],
    cases: Mapping[str, tuple],
    mistakes: Mistakes,
    tolerance: float | Callable[[Tensor], float] | None = None,
) -> None:
    """Raise Wrong unless answer and right agree on all cases; name the mistakes that fit them all.

    A mistake fits if in every case it gives what was found, or raises where the answer does. If
    several fit, all are named; if none does, the first case that is not right is shown.

    Args:
        cases: to the name of each case its arguments, the smallest first.
        tolerance: the absolute error allowed, or a function of the right value.
    """

    def value_of(function: Callable, arguments: tuple) -> Tensor | None:
        try:
            return floats(function(*arguments))
        except Exception:
            return None

    def fits(function: Callable, arguments: tuple, found: Tensor | None) -> bool:
        value = value_of(function, arguments)
        if value is None or found is None:
            return value is None and found is None
        return near(found, value, tolerance(value) if callable(tolerance) else tolerance)

    def result(arguments: tuple) -> Tensor:
        given = (a.clone() if isinstance(a, Tensor) else a for a in arguments)
        return as_tensor(call(answer, *given), tuple(floats(right(*arguments)).shape))

    every, off = [], None
    for what, arguments in cases.items():
        try:
            every.append((arguments, result(arguments)))
        except Wrong:
            if off is None:
                raise
            every.append((arguments, None))
        if off is None and not fits(right, *every[-1]):
            off = what, every[-1][1], floats(right(*arguments))
    if off is not None:
        blame(*off, [text for text, mutant in mistakes if all(fits(mutant, *one) for one in every)])


def expect(
    what: str,
    found: Tensor,
    expected: Tensor | float,
    mistakes: Mapping[str, Tensor | float | list[Tensor | float]],
    tolerance: Tensor | float | None = None,
    *,
    slack: float = 1.0,
) -> None:
    """Raise Wrong unless found is what was expected; name the mistakes that give what it is.

    Args:
        what: what to call the answer where no mistake fits.
        found: the answer, float64.
        expected: the right value, of the same shape.
        mistakes: to each message the value that this mistake gives, or a list of such.
        tolerance: the absolute error allowed; without it, ``TOLERANCE`` times the largest value.
        slack: how many tolerances a mistake's value may be off; 2 % of it are allowed as well.
    """

    def fits(value: Tensor | float) -> bool:
        if tolerance is None:
            return near(found, value)
        value = torch.as_tensor(value, dtype=torch.float64)
        allowed = torch.as_tensor(slack * tolerance, dtype=torch.float64)
        return near(found, value, torch.maximum(allowed, 0.02 * value.abs()))

    if not near(found, expected, tolerance):
        values = {m: value if isinstance(value, list) else [value] for m, value in mistakes.items()}
        named = [message for message in values if any(map(fits, values[message]))]
        blame(what, found, expected, named)


def blame(what: str, found: Tensor, expected: Tensor | float, messages: Iterable[str]) -> None:
    """Raise Wrong with the messages, or else with the place where found is farthest off."""
    messages = list(dict.fromkeys(messages))
    if len(messages) == 1:
        raise Wrong(messages[0])
    if messages:
        one, *rest = messages
        raise Wrong(f"More than one mistake gives what was found. {one} Or: {' Or: '.join(rest)}")
    off = (found - torch.as_tensor(expected, dtype=torch.float64)).abs().flatten()
    i = off.nan_to_num(nan=math.inf).argmax().item() if off.numel() else 0
    pair = [torch.as_tensor(v, dtype=torch.float64).flatten()[i].item() for v in (expected, found)]
    place = f" in entry {i} of {len(off)}, where it is farthest off" if len(off) > 1 else ""
    raise Wrong(f"{what}: expected {figures(*pair)}{place}.")


def untouched(x: Tensor, before: Tensor, needed: bool = False) -> None:
    """Raise Wrong if a tensor x was changed, or requires a gradient that was not needed before."""
    if x.shape != before.shape or not near(x.detach().double(), before.double(), 0.0):
        raise Wrong(
            "The values are changed in place: the caller's tensor is no longer what it was. Work"
            " on a copy, x.detach().clone() (section 3.1)."
        )
    if x.requires_grad and not needed:
        raise Wrong(
            "The caller's tensor is changed: it now requires a gradient. Switch that on for a"
            " copy, x.detach().clone().requires_grad_() (section 3.1)."
        )


def gradient_left(parameter: Tensor, before: Tensor | None) -> None:
    """Raise Wrong unless the gradient that is stored in an energy's parameter is that before."""
    after = parameter.grad
    if (before is None) != (after is None) or (before is not None and not after.equal(before)):
        raise Wrong(
            "What comes back is right, but the .grad of the energy's parameters is no longer what"
            " it was: backward() adds to that of all that it reaches, and the next update goes"
            " along. Take the gradient in x by torch.autograd.grad, and leave that in the"
            " parameters to the caller."
        )


def drawn(generator: torch.Generator, before: Tensor) -> None:
    """Raise Wrong if the generator is in the state before: nothing has been drawn from it."""
    if torch.equal(generator.get_state(), before):
        raise Wrong(
            "Nothing was drawn from the generator that you are given, so the caller's seed does not"
            " decide the numbers: torch.randn(…, generator=generator). (randn_like takes none.)"
        )


def from_generator(draw: Callable[[torch.Generator], Tensor], seed: int) -> Tensor:
    """Return what is drawn; raise Wrong unless a generator decides all of it, from where it is."""
    first, again, other = seeded(seed), seeded(seed), seeded(seed + 1)
    before = first.get_state()
    found = draw(first)
    drawn(first, before)
    if not near(draw(again), found, 0.0):
        raise Wrong(
            "From the same state of the generator other numbers come: draw all that is random from"
            " it. (randn_like takes none.)"
        )
    draw(other)
    if torch.equal(other.get_state(), first.get_state()):
        raise Wrong(
            "The generator is seeded afresh inside, so every call draws the same numbers. Use it"
            " as it comes."
        )
    return found


def no_graph(value: object) -> object:
    """Raise Wrong if a tensor still carries the graph that made it; return what was given."""
    if isinstance(value, Tensor) and value.requires_grad:
        raise Wrong(
            "What you return still carries its graph. Along a chain that graph grows with every"
            " step, and a loss would be differentiated back through the sampler: end with"
            " .detach() (section 3.1)."
        )
    return value


def positive(**values: float) -> list[float]:
    """Return the values that the learner chose; raise Wrong unless they are positive numbers."""
    for name, value in values.items():
        try:
            number = as_tensor(value, ()).item()
        except (Wrong, NotDone):
            number = math.nan
        if isinstance(value, bool) or not 0 < number < math.inf:
            raise Wrong(f"Choose a positive number for {name}; this is {value!r}.")
        values[name] = number
    return list(values.values())
