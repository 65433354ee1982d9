"""Checks of arguments: one sentence names the argument, what came and what is allowed.

NumPy's numbers count as numbers, and so does a tensor without a dimension; True and text do not.
"""

import math
from numbers import Integral

import numpy as np
import torch


def whole(value: int, name: str, least: int, most: float = math.inf) -> int:
    """Return a whole number from least to most; else a TypeError or ValueError says why not."""
    allowed = f"{least} or more" if most == math.inf else f"from {least} to {most}"
    allowed = f"a whole number{',' * (most == math.inf)} {allowed}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}; it must be {allowed}.")
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}; it must be {allowed}.")
    return int(value)


def number(
    value: float, name: str, low: float = -math.inf, high: float = math.inf, *, above: bool = False
) -> float:
    """Return a finite number from low to high (if ``above``, not low itself), or say why not."""
    allowed = "" if low == -math.inf else f", above {low:g}" if above else f", at least {low:g}"
    allowed = f"a finite number{allowed}" + (f", at most {high:g}" if high < math.inf else "")
    try:
        kind = getattr(value, "dtype", type(value))
        text = isinstance(value, str | bytes | complex) or getattr(value, "ndim", 0) > 0
        result = None if text or kind in (bool, np.bool_, torch.bool) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        result = None
    if result is None:
        raise TypeError(f"{name} is {value!r}; it must be {allowed}.")
    if not (math.isfinite(result) and low <= result <= high and (result > low or not above)):
        raise ValueError(f"{name} is {value}; it must be {allowed}.")
    return result


def seeded(seed: int, name: str = "seed") -> torch.Generator:
    """Return a generator that starts from the seed, a whole number from 0 to 2⁶⁴ − 1."""
    return torch.Generator().manual_seed(whole(seed, name, 0, 2**64 - 1))


def generator_for(
    generator: torch.Generator | None, device: torch.device | str = "cpu", *, fresh: bool = False
) -> torch.Generator:
    """Return the generator, checked; None stands for one seeded unpredictably if fresh is true."""
    if generator is None and fresh:
        generator = torch.Generator(device)
        generator.seed()
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator is {generator!r}; it must be a torch.Generator.")
    if generator.device.type != torch.device(device).type:
        raise ValueError(f"generator is on {generator.device}; it must be on {device}.")
    return generator
