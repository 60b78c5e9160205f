"""Machine code on disk: one file for each kernel, kind of arguments, compiler, CPU and state of our sources.

There is no index. The name of a file follows from its key, which says what it must hold. The key stands in the file,
too, under a digest of all that the file holds. So nothing runs but what was asked for: whatever else a file may be
(damaged, half written, another's) counts as none, and what is compiled in its stead takes its place. A cache that
cannot be written costs nothing but the time to compile.

A kernel is looked for in several folders (``Store``): in that of BPJIT_KERNELS, in its own, and in the package
bpjit_kernels where that is installed. Only its own is ever written to.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import llvmlite
import numba
from numba import types

from .cpu import MADE, Made, class_that_fits
from .insides import CompileResult, CompileResultCacheImpl, NullCache, config, serialize, sigutils

DAY = 86400.0  # seconds
LIFETIME = 30 * DAY  # of machine code that nobody uses, made from other sources or for another processor
LEFT_BEHIND = DAY / 24  # after which a temporary file must be that of a process that was killed
TEMPORARY = ".nbc-tmp"  # how their names end
DIGEST, LENGTH = 32, 8  # bytes, of the digest and of the key's length, with which a file begins

# What besides sources, compiler and CPU decides about machine code: that of one Python is good for all of its version,
# as Numba's own modules are.
INTERPRETER = sys.implementation.cache_tag, getattr(sys, "abiflags", "")
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


def read(path: str, key: bytes, mark: bool = True) -> bytes | None:
    """What was written under this key, or None if there is none, or anything is wrong with it. Marks it as used."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        digest, content = file.read(DIGEST), file.read()
        if hashlib.blake2b(content, digest_size=DIGEST).digest() != digest:
            return None
        start = LENGTH + int.from_bytes(content[:LENGTH], "little")
        if content[LENGTH:start] != key:
            return None
        if mark and os.fstat(file.fileno()).st_mtime < time.time() - DAY:
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
            "bpjit: machine code cannot be kept on disk, so every process compiles for seconds what it needs; make it "
            f"by `python -m bpjit.warm_up FOLDER` and name that folder in the environment variable {VARIABLE}, or name "
            f"one that can be written in NUMBA_CACHE_DIR ({reason})",
            RuntimeWarning,
            stacklevel=2,
        )


VARIABLE = "BPJIT_KERNELS"
GIVEN = os.path.abspath(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


class Store(NamedTuple):
    """A folder with machine code."""

    folder: str
    made: Made  # for which CPU
    own: bool = False  # bpjit writes to it; others may be read-only, or belong to somebody else


_gathered: str | None = None  # the folder that alone counts


@contextlib.contextmanager
def gathered(folder: str) -> Iterator[None]:
    """Keep all machine code in this folder, and look for it nowhere else."""
    global _gathered
    before, _gathered = _gathered, os.path.abspath(folder)
    try:
        yield
    finally:
        _gathered = before


@functools.cache
def stores_of_others() -> tuple[list[Store], list[Store]]:
    """Where machine code may be that bpjit does not look after: to be looked at before its own, and after it."""
    before = [Store(GIVEN, MADE)] if GIVEN else []
    fits = class_that_fits()
    if fits is None:
        return before, []
    label, made = fits
    after = [Store(GIVEN, made)] if GIVEN and made != MADE else []
    with contextlib.suppress(Exception):  # of whoever finds modules
        package = importlib.util.find_spec("bpjit_kernels")  # imports nothing
        folders = package.submodule_search_locations if package else None
        after += [Store(os.path.join(folder, label), made) for folder in folders or ()]
    return before, after


class DiskCache(NullCache):
    """The cache of one kernel, as Numba's dispatchers want it. Kernels of one file must differ in their names: what a
    function holds in its closure is not looked at, as SIMD loads and stores there differ from process to process."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._enabled = True

    @functools.cached_property
    def _own_folder(self) -> str:
        """Where Numba keeps machine code of the file that the kernel stands in. RuntimeError if there is no place."""
        return str(CompileResultCacheImpl(self._function).locator.get_cache_path())

    def _own(self) -> Store:
        """Where to keep machine code."""
        return Store(_gathered or self._own_folder, MADE, own=True)

    def _stores(self) -> list[Store]:
        """Where to look for machine code, one after the other: first what was compiled for just this CPU."""
        before, after = ([], []) if _gathered else stores_of_others()
        try:
            return [*before, self._own(), *after]
        except Exception:  # there is no place of its own
            return [*before, *after]

    @property
    def cache_path(self) -> str | None:
        try:
            return self._own().folder
        except Exception:  # no place to write
            return None

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Remove all there is of the kernel."""
        with contextlib.suppress(Exception), os.scandir(self._own().folder) as files:
            for file in files:
                if file.name.startswith(f"{self._kernel}-"):
                    os.unlink(file.path)

    @property
    def _kernel(self) -> str:
        """With which the names of the kernel's files begin."""
        return f"{self._function.__module__.rpartition('.')[2]}.{self._function.__qualname__}"

    def _place(self, sig: Any, store: Store) -> tuple[str, bytes]:
        """Path and key of the machine code for a signature."""
        settings = [f"{name}={getattr(config, name, None)}" for name in SETTINGS]
        build = repr((SOURCES, numba.__version__, llvmlite.__version__, INTERPRETER, store.made, settings))
        arguments, result = sigutils.normalize_signature(sig)
        kernel = f"{self._function.__module__}.{self._function.__qualname__}"
        key = f"{kernel}({', '.join(map(spelled, arguments))}) -> {result}\n{build}".encode()
        name = f"{self._kernel}-{_short(build.encode(), 6)}-{_short(key, 16)}.nbc"
        return os.path.join(store.folder, name), key

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for this signature, or None. Nothing is asked of Numba that it needs only to compile, as
        importing that takes longer than training a small network; nor its runtime, as no kernel has allocations."""
        for store in self._stores() if self._enabled else ():
            try:
                payload = read(*self._place(sig, store), mark=store.own)
                if payload is None:
                    continue
                beside, reduced = pickle.loads(payload)
                if not all(_is_there(*part) for part in beside):
                    continue
                compiled = CompileResult._rebuild(target_context, *reduced)
                arguments, result = sigutils.normalize_signature(sig)
                if compiled.signature.args == arguments and result in (None, compiled.signature.return_type):
                    return compiled
            except Exception:  # a folder that is none, a type that Numba cannot rebuild here
                continue
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for this signature, if that is possible; not if a source file has changed since it was
        imported, as then nobody knows what was compiled."""
        try:
            has_addresses = data.library.has_dynamic_globals  # of this process
            if not self._enabled or has_addresses or hash_of_sources() != SOURCES:
                return
            path, key = self._place(sig, self._own())
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write(path, key, packed(data, data._reduce()))
            data.library._shared_module = None  # made for that; whoever links the kernel makes it anew
        except Exception as error:  # a full disk, no permission, no folder
            with contextlib.suppress(Exception):  # where warnings are errors: a cache is no reason to fail
                say_once(f"{type(error).__name__}: {error}".splitlines()[0])
            return
        with contextlib.suppress(Exception):
            tidy(path)


def packed(compiled: Any, reduced: Any) -> bytes:
    """What is kept of machine code: which shared parts must stand beside it, and the code as Numba reduces it."""
    beside = [
        (part.__module__, part.__qualname__, kinds, part.overloads[kinds].fndesc.llvm_func_name)
        for part, kinds in compiled.library.beside
    ]
    return bytes(serialize.dumps((beside, reduced)))


def _is_there(module: str, name: str, kinds: Any, symbol: str) -> bool:
    """Make sure that a shared part stands where machine code expects it, under the name by which that calls it."""
    part = getattr(sys.modules[module], name)
    part.compile(kinds)
    return bool(part.overloads[kinds].fndesc.llvm_func_name == symbol)


def _short(text: bytes, size: int) -> str:
    return hashlib.blake2b(text, digest_size=size).hexdigest()
