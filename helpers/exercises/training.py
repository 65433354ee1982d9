"""The checks of notebook 4: training."""

import math

import torch
from torch import Tensor, nn

from helpers import densities, exact
from helpers.exercises.step import all_move, noise_kinds
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
    expect,
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
    for m, a, b in [(7, 0.3, 0.13), (201, 0.04, 1.7), (201, alpha, beta)]:
        x = exact.grid(-1, 11, m)
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
    lr, generator = 1e-6, seeded(seed + 1)
    real = densities.draw(densities.gaussian(3.0, 1.0), 200, generator=seeded(seed))
    for n, s, updates in [(8, 0.05, 1), (400, 0.05, 2), (300, 0.02, 1)]:
        model, last = _Bowl(), torch.zeros(2, dtype=torch.float64)
        optimiser = _Watched(model.parameters(), lr=lr)
        chains = torch.linspace(20, 30, n, dtype=torch.float64).unsqueeze(1)
        for _ in range(updates):
            theta, state = model.values(), generator.get_state()
            new = call(answer, model, optimiser, real.clone(), chains.clone(), s, generator)
            change = (theta - model.values()) / lr
            after = as_tensor(no_graph(new), (n, 1))
            if n > 8:
                _judge_chains(chains, after, theta, s)
                last = _judge_update(change, last, theta, real, (chains, after), s, optimiser)
                drawn(generator, state)
            chains = after
    return (
        "Gradient forgotten, chains kept, samples held fixed, data minus model. None of the"
        " four raises an error when it is missing."
    )


def _judge_chains(before: Tensor, after: Tensor, theta: Tensor, s: float) -> None:
    """Raise Wrong unless the chains made one Langevin step on the bowl from where they were."""
    n, drift = len(before), -s * theta[1] * (before - theta[0])
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
            "They are restarted. Go on from the chains that you are given (section 4.5, part 1).",
        )
    noise = after - before - drift
    mistakes = {
        "The chains climb the energy: the sign of their drift is turned (section 3.1).": (
            -2 * drift.mean()
        ),
        "The chains do not feel the energy: their drift is missing, or too small by their number if"
        " the mean of the energies is differentiated in place of the sum (section 3.1).": (
            -drift.mean()
        ),
    }
    what = "Mean of the chains' move, less its drift"
    expect(what, noise.mean(), 0.0, mistakes, Z * math.sqrt(2 * s / n))
    if noise.abs().max() < 1e-6:
        raise Wrong("The chains have no noise: add √(2s) N (section 3.1).")
    error = Z * noise.var() * math.sqrt(2 / n)
    expect("Variance of the chains' noise", noise.var(), 2 * s, noise_kinds(s), error)


def _judge_update(
    change: Tensor,
    last: Tensor,
    theta: Tensor,
    real: Tensor,
    chains: tuple[Tensor, Tensor],
    s: float,
    optimiser: _Watched,
) -> Tensor:
    """Raise Wrong unless the weights went down the right gradient, which is returned.

    ``last`` is the gradient of the update before; the fakes may be the chains before the Langevin
    step or after it.
    """
    before, after = chains

    def is_near(value: Tensor) -> bool:
        return bool(((change - value).abs() <= TOLERANCE * value.abs().max()).all())

    positive = _slopes(theta, real).mean(1)
    rights = [positive - _slopes(theta, fakes).mean(1) for fakes in (before, after)]
    for right in rights:
        if is_near(right):
            return right
    if change.abs().max() < 1e-3:
        why = "optimiser.step() is never called."
        if optimiser.steps:
            why = (
                "optimiser.step() is called, and there is no gradient by then: it comes before"
                " backward(), or zero_grad() stands between the two."
            )
        raise Wrong("The weights do not move.", why)
    for symptom, hint, values in _slips(rights, last, theta, chains, s):
        if any(is_near(value) for value in values):
            raise Wrong(symptom, hint)
    blame("∇_θ of the loss, for m and b", change, rights[1], [])
    return rights[1]


def _slips(
    rights: list[Tensor], last: Tensor, theta: Tensor, chains: tuple[Tensor, Tensor], s: float
) -> list[tuple[str, str, list[Tensor]]]:
    """Return what each mistake looks like, where to look, and the gradients that it gives."""
    before, after = chains
    # through the step: z = x − s b (x − m) + √(2s) N depends on θ, and f on z with slope b (z − m)
    moved = torch.cat([s * theta[1].expand_as(before), -s * (before - theta[0])], 1).T
    through = rights[1] - (theta[1] * (after - theta[0])[:, 0] * moved).mean(1)
    sampled = _slopes(theta, before).sum(1)
    return [
        (
            "The second update goes along another direction than its own loss has: something of"
            " the first is in it.",
            "zero_grad is missing. backward adds to .grad, so call optimiser.zero_grad() in every"
            " update (section 4.3).",
            [right + last for right in rights if last.any()],
        ),
        (
            "The weights move as if the samples moved with them: they were to be held fixed"
            " (section 2.5).",
            "The fakes are not detached where it matters: autograd has gone back through the"
            " Langevin step. Detach the chains before the loss, and do not ask for create_graph.",
            [through, -through, through + last],
        ),
        (
            "After the update the energy is lower at the fakes and higher at the data.",
            "The phases' signs are swapped. The loss is mean f(real) − mean f(fake) (section 2.3,"
            " step 7).",
            [-right for right in rights],
        ),
        (
            "The weights' gradient has a large term that knows nothing of the data.",
            "The sampler's own backward() has left its gradient in the weights. Call zero_grad"
            " after it, or use torch.autograd.grad (section 4.1).",
            [right + sampled for right in rights] + [sampled - right for right in rights],
        ),
        (
            "The weights' gradient is that of sums, not of means.",
            "Take the mean of f(real) and of f(fake); their numbers differ.",
            [
                200 * right - (len(before) - 200) * _slopes(theta, fakes).mean(1)
                for right, fakes in zip(rights, chains, strict=True)
            ],
        ),
    ]
