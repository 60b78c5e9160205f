"""Keys of any kind, and the rows of a bank that they stand for."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ..common.arguments import describe, refuse_masked


class Keys:
    """The keys of a bank, and the row of each."""

    def __init__(self, keys: Iterable[Hashable] | None, n: int) -> None:
        self.listed: Sequence[Hashable] = range(n)
        self._row: dict[Hashable, int] | None = None
        if keys is None:
            return
        expected = f"{n} different keys, one for each network, or None for 0 to {n - 1}"
        plain = np.number, np.bool_, np.str_  # as Python's own they fit a file
        self.listed = tuple(key.item() if isinstance(key, plain) else key for key in _listed("keys", keys, expected))
        if len(self.listed) != n:
            raise ValueError(f"keys: expected {expected}, got {len(self.listed)}")
        self._row = {}
        for row, key in enumerate(self.listed):
            _check_hashable("keys", key, expected)
            if key is not None and not _same(key, key):
                raise ValueError(f"keys: expected {expected}, got a missing value, {describe(key)}")
            if self._row.setdefault(key, row) != row:
                raise ValueError(f"keys: expected {expected}, got {key!r} at {self._row[key]} and at {row}")

    def rows(self, name: str, ids: Any) -> np.ndarray:
        """The row of each of some keys, [shape: (m,)]."""
        n = len(self.listed)
        expected = "keys of shape (m,)" + (f", whole numbers from 0 to {n - 1}" if self._row is None else "")
        if hasattr(ids, "__array__"):
            refuse_masked(name, ids, expected)
            ids = np.asarray(ids)
            if ids.ndim != 1:
                raise ValueError(f"{name}: expected {expected}, got shape {ids.shape}")
        else:
            ids = _listed(name, ids, expected)
        if len(ids) == 0:
            raise ValueError(f"{name}: expected {expected}, got none")
        return self._numbers(name, ids, expected) if self._row is None else self._looked_up(name, ids, expected)

    def _numbers(self, name: str, ids: Any, expected: str) -> np.ndarray:
        refuse_masked(name, ids, expected)
        try:
            given = np.asarray(ids)
        except ValueError as error:  # not all of one shape
            raise TypeError(f"{name}: expected {expected}, got {describe(ids)}") from error
        if given.dtype.kind not in "iu" or given.ndim != 1:
            raise TypeError(f"{name}: expected {expected}, got {describe(ids)}")
        rows = np.array(given, np.int64)
        unsigned = rows.view(np.uint64)  # a number below 0 is a large one here
        if unsigned.max() >= len(self.listed):
            k = int((unsigned >= len(self.listed)).argmax())
            raise _unknown(name, k, given[k].item())
        return rows

    def _looked_up(self, name: str, ids: Any, expected: str) -> np.ndarray:
        keys, row = _listed(name, ids, expected), self._row or {}
        try:
            return np.fromiter(map(row.__getitem__, keys), np.int64, len(keys))
        except (KeyError, TypeError):
            for k, key in enumerate(keys):
                _check_hashable(name, key, expected)
                if key not in row:
                    raise _unknown(name, k, key) from None
            raise


def _unknown(name: str, k: int, key: Hashable) -> KeyError:
    where = {"ids": f" of record {k}", "keys": f" at {k}"}.get(name, "")
    return KeyError(f"{name}: no network has the key {key!r}{where}")


def _listed(name: str, values: Any, expected: str) -> tuple[Hashable, ...]:
    """Keys in a tuple; those of a NumPy array as Python's own numbers and strings."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected {expected}, got {describe(values)}")
    if hasattr(values, "__array__"):
        refuse_masked(name, values, expected)
        array = np.asarray(values)
        values = array if array.dtype.kind in "mM" else array.tolist()
    return tuple(values)


def _check_hashable(name: str, key: Any, expected: str) -> None:
    try:
        hash(key)
    except TypeError as error:
        raise TypeError(f"{name}: expected {expected}, got {describe(key)}, which cannot be a key") from error


def _same(a: Hashable, b: Hashable) -> bool:
    """Whether two keys are equal; what stands for a missing value is equal to nothing, or not to be compared."""
    try:
        return bool(a == b)
    except (TypeError, ValueError):
        return False
