"""Keys: the rows of each, in the order of the keys; what a file and a seed make of a key."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .columns import Columns, plain

Key = tuple[Any, ...]
MOST_TABLE = 1 << 24  # places in a table of all pairs of codes


class Coded(NamedTuple):
    """The key of each row, as a number; numbers are in the order of the keys."""

    keys: list[Key]
    codes: np.ndarray  # [shape: (m,)]


class Ordered(NamedTuple):
    """The rows of each key, in their order in the table."""

    starts: np.ndarray  # where those of each begin in ``order``, and where the last end, [shape: (keys + 1,)]
    order: np.ndarray | None  # numbers of rows; None: as they are

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The numbers of the rows at these places in the order."""
        return places if self.order is None else self.order[places]


def coded(columns: Columns, names: Sequence[str]) -> Coded:
    """The keys of a table in these columns."""
    codes, values = _codes_of_column(columns, names[0])
    keys: list[Key] = [(value,) for value in values]
    for name in names[1:]:
        others, values = _codes_of_column(columns, name)
        codes, pairs = _condensed(codes.astype(np.int64) * len(values) + others, len(keys) * len(values))
        firsts, lasts = np.divmod(pairs, len(values))
        keys = [(*keys[first], values[last]) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]
    return Coded(keys, codes)


def ordered(coded: Coded) -> Ordered:
    """The rows of each key."""
    codes = coded.codes
    counts = np.bincount(codes, minlength=len(coded.keys))
    starts = np.concatenate([[0], np.cumsum(counts)])
    if bool((codes[1:] >= codes[:-1]).all()):
        return Ordered(starts, None)
    order = np.argsort(codes.astype(np.uint16), kind="stable")  # by digits, which takes as long for each row
    if len(coded.keys) > 1 << 16:
        order = order[np.argsort((codes >> 16).astype(np.uint16)[order], kind="stable")]
    return Ordered(starts, order.astype(_integers(len(codes))))


def _integers(count: int) -> type[np.signedinteger[Any]]:
    """Whole numbers below ``count`` in as little room as they need."""
    return np.int32 if count < 1 << 31 else np.int64


def _condensed(codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes below ``count`` as numbers 0, 1, ... of those that occur, in their order; and these."""
    heads = np.concatenate([[True], codes[1:] != codes[:-1]])
    places = np.flatnonzero(heads)
    if len(places) <= len(codes) // 4:  # rows of one key follow one another
        found, numbers = np.unique(codes[places], return_inverse=True)
        lengths = np.diff(np.append(places, len(codes)))
        return np.repeat(numbers.astype(_integers(len(found))), lengths), found
    if count <= MOST_TABLE:
        occurs = np.zeros(count, bool)
        occurs[codes] = True
        numbers = np.cumsum(occurs) - 1
        return numbers.astype(_integers(count))[codes], np.flatnonzero(occurs)
    found, numbers = np.unique(codes, return_inverse=True)
    return numbers.astype(_integers(len(found))), found


def _codes_of_column(columns: Columns, name: str) -> tuple[np.ndarray, list[Any]]:
    """A number for each row, in the order of the values; and the values."""
    labels = columns.labels(name)
    if isinstance(labels, np.ndarray):
        least, most = int(labels.min()), int(labels.max())
        if most - least < MOST_TABLE and labels.dtype.kind != "b":
            wide = labels if labels.dtype.itemsize == 8 else labels.astype(np.int64)
            codes, found = _condensed(wide - wide.dtype.type(least), most - least + 1)
            return codes, [least + value for value in found.tolist()]
        codes, found = _condensed(labels, MOST_TABLE + 1)
        return codes, found.tolist()
    return _codes_of_values(labels, lambda value: plain(columns.name, name, value), columns.rows)


def _codes_of_values(blocks: Iterable[list[Any]], convert: Any, m: int) -> tuple[np.ndarray, list[Any]]:
    numbers: dict[Any, int] = {}  # of each value as it came
    values: dict[Any, int] = {}
    codes, first = np.empty(m, _integers(m)), 0
    for block in blocks:
        try:
            new = set(block).difference(numbers)
        except TypeError:
            new = set()
            for value in block:
                convert(value)  # says which cannot be a key
            raise
        for value in new:
            numbers[value] = values.setdefault(convert(value), len(values))
        codes[first : first + len(block)] = [numbers[value] for value in block]
        first += len(block)
    listed = sorted(values, key=_sortable)
    rank = np.empty(len(listed), codes.dtype)
    rank[[values[value] for value in listed]] = np.arange(len(listed))
    return rank[codes], listed


def _sortable(value: Any) -> tuple[int, Any]:
    """What orders values of several kinds: numbers, dates, words, and what is missing last."""
    if value is None:
        return 3, 0
    if isinstance(value, str):
        return 2, value
    if isinstance(value, datetime.date):
        return 1, value.isoformat()
    return 0, value


# --- As words.


def in_words(key: Key) -> list[Any]:
    """A key as JSON can say it."""
    return [{type(value).__name__: value.isoformat()} if isinstance(value, datetime.date) else value for value in key]


def from_words(words: list[Any]) -> Key:
    """The key that ``in_words`` said."""
    kinds = {"date": datetime.date, "datetime": datetime.datetime}
    values = []
    for word in words:
        if isinstance(word, dict):
            ((kind, text),) = word.items()
            word = kinds[kind].fromisoformat(text)
        if not (word is None or isinstance(word, (str, bool, int, float, datetime.date))):
            raise ValueError(f"expected words, numbers, truth values or dates as keys, got {word!r}")
        values.append(word)
    return tuple(values)


def seeds_of(keys: Iterable[Key], seed: int) -> np.ndarray:
    """What each key makes of a seed, whatever other keys there are: 64 bits of BLAKE2 of both, uint64."""
    salt = seed.to_bytes(8, "little")
    return np.array([_hash(key, salt) for key in keys], np.uint64)


def _hash(key: Key, salt: bytes) -> int:
    text = json.dumps([len(key), in_words(tuple(_whole(value) for value in key))])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, salt=salt).digest(), "little")


def _whole(value: Any) -> Any:
    """Numbers that are equal as the same number; infinite ones as words."""
    if isinstance(value, float) and math.isinf(value):
        return repr(value)
    return int(value) if isinstance(value, (bool, float)) and value == int(value) else value
