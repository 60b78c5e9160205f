"""The table of a ``GroupFit``: a line for each key, its columns as arrays, as text, or as a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..common.plain import printable
from ..common.tables import text_table
from .columns import frame_of

SHOWN = 10  # lines at each end of a long table


class GroupTable(Mapping[str, np.ndarray]):
    """Columns by their names, [shape: (lines,)] each. ``print`` shows the first and last lines."""

    def __init__(self, columns: dict[str, np.ndarray], key: tuple[str, ...], kind: str) -> None:
        self._columns, self._key, self._kind = columns, key, kind

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """How many columns, as of any mapping; ``lines`` says how many lines."""
        return len(self._columns)

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return len(self._columns["rows"])

    def to_frame(self, kind: str | None = None) -> Any:
        """The same as a frame of the kind that came in, or of "pandas", "polars", "pyarrow", or "dict"."""
        return frame_of(self._kind if kind is None else kind, self._columns)

    @printable
    def __str__(self) -> str:
        every = range(self.lines)
        numbers = [*every] if self.lines <= 2 * SHOWN else [*every[:SHOWN], *every[-SHOWN:]]
        rows = [[_word(values[number]) for values in self._columns.values()] for number in numbers]
        if len(numbers) < self.lines:
            rows.insert(SHOWN, ["..."] * len(self._columns))
        return text_table(list(self._columns), rows, left=len(self._key))

    __repr__ = __str__


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def objects(values: list[Any]) -> np.ndarray:
    """Python values in an array, whatever they are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
