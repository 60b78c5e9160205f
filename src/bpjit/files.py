"""Networks as safetensors files: arrays and a few words, nothing that could run. Written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .network import Network
from .scale import ARRAYS, Scale

FORMAT = "bpjit network"
VERSION = "1"


def save(net: Network, path: str | PathLike[str]) -> None:
    """Write ``net`` to ``path``: first to a file beside it, then renamed, so that a full disk or a kill in between
    leaves what was there before."""
    import safetensors.numpy

    tensors: dict[str, np.ndarray] = {}
    for index, (weights, thresholds) in enumerate(zip(net.weights, net.thresholds, strict=True)):
        tensors[f"weights.{index}"] = weights.copy()
        tensors[f"thresholds.{index}"] = thresholds.copy()
    if net.scale is not None:
        tensors |= {f"scale.{name}": array for name, array in net.scale.arrays.items()}
    words = {
        "format": FORMAT,
        "version": VERSION,
        "sizes": json.dumps(net.sizes),
        "hidden": json.dumps(net.hidden),
        "output": net.output,
    }
    write_atomically(Path(path), safetensors.numpy.save(tensors, metadata=words))


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of ``path``, or leave that as it is."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def load(path: str | PathLike[str]) -> Network:
    """Read a network that ``save`` wrote; ``OSError`` if it is missing, ``ValueError`` if damaged or foreign."""
    import safetensors

    with open(path, "rb"):
        pass  # so that a missing or unreadable file is an OSError that names it
    tensors: dict[str, np.ndarray] = {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            words = dict(file.metadata() or {})
            if words.get("format") == FORMAT:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except Exception as error:  # the format's own errors, of several kinds
        raise ValueError(f"path: expected a file written by Network.save, {str(path)!r} is damaged: {error}") from error
    if words.get("format") != FORMAT:
        raise ValueError(f"path: expected a file written by Network.save, {str(path)!r} is of another kind")
    if words.get("version") != VERSION:
        raise ValueError(
            f"path: expected a network file of version {VERSION}, {str(path)!r} has version {words.get('version')!r}; "
            "a newer bpjit may read it"
        )
    try:
        return _assemble(words, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"path: the network in {str(path)!r} is damaged: {error}") from error


def _assemble(words: dict[str, str], tensors: dict[str, Any]) -> Network:
    layers = range(len(json.loads(words["sizes"])) - 1)
    arrays = [tensors.get(f"scale.{name}") for name in ARRAYS]
    weights = [tensors[f"weights.{index}"] for index in layers]
    thresholds = [tensors[f"thresholds.{index}"] for index in layers]
    net = Network.from_arrays(
        weights,
        thresholds,
        hidden=json.loads(words["hidden"]),
        output=words["output"],
        scale=None if arrays[0] is None else Scale(*arrays),
    )
    if list(net.sizes) != json.loads(words["sizes"]):
        raise ValueError(f"sizes {words['sizes']} do not fit arrays of sizes {net.sizes}")
    return net
