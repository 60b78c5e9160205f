"""Threads that meet inside compiled code: handing a task to a Python thread and waiting costs more than a mini-batch.

A team shares one array of whole numbers. The first thread announces each phase of the work and in how many parts it is
cut; whoever is present by then does the part of its number and says when it is done. Nobody waits for a thread that
came late, or never, and results must not depend on how many there are.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import inline

# Places in the array, each in a cache line of its own.
PRESENT, GENERATION, ARRIVED, CLOSED, PHASE, PARTS, FIRST, NUMBER, LEARN = range(0, 72, 8)
PLACES = 72
SPINS = 2000  # before a waiting thread lets others run


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
def announce(team: np.ndarray, phase: int) -> int:
    """Begin a phase; returns the number of its parts. The caller does part 0."""
    parts = 1 + read(team, PRESENT)
    if parts > 1:
        write(team, PHASE, phase)
        write(team, PARTS, parts)
        write(team, ARRIVED, 0)
        add(team, GENERATION, 1)
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
def wait_for_more(team: np.ndarray, seen: int) -> int:
    """The generation that follows the one seen, or -1 where the work is at its end."""
    spins = 0
    while True:
        now = read(team, GENERATION)
        if now != seen:
            return now
        if read(team, CLOSED):
            return -1
        spins += 1
        if spins > SPINS:
            give_way()
