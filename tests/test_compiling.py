"""Nothing that is raised while a kernel compiles keeps the process from compiling it."""

import _imp
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import TypingError

import bpjit
from bpjit.kernels import compiling
from bpjit.kernels.compiling import to_the_end
from bpjit.kernels.jit import kernel

PATH = os.pathsep.join([str(Path(bpjit.__file__).parents[1]), str(Path(__file__).parent)])
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and forks are those of POSIX")


def run(program, *arguments, cache=None, expected=0, seconds=100):
    """What a program prints, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": PATH} | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {})
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=seconds, start_new_session=True
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout.split()


@kernel
def double(x: np.ndarray) -> float:
    return 2.0 * x[0]


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


@pytest.fixture
def alarm():
    """Raises Interrupted here after some seconds."""
    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@posix
def test_what_is_raised_goes_to_the_caller_at_once_and_the_work_to_its_end(alarm):
    go, done = threading.Event(), threading.Event()

    def work():
        go.wait()
        done.set()

    alarm(0.05)
    with pytest.raises(Interrupted):
        to_the_end(work)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "bpjit compiles"]
    assert not thread.daemon  # the interpreter waits for it
    go.set()
    thread.join(timeout=10)
    assert done.is_set()


@pytest.mark.parametrize("error", [TypingError("typing"), StopIteration(3), SystemExit(4), KeyboardInterrupt()])
def test_errors_come_to_the_caller_as_they_are(error):
    def fail(value):
        raise error

    with pytest.raises(type(error)) as caught:
        to_the_end(fail, 1)
    assert caught.value is error


def test_errors_of_numba_and_warnings_come_to_the_caller():
    with pytest.raises(TypingError, match="getitem"):
        double(3)
    with pytest.raises(UserWarning, match="here"):
        to_the_end(warnings.warn, "here")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        to_the_end(warnings.warn, "there")
    assert [str(warning.message) for warning in caught] == ["there"]
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        to_the_end(np.log, 0.0)  # in the caller's context


@posix
@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_when_the_work_is_done(interrupted, fails, alarm):
    array, go = np.zeros(3), threading.Event()
    kept = weakref.ref(array)

    def work(array, go):
        go.wait()
        if fails:
            raise ValueError(array)
        return array

    gc.collect()
    gc.disable()
    try:
        if interrupted:
            alarm(0.02)
        else:
            go.set()
        with contextlib.suppress(Interrupted, ValueError):
            to_the_end(work, array, go)
        go.set()
        for thread in threading.enumerate():
            if thread.name == "bpjit compiles":
                thread.join()
                del thread
        del array
        assert kept() is None
    finally:
        gc.enable()
    assert "bpjit compiles" not in [thread.name for thread in threading.enumerate()]


def refuse(*arguments, **keywords):
    raise RuntimeError("can't start new thread")


def test_where_no_thread_can_be_started(monkeypatch):
    caller = threading.get_ident()
    assert to_the_end(threading.get_ident) != caller
    with monkeypatch.context() as patch:  # no Thread, but one thread without it
        patch.setattr(threading.Thread, "start", refuse)
        assert to_the_end(threading.get_ident) != caller
    assert threading.stack_size() == 0
    # a RuntimeError of a signal handler, which comes while the thread starts, is none of ours
    monkeypatch.setattr(compiling, "start_new_thread", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        to_the_end(threading.get_ident)


NO_THREADS = """
import resource, threading, numpy as np, bpjit
from numba.core.compiler_lock import global_compiler_lock
import bpjit.kernels.compiling as compiling

caller = threading.get_ident()
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (64 << 20)
threading.stack_size(256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    threading.Thread(target=print).start()
except RuntimeError:
    print("none", compiling.to_the_end(threading.get_ident) == caller)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space")
def test_where_the_system_has_no_room_for_a_thread():
    assert run(NO_THREADS) == ["none", "True"]


def test_who_compiles_already_does_not_wait_for_itself():
    with global_compiler_lock:
        assert to_the_end(threading.get_ident) == threading.get_ident()


def test_an_import_that_was_cut_in_two_lets_no_other_thread_import():
    _imp.acquire_lock()
    try:
        assert to_the_end(threading.get_ident) == threading.get_ident()
    finally:
        _imp.release_lock()
    assert to_the_end(threading.get_ident) != threading.get_ident()


def test_threads_that_need_the_same_kernel_compile_it_once():
    made = kernel(double.py_func)
    made._cache.disable()
    results = []
    threads = [threading.Thread(target=lambda: results.append(made(np.ones(1)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2.0] * 8
    assert sum(made.stats.cache_misses.values()) == 1


SMALL_STACKS = """
import threading
from bpjit.kernels.compiling import to_the_end
threading.stack_size(1 << 16)
nested = []
for _ in range(900):
    nested = [nested]
print(len(to_the_end(repr, nested)), threading.stack_size())
"""


def test_a_stack_large_enough_whatever_threads_of_the_program_get():
    assert run(SMALL_STACKS) == ["1802", "65536"]


FORK = """
import os, signal, sys, threading, time
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from bpjit.kernels.compiling import to_the_end
from test_compiling import double, interrupt, Interrupted

done = []
def compile():
    with global_compiler_lock:
        time.sleep(0.3)
        done.append(1)

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    to_the_end(compile)
except Interrupted:
    assert not done
def child():
    signal.alarm(60)
    os._exit(not done or double(np.ones(1)) != 2.0)  # with a lock that is free
pid = os.fork()
if pid == 0:
    child()
assert os.waitpid(pid, 0)[1] == 0
assert double(np.ones(1)) == 2.0

# forked by a signal handler, while the caller waits
here, forked = os.getpid(), []
done.clear()
def fork(*_):
    forked.append(os.fork())
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.1)
to_the_end(compile)
if os.getpid() != here:
    child()
assert os.waitpid(forked[0], 0)[1] == 0
print("good")
"""


@posix
def test_a_fork_waits_for_the_compilation():
    assert run(FORK) == ["good"]


END = """
import signal, sys, time
from bpjit.kernels.compiling import to_the_end

def work():
    time.sleep(0.4)
    print("done")

signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))
signal.setitimer(signal.ITIMER_REAL, 0.1)
to_the_end(work)
print("more")
"""


@posix
def test_the_end_of_the_interpreter_waits():
    assert run(END, expected=7) == ["done"]


# --- Whole programs, whose first call finds no machine code.


class Case:
    """Something to do that needs kernels, by its name."""

    X, Y = np.linspace(0, 1, 8).reshape(4, 2), np.linspace(0, 1, 4)[:, None]

    def __init__(self, name):
        self.net = bpjit.Network.random((2, 4, 1), seed=0)
        self.nets = bpjit.Networks.random((2, 4, 1), 3, seed=0)
        self.do = getattr(self, name)

    def learn(self):
        return bpjit.OnlineLearner(self.net).learn(self.X[1], self.Y[1])

    def predict(self):
        return self.net.predict(self.X)

    def train(self):
        return bpjit.train(self.net, self.X, self.Y, stop=2).network.parameters

    def bank(self):
        return bpjit.LearnerBank(self.nets, threads=2).learn([0, 1, 2, 0], self.X, self.Y)

    def train_many(self):
        return [fit.network.parameters for fit in bpjit.train_many(self.nets, self.X, self.Y, stop=2)]

    def graph(self):
        from bpjit import graph

        a, b = graph.variables("a b")
        return ((a + b) * (b + 1)).compile(a, b)([[2, 1], [0, 3]])

    def result(self):
        return np.asarray(self.do()).tobytes()


CASES = "learn", "predict", "train", "bank", "train_many", "graph"

SIGNALS = """
import signal, sys, threading, time
from test_compiling import Case, Interrupted, interrupt
from bpjit.kernels.one import learner

case, every, most = Case(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
signal.signal(signal.SIGALRM, interrupt)
times = 0
while times < most:
    signal.setitimer(signal.ITIMER_REAL, every)
    try:
        result = case.result()
        break
    except Interrupted:
        times += 1
signal.setitimer(signal.ITIMER_REAL, 0)
result = case.result()
misses = sum(learner.learn_kernel(()).stats.cache_misses.values())
print(times, misses, result == case.result(), result.hex())
"""


@posix
def test_learning_after_many_timeouts_while_compiling(tmp_path):
    times, misses, same, result = run(SIGNALS, "learn", 0.1, 1000, cache=tmp_path)
    assert int(times) >= 3
    assert (misses, same) == ("1", "True")
    assert result == Case("learn").result().hex()


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("presses", [1, 2, 3])
def test_ctrl_c_while_compiling(name, presses, tmp_path):
    run(PRESS, name, presses, Case(name).result().hex(), cache=tmp_path)


PRESS = """
import os, random, signal, sys, threading, time
from test_compiling import Case

name, presses, expected = sys.argv[1], int(sys.argv[2]), sys.argv[3]
case, done = Case(name), threading.Event()

def press():
    for _ in range(presses):
        time.sleep(random.random())
        if not done.is_set():
            os.kill(os.getpid(), signal.SIGINT)

pressing = threading.Thread(target=press)
pressing.start()
while pressing.is_alive():
    try:
        case.result()
    except KeyboardInterrupt:
        pass
    try:
        done.set()
        pressing.join()
    except KeyboardInterrupt:
        pass
assert case.result().hex() == expected
"""

INJECT = """
import os, random, signal, sys
from test_compiling import Case

name, error, count, seed, expected = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
case = Case(name)

def profiled(profile):
    sys.setprofile(profile)
    try:
        case.result()
    except BaseException:
        pass
    finally:
        sys.setprofile(None)

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(100)
            sys.stderr = open(os.devnull, "w")
            work()
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def measure():
    calls = [0]
    def profile(_, event, __):
        calls[0] += event != "c_call"
    profiled(profile)
    os.write(write, str(calls[0]).encode())

def interrupted_at(place):
    calls = [0]
    def profile(_, event, __):
        calls[0] += event != "c_call"
        if calls[0] == place:
            sys.setprofile(None)
            raise error
    def work():
        profiled(profile)
        good = calls[0] >= place and all(case.result().hex() == expected for _ in range(2))
        os._exit(0 if good else 1)
    return work

read, write = os.pipe()
in_child(measure)
calls = int(os.read(read, 20))
places = random.Random(seed).sample(range(1, calls), min(count, calls - 1))
bad = {place: code for place in sorted(places) if (code := in_child(interrupted_at(place)))}
print(calls, len(places), len(bad), *sorted(bad.items())[:5])
"""


def check_injections(name, error, count, seconds=100):
    """The process goes on after an error at any of so many calls and returns of the main thread; signals are handled
    where a function of C returns, never between its call and what it does."""
    expected = Case(name).result().hex()
    calls, places, bad, *some = run(INJECT, name, error, count, 0, expected, seconds=seconds)
    assert bad == "0", (calls, places, some)
    return int(calls), int(places)


@posix
@pytest.mark.parametrize("name", ["learn", "predict", "train_many"])
def test_an_error_at_some_calls_of_the_main_thread(name):
    calls, places = check_injections(name, "KeyboardInterrupt", 8)
    assert calls > places


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "RuntimeError('timeout')"])
def test_an_error_at_many_calls_of_the_main_thread(name, error):
    check_injections(name, error, 300, seconds=3000)


# --- Garbage.


def cycle():
    """Something in a cycle, and a way to see whether it is still there."""
    thing = Thing()
    thing.itself = thing
    return weakref.ref(thing)


class Thing:
    pass


def test_garbage_of_the_first_kernels_waits_for_python_s_next_look_at_all(monkeypatch):
    gc.collect()
    monkeypatch.setattr(compiling, "_left", 0)
    with compiling.uncollected():
        assert not gc.isenabled()
        left = cycle()
    assert gc.isenabled()
    kept = [[] for _ in range(10_000)]  # Python looks at what is young meanwhile
    assert left() is not None
    gc.collect()
    assert left() is None
    monkeypatch.setattr(compiling, "_left", compiling.MOST_LEFT)
    with compiling.uncollected():
        left = cycle()
    kept += [[] for _ in range(10_000)]
    assert left() is None


def test_what_a_program_has_frozen_stays_so(monkeypatch):
    monkeypatch.setattr(compiling, "_left", 0)
    gc.freeze()
    try:
        with compiling.uncollected():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_who_collects_no_garbage_goes_on_so():
    gc.disable()
    try:
        with compiling.uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
