"""Machine code on disk: one file for each kernel, kind of arguments, compiler, processor and state of our sources.

There is no index. The name of a file follows from its key, which says what it must hold. The key stands in the file,
too, under a digest of all that the file holds. So nothing runs but what was asked for: whatever else a file may be
(damaged, half written, another's) counts as none, and what is compiled in its stead takes its place. A cache that
cannot be written costs nothing but the time to compile.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import llvmlite
import numba
from numba import types

from .insides import CompileResultCacheImpl, NullCache, config, serialize, sigutils

DAY = 86400.0  # seconds
LIFETIME = 30 * DAY  # of machine code that nobody uses, made from other sources or for another processor
LEFT_BEHIND = DAY / 24  # after which a temporary file must be that of a process that was killed
TEMPORARY = ".nbc-tmp"  # how their names end
DIGEST, LENGTH = 32, 8  # bytes, of the digest and of the key's length, with which a file begins

# What besides sources, compiler and processor decides about machine code.
SETTINGS = ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT", "USING_SVML")


def hash_of_sources() -> str:
    """A fingerprint of every source file of bpjit; empty where they are not to be found, as in a zip."""
    here = os.path.realpath(__file__)
    package, files = os.path.dirname(os.path.dirname(here)), list[str]()
    for folder, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__"]
        files += [os.path.join(folder, name) for name in names if name.endswith((".py", ".pyc"))]
    digest = hashlib.blake2b(digest_size=16)
    try:
        for path in sorted(files):
            with open(path, "rb") as file:
                content = file.read()
            digest.update(f"{os.path.relpath(path, package)} {len(content)}\n".encode() + content)
    except OSError:
        return ""
    return digest.hexdigest() if here in files else ""


SOURCES = hash_of_sources()  # those that are being imported


def spelled(kind: Any) -> str:
    """A type of Numba as text: as it prints itself, and with the full names of records, some of which share short
    ones."""
    if not isinstance(kind, types.BaseTuple):
        return str(kind)
    cls = getattr(kind, "instance_class", tuple)
    return f"{cls.__module__}.{cls.__qualname__}({', '.join(map(spelled, kind.types))})"


def read(path: str, key: bytes) -> bytes | None:
    """What was written under this key, or None if there is none, or anything is wrong with it. Marks it as used."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        digest, content = file.read(DIGEST), file.read()
        if hashlib.blake2b(content, digest_size=DIGEST).digest() != digest:
            return None
        start = LENGTH + int.from_bytes(content[:LENGTH], "little")
        if content[LENGTH:start] != key:
            return None
        if os.fstat(file.fileno()).st_mtime < time.time() - DAY:
            with contextlib.suppress(OSError):  # of somebody else
                os.utime(path)
        return content[start:]
    return None


def write(path: str, key: bytes, payload: bytes) -> None:
    """Put a payload there at one stroke, for whoever reads, and whoever else writes."""
    content = len(key).to_bytes(LENGTH, "little") + key + payload
    temporary = f"{path}.{os.urandom(8).hex()}{TEMPORARY}"
    try:
        with open(temporary, "xb") as file:
            file.write(hashlib.blake2b(content, digest_size=DIGEST).digest())
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def tidy(path: str) -> None:
    """Remove what other builds of the kernel of this file left unused, and temporary files of processes that were
    killed."""
    folder, name = os.path.split(path)
    kernel, build, _ = name.split("-")
    now = time.time()
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            if file.name.endswith(TEMPORARY):
                lifetime = LEFT_BEHIND
            elif file.name.startswith(f"{kernel}-") and not file.name.startswith(f"{kernel}-{build}-"):
                lifetime = LIFETIME
            else:
                continue
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < now - lifetime:
                    os.unlink(file.path)


@functools.cache
def say_once(reason: str) -> None:
    """Tell why nothing is kept."""
    if say_once.cache_info().currsize == 0:
        warnings.warn(
            "bpjit: machine code cannot be kept on disk, so every process compiles for seconds what it needs; name a "
            f"folder that can be written in the environment variable NUMBA_CACHE_DIR ({reason})",
            RuntimeWarning,
            stacklevel=2,
        )


class DiskCache(NullCache):
    """The cache of one kernel, as Numba's dispatchers want it. Kernels of one file must differ in their names: what a
    function holds in its closure is not looked at, as SIMD loads and stores there differ from process to process."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._enabled = True

    @functools.cached_property
    def _numba(self) -> CompileResultCacheImpl:
        """Numba's own: where to keep machine code, and how it becomes bytes. RuntimeError if there is no place."""
        return CompileResultCacheImpl(self._function)

    @property
    def cache_path(self) -> str | None:
        try:
            return str(self._numba.locator.get_cache_path())
        except Exception:  # no place to write
            return None

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Remove all there is of the kernel."""
        with contextlib.suppress(Exception), os.scandir(self._numba.locator.get_cache_path()) as files:
            for file in files:
                if file.name.startswith(f"{self._kernel}-"):
                    os.unlink(file.path)

    @property
    def _kernel(self) -> str:
        """With which the names of the kernel's files begin."""
        return f"{self._function.__module__.rpartition('.')[2]}.{self._function.__qualname__}"

    def _place(self, sig: Any, codegen: Any) -> tuple[str, bytes]:
        """Path and key of the machine code for a signature."""
        settings = [f"{name}={getattr(config, name, None)}" for name in SETTINGS]
        interpreter = sys.version, getattr(sys, "abiflags", "")
        build = repr((SOURCES, numba.__version__, llvmlite.__version__, interpreter, codegen.magic_tuple(), settings))
        arguments, result = sigutils.normalize_signature(sig)
        kernel = f"{self._function.__module__}.{self._function.__qualname__}"
        key = f"{kernel}({', '.join(map(spelled, arguments))}) -> {result}\n{build}".encode()
        name = f"{self._kernel}-{_short(build.encode(), 6)}-{_short(key, 16)}.nbc"
        return os.path.join(self._numba.locator.get_cache_path(), name), key

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for this signature, or None. Nothing that only a compiler needs is loaded."""
        try:
            payload = read(*self._place(sig, target_context.codegen())) if self._enabled else None
            if payload is None:
                return None
            beside, reduced = pickle.loads(payload)
            for module, name, kinds, symbol in beside:
                part = getattr(sys.modules[module], name)
                part.compile(kinds)
                if part.overloads[kinds].fndesc.llvm_func_name != symbol:
                    return None  # what calls it would not find it
            compiled = self._numba.rebuild(target_context, reduced)
            arguments, result = sigutils.normalize_signature(sig)
            if compiled.signature.args != arguments or result not in (None, compiled.signature.return_type):
                return None
            return compiled
        except Exception:  # a folder that is none, a type that Numba cannot rebuild here: compile
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for this signature, if that is possible; not if a source file has changed since it was
        imported, as then nobody knows what was compiled."""
        try:
            if not (self._enabled and self._numba.check_cachable(data) and hash_of_sources() == SOURCES):
                return
            path, key = self._place(sig, data.codegen)
            self._numba.locator.ensure_cache_path()
            beside = [
                (part.__module__, part.__qualname__, kinds, part.overloads[kinds].fndesc.llvm_func_name)
                for part, kinds in data.library.beside
            ]
            write(path, key, serialize.dumps((beside, self._numba.reduce(data))))
            data.library._shared_module = None  # made for that; whoever links the kernel makes it anew
        except Exception as error:  # a full disk, no permission, no folder
            with contextlib.suppress(Exception):  # where warnings are errors: a cache is no reason to fail
                say_once(f"{type(error).__name__}: {error}".splitlines()[0])
            return
        with contextlib.suppress(Exception):
            tidy(path)


def _short(text: bytes, size: int) -> str:
    return hashlib.blake2b(text, digest_size=size).hexdigest()
