"""The passes of Numba's compiler that our code needs, from bytecode to machine code.

Numba's own list also looks for what kernels never have: closures, ``with``, ``literally``, raised exceptions, functions
to copy in, loops to run in parallel. Looking, and making the tables of variables anew after each look, takes a tenth of
the time to compile. And it notes where each variable is used last, to count references, of which we have none: another
twentieth. A Numba that has other passes compiles with its own list.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from numba import types

from .disk_cache import spelled
from .insides import CPUContext, DefaultPassBuilder, PassManager, default_mangler, typed_passes, untyped_passes

NEEDED = (
    "TranslateByteCode",
    "FixupArgs",
    "RewriteSemanticConstants",
    "DeadBranchPrune",
    "GenericRewrites",
    "ReconstructSSA",
    "DeadBranchPrune",
    "LiteralPropagationSubPipelinePass",
    "NopythonTypeInference",
    "PreLowerStripPhis",
    "NativeLowering",
    "NoPythonBackend",
)


def passes_there() -> list[Any] | None:
    """These passes, or None where this Numba lacks one."""
    found = [getattr(untyped_passes, name, getattr(typed_passes, name, None)) for name in NEEDED]
    return None if None in found else found


_FOUND = passes_there()


class _Lean(PassManager):
    def _runPass(self, index: int, each: Any, state: Any) -> None:
        """A pass, and nothing around it."""
        each.analysis = self._analysis
        each.run_initialization(state)
        each.run_pass(state)
        each.run_finalizer(state)


def lean_passes(state: Any) -> PassManager:
    """What a compiler is to do with a function."""
    if _FOUND is None:
        return DefaultPassBuilder.define_nopython_pipeline(state)
    passes = _Lean("bpjit")
    for each in _FOUND:
        passes.add_pass(each, each.__name__)
    passes.finalize()
    return passes


# --- What is looked up again and again.

_find = types.BaseFunction.get_call_type


def _remembered(function: Any, context: Any, arguments: Any, keywords: Any) -> Any:
    """The signature of a call, for which Numba tries one after the other all that a function may mean."""
    if keywords:
        return _find(function, context, arguments, keywords)
    call, signatures = (function, context, tuple(arguments)), _compiling[-1]
    found = signatures.get(call)
    if found is None:
        found = _find(function, context, arguments, keywords)
        if found is not None:
            signatures[call] = found
    return found


SHARED: set[str] = set()  # functions that have the same name in every process


def _short_name(context: Any, name: str, kinds: Any, *, abi_tags: Any = (), uid: Any = None) -> str:
    """The name of a function's machine code. Numba's has all types in full, a thousand letters at each call."""
    shared = name.removeprefix(".NumbaEnv.") in SHARED
    tags = () if shared else abi_tags  # which also tell who was compiled when this was needed
    said = hashlib.blake2b(repr((*map(spelled, kinds), tags)).encode(), digest_size=12).hexdigest()
    short: str = default_mangler(name, (), abi_tags=(said,), uid=None if shared else uid)
    return short


_compiling: list[dict[Any, Any]] = []  # what is remembered, of each kernel under way within another


@contextlib.contextmanager
def looked_up_once() -> Iterator[None]:
    """Compile a kernel with all its parts and look up each meaning once. For who holds Numba's lock of compilers."""
    _compiling.append({})
    types.BaseFunction.get_call_type, CPUContext.mangler = _remembered, _short_name
    try:
        yield
    finally:
        _compiling.pop()  # what they mean is forgotten with the functions
        if not _compiling:
            types.BaseFunction.get_call_type = _find
            del CPUContext.mangler  # which it inherits
