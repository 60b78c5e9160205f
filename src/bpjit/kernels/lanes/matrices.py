"""Small symmetric matrices, one in each lane: rows of n + WIDE vectors; beyond the n-th column they are room."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths.formulas import like, select, sqrt
from ..jit import formula, inline
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from .packs import at, write

WIDE = 4  # columns of a product at once
TALL = 8  # rows that are folded at once


@inline
def add_products(sums: Any, A: Any, ld: int, rows: int, i: int, j: int) -> Any:
    """Σ_k A[k, i] A[k, j + t] of so many rows k, added to four sums: for t = 0, 1, 2, 3."""
    s0, s1, s2, s3 = sums
    for k in range(rows):
        a = at(A, k * ld + i)
        s0 += a * at(A, k * ld + j)
        s1 += a * at(A, k * ld + j + 1)
        s2 += a * at(A, k * ld + j + 2)
        s3 += a * at(A, k * ld + j + 3)
    return s0, s1, s2, s3


@formula
def fold(J: Any, H: Any, n: int) -> None:
    """Add JᵀJ of TALL rows to H, and make them 0."""
    ld, zero = n + WIDE, like(at(H, 0), 0)
    for i in range(n):
        for j in range(i, n, WIDE):
            place = i * ld + j
            sums = at(H, place), at(H, place + 1), at(H, place + 2), at(H, place + 3)
            s0, s1, s2, s3 = add_products(sums, J, ld, TALL, i, j)
            write(H, place, s0)
            write(H, place + 1, s1)
            write(H, place + 2, s2)
            write(H, place + 3, s3)
    for place in range(TALL * ld):
        write(J, place, zero)


@formula
def fill(U: Any, H: Any, scale: Any, ridge: Any, n: int) -> None:
    """The system scale · H + ridge · I, with nothing beside it. Writes U."""
    ld, zero = n + WIDE, like(scale, 0)
    for i in range(n):
        for j in range(i, n):
            write(U, i * ld + j, at(H, i * ld + j) * scale)
        for j in range(n, ld):
            write(U, i * ld + j, zero)
        write(U, i * ld + i, at(U, i * ld + i) + ridge)


@formula
def factorise(U: Any, reciprocals: Any, n: int) -> None:
    """A = UᵀU by Cholesky, columns beyond the n-th too, which leave as U⁻ᵀB. Writes U and 1/u_kk: NaN in lanes where A
    is not positive definite."""
    ld, zero = n + WIDE, like(at(U, 0), 0)
    for i in range(n):
        known, _, _, _ = add_products((zero, zero, zero, zero), U, ld, i, i, i)
        pivot = at(U, i * ld + i) - known
        reciprocal = select(pivot > zero, like(pivot, 1) / sqrt(pivot), like(pivot, np.nan))
        write(reciprocals, i, reciprocal)
        for j in range(i, n + 1, WIDE):
            s0, s1, s2, s3 = add_products((zero, zero, zero, zero), U, ld, i, i, j)
            place = i * ld + j
            write(U, place, (at(U, place) - s0) * reciprocal)
            write(U, place + 1, (at(U, place + 1) - s1) * reciprocal)
            write(U, place + 2, (at(U, place + 2) - s2) * reciprocal)
            write(U, place + 3, (at(U, place + 3) - s3) * reciprocal)


@formula
def back_substitute(U: Any, reciprocals: Any, x: Any, n: int) -> None:
    """U x = y, y standing in the column beyond the square. Writes x."""
    ld = n + WIDE
    for i in range(n - 1, -1, -1):
        total = at(U, i * ld + n)
        for j in range(i + 1, n):
            total -= at(U, i * ld + j) * at(x, j)
        write(x, i, total * at(reciprocals, i))


@formula
def trace_of_inverse(U: Any, reciprocals: Any, y: Any, n: int) -> Any:
    """tr (UᵀU)⁻¹, column after column of U⁻ᵀ. Writes y."""
    ld, trace = n + WIDE, like(at(U, 0), 0)
    for q in range(n):
        write(y, q, at(reciprocals, q))
        trace += at(y, q) * at(y, q)
        for j in range(q + 1, n):
            total = like(trace, 0)
            for k in range(q, j):
                total -= at(U, k * ld + j) * at(y, k)
            total *= at(reciprocals, j)
            write(y, j, total)
            trace += total * total
    return trace
