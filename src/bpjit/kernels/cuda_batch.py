"""One network on the GPU, batches of samples: many blocks share the products, and meet between the stages of a batch.

For every chunk of a batch (a batch, unless it is large):

1. the products of the first layer, Σ_i v_ih x_i, in tiles, each block some of them;
2. from there to g_j and back to e_h, a warp for each sample, by the lines of ``kernels.cuda_lines``;
3. the gradient of every parameter, in tiles, summed over the samples;
4. the update, in the same breath where one block has a parameter's whole gradient, else after another meeting.

All sums are split in ways that depend on the sizes and the device alone, so bits do not depend on chance. A training
is one launch, which needs all blocks to be there at once; prediction, errors and gradients launch the stages one by one.
Index letters: k sample, i input, h unit below, j unit here, s share of a sum.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ..formulas import like
from ..rules import RULES
from . import batch as places
from .cuda import BACKWARDS, FORWARDS, SIMULATED, WARP, cuda, each_layer, kernel, wait
from .cuda_lines import (
    Layer,
    Net,
    Steps,
    Team,
    backward,
    barrier,
    corrections,
    forward,
    lay_out,
    output_terms,
    parameters,
    softmax,
    step_parameter,
    sum_of_squares,
)
from .jit import formula
from .lane_epochs import add_error
from .layers import SOFTMAX, activate
from .. import formulas, rules

SIDE = 2 if SIMULATED else 16  # threads along each side of a tile
THREADS = SIDE * SIDE
DEEP = 2 if SIMULATED else 16  # terms of the sums brought in at a time

# Places in the scalars: those of Memory, then these.
VALIDATION_TOTAL, VALIDATION_CARRY, BROKEN, SQUARES = range(places.SCALARS, places.SCALARS + 4)
SCALARS = places.SCALARS + 4


class Kind(NamedTuple):
    """What is compiled in."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: int
    dtype: str
    rule: str
    penalty: bool
    masked: bool
    wide: int  # results of a thread along each side of a tile
    shared_sums: bool  # whether several blocks share the sums of a gradient


class Part(NamedTuple):
    """A layer, and how many tiles of gradients stand before its own."""

    layer: Layer
    before: int


class Room(NamedTuple):
    """Work space on the device, for a chunk of samples."""

    products: Any  # shares of the first layer's, [shape: (shares, chunk, q)]
    z: Any  # of each unit but the inputs, [shape: (chunk, units)], and so are the next three
    b: Any
    slope: Any
    g: Any
    E: Any  # c_k E_k, [shape: (chunk,)]
    G: Any  # shares of the gradient, [shape: (shares, n)]


class Chunk(NamedTuple):
    """Some samples of a set, in some order."""

    X: Any
    Y: Any
    c: Any
    order: Any  # row of the table of orders
    first: int
    count: int


def parts_of(kind: Kind) -> tuple[tuple[Part, ...], tuple[Layer, ...]]:
    """All layers with their tiles, and those above the first as warps see them: units count from the first hidden."""
    side = SIDE * kind.wide
    parts, before, d = [], 0, kind.sizes[0]
    for layer in lay_out(kind.sizes, kind.activations, WARP):
        shifted = layer._replace(below=layer.below - d, here=layer.here - d)
        parts.append(Part(shifted, before))
        before += -(-layer.fan_in // side) * -(-layer.fan_out // side)
    return tuple(parts), tuple(part.layer for part in parts[1:])


def tiles_of(kind: Kind) -> int:
    """Tiles of gradients of all layers."""
    side = SIDE * kind.wide
    return sum(-(-q // side) * -(-l // side) for q, l in zip(kind.sizes[:-1], kind.sizes[1:], strict=True))


@formula
def add_products(acc: Any, A: Any, B: Any, wide: int, ty: int, tx: int) -> None:
    """Σ over what was brought in, for the results of this thread. Adds to acc."""
    for deep in range(DEEP):
        for r in range(wide):
            a = A[deep, ty + SIDE * r]
            for s in range(wide):
                acc[r * wide + s] += a * B[deep, tx + SIDE * s]


@formula
def first_products(layer: Layer, at: Any, chunk: Chunk, room: Room, acc: Any, A: Any, B: Any, wide: int) -> None:
    """Stage 1: Σ_i v_ih x_i of the first layer, each sum in shares. Writes products."""
    side, d, q, tid = SIDE * wide, layer.fan_in, layer.fan_out, cuda_thread()
    ty, tx, zero = tid // SIDE, tid % SIDE, like(at[0], 0)
    shares, across = room.products.shape[0], (q + side - 1) // side
    down = (chunk.count + side - 1) // side
    for task in range(cuda_block(), shares * down * across, cuda_blocks()):
        share, k0, j0 = task // (down * across), task // across % down * side, task % across * side
        low, high = share * d // shares, (share + 1) * d // shares
        for r in range(wide * wide):
            acc[r] = zero
        for i0 in range(low, high, DEEP):
            for item in range(tid, DEEP * side, THREADS):
                deep, k = item % DEEP, item // DEEP
                x = zero
                if i0 + deep < high and k0 + k < chunk.count:
                    x = chunk.X[chunk.order[chunk.first + k0 + k], i0 + deep]
                A[deep, k] = x
            for item in range(tid, DEEP * side, THREADS):
                deep, j = item // side, item % side
                v = zero
                if i0 + deep < high and j0 + j < q:
                    v = at[layer.weights + (i0 + deep) * q + j0 + j]
                B[deep, j] = v
            wait()
            add_products(acc, A, B, wide, ty, tx)
            wait()
        for r in range(wide):
            k = k0 + ty + SIDE * r
            for s in range(wide):
                j = j0 + tx + SIDE * s
                if k < chunk.count and j < q:
                    room.products[share, k, j] = acc[r * wide + s]
