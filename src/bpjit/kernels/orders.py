"""The order of the samples in an epoch: for one network, or for several at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..maths import random_streams
from .jit import formula, inline, kernel, smaller


@formula
def epoch_order(
    order_key: Any, epoch: int, numbers: np.ndarray, keys: np.ndarray, ends: np.ndarray, order: np.ndarray
) -> None:
    """Sort the samples by the upper 32 bits of a hash of (seed, epoch, sample number), ties by their place.

    So the order of a subset is the full order restricted to it. Each key goes to its bucket, as many buckets as
    samples; an insertion sort mends the few that lie within a bucket. Writes keys, ends and order.
    """
    m = len(numbers)
    here = random_streams.stream(order_key, np.uint64(epoch))
    for bucket in range(m + 1):
        ends[bucket] = 0
    for k in range(m):
        keys[k] = (random_streams.draw(here, numbers[k]) >> np.uint64(32)) << np.uint64(32) | np.uint64(k)
        ends[((keys[k] >> np.uint64(32)) * np.uint64(m)) >> np.uint64(32)] += 1
    for bucket in range(m - 1, -1, -1):
        ends[bucket] += ends[bucket + 1]
    for k in range(m):
        bucket = ((keys[k] >> np.uint64(32)) * np.uint64(m)) >> np.uint64(32)
        order[m - ends[bucket]] = k
        ends[bucket] -= 1
    for t in range(1, m):
        k = order[t]
        place = t
        while place > 0 and keys[order[place - 1]] > keys[k]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k


LOW_BITS = np.uint64(0xFFFFFFFF)


@inline
def upper_bits(here: Any, first: int, rows: np.ndarray, k: int) -> Any:
    """The 32 bits that decide the place of sample k, which stands in row ``first + rows[k]`` of the data, or
    ``first + k``."""
    row = rows[k] if len(rows) > 0 else k
    return random_streams.draw(here, np.uint64(first + row)) >> np.uint64(32)


@kernel
def count_keys(here: np.uint64, first: int, rows: np.ndarray, m: int, counts: np.ndarray) -> None:
    """How many of m samples come in each of ``len(counts)`` equal ranges of their keys. Adds to counts."""
    for k in range(m):
        counts[(upper_bits(here, first, rows, k) * np.uint64(len(counts))) >> np.uint64(32)] += 1


@kernel
def keys_between(
    here: np.uint64, first: int, rows: np.ndarray, m: int, part: int, parts: int, keys: np.ndarray
) -> None:
    """The keys of ``epoch_order`` that lie in one of ``parts`` equal ranges, as they come. Writes keys, which has room
    for just these."""
    n = 0
    for k in range(m):
        bits = upper_bits(here, first, rows, k)
        if (bits * np.uint64(parts)) >> np.uint64(32) == np.uint64(part):
            keys[n] = bits << np.uint64(32) | np.uint64(k)
            n += 1


@formula
def sort_lanes(table: np.ndarray, numbers: np.ndarray) -> None:
    """As many orders at once as there are lanes, each as ``epoch_order`` makes it, from the keys in the table's last
    row; in the low bits of the rows before it, the places of the samples with these numbers. Writes table.

    Batcher's odd-even merge sort: what it compares does not depend on what it finds, so all lanes go the same way.
    """
    m = len(numbers)
    for k in range(m):
        for lane in range(table.shape[1]):
            drawn = random_streams.draw(table[m, lane], numbers[k])
            table[k, lane] = (drawn & ~LOW_BITS) | np.uint64(k)
    half = 1
    while half < m:
        distance = half
        while distance > 0:
            for first in range(distance % half, m - distance, 2 * distance):
                for k in range(first, smaller(first + distance, m - distance)):
                    if k // (2 * half) == (k + distance) // (2 * half):
                        sort_two(table[k], table[k + distance])
            distance //= 2
        half *= 2


@inline
def sort_two(low: np.ndarray, high: np.ndarray) -> None:
    """The smaller of each pair goes to low."""
    for lane in range(len(low)):
        a, b = low[lane], high[lane]
        low[lane], high[lane] = min(a, b), max(a, b)


@kernel
def make_orders(key: np.uint64, first: int, room: MakingRoom, numbers: np.ndarray, orders: np.ndarray) -> None:
    """The orders of the epochs from ``first`` on that networks share. Writes orders, [shape: (epochs, m)], and work
    space."""
    count, m = orders.shape
    lanes = room.table.shape[1]
    if len(room.table) == 0:
        for e in range(count):
            epoch_order(key, first + e, numbers, room.keys, room.ends, orders[e])
        return
    for start in range(0, count, lanes):
        for lane in range(lanes):
            room.table[m, lane] = random_streams.stream(key, np.uint64(first + start + lane))
        sort_lanes(room.table, numbers)
        for lane in range(smaller(lanes, count - start)):
            for t in range(m):
                orders[start + lane, t] = np.int64(room.table[t, lane] & LOW_BITS)


class MakingRoom(NamedTuple):
    """Work space to make orders."""

    table: np.ndarray  # uint64, as for ``sort_lanes``; or nothing: for too many samples
    keys: np.ndarray  # uint64, as for ``epoch_order``, [shape: (m,)]
    ends: np.ndarray  # [shape: (m + 1,)]


MOST_SORTED = 32  # samples up to which several orders at once are made in less time
# What NumPy makes, up to four times slower and without a kernel: the first million numbers of a process, as to compile
# one takes longer than to make fifty million. A call counts as a thousand.
MADE_AT_FIRST, OF_A_CALL = 1 << 20, 1000

_made = 0


def shared_orders(key: np.uint64, first: int, count: int, numbers: np.ndarray) -> np.ndarray:
    """The orders of ``count`` epochs from ``first`` on of these samples, [shape: (count, m)]."""
    global _made
    m, at_once = len(numbers), 8
    _made += min(count * m + OF_A_CALL, MADE_AT_FIRST + 1)
    if _made <= MADE_AT_FIRST:
        return orders_by_numpy(key, first, count, numbers)
    table = np.zeros((m + 1 if m <= MOST_SORTED else 0, at_once), np.uint64)
    orders = np.empty((count, m), np.int64)
    make_orders(key, first, MakingRoom(table, np.zeros(m, np.uint64), np.zeros(m + 1, np.int64)), numbers, orders)
    return orders


def orders_by_numpy(key: np.uint64, first: int, count: int, numbers: np.ndarray) -> np.ndarray:
    """The same, each as ``epoch_order`` makes it."""
    keys = random_streams.stream(key, np.arange(first, first + count, dtype=np.uint64))
    drawn = random_streams.draw(keys[:, None], numbers)
    sorted_ = np.sort((drawn & ~LOW_BITS) | np.arange(len(numbers), dtype=np.uint64), axis=1)
    return (sorted_ & LOW_BITS).view(np.int64)


class OwnOrders(NamedTuple):
    """Where networks have orders of their own."""

    keys: np.ndarray  # uint64 key of the orders of each network, [shape: (packs, lanes)]
    places: np.ndarray  # work space for one epoch of a pack, [shape: (m, lanes)]
    table: np.ndarray  # uint64, the same with a row more
    numbers: np.ndarray  # of the samples, uint64, [shape: (m,)]


class Orders(NamedTuple):
    """Orders of samples."""

    shared: np.ndarray  # one for all epochs of a call, or one for each, [shape: (1 or count, m)]
    own: OwnOrders | None  # None: networks share them
