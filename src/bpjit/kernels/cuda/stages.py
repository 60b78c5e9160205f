"""The stages of a batch on the GPU, in which many blocks share its products; see ``cuda.batch``.

All sums are split in ways that depend on the sizes and the device alone, so bits do not depend on chance. Index
letters: k sample, i input, h unit below, j unit here, s share of a sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...maths.formulas import like
from ..jit import formula
from ..layout import SOFTMAX
from ..sums import kahan
from ..switches import activation_of
from .door import BACKWARDS, FORWARDS, SIMULATED, WARP, each_layer, unrolled, wait
from .lines import (
    Layer,
    Net,
    RuleOnDevice,
    Slots,
    Team,
    backward,
    barrier,
    forward,
    output_terms,
    softmax,
    step_parameter,
)

SIDE = 2 if SIMULATED else 16  # threads along each side of a tile
THREADS = SIDE * SIDE
DEEP = 2 if SIMULATED else 16  # terms of the sums brought in at a time
ALL_BROUGHT = (0,) * DEEP


class Part(NamedTuple):
    """A layer, and how many tiles of gradients stand before its own."""

    layer: Layer
    before: int


class Network(NamedTuple):
    """A network, all of it constants to the compiler. Units count from the first hidden."""

    parts: Any
    upper: Any  # layers above the first, as warps see them
    loss: Any
    n: int  # parameters


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


class State(NamedTuple):
    """What a training changes."""

    p: Any  # parameters
    at: Any  # where gradients are taken: p, or ahead of it for a rule that looks ahead
    S: Any  # the rule's, [shape: (slots · n, 1)]
    best: Any  # parameters of the smallest validation error
    scalars: Any


class Tile(NamedTuple):
    """A block's part of a product, and what it brings in of both factors at a time."""

    acc: Any  # results of this thread, [shape: (wide · wide + wide,)]
    A: Any  # [shape: (DEEP, side + 4)]
    B: Any
    wide: int  # results of a thread along each side


class Work(NamedTuple):
    """A thread at work: where it stands, and with what."""

    thread: int  # in its block
    block: int
    blocks: int
    room: Room
    tile: Tile
    scratch: Any  # a number for each thread of each warp, [shape: (warps, WARP)]
    sums: Any  # [shape: (THREADS,)]


class Update(NamedTuple):
    """What becomes of gradients."""

    share: Any  # of each sample in the batch's
    eta: Any
    shared: Any  # what all parameters share, see ``lines.prepared``
    fused: bool  # whether they are complete, and a thread that has one takes the step
    fresh: bool  # whether their sums begin


@formula
def place_in_tile(thread: int) -> int:
    """The row of a thread; written so that the compiler sees it is not negative."""
    return (thread // SIDE) & (SIDE - 1)


@formula
def add_products(tile: Tile, ty: int, tx: int) -> None:
    """Σ over what was brought in, for the results of this thread. Adds to acc."""
    unrolled(ALL_BROUGHT, add_product, (tile, ty, tx))


@formula
def add_product(deep: int, tile: Tile, ty: int, tx: int) -> None:
    acc, A, B, wide = tile
    for r in range(wide):
        a = A[deep, ty * wide + r]
        for s in range(wide):
            acc[r * wide + s] += a * B[deep, tx * wide + s]


@formula
def first_products(layer: Layer, at: Any, chunk: Chunk, work: Work) -> None:
    """Stage 1: Σ_i v_ih x_i of the first layer, each sum in shares. Writes products."""
    (acc, A, B, wide), products, tid = work.tile, work.room.products, work.thread
    side, d, q = SIDE * wide, layer.fan_in, layer.fan_out
    ty, tx, zero = place_in_tile(tid), tid & (SIDE - 1), like(at[0], 0)
    shares, across = products.shape[0], (q + side - 1) // side
    down = (chunk.count + side - 1) // side
    for task in range(work.block, shares * down * across, work.blocks):
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
            add_products(work.tile, ty, tx)
            wait()
        for r in range(wide):
            k = k0 + ty * wide + r
            for s in range(wide):
                j = j0 + tx * wide + s
                if k < chunk.count and j < q:
                    products[share, k, j] = acc[r * wide + s]


@formula
def samples(net: Network, at: Any, chunk: Chunk, work: Work, learn: bool, y_hat: Any) -> None:
    """Stage 2: each sample from the first layer's products to its outputs, g_j and e_h. Writes room, or y_hat where
    that has rows."""
    warp, team, room = work.thread // WARP, Team(work.thread % WARP, WARP), work.room
    warps, layer = THREADS // WARP, net.parts[0].layer
    for k in range(work.block * warps + warp, chunk.count, work.blocks * warps):
        z, b, slope, g = room.z[k], room.b[k], room.slope[k], room.g[k]
        own = Net(at, at, at, z, b, slope, g, work.scratch[warp])
        row = chunk.order[chunk.first + k]
        for j in range(team.rank, layer.fan_out, team.size):
            z_j = -at[layer.thresholds + j]
            for share in range(room.products.shape[0]):
                z_j += room.products[share, k, j]
            z[j] = z_j
            if layer.activation != SOFTMAX:
                b[j], slope[j] = activation_of(layer, layer.activation, z_j)
        barrier(team)
        if layer.activation == SOFTMAX:
            softmax(layer, own, team)
        each_layer(net.upper, FORWARDS, forward, (own, team))
        top = net.parts[-1].layer
        if y_hat.shape[0] > 0:
            for j in range(team.rank, top.fan_out, team.size):
                y_hat[chunk.first + k, j] = b[top.here + j]
        else:
            E_k = output_terms(top, net.loss, own, team, chunk.Y, row, chunk.c[row])
            if team.rank == 0:
                room.E[k] = E_k
            if learn:
                each_layer(net.upper, BACKWARDS, hidden_terms, (own, team))
        barrier(team)


@formula
def hidden_terms(layer: Layer, net: Net, team: Team) -> None:
    """e_h of the units below. Writes g."""
    backward(layer, net, team, False, False, net.at[0])


@formula
def gradients(part: Part, rule: RuleOnDevice, state: State, chunk: Chunk, work: Work, n: int, update: Update) -> None:
    """Stage 3: the gradient of a layer's parameters, in tiles, each sum over the samples in shares; where a block has
    all of it, the update too. Writes G, or p, at and S."""
    layer, (acc, A, B, wide), room, tid = part.layer, work.tile, work.room, work.thread
    side, q, l = SIDE * wide, layer.fan_in, layer.fan_out
    ty, tx, zero, blocks = place_in_tile(tid), tid & (SIDE - 1), like(state.at[0], 0), work.blocks
    shares, across, down = room.G.shape[0], (l + side - 1) // side, (q + side - 1) // side
    bottom = layer.level == 0
    start = (work.block + blocks - part.before * shares % blocks) % blocks
    for task in range(start, shares * down * across, blocks):
        share, h0, j0 = task // (down * across), task // across % down * side, task % across * side
        low, high = share * chunk.count // shares, (share + 1) * chunk.count // shares
        thresholds = h0 == 0 and ty == 0
        for r in range(wide * wide + wide):
            acc[r] = zero
        for k0 in range(low, high, DEEP):
            for item in range(tid, DEEP * side, THREADS):
                deep, h = item // side, item % side
                k, b, g = k0 + deep, zero, zero
                if k < high:
                    if h0 + h < q:
                        if bottom:
                            b = chunk.X[chunk.order[chunk.first + k], h0 + h]
                        else:
                            b = room.b[k, layer.below + h0 + h]
                    if j0 + h < l:
                        g = room.g[k, layer.here + j0 + h]
                A[deep, h], B[deep, h] = b, g
            wait()
            add_products(work.tile, ty, tx)
            if thresholds:
                for deep in range(DEEP):
                    for s in range(wide):
                        acc[wide * wide + s] -= B[deep, tx * wide + s]
            wait()
        for s in range(wide):
            j = j0 + tx * wide + s
            if j < l:
                for r in range(wide):
                    h = h0 + ty * wide + r
                    if h < q:
                        finish(rule, state, room.G[share], n, layer.weights + h * l + j, acc[r * wide + s], update)
                if thresholds:
                    finish(rule, state, room.G[share], n, layer.thresholds + j, acc[wide * wide + s], update)


@formula
def finish(rule: RuleOnDevice, state: State, G: Any, n: int, i: int, total: Any, update: Update) -> None:
    """What becomes of a share of a gradient over a chunk: kept for later, or an update. Writes G, or p, at and S."""
    if not update.fresh:
        total += G[i]
    if update.fused:
        slots, direction = Slots(state.S, 0, 0, n), total * update.share
        step_parameter(rule, state.p, state.at, slots, i, direction, update.eta, update.shared)
    else:
        G[i] = total


@formula
def updates(rule: RuleOnDevice, state: State, work: Work, n: int, update: Update) -> None:
    """Stage 4: the update, from all shares of the gradient. Writes p, at and S."""
    G = work.room.G
    for i in range(work.block * THREADS + work.thread, n, work.blocks * THREADS):
        direction = like(update.share, 0)
        for part in range(G.shape[0]):
            direction += G[part, i]
        direction *= update.share
        step_parameter(rule, state.p, state.at, Slots(state.S, 0, 0, n), i, direction, update.eta, update.shared)


# --- Sums by a block.


@formula
def sum_of_block(total: Any, work: Work) -> Any:
    """The sum of a number of each thread of a block, to each of them. Writes sums."""
    tid, sums, half = work.thread, work.sums, THREADS // 2
    sums[tid] = total
    wait()
    while half > 0:
        if tid < half:
            sums[tid] += sums[tid + half]
        wait()
        half //= 2
    total = sums[0]
    wait()
    return total


@formula
def add_errors(scalars: Any, place: int, chunk: Chunk, work: Work) -> None:
    """Add the errors of a chunk to those of the chunks before in its epoch, by block 0. Writes scalars."""
    if work.block == 0:
        E = work.room.E
        total = like(E[0], 0)
        for k in range(work.thread, chunk.count, THREADS):
            total += E[k]
        total = sum_of_block(total, work)
        if work.thread == 0:
            before, carry = scalars[place], scalars[place + 1]
            if chunk.first == 0:
                before = carry = like(total, 0)
            scalars[place], scalars[place + 1] = kahan(before, carry, total)
