"""Threads that meet inside compiled code: handing a task to a Python thread and waiting costs more than a mini-batch.

A team shares one array of whole numbers. Its leader opens it and closes it within one kernel call, where nothing can be
raised. It announces each phase of the work and in how many parts that is cut, both in one number; whoever has joined by
then does the part of its number and says when it is done. Nobody waits for a thread that came late, or never, and
results must not depend on how many there are. A helper joins an open team only: from then on the leader is sure to come
to its end, and the helper with it.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .insides import cgutils
from .jit import inline

# Places in the array, each in a cache line of its own.
PRESENT, WORD, ARRIVED, PHASE, FIRST, NUMBER, LEARN = range(0, 56, 8)
PLACES = 56
# WORD is how often the leader has announced something, and in the lower bits in how many parts; or one of these.
PARTS_BITS = 16
NOT_OPEN, CLOSED = 0, -1
PARTS_OF_WORD = (1 << PARTS_BITS) - 1
NOT_YET, LEADER = -1, 0  # in place of the number of a helper's part
MOST = 1024  # threads in a team
SPINS = 2000  # before a waiting thread lets others run
# Spins before a helper asks Python whether there is still a leader to come. On a machine with much to do each of the
# last, which lets others run, may take some ms; a process that is to end waits for them.
PATIENCE = SPINS + 100


def make_team() -> np.ndarray:
    return np.zeros(PLACES, np.int64)


def _place(context: Any, builder: Any, array: Any, value: Any, index: Any) -> Any:
    return builder.gep(cgutils.create_struct_proxy(array)(context, builder, value).data, [index])


@intrinsic
def read(typing_context: Any, array: Any, index: Any) -> Any:
    """A number as it is now, with all that was written before it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_place(context, builder, array, *arguments), "acquire", 8)

    return types.int64(array, types.intp), generate


@intrinsic
def write(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a number, after all that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _place(context, builder, array, *arguments[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate


@intrinsic
def add(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to a number; returns what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _place(context, builder, array, *arguments[:2]), arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def give_way(typing_context: Any) -> Any:
    """Let other threads of the machine run."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if sys.platform != "win32":
            number = ir.IntType(32)
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, []), "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@inline
def share(n: int, part: int, parts: int) -> tuple[int, int]:
    """From which to which of n things a part goes."""
    if parts == 1:  # divisions take longer than a small layer
        return 0, n
    return n * part // parts, n * (part + 1) // parts


@inline
def open_team(team: np.ndarray) -> None:
    """The leader is there: helpers may join."""
    write(team, WORD, 1 << PARTS_BITS)


@inline
def close_team(team: np.ndarray) -> None:
    """Let all helpers go."""
    write(team, WORD, CLOSED)


class Turn(NamedTuple):
    """What all threads do next."""

    phase: int
    first: int  # the first sample
    n: int  # how many
    learn: bool  # else they are of the validation set


@inline
def announce(team: np.ndarray, turn: Turn) -> int:
    """Begin a phase; returns the number of its parts. The caller does part 0."""
    write(team, FIRST, turn.first)
    write(team, NUMBER, turn.n)
    write(team, LEARN, turn.learn)
    parts = 1 + read(team, PRESENT)
    if parts > 1:
        write(team, PHASE, turn.phase)
        write(team, ARRIVED, 0)
        write(team, WORD, ((read(team, WORD) >> PARTS_BITS) + 1) << PARTS_BITS | parts)
    return parts


@inline
def gather_all(team: np.ndarray, parts: int) -> None:
    """Wait until all parts of a phase are done."""
    spins = 0
    while parts > 1 and read(team, ARRIVED) < parts - 1:
        spins += 1
        if spins > SPINS:
            give_way()


@inline
def wait_for_more(team: np.ndarray, seen: int, patience: int) -> int:
    """The word that follows the one seen; or the same again, where ``patience`` > 0 spins have changed nothing."""
    spins, word = 0, seen
    while word == seen and (patience <= 0 or spins < patience):
        word = read(team, WORD)
        spins += 1
        if spins > SPINS:
            give_way()
    return word


@inline
def join(team: np.ndarray) -> tuple[int, int]:
    """The number of the part that the caller will do of each phase announced from now on, and the word it has seen;
    ``NOT_YET`` where the leader does not come soon."""
    word = wait_for_more(team, NOT_OPEN, PATIENCE)
    if word == NOT_OPEN:
        return NOT_YET, word
    return add(team, PRESENT, 1) + 1, word


@inline
def begin_phase(team: np.ndarray, turn: Turn, part: int, word: int) -> tuple[Turn, int, int]:
    """The leader announces a phase; the others wait for the next one. Returns its turn, the number of its parts, and
    the word seen, which at the end is ``CLOSED``. The part of the caller's number is to be done, if there is one."""
    if part == LEADER:
        return turn, announce(team, turn), word
    word = wait_for_more(team, word, 0)
    parts = 0 if word == CLOSED else word & PARTS_OF_WORD
    if part < parts:
        turn = Turn(read(team, PHASE), read(team, FIRST), read(team, NUMBER), read(team, LEARN) == 1)
    return turn, parts, word


@inline
def end_phase(team: np.ndarray, part: int, parts: int) -> None:
    """The leader waits until all parts are done; the others say that theirs is."""
    if part == LEADER:
        gather_all(team, parts)
    elif part < parts:
        add(team, ARRIVED, 1)
