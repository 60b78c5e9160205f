"""Compilation that nothing can cut in two.

While Numba compiles, its tables are half made. An exception that comes in between, be it Ctrl-C or whatever else a
signal handler raises, would leave them so, and nothing that needs them could be compiled any more. Signals reach the
main thread alone. So a call that finds no machine code has it made, or loaded, in a thread of its own, and waits: what
is raised meanwhile goes to the caller at once, the compilation goes on to its end, and Numba's lock makes the next call
that needs it wait for it.
"""

from __future__ import annotations

import _imp
import contextlib
import gc
import os
import sys
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterator
from contextvars import copy_context
from importlib import import_module
from typing import Any

from numba import types

from .insides import CPUDispatcher, global_compiler_lock

STACK = 16 << 20  # bytes: some systems, and some programs, give threads too little for a compiler
LOOK = 0.1  # seconds between looks at signals where they do not wake a thread that waits

_starting = allocate_lock()  # the size of stacks is one for all threads


class Kernel(CPUDispatcher):
    """A function that Python calls; a call for which there is machine code costs what it costs with Numba.

    Numba holds read-only arrays for a type of their own; most kernels write to none that a caller hands in, so that
    they take both, by one machine code.
    """

    writes = False  # to arrays that a caller hands in

    def _compile_for_args(self, *arguments: Any, **keywords: Any) -> Any:
        assert not keywords
        return to_the_end(self._find_code, *arguments)

    def _find_code(self, *arguments: Any) -> Any:
        came = [self.typeof_pyval(argument) for argument in arguments]
        kinds = came if self.writes else [_writeable(kind) for kind in came]
        if kinds == came:
            return super()._compile_for_args(*arguments)
        try:
            code = self.compile(tuple(kinds))
            self._insert([kind._code for kind in came], code, False)
        finally:
            self._types_active_call.clear()
        return code

    def typeof_pyval(self, value: Any) -> Any:
        """The type of an argument. For it Numba imports numpy.ma; cut in two, that would leave a part behind at which
        everybody who asks for it recurses without end."""
        if "numpy.ma" not in sys.modules:
            to_the_end(import_module, "numpy.ma")
        return super().typeof_pyval(value)

    def is_there(self, *arguments: Any) -> bool:
        """Whether a call finds machine code: in memory, or on disk, from where it comes now."""
        came = [self.typeof_pyval(argument) for argument in arguments]
        return bool(to_the_end(self._look_for, tuple(came if self.writes else map(_writeable, came))))

    def _look_for(self, kinds: tuple[Any, ...]) -> bool:
        with global_compiler_lock:
            if kinds in self.overloads:
                return True
            code = self._cache.load_overload(kinds, self.targetctx)
            if code is not None:
                self._cache_hits[kinds] += 1
                self.targetctx.insert_user_function(code.entry_point, code.fndesc, [code.library])
                self.add_overload(code)
            return code is not None


class SharedPart(Kernel):
    """A function that only kernels call: its machine code stands beside theirs, which know it by its name."""

    def get_call_template(self, kinds: Any, keywords: Any) -> Any:
        return super().get_call_template([types.unliteral(kind) for kind in kinds], keywords)

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.__qualname__}: only kernels call it")  # there is no code for Python to do so

    def add_overload(self, code: Any) -> None:
        super().add_overload(code)
        code.library.shared = self, code.signature.args


MOST_LEFT = 1 << 20  # objects, some 80 MB
_left = 0


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage meanwhile, and leave that of the first kernels to Python's next look at all that there is.
    Looking for it while a kernel is compiled would take a tenth of the time, and at once after it another."""
    global _left
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            _left += gc.get_count()[0]
            if _left <= MOST_LEFT and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # now all are old
            gc.enable()


def _writeable(kind: Any) -> Any:
    """The type of the same arrays, none of them read-only."""
    if isinstance(kind, types.Array):
        return kind.copy(readonly=False)
    if isinstance(kind, types.BaseTuple):
        return types.BaseTuple.from_types([_writeable(part) for part in kind], getattr(kind, "instance_class", None))
    return kind


def to_the_end(function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``, which is done to its end whatever is raised here meanwhile.

    The interpreter's end waits for it. What a thread needs that compiles already, for a type of its own, say, is
    compiled in place: else it would wait for itself. So it is where an import was cut in two and left Python's lock of
    imports to this thread: no other could import anything.
    """
    compiles_already = global_compiler_lock.is_locked()  # this thread
    if compiles_already or _imp.lock_held() or sys.is_finalizing():
        return function(*arguments)
    process = os.getpid()
    task = _Task(copy_context().run, function, *arguments)
    # Starting a Thread takes many steps of Python, between any two of which a signal may come; this is one step.
    try:
        start_new_thread(task.start, ())
    except RuntimeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # by a signal handler
        return function(*arguments)  # no thread can be started
    while not task.ended.acquire(timeout=LOOK):
        if os.getpid() != process:  # forked by a signal handler: the thread is none of ours
            return function(*arguments)
    return task.result()


class _Task:
    """What passes between a caller and the thread that works for it. Neither keeps what it holds longer than needed."""

    def __init__(self, *call: Any) -> None:
        self.call = call
        self.outcome: tuple[bool, Any] = False, None
        self.thread: threading.Thread | None = None
        self.ended = allocate_lock()
        self.ended.acquire()

    def start(self) -> None:
        """Start the thread, with a large stack."""
        try:
            self.thread = threading.Thread(target=self.work, name="bpjit compiles", daemon=False)
            with _starting:
                size = threading.stack_size(STACK)
                try:
                    self.thread.start()
                finally:
                    threading.stack_size(size)
        except Exception:  # there is no room for another thread, or for its stack: this one will do
            self.thread = None
            self.work()

    def work(self) -> None:
        function, *arguments = self.call
        self.call = ()
        try:
            self.outcome = True, function(*arguments)
        except BaseException as error:
            self.outcome = False, error
        finally:
            ended = self.ended
            del self, arguments  # the traceback of an error has this frame
            ended.release()

    def result(self) -> Any:
        """What came out, once the work has ended."""
        if self.thread is not None:
            self.thread.join()  # it ends: who forks now is alone
            with _starting:  # and stacks are again of the size they were
                pass
        (good, result), self.outcome = self.outcome, (False, None)
        if good:
            return result
        try:
            raise result
        finally:
            del result  # its traceback has this frame


# A child has but the thread that forked: it must not inherit a compilation, or a lock of one, from another.


def _hold() -> None:
    global_compiler_lock.acquire()
    _starting.acquire()


def _let_go() -> None:
    _starting.release()
    global_compiler_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
