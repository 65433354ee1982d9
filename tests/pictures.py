"""Whether two pictures show the same: on the whole, and in every small place."""

from base64 import b64decode
from collections.abc import Iterable
from io import BytesIO

import numpy as np
from matplotlib.testing.compare import calculate_rms
from nbformat import NotebookNode
from PIL import Image, ImageChops, ImageFilter

MAX_RMS = 0.1
"""The largest root mean square difference of two equal pictures, in steps of 0 to 255."""
MAX_SPOT = 8
"""The largest difference in one small place: of the blurred difference, in the same steps."""
BLUR = 2
"""The radius of a small place in pixels."""


def pictures(outputs: Iterable[NotebookNode]) -> list[Image.Image]:
    """Return the PNG and JPEG pictures in a cell's outputs, in their order."""
    bundles = [output.get("data", {}) for output in outputs]
    return [
        Image.open(BytesIO(b64decode(bundle[kind]))).convert("RGB")
        for bundle in bundles
        for kind in ("image/png", "image/jpeg")
        if kind in bundle
    ]


def measures(before: Image.Image, after: Image.Image) -> tuple[float, int]:
    """Return how much two pictures of one size differ: on the whole, and in the worst place."""
    difference = ImageChops.difference(before, after)
    blurred = difference.filter(ImageFilter.GaussianBlur(BLUR))
    rms = calculate_rms(np.asarray(before, int), np.asarray(after, int))
    return rms, max(high for _, high in blurred.getextrema())


def compare(stored: list[Image.Image], new: list[Image.Image]) -> str | None:
    """Say how the new pictures differ from the stored ones; None if they do not."""
    if len(stored) != len(new):
        return f"Pictures: {len(stored)} stored, {len(new)} made"
    for number, (before, after) in enumerate(zip(stored, new, strict=True), start=1):
        if before.size != after.size:
            return f"Picture {number} is stored with {before.size} pixels, now it has {after.size}"
        rms, spot = measures(before, after)
        if rms > MAX_RMS or spot > MAX_SPOT:
            return (
                f"Picture {number} has changed: RMS difference {rms:.2f}, allowed {MAX_RMS};"
                f" in one place {spot}, allowed {MAX_SPOT}"
            )
    return None
