"""Rules and batches in lanes: what a rule needs anew for each update, and where a batch ends for some networks."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types

from ...maths import formulas
from ...maths.formulas import like, select
from ...settings.rules import SETTINGS, Rule
from ..jit import by_type, from_lines, inline, items, unless_none
from ..plane_numbers import BLOCKS, IN_BLOCK, LAM, LAST_OBJECTIVE, REST, SHARED1, SHARED2
from ..simd.across import any_lane
from ..state import Steps, Update
from ..sums import kahan as add_error
from ..switches import COMPARE, LOOK_AHEAD, prepare, rule_of
from .lines import Net, seen, step_along, where
from .packs import at, vectors_at, write


@inline
def objective(planes: Any, error: Any, P: Any, n: int) -> Any:
    """The book's objective of each network, where E is ``error``."""
    total = like(error, 0)
    for p in range(n):
        w = at(P, p)
        total += w * w
    return formulas.regularised_objective(error, total, at(planes, LAM), at(planes, REST))


settings_in = inline(from_lines("settings_in", "planes", [f"return {items('at(planes, {k})', SETTINGS)}"], {"at": at}))


def prepare_rule(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    """As ``switches.prepare_rule``: two vectors. Writes planes."""


def _nothing_to_prepare(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    return like(total, 0), like(total, 0)


def _prepare(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    planes, one = net.c, like(total, 1)
    before = at(planes, SHARED1), at(planes, SHARED2)
    after = prepare(kind, before, settings_in(planes), rose(kind, net, total, n, count))
    write(planes, SHARED1, where(net.active, after[0], before[0]))
    write(planes, SHARED2, where(net.active, after[1], before[1]))
    return where(net.active, after[0], one), where(net.active, after[1], one)  # others may not have begun


def rose(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    """1 where the objective rose since the last update. Writes planes."""


def _rose(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    planes, last = net.c, at(net.c, LAST_OBJECTIVE)
    now = objective(planes, total / count, net.P, n)
    write(planes, LAST_OBJECTIVE, where(net.active, now, last))
    return select(now > last, like(total, 1), like(total, 0))


def _not_compared(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    return like(total, 0)


def _prepares(kind: Any) -> bool:
    return not isinstance(kind, types.NoneType) and rule_of(kind).prepare is not Rule.prepare


by_type(rose, lambda kind, *rest: _rose if len(kind) in COMPARE else _not_compared)
by_type(prepare_rule, lambda kind, *rest: _prepare if _prepares(kind) else _nothing_to_prepare)


def ahead_of(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    """Where a rule that looks ahead takes its gradient. Writes A."""


def _ahead(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    net = Net(P, A, S, None, n, planes, None, None, None, None, None)
    for p in range(n):
        seen(kind, net, p, at(P, p))


def _not_ahead(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    pass


def where_gradients_are_taken(kind: Any, A: Any, P: Any) -> Any:
    """A for a rule that looks ahead, else P."""


def _looks_ahead(kind: Any) -> bool:
    return not isinstance(kind, types.NoneType) and len(kind) in LOOK_AHEAD


by_type(ahead_of, lambda kind, A, P, S, planes, n: _ahead if _looks_ahead(kind) else _not_ahead)
by_type(
    where_gradients_are_taken,
    lambda kind, A, P: (lambda kind, A, P: A) if _looks_ahead(kind) else (lambda kind, A, P: P),
)


@unless_none
def steps_of(kind: Any, planes: Any, mask: Any, penalty: Any) -> Any:
    """The steps of a rule, or None for standard BP."""
    return Steps(kind, None, mask, 1, lam_of(penalty, planes, LAM), lam_of(penalty, planes, REST))


@unless_none
def lam_of(penalty: Any, planes: Any, plane: int) -> Any:
    return at(planes, plane)


@unless_none
def mask_of(mask: Any, wide: Any) -> Any:
    return vectors_at(mask, 0, wide)


class Batch(NamedTuple):
    """How long a batch is, and where sums over its blocks are kept."""

    sums: Any  # gradients of the blocks before, and what rounding took
    n: int  # parameters
    m: int  # samples in an epoch
    size: int  # samples in a batch
    block: int  # samples in a block, a power of two
    blocks: int  # before the last of a batch
    rest: int  # samples in that


def end_of_batch(steps: Any, G: Any, net: Any, c: Any, t: int, batch: Batch, eta: Any, total: Any) -> None:
    """Where a batch ends for some networks, their update: after ``size`` samples that are not absent, or an epoch.
    Writes P, G, sums, planes."""


def _no_batch(steps: Any, G: Any, net: Any, c: Any, t: int, batch: Batch, eta: Any, total: Any) -> None:
    pass


def _batch(steps: Any, G: Any, net: Any, c: Any, t: int, batch: Batch, eta: Any, total: Any) -> None:
    planes, zero, one = net.c, like(eta, 0), like(eta, 1)
    n, size, block, last = batch.n, batch.size, batch.block, t + 1 == batch.m
    if c is None:
        count = t % size + 1
        if count == size or last:
            if size > block:
                with_blocks_before(G, batch.sums, None, n)
            update_by_rule(steps, G, net, None, like(eta, count), n, eta, total)
        elif count & (block - 1) == 0:
            end_block(G, batch.sums, None, n)
    else:
        here, blocks = c > zero, at(planes, BLOCKS)
        count = select(here, at(planes, IN_BLOCK) + one, at(planes, IN_BLOCK))
        in_last = blocks >= like(eta, batch.blocks)
        full = here & (count >= select(in_last, like(eta, batch.rest), like(eta, block)))
        write(planes, IN_BLOCK, count)
        if last or any_lane(full):
            ends = full & in_last
            if last:
                ends = (count > zero) | (blocks > zero)
            block_ends = full & ~ends
            if size > block:
                end_block(G, batch.sums, block_ends, n)
                with_blocks_before(G, batch.sums, ends, n)
            if any_lane(ends):
                whole = blocks * like(eta, block) + count
                update_by_rule(steps, G, net, ends, select(ends, whole, one), n, eta, total)
            write(planes, IN_BLOCK, select(ends | block_ends, zero, count))
            write(planes, BLOCKS, select(ends, zero, select(block_ends, blocks + one, blocks)))


@inline
def end_block(G: Any, sums: Any, ends: Any, n: int) -> None:
    """Add the gradients of a block to those of the blocks before. Writes G, sums."""
    for p in range(n):
        collected, total, carry = at(G, p), at(sums, p), at(sums, n + p)
        more, rounded = add_error(total, carry, collected)
        write(sums, p, where(ends, more, total))
        write(sums, n + p, where(ends, rounded, carry))
        write(G, p, where(ends, like(total, 0), collected))


@inline
def with_blocks_before(G: Any, sums: Any, ends: Any, n: int) -> None:
    """Add the gradients of the blocks before to those of a batch's last. Writes G, sums."""
    for p in range(n):
        collected, total, carry = at(G, p), at(sums, p), at(sums, n + p)
        write(G, p, where(ends, total + (collected - carry), collected))
        write(sums, p, where(ends, like(total, 0), total))
        write(sums, n + p, where(ends, like(total, 0), carry))


@inline
def update_by_rule(steps: Any, G: Any, net: Net, active: Any, count: Any, n: int, eta: Any, total: Any) -> None:
    """One step of the rule along the mean of the gradients collected. Writes P, S, A, G, planes."""
    net = Net(net.P, net.A, net.S, net.mask, net.n, net.c, active, net.z, net.b, net.slope, net.g)
    update = Update(steps, eta, prepare_rule(steps.kind, net, total, n, count))
    share, zero = like(eta, 1) / count, like(eta, 0)
    for p in range(n):
        collected = at(G, p)
        step_along(update, net, p, collected * share)
        write(G, p, where(active, zero, collected))


by_type(end_of_batch, lambda steps, G, *rest: _no_batch if isinstance(G, types.NoneType) else _batch)
