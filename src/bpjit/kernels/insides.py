"""What bpjit leans on in Numba beyond its documented API, and the only module that imports it: who needs some of it
takes it from here. Any release of Numba may change it, so we look whether it is all there before anything is compiled.

What only ``passes`` names is not looked for: without that, kernels compile all the same. For the GPU's side of Numba
stands ``cuda.door``, and here what it needs there.
"""
# ruff: noqa: E402 (what is lacking is said in one sentence, before an import fails)

from __future__ import annotations

import pkgutil
import sys
from types import FunctionType
from typing import Any

import numba

TESTED = ">=0.61,<0.69"  # versions of Numba that the tests were run with, as pyproject.toml has it

# By module, class or object: which of its attributes; after "self." those that methods of a class give to its objects.
LEANT_ON = {
    "numba.core.caching.CompileResultCacheImpl": "locator",
    "numba.core.caching.NullCache": "",
    "numba.core.caching._CacheLocator": "get_cache_path",
    "numba.core.cgutils": "create_struct_proxy for_range get_or_insert_function",
    "numba.core.cgutils._StructProxy": "_getvalue",
    "numba.core.codegen.JITCodeLibrary": "_get_module_for_linking _optimize_final_module _optimize_functions codegen "
    "enable_object_caching finalize get_pointer_to_function has_dynamic_globals self._codegen self._final_module "
    "self._finalized self._linking_libraries self._shared_module",
    "numba.core.codegen.JITCPUCodegen": "_module_pass_manager magic_tuple self._data_layout self._tm set_env",
    "numba.core.compiler.Compiler": "_compile_core define_pipelines self.state",
    "numba.core.compiler.CompileResult": "_rebuild _reduce _replace fndesc library signature type_annotation",
    "numba.core.compiler.DefaultPassBuilder": "define_nopython_pipeline",
    "numba.core.compiler_lock.global_compiler_lock": "acquire is_locked release",
    "numba.core.compiler_machinery.PassManager": "_runPass add_pass finalize self._analysis",
    "numba.core.config": "CPU_FEATURES DISABLE_JIT",
    "numba.core.cpu.CPUContext": "codegen mangler",
    "numba.core.cpu.CPUTargetOptions": "_nrt no_cfunc_wrapper",
    "numba.core.funcdesc": "default_mangler",
    "numba.core.funcdesc.FunctionDescriptor": "calltypes llvm_func_name typemap",
    "numba.core.registry.CPUDispatcher": "_compile_for_args _insert add_overload compile get_call_template "
    "self._cache self._cache_hits self._types_active_call self.overloads typeof_pyval",
    "numba.core.serialize": "dumps",
    "numba.core.sigutils": "normalize_signature",
    "numba.core.typed_passes": "",
    "numba.core.types.Array": "copy",
    "numba.core.types.BaseFunction": "get_call_type",
    "numba.core.types.BaseTuple": "from_types",
    "numba.core.types.float64": "_code",
    "numba.core.untyped_passes": "",
}
LATER = {  # which take long to import
    "numba.np.arraymath": "ensure_blas",
    "numba.np.arrayobj": "make_array populate_array",
    "numba.np.linalg": "ensure_blas",
}
OF_CUDA = {
    "numba.cuda": "as_cuda_array cg current_context device_array get_current_device is_available jit local shared "
    "synchronize syncthreads syncthreads_or syncwarp to_device",
    "numba.cuda.config": "ENABLE_CUDASIM",
    "numba.cuda.cudadrv.driver.CudaAPIError": "",
    "numba.cuda.cudadrv.driver.driver": "get_version",
    "numba.cuda.cudadrv.error.CudaSupportError": "",
    "numba.cuda.libdevice": "cos cosf exp expf log logf sin sinf tanh tanhf",
    "numba.cuda.target.CUDATargetContext": "",
}


def lacking(leant_on: dict[str, str]) -> list[str]:
    """What of a table like those above is not there, by its full name."""
    names = []
    for place, attributes in leant_on.items():
        try:
            thing = pkgutil.resolve_name(place)
        except (ImportError, AttributeError):
            names.append(place)
        else:
            names += [f"{place}.{name}" for name in attributes.split() if not _has(thing, name)]
    return names


def _has(thing: Any, name: str) -> bool:
    own = name.removeprefix("self.")
    if own == name:
        return hasattr(thing, name)
    methods = [each for kind in thing.__mro__ for each in vars(kind).values() if isinstance(each, FunctionType)]
    return any(own in each.__code__.co_names for each in methods)


def missing() -> list[str]:
    """What this Numba lacks of all that the CPU needs."""
    return lacking(LEANT_ON | LATER)


def refuse(names: list[str]) -> None:
    """Raise ``ImportError`` if anything is missing."""
    if names:
        raise ImportError(
            f"numba: bpjit needs what Numba {numba.__version__} does not have: {', '.join(names)}; bpjit is tested "
            f"with numba{TESTED}: python -m pip install 'numba{TESTED}'"
        )


refuse(lacking(LEANT_ON))

from numba.core import cgutils, config, serialize, sigutils, typed_passes, untyped_passes
from numba.core.caching import CompileResultCacheImpl, NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.cpu import CPUContext
from numba.core.funcdesc import default_mangler
from numba.core.registry import CPUDispatcher, cpu_target


def arrays() -> Any:
    """Numba's code for arrays. To compile it is needed, but not before: it is half of what it takes to import this."""
    from numba.np import arrayobj

    return arrayobj


def load_without_blas() -> None:
    """Load what Numba knows of arrays, but not SciPy's linear algebra with it, which takes a quarter of a second: Numba
    only looks there whether it could be loaded, and loads it when somebody's code multiplies matrices."""
    if "numba.np.arraymath" in sys.modules:
        return
    from numba.np import linalg

    look = linalg.ensure_blas
    linalg.ensure_blas = lambda: None  # it can: SciPy is needed here
    try:
        from numba.np import arraymath
    finally:
        linalg.ensure_blas = look
    arraymath.ensure_blas = look


__all__ = [
    "CPUContext",
    "CPUDispatcher",
    "CompileResult",
    "CompileResultCacheImpl",
    "Compiler",
    "DefaultPassBuilder",
    "JITCodeLibrary",
    "NullCache",
    "PassManager",
    "arrays",
    "cgutils",
    "config",
    "cpu_target",
    "default_mangler",
    "global_compiler_lock",
    "load_without_blas",
    "serialize",
    "sigutils",
    "typed_passes",
    "untyped_passes",
]
