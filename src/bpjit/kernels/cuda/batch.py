"""One network on the GPU, batches of samples: many blocks share the products, and meet between the stages of a batch.

For every chunk of a batch (a batch, unless it is large):

1. the products of the first layer, Σ_i v_ih x_i, in tiles, each block some of them;
2. from there to g_j and back to e_h, a warp for each sample, by the lines of ``cuda.lines``;
3. the gradient of every parameter, in tiles, summed over the samples;
4. the update, in the same breath where one block has a parameter's whole gradient, else after another meeting.

All sums are split in ways that depend on the sizes and the device alone, so bits do not depend on chance. A training
is one launch, which needs all blocks to be there at once; prediction, errors and gradients launch stage after stage.
Index letters: k sample, i input, h unit below, j unit here, s share of a sum.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ...maths import formulas
from ...maths.formulas import like
from ...settings.rules import RULES
from ..jit import formula
from ..layout import SOFTMAX, number_of_parameters
from ..state import BEST, ERROR, LAST_OBJECTIVE, SCALARS, SHARED1, SHARED2, TOTAL
from ..sums import kahan
from ..switches import activate
from .door import ALIGNED, BACKWARDS, FORWARDS, SIMULATED, WARP, cuda, each_layer, kernel, unrolled, wait
from .lines import (
    Layer,
    Net,
    Steps,
    Team,
    backward,
    barrier,
    forward,
    lay_out,
    output_terms,
    prepared,
    softmax,
    step_parameter,
)

SIDE = 2 if SIMULATED else 16  # threads along each side of a tile
THREADS = SIDE * SIDE
DEEP = 2 if SIMULATED else 16  # terms of the sums brought in at a time
ALL_BROUGHT = (0,) * DEEP

# Places in the scalars: those of Memory, then these.
VALIDATION_TOTAL, VALIDATION_CARRY, BROKEN, SQUARES = range(SCALARS, SCALARS + 4)
SCALARS = SCALARS + 4


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
def place_in_tile(tid: int) -> int:
    """The row of a thread; written so that the compiler sees it is not negative."""
    return (tid // SIDE) & (SIDE - 1)


@formula
def add_products(acc: Any, A: Any, B: Any, wide: int, ty: int, tx: int) -> None:
    """Σ over what was brought in, for the results of this thread. Adds to acc."""
    unrolled(ALL_BROUGHT, add_product, (acc, A, B, wide, ty, tx))


@formula
def add_product(deep: int, acc: Any, A: Any, B: Any, wide: int, ty: int, tx: int) -> None:
    for r in range(wide):
        a = A[deep, ty * wide + r]
        for s in range(wide):
            acc[r * wide + s] += a * B[deep, tx * wide + s]


@formula
def first_products(layer: Layer, at: Any, chunk: Chunk, room: Room, acc: Any, A: Any, B: Any, wide: int) -> None:
    """Stage 1: Σ_i v_ih x_i of the first layer, each sum in shares. Writes products."""
    side, d, q, tid = SIDE * wide, layer.fan_in, layer.fan_out, cuda.threadIdx.x
    ty, tx, zero = place_in_tile(tid), tid & (SIDE - 1), like(at[0], 0)
    shares, across = room.products.shape[0], (q + side - 1) // side
    down = (chunk.count + side - 1) // side
    for task in range(cuda.blockIdx.x, shares * down * across, cuda.gridDim.x):
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
            k = k0 + ty * wide + r
            for s in range(wide):
                j = j0 + tx * wide + s
                if k < chunk.count and j < q:
                    room.products[share, k, j] = acc[r * wide + s]


@formula
def samples(
    layers: Any, upper: Any, loss: int, at: Any, chunk: Chunk, room: Room, scratch: Any, learn: bool, y_hat: Any
) -> None:
    """Stage 2: each sample from the first layer's products to its outputs, g_j and e_h. Writes room, or y_hat where
    that has rows."""
    warp, team = cuda.threadIdx.x // WARP, Team(cuda.threadIdx.x % WARP, WARP)
    warps, layer = THREADS // WARP, layers[0].layer
    for k in range(cuda.blockIdx.x * warps + warp, chunk.count, cuda.gridDim.x * warps):
        z, b, slope, g = room.z[k], room.b[k], room.slope[k], room.g[k]
        net = Net(at, at, at, z, b, slope, g, scratch[warp])
        row = chunk.order[chunk.first + k]
        for j in range(team.rank, layer.fan_out, team.size):
            z_j = -at[layer.thresholds + j]
            for share in range(room.products.shape[0]):
                z_j += room.products[share, k, j]
            z[j] = z_j
            if layer.activation != SOFTMAX:
                b[j], slope[j] = activate(layer.activation, z_j)
        barrier(team)
        if layer.activation == SOFTMAX:
            softmax(layer, net, team)
        each_layer(upper, FORWARDS, forward, (net, team))
        top = layers[-1].layer
        if y_hat.shape[0] > 0:
            for j in range(team.rank, top.fan_out, team.size):
                y_hat[chunk.first + k, j] = b[top.here + j]
        else:
            E_k = output_terms(top, loss, net, team, chunk.Y, row, chunk.c[row])
            if team.rank == 0:
                room.E[k] = E_k
            if learn:
                each_layer(upper, BACKWARDS, hidden_terms, (net, team))
        barrier(team)


@formula
def hidden_terms(layer: Layer, net: Net, team: Team) -> None:
    """e_h of the units below. Writes g."""
    backward(layer, net, team, False, False, net.at[0])


@formula
def gradients(
    part: Part, steps: Steps, p: Any, at: Any, S: Any, chunk: Chunk, room: Room, tile: Any, update: Any
) -> None:
    """Stage 3: the gradient of a layer's parameters, in tiles, each sum over the samples in shares; where a block has
    all of it, the update too. Writes G, or p, at and S."""
    layer, (acc, A, B, wide), n = part.layer, tile, update[0]
    side, q, l, tid = SIDE * wide, layer.fan_in, layer.fan_out, cuda.threadIdx.x
    ty, tx, zero, blocks = place_in_tile(tid), tid & (SIDE - 1), like(at[0], 0), cuda.gridDim.x
    shares, across, down = room.G.shape[0], (l + side - 1) // side, (q + side - 1) // side
    bottom = layer.level == 0
    start = (cuda.blockIdx.x + blocks - part.before * shares % blocks) % blocks
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
            add_products(acc, A, B, wide, ty, tx)
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
                        i = layer.weights + h * l + j
                        finish(steps, p, at, S, room.G, share, n, i, acc[r * wide + s], update)
                if thresholds:
                    i = layer.thresholds + j
                    finish(steps, p, at, S, room.G, share, n, i, acc[wide * wide + s], update)


@formula
def finish(steps: Steps, p: Any, at: Any, S: Any, G: Any, share: int, n: int, i: int, total: Any, update: Any) -> None:
    """What becomes of a share of a gradient over a chunk: kept for later, or an update. Writes G, or p, at and S."""
    _, share_of_all, eta, pair, fused, fresh = update
    if not fresh:
        total += G[share, i]
    if fused:
        step_parameter(steps, p, at, S, 0, 0, n, i, total * share_of_all, eta, pair)
    else:
        G[share, i] = total


@formula
def updates(steps: Steps, p: Any, at: Any, S: Any, G: Any, n: int, share: Any, eta: Any, pair: Any) -> None:
    """Stage 4: the update, from all shares of the gradient. Writes p, at and S."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        descent = like(share, 0)
        for part in range(G.shape[0]):
            descent += G[part, i]
        step_parameter(steps, p, at, S, 0, 0, n, i, descent * share, eta, pair)


@formula
def sum_of_block(total: Any, room: Any) -> Any:
    """The sum of a number of each thread of a block, to each of them. Writes room."""
    tid, half = cuda.threadIdx.x, THREADS // 2
    room[tid] = total
    wait()
    while half > 0:
        if tid < half:
            room[tid] += room[tid + half]
        wait()
        half //= 2
    total = room[0]
    wait()
    return total


@formula
def add_errors(scalars: Any, place: int, E: Any, count: int, room: Any, fresh: bool) -> None:
    """Add the errors of a chunk to those of its epoch, by block 0. Writes scalars."""
    if cuda.blockIdx.x == 0:
        total = like(E[0], 0)
        for k in range(cuda.threadIdx.x, count, THREADS):
            total += E[k]
        total = sum_of_block(total, room)
        if cuda.threadIdx.x == 0:
            before, carry = scalars[place], scalars[place + 1]
            if fresh:
                before = carry = like(total, 0)
            scalars[place], scalars[place + 1] = kahan(before, carry, total)


def flags_of(kind: Kind) -> tuple[Any, ...]:
    """What the kernels of this kind have as constants."""
    layers, upper = parts_of(kind)
    return layers, upper, number_of_parameters(kind.sizes), np.dtype(kind.dtype).type, RULES[kind.rule]


@functools.cache
def train_kernel(kind: Kind) -> Any:
    """The kernel that trains a network, many epochs in one launch."""
    layers, upper, n, dtype, rule = flags_of(kind)
    loss, wide, code, slots, penalty, masked = kind.loss, kind.wide, rule.code, rule.slots, kind.penalty, kind.masked
    side, compares = SIDE * wide, rule.compares
    apart = kind.shared_sums or compares  # whether the update is a stage of its own
    brought, by_warp, results = (DEEP, side + 4), (THREADS // WARP, WARP), wide * wide + wide

    def train(
        p: Any,
        at: Any,
        S: Any,
        best: Any,
        mask: Any,
        constants: Any,
        X: Any,
        Y: Any,
        c: Any,
        VX: Any,
        VY: Any,
        Vc: Any,
        orders: Any,
        V_order: Any,
        etas: Any,
        products: Any,
        z: Any,
        b: Any,
        slope: Any,
        g: Any,
        E: Any,
        G: Any,
        scalars: Any,
        errors: Any,
        validation_errors: Any,
        sizes: Any,
        epochs: Any,
        stretch: Any,
    ) -> None:
        A = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        B = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        scratch = cuda.shared.array(by_warp, dtype)
        sums = cuda.shared.array(THREADS, dtype)
        acc = cuda.local.array(results, dtype)
        grid, tile = cuda.cg.this_grid(), (acc, A, B, wide)
        room, nothing = Room(products, z, b, slope, g, E, G), X[:0]
        m, m_of_V, size, most, every = sizes
        lam, rest = constants[5], constants[6]
        steps = Steps(False, code, slots, penalty, masked, mask, constants, lam, rest)
        zero, one = like(lam, 0), like(lam, 1)
        first, second = scalars[SHARED1], scalars[SHARED2]
        last, start, step = scalars[LAST_OBJECTIVE], cuda.grid(1), cuda.gridsize(1)
        grid.sync()
        for e in range(epochs[1]):
            order, eta = orders[min(e, orders.shape[0] - 1)], etas[e]
            begin = stretch[0] if e == 0 else 0
            end = stretch[1] if e == epochs[1] - 1 else m
            for batch in range(begin, end, size):
                until = min(batch + size, m)
                share, pair = one / like(one, until - batch), (zero, zero)
                if not compares:
                    first, second = prepared(steps, first, second, last, zero)
                    pair = first, second
                for k in range(batch, until, most):
                    chunk = Chunk(X, Y, c, order, k, min(most, until - k))
                    first_products(layers[0].layer, at, chunk, room, acc, A, B, wide)
                    grid.sync()
                    samples(layers, upper, loss, at, chunk, room, scratch, True, nothing)
                    grid.sync()
                    add_errors(scalars, TOTAL, E, chunk.count, sums, k == 0)
                    update = n, share, eta, pair, not apart and k + most >= until, k == batch
                    each_layer(layers, FORWARDS, gradients, (steps, p, at, S, chunk, room, tile, update))
                    if compares and penalty and k + most >= until and cuda.blockIdx.x == 0:
                        squares = zero
                        for i in range(cuda.threadIdx.x, n, THREADS):
                            squares += p[i] * p[i]
                        squares = sum_of_block(squares, sums)
                        if cuda.threadIdx.x == 0:
                            scalars[SQUARES] = squares
                    grid.sync()
                if apart:
                    if compares:
                        now = scalars[TOTAL] * share
                        if penalty:
                            now = formulas.regularised_objective(now, scalars[SQUARES], lam, rest)
                        first, second = prepared(steps, first, second, last, now)
                        pair, last = (first, second), now
                    updates(steps, p, at, S, G, n, share, eta, pair)
                    grid.sync()
            if end == m:
                broken = zero
                for i in range(start, n, step):
                    broken += p[i] * zero
                if broken != zero:
                    scalars[BROKEN] = one
                total = zero
                if m_of_V > 0 and (epochs[0] + e + 1) % every == 0:
                    for k in range(0, m_of_V, most):
                        chunk = Chunk(VX, VY, Vc, V_order, k, min(most, m_of_V - k))
                        first_products(layers[0].layer, p, chunk, room, acc, A, B, wide)
                        grid.sync()
                        samples(layers, upper, loss, p, chunk, room, scratch, False, nothing)
                        grid.sync()
                        add_errors(scalars, VALIDATION_TOTAL, E, chunk.count, sums, k == 0)
                        grid.sync()
                    total = scalars[VALIDATION_TOTAL] / like(one, m_of_V)
                else:
                    grid.sync()
                error = scalars[TOTAL] / like(one, m)
                if error * zero != zero or scalars[BROKEN] > zero:
                    if start == 0:
                        scalars[BROKEN] = like(one, e + 1)  # the epoch at fault, counted from 1
                    break
                if start == 0:
                    scalars[ERROR] = errors[e] = error
                if m_of_V > 0 and (epochs[0] + e + 1) % every == 0:
                    better = total < scalars[BEST]
                    grid.sync()
                    if better:
                        for i in range(start, n, step):
                            best[i] = p[i]
                    if start == 0:
                        validation_errors[e] = total
                        if better:
                            scalars[BEST] = total
                    grid.sync()
        if start == 0:
            scalars[SHARED1], scalars[SHARED2] = first, second
            scalars[LAST_OBJECTIVE] = last

    return kernel(train, f"train_batches_{'_'.join(map(str, kind.sizes))}", THREADS)


@functools.cache
def stage_kernels(kind: Kind) -> tuple[Any, Any, Any]:
    """The first three stages, a kernel each: for prediction, errors and gradients."""
    layers, upper, n, dtype, _ = flags_of(kind)
    loss, wide = kind.loss, kind.wide
    brought, by_warp, results = (DEEP, SIDE * wide + 4), (THREADS // WARP, WARP), wide * wide + wide
    name = "_".join(map(str, kind.sizes))

    def products_of(p: Any, X: Any, order: Any, first: int, count: int, products: Any) -> None:
        A = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        B = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        acc = cuda.local.array(results, dtype)
        chunk = Chunk(X, X, p, order, first, count)
        room = Room(products, X, X, X, X, p, X)
        first_products(layers[0].layer, p, chunk, room, acc, A, B, wide)

    def samples_of(
        p: Any,
        X: Any,
        Y: Any,
        c: Any,
        order: Any,
        first: int,
        count: int,
        products: Any,
        z: Any,
        b: Any,
        slope: Any,
        g: Any,
        E: Any,
        y_hat: Any,
        learn: bool,
    ) -> None:
        scratch = cuda.shared.array(by_warp, dtype)
        chunk, room = Chunk(X, Y, c, order, first, count), Room(products, z, b, slope, g, E, z)
        samples(layers, upper, loss, p, chunk, room, scratch, learn, y_hat)

    def gradients_of(
        p: Any, S: Any, mask: Any, X: Any, order: Any, first: int, count: int, b: Any, g: Any, G: Any, fresh: bool
    ) -> None:
        A = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        B = cuda.shared.array(brought, dtype, alignment=ALIGNED)
        acc = cuda.local.array(results, dtype)
        zero = like(p[0], 0)
        steps = Steps(False, 0, 0, False, False, mask, mask, zero, zero)
        chunk, room = Chunk(X, X, p, order, first, count), Room(X, b, b, b, g, p, G)
        update = n, zero, zero, (zero, zero), False, fresh
        each_layer(layers, FORWARDS, gradients, (steps, p, p, S, chunk, room, (acc, A, B, wide), update))

    made = (("products", products_of), ("samples", samples_of), ("gradients", gradients_of))
    products, samples_, gradients_ = (kernel(function, f"{stage}_{name}", THREADS) for stage, function in made)
    return products, samples_, gradients_
