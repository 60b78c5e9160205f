"""A chunk of the samples of a batch: forward, back and gradient of one network for all of them at once, as matrix
products."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...maths import formulas
from ..jit import inline, shared, smaller
from ..layout import SOFTMAX
from ..simd.memory import item, lanes_of, pointer, put, registers, some_registers, vectors
from ..simd.tiles import product
from ..switches import activation_of
from ..team import share
from .each_sample import exponentials, load, normalise, output_terms, store
from .padded import PANEL, Net, panel_size

CHUNK = 128
TOGETHER = 2  # registers of units that are activated at once

load_wide, store_wide, _ = vectors(registers(TOGETHER))
load_some, store_some, load_round = some_registers(TOGETHER)


class Chunk(NamedTuple):
    """The samples under way: one row of units for each in every layer."""

    X: Any  # their inputs, row after row
    Y: Any  # targets and weights, of all samples
    c: Any
    order: Any  # numbers of these samples in Y and c
    n: int
    errors: Any  # c_k E_k of each
    totals: Any  # work space: Σ e^z of each, and its logarithm
    turned: Any  # work space: the weights of the upper layers in rows
    room: int  # rows of units that there is room for in each layer


@inline
def first_product(net: Net, layer: Any, P: Any, X: Any, Z: Any, rows: int) -> None:
    """β of the first layer. Writes Z, [shape: (rows, width)]."""
    lanes, d, width, W, column = lanes_of(P), layer.fan_in, layer.width, layer.weights, 0
    panel = PANEL * lanes
    while column < width:
        while column + panel > width:
            panel //= 2
        product(pointer(Z, column), width, X, d, 1, pointer(P, W), panel, d, False, rows, panel // lanes)
        W += panel_size(d, panel, lanes)
        column += panel


@inline
def turn(layer: Any, P: Any, turned: Any) -> None:
    """The weights of an upper layer in rows, as a product with the units below needs them. Writes turned."""
    q, width, below_width, W = layer.fan_in, layer.width, layer.below_width, layer.weights
    for j in range(layer.fan_out):
        for h in range(q):
            put(turned, h * width + j, item(P, W + j * below_width + h))


@inline
def softmax_rows(net: Net, layer: Any, P: Any, at: int, rows: int, totals: Any) -> None:
    """ŷ of one sample after the other, but the logarithms of all at once. Writes z, b, totals."""
    lanes, width = lanes_of(P), layer.width
    for row in range(rows):
        total, _, _ = exponentials(net, layer, P, at + row * width)
        put(totals, row, total)
    logs = pointer(totals, CHUNK)
    for row in range(0, rows, lanes):
        store(logs, row, formulas.log(load(totals, row)))
    for row in range(rows):
        normalise(net, layer, at + row * width, item(totals, row), item(logs, row))


@inline
def activate_rows(net: Net, layer: Any, P: Any, first: int, end: int) -> None:
    """What ``activate_layer`` does, for all rows between two places at once: so many registers share the constants of
    an activation, which else would be most of what is loaded. Writes z, b, slope."""
    lanes, width, code, at = lanes_of(P), layer.width, layer.activation, 0
    wide = TOGETHER * lanes
    for v in range(first, end, wide):
        n, thresholds = smaller(wide, end - v), load_round(P, layer.thresholds, width, at)
        z = (load_wide(net.z, v) if n == wide else load_some(net.z, v, n)) - thresholds
        b, slope = activation_of(layer, code, z)
        if n == wide:
            store_wide(net.z, v, z)
            store_wide(net.b, v, b)
            store_wide(net.slope, v, slope)
        else:
            store_some(net.z, v, n, z)
            store_some(net.b, v, n, b)
            store_some(net.slope, v, n, slope)
        at += wide
        while at >= width:
            at -= width
    if layer.fan_out < width:
        used = load(net.used, layer.here + width - lanes)
        for last in range(first + width - lanes, end, width):
            store(net.b, last, load(net.b, last) * used)


@inline
def forward(net: Net, layers: Any, P: Any, chunk: Chunk, first: int, last: int) -> None:
    """ŷ of samples ``first`` to ``last`` of the chunk. Writes z, b, slope."""
    rows, turned = last - first, chunk.turned
    for index in range(len(layers)):
        layer = layers[index]
        width, q, below_width = layer.width, layer.fan_in, layer.below_width
        at = layer.here * chunk.room + first * width
        if index == 0:
            first_product(net, layer, P, pointer(chunk.X, first * q), pointer(net.z, at), rows)
        else:
            below = pointer(net.b, layer.below * chunk.room + first * below_width)
            turn(layer, P, turned)
            product(
                pointer(net.z, at), width, below, below_width, 1, turned, width, q, False, rows, width // lanes_of(P)
            )
            turned = pointer(turned, q * width)
        if layer.activation == SOFTMAX:
            softmax_rows(net, layer, P, at, rows, pointer(chunk.totals, first))
        else:
            activate_rows(net, layer, P, at, at + rows * width)


@inline
def terms(net: Net, layers: Any, loss: Any, P: Any, chunk: Chunk, first: int, last: int, scale: Any) -> None:
    """Errors and gradient terms of samples ``first`` to ``last``, times ``scale``. Writes chunk.errors, g."""
    top = layers[len(layers) - 1]
    for row in range(first, last):
        k, at = item(chunk.order, row), top.here * chunk.room + row * top.width
        c = item(chunk.c, k)
        put(chunk.errors, row, c * output_terms(net, top, loss, chunk.Y, k * top.fan_out, at, c * scale))


@inline
def back(net: Net, layers: Any, P: Any, chunk: Chunk, first: int, last: int) -> None:
    """e_h of the hidden units for samples ``first`` to ``last``. Writes g."""
    lanes = lanes_of(P)
    for index in range(len(layers) - 1, 0, -1):
        layer = layers[index]
        width, q = layer.width, layer.below_width
        G = pointer(net.g, layer.here * chunk.room + first * width)
        at = layer.below * chunk.room + first * q
        W = pointer(P, layer.weights)
        product(pointer(net.g, at), q, G, width, 1, W, q, layer.fan_out, False, last - first, q // lanes)
        for v in range(at, at + (last - first) * q, lanes):
            store(net.g, v, formulas.hidden_gradient_term(load(net.slope, v), load(net.g, v)))


FORWARD, TERMS, BACK = range(3)  # the way of a sample through a network


@shared
def through(
    net: Net, layers: Any, loss: Any, P: Any, chunk: Chunk, rows: tuple[int, int], scale: Any, way: tuple[int, int]
) -> None:
    """Samples of the chunk, from one step of the way to another. Writes z, b, slope, chunk.errors, g."""
    (first, last), (begin, end) = rows, way
    if begin == FORWARD:
        forward(net, layers, P, chunk, first, last)
    if begin <= TERMS <= end:
        terms(net, layers, loss, P, chunk, first, last, scale)
    if end == BACK:
        back(net, layers, P, chunk, first, last)


@shared
def add_gradients(net: Net, layers: Any, chunk: Chunk, G: Any, part: int, parts: int) -> None:
    """One part of −Σ ∂E_k/∂p, times what the gradient terms carry. Adds to G."""
    lanes, n = lanes_of(G), chunk.n
    for index in range(len(layers)):
        layer = layers[index]
        width, d, l, W = layer.width, layer.fan_in, layer.fan_out, layer.weights
        at = layer.here * chunk.room
        if index == 0:
            first, last = share(d, part, parts)
            column, panel = 0, PANEL * lanes
            X = pointer(chunk.X, first)
            while column < width:
                while column + panel > width:
                    panel //= 2
                E = pointer(net.g, at + column)
                product(pointer(G, W + first * panel), panel, X, 1, d, E, width, n, True, last - first, panel // lanes)
                W += panel_size(d, panel, lanes)
                column += panel
        else:
            (first, last), q = share(l, part, parts), layer.below_width
            below, E = pointer(net.b, layer.below * chunk.room), pointer(net.g, at + first)
            product(pointer(G, W + first * q), q, E, 1, width, below, q, n, True, last - first, q // lanes)
        if part == 0:
            for v in range(0, width, lanes):
                total = load(net.g, at + v)
                for row in range(1, n):
                    total += load(net.g, at + v + row * width)
                store(G, layer.thresholds + v, load(G, layer.thresholds + v) - total)
