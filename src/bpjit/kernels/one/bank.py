"""Many learners of one kind: a row for each, with what it has of its own, and a desk for each thread.

A learner's array (``kernels.learner``) begins with what all learners of a kind share: the header, the records of the
layers, the work space. A desk is that beginning, a row is the rest. Desks and rows lie in one array, so that a thread
takes the next learner by pointing its desk's header to another row: what runs then is ``learn_one``, to the bit.

A block of records is cut into parts by the numbers of their rows, and whichever thread is free takes the next part, all
records of it in their order: results do not depend on the number of threads. A helper that comes late finds less to do,
or nothing, and is not waited for; one that comes before the leader is in compiled code begins nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...settings.rules import Rule
from ..insides import cgutils
from ..jit import inline, kernel
from ..simd.memory import aligned_zeros, item, pointer, put
from ..team import ARRIVED, NOT_OPEN, PATIENCE, PRESENT, add, gather_all, open_team, wait_for_more
from .learner import learn_one, predict_one
from .learner_state import HEADER, LARGEST, SETTINGS, SHARED2, A, P, S, named, places_of

AHEAD = 4  # records from the fetching of a row to its use
LINE = 64  # bytes of a cache line
TAKEN, DONE = PRESENT, ARRIVED  # parts of a block: whose number comes next, and how many are done


class Desk(NamedTuple):
    """The place of one thread."""

    data: np.ndarray
    header: np.ndarray  # the first of ``data``, as whole numbers
    first: int  # where the first row begins, in elements from here
    width: int  # from a row to the next


class Bank(NamedTuple):
    shared: np.ndarray  # what a desk begins as
    rows: np.ndarray  # [shape: (learners, width)], each beginning at a cache line
    places: np.ndarray  # where in a row stand the numbers that learning changes; the parameters come first

    def new_desk(self) -> Desk:
        """A place for one thread more. It is good as long as the bank is there."""
        data = aligned_zeros(len(self.shared), self.shared.dtype)
        data[:] = self.shared
        first = (self.rows.ctypes.data - data.ctypes.data) // data.itemsize
        return Desk(data, data.view(np.int64)[:HEADER], first, self.rows.shape[1])


def make_bank(data: np.ndarray, place: np.ndarray, slots: int, count: int) -> Bank:
    """A bank of ``count`` learners like the one that ``make_state`` made."""
    header = data.view(np.int64)[:HEADER]
    own, width = int(header[P]), len(data) - int(header[P])
    places = places_of(data, place, slots) - own
    rows = aligned_zeros(count * width, data.dtype).reshape(count, width)
    rows[:] = data[own:]
    return Bank(data[:own].copy(), rows, places)


def starting_state(parameters: np.ndarray, rule: Rule, seed: int) -> np.ndarray:
    """What stands at ``Bank.places`` before the first update of learners with these ``parameters``, [shape: (learners,
    n)]."""
    count, n = parameters.shape
    slots = rule.start(n, seed)[: rule.slots].ravel().astype(parameters.dtype)
    settings = np.zeros((count, SHARED2 + 1 - LARGEST), parameters.dtype)
    settings[:, 0] = np.abs(parameters).max(1)
    ahead = [parameters] if rule.ahead is not None else []
    return np.concatenate([parameters, *ahead, np.tile(slots, (count, 1)), settings], axis=1)


@intrinsic
def _fetch(typing_context: Any, array: Any, offset: Any) -> Any:
    """Have the cache line of an element fetched, to be written."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = cgutils.create_struct_proxy(array)(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(start, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@inline
def fetch(desk: Desk, row: int, X: np.ndarray, k: int) -> None:
    """Have a row fetched, and the ends of a record's inputs: the records of a part are far from each other."""
    start, step, d = desk.first + row * desk.width, LINE // desk.data.itemsize, X.shape[1]
    for offset in range(start, start + desk.width, step):
        _fetch(desk.data, offset)
    _fetch(X, k * d)
    _fetch(X, k * d + d - 1)


@inline
def point_to(desk: Desk, row: int) -> None:
    """Point the header to a row."""
    further = desk.first + row * desk.width - desk.header[P]
    desk.header[P] += further
    desk.header[A] += further
    desk.header[S] += further
    desk.header[SETTINGS] += further


@inline
def choose(rows: np.ndarray, part: int, parts: int, records: np.ndarray) -> int:
    """The records of a part; ``parts`` is a power of two. Writes their numbers into ``records``, returns how many there
    are."""
    count = 0
    for k in range(len(rows)):
        put(records, count, k)
        count += (item(rows, k) & (parts - 1)) == part
    return count


@inline
def begin(team: np.ndarray, lead: bool) -> bool:
    """The thread that leads begins; the others see whether it has, and wait for it for some spins."""
    if lead:
        open_team(team)
    return wait_for_more(team, NOT_OPEN, PATIENCE) != NOT_OPEN


@inline
def finish(team: np.ndarray, parts: int, lead: bool) -> None:
    """The thread that leads waits until all parts are done, its own among them."""
    if lead:
        gather_all(team, parts + 1)


class Shift(NamedTuple):
    """Who works on records at once."""

    team: np.ndarray
    parts: int
    lead: bool


def _each_record(work: Callable[..., Any]) -> Callable[..., Any]:
    """A walk through records, part after part, together with the others of a shift: ``work(desk, X, k, given)`` for
    each record k, with the header at its learner."""

    @inline
    def walk(desk: Desk, shift: Shift, records: np.ndarray, rows: np.ndarray, X: np.ndarray, given: Any) -> bool:
        team, parts, lead = shift
        if not begin(team, lead):
            return False
        part = add(team, TAKEN, 1)
        while part < parts:
            count = choose(rows, part, parts, records)
            for index in range(count):
                if index + AHEAD < count:
                    following = item(records, index + AHEAD)
                    fetch(desk, item(rows, following), X, following)
                k = item(records, index)
                point_to(desk, item(rows, k))
                work(desk, X, k, given)
            add(team, DONE, 1)
            part = add(team, TAKEN, 1)
        finish(team, parts, lead)
        return True

    return walk


@inline
def _predict(desk: Desk, X: np.ndarray, k: int, given: Any) -> None:
    kind, y_hat = given
    predict_one(kind, desk.data, pointer(X, k * X.shape[1]), pointer(y_hat, k * y_hat.shape[1]))


_predict_each = _each_record(_predict)


@functools.cache
def predict_records_kernel(kind: Any) -> Any:
    """The kernel for a bank of learners of this kind, as ``seen_by_prediction``."""

    def predict_records(
        desk: Desk,
        team: np.ndarray,
        parts: int,
        lead: bool,
        records: np.ndarray,
        rows: np.ndarray,
        X: np.ndarray,
        y_hat: np.ndarray,
    ) -> bool:
        """ŷ of the learners of ``rows`` for each record. Writes y_hat. False in a helper whose leader has not begun."""
        return _predict_each(desk, Shift(team, parts, lead), records, rows, X, (kind, y_hat))

    return kernel(predict_records, named("predict_records", kind))


@inline
def _learn(desk: Desk, X: np.ndarray, k: int, given: Any) -> None:
    kind, Y, E = given
    put(E, k, learn_one(kind, desk.data, pointer(X, k * X.shape[1]), pointer(Y, k * Y.shape[1])))


_learn_each = _each_record(_learn)


@functools.cache
def learn_records_kernel(kind: Any) -> Any:
    """The kernel for a bank of learners of this kind."""

    def learn_records(
        desk: Desk,
        team: np.ndarray,
        parts: int,
        lead: bool,
        records: np.ndarray,
        rows: np.ndarray,
        X: np.ndarray,
        Y: np.ndarray,
        E: np.ndarray,
    ) -> bool:
        """One update of the learner of ``rows`` for each record, as ``learn_one``. Writes E_k from before it, or NaN
        where nothing was learnt. False in a helper whose leader has not begun."""
        return _learn_each(desk, Shift(team, parts, lead), records, rows, X, (kind, Y, E))

    return kernel(learn_records, named("learn_records", kind))
