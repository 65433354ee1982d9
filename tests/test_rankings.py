"""What the lessons rank, measured again on a seed that they do not show.

A sentence that says "more than" or "farther off" must hold for other data and another training,
too. So the cells of a lesson that compute its tables run here with another seed, and each claim is
a small test of the names that they leave.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats
from torch import Tensor

from excerpt import SEED, SEEDS, lesson

# --- 4 ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four() -> SimpleNamespace:
    cells = ["code-23", "suspects-table", "code-31"]
    return lesson("04_energy_based_model", cells, {"seeds-04": SEEDS})


@pytest.fixture(scope="module")
def left_out(four) -> dict[str, dict[str, float]]:
    """Return the KL of each judge's fits, by the part that was left out."""
    kls: dict[str, dict[str, float]] = {}
    for (judge, line, _), kl in four.kls.items():
        kls.setdefault(judge, {})[line] = kl
    return kls


def test_4_3_only_without_the_penalty_the_samples_have_the_right_width(four) -> None:
    sds = [four.sample_as_published(net, SEED)[1].std().item() for net in four.nets.values()]
    mended, no_penalty = sds
    assert mended > no_penalty + 0.8
    assert 0.8 < no_penalty < 1.3


def test_4_5_three_modes_miss_every_part(left_out) -> None:
    modes = left_out["three modes"]
    everything, no_cosine = modes.pop("all parts"), modes.pop("no cosine")
    assert everything < no_cosine < min(modes.values())
    assert min(modes.values()) > 20 * everything
    assert min(modes["no accept/reject"], modes["no jumps"]) > 10_000


def test_4_5_the_claw_misses_the_features(left_out) -> None:
    claw = left_out["the claw"]
    assert claw["no features"] > 10 * claw["all parts"]


# --- 6 ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def six() -> SimpleNamespace:
    cells = ["code-12", "code-19", "longer-06", "code-30", "code-40", "runs-06"]
    return lesson("06_what_training_fits", cells, {"seeds-06": SEEDS})


@pytest.fixture(scope="module")
def fitted(six) -> dict[str, dict[str, float]]:
    """Return mean, sd and KL of each network."""
    return {name: six.result(net) for name, (net,) in six.nets.items()}


@pytest.fixture(scope="module")
def runs(six) -> dict[str, list[float]]:
    """Return W1 of short runs, the sd after long ones, plain and MALA, and the model's."""
    names = ["short runs, plain", "exact NLL", "persistent, plain"]
    return {name: list(six.runs(six.nets[name][0]).values()) for name in names}


def test_6_2_the_start_from_noise_biases_most_and_persistent_mala_least(six) -> None:
    bias = {name: (c.mean(0) - six.exact_gradient).norm().item() for name, c in six.clouds.items()}
    for kind in ("plain", "MALA"):
        near = max(bias[f"CD-5, {kind}"], bias[f"persistent, {kind}"])
        assert bias[f"short runs, {kind}"] > 4 * bias[f"5 % restarts, {kind}"] > 8 * near
    assert bias["persistent, plain"] > 3 * bias["persistent, MALA"]


def test_6_2_cd_comes_out_too_short(six) -> None:
    for kind in ("plain", "MALA"):
        assert six.exact_gradient[0] < 1.2 * six.clouds[f"CD-5, {kind}"].mean(0)[0] < 0


def test_6_3_the_networks_end_in_this_order(fitted) -> None:
    order = ["exact NLL", "persistent, plain", "5 % restarts, plain", "short runs, plain"]
    kls = [fitted[name]["KL"] for name in order]
    assert kls == sorted(kls)
    assert kls[0] < kls[1] / 2
    assert kls[3] > 10 * kls[2]


def test_6_3_short_runs_are_not_at_rest(six, fitted) -> None:
    before, after = fitted["short runs, plain"]["KL"], six.result(six.longer)["KL"]
    assert min(before, after) > 200
    assert abs(after - before) > 30


def test_6_3_restarts_cost_a_spring_more_than_a_network(six, fitted) -> None:
    spring = six.result(six.end_of(5, 0.1, 0.05))
    assert spring["KL"] > 1.2 * fitted["5 % restarts, plain"]["KL"]


def test_6_3_more_steps_forget_the_start(six) -> None:
    for beta in (0.05, 1.0):
        kls = [six.result(six.end_of(k, 0.1, beta))["KL"] for k in (5, 20, 60)]
        assert kls[0] > 10 * kls[1] > 10 * kls[2]


def test_6_3_accept_reject_makes_short_runs_narrower_still(six, fitted) -> None:
    refused = six.refused(SEED)
    assert refused["sd of the model"] < 0.75 * fitted["short runs, plain"]["sd"]
    assert refused["share that 5 steps do not move"] > 0.1


def test_6_4_short_runs_have_the_better_samples_and_the_worse_density(runs, fitted) -> None:
    assert 10 * runs["short runs, plain"][0] < runs["exact NLL"][0]
    assert fitted["short runs, plain"]["KL"] > 10 * fitted["exact NLL"]["KL"]


def test_6_4_a_long_run_tells_with_accept_reject_only(runs) -> None:
    plain = {name: abs(row[1] - 1) for name, row in runs.items()}
    adjusted = {name: abs(row[2] - 1) for name, row in runs.items()}
    assert plain["persistent, plain"] < plain["exact NLL"]
    assert 2 * adjusted["exact NLL"] < adjusted["persistent, plain"]
    assert 2 * adjusted["persistent, plain"] < adjusted["short runs, plain"]


def test_6_writes_out_what_helpers_have(six) -> None:
    """The loss and the persistent chains that stand in its cells are those that it then takes."""
    energy, start = six.Spring(4.5, 0.6), six.data[:256]
    losses = [six.nll, six.objectives.exact_nll(six.x)]
    values = [loss(energy, six.data, None, None)[0] for loss in losses]
    assert abs(values[0] - values[1]) < 1e-9
    sources = [six.persistent(start, 5, 0.1, six.mala)]
    sources += [six.objectives.persistent(start, 5, 0.1, sampler=six.mala)]
    states = [None, None]
    for k in range(3):
        moved = zip(sources, states, strict=True)
        states = [source(energy, six.data, state, six.seeded(k))[1] for source, state in moved]
    assert (states[0] - states[1]).abs().max() < 1e-9


# --- 7 ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seven() -> SimpleNamespace:
    cells = ["coverage-07", "cases-07", "ranks-07", "checked-07", "dims-07", "code-67", "ladder-07"]
    return lesson("07_trusting_chains", cells, {"seeds-07": SEEDS})


@pytest.fixture(scope="module")
def chains(seven) -> dict[str, Tensor]:
    """Return four chains of each case of 7.2."""
    return {name: case(SEED) for name, case in seven.cases.items()}


def test_7_1_an_interval_holds_the_truth_as_often_as_said(seven) -> None:
    short, long = (seven.coverage(n, SEED) for n in (200, 2000))
    for row in (short, long):
        assert 0.29 < row["as if independent"] < 0.41
        assert 0.93 < row["with the exact V and t"] < 0.98
    assert short["with the chain's own t"] < 0.9 < 0.92 < long["with the chain's own t"]
    assert short["its own t, on average"] < 17 < long["its own t, on average"]


def test_7_2_what_r_hat_sees_and_what_it_does_not(seven, chains) -> None:
    r_hat = {name: seven.r_hat(case) for name, case in chains.items()}
    off = {name: abs(case.mean().item() - 0.6) for name, case in chains.items()}
    seen = {name for name, value in r_hat.items() if value > 1.1}
    assert seen == {"20 steps", "other widths", "two in each hump"}
    assert max(r_hat[name] for name in r_hat.keys() - seen) < 1.02
    assert seven.ratio(seven.halves(chains["other widths"])) < 1.01
    assert chains["four in the left hump"].mean() < 2.2
    assert off["a large plain step"] > 0.15


@pytest.mark.parametrize("cut", [0, 1])
def test_7_2_r_hat_is_that_of_a_library(seven, chains, cut: int) -> None:
    """With ties, as MALA makes them, and with an odd number of draws, too."""
    options = {"chain_axis": 0, "draw_axis": 1}
    for case in chains.values():
        case = case[:, cut:]
        split = array_stats.rhat(case.numpy(), method="split", **options)
        assert seven.ratio(seven.halves(case)) == pytest.approx(split, rel=1e-9)
        rank = array_stats.rhat(case.numpy(), method="rank", **options)
        assert seven.r_hat(case) == pytest.approx(rank, rel=1e-9)


def test_7_1_the_effective_size_is_that_of_a_library(seven, chains) -> None:
    """Up to a further smoothing of the library's."""
    trace = chains["3 000 steps"][:1, 500:]
    size = array_stats.ess(trace.numpy(), method="mean", chain_axis=0, draw_axis=1)
    assert trace.shape[1] / seven.estimated_time(trace).item() == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda chains: chains[0], "two or more"),
        (lambda chains: chains[:1], "two or more"),
        (lambda chains: chains[:, :3], "fewer than four"),
        (lambda chains: chains.log(), "NaN or infinite"),
        (lambda chains: chains * torch.tensor([[1.0], [0.0]]), "never moves"),
    ],
)
def test_7_2_bad_chains_get_one_sentence(seven, make, words: str) -> None:
    good = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(2, 10)
    assert seven.checked(good) is good
    with pytest.raises(ValueError, match=words):
        seven.checked(make(good))


def test_7_3_the_acceptance_to_aim_at(seven) -> None:
    for curve in seven.dims.values():
        jump, accepted = np.array(curve)[np.array(curve)[:, 1].argsort()].T
        at = dict(zip((0.574, 0.7), np.interp([0.574, 0.7], accepted, jump), strict=True))
        assert at[0.574] > 0.97 * jump.max()
        assert 0.85 * jump.max() < at[0.7] < at[0.574]


def test_7_6_what_a_draw_costs(seven) -> None:
    prices, bias = seven.prices["gradients a draw"], seven.prices["bias"].abs()
    assert prices["MALA"].min() < 0.7 * prices["Leimkuhler–Matthews"].min()
    plain = bias["plain Langevin"]
    assert (20 * bias["Leimkuhler–Matthews"][plain.index] < plain).all()


def test_7_7_four_temperatures_cross_where_two_do_not(seven) -> None:
    far = seven.densities.mixture([0.8, 0.2], [2.0, 20.0], [0.7, 0.7])
    shares = {}
    for Ts in ([1, 10], [1, 4, 16, 64]):
        start = torch.full((len(Ts), 500, 1), 2.0, dtype=torch.float64)
        path = seven.temper(seven.densities.energy_of(far), Ts, start, 200, SEED)
        shares[len(Ts)] = (path[-1] < 11).double().mean().item()
    assert shares[2] > 0.99
    assert 0.72 < shares[4] < 0.88
