"""What a worker of an executor does for a training in shares: it keeps the shares that it was sent, and adds up errors
and gradients over them. One thread does it; nothing here knows of sessions.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..common.console import leave_ctrl_c
from ..kernels import drivers
from ..kernels.devices import cores, memory_size
from ..kernels.layout import code_of_loss
from ..kernels.one.chunks import CHUNK
from ..kernels.state import Samples, Wishes
from .workers import check_sources

NOTHING, ERRORS, GRADIENT = range(3)  # what may be wanted of a share
IDLE_SECONDS = 60.0  # without a question, after which a training is forgotten when another begins


Numbers = Sequence[int]  # of shares


class Question(NamedTuple):
    """What is wanted of shares, and at which parameters."""

    training: str  # whose they are
    call: int  # no two questions of a training are the same, or an engine might answer by itself
    sources: str  # of bpjit
    process: int  # that asks
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    p: np.ndarray
    wish: int


class Sums(NamedTuple):
    """Of a share."""

    error: float  # Σ c_k E_k
    descent: np.ndarray  # −Σ c_k ∂E_k/∂p, [shape: (n,)], or (0,) where it was not wanted


class Answer(NamedTuple):
    """What a worker found, and in which process, which keeps these shares. Few arrays travel faster than many."""

    process: str
    numbers: Numbers
    errors: np.ndarray  # [shape: (shares,)]
    descents: np.ndarray  # [shape: (shares, n) or (shares, 0)]

    @property
    def found(self) -> dict[int, Sums]:
        return dict(zip(self.numbers, map(Sums, self.errors.tolist(), self.descents), strict=True))


class Kept:
    """The shares that this process keeps, the longest unused first.

    Each step is one of the interpreter's, so that threads need no lock, which a fork could take away.
    """

    def __init__(self) -> None:
        self.shares: OrderedDict[tuple[str, int], Samples] = OrderedDict()
        self.used: dict[str, float] = {}  # when each training asked last
        self.claims: dict[str, tuple[int, set[int]]] = {}  # of each training its last call, and what is answered of it
        self.room = math.inf  # bytes
        self.over = deque[str](maxlen=64)  # the last trainings that are; threads may still be at work on them

    def choose(self, question: Question, piece: Numbers, at_home: Sequence[Numbers]) -> Numbers:
        """What to answer where this piece is asked for: one that is at home here, else this one if it is here, too;
        nothing if all were chosen for this question before."""
        call, chosen = self.claims.get(question.training, (-1, set()))
        if call != question.call:
            chosen = set()
            self.claims[question.training] = question.call, chosen
        here = all((question.training, number) in self.shares for number in piece)
        for some in (*at_home, piece) if here else at_home:
            if some[0] not in chosen:
                chosen.add(some[0])
                return some
        return ()

    def get(self, training: str, number: int) -> Samples | None:
        self.used[training] = time.monotonic()
        with contextlib.suppress(KeyError):
            self.shares.move_to_end((training, number))
        return self.shares.get((training, number))

    def put(self, training: str, number: int, share: Samples) -> None:
        now, self.room = time.monotonic(), self.room if self.shares else memory_size() / (2 * cores())
        for other, then in list(self.used.items()):
            if other != training and now - then > IDLE_SECONDS:
                self.forget(other)
        self.used[training] = now
        self.shares[training, number] = share
        size = sum(bytes_of(each) for each in list(self.shares.values()))
        while size > self.room and len(self.shares) > 1:
            size -= bytes_of(self.shares.popitem(last=False)[1])

    def forget(self, training: str) -> None:
        self.used.pop(training, None)
        self.claims.pop(training, None)
        for key in list(self.shares):
            if key[0] == training:
                self.shares.pop(key, None)


kept = Kept()
_room, _names = threading.local(), dict[int, str]()


def bytes_of(share: Samples) -> int:
    return sum(array.nbytes for array in share)


def answer(question: Question, numbers: Numbers, sent: Mapping[int, Samples]) -> Answer:
    """The sums of these shares, which are ``sent`` along, and kept from now on."""
    check_sources(question.sources)
    for number in numbers:
        kept.put(question.training, number, sent[number])
    return _answer(question, numbers)


def answer_at_home(question: Question, piece: Numbers, at_home: Mapping[str, Sequence[Numbers]]) -> Answer:
    """The sums of the shares of one of the pieces that are at home in this process; without those that are not here."""
    return _answer(question, kept.choose(question, piece, at_home.get(this_process(), ())))


def this_process() -> str:
    """Its name; a forked one gets its own."""
    return _names.setdefault(os.getpid(), secrets.token_hex(8))


def _answer(question: Question, numbers: Numbers) -> Answer:
    if question.process != os.getpid():
        leave_ctrl_c()
    found = dict[int, Sums]()
    for number in numbers:
        share = kept.get(question.training, number)
        if share is not None:
            found[number] = sums_of(question, share)
    if question.training in kept.over:
        kept.forget(question.training)
    errors, descents = [sums.error for sums in found.values()], [sums.descent for sums in found.values()]
    return Answer(this_process(), list(found), np.array(errors), np.array(descents))


def sums_of(question: Question, share: Samples) -> Sums:
    """The sums of one share; where nothing is wanted the machine code is made ready."""
    sizes, activations, p, wish = question.sizes, question.activations, question.p, question.wish
    loss = code_of_loss(question.loss)
    if wish == NOTHING:
        share = Samples(*(array[:0] for array in share))
    if wish == ERRORS:
        return Sums(float(drivers.evaluate(sizes, activations, p, share, loss, Wishes(errors=True))), p[:0])
    looking = drivers.look_through(room_for(sizes, activations, p.dtype), p, share, loss)
    while True:
        try:
            next(looking)
        except StopIteration as end:
            return Sums(*end.value)


def room_for(*kind: Any) -> Any:
    """This thread's room to work in; it is kept for the next share of such a network."""
    if getattr(_room, "kind", None) != kind:
        sizes, activations, dtype = kind
        _room.work, _room.kind = drivers.gradient_work(sizes, activations, dtype, CHUNK), kind
    return _room.work


def forget(training: str) -> None:
    """The training is over: let go of its shares, and let a late answer to it keep none."""
    kept.over.append(training)
    kept.forget(training)
