"""What the lessons beyond one dimension rank, measured again on a seed that they do not show."""

import math
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


@pytest.fixture(scope="module")
def ten() -> SimpleNamespace:
    return lesson("10_scores_and_diffusion", ["nets-10", "matched-10", "moons-table"], "seeds-10")


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
