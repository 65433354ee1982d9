"""What the lessons beyond one dimension rank, measured again on a seed that they do not show."""

from types import SimpleNamespace

import pytest

from excerpt import SEED, lesson


@pytest.fixture(scope="module")
def eight() -> SimpleNamespace:
    return lesson("08_two_dimensions", ["code-26"], "seeds-08")


def test_8_6_features_find_the_arms(eight) -> None:
    recipe, alone = eight.kls["the recipe", SEED], eight.kls["network of x alone", SEED]
    assert alone > 10 * recipe


def test_8_6_the_recipe_is_ahead_of_the_mixture_on_the_pinwheel(eight) -> None:
    assert eight.kls["the recipe", SEED] < eight.kls["mixture by BIC", SEED]
