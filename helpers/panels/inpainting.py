"""The panel of notebook 9: half an image is given, chains of an energy fill in the other."""

import math
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from matplotlib.figure import FigureBase
from torch import Tensor

from helpers.densities import Energy
from helpers.images import Whitening, sheet
from helpers.langevin import energy_and_gradient, mala_step, normal_like
from helpers.panels.controls import choice, number, player
from helpers.panels.screen import put_image, put_title, two_axes
from helpers.panels.widgets import Panel

CHAINS, STEPS, EVERY, STEP_SIZE = 15, 400, 10, 0.02

HALVES = ["upper half", "lower half", "left half", "right half"]


def given(half: str, d: int) -> Tensor:
    """Return which pixels of an image are given, (d,) of True and False."""
    side = math.isqrt(d)
    at = torch.arange(d)
    place = at // side if half in HALVES[:2] else at % side
    return (place < side // 2) if half in ("upper half", "left half") else (place >= side // 2)


class Filled(NamedTuple):
    """Images (frames, chains, d) from step 0 on, the Gaussian's mean (d,), what was accepted."""

    images: Tensor
    mean: Tensor
    accepted: float


def fill(energy: Energy, white: Whitening, image: Tensor, known: Tensor, seed: int) -> Filled:
    """Fill in what is not known of an image (d,) by chains that start at the Gaussian's draws."""
    generator, hidden = torch.Generator().manual_seed(seed), ~known
    gain = torch.linalg.solve(white.C[known][:, known], white.C[known][:, hidden]).T
    mean = image.clone()
    mean[hidden] = white.m[hidden] + gain @ (image - white.m)[known]
    rest = white.C[hidden][:, hidden] - gain @ white.C[known][:, hidden]
    spread = torch.zeros(hidden.sum(), len(image), dtype=image.dtype)
    spread[:, hidden] = torch.linalg.cholesky(rest).T

    def of_rest(u: Tensor) -> Tensor:
        return energy(white.z(mean + u @ spread))

    u = normal_like(image.new_empty(CHAINS, len(spread)), generator)
    frames, share = [mean + u @ spread], 0.0
    f, slope = energy_and_gradient(of_rest, u)
    for k in range(STEPS):
        u, f, slope, moved = mala_step(of_rest, u, f, slope, STEP_SIZE, generator)
        u, slope = u.float().double(), slope.float().double()  # so that processors agree
        share += moved.double().mean().item()
        if (k + 1) % EVERY == 0:
            frames.append(mean + u @ spread)
    return Filled(torch.stack(frames), mean, share / STEPS)


def draw_inpainting(
    figure: FigureBase, *, k: int, image: int, seed: int, half: str, x: Tensor, fill_in
) -> str:
    """Show what is given and the truth, and the chains' images; say how far off they are."""
    truth, known = x[image], given(half, x.shape[1])
    filled = fill_in(image, half, seed)
    left, right = figure.axes or two_axes(figure, ratio=(2, 5), margin=0.02)
    put_image(left, "given", sheet(torch.stack([truth.where(known, math.nan), truth]), 1))
    put_image(right, "filled", sheet(filled.images[k], 5))
    put_title(left, "given, truth")
    put_title(right, f"{CHAINS} chains, step {k * EVERY}")

    def off(guess: Tensor) -> str:
        return f"{(guess - truth)[..., ~known].square().mean().sqrt():.3f}"

    now = filled.images[k]
    return (
        f"Image {image}, {half} given, {CHAINS} chains after {k * EVERY} MALA steps of"
        f" {STEP_SIZE}, of which {100 * filled.accepted:.0f} % are accepted. The hidden pixels are"
        f" off by {off(now)} (root mean square); the Gaussian's draws, at step 0, by"
        f" {off(filled.images[0])}. Means, which are no draws: the chains' {off(now.mean(0))}, the"
        f" Gaussian's {off(filled.mean)}."
    )


def inpainting_panel(energy: Energy, white: Whitening, x: Tensor) -> Panel:
    """Return the panel of notebook 9: inpainting by hand.

    Args:
        energy: of whitened images, from (n, d) to (n,).
        white: what whitens them.
        x: the images to choose from, (n, d) with d a square.
    """
    controls = {
        "k": player("steps", STEPS // EVERY, f"({EVERY} each)"),
        "image": number("image", 0, range(len(x))),
        "seed": number("seed", 0, range(100)),
        "half": choice("given", HALVES),
    }
    shown = [
        (0, HALVES[0]),
        (STEPS // EVERY, HALVES[0]),
        (0, HALVES[2]),
        (STEPS // EVERY, HALVES[2]),
    ]
    stills = [{"k": k, "half": half} for k, half in shown]

    @lru_cache(maxsize=64)
    def fill_in(image: int, half: str, seed: int) -> Filled:
        return fill(energy, white, x[image], given(half, x.shape[1]), seed)

    draw = partial(draw_inpainting, x=x, fill_in=fill_in)
    return Panel("inpainting", draw, controls, stills=stills)
