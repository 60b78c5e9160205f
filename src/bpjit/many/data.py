"""Samples for many networks at once, from those of one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..kernels.state import Samples
from ..networks.evaluation import as_samples, rows_of_mean_one
from ..networks.network import Network
from ..training.held_out import classes_in, held_out, split
from .groups import Data


@contextlib.contextmanager
def concerning(index: int) -> Iterator[None]:
    """Let an error name the network."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"network {index}: {error}") from None


def all_rows(D: Samples, m: int) -> Samples:
    """m samples, so that each stands where its number is; in place of those that D has not stand others of weight 0."""
    if len(D.X) == m:
        return D
    numbers = np.arange(m)
    places = np.maximum(np.searchsorted(D.numbers, numbers, side="right") - 1, 0)
    c = np.zeros(m, D.c.dtype)
    c[D.numbers.astype(np.int64)] = D.c
    return Samples(D.X[places], D.Y[places], c, numbers.astype(np.uint64))


def split_for_each(net: Network, D: Samples, share: float, seeds: np.ndarray, count: int) -> tuple[Data, Data]:
    """The samples that so many networks with these seeds, one for all or one for each, learn from, and those that they
    validate on."""
    even = bool((D.c == 1).all())
    if len(seeds) == 1:
        learnt, validated = (
            Data(P.X, P.Y, None if even else np.broadcast_to(P.c, (count, len(P.c))), None, P.numbers)
            for P in split(net, D, share, int(seeds[0]))
        )
        return learnt, validated
    labels = classes_in(net, D)
    chosen = np.stack([held_out(labels, D.numbers, share, int(seed)) for seed in seeds])
    tables = [rows_of_mean_one(D.c.astype(np.float64) * rows, net.dtype)[0] for rows in (~chosen, chosen)]
    learnt, validated = (Data(D.X, D.Y, table.astype(net.dtype), None, D.numbers) for table in tables)
    return learnt, validated


def own_data(
    net: Network,
    members: np.ndarray,
    X: Any,
    Y: Any,
    weights: Any,
    class_weight: Any,
    loss: str,
    names: tuple[str, str, str],
) -> Data:
    """Data where each network has its own, one after another; the shorter ones end with samples that are absent."""
    if weights is not None and len(weights) != len(X):
        raise ValueError(f"{names[2]}: expected weights for each of {len(X)} networks, got {len(weights)}")
    sets: list[Samples] = []
    for member in members:
        with concerning(int(member)):
            mine = None if weights is None else weights[member]
            D = as_samples(net, X[member], Y[member], loss, mine, class_weight, names=names)
            sets.append(all_rows(D, len(X[member])))
    lengths = np.array([len(D.X) for D in sets])
    m, starts = int(lengths.max()), np.concatenate([[0], np.cumsum(lengths)[:-1]])
    c = None
    if weights is not None or class_weight is not None or (lengths != m).any() or not all(D.c.all() for D in sets):
        c = np.zeros((len(sets), m), net.dtype)
        for place, D in enumerate(sets):
            c[place, : len(D.X)] = D.c
    return Data(
        np.concatenate([D.X for D in sets]),
        np.concatenate([D.Y for D in sets]),
        c,
        starts[:, None] + np.minimum(np.arange(m), lengths[:, None] - 1),
        np.arange(m, dtype=np.uint64),
    )
