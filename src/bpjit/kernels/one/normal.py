"""The Gauss–Newton matrix of a network and its gradient, samples a chunk at a time: rows of the Jacobian by the lines
that give the gradient of a batch (``chunks``), folded into JᵀJ on the register tile, so that no more than a chunk's
rows are ever there. With squared error the residuals r stand beside J as one more column, so that the same fold gives
Jᵀr, the gradient. With cross-entropy they would be 0/0 where a sigmoid is flat: its gradient is added up as elsewhere.

A sample has a row for each output. With squared error row j is √c_k ∂ŷ_j/∂p, the Jacobian itself. With cross-entropy
the generalised Gauss–Newton matrix takes the curvature ŷ (1 − ŷ) of a sigmoid's loss by its net input, or diag(ŷ) − ŷŷᵀ
of softmax outputs, in place of the squares of slopes: row j is then √(ŷ_j (1 − ŷ_j)) ∂z_j/∂p, or Σ_i √ŷ_j (δ_ij − ŷ_i)
∂z_i/∂p. Columns stand in the order of the packed network without its padding: the first layer's W row by row, that of
all others column by column, each with its θ behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...maths.formulas import like
from ..gauss_newton import residual, row_factor
from ..jit import formula, inline, smaller
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..simd.memory import aligned_zeros, item, lanes_of, padded, pointer, put
from ..simd.numbers import VECTOR_BYTES
from ..simd.tiles import product
from ..sums import add_error
from ..switches import code_of
from .batches import BlockWork, make_block_work
from .cholesky import ROWS
from .chunks import BACK, CHUNK, FORWARD, TERMS, Chunk, through
from .each_sample import load, store
from .padded import Net, layout, net_of, number_of_units
from .single import add_single_errors, has_single_output, single_outputs, single_rows, single_terms

KEPT = 1 << 15  # units of all samples of a chunk, at most; where all samples are one, a pass through them is kept
PIECE = 64  # samples, after which a pass may end; whole vectors of them
NUMBERS = 1 << 12  # of the rows that are folded at once, about, so that they stay in the first cache
SHARED_NUMBERS = 1 << 16  # of the rows between two meetings of several threads, about
# Samples of a small network are dealt, many of them into so many shares, for as many threads or fewer.
DEALT, MANY_ROWS, FEW_COLUMNS = 8, 1 << 11, 96


class NormalWork(NamedTuple):
    """Work space for JᵀJ of a network. ``n`` of its parameters are trained, and have columns."""

    block: BlockWork
    columns: np.ndarray  # those of J, untrained parameters' too, that the trained ones have, [shape: (n,)]
    parameters: np.ndarray  # the number in ``Network.parameters`` of each of these, [shape: (n,)]
    places: np.ndarray  # where it stands in the packed network, [shape: (n,)]
    all_rows: np.ndarray  # J of some samples, with all columns; ``rows`` itself where all are trained
    rows: np.ndarray  # J of some samples
    H: np.ndarray  # JᵀJ, its upper triangle, and Jᵀr in column n, [shape: (shares · size · width,)]
    descent: np.ndarray  # −Σ c_k ∂E_k/∂p in the order of the columns, [shape: (size,)]
    stride: int  # from one of ``all_rows`` to the next
    size: int  # n, padded to a multiple of ROWS: rows of H
    width: int  # n + 1, padded likewise: its columns
    samples: int  # whose rows are folded at once
    together: int  # whose rows of J there is room for between two meetings of all threads
    dealt: int  # into so many shares, with an H each; 0 where threads share the rows of one H


def order_of_columns(sizes: Sequence[int]) -> np.ndarray:
    """The number in ``Network.parameters`` of each column of J."""
    parts, first = [], 0
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        end = first + fan_in * fan_out
        W = np.arange(first, end).reshape(fan_in, fan_out)
        parts += [(W if index == 0 else W.T).ravel(), np.arange(end, end + fan_out)]
        first = end + fan_out
    return np.concatenate(parts)


def make_normal_work(
    sizes: Sequence[int], activations: Sequence[str], m: int, trainable: np.ndarray, threads: int
) -> NormalWork:
    """Work space for m samples. The network is one of float64."""
    dtype = np.dtype(np.float64)
    lanes, l, order = VECTOR_BYTES // dtype.itemsize, sizes[-1], order_of_columns(sizes)
    columns = np.flatnonzero(trainable[order])
    stride = padded(len(order) + lanes - 1, ROWS)
    size, width = padded(len(columns), ROWS), padded(len(columns) + 1, ROWS)
    units = number_of_units(layout(tuple(sizes), tuple(activations), dtype)[0])
    samples = max(1, 64 // l, NUMBERS // (l * stride))
    dealt = 0 if len(columns) > FEW_COLUMNS else DEALT if m * l >= MANY_ROWS else 1
    most = max(CHUNK, KEPT // units // (DEALT * samples) * DEALT * samples)
    block = make_block_work(sizes, activations, dtype, max(1, m), None, None, threads, most)
    samples = min(block.room, samples)
    together = samples if threads == 1 or dealt else samples * (1 + SHARED_NUMBERS // (samples * l * stride))
    count = together * l * (threads if dealt else 1)
    all_rows = aligned_zeros(count * stride, dtype)
    rows = all_rows if len(columns) == len(order) else aligned_zeros(count * width, dtype)
    return NormalWork(
        block,
        columns,
        order[columns],
        block.place[order[columns]],
        all_rows,
        rows,
        aligned_zeros(size * width * max(1, dealt), dtype),
        aligned_zeros(size, dtype),
        stride,
        size,
        width,
        samples,
        together,
        dealt,
    )


@inline
def start_rows(net: Net, top: Any, loss: Any, chunk: Chunk, first: int, last: int, j: int) -> None:
    """What row j of the Jacobian has at the net inputs of the outputs, for samples ``first`` to ``last``; 0 where the
    target is not known. Writes g, and the residual √c (y − ŷ) of each sample, where its error was."""
    lanes, l, softmax, entropy = lanes_of(net.P), top.fan_out, top.activation == SOFTMAX, code_of(loss) == CROSS_ENTROPY
    for row in range(first, last):
        k, at = item(chunk.order, row), top.here * chunk.room + row * top.width
        y, y_hat = item(chunk.Y, k * l + j), item(net.b, at + j)
        factor = row_factor(entropy, softmax, y_hat, item(net.slope, at + j), item(chunk.c, k), y)
        put(chunk.errors, row, residual(item(chunk.c, k), y, y_hat))
        for v in range(0, top.width, lanes):
            b = load(net.b, at + v)
            store(net.g, at + v, b * -factor if softmax else like(b, 0))
        put(net.g, at + j, factor - factor * y_hat if softmax else factor)


@inline
def write_rows(net: Net, layers: Any, chunk: Chunk, rows: tuple[int, int], J: Any, stride: int) -> None:
    """Rows of J from the gradient terms of samples: x_i e_h, b_h g_j, and −e_h, −g_j for thresholds; behind them the
    residual. Writes them from left to right in whole vectors: what is too much is 0, and written over, or lies beyond
    the last column."""
    lanes, column, (first, last), single = lanes_of(net.P), 0, rows, has_single_output(layers)
    for index in range(len(layers)):
        layer = layers[index]
        width, d, l, q = layer.width, layer.fan_in, layer.fan_out, layer.below_width
        here, below = layer.here * chunk.room, layer.below * chunk.room
        thresholds, apart = column + d * l, 1 if single and layer.last else width
        for row in range(first, last):
            at, g_at, b_at = (row - first) * stride + column, here + row * apart, below + row * q
            if index == 0:
                for i in range(d):
                    x = item(chunk.X, row * d + i)
                    for v in range(0, width, lanes):
                        store(J, at + i * l + v, load(net.g, g_at + v) * x)
            else:
                for j in range(l):
                    g = item(net.g, g_at + j)
                    for v in range(0, q, lanes):
                        store(J, at + j * d + v, load(net.b, b_at + v) * g)
            at += d * l
            if apart == 1:
                put(J, at, -item(net.g, g_at))
            else:
                for v in range(0, width, lanes):
                    store(J, at + v, -load(net.g, g_at + v))
        column = thresholds + l
    for row in range(first, last):
        put(J, (row - first) * stride + column, item(chunk.errors, row))


@inline
def fold(rows: Any, stride: int, count: int, H: Any, width: int, rows_of_H: tuple[int, int], add: bool) -> None:
    """JᵀJ of so many rows, some rows of its upper triangle and a little more, and Jᵀr. Writes H, or adds to it."""
    lanes, (first, last) = lanes_of(H), rows_of_H
    for row in range(first, last, ROWS):
        start = row // lanes * lanes
        C, A, B = pointer(H, row * width + start), pointer(rows, row), pointer(rows, start)
        product(C, width, A, 1, stride, B, stride, count, add, ROWS, (width - start) // lanes)


@inline
def pass_through(work: NormalWork, loss: Any, chunk: Chunk, first: int, last: int) -> None:
    """Outputs, errors and gradient terms of samples of a chunk. Writes z, b, slope, g and chunk.errors."""
    layers, net = work.block.packed.layers, net_of(work.block.packed, None)
    single, top = has_single_output(layers), layers[len(layers) - 1]
    for start in range(first, last, PIECE):
        end = smaller(last, start + PIECE)
        way, one = (FORWARD, FORWARD if single else TERMS), like(item(chunk.errors, 0), 1)
        through(net, layers[: len(layers) - single], loss, net.P, chunk, (start, end), one, way)
        if single:
            single_outputs(net, top, chunk, start, end)
            single_terms(net, top, loss, chunk, start, end)


@inline
def add_errors(work: NormalWork, first: int, last: int, total: np.ndarray) -> None:
    """Add the errors of samples of a chunk to total."""
    layers, errors = work.block.packed.layers, pointer(work.block.errors, 0)
    if has_single_output(layers):
        add_single_errors(errors, first, last, total)
    else:
        for row in range(first, last):
            add_error(total, item(errors, row))


@inline
def terms_back(work: NormalWork, loss: Any, chunk: Chunk, first: int, last: int) -> None:
    """Gradient terms of the units below, for samples of a chunk that has been passed through. Writes g."""
    net = net_of(work.block.packed, None)
    layers, one = work.block.packed.layers, like(item(chunk.errors, 0), 1)
    through(net, layers, loss, net.P, chunk, (first, last), one, (BACK, BACK))


@inline
def jacobian_rows(work: NormalWork, loss: Any, chunk: Chunk, first: int, last: int, begin: int) -> None:
    """J of samples ``first`` to ``last`` of a chunk that has been passed through. Writes work.rows, from row ``begin``
    on, g and chunk.errors."""
    layers, net = work.block.packed.layers, net_of(work.block.packed, None)
    single, top, l = has_single_output(layers), layers[len(layers) - 1], layers[len(layers) - 1].fan_out
    stride, n = work.stride, len(work.columns)
    for j in range(l):
        if single:
            single_rows(net, top, loss, chunk, first, last)
        else:
            start_rows(net, top, loss, chunk, first, last, j)
        layers_below, one = layers[: len(layers) - single], like(item(chunk.errors, 0), 1)
        through(net, layers_below, loss, net.P, chunk, (first, last), one, (BACK, BACK))
        write_rows(net, layers, chunk, (first, last), pointer(work.all_rows, (begin + j) * stride), l * stride)
    if n < len(work.block.place):
        for row in range(begin, begin + (last - first) * l):
            to, source = row * work.width, row * stride
            for i in range(n):
                work.rows[to + i] = work.all_rows[source + work.columns[i]]
            work.rows[to + n] = work.all_rows[source + len(work.block.place)]


@inline
def fold_rows(work: NormalWork, begin: int, count: int, H: Any, rows_of_H: tuple[int, int], add: bool) -> None:
    """JᵀJ of so many rows, those of some samples, from row ``begin`` on. Writes some rows of H, or adds to them."""
    layers = work.block.packed.layers
    most = work.samples * layers[len(layers) - 1].fan_out
    stride = work.stride if len(work.columns) == len(work.block.place) else work.width
    for first in range(0, count, most):
        rows = pointer(work.rows, (begin + first) * stride)
        fold(rows, stride, smaller(most, count - first), H, work.width, rows_of_H, add or first > 0)


@inline
def add_dealt(work: NormalWork, loss: Any, chunk: Chunk, part: int, parts: int, begins: bool) -> None:
    """Gradient and JᵀJ of a chunk that has been passed through: one part of its shares, each with an H of its own.
    Adds to work.H, or, where it ``begins``, writes it."""
    samples, n, l = work.samples, chunk.n, work.block.packed.layers[len(work.block.packed.layers) - 1].fan_out
    pieces, shares = (n + samples - 1) // samples, work.dealt
    for share in range(shares * part // parts, shares * (part + 1) // parts):
        H = pointer(work.H, share * work.size * work.width)
        for piece in range(pieces * share // shares, pieces * (share + 1) // shares):
            first, begin = piece * samples, part * samples * l
            last, add = smaller(n, first + samples), not begins or piece > pieces * share // shares
            jacobian_rows(work, loss, chunk, first, last, begin)
            fold_rows(work, begin, (last - first) * l, H, (0, work.size), add)


@formula
def add_up(work: NormalWork) -> None:
    """The sum of all shares. Writes the first H."""
    lanes, length = lanes_of(work.H), work.size * work.width
    for v in range(0, length if work.dealt > 1 else 0, lanes):
        total = load(work.H, v)
        for share in range(1, work.dealt):
            total += load(work.H, share * length + v)
        store(work.H, v, total)


@formula
def gather_descent(work: NormalWork, loss: Any) -> None:
    """−Σ c_k ∂E_k/∂p of the trained parameters, in the order of their columns. Writes work.descent."""
    entropy, n = code_of(loss) == CROSS_ENTROPY, len(work.columns)
    for i in range(n):
        work.descent[i] = work.block.G[work.places[i]] if entropy else work.H[i * work.width + n]
