"""One network on the GPU, batches of samples: many blocks share the products, and meet between the stages of a batch.

For every chunk of a batch (a batch, unless it is large):

1. the products of the first layer, Σ_i v_ih x_i, in tiles, each block some of them;
2. from there to g_j and back to e_h, a warp for each sample, by the lines of ``cuda.lines``;
3. the gradient of every parameter, in tiles, summed over the samples;
4. the update, in the same breath where one block has a parameter's whole gradient, else after another meeting.

A training is one launch, which needs all blocks to be there at once; prediction, errors and gradients launch stage
after stage. The stages stand in ``cuda.stages``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths.formulas import like
from ...settings.rules import SETTINGS, Rule
from ..jit import formula
from ..layout import number_of_parameters
from ..own import kind_of
from ..state import BEST, ERROR, LAST_OBJECTIVE, SCALARS, SHARED1, SHARED2, TOTAL
from . import door
from .calls import Recorded, Stretch
from .door import ALIGNED, FORWARDS, WARP, cuda, each_layer, empty, kernel, pasted
from .lines import RuleOnDevice, lay_out, objective, prepared, sum_of_squares, vanishing
from .stages import (
    DEEP,
    SIDE,
    THREADS,
    Chunk,
    Network,
    Part,
    Room,
    State,
    Tile,
    Update,
    Work,
    add_errors,
    first_products,
    gradients,
    samples,
    sum_of_block,
    updates,
)

CHUNK = 1 << 13  # samples whose units are kept at once

# Places in the scalars: those of Memory, then these. The carry of the validation total is found at the place after it.
VALIDATION_TOTAL, _, BROKEN, SQUARES = range(SCALARS, SCALARS + 4)
SCALARS = SCALARS + 4


class Kind(NamedTuple):
    """What is compiled in."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: Any
    dtype: str
    rule: type[Rule]
    penalty: bool
    masked: bool
    wide: int  # results of a thread along each side of a tile
    shared_sums: bool  # whether several blocks share the sums of a gradient


class Data(NamedTuple):
    """A set of samples as kernels see it."""

    X: Any
    Y: Any
    c: Any
    orders: Any  # of the epochs, [shape: (epochs, m)], or (1, m) where they are the same
    m: int


class Call(NamedTuple):
    """What a call is told beside the data."""

    stretch: Stretch
    etas: Any  # η of each epoch
    size: int  # samples in a batch
    every: int  # epochs from one validation to the next


class Split(NamedTuple):
    """How work is shared out among the blocks: a matter of the sizes and the device."""

    blocks: int
    wide: int  # results of a thread along each side of a tile
    products: int  # shares of each sum of the first layer
    gradients: int  # shares of each sum over the samples


def split_of(sizes: Sequence[int], most: int) -> Split:
    """For chunks of so many samples."""
    blocks, d, q = door.multiprocessors(), sizes[0], sizes[1]
    wide = 4 if most >= 1024 else 2
    side = SIDE * wide
    forward = -(-most // side) * -(-q // side)
    back = sum(-(-fan_in // side) * -(-fan_out // side) for fan_in, fan_out in itertools.pairwise(sizes))
    products = max(1, min(blocks // forward, d // (2 * DEEP)))
    shares = max(1, min(blocks // back, most // 256))
    if door.SIMULATED:
        blocks = 1  # which has no barrier for more
    return Split(blocks, wide, products, shares)


def make_room(sizes: Sequence[int], split: Split, most: int, dtype: Any) -> Room:
    """Work space for chunks of so many samples."""
    units, n = sum(sizes[1:]), number_of_parameters(sizes)
    z, b, slope, g = (empty((most, units), dtype) for _ in range(4))
    products, G = empty((split.products, most, sizes[1]), dtype), empty((split.gradients, n), dtype)
    return Room(products, z, b, slope, g, empty((most,), dtype), G)


def network_of(kind: Kind) -> Network:
    """All layers with their tiles, and those above the first as warps see them."""
    side = SIDE * kind.wide
    parts, before, d = [], 0, kind.sizes[0]
    for layer in lay_out(kind.sizes, kind.activations, WARP):
        shifted = layer._replace(below=layer.below - d, here=layer.here - d)
        parts.append(Part(shifted, before))
        before += -(-layer.fan_in // side) * -(-layer.fan_out // side)
    upper = tuple(part.layer for part in parts[1:])
    return Network(tuple(parts), upper, kind.loss, number_of_parameters(kind.sizes))


def working(kind: Kind) -> Any:
    """What a kernel calls to set a thread to work."""
    wide, dtype = kind.wide, np.dtype(kind.dtype).type
    brought, by_warp, results = (DEEP, SIDE * wide + 4), (THREADS // WARP, WARP), wide * wide + wide

    @pasted
    def work_in(room: Room) -> Work:
        A = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        B = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        scratch = cuda.shared.array(by_warp, dtype)
        sums = cuda.shared.array(THREADS, dtype)
        tile = Tile(cuda.local.array(results, dtype), A, B, wide)
        return Work(cuda.threadIdx.x, cuda.blockIdx.x, cuda.gridDim.x, room, tile, scratch, sums)

    return work_in


# --- Training.


@formula
def sum_errors(net: Network, at: Any, chunk: Chunk, work: Work, grid: Any, scalars: Any, place: int) -> None:
    """Stages 1 and 2 for a chunk, to train, or, for a total at another place, to validate. Writes room and scalars."""
    first_products(net.parts[0].layer, at, chunk, work)
    grid.sync()
    samples(net, at, chunk, work, place == TOTAL, chunk.X[:0])
    grid.sync()
    add_errors(scalars, place, chunk, work)


def batching(kind: Kind) -> Any:
    """What a network of this kind does with a batch."""
    net, compares, penalty = network_of(kind), kind.rule.compares, kind.penalty
    apart = kind.shared_sums or compares  # whether the update is a stage of its own

    @formula
    def learn_batch(
        rule: RuleOnDevice, state: State, batch: Chunk, work: Work, grid: Any, eta: Any, before: Any
    ) -> Any:
        """All stages. ``before`` are what all parameters share and the last objective, returned as they then are.
        Writes state and room."""
        first, second, last = before
        scalars, most, end, zero = state.scalars, work.room.E.shape[0], batch.first + batch.count, like(eta, 0)
        share, shared = like(eta, 1) / like(eta, batch.count), (first, second)
        if not compares:
            shared = prepared(rule, shared, last, zero)
        for k in range(batch.first, end, most):
            chunk = Chunk(batch.X, batch.Y, batch.c, batch.order, k, min(most, end - k))
            sum_errors(net, state.at, chunk, work, grid, scalars, TOTAL)
            complete = k + most >= end
            update = Update(share, eta, shared, not apart and complete, k == batch.first)
            each_layer(net.parts, FORWARDS, gradients, (rule, state, chunk, work, net.n, update))
            if compares and penalty and complete and work.block == 0:
                squares = sum_of_block(sum_of_squares(state.p, work.thread, net.n, THREADS), work)
                if work.thread == 0:
                    scalars[SQUARES] = squares
            grid.sync()
        if apart:
            if compares:
                now = objective(rule, scalars[TOTAL] * share, scalars[SQUARES])
                shared, last = prepared(rule, shared, last, now), now
            updates(rule, state, work, net.n, Update(share, eta, shared, True, True))
            grid.sync()
        return shared[0], shared[1], last

    return learn_batch


def ending(kind: Kind) -> Any:
    """What a network of this kind does at the end of an epoch."""
    net = network_of(kind)

    @formula
    def after_epoch(
        state: State, D: Data, V: Data, work: Work, grid: Any, call: Call, e: int, recorded: Recorded
    ) -> bool:
        """Validate, and record the errors of epoch e of this call; returns whether error and parameters are finite.
        Writes state, room and recorded."""
        p, scalars, zero, one = state.p, state.scalars, like(state.p[0], 0), like(state.p[0], 1)
        start, step = work.block * THREADS + work.thread, work.blocks * THREADS
        validates = V.m > 0 and (call.stretch.epoch + e + 1) % call.every == 0
        if vanishing(p, start, net.n, step) != zero:
            scalars[BROKEN] = one
        total, most = zero, work.room.E.shape[0]
        if validates:
            for k in range(0, V.m, most):
                chunk = Chunk(V.X, V.Y, V.c, V.orders[0], k, min(most, V.m - k))
                sum_errors(net, p, chunk, work, grid, scalars, VALIDATION_TOTAL)
                grid.sync()
            total = scalars[VALIDATION_TOTAL] / like(one, V.m)
        else:
            grid.sync()
        error = scalars[TOTAL] / like(one, D.m)
        if error * zero != zero or scalars[BROKEN] > zero:
            if start == 0:
                scalars[BROKEN] = like(one, e + 1)  # the epoch at fault, counted from 1
            return False
        if start == 0:
            scalars[ERROR] = recorded.errors[e] = error
        if validates:
            better = total < scalars[BEST]
            grid.sync()
            if better:
                for i in range(start, net.n, step):
                    state.best[i] = p[i]
            if start == 0:
                recorded.validation_errors[e] = total
                if better:
                    scalars[BEST] = total
            grid.sync()
        return True

    return after_epoch


@functools.cache
def train_kernel(kind: Kind) -> Any:
    """The kernel that trains a network, many epochs in one launch."""
    work_in, learn_batch, after_epoch = working(kind), batching(kind), ending(kind)
    code, slots, penalty, masked = kind_of(kind.rule), kind.rule.slots, kind.penalty, kind.masked

    def train(
        state: State, constants: Any, mask: Any, D: Data, V: Data, room: Room, call: Call, recorded: Recorded
    ) -> None:
        work, grid, scalars, stretch = work_in(room), cuda.cg.this_grid(), state.scalars, call.stretch
        lam, rest = constants[SETTINGS], constants[SETTINGS + 1]
        rule = RuleOnDevice(False, code, slots, penalty, masked, mask, constants, lam, rest)
        memory = scalars[SHARED1], scalars[SHARED2], scalars[LAST_OBJECTIVE]
        grid.sync()
        for e in range(stretch.epochs):
            order, eta = D.orders[min(e, D.orders.shape[0] - 1)], call.etas[e]
            begin = stretch.begin if e == 0 else 0
            end = stretch.end if e == stretch.epochs - 1 else D.m
            for first in range(begin, end, call.size):
                batch = Chunk(D.X, D.Y, D.c, order, first, min(call.size, D.m - first))
                memory = learn_batch(rule, state, batch, work, grid, eta, memory)
            if end == D.m and not after_epoch(state, D, V, work, grid, call, e, recorded):
                break
        if work.block == 0 and work.thread == 0:
            scalars[SHARED1], scalars[SHARED2], scalars[LAST_OBJECTIVE] = memory

    return kernel(train, f"train_batches_{'_'.join(map(str, kind.sizes))}", THREADS)


# --- Prediction, errors and gradients.


@functools.cache
def stage_kernels(kind: Kind) -> tuple[Any, Any, Any]:
    """The first three stages, a kernel each: for prediction, errors and gradients."""
    net, work_in, name = network_of(kind), working(kind), "_".join(map(str, kind.sizes))
    code = kind_of(kind.rule)

    def products_of(p: Any, chunk: Chunk, room: Room) -> None:
        first_products(net.parts[0].layer, p, chunk, work_in(room))

    def samples_of(p: Any, chunk: Chunk, room: Room, learn: bool, y_hat: Any) -> None:
        samples(net, p, chunk, work_in(room), learn, y_hat)

    def gradients_of(p: Any, chunk: Chunk, room: Room, fresh: bool) -> None:
        zero = like(p[0], 0)
        rule, state = RuleOnDevice(False, code, 0, False, False, p, p, zero, zero), State(p, p, room.z, p, p)
        update = Update(zero, zero, (zero, zero), False, fresh)
        each_layer(net.parts, FORWARDS, gradients, (rule, state, chunk, work_in(room), net.n, update))

    made = (("products", products_of), ("samples", samples_of), ("gradients", gradients_of))
    products, samples_, gradients_ = (kernel(function, f"{stage}_{name}", THREADS) for stage, function in made)
    return products, samples_, gradients_
