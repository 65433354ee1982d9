"""The checks of notebook 4: training."""

import math

import torch
from torch import Tensor, nn

from helpers import densities, exact
from helpers.exercises.verdicts import (
    TOLERANCE,
    Wrong,
    Z,
    as_tensor,
    call,
    check,
    expect,
    figures,
    named,
    no_graph,
    positive,
    seeded,
    untouched,
)


@check
def penalised_optimum(answer: object, *, alpha: float = 0.2) -> str:
    """Check answer(p, q, alpha), the energy (m,) that the penalised loss asks for (section 4.4)."""
    positive(alpha=alpha)
    x = exact.grid(-5, 15, 201)
    log_p, log_q = (densities.gaussian(*a).log_prob(x) for a in ((5.0, 1.0), (6.0, 3.0)))
    p, q = log_p.exp(), log_q.exp()
    for value in (float(alpha), alpha / 2):
        found = as_tensor(call(answer, p.clone(), q.clone(), value), x.shape)
        right = (q - p) / (2 * value * (p + q))
        mistakes = {
            "The sign is turned: the energy must be low where the data are, so q − p.": -right,
            "The 2 from the derivative of f² is missing: the bound is 1/(2α).": 2 * right,
            "It looks as if α was not used: this is the answer for α = 0.2.": right * value / 0.2,
            "The division by p + q is missing: both terms of the penalty bend the loss, the one on"
            " real and the one on fake.": right * (p + q),
            "This is −log p, what an energy should be. The penalty asks for something else"
            " (section 4.4).": -log_p,
            "This is log q − log p, the answer of a classifier trained by cross-entropy. Squares"
            " have another minimum: set the derivative to 0 (section 4.4).": log_q - log_p,
        }
        expect(f"f at x = −5, −4.9, … for α = {value:.3g}", found, right, mistakes)
    return (
        f"With your α = {alpha} the energy stays within ±{1 / (2 * alpha):.3f}, whatever the data:"
        " densities may differ by a factor e^(1/α) at most. It is a classifier, not −log p."
    )


@check
def persistent(answer: object, *, seed: int = 0) -> str:
    """Check answer(start, s, generator), which returns a function negatives(energy).

    Each call of ``negatives`` moves all chains by one Langevin step of the energy given and returns
    them. On a Gaussian, from one point, their law is Gaussian with the mean and variance of section
    3.2; both are checked after 1, 10 and 20 steps, within ``Z`` standard errors.
    """
    n, s = 20_000, 0.1
    energies = {c: lambda x, c=c: ((x - c) ** 2).sum(-1) / 2 for c in (0.0, 20.0)}
    start = torch.full((n, 1), 8.0, dtype=torch.float64)
    given = start.clone()
    negatives = call(answer, given, s, seeded(seed))
    if not callable(negatives):
        raise Wrong(f"Return a function negatives(energy); what came back is {named(negatives)}.")
    closed = list(exact.gaussian_moments(8.0, 0.0, 0.0, 1.0, [s] * 10))
    closed += list(exact.gaussian_moments(*closed[-1], 20.0, 1.0, [s] * 10))[1:]
    states = []
    for k in range(20):
        centre = 0.0 if k < 10 else 20.0
        new = no_graph(call(negatives, energies[centre]))
        untouched(given, start)
        new = as_tensor(new, (n, 1))
        states.append((new, new.clone()))
        mean, variance = closed[k + 1]
        if k not in (0, 9, 19):
            continue
        mistakes = {
            "The chains are restarted at every call: after ten steps they are where one step takes"
            " them. Keep their state between calls (section 4.5, part 1).": 8 - s * (8 - centre),
            "The chains do not move: return them after the step.": 8.0,
            "The chains follow the energy of the first call. It changes with training: use the one"
            " that each call gives.": 8 * (1 - s) ** (k + 1),
        }
        error = Z * math.sqrt(variance / n)
        expect(f"Mean of the chains after {k + 1} steps", new.mean(), mean, mistakes, error)
        error = Z * variance * math.sqrt(2 / n)
        expect(f"Variance of the chains after {k + 1} steps", new.var(), variance, {}, error)
    if not all(torch.equal(new, then) for new, then in states):
        raise Wrong(
            "What you returned earlier has changed since: the next step writes into the same"
            " tensor. Return a new one."
        )
    return (
        "The chains go on from update to update, so a few steps each suffice to keep up with a"
        " slowly changing energy. Restarted, they would be short runs that remember the start."
    )


class _Bowl(nn.Module):
    """The energy b (x − m)²/2 with the parameters m and b, from (n, 1) to (n,)."""

    def __init__(self):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (self.b * (x - self.m) ** 2 / 2).sum(-1)

    def values(self) -> Tensor:
        """Return a copy of (m, b)."""
        return torch.stack([self.m, self.b]).detach().clone()


def _slopes(theta: Tensor, x: Tensor) -> Tensor:
    """Return ∇_θ f of the bowl at x (n, 1), shape (2, n)."""
    u = x[:, 0] - theta[0]
    return torch.stack([-theta[1] * u, u**2 / 2])


@check
def train_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(model, optimiser, real, chains, s, generator): one update; returns the chains.

    The chains, 400 between 20 and 30, make one Langevin step; the optimiser, plain SGD with a
    learning rate of 1e-6, makes one step on mean f(real) − mean f(chains). The chains that come
    back tell the noise, so the gradient is known exactly, whether the fakes are the chains before
    the step or after it. The noise itself is judged within ``Z`` standard errors.
    """
    lr, s, n = 1e-6, 0.05, 400
    model = _Bowl()
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    real = densities.draw(densities.gaussian(3.0, 1.0), 200, generator=seeded(seed))
    chains = torch.linspace(20, 30, n, dtype=torch.float64).unsqueeze(1)
    generator, last = seeded(seed + 1), torch.zeros(2, dtype=torch.float64)
    for _ in range(2):
        theta, before = model.values(), chains.clone()
        new = call(answer, model, optimiser, real.clone(), chains, s, generator)
        change = (theta - model.values()) / lr
        after = as_tensor(no_graph(new), (n, 1)).clone()
        _judge_chains(before, after, theta, s)
        last = _judge_update(change, last, theta, real, (before, after), s)
        chains = after
    return (
        "Gradient forgotten, chains kept, samples held fixed, data minus model. None of the"
        " four raises an error when it is missing."
    )


def _judge_chains(before: Tensor, after: Tensor, theta: Tensor, s: float) -> None:
    """Raise Wrong unless the chains made one Langevin step on the bowl from where they were."""
    n, drift = len(before), -s * theta[1] * (before - theta[0])
    if torch.equal(before, after):
        raise Wrong("The chains do not move: return them after their Langevin step.")
    spread = before - before.mean()
    if (spread * after).sum() / spread.square().sum() < 0.5:  # 1 − s b = 0.975 if they went on
        raise Wrong(
            "The chains are restarted: where they come back has nothing to do with where they"
            " were. Go on from the chains that you are given (section 4.5, part 1)."
        )
    noise = after - before - drift
    mistakes = {
        "The chains climb the energy: the sign of their drift is turned (section 3.1).": (
            -2 * drift.mean()
        ),
        "The chains' drift is too small by their number: differentiate the sum of the energies"
        " (section 3.1).": drift.mean() * (1 / n - 1),
    }
    what = "Mean of the chains' move, less its drift"
    expect(what, noise.mean(), 0.0, mistakes, Z * math.sqrt(2 * s / n))
    error = Z * 2 * s * math.sqrt(2 / n)
    expect("Variance of the chains' noise", noise.var(), 2 * s, {}, error)


def _judge_update(
    change: Tensor,
    last: Tensor,
    theta: Tensor,
    real: Tensor,
    chains: tuple[Tensor, Tensor],
    s: float,
) -> Tensor:
    """Raise Wrong unless the weights went down the right gradient, which is returned.

    ``last`` is the gradient of the update before; the fakes may be the chains before the Langevin
    step or after it.
    """
    before, after = chains

    def near(value: Tensor) -> bool:
        return bool(((change - value).abs() <= TOLERANCE * value.abs().max()).all())

    positive = _slopes(theta, real).mean(1)
    rights = [positive - _slopes(theta, fakes).mean(1) for fakes in (before, after)]
    for right in rights:
        if near(right):
            return right
    # through the step: z = x − s b (x − m) + √(2s) N depends on θ, and f on z with slope b (z − m)
    moved = torch.cat([s * theta[1].expand_as(before), -s * (before - theta[0])], 1).T
    through = rights[1] - (theta[1] * (after - theta[0])[:, 0] * moved).mean(1)
    sampled = _slopes(theta, before).sum(1)
    if change.abs().max() < 1e-3:
        raise Wrong("The weights do not move: is optimiser.step() called after loss.backward()?")
    mistakes = {
        "The gradient of the last update is still in the sum: zero_grad is missing. backward adds"
        " to .grad, so call optimiser.zero_grad() in every update (section 4.3).": (
            [right + last for right in rights]
        ),
        "The fakes are not detached where it matters: autograd has gone back through the Langevin"
        " step, and the samples were to be held fixed (section 2.5). Detach the chains before the"
        " loss, and do not ask for create_graph.": [through, -through],
        "The phases' signs are swapped: the energy falls at the fakes and rises at the data. The"
        " loss is mean f(real) − mean f(fake) (section 2.3, step 7).": [-right for right in rights],
        "The sampler's own backward() has left its gradient in the weights. Call zero_grad after"
        " it, or use torch.autograd.grad (section 4.1).": [right + sampled for right in rights],
    }
    for message, values in mistakes.items():
        if any(near(value) for value in values):
            raise Wrong(message)
    raise Wrong(f"∇_θ of the loss: expected {figures(rights[1])}, found {figures(change)}.")
