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
from ..jit import formula, inline
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..simd.memory import aligned_zeros, item, lanes_of, padded, pointer, put
from ..simd.numbers import VECTOR_BYTES
from ..simd.tiles import product
from ..state import Samples
from ..sums import add_error
from ..switches import code_of
from .batches import BlockWork, chunk_from, make_block_work
from .cholesky import ROWS
from .chunks import CHUNK, Chunk, add_gradients, back, forward, terms
from .each_sample import load, store
from .padded import Net, layout, net_of, number_of_units
from .single import has_single_output, single_outputs, single_rows, single_terms

KEPT = 1 << 15  # units of all samples, up to which all samples are one chunk, and a pass through them is kept
PIECE = 64  # samples, after which a pass may end; whole vectors of them
NUMBERS = 1 << 12  # of the rows of a chunk, about, so that they stay in the first cache


class NormalWork(NamedTuple):
    """Work space for JᵀJ of a network. ``n`` of its parameters are trained, and have columns."""

    block: BlockWork
    columns: np.ndarray  # those of J, untrained parameters' too, that the trained ones have, [shape: (n,)]
    parameters: np.ndarray  # the number in ``Network.parameters`` of each of these, [shape: (n,)]
    places: np.ndarray  # where it stands in the packed network, [shape: (n,)]
    all_rows: np.ndarray  # J of some samples, with all columns; ``rows`` itself where all are trained
    rows: np.ndarray  # J of some samples
    H: np.ndarray  # JᵀJ, its upper triangle, and Jᵀr in column n, [shape: (size · width,)]
    descent: np.ndarray  # −Σ c_k ∂E_k/∂p in the order of the columns, [shape: (size,)]
    stride: int  # from one of ``all_rows`` to the next
    size: int  # n, padded to a multiple of ROWS: rows of H
    width: int  # n + 1, padded likewise: its columns
    samples: int  # whose rows of J there is room for


def order_of_columns(sizes: Sequence[int]) -> np.ndarray:
    """The number in ``Network.parameters`` of each column of J."""
    parts, first = [], 0
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        end = first + fan_in * fan_out
        W = np.arange(first, end).reshape(fan_in, fan_out)
        parts += [(W if index == 0 else W.T).ravel(), np.arange(end, end + fan_out)]
        first = end + fan_out
    return np.concatenate(parts)


def make_normal_work(sizes: Sequence[int], activations: Sequence[str], m: int, trainable: np.ndarray) -> NormalWork:
    """Work space for m samples. The network is one of float64."""
    dtype = np.dtype(np.float64)
    lanes, l, order = VECTOR_BYTES // dtype.itemsize, sizes[-1], order_of_columns(sizes)
    columns = np.flatnonzero(trainable[order])
    stride = padded(len(order) + lanes - 1, ROWS)
    size, width = padded(len(columns), ROWS), padded(len(columns) + 1, ROWS)
    units = number_of_units(layout(tuple(sizes), tuple(activations), dtype)[0])
    most = max(CHUNK, KEPT // units)
    block = make_block_work(sizes, activations, dtype, max(1, m), most=most if m <= most else CHUNK)
    samples = min(block.room, max(1, 64 // l, NUMBERS // (l * stride)))
    all_rows = aligned_zeros(samples * l * stride, dtype)
    rows = all_rows if len(columns) == len(order) else aligned_zeros(samples * l * width, dtype)
    return NormalWork(
        block,
        columns,
        order[columns],
        block.place[order[columns]],
        all_rows,
        rows,
        aligned_zeros(size * width, dtype),
        aligned_zeros(size, dtype),
        stride,
        size,
        width,
        samples,
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
def fold(rows: Any, stride: int, count: int, H: Any, shape: tuple[int, int], add: bool) -> None:
    """JᵀJ of so many rows, its upper triangle and a little more, and Jᵀr. Writes H, or adds to it."""
    lanes, (size, width) = lanes_of(H), shape
    for row in range(0, size, ROWS):
        start = row // lanes * lanes
        C, A, B = pointer(H, row * width + start), pointer(rows, row), pointer(rows, start)
        product(C, width, A, 1, stride, B, stride, count, add, ROWS, (width - start) // lanes)


@formula
def pass_through(work: NormalWork, D: Samples, loss: Any, first: int, n: int, total: np.ndarray, enough: float) -> None:
    """Outputs, errors and gradient terms of a chunk; no more of it once the errors are beyond ``enough``. Writes z, b,
    slope, g; adds Σ c_k E_k to total."""
    layers, chunk = work.block.packed.layers, chunk_from(work.block, D, first, n)
    net, single, start = net_of(work.block.packed, None), has_single_output(layers), 0
    top = layers[len(layers) - 1]
    while start < n and not total[0] > enough:
        end = min(n, start + PIECE)
        forward(net, layers[: len(layers) - single], net.P, chunk, start, end)
        if single:
            single_outputs(net, top, chunk, start, end)
            single_terms(net, top, loss, chunk, (start, end), total)
        else:
            terms(net, layers, loss, net.P, chunk, start, end, like(total[0], 1))
            for row in range(start, end):
                add_error(total, item(chunk.errors, row))
        start = end


@formula
def add_curvature(work: NormalWork, D: Samples, loss: Any, first: int, n: int) -> None:
    """Gradient and JᵀJ of a chunk that has been passed through. Adds to work.H, and with cross-entropy to work.block.G,
    which begin anew with the first chunk."""
    layers, chunk = work.block.packed.layers, chunk_from(work.block, D, first, n)
    net, top = net_of(work.block.packed, None), layers[len(layers) - 1]
    l, stride, G, J = top.fan_out, work.stride, pointer(work.block.G, 0), pointer(work.all_rows, 0)
    entropy, single, n_trained = code_of(loss) == CROSS_ENTROPY, has_single_output(layers), len(work.columns)
    if entropy and first == 0:
        work.block.G[:] = 0
    for start in range(0, n, work.samples):
        end = min(n, start + work.samples)
        # The gradient with cross-entropy, which takes the terms that are there, then the rows of each output.
        for j in range(-1 if entropy else 0, l):
            if j >= 0 and single:
                single_rows(net, top, loss, chunk, start, end)
            elif j >= 0:
                start_rows(net, top, loss, chunk, start, end, j)
            if j >= 0 or start == 0:
                upper = layers[: len(layers) - (single and j >= 0)]
                back(net, upper, net.P, chunk, start if j >= 0 else 0, end if j >= 0 else n)
            if j < 0:
                if start == 0:
                    add_gradients(net, layers, chunk, G, 0, 1)
            else:
                write_rows(net, layers, chunk, (start, end), pointer(J, j * stride), l * stride)
        count, apart = (end - start) * l, stride
        if n_trained < len(work.block.place):
            apart = work.width
            for row in range(count):
                for i in range(n_trained):
                    work.rows[row * apart + i] = work.all_rows[row * stride + work.columns[i]]
                work.rows[row * apart + n_trained] = work.all_rows[row * stride + len(work.block.place)]
        fold(pointer(work.rows, 0), apart, count, pointer(work.H, 0), (work.size, work.width), first + start > 0)


@formula
def gather_descent(work: NormalWork, loss: Any) -> None:
    """−Σ c_k ∂E_k/∂p of the trained parameters, in the order of their columns. Writes work.descent."""
    entropy, n = code_of(loss) == CROSS_ENTROPY, len(work.columns)
    for i in range(n):
        work.descent[i] = work.block.G[work.places[i]] if entropy else work.H[i * work.width + n]
