"""The Hessian times a direction v for many samples at once: the lines of ``readable.along`` as matrix products.

A chunk goes through the network as in ``chunks``, and R{z}, R{b} and R{g} of every unit with it. V, the direction, lies
packed as the parameters do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths import formulas
from ...maths.formulas import like, select
from ..along import bend_of, terms_along
from ..jit import inline, kernel, smaller
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..simd.across import lane_sum
from ..simd.memory import aligned_zeros, item, lanes_of, pointer
from ..simd.tiles import product
from ..state import Samples
from ..switches import code_of
from .batches import BlockWork, chunk_from, make_block_work
from .chunks import FORWARD, Chunk, add_gradients, first_product, through, turn
from .each_sample import lift, load, load_first, store
from .padded import Net, net_of


class AlongWork(NamedTuple):
    """Work space of a product; nothing in it need be kept."""

    of_samples: BlockWork
    V: np.ndarray  # the direction, packed, [shape: (n,)]
    turned: np.ndarray  # its upper layers in rows
    z: np.ndarray  # R{z} of each unit for each sample of a chunk; and so on
    b: np.ndarray
    g: np.ndarray


class Along(NamedTuple):
    """Pointers into it."""

    V: Any
    turned: Any
    z: Any
    b: Any
    g: Any


@inline
def units_along(net: Net, layer: Any, r: Along, at: int) -> None:
    """R{z} = R{β} − v, R{b} = f'(z) R{z} of a layer whose units stand at ``at``. Writes r.z, r.b."""
    lanes, thresholds = lanes_of(net.P), layer.thresholds
    mean = lift(like(item(net.P, 0), 0))
    for v in range(0, layer.width, lanes):
        z = load(r.z, at + v) - load(r.V, thresholds + v)
        store(r.z, at + v, z)
        if layer.activation == SOFTMAX:
            mean += load(net.b, at + v) * z
        else:
            store(r.b, at + v, load(net.slope, at + v) * z)
    if layer.activation == SOFTMAX:
        mean = lift(lane_sum(mean))
        for v in range(at, at + layer.width, lanes):
            store(r.b, v, formulas.softmax_gradient_term(load(net.b, v), load(r.z, v), mean))


@inline
def forward_along(net: Net, layers: Any, chunk: Chunk, r: Along) -> None:
    """R{z} and R{b} of all samples of a chunk that ``forward`` has seen. Writes r.z, r.b."""
    n, room, lanes = chunk.n, chunk.room, lanes_of(net.P)
    W, V = chunk.turned, r.turned
    for index in range(len(layers)):
        layer = layers[index]
        width, q, below_width, at = layer.width, layer.fan_in, layer.below_width, layer.here * room
        if index == 0:
            first_product(net, layer, r.V, chunk.X, pointer(r.z, at), n)
        else:
            turn(layer, r.V, V)
            below, registers = layer.below * room, width // lanes
            Z = pointer(r.z, at)
            product(Z, width, pointer(net.b, below), below_width, 1, V, width, q, False, n, registers)
            product(Z, width, pointer(r.b, below), below_width, 1, W, width, q, True, n, registers)
            W, V = pointer(W, q * width), pointer(V, q * width)
        for row in range(n):
            units_along(net, layer, r, at + row * width)


@inline
def bend_at(net: Net, layer: Any, at: int, v: int) -> Any:
    """f''(z) of a vector of units."""
    return bend_of(layer, layer.activation, load(net.z, at + v), load(net.b, at + v), load(net.slope, at + v))


@inline
def output_terms_along(net: Net, layer: Any, loss: Any, Y: Any, y_at: int, at: int, c: Any, r: Along) -> None:
    """c g_j and c R{g_j} of the outputs of a sample of weight c. Writes g, r.g."""
    lanes, here, l, softmax = lanes_of(net.P), layer.here, layer.fan_out, layer.activation == SOFTMAX
    zero = lift(like(c, 0))
    mean, mean_along = zero, zero
    for v in range(0, layer.width, lanes):
        used, bend = load(net.used, here + v) > zero, zero
        if not softmax:
            bend = bend_at(net, layer, at, v)
        unit = load(net.z, at + v), load(net.b, at + v), load(net.slope, at + v), bend
        moved = load(r.z, at + v), load(r.b, at + v)
        g, g_along, m, m_along = terms_along(loss, softmax, unit, load_first(Y, y_at + v, l - v), moved)
        store(net.g, at + v, select(used, g * c, zero))
        store(r.g, at + v, select(used, g_along * c, zero))
        mean += select(used, m * c, zero)
        mean_along += select(used, m_along * c, zero)
    if softmax and code_of(loss) != CROSS_ENTROPY:
        mean, mean_along = lift(lane_sum(mean)), lift(lane_sum(mean_along))
        for v in range(at, at + layer.width, lanes):
            b, d, d_along = load(net.b, v), load(net.g, v), load(r.g, v)
            store(net.g, v, formulas.softmax_gradient_term(b, d, mean))
            store(r.g, v, formulas.softmax_term_along(b, d - mean, load(r.b, v), d_along - mean_along))


@inline
def back_along(net: Net, layers: Any, chunk: Chunk, r: Along) -> None:
    """e_h and R{e_h} of the hidden units of all samples. Writes g, r.g."""
    lanes, n, room = lanes_of(net.P), chunk.n, chunk.room
    for index in range(len(layers) - 1, 0, -1):
        layer, lower = layers[index], layers[index - 1]
        width, q, l, at, below = layer.width, layer.below_width, layer.fan_out, layer.here * room, layer.below * room
        W, V, G, registers = pointer(net.P, layer.weights), pointer(r.V, layer.weights), pointer(net.g, at), q // lanes
        product(pointer(net.g, below), q, G, width, 1, W, q, l, False, n, registers)
        product(pointer(r.g, below), q, G, width, 1, V, q, l, False, n, registers)
        product(pointer(r.g, below), q, pointer(r.g, at), width, 1, W, q, l, True, n, registers)
        for row in range(below, below + n * q, q):
            for v in range(0, q, lanes):
                here = row + v
                back, slope, bend = load(net.g, here), load(net.slope, here), bend_at(net, lower, row, v)
                term = formulas.gradient_term_along(slope, back, bend, load(r.z, here), load(r.g, here))
                store(r.g, here, term)
                store(net.g, here, formulas.hidden_gradient_term(slope, back))


@inline
def add_along(net: Net, layers: Any, chunk: Chunk, r: Along, G: Any) -> None:
    """−Σ c_k R{∂E_k/∂p} of all samples: R{g_j} b_h, and g_j R{b_h}, which is 0 for inputs. Adds to G."""
    there = Net(net.P, net.A, net.S, net.mask, net.n, net.c, net.z, net.b, net.slope, r.g, net.used)
    add_gradients(there, layers, chunk, G, 0, 1)
    for index in range(1, len(layers)):
        layer = layers[index]
        q, E = layer.below_width, pointer(net.g, layer.here * chunk.room)
        below, W = pointer(r.b, layer.below * chunk.room), pointer(G, layer.weights)
        product(W, q, E, 1, layer.width, below, q, chunk.n, True, layer.fan_out, q // lanes_of(G))


@kernel
def along(work: AlongWork, D: Samples, stretch: tuple[int, int], loss: Any) -> None:
    """A stretch of samples: adds −Σ c_k R{∂E_k/∂p} along work.V to work.of_samples.G."""
    of_samples, (begin, end) = work.of_samples, stretch
    layers = of_samples.packed.layers
    net, top, room = net_of(of_samples.packed, None), layers[len(layers) - 1], of_samples.room
    turned = pointer(work.turned, 0)
    r = Along(pointer(work.V, 0), turned, pointer(work.z, 0), pointer(work.b, 0), pointer(work.g, 0))
    for t in range(begin, end, room):
        n = smaller(room, end - t)
        chunk = chunk_from(of_samples, D, t, n)
        through(net, layers, loss, net.P, chunk, (0, n), like(item(net.P, 0), 1), (FORWARD, FORWARD))
        forward_along(net, layers, chunk, r)
        for row in range(n):
            at = top.here * room + row * top.width
            output_terms_along(net, top, loss, chunk.Y, row * top.fan_out, at, item(chunk.c, row), r)
        back_along(net, layers, chunk, r)
        add_along(net, layers, chunk, r, pointer(of_samples.G, 0))


def make_along_work(
    sizes: Sequence[int], activations: Sequence[str], p: np.ndarray, v: np.ndarray, m: int
) -> AlongWork:
    """Work space for a network with parameters p, a direction v and m samples."""
    work = make_block_work(sizes, activations, p.dtype, max(1, m))
    work.P[work.place] = p
    V = aligned_zeros(len(work.P), p.dtype)
    V[work.place] = v
    units = (aligned_zeros(len(work.packed.z), p.dtype) for _ in range(3))
    return AlongWork(work, V, aligned_zeros(len(work.turned), p.dtype), *units)
