"""fit_groups: one network for each key of a table. What it gives is held against ``train_many`` of the rows of a key,
to the last bit, and against itself on other tables."""

import json
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import date, datetime

import numpy as np
import pytest

import bpjit
import bpjit.many.damped_lanes
from bpjit.groups.columns import Columns
from bpjit.groups.keys import coded, from_words, in_words, ordered, seeds_of
from bpjit.groups.nodes import as_nodes, chunks_of

INPUTS = ["x1", "x2"]
COMMON = {"hidden": 4, "stop": 30, "min_rows": 5}  # one shape and rule for all, which is compiled once
NAMES = {"key": ["store", "item"], "inputs": INPUTS, "outputs": "y"}


def table(counts, seed=0):
    """Rows in any order; ``counts`` rows of each key."""
    rng = np.random.default_rng(seed)
    keys = [key for key, count in counts.items() for _ in range(count)]
    keys = [keys[place] for place in rng.permutation(len(keys))]
    x1, x2 = rng.normal(size=(2, len(keys)))
    y = np.sin(x1) + np.array([len(store) + item for store, item in keys]) * x2
    stores, items = (np.array(values) for values in zip(*keys, strict=True))
    return {"store": stores, "item": items, "x1": x1, "x2": x2, "y": y}


COUNTS = {("a", 1): 40, ("a", 2): 31, ("bb", 1): 25, ("bb", 2): 3, ("ccc", 1): 2}
TABLE = table(COUNTS)


def picked(frame, rows):
    return {name: values[rows] for name, values in frame.items()}


def rows_of(frame, key):
    there = np.ones(len(frame["y"]), bool)
    for name, value in zip(NAMES["key"], key, strict=False):
        there &= frame[name] == value
    return picked(frame, there)


def arrays_of(frame):
    return np.stack([frame[name] for name in INPUTS], axis=1), frame["y"][:, None]


def same(fit, other, keys=None):
    """Whether what two fits know of some keys is the same to the bit."""
    for key in fit.keys if keys is None else keys:
        mine, theirs = fit[key], other[key]
        if mine.parameters.tobytes() != theirs.parameters.tobytes() or mine.scale != theirs.scale:
            return False
    return True


@pytest.fixture(scope="module")
def fit():
    return bpjit.fit_groups(TABLE, **NAMES, **COMMON)


# --- Networks.


@pytest.mark.parametrize("key", [("a", 1), ("bb", 1), ("a",), ()])
def test_network_is_that_of_train_many_on_the_rows_of_its_key(fit, key):
    rows = rows_of(TABLE, key)
    if len(key) < 2:  # rows of a parent stand key after key
        rows = picked(rows, np.lexsort((rows["item"], rows["store"])))
    X, Y = arrays_of(rows)
    start = fit.start(key)
    assert start.scale == bpjit.Scale.standard(X, Y) == fit[key].scale
    alone = bpjit.train_many([start], X, Y, stop=30)
    assert alone.networks[0].parameters.tobytes() == fit[key].parameters.tobytes() != start.parameters.tobytes()


@pytest.mark.parametrize("settings", [{}, {"validation": 0.3, "stop": [bpjit.MaxEpochs(60), bpjit.EarlyStopping(3)]}])
def test_other_keys_do_not_matter(settings):
    settings = {**COMMON, **settings}
    fit = bpjit.fit_groups(TABLE, **NAMES, **settings)
    for key in (("a", 2), ("bb", 1)):
        rows = rows_of(TABLE, key)
        alone = bpjit.fit_groups(rows, **NAMES, **settings)
        assert same(fit, alone, [key])
        line = fit.keys.index(key)
        for name in ("error", "epochs", "stopped_by", *(["validation_error"] if "validation" in settings else [])):
            assert fit.table[name][line] == alone.table[name][0]
        X, Y = arrays_of(rows)
        share = settings.get("validation")
        many = bpjit.train_many([fit.start(key)], X, Y, stop=settings["stop"], validation=share)
        assert many.networks[0].parameters.tobytes() == fit[key].parameters.tobytes()
        assert many.epochs[0] == fit.table["epochs"][line]
        assert np.isclose(many.error[0], fit.table["error"][line], rtol=1e-14)  # sums may round in another way
        assert np.isclose(many.validation_error[0], fit.table["validation_error"][line], rtol=1e-14, equal_nan=True)


@pytest.mark.slow
def test_longer_keys_do_not_decide_how_a_rule_of_second_order_trains_others(monkeypatch):
    """In lanes or one by one is a matter of the length of a pass, and so of the last bits."""
    lanes = bpjit.many.damped_lanes.DampedLanes
    monkeypatch.setattr(lanes, "seconds_of_pass", staticmethod(lambda group: float(group.D.m)))
    monkeypatch.setattr(lanes, "longest", 26.0)
    settings = {**COMMON, "rule": "lm", "fallback": "none"}
    fit = bpjit.fit_groups(TABLE, **NAMES, **settings)
    assert same(fit, bpjit.fit_groups(rows_of(TABLE, ("bb", 1)), **NAMES, **settings), [("bb", 1)])
    assert same(fit, bpjit.fit_groups(rows_of(TABLE, ("a", 1)), **NAMES, **settings), [("a", 1)])


def test_classes_are_held_out_in_their_shares():
    """Targets of two values around the cut are classes: a rare one is in both parts, as ``train`` sees to."""
    m = np.arange(80)
    frame = {"key": m % 2, "x1": np.sin(m), "x2": np.cos(m), "y": (m % 20 < 2).astype(float)}
    settings = {"validation": 0.2, "stop": 20}
    fit = bpjit.fit_groups(frame, "key", INPUTS, "y", hidden=4, **settings)
    for key in (0, 1):
        X, Y = arrays_of(picked(frame, frame["key"] == key))
        many = bpjit.train_many([fit.start(key)], X, Y, **settings)
        assert many.networks[0].parameters.tobytes() == fit[key].parameters.tobytes()
        assert np.isclose(fit.table["validation_error"][key], many.validation_error[0], rtol=1e-14)


def test_results_depend_neither_on_threads_nor_on_the_order_of_keys(fit):
    by_key = np.argsort(TABLE["store"], kind="stable")  # keeps the order within a key
    for frame, threads in ((TABLE, 1), (picked(TABLE, by_key), 2)):
        assert same(fit, bpjit.fit_groups(frame, **NAMES, **COMMON, threads=threads))


def test_seed_of_a_key_follows_from_its_values_alone():
    seeds = seeds_of([("a", 1), ("a", 2), ("a",), (), (1,), ("1",), (date(2026, 1, 1),)], 0)
    assert len(set(seeds.tolist())) == 7
    assert seeds_of([(1,), (1.0,), (np.int8(1).item(),)], 0).tolist() == [seeds[4]] * 3
    assert seeds_of([("a", 1)], 1)[0] != seeds[0]
    code = "from bpjit.groups.keys import seeds_of; print(seeds_of([('a', 1)], 0)[0])"
    program = [sys.executable, "-c", code]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip() == str(seeds[0])


# --- Frames and keys.


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_every_kind_of_frame_gives_the_same(fit, library):
    module = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    frame = module.table(TABLE) if library == "pyarrow" else module.DataFrame(TABLE)
    other = bpjit.fit_groups(frame, **NAMES, **COMMON)
    assert same(fit, other)
    assert np.array_equal(other.predict(frame), fit.predict(TABLE))
    y_hat = other["a", 1].predict(frame)  # a network knows the columns
    assert np.array_equal(y_hat, fit["a", 1].predict(arrays_of(TABLE)[0]))
    made = other.table.to_frame()
    assert type(made) is type(frame)
    assert list(made["rows"].to_pylist() if library == "pyarrow" else made["rows"]) == fit.table["rows"].tolist()
    assert isinstance(fit.table.to_frame(library), type(frame))


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (["b", "a", "b", "c"], ["a", "b", "c"]),
        ([3, 1, 1, 2], [1, 2, 3]),
        (np.array([-128, 127, 127, 0], np.int8), [-128, 0, 127]),
        (np.array([1 << 40, 5, 5, 1 << 40]), [5, 1 << 40]),
        ([True, False, False, True], [False, True]),
        ([2.5, np.nan, 1.0, np.nan], [1.0, 2.5, None]),
        (np.array(["x", None, 7, "x"], object), [7, "x", None]),
        (np.array([date(2026, 2, 1), date(2026, 1, 1)] * 2, object), [date(2026, 1, 1), date(2026, 2, 1)]),
        (np.array(["2026-01-02", "2026-01-01"] * 2, "datetime64[ns]"), [datetime(2026, 1, 1), datetime(2026, 1, 2)]),
    ],
)
def test_keys_of_every_kind_are_put_in_order(values, keys):
    found = coded(Columns("frame", {"k": values, "other": [0, 0, 1, 1]}), ["k"])
    assert found.keys == [(key,) for key in keys]
    plain = np.array(values).tolist() if np.array(values).dtype.kind != "M" else None
    if plain is not None:
        shown = [keys[code] for code in found.codes.tolist()]
        assert all(a == b or (b is None and (a is None or a != a)) for a, b in zip(plain, shown, strict=True))
    assert [from_words(json.loads(json.dumps(in_words(key)))) for key in found.keys] == found.keys
    both = coded(Columns("frame", {"k": values, "other": [0, 0, 1, 1]}), ["other", "k"])
    assert sorted({key[0] for key in both.keys}) == [0, 1]
    starts, order = ordered(both)
    rows = np.arange(4) if order is None else order
    assert [both.codes[row] for row in rows] == sorted(both.codes.tolist())
    assert starts[-1] == 4


@pytest.mark.parametrize("count", [5, 70_000])
def test_rows_of_a_key_keep_their_order(count):
    rng = np.random.default_rng(0)
    keys = rng.integers(0, count, 100_000)
    found = coded(Columns("frame", {"k": keys}), ["k"])
    starts, order = ordered(found)
    assert np.array_equal(order, np.argsort(keys, kind="stable"))
    assert [key for (key,) in found.keys] == np.unique(keys).tolist()
    assert np.array_equal(np.diff(starts), np.unique(keys, return_counts=True)[1])


def test_parents_stand_above_the_rows_of_their_children():
    found = coded(Columns("frame", TABLE), NAMES["key"])
    nodes, order = as_nodes(found, with_parents=True)
    assert nodes.keys[-1] == ()
    assert nodes.counts[-1] == len(TABLE["y"])
    for number, key in enumerate(nodes.keys[:-1]):
        assert nodes.keys[nodes.parents[number]] == key[:-1]
        places, counts = nodes.places(np.array([number]), 10**9, 0)
        rows = order.rows(places)
        assert counts[0] == len(rows) == len(rows_of(TABLE, key)["y"])
        assert all(TABLE[name][row] == value for row in rows for name, value in zip(NAMES["key"], key, strict=False))
    places, counts = nodes.places(np.array([len(nodes) - 1]), 50, 0)  # one of each of 50 equal stretches
    assert counts.tolist() == [50]
    ends = np.arange(51) * len(TABLE["y"]) // 50
    assert (ends[:-1] <= places).all()
    assert (places < ends[1:]).all()


def test_chunks_hold_all_and_nodes_of_a_length():
    counts = np.random.default_rng(0).integers(1, 3000, 1000)
    chunks = chunks_of(counts, 64, 10_000)
    assert np.array_equal(np.sort(np.concatenate(chunks)), np.arange(1000))
    for chunk in chunks[:-1]:
        assert len(chunk) == 64 or counts[chunk].min() >= 0.75 * counts[chunk].max()


def test_arrays_need_no_narwhals_and_importing_bpjit_needs_no_groups(fit, monkeypatch):
    pandas = pytest.importorskip("pandas")
    program = "import sys, bpjit; assert not {'bpjit.groups', 'narwhals'} & set(sys.modules); bpjit.fit_groups"
    subprocess.run([sys.executable, "-c", program], check=True)
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"frame: frames need narwhals: python -m pip install 'bpjit\[frames\]'"):
        fit.predict(pandas.DataFrame(TABLE))
    assert same(fit, bpjit.fit_groups(TABLE, **NAMES, **COMMON))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_missing_numbers_and_truth_values_of_every_kind_of_frame(library):
    module = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    x = [float(i % 7) for i in range(30)]
    columns = {"k": [True, False] * 15, "x1": [None, *x[1:]], "x2": [i % 3 for i in range(29)] + [None], "y": x[::-1]}
    frame = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    found = bpjit.fit_groups(frame, "k", INPUTS, "y", **COMMON)
    assert found.keys == [False, True]
    assert found.table["left_out"].tolist() == [1, 1]
    assert list(found.table["note"]) == ["1 row left out: NaN in 'x2', row 29", "1 row left out: NaN in 'x1', row 0"]
    assert np.isnan(found.predict(frame)).ravel().tolist() == [i in (0, 29) for i in range(30)]


# --- What cannot be learnt from.


def test_bad_rows_and_keys_are_told_and_disturb_no_other(fit):
    """NaN, infinities, words, numbers beyond all, too few rows, a missing key, constants, a key that diverges."""
    bad = {
        ("a", 3): lambda rows: rows["x1"].__setitem__(slice(0, 2), np.nan),
        ("a", 4): lambda rows: rows["y"].__setitem__(3, np.inf),
        ("a", 5): lambda rows: rows["x2"].__setitem__(0, "word"),
        ("a", 6): lambda rows: rows["y"].__setitem__(slice(None), 3.0),
        ("a", 7): lambda rows: rows["x1"].__setitem__(slice(0, 20), 1e200),
        ("a", 8): lambda rows: rows["y"].__setitem__(slice(None), np.nan),
        ("a", None): lambda rows: None,
        ("zz", 9): lambda rows: rows["x1"].__setitem__(slice(None), -1.0),
    }
    frame = {name: values.astype(object) for name, values in TABLE.items()}
    for key, spoil in bad.items():
        rows = {name: values.astype(object) for name, values in table({("a", 1): 40}, seed=5).items()}
        rows["store"][:], rows["item"][:] = key
        spoil(rows)
        frame = {name: np.concatenate([values, rows[name]]) for name, values in frame.items()}
    spoilt = bpjit.fit_groups(frame, **NAMES, **COMMON)
    assert same(fit, spoilt, [("a", 1), ("a", 2), ("bb", 1)])
    lines = {key: line for line, key in enumerate(spoilt.keys)}
    said = {key: spoilt.table["note"][lines[key]] for key in (*bad, ("bb", 2))}
    first = len(TABLE["y"])
    assert said["a", 3] == f"2 rows left out: NaN in 'x1', row {first}"
    assert said["a", 4] == f"1 row left out: infinity in 'y', row {first + 43}"
    assert said["a", 5] == f"1 row left out: a word in 'x2', row {first + 80}"
    assert said["a", 6] == "'y' is constant"
    assert said["a", 7] == f"20 rows left out: too large a number in 'x1', row {first + 160}"
    assert said["a", 8].startswith("0 rows, fewer than 5; 40 rows left out: NaN in 'y'")
    assert said["a", None] == "the key has a missing value"
    assert said["zz", 9] == "'x1' is constant"
    assert said["bb", 2] == "3 rows, fewer than 5"
    model = {key: spoilt.table["model"][line] for key, line in lines.items()}
    own = {*(("a", item) for item in range(1, 8)), ("bb", 1), ("zz", 9)}
    assert {key for key, name in model.items() if name == "own"} == own
    assert model["a", 8] == model["a", None] == "store=a"
    assert model["bb", 2] == "store=bb"
    assert model["ccc", 1] == "all rows"  # its store has two rows too
    assert spoilt.table["left_out"][lines["a", 8]] == 40
    X, Y = arrays_of(picked(table({("a", 1): 40}, seed=5), slice(2, None)))  # without the rows that hold NaN
    many = bpjit.train_many([spoilt.start(("a", 3))], X, Y, stop=30)
    assert many.networks[0].parameters.tobytes() == spoilt["a", 3].parameters.tobytes()
    assert np.abs(spoilt["a", 6].predict(X) - 3.0).max() < 0.3
    assert "a word in 'x2'" in str(spoilt.table)


def test_a_key_that_diverges_falls_back_and_disturbs_no_other():
    """Without a scale: the targets of one key are so large that their squares are not finite."""
    settings = {**COMMON, "scale": False, "eta": 0.05, "fallback": "none"}
    wild = picked(TABLE, TABLE["store"] == "a")
    wild = {name: np.array(["w"] * len(values)) if name == "store" else values for name, values in wild.items()}
    wild = {**wild, "y": wild["y"] * 1e200}
    frame = {name: np.concatenate([values, wild[name]]) for name, values in TABLE.items()}
    fit = bpjit.fit_groups(frame, **NAMES, **settings)
    line = fit.keys.index(("w", 1))
    assert fit.table["stopped_by"][line] == "diverged"
    assert fit.table["model"][line] == "none"
    assert np.isnan(fit.predict(wild)).all()
    assert same(fit, bpjit.fit_groups(TABLE, **NAMES, **settings), [("a", 1), ("bb", 1)])
    with pytest.raises(KeyError, match="w"):
        fit["w", 1]


# --- Predictions.


def test_predictions_stand_in_the_order_of_rows(fit):
    y_hat = fit.predict(TABLE)
    assert y_hat.shape == (len(TABLE["y"]), 1)
    for key in fit.keys:
        there = (TABLE["store"] == key[0]) & (TABLE["item"] == key[1])
        X, _ = arrays_of(picked(TABLE, there))
        assert np.allclose(y_hat[there], fit[key].predict(X), rtol=1e-12, atol=1e-12)  # other kernels: rounding
    own = np.isin(TABLE["store"], ["a", "bb"]) & ~((TABLE["store"] == "bb") & (TABLE["item"] == 2))
    assert np.square(y_hat - TABLE["y"][:, None])[own].mean() < 0.2 * TABLE["y"][own].var()


def test_unknown_keys_take_their_nearest_parent_and_bad_inputs_give_nan(fit):
    frame = {"store": ["a", "q", None, "a"], "item": [99, 1, 1, 1], "x1": [0.5, 0.5, 0.5, np.nan], "x2": [1.0] * 4}
    frame = {name: np.array(values, object) for name, values in frame.items()}
    y_hat = fit.predict(frame)
    assert np.allclose(y_hat[:3, 0], [fit["a",].predict([0.5, 1.0])[0], *fit[()].predict([[0.5, 1.0]] * 2)[:, 0]])
    assert np.isnan(y_hat[3, 0])


@pytest.mark.parametrize("fallback", ["none", "error"])
def test_without_parents(fit, fallback):
    frame = TABLE if fallback == "none" else picked(TABLE, TABLE["store"] == "a")
    alone = bpjit.fit_groups(frame, **NAMES, **COMMON, fallback=fallback)
    assert same(fit, alone, [("a", 1), ("a", 2)])
    assert alone.parents.lines == 0
    unknown = {"store": np.array(["q"]), "item": np.array([1]), "x1": np.zeros(1), "x2": np.zeros(1)}
    if fallback == "none":
        assert np.isnan(alone.predict(unknown)).all()
        assert alone.table["model"][alone.keys.index(("bb", 2))] == "none"
    else:
        with pytest.raises(ValueError, match=r"frame: expected keys that have a network, got \('q', 1\)"):
            alone.predict(unknown)
        with pytest.raises(ValueError, match=r"got \('bb', 2\), \('ccc', 1\): 3 rows, fewer than 5"):
            bpjit.fit_groups(TABLE, **NAMES, **COMMON, fallback="error")


def test_shrinkage_is_its_formula(fit):
    kappa = 20.0
    shrunk = bpjit.fit_groups(TABLE, **NAMES, **COMMON, shrinkage=kappa)
    assert same(fit, shrunk)
    x = np.array([0.3, -0.4])
    root = fit[()].predict(x)
    store = (71 * fit["a",].predict(x) + kappa * root) / (71 + kappa)
    item = (40 * fit["a", 1].predict(x) + kappa * store) / (40 + kappa)
    one = {"store": ["a", "a", "q"], "item": [1, 5, 1], "x1": np.full(3, x[0]), "x2": np.full(3, x[1])}
    assert np.allclose(shrunk.predict(one)[:, 0], [item[0], store[0], root[0]], rtol=1e-12)


# --- Going on.


def test_update_trains_what_changed_and_gives_the_bits_of_all_anew(fit):
    changed = {name: values.copy() for name, values in TABLE.items()}
    place = np.flatnonzero((changed["store"] == "bb") & (changed["item"] == 1))[7]
    changed["x1"][place] += 1e-9
    more = table({("a", 1): 20, ("e", 1): 15}, seed=3)
    more["store"][more["store"] == "a"] = "f"
    gone = changed["store"] != "ccc"
    frame = {name: np.concatenate([values[gone], more[name]]) for name, values in changed.items()}
    updated, anew = fit.update(frame), bpjit.fit_groups(frame, **NAMES, **COMMON)
    assert updated.keys == anew.keys
    assert same(updated, anew)
    assert str(updated.table) == str(anew.table)
    assert str(updated.parents) == str(anew.parents)
    assert np.array_equal(updated.predict(frame), anew.predict(frame))
    assert updated.trained == 7  # bb-1, e-1, f-1; the stores bb, e, f; and all rows
    assert anew.trained == len(anew.keys) + 5
    assert fit.update(TABLE).trained == 0
    assert not same(fit, updated, [("bb", 1)])


@pytest.mark.parametrize("end", ["limit", "event"])
def test_limits_end_a_fit_with_what_it_has_learnt_and_update_goes_over_it_again(fit, end):
    event = threading.Event()
    event.set()
    limit = bpjit.TimeLimit(1e-9) if end == "limit" else bpjit.StopEvent(event)
    settings = {**COMMON, "stop": [bpjit.MaxEpochs(30), limit]}
    cut = bpjit.fit_groups(TABLE, **NAMES, **settings)
    assert set(cut.table["stopped_by"]) == {type(limit).__name__}
    assert set(cut.table["model"]) == {"none"}
    assert set(cut.table["note"]) == {"not begun"}
    assert np.isnan(cut.predict(TABLE)).all()
    if end == "event":
        event.clear()
        assert same(fit, cut.update(TABLE))


@pytest.mark.skipif(sys.platform == "win32", reason="signals a thread")
@pytest.mark.usefixtures("fit")  # compiles
def test_ctrl_c_ends_a_fit_with_what_it_has_learnt(capsys):
    main = threading.get_ident()

    def press() -> None:
        while signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # until the fit takes note of it
            time.sleep(0.01)
        time.sleep(0.5)
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    fit = bpjit.fit_groups(TABLE, **NAMES, **{**COMMON, "stop": 10**9})
    presser.join()
    assert "interrupted" in fit.table["stopped_by"]
    assert "interrupted" in capsys.readouterr().err
    assert np.isfinite(fit.predict(TABLE)).any()


def test_bank_goes_on_as_learners_with_the_scales_of_the_keys_do(fit, tmp_path):
    bank = fit.bank(eta=0.05)
    assert list(bank.keys) == fit.keys
    learner = bpjit.OnlineLearner(fit["a", 1], eta=0.05)
    x, y = np.array([0.2, 0.7]), np.array([1.5])
    for _ in range(3):
        assert bank.learn([("a", 1), ("bb", 2)], [x, x], [y, y])[0] == learner.learn(x, y)
    assert np.array_equal(bank["a", 1].parameters, learner.network.parameters)
    assert bank["a", 1].scale == fit["a", 1].scale
    assert bank["bb", 2].scale == fit["bb",].scale  # which it begins from
    came, alone = bank.predict([("a", 1)], [x])[0, 0], bank["a", 1].predict(x)[0]  # by another kernel
    assert abs(came - alone) <= 4 * np.spacing(abs(alone))
    bank.save(tmp_path / "bank")
    for other in (bpjit.GroupBank.load(tmp_path / "bank"), pickle.loads(pickle.dumps(bank))):
        assert other["a", 1] == bank["a", 1]
        assert other.predict([("bb", 2)], [x]) == bank.predict([("bb", 2)], [x])
    with pytest.raises(ValueError, match=r"record 1 of key \('a', 2\)"):
        bank.learn([("a", 1), ("a", 2)], [x, [np.nan, 0.0]], [y, y])
    with pytest.raises(KeyError, match="no network has the key"):
        bank.predict([("q", 1)], [x])


# --- Files.


SETTINGS = {"eta": bpjit.InverseTime(0.1, 0.01), "rule": bpjit.Momentum(0.5), "lam": 0.999, "init": (-0.5, 0.5)}


def test_a_fit_goes_into_one_file_and_through_pickle(fit, tmp_path):
    rich = bpjit.fit_groups(
        TABLE, **NAMES, **COMMON | {"stop": [bpjit.MaxEpochs(4), bpjit.TargetError(1e-9)]}, **SETTINGS, shrinkage=3.0
    )
    for each in (fit, rich):
        each.save(tmp_path / "fit.safetensors")
        for other in (bpjit.GroupFit.load(tmp_path / "fit.safetensors"), pickle.loads(pickle.dumps(each))):
            assert same(each, other)
            assert str(other.table) == str(each.table)
            assert str(other.parents) == str(each.parents)
            assert np.array_equal(other.predict(TABLE), each.predict(TABLE))
            assert other.update(TABLE).trained == 0
    other = bpjit.GroupFit.load(tmp_path / "fit.safetensors")
    changed = TABLE | {"y": TABLE["y"] + 1.0}
    assert same(other.update(changed), rich.update(changed))


HOSTILE = [
    ("own", lambda tensors, words: tensors.update(own=tensors["own"][:-1])),
    ("finite", lambda tensors, words: tensors["parameters"].__setitem__((0, 0), np.nan)),
    ("factor", lambda tensors, words: tensors["scales.input_factor"].__setitem__((0, 0), 0.0)),
    ("scales", lambda tensors, words: tensors.pop("scales.input_factor")),
    ("parents", lambda tensors, words: tensors["parents"].__setitem__(0, 0)),
    ("keys", lambda tensors, words: tensors.update(keys=np.frombuffer(b'[["a", {"eval": "1"}]]', np.uint8))),
    ("keys", lambda tensors, words: tensors.update(keys=np.frombuffer(b"[[", np.uint8))),
    ("note", lambda tensors, words: tensors.update(note=np.frombuffer(b'["x"]', np.uint8))),
    ("setting", lambda tensors, words: words.update(setting="{}")),
    ("Condition", lambda tensors, words: words.update(setting=words["setting"].replace("MaxEpochs", "Limits"))),
    (
        "min_rows",
        lambda tensors, words: words.update(setting=words["setting"].replace('"min_rows": 5', '"min_rows": 0')),
    ),
    ("full", lambda tensors, words: words.update(full="0")),
    ("kind", lambda tensors, words: words.pop("kind")),
    ("parameters", lambda tensors, words: words.update(sizes="[2, 1000000000, 1]")),  # before they take memory
    (
        "parameters",
        lambda tensors, words: tensors.update(keys=np.frombuffer(b"[" + b"[0]," * 10**5 + b"[0]]", np.uint8)),
    ),
]


@pytest.mark.parametrize(("said", "spoil"), HOSTILE)
def test_a_file_that_says_nonsense_is_refused(fit, tmp_path, said, spoil):
    from bpjit.common.files import read, write
    from bpjit.groups.storing import FORMAT, VERSION

    path = tmp_path / "fit"
    fit.save(path)
    words, tensors = read(path, FORMAT, VERSION)
    tensors = {name: array.copy() for name, array in tensors.items()}
    spoil(tensors, words)
    write(path, FORMAT, VERSION, {name: w for name, w in words.items() if name not in ("format", "version")}, tensors)
    with pytest.raises(ValueError, match="path: the group fit in"):
        bpjit.GroupFit.load(path)


def test_a_foreign_file_is_refused(fit, tmp_path):
    fit["a", 1].save(tmp_path / "net")
    with pytest.raises(ValueError, match="path: expected a bpjit group fit file"):
        bpjit.GroupFit.load(tmp_path / "net")
    with pytest.raises(OSError, match="missing"):
        bpjit.GroupFit.load(tmp_path / "missing")


# --- Workers.


def test_worker_inside_a_group_by_of_pandas_gives_the_same_networks(fit, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    frame = pandas.DataFrame(TABLE)
    worker = pickle.loads(pickle.dumps(bpjit.GroupWorker(**NAMES, **COMMON)))
    lines = frame.groupby(["store", "item"])[list(frame.columns)].apply(worker)
    joined = bpjit.GroupFit.joined(lines.sample(frac=1.0, random_state=0))
    own = [("a", 1), ("a", 2), ("bb", 1)]
    assert same(fit, joined, own)
    assert joined.table["note"].tolist() == fit.table["note"].tolist()
    assert np.isnan(joined.predict(frame)).sum() == 5  # the keys of too few rows
    assert joined.update(frame).trained == 0
    joined.save(tmp_path / "fit")
    assert same(joined, bpjit.GroupFit.load(tmp_path / "fit"), own)


def test_worker_takes_the_dicts_and_tables_of_other_engines(fit):
    """Ray's map_groups hands dicts of arrays, or tables of pyarrow."""
    worker = bpjit.GroupWorker(**NAMES, **COMMON)
    frames = [rows_of(TABLE, key) for key in (("a", 1), ("bb", 1))]
    lines = [worker(frame) for frame in frames]
    joined = bpjit.GroupFit.joined({name: np.concatenate([line[name] for line in lines]) for name in lines[0]})
    assert same(joined, fit)
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("narwhals")
    tables = [worker(pyarrow.table(frame)) for frame in frames]
    assert same(bpjit.GroupFit.joined(pyarrow.concat_tables(tables)), fit)


@pytest.mark.parametrize(
    ("column", "spoil", "said"),
    [
        ("parameters", lambda value: value[:-1], "bytes in each row of column 'parameters'"),
        ("setting", lambda value: value + " ", "lines of workers with the same settings"),
        ("parameters", lambda value: np.full(17, np.nan).tobytes(), "parameters of finite numbers"),
    ],
)
def test_lines_of_workers_are_checked(column, spoil, said):
    worker = bpjit.GroupWorker(**NAMES, **COMMON)
    lines = worker(TABLE)
    lines[column][0] = spoil(lines[column][0])
    with pytest.raises(ValueError, match=f"frame: expected .*{said}"):
        bpjit.GroupFit.joined(lines)
    with pytest.raises(ValueError, match="frame: expected one line for each key"):
        bpjit.GroupFit.joined({name: np.concatenate([values, values]) for name, values in worker(TABLE).items()})


# --- Wrong arguments.


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"frame": 3}, TypeError, "frame: expected a table of pandas"),
        ({"frame": {"store": [1], "item": [1, 2]}}, ValueError, "frame: expected .* of one length"),
        ({"frame": {**TABLE, "x1": TABLE["store"]}}, TypeError, "frame: expected numbers in column 'x1'"),
        ({"frame": picked(TABLE, slice(0, 0))}, ValueError, "frame: expected one row at least"),
        ({"key": ["store", "itme"]}, ValueError, "frame: expected a column 'itme', got none; did you mean \"item\""),
        ({"key": []}, ValueError, "key: expected the name of a column"),
        ({"key": 3}, TypeError, "key: expected the name of a column"),
        ({"inputs": ["x1", "x1"]}, ValueError, "inputs: expected .* all different"),
        ({"outputs": "x1"}, ValueError, "inputs: expected columns that are not in key or outputs too"),
        ({"hidden": 0}, ValueError, "hidden: expected a whole number"),
        ({"activation": "tanq"}, ValueError, "hidden: .*tanh"),
        ({"init": "he_"}, ValueError, "init: expected"),
        ({"min_rows": 0}, ValueError, "min_rows: expected"),
        ({"parent_rows": 1.5}, TypeError, "parent_rows: expected"),
        ({"fallback": "parents"}, ValueError, 'fallback: expected .*did you mean "parent"'),
        ({"shrinkage": -1}, ValueError, "shrinkage: expected"),
        ({"shrinkage": 1, "fallback": "none"}, ValueError, "shrinkage: expected None"),
        ({"eta": -1}, ValueError, "eta: expected"),
        ({"rule": "sgdd"}, ValueError, "rule: expected"),
        ({"stop": bpjit.EarlyStopping()}, ValueError, "validation: EarlyStopping needs"),
        ({"validation": 1.5}, ValueError, "validation: expected"),
        ({"validation": ([[0.0, 0.0]], [0.0])}, TypeError, "validation: expected a share"),
        ({"seed": -1}, ValueError, "seed: expected"),
        ({"threads": 0}, ValueError, "threads: expected"),
        ({"progress": 3}, TypeError, "progress: expected"),
        ({"output": "sigmoid", "loss": "cross_entropy"}, ValueError, "outputs: cross_entropy expects targets from 0"),
    ],
)
def test_wrong_arguments_are_named(wrong, error, said):
    with pytest.raises(error, match=said):
        bpjit.fit_groups(**{"frame": TABLE, **NAMES, **COMMON, **wrong})


def test_wrong_arguments_of_others_are_named(fit):
    with pytest.raises(ValueError, match="frame: expected a column 'x2', got none"):
        fit.predict({name: values for name, values in TABLE.items() if name != "x2"})
    with pytest.raises(KeyError, match=r"key: expected one of 5 values of \(store, item\)"):
        fit["q", 1]
    with pytest.raises(TypeError, match="threads: expected none"):
        bpjit.GroupWorker(**NAMES, threads=2)
    with pytest.raises(ValueError, match="rule: expected"):
        bpjit.GroupWorker(**NAMES, rule="sgdd")
    assert ("a", 1) in fit
    assert ("q", 1) not in fit
    assert ("a",) not in fit  # a parent
