"""Arrays and a few words as safetensors files: nothing in them can run. Written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import IO, Any

import numpy as np

from ..maths.own import UnknownFormula
from .arguments import describe

LONGEST = 400  # letters of an error

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that is open
    fcntl = None  # type: ignore[assignment]


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


def parted(tree: Any, arrays: dict[str, np.ndarray], path: str = "") -> Any:
    """A tree of dicts, lists and plain values as JSON can say it. Its arrays go into ``arrays``, by their paths."""
    if isinstance(tree, np.ndarray):
        arrays[path] = tree
        return {"": path}
    if isinstance(tree, dict):
        return {name: parted(part, arrays, f"{path}.{name}" if path else name) for name, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [parted(part, arrays, f"{path}.{place}") for place, part in enumerate(tree)]
    return tree.item() if isinstance(tree, np.generic) else tree


def joined(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The tree, its tuples now lists, that ``parted`` took apart."""
    if isinstance(tree, dict):
        if tree.keys() == {""}:
            return arrays[tree[""]]
        return {name: joined(part, arrays) for name, part in tree.items()}
    return [joined(part, arrays) for part in tree] if isinstance(tree, list) else tree


def as_path(path: Any, argument: str = "path") -> str:
    """The name of a file: no number, which ``open`` would take for a file that is open already."""
    name = os.fspath(path) if isinstance(path, (str, PathLike)) else None
    if not isinstance(name, str):
        raise TypeError(f"{argument}: expected the name of a file, a str or a pathlib.Path, got {describe(path)}")
    if not name or "\0" in name:
        raise ValueError(f"{argument}: expected the name of a file, got {name!r}")
    return name


def write_whole(path: str | PathLike[str], data: bytes) -> None:
    """Write a file, whole or not at all. One that was there keeps its mode; a symbolic link stays, and what it leads to
    is written.

    First to a file beside it, then renamed, so that a full disk or a kill in between leaves what was there before. What
    a kill leaves beside it goes with the next that is written under this name. ``OSError`` names ``path``.
    """
    name = as_path(path)
    try:
        before = _mode_of(name)
        folder, last = os.path.split(os.path.realpath(name))
        beside = f".bpjit-{hashlib.blake2b(os.fsencode(last), digest_size=8).hexdigest()}-"  # of any name this short
        _sweep(folder, beside)
        while not _write(os.path.join(folder, last), os.path.join(folder, beside), before, data):
            pass
    except OSError as error:
        if error.errno is None:  # not of the system
            raise
        raise OSError(error.errno, error.strerror, name) from error


def _mode_of(name: str) -> os.stat_result | None:
    """What is known of a file, or None if there is none yet."""
    try:
        found = os.stat(name)
    except FileNotFoundError:
        if os.path.basename(name):
            return None
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
    if not stat.S_ISREG(found.st_mode):  # renaming would put a file in the place of a device
        reason = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(reason, os.strerror(reason))
    return found


def _write(place: str, beside: str, before: os.stat_result | None, data: bytes) -> bool:
    """Write to a file beside the place and rename it; False if another process swept that away before it was locked."""
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode)
    part = f"{beside}{secrets.token_hex(8)}.part"
    try:
        with open(part, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            with contextlib.suppress(OSError):  # not on every file system
                _lock(file, wait=True)
            if os.fstat(file.fileno()).st_nlink == 0:
                return False
            if before is not None:
                if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    with contextlib.suppress(OSError):
                        os.chown(part, before.st_uid, before.st_gid)
                os.chmod(part, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            os.replace(part, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    return True


def _sweep(folder: str, beside: str) -> None:
    """Remove what was being written when its writer was killed: what nobody holds a lock of."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(beside) and entry.name.endswith(".part") and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError), open(entry.path, "rb") as file:
                    _lock(file, wait=False)
                    if fcntl is None:
                        file.close()
                    os.unlink(entry.path)


def _lock(file: IO[bytes], wait: bool) -> None:
    """Lock a file until it is closed; ``OSError`` if another has locked it, or where it cannot be."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def read(
    path: str | PathLike[str], form: str, version: str, older: Sequence[str] = ()
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The words and arrays of a file of this format and version, or of one of the ``older`` versions that the caller
    reads too: ``words["version"]`` tells which.

    ``OSError`` if it is missing or cannot be read, ``ValueError`` if it is damaged, of another kind or newer.
    """
    import safetensors

    name = as_path(path)
    with open(name, "rb"):
        pass  # so that a missing or unreadable file is an OSError that names it
    expected = f"path: expected a {form} file, {name!r} is"
    try:
        with safetensors.safe_open(name, framework="numpy") as file:
            words = dict(file.metadata() or {})
            if words.get("format") == form and words.get("version") in (version, *older):
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                if words.pop("digest", None) != digest(words, tensors):
                    raise ValueError("its digest does not fit")
                return words, tensors
    except (safetensors.SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{expected} damaged: {in_short(error)}") from error
    if words.get("format") != form:
        raise ValueError(f"{expected} of another kind")
    found, known = words.get("version", ""), " or ".join(repr(each) for each in (version, *older))
    other = "a newer" if found.isdecimal() and len(found) < 9 and int(found) > int(version) else "another"
    raise ValueError(f"{expected} of version {in_short(repr(found))}, not {known}; {other} bpjit may read it")


@contextlib.contextmanager
def damaged(message: str) -> Iterator[None]:
    """Let all that the words and arrays of a file cannot be meant to say be a ``ValueError``: ``path: {message}``."""
    with refused(f"path: {message}"):
        yield


WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)  # one of them is recursion


@contextlib.contextmanager
def refused(begin: str) -> Iterator[None]:
    """Let whatever goes wrong with what others made be a ``ValueError``: ``{begin}: {what went wrong}``."""
    try:
        yield
    except UnknownFormula as error:
        raise UnknownFormula(in_short(error)) from error
    except WRONG as error:
        said = in_short(error).removeprefix(f"{begin}: ")
        raise ValueError(f"{begin}: {said}{' not found' * (type(error) is KeyError)}") from error


def in_short(error: Any) -> str:
    """What an error says, in one line of some hundred letters, whatever of a file it quotes."""
    text = " ".join(str(error)[: 2 * LONGEST].split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
