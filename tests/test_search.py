"""search(): what it draws, who goes on, that nothing is trained twice, and that its winner is what train_many gives."""

import _thread
import builtins
import sys
import threading

import numpy as np
import pytest
from scipy import stats

import bpjit
from bpjit.many import halving
from bpjit.many.halving import cost, ends_of_rungs, left_after, most_within
from bpjit.many.space import Space
from cases import AfterAWhile

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
SCALE = bpjit.Scale.standard(X)
SPACE = {"hidden": [3, 5, (4, 3)], "eta": [0.003, 0.03, 0.3], "activation": ["tanh", "sigmoid"]}
FIXED = {"rule": "adam", "updates": "accumulated", "scale": SCALE, "folds": 4, "seed": 3}


@pytest.fixture(scope="module")
def found():
    return bpjit.search(SPACE, X, Y, min_epochs=5, max_epochs=90, **FIXED)


def alone(found, folds=4, seed=3, epochs=90, X=X, Y=Y, **more):
    """The configuration that won, by train_many."""
    learns = bpjit.deal_folds(Y, folds, seed) != np.arange(folds)[:, None]
    starts = bpjit.Networks.of([found.start] * folds)
    return bpjit.train_many(
        starts,
        X,
        Y,
        sample_weight=learns.astype(float),
        validation=(X, Y, ~learns),
        max_epochs=epochs,
        shape_kernels=False,
        **found.settings,
        **more,
    )


def assert_is_alone(found, **how):
    fits = alone(found, **how)
    assert found.fits.networks == fits.networks
    for name in ("error", "validation_error", "epochs", "updates", "best_epoch", "stopped_by"):
        assert np.array_equal(getattr(found.fits, name), getattr(fits, name)), name
    assert found.error == fits.validation_error.mean()


def test_the_winner_is_what_train_many_gives_alone(found):
    assert_is_alone(found)


@pytest.mark.parametrize(
    ("space", "fixed"),
    [
        ({"updates": [4, "accumulated"], "lam": [None, 0.999]}, {"rule": "momentum", "hidden": 4}),
        ({"init": ["glorot", "he"], "init_seed": list(range(5))}, {"dtype": "float32", "updates": 8}),
        ({"rule": ["lm", "scg"], "hidden": [3, 4]}, {"output": "identity", "loss": "squared"}),
    ],
)
@pytest.mark.slow
def test_other_winners_too(space, fixed):
    found = bpjit.search(space, X, Y, folds=4, seed=3, min_epochs=3, max_epochs=27, **fixed)
    assert_is_alone(found, epochs=27)


def test_rungs_spend_their_increments_and_no_epoch_more(found):
    assert [(rung.configurations, rung.first, rung.last) for rung in found.rungs] == [
        (18, 0, 10),
        (6, 10, 30),
        (2, 30, 90),
    ]
    assert [rung.epochs for rung in found.rungs] == [18 * 4 * 10, 6 * 4 * 20, 2 * 4 * 60]
    assert found.epochs == sum(rung.epochs for rung in found.rungs)
    assert {(rung.learnt, rung.validated, rung.networks // rung.configurations) for rung in found.rungs} == {
        (30, 10, 4)
    }
    assert found.stopped_by == "MaxEpochs"


def test_each_rung_keeps_the_best(found):
    for rung in (1, 2):
        here = [row["errors"][rung - 1] for row in found.table if row["rung"] == rung]
        on = [row["errors"][rung - 1] for row in found.table if row["rung"] > rung]
        assert max(on) <= min(here)
    assert found.error == min(row["error"] for row in found.table if row["rung"] == 3)


def test_the_table_has_every_configuration_once(found):
    assert len({(row["hidden"], row["eta"], row["activation"]) for row in found.table}) == len(found.table) == 18
    assert {name: found.table[0][name] for name in SPACE} == found.best
    assert [row["dropped"] for row in found.table] == [""] * 2 + ["after rung 2"] * 4 + ["after rung 1"] * 12
    assert sum(row["epochs"] for row in found.table) == found.epochs
    assert all(len(row["errors"]) == row["rung"] and row["errors"][-1] == row["error"] for row in found.table)
    text = str(found)
    assert "18 configurations, 1680 epochs" in text
    assert "... 8 more in .table" in text


def test_the_same_seed_gives_the_same_search(found):
    again = bpjit.search(SPACE, X, Y, min_epochs=5, max_epochs=90, threads=1, **FIXED)
    assert again.table == found.table
    assert again.fits.networks == found.fits.networks


@pytest.mark.slow
def test_refit_learns_from_all_samples(found):
    fit = found.refit(X, Y)
    assert fit.network == bpjit.train(found.start, X, Y, stop=90, **found.settings).network
    assert found.refit(X, Y, stop=7).epochs == 7


def test_those_that_have_stopped_stay_in_it_and_train_no_more():
    stop = [bpjit.EarlyStopping(8), bpjit.TargetError(1e-3)]
    found = bpjit.search(SPACE, X, Y, min_epochs=5, max_epochs=90, stop=stop, **FIXED)
    assert found.epochs < sum(rung.networks * (rung.last - rung.first) for rung in found.rungs)
    assert (found.fits.epochs < 90).any()
    assert_is_alone(found, stop=stop)


def test_those_that_diverge_are_dropped_first():
    found = bpjit.search(
        {"eta": [0.01, 1e9, 0.1, 1e8]}, X, X[:, :1], rule="momentum", folds=2, max_epochs=20, halving=2
    )
    assert [row["diverged"] for row in found.table] == [False, False, True, True]
    assert [row["dropped"] for row in found.table[2:]] == ["diverged"] * 2
    assert found.rungs[1].configurations == 2


@pytest.mark.slow
def test_a_validation_set_instead_of_folds():
    V = X[:15], Y[:15]
    found = bpjit.search(
        SPACE, X[15:], Y[15:], validation=V, min_epochs=5, max_epochs=90, rule="adam", updates="accumulated"
    )
    fit = bpjit.train_many(bpjit.Networks.of([found.start]), X[15:], Y[15:], validation=V, max_epochs=90,
                           shape_kernels=False, **found.settings)  # fmt: skip
    assert found.fits.networks == fit.networks
    assert found.networks[0] == found.fits.networks[0]
    assert (found.rungs[0].learnt, found.rungs[0].validated, found.rungs[0].networks) == (25, 15, 18)


def test_many_samples_come_in_several_calls(found, monkeypatch):
    monkeypatch.setattr(halving, "MOST_NUMBERS", 5 * 4 * len(Y))
    again = bpjit.search(SPACE, X, Y, min_epochs=5, max_epochs=90, **FIXED)
    assert again.table == found.table
    assert again.fits.networks == found.fits.networks


# --- What it draws.


def test_a_small_space_is_dealt_without_any_twice():
    space = Space({"eta": [0.1, 0.2, 0.3], "hidden": [2, 3, 4, 5]}, 7)
    first, rest = space.draw(5), space.draw(100)
    assert len(first) == 5
    assert len({tuple(row.values()) for row in first + rest}) == 12 == len(first + rest)
    assert first == Space({"eta": [0.1, 0.2, 0.3], "hidden": [2, 3, 4, 5]}, 7).draw(5)
    assert first != Space({"eta": [0.1, 0.2, 0.3], "hidden": [2, 3, 4, 5]}, 8).draw(5)


def test_what_a_rule_does_not_have_makes_no_second_configuration():
    rows = Space({"rule": ["rprop", "adam"], "eta": [0.1, 0.2], "updates": [4, 8]}, 0).draw(100)
    assert sum(row["rule"] == "rprop" for row in rows) == 1
    assert len(rows) == 5


def test_distributions_are_those_of_scipy():
    space = {"eta": stats.loguniform(1e-4, 1e-1), "hidden": stats.randint(3, 9), "lam": stats.uniform(0.9, 0.1)}
    rows = Space(space, 1).draw(3000)
    assert len(rows) == 3000
    assert rows[:7] == Space(space, 1).draw(7)
    for name, law in space.items():
        values = np.array([row[name] for row in rows])
        if name == "hidden":
            assert set(values.tolist()) == set(range(3, 9))
            assert all(type(row["hidden"]) is int for row in rows)
        else:
            assert stats.kstest(values, law.cdf).pvalue > 1e-3
    correlations = np.corrcoef([[np.log(row["eta"]), row["hidden"], row["lam"]] for row in rows], rowvar=False)
    assert np.abs(correlations - np.eye(3)).max() < 0.06


def test_one_with_rvs_alone_will_do():
    class Law:
        def rvs(self, random_state):
            return np.random.default_rng(random_state).uniform(1, 2)

    values = [row["eta"] for row in Space({"eta": Law()}, 0).draw(50)]
    assert len(set(values)) == 50
    assert 1 < min(values) < max(values) < 2


# --- Plans.


@pytest.mark.parametrize(
    ("least", "most", "halving_by", "n"),
    [(10, 1000, 3, None), (10, 1000, 3, 5), (1, 64, 2, 1000), (7, 7, 3, 9), (5, 90, 3, 1)],
)
def test_rungs_end_with_all_epochs(least, most, halving_by, n):
    ends = ends_of_rungs(least, most, halving_by, n)
    assert ends[-1] == most
    assert ends[0] >= least
    assert ends == [-(-most // halving_by ** (len(ends) - 1 - k)) for k in range(len(ends))]
    if n is not None:
        assert halving_by ** (len(ends) - 2) < n or len(ends) == 1
    for budget in (most - 1, most, 12_345):
        affordable = most_within(budget, ends, halving_by)
        assert affordable == 0 or cost(affordable, ends, halving_by) <= budget
        assert cost(affordable + 1, ends, halving_by) > budget
    assert left_after(10, 3, 5) == 1


def test_a_budget_of_epochs_decides_how_many():
    space = {"eta": stats.loguniform(1e-3, 1)}
    found = bpjit.search(space, X, Y, budget=5000, min_epochs=5, max_epochs=90, **FIXED)
    assert 4000 < found.epochs <= 5000
    with pytest.raises(
        ValueError, match="budget: 100 configurations need 9280 epochs, over all folds; expected as many, got"
    ):
        bpjit.search(space, X, Y, n=100, budget=5000, min_epochs=5, max_epochs=90, **FIXED)


def test_a_budget_of_seconds_decides_how_many():
    space = {"eta": stats.loguniform(1e-3, 1)}
    bpjit.search(space, X, Y, n=9, min_epochs=5, max_epochs=90, **FIXED)  # compiles
    found = bpjit.search(space, X, Y, budget=bpjit.TimeLimit(1.0), min_epochs=5, max_epochs=90, **FIXED)
    assert len(found.table) >= 256
    assert found.seconds < 2.5
    if found.stopped_by == "MaxEpochs":
        again = bpjit.search(space, X, Y, n=len(found.table), min_epochs=5, max_epochs=90, **FIXED)
        assert [row["errors"][0] for row in again.table if row["rung"] > 3][:1] == []
        assert {row["eta"] for row in again.table} == {row["eta"] for row in found.table}


@pytest.mark.parametrize("times", [0, 2, 5, 8])
def test_it_ends_with_the_best_so_far(times):
    """Cut off in the first rung, or later: complete rungs alone count then."""
    found = bpjit.search(SPACE, X, Y, min_epochs=5, max_epochs=90, budget=AfterAWhile(times), threads=1, **FIXED)
    assert found.stopped_by == "StopEvent"
    assert 1 <= len(found.rungs) < 3
    assert found.table[0]["dropped"] == ""
    assert len(found.table) == 18
    assert "stopped by StopEvent: the best so far" in str(found)
    if len(found.rungs) == 2 or found.fits.epochs.min() == 10:
        assert_is_alone(found, epochs=found.rungs[-1].last)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal reaches a thread at work there")
def test_ctrl_c_ends_it_with_the_best_so_far(capsys):
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    space = {"eta": stats.loguniform(1e-3, 1)}
    found = bpjit.search(space, X, Y, n=2000, min_epochs=50, max_epochs=10**6, threads=1, **FIXED)
    timer.join()
    assert found.stopped_by == "interrupted"
    assert len(found.fits) == 4
    assert "interrupted" in capsys.readouterr().err


# --- Errors.


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"space": {"etaa": [1]}}, ValueError, 'space: expected names among hidden.*got .etaa.; did you mean "eta"?'),
        ({"space": {"learning_rate": [1]}}, ValueError, "got 'learning_rate'"),
        ({"space": []}, TypeError, "space: expected a dictionary such as"),
        ({"space": {"eta": 0.1}}, TypeError, r"space\['eta'\]: expected a list of values, or a distribution such as"),
        ({"space": {"eta": []}}, ValueError, r"space\['eta'\]: expected one value at least, got none"),
        ({"space": {"eta": [0.1]}, "eta": 0.2}, ValueError, "eta: stands in the space; expected it in one place"),
        ({"hiden": 3}, ValueError, 'search: expected names among.*got \'hiden\'; did you mean "hidden"?'),
        ({"space": {"eta": stats.uniform(1, 2)}}, ValueError, "n: expected how many configurations to draw"),
        ({"space": {"eta": [0.1, -1.0]}}, ValueError, r"configuration .*-1.0.*: eta"),
        ({"space": {"hidden": [3, -4]}}, ValueError, r"configuration \{'hidden': -4\}: sizes"),
        ({"space": {"rule": ["adm"]}, "rule": None}, ValueError, "configuration .'rule': 'adm'.: rule: expected"),
        ({"space": {"output": ["sigmoid", "softmax"]}}, ValueError, "loss: errors by .* cannot be compared"),
        ({"folds": 1}, ValueError, "folds: expected a whole number >= 2"),
        ({"folds": 3, "validation": (X, Y)}, ValueError, "folds: there is a validation set; expected None, got 3"),
        ({"validation": 0.2}, TypeError, r"validation: expected a pair \(X, Y\) or None, got 0.2"),
        ({"halving": 1}, ValueError, "halving: expected a whole number >= 2"),
        ({"min_epochs": 50, "max_epochs": 20}, ValueError, "max_epochs: expected a whole number >= 50"),
        ({"budget": "60 s"}, TypeError, r"budget: expected a whole number of epochs, bpjit.TimeLimit\(seconds\)"),
        ({"stop": bpjit.MaxEpochs(3)}, ValueError, "stop: expected no MaxEpochs, which max_epochs says"),
        ({"study": 3}, TypeError, "study: expected an optuna.Study, got 3"),
    ],
)  # fmt: skip
def test_errors_name_what_was_expected(change, error, message):
    if "study" in change:
        pytest.importorskip("optuna")
    arguments = {"space": {"eta": [0.1, 0.2]}, "max_epochs": 20, "rule": "adam", **change}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    space = arguments.pop("space")
    with pytest.raises(error, match=message):
        bpjit.search(space, X, Y, **arguments)


# --- Optuna.


def study(optuna, sampler="TPESampler"):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=0))


@pytest.mark.parametrize("sampler", [pytest.param("TPESampler", marks=pytest.mark.slow), "RandomSampler"])
def test_a_study_is_asked_for_many_at_once(sampler):
    optuna = pytest.importorskip("optuna")
    asked = study(optuna, sampler)
    space = {"hidden": [3, (4, 3)], "eta": stats.loguniform(1e-3, 1), "activation": ["tanh", "sigmoid"]}
    for batch in (1, 2):
        found = bpjit.search(space, X, Y, n=27, min_epochs=5, max_epochs=90, study=asked, **FIXED)
        assert len(asked.trials) == 27 * batch
    states = [trial.state.name for trial in asked.trials[27:]]
    assert [states.count(name) for name in ("COMPLETE", "PRUNED", "RUNNING")] == [3, 24, 0]
    last = asked.trials[27:]
    best = min((trial for trial in last if trial.state.name == "COMPLETE"), key=lambda trial: trial.value)
    assert best.value == found.error
    assert best.params["eta"] == found.best["eta"]
    assert list(best.intermediate_values) == [rung.last for rung in found.rungs]
    assert all(min(trial.intermediate_values) == 10 for trial in last)
    assert_is_alone(found)


def test_a_function_may_suggest():
    optuna = pytest.importorskip("optuna")

    def suggest(trial):
        many = trial.suggest_categorical("layers", [1, 2])
        return {"hidden": tuple(trial.suggest_int(f"units{i}", 3, 4) for i in range(many))}

    asked = study(optuna)
    found = bpjit.search(suggest, X, Y, n=30, min_epochs=30, max_epochs=90, study=asked, **FIXED)
    assert len(found.table) <= 6 < len(asked.trials) == 30  # equal ones are trained once, and all are told
    assert not [trial for trial in asked.trials if trial.state.name in ("RUNNING", "FAIL")]
    assert asked.best_value == found.error


def test_no_trial_is_left_running_where_something_is_wrong():
    optuna = pytest.importorskip("optuna")
    asked = study(optuna)
    with pytest.raises(ValueError, match="space: expected names among"):
        bpjit.search(lambda trial: {"etaa": trial.suggest_float("eta", 0, 1)}, X, Y, n=3, study=asked)
    with pytest.raises(ValueError, match="configuration"):
        bpjit.search({"eta": optuna.distributions.FloatDistribution(-2, -1)}, X, Y, n=3, study=asked)
    assert {trial.state.name for trial in asked.trials} == {"FAIL"}
    with pytest.raises(ValueError, match="study: errors are to fall"):
        bpjit.search(SPACE, X, Y, n=3, study=optuna.create_study(direction="maximize"))
    with pytest.raises(ValueError, match=r"space\['eta'\]: expected a list, loguniform, uniform or randint"):
        bpjit.search({"eta": stats.norm(0, 1)}, X, Y, n=3, study=asked)


def test_without_optuna_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def no_optuna(name, *rest):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_optuna)
    with pytest.raises(ImportError, match=r"a study needs Optuna: python -m pip install 'bpjit\[optuna\]', or optuna"):
        bpjit.search(SPACE, X, Y, n=3, study=object())


# --- The picture.


def test_the_picture_shows_every_rung(found):
    pytest.importorskip("matplotlib")
    from bpjit import plot

    ax = plot.search(found)
    *lines, best, star = ax.lines
    assert sorted(len(line.get_xdata()) for line in lines) == [1] * 12 + [2] * 4 + [3] * 2
    assert best.get_xdata().tolist() == [10, 30, 90]
    assert best.get_ydata()[-1] == star.get_ydata()[0] == found.error
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["10\n(18)", "30\n(6)", "90\n(2)"]
    assert plot.search(found, log=False).get_yscale() == "linear"
    with pytest.raises(TypeError, match="found: expected a Search that search returned, got 3"):
        plot.search(3)


@pytest.mark.slow
def test_the_measurement_says_what_was_found(capsys):
    pytest.importorskip("sklearn")
    import benchmark_search

    assert benchmark_search.main(["--configurations", "40", "--alone"]) == 0
    out = capsys.readouterr().out
    assert "epochs spent / sum of the increments: 1.0000" in out
    assert "the winner's bits are those of train_many alone: True" in out
