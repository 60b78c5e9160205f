"""Architecture: what networks of one kind share, sizes, activations, dtype, scale, columns; and what needs no more.

``HasArchitecture`` is what one network and many have in common. ``views`` says where each layer's parameters stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..common.arguments import (
    as_array,
    as_choice,
    as_dtype,
    as_input_numbers,
    as_integer,
    as_numbers,
    as_targets,
    check_inputs,
    describe,
    expected_inputs,
)
from ..frames import is_frame, of_row
from ..kernels.layout import ACTIVATION_CODES, Units, lay_out, number_of_parameters, places_of_layers, reach_of
from ..maths.own import SHIPPED, Own, UnknownFormula, find
from .scale import Scale, as_fitting, as_scale

if TYPE_CHECKING:  # what no network needs that knows no table is imported where it is used
    from ..frames.reading import Table
    from .columns import Columns

HIDDEN_ACTIVATIONS = tuple(name for name in ACTIVATION_CODES if name != "softmax")
OUTPUT_ACTIVATIONS = tuple(ACTIVATION_CODES)
MOST_PARAMETERS = 2**31
BLOCK = 1 << 17  # numbers that are converted at a time
ROWS = 128  # a block has a multiple of so many, as the kernels take them: bits do not depend on blocks


def as_sizes(sizes: Any) -> tuple[int, ...]:
    """Sizes of a network: at least inputs and outputs, each at least 1, together not beyond any memory."""
    expected = "two or more whole numbers >= 1, such as (2, 4, 1)"
    if isinstance(sizes, (str, bytes, dict)) or not hasattr(sizes, "__iter__"):
        raise TypeError(f"sizes: expected {expected}, got {describe(sizes)}")
    values = tuple(as_integer(f"sizes[{index}]", size, low=1) for index, size in enumerate(sizes))
    if len(values) < 2:
        raise ValueError(f"sizes: expected {expected}, got {describe(sizes)}")
    if number_of_parameters(values) > MOST_PARAMETERS:
        raise ValueError(f"sizes: expected at most {MOST_PARAMETERS} parameters, got {number_of_parameters(values)}")
    return values


def as_formula(argument: str, role: str, name: Any, choices: tuple[str, ...]) -> str:
    """An activation or a loss: one of the names that kernels know, or of the formulas of the user's own."""
    if isinstance(name, str) and not isinstance(name, Own) and (name in SHIPPED[role] or "#" in name or "(" in name):
        from ..own.shipped import shipped

        found = find(role, name) or shipped(role, name)
        if found is None:
            raise UnknownFormula(
                f"{argument}: {name!r} is a formula that is not known here; make it first, as it was made where this "
                f"comes from, by bpjit.{role}(...)"
            )
        return found
    if isinstance(name, Own) and name.role == role:
        return name
    return as_choice(argument, name, (*choices, *SHIPPED[role]))


def as_activations(hidden: Any, output: Any, sizes: tuple[int, ...]) -> tuple[str, ...]:
    """The activation of each layer."""
    layers = len(sizes) - 2
    if isinstance(hidden, str):
        hidden = [as_formula("hidden", "activation", hidden, HIDDEN_ACTIVATIONS)] * layers
    elif isinstance(hidden, (list, tuple)):
        hidden = [
            as_formula(f"hidden[{index}]", "activation", name, HIDDEN_ACTIVATIONS) for index, name in enumerate(hidden)
        ]
    else:
        raise TypeError(f"hidden: expected a name, or a list with one for each hidden layer, got {describe(hidden)}")
    if len(hidden) != layers:
        raise ValueError(f"hidden: expected {layers} names, one for each hidden layer, got {len(hidden)}")
    output = as_formula("output", "activation", output, OUTPUT_ACTIVATIONS)
    if output == "softmax" and sizes[-1] == 1:
        raise ValueError('output: a softmax over one output is always 1; expected "sigmoid" or two outputs or more')
    return (*hidden, output)


def class_numbers(outputs: np.ndarray, cut: float = 0.5) -> Any:
    """The class that outputs stand for, [shape: (..., l)] to (...): that of the largest, or with one output 1 where it
    is at least ``cut``."""
    return (outputs[..., 0] >= cut).astype(np.int64) if outputs.shape[-1] == 1 else outputs.argmax(-1)


def views(vector: np.ndarray, sizes: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights, thresholds) of each layer, as views of a vector laid out as the parameters are, or of many vectors."""
    views = []
    for place in places_of_layers(sizes):
        end = place.thresholds + place.fan_out
        weights = vector[..., place.weights : place.thresholds]
        weights = weights.reshape(*vector.shape[:-1], place.fan_in, place.fan_out)
        views.append((weights, vector[..., place.thresholds : end]))
    return views


@dataclass(frozen=True)
class Architecture:
    """What networks of one kind share; and the way of data into their units and back."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]  # of each layer, the outputs' last
    dtype: np.dtype
    scale: Scale | None
    columns: Columns | None = None

    @classmethod
    def of(cls, sizes: Any, hidden: Any, output: Any, dtype: Any, scale: Any, columns: Any = None) -> Architecture:
        """The architecture that these arguments of ``Network`` stand for."""
        sizes = as_sizes(sizes)
        activations, scale = as_activations(hidden, output, sizes), as_scale(scale, sizes)
        if columns is not None:
            from .columns import as_columns

            columns = as_columns(columns, sizes, scale)
        return cls(sizes, activations, as_dtype("dtype", dtype), scale, columns)

    @property
    def unscaled(self) -> Architecture:
        """The same without a scale and columns: that of networks that take and give their own units."""
        return replace(self, scale=None, columns=None)

    @property
    def parameters(self) -> int:
        """How many weights and thresholds."""
        return number_of_parameters(self.sizes)

    @cached_property
    def layers(self) -> np.ndarray:
        """The ``LAYER`` records, as kernels take them."""
        return lay_out(self.sizes, self.activations)

    def units(self) -> Units:
        """Work space for all units."""
        return Units.of(self.sizes, self.dtype)

    # --- The user's units and the network's.

    def as_inputs(self, X: Any) -> tuple[np.ndarray, bool]:
        """Samples in the network's units, [shape: (m, d)], and whether X was a single one."""
        X, single = self.input_numbers(X)
        return self.scaled_inputs("X", X), single

    def input_numbers(self, X: Any) -> tuple[np.ndarray, bool]:
        """Samples as they came, [shape: (m, d)], not yet checked for NaN, and whether X was a single one."""
        d = self.sizes[0]
        if type(X) is not np.ndarray and self.columns is not None:
            row = of_row(X)
            table = self.table("X", X if row is None else row)
            if table is not None:
                return self.encoded(table), row is not None
        try:
            X = as_numbers("X", X, f"finite numbers of shape (m, {d}), or ({d},) for one sample")
            return check_inputs("X", X[None] if X.ndim == 1 else X, d), X.ndim == 1
        except (TypeError, ValueError) as error:
            raise self._or_frame(error) from error

    def table(self, name: str, X: Any) -> Table | None:
        """X as a table, if it is one and the columns are known that are to be found in it."""
        if self.columns is None or not is_frame(X):
            return None
        from ..frames.reading import Table

        return Table(name, X)

    def encoded(self, table: Table, rows: np.ndarray | None = None) -> np.ndarray:
        """Samples as a table has them, [shape: (m, d)], those of ``rows`` checked, None for all."""
        assert self.columns is not None
        return self.columns.encoded(table, self.dtype if self.scale is None else np.float64, rows)

    def as_samples(self, name: str, X: Any) -> np.ndarray:
        """Samples as they came, [shape: (m, d)]; an array not yet checked for NaN."""
        table = None if type(X) is np.ndarray else self.table(name, X)
        if table is not None:
            return self.encoded(table)
        try:
            return as_input_numbers(name, X, self.sizes[0])
        except (TypeError, ValueError) as error:
            raise self._or_frame(error) from error

    def _or_frame(self, error: Exception) -> Exception:
        """An error about an array; it tells of the frame that could come as well."""
        if self.columns is None:
            return error
        return type(error)(f"{error}; a frame has the columns {self.columns.in_short()}")

    def blocks(self, X: np.ndarray) -> list[slice]:
        """Rows of samples as they came that are to be brought into the network's units at a time: all, where they are
        in them, else so many that what is made of them takes little memory."""
        ready = self.scale is None and X.dtype == self.dtype and X.flags.c_contiguous and X.flags.aligned
        return [slice(0, len(X))] if ready else self.parts(len(X))

    def parts(self, m: int) -> list[slice]:
        """So many rows, in blocks."""
        some = max(1, BLOCK // self.sizes[0] // ROWS) * ROWS
        return [slice(first, min(first + some, m)) for first in range(0, m, some)]

    def scaled_inputs(self, name: str, X: Any) -> np.ndarray:
        """Samples in the network's units, [shape: (m, d)]."""
        return self.in_units(name, self.as_samples(name, X))

    def in_units(self, name: str, X: np.ndarray, rows: Any = None, finite: bool = True) -> np.ndarray:
        """Samples as they came in the network's units, of these ``rows`` alone: a slice, or numbers. Without ``finite``
        somebody else sees to that."""
        if self.scale is None:
            return as_array(name, X, self.dtype, expected_inputs(self.sizes[0]), finite, rows)
        places = range(len(X)) if rows is None else range(len(X))[rows] if isinstance(rows, slice) else rows
        parts = self.parts(len(places))
        if len(parts) == 1:
            return self._scaled(name, X, rows, finite)
        scaled = np.empty((len(places), self.sizes[0]), self.dtype)
        for part in parts:
            here = places[part]
            here = slice(here.start, here.stop) if isinstance(here, range) else here
            scaled[part] = self._scaled(name, X, here, finite)
        return scaled

    def _scaled(self, name: str, X: np.ndarray, rows: Any, finite: bool) -> np.ndarray:
        assert self.scale is not None
        X = as_array(name, X, np.dtype(np.float64), expected_inputs(self.sizes[0]), finite, rows)
        scaled = self.scale.scale_inputs(X, self.dtype)
        return as_fitting(name, scaled) if finite else scaled

    def targets(self, name: str, Y: Any, m: int, rows: Any = None, missing: bool = False) -> np.ndarray:
        """Targets of m samples in the user's units, [shape: (m, l)]; of these ``rows``, and NaN where they may be
        ``missing``."""
        dtype = self.dtype if self.scale is None else np.dtype(np.float64)  # scaling wants float64
        if self.columns is not None:
            Y = self.columns.targets(name, Y, self.sizes[-1], self.ends, rows, missing)
        return as_targets(name, Y, m, self.sizes[-1], dtype, self.activations[-1] == "softmax", rows, missing)

    def scaled_targets(self, name: str, Y: np.ndarray, missing: bool = False) -> np.ndarray:
        """What ``targets`` gave, in the network's units."""
        return Y if self.scale is None else as_fitting(name, self.scale.scale_targets(Y, self.dtype), missing)

    def unscaled_outputs(self, y_hat: np.ndarray) -> np.ndarray:
        """Outputs [shape: (..., l)] in the user's units."""
        return y_hat if self.scale is None else self.scale.unscale_targets(y_hat)

    # --- Classes.

    @property
    def reach(self) -> tuple[float, float]:
        """What an output lies within, in the network's units."""
        return reach_of(self.activations[-1])

    @property
    def ends(self) -> tuple[float, float]:
        """The targets of classes: the ends of what an output can reach, or 0 and 1."""
        return self.reach if all(map(math.isfinite, self.reach)) else (0.0, 1.0)

    @cached_property
    def cut(self) -> float:
        """From where on a single output stands for class 1, in the user's units: the middle of what it can reach, or
        ½."""
        middle = sum(self.reach) / 2
        return float(self.unscaled_outputs(np.array([middle]))[0]) if math.isfinite(middle) else 0.5

    def classes_of_outputs(self, y_hat: np.ndarray) -> Any:
        """The classes that outputs in the user's units stand for, [shape: (..., l)] to (...)."""
        return class_numbers(y_hat, self.cut)

    def labels_of_outputs(self, y_hat: np.ndarray) -> Any:
        """The same by the values of the category that the outputs are of, where it is known."""
        numbers = self.classes_of_outputs(y_hat)
        return numbers if self.columns is None else self.columns.labels(numbers)

    def classes_of_targets(self, name: str, targets: np.ndarray) -> np.ndarray:
        """The class of each sample, [shape: (m,)], from targets in the user's units, which must be those of classes:
        two values, and with several outputs one of the larger in each row."""
        low, high = targets.min(), targets.max()
        above = targets == high
        if targets.shape[1] == 1:
            fits = low == high or low < self.cut <= high
        else:
            fits = (above.sum(axis=1) == 1).all()
        if not (fits and (above | (targets == low)).all()):
            expected = "one 1 in each row and else 0" if targets.shape[1] > 1 else f"two values around {self.cut:g}"
            raise ValueError(
                f"class_weight: expected {name} to be targets of classes, {expected}; got others, from {low:g} to "
                f"{high:g}. sample_weight takes a weight for each sample"
            )
        return np.asarray(self.classes_of_outputs(targets))

    # --- Printing.

    def in_words(self, each: str = "") -> str:
        """As networks print it."""
        *hidden, output = self.activations
        names = (
            [] if not hidden else [f"hidden {'-'.join(map(format, hidden[:1] if len(set(hidden)) == 1 else hidden))}"]
        )
        names += [f"output {output}", self.dtype.name, f"{self.parameters} parameters{each}"]
        if self.scale is not None:
            names.append("scaled")
        if self.columns is not None:
            names.append(f"{len(self.columns.inputs)} columns")
        return f"{'-'.join(map(str, self.sizes))}, {', '.join(names)}"


class HasArchitecture:
    """One network, or many of one kind: an architecture and parameters, [shape: (n,) or (networks, n)]."""

    _architecture: Architecture
    _parameters: np.ndarray

    @classmethod
    def _of(cls, architecture: Architecture, parameters: np.ndarray) -> Self:
        """With parameters that are known to be good, and become its own."""
        made = cls.__new__(cls)
        made._architecture, made._parameters = architecture, parameters
        return made

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, of units of each hidden layer, of outputs."""
        return self._architecture.sizes

    @property
    def hidden(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        return self._architecture.activations[:-1]

    @property
    def output(self) -> str:
        """The activation of the outputs."""
        return self._architecture.activations[-1]

    @property
    def dtype(self) -> np.dtype:
        """float64 or float32."""
        return self._architecture.dtype

    @property
    def scale(self) -> Scale | None:
        """The scaling of inputs and targets that a network carries."""
        return self._architecture.scale

    @property
    def columns(self) -> Columns | None:
        """The columns of a table that a network takes and gives, where it knows them."""
        return self._architecture.columns

    @property
    def parameters(self) -> np.ndarray:
        """All weights and thresholds of a network in one vector, layer by layer: W row by row, then θ; of many
        networks, a row for each. Read-only."""
        view = self._parameters.view()
        view.flags.writeable = False
        return view

    @property
    def weights(self) -> list[np.ndarray]:
        """W of each layer, [shape: (fan_in, fan_out)], of many networks (networks, fan_in, fan_out), as read-only views
        of ``parameters``."""
        return [weights for weights, _ in views(self.parameters, self.sizes)]

    @property
    def thresholds(self) -> list[np.ndarray]:
        """θ of each layer, [shape: (fan_out,)], of many networks (networks, fan_out), as read-only views of
        ``parameters``."""
        return [thresholds for _, thresholds in views(self.parameters, self.sizes)]

    @property
    def _activations(self) -> tuple[str, ...]:
        return self._architecture.activations

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return (
            self._architecture == other._architecture
            and self._parameters.shape == other._parameters.shape
            and self._parameters.tobytes() == other._parameters.tobytes()
        )

    __hash__ = None  # type: ignore[assignment]


def same_kind(a: HasArchitecture, b: HasArchitecture) -> bool:
    """Whether networks differ in nothing but parameters."""
    return a._architecture == b._architecture
