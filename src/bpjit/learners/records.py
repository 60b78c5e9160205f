"""A block of records for a bank: checked whole, and where one is wrong, which, and of which key."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ..common.arguments import refuse_masked
from ..networks.evaluation import as_samples
from ..networks.network import Network


def as_records(
    net: Network, loss: str, keys: Sequence[Hashable], rows: np.ndarray, X: Any, Y: Any = None
) -> tuple[np.ndarray, ...]:
    """X, and Y if given, in the network's units and dtype, all of them good; record k is of ``keys[rows[k]]``."""
    m = len(rows)
    try:
        data = _checked(net, loss, X, Y)
    except (TypeError, ValueError):
        shapes = _shapes(net, m)
        if not _may_have(X, shapes[:1]) or not (Y is None or _may_have(Y, shapes[1:])):
            raise
        good, bad = 0, m  # so many of the first records are good; among so many one is bad
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                _checked(net, loss, X[:middle], None if Y is None else Y[:middle])
                good = middle
            except (TypeError, ValueError):
                bad = middle
        where = f", record {good} of key {keys[rows[good]]!r}"
        _checked(net, loss, X[:bad], None if Y is None else Y[:bad], where)
        raise
    if len(data[0]) != m:
        raise ValueError(f"X: expected {m} records, as many as ids, got {len(data[0])}")
    return data


def _checked(net: Network, loss: str, X: Any, Y: Any, where: str = "") -> tuple[np.ndarray, ...]:
    if Y is None:
        return (net._architecture.scaled_inputs("X" + where, X),)
    D = as_samples(net, X, Y, loss, names=("X" + where, "Y" + where))
    return D.X, D.Y


def _shapes(net: Network, m: int) -> list[tuple[int, ...]]:
    """The shape of X, then those that Y may have."""
    d, l = net.sizes[0], net.sizes[-1]
    return [(m, d), (m, l)] + ([(m,)] if l == 1 or net.output == "softmax" else [])


def _may_have(value: Any, shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether a value has one of these shapes, or is a list of so many rows that have not all one shape."""
    try:
        refuse_masked("", value, "")  # else NumPy would warn
        return np.shape(value) in shapes
    except ValueError:
        return isinstance(value, Sequence) and len(value) == shapes[0][0]
