"""Targets that we know, and exact draws from them.

A target is a ``torch.distributions`` object in one dimension: ``target.log_prob(x)`` is its
log-density. ``energy_of`` turns it into an energy for the samplers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from helpers.checks import generator_for, number, whole

Energy = Callable[[Tensor], Tensor]
"""Any function from particles of shape (n, d) to energies (n,), each of its particle alone."""


_OTHER_KIND = ("dtype", "scalar type", "same device", "shapes", "Inference tensors")
"""What torch says of tensors that do not go together."""


def ask(energy: Energy, x: Tensor, n: int | None = None) -> Tensor:
    """Return f(x), checked, of particles x that the energy may overwrite; n is how many there are.

    Raises:
        TypeError, ValueError: if it returns another shape or no real numbers, or cannot take x.
    """
    if not callable(energy):
        raise TypeError(f"energy is {energy!r}; it must be a function of particles (n, d).")
    shape = x.shape
    try:
        f = energy(x)
    except RuntimeError as error:
        if any(word in str(error) for word in _OTHER_KIND):
            raise TypeError(
                f"energy cannot take particles of shape {tuple(shape)}, {x.dtype}, on {x.device},"
                f" as its own tensors are of another kind ({str(error).splitlines()[0]})."
            ) from error
        raise
    if not isinstance(f, Tensor) or f.shape != shape[:1] or not f.is_floating_point():
        came = f"shape {tuple(f.shape)}" if isinstance(f, Tensor) else type(f).__name__
        came = f"{f.dtype}, no floating point," if came == f"shape {tuple(shape[:1])}" else came
        part = f", a piece of {(n, *shape[1:])}" if n and shape[0] < n else ""
        raise ValueError(
            f"energy returned {came} for particles of shape {tuple(shape)}{part}; it must return a"
            f" tensor of shape ({shape[0]},)."
        )
    return f


def check_alone(energy: Energy, x: Tensor, f: Tensor) -> None:
    """Raise if the energies f of particles x in the middle change when those before and after move.

    Those before go halfway to the one that is farthest from the first, those after to the first,
    but not as far, so that what is even stays uneven.
    """
    a, b = len(x) // 3, len(x) // 3 + max(1, len(x) // 3)
    far = x[(x - x[0]).square().sum(-1).argmax()]
    with torch.inference_mode(False), torch.enable_grad():
        moved = torch.cat([(x[:a] + far) / 2, x[a:b], (3 * x[b:] + x[0]) / 4]).detach()
        f, again = f[a:b], ask(energy, moved.requires_grad_().clone())[a:b].detach()
    size = 1 + f.abs().nan_to_num(posinf=0).max()
    off = (again - f).abs() > torch.finfo(f.dtype).eps ** 0.5 * size
    if off.any():
        i = off.nonzero()[0].item()
        raise ValueError(
            f"energy gave particle {a + i} {f[i]:.6g}, and {again[i]:.6g} when others had moved; it"
            " must be a function of each particle alone, the same whenever it is asked."
        )


@contextmanager
def watched(energy: Energy) -> Iterator[None]:
    """Raise if the energy, asked for within, draws random numbers or mixes particles in a layer."""

    def refuse(layer: nn.Module, _: tuple) -> None:
        mixes = isinstance(layer, _BatchNorm | _DropoutNd | nn.RReLU) and getattr(layer, "p", 1)
        if layer.training and mixes:
            raise ValueError(f"energy is in train mode, with {layer}; it must be in .eval() mode.")

    before, hook = torch.get_rng_state(), None
    if isinstance(energy, nn.Module):  # which is faster than to look at each layer when it is used
        for layer in energy.modules():
            refuse(layer, ())
    else:
        hook = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        if hook:
            hook.remove()
    if not torch.equal(before, torch.get_rng_state()):
        torch.set_rng_state(before)
        raise ValueError("energy drew random numbers; it must be a function of x alone.")


def gaussian(mean: float, sd: float) -> Normal:
    """Return N(mean, sd²) in float64."""
    mean, sd = number(mean, "mean"), number(sd, "sd", 0, above=True)
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(sd, dtype=torch.float64))


def mixture(
    weights: Sequence[float], means: Sequence[float], sds: Sequence[float]
) -> MixtureSameFamily:
    """Return the mixture Σ_j weights[j] · N(means[j], sds[j]²) in float64; the weights sum to 1."""
    sizes = [len(v) if hasattr(v, "__len__") else 0 for v in (weights, means, sds)]
    if not 0 < sizes[0] == sizes[1] == sizes[2]:
        raise ValueError(f"weights, means, sds have {sizes} entries; each must have as many, > 0.")
    weights = [number(w, f"weights[{j}]", 0, 1) for j, w in enumerate(weights)]
    means = [number(m, f"means[{j}]") for j, m in enumerate(means)]
    sds = [number(sd, f"sds[{j}]", 0, above=True) for j, sd in enumerate(sds)]
    if abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"weights sum to {sum(weights):.6g}; they must sum to 1.")
    as_tensor = [torch.tensor(values, dtype=torch.float64) for values in (weights, means, sds)]
    return MixtureSameFamily(Categorical(as_tensor[0]), Normal(*as_tensor[1:]))


def energy_of(target: Distribution) -> Energy:
    """Return the energy f(x) = −log p(x) of a one-dimensional target; its Z is 1.

    Outside the target's support f is +∞.
    """
    _check_target(target)
    if isinstance(getattr(target, "component_distribution", target), Normal):
        return lambda x: -target.log_prob(x).sum(-1)

    def energy(x: Tensor) -> Tensor:
        inside = target.support.check(x)
        f = 0 * x[inside] - target.log_prob(x[inside])  # 0 · x gives a constant log p its gradient
        return torch.full_like(x, math.inf).index_put((inside,), f.to(x.dtype)).sum(-1)

    return energy


def draw(target: Distribution, n: int, *, generator: torch.Generator) -> Tensor:
    """Draw n exact, independent samples from a target in one dimension.

    ``torch.distributions`` draws from the global random state only; this takes a generator. So a
    target, or the components of a mixture, must be Gaussian or have an inverse CDF in torch.

    Returns:
        Samples of shape (n, 1), float64.

    Raises:
        TypeError, ValueError: if the target is another.
    """
    _check_target(target)
    n, generator = whole(n, "n", 1), generator_for(generator)
    part, j = target, ()
    if isinstance(target, MixtureSameFamily):
        part = target.component_distribution
        j = torch.multinomial(target.mixture_distribution.probs, n, True, generator=generator)
    if isinstance(part, Normal):
        noise = torch.randn(n, generator=generator, dtype=torch.float64)
        return (part.loc[j] + part.scale[j] * noise).unsqueeze(-1)
    u = torch.rand(n, 1, generator=generator, dtype=torch.float64).clamp(min=2.0**-54)
    try:
        draws = part.icdf(u).double()
    except NotImplementedError:
        said = " ".join(str(target).split())
        raise TypeError(
            f"target is {said}; it must be a Gaussian, have an icdf, or be a mixture of such."
        ) from None
    return draws if part is target else draws.gather(1, j[:, None])


def _check_target(target: Distribution) -> None:
    """Raise unless the target is one distribution of one number."""
    if not isinstance(target, Distribution):
        raise TypeError(f"target is {target!r}; it must be a torch.distributions object.")
    shape = (*target.batch_shape, *target.event_shape)
    if shape:
        raise ValueError(f"target has the shape {shape}; it must be one distribution of a number.")


def uniform(low: float, high: float, n: int, *, generator: torch.Generator) -> Tensor:
    """Draw n starting particles of shape (n, 1) from U(low, high), float64."""
    low, high, n = number(low, "low"), number(high, "high"), whole(n, "n", 1)
    width, generator = number(high - low, "high - low", 0), generator_for(generator)
    return low + width * torch.rand(n, 1, generator=generator, dtype=torch.float64)
