"""Numba on the CPU: how formulas and kernels are compiled here, and what a formula's helpers mean for jitted floats.

``formula`` makes a plain Python function callable from kernels, ``strict`` the same without any reordering of
sums, ``kernel`` compiles a function that Python calls.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from llvmlite.binding import Linkage, create_pass_builder, create_pipeline_tuning_options
from numba import types
from numba.extending import lower_builtin, overload, register_jitable, type_callable

from ..maths import formulas, random_streams
from ..settings.rules import RULES
from .compiling import Kernel, SharedPart, uncollected
from .disk_cache import SOURCES, DiskCache
from .insides import Compiler, JITCodeLibrary, config, load_without_blas
from .passes import SHARED, lean_passes, looked_up_once

F = TypeVar("F", bound=Callable[..., Any])

# error_model="numpy": a division by zero gives infinity, and loops with a division can be vectorised. The fast-math
# flags allow fused multiply-adds and sums in another order, but keep NaN and infinity.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
CONTRACT = {"contract", "nsz"}

# No kernel allocates, so none needs reference counts: counting those of a dozen arrays took longer than the samples of
# a small network. And nobody takes the address of one, so none needs a C wrapper.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}


class _WithoutEnvironment:
    """A code generator for parts: what Python would need to know of a function that it never calls is not set."""

    def __init__(self, codegen: Any) -> None:
        self._of_kernels = codegen

    def set_env(self, name: str, environment: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of_kernels, name)


class _Part(JITCodeLibrary):
    """The code of a function that only kernels call: linked as it is, where a kernel needs it. Numba would optimise
    every function with all that it calls, and turn it into machine code, again at each level of calls, and keep two
    copies at each: half of the time to compile, and most of the memory."""

    @property
    def codegen(self) -> Any:
        return _WithoutEnvironment(self._codegen)

    def finalize(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr  # several kernels may have it
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """For whoever is no kernel: together with all that it calls."""
        if self._shared_module is None:
            self._shared_module = self._final_module.clone()
            link_parts(self._shared_module, self)
        return self._shared_module

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def get_pointer_to_function(self, name: str) -> int:
        return 0


def link_parts(module: Any, library: Any) -> list[Any]:
    """Link all that a library calls, at whatever level, into a module, each once. Returns what must stand beside it:
    the shared ones among them, by function and types of arguments."""
    seen, waiting, beside = {library}, library._linking_libraries[::-1], []
    while waiting:
        callee = waiting.pop()
        if callee not in seen:
            seen.add(callee)
            if hasattr(callee, "shared"):
                beside.append(callee.shared)
                continue
            is_part = isinstance(callee, _Part)
            module.link_in(callee._final_module if is_part else callee._get_module_for_linking(), preserve=True)
            waiting += callee._linking_libraries[::-1] if is_part else []
    return beside


class _Whole(JITCodeLibrary):
    """The code of a kernel: optimised once. Numba does it twice, to remove reference counts, of which we have none."""

    def finalize(self) -> None:
        self.beside = link_parts(self._final_module, self)
        self._linking_libraries = []
        super().finalize()

    def _optimize_final_module(self) -> None:
        self.optimise(self._final_module, self._codegen)

    def optimise(self, module: Any, codegen: Any) -> None:
        """Optimise a module for the machine of a code generator."""
        made = codegen._module_pass_manager()
        passes, *builder = made if isinstance(made, tuple) else (made,)  # Numba 0.61 has no builder, as LLVM had none
        passes.run(module, *builder)


class _WholeAsWritten(_Whole):
    """The same with no loop unrolled, which makes half the code, in two thirds of the time."""

    def optimise(self, module: Any, codegen: Any) -> None:
        options = create_pipeline_tuning_options(speed_level=3)
        options.loop_unrolling = False
        builder = create_pass_builder(codegen._tm, options)
        builder.getModulePassManager().run(module, builder)


class _KernelCompiler(Compiler):
    """Compiles a kernel and all its parts."""

    kind_of_library: type[_Whole] = _Whole

    def define_pipelines(self) -> Any:
        return [lean_passes(self.state)]

    def _compile_core(self) -> Any:
        with uncollected(), looked_up_once():
            return without_types(super()._compile_core())

    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        load_without_blas()
        if library is None:
            library = self.kind_of_library(target.codegen(), "bpjit")
            library.enable_object_caching()
        super().__init__(typing, target, library, *rest)


class _AtomicCompiler(_KernelCompiler):
    """Compiles what passes once through a network: its loops end before it pays that they were unrolled."""

    kind_of_library = _WholeAsWritten


class _PartCompiler(Compiler):
    def define_pipelines(self) -> Any:
        return [lean_passes(self.state)]

    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or _Part(target.codegen(), "bpjit"), *rest)

    def _compile_core(self) -> Any:
        return without_types(super()._compile_core())


def without_types(compiled: Any) -> Any:
    """What was compiled, without the type of every variable in it and the lines they came from: they are two thirds of
    what it holds in Python, and only ``inspect_types`` looks at them."""
    compiled.fndesc.typemap = compiled.fndesc.calltypes = None
    return compiled._replace(type_annotation=None)


OPTIONS_OF_PARTS: dict[str, Any] = {**OPTIONS, "pipeline_class": _PartCompiler}


def formula(function: F) -> F:
    """Let kernels call ``function``; Python still calls it as it is."""
    return register_jitable(fastmath=FASTMATH, **OPTIONS_OF_PARTS)(function)


def inline(function: F) -> F:
    """As ``formula``, and copied to wherever it is called."""
    return register_jitable(fastmath=CONTRACT, forceinline=True, **OPTIONS_OF_PARTS)(function)


def strict(function: F) -> F:
    """As ``formula``, but the compiler computes exactly what is written."""
    return register_jitable(fastmath=False, **OPTIONS_OF_PARTS)(function)


def by_type(helper: Callable[..., Any], choose: Callable[..., Any]) -> None:
    """Let kernels call ``helper`` and mean the function that ``choose`` picks by the types of the arguments: only that
    one is compiled."""
    options: Any = {**OPTIONS_OF_PARTS, "fastmath": CONTRACT, "forceinline": True}
    overload(helper, jit_options=options, strict=False)(choose)


def from_lines(name: str, arguments: str, lines: Sequence[str], scope: dict[str, Any]) -> Callable[..., Any]:
    """The function of these lines, for what is regular and yet no loop of Python's; names mean what ``scope`` says."""
    scope = {**scope, "__name__": __name__}
    exec("\n".join([f"def {name}({arguments}):", *(f"    {line}" for line in lines)]), scope)
    function: Callable[..., Any] = scope[name]
    return function


def items(text: str, count: int) -> str:
    """The source of a tuple of so many: ``text`` with {k} = 0, 1, ..."""
    return "(" + "".join(f"{text.format(k=k)}, " for k in range(count)) + ")"


def arguments_of(function: Callable[..., Any]) -> str:
    """The names of its arguments, as source."""
    return ", ".join(function.__code__.co_varnames[: function.__code__.co_argcount])


def call_body(context: Any, builder: Any, body: Any, signature: Any, first: Any, rest: Any) -> None:
    """In an intrinsic: ``body(first, *rest)``, typed by ``signature``. ``first`` and ``rest``, which is a tuple, are
    values with their types."""
    values, came = rest
    given = [first, *((builder.extract_value(values, i), kind) for i, kind in enumerate(came.types))]
    arguments = [context.cast(builder, *it, wanted) for it, wanted in zip(given, signature.args, strict=True)]
    context.get_function(body, signature)(builder, arguments)


def switch(name: str, functions: Sequence[Callable[..., Any]], doc: str) -> Callable[..., Any]:
    """One function that kernels call with a code before the arguments, and that calls ``functions[code]``; the last
    stands for all codes beyond. All take the same arguments."""
    arguments = arguments_of(functions[0])
    lines, last = [], len(functions) - 1
    for code in range(last):
        lines += [f"if code == {code}:", f"    return functions_{code}({arguments})"]
    lines += [f"return functions_{last}({arguments})"]
    scope = {f"functions_{code}": function for code, function in enumerate(functions)}
    made = from_lines(name, f"code, {arguments}", lines, scope)
    made.__doc__ = doc
    return formula(made)


def unless_none(function: F) -> F:
    """As ``inline``, but None where the first argument is None."""

    @functools.wraps(function)
    def helper(*arguments: Any) -> Any:
        return None if arguments[0] is None else function(*arguments)

    nothing = from_lines("nothing", arguments_of(function), ["return None"], {})
    by_type(helper, lambda *kinds: nothing if isinstance(kinds[0], types.NoneType) else function)
    return helper  # type: ignore[return-value]


def kernel(function: Callable[..., Any], name: str | None = None, nogil: bool = True, writes: bool = False) -> Any:
    """Compile ``function`` at its first call and keep the machine code on disk; calls release the GIL.

    A function made by a function needs a ``name`` of its own there. One that ``writes`` to arrays of the user's own
    sees which are read-only.
    """
    if name is not None:
        function.__name__ = function.__qualname__ = name
    assert "<locals>" not in function.__qualname__
    if config.DISABLE_JIT:
        return function
    return _dispatcher(Kernel, function, _KernelCompiler if nogil else _AtomicCompiler, writes, nogil=nogil)


def _dispatcher(
    kind: type[Kernel], function: Callable[..., Any], compiler: type[Compiler], writes: bool = False, **more: Any
) -> Kernel:
    options = {"nopython": True, "boundscheck": None, "fastmath": FASTMATH, **OPTIONS, **more}  # as njit has it
    dispatcher = kind(function, targetoptions=options, pipeline_class=compiler)
    dispatcher.writes = writes
    if SOURCES:  # else there is nothing to name machine code by: compile in every process
        dispatcher._cache = DiskCache(function)
    return dispatcher


def shared(function: Callable[..., Any], of_atomic: bool = False) -> Any:
    """A function that kernels call and share: compiled once for them all, and kept on disk as they are. For what takes
    long to compile and does much at each call, or is part of ``of_atomic`` kernels; nothing is optimised across it. Not
    for what is called from a user's own jitted code: that may be kept on disk by Numba, which would not bring this
    along."""
    if config.DISABLE_JIT:
        return function
    compiler = _AtomicCompiler if of_atomic else _KernelCompiler
    made = _dispatcher(SharedPart, function, compiler, no_cpython_wrapper=True)
    SHARED.add(f"{function.__module__}.{function.__qualname__}")
    return made


def bring(context: Any, part: Any, *kinds: Any) -> None:
    """In an intrinsic: the shared ``part`` for arguments of these types stands beside whatever calls here, which may
    then know by name all that is defined there."""
    part.compile(kinds)
    context.active_code_library.add_linking_library(part.overloads[kinds].library)


def atomic(function: Callable[..., Any], name: str | None = None, writes: bool = False) -> Any:
    """As ``kernel``, but calls keep the GIL: no other Python thread comes in between. For work of some microseconds."""
    return kernel(function, name, nogil=False, writes=writes)


def smaller(a: int, b: int) -> int:
    """The smaller of two numbers of things: one instruction, where Numba would compile its own ``min``."""
    return min(a, b)


@type_callable(smaller)
def _type_smaller(context: Any) -> Any:
    return lambda a, b: types.intp if isinstance(a, types.Integer) and isinstance(b, types.Integer) else None


@lower_builtin(smaller, types.Integer, types.Integer)
def _lower_smaller(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    a, b = (context.cast(builder, *it, types.intp) for it in zip(arguments, signature.args, strict=True))
    return builder.select(builder.icmp_signed("<", a, b), a, b)


# --- What the helpers of formulas.py mean for jitted floats: single instructions and calls of the C library, so that
# --- they cost nothing to compile.


@type_callable(formulas.like)
def _type_like(context: Any) -> Any:
    return lambda z, value: z if isinstance(z, types.Float) and isinstance(value, types.Number) else None


@lower_builtin(formulas.like, types.Float, types.Number)
def _lower_like(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return context.cast(builder, arguments[1], signature.args[1], signature.return_type)


@type_callable(formulas.select)
def _type_select(context: Any) -> Any:
    return lambda condition, a, b: a if isinstance(a, types.Float) and a == b else None


@lower_builtin(formulas.select, types.Boolean, types.Float, types.Float)
def _lower_select(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.select(*arguments)


LARGEST = {types.float32: float(np.finfo(np.float32).max), types.float64: float(np.finfo(np.float64).max)}


@type_callable(formulas.finite)
def _type_finite(context: Any) -> Any:
    return lambda z: z if isinstance(z, types.Float) else None


@lower_builtin(formulas.finite, types.Float)
def _lower_finite(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    most = context.get_constant(signature.return_type, LARGEST[signature.return_type])
    return builder.select(builder.fcmp_ordered(">", arguments[0], most), most, arguments[0])


ON_OTHER_MACHINES: dict[Any, dict[types.Float, Callable[..., Any]]] = {}  # (kind of context, helper): by type


def _stand_for(helper: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Let ``helper`` be ``function`` of the math module, which knows float32 and float64 each, or what another machine
    has for it."""

    @type_callable(helper)
    def type_of(context: Any) -> Any:
        return lambda z: z if isinstance(z, types.Float) else None

    @lower_builtin(helper, types.Float)
    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        special = ON_OTHER_MACHINES.get((type(context), helper), {})
        return context.get_function(special.get(signature.return_type, function), signature)(builder, arguments)


_stand_for(formulas.exp, math.exp)
_stand_for(formulas.log, math.log)
_stand_for(formulas.log1p, math.log1p)
_stand_for(formulas.tanh_of, math.tanh)
_stand_for(formulas.sin_of, math.sin)
_stand_for(formulas.cos_of, math.cos)
_stand_for(formulas.sqrt, math.sqrt)

_OF_RULES = {
    method for rule in RULES.values() for method in (rule.step, rule.prepare, rule.longest, rule.ahead) if method
}
for _function in (*formulas.ALL, *_OF_RULES, random_streams.mix, random_streams.stream):
    register_jitable(fastmath=CONTRACT, **OPTIONS_OF_PARTS)(_function)
