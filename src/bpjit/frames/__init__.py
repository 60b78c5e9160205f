"""Frames of pandas, polars, pyarrow and whatever else narwhals reads, as numbers and labels. Here: what is one, told
from the names of classes, so that no library is imported to find out; ``reading`` looks into them.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any

import numpy as np

LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf", "narwhals")
EAGER, LAZY, SERIES = "eager", "lazy", "series"
FRAMES: tuple[str | None, ...] = (EAGER, LAZY)
CLASSES = {
    "DataFrame": EAGER,
    "Table": EAGER,
    "RecordBatch": EAGER,
    "LazyFrame": LAZY,
    "Series": SERIES,
    "ChunkedArray": SERIES,
}
PROTOCOLS = {"__narwhals_dataframe__": EAGER, "__narwhals_lazyframe__": LAZY, "__narwhals_series__": SERIES}


@functools.lru_cache(maxsize=256)
def kind_of(given: Any) -> str | None:
    """What a class is, from its name and those of its bases: no library is imported for it."""
    for protocol, kind in PROTOCOLS.items():
        if hasattr(given, protocol):
            return kind
    for base in given.__mro__:
        if base.__name__ in CLASSES and base.__module__.partition(".")[0] in LIBRARIES:
            return CLASSES[base.__name__]
    return None


def is_frame(value: Any) -> bool:
    """Whether it is a table with names for its columns, a lazy one too."""
    given: Any = type(value)
    return given is not np.ndarray and kind_of(given) in FRAMES


def is_series(value: Any) -> bool:
    """Whether it is a column of a frame."""
    given: Any = type(value)
    return given is not np.ndarray and kind_of(given) == SERIES


def name_of(value: Any) -> str | None:
    """The name of a column of a frame, or None."""
    name = getattr(value, "name", None) if is_series(value) else None
    return name if isinstance(name, str) and name else None


def is_available() -> bool:
    """Whether narwhals is installed."""
    return find_spec("narwhals") is not None


def of_row(value: Any) -> Any:
    """A row of a frame, whose numbers and words have names, as a frame of one row; None if it is none."""
    if not is_series(value) or not hasattr(value, "index") or not hasattr(value, "to_frame"):
        return None
    return value.to_frame().T if all(isinstance(name, str) for name in value.index) else None
