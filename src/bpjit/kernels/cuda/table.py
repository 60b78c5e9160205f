"""Tables on the device: rows of numbers, a column for each network; how they lie there, are read, written and gathered.

A thread that holds a network reads its column beside its neighbours' threads, so rows lie together; a block reads its
own network's column at once, so columns do.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .door import BESIDE, Launch, Order, cuda, empty, free_memory, kernel, run, to_device

FRACTION = 0.4  # of the memory that is free, for the networks at work at once


def at_once(bytes_of_one: int) -> int:
    """How many networks fit onto the device together."""
    return max(1, int(FRACTION * free_memory() / bytes_of_one))


def by_column(rows: np.ndarray, threads: int) -> Any:
    """A table with a column for each network, laid out for teams of so many threads, on the device."""
    return to_device(rows, _order(threads))


def _order(threads: int) -> Order:
    return "C" if threads == 1 else "F"


@functools.cache
def pick_kernel() -> Any:
    """The kernel that copies rows of some columns out of a table."""

    def pick(T: Any, first: int, columns: Any, picked: Any) -> None:
        count = columns.shape[0]
        for item in range(cuda.grid(1), picked.shape[0] * count, cuda.gridsize(1)):
            i, t = item // count, item % count
            picked[i, t] = T[first + i, columns[t]]

    return kernel(pick, "pick", BESIDE)


@functools.cache
def write_kernel() -> Any:
    """The kernel that writes rows of a table."""

    def write(T: Any, first: int, rows: Any) -> None:
        count = rows.shape[1]
        for item in range(cuda.grid(1), rows.shape[0] * count, cuda.gridsize(1)):
            T[first + item // count, item % count] = rows[item // count, item % count]

    return kernel(write, "write", BESIDE)


class Table:
    """Rows of numbers on the device, a column for each network; laid out for teams of so many threads."""

    def __init__(self, rows: int, columns: int, dtype: Any, threads: int) -> None:
        self.threads = threads
        self.T = empty((rows, columns), dtype, _order(threads))

    def copy(self) -> Table:
        """The same numbers elsewhere."""
        copied = Table(*self.T.shape, self.T.dtype, self.threads)
        copied.T.copy_to_device(self.T)
        return copied

    def only(self, columns: np.ndarray) -> Table:
        """Some columns."""
        chosen = Table(self.T.shape[0], len(columns), self.T.dtype, self.threads)
        self._pick(0, columns, chosen.T)
        return chosen

    def pick_rows(self, first: int, count: int, columns: np.ndarray) -> Any:
        """Rows from ``first`` on of some columns, on the device, [shape: (count, columns)]."""
        return self._pick(first, columns, empty((count, len(columns)), self.T.dtype))

    def read_rows(self, first: int, count: int, columns: np.ndarray) -> np.ndarray:
        """The same, a row for each column, [shape: (columns, count)]."""
        return self._pick(first, columns, empty((count, len(columns)), self.T.dtype, "F")).copy_to_host().T

    def _pick(self, first: int, columns: np.ndarray, picked: Any) -> Any:
        if picked.size:
            run(pick_kernel(), _wide(picked.size), self.T, first, to_device(columns.astype(np.int64)), picked)
        return picked

    def write_rows(self, first: int, rows: np.ndarray) -> None:
        """Write rows from ``first`` on, given a row for each column, [shape: (columns, count)]."""
        if rows.size:
            run(write_kernel(), _wide(rows.size), self.T, first, to_device(np.asarray(rows, self.T.dtype).T, "F"))


def _wide(count: int) -> Launch:
    """A launch for so many independent numbers."""
    return Launch(max(1, min(1024, -(-count // BESIDE))), BESIDE)
