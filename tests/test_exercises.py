"""The checks of the exercises: right answers pass, each mistake gets its own message.

Below, RIGHT holds for each check at least two ways to be right. The mutants, each an answer with
one mistake, stand in the checks themselves where nothing is random, and else in mistakes.py, with
words that only the verdict on that mistake has.
"""

import math
import statistics
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from scipy.stats import norm, wasserstein_distance

from answers import (
    Answer,
    antithetic,
    kl_numpy,
    kl_of,
    kl_with_warnings,
    log_normal,
    phases,
    phases_numpy,
    said,
    score_by_differences,
    score_of,
    settled_by_eigenvector,
    settled_by_power,
    settled_by_system,
    step_numpy,
    step_one_by_one,
    stepping,
)
from answers_chains import (
    length,
    length_by_batches,
    length_by_sokal,
    reports,
    reports_numpy,
    step_by_refining,
    stepping_by,
    weight,
    weight_by_groups,
)
from answers_images import IMAGES_RIGHT
from answers_models import (
    Persistent,
    asked_for,
    asked_for_by_parabolas,
    count,
    denoising,
    denoising_in_one_term,
    fitted,
    inside,
    keep,
    new_draws,
    of_x,
    resting,
    resting_numpy,
    sorted_gap,
    update,
    update_as_in_fit_energy,
    w1_by_cdfs,
)
from answers_plane import PLANE_RIGHT
from answers_scores import SCORES_RIGHT
from helpers import exercises
from mistakes import WRONG
from more_answers import MORE_RIGHT

RIGHT: dict[str, list[Answer]] = {
    "average_log_likelihood": [
        lambda x, m, s: log_normal(x, m, s).mean(),
        lambda a, b, c: np.mean(-0.5 * ((a.numpy() - b) / c) ** 2 - np.log(c * np.sqrt(2 * np.pi))),
        lambda x, m, s: log_normal(x.float(), m, s).mean().item(),
        lambda x, m, s: sum(norm(m, s).logpdf(v) for v in x[:, 0].tolist()) / len(x),
        lambda x, m, s: np.array([[statistics.mean(log_normal(x, m, s)[:, 0].tolist())]]),
    ],
    "kl_by_quadrature": [
        kl_of,
        kl_numpy,
        lambda *a: kl_with_warnings(*(value.numpy() for value in a)),
        lambda p, q, x: (rel_entr(p.numpy(), q.numpy()).sum() * (x[1] - x[0])).item(),
    ],
    "draws_needed": [
        lambda w, sigma: 2 * 5000 * (0.018 * sigma / w) ** 2,
        lambda w, sigma: int(4 / math.pi * (1.6135 * sigma / w) ** 2),
        lambda w, sigma: Fraction(10_000 * (0.0173 * sigma / w) ** 2),
    ],
    "score": [
        score_of,
        score_by_differences,
        lambda f, x: -torch.func.vmap(torch.func.grad(lambda row: f(row[None])[0]))(x),
        lambda f, x: -torch.autograd.functional.jacobian(f, x).sum(1),
    ],
    "nll_gradient": [phases(), phases(draw=antithetic), phases_numpy, lambda *a: (*phases()(*a),)],
    "two_slopes": [
        lambda theta, m: (m - 1 / theta, m),
        lambda theta, m: torch.tensor([m - 1 / theta, m]),
        lambda theta, m: [Fraction(m) - 1 / Fraction(theta), np.longdouble(m)],
    ],
    "langevin_step": [stepping(), step_numpy, step_one_by_one],
    "stationary_variance": [
        lambda s, sd, b: b**2 / (1 - (1 - s / sd**2) ** 2),
        lambda s, sd, b: np.array([b**2 * sd**4 / (2 * s * sd**2 - s**2)]),
        lambda s, sd, b: np.polynomial.Polynomial([-(b**2), 1 - (1 - s / sd**2) ** 2]).roots()[0],
    ],
    "schedule_for_three": [
        lambda k: 9 / (k + 1),
        lambda k: 9 * torch.tensor(0.8) ** k,
        lambda k: Fraction(9, k + 1),
    ],
    "settled_mass": [settled_by_power, settled_by_system, settled_by_eigenvector],
    "penalised_optimum": [
        asked_for,
        asked_for_by_parabolas,
        lambda p, q, a, b: [asked_for(*v, a, b) for v in zip(p, q, strict=True)],
    ],
    "train_step": [update(), update(start=torch.clone), update_as_in_fit_energy],
    "persistent": [keep(), Persistent],
    "w1_sorted": [
        lambda a, b: sorted_gap(a, b).abs().mean(),
        lambda a, b: np.abs(np.sort(np.tile(a.numpy(), 2)) - np.sort(b.numpy())).mean(),
        w1_by_cdfs,
        lambda a, b: wasserstein_distance(a, b),
    ],
    "steps_enough": [count(), count(points=201), count(steps=250, ideal=False)],
    "new_density": [fitted, lambda samples: [inside(of_x), new_draws().numpy()]],
    "noise_for": [
        lambda s, T: (2 * s * T) ** 0.5,
        lambda s, T: np.sqrt([2 * s * T]),
        lambda s, T: complex(2 * s * T) ** 0.5,
    ],
    "resting_theta": [resting, resting_numpy],
    "denoising_loss": [denoising(), denoising_in_one_term],
    "length_for": [length(), length_by_batches, length_by_sokal],
    "r_hat_of_reports": [reports(), reports_numpy],
    "best_step": [stepping_by(), step_by_refining],
    "left_weight": [weight(), weight_by_groups],
}
RIGHT |= MORE_RIGHT | PLANE_RIGHT | IMAGES_RIGHT | SCORES_RIGHT

SEEDED = ["nll_gradient", "langevin_step", "train_step", "persistent", "new_density"]
SEEDED += ["denoising_loss", "jump_to_data", "length_for", "left_weight"]
"""The checks with randomness of their own or of the learner's."""


def every_check() -> list[str]:
    """Return the names of all checks in the module."""
    return [name for name, value in vars(exercises).items() if hasattr(value, "__wrapped__")]


def test_every_check_is_tested() -> None:
    assert sorted(RIGHT) == sorted(every_check())
    assert min(map(len, RIGHT.values())) >= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("check", RIGHT)
def test_right_answers_pass(check: str, dtype: torch.dtype) -> None:
    """Whatever torch's default type is, and without a trace in the global random state."""
    torch.manual_seed(5)
    before, default = torch.get_rng_state(), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        for answer in RIGHT[check][dtype is torch.float32 and check == "new_density" :]:
            assert said(check, answer).startswith("Right. ")
    finally:
        torch.set_default_dtype(default)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("check", RIGHT)
def test_mistakes_of_a_table_are_named(check: str) -> None:
    """Each mutant gets the message that stands beside it, and no other."""
    for message, mutant in getattr(exercises, check).mistakes:
        assert said(check, mutant) == f"Not right yet. {message}"


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[f"{w[0]}: {w[2]}" for w in WRONG])
def test_a_mistake_gets_its_own_message(number: int) -> None:
    """The verdict holds the words of this mistake and of no other one of the same check."""
    check, answer, words = WRONG[number]
    verdict = said(check, answer, hint=True)
    assert verdict.startswith("Not right yet. ")
    others = {text for name, _, text in WRONG if name == check}
    assert {text for text in others if text in verdict} == {words}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("check", RIGHT)
def test_what_is_no_answer_gets_one_clear_sentence(check: str) -> None:
    def stub(*arguments):
        raise NotImplementedError(f"Exercise 0.0: do {check}")

    def fails(*arguments):
        raise ZeroDivisionError("by nothing\nat all")

    def lacks(*arguments):
        raise NotImplementedError("no kernel")

    def leaves(*arguments):
        raise SystemExit

    assert said(check, stub) == f"Not done yet. Exercise 0.0: do {check}."
    assert said(check, None) == said(check, ...) == "Not done yet. Fill in the stub above."
    assert said(check, "f") == (
        "Not right yet. The check needs a function; this is a value of type str."
    )
    assert "Your function raised ZeroDivisionError: by nothing (with " in said(check, fails)
    assert "raised NotImplementedError: no kernel" in said(check, lacks)
    assert "raised SystemExit (with " in said(check, leaves)
    unfit = ["text", b"1", object(), {1: 2}, {1}, None, (), [], [1, [2, 3]], lambda: 1]
    unfit += [torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])]
    for value in [*unfit, torch.zeros(3, 3), np.zeros((2, 2, 2)), iter([1]), 1j, [1, None]]:
        verdict = said(check, lambda *arguments, value=value: value)
        assert verdict.startswith("Not right yet. ") and len(verdict) < 300
    assert "raised TypeError" in said(check, lambda: 1)


@pytest.mark.parametrize("check", RIGHT)
def test_constants_nan_and_infinity_are_no_answers(check: str) -> None:
    """In whatever shape the right answer has, and NaN in one place of it."""
    right = RIGHT[check][-1]

    def spoiled(*arguments, value, where=slice(None)):
        found = right(*arguments)
        if callable(found):
            return lambda energy: torch.full_like(found(energy), value)
        if check == "new_density":
            return found[0], np.full_like(found[1], value)
        found = np.array(found, dtype=float, copy=True) if found is not None else np.array(0.0)
        found.reshape(-1)[where] = value
        return found

    for value in (math.nan, math.inf, -math.inf, 0.0, 1.0, 1e300):
        assert said(check, partial(spoiled, value=value)).startswith("Not right yet. ")
    last = partial(spoiled, value=math.nan, where=-1)
    assert said(check, last).startswith("Not right yet. ")


@pytest.mark.parametrize("check", SEEDED)
def test_right_answers_pass_with_other_seeds(check: str) -> None:
    """Twenty seeds: a right answer fails once in a million, so twenty fail once in 50 000."""
    answers = RIGHT[check][:2]
    for seed in range(1, 21):
        if check == "new_density":
            answers = [lambda samples, seed=seed: (inside(of_x), new_draws(seed=seed))]
        for answer in answers:
            assert said(check, answer, seed=seed).startswith("Right. ")


def test_the_standard_errors_are_neither_too_small_nor_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Held to one standard error, a right answer passes with probability 0.683 each statistic.

    Mean and variance are independent for normal draws; nll_gradient has both for three θ, with
    draws of their own. Of 150 seeds that share passes, within 5 of its standard errors.
    """
    monkeypatch.setattr("helpers.exercises.gradient.Z", 1.0)
    monkeypatch.setattr("helpers.exercises.gradient.N", 4000)
    passed = []
    for seed in range(150):
        verdict = said("nll_gradient", RIGHT["nll_gradient"][0], seed=seed)
        passed.append("NLL, two numbers" not in verdict)
    expected = 0.6827**6
    assert abs(np.mean(passed) - expected) < 5 * math.sqrt(expected * (1 - expected) / 150)


@pytest.mark.parametrize(
    ("check", "choice", "words"),
    [
        ("stationary_variance", {"s": 4.5}, "never settles: s must stay below 2σ² = 4.500"),
        ("stationary_variance", {"s": -1.0}, "positive number for s; this is -1.0"),
        ("stationary_variance", {"sigma": "1"}, "positive number for sigma; this is '1'"),
        ("stationary_variance", {"noise": True}, "positive number for noise; this is True"),
        ("stationary_variance", {"s": np.float32(2), "sigma": Fraction(2)}, "s = 2, σ = 2 and"),
        ("penalised_optimum", {"alpha": 0}, "positive number for alpha; this is 0"),
        ("penalised_optimum", {"alpha": np.int64(1), "beta": 0.25}, "between -0.500 and 2.000"),
    ],
)
def test_the_learners_own_choice_is_used(check: str, choice: dict, words: str) -> None:
    assert words in said(check, RIGHT[check][0], **choice)
