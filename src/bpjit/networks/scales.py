"""Scales: a scale for each of many networks, its numbers in rows; the formulas are those of ``Scale``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .scale import ARRAYS, Scale, Spread, mean_and_std, spread_of


class Scales:
    """The arrays of many ``Scale``s by their names, a row for each, [shape: (networks, n)]."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    @classmethod
    def room(cls, count: int, d: int, l: int | None) -> Scales:
        """So many that change nothing, to be written over; without l they leave targets as they are."""
        sizes = {"input": d} if l is None else {"input": d, "target": l}
        fill = {"offset": 0.0, "factor": 1.0}
        arrays = {f"{kind}_{name}": np.full((count, n), fill[name]) for kind, n in sizes.items() for name in fill}
        return cls({name: arrays[name] for name in ARRAYS if name in arrays})

    def __getitem__(self, rows: Any) -> Scale:
        """That of one network. For several numbers of networks, what scales as many rows of data, each by that of its
        own network; or, [shape: (m, networks, n)], as many sets of rows."""
        if np.ndim(rows) == 0:
            return Scale(**{name: array[rows] for name, array in self.arrays.items()})
        return Scale._of({name: array[rows] for name, array in self.arrays.items()})

    def put(self, rows: Any, other: Scales) -> None:
        """Write over some."""
        for name, array in self.arrays.items():
            array[rows] = other.arrays[name]

    def of(self, rows: Any) -> Scales:
        """Some of them."""
        return Scales({name: array[rows] for name, array in self.arrays.items()})


def standard_spread(A: np.ndarray) -> Spread:
    """Of each column of each of several tables what ``Scale.standard`` makes of it, to the same bits, [shape: (m,
    tables, n)] to (tables, n)."""
    # NumPy adds up a single column in pairs, if its numbers lie together, and rows of several one after another.
    if A.shape[2] > 1:
        A = np.ascontiguousarray(A)
    else:
        A = np.ascontiguousarray(A.swapaxes(0, 1)).swapaxes(0, 1)
    return spread_of(A, mean_and_std)
