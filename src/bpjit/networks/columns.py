"""Columns: which columns of a table a network takes and gives, by name; and their way into its inputs and targets.

Numbers go as they are, categories one-hot. The scaling is that of ``Scale``; a frame is opened in ``frames``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_flag, describe, keep
from ..common.elsewhere import hint
from ..frames import is_frame, is_series
from ..frames.reading import Table, among
from .scale import Scale

MISSING, UNSEEN = -1, -2  # in the place of the number of a value
SHOWN = 8  # names that a message lists


@dataclass(frozen=True)
class Column:
    """A column of a table: one of numbers, or, where it has ``values``, a category.

    Parameters
    ----------
    name : of the column
    values : those of a category, in the order of their inputs or outputs; None for numbers
    missing : what each of its inputs is where there is no value; None refuses such rows
    unseen : whether all inputs are 0 where the value is none of ``values``; False refuses such rows
    """

    name: str
    values: tuple[Any, ...] | None = None
    missing: tuple[float, ...] | None = None
    unseen: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name: expected the name of a column, a str, got {describe(self.name)}")
        as_flag("unseen", self.unseen)
        if self.values is not None:
            values = _as_tuple("values", self.values, "different words, numbers or truth values")
            if len(set(map(type, values))) != 1 or type(values[0]) not in (str, bool, int, float):
                raise TypeError(f"values: expected all words, all numbers or all truth values, got {describe(values)}")
            if len(set(values)) != len(values) or (type(values[0]) is float and not all(map(math.isfinite, values))):
                raise ValueError(f"values: expected different words, numbers or truth values, got {describe(values)}")
            keep(self, "values", values)
        if self.missing is not None:
            expected = f"{self.width} finite numbers, one for each input"
            missing = _as_tuple("missing", self.missing, expected)
            if len(missing) != self.width or not all(type(x) is float and math.isfinite(x) for x in missing):
                raise ValueError(f"missing: expected {expected}, got {describe(missing)}")
            keep(self, "missing", missing)

    @property
    def width(self) -> int:
        """How many inputs it is."""
        return 1 if self.values is None else len(self.values)

    @property
    def names(self) -> list[str]:
        """A name for each of its inputs."""
        return [self.name] if self.values is None else [f"{self.name}={value}" for value in self.values]

    def codes(self, labels: Sequence[Any]) -> np.ndarray:
        """The number of each label among the values, ``MISSING`` or ``UNSEEN``, [shape: (m,)]."""
        assert self.values is not None
        number: dict[Any, int] = {None: MISSING, **{value: code for code, value in enumerate(self.values)}}
        return np.fromiter((number.get(label, UNSEEN) for label in labels), np.int64, len(labels))

    def refuse(self, name: str, labels: Sequence[Any], wrong: np.ndarray) -> None:
        """Raise ``ValueError`` that names the first row that is ``wrong``, if one is."""
        if not wrong.any():
            return
        assert self.values is not None
        row = int(np.argmax(wrong))
        listed = in_short(self.values)
        came = "a missing value" if labels[row] is None else repr(labels[row])
        near = hint(labels[row], list(self.values)) if isinstance(labels[row], type(self.values[0]) and str) else ""
        raise ValueError(f"{name}: expected one of {listed} in column {self.name!r}, got {came} in row {row}{near}")

    def put(self, table: Table, inputs: np.ndarray, rows: np.ndarray | None) -> None:
        """Write its inputs, [shape: (m, width)]; those of ``rows`` are checked, None for all."""
        if self.values is None:
            numbers = table.numbers(self.name, inputs.dtype)
            if self.missing is not None:
                numbers = np.where(np.isnan(numbers), inputs.dtype.type(self.missing[0]), numbers)
            table.refuse_beyond(self.name, numbers, rows)
            inputs[:, 0] = numbers
            return
        labels = table.labels(self.name)
        codes = self.codes(labels)
        wrong = ((codes == MISSING) & (self.missing is None)) | ((codes == UNSEEN) & (not self.unseen))
        self.refuse(table.name, labels, among(wrong, rows))
        inputs[...] = codes[:, None] == np.arange(self.width)
        if self.missing is not None:
            inputs[codes == MISSING] = self.missing


def in_short(names: Iterable[Any]) -> str:
    """The first of some names, as a message lists them."""
    listed = list(map(str, names))
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")


def _as_tuple(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise TypeError(f"{name}: expected {expected}, got {describe(value)}")
    return tuple(value)


def named_columns(name: str, value: Any) -> tuple[Column, ...]:
    """Columns from columns and names, which are those of numbers; no name occurs twice."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: expected names of columns, got {describe(value)}")
    columns = tuple(item if isinstance(item, Column) else Column(item) for item in value)
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise ValueError(f"{name}: expected different names of columns, got {describe(names)}")
    return columns


@dataclass(frozen=True, init=False)
class Columns:
    """The columns that a network takes and gives: its inputs and targets are found in a frame by their names.

    ``Network.for_table`` describes those of a frame, ``train`` those of numbers that it is given in one. A network
    keeps them, in files too.

    Parameters
    ----------
    inputs : a name or a ``Column`` for each column; a category of k values is k inputs
    outputs : those of the targets, all of numbers, or one category: an output for each value, or one for two. Empty
        where they have no names

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.random((2, 3, 1), columns=bpjit.Columns(["height", "weight"], ["age"]))
    >>> net.columns.input_names
    ['height', 'weight']
    """

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]

    def __init__(self, inputs: Iterable[Column | str], outputs: Iterable[Column | str] = ()) -> None:
        keep(self, "inputs", named_columns("inputs", inputs))
        keep(self, "outputs", named_columns("outputs", outputs))
        if not self.inputs:
            raise ValueError("inputs: expected a column at least, got none")
        if len(self.outputs) > 1 and any(column.values is not None for column in self.outputs):
            names = ", ".join(column.name for column in self.outputs)
            raise ValueError(f"outputs: expected columns of numbers, or one category alone, got {names}")

    @property
    def width(self) -> int:
        """How many inputs they are."""
        return sum(column.width for column in self.inputs)

    @property
    def input_names(self) -> list[str]:
        """A name for each input, such as "height", or "colour=green" for a value of a category."""
        return [name for column in self.inputs for name in column.names]

    def names(self, l: int) -> tuple[list[str], list[str] | None]:
        """A name for each input and for each of l outputs; None where these have none."""
        names = [str(value) for value in self.classes] if self.classes else [column.name for column in self.outputs]
        if self.classes and l == 1:
            names = [f"{self.outputs[0].name}={self.classes[1]}"]
        return self.input_names, names or None

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The values of the category that the outputs are, or None where they are numbers."""
        return self.outputs[0].values if self.outputs else None

    def check(self, sizes: tuple[int, ...]) -> None:
        """Raise ``ValueError`` unless a network of these sizes can have them."""
        d, l, classes = sizes[0], sizes[-1], self.classes
        if self.width != d:
            raise ValueError(f"columns: expected {d} inputs, as sizes say, got {self.width}")
        if classes is None:
            fits = len(self.outputs) in (0, l)
        else:
            fits = len(classes) > 1 and l in ((1, 2) if len(classes) == 2 else (len(classes),))
        if not fits:
            came = f"{len(self.outputs)} columns" if classes is None else f"a category of {len(classes)} values"
            raise ValueError(f"columns: expected columns for {l} outputs, as sizes say, got {came}")

    def in_short(self) -> str:
        """The names of the first columns, as a message lists them."""
        return in_short(column.name for column in self.inputs)

    # --- From a table to inputs and targets.

    def encoded(self, table: Table, dtype: Any, rows: np.ndarray | None = None) -> np.ndarray:
        """The inputs of a table, [shape: (m, d)]. Other columns do not matter, nor does their order. ``ValueError``
        names a column that is missing, and column and row of what cannot be taken among ``rows``, None for all."""
        table.need(column.name for column in self.inputs)
        numbers = [column.name for column in self.inputs if column.values is None]
        block = table.block(numbers, dtype) if len(numbers) > 1 else None
        if block is not None and len(numbers) == len(self.inputs):
            return block
        found = np.empty((len(table), self.width), dtype)
        if block is not None:
            found[:, self._places_of_numbers] = block
        place = 0
        for column in self.inputs:
            if block is None or column.values is not None:
                column.put(table, found[:, place : place + column.width], rows)
            place += column.width
        return found

    @property
    def _places_of_numbers(self) -> np.ndarray:
        """Which inputs are columns of numbers, [shape: (d,)]."""
        return np.array([column.values is None for column in self.inputs for _ in column.names])

    def targets(
        self, name: str, Y: Any, l: int, ends: tuple[float, float], rows: np.ndarray | None, missing: bool
    ) -> Any:
        """Targets as ``as_targets`` takes them: those of a frame by their names, labels by their values.

        A network of one output for two values has the ``ends`` of what it can reach for them. Other targets than those
        of a frame, a column or labels stay as they are.
        """
        if not self.outputs:
            return Y
        column = self.outputs[0]
        if is_frame(Y):
            table = Table(name, Y)
            table.need(each.name for each in self.outputs)
        elif is_series(Y) and len(self.outputs) == 1:
            table = Table.of_series(name, Y, column.name)
        elif column.values is None or not self._are_labels(Y):
            return Y
        else:
            flat = np.asarray(Y, object).ravel().tolist()
            labels = [None if isinstance(value, float) and math.isnan(value) else value for value in flat]
            return self._of_labels(name, labels, l, ends, rows, missing)
        if column.values is not None:
            return self._of_labels(name, table.labels(column.name), l, ends, rows, missing)
        found = np.empty((len(table), len(self.outputs)))
        for place, each in enumerate(self.outputs):
            found[:, place] = table.numbers(each.name)
            table.refuse_beyond(each.name, found[:, place], rows, missing)
        return found

    def _are_labels(self, Y: Any) -> bool:
        """Whether an array holds values of the category rather than numbers of classes, or outputs: a value in each
        row, which where the values are numbers is always meant."""
        assert self.classes is not None
        try:
            array = np.asarray(Y)
        except ValueError:  # a ragged list
            return False
        words = array.dtype.kind in "UTSO"
        flat = array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and words)
        return flat and (words or type(self.classes[0]) is not str)

    def _of_labels(
        self, name: str, labels: list[Any], l: int, ends: tuple[float, float], rows: np.ndarray | None, missing: bool
    ) -> np.ndarray:
        column = self.outputs[0]
        codes = column.codes(labels)
        wrong = codes == UNSEEN if missing else codes < 0
        column.refuse(name, labels, among(wrong, rows))
        low, high = ends
        found = np.where(codes[:, None] == np.arange(2 if l == 1 else l), high, low)[:, -l:]
        found[codes < 0] = np.nan
        return found

    def labels(self, numbers: Any) -> Any:
        """The values of classes with these numbers, if the outputs are those of a category; else the numbers."""
        return numbers if self.classes is None else np.array(self.classes)[numbers]

    def class_weight(self, class_weight: Any) -> Any:
        """Weights by the numbers of classes, from those by their values."""
        classes = self.classes
        if classes is None or not isinstance(class_weight, dict):
            return class_weight
        for value in class_weight:
            if value not in classes:
                raise ValueError(f"class_weight: expected values of {in_short(classes)}, got {describe(value)}")
        return {classes.index(value): weight for value, weight in class_weight.items()}

    # --- Files.

    def to_words(self) -> str:
        """As a file holds them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_words(cls, words: str) -> Columns:
        """From what a file holds; ``ValueError`` or ``TypeError`` where that is damaged."""
        said = json.loads(words)
        return cls(*([Column(**column) for column in said[name]] for name in ("inputs", "outputs")))


def as_columns(value: Any, sizes: tuple[int, ...], scale: Scale | None) -> Columns | None:
    """None, or ``Columns`` that fit a network of these sizes and this scale."""
    if value is None:
        return None
    if not isinstance(value, Columns):
        raise TypeError(f"columns: expected bpjit.Columns or None, got {describe(value)}")
    value.check(sizes)
    if value.classes is not None and scale is not None and "target_offset" in scale.arrays:
        raise ValueError(
            "scale: expected one of inputs alone, for the outputs are those of a category; got targets too"
        )
    return value
