"""The rivals and the fits that a recipe starts from, against scipy, direct sums and known laws."""

import math
import time

import numpy as np
import pytest
import torch
from scipy.stats import chi2, gaussian_kde, norm, t
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KernelDensity
from torch import Tensor

from cases import CORRELATED, correlated, seeded
from helpers import rivals
from helpers.densities import draw, gaussian, mixture
from helpers.rivals import kde_log_density, kde_width, kde_widths, mixture_by_bic, student_fit
from helpers.shapes import SHAPES

MIXTURE = mixture([0.3, 0.7], [-2.0, 1.5], [0.5, 0.9])
THREE = mixture([0.5, 0.2, 0.3], [-4.0, 0.0, 3.0], [0.4, 0.3, 0.6])
KDE = pytest.mark.parametrize(
    "kde", [kde_width, lambda x: kde_log_density(x, torch.zeros(3, dtype=torch.float64))]
)


def student(nu: float, n: int, d: int = 1) -> Tensor:
    """Return n draws of Student's t in d dimensions, the first one ten times as wide, around 5."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((n, d)) * np.sqrt(nu / rng.chisquare(nu, (n, 1)))
    return torch.from_numpy(z * [10.0, *(d - 1) * [1.0]] + [5.0, *(d - 1) * [0.0]])


# --- kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_kde_is_scipy_s(factor) -> None:
    """To a thousandth of its peak, though binned; None is Scott's width; no tail underflows."""
    data = draw(MIXTURE, 3000, generator=seeded())
    x = torch.linspace(-4, 4, 201, dtype=torch.float64)
    theirs = gaussian_kde(data.flatten().numpy(), factor * len(data) ** (-1 / 5))
    width = factor * data.std().item() * len(data) ** (-1 / 5)
    ours = kde_log_density(data, x, width=width).exp()
    expected = torch.from_numpy(theirs(x))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-3 * expected.max().item())
    torch.testing.assert_close(ours, expected, rtol=1e-2, atol=1e-6)
    if factor == 1:
        torch.testing.assert_close(kde_log_density(data, x).exp(), ours, rtol=1e-9, atol=0)
    places = torch.tensor([-1000.0, 1000.0], dtype=torch.float64)
    nearest = torch.stack([data.min(), data.max()])
    far = kde_log_density(data, places, width=width)
    expected = norm.logpdf(places, nearest, width) - math.log(len(data))
    torch.testing.assert_close(far, torch.from_numpy(expected), rtol=1e-3, atol=0)


def test_a_hundred_thousand_values_take_seconds() -> None:
    """A sum over all pairs of values and places would be 10⁸ kernels, and of values 10¹⁰."""
    data, x = draw(MIXTURE, 100_000, generator=seeded()), torch.linspace(-9, 9, 4001).double()
    begin = time.perf_counter()
    log_q = kde_log_density(data, x, width=kde_width(data))
    assert time.perf_counter() - begin < 15
    assert torch.trapezoid(log_q.exp(), x).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("target", [gaussian(5.0, 2.0), MIXTURE, THREE])
def test_the_width_is_that_of_a_direct_double_loop(target) -> None:
    """Leave-one-out, each sample against all others, over much finer steps of the width."""
    data = draw(target, 200, generator=seeded(3))
    x = data.flatten().numpy()

    def left_out(width: float) -> float:
        kernels = norm.pdf(x[:, None], x, width)
        others = [(kernels[i].sum() - kernels[i, i]) / 199 for i in range(200)]
        return np.log(np.maximum(others, 1e-300)).mean()

    widths = np.geomspace(0.02, 3, 300)
    best = widths[np.argmax([left_out(width) for width in widths])]
    chosen = kde_width(data)
    assert chosen == pytest.approx(best, rel=0.12)  # its own steps are of 11 %
    assert left_out(chosen) > left_out(best) - 2e-3


def test_leaving_one_out_sums_all_kernels_in_reach() -> None:
    """Of 3 000 values on a lattice, which binning leaves as they are, over 6 pieces of it."""
    x = torch.randint(-1500, 1500, (3001,), generator=seeded()).double() / 10
    kernels = torch.from_numpy(norm.pdf(x[:, None], x, 1.0))
    expected = ((kernels.sum(1) - kernels.diagonal()) / 3000).log().mean().item()
    constant = math.log(3000 * math.sqrt(2 * math.pi))  # which no width changes
    assert rivals._left_out(x, 1.0) - constant == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_width_has_the_samples_unit(scale) -> None:
    data = draw(MIXTURE, 500, generator=seeded())
    assert kde_width(scale * data) == pytest.approx(scale * kde_width(data), rel=1e-6)
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    log_q = kde_log_density(scale * data, scale * x) + math.log(scale)
    torch.testing.assert_close(log_q, kde_log_density(data, x), rtol=1e-4, atol=1e-4)


def test_tied_samples_have_a_width() -> None:
    """Ties leave a kernel where it is, so the smallest width wins; all the same it is one."""
    coin = [0.0, 1.0] * 50
    assert 0 < kde_width(coin) < 0.1
    assert 0 < kde_width([0.0] * 99 + [1.0])


@KDE
def test_kernels_want_one_column(kde) -> None:
    with pytest.raises(ValueError, match=r"^samples has shape \(4, 2\); it must be \(n,\) or"):
        kde(np.arange(8.0).reshape(4, 2))


@KDE
def test_kernels_check_their_samples(kde) -> None:
    with pytest.raises(ValueError, match=r"^samples has a constant column"):
        kde([1.0, 1.0])
    with pytest.raises(ValueError, match=r"^samples holds 1 row\(s\) with NaN or infinity"):
        kde([1.0, math.nan])


@pytest.mark.parametrize(
    "options, said",
    [
        ({"width": 0}, "width is 0; it must be a finite number, above 0"),
        ({"width": -1.0}, "width is -1.0; it must be a finite number, above 0"),
        ({"width": math.inf}, "width is inf; it must be a finite number, above 0"),
        ({"width": "scott"}, "width is 'scott'; it must be a finite number, above 0"),
        ({"x": torch.zeros(3, 1)}, r"x has shape \(3, 1\); it must be \(m,\)"),
    ],
)
def test_the_kde_names_a_bad_argument(options, said) -> None:
    options = {"x": torch.zeros(3, dtype=torch.float64)} | options
    with pytest.raises((TypeError, ValueError), match="^" + said):
        kde_log_density([0.0, 1.0], **options)


# --- the mixture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("k, target", [(1, gaussian(5.0, 1.0)), (2, MIXTURE), (3, THREE)])
def test_the_mixture_finds_its_components(k, target, scale) -> None:
    """Weights and means within 5 standard errors or so, in any unit, and a density that is one."""
    data = draw(target, 3000, generator=seeded())
    fit = mixture_by_bic(scale * data)
    weights, means = fit.mixture_distribution.probs, fit.component_distribution.mean[:, 0] / scale
    assert len(weights) == k
    if k > 1:
        order, expected = means.argsort(), target.component_distribution.mean
        torch.testing.assert_close(means[order], expected, rtol=0, atol=0.15)
        expected = target.mixture_distribution.probs
        torch.testing.assert_close(weights[order].double(), expected, rtol=0, atol=0.05)
    x = torch.linspace(-9, 11, 4001, dtype=torch.float64)
    log_q = fit.log_prob(scale * x[:, None]) + math.log(scale)
    assert torch.trapezoid(log_q.exp(), x).item() == pytest.approx(1, abs=1e-6)
    gain = fit.log_prob(scale * data).mean() + math.log(scale) - target.log_prob(data).mean()
    assert 0 < gain < 8 / 3000


def test_the_mixture_takes_columns() -> None:
    """Of two correlated Gaussians, each with its own covariance."""
    factor = torch.linalg.cholesky(CORRELATED)
    z = torch.randn(4000, 2, generator=seeded(), dtype=torch.float64) @ factor.T
    z[1000:] += torch.tensor([20.0, 0.0])
    fit = mixture_by_bic(z.numpy())
    parts, order = fit.component_distribution, fit.mixture_distribution.probs.argsort()
    assert fit.mixture_distribution.probs[order].tolist() == pytest.approx([0.25, 0.75], abs=1e-3)
    torch.testing.assert_close(parts.mean[order][1, 0].item(), 20.0, rtol=0, atol=0.2)
    for covariance in parts.covariance_matrix:
        torch.testing.assert_close(covariance, CORRELATED, rtol=0.15, atol=0.1)
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    fall = -fit.log_prob(x).diff().item()
    assert fall == pytest.approx(correlated(x).diff().item(), rel=0.2)


def test_the_mixture_is_the_same_every_time_and_touches_nothing() -> None:
    data, torch_state = draw(THREE, 500, generator=seeded()), torch.get_rng_state()
    kept, numpy_state = data.clone(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = (mixture_by_bic(data).log_prob(data) for _ in range(2))
    assert torch.equal(one, other) and torch.equal(kept, data)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


def test_a_patient_search_finds_a_mixture_beyond_a_stop():
    """Points on three rings: the BIC rises for a while on the way to many components."""
    x = SHAPES["rings"].draw(10_000, generator=seeded(1))
    fits = [mixture_by_bic(x, most=14, patience=patience) for patience in (3, 14)]
    short, long = (len(fit.mixture_distribution.probs) for fit in fits)
    assert short < long


@pytest.mark.parametrize("most", [0, -3, 2.5, True, "many"])
def test_the_mixture_names_a_bad_number(most) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^most is {most!r}; it must be a whole"):
        mixture_by_bic([0.0, 1.0], most=most)
    few = draw(THREE, 300, generator=seeded())
    assert len(mixture_by_bic(few, most=np.int64(2)).mixture_distribution.probs) == 2


# --- Student's t ---------------------------------------------------------------------------------


def test_student_s_t_is_recovered_in_one_dimension_and_three() -> None:
    """ν of 3 within the neighbours of its grid, place and scale within a twentieth."""
    for d in (1, 3):
        data = student(3.0, 4000, d)
        centre, scale, nu = student_fit(data)
        assert 2.5 <= nu <= 4
        assert centre[0].item() == pytest.approx(5, abs=0.7)
        assert scale.tolist() == pytest.approx([10.0, 1.0, 1.0][:d], rel=0.07)
    theirs = t.fit(data[:, 0].numpy(), fdf=nu)
    assert (theirs[1], theirs[2]) == pytest.approx((centre[0].item(), scale[0].item()), rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_a_gaussian_and_what_has_lighter_tails_are_mean_and_sd(seed) -> None:
    few = torch.randn(100, 20, generator=seeded(seed), dtype=torch.float64)
    for data in (draw(gaussian(3.0, 2.0), 2000, generator=seeded(seed)), few):
        centre, scale, nu = student_fit(data)
        assert math.isinf(nu)
        assert torch.equal(centre, data.mean(0)) and torch.equal(scale, data.std(0))
    uniform = torch.rand(500, 1, generator=seeded(seed), dtype=torch.float64)
    assert math.isinf(student_fit(uniform)[2])


@pytest.mark.parametrize("correlation", [0.5, 0.85, 0.999])
def test_a_correlation_is_not_taken_for_heavy_tails(correlation: float) -> None:
    """A Gaussian stays one in the plane, in any units; Student's t keeps its ν, place and scale."""
    factor = torch.linalg.cholesky(torch.tensor([[1.0, correlation], [correlation, 1.0]]).double())
    factor *= torch.tensor([[1e3], [1e-3]], dtype=torch.float64)
    for seed in range(3):
        z = torch.randn(10_000, 2, generator=seeded(seed), dtype=torch.float64)
        data = z @ factor.T
        centre, scale, nu = student_fit(data)
        assert math.isinf(nu)
        assert torch.equal(centre, data.mean(0)) and torch.equal(scale, data.std(0))
    spread = torch.from_numpy(chi2(3).rvs(10_000, random_state=0) / 3).sqrt()[:, None]
    centre, scale, nu = student_fit((z / spread) @ factor.T)
    assert nu == 3
    assert (centre.abs() < 0.05 * torch.tensor([1e3, 1e-3])).all()
    assert scale.tolist() == pytest.approx([1e3, 1e-3], rel=0.05)


def test_ties_over_half_leave_mean_and_sd() -> None:
    """Most values in one place would be a t whose scale shrinks towards 0."""
    data = torch.cat([torch.zeros(90, 1), torch.randn(10, 1, generator=seeded())]).double()
    centre, scale, nu = student_fit(data)
    assert math.isinf(nu) and torch.equal(centre, data.mean(0)) and torch.equal(scale, data.std(0))


def test_one_wild_value_does_not_set_the_scale() -> None:
    data = draw(gaussian(0.0, 1.0), 1000, generator=seeded())
    data[0] = 1e6
    centre, scale, nu = student_fit(data)
    assert math.isfinite(nu) and abs(centre.item()) < 0.2 and 0.7 < scale.item() < 1.3


@pytest.mark.parametrize(("n", "seen"), [(10_000, 10_000), (15_000, 7500), (20_001, 6667)])
def test_a_mixture_is_fitted_to_at_most_10_000_samples(monkeypatch, n: int, seen: int) -> None:
    sizes, fit = [], rivals.GaussianMixture.fit
    monkeypatch.setattr(
        rivals.GaussianMixture, "fit", lambda self, z: sizes.append(len(z)) or fit(self, z)
    )
    x = torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rivals.mixture_by_bic(x, most=1)
    assert sizes == [seen]


@pytest.mark.parametrize(("n", "columns"), [(150, 2), (300, 1), (2400, 2)])
def test_widths_of_several_columns_are_those_of_a_cross_validation(n: int, columns: int) -> None:
    """scikit-learn's, over the same widths: five turns, of more than 2 000 samples the first."""
    x = torch.randn(n, columns, generator=seeded(n), dtype=torch.float64)
    x = (x + 3 * (x[:, :1] > 0)) * torch.tensor([1.0, 100.0])[:columns]
    fifth = np.arange(n) % 5
    turns = PredefinedSplit(fifth if n <= 2000 else np.where(fifth == 0, 0, -1))
    widths = {"bandwidth": 0.01 * 40 ** (np.arange(25) / 19)}
    search = GridSearchCV(KernelDensity(), widths, cv=turns).fit((x / x.std(0)).numpy())
    assert widths["bandwidth"][0] < search.best_params_["bandwidth"] < widths["bandwidth"][-1]
    assert kde_widths(x).tolist() == pytest.approx(
        (x.std(0) * search.best_params_["bandwidth"]).tolist()
    )
