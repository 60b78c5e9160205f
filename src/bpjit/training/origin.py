"""Where a training began, and on what data: enough to go the same way again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..kernels import drivers
from ..kernels.devices import on_host
from ..kernels.state import EPOCH, POSITION, Large, Samples
from ..networks.evaluation import as_samples, no_samples
from ..networks.network import Network
from .kinds import session_in_shares, session_of_second_order
from .session import Session
from .setting import Setting

MOST_BYTES = 8_000_000  # of X and Y that a fit keeps
PIECES, PIECE = 32, 8192  # looked at of each array to tell data apart, and bytes of a piece
ROWS = 512  # of large data, that a fit keeps for ``advice``
NUMBERS, NUMBERS_OF_RANGES = 1 << 15, 1 << 16  # inputs in these, and those that ranges are taken from


class Ranges(NamedTuple):
    """The smallest and the largest number of each column."""

    X: np.ndarray  # [shape: (2, d)]
    Y: np.ndarray  # [shape: (2, l)]

    @classmethod
    def of(cls, D: Samples) -> Ranges:
        """Those of the targets from all rows, those of the inputs from so many that looking costs nothing."""
        if isinstance(D, Large):
            return cls(D.source.seen.X, D.source.seen.Y)
        m = D.X.shape[0]
        rows = max(16, NUMBERS_OF_RANGES // D.X.shape[1])
        X = D.X[:: -(-m // rows)] if isinstance(D.X, np.ndarray) else some_rows(D.X, rows)
        Y = on_host(D.Y)
        known = np.stack([np.fmin.reduce(Y), np.fmax.reduce(Y)])  # others are NaN
        return cls(np.stack([X.min(0), X.max(0)]), known)


@dataclass(frozen=True, eq=False)
class Trace:
    """What is known of data that were not kept."""

    count: int  # rows as they were given
    numbers: np.ndarray | None  # of the samples present; None is all
    c: np.ndarray | None  # their weights; None is 1 for each
    digest: bytes  # of pieces of X and Y from all over
    sample: Samples  # some rows from all over
    ranges: Ranges
    in_blocks: bool = False  # whose order is another than that of arrays

    @classmethod
    def of(cls, D: Samples, count: int) -> Trace:
        if isinstance(D, Large):
            seen, rows, source = D.source.seen, D.source.rows, D.source
            numbers = None if rows is None else rows.astype(np.min_scalar_type(count))
            return cls(count, numbers, source.c, seen.digest, seen.sample, Ranges.of(D), source.blocks is not None)
        numbers, c = D.numbers, on_host(D.c)
        kind = np.min_scalar_type(count)
        return cls(
            count,
            None if len(numbers) == count else numbers.astype(kind),
            None if (c == 1).all() else c,
            digest(D.X) + digest(D.Y),
            sample_of(D, max(16, min(ROWS, NUMBERS // D.X.shape[1]))),
            Ranges.of(D),
        )

    def same_as(self, other: Trace) -> bool:
        """Whether these were, as far as one can see, the same data."""
        return (
            (self.count, self.digest) == (other.count, other.digest)
            and np.array_equal(self.numbers, other.numbers)  # type: ignore[arg-type]
            and np.array_equal(self.c, other.c)  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Origin:
    """Where a training began, and on what: enough to go the same way again. Data are referred to, not copied; large
    ones are not kept, and must be given again.

    ``state`` is that of the fit it went on from, where there is no way back beyond it.
    """

    net: Network
    setting: Setting
    target: str
    count: int  # samples as given, absent ones too
    D: Samples | None
    state: dict[str, Any] | None = None
    trace: Trace | None = None  # of the data that D would be
    in_shares: bool = False  # whether it looked at shares of the data

    @property
    def epochs(self) -> int:
        """Number of epochs that were completed before."""
        return 0 if self.state is None else int(self.state["memory"].counters[EPOCH])

    def begin(self) -> Session:
        """A session that stands there, with nothing to validate."""
        assert self.D is not None
        rule = self.setting.rule
        kind = session_in_shares(rule) if self.in_shares else session_of_second_order(rule) or Session
        session = kind(self.net, self.D, no_samples(self.D), 1, self.setting)
        if self.state is not None:
            session.take_up(self.state)
            position = session.memory.counters[POSITION]
            session.memory.counters[POSITION] = min(position, len(self.D.X))  # if it stopped while it validated
        return session

    def to_keep(self) -> Origin:
        """The same without data, if these are large."""
        assert self.D is not None
        return (
            self.without_data() if isinstance(self.D, Large) or self.D.X.nbytes + self.D.Y.nbytes > MOST_BYTES else self
        )

    def without_data(self) -> Origin:
        """The same without data, of which it keeps a trace."""
        return self if self.D is None else replace(self, D=None, trace=self.trace or Trace.of(self.D, self.count))

    def seen(self, rows: int = ROWS) -> tuple[Samples, Ranges]:
        """So many samples at most, and the ranges of all of them."""
        if self.D is not None:
            return sample_of(self.D, rows), Ranges.of(self.D)
        assert self.trace is not None
        return sample_of(self.trace.sample, rows), self.trace.ranges

    def with_data(self, X: Any, Y: Any) -> Origin:
        """The same with the data given again, in all their rows."""
        trace = self.without_data().trace
        assert trace is not None
        if trace.in_blocks and self.setting.shuffle and self.setting.size is not None:
            raise ValueError(
                "X: the fit was made with blocks of data, in an order that arrays do not have; expected none"
            )
        present = None
        if trace.numbers is not None and len(X) == trace.count:  # what the others hold does not matter
            present = np.zeros(trace.count)
            present[trace.numbers] = 1.0
        D = as_samples(self.net, X, Y, self.setting.loss, present)
        if len(D.X) != (trace.count if present is None else len(trace.numbers)):  # type: ignore[arg-type]
            raise ValueError(f"X: the fit was made with {trace.count} samples, got {len(X)}")
        if trace.c is not None:
            D = D._replace(c=trace.c)
        return replace(self, D=drivers.on_gpu(D) if self.target == "cuda" else D)

    def is_continued_by(self, later: Origin) -> bool:
        """Whether a training that went on from here learnt from the same data in the same way, and so has this origin
        too."""
        if self.in_shares != later.in_shares:
            return False
        if self.D is not None and later.D is not None:
            pairs = zip(self.D, later.D, strict=True)
            return all(mine is theirs or np.array_equal(mine, theirs, equal_nan=True) for mine, theirs in pairs)
        mine, theirs = self.without_data().trace, later.without_data().trace
        return mine is not None and theirs is not None and mine.same_as(theirs)


def sample_of(D: Samples, rows: int) -> Samples:
    """So many samples at most, from all over; all of them where there are no more."""
    D = D.source.seen.sample if isinstance(D, Large) else D
    return Samples(*(some_rows(array, rows) for array in D))


def some_rows(array: Any, rows: int) -> np.ndarray:
    """So many rows at most, from all over."""
    m = array.shape[0]
    if m <= rows:
        return on_host(array)
    if isinstance(array, np.ndarray):
        return array[np.linspace(0, m - 1, rows).astype(int)]
    length = max(1, rows // PIECES)
    return np.concatenate([on_host(array[k : k + length]) for k in np.linspace(0, m - length, PIECES).astype(int)])


def fingerprint(samples: Samples) -> bytes:
    """Of inputs, targets and weights."""
    if isinstance(samples, Large):
        weights = b"" if samples.source.c is None else digest(samples.source.c)
        return bytes(samples.source.seen.digest + weights)
    return b"".join(digest(array) for array in samples[:3])


def digest(array: Any) -> bytes:
    """Of shape, dtype and some rows from all over: all of them where the array is small."""
    m = array.shape[0]
    found = hashlib.blake2b(f"{array.shape} {array.dtype}".encode(), digest_size=16)
    rows = max(1, PIECE * m // max(1, array.nbytes))  # in a piece
    whole = m <= PIECES * rows
    for first in [0] if whole else np.linspace(0, m - rows, PIECES).astype(int):
        found.update(on_host(array[first : m if whole else first + rows]).tobytes())
    return found.digest()
