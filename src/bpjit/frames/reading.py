"""A frame's columns as numbers, or as the labels of categories, with errors that name column and row.

narwhals reads them; it is imported when a frame comes in, not before. Rows are counted from 0.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..common.arguments import describe
from ..common.elsewhere import hint
from . import LAZY, kind_of
from . import is_frame as is_frame

INSTALL = "python -m pip install 'bpjit[frames]'"
NUMBER, CATEGORY = "number", "category"
PLAIN = {str, bool, int, float, type(None)}  # what files can hold


def narwhals(name: str) -> Any:
    """The library, for the argument of this name."""
    try:
        import narwhals
    except ImportError as error:
        raise ImportError(f"{name}: frames need narwhals: {INSTALL}") from error
    return narwhals


class Table:
    """A frame, whose columns are read when they are asked for. Errors begin with the ``name`` of the argument.

    Raises ``ImportError`` without narwhals, ``TypeError`` for a lazy frame, ``ValueError`` for a name that occurs
    twice.
    """

    def __init__(self, name: str, frame: Any) -> None:
        library = narwhals(name)
        given: Any = type(frame)
        if kind_of(given) == LAZY:
            raise TypeError(f"{name}: expected a table in memory, got a lazy one; give its .collect()")
        self.name = name
        try:
            if given.__name__ == "RecordBatch":
                frame = library.from_arrow(frame, backend="pyarrow")
            self._frame = library.from_native(frame, eager_only=True)
            self.names: list[Any] = list(self._frame.columns)
        except library.exceptions.DuplicateError as error:
            said = " ".join(str(error).split())
            raise ValueError(f"{name}: expected a name of its own for each column. {said}") from error

    @classmethod
    def of_series(cls, name: str, series: Any, column: str) -> Table:
        """A table of one column."""
        series = narwhals(name).from_native(series, series_only=True)
        return cls(name, series.alias(column).to_frame())

    def __len__(self) -> int:
        return len(self._frame)

    def need(self, columns: Iterable[str], name: str | None = None) -> None:
        """Raise ``ValueError`` that names the first of these columns that is not there, and the nearest that is; it
        begins with ``name`` where another argument than the frame is wrong."""
        known = set(self.names)
        for column in columns:
            if column not in known:
                there = [each for each in self.names if isinstance(each, str)]
                raise ValueError(f"{name or self.name}: expected a column {column!r}, got none{hint(column, there)}")

    def series(self, column: str) -> Any:
        """A column, as narwhals has it."""
        self.need([column])
        return self._frame[column]

    def kind(self, column: str) -> str:
        """Whether it holds a "number", or a truth value, in each row, or is a "category"."""
        self.need([column])
        series = self._frame[column]
        dtype = series.dtype
        if dtype.is_numeric() or _is_of_truth(dtype):
            return NUMBER
        if _is_category(dtype):
            return CATEGORY
        if _is_of_objects(dtype):
            return self._kind_of_objects(column)
        if self._as_floats(column) is not None:
            return NUMBER
        raise self._refusal(column, str(dtype))

    def is_boolean(self, column: str) -> bool:
        """Whether its values are truth values."""
        series = self._frame[column]
        if _is_of_objects(series.dtype):
            return {type(value) for value in series.drop_nulls().to_list()} in ({bool}, {np.bool_})
        return _is_of_truth(series.dtype)

    def numbers(self, column: str, dtype: Any = np.float64) -> np.ndarray:
        """Its numbers, NaN where one is missing, [shape: (m,)]; the frame's own where they are of this dtype.

        ``ValueError`` names the row of what is no number.
        """
        self.need([column])
        found = self._as_floats(column)
        if found is None:
            values, missing = self._frame[column].to_list(), self.missing(column)
            for row, value in enumerate(values):
                if not missing[row] and _kind_of_value(value) != NUMBER:
                    raise self._refusal(column, f"{describe(value)} in row {row}", "numbers")
            found = np.array([np.nan if none else float(v) for v, none in zip(values, missing, strict=True)], float)
        with np.errstate(all="ignore"):
            return found.astype(dtype, copy=False)

    def block(self, columns: list[str], dtype: Any) -> np.ndarray | None:
        """Columns at once, [shape: (m, d)], where all are of the numbers that NumPy has and every one is finite; else
        None. Where there are many columns it is much faster than one after another."""
        schema = self._frame.schema
        if not all(schema[column].is_numeric() for column in columns):
            return None
        try:
            found = (self._frame if columns == self.names else self._frame.select(columns)).to_numpy()
        except Exception:  # each library raises its own
            return None
        if found.dtype.kind not in "iuf":
            return None
        with np.errstate(all="ignore"):
            numbers = found.astype(dtype, copy=False)
        return numbers if np.isfinite(numbers).all() else None

    def labels(self, column: str) -> list[Any]:
        """Its values, None where one is missing: words, truth values or numbers."""
        self.need([column])
        values: list[Any] = self._frame[column].to_list()
        missing = self.missing(column)
        if missing.any():
            values = [None if none else value for value, none in zip(values, missing, strict=True)]
        if not PLAIN.issuperset(map(type, values)):
            values = [_plain(value) for value in values]
            for row, value in enumerate(values):
                if type(value) not in PLAIN:
                    raise self._refusal(column, f"{describe(value)} in row {row}")
        return values

    def order(self, column: str) -> list[Any] | None:
        """The values of a category that has an order, in it; None for others."""
        dtype = self._frame[column].dtype
        return list(dtype.categories) if hasattr(dtype, "categories") else None

    def missing(self, column: str) -> np.ndarray:
        """Which of its values are missing, NaN too, [shape: (m,)]."""
        series = self._frame[column]
        missing = np.asarray(series.is_null().to_numpy(), bool)
        if series.dtype.is_float():
            missing = missing | np.asarray(series.is_nan().fill_null(True).to_numpy(), bool)
        return missing

    def refuse_beyond(
        self, column: str, values: np.ndarray, rows: np.ndarray | None = None, missing: bool = False
    ) -> None:
        """Raise ``ValueError`` that names the first of these ``rows``, None for all, where its number is not finite;
        NaN may stand where one may be ``missing``."""
        wrong = ~np.isfinite(values)
        if missing:
            wrong &= ~np.isnan(values)
        wrong = among(wrong, rows)
        if wrong.any():
            row = int(np.argmax(wrong))
            value: Any = "a missing value" if np.isnan(values[row]) else self._frame[column].to_list()[row]
            why = f"; too large for {values.dtype}" if np.isinf(values[row]) and abs(value) != np.inf else ""
            raise self._refusal(column, f"{value} in row {row}{why}", "finite numbers")

    def _kind_of_objects(self, column: str) -> str:
        """What all values are alike."""
        first = None
        for row, value in enumerate(self.labels(column)):
            kind = None if value is None else _kind_of_value(value)
            first = first or kind
            if kind != first and value is not None:
                raise self._refusal(column, f"{describe(value)} in row {row}", "words, or numbers, in all rows")
        return first or NUMBER

    def _refusal(self, column: str, came: str, expected: str = "numbers, or words of a category,") -> ValueError:
        return ValueError(f"{self.name}: expected {expected} in column {column!r}, got {came}")

    def _as_floats(self, column: str) -> np.ndarray | None:
        """As floating-point numbers, or None where the library has no numbers in it."""
        series = self._frame[column]
        dtype = series.dtype
        if dtype.is_temporal():
            do = "dates and times become numbers first, such as days since one of them"
            raise self._refusal(column, f"{dtype}; {do}")
        if _is_category(dtype) or _is_of_objects(dtype):
            return None
        try:
            if not dtype.is_float():
                series = series.cast(narwhals(self.name).Float64)
            found = np.asarray(series.to_numpy())
        except Exception:  # each library raises its own
            found = np.asarray(series.to_numpy())
        return found if found.dtype.kind in "biuf" and found.ndim == 1 else None


def _is_category(dtype: Any) -> bool:
    return type(dtype).__name__ in ("String", "Categorical", "Enum")


def _is_of_truth(dtype: Any) -> bool:
    return type(dtype).__name__ == "Boolean"


def _is_of_objects(dtype: Any) -> bool:
    return type(dtype).__name__ == "Object"


def _is_decimal(value: Any) -> bool:
    return type(value).__module__ in ("decimal", "_decimal")  # whose import would take a millisecond


def _kind_of_value(value: Any) -> str | None:
    """What a single value, that is not missing, is."""
    if isinstance(value, str):
        return CATEGORY
    if isinstance(value, (numbers.Real, np.number, np.bool_)) or _is_decimal(value):
        return NUMBER
    return None


def among(wrong: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """What is wrong among these rows, None for all, [shape: (m,)]."""
    if rows is None or not wrong.any():
        return wrong
    seen = np.zeros(len(wrong), bool)
    seen[rows] = True
    return wrong & seen


def _plain(value: Any) -> Any:
    """A value as Python's own, if it is a word or a number of another class."""
    if isinstance(value, np.generic):
        return value.item()
    if _is_decimal(value):
        return float(value)
    return str(value) if isinstance(value, str) else value


def numbers_of(
    name: str, frame: Any, columns: Sequence[str], dtype: Any = np.float64, finite: bool = True
) -> np.ndarray:
    """These columns of a frame as numbers, in this order, [shape: (m, d)].

    Other columns are not looked at. Raises ``ValueError`` that begins with ``name`` and names column and row: of a
    column that is missing, of what is no number, and, unless told that somebody else sees to it, of what is not
    ``finite``. One column at a time is held beside the result.
    """
    table = Table(name, frame)
    table.need(columns)
    found = np.empty((len(table), len(columns)), dtype)
    for place, column in enumerate(columns):
        values = table.numbers(column, dtype)
        if finite:
            table.refuse_beyond(column, values)
        found[:, place] = values
    return found
