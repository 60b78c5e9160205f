"""The first layer of one network, sample after sample: its rows of weights in panels, the update of one sample and
the net inputs of the next in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from ...maths.formulas import like
from ..jit import by_type, inline
from ..rule_steps import make_step
from ..simd.memory import blocks, item, lanes_of, put, registers, vectors
from ..state import Update
from .padded import PANEL, Net, panel_size

load_panel, _, lift_panel = vectors(registers(PANEL))
step_panel, *_ = make_step(PANEL)


def _through_panels(wide: Callable[..., Any], half: Callable[..., Any], one: Callable[..., Any]) -> Callable[..., Any]:
    """A walk through the panels of a first layer, of 4, 2 and 1 registers: each gets (W, here, *arguments), where its
    rows and its units begin."""

    @inline
    def walk(net: Net, layer: Any, arguments: Any) -> None:
        lanes, d, W, here, end = lanes_of(net.P), layer.fan_in, layer.weights, layer.here, layer.here + layer.width
        while here + 4 * lanes <= end:
            wide(W, here, *arguments)
            W += panel_size(d, 4 * lanes, lanes)
            here += 4 * lanes
        if here + 2 * lanes <= end:
            half(W, here, *arguments)
            W += panel_size(d, 2 * lanes, lanes)
            here += 2 * lanes
        if here < end:
            one(W, here, *arguments)

    return walk


def _make_panel(count: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The rows of the first layer in a panel of ``count`` registers, as many at once as fill ``PANEL`` of them."""
    rows = PANEL // count
    _, store, _ = vectors(registers(count))
    spread, spread_first, tile, fold = blocks(rows, registers(count))

    @inline
    def update_then_forward(W: int, here: int, net: Net, d: int, x: Any, following: Any, update: Update) -> None:
        e, z, size = tile(net.g, here), lift_panel(like(update.eta, 0)), PANEL * lanes_of(net.P)
        for i in range(0, d - rows + 1, rows):
            z += spread(following, i) * step_panel(update, net, W, e, spread(x, i))
            W += size
        if rows > 1 and d % rows:
            i, n = d - d % rows, d % rows
            w = step_panel(update, net, W, e, spread_first(x, i, n))
            z += spread_first(following, i, n) * w
        store(net.z, here, fold(z))

    @inline
    def forward(W: int, here: int, net: Net, d: int, P: Any, x: Any) -> None:
        z, size = lift_panel(like(item(P, 0), 0)), PANEL * lanes_of(net.P)
        for i in range(0, d - rows + 1, rows):
            z += spread(x, i) * load_panel(P, W)
            W += size
        if rows > 1 and d % rows:
            z += spread_first(x, d - d % rows, d % rows) * load_panel(P, W)
        store(net.z, here, fold(z))

    return update_then_forward, forward


_UPDATES, _FORWARDS = zip(*(_make_panel(count) for count in (4, 2, 1)), strict=True)
_update_through, _forward_through = _through_panels(*_UPDATES), _through_panels(*_FORWARDS)


@inline
def update_then_forward_dense(net: Net, layer: Any, rows: Any, x: Any, following: Any, update: Update) -> None:
    """``update_then_forward`` for all rows."""
    _update_through(net, layer, (net, layer.fan_in, x, following, update))


@inline
def forward_dense(net: Net, layer: Any, rows: Any, P: Any, x: Any) -> None:
    """``forward`` through all rows."""
    _forward_through(net, layer, (net, layer.fan_in, P, x))


# --- The same for inputs that are mostly 0: a row whose input is 0 need not be read, nor does it change. Two passes
# --- over the few rows are better than one over those of two samples.


def _make_sparse_panel(count: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Update of, and way forward through, the rows listed, in a panel of ``count`` registers."""
    load, store, lift = vectors(registers(count))
    step, *_ = make_step(count)

    @inline
    def change(W: int, here: int, net: Net, rows: Any, x: Any, update: Update) -> None:
        size, e = count * lanes_of(net.P), load(net.g, here)
        for row in range(1, item(rows, 0)):
            i = item(rows, row)
            step(update, net, W + i * size, e, item(x, i))

    @inline
    def forward(W: int, here: int, net: Net, rows: Any, P: Any, x: Any) -> None:
        size, end = count * lanes_of(net.P), item(rows, 0)
        z = other = lift(like(item(P, 0), 0))
        for row in range(1, end - 1, 2):
            i, j = item(rows, row), item(rows, row + 1)
            z += item(x, i) * load(P, W + i * size)
            other += item(x, j) * load(P, W + j * size)
        if end % 2 == 0:
            i = item(rows, end - 1)
            z += item(x, i) * load(P, W + i * size)
        store(net.z, here, z + other)

    return change, forward


_UPDATES_OF_ROWS, _FORWARDS_OF_ROWS = zip(*(_make_sparse_panel(count) for count in (4, 2, 1)), strict=True)
_update_rows_through, _forward_rows_through = _through_panels(*_UPDATES_OF_ROWS), _through_panels(*_FORWARDS_OF_ROWS)


@inline
def update_then_forward_sparse(net: Net, layer: Any, rows: Any, x: Any, following: Any, update: Update) -> None:
    """``update_then_forward`` for the rows that matter, which ``forward_sparse`` has listed. Writes rows, too."""
    _update_rows_through(net, layer, (net, rows, x, update))
    forward_sparse(net, layer, rows, net.A, following)


@inline
def forward_sparse(net: Net, layer: Any, rows: Any, P: Any, x: Any) -> None:
    """``forward`` through the rows that matter. Writes rows, too: where its list ends, and the list."""
    listed, zero = 1, like(item(P, 0), 0)
    for i in range(layer.fan_in):
        put(rows, listed, i)
        listed += item(x, i) != zero
    put(rows, 0, listed)
    _forward_rows_through(net, layer, (net, rows, P, x))


def update_then_forward(net: Any, layer: Any, rows: Any, x: Any, following: Any, update: Update) -> None:
    """Update the first layer for a sample x, and take the net inputs of the following one. Writes P, z.

    ``rows`` is None, or room for a list where most inputs are 0.
    """


def forward(net: Any, layer: Any, rows: Any, P: Any, x: Any) -> None:
    """β of the first layer for a sample x, in the same sums. Writes z."""


def _choose(dense: Callable[..., Any], sparse: Callable[..., Any]) -> Callable[..., Any]:
    return lambda net, layer, rows, *rest: dense if isinstance(rows, types.NoneType) else sparse


by_type(update_then_forward, _choose(update_then_forward_dense, update_then_forward_sparse))


by_type(forward, _choose(forward_dense, forward_sparse))
