"""The changing rate of exercise 5.6 in lanes: η of each network, and the epochs that are taken back."""

from __future__ import annotations

from typing import Any

from numba import types

from ...maths import formulas
from ...maths.formulas import select
from ..jit import by_type, smaller
from ..plane_numbers import GROW, OBJECTIVE, RATE, SHARED1, SHRINK, TOLERANCE
from ..simd.across import any_lane
from .packs import at, vectors_at, write
from .updates import objective


def remember(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any) -> None:
    """Keep the network from before this epoch. Writes undo."""


def _forget(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any) -> None:
    pass


def _remember(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any) -> None:
    for p in range(n):
        write(undo, p, at(P, p))
    for p in range(slots * n):
        write(undo, n + p, at(S, p))
    for i in range(3):
        write(undo, n + slots * n + i, at(planes, SHARED1 + i))


by_type(remember, lambda undo, *rest: _forget if isinstance(undo, types.NoneType) else _remember)


def rate_of(undo: Any, planes: Any, etas: Any, e: int, pack: int) -> Any:
    """η of this epoch for each network."""


def _scheduled(undo: Any, planes: Any, etas: Any, e: int, pack: int) -> Any:
    return at(vectors_at(etas, (smaller(e, etas.shape[0] - 1) * etas.shape[1] + pack) * etas.shape[2], planes), 0)


def _adapted(undo: Any, planes: Any, etas: Any, e: int, pack: int) -> Any:
    return at(planes, RATE)


by_type(rate_of, lambda undo, *rest: _scheduled if isinstance(undo, types.NoneType) else _adapted)


def adapt(undo: Any, least: Any, P: Any, S: Any, n: int, slots: int, planes: Any, error: Any) -> None:
    """Exercise 5.6, as ``Session._adapt``: take back the epoch where the objective rose too far, and change the rate.

    ``error`` is E of each network as it stands. Writes P, S, least, planes."""


def _not_adapted(undo: Any, least: Any, P: Any, S: Any, n: int, slots: int, planes: Any, error: Any) -> None:
    pass


def _adapt(undo: Any, least: Any, P: Any, S: Any, n: int, slots: int, planes: Any, error: Any) -> None:
    now, before, rate = objective(planes, error, P, n), at(planes, OBJECTIVE), at(planes, RATE)
    risen, better = formulas.rose_too_far(now, before, at(planes, TOLERANCE)), now < before
    changed = select(better, rate * at(planes, GROW), rate)
    write(planes, RATE, select(risen, rate * at(planes, SHRINK), changed))
    write(planes, OBJECTIVE, select(better, now, before))
    if any_lane(better):
        for p in range(n):
            write(least, p, select(better, at(P, p), at(least, p)))
    if any_lane(risen):
        for p in range(n):
            write(P, p, select(risen, at(undo, p), at(P, p)))
        for p in range(slots * n):
            write(S, p, select(risen, at(undo, n + p), at(S, p)))
        for i in range(3):
            then = at(undo, n + slots * n + i)
            write(planes, SHARED1 + i, select(risen, then, at(planes, SHARED1 + i)))


by_type(adapt, lambda undo, *rest: _not_adapted if isinstance(undo, types.NoneType) else _adapt)


def is_adaptive(undo: Any) -> Any:
    """Whether rates are adapted to how the objective moves."""


by_type(
    is_adaptive,
    lambda undo: (lambda undo: False) if isinstance(undo, types.NoneType) else (lambda undo: True),
)
