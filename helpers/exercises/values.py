"""How the checks read what an answer returns, compare it and speak of it."""

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-4
"""Relative error allowed where nothing is random: for float32, or a derivative by differences."""


class NotDone(Exception):
    """The learner has not begun: the stub has raised its NotImplementedError."""


class Wrong(Exception):
    """An answer is not right; the message says in what way, the hint where to look."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


def as_tensor(value: object, shape: tuple[int, ...]) -> Tensor:
    """Return a learner's tensor, array or number as float64 of this shape, or say what is wrong.

    Where a number is wanted, any array that holds one number will do.
    """
    wanted = f"an array of shape {tuple(shape)}" if len(shape) else "a number"
    if value is ...:
        raise NotDone("Fill in the stub above.")
    try:
        found = floats(value)
        came = tuple(found.shape)
    except Exception:
        raise Wrong(f"Your function should return {wanted}; it returned {named(value)}.") from None
    if found.is_complex():
        if found.imag.any():
            raise Wrong(f"Your function should return {wanted}; it returned complex numbers.")
        found = found.real
    if came != tuple(shape) and (len(shape) or found.numel() != 1):
        hint = square(came)
        n = max(shape, default=1)
        if n > 1 and {came, tuple(shape)} == {(n,), (n, 1)}:
            hint = f" Added to one of shape {tuple(shape)}, it would give {(n, n)}."
        raise Wrong(f"Your function should return {wanted}; it returned shape {came}.{hint}")
    return found.reshape(shape).clone()


def floats(value: object) -> Tensor:
    """Return as a float64 (or complex) tensor what holds numbers, exact types among them."""
    if isinstance(value, Tensor):
        found = value.detach().cpu().to_dense()
    elif isinstance(value, list | tuple):
        return torch.stack([floats(item) for item in value]) if value else torch.empty(0)
    else:
        if value is None or isinstance(value, str | bytes):
            raise TypeError
        array = np.asarray(value)
        array = array.astype(float) if array.dtype.kind not in "c" else array.astype(complex)
        found = torch.from_numpy(array.copy())
    return found.to(torch.complex128 if found.is_complex() else torch.float64)


def square(shape: tuple[int, ...]) -> str:
    """Say how a square array may have come about."""
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        return " Was a row combined with a column, so that torch filled in a square?"
    return ""


def near(found: Tensor, value: object, tolerance: Tensor | float | None = None) -> bool:
    """Return whether two tensors agree; infinities and NaN must stand at the same places.

    Without a tolerance, an absolute error, ``TOLERANCE`` times the largest value is allowed.
    """
    value = torch.as_tensor(value, dtype=torch.float64)
    if found.shape != value.shape:
        return False
    if tolerance is None:
        finite = value[value.isfinite()]
        tolerance = TOLERANCE * finite.abs().max() + 1e-12 if finite.numel() else 0.0
    same = (found == value) | (found.isnan() & value.isnan())
    close = value.isfinite() & ((found - value).abs() <= tolerance)
    return bool((same | close).all())


def figures(expected: float, found: float) -> str:
    """Return "…, found …", with three decimals, or as many as it takes to tell the two apart."""
    digits = next((d for d in range(3, 16) if f"{expected:.{d}f}" != f"{found:.{d}f}"), 17)
    if max(map(abs, (expected, found))) >= 1e6:
        return f"{expected:.6g}, found {found:.6g}"
    return f"{expected:.{digits}f}, found {found:.{digits}f}"


def named(value: object) -> str:
    """Name a value's type in a sentence."""
    return "None" if value is None else f"a value of type {type(value).__name__}"
