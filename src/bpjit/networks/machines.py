"""Where work runs: which target a call asks for, whether there is a GPU, and if not, what is missing.

Nothing of CUDA is imported before somebody asks for it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from dataclasses import dataclass, fields
from typing import Any

from ..common.arguments import as_choice
from ..common.plain import printable
from ..kernels.devices import lies_on_gpu

INSTALL = "python -m pip install 'bpjit[cuda]'"
WORTH_ASKING = 2e10  # multiply-adds of a training, some seconds on a core, from which "auto" looks for a GPU


@dataclass(frozen=True)
class CudaInfo:
    """What ``cuda_info`` found.

    Attributes
    ----------
    usable : whether ``target="cuda"`` works
    missing : what is missing and how to get it, in words; empty if usable
    device : name of the GPU
    compute_capability : its generation, such as "9.0"
    memory : bytes it has
    multiprocessors : how many
    driver : the CUDA version that its driver supports, such as "13.0"
    numba_cuda : version of the package numba-cuda
    simulated : whether Numba's simulator stands in for a GPU
    """

    usable: bool
    missing: str
    device: str | None = None
    compute_capability: str | None = None
    memory: int | None = None
    multiprocessors: int | None = None
    driver: str | None = None
    numba_cuda: str | None = None
    simulated: bool = False

    @printable
    def __str__(self) -> str:
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.memory is not None:
            shown["memory"] = f"{self.memory / 2**30:.1f} GiB"
        lines = [f"{name:18}  {value}" for name, value in shown.items() if value not in (None, "")]
        return "\n".join(lines)


def cuda_info() -> CudaInfo:
    """Look for a GPU that ``target="cuda"`` can use; ``python -m bpjit.cuda_info`` prints the same.

    Returns
    -------
    CudaInfo, which says what was found and what is missing. Never raises

    Examples
    --------
    >>> import bpjit
    >>> info = bpjit.cuda_info()
    >>> info.usable or len(info.missing) > 0
    True
    """
    return _look()


@functools.cache
def _look() -> CudaInfo:
    if importlib.util.find_spec("numba_cuda") is None:
        return CudaInfo(False, f"the package numba-cuda is not installed: {INSTALL}")
    found: dict[str, Any] = {"numba_cuda": importlib.metadata.version("numba-cuda")}
    try:
        from ..kernels.cuda import door
    except Exception as error:  # numba-cuda fails in many ways where versions do not fit
        import numpy

        hint = ""
        if "row_stack" in str(error) or tuple(map(int, numpy.__version__.split(".")[:2])) >= (2, 5):
            hint = f": it does not work with NumPy {numpy.__version__}, but with numpy<2.5"
        elif "NUMBA_DISABLE_JIT" in str(error):
            hint = f": {error}"
        problem = (
            f"numba-cuda {found['numba_cuda']} cannot be imported{hint} ({type(error).__name__}: {error}); {INSTALL}"
        )
        return CudaInfo(False, problem, **found)
    found["simulated"] = door.SIMULATED
    try:
        missing, more = door.look()
    except Exception as error:  # a driver in trouble
        missing, more = f"the CUDA driver reported {type(error).__name__}: {error}", {}
    if missing:
        missing += '; without a GPU use target="cpu"'
    return CudaInfo(not missing, missing, **found, **more)


def target_of_data(target: str, X: Any, Y: Any = None, validation: Any = None) -> str:
    """The target, where X may lie on a GPU: then it is "cuda"."""
    if not lies_on_gpu(X):
        pair = validation if isinstance(validation, (tuple, list)) else ()
        for name, arrays in (("Y", (Y,)), ("validation", pair)):
            if any(lies_on_gpu(array) for array in arrays):
                raise ValueError(f"{name}: it lies on a GPU, but X does not; expected X there too, or all on the host")
        return target
    if target == "cpu":
        raise ValueError('target: the data lie on a GPU; expected "cuda" or "auto", or a copy of the data on the host')
    return "cuda"


def need_cuda() -> None:
    """Raise ``RuntimeError`` unless there is a GPU to use."""
    info = cuda_info()
    if not info.usable:
        raise RuntimeError(f'target: "cuda" cannot be used here: {info.missing}')


def as_machine(target: Any, work: float = 0.0) -> str:
    """The machine to run on, "cpu" or "cuda"; ``work`` is in multiply-adds that the GPU would do many at a time."""
    as_choice("target", target, ("auto", "cpu", "cuda"))
    if target == "cuda":
        need_cuda()
    if target == "auto":
        return "cuda" if work >= WORTH_ASKING and cuda_info().usable and not cuda_info().simulated else "cpu"
    return str(target)
