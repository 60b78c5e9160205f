"""A ``GroupFit`` as one safetensors file, and as plain arrays."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import numpy as np

from ..networks import storage
from ..networks.architecture import Architecture
from ..networks.scale import ARRAYS
from ..networks.scales import Scales
from .keys import from_words, in_words
from .nodes import Nodes
from .setting import GroupSetting, from_file
from .table import objects
from .training import Trained

FORMAT, VERSION = "bpjit group fit", "1"  # of files
WORDS = "stopped_by", "note"
NUMBERS = "parameters", "own", "rows", "left_out", "error", "validation_error", "epochs", "digests"


def save(path: str | PathLike[str], setting: GroupSetting, nodes: Nodes, trained: Trained, kind: str) -> None:
    """Write all, whole or not at all."""
    tensors = {name: getattr(trained, name) for name in NUMBERS}
    tensors |= {"parents": nodes.parents, "starts": nodes.starts, "counts": nodes.counts}
    if trained.scales is not None:
        tensors |= {f"scales.{name}": array for name, array in trained.scales.arrays.items()}
    lists = {"keys": [in_words(key) for key in nodes.keys], **{name: getattr(trained, name).tolist() for name in WORDS}}
    tensors |= {name: np.frombuffer(json.dumps(words).encode(), np.uint8) for name, words in lists.items()}
    words = {"setting": json.dumps(setting.words()), "kind": kind, "full": str(nodes.full)}
    storage.save(path, FORMAT, VERSION, setting.like._architecture, tensors, words)


def load(path: str | PathLike[str]) -> tuple[GroupSetting, Nodes, Trained, str]:
    """Read what ``save`` wrote."""
    with storage.opened(path, FORMAT, VERSION) as file:
        tensors, words = file.tensors, file.words
        *_, output = (file.settings["output"],)
        dtype = tensors["parameters"].dtype
        architecture = Architecture.of(file.sizes, file.settings["hidden"], output, dtype, None)
        lists = {name: json.loads(tensors[name].tobytes()) for name in ("keys", *WORDS)}
        expected, shape = (len(lists["keys"]), architecture.parameters), tensors["parameters"].shape
        if shape != expected:  # before memory is taken for what the sizes say
            raise ValueError(f"expected parameters of shape {expected}, got {shape}")
        setting = from_file(json.loads(words["setting"]), architecture)
        keys = [from_words(key) for key in lists["keys"]]
        nodes = Nodes(keys, tensors["parents"], tensors["starts"], tensors["counts"], int(words["full"]))
        arrays: dict[str, Any] = {name: tensors[name] for name in NUMBERS}
        arrays |= {name: objects([str(word) for word in lists[name]]) for name in WORDS}
        scales = {name: tensors[f"scales.{name}"] for name in ARRAYS if f"scales.{name}" in tensors}
        trained = Trained(scales=Scales(scales) if scales else None, **arrays)
        check(setting, nodes, trained)
        return setting, nodes, trained, words["kind"]


def check(setting: GroupSetting, nodes: Nodes, trained: Trained) -> None:
    """Raise ``ValueError`` that says what does not fit the rest."""
    n = len(nodes.keys)
    wanted = Trained.room(setting, np.zeros(n, np.int64))
    for name in (*NUMBERS, *WORDS):
        _check_array(name, getattr(trained, name), getattr(wanted, name))
    for name in ("parents", "starts", "counts"):
        _check_array(name, getattr(nodes, name), wanted.rows)
    if (trained.scales is None) != (wanted.scales is None):
        raise ValueError("expected scales where the setting has them, and only there")
    if trained.scales is not None and wanted.scales is not None:
        if trained.scales.arrays.keys() != wanted.scales.arrays.keys():
            raise ValueError(f"expected scales of {list(wanted.scales.arrays)}, got {list(trained.scales.arrays)}")
        for name, array in wanted.scales.arrays.items():
            mine = trained.scales.arrays[name]
            _check_array(name, mine, array)
            if not np.isfinite(mine).all() or (name.endswith("factor") and not mine.all()):
                raise ValueError(f"expected {name} of finite numbers, factors not 0")
    if not np.isfinite(trained.parameters).all():
        raise ValueError("expected parameters of finite numbers, got NaN or infinity")
    depth = len(setting.key)
    if any(len(key) > depth for key in nodes.keys) or len(set(nodes.keys)) < n or not 1 <= nodes.full <= n:
        raise ValueError(f"expected different keys of {depth} values, and their parents")
    if any(len(key) != depth for key in nodes.keys[: nodes.full]):
        raise ValueError(f"expected keys of {depth} values")
    above = nodes.parents >= 0
    if (nodes.parents >= n).any() or (nodes.parents[above] <= np.flatnonzero(above)).any():
        raise ValueError("expected parents that come after their children")


def _check_array(name: str, array: np.ndarray, like: np.ndarray) -> None:
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"expected {name} of shape {like.shape} and dtype {like.dtype}, got {array.shape} and {array.dtype}"
        )
