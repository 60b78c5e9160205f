"""The door to CUDA, and the only module that imports numba.cuda: what the GPU's compiler makes of helpers, how kernels
are compiled and launched, arrays on the device, and errors in the words of bpjit.

Importing it without numba-cuda raises; ``networks.machines`` asks before.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import cuda, types
from numba.extending import intrinsic

from ...maths import formulas
from .. import jit
from ..devices import lies_on_gpu
from ..insides import OF_CUDA, config, lacking

SIMULATED = bool(cuda.config.ENABLE_CUDASIM)
BESIDE = 8 if SIMULATED else 128  # threads in a block of those that work each alone
ALIGNED = None if SIMULATED else 16  # bytes, for arrays from which several numbers are read at once
WARP = 4 if SIMULATED else 32  # threads that go together; the simulator's blocks are one warp each

Order = Literal["C", "F"]

if not SIMULATED:
    from numba.cuda import libdevice
    from numba.cuda.cudadrv import driver
    from numba.cuda.cudadrv.driver import CudaAPIError
    from numba.cuda.cudadrv.error import CudaSupportError
    from numba.cuda.target import CUDATargetContext

    # What fast math would take for these has three digits, or loses them far from 0 or close to 1.
    for _helper, _double, _single in (
        (formulas.exp, libdevice.exp, libdevice.expf),
        (formulas.tanh_of, libdevice.tanh, libdevice.tanhf),
        (formulas.sin_of, libdevice.sin, libdevice.sinf),
        (formulas.cos_of, libdevice.cos, libdevice.cosf),
        (formulas.log, libdevice.log, libdevice.logf),
    ):
        jit.ON_OTHER_MACHINES[CUDATargetContext, _helper] = {types.float64: _double, types.float32: _single}


def kernel(function: Callable[..., Any], name: str, threads: int) -> Any:
    """A function for the device, to be launched with at most so many threads in a block; compiled at its first call for
    each kind of arguments."""
    function.__name__ = function.__qualname__ = name
    if SIMULATED:
        return cuda.jit(function)
    return cuda.jit(function, fastmath=True, launch_bounds=threads)  # so that their registers suffice


def pasted(function: Callable[..., Any]) -> Any:
    """Let a kernel call ``function`` as if its lines stood there, so that local arrays made by it are the kernel's. The
    simulator wants both in one file."""
    return function if SIMULATED else cuda.jit(function, device=True, inline="always")


class Launch(NamedTuple):
    """How many blocks of how many threads."""

    blocks: int
    threads: int


# --- The device, its arrays, its errors.


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """Let errors of the driver say what to do."""
    if SIMULATED:
        yield
        return
    try:
        yield
    except CudaAPIError as error:
        text = str(error)
        if "OUT_OF_MEMORY" in text or "out of memory" in text:
            raise MemoryError(
                f"target: the GPU has too little memory for this work ({memory()}); give fewer networks or samples at "
                'a time, use dtype="float32", or target="cpu"'
            ) from error
        raise RuntimeError(f'target: the GPU reported an error: {text}; target="cpu" works all the same') from error


def memory() -> str:
    """How much of the device's memory is free."""
    try:
        free, total = cuda.current_context().get_memory_info()
    except Exception:  # whatever a device in trouble may raise
        return "how much is unknown"
    return f"{free / 2**20:,.0f} of {total / 2**20:,.0f} MiB are free"


def free_memory() -> int:
    """Bytes of the device's memory that are free."""
    return 1 << 28 if SIMULATED else int(cuda.current_context().get_memory_info()[0])


def run(kernel: Any, launch: Launch, *arguments: Any) -> None:
    """Launch a kernel and wait for its end."""
    with in_our_words():
        _configured(kernel, launch)(*arguments)
        cuda.synchronize()


@functools.cache
def _configured(kernel: Any, launch: Launch) -> Any:
    """A kernel ready to be launched. That few blocks do not fill a GPU is known."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Grid size")  # which Numba may begin with a colour
        return kernel[launch]


def to_device(array: np.ndarray, order: Order = "C") -> Any:
    """A copy on the device, in which rows lie together, or, in order "F", columns; what is there already stays as it
    is. (Never by ``.T`` of an array on the device, which is a copy, and a view in the simulator.)"""
    if lies_on_gpu(array):
        return array if hasattr(array, "copy_to_host") else cuda.as_cuda_array(array)
    array = np.ascontiguousarray(array) if order == "C" else np.asfortranarray(array)
    if 0 in array.strides:  # as after [None]: kernels would be compiled once more, for any strides
        array = array.copy(order)
    with in_our_words():
        return cuda.to_device(array)


def count_outside(array: Any, low: float, high: float) -> int:
    """2 if an array on the device has numbers that are not finite, 1 if it has some not from low to high, else 0."""
    flag = to_device(np.zeros(2, np.int64))
    columns = array if len(array.shape) == 2 else array.reshape(1, *array.shape)
    run(_check_kernel(), Launch(8 if SIMULATED else 256, WARP), columns, low, high, flag)
    outside, infinite = flag.copy_to_host()
    return 2 if infinite else int(outside)


@functools.cache
def _check_kernel() -> Any:
    def check(array: Any, low: float, high: float, flag: Any) -> None:
        l = array.shape[1]
        for item in range(cuda.grid(1), array.shape[0] * l, cuda.gridsize(1)):
            value = array[item // l, item % l]
            zero = formulas.like(value, 0)
            if value * zero != zero:
                flag[1] = 1
            elif value < low or value > high:
                flag[0] = 1

    return kernel(check, "check", WARP)


def empty(shape: tuple[int, ...], dtype: Any, order: Order = "C") -> Any:
    """An array on the device, of whatever is there."""
    with in_our_words():
        return cuda.device_array(shape, dtype, order=order)


def cycles_a_second() -> float:
    """Of all multiprocessors together."""
    device = cuda.get_current_device()
    return 1e3 * float(device.MULTIPROCESSOR_COUNT * device.CLOCK_RATE)


def multiprocessors() -> int:
    return 2 if SIMULATED else int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


OLDEST = (8, 0)  # compute capability


def look() -> tuple[str, dict[str, Any]]:
    """What is missing for kernels to run, or nothing; and what there is, as ``targets.CudaInfo`` names it."""
    if SIMULATED:
        if not config.DISABLE_JIT:
            return "the simulator of Numba needs NUMBA_DISABLE_JIT=1 beside NUMBA_ENABLE_CUDASIM=1", {}
        return "", {"device": "Numba's simulator"}
    if names := lacking(OF_CUDA):
        return f"this numba-cuda does not have what bpjit needs: {', '.join(names)}", {}
    try:
        version = driver.driver.get_version()
    except CudaSupportError as error:
        reason = " ".join(str(error).split()).strip(": ")
        return f"no NVIDIA driver was found ({reason}); install NVIDIA's driver for your GPU", {}
    found: dict[str, Any] = {"driver": "{}.{}".format(*version)}
    toolkit = toolkit_version()
    if toolkit is not None and version[0] < toolkit[0]:
        return (
            f"the driver is too old: it supports CUDA {version[0]}.{version[1]}, and the compiler installed here makes "
            f"code for CUDA {toolkit[0]}; update the driver, or: python -m pip install 'numba-cuda[cu{version[0]}]'"
        ), found
    if not cuda.is_available():
        return "there is a driver, but no GPU that it can use", found
    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    found |= {
        "device": name,
        "compute_capability": "{}.{}".format(*device.compute_capability),
        "memory": int(cuda.current_context().get_memory_info()[1]),
        "multiprocessors": int(device.MULTIPROCESSOR_COUNT),
    }
    if tuple(device.compute_capability) < OLDEST:
        return f"the GPU has compute capability {found['compute_capability']}; bpjit needs 8.0 (Ampere) or newer", found
    return "", found


def toolkit_version() -> tuple[int, ...] | None:
    """Version of the compiler for the device, if it came as a package."""
    for package in ("nvidia-nvvm", "nvidia-cuda-nvcc", "nvidia-cuda-nvcc-cu12"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return tuple(int(part) for part in importlib.metadata.version(package).split(".")[:2])
    return None


# --- Threads of a block together.


if SIMULATED:  # which lends its own module to kernels, but not to what they call

    def wait() -> None:
        threading.current_thread().syncthreads()

    wait_for_warp = wait

    def for_any(flag: Any) -> Any:
        return threading.current_thread().syncthreads_or(flag)

else:

    @jit.formula
    def wait() -> None:
        """Wait for all threads of the block."""
        cuda.syncthreads()

    @jit.formula
    def wait_for_warp() -> None:
        """Wait for all threads of the warp."""
        cuda.syncwarp()

    @jit.formula
    def for_any(flag: Any) -> Any:
        """Whether a flag is true in any thread of the block; waits for all."""
        return cuda.syncthreads_or(np.int32(flag)) != 0


# --- Loops over layers, each of which has its sizes as constants: then the compiler unrolls what is short, and numbers
# --- of a small network stay in registers.


if config.DISABLE_JIT:

    def each_layer(layers: Any, backwards: Any, body: Callable[..., Any], arguments: Any) -> None:
        for layer in layers[::-1] if backwards else layers:
            body(layer, *arguments)

    def unrolled(count: Any, body: Callable[..., Any], arguments: Any) -> None:
        for k in range(len(count)):
            body(k, *arguments)

else:

    @intrinsic
    def each_layer(typing_context: Any, layers: Any, backwards: Any, body: Any, arguments: Any) -> Any:
        """``body(layer, *arguments)`` for each layer of a tuple, one after another; backwards where a tuple is not
        empty."""
        signatures = [body.get_call_type(typing_context, (layer, *arguments.types), {}) for layer in layers.types]

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            numbers = range(len(signatures))
            for number in reversed(numbers) if len(backwards.types) else numbers:
                layer = builder.extract_value(values[0], number), layers.types[number]
                jit.call_body(context, builder, body, signatures[number], layer, (values[3], arguments))
            return context.get_dummy_value()

        return types.void(layers, backwards, body, arguments), generate

    @intrinsic
    def unrolled(typing_context: Any, count: Any, body: Any, arguments: Any) -> Any:
        """``body(k, *arguments)`` for each k below the length of a tuple, one after another."""
        wanted = body.get_call_type(typing_context, (types.intp, *arguments.types), {})

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            for number in range(len(count.types)):
                k = context.get_constant(types.intp, number), types.intp
                jit.call_body(context, builder, body, wanted, k, (values[2], arguments))
            return context.get_dummy_value()

        return types.void(count, body, arguments), generate


FORWARDS: tuple[int, ...] = ()
BACKWARDS: tuple[int, ...] = (0,)
