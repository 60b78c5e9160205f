"""A share of the samples, held out to validate on: which these are, drawn by seed."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ..common.arguments import as_real
from ..frames import is_frame
from ..kernels.state import Large, Samples
from ..maths import random_streams
from ..networks.network import Network


def as_share(validation: Any) -> float | None:
    """The share that ``validation`` is, or None where it is something else."""
    whole = isinstance(validation, (numbers.Integral, np.bool_))
    if whole or not isinstance(validation, (numbers.Real, np.number)):
        return None
    return as_real("validation", validation, above=0, below=1)


def as_pair(validation: Any) -> Any:
    """A frame that holds inputs and targets, alone or in a tuple, as (X, None); else what came."""
    alone = isinstance(validation, (tuple, list)) and len(validation) == 1
    X = validation[0] if alone else validation
    return (X, None) if is_frame(X) else validation


def classes_in(net: Network, D: Samples) -> np.ndarray:
    """The class of each sample; 0 for all where targets are not those of classes."""
    try:
        return net._architecture.classes_of_targets("Y", net._architecture.unscaled_outputs(D.Y))
    except ValueError:
        return np.zeros(len(D.Y), np.int64)


def held_out(labels: np.ndarray, numbers: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Whether each sample is held out, from its class and its number in the caller's data: the same share of each
    class, as near as can be, and never all of one."""
    m = len(labels)
    count = min(max(1, int(share * m + 0.5)), m - 1)
    if count < 1:
        raise ValueError(f"validation: expected a share of two samples or more, got {share:g} of {m}")
    sizes = np.bincount(labels)
    if np.maximum(sizes - 1, 0).sum() < count:
        labels, sizes = np.zeros(m, np.int64), np.array([m])
    wanted = count * sizes / m
    of_each = np.minimum(np.floor(wanted).astype(np.int64), np.maximum(sizes - 1, 0))
    while of_each.sum() < count:
        of_each[np.argmax(np.where(of_each < sizes - 1, wanted - of_each, -np.inf))] += 1
    key = random_streams.stream(random_streams.base(seed, random_streams.HELD_OUT), np.zeros(1, np.uint64))
    order = np.lexsort((random_streams.draw(key, numbers), labels))
    firsts = np.repeat(np.cumsum(sizes) - sizes, sizes)  # of the class of each, in this order
    chosen = np.zeros(m, bool)
    chosen[order] = np.arange(m) - firsts < np.repeat(of_each, sizes)
    return chosen


def split(net: Network, D: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """The samples to learn from, and those to validate on; the weights of both are of mean 1."""
    chosen = held_out(classes_in(net, D), D.numbers, share, seed)
    return _part(D, ~chosen), _part(D, chosen)


def split_large(net: Network, D: Large, share: float, seed: int) -> tuple[Large, Large]:
    """The same of samples that stay where they are, in one array; their targets and numbers come into memory."""
    source = D.source
    if len(source) > 1 or source.blocks is not None:
        raise ValueError("validation: a share goes with arrays; expected (X, Y), blocks or None where X is in blocks")
    Y = np.concatenate([part.Y.copy() for part in source.parts()])
    numbers = np.arange(len(Y)) if source.rows is None else source.rows
    chosen = held_out(classes_in(net, D._replace(Y=Y)), numbers.astype(np.uint64), share, seed)
    return source.cut(~chosen).samples(), source.cut(chosen).samples()


def _part(D: Samples, rows: np.ndarray) -> Samples:
    c = D.c[rows]
    if (D.c != 1).any():
        c = (c / c.mean(dtype=np.float64)).astype(c.dtype)
    return Samples(D.X[rows], D.Y[rows], c, D.numbers[rows])
