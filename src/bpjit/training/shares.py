"""The data of one network cut into shares, whose sums the workers of an executor find and which are added here, in the
order of the shares.

Network and data alone decide which rows a share has. So neither the number of workers, nor which of them did what, nor
whether one was lost, changes a bit of the result; and what nobody answers is worked out here.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import secrets
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

import numpy as np

from ..kernels.disk_cache import SOURCES
from ..kernels.one.chunks import CHUNK
from ..kernels.state import Samples
from ..networks.network import Network
from .kept import (
    GRADIENT,
    NOTHING,
    Answer,
    Numbers,
    Question,
    Sums,
    answer,
    answer_at_home,
    bytes_of,
    forget,
    sums_of,
)
from .line_search import Looking
from .workers import is_loss, words_of_loss, workers_of

MOST = 64  # shares, where rows are small
FEWEST_ROWS = 1024  # of a share: beside them its gradient, which travels, is small
LEAST_WORK = 1 << 18  # multiply-adds of a pass through a share, some 50 µs
MOST_BYTES = 1 << 22  # of a share
MOST_SENT = 1 << 23  # bytes of shares that travel together
LOOK_SECONDS = 0.05  # how long nobody else looks while workers work
COUNT_SECONDS = 2.0  # between looks at how many workers there are
READY_SECONDS = 10.0  # in which workers should have their machine code and their shares; then it begins anyway

Asked = dict[Future[Answer], Numbers]  # and the shares to send to whoever takes the task and does not keep them


def cut(D: Samples, n: int) -> list[Samples]:
    """The shares of D for a network of n parameters."""
    m = len(D.X)
    row = (D.X.shape[1] + D.Y.shape[1] + 1) * D.X.itemsize
    rows = min(max(FEWEST_ROWS, LEAST_WORK // n, -(-m // MOST)), MOST_BYTES // row)
    rows = max(1, -(-rows // CHUNK)) * CHUNK
    stretches = (slice(first, first + rows) for first in range(0, m, rows))
    return [Samples(D.X[some], D.Y[some], D.c[some], D.numbers[:0]) for some in stretches]


class Engine:
    """An executor that works for one training; without one, or once it is broken, all is done here."""

    def __init__(self, executor: Executor | None = None) -> None:
        self.executor = executor
        self.training = secrets.token_hex(8)
        self._workers, self._counted = 0, -math.inf

    @property
    def workers(self) -> int:
        """How many there are; in a cluster they come and go."""
        if time.monotonic() - self._counted > COUNT_SECONDS:
            self._workers, self._counted = workers_of(self.executor), time.monotonic()
        return self._workers

    def lose(self, error: BaseException) -> Looking[None]:
        """It does not go on. What ended the workers, Ctrl-C perhaps, may end the training, too."""
        self.executor = None
        time.sleep(LOOK_SECONDS)
        yield
        warnings.warn(f"executor: {words_of_loss(error)}; what is left is trained here", RuntimeWarning, stacklevel=2)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *raised: object) -> None:
        """Have the workers let go of the data, as far as they can be reached."""
        forget(self.training)  # they may be threads of this process
        if self.executor is not None:
            with contextlib.suppress(Exception):  # they may have ended by now
                for _ in range(self.workers):
                    self.executor.submit(forget, self.training)


class Shares:
    """Shares of the samples D to learn from and V to validate on, and what looks at them."""

    def __init__(self, engine: Engine, net: Network, loss: str, D: Samples, V: Samples) -> None:
        self.engine, self.net, self.loss = engine, net, loss
        learning, validating = (cut(samples, len(net._parameters)) for samples in (D, V))
        self.shares = [*learning, *validating]
        self.learning = range(len(learning))
        self.validating = range(len(learning), len(self.shares))
        self._calls = itertools.count()
        self._home: dict[int, str] = {}  # the process that keeps a share

    def make_ready(self, p: np.ndarray) -> None:
        """Let workers have their machine code and their shares, if that does not take too long."""
        until = time.monotonic() + READY_SECONDS
        for numbers in (self.learning, self.validating):
            for _ in self._found(p, NOTHING, numbers):
                if time.monotonic() > until:
                    return

    def look(
        self, p: np.ndarray, wish: int = GRADIENT, validate: bool = False, helped: bool = False
    ) -> Looking[tuple[float, np.ndarray]]:
        """Σ c_k E_k, and −Σ c_k ∂E_k/∂p where that is the wish, of all samples. Where the workers are ``helped`` this
        process works, too, so that it ends whatever becomes of them."""
        numbers = self.validating if validate else self.learning
        found = yield from self._found(p, wish, numbers, helped)
        total, descent = 0.0, np.zeros(len(p))
        with np.errstate(over="ignore", invalid="ignore"):
            for number in numbers:
                total += found[number].error
                if wish == GRADIENT:
                    descent += found[number].descent
        return total, descent

    def _found(self, p: np.ndarray, wish: int, numbers: Numbers, helped: bool = False) -> Looking[dict[int, Sums]]:
        """The sums of the shares of these numbers."""
        net, engine, found = self.net, self.engine, dict[int, Sums]()
        asked = engine.training, next(self._calls), SOURCES, os.getpid()
        question = Question(*asked, net.sizes, net._activations, self.loss, p, wish)
        if engine.executor is not None and len(numbers) > 1:
            yield from self._ask(engine.executor, question, numbers, found, helped)
        for number in numbers:
            if number not in found:
                found[number] = sums_of(question, self.shares[number])
                yield
        return found

    def _ask(
        self, executor: Executor, question: Question, numbers: Numbers, found: dict[int, Sums], helped: bool
    ) -> Looking[None]:
        """Have the workers find the sums, all unless they break. Writes found."""
        asked: Asked = {}
        try:
            at_home = self._ask_at_home(executor, question, numbers, asked)
            while missing := [number for number in numbers if number not in found]:
                if not asked:
                    self._ask_again(executor, question, missing, asked)
                for future in wait(asked, 0.0 if helped else LOOK_SECONDS, FIRST_COMPLETED).done:
                    piece, given = asked.pop(future), future.result()
                    self._home.update(dict.fromkeys(given.numbers, given.process))
                    found |= given.found
                    if not given.numbers and piece:
                        self._send(executor, question, piece, asked)
                    elif not given.numbers:  # who took this task is free
                        self._ask_again(executor, question, surplus(at_home), asked)
                if helped and missing[-1] not in found:
                    found[missing[-1]] = sums_of(question, self.shares[missing[-1]])
                yield
        except Exception as error:
            if not is_loss(error):
                raise
            if not helped:  # else this is one look, perhaps the last; the next one will tell
                yield from self.engine.lose(error)
        finally:
            for future in asked:
                future.cancel()

    def _ask_at_home(
        self, executor: Executor, question: Question, numbers: Numbers, asked: Asked
    ) -> dict[str, list[Numbers]]:
        """Ask for these shares, in pieces that some process keeps. No executor says who will take what; so whoever does
        learns what is at home where, which is returned, and answers for what is with it. Writes asked."""
        size, at_home = -(-len(numbers) // self.engine.workers), dict[str, list[Numbers]]()
        for process in dict.fromkeys(self._home.values()):
            there = [number for number in numbers if self._home.get(number) == process]
            at_home[process] = [there[first : first + size] for first in range(0, len(there), size)]
        for piece in itertools.chain(*at_home.values()):
            asked[executor.submit(answer_at_home, question, piece, at_home)] = ()
        self._send(executor, question, [number for number in numbers if number not in self._home], asked)
        return at_home

    def _ask_again(self, executor: Executor, question: Question, numbers: Numbers, asked: Asked) -> None:
        """Ask for shares that nobody answered for where they are at home; whoever is free may keep them, too. Writes
        asked."""
        for portion in portions(numbers, self.engine.workers):
            asked[executor.submit(answer_at_home, question, portion, {})] = portion

    def _send(self, executor: Executor, question: Question, numbers: Numbers, asked: Asked) -> None:
        """Ask for these shares and send them along. Writes asked."""
        for portion in portions(numbers, self.engine.workers):
            for sent in parcels({number: self.shares[number] for number in portion}):
                asked[executor.submit(answer, question, list(sent), sent)] = ()


def surplus(at_home: dict[str, list[Numbers]]) -> Numbers:
    """The last piece of the process that has most, if it has others. Takes it from there."""
    pieces = max(at_home.values(), key=len, default=[])
    return pieces.pop() if len(pieces) > 1 else ()


def portions(numbers: Numbers, count: int) -> Iterable[Numbers]:
    """So many portions, about equally large, none of them empty."""
    count = min(count, len(numbers))
    return (numbers[len(numbers) * k // count : len(numbers) * (k + 1) // count] for k in range(count))


def parcels(shares: dict[int, Samples]) -> Iterator[dict[int, Samples]]:
    """These shares, so many at a time as should travel together."""
    parcel = dict[int, Samples]()
    for number, share in shares.items():
        if parcel and sum(map(bytes_of, (*parcel.values(), share))) > MOST_SENT:
            yield parcel
            parcel = {}
        parcel[number] = share
    if parcel:
        yield parcel
