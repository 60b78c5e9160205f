"""The passes of Numba's compiler that our code needs, from bytecode to machine code.

Numba's own list also looks for what kernels never have: closures, ``with``, ``literally``, raised exceptions, functions
to copy in, loops to run in parallel. Looking, and making the tables of variables anew after each look, takes a tenth of
the time to compile. A Numba that has other passes compiles with its own list.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from numba import types
from numba.core import typed_passes, untyped_passes
from numba.core.compiler import DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.cpu import CPUContext
from numba.core.funcdesc import default_mangler

NEEDED = (
    "TranslateByteCode",
    "FixupArgs",
    "IRProcessing",
    "RewriteSemanticConstants",
    "DeadBranchPrune",
    "GenericRewrites",
    "ReconstructSSA",
    "DeadBranchPrune",
    "LiteralPropagationSubPipelinePass",
    "NopythonTypeInference",
    "PreLowerStripPhis",
    "IRLegalization",
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

_SIGNATURES: dict[Any, Any] = {}  # by function and types of arguments
_find = types.BaseFunction.get_call_type


def _remembered(function: Any, context: Any, arguments: Any, keywords: Any) -> Any:
    """The signature of a call, for which Numba tries one after the other all that a function may mean."""
    if keywords:
        return _find(function, context, arguments, keywords)
    call = function, context, tuple(arguments)
    found = _SIGNATURES.get(call)
    if found is None:
        found = _find(function, context, arguments, keywords)
        if found is not None:
            _SIGNATURES[call] = found
    return found


def _short_name(context: Any, name: str, kinds: Any, *, abi_tags: Any = (), uid: Any = None) -> str:
    """The name of a function's machine code. Numba's has all types in full, a thousand letters at each call."""
    said = hashlib.blake2b(repr((kinds, abi_tags)).encode(), digest_size=12).hexdigest()
    short: str = default_mangler(name, (), abi_tags=(said,), uid=uid)
    return short


@contextlib.contextmanager
def looked_up_once() -> Iterator[None]:
    """Compile a kernel with all its parts and look up each meaning once. For who holds Numba's lock of compilers."""
    if types.BaseFunction.get_call_type is _remembered:  # a kernel that the one under way calls
        yield
        return
    types.BaseFunction.get_call_type, CPUContext.mangler = _remembered, _short_name
    try:
        yield
    finally:
        _SIGNATURES.clear()  # what they mean is forgotten with the functions
        types.BaseFunction.get_call_type = _find
        del CPUContext.mangler  # which it inherits
