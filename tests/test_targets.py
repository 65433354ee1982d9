"""The benchmark's densities: each is what it says, on a grid that holds it."""

import pytest
import torch

import targets
from helpers import exact

ALL = targets.DEVELOPMENT | targets.TEST


@pytest.mark.parametrize("name", ALL)
def test_draws_follow_the_density(name) -> None:
    """2 000 draws lie below the largest W1 of 100 perfect sets, and 2 000 moved ones do not.

    Moved, that is by a fifth of the distance between the quartiles. The referee checks mass, tails
    and spacing on the way.
    """
    target = ALL[name]
    log_p, x = target.log_p(target.x), target.x
    floor = exact.w1_floor(log_p, x, 2000, generator=torch.Generator().manual_seed(0))
    draws = target.draw(2000, 1)
    low, high = draws.quantile(torch.tensor([0.25, 0.75], dtype=torch.float64)).tolist()
    assert exact.w1(draws, log_p, x) < floor[-1] < exact.w1(draws + (high - low) / 5, log_p, x)
    assert exact.kl(log_p, log_p, x) == 0
