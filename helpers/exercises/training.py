"""The checks of notebook 4: training."""

import math
from itertools import product

import torch
from torch import Tensor, nn

from helpers import densities
from helpers.exercises.step import all_move, judge_draws, judge_noise
from helpers.exercises.verdicts import (
    TOLERANCE,
    Wrong,
    Z,
    agree,
    as_tensor,
    at_particles,
    blame,
    call,
    check,
    drawn,
    near,
    no_graph,
    positive,
    seeded,
)


def _optimum(p: Tensor, q: Tensor, alpha: float, beta: float) -> Tensor:
    """Return the f that minimises p (f + αf²) − q (f − βf²) at every point by itself."""
    return (q - p) / (2 * (alpha * p + beta * q))


_OPTIMUM = [
    (
        "The sign is turned: the energy must be low where the data are, so q − p.",
        lambda p, q, a, b: -_optimum(p, q, a, b),
    ),
    (
        "The 2 from the derivative of f² is missing: the bounds are −1/(2α) and 1/(2β).",
        lambda p, q, a, b: 2 * _optimum(p, q, a, b),
    ),
    (
        "This is the answer for β = α, that of section 4.4. Here the two squares have weights of"
        " their own: set the derivative to 0 once more.",
        lambda p, q, a, b: _optimum(p, q, a, a),
    ),
    (
        "It looks as if β stood in the place of α as well. α weighs the square on real, β the one"
        " on fake.",
        lambda p, q, a, b: _optimum(p, q, b, b),
    ),
    (
        "It looks as if α and β were swapped: α weighs the square on real, β the one on fake.",
        lambda p, q, a, b: _optimum(p, q, b, a),
    ),
    (
        "It looks as if α and β were replaced by their mean. Each belongs to its density, αp + βq.",
        lambda p, q, a, b: _optimum(p, q, (a + b) / 2, (a + b) / 2),
    ),
    (
        "The division by αp + βq is missing: both squares bend the loss.",
        lambda p, q, a, b: q - p,
    ),
    (
        "This is −log p, what an energy should be. The penalty asks for something else (section"
        " 4.4).",
        lambda p, q, a, b: -p.log(),
    ),
    (
        "This is log q − log p, the answer of a classifier trained by cross-entropy. Squares have"
        " another minimum: set the derivative to 0 (section 4.4).",
        lambda p, q, a, b: q.log() - p.log(),
    ),
]


@check(mistakes=_OPTIMUM)
def penalised_optimum(answer: object, *, alpha: float = 0.2, beta: float = 0.1) -> str:
    """Check answer(p, q, alpha, beta), the energy (m,) that the penalised loss asks for."""
    alpha, beta = positive(alpha=alpha, beta=beta)
    cases = {}
    chosen = (201, alpha, beta)
    for m, a, b in [(7, 0.3, 0.13), (1, 2.0, 0.5), (201, 0.04, 1.7), (60, 3e-3, 1e-3), chosen]:
        x = torch.linspace(1, 11, m, dtype=torch.float64)
        p, q = (densities.gaussian(*v).log_prob(x).exp() for v in ((5.0, 1.3), (6.0, 3.0)))
        cases[f"f at {m} points, α = {a:g} and β = {b:g}"] = (p, q, a, b)
    agree(answer, _optimum, cases, _OPTIMUM)
    return (
        f"With your α = {alpha:g} and β = {beta:g} the energy stays between {-1 / (2 * alpha):.3f}"
        f" and {1 / (2 * beta):.3f}, whatever the data. It is a classifier, not −log p."
    )


class _Bowl(nn.Module):
    """The energy b (x − m)²/2 with the parameters m and b, from (n, 1) to (n,)."""

    def __init__(self):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return at_particles(lambda x: (self.b * (x - self.m) ** 2 / 2).sum(-1))(x)

    def values(self) -> Tensor:
        """Return a copy of (m, b)."""
        return torch.stack([self.m, self.b]).detach().clone()


class _Watched(torch.optim.SGD):
    """Gradient descent that counts its steps, and those at which there was no gradient."""

    steps = empty = 0

    def step(self, *arguments, **options) -> object:
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        self.steps += 1
        self.empty += not any(g is not None and g.any() for g in gradients)
        return super().step(*arguments, **options)


class _Update:
    """One update under test: what it was given, and what it made of the weights and the chains."""

    def __init__(self, theta: Tensor, real: Tensor, before: Tensor, after: Tensor, s: float):
        self.theta, self.real, self.before, self.after, self.s = theta, real, before, after, s
        self.change = torch.zeros_like(theta)

    def slopes(self, x: Tensor) -> Tensor:
        """Return ∇_θ f of the bowl at x (n, 1), shape (2, n)."""
        u = x[:, 0] - self.theta[0]
        return torch.stack([-self.theta[1] * u, u**2 / 2])

    def noise(self) -> Tensor:
        """Return what the chains have moved, less the drift of a Langevin step."""
        return self.after - self.before + self.s * self.theta[1] * (self.before - self.theta[0])

    def gradient(self, late: bool, through: bool, swapped: bool, left: bool, sums: bool) -> Tensor:
        """Return ∇_θ of the loss with the chains after their step, or before; or with mistakes."""
        m, b = self.theta
        fakes = self.before if late else self.after
        model, z = self.slopes(fakes).mean(1), self.before - m
        if through:  # z − s b (z − m) + √(2s) N depends on θ, and f on it with slope b (x − m)
            moved = torch.cat([self.s * b.expand_as(z), -self.s * z], 1).T
            model = model + (b * (self.after - m)[:, 0] * moved).mean(1)
        data = self.slopes(self.real).mean(1)
        if sums:
            data, model = data * len(self.real), model * len(fakes)
        sampled = self.slopes(self.before).sum(1) if left else 0
        return (model - data if swapped else data - model) + sampled


@check
def train_step(answer: object, *, seed: int = 0) -> str:
    """Check answer(model, optimiser, real, chains, s, generator): one update; returns the chains.

    The chains, far from the bowl's middle, make one Langevin step; the optimiser, plain SGD with a
    learning rate of 1e-6, makes one step on mean f(real) − mean f(chains). The chains that come
    back tell the noise, so the gradient is known exactly, whether the fakes are the chains before
    the step or after it. The noise itself is judged within ``Z`` standard errors.
    """
    lr, generator, runs, calls, empty = 1e-6, seeded(seed + 1), [], 0, 0
    for m, n, low, s, updates in [
        (50, 8, 20, 0.05, 1),
        (200, 4000, 20, 0.05, 2),
        (150, 4000, -14, 0.02, 1),
    ]:
        real = densities.draw(densities.gaussian(3.0, 1.0), m, generator=seeded(seed + m))
        model, chains = _Bowl(), torch.linspace(low, low + 10, n, dtype=torch.float64)[:, None]
        optimiser, run = _Watched(model.parameters(), lr=lr), []
        for _ in range(updates):
            theta, state = model.values(), generator.get_state()
            new = call(answer, model, optimiser, real.clone(), chains.clone(), s, generator)
            run.append(_Update(theta, real, chains, as_tensor(no_graph(new), (n, 1)), s))
            run[-1].change = (theta - model.values()) / lr
            if n > 8:
                _judge_chains(run[-1])
                drawn(generator, state)
            chains = run[-1].after
        runs.append(run)
        calls, empty = calls + optimiser.steps, empty + optimiser.empty
    _, *runs = runs
    judge_noise({run[0].s: torch.cat([update.noise() for update in run]) for run in runs})
    _judge_updates(runs, calls, empty)
    return (
        "Gradient forgotten, chains kept, samples held fixed, data minus model. None of the"
        " four raises an error when it is missing."
    )


def _judge_chains(update: _Update) -> None:
    """Raise Wrong unless the chains went down the bowl from where they were."""
    before, after = update.before, update.after
    if torch.equal(before, after):
        raise Wrong(
            "The chains that come back are where they were.",
            "Return them after their Langevin step.",
        )
    all_move(before, after)
    spread = before - before.mean()
    if (spread * after).sum() / spread.square().sum() < 0.5:  # 1 − s b = 0.975 if they went on
        raise Wrong(
            "Where the chains come back has nothing to do with where they were.",
            "They are restarted, or shuffled. Go on from the chains that you are given (section"
            " 4.5, part 1).",
        )
    judge_draws(update.noise())
    slope = update.theta[1] * (before - update.theta[0])
    share = -((after - before) * slope).sum() / slope.square().sum()
    error = math.sqrt(2 * update.s) / slope.norm()
    if abs(share + update.s) < 3 * error:
        raise Wrong("The chains climb the energy: the sign of their drift is turned (section 3.1).")
    if abs(share) < 3 * error:
        raise Wrong(
            "The chains do not feel the energy: their drift is missing, or too small by their"
            " number if the mean of the energies is differentiated in place of the sum (section"
            " 3.1)."
        )
    if not abs(share - update.s) < Z * error:
        raise Wrong(
            f"The chains' moves are {share:.4f} times −∇ₓf on average; those of one Langevin step"
            f" are s = {update.s} times that."
        )


_SLIPS = [
    (
        "through",
        "The weights move as if the samples moved with them: they were to be held fixed"
        " (section 2.5).",
        "The fakes are not detached where it matters: autograd has gone back through the"
        " Langevin step. Detach the chains before the loss, and do not ask for create_graph.",
    ),
    (
        "swapped",
        "After the update the energy is lower at the fakes and higher at the data.",
        "The phases' signs are swapped. The loss is mean f(real) − mean f(fake) (section 2.3,"
        " step 7).",
    ),
    (
        "left",
        "The weights' gradient has a large term that knows nothing of the data.",
        "The sampler's own backward() has left its gradient in the weights. Call zero_grad"
        " after it, or use torch.autograd.grad (section 4.1).",
    ),
    (
        "sums",
        "The weights' gradient is that of sums, not of means.",
        "Take the mean of f(real) and of f(fake); their numbers differ.",
    ),
    (
        "kept",
        "The second update goes along another direction than its own loss has: something of"
        " the first is in it.",
        "zero_grad is missing. backward adds to .grad, so call optimiser.zero_grad() in every"
        " update (section 4.3).",
    ),
]
"""What each slip is called here, what it looks like, and where to look."""


def _judge_updates(runs: list[list[_Update]], calls: int, empty: int) -> None:
    """Raise Wrong unless all updates went down the right gradient.

    Slips may come together: of those that give all of the changes, the first is told.
    """
    found = torch.stack([update.change for run in runs for update in run])
    if found.abs().max() < 1e-3:
        why = "optimiser.step() is never called."
        if calls:
            why = "optimiser.step() is called, with a gradient that is next to nothing."
        if empty:
            why = (
                "optimiser.step() is called, and there is no gradient by then: it comes before"
                " backward(), or zero_grad() stands between the two."
            )
        raise Wrong("The weights do not move.", why)

    def changes(late: bool = False, kept: bool = False, **slips: bool) -> Tensor:
        every = [torch.stack([update.gradient(late, **slips) for update in run]) for run in runs]
        return torch.cat([run.cumsum(0) if kept else run for run in every])

    for late, *made in product([False, True], repeat=1 + len(_SLIPS)):
        slips = dict(zip([name for name, *_ in _SLIPS], made, strict=True))
        value = changes(late, **slips)
        if not (late and slips["through"]) and near(found, value, TOLERANCE * value.abs()):
            for name, symptom, hint in _SLIPS:
                if slips[name]:
                    raise Wrong(symptom, hint)
            return
    right = changes(**dict.fromkeys(slips, False))
    blame("∇_θ of the loss, for m and b, in three updates", found, right, [])
