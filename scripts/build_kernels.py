"""Build wheels of bpjit-kernels: machine code of the commonest settings, for every CPU of a class.

Where such a wheel is installed beside bpjit, what it has need not be compiled. It fits these sources of bpjit, this
version of Python, this Numba and llvmlite, and Linux; where anything differs, bpjit compiles as if it were not there.
The wheel for x86_64 has code for x86-64-v3 and x86-64-v4. That for aarch64 is compiled on x86_64, and not run: what was
written for vectors of 16 bytes is turned to the other machine before it is optimised.
"""

from __future__ import annotations

import argparse
import base64
import copy
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

import bpjit
from bpjit import warm_up
from bpjit.kernels import disk_cache, jit
from bpjit.kernels.cpu import CLASSES
from bpjit.kernels.cpu import VARIABLE as CPU
from script_tools import BadInput, run

MACHINES = {"x86_64": ("x86-64-v3", "x86-64-v4"), "aarch64": ("armv8-a",)}
ARM_TRIPLE = "aarch64-unknown-linux-gnu"  # LLVM's word for such a machine
BASELINE = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}  # its vectors are as wide as those of NEON
LICENSE = Path(__file__).resolve().parents[1] / "LICENSE"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="build_kernels.py", description="Build wheels of bpjit-kernels.")
    made.add_argument("folder", nargs="?", type=Path, default=Path("dist"), help="where the wheels go (dist)")
    made.add_argument("--setting", default="", help='for one setting: options of warm_up, as "--sizes 64-32-10 --many"')
    made.add_argument("--machine", choices=MACHINES, action="append", help="for which (all)")
    made.add_argument("--across", action="store_true", help=argparse.SUPPRESS)  # in a process for another machine
    return made


def build(options: argparse.Namespace) -> int:
    if options.across:
        return compile_across(str(options.folder), shlex.split(options.setting))
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BadInput("expected Linux on x86_64, where code for all classes can be made; build there")
    options.folder.mkdir(parents=True, exist_ok=True)
    for machine in options.machine or MACHINES:
        with tempfile.TemporaryDirectory() as temporary:
            for label in MACHINES[machine]:
                compile_class(label, machine, Path(temporary) / label, options.setting)
            print(write_wheel(machine, Path(temporary), options.folder))
    return 0


def compile_class(label: str, machine: str, folder: Path, setting: str) -> None:
    """Fill a folder with machine code for a class of CPUs, in a process of its own."""
    across = machine != platform.machine()
    if across:
        command = [__file__, "--across", str(folder), f"--setting={setting}"]
    else:
        command = ["-m", "bpjit.warm_up", str(folder), *shlex.split(setting)]
    ours = {CPU, disk_cache.VARIABLE, *BASELINE}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= BASELINE if across else {CPU: label}
    done = subprocess.run([sys.executable, *command], env=environment, check=False)
    if done.returncode or not any(folder.glob("*.nbc")):
        raise BadInput(f"no machine code for {label} came out; see above")


# --- For another machine: in a process that compiles for BASELINE, each kernel once more.


def compile_across(folder: str, options: list[str]) -> int:
    """Compile what is asked for, and keep it as machine code for aarch64."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    kind = CLASSES["armv8-a"]
    store = disk_cache.Store(folder, (ARM_TRIPLE, kind.name, kind.features), own=True)
    machine = llvm.Target.from_triple(ARM_TRIPLE).create_target_machine(  # as Numba makes the one that it compiles for
        cpu=kind.name, features=kind.features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )
    optimise = jit._Whole._optimize_final_module

    def turned(bitcode: bytes) -> Any:
        module = llvm.parse_bitcode(bitcode)
        module.triple, module.data_layout = ARM_TRIPLE, str(machine.target_data)
        return module

    def optimise_later_too(library: Any) -> None:
        library.before = library._final_module.as_bitcode()
        optimise(library)

    def save(cache: Any, sig: Any, compiled: Any) -> None:
        (name, kind, (_, shared)), *rest = compiled._reduce()
        module, codegen = turned(compiled.library.before), copy.copy(compiled.library._codegen)
        codegen._tm = machine
        compiled.library.optimise(module, codegen)
        code = name, kind, (machine.emit_object(module), turned(shared).as_bitcode())
        path, key = cache._place(sig, store)
        disk_cache.write(path, key, disk_cache.packed(compiled, (code, *rest)))

    jit._Whole._optimize_final_module = optimise_later_too  # type: ignore[assignment, method-assign]
    disk_cache.DiskCache.save_overload = save  # type: ignore[assignment, method-assign]
    return warm_up.main([folder, *options])


# --- The archive.


def write_wheel(machine: str, content: Path, folder: Path) -> Path:
    """Pack folders of machine code as a package that has nothing else."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}{getattr(sys, 'abiflags', '')}"
    tag = f"{python}-none-manylinux2014_{machine}"
    stem = f"bpjit_kernels-{bpjit.__version__}"
    information = f"{stem}.dist-info"
    held = {
        "bpjit_kernels/__init__.py": b'"""Machine code that bpjit finds here and need not compile."""\n',
        **{
            f"bpjit_kernels/{path.relative_to(content).as_posix()}": path.read_bytes()
            for path in sorted(content.glob("*/*.nbc"))
        },
        f"{information}/licenses/LICENSE": LICENSE.read_bytes(),
        f"{information}/METADATA": _lines(
            "Metadata-Version: 2.4",
            "Name: bpjit-kernels",
            f"Version: {bpjit.__version__}",
            "Summary: Machine code of bpjit's commonest settings",
            "License-Expression: BSD-3-Clause",
            "License-File: LICENSE",
            f"Requires-Python: =={sys.version_info.major}.{sys.version_info.minor}.*",
            f"Requires-Dist: bpjit=={bpjit.__version__}",
        ),
        f"{information}/WHEEL": _lines(
            "Wheel-Version: 1.0", "Generator: bpjit", "Root-Is-Purelib: false", f"Tag: {tag}"
        ),
    }
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in held.items()]
    held[f"{information}/RECORD"] = _lines(*record, f"{information}/RECORD,,")
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            entry = zipfile.ZipInfo(name)  # of no date: the same content makes the same wheel
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def main(arguments: list[str] | None = None) -> int:
    return run(build, parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
