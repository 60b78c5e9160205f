"""What suits a table: the columns of a network for it, its sizes, its outputs, its scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..common.arguments import as_choice, describe
from ..frames import is_available, is_frame, name_of
from ..frames.reading import CATEGORY, Table
from ..kernels.layout import reach_of
from .architecture import OUTPUT_ACTIVATIONS, HasArchitecture, as_formula
from .columns import Column, Columns, named_columns
from .scale import Scale

FEWEST_HIDDEN, MOST_HIDDEN = 8, 64

N = TypeVar("N", bound=HasArchitecture)


def usual_hidden(d: int) -> int:
    """Units of a hidden layer for d inputs, where nobody says."""
    return max(FEWEST_HIDDEN, min(MOST_HIDDEN, 2 * d))


class Suited(NamedTuple):
    """Arguments of ``Network.random``."""

    sizes: tuple[int, ...]
    output: str
    scale: Scale | None
    columns: Columns


def suited(
    frame: Any, inputs: Any, outputs: Any, hidden: Any, output: Any, categories: Any, missing: str, unseen: str
) -> Suited:
    """What ``Network.for_table`` chooses from these of its arguments."""
    as_choice("missing", missing, ("error", "mean"))
    as_choice("unseen", unseen, ("error", "zeros"))
    if not is_frame(frame):
        raise TypeError(f"frame: expected a table of pandas, polars, pyarrow or their kin, got {describe(frame)}")
    table = Table("frame", frame)
    if outputs is None:
        raise TypeError("outputs: expected the name of a column, or of several; got None")
    categories = [column.name for column in _found(table, "categories", categories)]
    targets = described(table, "outputs", outputs, categories, truth=True)
    if inputs is None:
        others = {column.name for column in targets}
        inputs = [name for name in table.names if name not in others]
    given = [_as_chosen(table, column, missing, unseen) for column in described(table, "inputs", inputs, categories)]
    columns = Columns(given, targets)
    output, l = _outputs(table, columns, output)
    units = [usual_hidden(columns.width)] if hidden is None else hidden if hasattr(hidden, "__iter__") else [hidden]
    return Suited((columns.width, *units, l), output, _scale(table, columns, output), columns)


def _found(table: Table, argument: str, names: Any) -> tuple[Column, ...]:
    """Columns with these names, that are there."""
    columns = named_columns(argument, [names] if isinstance(names, str) else names)
    table.need((column.name for column in columns), argument)
    return columns


def described(
    table: Table, argument: str, names: Any, categories: Sequence[str] = (), truth: bool = False
) -> list[Column]:
    """The columns with these names: of numbers, or categories with the values that occur; those of ``truth`` values are
    categories where it says so."""
    return [
        Column(name, _values(table, name))
        if name in categories or table.kind(name) == CATEGORY or (truth and table.is_boolean(name))
        else column
        for column in _found(table, argument, names)
        for name in [column.name]
    ]


def _values(table: Table, name: str) -> tuple[Any, ...]:
    """The values of a column that occur, in their own order if they have one, else sorted."""
    there = set(table.labels(name)) - {None}
    if not there:
        raise ValueError(f"{table.name}: expected a value at least in column {name!r}, got none")
    if len({isinstance(value, str) for value in there}) > 1:
        raise ValueError(f"{table.name}: expected words, or numbers, in all rows of column {name!r}, got both")
    order = table.order(name) or sorted(there)
    return tuple(value for value in order if value in there)


def _as_chosen(table: Table, column: Column, missing: str, unseen: str) -> Column:
    """An input that takes what is missing, or was never seen, as was chosen."""
    if missing == "mean":
        there = ~table.missing(column.name)
        if not there.any():
            raise ValueError(f"{table.name}: expected a value at least in column {column.name!r}, got none")
        inputs = np.empty((len(table), column.width))
        replace(column, missing=(0.0,) * column.width).put(table, inputs, None)
        column = replace(column, missing=tuple(inputs[there].mean(axis=0).tolist()))
    return replace(column, unseen=unseen == "zeros" and column.values is not None)


def _outputs(table: Table, columns: Columns, output: Any) -> tuple[str, int]:
    """The activation of the outputs, and how many there are."""
    name = None if output is None else as_formula("output", "activation", output, OUTPUT_ACTIVATIONS)
    classes = columns.classes
    if classes is None:
        if name == "softmax" and len(columns.outputs) == 1:
            column = columns.outputs[0].name
            raise ValueError(
                f"output: softmax goes with a category, and {column!r} is a column of numbers; categories=[{column!r}] "
                "says that its numbers are those of classes"
            )
        return name or "identity", len(columns.outputs)
    if len(classes) < 2:
        column = columns.outputs[0].name
        raise ValueError(f"{table.name}: expected two values or more in column {column!r}, got {classes[0]!r} alone")
    alone = len(classes) == 2 and name != "softmax"
    return name or ("sigmoid" if alone else "softmax"), 1 if alone else len(classes)


def _scale(table: Table, columns: Columns, output: str) -> Scale | None:
    """Numbers of mean 0 and standard deviation 1; the inputs of categories and of truth values stay 0 and 1, and
    targets as they are that outputs cannot follow everywhere, or of classes."""
    X, Y = columns.encoded(table, np.float64), None
    scaled = np.array(
        [column.values is None and not table.is_boolean(column.name) for column in columns.inputs for _ in column.names]
    )
    if columns.classes is None:
        Y = np.column_stack([table.numbers(column.name) for column in columns.outputs])
        for column, numbers in zip(columns.outputs, Y.T, strict=True):
            table.refuse_beyond(column.name, numbers, missing=True)
        Y = Y[~np.isnan(Y).any(axis=1)]
        if not len(Y):
            raise ValueError(f"{table.name}: expected a row at least with all its targets, got none")
        if not all(map(math.isinf, reach_of(output))):
            Y = None
    if Y is None and not scaled.any():
        return None
    return Scale._standard_of_some(X, Y, scaled)


def with_names(net: N, X: Any, Y: Any) -> N:
    """The network with the names of its columns, where it knows none and is given numbers in frames that have names.

    Without narwhals frames are arrays without names.
    """
    if net.columns is not None or not is_available():
        return net
    known = {"X": Table("X", X), **({"Y": Table("Y", Y)} if is_frame(Y) else {})}
    for argument, table in known.items():
        for name in table.names:
            if isinstance(name, str) and table.kind(name) == CATEGORY:
                raise ValueError(
                    f"{argument}: expected numbers in column {name!r}, got words; bpjit.Network.for_table makes a "
                    "network that takes them as a category"
                )
    outputs: list[Any] = known["Y"].names if "Y" in known else [name_of(Y)]
    if not all(isinstance(name, str) for name in known["X"].names) or len(known["X"].names) != net.sizes[0]:
        return net
    if not all(isinstance(name, str) for name in outputs) or len(outputs) != net.sizes[-1]:
        outputs = []
    columns = Columns(known["X"].names, outputs)
    return net._of(replace(net._architecture, columns=columns), net._parameters)
