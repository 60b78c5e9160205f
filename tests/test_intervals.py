"""Intervals of regressors: the formulas of the papers, what their networks have seen, and what they cannot give."""

import pickle

import numpy as np
import pytest

import bpjit

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'bpjit[sklearn]'")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from bpjit.sklearn import BPRegressor, intervals
from cases import slow

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, size=(1060, 2))
NOISE = 0.05 + 0.5 * (X[:, 0] > 0)
Y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + NOISE * RNG.normal(size=len(X))
FEW, MANY = slice(0, 60), slice(60, None)


def regressor(kind="jackknife+", **more):
    return BPRegressor(4, ensemble=2, max_epochs=60, lam=0.999, random_state=0, interval=kind, **more)


def bounds_of(fitted, rows, i):
    """Between which the network that has not seen row i says that the target lies, one target."""
    outputs = fitted._intervals.networks[int(fitted._intervals.part[i])].predict(rows).astype(float)
    return (outputs[:, 0], outputs[:, 0]) if outputs.shape[1] == 1 else (-outputs[:, 1], outputs[:, 0])


@pytest.mark.parametrize(
    ("kind", "level", "rank"),
    [
        slow("jackknife+", 0.9, 36),
        slow("jackknife+", 0.55, 22),
        ("cv+", 0.55, 22),
        slow("quantile", 0.9, 36),
    ],
)
def test_the_order_statistics_of_the_papers(kind, level, rank, monkeypatch):
    """⌊α(n + 1)⌋-th and ⌈(1 − α)(n + 1)⌉-th smallest, n + 1 = 40, by sorting, to the rounding of float32; also where
    they are taken a few samples at a time."""
    n, there = 39, X[MANY][:7]
    fitted = regressor(kind, level=level).fit(X[:n], Y[:n])
    lows, highs = [], []
    for i in range(n):
        (low,), (high,) = bounds_of(fitted, X[i : i + 1], i)
        residual = max(low - Y[i], Y[i] - high)
        np.testing.assert_allclose(residual, fitted.residuals_[i], rtol=1e-5, atol=1e-5)
        low, high = bounds_of(fitted, there, i)
        lows.append(low - residual)
        highs.append(high + residual)
    expected = np.column_stack([np.sort(lows, axis=0)[40 - rank - 1], np.sort(highs, axis=0)[rank - 1]])
    np.testing.assert_allclose(fitted.predict_interval(there), expected, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(intervals, "MOST_BOUNDS", 3 * n)
    np.testing.assert_allclose(fitted.predict_interval(there), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "validation"),
    [("jackknife+", None), ("jackknife+", 0.2), ("quantile", None), ("quantile", (X[MANY][:30], Y[MANY][:30]))],
)
def test_a_network_has_not_seen_what_it_leaves_out(kind, validation):
    """Whatever the target of row 7 is, its network is the same to the last bit, and those that learn it are not."""
    networks = []
    for value in (Y[7], 1e3):
        y = Y[FEW].copy()
        y[7] = value
        fitted = regressor(kind, scale=False, validation=validation).fit(X[FEW], y)
        networks.append(fitted._intervals.networks.parameters)
    same = (networks[0] == networks[1]).all(axis=1)
    assert same[fitted._intervals.part[7]]
    if validation != 0.2:  # else some only stop by it
        assert same.sum() == 1
    assert not same.all()


@pytest.mark.parametrize(
    ("kind", "validation"), [pytest.param("jackknife+", None, marks=pytest.mark.slow), ("cv+", 0.2)]
)
def test_a_network_is_that_of_the_other_rows_alone(kind, validation, monkeypatch):
    found = regressor(kind, validation=validation).fit(X[FEW], Y[FEW])._intervals
    learns, judges, stop = found.part != 3, None, [bpjit.MaxEpochs(60)]
    if validation:
        (held,) = intervals.held_out_of_each(learns[None], validation, 0)
        assert held.sum() == round(0.2 * learns.sum())
        assert not held[~learns].any()
        learns, judges = learns & ~held, (X[FEW][held], Y[FEW][held])
        stop.append(bpjit.EarlyStopping(10))
    scale = bpjit.Scale.standard(X[FEW], Y[FEW])
    start = bpjit.Networks.random((2, 4, 1), 1, "tanh", "identity", dtype="float32", scale=scale)
    settings = {"eta": 0.02, "rule": "adam", "updates": "accumulated", "lam": 0.999, "stop": stop}
    alone = bpjit.train_many(start, X[FEW][learns], Y[FEW][learns], validation=judges, **settings)
    np.testing.assert_allclose(alone.networks.parameters[0], found.networks.parameters[3], rtol=2e-3, atol=2e-4)
    monkeypatch.setattr(intervals, "MOST_WEIGHTS", 3 * 60)
    again = regressor(kind, validation=validation).fit(X[FEW], Y[FEW])._intervals
    assert again.networks == found.networks  # also where some are trained after the others


@pytest.mark.parametrize("kind", intervals.KINDS)
def test_they_hold_their_share_of_rows_to_come(kind):
    low, high = regressor(kind).fit(X[:300], Y[:300]).predict_interval(X[300:]).T
    assert 0.86 < ((low <= Y[300:]) & (Y[300:] <= high)).mean() < 0.95
    wide = high - low
    ratio = wide[X[300:, 0] > 0.2].mean() / wide[X[300:, 0] < -0.2].mean()
    assert ratio > 1.7 if kind == "quantile" else ratio < 1.3  # only quantiles know where the noise is


def test_a_wider_level_holds_the_narrower():
    fitted = regressor().fit(X[FEW], Y[FEW])
    narrow, middle, wide = (fitted.predict_interval(X[MANY], level) for level in (0.5, 0.9, 60 / 61))
    assert (narrow[:, 0] <= narrow[:, 1]).mean() > 0.99
    assert ((wide[:, 0] <= middle[:, 0]) & (middle[:, 0] <= narrow[:, 0])).all()
    assert ((wide[:, 1] >= middle[:, 1]) & (middle[:, 1] >= narrow[:, 1])).all()


@pytest.mark.parametrize("kind", intervals.KINDS)
def test_several_targets(kind):
    both = regressor(kind).fit(X[FEW], np.column_stack([Y, 5 - 10 * Y])[FEW])
    ends = both.predict_interval(X[MANY])
    assert ends.shape == (1000, 2, 2)
    assert both.residuals_.shape == (60, 2)
    held = (ends[..., 0] <= np.column_stack([Y, 5 - 10 * Y])[MANY]) & (
        np.column_stack([Y, 5 - 10 * Y])[MANY] <= ends[..., 1]
    )
    assert (held.mean(axis=0) > 0.8).all()


def test_predictions_are_those_without_intervals():
    plain = regressor(None).fit(X[FEW], Y[FEW])
    assert plain.residuals_ is None
    for kind in intervals.KINDS:
        assert regressor(kind).fit(X[FEW], Y[FEW]).predict(X).tobytes() == plain.predict(X).tobytes()


def test_copies_grids_and_partial_fit():
    fitted = regressor("cv+").fit(X[FEW], Y[FEW])
    ends = fitted.predict_interval(X).tobytes()
    for copy in (pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(X[FEW], Y[FEW])):
        assert copy.predict_interval(X).tobytes() == ends
    search = GridSearchCV(regressor("cv+"), {"hidden": [1, 4]}, cv=2).fit(X[FEW], Y[FEW])
    assert search.best_estimator_.predict_interval(X[:3]).shape == (3, 2)
    fitted.partial_fit(X[MANY][:5], Y[MANY][:5])
    assert fitted.predict_interval(X).tobytes() == ends


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: regressor("cv+").fit(X[FEW], Y[FEW]).predict_interval(X, 0.99),
            "^level: 60 rows allow 0.9836 at most, got 0.99; .* 99 rows",
        ),
        (lambda: regressor("cv+").fit(X[FEW], Y[FEW]).predict_interval(X, 1.0), "^level: expected .* < 1"),
        (lambda: regressor("cv+").fit(X[FEW], Y[FEW], np.ones(60)), "^sample_weight: intervals take all rows alike"),
        (lambda: regressor("cv").fit(X[FEW], Y[FEW]), '^interval: expected one of "jackknife\\+", "cv\\+", "quantile"'),
        (lambda: regressor("cv+", level=90).fit(X[FEW], Y[FEW]), "^level: expected"),
        (lambda: regressor(None).fit(X[FEW], Y[FEW]).predict_interval(X), "^interval: expected one of jackknife"),
        (lambda: regressor().fit(X[:1], Y[:1]), "^interval: leaving rows out needs 2 rows"),
        (lambda: regressor("quantile").fit(X[FEW], Y[FEW]).predict_interval(X, 0.8), "^level: .* fit with level=0.8"),
    ],
)
def test_what_they_cannot_give(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.slow
def test_the_script_that_measures_coverage_prints_a_table(capsys):
    from interval_coverage import main

    assert main(["--splits", "1", "--tables", "Friedman 2"]) == 0
    header, _, row = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["held", "of", "90", "%;"]
    assert row.count(" ± ") == 3
    assert main(["--splits", "1", "--tables", "Friedman 2", "--level", "2"]) == 2
