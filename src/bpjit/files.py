"""Arrays and a few words as safetensors files: nothing in them can run. Written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from os import PathLike
from pathlib import Path

import numpy as np


def digest(words: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """A fingerprint of words and arrays: a single bit that flipped on a disk shows."""
    sums = hashlib.blake2b(json.dumps(words, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        sums.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode() + tensors[name].tobytes())
    return sums.hexdigest()


def write(
    path: str | PathLike[str], form: str, version: str, words: dict[str, str], tensors: dict[str, np.ndarray]
) -> None:
    """Write arrays and words to ``path``, marked as of this format and version."""
    import safetensors.numpy

    words = {"format": form, "version": version, **words}
    words["digest"] = digest(words, tensors)
    data = safetensors.numpy.save({name: array.copy() for name, array in tensors.items()}, metadata=words)
    write_whole(path, data)


def write_whole(path: str | PathLike[str], data: bytes) -> None:
    """Write a file, whole or not at all.

    First to a file beside it, then renamed, so that a full disk or a kill in between leaves what was there before.
    """
    place = Path(path)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: str | PathLike[str], form: str, version: str) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The words and arrays of a file of this format and version.

    ``OSError`` if it is missing or cannot be read, ``ValueError`` if it is damaged or of another kind.
    """
    import safetensors

    with open(path, "rb"):
        pass  # so that a missing or unreadable file is an OSError that names it
    expected = f"path: expected a {form} file, {str(path)!r} is"
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            words = dict(file.metadata() or {})
            if words.get("format") == form and words.get("version") == version:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                if words.pop("digest", None) != digest(words, tensors):
                    raise ValueError("its digest does not fit")
                return words, tensors
    except Exception as error:  # the format's own errors, of several kinds
        raise ValueError(f"{expected} damaged: {error}") from error
    if words.get("format") != form:
        raise ValueError(f"{expected} of another kind")
    raise ValueError(f"{expected} of version {words.get('version')!r}, not {version!r}; another bpjit may read it")
