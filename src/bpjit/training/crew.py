"""Threads beside the caller's, in such a way that all of them end, whatever is raised at whatever moment.

Whoever has work done by others holds a lock meanwhile, in a ``with`` statement around all of it: starting threads,
handing out, waiting. A lock is released by the interpreter itself, with no line of Python in between that a signal
handler could cut off; so the others need only look whether it is still held. Nothing here is waited for without an end.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..common.arguments import as_integer
from ..kernels.devices import cores
from ..kernels.team import MOST

IDLE_SECONDS = 0.2  # after which a helper without work ends

Lock = Any  # what threading.Lock() makes
T = TypeVar("T")


def as_threads(value: Any) -> int:
    """How many threads to use; None is as many as there are cores. More than any machine has are not started."""
    return cores() if value is None else min(as_integer("threads", value, low=1), MOST)


class _Helpers(threading.local):
    """The threads that help this one, and what is handed to them."""

    process = 0  # that these belong to: threads do not live on in a forked one
    threads: list[threading.Thread]
    queue: SimpleQueue[Callable[[], None]]

    def look(self) -> None:
        """Forget those that have ended."""
        if self.process != os.getpid():
            self.process, self.threads, self.queue = os.getpid(), [], SimpleQueue()
        self.threads = [thread for thread in self.threads if thread.is_alive()]

    def grow(self) -> bool:
        """Start one more, if that is possible."""
        thread = threading.Thread(target=_serve, args=(self.queue,), name="bpjit")
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # the system's limits
            return False
        self.threads.append(thread)
        return True


_helpers = _Helpers()


def ask_for_help(presence: Lock, jobs: Iterable[Callable[[], bool]]) -> None:
    """Hand each job to a thread of its own, which begins it soon, late or, where no thread can be started, never.

    A job is tried again until it returns True, or ``presence`` is no longer held: False says that it found nothing to
    help with yet. The caller must hold ``presence`` until it needs no help any more.
    """
    _helpers.look()
    for number, job in enumerate(jobs):
        if number == len(_helpers.threads) and not _helpers.grow():
            return
        _helpers.queue.put(_until_done(presence, job))


def _until_done(presence: Lock, job: Callable[[], bool]) -> Callable[[], None]:
    def help_out() -> None:
        while presence.locked() and not job():
            pass

    return help_out


def _serve(queue: SimpleQueue[Callable[[], None]]) -> None:
    """What a helper does."""
    while True:
        try:
            job = queue.get(timeout=IDLE_SECONDS)
        except Empty:
            return
        job()
        del job  # and all the data it holds


class Share:
    """Jobs that several threads share until all are done."""

    def __init__(self) -> None:
        self.presence = threading.Lock()
        self.failures: list[BaseException] = []

    @property
    def over(self) -> bool:
        """Whether nobody waits for the results any more: whoever works on a job should end it."""
        return bool(self.failures) or not self.presence.locked()

    def run(
        self, jobs: Iterable[Callable[[], None]], threads: int, must: bool, look: Callable[[], None] = lambda: None
    ) -> None:
        """Do all jobs; ``look`` is called now and then meanwhile. What a job raises is raised here.

        The caller waits, or, where there is no other thread, works itself. Where fewer than ``threads`` can be started,
        that raises RuntimeError if they ``must``. When this returns or raises, all have ended, or are about to.
        """
        queue, started = deque(jobs), list[threading.Thread]()
        try:
            with self.presence:
                for _ in range(min(threads, len(queue)) if threads > 1 else 0):
                    thread = threading.Thread(target=self._work, args=(queue,), name="bpjit")
                    try:
                        thread.start()
                    except (RuntimeError, MemoryError) as error:  # the system's limits
                        if must:
                            raise RuntimeError(
                                f"threads: expected no more than this process can start, got {threads}: {error}"
                            ) from error
                        break
                    started.append(thread)
                if not started:
                    self._serve(queue)
                for thread in started:
                    while thread.is_alive():
                        thread.join(0.1)
                        look()
        finally:
            for thread in started:
                thread.join()
        if self.failures:
            raise self.failures[0]

    def _serve(self, queue: deque[Callable[[], None]]) -> None:
        while queue and not self.over:
            try:
                job = queue.popleft()
            except IndexError:  # another thread was faster
                return
            job()

    def _work(self, queue: deque[Callable[[], None]]) -> None:
        """What a thread does."""
        try:
            self._serve(queue)
        except BaseException as failure:
            self.failures.append(failure)


class Access:
    """Who uses an object that one thread may change, or many may read: whoever would meet another is refused."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.changing = threading.Lock()
        self.readers: set[Lock] = set()  # each holds its lock

    def change(self, work: Callable[[], T]) -> T:
        """Do what changes the object. RuntimeError if another thread uses it."""
        if not self.changing.locked():
            with self.changing:
                if self.readers:  # one that was cut off has left its lock here, but does not hold it
                    self.readers = {reader for reader in self.readers if reader.locked()}
                if not self.readers:
                    return work()
        raise self._refused()

    def read(self, work: Callable[[], T]) -> T:
        """Do what reads the object. RuntimeError if another thread changes it."""
        reading = threading.Lock()
        with reading:
            self.readers.add(reading)
            try:
                if not self.changing.locked():
                    return work()
            finally:
                self.readers.discard(reading)
        raise self._refused()

    def _refused(self) -> RuntimeError:
        return RuntimeError(
            f"{self.owner}: another thread is using it, and only predictions may run at the same time. Let one thread "
            "learn at a time, or give each thread one of its own"
        )
