"""Which CPU machine code is made for: this one, what NUMBA_CPU_NAME says, or a class of CPUs named in BPJIT_CPU.

Code for a class uses what every CPU of the class has, and nothing else: it runs on each of them, with the same
instructions in the same order, and so with the same bits. It can be made on one machine and carried to others.
"""

from __future__ import annotations

import functools
import os
from typing import NamedTuple

import llvmlite.binding as llvm

from .insides import config, cpu_target

VARIABLE = "BPJIT_CPU"

_V2 = "cx16 popcnt sahf sse3 sse4.1 sse4.2 ssse3"
_V3 = f"{_V2} avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave"
_V4 = f"{_V3} avx512bw avx512cd avx512dq avx512f avx512vl"


class CpuClass(NamedTuple):
    machines: tuple[str, ...]  # with which LLVM's names of such machines begin
    name: str  # LLVM's
    features: str  # what differs from that, as LLVM wants it
    width: int  # bytes of a vector register
    needs: frozenset[str]  # what a CPU of the class has, in LLVM's words


# Without "-prefer-256-bit", LLVM takes vectors of half the width for its own on the CPUs of class x86-64-v4.
CLASSES = {
    "x86-64-v3": CpuClass(("x86_64",), "x86-64-v3", "", 32, frozenset(_V3.split())),
    "x86-64-v4": CpuClass(("x86_64",), "x86-64-v4", "-prefer-256-bit", 64, frozenset(_V4.split())),
    "armv8-a": CpuClass(("aarch64", "arm64"), "generic", "+neon", 16, frozenset()),  # all of them have NEON
}

Made = tuple[str, str, str]  # which machine code this is: LLVM's names of machine, CPU and its features


def runs_here(kind: CpuClass) -> bool:
    """Whether this CPU has all that code for the class uses."""
    try:
        has = {name for name, present in llvm.get_host_cpu_features().items() if present}
    except RuntimeError:  # LLVM cannot tell
        has = set()
    return llvm.get_process_triple().startswith(kind.machines) and kind.needs <= has


def choose() -> CpuClass | None:
    """Let Numba compile for the class that BPJIT_CPU names, if it names one. Before Numba's first function."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    kind = CLASSES.get(asked)
    if kind is None or not runs_here(kind):
        why = "is not known" if kind is None else "has instructions that this CPU lacks"
        can = ", ".join(name for name, kind in CLASSES.items() if runs_here(kind)) or "none"
        raise ValueError(
            f"the environment variable {VARIABLE} must name a class of CPUs that this one belongs to ({can}), or be "
            f"unset for this CPU itself; got {asked!r}, which {why}"
        )
    wanted = kind.name, kind.features
    if "_toplevel_target_context" in vars(cpu_target) and wanted != (config.CPU_NAME, config.CPU_FEATURES):
        raise RuntimeError(
            f"the environment variable {VARIABLE} is {asked!r}, but Numba compiles for another CPU already; import "
            f"bpjit before the first function with @njit, or set NUMBA_CPU_NAME={kind.name!r} and "
            f"NUMBA_CPU_FEATURES={kind.features!r} too"
        )
    config.CPU_NAME, config.CPU_FEATURES = wanted
    return kind


_WIDE_SUM = """
define <16 x float> @sum(<16 x float> %x, <16 x float> %y) {
  %z = fadd <16 x float> %x, %y
  ret <16 x float> %z
}
"""


@functools.cache
def vector_bytes(made: Made) -> int:
    """The width of the registers that LLVM uses for a wide vector: AVX-512, AVX, or NEON and SSE2."""
    triple, name, features = made
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=name, features=features)
    code = machine.emit_assembly(llvm.parse_assembly(_WIDE_SUM))
    return 64 if "%zmm" in code else 32 if "%ymm" in code else 16


_chosen = choose()
_of_user = config.CPU_NAME is not None or config.CPU_FEATURES is not None

# What kernels are compiled for in this process. Numba asks its settings once.
MADE: Made = cpu_target.target_context.codegen().magic_tuple()


@functools.cache
def class_that_fits() -> tuple[str, Made] | None:
    """The class whose machine code may stand in for what would be compiled here, and what that is: its vectors are as
    wide, and this CPU has all that it uses. None where somebody says for which CPU to compile, and names no class."""
    for label, kind in CLASSES.items():
        if kind is _chosen or (not _of_user and kind.width == vector_bytes(MADE) and runs_here(kind)):
            return label, (MADE[0], kind.name, kind.features)
    return None
