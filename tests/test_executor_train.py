"""One network trained by the workers of an executor: the bits do not depend on the executor, the number of workers, or
what becomes of them."""

import concurrent.futures
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import bpjit
import reference
from bpjit.kernels.state import POSITION, Samples
from bpjit.replay.writing import walk
from bpjit.training import kept, shares
from bpjit.training.loop import Problem
from bpjit.training.train import target_of_shares

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5000, 6))  # in shares of 1664 rows, and of 1024 where there are more parameters
Y = np.sin(X.sum(1, keepdims=True)) + 0.1 * RNG.normal(size=(5000, 1))
NET = bpjit.Network.random((6, 20, 1), "tanh", "identity", seed=0)
RULES = [
    *("sgd", "nesterov", "rprop", "adam", "lbfgs", "scg"),
    *(pytest.param(rule, marks=pytest.mark.slow) for rule in ("momentum", "quickprop", "adagrad", "rmsprop")),
]


class Here(concurrent.futures.Executor):
    """One that does everything at once, in this thread; ``before`` is called before each task with its number."""

    def __init__(self, workers=2, before=lambda number: None):
        self._max_workers, self.before, self.tasks = workers, before, 0

    def submit(self, function, /, *arguments, **named):
        future = Future()
        self.tasks += 1
        try:
            self.before(self.tasks)
            function, arguments, named = pickle.loads(pickle.dumps((function, arguments, named)))
            future.set_result(pickle.loads(pickle.dumps(function(*arguments, **named))))
        except Exception as error:
            future.set_exception(error)
        return future


class Stuck(Here):
    """One that never answers any more after some tasks."""

    def submit(self, function, /, *arguments, **named):
        return super().submit(function, *arguments, **named) if self.tasks < 4 else Future()


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module", autouse=True)
def nothing_stays():
    yield
    assert not kept.kept.shares
    assert not kept.kept.used


def train(executor, net=NET, **settings):
    settings = {"updates": "accumulated", "stop": 6} | settings
    return bpjit.train(net, X, Y, executor=executor, **settings)


def assert_same(fit, other):
    assert fit.network.parameters.tobytes() == other.network.parameters.tobytes()
    assert fit.errors.tobytes() == other.errors.tobytes()
    assert fit.validation_errors.tobytes() == other.validation_errors.tobytes()
    for name in ("error", "objective", "epochs", "updates", "best_epoch", "network_epoch", "stopped_by"):
        assert getattr(fit, name) == getattr(other, name), name


# --- The same bits everywhere.


@pytest.mark.parametrize("rule", RULES)
def test_any_executor_gives_the_same_bits_and_none_the_same_up_to_rounding(rule, pool):
    settings = {"rule": rule, "validation": (X[:2100] + 0.1, Y[:2100])}
    fit = train(pool, **settings)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three:
        for executor in (one, three, Here(3), Here(64)):
            assert_same(train(executor, **settings), fit)
    alone = train(None, **settings)
    # Sums in another order, whose differences line searches and sign changes make somewhat larger.
    np.testing.assert_allclose(fit.errors, alone.errors, rtol=1e-9)
    np.testing.assert_allclose(fit.validation_errors, alone.validation_errors, rtol=1e-9)
    np.testing.assert_allclose(fit.network.parameters, alone.network.parameters, rtol=1e-7, atol=1e-9)
    assert (fit.error, fit.epochs, fit.updates) == (pytest.approx(alone.error), alone.epochs, alone.updates)
    assert fit.errors.tobytes() != alone.errors.tobytes()  # the shares were added one by one


CASES = {
    "float32, penalty, mask, weights": {
        "net": bpjit.Network.random((6, 20, 1), "tanh", "identity", seed=0, dtype="float32"),
        "lam": 0.98,
        "trainable": [True, (False, True)],
        "sample_weight": np.arange(5000) % 3,
    },
    "float32, a line search": {
        "net": bpjit.Network.random((6, 20, 1), "tanh", "identity", seed=0, dtype="float32"),
        "rule": "lbfgs",
        "lam": 0.999,
    },
    "a rate of its own, which goes back": {"eta": bpjit.AdaptiveRate(3.0), "stop": 12},
    "a share held out, the best network kept": {
        "eta": 6.0,
        "validation": 0.4,
        "stop": [30, bpjit.EarlyStopping(patience=3, every=2)],
    },
    "an error to reach": {"rule": "rprop", "stop": bpjit.TargetError(0.12)},
    "a gradient to reach": {"rule": "rprop", "stop": bpjit.GradientNorm(0.02, every=2)},
    "no more to gain": {"rule": "scg", "stop": bpjit.NoImprovement(patience=2, tolerance=1e-2)},
    "targets that are not known": {
        "Y": np.where(np.arange(5000)[:, None] % 7 == 0, np.nan, Y),
        "missing": "ignore",
    },
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_else_is_asked_for_goes_together_with_an_executor(case, pool):
    settings = {"net": NET, "X": X, "Y": Y, "updates": "accumulated", "stop": 6} | CASES[case]
    fit, here, alone = (bpjit.train(**settings, executor=executor) for executor in (pool, Here(3), None))
    assert_same(fit, here)
    single = settings["net"].dtype == np.float32
    closely = {"rtol": 2e-5 if single else 1e-9, "atol": 1e-6 if single else 1e-10}
    np.testing.assert_allclose(fit.errors, alone.errors, **closely)
    np.testing.assert_allclose(fit.validation_errors, alone.validation_errors, **closely)
    np.testing.assert_allclose(fit.network.parameters, alone.network.parameters, **closely)
    assert fit.error == pytest.approx(alone.error, rel=closely["rtol"])
    for name in ("epochs", "updates", "best_epoch", "network_epoch", "stopped_by"):
        assert getattr(fit, name) == getattr(alone, name), name
    if "stop" in CASES[case] and fit.stopped_by == "MaxEpochs":
        assert case.startswith("a rate")


@pytest.mark.parametrize("rule", ["nesterov", "rprop", "adam"])
def test_the_shares_give_the_reference_s_parameters(rule):
    net, some = bpjit.Network.random((6, 34, 1), "tanh", "identity", seed=1), slice(0, 1100)
    eta = None if rule == "rprop" else 0.05
    fit = bpjit.train(net, X[some], Y[some], updates="accumulated", rule=rule, eta=eta, stop=3, executor=Here())
    assert len(shares.cut(samples(1100), len(net.parameters))) == 2
    expected = reference.train(
        net.weights, net.thresholds, ("tanh", "identity"), X[some], Y[some],
        loss="squared", rule=rule, etas=eta, updates="accumulated", epochs=3,
    )  # fmt: skip
    np.testing.assert_allclose(fit.network.parameters, expected.vector, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(fit.errors, expected.errors, rtol=1e-12)


@pytest.mark.slow  # it compiles
def test_own_formulas_travel(pool):
    bump = bpjit.activation(lambda z: bpjit.formulas.exp(-z * z), name="bump_of_shares")
    far = bpjit.loss(lambda y_hat, y: (y_hat - y) ** 4, name="far_of_shares")
    net = bpjit.Network.random((6, 20, 1), bump, "identity", seed=0)
    settings = {"net": net, "loss": far, "rule": "rprop", "stop": 3}
    assert_same(train(pool, **settings), train(Here(), **settings))


# --- Going on, and going back.


@pytest.mark.parametrize("rule", ["adam", "lbfgs"])
def test_a_training_that_is_resumed_has_the_bits_of_one_that_never_stopped(rule, pool):
    whole = train(pool, rule=rule, stop=7)
    first = train(Here(5), rule=rule, stop=3)
    second = train(pool, net=first.network, rule=rule, stop=4, resume=pickle.loads(pickle.dumps(first)))
    assert_same(second, whole)
    alone = train(None, net=first.network, rule=rule, stop=4, resume=first)
    np.testing.assert_allclose(alone.network.parameters, whole.network.parameters, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("where", ["before its update", "while it validated", "at a rate of its own"])
def test_what_a_training_without_an_executor_had_begun_of_an_epoch_is_ended(where):
    settings = {"updates": "accumulated", "validation": (X, Y)}
    if where.startswith("at"):
        settings["eta"] = bpjit.AdaptiveRate(0.5)
    whole = bpjit.train(NET, X, Y, stop=5, **settings)
    begun = bpjit.train(NET, X, Y, stop=2, **settings)
    begin_an_epoch(begun, 1000 if where.startswith("before") else 7000)
    fit = bpjit.train(begun.network, X, Y, stop=3, resume=begun, executor=Here(), **settings)
    np.testing.assert_allclose(fit.errors, whole.errors, rtol=1e-9)
    np.testing.assert_allclose(fit.validation_errors, whole.validation_errors, rtol=1e-9)
    np.testing.assert_allclose(fit.network.parameters, whole.network.parameters, rtol=1e-9, atol=1e-11)
    assert (fit.epochs, fit.updates) == (whole.epochs, whole.updates)


def begin_an_epoch(fit, position):
    """Have a fit stand after so many samples of its next epoch, those to validate on included."""
    session = Problem(fit.network, *[fit._origin.D] * 2, fit._state["setting"], [], len(X)).session(1)
    session.take_up(fit._state)
    while not position <= session.memory.counters[POSITION] < position + 1000:
        session.run_samples(500)
    fit._state.update(session.state())


def test_a_replay_goes_the_same_way():
    fit = train(Here(), rule="adam", stop=4)
    on = {"net": fit.network, "rule": "adam", "stop": 2, "resume": fit}
    for each, start in ((fit, 0), (train(Here(), **on), 0), (train(None, **on), 4)):
        assert each._origin.epochs == start
        assert len(list(walk(each._origin, each, [each.epochs]))) == 1  # it raises where it does not end there again


def test_divergence_ends_where_it_does_without_an_executor(pool):
    settings = {"eta": 1e3, "stop": 50}
    fit, alone = train(pool, **settings), train(None, **settings)
    assert (fit.stopped_by, fit.epochs) == (alone.stopped_by, alone.epochs)
    assert fit.stopped_by == "diverged"
    assert np.isfinite(fit.network.parameters).all()


# --- Workers that are lost, that forget, that fail; and who does not wait for them.


def test_a_worker_that_dies_changes_nothing_but_the_time():
    def end_a_worker(seen):
        if seen.epoch == 3:
            concurrent.futures.wait([broken.submit(os._exit, 1)])

    with ProcessPoolExecutor(2) as broken, pytest.warns(RuntimeWarning, match="executor: ") as warned:
        fit = train(broken, rule="rprop", stop=8, callback=end_a_worker)
    assert len(warned) == 1
    assert_same(fit, train(Here(), rule="rprop", stop=8))


def test_workers_that_ctrl_c_ends_are_no_loss_to_speak_of():
    class Ended(Here):
        def submit(self, function, /, *arguments, **named):
            if self.tasks == 8:
                signal.raise_signal(signal.SIGINT)
            if self.tasks >= 8:
                raise BrokenExecutor("a terminal sends it to all")
            return super().submit(function, *arguments, **named)

    fit = train(Ended(), rule="rprop", stop=1000)
    assert fit.stopped_by == "interrupted"
    assert 0 < fit.epochs < 5
    assert fit.error == train(Here(), rule="rprop", stop=fit.epochs).error


class Several(Here):
    """Several processes that take turns, each with what it keeps; ``lot`` says whose turn it is."""

    def __init__(self, workers, lot, monkeypatch):
        super().__init__(workers, self.turn)
        self.lot, self.patch, self.sent = lot, monkeypatch, []
        self.all = [kept.Kept() for _ in range(workers)]

    def turn(self, number):
        self.worker = self.lot(number) % len(self.all)
        self.patch.setattr(kept, "kept", self.all[self.worker])
        self.patch.setattr(kept, "this_process", lambda: f"process {self.worker}")

    def submit(self, function, /, *arguments, **named):
        if function is kept.answer:
            self.sent += arguments[1]
        return super().submit(function, *arguments, **named)


DRAWN = RNG.integers(0, 3, 1000).tolist()


@pytest.mark.parametrize(
    ("lot", "most"),
    [
        (lambda number: number, 4),  # in turn: each share goes out once
        (lambda number: -number, 4),
        (lambda number: number + (number - 1) // 3, 4),
        (lambda number: number // 2, 25),  # one does two tasks while another sleeps
        (DRAWN.__getitem__, 20),
        (lambda number: number if number < 20 else 2 * number % 3, 6),
    ],
)
def test_whoever_takes_a_task_answers_for_the_shares_that_it_keeps(lot, most, monkeypatch):
    several = Several(3, lot, monkeypatch)
    fit = train(several, rule="rprop", stop=20)
    monkeypatch.undo()
    assert_same(fit, train(Here(), rule="rprop", stop=20))
    assert 4 <= len(several.sent) <= most
    assert several.tasks < 21 * 3 * 3


def test_a_worker_without_its_share_gets_it_again():
    def lose(number):
        if number % 3 == 0:
            kept.kept.shares.clear()

    executor = Here(3, lose)
    assert_same(train(executor, rule="rprop"), train(Here(), rule="rprop"))
    assert executor.tasks > 30


def test_an_error_in_a_worker_arrives_as_it_is():
    def fail(number):
        if number > 6:
            raise MemoryError("no room for a share")

    with pytest.raises(MemoryError, match="no room for a share"):
        train(Here(2, fail))


def test_ctrl_c_a_time_limit_and_an_event_do_not_wait_for_workers():
    event = threading.Event()
    press = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    for stop, meanwhile, reason in (
        (1000, press, "interrupted"),
        ([1000, bpjit.TimeLimit(0.3)], threading.Timer(0.3, int), "TimeLimit"),
        (event, threading.Timer(0.3, event.set), "StopEvent"),
    ):
        meanwhile.start()
        started = time.perf_counter()
        fit = train(Stuck(), rule="rprop", stop=stop)
        meanwhile.join()
        assert time.perf_counter() - started < 5.0
        assert fit.stopped_by == reason
        assert fit.error == train(Here(), rule="rprop", stop=max(1, fit.epochs)).error or fit.epochs == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1", "2", "3", "loky", "dask"])
def test_engines_of_processes_give_the_same_bits_with_and_without_all_their_workers(name):
    if not name.isdecimal():
        pytest.importorskip({"dask": "distributed"}.get(name, name), reason=f"{name} is not installed")
    program = [sys.executable, str(Path(__file__).with_name("shared_training.py")), name]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() in ({"same 0"} if name == "dask" else {"same 0", "same 1"}), done.stderr[-3000:]


# --- Shares, and what workers keep.


def samples(m, d=6, dtype=np.float64):
    return Samples(np.zeros((m, d), dtype), np.zeros((m, 1), dtype), np.ones(m, dtype), np.arange(m, dtype=np.uint64))


@pytest.mark.parametrize(("m", "n", "count"), [(1, 5, 1), (1000, 10**6, 1), (1025, 10**6, 2), (10**6, 161, 64)])
def test_shares_are_cut_by_the_data_and_the_network_alone(m, n, count):
    found = shares.cut(samples(m), n)
    assert len(found) == count
    assert sum(len(share.X) for share in found) == m
    assert all(len(share.X) % 128 == 0 for share in found[:-1])
    assert all(np.shares_memory(share.X, share.X.base) for share in found)


def test_shares_are_small_enough_to_travel():
    assert max(map(kept.bytes_of, shares.cut(samples(20_000, 500), 501))) <= shares.MOST_BYTES
    assert shares.cut(samples(0), 5) == []


def test_what_is_kept_is_bounded_and_old_trainings_are_forgotten(monkeypatch):
    here, share = kept.Kept(), samples(100)
    monkeypatch.setattr(kept, "memory_size", lambda: 2 * kept.cores() * 3.5 * kept.bytes_of(share))
    for number in range(5):
        here.put("a", number, share)
    assert [number for _, number in here.shares] == [2, 3, 4]
    assert here.get("a", 2) is share
    assert here.get("a", 0) is None
    here.put("a", 5, share)  # the one unused for longest gives way
    assert [number for _, number in here.shares] == [4, 2, 5]
    here.used["a"] -= 1 + kept.IDLE_SECONDS
    here.put("b", 0, share)
    assert list(here.shares) == [("b", 0)]


# --- What cannot be shared out.


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"executor": 3}, TypeError, "executor: expected an object with the interface"),
        ({"executor": ThreadPoolExecutor}, TypeError, "executor: expected an object with the interface"),
        ({"updates": None}, ValueError, 'expected updates="accumulated"'),
        ({"updates": 32}, ValueError, 'expected updates="accumulated"'),
        ({"rule": "lm"}, ValueError, 'executor: rule "lm" .* threads='),
        ({"rule": "br"}, ValueError, 'executor: rule "br" .* threads='),
    ],
)
def test_what_cannot_be_shared_out_is_refused(settings, error, words):
    settings = {"executor": Here(), "updates": "accumulated"} | settings
    with pytest.raises(error, match=words):
        bpjit.train(NET, X, Y, **settings)


@pytest.mark.parametrize("late", [False, True])
def test_an_answer_after_the_end_keeps_nothing(late):
    share = Samples(X, Y, np.ones(len(X)), np.arange(0))
    question = kept.Question("late", 0, shares.SOURCES, os.getpid(), (6, 1), ("identity",), "squared", np.zeros(7), 1)
    if late:
        kept.forget("late")
    assert kept.answer(question, [0], {0: share}).numbers == [0]
    kept.answer_at_home(question, [0], {})
    held = {**kept.kept.used, **kept.kept.claims}, list(kept.kept.shares)
    kept.forget("late")
    assert ("late" in held[0], ("late", 0) in held[1]) == (not late, not late)
    assert "late" not in kept.kept.used | kept.kept.claims


def test_workers_train_on_cpus():
    setting = train(Here())._state["setting"]
    assert target_of_shares("auto", Here(), setting) == "cpu"
    with pytest.raises(ValueError, match="target: workers of an executor"):
        target_of_shares("cuda", Here(), setting)
