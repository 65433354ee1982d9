"""The checks of the exercises: right answers pass, each mistake gets its own message.

Below, RIGHT holds for each check at least two ways to be right, and WRONG the mutants: an answer
with one mistake, and words that only the verdict on that mistake has.
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from answers import (
    Answer,
    Persistent,
    asked_for,
    count,
    denoising,
    denoising_in_one_term,
    fitted,
    gamma_draws,
    gamma_energy,
    keep,
    kl_numpy,
    kl_of,
    kl_with_warnings,
    log_normal,
    phases,
    phases_numpy,
    resting,
    resting_numpy,
    said,
    score_by_differences,
    score_of,
    settled_by_system,
    settled_by_trapezoids,
    settling,
    sorted_gap,
    step_global,
    step_numpy,
    stepping,
    update,
    update_as_in_fit_energy,
)
from answers_plane import nearest, nearest_numpy, stepped, stepped_numpy
from helpers import exercises
from mistakes import WRONG

RIGHT: dict[str, list[Answer]] = {
    "average_log_likelihood": [
        lambda x, m, s: log_normal(x, m, s).mean(),
        lambda a, b, c: np.mean(-0.5 * ((a.numpy() - b) / c) ** 2 - np.log(c * np.sqrt(2 * np.pi))),
        lambda x, m, s: log_normal(x.float(), m, s).mean().item(),
    ],
    "kl_by_quadrature": [
        kl_of,
        kl_numpy,
        lambda *a: kl_with_warnings(*(value.numpy() for value in a)),
        lambda p, q, x: (torch.special.xlogy(p, p / q).sum() * (x[1] - x[0])).item(),
    ],
    "draws_needed": [
        lambda w: 5000 * (0.018 / w) ** 2,
        lambda w: int(2 / math.pi * (1.6135 / w) ** 2),
    ],
    "score": [score_of, score_by_differences],
    "nll_gradient": [phases(), phases_numpy],
    "two_slopes": [
        lambda theta, m: (m - 1 / theta, m),
        lambda theta, m: torch.tensor([m - 1 / theta, m]),
    ],
    "langevin_step": [stepping(), step_numpy, step_global],
    "stationary_variance": [
        lambda s, sd: sd**2 / (1 - s / (2 * sd**2)),
        lambda s, sd: np.array([2 * s / (1 - (1 - s / sd**2) ** 2)]),
    ],
    "schedule_for_three": [lambda k: 9 / (k + 1), lambda k: 9 * torch.tensor(0.8) ** k],
    "settled_mass": [settling(), settled_by_system, settled_by_trapezoids],
    "penalised_optimum": [
        asked_for,
        lambda p, q, a: ((0.5 - (p / (p + q)).numpy()) / a)[::-1].copy()[::-1],
    ],
    "train_step": [update(), update(start=torch.clone), update_as_in_fit_energy],
    "persistent": [keep(), Persistent],
    "w1_sorted": [
        lambda a, b: sorted_gap(a, b).abs().mean(),
        lambda a, b: np.abs(np.sort(a.numpy()) - np.sort(b.numpy())).mean(),
        lambda a, b: wasserstein_distance(a, b),
    ],
    "steps_enough": [count(), count(points=201)],
    "new_density": [fitted, lambda samples: [gamma_energy, gamma_draws()]],
    "noise_for": [lambda s, T: (2 * s * T) ** 0.5, lambda s, T: np.sqrt([2 * s * T])],
    "resting_theta": [resting, resting_numpy],
    "denoising_loss": [denoising(), denoising_in_one_term],
    "after_one_step": [stepped, stepped_numpy],
    "largest_step": [
        lambda C: 2 / torch.linalg.eigvalsh(C.inverse()).max(),
        lambda C: 2 * np.linalg.eigvalsh(C.numpy())[0],
    ],
    "mode_weights": [nearest, nearest_numpy],
}

SEEDED = ["nll_gradient", "langevin_step", "train_step", "persistent", "new_density"]
SEEDED += ["denoising_loss"]
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


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[f"{w[0]}: {w[2]}" for w in WRONG])
def test_a_mistake_gets_its_own_message(number: int) -> None:
    """The verdict holds the words of this mistake and of no other one of the same check."""
    check, answer, words = WRONG[number]
    verdict = said(check, answer)
    assert verdict.startswith("Not right yet. ")
    others = {text for name, _, text in WRONG if name == check}
    assert {text for text in others if text in verdict} == {words}


@pytest.mark.parametrize("check", RIGHT)
def test_what_is_no_answer_gets_one_clear_sentence(check: str) -> None:
    def stub(*arguments):
        raise NotImplementedError(f"Exercise 0.0: do {check}")

    def fails(*arguments):
        raise ZeroDivisionError("by nothing\nat all")

    def lacks(*arguments):
        raise NotImplementedError("no kernel")

    assert said(check, stub) == f"Not done yet. Exercise 0.0: do {check}."
    assert said(check, None) == said(check, ...) == "Not done yet. Fill in the stub above."
    assert said(check, "f") == (
        "Not right yet. The check needs a function; this is a value of type str."
    )
    assert said(check, fails) == (
        "Not right yet. Your function raised ZeroDivisionError: by nothing"
    )
    assert "raised NotImplementedError: no kernel" in said(check, lacks)
    for value in ("text", object(), torch.zeros(3, 3), [1, [2, 3]]):
        verdict = said(check, lambda *arguments, value=value: value)
        assert verdict.startswith(("Not right yet. Your function should", "Not right yet. Return"))
        assert len(verdict) < 160
    assert "raised TypeError" in said(check, lambda: 1)


def test_a_square_from_a_row_and_a_column_is_explained() -> None:
    verdict = said("langevin_step", lambda f, x, s, g: x + torch.randn(len(x)))
    assert verdict.endswith("filled in a square.")


def test_a_verdict_repeats_even_if_the_answer_uses_the_global_random_state() -> None:
    def loud(energy, x, s, generator):
        return step_global(energy, x, s, generator)[:, None] + torch.randn(x.shape)

    verdicts = set()
    for seed in range(3):
        torch.manual_seed(seed)
        verdicts.add(said("langevin_step", loud))
    assert len(verdicts) == 1 and "Variance of the noise: expected" in verdicts.pop()


@pytest.mark.parametrize("check", SEEDED)
def test_right_answers_pass_with_other_seeds(check: str) -> None:
    """Twenty seeds: a right answer fails once in a million, so twenty fail once in 50 000."""
    answers = RIGHT[check]
    for seed in range(1, 21):
        if check == "new_density":
            answers = [lambda samples, seed=seed: (gamma_energy, gamma_draws(seed=seed))]
        for answer in answers:
            assert said(check, answer, seed=seed).startswith("Right. ")


@pytest.mark.parametrize(("check", "statistics"), [("langevin_step", 2), ("nll_gradient", 2)])
def test_the_standard_errors_are_neither_too_small_nor_too_large(
    monkeypatch: pytest.MonkeyPatch, check: str, statistics: int
) -> None:
    """Held to one standard error, a right answer passes with probability 0.683 each statistic.

    Mean and variance are independent for normal draws (the two θ of nll_gradient get the same
    ones). Of 400 seeds that share passes, within 5 of its standard errors.
    """
    monkeypatch.setattr(f"{getattr(exercises, check).__module__}.Z", 1.0)
    passed = [said(check, RIGHT[check][0], seed=seed)[:5] == "Right" for seed in range(400)]
    expected = 0.6827**statistics
    assert abs(np.mean(passed) - expected) < 5 * math.sqrt(expected * (1 - expected) / 400)


@pytest.mark.parametrize(
    ("check", "choice", "words"),
    [
        ("stationary_variance", {"s": 4.5}, "never settles: s must stay below 2σ² = 4.500"),
        ("stationary_variance", {"s": -1.0}, "positive number for s; this is -1.0"),
        ("stationary_variance", {"sigma": "1"}, "positive number for sigma; this is '1'"),
        ("penalised_optimum", {"alpha": 0}, "positive number for alpha; this is 0"),
        ("stationary_variance", {"s": 2.0, "sigma": 2.0}, "s = 2.0 and σ = 2.0"),
        ("penalised_optimum", {"alpha": 1}, "within ±0.500"),
    ],
)
def test_the_learners_own_choice_is_used(check: str, choice: dict, words: str) -> None:
    assert words in said(check, RIGHT[check][0], **choice)
