"""Mini-batch and accumulated updates, and everything that takes many samples at once: matrix products of ``tiles``.

A batch goes through the network in chunks of at most ``CHUNK`` samples: net inputs layer by layer upwards, gradient
terms downwards with the old weights, then the gradient. Each step works on whatever share of the chunk's samples, or
of a layer's weights, it is told to: several threads take a share each and meet between the steps. No sum depends on
how it is shared. Plain descent adds the gradients of a batch that fits one chunk straight to the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ...maths.formulas import like
from ...settings.rules import Rule
from ..epochs import Stretch, make_train_block
from ..jit import by_type, formula, inline, kernel, smaller
from ..rule_steps import make_step
from ..simd.across import lane_sum
from ..simd.memory import aligned_zeros, item, lanes_of, padded, pointer, put, registers, vectors
from ..state import UPDATES, Memory, Order, Samples, Steps, Task, Update
from ..sums import add_error
from ..switches import prepare_rule
from ..team import (
    CLOSED,
    LEADER,
    Turn,
    begin_phase,
    close_team,
    end_phase,
    join,
    make_team,
    open_team,
    share,
)
from .chunks import BACK, CHUNK, FORWARD, TERMS, Chunk, add_gradients, through
from .each_sample import load, load_first, store
from .padded import PANEL, Net, Work, look_ahead, make_work, net_of, of_any_rule

load_panel, store_panel, lift_panel = vectors(registers(PANEL))
_, _, step_panel, _ = make_step(PANEL)


@inline
def apply_gradient(net: Net, update: Update, G: Any, share: Any, first: int, last: int) -> None:
    """One step of the rule along ``share`` · G for packed parameters ``first`` to ``last``. Writes P, sets G to 0."""
    size, zero = PANEL * lanes_of(G), lift_panel(like(share, 0))
    for o in range(first, last, size):
        step_panel(update, net, o, load_panel(G, o) * share)
        store_panel(G, o, zero)


def is_plain(steps: Any) -> bool:
    """Whether the updates are plain descent without penalty or mask."""
    return len(steps.kind) == 0 and steps.lam is None and steps.mask is None


def _true(steps: Any) -> bool:
    return True


def _false(steps: Any) -> bool:
    return False


def _choose_plain(steps: Any) -> Any:
    kinds = dict(zip(steps.fields, steps.types, strict=True))
    plain = len(kinds["kind"]) == 0 and kinds["lam"] == types.none and kinds["mask"] == types.none
    return _true if plain else _false


by_type(is_plain, _choose_plain)


@inline
def gather(X: Any, order: Any, d: int, n: int, to: Any) -> None:
    """Copy the inputs of n samples, row after row. Writes to."""
    lanes = lanes_of(to)
    for row in range(n):
        source, target = item(order, row) * d, row * d
        i = 0
        while i + lanes <= d:
            store(to, target + i, load(X, source + i))
            i += lanes
        while i < d:
            put(to, target + i, item(X, source + i))
            i += 1


UP, DOWN, APPLY = range(3)  # the phases of a chunk
SHARE = 16  # samples; a multiple of it goes to each thread
SCALE, ETA, RATIO, FIRST_SHARED, SECOND_SHARED = range(5)  # places in BlockWork.numbers


class Reach(NamedTuple):
    """Pointers to what the phases of a chunk reach for: one word each, where an array is seven."""

    net: Net
    layers: Any
    G: Any
    numbers: Any
    X: Any  # inputs, targets and weights of the samples to learn from, and of the validation set
    Y: Any
    c: Any
    V_X: Any
    V_Y: Any
    V_c: Any
    places: Any
    in_place: Any
    gathered: Any
    errors: Any
    totals: Any
    turned: Any
    turned_size: int
    room: int


@inline
def reach(task: Task, steps: Any, work: Any, order: Order) -> Reach:
    return Reach(
        net_of(work.packed, steps),
        work.packed.layers,
        pointer(work.G, 0),
        pointer(work.numbers, 0),
        pointer(task.D.X, 0),
        pointer(task.D.Y, 0),
        pointer(task.D.c, 0),
        pointer(task.V.X, 0),
        pointer(task.V.Y, 0),
        pointer(task.V.c, 0),
        pointer(order.places, 0),
        pointer(order.in_place, 0),
        pointer(work.X, 0),
        pointer(work.errors, 0),
        pointer(work.totals, 0),
        pointer(work.turned, 0),
        work.turned_size,
        work.room,
    )


@inline
def chunk_of(at: Reach, shuffle: bool, turn: Turn, part: int) -> Chunk:
    """The samples of a turn, as thread ``part`` sees them."""
    _, t, n, learn = turn
    X, Y, c, places = at.V_X, at.V_Y, at.V_c, at.in_place
    if learn:
        X, Y, c, places = at.X, at.Y, at.c, at.places
    inputs = at.gathered if learn and shuffle else pointer(X, t * at.layers[0].fan_in)
    turned = pointer(at.turned, part * at.turned_size)
    return Chunk(inputs, Y, c, pointer(places, t), n, at.errors, at.totals, turned, at.room)


@inline
def share_of_samples(n: int, part: int, parts: int) -> tuple[int, int]:
    """From which to which of n samples part ``part`` goes."""
    first, last = share((n + SHARE - 1) // SHARE, part, parts)
    return smaller(n, first * SHARE), smaller(n, last * SHARE)


@formula
def do_part(at: Reach, steps: Any, task: tuple[Any, bool, bool], turn: Turn, part: int, parts: int) -> None:
    """One part of one phase of a chunk, for a loss, with samples in an order or not, and gradients that go straight to
    the weights or not. Writes the packed network and its work space."""
    layers, net, G, (loss, shuffle, fused), (phase, t, n, learn) = at.layers, of_any_rule(at.net), at.G, task, turn
    chunk = chunk_of(at, shuffle, turn, part)
    if phase == UP:
        first, last = share_of_samples(n, part, parts)
        if first < last:
            if learn and shuffle:
                d = layers[0].fan_in
                gather(at.X, pointer(at.places, t + first), d, last - first, pointer(chunk.X, first * d))
            P, way = net.A if learn else net.P, (FORWARD, BACK if learn else TERMS)
            through(net, layers, loss, P, chunk, (first, last), item(at.numbers, SCALE), way)
    elif phase == DOWN:
        add_gradients(net, layers, chunk, net.P if fused else G, part, parts)
    else:
        size = PANEL * lanes_of(G)
        first, last = share(net.n // size, part, parts)
        shared = item(at.numbers, FIRST_SHARED), item(at.numbers, SECOND_SHARED)
        update = Update(steps, item(at.numbers, ETA), shared)
        apply_gradient(at.net, update, G, item(at.numbers, RATIO), first * size, last * size)


@inline
def is_fused(steps: Any, work: Any) -> bool:
    """Whether gradients go straight to the weights."""
    return is_plain(steps) and steps.size <= work.room


@formula
def join_leader(work: Any) -> tuple[int, int]:
    return join(work.team)


@inline
def advance(task: Task, steps: Any, memory: Memory, work: Any, order: Order, stretch: Stretch, eta: Any) -> None:
    """Learn from a stretch of the positions of an epoch, or add up the errors of the validation set. Or help the thread
    that does, until it closes the team.

    Writes the packed network and memory.
    """
    scalars, numbers, team, one = memory.scalars, work.numbers, work.team, like(eta, 1)
    room, m, fused, (t, last, learn, (part, word)) = work.room, len(task.D.X), is_fused(steps, work), stretch
    helps, at = part > LEADER, reach(task, steps, work, order)
    phase, n, learnt = UP, 0, t % steps.size  # of the samples of the batch under way
    while word != CLOSED if helps else t < last:
        if phase == UP and not helps:
            n = smaller(room, last - t)
            if learn:
                n = smaller(n, steps.size - learnt)
                learnt += n
            numbers[SCALE] = eta / like(eta, n) if fused and learn else one
        turn, parts, word = begin_phase(team, Turn(phase, t, n, learn), part, word)
        if part < parts:
            # One call for all phases and all threads, so that their code is there once.
            do_part(at, steps, (task.loss, task.shuffle, fused), turn, part, parts)
        end_phase(team, part, parts)
        if helps:
            continue
        if phase == UP:
            for row in range(n):
                add_error(scalars, work.errors[row])
        complete = learn and (learnt == steps.size or t + n == m)
        if phase == UP and learn:
            phase = DOWN
        elif phase == DOWN and complete and not fused:
            phase = APPLY
            shared = prepare_rule(steps, scalars, work.P, learnt)
            numbers[FIRST_SHARED], numbers[SECOND_SHARED] = shared
            numbers[ETA], numbers[RATIO] = eta, one / like(eta, learnt)
        else:
            phase, t = UP, t + n
            if complete:
                memory.counters[UPDATES] += 1
                learnt = 0


@formula
def border(steps: Steps, position: int, until: int, m: int) -> int:
    """Where a call may end: at the end of a batch, or in a large one at the end of a chunk."""
    offset = until % steps.size
    chunks = (offset + CHUNK - 1) // CHUNK * CHUNK
    return smaller(m, until - offset + smaller(chunks, steps.size))


@formula
def prepare(steps: Steps, work: Any) -> None:
    look_ahead(steps, work.packed)
    open_team(work.team)


@formula
def finish(steps: Steps, work: Any) -> None:
    close_team(work.team)


class BlockWork(NamedTuple):
    """Work space of a training in batches; nothing in it need be kept."""

    place: np.ndarray  # these four are those of ``packed``
    P: np.ndarray
    S: np.ndarray
    G: np.ndarray
    packed: Work
    X: np.ndarray  # the inputs of a chunk, gathered, [shape: (room · d,)]
    errors: np.ndarray  # [shape: (rows,)], rows being room, padded to a multiple of CHUNK
    totals: np.ndarray  # of each thread, [shape: (threads · (rows + CHUNK),)]
    turned: np.ndarray  # of each thread, [shape: (threads · Σ units below · width,)]
    order: np.ndarray  # 0, 1, 2, ..., [shape: (rows,)]
    numbers: np.ndarray  # what all threads must know of a phase, [shape: (5,)]
    team: np.ndarray
    turned_size: int  # of one thread's
    room: int  # samples in a chunk


@inline
def nothing_of(X: Any, n: int) -> Any:
    """0, or NaN if one of n numbers is not finite."""
    lanes, zero = lanes_of(X), like(item(X, 0), 0)
    total = load(X, 0) * zero if n >= lanes else load_first(X, 0, n) * zero
    for v in range(0, n - lanes + 1, lanes):
        total += load(X, v) * zero
    return lane_sum(total + load_first(X, n - n % lanes, n % lanes) * zero)


@inline
def chunk_from(work: BlockWork, D: Samples, first: int, n: int, part: int = 0) -> Chunk:
    """n samples as they come, from ``first`` on, as thread ``part`` sees them."""
    layers = work.packed.layers
    return Chunk(
        pointer(D.X, first * layers[0].fan_in),
        pointer(D.Y, first * layers[len(layers) - 1].fan_out),
        pointer(D.c, first),
        pointer(work.order, 0),
        n,
        pointer(work.errors, 0),
        pointer(work.totals, part * (len(work.errors) + CHUNK)),
        pointer(work.turned, part * work.turned_size),
        work.room,
    )


@kernel
def evaluate(
    work: BlockWork,
    D: Samples,
    stretch: tuple[int, int],
    loss: Any,
    errors: bool,
    gradients: bool,
    y_hat: np.ndarray,
    total: np.ndarray,
) -> None:
    """A stretch of samples: their outputs, errors, gradient. Writes y_hat, [shape: (m, l)] or (0, l) where
    nobody asks for it; inputs that are not finite then make total NaN. Adds Σ c_k E_k to total as ``add_error`` does,
    and −Σ c_k ∂E_k/∂p to work.G."""
    layers, (begin, end) = work.packed.layers, stretch
    net, bottom, top = of_any_rule(net_of(work.packed, None)), layers[0], layers[len(layers) - 1]
    d, l, room, G = bottom.fan_in, top.fan_out, work.room, pointer(work.G, 0)
    for t in range(begin, end, room):
        n = smaller(room, end - t)
        chunk = chunk_from(work, D, t, n)
        way = FORWARD, BACK if gradients else TERMS if errors else FORWARD
        through(net, layers, loss, net.P, chunk, (0, n), like(total[0], 1), way)
        if len(y_hat) > 0:
            total[0] += nothing_of(chunk.X, n * d)
            for row in range(n):
                for j in range(l):
                    put(y_hat, (t + row) * l + j, item(net.b, top.here * room + row * top.width + j))
        if errors or gradients:
            for row in range(n):
                add_error(total, item(chunk.errors, row))
        if gradients:
            add_gradients(net, layers, chunk, G, 0, 1)


def make_block_work(
    sizes: Sequence[int],
    activations: Sequence[str],
    dtype: np.dtype,
    batch: int,
    rule: Rule | None = None,
    mask: np.ndarray | None = None,
    threads: int = 1,
    most: int = CHUNK,
) -> BlockWork:
    """Work space for a network, to be trained by ``rule`` in batches of so many samples, at most so many at once."""
    room = min(most, batch)
    rows = padded(room, CHUNK)
    packed = make_work(sizes, activations, dtype, rule, mask, room)
    upper = packed.layers[1:]
    turned = padded(int((upper["fan_in"] * upper["width"]).sum()), 16)
    return BlockWork(
        packed.place,
        packed.P,
        packed.S,
        packed.G,
        packed,
        aligned_zeros(room * sizes[0], dtype),
        aligned_zeros(rows, dtype),
        aligned_zeros((rows + CHUNK) * threads, dtype),
        aligned_zeros(turned * threads, dtype),
        np.arange(rows),
        np.zeros(5, dtype),
        make_team(),
        turned,
        room,
    )


train_block = make_train_block("blocks", prepare, border, advance, finish, join_leader)
