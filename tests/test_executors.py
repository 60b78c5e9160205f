"""executor=: portions trained by workers of any executor, with the bits of this process, whatever becomes of it."""

import contextlib
import functools
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.formulas import exp
from bpjit.kernels.devices import cores
from bpjit.many import executors
from bpjit.many.executors import workers_of
from bpjit.settings.schedules import Schedule
from cases import AfterAWhile, slow
from engines import NETS, SETTINGS, Here, Watched, X, Y, bits
from test_portions import CASES, LARGE, XOR
from test_portions import NETS as SMALL

PROGRAM = Path(__file__).with_name("engines.py")


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(autouse=True)
def short_slices(monkeypatch):
    monkeypatch.setattr(executors, "SLICE", 0.005)
    monkeypatch.setattr(executors, "WORTH", 0.0)


SECOND = {"nets": SMALL, "X": X, "Y": Y, "stop": 300}
KINDS = {
    **CASES,
    "br": {**SECOND, "rule": "br"},
    "scg": {**SECOND, "rule": "scg", "target_error": 0.05},
    "lbfgs, watched one by one": {**SECOND, "nets": LARGE, "rule": "lbfgs", "stop": 100},
    "rates of their own": {**SECOND, "eta": bpjit.AdaptiveRate(0.1), "updates": "accumulated", "stop": 3000},
}
LONG = "br", "an adaptive rate", "data of their own"


@pytest.mark.parametrize("name", [slow(name) if name in LONG else name for name in KINDS])
def test_bits_are_those_of_this_process(name, pool):
    settings = {"nets": SMALL, "X": XOR[0], "Y": XOR[1], "stop": 9, "history": "history" in name} | KINDS[name]
    assert bits(bpjit.train_many(**settings, executor=pool)) == bits(bpjit.train_many(**settings))


def test_portions_go_out_again_and_again(pool):
    watched, done = Watched(pool), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpjit.many.train_many, "progress_bar", lambda *_: contextlib.nullcontext(done.append))
        fits = bpjit.train_many(NETS, X, Y, executor=watched, **SETTINGS)
    assert bits(fits) == bits(bpjit.train_many(NETS, X, Y, **SETTINGS))
    assert watched.sent > 10
    assert done[-1] == len(NETS)
    assert done == sorted(done)


def test_what_is_kept_goes_on_here_and_there(pool):
    settings = {"eta": SETTINGS["eta"], "rule": "adam"}
    half = bpjit.train_many(NETS, X, Y, stop=700, resumable=True, executor=pool, **settings)
    whole = bpjit.train_many(NETS, X, Y, stop=1500, **settings)
    for executor in (None, pool):
        on = bpjit.train_many(half.networks, X, Y, stop=800, resume=half, executor=executor, **settings)
        assert bits(on) == bits(whole)


USES = {
    "multi_start": lambda **more: bpjit.multi_start((2, 4, 1), X, Y, 30, eta=1.0, stop=30, **more),
    "grid": lambda **more: bpjit.grid(NETS[:9], X, Y, settings={"eta": [0.1, 1.0]}, stop=30, **more).fits,
    "cross_validate": lambda **more: (
        bpjit.cross_validate(
            NETS[:5], X, Y, settings={"eta": [0.1, 1.0]}, folds=3, stop=[30, bpjit.EarlyStopping(5)], **more
        ).fits
    ),
    "bagging": lambda **more: bpjit.bagging(NETS, X, Y, eta=1.0, stop=30, **more),
    "search": lambda **more: (
        bpjit.search(
            {"eta": [0.01, 0.1, 1.0, 3.0], "hidden": [3, 4]}, X, Y, folds=3, min_epochs=5, max_epochs=30, **more
        ).fits
    ),
}


@pytest.mark.parametrize("name", USES)
def test_all_that_train_many_networks_take_one(name):
    watched = Watched(ThreadPoolExecutor(2))
    with watched.executor:
        assert bits(USES[name](executor=watched)) == bits(USES[name]())
    assert watched.sent >= 1


def table(keys=40):
    counts = np.random.default_rng(0).integers(4, 30, keys)
    key = np.repeat(np.arange(keys), counts)
    x = np.random.default_rng(1).normal(size=len(key))
    return {"key": key, "x": x, "y": np.where(key == 3, np.nan, np.sin(x + key))}


def of_groups(fit):
    return [getattr(fit._trained, name).tobytes() for name in ("parameters", "error", "epochs", "own", "digests")]


@pytest.mark.parametrize("lost", [None, 0, 1], ids=["not lost", "lost at once", "lost in the middle"])
def test_keys_of_a_table(lost, pool):
    settings = {"key": "key", "inputs": "x", "outputs": "y", "eta": 0.05, "stop": 400}
    expected = bpjit.fit_groups(table(), **settings)
    watched = Watched(pool if lost is None else Here(lost, LOST["cancelled"]))
    with contextlib.nullcontext() if lost is None else pytest.warns(RuntimeWarning, match="trained here"):
        fit = bpjit.fit_groups(table(), executor=watched, **settings)
    assert of_groups(fit) == of_groups(expected)
    assert list(fit._trained.note) == list(expected._trained.note)
    assert watched.sent > (lost or 0)
    more = table(41)
    assert of_groups(fit.update(more, executor=pool)) == of_groups(expected.update(more))


def test_a_portion_of_keys_holds_their_rows_alone():
    portions = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "SLICE", 100.0)
        patch.setattr(executors, "packed", lambda group: portions.append(executors.pickle.dumps(group)) or portions[-1])
        bpjit.fit_groups(table(400), "key", "x", "y", stop=1, fallback="none", executor=Here())
    groups = [executors.pickle.loads(portion) for portion in portions]
    assert len(groups) > 2
    assert sum(len(group.D.X) for group in groups) <= np.isfinite(table(400)["y"]).sum()


# --- What is the user's own.


@bpjit.activation
def bent(z, beta=1.5):
    return z / (1 + exp(-beta * z))


def mine(w, g, state, eta, settings):
    return w + settings.factor * eta * g, state


@dataclass(frozen=True)
class Failing(Schedule):
    """A rate that fails after some epochs."""

    kind: type = ValueError

    def rates(self, epochs):
        if self.eta == 0.5 and epochs[-1] >= 5:
            raise self.kind("no more")
        return np.full(len(epochs), self.eta)


def test_formulas_of_ones_own_travel(pool):
    nets = bpjit.Networks.random((2, 4, 1), 20, "tanh", bent(beta=2.0))
    loss = bpjit.loss(lambda y_hat, y: (y_hat - y) * (y_hat - y) * 3.0)
    settings = {"rule": bpjit.rule(mine, factor=0.5), "loss": loss, "stop": 50, "eta": 0.01}
    assert bits(bpjit.train_many(nets, X, Y, executor=pool, **settings)) == bits(
        bpjit.train_many(nets, X, Y, **settings)
    )


def test_what_was_defined_in_the_program_travels_by_cloudpickle_or_not_at_all(pool, monkeypatch):
    cloudpickle = pytest.importorskip("cloudpickle")
    kind = type("Local", (Failing,), {"__module__": "__main__"})  # as in a notebook
    settings = {"eta": [kind(0.1 + i / 100) for i in range(20)], "stop": 20}
    there = bpjit.train_many(NETS[:20], X, Y, executor=pool, **settings)
    assert bits(there) == bits(bpjit.train_many(NETS[:20], X, Y, **settings))
    monkeypatch.setitem(sys.modules, cloudpickle.__name__, None)
    with pytest.raises(TypeError, match="executor: expected settings that can be sent .* install cloudpickle"):
        bpjit.train_many(NETS[:20], X, Y, executor=pool, **settings)
    monkeypatch.setattr(sys.modules["__main__"], "Local", kind, raising=False)  # there, but not in the worker
    kind.__qualname__ = "Local"
    with pytest.raises(TypeError, match="executor: a worker cannot read .* put what is your own into a module"):
        bpjit.train_many(NETS[:20], X, Y, executor=pool, **settings)


RATES = [Failing(0.5 if i == 7 else 0.1) for i in range(20)]
FAILURES = {
    "one of many": (ValueError, "network 7: no more", lambda **e: bpjit.train_many(NETS[:20], X, Y, eta=RATES, **e)),
    "trained alone": (ValueError, "network 1: no more", lambda **e: bpjit.train_many(LARGE, *XOR, eta=RATES[6:9], **e)),
    "for all": (
        RuntimeError,
        r"networks \d, \d, \d+ and \d+ more: no more \(ZeroDivisionError\)",
        lambda **e: bpjit.train_many(NETS[:20], X, Y, eta=Failing(0.5, ZeroDivisionError), **e),
    ),
    "search": (
        ValueError,
        "configuration {.*'eta': Failing.eta=0.5.*}: no more",
        lambda **e: bpjit.search({"eta": RATES[6:9]}, X, Y, hidden=3, folds=2, min_epochs=8, max_epochs=8, **e),
    ),
    "keys": (
        ValueError,
        r"keys \d+, \d+, \d+ and \d+ more: no more",
        lambda **e: bpjit.fit_groups(table(), "key", "x", "y", eta=RATES[7], fallback="none", **e),
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_portion_that_fails_names_its_networks(name, pool):
    kind, message, train = FAILURES[name]
    with pytest.raises(kind, match=f"^{message}"):
        train(executor=pool)
    assert pool.submit(int, "3").result(10) == 3  # nothing is broken


# --- What ends all, and what breaks.


def broken(future):
    future.set_exception(BrokenProcessPool("a worker\ndied"))


def cancelled(future):
    future.cancel()


def refused(future):
    raise BrokenProcessPool("no workers")


def out_of_reach(future):
    future.set_exception(ConnectionResetError("the scheduler"))


LOST = {"broken": broken, "cancelled": cancelled, "refused": refused, "out of reach": out_of_reach}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("parcels", [0, 5])
def test_what_is_left_is_trained_here(parcels, lost):
    with pytest.warns(RuntimeWarning, match="executor: it does not go on .*; what is left is trained here") as said:
        fits = bpjit.train_many(NETS, X, Y, executor=Here(parcels, LOST[lost]), **SETTINGS)
    assert len(said) == 1
    assert said[0].filename == __file__
    assert bits(fits) == bits(bpjit.train_many(NETS, X, Y, **SETTINGS))


@pytest.mark.parametrize("nets", [NETS, LARGE], ids=["lanes", "alone"])
@pytest.mark.parametrize("limit", [bpjit.StopEvent, bpjit.TimeLimit])
def test_limits_end_all_and_it_can_go_on(nets, limit, pool, monkeypatch):
    settings = {"eta": 0.1, "rule": "momentum"}
    watched, event = Watched(pool), threading.Event()
    watched.at, watched.then = 20, event.set  # when slices of all have come back
    end = bpjit.StopEvent(event) if limit is bpjit.StopEvent else bpjit.TimeLimit(0.4)
    monkeypatch.setattr(executors, "SLICE", 0.05)
    started = time.perf_counter()
    fits = bpjit.train_many(nets, X, Y, stop=[10**9, end], resumable=True, executor=watched, **settings)
    assert time.perf_counter() - started < 20.0
    assert set(fits.stopped_by) == {limit.__name__}
    assert np.isfinite(fits.error).all()
    if limit is bpjit.StopEvent:
        assert fits.epochs.any()
        last = int(fits.epochs.max()) + 10
        on = bpjit.train_many(
            fits.networks, X, Y, max_epochs=last - fits.epochs, stop=[], resume=fits, executor=pool, **settings
        )
        assert bits(on) == bits(bpjit.train_many(nets, X, Y, stop=last, **settings))


def test_what_does_not_come_back_is_given_up(monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 0.2)
    fits = bpjit.train_many(NETS, X, Y, stop=[10**9, AfterAWhile(3)], executor=Here(9, lambda future: None))
    assert set(fits.stopped_by) == {"StopEvent"}
    assert fits.epochs.any()


# --- Arguments.


class Client:
    """As Dask's: its futures are of its own kind."""

    asynchronous = False

    def nthreads(self):
        return {"a": 2, "b": 1}

    def get_executor(self): ...

    def submit(self): ...


@pytest.mark.parametrize("executor", [2, "processes", ProcessPoolExecutor, Client()])
def test_what_is_no_executor_is_refused(executor):
    hint = "get_executor" if isinstance(executor, Client) else "got"
    for train in (
        functools.partial(bpjit.train_many, NETS, X, Y),
        functools.partial(bpjit.search, {"eta": [0.1, 1.0]}, X, Y),
        functools.partial(bpjit.fit_groups, table(), "key", "x", "y"),
    ):
        with pytest.raises(TypeError, match=f"executor: expected an object with the interface of concurrent.*{hint}"):
            train(executor=executor)


def test_a_gpu_goes_without(monkeypatch):
    monkeypatch.setattr(bpjit.many.train_many, "as_machine", lambda target, work=0.0: target)  # as if there were one
    with pytest.raises(ValueError, match="target: workers of an executor train on CPUs"):
        bpjit.train_many(NETS, X, Y, target="cuda", executor=Here())


def test_workers_of_another_version_are_refused(pool, monkeypatch):
    monkeypatch.setattr(executors, "SOURCES", "others")
    with pytest.raises(RuntimeError, match="expected workers with the bpjit that is here, got one with other sources"):
        bpjit.train_many(NETS, X, Y, executor=pool)


def test_workers_are_counted(pool):
    dask = Here()
    dask._client = Client()
    assert workers_of(pool) == 2
    assert workers_of(dask) == 3
    assert workers_of(Here()) == cores()


def test_engines_are_not_imported():
    code = "import sys, bpjit; print({'dask', 'distributed', 'loky', 'mpi4py', 'cloudpickle'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- Real ones.


def ask(engine, what, start=()):
    """What ``engines.py`` prints."""
    if engine not in ("spawn", "fork", "forkserver"):
        module = {"dask": "distributed", "mpi": "mpi4py"}.get(engine, engine)
        pytest.importorskip(module, reason=f"{module} is not installed")
    done = subprocess.run(
        [*start, *([] if start else [sys.executable]), str(PROGRAM), engine, what],
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "loky", "forkserver", "fork"])
def test_real_engines_give_the_same_bits(engine):
    assert ask(engine, "same") == "same"


@pytest.mark.slow
def test_mpi_gives_the_same_bits():
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mpiexec = shutil.which("mpiexec", path=path)
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    options = ["--allow-run-as-root", "--oversubscribe"] if b"Open" in version_of(mpiexec) else []
    assert ask("mpi", "same", [mpiexec, *options, "-n", "3", sys.executable, "-m", "mpi4py.futures"]) == "same"


def version_of(program):
    return subprocess.run([program, "--version"], capture_output=True, check=False).stdout


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "loky", "spawn", "fork"])
def test_a_worker_killed_in_the_middle_changes_nothing(engine):
    said = ask(engine, "kill")
    assert said.startswith("same")
    assert ("what is left is trained here" in said) == (engine != "dask")  # which goes on with another


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "loky", "spawn", "fork"])
def test_ctrl_c_ends_all_and_leaves_no_process(engine):
    word, seconds, *pids = ask(engine, "press").split()
    assert word == "interrupted"
    assert float(seconds) < 5.0
    assert len(pids) == 2
    for pid in map(int, pids):
        until = time.perf_counter() + 10.0
        while is_there(pid) and time.perf_counter() < until:
            time.sleep(0.1)
        assert not is_there(pid)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
