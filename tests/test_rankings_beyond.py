"""What the lessons beyond one dimension rank, measured again on a seed that they do not show."""

import math
from types import SimpleNamespace

import pytest

import images_rows
from excerpt import SEED, SEEDS, lesson


@pytest.fixture(scope="module")
def eight() -> SimpleNamespace:
    return lesson("08_two_dimensions", ["code-26"], {"seeds-08": SEEDS})


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


@pytest.fixture(scope="module")
def ten() -> SimpleNamespace:
    return lesson(
        "10_scores_and_diffusion", ["nets-10", "matched-10", "moons-table"], {"seeds-10": SEEDS}
    )


def test_10_2_what_compares_values_across_a_valley_sees_the_weights(ten) -> None:
    log_p = ten.three.log_prob(ten.x)
    kls = {name: 1000 * ten.exact.kl(log_p, log_q, ten.x) for (name, _), log_q in ten.fits.items()}
    seen = [kls.pop(name) for name in ("exact NLL", "NCE", "conditional NCE, τ = sd")]
    assert max(seen) < 10 < min(kls.values())


def test_10_6_noise_forgives_and_the_flow_does_not(ten) -> None:
    flow, noisy, straight = ten.beside.loc[f"learned, seed {SEED}"]
    assert 2 * noisy < flow < straight


def test_10_6_on_two_humps_flow_matching_is_ahead_of_the_energy_s_flow(ten, monkeypatch) -> None:
    def humps(noise: float):
        sd = math.hypot(0.8, noise)
        return ten.densities.mixture([0.6, 0.4], [0, 8], [sd, sd])

    real = ten.densities.draw(humps(0), 10_000, generator=ten.seeded(SEED))
    start = ten.densities.gaussian(real.mean().item(), math.hypot(real.std().item(), ten.high))
    monkeypatch.setitem(ten.flow_law.__globals__, "start", start)
    energy, at = ten.trained(ten.all_levels, real, SEED), ten.exact.grid(-4, 16, 2001)
    log_p, log_q = humps(ten.low).log_prob(at), ten.flow_law(energy.score, 50, at)
    flow = 1000 * ten.exact.integrate(log_p.exp() * (log_p - log_q), at).item()
    assert ten.straight_kl(humps(0), ten.matched(real, SEED), real) < flow


def test_10_7_far_from_the_moons_the_energy_is_a_guess(ten) -> None:
    found, right = (ten.rows[name] for name in (f"seed {SEED}", "exact"))
    assert 4 * float(found["rise to the edge"]) < float(right["rise to the edge"])
    assert abs(float(found["log Z, 1 less 0.1"])) < 0.2
    assert float(found["mass outside"]) < 1e-3 < float(found["KL"])
