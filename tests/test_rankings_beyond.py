"""What the lessons beyond one dimension rank, measured again on a seed that they do not show."""

from types import SimpleNamespace

import pytest

import images_rows
from excerpt import SEED, lesson


@pytest.fixture(scope="module")
def eight() -> SimpleNamespace:
    return lesson("08_two_dimensions", ["code-26"], "seeds-08")


def test_8_6_features_find_the_arms(eight) -> None:
    recipe, alone = eight.kls["the recipe", SEED], eight.kls["network of x alone", SEED]
    assert alone > 10 * recipe


def test_8_6_the_recipe_is_ahead_of_the_mixture_on_the_pinwheel(eight) -> None:
    assert eight.kls["the recipe", SEED] < eight.kls["mixture by BIC", SEED]


@pytest.fixture(scope="module")
def nine() -> SimpleNamespace:
    """Notebook 9 with the split, the noise, the weights and the chains of another seed."""
    return images_rows.lesson(SEED, "anneal-table", "ways-table", "inpaint-table", "rivals-09")


def test_9_1_the_mixture_is_ahead_of_the_smooth_and_the_histograms_of_all(nine) -> None:
    nll = {name: value.mean().item() for name, value in nine.nlls.items()}
    assert nll["mixture by BIC"] < min(nll[k] for k in nll if "mixt" not in k and k != "histograms")
    assert nll["histograms"] < min(value for name, value in nll.items() if name != "histograms")


def test_9_3_plain_chains_with_a_coarse_step_end_behind_the_gaussian(nine) -> None:
    gained = {name: row["ahead of the Gaussian"] for name, row in nine.found.items()}
    coarse = gained.pop("chains, plain, s = 0.3")
    assert coarse < -0.5 and coarse < min(gained.values()) - 0.5


def test_9_4_the_mean_log_weight_is_off_on_either_side_and_the_estimate_less(nine) -> None:
    for temperatures in (10, 30):
        for run, sign in zip(nine.runs[temperatures], (-1, 1), strict=True):
            off = (run.log_weights.mean().item() - nine.true_log_z) * sign
            assert off > abs(run.log_z - nine.true_log_z)


def test_9_7_draws_of_the_deep_energy_fill_in_better_than_those_of_the_gaussian(nine) -> None:
    deep, gaussian = nine.judged["deep energy"], nine.judged["Gaussian"]
    mean = nine.judged["Gaussian's mean"]
    error = "RMS error of the lower half"
    assert gaussian["read right"] + 0.02 < deep["read right"] <= mean["read right"]
    assert mean[error] < deep[error] < gaussian[error]
