"""Samples that stay where they are, in a file that is mapped into memory or in blocks, and are brought into the
network's units and dtype some at a time: as they stand, or in the order of an epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..common.arguments import as_weights
from ..frames import is_frame
from ..kernels.devices import memory_size
from ..kernels.layout import is_where_known, loss_as_given
from ..kernels.reading import fits, put_rows
from ..kernels.state import Large, Samples
from .architecture import ROWS
from .blocks import NO_SAMPLES, as_blocks, as_pair, in_block, is_mapped
from .evaluation import as_samples, check_probabilities, of_mean_one, present
from .network import Network

BUFFER = 1 << 25  # bytes of samples in memory at a time; less than these are brought there as a whole
PART = 1 << 21  # bytes of those that pass by once
MOST_ROWS = 1 << 21  # of arrays that kernels read where they lie, in any order: some numbers are kept of each row
SEEN, NUMBERS_SEEN = 512, 1 << 15  # rows that are kept of all, and numbers in them, about
PIECE = 8192  # bytes of each part that tell data apart
NOTHING = np.empty(0, np.int64)
T = TypeVar("T")


class Seen(NamedTuple):
    """What a look at all samples found."""

    digest: bytes  # of pieces from all over
    sample: Samples  # some samples from all over
    X: np.ndarray  # the smallest and the largest number of each column, [shape: (2, d)]
    Y: np.ndarray  # [shape: (2, l)]


@dataclass
class Block:
    """A block as it came, checked for its shape."""

    X: np.ndarray
    Y: np.ndarray
    rows: np.ndarray | None  # of the samples that are present; None is all
    ready: bool = False  # whether Y are in the network's units

    @cached_property
    def X_fits(self) -> bool:
        """Whether compiled code can read them."""
        return fits(self.X)

    @cached_property
    def Y_fits(self) -> bool:
        return not self.ready and fits(self.Y)

    @property
    def count(self) -> int:
        """Number of samples that are present."""
        return len(self.X) if self.rows is None else len(self.rows)

    def choose(self, some: np.ndarray) -> None:
        """Keep those of its samples for which a mask says so."""
        self.rows = np.flatnonzero(some) if self.rows is None else self.rows[some]


class Source:
    """The samples of blocks, of which one is open at a time: a mapped array is one block that stays open."""

    def __init__(self, net: Network, blocks: Sequence[Any] | None, loss: str, names: tuple[str, ...]) -> None:
        self.net, self.blocks, self.loss, self.names = net, blocks, loss, names
        self.missing = is_where_known(loss)
        self.given: list[int] = []  # rows of each block, once it was open
        self.present: list[int] = []  # samples of each block that are present
        self.c: np.ndarray | None = None  # their weights, of mean 1; None is 1 for each
        self.checked = False  # whether all have passed by once
        self._opened: tuple[int, Block] | None = None

    @classmethod
    def of_arrays(
        cls, net: Network, X: Any, Y: Any, loss: str, weights: tuple[Any, Any], names: tuple[str, ...]
    ) -> Source:
        """Of one block that stays open; ``weights`` are those of samples and of classes."""
        made, columns = cls(net, None, loss, names), net._architecture.columns
        c = None if weights[0] is None else as_weights(names[2], weights[0], np.shape(X)[0])
        block = made._block(X, Y, None if c is None or c.all() else np.flatnonzero(c))
        if weights[0] is not None or weights[1] is not None:
            c = np.ones(len(block.X)) if c is None else c
            targets = NOTHING if weights[1] is None else made._targets(block, block.rows)
            of_classes = weights[1] if columns is None else columns.class_weight(weights[1])
            c, there = of_mean_one(
                net, c.copy() if block.rows is None else c[block.rows], targets, of_classes, names[1]
            )
            if not there.all():
                block.choose(there)
                c = c[there]
        made._hold(block, c)
        return made

    def _hold(self, block: Block, c: np.ndarray | None) -> None:
        self.c = None if c is None else c.astype(self.net.dtype)
        self._opened, self.given, self.present = (0, block), [len(block.X)], [block.count]

    def cut(self, chosen: np.ndarray) -> Source:
        """Those of the samples of the only block that are chosen; their weights are of mean 1 again."""
        made, block = Source(self.net, None, self.loss, self.names), self.opened(0)
        c = None if self.c is None else self.c[chosen]
        if c is not None and self.c is not None and (self.c != 1).any():
            c = (c / c.mean(dtype=np.float64)).astype(c.dtype)
        block = Block(block.X, block.Y, block.rows, block.ready)
        block.choose(chosen)
        made._hold(block, c)
        made.checked = self.checked
        return made

    # --- Blocks.

    @property
    def rows(self) -> np.ndarray | None:
        """Of an array, the rows of the samples that are present; None for all."""
        return None if self._opened is None or self.blocks is not None else self._opened[1].rows

    @property
    def m(self) -> int:
        """Number of samples that are present, known once all blocks were open."""
        return sum(self.present)

    def __len__(self) -> int:
        return 1 if self.blocks is None else len(self.blocks)

    def name(self, index: int, work: Callable[[], T]) -> T:
        """Do something with a block; an error names it, where there are several. What was good once has changed, if it
        is so no more."""
        try:
            return work() if self.blocks is None else in_block(index, work)
        except (TypeError, ValueError) as error:
            if self.checked:
                raise RuntimeError(
                    f"{self.names[0]}, {self.names[1]}: the data are others than when they were read first: {error}"
                ) from error
            raise

    def opened(self, index: int) -> Block:
        """A block, kept until another one is wanted."""
        if self._opened is None or self._opened[0] != index:
            assert self.blocks is not None
            self._opened = None
            given = self.blocks[index]
            self._opened = index, self.name(index, partial(self._open, index, given))
        return self._opened[1]

    def _open(self, index: int, given: Any) -> Block:
        X, Y = as_pair(given)
        block = self._empty() if np.shape(X)[:1] == (0,) else self._block(X, Y)
        if index == len(self.given):
            self.given.append(len(block.X))
            self.present.append(block.count)
        elif (self.given[index], self.present[index]) != (len(block.X), block.count):
            raise ValueError(
                f"expected {self.given[index]} rows, {self.present[index]} of them with targets, as when it was read "
                f"first, got {len(block.X)} and {block.count}"
            )
        return block

    def _empty(self) -> Block:
        return Block(*self.room(0)[:2], None, ready=True)

    def _block(self, X: Any, Y: Any, rows: np.ndarray | None = None) -> Block:
        """Checked for its shape; of its samples those of ``rows`` are looked at, None for all."""
        architecture, (x, y, *_) = self.net._architecture, self.names
        if Y is None or is_frame(X) or is_frame(Y):
            inputs, rows, targets, _ = present(self.net, X, Y, self.loss, None, None, self.names)
            return Block(inputs, targets, rows, ready=True)
        inputs = np.asarray(architecture.as_samples(x, X))
        if architecture.columns is not None:
            Y = architecture.columns.targets(y, Y, self.net.sizes[-1], architecture.ends, rows, self.missing)
        block = Block(inputs, Y, rows)
        self._targets(block, slice(0, 0))
        block.Y = np.asarray(Y)
        if block.Y.ndim == 1 and self.net.sizes[-1] == 1:
            block.Y = block.Y[:, None]
        if self.missing:
            known = [self._known(block, part) for part in architecture.parts(block.count)]
            there = np.concatenate(known)
            if not there.any() and self.blocks is None:
                raise ValueError(f"{y}: expected a target that is known, got NaN alone")
            if not there.all():
                block.choose(there)
        return block

    def _known(self, block: Block, part: slice) -> np.ndarray:
        return ~np.isnan(self._targets(block, part if block.rows is None else block.rows[part])).all(1)

    def _targets(self, block: Block, rows: Any) -> np.ndarray:
        """Targets of rows in the user's units."""
        return self.net._architecture.targets(self.names[1], block.Y, len(block.X), rows, self.missing)

    # --- Reading.

    def lying(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Inputs and targets of the only block, if kernels can read them where they lie."""
        block = self.opened(0)
        whole = len(self) == 1 and block.rows is None and self.c is None and not block.ready
        return (block.X, block.Y) if whole and lie_ready(self.net, block.X, block.Y) else None

    def room(self, size: int) -> Samples:
        """Arrays for so many samples, weights being 1."""
        net = self.net
        X, Y = (np.empty((size, columns), net.dtype) for columns in (net.sizes[0], net.sizes[-1]))
        return Samples(X, Y, np.ones(size, net.dtype), np.empty(0, np.uint64))

    @property
    def row_size(self) -> int:
        """Bytes of a sample in the network's units."""
        return (self.net.sizes[0] + self.net.sizes[-1] + 1) * self.net.dtype.itemsize

    def bring(self, index: int, places: Any, to: Samples, at: int) -> None:
        """Those of a block's samples, a slice or numbers, to the rows of ``to`` from ``at`` on."""
        block = self.opened(index)
        self.name(index, partial(self._bring, block, places, to, at))

    def _bring(self, block: Block, places: Any, to: Samples, at: int) -> None:
        numbers = np.arange(places.start, places.stop) if isinstance(places, slice) else places
        ahead = np.arange(len(numbers)) if isinstance(places, slice) else np.argsort(places)  # a file is read forwards
        for part in self.net._architecture.parts(len(numbers)):
            there = ahead[part]
            here, there = numbers[there], at + there
            rows = here if block.rows is None else block.rows[here]
            if self.checked and block.X_fits:
                put_rows(block.X, rows, self._scale("input"), to.X, there)
            else:
                to.X[there] = self.net._architecture.in_units(self.names[0], block.X, rows, not self.checked)
            if self.checked and block.Y_fits:
                put_rows(block.Y, rows, self._scale("target"), to.Y, there)
            else:
                to.Y[there] = block.Y[here] if block.ready else self._ready_targets(block, rows)
            if self.c is not None:
                to.c[there] = self.c[here]

    def _scale(self, kind: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Offset and factor, where the network has them."""
        arrays = {} if self.net.scale is None else self.net.scale._arrays
        return (arrays[f"{kind}_offset"], arrays[f"{kind}_factor"]) if f"{kind}_offset" in arrays else None

    def _ready_targets(self, block: Block, rows: Any) -> np.ndarray:
        name = self.names[1]
        Y = self.net._architecture.scaled_targets(name, self._targets(block, rows), self.missing)
        if not self.checked and loss_as_given(self.loss) == "cross_entropy":
            check_probabilities(name, Y, self.net.output)
        return Y

    def parts(self) -> Iterator[Samples]:
        """All samples as they stand, in parts of as many rows as kernels take at once, or a multiple of it: sums do not
        depend on how the samples are cut into blocks."""
        size = max(1, PART // self.row_size // ROWS) * ROWS
        to, filled = self.room(size), 0
        for index in range(len(self)):
            count, first = self.opened(index).count, 0
            while first < count:
                some = min(size - filled, count - first)
                self.bring(index, slice(first, first + some), to, filled)
                first, filled = first + some, filled + some
                if filled == size:
                    yield to
                    filled = 0
        if filled:
            yield Samples(to.X[:filled], to.Y[:filled], to.c[:filled], to.numbers)
        if not self.m:
            raise ValueError(f"{self.names[0]}: {NO_SAMPLES}")
        self.checked = True

    @cached_property
    def seen(self) -> Seen:
        """What a look at all samples finds, which also checks them."""
        digest = hashlib.blake2b(f"{self.net.sizes} {self.net.dtype}".encode(), digest_size=16)
        kept, ranges, every, passed = [array[:0] for array in self.room(1)[:3]], [], 1, 0
        most = max(16, min(SEEN, NUMBERS_SEEN // self.net.sizes[0]))
        for part in self.parts():
            for array in part[:2]:
                digest.update(array[: max(1, PIECE // array[0].nbytes)].tobytes())
            ranges.append([part.X.min(0), part.X.max(0), np.fmin.reduce(part.Y), np.fmax.reduce(part.Y)])
            some = [array[-passed % every :: every] for array in part[:3]]
            kept, passed = [np.concatenate(pair) for pair in zip(kept, some, strict=True)], passed + len(part.X)
            while len(kept[0]) > 2 * most:
                kept, every = [array[::2] for array in kept], 2 * every
        digest.update(f"{self.given} {self.present}".encode())
        low, high, Y_low, Y_high = (np.array(column) for column in zip(*ranges, strict=True))
        return Seen(
            digest.digest(),
            Samples(kept[0].copy(), kept[1].copy(), kept[2].copy(), np.arange(len(kept[0]), dtype=np.uint64)),
            np.stack([low.min(0), high.max(0)]),
            np.stack([np.fmin.reduce(Y_low), np.fmax.reduce(Y_high)]),
        )

    def some_inputs(self) -> np.ndarray:
        """Some hundred inputs: of one block those that a look at the whole array would take."""
        count = self.opened(0).count
        places = np.arange(0, count, max(1, count // 256))
        to = self.room(len(places))
        self.bring(0, places, to, 0)
        return to.X

    def samples(self) -> Large:
        """As others hold samples."""
        net, m = self.net, self.m
        X, Y = (np.broadcast_to(net.dtype.type(0), (m, columns)) for columns in (net.sizes[0], net.sizes[-1]))
        made = Large(X, Y, np.broadcast_to(net.dtype.type(1), (m,)), np.broadcast_to(np.uint64(0), (m,)))
        made.source = self
        return made


def large_samples(
    net: Network,
    X: Any,
    Y: Any,
    loss: str,
    weights: tuple[Any, Any] = (None, None),
    *,
    names: tuple[str, ...] = ("X", "Y", "sample_weight"),
    whole: str | None = None,
    cut: bool = False,
) -> Large | None:
    """Samples that stay where they are, with ``weights`` of samples and of classes; None where they come into memory,
    or kernels read them where they lie. ``whole`` says why they must, ``cut`` that some of the rows will not count."""
    blocks = as_blocks(X, Y)
    if blocks is not None:
        if whole is not None:
            raise ValueError(f"{names[0]}: {whole} needs all samples at once; expected arrays, got blocks")
        for name, given in zip(("sample_weight", "class_weight"), weights, strict=True):
            if given is not None:
                raise ValueError(f"{name}: it goes with arrays; expected None where X is given in blocks")
        return Source(net, blocks, loss, names).samples()
    if whole is not None or not (is_mapped(X) or is_mapped(Y)) or np.ndim(X) != 2:
        return None
    if len(X) * (net.sizes[0] + net.sizes[-1]) * net.dtype.itemsize <= BUFFER:
        return None
    few = len(X) <= MOST_ROWS and np.asarray(X).nbytes + np.asarray(Y).nbytes <= memory_size() / 2
    if few and not cut and weights[0] is weights[1] is None and not is_where_known(loss) and lie_ready(net, X, Y):
        return None
    return Source.of_arrays(net, X, Y, loss, weights, names).samples()


def lie_ready(net: Network, X: Any, Y: Any) -> bool:
    """Whether kernels can read arrays where they lie."""
    return net.scale is None and all(
        isinstance(array, np.ndarray)
        and (array.ndim, array.dtype) == (2, net.dtype)
        and array.flags.c_contiguous
        and array.flags.aligned
        for array in (X, Y)
    )


def brought(
    net: Network,
    X: Any,
    Y: Any,
    loss: str,
    weights: tuple[Any, Any] = (None, None),
    *,
    names: tuple[str, ...] = ("X", "Y", "sample_weight"),
    whole: str | None = None,
    cut: bool = False,
) -> Samples:
    """Samples that stay where they are, or in memory: see ``large_samples``."""
    D = large_samples(net, X, Y, loss, weights, names=names, whole=whole, cut=cut)
    return as_samples(net, X, Y, loss, *weights, names=names) if D is None else D


def looked_at(D: Samples) -> Samples:
    """The same samples; those that stay where they are have passed by once and are known to be good."""
    if not isinstance(D, Large):
        return D
    assert D.source.seen  # which looks
    return D.source.samples()
