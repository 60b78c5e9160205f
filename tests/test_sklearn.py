"""Estimators in scikit-learn's world."""

import pickle
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import bpjit

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'bpjit[sklearn]'")
from joblib import Parallel, delayed  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_multilabel_classification  # noqa: E402
from sklearn.metrics import accuracy_score, make_scorer  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from bpjit.sklearn import BPClassifier, BPRegressor  # noqa: E402

IRIS = load_iris(return_X_y=True)
WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))


@pytest.mark.parametrize(("kind", "least"), [(BPClassifier, 66), (BPRegressor, 58)])
def test_every_check_of_scikit_learn_s_passes(kind, least):
    if VERSION < (1, 7):
        check_estimator(kind(random_state=0))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = check_estimator(kind(random_state=0), on_fail=None, on_skip=None)
    statuses = Counter(check["status"] for check in done)
    others = [(check["check_name"], check["exception"]) for check in done if check["status"] != "passed"]
    assert [name for name, _ in others] == ["check_array_api_input"], others
    assert statuses["passed"] >= least


def test_they_learn_by_default():
    assert cross_val_score(BPClassifier(random_state=0), *IRIS, cv=5).mean() > 0.93
    assert cross_val_score(BPClassifier(random_state=0), *WINE, cv=5).mean() > 0.94
    assert cross_val_score(BPRegressor(random_state=0), *DIABETES, cv=5).mean() > 0.42


@pytest.mark.parametrize("labels", [("a", "b", "c"), (-1.0, 0.0, 7.0), (True, False)])
def test_labels_of_any_kind(labels):
    X, y = IRIS
    y = np.array(labels)[np.minimum(y, len(labels) - 1)]
    classifier = BPClassifier(random_state=0, ensemble=2).fit(X, y)
    assert classifier.classes_.tolist() == sorted(labels)
    assert (classifier.predict(X) == y).mean() > 0.95
    p = classifier.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (classifier.classes_[p.argmax(axis=1)] == classifier.predict(X)).all()
    assert (classifier.decision_function(X).ndim == 1) == (len(labels) == 2)


def test_several_labels_and_several_targets():
    X, Y = make_multilabel_classification(120, 6, n_classes=3, random_state=0)
    classifier = BPClassifier(random_state=0, ensemble=3).fit(X, Y)
    assert classifier.predict(X).shape == Y.shape
    assert (classifier.predict(X) == Y).mean() > 0.8
    assert ((classifier.decision_function(X) > 0) == classifier.predict(X)).all()
    X, y = DIABETES
    both = BPRegressor(random_state=0, ensemble=2).fit(X, np.column_stack([y, -2 * y]))
    one = both.predict(X)
    assert one.shape == (len(X), 2)
    assert np.corrcoef(one[:, 0], -one[:, 1])[0, 1] > 0.99


def test_a_row_twice_is_a_weight_of_two():
    X, y = WINE
    times = np.random.default_rng(0).integers(0, 3, len(X))
    weighted = BPClassifier(random_state=0).fit(X, y, sample_weight=times)
    repeated = BPClassifier(random_state=0).fit(X.repeat(times, axis=0), y.repeat(times))
    assert weighted.lam_ == repeated.lam_
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)
    heavy = BPClassifier(random_state=0, class_weight={0: 20.0, 1: 1.0, 2: 1.0}, ensemble=2).fit(X[::4], y[::4])
    plain = BPClassifier(random_state=0, ensemble=2).fit(X[::4], y[::4])
    assert heavy.predict_proba(X)[:, 0].mean() > plain.predict_proba(X)[:, 0].mean()


def test_pipelines_grids_copies():
    X, y = IRIS
    pipe = make_pipeline(StandardScaler(), BPClassifier(random_state=0, ensemble=2, max_epochs=50))
    settings = {"bpclassifier__hidden": [4, (4, 4)], "bpclassifier__lam": [None, 0.999]}
    search = GridSearchCV(pipe, settings, cv=2).fit(X, y)
    assert search.best_score_ > 0.9
    fitted = search.best_estimator_
    for copy in (pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(X, y)):
        assert copy.predict_proba(X).tobytes() == fitted.predict_proba(X).tobytes()


def test_weights_are_routed_to_where_they_are_asked_for():
    """Through a grid and a pipeline, to fit and to score."""
    X, y = IRIS
    weights = np.where(y == 2, 0.0, 1.0)
    classifier = BPClassifier(random_state=0, ensemble=1, max_epochs=30, lam=0.999)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = clone(classifier).set_fit_request(sample_weight=True)
        accuracy = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, asked)
        settings = {"bpclassifier__hidden": [2, 4]}
        routed = GridSearchCV(pipe, settings, cv=3, scoring=accuracy).fit(X, y, sample_weight=weights)
        assert routed.best_score_ == 1.0  # the third class is neither learnt nor judged
        assert (routed.predict(X) < 2).all()
        with pytest.raises(ValueError, match="sample_weight.* not explicitly set .*BPClassifier"):
            make_pipeline(scaler, classifier).fit(X, y, sample_weight=weights)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BPClassifier, BPRegressor])
def test_loky_reads_memory_maps_that_nobody_may_write(kind):
    """Data of more than 1 MB come to other processes so: inputs, several targets, weights."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(140_000, 1))
    Y, weights = np.column_stack([X[:, 0] > 0, X[:, 0] > 1]) * 1, 1.0 + X[:, 0] ** 2
    settings = {"updates": "accumulated", "validation": None, "lam": 0.999, "max_epochs": 1, "random_state": 0}
    work = [delayed(kind(2, ensemble=1, **settings).fit)(X, Y, sample_weight=weights) for _ in range(2)]
    first, second = Parallel(n_jobs=2, backend="loky")(work)
    here = kind(2, ensemble=1, **settings).fit(X, Y, sample_weight=weights)
    assert first.networks_ == second.networks_ == here.networks_
    (found,) = Parallel(n_jobs=2, backend="loky")([delayed(first.predict)(X)])
    assert found.tobytes() == here.predict(X).tobytes()


def test_processes_of_joblib_take_them_with_large_arguments():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 50))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)  # more than 1 MB: such arguments come as read-only memory maps
    work = [delayed(BPClassifier(random_state=seed, ensemble=1, max_epochs=2).fit)(X, y) for seed in (0, 1)]
    there = Parallel(n_jobs=2, backend="loky")(work)
    here = [BPClassifier(random_state=seed, ensemble=1, max_epochs=2).fit(X, y) for seed in (0, 1)]
    for a, b in zip(there, here, strict=True):
        assert a.networks_ == b.networks_


def test_larger_tables_validate_and_stop():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4))
    y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=1500)
    regressor = BPRegressor(random_state=0, ensemble=2).fit(X[:1200], y[:1200])
    assert regressor.score(X[1200:], y[1200:]) > 0.9
    assert len(regressor.validation_curve_) == len(regressor.loss_curve_) == regressor.n_iter_
    given = BPRegressor(random_state=0, ensemble=2, max_epochs=40, validation=(X[1200:], y[1200:]))
    given.fit(X[:1200], y[:1200])
    assert np.isfinite(given.validation_curve_).all()
    assert given.score(X[1200:], y[1200:]) > 0.8


def test_small_tables_validate_where_they_are_told_to():
    X, y = DIABETES
    for validation in (0.2, (X[300:], y[300:])):
        regressor = BPRegressor(random_state=0, ensemble=2, validation=validation, n_jobs=1).fit(X[:300], y[:300])
        assert np.isfinite(regressor.validation_curve_).all()
        assert regressor.score(X[300:], y[300:]) > 0.3


def test_it_goes_on_from_where_it_was():
    X, y = DIABETES
    warm = BPRegressor(random_state=0, ensemble=2, warm_start=True, max_epochs=5, lam=None).fit(X, y)
    first = warm.loss_curve_[0]
    assert warm.fit(X, y).loss_curve_[0] < first
    cold = BPRegressor(random_state=0, ensemble=2, max_epochs=5, lam=None).fit(X, y)
    assert cold.fit(X, y).loss_curve_[0] == first


def test_sample_by_sample():
    X, y = IRIS
    order = np.random.default_rng(0).permutation(len(X))
    classifier = BPClassifier(random_state=0, ensemble=2, eta=0.1)
    with pytest.raises(ValueError, match="^classes: the first call"):
        classifier.partial_fit(X, y)
    for _ in range(5):
        for part in np.split(order, 5):
            classifier.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert classifier.score(X, y) > 0.9
    with pytest.raises(ValueError, match="^y: expected labels of classes_"):
        classifier.partial_fit(X[:2], [0, 5])
    X, y = DIABETES
    regressor = BPRegressor(random_state=0, ensemble=1, eta=0.02)
    for _ in range(10):
        regressor.partial_fit(X, y)
    assert regressor.score(X, y) > 0.4


def test_the_best_of_several_starts():
    X, y = DIABETES
    best = BPRegressor(random_state=0, ensemble=2, n_starts=4, max_epochs=30, lam=None).fit(X, y)
    assert len(best.networks_) == 2
    assert (np.diff(best.fits_.error) >= 0).all()
    every = BPRegressor(random_state=0, ensemble=8, max_epochs=30, lam=None).fit(X, y)
    assert best.fits_.error.tolist() == sorted(every.fits_.error)[:2]


@pytest.mark.slow
def test_outputs_of_a_bounded_reach_get_targets_as_they_are():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    counts = rng.poisson(np.exp(1 + X[:, 0]))
    regressor = BPRegressor(random_state=0, ensemble=2, output="exp", loss="poisson", lam=None).fit(X, counts)
    assert np.corrcoef(np.log(regressor.predict(X)), X[:, 0])[0, 1] > 0.9
    assert abs(regressor.predict(X).mean() / counts.mean() - 1) < 0.1
    share = BPRegressor(random_state=0, ensemble=2, output="sigmoid", lam=None).fit(X, X[:, 0] > 0).predict(X)
    assert 0 < share.min() < 0.1 < 0.9 < share.max() < 1


@pytest.mark.slow
def test_the_pinball_loss_finds_a_quantile():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(700, 1))
    y = X[:, 0] + 0.2 * rng.exponential(size=700)
    settings = {"random_state": 0, "ensemble": 2, "lam": 0.9999, "hidden": 4, "dtype": "float32"}
    regressor = BPRegressor(loss=bpjit.formulas.quantile(quantile=0.95), **settings)
    assert abs((y <= clone(regressor).fit(X, y, np.ones(700)).predict(X)).mean() - 0.95) < 0.02


@pytest.mark.parametrize("validation", [None, 0.2])
def test_callbacks_see_every_epoch_and_change_nothing(validation):
    X, y = DIABETES
    settings = {"ensemble": 2, "max_epochs": 8, "lam": None, "random_state": 0, "validation": validation}
    seen = []
    watched = BPRegressor(**settings, callback=seen.append).fit(X, y)
    plain = BPRegressor(**settings).fit(X, y)
    np.testing.assert_allclose(watched.predict(X), plain.predict(X), rtol=1e-6)
    assert [event.epoch for event in seen] == [*range(1, 9), *range(1, 9)]
    np.testing.assert_allclose([event.error for event in seen[8:]], watched.fits_.errors[1])
    assert all(np.isfinite(event.validation_error) == (validation is not None) for event in seen)
    assert validation is not None or seen[-1].network == watched.networks_[1]
    ended = BPRegressor(**settings, callback=lambda event: event.epoch == 3).fit(X, y)
    assert ended.fits_.epochs.tolist() == [3, 3]
    assert ended.fits_.stopped_by.tolist() == ["callback", "callback"]
    with pytest.raises(TypeError, match="^callback: expected a function"):
        BPRegressor(**settings, callback=3).fit(X, y)


def test_scikit_learn_s_own_callbacks():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    X, y = IRIS
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = BPClassifier(random_state=0, ensemble=2, max_epochs=5, lam=None)
    classifier.set_callbacks(monitor).fit(X, y)
    scores = {row["task_id_path"]: row["accuracy"] for row in monitor.get_logs().data}
    assert len(scores) == 1 + 2 * (1 + 5)  # the fit, networks, epochs
    first = classifier.networks_[:1].mean(X).argmax(axis=1)
    assert scores[0, 0, 4] == scores[0, 0] == (first == y).mean()
    assert scores[0, 1, 4] == scores[0, 1] == scores[0,] == classifier.score(X, y)


class Steps:
    """A callback of scikit-learn's, handed on to what is inside; it stops each network after two epochs."""

    max_propagation_depth = None

    def __init__(self):
        self.ended = []

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return self.ended[-2:] == ["epoch", "epoch"]


def test_callbacks_of_a_grid_hear_of_whole_fits():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    X, y = IRIS
    classifier = BPClassifier(random_state=0, ensemble=2, max_epochs=5, lam=None)
    steps = Steps()
    classifier.set_callbacks(steps).fit(X, y)
    assert steps.ended == [*["epoch", "epoch", "network"] * 2, "fit"]
    assert classifier.fits_.epochs.tolist() == [2, 2]
    steps = Steps()
    grid = GridSearchCV(clone(classifier).set_callbacks(), {"max_epochs": [3, 4]}, cv=2).set_callbacks(steps).fit(X, y)
    assert steps.ended.count("fit") >= 5
    assert "epoch" not in steps.ended
    assert set(grid.best_estimator_.fits_.epochs) == {grid.best_params_["max_epochs"]}


def test_names_of_columns_are_checked():
    pandas = pytest.importorskip("pandas")
    X, y = IRIS
    frame = pandas.DataFrame(X, columns=list("abcd"))
    classifier = BPClassifier(random_state=0, ensemble=1).fit(frame, y)
    assert classifier.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[list("dcba")])


def test_other_settings_reach_the_networks():
    X, y = DIABETES
    more = {"hidden": (6, 4), "activation": ["tanh", "sin"], "loss": "huber", "eta": 0.01, "init": "he"}
    regressor = BPRegressor(random_state=0, ensemble=2, max_epochs=20, scale=False, **more).fit(X, y)
    net = regressor.networks_[0]
    assert (net.sizes, net.hidden, net.scale) == ((10, 6, 4, 1), ("tanh", "sin"), None)
    with pytest.raises(ValueError, match=r"^activation|^hidden"):
        BPRegressor(activation="relux").fit(X, y)


def test_before_scikit_learn_had_callbacks(monkeypatch):
    import importlib.util
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    found = importlib.util.find_spec("bpjit.sklearn.callbacks")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert module.with_callbacks(len) is len
    assert not hasattr(module.CallbackSupportMixin, "set_callbacks")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_parameter_of_mlp_stands_beside_ours(name):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    text = (Path(__file__).resolve().parents[1] / "scripts" / name).read_text("utf-8")
    rows = text.partition("\n| `MLPClassifier`")[2].partition("\n\n")[0].splitlines()[2:]
    theirs, ours = (set(re.findall(r"`(\w+)", " ".join(row.split("|")[side] for row in rows))) for side in (1, 2))
    wanted = {name for kind in (MLPClassifier, MLPRegressor) for name in kind().get_params()}
    assert wanted - {"loss"} <= theirs - {"loss"} <= wanted
    assert {name for kind in (BPClassifier, BPRegressor) for name in kind().get_params()} <= ours


def test_the_script_that_compares_prints_a_table(capsys):
    from compare_estimators import main

    assert main(["--times", "1", "--tables", "iris"]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[:2] == ["mean", "rank"]
    assert len(last) == 6


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn" or name.startswith("bpjit.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delattr(bpjit, "sklearn", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'bpjit\[sklearn\]'"):
        bpjit.sklearn  # noqa: B018
