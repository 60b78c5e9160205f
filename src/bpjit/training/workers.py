"""Executors whose workers train: whatever has the interface of ``concurrent.futures.Executor``, in processes of this
machine or of others. What they are sent, and when, their users decide.
"""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

from ..common.arguments import describe
from ..kernels.devices import cores
from ..kernels.disk_cache import SOURCES


def as_executor(executor: Any) -> Any:
    """What work can be sent to, or None."""
    if executor is None:
        return None
    expected = "expected an object with the interface of concurrent.futures.Executor, such as ProcessPoolExecutor()"
    if hasattr(executor, "get_executor"):  # a Client of Dask, whose own futures are none of concurrent.futures
        raise TypeError(f"executor: {expected}, got {describe(executor)}; give its get_executor()")
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor: {expected}, got {describe(executor)}")
    return executor


def target_of_workers(executor: Any, target: str) -> str:
    """The machine on which the workers of an executor train; without one the target."""
    if as_executor(executor) is None:
        return target
    if target == "cuda":
        raise ValueError('target: workers of an executor train on CPUs; expected "cpu" or "auto", got "cuda"')
    return "cpu"


def workers_of(executor: Any) -> int:
    """How many tasks it does at a time, as far as that is known: else there is one for each core here."""
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None and not getattr(client, "asynchronous", True):
        return sum(client.nthreads().values()) or cores()
    return getattr(executor, "_max_workers", None) or cores()


def is_loss(error: BaseException) -> bool:
    """Whether an executor says by it that it does not go on, and not that something is wrong with what it was given."""
    lost = BrokenExecutor, CancelledError, OSError, KeyboardInterrupt, SystemExit
    return isinstance(error, lost) or type(error).__name__ == "KilledWorker"  # of Dask: one task killed several


def words_of_loss(error: BaseException) -> str:
    """Why no more goes out."""
    said = " ".join(str(error).split())
    return f"it does not go on ({type(error).__name__}{': ' if said else ''}{said})"


def check_sources(sources: str) -> None:
    """In a worker: refuse to work for another bpjit."""
    if sources != SOURCES and sources and SOURCES:
        raise RuntimeError(
            "executor: expected workers with the bpjit that is here, got one with other sources; install one"
        )
