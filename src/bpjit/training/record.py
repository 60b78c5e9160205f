"""The errors that a training collects epoch by epoch, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np

CHANGED = "{}: the data changed while train was running; do not write to them meanwhile, or give train copies"
ROOM = 64  # epochs at first


class Record:
    """Errors and validation errors of the epochs so far: of every epoch, or of ever fewer as they pass ``limit``.

    Level k keeps every 2^k-th epoch and, of those validated, every v-th, v being the smallest every · 2^j ≥ 2^k; the
    first and the last epoch always. The level follows from the number of epochs alone. Epochs from ``floor`` on may
    still be taken back, so all of them stay.
    """

    def __init__(self, every: int) -> None:
        self.every = every  # epochs between validations
        self.limit: int | None = None  # epochs kept at most, 2 or more; None is all
        self.floor = 0
        self.epochs = 0
        self._level = 0
        self._thinned = np.empty(0, np.int64)  # the epochs of the first columns; those of the others have no gap
        self._columns = np.empty((2, ROOM))
        self._length = 0
        self._reached = 0  # columns once filled: an epoch that was taken back comes again as it was

    def extend(self, errors: np.ndarray, validation_errors: np.ndarray) -> None:
        """The errors of the epochs that follow; raises ``RuntimeError`` if one that came before has others now."""
        first, need = self._length, self._length + len(errors)
        again = min(need, self._reached) - first
        if again > 0:
            before = self._columns[:, first : first + again]
            if not (
                np.array_equal(before[0], errors[:again])
                and np.array_equal(before[1], validation_errors[:again], equal_nan=True)
            ):
                raise RuntimeError(CHANGED.format("X, Y"))
        if need > self._columns.shape[1]:
            self._make_room(len(errors))
            first, need = self._length, self._length + len(errors)
        self._columns[0, first:need] = errors
        self._columns[1, first:need] = validation_errors
        self._length = need
        self._reached = max(self._reached, need)
        self.epochs += len(errors)

    def truncate(self, epochs: int) -> None:
        """Take back all but so many epochs."""
        self._length -= self.epochs - epochs
        self.epochs = epochs

    def thin(self, end: int) -> None:
        """Drop epochs before ``end`` until ``limit`` of them are left at most."""
        count = max(0, self._length - (self.epochs - end))
        if self.limit is None or (self._level == 0 and count <= self.limit):
            return
        numbers = self.recorded[:count]
        kept = self._kept(numbers, end)
        while len(kept) > self.limit:
            self._level += 1
            kept = self._kept(numbers, end)
        self._thinned = numbers[kept]
        rest = self._columns[:, count : self._length].copy()
        length = len(self._thinned)
        self._columns[:, :length] = self._columns.take(kept, axis=1)
        self._length = self._reached = length + rest.shape[1]
        self._columns[:, length : self._length] = rest

    def _kept(self, numbers: np.ndarray, end: int) -> np.ndarray:
        """Which of these epochs, in order from epoch 0 on, stay at the present level."""
        stride, validated = 1 << self._level, self.every
        while validated < stride:
            validated *= 2
        completed = numbers + 1
        keep = completed & (stride - 1) == 0
        if validated != stride:
            keep |= completed % validated == 0
        if len(numbers) > 0:
            keep[0] = True  # epoch 0
            keep[-1] = True
        return np.flatnonzero(keep)

    def _make_room(self, count: int) -> None:
        """For so many epochs more, and for some: what it costs must be small beside the epochs that come."""
        self.thin(self.floor)
        need = self._length + max(count, self._length // 2)
        if need > self._columns.shape[1]:
            columns = np.empty((2, max(need, 2 * self._length)))
            columns[:, : self._length] = self._columns[:, : self._length]
            self._columns = columns
            self._reached = self._length

    @property
    def errors(self) -> np.ndarray:
        return self._columns[0, : self._length]

    @property
    def validation_errors(self) -> np.ndarray:
        return self._columns[1, : self._length]

    @property
    def recorded(self) -> np.ndarray:
        """The number of each recorded epoch, counted from 0."""
        gapless = self._length - len(self._thinned)
        if gapless == self.epochs:
            return np.arange(gapless)
        return np.concatenate([self._thinned, np.arange(self.epochs - gapless, self.epochs)])

    @property
    def is_whole(self) -> bool:
        """Whether every epoch is there."""
        return self._length == self.epochs

    def since(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Errors and validation errors of the epochs from this one on, which must not have been thinned."""
        columns = self._columns[:, self._length - (self.epochs - epoch) : self._length]
        return columns[0], columns[1]

    def copy(self) -> Record:
        """The same, with a buffer of its own; what it has by now is not taken back."""
        other = self.without_epochs()
        other.limit, other._level, other._thinned = self.limit, self._level, self._thinned
        other._columns = self._columns[:, : self._length].copy()
        other._length = other._reached = self._length
        return other

    def tree(self) -> dict[str, Any]:
        """All that ``of_tree`` needs, as plain values and arrays."""
        return {
            "every": self.every,
            "limit": self.limit,
            "epochs": self.epochs,
            "level": self._level,
            "thinned": self._thinned,
            "columns": self._columns[:, : self._length],
        }

    @classmethod
    def of_tree(cls, tree: dict[str, Any]) -> Record:
        """The record that ``tree`` told of; what it has is not taken back."""
        for name, dtype in (("columns", np.float64), ("thinned", np.int64)):
            if tree[name].dtype != dtype:
                raise ValueError(f"expected {name} of dtype {np.dtype(dtype)}, got {tree[name].dtype}")
        made, columns = cls(int(tree["every"])), tree["columns"].copy()
        made.limit, made._level = tree["limit"], int(tree["level"])
        made.epochs = made.floor = int(tree["epochs"])
        made._thinned = tree["thinned"].copy()
        made._columns, made._length = columns, columns.shape[1]
        made._reached = made._length
        gapless = made._length - len(made._thinned)
        if columns.shape != (2, made._length) or not 0 <= gapless <= made.epochs or made.every < 1:
            raise ValueError(f"expected the errors of {made.epochs} epochs or fewer, got {columns.shape}")
        return made

    def without_epochs(self) -> Record:
        """As many epochs, of which nothing is recorded."""
        other = Record(self.every)
        other.epochs = other.floor = self.epochs
        return other
