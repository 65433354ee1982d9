"""What all checks share: no answer hangs, fills the memory or leaves a trace; sentences tell."""

import math
import re
import threading
import time
from collections.abc import Callable

import pytest
import torch

from answers import Answer, said, stepping
from answers_models import update
from helpers import exercises
from helpers.exercises import guards, verdicts

CHECKS = [name for name, value in vars(exercises).items() if hasattr(value, "__wrapped__")]


def test_the_symptom_comes_before_the_hint() -> None:
    verdicts = [said("train_step", update(zero=False), hint=hint) for hint in (False, True)]
    assert "along another direction" in verdicts[0] and "along another direction" in verdicts[1]
    assert ["zero_grad" in verdict for verdict in verdicts] == [False, True]
    assert verdicts[0].endswith("(With hint=True the check says more.)")


def test_a_square_from_a_row_and_a_column_is_explained() -> None:
    verdict = said("langevin_step", lambda f, x, s, g: x + torch.randn(len(x)))
    assert verdict.endswith("filled in a square?")


def test_arguments_are_told_where_a_function_raises() -> None:
    verdict = said("resting_theta", lambda step, noise, v: math.sqrt(v - 2 * noise))
    assert verdict.endswith("math domain error (with step = 0.3, noise = 0.6, v = 0.9).")
    verdict = said("score", lambda f, points: 1 / 0)
    assert verdict.endswith("division by zero (with points of shape (6, 1)).")
    verdict = said("noise_for", lambda step, *rest, **others: 1 / 0)
    assert verdict.endswith("division by zero (with step = 0.13, 0.7).")


def test_figures_that_differ_look_different() -> None:
    verdict = said("noise_for", lambda step, T: 1.0002 * (2 * step * T) ** 0.5)
    assert verdict.endswith("expected 0.4266, found 0.4267.")


def test_two_mistakes_with_one_value_are_both_named() -> None:
    with pytest.raises(verdicts.Wrong) as wrong:
        pair = [("This.", lambda x: x + 1), ("That.", lambda x: 2 * x), ("No.", lambda x: 0)]
        verdicts.agree(lambda x: 2.0, lambda x: x, {"f": (1.0,)}, pair)
    assert str(wrong.value).endswith("This. Or: That.")
    with pytest.raises(verdicts.Wrong) as wrong:
        verdicts.agree(lambda x: 2 * x, lambda x: x, {"f": (1.0,), "g": (3.0,)}, pair)
    assert str(wrong.value) == "That."


def endless(*arguments):
    while True:
        try:
            sum(range(1000))
        except Exception:
            pass


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_never_hangs(monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    monkeypatch.setattr(verdicts, "Clock", lambda limit: guards.Clock(0.2))
    verdict = said(check, endless)
    assert "Your function had not come back after 0.2 seconds" in verdict


@pytest.mark.parametrize("wait", [threading.Event().wait, time.sleep])
def test_only_computing_counts_but_waiting_ends(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[float], object]
) -> None:
    """Another process that takes the processor is like a wait: four limits pass, nine do not."""
    monkeypatch.setattr(verdicts, "Clock", lambda limit: guards.Clock(0.2))

    for seconds, words in ((0.8, "Right. "), (60, "Not right yet. Your function had not come")):
        left = [seconds]

        def noise_for(step, T, left=left):
            if left:
                wait(left.pop())
            return math.sqrt(2 * step * T)

        assert said("noise_for", noise_for).startswith(words)


def test_without_an_alarm_few_rows_foretell_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a thread, or on Windows."""
    monkeypatch.setattr(guards, "SMALL", 0.01)
    found = []

    def slow(energy, x, s, generator):
        until = time.thread_time() + 0.02 * len(x)
        while time.thread_time() < until:
            pass
        return stepping()(energy, x, s, generator)

    thread = threading.Thread(target=lambda: found.append(said("langevin_step", slow)))
    thread.start()
    thread.join()
    assert re.search(r"s for \d rows: for 4000 it would take too long", found[0])


@pytest.mark.skipif(not guards.can_limit_memory(), reason="the system does not tell")
@pytest.mark.parametrize("eat", [lambda: torch.ones(2**33), lambda: bytearray(2**34)])
def test_a_check_never_fills_the_memory(eat: Answer) -> None:
    assert "asked for more than 4 GiB of memory" in said("noise_for", lambda step, T: eat())


def test_a_check_leaves_no_trace() -> None:
    def careless(step, T):
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(False)
        torch.manual_seed(1)
        return math.sqrt(2 * step * T)

    torch.manual_seed(5)
    before, dtype = torch.get_rng_state(), torch.get_default_dtype()
    assert said("noise_for", careless).startswith("Right. ")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() is dtype and torch.is_grad_enabled()


def test_a_verdict_repeats_even_if_the_answer_uses_the_global_random_state() -> None:
    def loud(energy, x, s, generator):
        return stepping()(energy, x, s, generator) + torch.randn(x.shape)

    verdicts = set()
    for seed in range(3):
        torch.manual_seed(seed)
        verdicts.add(said("langevin_step", loud))
    assert len(verdicts) == 1 and "Variance of the noise for s" in verdicts.pop()
