"""The output layer of a network with one output, on a chunk of samples as they come: samples along the lanes, where
``chunks`` has the units of a layer there, and one output would leave all lanes but one empty.

What belongs to a sample then stands at the layer's place plus its row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths import formulas
from ..gauss_newton import residual, row_factor
from ..jit import inline, smaller
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..simd.across import lane_sum, lane_sums
from ..simd.memory import item, lanes_of, put, vectors
from ..sums import add_error
from ..switches import activation_of, code_of, terms_of
from .chunks import Chunk
from .each_sample import lift, load, load_first, store
from .padded import Net

_, store_four, _ = vectors(4)


@inline
def has_single_output(layers: Any) -> bool:
    top = layers[len(layers) - 1]
    return len(layers) > 1 and top.fan_out == 1 and top.activation != SOFTMAX


@inline
def single_outputs(net: Net, top: Any, chunk: Chunk, first: int, last: int) -> None:
    """ŷ of samples ``first`` to ``last``, from the units below. Writes z, b, slope."""
    lanes, q, W, here = lanes_of(net.P), top.below_width, top.weights, top.here * chunk.room
    row, at = first, top.below * chunk.room + first * q
    while row + 4 <= last:
        w = load(net.P, W)
        s0, s1, s2, s3 = (
            w * load(net.b, at),
            w * load(net.b, at + q),
            w * load(net.b, at + 2 * q),
            w * load(net.b, at + 3 * q),
        )
        for v in range(lanes, q, lanes):
            w = load(net.P, W + v)
            s0 += w * load(net.b, at + v)
            s1 += w * load(net.b, at + v + q)
            s2 += w * load(net.b, at + v + 2 * q)
            s3 += w * load(net.b, at + v + 3 * q)
        store_four(net.z, here + row, lane_sums(s0, s1, s2, s3))
        row, at = row + 4, at + 4 * q
    while row < last:
        total = load(net.P, W) * load(net.b, at)
        for v in range(lanes, q, lanes):
            total += load(net.P, W + v) * load(net.b, at + v)
        put(net.z, here + row, lane_sum(total))
        row, at = row + 1, at + q
    theta = lift(item(net.P, top.thresholds))
    for v in range(here + first, here + last, lanes):
        z = load(net.z, v) - theta
        b, slope = activation_of(top, top.activation, z)
        store(net.z, v, z)
        store(net.b, v, b)
        store(net.slope, v, slope)


@inline
def single_terms(net: Net, top: Any, loss: Any, chunk: Chunk, first: int, last: int) -> None:
    """Errors of samples, and with cross-entropy their gradient terms. Writes chunk.errors, g."""
    lanes, here = lanes_of(net.P), top.here * chunk.room
    for v in range(first, last, lanes):
        n, at = smaller(lanes, last - v), here + v
        y, c = load_first(chunk.Y, v, n), load_first(chunk.c, v, n)
        error, g, _ = terms_of(loss, False, load(net.z, at), load(net.b, at), load(net.slope, at), y)
        store(chunk.errors, v, error * c)
        if code_of(loss) == CROSS_ENTROPY:
            store(chunk.totals, v, g * c)
            for row in range(v, v + n):  # where ``chunks`` looks for them
                put(net.g, here + row * top.width, item(chunk.totals, row))


@inline
def add_single_errors(errors: Any, first: int, last: int, total: np.ndarray) -> None:
    """Add the errors of samples, a vector at a time, to total."""
    lanes = lanes_of(errors)
    for v in range(first, last, lanes):
        if last - v >= lanes:
            add_error(total, lane_sum(load(errors, v)))
        else:
            for row in range(v, last):
                add_error(total, item(errors, row))


@inline
def single_rows(net: Net, top: Any, loss: Any, chunk: Chunk, first: int, last: int) -> None:
    """What the rows of the Jacobian have at the net input, and e_h of the units below. Writes g, and the residuals of
    these samples, where their errors were."""
    lanes, q, W, here = lanes_of(net.P), top.below_width, top.weights, top.here * chunk.room
    for v in range(first, last, lanes):
        n, at = smaller(lanes, last - v), here + v
        y, c, y_hat = load_first(chunk.Y, v, n), load_first(chunk.c, v, n), load(net.b, at)
        store(net.g, at, row_factor(code_of(loss) == CROSS_ENTROPY, False, y_hat, load(net.slope, at), c, y))
        store(chunk.errors, v, residual(c, y, y_hat))
    for row in range(first, last):
        g, at = lift(item(net.g, here + row)), top.below * chunk.room + row * q
        for v in range(0, q, lanes):
            e = formulas.hidden_gradient_term(load(net.slope, at + v), load(net.P, W + v) * g)
            store(net.g, at + v, e)
