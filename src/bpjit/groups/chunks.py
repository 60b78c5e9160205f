"""Chunks: some nodes, and their rows on the way from the columns of a table into the networks' units."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..kernels.state import Samples
from ..many.groups import Data
from ..networks.evaluation import check_probabilities
from ..networks.network import Network
from ..networks.scale import Spread
from ..networks.scales import Scales, standard_spread
from ..training.held_out import classes_in, held_out
from .columns import Columns
from .keys import Ordered
from .setting import GroupSetting

DIGEST = 16  # bytes


class Source:
    """The columns that networks learn from, inputs first, and the order of the rows by their keys."""

    def __init__(self, columns: Columns, names: Sequence[str], order: Ordered) -> None:
        read = [columns.numbers(name) for name in names]
        self.names, self.order = names, order
        self.columns, self.words = [numbers for numbers, _ in read], [words for _, words in read]
        single = all(numbers.dtype == np.float32 for numbers in self.columns)
        self.dtype = np.dtype(np.float32 if single else np.float64)

    def table(self, places: np.ndarray) -> np.ndarray:
        """The rows at these places in the order, [shape: (rows, columns)]."""
        rows = self.order.rows(places)
        table = np.empty((len(rows), len(self.columns)), self.dtype)
        for column, numbers in enumerate(self.columns):
            table[:, column] = numbers[rows]
        return table

    def fault(self, place: int, row: np.ndarray, largest: np.ndarray) -> str:
        """What is wrong with the row at a place, in words."""
        number = int(self.order.rows(np.array([place]))[0])
        column = int(np.argmin(np.abs(row) <= largest))
        words = self.words[column]
        what = "NaN" if np.isnan(row[column]) else "infinity" if np.isinf(row[column]) else "too large a number"
        if words is not None and words[number]:
            what = "a word"
        return f"{what} in {self.names[column]!r}, row {number}"


def digests_of(table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """A fingerprint of the rows of each node, [shape: (nodes, DIGEST)]."""
    kind, ends = table.dtype.char.encode(), np.cumsum(counts)
    found = [
        hashlib.blake2b(table[end - count : end].data, digest_size=DIGEST, person=kind).digest()
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, DIGEST)


@dataclass(frozen=True, eq=False)
class Prepared:
    """The rows of some nodes in their networks' units. Sample t of node i is ``first[i] + t * stride[i]``."""

    nodes: np.ndarray  # which they are, by their place in the chunk
    X: np.ndarray
    Y: np.ndarray
    first: np.ndarray
    stride: np.ndarray
    counts: np.ndarray
    held: np.ndarray | None  # which of their samples are held out to validate on, [shape: (nodes, most samples)]


@dataclass(frozen=True, eq=False)
class Chunk:
    """What became of the nodes of a chunk on the way."""

    prepared: Prepared | None  # None: no node has rows that can be learnt from
    scales: Scales | None
    left_out: np.ndarray  # rows of each node that hold something else than finite numbers
    faults: dict[int, str]  # why a node cannot be trained
    remarks: dict[int, str]  # what is to be said of others


class Preparing:
    """The way of a chunk, from a table of its rows."""

    def __init__(self, setting: GroupSetting, source: Source, places: np.ndarray, counts: np.ndarray) -> None:
        self.setting, self.source = setting, source
        self.d, self.dtype = len(setting.inputs), setting.like.dtype
        self.table = source.table(places)
        self.places, self.counts = places, counts
        l = len(setting.outputs) if setting.scales_targets else None
        self.scales = Scales.room(len(counts), self.d, l) if setting.scale else None
        self.faults: dict[int, str] = {}
        self.remarks: dict[int, str] = {}

    def run(self, barred: dict[int, str]) -> Chunk:
        """All but the nodes that are ``barred`` for a reason of their own."""
        self.faults |= barred
        with np.errstate(invalid="ignore"):
            good = (np.abs(self.table) <= self.setting.largest).all(axis=1)
        starts = np.cumsum(self.counts) - self.counts
        counts = np.add.reduceat(good, starts, dtype=np.int64)
        left_out = self.counts - counts
        for node in np.flatnonzero(left_out).tolist():
            wrong = starts[node] + int(np.argmin(good[starts[node] : starts[node] + self.counts[node]]))
            rows = "row" if left_out[node] == 1 else "rows"
            fault = self.source.fault(int(self.places[wrong]), self.table[wrong], self.setting.largest)
            self.remarks[node] = f"{left_out[node]} {rows} left out: {fault}"
        table = self.table if good.all() else self.table[good]
        least = max(self.setting.min_rows, 2 if self.setting.share is not None else 1)
        for node in np.flatnonzero(counts < least).tolist():
            rows = "row" if counts[node] == 1 else "rows"
            self.faults.setdefault(node, f"{counts[node]} {rows}, fewer than {least}")
        able = counts >= least
        able[list(barred)] = False
        starts, parts, first = np.cumsum(counts) - counts, [], 0
        for length in np.unique(counts[able])[::-1].tolist():
            nodes = np.flatnonzero(able & (counts == length))
            parts.append(self._block(table, nodes, starts[nodes], length, first))
            first += len(parts[-1].X)
        return Chunk(_joined(parts), self.scales, left_out, self.faults, self.remarks)

    def _block(self, table: np.ndarray, nodes: np.ndarray, starts: np.ndarray, length: int, first: int) -> Prepared:
        """Nodes with so many rows each: of all nodes one row, then of all the next."""
        A = table[starts + np.arange(length)[:, None]].astype(np.float64, copy=False)
        A = self._scaled(A, nodes)
        X, Y = A[..., : self.d], A[..., self.d :]
        if self.setting.probabilities:
            check_probabilities("outputs", Y.reshape(-1, Y.shape[2]), self.setting.like.output)
        held = None if self.setting.share is None else self._held_out(Y, nodes)
        X, Y = (np.ascontiguousarray(part).reshape(-1, part.shape[2]) for part in (X, Y))
        stride, counts = np.full(len(nodes), len(nodes)), np.full(len(nodes), length)
        return Prepared(nodes, X, Y, first + np.arange(len(nodes)), stride, counts, held)

    def _scaled(self, A: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """These rows, [shape: (samples, nodes, columns)], in the units and the dtype of the networks."""
        X, Y = A[..., : self.d], A[..., self.d :]
        spreads = [standard_spread(X), standard_spread(Y)]
        self._remark_on_constants(nodes, spreads)
        if self.scales is None:
            return A.astype(self.dtype, copy=False)
        arrays = {"input_offset": spreads[0].offset, "input_factor": spreads[0].factor}
        if self.setting.scales_targets:
            arrays |= {"target_offset": spreads[1].offset, "target_factor": spreads[1].factor}
        self.scales.put(nodes, Scales(arrays))
        scale, scaled = self.scales[nodes], np.empty(A.shape, self.dtype)
        scaled[..., : self.d] = scale.scale_inputs(X, self.dtype)
        scaled[..., self.d :] = scale.scale_targets(Y, self.dtype)
        return scaled

    def _remark_on_constants(self, nodes: np.ndarray, spreads: list[Spread]) -> None:
        """Say which columns are constant."""
        constant = np.concatenate([spread.constant for spread in spreads], axis=1)
        for place in np.flatnonzero(constant.any(axis=1)).tolist():
            node, which = int(nodes[place]), np.flatnonzero(constant[place]).tolist()
            said = [self.remarks[node]] if node in self.remarks else []
            self.remarks[node] = "; ".join([*said, *(f"{self.source.names[column]!r} is constant" for column in which)])

    def _held_out(self, Y: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Which samples of these nodes are held out, as ``train`` holds them out."""
        setting, (m, count, _) = self.setting, Y.shape
        numbers, share, seed = np.arange(m, dtype=np.uint64), setting.share, setting.seed
        assert share is not None
        held = np.tile(held_out(np.zeros(m, np.int64), numbers, share, seed), (count, 1))
        low, high = Y.min(axis=(0, 2)), Y.max(axis=(0, 2))
        two = ((low[:, None] == Y) | (high[:, None] == Y)).all(axis=(0, 2)) & (low < high)
        for place in np.flatnonzero(two).tolist():  # which may be those of classes
            net = self.setting.like
            if self.scales is not None:
                net = setting.scaled(self.scales[nodes[place]])
            D = Samples(Y[:, place], Y[:, place], np.ones(m), numbers)
            held[place] = held_out(classes_in(net, D), numbers, share, seed)
        return held


def _joined(parts: list[Prepared]) -> Prepared | None:
    """The nodes of several lengths together."""
    if len(parts) <= 1:
        return parts[0] if parts else None
    nodes, X, Y, first, stride, counts = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("nodes", "X", "Y", "first", "stride", "counts")
    )
    held = None
    if parts[0].held is not None:
        held, row = np.zeros((len(nodes), counts.max()), bool), 0
        for part in parts:
            assert part.held is not None
            held[row : row + len(part.nodes), : part.held.shape[1]] = part.held
            row += len(part.nodes)
    return Prepared(nodes, X, Y, first, stride, counts, held)


def alike(prepared: Prepared) -> list[Prepared]:
    """The nodes in parts, each of those that learn from samples of the same numbers."""
    held = [b""] * len(prepared.nodes) if prepared.held is None else [row.tobytes() for row in prepared.held]
    kinds: dict[Any, list[int]] = {}
    for place, kind in enumerate(zip(prepared.counts.tolist(), held, strict=True)):
        kinds.setdefault(kind, []).append(place)
    names = "nodes", "first", "stride", "counts", *(("held",) if prepared.held is not None else ())
    return [replace(prepared, **{name: getattr(prepared, name)[places] for name in names}) for places in kinds.values()]


def data_of(prepared: Prepared, net: Network) -> tuple[Data, Data]:
    """What the networks of some nodes learn from, and what they validate on, as ``train_many`` takes it."""
    counts, X, Y = prepared.counts, prepared.X, prepared.Y
    learns = np.arange(counts.max()) < counts[:, None]
    if prepared.held is None:
        numbers = np.arange(counts.max())
        V = Data(X[:0], Y[:0], None, None, np.empty(0, np.uint64))
    else:
        learns &= ~prepared.held
        numbers = np.flatnonzero(learns.any(axis=0))
        several = prepared.held.sum(axis=1)
        most = np.arange(several.max())
        samples = np.argsort(~prepared.held, axis=1, kind="stable")[:, : len(most)]
        V = _data(prepared, net, samples, most < several[:, None], most)
    return _data(prepared, net, np.broadcast_to(numbers, (len(counts), len(numbers))), learns[:, numbers], numbers), V


def _data(prepared: Prepared, net: Network, samples: np.ndarray, present: np.ndarray, numbers: np.ndarray) -> Data:
    row = prepared.first[:, None] + prepared.stride[:, None] * np.minimum(samples, prepared.counts[:, None] - 1)
    # Weights also where all are 1: else whether there are some, and so how sums round, would depend on other nodes.
    return Data(prepared.X, prepared.Y, present.astype(net.dtype), row, numbers.astype(np.uint64))
