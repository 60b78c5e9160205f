"""Symmetric positive definite systems: A = UᵀU by Cholesky, U upper triangular, row after row in memory.

What is given, and what is not finished, stands there negated, so that finished rows are added to it as they are. U
stands in an array of ``size`` rows, a multiple of ``ROWS``, and may be wider: columns beyond the square are right-hand
sides B, which leave as U⁻ᵀB, for they go through the same lines. So are columns n to size of a system of n,
where the pivots behind n are so large that nothing makes them negative. Rows are finished ``ROWS`` at a time, in
panels: first the panel's square, then its columns right of that, each by itself, where rows take off what the panel's
rows above them hold; then the rows below it, each by itself, take off the whole panel at once, on the register tile. On
one thread that took half as long as LAPACK up to 2,000 rows, and two thirds with 4,000.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import like
from ..jit import formula, from_lines, inline, smaller
from ..simd.across import lane, lane_sum
from ..simd.memory import item, lanes_of, pointer, put, registers, vectors
from ..simd.tiles import HEIGHTS, product

ROWS = 8  # finished at once, in registers; no vector of float64 has more lanes
PANEL = 128  # rows of a panel

load, store, lift = vectors(registers(1))
load_rows, store_rows, lift_rows = vectors(ROWS)


def _finish_columns() -> Any:
    """finish_columns(U, ld, at, reciprocals, v): forward substitution of one vector of each of ROWS rows."""
    lines = [f"u{k} = -load(U, at + {k} * ld + v)" for k in range(ROWS)]
    for k in range(ROWS):
        lines += [f"u{k} = u{k} - lift(item(U, at + {t} * ld + {k})) * u{t}" for t in range(k)]
        lines += [f"u{k} = u{k} * lift(item(reciprocals, {k}))"]
    lines += [f"store(U, at + {k} * ld + v, u{k})" for k in range(ROWS)]
    scope = {"load": load, "store": store, "lift": lift, "item": item}
    return inline(from_lines("finish_columns", "U, ld, at, reciprocals, v", lines, scope))


finish_columns = _finish_columns()


def _finish_corner() -> Any:
    """finish_corner(U, ld, at, reciprocals): the ROWS x ROWS corner at ``at``, whose upper triangle is there. Writes
    it, and 1/u_kk; False where it is not positive definite.

    Rows are divided by the roots of their pivots at the end, so that no row waits for the root of the one above."""
    every = range(ROWS)
    lines = [f"u{k} = -load(U, at + {k} * ld)" for k in every] + ["good = True"]
    for k in every:
        lines += [f"pivot = lane(u{k}, {k})", "one = like(pivot, 1)"]
        lines += ["good = good and pivot > like(pivot, 0) and pivot < like(pivot, inf)"]
        lines += [f"share, root{k} = u{k} * lift(one / pivot), one / sqrt(pivot)"]
        lines += [f"u{t} = u{t} - lift(lane(u{k}, {t})) * share" for t in every[k + 1 :]]
    lines += [f"put(reciprocals, {k}, root{k})" for k in every]
    lines += [f"store(U, at + {k} * ld, u{k} * lift(root{k}))" for k in every]
    scope = {"load": load_rows, "store": store_rows, "lift": lift_rows, "lane": lane, "put": put, "like": like}
    scope |= {"sqrt": formulas.sqrt, "inf": np.inf}
    return inline(from_lines("finish_corner", "U, ld, at, reciprocals", [*lines, "return good"], scope))


finish_corner = _finish_corner()


@inline
def take_off(U: Any, ld: int, columns: tuple[int, int], panel: tuple[int, int], rows: tuple[int, int]) -> None:
    """Take off rows, which are negated, from the diagonal on and in some columns, what the rows of a panel above them
    have of them. Writes U."""
    lanes, (left, right), (above, end), (row, last) = lanes_of(U), columns, panel, rows
    while row < last:
        height, start = smaller(HEIGHTS[0], last - row), max(left, row // lanes * lanes)
        C, A, B = pointer(U, row * ld + start), pointer(U, above * ld + row), pointer(U, above * ld + start)
        product(C, ld, A, 1, ld, B, ld, end - above, True, height, (right - start) // lanes)
        row += height


@inline
def finish_square(U: Any, ld: int, panel: tuple[int, int], reciprocals: Any) -> bool:
    """The square of a panel, rows and columns from its first to its last. Writes U, and 1/u_kk; False where the matrix
    is not positive definite."""
    lanes, (first, last) = lanes_of(U), panel
    for row in range(first, last, ROWS):
        if row > first:
            take_off(U, ld, panel, (first, row), (row, row + ROWS))
        if not finish_corner(U, ld, row * ld + row, pointer(reciprocals, row)):
            return False
        for v in range(ROWS, last - row, lanes):
            finish_columns(U, ld, row * ld + row, pointer(reciprocals, row), v)
    return True


@inline
def finish_panel(U: Any, ld: int, panel: tuple[int, int], columns: tuple[int, int], reciprocals: Any) -> None:
    """Some columns of a panel right of its square, which is finished. Writes U."""
    lanes, (first, last), (left, right) = lanes_of(U), panel, columns
    for row in range(first, last, ROWS):
        if row > first:
            take_off(U, ld, columns, (first, row), (row, row + ROWS))
        for v in range(left - row, right - row, lanes):
            finish_columns(U, ld, row * ld + row, pointer(reciprocals, row), v)


@formula
def back_substitute(U: Any, n: int, ld: int, reciprocals: Any, x: Any) -> None:
    """U x = y of a system of n, y being column n, ROWS of x at a time. Writes x, [shape: (size,)], 0 from n on."""
    lanes, zero, size = lanes_of(U), like(item(U, 0), 0), (n + ROWS - 1) // ROWS * ROWS
    for first in range(size - ROWS, -1, -ROWS):
        for k in range(first, first + ROWS):  # what those that are known take off, each row by itself
            total = lift(zero)
            for v in range(first + ROWS, size, lanes):
                total += load(U, k * ld + v) * load(x, v)
            put(x, k, item(U, k * ld + n) - lane_sum(total) if k < n else zero)
        for k in range(first + ROWS - 1, first - 1, -1):
            value = item(x, k) * item(reciprocals, k)
            put(x, k, value)
            for above in range(first, k):
                put(x, above, item(x, above) - item(U, above * ld + k) * value)
