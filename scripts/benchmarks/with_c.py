"""C with the sizes compiled in: benchmark.c."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from .harness import Run
from .problems import CHECKED_PASSES, Arrays, Contender, Problem


class CTraining(ctypes.Structure):
    """The struct Training of benchmark.c but for its last member, eta, a REAL."""

    _fields_ = [
        ("parameters", ctypes.c_void_p),
        ("X", ctypes.c_void_p),
        ("Y", ctypes.c_void_p),
        ("n_samples", ctypes.c_int),
        ("n_epochs", ctypes.c_int),
    ]


class CTraining32(CTraining):
    _fields_ = [("eta", ctypes.c_float)]


class CTraining64(CTraining):
    _fields_ = [("eta", ctypes.c_double)]


C_OPTIONS = ("-O3", "-march=native", "-ffast-math", "-fPIC", "-Wno-psabi")
C_TRAINING = {"float32": CTraining32, "float64": CTraining64}


def compile_c(compiler: str, folder: str) -> dict[str, ctypes.CDLL]:
    """benchmark.c as a library for each dtype.

    Linked without -ffast-math, which would make the process flush denormal numbers to zero, NumPy's included.
    """
    source = str(Path(__file__).with_name("benchmark.c"))
    libraries = {}
    for dtype, options in (("float32", ["-DSINGLE"]), ("float64", [])):
        compiled, library = f"{folder}/{dtype}.o", f"{folder}/{dtype}.so"
        for command in (
            [compiler, *C_OPTIONS, *options, "-c", source, "-o", compiled],
            [compiler, "-shared", compiled, "-o", library, "-lm"],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True)
        libraries[dtype] = ctypes.CDLL(library)
    return libraries


def c_train(libraries: dict[str, ctypes.CDLL], problem: Problem) -> list[Run]:
    kernel = getattr(libraries[problem.dtype], problem.work.name)
    kernel.restype = None
    places = np.cumsum([array.size for array in problem.parameters])[:-1]

    def train(passes: int) -> Arrays:
        flat = np.concatenate([array.ravel() for array in problem.parameters])
        addresses = (array.ctypes.data for array in (flat, problem.X, problem.Y))
        training = C_TRAINING[problem.dtype](*addresses, len(problem.X), passes, problem.work.eta)
        kernel(ctypes.byref(training))
        parts = zip(np.split(flat, places), problem.parameters, strict=True)
        return [part.reshape(array.shape) for part, array in parts]

    return [train]


def c_contender(folder: str) -> tuple[Contender | None, str | None]:
    """C and the compiler's version; neither where there is no compiler that can build benchmark.c."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        print("benchmark: no C compiler (cc, gcc, clang) found; going on without C", file=sys.stderr)
        return None, None
    try:
        libraries = compile_c(compiler, folder)
        version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    except (subprocess.CalledProcessError, OSError) as problem:
        reason = str(getattr(problem, "stderr", "") or problem).strip().splitlines()[0]
        print(f"benchmark: {compiler} failed on benchmark.c; going on without C: {reason}", file=sys.stderr)
        return None, None
    train = partial(c_train, libraries)
    return Contender("C", "", {"train": train}, checked_passes=CHECKED_PASSES, whole=True), version.splitlines()[0]
