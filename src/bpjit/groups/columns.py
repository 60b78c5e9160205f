"""The columns of what a user hands in: a frame that narwhals reads, or a dict of arrays. Nothing is copied that need
not be; and tables go out in the kind of frame that came in."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..common.arguments import describe, refuse_masked
from ..common.elsewhere import hint
from ..frames.reading import Table, is_frame, narwhals

DICT = "dict"  # the kind of frame that a dict of arrays is
BLOCK = 1 << 20  # values that are brought into Python at a time
NUMERIC = "biuf"  # kinds of dtypes
EXPECTED = "a table of pandas, polars or pyarrow, or a dict of arrays of one length"


class Columns:
    """A table, column by column; errors begin with the ``name`` of the argument."""

    def __init__(self, name: str, frame: Any) -> None:
        self.name = name
        self._table: Table | None = None
        self._arrays: Mapping[str, Any] = {}
        if is_frame(frame):
            self._table = Table(name, frame)
            self.names, self.rows = self._table.names, len(self._table)
            self.kind = str(narwhals(name).get_native_namespace(frame).__name__)
        elif isinstance(frame, Mapping):
            self._arrays = {column: _as_array(name, column, values) for column, values in frame.items()}
            lengths = {len(array) for array in self._arrays.values()}
            if len(lengths) > 1:
                raise ValueError(f"{name}: expected {EXPECTED}, got lengths {sorted(lengths)}")
            self.names, self.rows, self.kind = list(self._arrays), max(lengths, default=0), DICT
        else:
            raise TypeError(f"{name}: expected {EXPECTED}, got {describe(frame)}")

    def need(self, columns: tuple[str, ...]) -> None:
        """Raise ``ValueError`` that names the first of these columns that is not there, and the nearest that is."""
        if self._table is not None:
            self._table.need(columns)
        for column in columns:
            if column not in self.names:
                there = [name for name in self.names if isinstance(name, str)]
                raise ValueError(f"{self.name}: expected a column {column!r}, got none{hint(column, there)}")
        if self.rows == 0:
            raise ValueError(f"{self.name}: expected one row at least, got none")

    def numbers(self, column: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Its numbers in the dtype that they have, NaN where a row has none, [shape: (m,)]; and in which rows stands a
        word, None for none. ``TypeError`` of a column that holds no numbers at all."""
        values = self._read(column)
        if values.dtype.kind in NUMERIC:
            return values, None
        if values.dtype != object:
            raise TypeError(f"{self.name}: expected numbers in column {column!r}, got {values.dtype}")
        return _numbers_among(self.name, column, values)

    def _read(self, column: str) -> np.ndarray:
        if self._table is None:
            return np.asarray(self._arrays[column])
        series = self._table.series(column)
        dtype, name = series.dtype, type(series.dtype).__name__
        if not (dtype.is_numeric() or name in ("Boolean", "Object")):
            raise TypeError(f"{self.name}: expected numbers in column {column!r}, got {dtype}")
        if name == "Decimal" or (dtype.is_integer() and series.null_count()):
            series = series.cast(narwhals(self.name).Float64)
        return np.asarray(series.to_numpy())

    def labels(self, column: str) -> np.ndarray | Iterator[list[Any]]:
        """What a key may be made of: an array of numbers, none of them missing; or the values, some at a time."""
        if self._table is None:
            values = np.asarray(self._arrays[column])
            if values.dtype.kind == "M":
                values = values.astype("datetime64[us]")
            return values if values.dtype.kind in "biu" else _blocks(values)
        series = self._table.series(column)
        whole = series.dtype.is_integer() or type(series.dtype).__name__ == "Boolean"
        if whole and not series.null_count():
            return np.asarray(series.to_numpy())
        return _blocks(series)

    def values(self, column: str) -> list[Any]:
        """What it holds, as Python's own."""
        if self._table is not None:
            return list(self._table.series(column).to_list())
        return list(self._arrays[column].tolist())

    def new(self, columns: Mapping[str, Any]) -> Any:
        """A table in the kind of frame that this one is."""
        return frame_of(self.kind, columns)


def frame_of(kind: str, columns: Mapping[str, Any]) -> Any:
    """These columns as a frame of a kind; as a dict of arrays, if that is the kind."""
    if kind == DICT:
        return dict(columns)
    library = narwhals("frame")
    lists = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    return library.from_dict(lists, backend=kind).to_native()


def _as_array(name: str, column: Any, values: Any) -> np.ndarray:
    if not isinstance(column, str):
        raise TypeError(f"{name}: expected names of columns, got {describe(column)}")
    refuse_masked(f"{name}[{column!r}]", values, "an array")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}[{column!r}]: expected an array of shape (m,), got {describe(values)}") from error
    if array.ndim != 1:
        raise ValueError(f"{name}[{column!r}]: expected an array of shape (m,), got shape {array.shape}")
    if array.dtype.kind not in "biufUOM":
        raise TypeError(f"{name}[{column!r}]: expected numbers or words, got dtype {array.dtype}")
    return array


def _numbers_among(name: str, column: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers among objects, NaN where a row has none; and in which rows stands something else, None for none."""
    real = (numbers.Real, np.number, np.bool_)
    found = np.array([float(value) if isinstance(value, real) else np.nan for value in values], np.float64)
    words = np.array([not isinstance(value, real) and not is_missing(value) for value in values], bool)
    if not np.isfinite(found).any() and words.any():
        first = describe(values[int(np.argmax(words))])
        raise TypeError(f"{name}: expected numbers in column {column!r}, got {first}")
    return found, words if words.any() else None


def _blocks(values: Any) -> Iterator[list[Any]]:
    """Python values, so many at a time."""
    for first in range(0, len(values), BLOCK):
        block = values[first : first + BLOCK]
        yield block.tolist() if isinstance(block, np.ndarray) else block.to_list()


def is_missing(value: Any) -> bool:
    """Whether it stands for no value: None, NaN, and what pandas has for these."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA says neither yes nor no
        return type(value).__name__ == "NAType"


def plain(name: str, column: str, value: Any) -> Any:
    """A value of a key as Python has it, and as a file can say it; None where it is missing."""
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    if not isinstance(value, (str, bool, int, float, datetime.date)):
        expected = "words, numbers, truth values or dates as keys"
        raise TypeError(f"{name}: expected {expected} in column {column!r}, got {describe(value)}")
    return str(value) if isinstance(value, str) else value
