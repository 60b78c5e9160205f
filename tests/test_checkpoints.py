"""Trainings and learners as files: what was killed, or written and read again, goes on with the same bits."""

import contextlib
import errno
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.common import files
from bpjit.settings.schedules import Schedule
from bpjit.settings.stopping import Condition
from bpjit.training import checkpoints, loop, second_order, session, storing

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = RNG.uniform(0.1, 0.9, size=(12, 2))
LABELS = RNG.integers(0, 2, 12)
NET = bpjit.Network.random((3, 4, 2), seed=1)
SOFTMAX = bpjit.Network.random(
    (3, 4, 2), output="softmax", seed=2, dtype="float32", scale=bpjit.Scale.standard(X), columns=None
)
MOMENT = timedelta(microseconds=1)  # between two writes: one whenever the training looks up


@bpjit.rule(starts=(0.0,), eta=0.1, mu=0.5)
def rolling(w, g, state, eta, settings):
    m = settings.mu * state[0] + eta * g
    return w + m, (m,)


@dataclass(frozen=True)
class Enough(Condition):
    """One of the user's own: it ends where the error fell below a bound twice."""

    bound: float = 1.0

    def candidates(self, history, since):
        return [epoch for epoch in np.flatnonzero(history.errors < self.bound)[1:] + 1 if epoch > since]


SETTINGS = {
    "sgd": {"stop": 40, "eta": bpjit.StepDecay(1.0, 0.5, 10)},
    "adam": {"rule": "adam", "updates": 5, "stop": [20, bpjit.TargetError(1e-9)], "lam": 0.999},
    "rprop": {"rule": bpjit.Rprop("iRprop+", delta0=(0.05, 0.2)), "stop": [40, bpjit.NoImprovement(25)]},
    "lbfgs": {"rule": "lbfgs", "stop": [25, bpjit.EarlyStopping(20)], "validation": 0.25},
    "adaptive": {
        "eta": bpjit.AdaptiveRate(3.0),
        "updates": 5,
        "validation": 0.25,
        "stop": [20, bpjit.EarlyStopping(every=2, generalization_loss=500.0, progress=1e-9)],
        "history": 5,
    },
    "softmax": {"rule": "adam", "updates": 5, "sample_weight": np.arange(12.0), "class_weight": "balanced", "stop": 15},
    "diverged": {"eta": 1e200, "stop": 40},
    "diverged later": {"eta": 1e5, "updates": 5, "stop": 4000},
}
MORE = {
    "br": {"rule": "br", "stop": [12, bpjit.NoImprovement(10, 1e-3)]},
    "quickprop": {"rule": "quickprop", "stop": 40},
    "own": {"rule": rolling(mu=0.7), "stop": [40, Enough(0.02)], "train_thresholds": False},
    "lm": {"rule": "lm", "stop": [25, bpjit.GradientNorm(1e-12, 3)], "trainable": [True, (True, False)]},
    "scg": {"rule": "scg", "stop": 25},
    "nesterov": {"rule": "nesterov", "shuffle": False, "updates": 1, "stop": 25, "loss": "huber", "missing": "ignore"},
}
CASES = [*SETTINGS, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)]


def problem(name):
    """The arguments of a training, and its settings."""
    settings = (SETTINGS | MORE)[name]
    if name == "softmax":
        return (SOFTMAX, X, LABELS), settings
    if name.startswith("diverged"):
        return (bpjit.Network.random((3, 2), output="identity"), X, Y), settings
    targets = Y.copy()
    if "missing" in settings:
        targets[3:5, 1] = np.nan
    return (NET, X, targets), settings


def check_same(one, other):
    """That two fits are the same to the last bit, but for the time they took."""
    assert one.network == other.network
    for name in ("errors", "validation_errors", "recorded"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    for name in ("error", "objective", "epochs", "updates", "best_epoch", "network_epoch", "stopped_by", "evidence"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine == theirs or (mine != mine and theirs != theirs), name


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Copies of all that was written."""
    copies = []

    def save(path, *rest):
        storing.save(path, *rest)
        copies.append(shutil.copy(path, tmp_path / f"copy{len(copies)}"))

    monkeypatch.setattr(checkpoints, "save", save)
    return copies


@pytest.fixture
def short_calls(monkeypatch):
    """Kernels return after a few samples."""
    monkeypatch.setattr(session, "FIRST_CALL_SECONDS", 1e-12)
    monkeypatch.setattr(session, "CALL_SECONDS", 1e-12)
    monkeypatch.setattr(second_order, "FIRST_BUDGET", 1)


# --- A fit as a file.


@pytest.mark.parametrize("name", CASES)
def test_a_fit_that_is_read_goes_on_as_the_one_in_memory(name, tmp_path):
    data, settings = problem(name)
    whole = bpjit.train(*data, **settings)
    stop = settings["stop"] if isinstance(settings["stop"], list) else [settings["stop"]]
    half = bpjit.train(*data, **settings | {"stop": [7, *stop[1:]]})
    half.save(tmp_path / "half")
    read = bpjit.Fit.load(tmp_path / "half")
    check_same(read, half)
    assert (read.seconds, read.compile_seconds, read.target) == (half.seconds, half.compile_seconds, half.target)
    assert read.advice == half.advice
    rest = settings | {"stop": [stop[0] - half.epochs, *stop[1:]]}
    goes_on = half.stopped_by == "MaxEpochs"
    assert goes_on == (name != "diverged")
    if goes_on:
        fits = [bpjit.train(fit.network, *data[1:], resume=fit, **rest) for fit in (half, read)]
        check_same(*fits)
        check_same(fits[0], whole)


def test_inside_an_epoch_too(short_calls, tmp_path):
    (net, *data), settings = problem("adam")
    event = threading.Event()
    event.set()
    stopped = bpjit.train(net, *data, **settings | {"stop": event})
    stopped.save(tmp_path / "fit")
    read = bpjit.Fit.load(tmp_path / "fit")
    assert read._state["memory"].counters.tolist() == [0, 5, 1, 0, 5]  # an update in the first epoch
    check_same(bpjit.train(read.network, *data, resume=read, **settings), bpjit.train(net, *data, **settings))


def test_a_fit_that_is_read_replays_and_says_the_same(tmp_path):
    first = bpjit.train(NET, X, Y, stop=5)
    second = bpjit.train(first.network, X, 1 - Y, stop=5, resume=first)  # it began with the state of the first
    second.save(tmp_path / "fit")
    read, twin = bpjit.Fit.load(tmp_path / "fit"), pickle.loads(pickle.dumps(second))
    for name, fit in (("read", read), ("twin", twin)):
        with pytest.raises(ValueError, match="^X: expected the data again"):
            fit.replay(tmp_path / name)
        fit.replay(tmp_path / name, X=X, Y=1 - Y, title="one")
    assert (tmp_path / "read").read_bytes() == (tmp_path / "twin").read_bytes()
    assert str(bpjit.diagnose(read)) == str(bpjit.diagnose(second))
    read.save(tmp_path / "again")
    assert bpjit.Fit.load(tmp_path / "again").network == second.network


def test_columns_of_a_frame_are_in_the_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"size": [1.0, 2.0, 4.0, 7.0], "kind": ["a", "b", "a", "c"], "good": ["no", "yes"] * 2})
    net = bpjit.Network.for_table(table, outputs="good")
    whole = bpjit.train(net, table, stop=8, rule="adam")
    half = bpjit.train(net, table, stop=4, rule="adam")
    half.save(tmp_path / "fit")
    read = bpjit.Fit.load(tmp_path / "fit")
    check_same(bpjit.train(read.network, table, stop=4, rule="adam", resume=read), whole)
    assert read.network.classify(table).dtype == half.network.classify(table).dtype
    options = {"checkpoint": tmp_path / "run", "resume": tmp_path / "run", "rule": "adam"}
    bpjit.train(net, table, stop=4, **options)
    check_same(bpjit.train(net, table, stop=8, **options), whole)


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"rule": type("MyAdam", (bpjit.Adam,), {})()}, "rule"),
        ({"eta": type("Mine", (Schedule,), {})(0.1)}, "eta"),
    ],
)
def test_what_no_file_can_say_is_said_before_the_training(settings, argument, tmp_path):
    called = []
    with pytest.raises(TypeError, match=f"^{argument}: a file holds what bpjit has or makes"):
        bpjit.train(NET, X, Y, checkpoint=tmp_path / "run", callback=called.append, **settings)
    assert not called
    assert os.listdir(tmp_path) == []
    with pytest.raises(TypeError, match=f"^{argument}: "):
        bpjit.train(NET, X, Y, stop=1, **settings).save(tmp_path / "fit")


# --- A run that is kept in a file.


@pytest.mark.parametrize("name", CASES)
def test_what_goes_on_from_any_write_ends_in_the_same_bits(name, written, short_calls, tmp_path):
    data, settings = problem(name)
    whole = bpjit.train(*data, **settings)
    path = tmp_path / "run"
    check_same(bpjit.train(*data, checkpoint=path, resume=path, checkpoint_every=MOMENT, **settings), whole)
    assert len(written) > 3 or name == "diverged"
    inside = [bpjit.Fit.load(copy)._state["memory"].counters[1] > 0 for copy in written]
    if "updates" in settings and name != "nesterov":
        assert any(inside)
    for copy in written[-4:-1] if name.startswith("diverged") else random.Random(0).sample(written[:-1], 3):
        fit = bpjit.Fit.load(copy)
        assert fit.stopped_by == "checkpoint"
        assert np.isnan(fit.error)
        assert "checkpoint" in repr(fit)
        check_same(bpjit.train(*data, resume=copy, **settings), whole)
    check_same(bpjit.train(*data, resume=written[-1], **settings), whole)


def test_a_run_that_was_cut_off_again_and_again(tmp_path):
    data, settings = problem("rprop")
    path, starts = tmp_path / "run", []

    def cut(progress):
        if len(starts) < 9 and progress.epoch % 7 == 4 + len(starts) % 3:
            raise InterruptedError

    while True:
        starts.append(None)
        with contextlib.suppress(InterruptedError):
            fit = bpjit.train(*data, checkpoint=path, resume=path, checkpoint_every=1, callback=cut, **settings)
            break
    assert len(starts) == 9
    check_same(fit, bpjit.train(*data, **settings))


def test_conditions_count_from_the_first_start_and_limits_from_the_call(short_calls, tmp_path):
    options = {"checkpoint": tmp_path / "run", "resume": tmp_path / "run"}
    first = bpjit.train(NET, X, Y, stop=[60, bpjit.TimeLimit(1e-9)], **options)
    assert first.stopped_by == "TimeLimit"
    event = threading.Event()
    event.set()
    assert bpjit.train(NET, X, Y, stop=[60, event], **options).stopped_by == "StopEvent"
    event.clear()
    fit = bpjit.train(NET, X, Y, stop=[60, event, bpjit.TimeLimit(60)], **options)
    check_same(fit, bpjit.train(NET, X, Y, stop=60))


def test_a_run_that_has_ended_is_not_trained_any_more(tmp_path, monkeypatch):
    options = {"checkpoint": tmp_path / "run", "resume": tmp_path / "run", "rule": "rprop"}
    stop = [30, bpjit.NoImprovement(25)]
    done = bpjit.train(NET, X, Y, stop=stop, **options)
    longer = bpjit.train(NET, X, Y, stop=[50, bpjit.NoImprovement(25)], rule="rprop")
    before = (tmp_path / "run").stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(loop._Loop, "run", None)
        again = bpjit.train(NET, X, Y, stop=stop, **options)
        check_same(again, done)
        again.replay(tmp_path / "page")  # it knows the data
        assert (tmp_path / "run").stat().st_mtime_ns == before
    check_same(bpjit.train(NET, X, Y, stop=[50, bpjit.NoImprovement(25)], **options), longer)
    with pytest.raises(ValueError, match=r"^stop: the run in '.*run' has 50 epochs already.* more than that, got 40$"):
        bpjit.train(NET, X, Y, stop=40, **options)


@pytest.mark.parametrize("stop", [[9, bpjit.NoImprovement(9)], [bpjit.NoImprovement(9), 9], [9, Enough()]])
def test_what_could_have_ended_it_too_ends_it_when_it_goes_on(stop, tmp_path):
    """Of conditions that fire at the same epoch the first is named, and the others are asked first when it goes on."""
    options = {"checkpoint": tmp_path / "run", "resume": tmp_path / "run", "eta": 1e-30, "loss": "absolute"}
    first = bpjit.train(NET, X, Y, stop=stop, **options)
    longer = [12, *(condition for condition in stop if condition != 9)]
    whole = bpjit.train(NET, X, Y, stop=longer, eta=1e-30, loss="absolute")
    check_same(bpjit.train(NET, X, Y, stop=longer, **options), whole)
    assert first.epochs <= 9


@pytest.mark.parametrize("moment", ["before", "while"])
@pytest.mark.parametrize("kept", [True, False])
def test_conditions_that_a_limit_cut_off_are_asked_when_it_goes_on(moment, kept, tmp_path, monkeypatch):
    """TargetError fires at an epoch at which Ctrl-C, or a limit, comes just before or while it is asked."""
    whole = bpjit.train(NET, X, Y, stop=[bpjit.TargetError(0.04), 500], rule="rprop")
    assert whole.stopped_by == "TargetError"
    event = threading.Event()

    @dataclass(frozen=True)
    class Watching(Condition):
        def candidates(self, history, since):
            return [whole.epochs] if len(history.errors) >= whole.epochs > since else []

        def confirm(self, look):
            event.set()
            return False

    real = bpjit.TargetError.confirm

    def confirm(self, look):
        event.set()
        look.between()  # as where there is much to measure
        return real(self, look)

    stop = [bpjit.TargetError(0.04), 500, event]
    if moment == "before":
        stop.insert(0, Watching())
    else:
        monkeypatch.setattr(bpjit.TargetError, "confirm", confirm)
    options = {"rule": "rprop"} | ({"checkpoint": tmp_path / "run", "resume": tmp_path / "run"} if kept else {})
    first = bpjit.train(NET, X, Y, stop=stop, **options)
    monkeypatch.undo()
    assert (first.stopped_by, first.epochs) == ("StopEvent", whole.epochs)
    event.clear()
    if not kept:
        options["resume"], stop[-2] = first, 500 - first.epochs
    fit = bpjit.train(NET if kept else first.network, X, Y, stop=stop[-3:], **options)
    check_same(fit, whole)


def test_a_run_may_begin_with_a_fit(tmp_path):
    first = bpjit.train(NET, X, Y, stop=5, rule="adam")
    whole = bpjit.train(first.network, X, Y, stop=8, rule="adam", resume=first)
    path = tmp_path / "run"
    part = bpjit.train(first.network, X, Y, stop=3, rule="adam", resume=first, checkpoint=path)
    assert (part.epochs, whole.epochs) == (8, 13)
    check_same(bpjit.train(first.network, X, Y, stop=8, rule="adam", resume=path, checkpoint=path), whole)


def test_after_ctrl_c_it_goes_on(tmp_path):
    data, settings = problem("adam")
    path = tmp_path / "run"

    def press(progress):
        if progress.epoch == 9:
            signal.raise_signal(signal.SIGINT)

    first = bpjit.train(*data, checkpoint=path, checkpoint_every=timedelta(hours=1), callback=press, **settings)
    assert (first.stopped_by, first.epochs) == ("interrupted", 9)
    check_same(bpjit.Fit.load(path), first)
    check_same(bpjit.train(*data, resume=path, checkpoint=path, **settings), bpjit.train(*data, **settings))


def test_it_is_written_as_often_as_was_asked(written, tmp_path):
    bpjit.train(NET, X, Y, stop=20, checkpoint=tmp_path / "run", checkpoint_every=6)
    assert [bpjit.Fit.load(copy).epochs for copy in written] == [0, 6, 12, 18, 20]
    del written[:]
    bpjit.train(NET, X, Y, stop=20, checkpoint=tmp_path / "run")
    assert [bpjit.Fit.load(copy).epochs for copy in written] == [0, 20]


def test_a_file_that_is_resumed_from_need_not_be_written(tmp_path):
    bpjit.train(NET, X, Y, stop=5, checkpoint=tmp_path / "run")
    before = (tmp_path / "run").read_bytes()
    fit = bpjit.train(NET, X, Y, stop=9, resume=tmp_path / "run")
    assert (fit.epochs, (tmp_path / "run").read_bytes()) == (9, before)
    fit = bpjit.train(NET, X, Y, stop=9, resume=str(tmp_path / "run"), checkpoint=tmp_path / "other")
    assert (fit.epochs, (tmp_path / "run").read_bytes()) == (9, before)
    assert bpjit.Fit.load(tmp_path / "other").epochs == 9


# --- What is refused.

OTHERS = {
    "loss": {"loss": "huber"},
    "missing": {"missing": "ignore"},
    "rule": {"rule": bpjit.Momentum(mu=0.8)},
    "eta": {"eta": 0.3},
    "updates": {"updates": 4},
    "lam": {"lam": 0.99},
    "shuffle": {"shuffle": False},
    "seed": {"seed": 1},
    "trainable": {"train_thresholds": False},
    "validation": {"validation": (X[:5], Y[:5])},
    "sample_weight or class_weight": {"sample_weight": np.arange(1.0, 13.0)},
    "sample_weight": {"sample_weight": np.arange(12.0)},
    "target": {"target": "cuda"},
}
NETS = {
    "sizes": bpjit.Network.random((3, 5, 2), seed=1),
    "hidden": bpjit.Network.random((3, 4, 2), "tanh", seed=1),
    "output": bpjit.Network.random((3, 4, 2), output="identity", seed=1),
    "dtype": bpjit.Network.random((3, 4, 2), seed=1, dtype="float32"),
    "scale": bpjit.Network.random((3, 4, 2), seed=1, scale=bpjit.Scale.standard(X)),
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    path = tmp_path_factory.mktemp("begun") / "run"
    bpjit.train(NET, X, Y, stop=3, validation=(X[:4], Y[:4]), checkpoint=path)
    return path


def go_on(path, data=(NET, X, Y), **settings):
    return bpjit.train(*data, **{"stop": 5, "validation": (X[:4], Y[:4]), "resume": path} | settings)


@pytest.mark.parametrize("argument", OTHERS)
def test_other_settings_are_refused_by_name(argument, begun, monkeypatch):
    for function in ("target_of_data", "as_machine"):  # where there is a GPU
        monkeypatch.setattr(f"bpjit.training.train.{function}", lambda target, *data: target)
    with pytest.raises(ValueError, match=f"^{argument}: the (run|fit) .*(made|ran)( with| on)"):
        go_on(begun, **OTHERS[argument])
    assert go_on(begun).epochs == 5


@pytest.mark.parametrize("kind", NETS)
def test_other_networks_are_refused_by_what_differs(kind, begun):
    with pytest.raises(ValueError, match=f"^net's {kind}: the run in '.*run' began with a network with "):
        go_on(begun, (NETS[kind], X, Y))


def test_other_parameters_and_data_are_refused(begun):
    other = np.where(np.arange(12)[:, None] == 7, np.nextafter(X, 9), X)
    for argument, data, settings in (
        ("net", (bpjit.Network.random((3, 4, 2), seed=2), X, Y), {}),
        ("net", (go_on(begun).network, X, Y), {}),
        ("X", (NET, other, Y), {}),
        ("X", (NET, X[:-1], Y[:-1]), {}),
        ("Y", (NET, X, Y[::-1]), {}),
        ("validation", (NET, X, Y), {"validation": 0.25}),
        ("validation", (NET, X, Y), {"validation": (X[:4], Y[1:5])}),
        ("validation", (NET, X, Y), {"validation": None}),
    ):
        with pytest.raises(ValueError, match=rf"^{argument}: .*the run in '.*run'"):
            go_on(begun, data, **settings)


def test_files_of_other_kinds_and_versions_are_refused(begun, tmp_path, monkeypatch):
    NET.save(tmp_path / "net")
    bpjit.train(NET, X, Y, stop=1).save(tmp_path / "fit")
    (tmp_path / "damaged").write_bytes(begun.read_bytes()[:-1])
    words, tensors = files.read(begun, storing.FORMAT, storing.VERSION)
    for version in ("2", "1.5"):
        files.write(tmp_path / version, storing.FORMAT, version, {**words, "version": version}, tensors)
    for name, message in (
        ("net", "resume: expected a bpjit fit file, .* of another kind"),
        ("fit", r"resume: expected what train\(checkpoint=\) wrote, '.*fit' was written by Fit.save; give"),
        ("damaged", "resume: expected a bpjit fit file, .* damaged"),
        ("2", "resume: expected a bpjit fit file, .* of version '2', not '1'; a newer bpjit may read it"),
        ("1.5", "resume: expected a bpjit fit file, .* of version '1.5', not '1'; another bpjit may read it"),
    ):
        for options in ({}, {"checkpoint": tmp_path / name}):
            before = (tmp_path / name).read_bytes()
            with pytest.raises(ValueError, match=f"^{message}"):
                go_on(tmp_path / name, **options)
            assert (tmp_path / name).read_bytes() == before
    monkeypatch.setattr(storing, "VERSION", "2")  # as a later bpjit has it, which has read these
    monkeypatch.setattr(storing, "OLDER", ("1",))
    check_same(go_on(begun), bpjit.train(NET, X, Y, stop=5, validation=(X[:4], Y[:4])))


def test_a_file_that_is_missing_is_named_unless_it_is_written_too(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        go_on(tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        go_on(tmp_path / "none", checkpoint=tmp_path / "other")
    assert os.listdir(tmp_path) == []
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert go_on(tmp_path / "link", checkpoint=tmp_path / "run").epochs == 5
    assert go_on(tmp_path / "link").epochs == 5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"checkpoint": 7}, TypeError, "checkpoint: expected the name of a file, a str"),
        ({"checkpoint": ""}, ValueError, "checkpoint: expected the name of a file"),
        ({"resume": ""}, ValueError, "resume: expected the name of a file"),
        ({"resume": 7}, TypeError, "resume: expected a Fit that train returned, or a file's name"),
        ({"checkpoint": "x", "resume": 7}, TypeError, "resume: expected a Fit that train returned, or a file's name"),
        ({"checkpoint_every": 7}, ValueError, "checkpoint_every: goes with checkpoint"),
        ({"checkpoint": "x", "checkpoint_every": 0}, ValueError, "checkpoint_every: .*>= 1"),
        ({"checkpoint": "x", "checkpoint_every": True}, TypeError, "checkpoint_every: "),
        ({"checkpoint": "x", "checkpoint_every": 2.5}, TypeError, r"checkpoint_every: .*timedelta\(seconds=2.5\)"),
        ({"checkpoint": "x", "checkpoint_every": timedelta(0)}, ValueError, "checkpoint_every: expected a time > 0"),
    ],
)
def test_arguments(options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=f"^{message}"):
        bpjit.train(NET, X, Y, stop=1, **options)
    assert os.listdir(tmp_path) == []


# --- What cannot be written.


@pytest.mark.parametrize("place", ["a file/run", "no folder/run", "folder", "/proc/run", "/dev/full"])
def test_a_place_that_cannot_be_written_ends_the_call_before_it_trains(place, tmp_path):
    (tmp_path / "a file").touch()
    (tmp_path / "folder").mkdir()
    called = []
    with pytest.raises(OSError) as caught:
        bpjit.train(NET, X, Y, checkpoint=tmp_path / place, callback=called.append)
    assert caught.value.filename == str(tmp_path / place)
    assert not called


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS])
def test_a_write_that_fails_ends_nothing(reason, tmp_path, monkeypatch):
    """It is said once for all that fail in a row, and the next one is tried as if nothing had been."""
    path, real, full = tmp_path / "run", os.fsync, [False]

    def fsync(number):
        if full[0]:
            raise OSError(reason, os.strerror(reason))
        real(number)

    def fill(progress):
        full[0] = 3 <= progress.epoch <= 5

    monkeypatch.setattr(os, "fsync", fsync)
    kept = []

    def callback(progress):
        kept.append(bpjit.Fit.load(path).epochs)
        fill(progress)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = bpjit.train(NET, X, Y, stop=9, checkpoint=path, checkpoint_every=1, callback=callback)
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert str(warning.message).startswith(f"checkpoint: [Errno {reason}]")
    assert str(path) in str(warning.message)
    assert kept == [0, 1, 2, 2, 2, 2, 6, 7, 8]
    assert os.listdir(tmp_path) == ["run"]
    check_same(fit, bpjit.train(NET, X, Y, stop=9))
    check_same(bpjit.Fit.load(path), fit)


GOLD = Path(__file__).parent / "files"  # written when these formats began; every later version reads them
GOLD_X, GOLD_Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0]


def test_files_of_version_1_are_read_and_go_on(tmp_path):
    start = bpjit.Network.random((2, 1), seed=3)

    def close(fit, whole):
        np.testing.assert_allclose(fit.network.parameters, whole.network.parameters, rtol=1e-9)
        np.testing.assert_allclose(fit.errors, whole.errors, rtol=1e-9)
        assert (fit.epochs, fit.stopped_by) == (whole.epochs, whole.stopped_by)

    early = [bpjit.NoImprovement(9), bpjit.EarlyStopping(9)]
    options = {"rule": "adam", "validation": (GOLD_X, GOLD_Y)}
    fit = bpjit.Fit.load(GOLD / "fit.safetensors")
    fit = bpjit.train(fit.network, GOLD_X, GOLD_Y, resume=fit, stop=[7, *early], **options)
    close(fit, bpjit.train(start, GOLD_X, GOLD_Y, stop=[9, *early], **options))
    options = {"eta": bpjit.AdaptiveRate(1.0), "stop": [9, bpjit.GradientNorm(0.0, 2)]}
    assert bpjit.Fit.load(GOLD / "run.safetensors").epochs == 2
    fit = bpjit.train(start, GOLD_X, GOLD_Y, resume=GOLD / "run.safetensors", **options)
    close(fit, bpjit.train(start, GOLD_X, GOLD_Y, **options))
    learner = bpjit.OnlineLearner.load(GOLD / "learner.safetensors")
    twin = bpjit.OnlineLearner(start, rule="momentum", eta=0.01, lam=0.99, clip_gradient=1.0)
    for x, y in zip(GOLD_X, GOLD_Y, strict=True):
        twin.learn(x, y)
    np.testing.assert_allclose(learner.learn(GOLD_X[0], 1.0), twin.learn(GOLD_X[0], 1.0), rtol=1e-9)
    for kind, name in ((bpjit.Fit, "fit"), (bpjit.OnlineLearner, "learner")):
        kind.load(GOLD / f"{name}.safetensors").save(tmp_path / name)
        form = storing.FORMAT if name == "fit" else "bpjit online learner"
        old, new = (files.read(path, form, "1")[0] for path in (GOLD / f"{name}.safetensors", tmp_path / name))
        if name == "fit":  # but for what was not known then
            tree = json.loads(new["fit"])
            assert tree["origin"].pop("in_shares") is tree["origin"]["trace"].pop("in_blocks") is False
            old["fit"], new["fit"] = json.loads(old["fit"]), tree
        assert old == new


PROGRAM = """
import resource, sys, warnings
from datetime import timedelta
import bpjit, test_checkpoints as cases
name, path = sys.argv[1:]
data, settings = cases.longer(name)
every = timedelta(milliseconds=3)
if name == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    every = 3000
print("begins", flush=True)
fit = bpjit.train(*data, checkpoint=path, resume=path, checkpoint_every=every, **settings)
print(fit.epochs, flush=True)
"""


def longer(name):
    """A problem of about a second of training."""
    epochs = {"sgd": 400_000, "adam": 300_000, "rprop": 500_000, "br": 300, "lbfgs": 3000, "adaptive": 3000}
    if name == "full":
        data, settings = problem("sgd")
        return data, settings | {"stop": 30_000}
    (net, X, Y), settings = problem(name)
    if name == "br":
        net, rng = bpjit.Network.random((3, 20, 2), seed=1), np.random.default_rng(3)
        X, Y = rng.normal(size=(2000, 3)), rng.uniform(size=(2000, 2))
    return (net, X, Y), {**settings, "stop": epochs[name], "history": 2000}


def start(name, path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(bpjit.__file__).parents[1]), *sys.path])}
    program = [sys.executable, "-c", PROGRAM, name, str(path)]
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_full_disk_leaves_what_was_there(tmp_path):
    """The file grows with the epochs until it may not any more; what stood in it before still does, and goes on."""
    path = tmp_path / "run"
    process = start("full", path)
    out, error = process.communicate()
    assert out.split() == ["begins", "30000"], error
    assert error.count("RuntimeWarning") == 1
    assert "File too large" in error
    assert os.listdir(tmp_path) == ["run"]
    read, (data, settings) = bpjit.Fit.load(path), longer("full")
    assert read.epochs in (9000, 12_000)
    check_same(bpjit.train(*data, resume=path, **settings), bpjit.train(*data, **settings))


def killed(name, path, rng, kills):
    """Kill a run at random moments, so many times, and let it end; each time the file is whole, or not there yet."""
    while True:
        process = start(name, path)
        assert process.stdout.readline() == "begins\n", process.stderr.read()
        if kills > 0:
            time.sleep(rng.uniform(0.0, 0.25))
            process.kill()
            kills -= 1
        error = process.communicate()[1]
        with contextlib.suppress(FileNotFoundError):
            fit = bpjit.Fit.load(path)
        if process.returncode == 0:
            return fit
        assert process.returncode == -signal.SIGKILL, error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam", "rprop", "br", "lbfgs", "adaptive"])
def test_killed_at_random_moments_it_ends_in_the_same_bits(name, tmp_path):
    path, (data, settings) = tmp_path / "run", longer(name)
    fit = killed(name, path, random.Random(name), 9)
    assert os.listdir(tmp_path) == ["run"]
    whole = bpjit.train(*data, **settings)
    check_same(fit, whole)
    check_same(bpjit.train(*data, resume=path, **settings), whole)


@pytest.mark.slow
def test_two_that_write_the_same_file_both_end_right(tmp_path):
    path = tmp_path / "run"
    processes = [start("adam", path) for _ in range(2)]
    loaded = 0
    while any(process.poll() is None for process in processes):
        with contextlib.suppress(FileNotFoundError):
            bpjit.Fit.load(path)
            loaded += 1
    for process in processes:
        out, error = process.communicate()
        assert out.split() == ["begins", "300000"], error
        assert "Warning" not in error
    assert loaded > 10
    assert os.listdir(tmp_path) == ["run"]
    data, settings = longer("adam")
    check_same(bpjit.Fit.load(path), bpjit.train(*data, **settings))


def test_two_threads_that_write_the_same_file(tmp_path):
    path, fits = tmp_path / "run", []

    def train():
        fits.append(bpjit.train(NET, X, Y, stop=15, checkpoint=path, checkpoint_every=1))

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_same(*fits)
    check_same(bpjit.Fit.load(path), fits[0])


def test_without_a_checkpoint_nothing_of_it_is_imported():
    program = (
        "import sys, bpjit; bpjit.train(bpjit.Network.random((1, 1)), [[0.0], [1.0]], [0, 1], stop=1); "
        "print(*(name for name in sys.modules if name.startswith('bpjit.training.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "bpjit.training.loop" in done.stdout.split()
    assert not {"bpjit.training.checkpoints", "bpjit.training.storing"} & set(done.stdout.split())


# --- Damage.


def test_a_file_that_does_not_fit_itself_is_refused(begun, tmp_path):
    """Whoever writes a file by hand may say what he likes; no kernel must ever see it."""
    words, tensors = files.read(begun, storing.FORMAT, storing.VERSION)
    counters = tensors["state.memory.counters"]

    def without(name):
        return {other: array for other, array in tensors.items() if other != name}

    def with_words(**said):
        tree = json.loads(words["fit"])
        return {**words, "fit": json.dumps(tree | said)}

    sample = tensors["origin.trace.sample.X"]
    for changed, arrays in (
        (words, tensors | {"state.memory.counters": np.array([3, 99, 1, 0, 5])}),
        (words, tensors | {"state.memory.counters": np.array([3, -1, 1, 0, 5])}),
        (words, tensors | {"state.memory.counters": counters[:4]}),
        (words, tensors | {"state.memory.counters": counters + 1}),
        (words, tensors | {"state.memory.p": tensors["state.memory.p"][:-1]}),
        (words, tensors | {"state.memory.p": tensors["state.memory.p"].astype(np.float32)}),
        (words, tensors | {"state.record.columns": tensors["state.record.columns"][:1]}),
        (words, tensors | {"network": np.full(26, np.nan)}),
        (words, tensors | {"origin.trace.sample.X": sample[:, :2].copy()}),
        (words, tensors | {"origin.trace.sample.X": sample[:5]}),
        (words, tensors | {"setting.trainable": np.ones(3, bool)}),
        (words, without("state.memory.best")),
        (words, without("network")),
        (with_words(target="gpu"), tensors),
        (with_words(state=None), tensors),
        (with_words(setting=7), tensors),
        ({**words, "fit": "{"}, tensors),
        ({**words, "run": json.dumps({"when": 1})}, tensors),
    ):
        files.write(tmp_path / "file", storing.FORMAT, storing.VERSION, changed, arrays)
        with pytest.raises(ValueError, match="^resume: .*damaged"):
            go_on(tmp_path / "file")
    files.write(tmp_path / "file", storing.FORMAT, storing.VERSION, words, tensors)
    assert go_on(tmp_path / "file").epochs == 5


# --- Learners.

LEARNERS = {
    "sgd": (NET, {"lam": 0.99, "clip_gradient": 0.5, "clip_weights": 3.0}),
    "adam": (NET, {"rule": "adam", "eta": 0.02}),
    "own": (NET, {"rule": rolling(mu=0.7)}),
    "softmax": (SOFTMAX, {"rule": "nesterov"}),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_that_is_read_goes_on_as_the_one_in_memory(name, tmp_path):
    net, settings = LEARNERS[name]
    targets = LABELS if name == "softmax" else Y
    learner = bpjit.OnlineLearner(net, **settings)
    for x, y in zip(X, targets, strict=True):
        learner.learn(x, y)
    learner.save(tmp_path / "learner")
    read = bpjit.OnlineLearner.load(tmp_path / "learner")
    assert repr(read) == repr(learner)
    assert read.network == learner.network
    for x, y in zip(X, targets, strict=True):
        assert read.learn(x, y) == learner.learn(x, y)
    assert read.network == learner.network
    read.save(tmp_path / "again")
    assert bpjit.OnlineLearner.load(tmp_path / "again").network == learner.network
    for one in (read, learner):
        one.reset()
    assert read.network == learner.network == net


def test_files_that_are_no_learners(tmp_path):
    learner = bpjit.OnlineLearner(NET, rule="adam")
    learner.save(tmp_path / "learner")
    words, tensors = files.read(tmp_path / "learner", "bpjit online learner", "1")
    for name, array in (
        ("learnt", tensors["learnt"][:-1]),
        ("learnt", np.full(len(tensors["learnt"]), np.nan)),
        ("learnt", tensors["learnt"].astype(np.float32)),
        ("start", tensors["start"][:-1]),
    ):
        files.write(tmp_path / "other", "bpjit online learner", "1", words, tensors | {name: array})
        with pytest.raises(ValueError, match="^path: the online learner in .* is damaged"):
            bpjit.OnlineLearner.load(tmp_path / "other")
    with pytest.raises(ValueError, match="of another kind"):
        bpjit.Fit.load(tmp_path / "learner")
    with pytest.raises(FileNotFoundError):
        bpjit.OnlineLearner.load(tmp_path / "none")
