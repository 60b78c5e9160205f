"""Networks as files: the words and arrays that every kind of file says an architecture with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from ..common.files import damaged, read, write
from .architecture import Architecture
from .scale import ARRAYS, Scale


class File(NamedTuple):
    """What a file says."""

    sizes: Any  # a list, if nobody wrote something else
    settings: dict[str, Any]  # hidden, output, scale and columns, as ``Network`` takes them
    words: dict[str, str]
    tensors: dict[str, np.ndarray]


def save(
    path: str | PathLike[str],
    form: str,
    version: str,
    architecture: Architecture,
    tensors: Mapping[str, np.ndarray],
    words: Mapping[str, str] | None = None,
) -> None:
    """Write an architecture, with more arrays and words, whole or not at all."""
    *hidden, output = architecture.activations
    said = {"sizes": json.dumps(architecture.sizes), "hidden": json.dumps(hidden), "output": output}
    if architecture.columns is not None:
        said["columns"] = architecture.columns.to_words()
    scale = architecture.scale.arrays if architecture.scale else {}
    arrays = {**tensors, **{f"scale.{name}": array for name, array in scale.items()}}
    write(path, form, version, {**said, **(words or {})}, arrays)


@contextmanager
def opened(path: str | PathLike[str], form: str, version: str, older: Sequence[str] = ()) -> Iterator[File]:
    """What a file of this kind, and of this version or an ``older`` one, says; ``OSError`` if it is missing,
    ``ValueError`` if it is damaged or foreign, also if what is made of it within the ``with`` finds so."""
    words, tensors = read(path, form, version, older)
    name = form.removeprefix("bpjit ")
    with damaged(f"the {name} in {str(path)!r} {'are' if name == 'networks' else 'is'} damaged"):
        columns = None
        if "columns" in words:
            from .columns import Columns

            columns = Columns.from_words(words["columns"])
        arrays = {name: tensors[f"scale.{name}"] for name in ARRAYS if f"scale.{name}" in tensors}
        settings = {
            "hidden": json.loads(words["hidden"]),
            "output": words["output"],
            "scale": Scale(**arrays) if arrays else None,
            "columns": columns,
        }
        yield File(json.loads(words["sizes"]), settings, words, tensors)
