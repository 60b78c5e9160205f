"""From the lines that workers gave to what a ``GroupFit`` is made of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..networks.architecture import Architecture
from ..networks.scales import Scales
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
    settings = columns.values("setting")
    words = json.loads(settings[0])
    if any(each != settings[0] for each in settings):
        raise ValueError("frame: expected lines of workers with the same settings, got others")
    architecture = Architecture.of(**words["like"], scale=None)
    setting = from_file(words, architecture)
    columns.need(setting.key)
    found = coded(columns, setting.key)
    if len(found.keys) < columns.rows:
        raise ValueError("frame: expected one line for each key, got several of one")
    lines = np.argsort(found.codes)
    trained = Trained.room(setting, np.zeros(len(lines), np.int64))
    for name in (*PARTS, "own"):
        getattr(trained, name)[:] = objects(columns.values(name))[lines]
    for name, array in (("parameters", trained.parameters), ("digest", trained.digests)):
        array[:] = _unpacked(name, columns.values(name), lines, array)
    if trained.scales is not None:
        whole = np.concatenate(list(trained.scales.arrays.values()), axis=1)
        whole[:] = _unpacked("scale", columns.values("scale"), lines, whole)
        ends = np.cumsum([array.shape[1] for array in trained.scales.arrays.values()])[:-1]
        parts = np.split(whole, ends, axis=1)
        trained.scales = Scales(dict(zip(trained.scales.arrays, map(np.ascontiguousarray, parts), strict=True)))
    count = len(lines)
    none, zero = np.full(count, -1), np.zeros(count, np.int64)
    nodes = Nodes(found.keys, none, zero, trained.rows, count)
    try:
        check(setting, nodes, trained)
    except ValueError as error:
        raise ValueError(f"frame: {error}") from None
    return setting, nodes, trained, columns.kind


def _unpacked(name: str, values: list[Any], lines: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rows of numbers from bytes."""
    data = b"".join(bytes(values[line]) for line in lines.tolist())
    if len(data) != like.nbytes:
        raise ValueError(f"frame: expected {like[0].nbytes} bytes in each row of column {name!r}, got others")
    return np.frombuffer(data, like.dtype).reshape(like.shape)
