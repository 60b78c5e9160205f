"""Executors of several kinds, and what tests do to them; also a program of its own, which MPI and clusters need.

python tests/engines.py ENGINE WHAT
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor

import numpy as np

import bpjit
from bpjit.many import executors

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2))
Y = (X[:, :1] * X[:, 1:] > 0).astype(float)
NETS = bpjit.Networks.random((2, 4, 1), 70, seed=1)
SETTINGS = {"eta": np.linspace(0.1, 2.0, 70), "stop": [8000, bpjit.TargetError(1e-3)], "history": True}


def bits(fits):
    names = "error", "objective", "validation_error", "epochs", "updates", "best_epoch", "stopped_by"
    arrays = [getattr(fits, name) for name in names] + [net.parameters for net in fits.networks]
    arrays += [] if fits.evidence is None else list(fits.evidence)
    return [array.tobytes() for array in (*arrays, *(fits.errors or []), *(fits.validation_errors or []))]


class Watched(Executor):
    """Another, which is asked what it is; ``then`` is called at a parcel of this number, counted from 1."""

    def __init__(self, executor, at=0, then=lambda: None):
        self.executor, self.sent, self.at, self.then = executor, 0, at, then

    def __getattr__(self, name):
        return getattr(self.executor, name)

    def submit(self, *call):
        self.sent += 1
        future = self.executor.submit(*call)
        if self.sent == self.at:
            self.then()
        return future


class Here(Executor):
    """What trains at once, in the caller. After so many parcels it ends as ``lost`` says."""

    def __init__(self, parcels=10**9, lost=None):
        self.left, self.lost = parcels, lost

    def submit(self, function, *arguments):
        self.left -= 1
        future = Future()
        if self.left < 0:
            return self.lost(future) or future
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.contextmanager
def engine(name):
    """An executor with two workers, and a function that tells the processes of its workers."""
    if name == "dask":
        from dask.distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client.get_executor(), lambda: list(client.run(os.getpid).values())
    elif name == "loky":
        from loky import get_reusable_executor

        executor = get_reusable_executor(max_workers=2)
        yield executor, lambda: list(executor._processes)
        executor.shutdown(kill_workers=True)
    elif name == "mpi":
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as executor:
            yield executor, lambda: list(executor.map(pid_of, range(2)))
    else:
        with ProcessPoolExecutor(2, multiprocessing.get_context(name)) as executor:
            yield executor, lambda: list(executor._processes)


def pid_of(_):
    return os.getpid()


def same(executor, pids):
    """It trains as this process does."""
    watched = Watched(executor)
    assert bits(bpjit.train_many(NETS, X, Y, executor=watched, **SETTINGS)) == bits(
        bpjit.train_many(NETS, X, Y, **SETTINGS)
    )
    assert watched.sent > 10, watched.sent
    print("same")


def kill(executor, pids):
    """A worker is killed in the middle."""
    watched = Watched(executor, 6, lambda: os.kill(pids()[0], signal.SIGKILL))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fits = bpjit.train_many(NETS, X, Y, executor=watched, **SETTINGS)
    assert watched.sent >= 6
    assert bits(fits) == bits(bpjit.train_many(NETS, X, Y, **SETTINGS))
    print("same", *sorted({str(each.message) for each in said if each.category is RuntimeWarning}))


def press(executor, pids):
    """Ctrl-C, which a terminal sends to all processes of the group; where a cluster is another program, to this one."""
    held = list[int]()

    def press_now():
        held.append(time.perf_counter())
        if hasattr(executor, "_client"):
            os.kill(os.getpid(), signal.SIGINT)
        else:
            os.killpg(0, signal.SIGINT)

    def soon():
        held.extend(pids())
        threading.Timer(0.3, press_now).start()

    fits = bpjit.train_many(NETS, X, Y, stop=10**9, executor=Watched(executor, 8, soon))
    assert (fits.stopped_by == "interrupted").all()
    assert (fits.epochs > 0).any()
    print("interrupted", time.perf_counter() - held.pop(), *held)


def main():
    executors.SLICE, executors.WORTH = 0.005, 0.0
    with engine(sys.argv[1]) as (executor, pids):
        {"same": same, "kill": kill, "press": press}[sys.argv[2]](executor, pids)


if __name__ == "__main__":
    main()
