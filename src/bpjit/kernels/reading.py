"""Rows of data as they came, in the units and the dtype of a network: what ``Scale`` and NumPy do to whole arrays, row
by row and to the same bits, for data that do not come into memory as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from .jit import by_type, kernel


def put_row(A: np.ndarray, row: int, scale: Any, to: np.ndarray, there: int) -> None:
    """Bring a row of A to a row of ``to``; with a scale, (offset, factor), into its units. Writes to."""


def _copy(A: np.ndarray, row: int, scale: None, to: np.ndarray, there: int) -> None:
    for i in range(to.shape[1]):
        to[there, i] = A[row, i]


def _scaled(A: np.ndarray, row: int, scale: Any, to: np.ndarray, there: int) -> None:
    offset, factor = scale
    for i in range(to.shape[1]):
        to[there, i] = (A[row, i] - offset[i]) / factor[i]


by_type(put_row, lambda *kinds: _copy if isinstance(kinds[2], types.NoneType) else _scaled)


@kernel
def put_rows(A: np.ndarray, rows: np.ndarray, scale: Any, to: np.ndarray, there: np.ndarray) -> None:
    """Bring rows of A, which lies in C's order, to rows of ``to``. Writes to."""
    for k in range(len(rows)):
        put_row(A, rows[k], scale, to, there[k])


def fits(A: np.ndarray) -> bool:
    """Whether ``put_rows`` takes an array: one of numbers that float64 holds exactly."""
    return bool(
        A.ndim == 2
        and A.flags.c_contiguous
        and A.flags.aligned
        and A.dtype.isnative
        and (A.dtype in (np.float64, np.float32) or (A.dtype.kind in "iu" and A.dtype.itemsize <= 4))
    )
