"""From the lines that workers gave to what a ``GroupFit`` is made of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..common.files import refused
from ..networks.architecture import Architecture
from ..networks.scales import Scales
from .chunks import DIGEST
from .columns import Columns
from .keys import coded
from .nodes import Nodes
from .setting import GroupSetting, from_file
from .storing import check
from .table import objects
from .training import Trained

PARTS = "rows", "left_out", "error", "validation_error", "epochs", "stopped_by", "note"  # of a line
PACKED = "own", "parameters", "scale", "digest", "setting"


def joined(frame: Any) -> tuple[GroupSetting, Nodes, Trained, str]:
    """The fit of all keys whose lines these are."""
    columns = Columns("frame", frame)
    columns.need((*PARTS, *PACKED))
    with refused("frame"):
        return _joined(columns)


def _joined(columns: Columns) -> tuple[GroupSetting, Nodes, Trained, str]:
    settings = columns.values("setting")
    if any(each != settings[0] for each in settings):
        raise ValueError("expected lines of workers with the same settings, got others")
    with refused("expected the settings of a GroupWorker in column 'setting', got others"):
        words = json.loads(settings[0])
        architecture = Architecture.of(**words["like"], scale=None)
        parameters = _packed("parameters", columns, architecture.parameters * architecture.dtype.itemsize)
        setting = from_file(words, architecture)
    columns.need(setting.key)
    found = coded(columns, setting.key)
    if len(found.keys) < columns.rows:
        raise ValueError("expected one line for each key, got several of one")
    lines = np.argsort(found.codes)
    trained = Trained.room(setting, np.zeros(len(lines), np.int64))
    for name in (*PARTS, "own"):
        getattr(trained, name)[:] = objects(columns.values(name))[lines]
    trained.parameters[:] = _unpacked(parameters, lines, trained.parameters)
    trained.digests[:] = _unpacked(_packed("digest", columns, DIGEST), lines, trained.digests)
    if trained.scales is not None:
        whole = np.concatenate(list(trained.scales.arrays.values()), axis=1)
        whole[:] = _unpacked(_packed("scale", columns, whole[0].nbytes), lines, whole)
        ends = np.cumsum([array.shape[1] for array in trained.scales.arrays.values()])[:-1]
        parts = np.split(whole, ends, axis=1)
        trained.scales = Scales(dict(zip(trained.scales.arrays, map(np.ascontiguousarray, parts), strict=True)))
    count = len(lines)
    none, zero = np.full(count, -1), np.zeros(count, np.int64)
    nodes = Nodes(found.keys, none, zero, trained.rows, count)
    check(setting, nodes, trained)
    return setting, nodes, trained, columns.kind


def _packed(name: str, columns: Columns, length: int) -> list[bytes | bytearray]:
    """The bytes of each row of a column, so many in each."""
    values = columns.values(name)
    packed = [each for each in values if isinstance(each, (bytes, bytearray)) and len(each) == length]
    if len(packed) < len(values):
        raise ValueError(f"expected {length} bytes in each row of column {name!r}, got others")
    return packed


def _unpacked(packed: list[bytes | bytearray], lines: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rows of numbers from bytes."""
    return np.frombuffer(b"".join(packed[line] for line in lines.tolist()), like.dtype).reshape(like.shape)
