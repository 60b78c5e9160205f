"""train_many, search and fit_groups that are killed go on from their checkpoint, to the bits of one run."""

import datetime
import os
import random
import shutil
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.common import files
from bpjit.groups import training as groups_training
from bpjit.many import rounds, train_many
from bpjit.many.given import Given
from bpjit.many.terms import check_same, terms_of
from cases import AfterAWhile, slow
from test_resume_many import VALIDATION, X, Y, assert_same, nets

FILES = Path(__file__).parent / "files"
SHORT = datetime.timedelta(seconds=0.002)


class Killed(BaseException):
    """Just after something was written."""


@pytest.fixture
def kill_after(monkeypatch):
    """How many more checkpoints may be written."""
    left = [0]

    def killing(write):
        def written(*arguments):
            write(*arguments)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        return written

    monkeypatch.setattr(rounds.Rounds, "_write", killing(rounds.Rounds._write))
    monkeypatch.setattr(groups_training.Keeping, "write", killing(groups_training.Keeping.write))
    return left


def until_done(call, kill_after, writes, check=lambda: None):
    """Kill it after so many checkpoints, again and again; returns what it gave in the end, and how often it took."""
    for kills in range(1000):
        kill_after[0] = writes
        try:
            return call(), kills
        except Killed:
            check()
    raise AssertionError("it never came to an end")


# --- train_many.

QUICK = {
    "sgd": {"stop": 400},
    "own": {"seed": list(range(41)), "eta": bpjit.Cosine(0.5, 60), "max_epochs": [100 + 7 * i for i in range(41)]},
}
SLOW = {
    "batches": {"rule": "adam", "updates": 7, "lam": 0.9999, "stop": [bpjit.TargetError(0.12), 300]},
    "early": {"rule": "momentum", "eta": 0.05, "stop": [bpjit.EarlyStopping(30, every=2), 300], "history": True}
    | {"validation": VALIDATION},
    "adaptive": {"eta": bpjit.AdaptiveRate(0.5), "lam": 0.999, "stop": 200},
    "window": {"rule": "adam", "eta": 0.01, "stop": [bpjit.NoImprovement(90, 1e-4), 500]},
    "stall": {"rule": "momentum", "eta": 0.5, "stop": [600, bpjit.NoImprovement(50)], "updates": "accumulated"},
    "second order": {"rule": [("lm", "lbfgs", "scg", "br")[i % 4] for i in range(41)], "stop": 60},
    "alone": {"rule": ["lm", "lbfgs"] * 20 + ["scg"], "stop": [bpjit.NoImprovement(20), 40], "history": True},
    "resumable": {"resumable": True, "stop": [bpjit.TargetError(0.1), 200], "eta": 2.0},
}
CASES = [*QUICK, *map(slow, SLOW)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("every", "threads"), [(SHORT, 1), (37, 2)])
def test_killed_again_and_again_it_ends_in_the_same_bits(name, every, threads, kill_after, tmp_path):
    settings, path = (QUICK | SLOW)[name], tmp_path / "run"
    start = nets() if name != "alone" else [*nets(40), bpjit.Network.random((2, 300, 1), "tanh", seed=1)]

    def call():
        how = {"checkpoint": path, "checkpoint_every": every, "resume": path, "threads": threads}
        return bpjit.train_many(start, X, Y, **settings, **how)

    done, kills = until_done(call, kill_after, 2)
    whole = bpjit.train_many(start, X, Y, **settings)
    assert_same(done, whole)
    assert kills > 0
    assert os.listdir(tmp_path) == ["run"]
    if name == "resumable":
        again = bpjit.train_many(done.networks, X, Y, eta=2.0, stop=50, resume=done)
        assert_same(again, bpjit.train_many(start, X, Y, eta=2.0, max_epochs=(done.epochs + 50).tolist()))


def test_networks_that_have_ended_are_never_trained_again(monkeypatch, tmp_path):
    epochs = np.zeros(41, np.int64)

    def counted(portion, *rest):
        before = np.zeros(len(portion)) if portion.kept is None else portion.kept["epochs"]
        results = run(portion, *rest)
        epochs[portion.members] += (results.epochs - before).astype(np.int64)
        return results

    run = train_many.run
    monkeypatch.setattr(train_many, "run", counted)
    path, settings = tmp_path / "run", {"stop": [bpjit.TargetError(0.1), 12], "eta": 0.5}
    fits = bpjit.train_many(nets(), X, Y, checkpoint=path, checkpoint_every=4, **settings)
    assert len(set(fits.epochs.tolist())) > 5
    assert np.array_equal(epochs, fits.epochs)
    again = bpjit.train_many(nets(), X, Y, resume=path, **settings)
    assert np.array_equal(epochs, fits.epochs)
    assert_same(again, fits)
    more = bpjit.train_many(nets(), X, Y, resume=path, **settings | {"stop": [bpjit.TargetError(0.1), 18]})
    assert_same(more, bpjit.train_many(nets(), X, Y, **settings | {"stop": [bpjit.TargetError(0.1), 18]}))
    assert (more.epochs > fits.epochs).any()


@pytest.mark.parametrize("end", ["StopEvent", "TimeLimit", "interrupted"])
def test_what_ends_a_call_can_be_gone_on_from(end, tmp_path, capsys):
    path, first = tmp_path / "run", [10**6]
    if end == "StopEvent":
        first.append(AfterAWhile(40))
    elif end == "TimeLimit":
        first.append(bpjit.TimeLimit(0.3))
    else:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    half = bpjit.train_many(nets(), X, Y, stop=first, checkpoint=path, checkpoint_every=SHORT)
    assert set(half.stopped_by) == {end}
    assert np.isfinite(half.error).all()
    assert half.epochs.max() > 0
    stop = int(half.epochs.max()) + 100
    done = bpjit.train_many(nets(), X, Y, stop=stop, resume=path)
    assert_same(done, bpjit.train_many(nets(), X, Y, stop=stop))


def test_from_inside_an_epoch(kill_after, tmp_path):
    m, path = 40_000, tmp_path / "run"
    X = np.random.default_rng(1).normal(size=(m, 2))
    Y = (X[:, 0] > X[:, 1]).astype(float)
    call = {"checkpoint": path, "resume": path, "checkpoint_every": SHORT, "stop": 2}
    done, kills = until_done(lambda: bpjit.train_many(nets(9), X, Y, **call), kill_after, 2)
    assert kills >= 1
    assert_same(done, bpjit.train_many(nets(9), X, Y, stop=2))


def test_workers_of_an_executor_have_checkpoints_too(kill_after, tmp_path):
    path, settings = tmp_path / "run", QUICK["sgd"]
    with ThreadPoolExecutor(2) as executor:

        def call():
            how = {"checkpoint": path, "checkpoint_every": 50, "resume": path, "executor": executor}
            return bpjit.train_many(nets(), X, Y, **settings, **how)

        done, kills = until_done(call, kill_after, 3)
    assert kills > 1
    assert_same(done, bpjit.train_many(nets(), X, Y, **settings))


def test_searches_that_only_call_train_many_have_it_for_nothing(kill_after, tmp_path):
    path, settings = tmp_path / "run", {"settings": {"eta": [0.2, 0.5, 1.0]}, "stop": 60}

    def call(**how):
        return bpjit.grid(nets(14), X, Y, **settings, **how).fits

    how = {"checkpoint": path, "checkpoint_every": 20, "resume": path}
    fits, kills = until_done(lambda: call(**how), kill_after, 2)
    assert kills > 1
    assert_same(fits, call())


# --- What is refused.


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "run"
    bpjit.train_many(nets(3), X, Y, stop=5, eta=[0.5, 0.4, 0.3], checkpoint=path)
    return path


OTHER = nets(3).parameters.copy()
OTHER[1, 2] += 1e-16 + abs(OTHER[1, 2]) * 1e-15
OTHERS = {
    "eta": ({"eta": [0.5, 0.2, 0.3]}, r"network 1: eta: the checkpoint was made with 0.4, got 0.2; give the same"),
    "schedule": ({"eta": bpjit.Cosine(0.5, 60)}, r"network 0: eta: .* 0.5, got Cosine\(eta=0.5, epochs=60"),
    "rule": ({"rule": "adam"}, r"rule: the checkpoint was made with SGD\(\), got Adam\(beta1=0.9"),
    "one rule": ({"rule": ["sgd", "sgd", bpjit.Momentum(0.5)]}, r"network 2: rule: .* got Momentum\(mu=0.5"),
    "lam": ({"lam": 0.99}, "lam: the checkpoint was made with None, got 0.99"),
    "seed": ({"seed": 4}, "seed: the checkpoint was made with 0, got 4"),
    "updates": ({"updates": 3}, "updates: the checkpoint was made with 'stochastic', got 3"),
    "loss": ({"loss": "absolute"}, "loss: the checkpoint was made with 'squared', got 'absolute'"),
    "shuffle": ({"shuffle": False}, "shuffle: the checkpoint was made with True, got False"),
    "history": ({"history": True}, "history: the checkpoint was made with False, got True"),
    "stop": ({"stop": [bpjit.NoImprovement(3), 5]}, r"stop: .* with \[\], got \[NoImprovement\(patience=3"),
    "target_error": ({"target_error": 0.1}, "target_error: the checkpoint was made with None, got 0.1"),
    "max_epochs": ({"stop": 4}, "network 0: max_epochs: the checkpoint has come to epoch 5, got 4"),
    "trainable": ({"train_thresholds": False}, "trainable: the checkpoint was made with others"),
    "X": ({"X": X + 1e-9}, "X: the checkpoint was made with others"),
    "Y": ({"Y": 1 - Y}, "Y: the checkpoint was made with others"),
    "weights": ({"sample_weight": np.arange(1.0, 24)}, "sample_weight: the checkpoint was made with others"),
    "classes": ({"class_weight": "balanced"}, "class_weight: the checkpoint was made with None, got 'balanced'"),
    "share": ({"validation": 0.2}, "validation: the checkpoint was made with None, got 0.2"),
    "validation": ({"validation": VALIDATION}, "validation X: the checkpoint was made with others"),
    "nets": (
        {"nets": bpjit.Networks((2, 4, 1), OTHER, hidden="tanh")},
        "network 1: nets: the checkpoint was made with",
    ),
    "activation": (
        {"nets": bpjit.Networks((2, 4, 1), nets(3).parameters)},
        "nets: the checkpoint was made with others",
    ),
    "count": ({"nets": nets(2), "eta": 0.5}, "nets: the checkpoint was made with 3 networks, got 2"),
    "kernels": ({"shape_kernels": False}, "shape_kernels: the checkpoint was made with True, got False"),
    "target": ({"target": "cuda"}, "target: the checkpoint to resume ran on 'cpu', got 'cuda'"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_run_is_refused_with_what_differs(name, written):
    other, message = OTHERS[name]
    call = {"nets": nets(3), "X": X, "Y": Y, "stop": 5, "eta": [0.5, 0.4, 0.3]} | other
    if name == "target" and not bpjit.cuda_info().usable:
        pytest.skip("there is no GPU")
    if "target_error" in call:
        call["stop"] = 5
    before = written.read_bytes()
    with pytest.raises(ValueError, match=message):
        bpjit.train_many(**call, resume=written)
    assert written.read_bytes() == before


def test_own_data_name_their_network():
    def terms(*targets):
        given = Given(nets(3), [X, X[:9], X[3:]], list(targets))
        return terms_of(given.groups(), 3, {})

    before = terms(Y, Y[:9], Y[3:])
    check_same(terms(Y, Y[:9], Y[3:]), before)
    with pytest.raises(ValueError, match="network 1: Y: the checkpoint was made with others"):
        check_same(terms(Y, 1 - Y[:9], Y[3:]), before)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"checkpoint": 7}, TypeError, "checkpoint: expected the name of a file"),
        ({"checkpoint": ""}, ValueError, "checkpoint: expected the name of a file, got ''"),
        (
            {"checkpoint": "x", "checkpoint_every": 0.5},
            TypeError,
            "checkpoint_every: expected a whole number of epochs",
        ),
        ({"checkpoint": "x", "checkpoint_every": 0}, ValueError, "checkpoint_every: expected"),
        ({"checkpoint": "x", "checkpoint_every": datetime.timedelta(0)}, ValueError, "expected a time > 0"),
        ({"checkpoint_every": 5}, ValueError, "checkpoint_every: goes with checkpoint, the name of a file, got 5"),
        ({"resume": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"resume": "nowhere", "checkpoint": "x"}, FileNotFoundError, "nowhere"),
        ({"checkpoint": "no/folder/x"}, FileNotFoundError, "no/folder/x"),
        ({"checkpoint": "."}, IsADirectoryError, "."),
        ({"resume": 7}, TypeError, "resume: expected Fits that train_many returned, or the path of a checkpoint"),
    ],
)
def test_arguments_that_cannot_be(how, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        bpjit.train_many(nets(3), X, Y, stop=5, **how)
    assert os.listdir(tmp_path) == []


def test_fits_have_no_checkpoint(tmp_path):
    fits = bpjit.train_many(nets(3), X, Y, stop=5, resumable=True)
    with pytest.raises(ValueError, match="resume: with a checkpoint expected the path of one, or None, got Fits"):
        bpjit.train_many(fits.networks, X, Y, stop=5, resume=fits, checkpoint=tmp_path / "run")


def test_files_of_another_kind_are_refused(written, tmp_path):
    path = tmp_path / "other"
    bpjit.Network.random((2, 3, 1)).save(path)
    with pytest.raises(ValueError, match="resume: expected a bpjit checkpoint of train_many file, .* of another kind"):
        bpjit.train_many(nets(3), X, Y, stop=5, resume=path)
    data = written.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(ValueError, match="resume: expected .* damaged: its digest does not fit"):
        bpjit.train_many(nets(3), X, Y, stop=5, resume=path)
    path.write_bytes(data[:100])
    with pytest.raises(ValueError, match="resume: expected .* damaged"):
        bpjit.train_many(nets(3), X, Y, stop=5, resume=path)
    words, tensors = files.read(written, "bpjit checkpoint of train_many", "1")
    words = {name: word for name, word in words.items() if name not in ("format", "version")}
    files.write(path, "bpjit checkpoint of train_many", "2", words, tensors)
    with pytest.raises(ValueError, match="resume: expected .* of version '2', not '1'; a newer bpjit may read it"):
        bpjit.train_many(nets(3), X, Y, stop=5, resume=path)
    files.write(path, "bpjit checkpoint of train_many", "1", words, {**tensors, "0.members": np.array([0, 1, 3])})
    with pytest.raises(ValueError, match="damaged: expected numbers of 3 networks"):
        bpjit.train_many(nets(3), X, Y, stop=5, resume=path)


# --- What becomes of the file.


def test_a_full_disk_later_on_is_told_once(monkeypatch, tmp_path):
    path, space = tmp_path / "run", [2]
    write = files.write_whole

    def until_full(name, data):
        space[0] -= 1
        if -6 < space[0] < 0:
            raise OSError(28, "No space left on device", str(name))
        write(name, data)

    monkeypatch.setattr(files, "write_whole", until_full)
    with pytest.warns(RuntimeWarning, match="checkpoint: .* No space left on device.*goes on") as told:
        fits = bpjit.train_many(nets(), X, Y, stop=400, checkpoint=path, checkpoint_every=37)
    assert len(told) == 1
    assert_same(fits, bpjit.train_many(nets(), X, Y, stop=400))
    assert space[0] < -6
    assert_same(bpjit.train_many(nets(), X, Y, stop=400, resume=path), fits)
    space[0] = 0
    with pytest.raises(OSError, match="No space left on device"):
        bpjit.train_many(nets(), X, Y, stop=400, checkpoint=path, resume=path)


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("for root no folder is read-only")
    os.chmod(tmp_path, 0o500)
    with pytest.raises(PermissionError):
        bpjit.train_many(nets(), X, Y, stop=400, checkpoint=tmp_path / "run")


def test_two_writers_of_one_file_both_end_right(tmp_path):
    path, ends = tmp_path / "run", {}

    def train(name):
        ends[name] = bpjit.train_many(nets(), X, Y, stop=400, checkpoint=path, checkpoint_every=SHORT, threads=1)

    both = [threading.Thread(target=train, args=(name,)) for name in "ab"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    whole = bpjit.train_many(nets(), X, Y, stop=400)
    for fits in (ends["a"], ends["b"], bpjit.train_many(nets(), X, Y, stop=400, resume=path)):
        assert_same(fits, whole)
    assert os.listdir(tmp_path) == ["run"]


def by_hand():
    """Networks, data and settings of which no number was ever rounded."""
    vectors = (np.arange(5 * 17).reshape(5, 17) % 23 - 11) / 16
    inputs = (np.arange(2 * 23).reshape(23, 2) % 7 - 3) / 4
    targets = (inputs[:, 0] * inputs[:, 1] > 0).astype(float)
    return bpjit.Networks((2, 4, 1), vectors, hidden="tanh"), inputs, targets


def test_a_file_of_version_1_is_read():
    """Written by this call, with a checkpoint every 15 epochs, after 30: two networks had ended, three go on."""
    settings = {"eta": [0.5, 0.25, 0.5, 0.75, 1.0]}
    start, inputs, targets = by_hand()
    path = FILES / "train_many.checkpoint"
    fits = bpjit.train_many(start, inputs, targets, max_epochs=[20, 20, 60, 60, 60], resume=path, **settings)
    whole = bpjit.train_many(start, inputs, targets, max_epochs=[20, 20, 60, 60, 60], **settings)
    assert fits.epochs.tolist() == [20, 20, 60, 60, 60]
    np.testing.assert_allclose(fits.networks.parameters, whole.networks.parameters, rtol=1e-9)


# --- search.

SPACE = {"hidden": [2, 3, 4], "eta": [0.01, 0.1], "init_seed": [0, 1, 2]}
SEARCH = {"rule": "adam", "updates": "accumulated", "max_epochs": 90, "min_epochs": 10, "folds": 3}


def searched(**how):
    return bpjit.search(SPACE, X, Y, **SEARCH, **how)


def assert_same_search(found, expected):
    for name in ("best", "error", "std", "table", "epochs", "stopped_by", "settings"):
        assert getattr(found, name) == getattr(expected, name), name
    assert np.array_equal(found.networks.parameters, expected.networks.parameters)
    assert [rung[:-1] for rung in found.rungs] == [rung[:-1] for rung in expected.rungs]


@pytest.mark.parametrize(("every", "writes"), [slow(SHORT, 2), (7, 3)])
def test_a_search_killed_again_and_again_finds_the_same(every, writes, kill_after, tmp_path):
    path = tmp_path / "run"
    how = {"checkpoint": path, "checkpoint_every": every, "resume": path}
    found, kills = until_done(lambda: searched(**how), kill_after, writes)
    assert kills > 2
    kill_after[0] = 0
    whole = searched()
    assert len(whole.rungs) == 3
    assert_same_search(found, whole)
    assert_same_search(searched(resume=path), whole)


def test_a_search_cut_off_again_gives_the_best_of_the_rungs_behind_it(kill_after, tmp_path):
    path = tmp_path / "run"
    kill_after[0] = 4  # in the second rung
    with pytest.raises(Killed):
        searched(checkpoint=path, checkpoint_every=7)
    kill_after[0] = 0
    event = threading.Event()
    event.set()
    cut = searched(resume=path, budget=event)
    first = bpjit.search(SPACE, X, Y, **SEARCH | {"max_epochs": 10}, halving=10**6)
    assert (cut.stopped_by, len(cut.rungs)) == ("StopEvent", 1)
    assert (cut.best, cut.error) == (first.best, first.error)
    assert np.array_equal(cut.networks.parameters, first.networks.parameters)


def test_another_search_is_refused(kill_after, tmp_path):
    path = tmp_path / "run"
    kill_after[0] = 4
    with pytest.raises(Killed):
        searched(checkpoint=path, checkpoint_every=7)
    for other, message in (
        ({"n": 5}, "n: the checkpoint was made with 18, got 5"),
        ({"seed": 1}, "seed: the checkpoint was made with 0, got 1"),
        ({"max_epochs": 99}, "max_epochs: the checkpoint was made with 90, got 99"),
        ({"updates": 5}, "space: the checkpoint was made with another, configuration 0 being"),
        ({"dtype": "float32"}, "configuration .*: nets: the checkpoint was made with others"),
        ({"shuffle": False}, "shuffle: the checkpoint was made with True, got False"),
        ({"stop": bpjit.TargetError(0.1)}, "target_error: the checkpoint was made with"),
    ):
        with pytest.raises(ValueError, match=message):
            bpjit.search(SPACE, X, Y, **SEARCH | other, resume=path)
    for space, X_, message in (
        (SPACE | {"eta": [0.02, 0.1]}, X, "space: the checkpoint was made with another, configuration"),
        (SPACE, X + 1e-9, "X: the checkpoint was made with others"),
    ):
        with pytest.raises(ValueError, match=message):
            bpjit.search(space, X_, Y, **SEARCH, resume=path)
    with pytest.raises(ValueError, match="checkpoint of train_many file, .* of another kind"):
        bpjit.train_many(nets(3), X, Y, resume=path)
    with pytest.raises(ValueError, match="checkpoint: a search that asks a study has none"):
        bpjit.search(SPACE, X, Y, **SEARCH, study=object(), checkpoint=path)


# --- fit_groups.


def table(keys=1200, rows=12):
    rng = np.random.default_rng(2)
    x = rng.normal(size=keys * rows)
    frame = {"key": np.repeat(np.arange(keys), rows), "x": x, "y": np.sin(x) + 0.1 * rng.normal(size=keys * rows)}
    frame["x"][frame["key"] == 7] = np.nan
    frame["z"] = rng.normal(size=keys * rows)
    return frame


GROUPS = {"key": "key", "inputs": ["x", "z"], "outputs": "y", "hidden": 4, "parent_rows": 100}


def assert_same_groups(fit, expected):
    for name in ("parameters", "own", "rows", "left_out", "error", "epochs", "stopped_by", "note", "digests"):
        mine, theirs = (getattr(each._trained, name) for each in (fit, expected))
        assert np.array_equal(mine, theirs, equal_nan=name == "error"), name
    assert all(np.array_equal(fit._trained.scales.arrays[name], array) for name, array in
               expected._trained.scales.arrays.items())  # fmt: skip


def test_groups_killed_again_and_again_are_the_same(kill_after, monkeypatch, tmp_path):
    path, frame, sizes, settings = tmp_path / "run", table(), [], {**GROUPS, "stop": 400}
    monkeypatch.setattr(groups_training, "NUMBERS", 1200)
    how = {"checkpoint": path, "checkpoint_every": datetime.timedelta(microseconds=1), "resume": path}

    def check():
        sizes.append(int(bpjit.GroupFit.load(path)._trained.own.sum()))

    fit, kills = until_done(lambda: bpjit.fit_groups(frame, **settings, threads=1, **how), kill_after, 4, check)
    assert kills > 3
    assert sizes == sorted(sizes)
    whole = bpjit.fit_groups(frame, **settings)
    assert_same_groups(fit, whole)
    assert_same_groups(bpjit.GroupFit.load(path), whole)
    again = bpjit.fit_groups(frame, **settings, resume=path)
    assert again.trained == 0
    assert_same_groups(again, whole)
    frame["y"][40] += 1.0
    changed = bpjit.fit_groups(frame, **settings, resume=path)
    assert 1 <= changed.trained <= 2  # the key, and perhaps that of all rows
    assert_same_groups(changed, bpjit.fit_groups(frame, **settings))


def test_other_groups_are_refused(tmp_path):
    path, frame = tmp_path / "run", table(20)
    bpjit.fit_groups(frame, **GROUPS, stop=5, checkpoint=path)
    for other, message in (
        ({"hidden": 5}, r"hidden: the checkpoint was made with \[4\], got \[5\]"),
        ({"inputs": ["z", "x"]}, r"inputs: the checkpoint was made with \['x', 'z'\], got \['z', 'x'\]"),
        ({"activation": "sigmoid"}, "activation: the checkpoint was made with"),
        ({"eta": 0.1}, "eta: the checkpoint was made with None, got 0.1"),
        ({"stop": 6}, "stop: the checkpoint was made with"),
        ({"seed": 1}, "seed: the checkpoint was made with 0, got 1"),
        ({"dtype": "float32"}, "dtype: the checkpoint was made with 'float64', got 'float32'"),
    ):
        with pytest.raises(ValueError, match=message):
            bpjit.fit_groups(frame, **GROUPS | {"stop": 5} | other, resume=path)
    with pytest.raises(TypeError, match="checkpoint_every: of fit_groups those keys are written that are done"):
        bpjit.fit_groups(frame, **GROUPS, checkpoint=path, checkpoint_every=5)
    with pytest.raises(TypeError, match="resume: expected the path of a checkpoint"):
        bpjit.fit_groups(frame, **GROUPS, resume=7)


# --- Really killed.


def killed(call, path, rng, longest, kills, load):
    """Kill it so many times at random moments, starting it again after each; returns how many kills met it alive. The
    file is whole after each, or there is none yet."""
    met = 0
    for _ in range(kills):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: those here are idle
            child = os.fork()
        if child == 0:
            try:
                call()
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        met += os.waitpid(child, 0)[1] == signal.SIGKILL
        if path.exists():
            load()
    return met


def mixed():
    """Networks of several shapes and dtypes, by rules of all kinds; a third of them train alone."""
    start = [
        bpjit.Network.random((2, 3 + i % 3, 1), "tanh", seed=i, dtype=("float64", "float32")[i % 2]) for i in range(36)
    ]
    start += [bpjit.Network.random((2, 300, 1), "tanh", seed=i) for i in range(4)]
    rules = [["sgd", "adam", "momentum", "rprop", "lm", "lbfgs", "scg", "nesterov", "br"][i % 9] for i in range(36)]
    return start, {"rule": [*rules, "sgd", "adam", "rprop", "scg"], "max_epochs": [600] * 36 + [30] * 4}


def check_kills(call, path, seed, longest, kills, resume):
    """Killed so many times and then let alone, it comes to the same end."""
    rng, count = random.Random(str(seed)), 0
    whole = call()
    while count < kills:
        met = killed(lambda: call(**resume), path, rng, longest, 1, lambda: shutil.copy(path, f"{path}.copy"))
        count += 1
        if not met and count < kills:  # it had ended: once more from the start
            os.unlink(path)
    return whole, call(**resume)


def test_killed_at_random_moments(tmp_path):
    path = tmp_path / "run"

    def call(**how):
        return bpjit.train_many(nets(), X, Y, stop=40_000, **how)

    resume = {"checkpoint": path, "checkpoint_every": SHORT, "resume": path}
    whole, done = check_kills(call, path, 0, 0.25, 3, resume)
    assert_same(done, whole)


@pytest.mark.slow
@pytest.mark.parametrize("every", [datetime.timedelta(seconds=0.05), 40])
def test_killed_fifty_times_in_mixed_company(every, tmp_path):
    path, (start, settings) = tmp_path / "run", mixed()

    def call(**how):
        return bpjit.train_many(start, X, Y, **settings, **how)

    whole, done = check_kills(
        call, path, every, 1.0, 25, {"checkpoint": path, "checkpoint_every": every, "resume": path}
    )
    assert_same(done, whole)


@pytest.mark.slow
def test_a_search_and_groups_killed_at_random_moments(tmp_path):
    path = tmp_path / "search"
    resume = {"checkpoint": path, "checkpoint_every": SHORT, "resume": path}
    whole, found = check_kills(searched, path, 1, 0.2, 15, resume)
    assert_same_search(found, whole)
    path, frame = tmp_path / "groups", table()
    resume = {"checkpoint": path, "checkpoint_every": SHORT, "resume": path}
    whole, fit = check_kills(
        lambda **how: bpjit.fit_groups(frame, **GROUPS, stop=3000, **how), path, 2, 0.5, 15, resume
    )
    assert_same_groups(fit, whole)
