"""Portions on their way through the workers of an executor: whatever has the interface of
``concurrent.futures.Executor``, in processes of this machine or of others.

Workers share nothing with this process, and not its clock. So a portion goes out for a slice of some time, comes back,
and goes out again from where it stands (``slices``), until all its networks have stopped: that is how Ctrl-C, an event
or the end of the time reaches every worker, and why a worker that is lost costs a slice, and not a training.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ..common.arguments import describe, quiet
from ..common.console import leave_ctrl_c
from ..kernels.devices import cores
from ..settings.stopping import Limits
from ..training.crew import Share
from ..version import __version__
from .groups import Group, Results
from .portions import compile_for, run
from .slices import Course, Piece

SLICE = 1.0  # seconds that a portion trains before it comes back, at least
WORTH = 20.0  # times as long as sending it takes, and taking it up again
SPEED = 1e8  # bytes sent in a second, about
PORTIONS = 4  # for each worker, so that all end at about the same time,
SECONDS = 0.1  # if each then trains for so long
WORK = 1e10  # multiply-adds in a second, about
LOOK = 0.1  # seconds between looks at what may end all
PATIENCE = 3.0  # seconds, beyond their slices, that workers are waited for in the end
OWN = "put what is your own into a module that workers can import, or install cloudpickle here and there"


def as_executor(executor: Any) -> Any:
    """What portions can be sent to, or None."""
    if executor is None:
        return None
    expected = "expected an object with the interface of concurrent.futures.Executor, such as ProcessPoolExecutor()"
    if hasattr(executor, "get_executor"):  # a Client of Dask, whose own futures are none of concurrent.futures
        raise TypeError(f"executor: {expected}, got {describe(executor)}; give its get_executor()")
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor: {expected}, got {describe(executor)}")
    return executor


def workers_of(executor: Any) -> int:
    """How many portions it trains at a time, as far as that is known: else there is one for each core here."""
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None and not getattr(client, "asynchronous", True):
        return sum(client.nthreads().values()) or cores()
    return getattr(executor, "_max_workers", None) or cores()


def parts_for(executor: Any, work: float) -> int:
    """Into how many parts so many multiply-adds are cut."""
    workers = workers_of(executor)
    return workers * (PORTIONS if work > workers * PORTIONS * SECONDS * WORK else 1)


# --- In a worker.


class Failed(Exception):
    """What a portion raised: the numbers of its networks, the name of the error, and what it says."""

    def error(self, name_of: Callable[[list[int]], str]) -> Exception:
        """As the caller is to see it."""
        members, kind, said = self.args
        if not re.match(r"network \d+: ", said):
            said = f"{name_of(members)}: {said}"
        known: dict[str, type[Exception]] = {"ValueError": ValueError, "TypeError": TypeError}
        return known.get(kind, RuntimeError)(said if kind in known else f"{said} ({kind})")


def train_slice(parcel: bytes, seconds: float, version: str, sender: int, ticket: str) -> tuple[Results, float]:
    """Train a portion for so many seconds; returns its results, and how long all but that took. ``ticket`` tells calls
    apart, for engines that remember what the same call gave before."""
    started = time.perf_counter()
    if version != __version__:
        raise RuntimeError(f"executor: expected workers with bpjit {version}, as here, got one with {__version__}")
    if os.getpid() != sender:
        leave_ctrl_c()
    try:
        portion = pickle.loads(parcel)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise TypeError(f"executor: a worker cannot read what it is sent ({said}); {OWN}") from None
    try:
        compiling = compile_for(portion, "cpu")
        results = run(portion, "cpu", Limits(time.perf_counter() + seconds))
    except Exception as error:
        raise Failed(portion.members.tolist(), type(error).__name__, str(error)) from error
    return results, time.perf_counter() - started - compiling - seconds


# --- Here.


class Work(Protocol):
    """What is to be done, as ``Sending`` needs to know it."""

    limits: Limits
    share: Share

    def report(self, stopped: int) -> None: ...

    def look(self) -> None: ...

    def names_of(self, members: list[int]) -> str: ...


Errand = tuple[Group, Callable[[Results], None]]  # a portion, and who takes its results


class Sending:
    """Portions on their way."""

    def __init__(self, executor: Any, work: Work) -> None:
        self.executor, self.work = executor, work
        self.errands: Iterator[Errand] = iter(())
        self.again = deque[Piece]()  # to go on
        self.out: dict[Piece, tuple[Any, float]] = {}  # futures, and the seconds of their slices
        self.back: SimpleQueue[Piece] = SimpleQueue()
        self.lost = ""  # why no more goes out
        self.drawing, self.taking = threading.Lock(), threading.Lock()

    def run(self, errands: Iterable[Errand], threads: int, must: bool) -> None:
        """Have all portions trained. What is left where the executor breaks is trained here, by so many threads."""
        self.errands, limits = iter(errands), self.work.limits
        with self.work.share.presence:
            try:
                while not self.lost and limits.reached() is None and self._send():
                    self._receive()
                self._wait()
            finally:
                for future, _ in self.out.values():
                    future.cancel()
            over = limits.reached() is not None
        if self.lost and not over:
            warnings.warn(f"executor: {self.lost}; what is left is trained here", RuntimeWarning, stacklevel=5)
        self.again.extendleft(self.out)
        self.work.share.run([self._train_here] * threads, threads, must, self.work.look)

    @quiet
    def _next(self) -> Piece | None:
        with self.drawing:
            if self.again:
                return self.again.popleft()
            errand = next(self.errands, None)
            return None if errand is None else Course(*errand).begin()

    def _send(self) -> bool:
        """Send out what workers can have, two pieces for each, so that none waits; returns whether any is out."""
        while not self.lost and len(self.out) < 2 * workers_of(self.executor):
            if (piece := self._next()) is None:
                break
            parcel = packed(piece.group)
            left = self.work.limits.deadline - time.perf_counter()
            seconds = max(0.0, min(max(SLICE, WORTH * max(len(parcel) / SPEED, piece.cost)), left))
            how = parcel, seconds, __version__, os.getpid(), uuid.uuid4().hex
            try:
                future = self._submit(train_slice, *how)
            except BrokenExecutor as error:
                self.again.appendleft(piece)
                self._lose(error)
                break
            self.out[piece] = future, seconds
            future.add_done_callback(lambda _, piece=piece: self.back.put(piece))
        return bool(self.out)

    def _submit(self, *call: Any) -> Any:
        if not hasattr(self.executor, "_client"):
            return self.executor.submit(*call)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # so calls Dask a parcel of 10 MB
            return self.executor.submit(*call)

    def _receive(self) -> None:
        """Take what comes back next, if it comes soon."""
        with contextlib.suppress(Empty):
            piece = self.back.get(timeout=LOOK)
            while True:
                self._take(piece, self.out.pop(piece)[0])
                piece = self.back.get_nowait()
        self.work.look()

    def _take(self, piece: Piece, future: Any) -> None:
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if isinstance(error, Failed):
            raise error.error(self.work.names_of) from error
        if error is not None:
            if not is_loss(error):
                raise error
            self.again.appendleft(piece)
            self._lose(error)
            return
        results, cost = future.result()
        left = piece.course.come_back(piece, results)
        self.again.extendleft(replace(rest, cost=cost if piece.begun else 0.0) for rest in left)  # the first compiled
        self.work.report(len(piece.places) - sum(len(rest.places) for rest in left))

    def _lose(self, error: BaseException) -> None:
        said = " ".join(str(error).split())
        self.lost = self.lost or f"it does not go on ({type(error).__name__}{': ' if said else ''}{said})"

    def _wait(self) -> None:
        """Take what is still out, but for what has not begun, and what does not come back."""
        if not self.out:
            return
        if any(future.running() for future, _ in self.out.values()):  # those of Dask do not tell
            for future, _ in self.out.values():
                future.cancel()
        until = time.perf_counter() + 2.0 * max(seconds for _, seconds in self.out.values()) + PATIENCE
        while self.out and time.perf_counter() < until:
            self._receive()

    def _train_here(self) -> None:
        """Train what is left, or, where all is over, write down what ended it."""
        while (piece := self._next()) is not None:
            reason = self.work.limits.reached()
            if reason is not None and piece.begun:
                with self.taking:
                    piece.course.cut_off(piece, reason)
            else:
                results = run(piece.group, "cpu", self.work.limits, self.work.report)
                with self.taking:
                    piece.course.come_back(piece, results, for_good=True)


def is_loss(error: BaseException) -> bool:
    """Whether an executor says by it that it does not go on, and not that something is wrong with what it was given."""
    lost = BrokenExecutor, CancelledError, OSError, KeyboardInterrupt, SystemExit
    return isinstance(error, lost) or type(error).__name__ == "KilledWorker"  # of Dask: one portion killed several


def packed(group: Group) -> bytes:
    """A portion as bytes; what was defined in the program itself, and not in a module, goes along where cloudpickle is
    there, as it is with Dask and loky."""
    parcel, why = b"", ""
    try:
        parcel = pickle.dumps(group, protocol=5)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if why or b"__main__" in parcel:
        try:
            import cloudpickle

            return cloudpickle.dumps(group, protocol=5)
        except ImportError:
            if why:
                raise TypeError(f"executor: expected settings that can be sent to a worker, but {why}; {OWN}") from None
    return parcel


def numbers_of(members: list[int]) -> str:
    """Networks by their numbers."""
    if len(members) == 1:
        return f"network {members[0]}"
    listed = ", ".join(str(member) for member in members[:3])
    return f"networks {listed}" + (f" and {len(members) - 3} more" if len(members) > 3 else "")
