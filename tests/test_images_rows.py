"""The file that notebook 9 shows: whole, and what its command writes."""

import pandas as pd
import pytest

import images_rows


@pytest.fixture(scope="module")
def stored() -> pd.DataFrame:
    return pd.read_csv(images_rows.FILE)


def test_every_split_has_every_row(stored: pd.DataFrame) -> None:
    counts = stored.groupby(["kind", "split"]).size().unstack()
    expected = {"classifier": 6, "density": 9, "way": 9}
    for kind, rows in expected.items():
        assert counts.loc[kind].tolist() == [rows] * len(images_rows.SPLITS)
    assert not stored.duplicated(["kind", "split", "what", "labels"]).any()


def test_a_row_that_is_measured_again_is_the_same(stored: pd.DataFrame) -> None:
    """A way of training, on the last split: 300 updates of its energy."""
    (row,) = images_rows.ways(2, ["score matching"])
    found = stored[(stored.split == 2) & (stored.what == "score matching")].iloc[0]
    for name in ("v", "ahead of Gaussian"):
        assert row[name] == pytest.approx(found[name], abs=2e-3)


def test_a_density_that_is_fitted_again_is_the_same(stored: pd.DataFrame) -> None:
    here = images_rows.lesson(1, "rivals-09")
    found = stored[(stored.split == 1) & (stored.kind == "density")].set_index("what").nll
    for what, nll in here.nlls.items():
        assert nll.mean().item() == pytest.approx(found[what], abs=0.02)


def test_what_the_lesson_ranks_holds_on_every_split(stored: pd.DataFrame) -> None:
    deep, sharper = (stored[stored.what == what] for what in ("deep", "deep, sharper"))
    assert len(deep) == len(sharper) == 3
    assert sorted(deep["ahead of BIC"] > 0) == [False, False, True]
    assert (deep["ahead of luckiest"] < 0).all()
    bracket = (deep.reverse - deep.forward).to_list()
    assert bracket[1] < -3 and max(abs(bracket[0]), abs(bracket[2])) < 0.5
    assert (sharper["ahead of BIC"] > 2 * sharper["± BIC"]).all()
    assert sharper.reverse.iloc[1] - sharper.forward.iloc[1] < -0.5
    nll = stored[stored.kind == "density"].pivot(index="split", columns="what", values="nll")
    smooth = ["Gaussian", "PPCA, 40 directions", "kernels", "16 units, exact"]
    assert (nll["mixture by BIC"] < nll[smooth].min(axis=1) - 5).all()
    assert (nll["histograms"] < nll["deep"]).all()
    gain = stored[stored.kind == "way"].pivot(
        index="split", columns="what", values="ahead of Gaussian"
    )
    assert (gain["chains, plain, s = 0.3"] < 0).all()
    assert (gain.idxmin(axis=1) == "chains, plain, s = 0.3").all()
