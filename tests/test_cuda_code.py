"""The GPU's machine code, read without a GPU: does it compile, spill, use doubles where it should not, fit a block?"""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bpjit.settings.rules import RULES
from cases import slow

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install '.[cuda]'"
)

GENERATIONS = ((8, 0), (9, 0))
REGISTERS = 1 << 16  # of a multiprocessor


def assembler() -> str | None:
    """NVIDIA's assembler: that of the packages, which is as new as the compiler, or one on the PATH."""
    spec = importlib.util.find_spec("nvidia")
    places = list(spec.submodule_search_locations) if spec and spec.submodule_search_locations else []
    return next((str(path) for place in places for path in Path(place).glob("*/bin/ptxas")), shutil.which("ptxas"))


@pytest.fixture(autouse=True)
def _put_the_device_back():
    import numba.cuda.dispatcher

    real = numba.cuda.dispatcher.get_current_device
    yield
    numba.cuda.dispatcher.get_current_device = real


class Code:
    """What the compiler and the assembler make of a kernel."""

    def __init__(self, kernel, signature, generation, threads, folder) -> None:
        import numba.cuda.dispatcher
        from numba import cuda

        # Numba asks the device at hand for its generation where functions call functions; here there may be none.
        numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=generation)
        ptx, _ = cuda.compile(
            kernel.py_func,
            signature,
            device=False,
            abi="numba",
            cc=generation,
            output="ptx",
            fastmath=True,
            launch_bounds=threads,
        )
        self.ptx = ptx
        path = folder / "kernel.ptx"
        path.write_text(ptx)
        tool = assembler()
        if tool is None:
            pytest.skip("no ptxas: pip install nvidia-cuda-nvcc")
        options = ["-v", "-c", f"-arch=sm_{generation[0]}{generation[1]}", str(path), "-o", str(folder / "kernel.o")]
        done = subprocess.run([tool, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        report = done.stderr
        self.registers = int(re.search(r"Used (\d+) registers", report)[1])
        self.spilled = max(int(count) for count in re.findall(r"(\d+) bytes spill stores", report))
        shared = re.search(r"(\d+) bytes smem", report)
        self.shared = int(shared[1]) if shared else 0

    @property
    def calls(self) -> set[str]:
        return set(re.findall(r"call\.uni[^;]*?\n\s*(\w+)", self.ptx))


def arrays(dtype, *kinds):
    """Types of arrays: a number is dimensions of the network's dtype, "i2" of integers, "F2" transposed, and so on."""
    from numba import types

    own = types.float32 if dtype == "float32" else types.float64
    of = {"i": types.int64, "u": types.uint64, "f": own}
    found = []
    for kind in kinds:
        letter, layout, dimensions = kind
        found.append(types.Array(of[letter], int(dimensions), layout))
    return tuple(found)


def record(kind, *fields):
    """The type of a record, given those of its fields: a letter for an integer, or types."""
    from numba import types

    return types.NamedTuple([types.int64 if field == "i" else field for field in fields], kind)


def many_kind(sizes, rule, dtype, **more):
    from bpjit.kernels.cuda import columns

    settings = {
        "loss": 0,
        "penalty": False,
        "masked": False,
        "adaptive": False,
        "blocks": False,
        "stalls": False,
        "window": 0,
        "validated": False,
        "weighted": (False, False),
        "rowed": (False, False),
        "own": False,
        "threads": columns.team_size(sizes),
    }
    activations = ("sigmoid",) * (len(sizes) - 2) + (("softmax",) if sizes[-1] > 1 else ("sigmoid",))
    return columns.Kind(sizes, activations, dtype=dtype, rule=rule and RULES[rule], **(settings | more))


def many_signature(kind):
    from bpjit.kernels.cuda import calls, epochs, samples

    t = "C" if kind.threads == 1 else "F"

    def of(*kinds):
        return arrays(kind.dtype, *kinds)

    D = record(samples.Data, *of("fC2", "fC2", f"f{t}2", f"u{t}2"), "i")
    orders = record(samples.Orders, *of("uC2", "uC1", f"u{t}2", "uC1"))
    call = record(epochs.Call, record(calls.Stretch, *"iiii"), *of("fC2"), *"iii", *of("fC1"))
    return (*of(f"f{t}2", "fC1"), D, D, orders, call, record(calls.Recorded, *of("fC2", "fC2")))


EVERYTHING = {
    "penalty": True,
    "masked": True,
    "adaptive": True,
    "blocks": True,
    "stalls": True,
    "window": 3,
    "validated": True,
    "weighted": (True, True),
    "rowed": (True, True),
    "own": True,
}
LOW_PART = "0f32A57060"  # of log2 e: the exp that keeps its digits where its argument is large takes two parts of it

MANY = [
    # sizes, rule, dtype, bytes that may be spilled, other settings
    ((2, 2, 1), None, "float32", 0, {}),
    ((2, 2, 1), "sgd", "float32", 0, {}),
    ((2, 2, 1), "sgd", "float64", 0, {}),
    ((2, 4, 1), None, "float32", 0, {}),
    ((2, 4, 1), "sgd", "float32", 0, {}),
    ((2, 4, 1), "rprop", "float64", 0, {}),
    ((2, 4, 1), "adam", "float32", 324, EVERYTHING),  # it keeps the best network of an adaptive rate, too
    ((4, 8, 3), None, "float32", 0, {}),
    ((8, 10, 1), None, "float32", 420, {}),  # 101 parameters and what they work with are more than 255 registers
    ((8, 10, 1), "sgd", "float64", 5000, {}),
    ((64, 32, 10), None, "float32", 0, {}),
    ((64, 32, 10), "adam", "float32", 0, EVERYTHING),
    ((16, 32, 32, 4), "nesterov", "float64", 0, {}),
    ((784, 100, 10), None, "float32", 256, {}),
]


@pytest.mark.parametrize(
    ("sizes", "rule", "dtype", "spilled", "more", "generation"),
    [(*kind, GENERATIONS[1]) for kind in MANY[::3]]
    + [slow(*kind, GENERATIONS[1]) for k, kind in enumerate(MANY) if k % 3]
    + [slow(*kind, GENERATIONS[0]) for kind in MANY[1::3]],
)
def test_kernels_of_many_networks(sizes, rule, dtype, spilled, more, generation, tmp_path):
    from bpjit.kernels.cuda import columns, many

    kind = many_kind(sizes, rule, dtype, **more)
    threads = columns.launch_for(1, kind.threads).threads
    code = Code(many.train_kernel(kind), many_signature(kind), generation, threads, tmp_path)
    assert dtype == "float64" or ".f64" not in code.ptx
    assert not code.calls  # all is inlined
    assert code.registers * threads <= REGISTERS
    assert code.shared <= 48 << 10
    assert ("ex2.approx" in code.ptx and LOW_PART in code.ptx) or dtype == "float64"
    assert code.spilled <= spilled


def test_whether_a_target_is_known_is_not_optimised_away(tmp_path):
    """Fast mathematics might take it that no number is NaN."""
    from bpjit.kernels.cuda import columns, many

    codes = []
    for loss in (0, (0,)):
        kind = many_kind((2, 2, 2), None, "float32")._replace(loss=loss, activations=("tanh", "identity"))
        threads = columns.launch_for(1, kind.threads).threads
        codes.append(Code(many.train_kernel(kind), many_signature(kind), (9, 0), threads, tmp_path).ptx)
    of_all, where_known = (len(re.findall(r"setp\.le\.\S+ .*0f7F800000", code)) for code in codes)
    assert (of_all, where_known) == (0, 4)  # of two targets, in training and in measuring


def test_formulas_of_the_user_s_own(tmp_path):
    """Compiled in like any other: nothing is called, and the larger side of a choice of exp is not lost."""
    import own_cases
    from bpjit.kernels.cuda import columns, many
    from bpjit.kernels.layout import code_of_loss

    kind = many_kind((2, 4, 1), None, "float32")._replace(
        activations=(own_cases.ACTIVATION,) * 2, loss=code_of_loss(own_cases.LOSS), rule=type(own_cases.my_adam)
    )
    threads = columns.launch_for(1, kind.threads).threads
    code = Code(many.train_kernel(kind), many_signature(kind), (9, 0), threads, tmp_path)
    assert not code.calls
    assert code.spilled == 0
    assert ".f64" not in code.ptx
    assert "ex2.approx" in code.ptx
    assert LOW_PART in code.ptx


@pytest.mark.parametrize("sizes", [(2, 2, 1), (64, 32, 10)])
def test_kernels_that_predict(sizes, tmp_path):
    from bpjit.kernels.cuda import columns, many

    kind = many_kind(sizes, None, "float32")
    table, _, D, *_ = many_signature(kind)
    signature = (table, D, *arrays("float32", "fC1", "fC1", "fC3"))
    threads = columns.launch_for(1, kind.threads).threads
    code = Code(many.visit_kernel(kind), signature, (9, 0), threads, tmp_path)
    assert ".f64" not in code.ptx
    assert code.spilled == 0
    assert code.registers * threads <= REGISTERS


BATCHES = [
    ((784, 100, 10), "sgd", "float32", 2, False),
    ((784, 100, 10), "adam", "float32", 4, True),
    ((16, 32, 32, 4), "rprop", "float64", 4, False),
    ((3, 2), "nesterov", "float32", 2, False),
]


@pytest.mark.parametrize(
    ("sizes", "rule", "dtype", "wide", "shares", "generation"),
    [(*BATCHES[1], GENERATIONS[1])] + [slow(*kind, GENERATIONS[k % 2]) for k, kind in enumerate(BATCHES) if k != 1],
)
def test_kernels_of_batches(sizes, rule, dtype, wide, shares, generation, tmp_path):
    from numba import types

    from bpjit.kernels.cuda import batch, calls, stages

    activations = ("sigmoid",) * (len(sizes) - 2) + ("softmax",)
    kind = batch.Kind(sizes, activations, 3, dtype, RULES[rule], rule == "rprop", False, wide, shares)
    vector, matrix, numbers, orders, order = arrays(dtype, "fC1", "fC2", "fC3", "uC2", "uC1")
    state = record(stages.State, vector, vector, matrix, vector, vector)
    D = record(batch.Data, matrix, matrix, vector, orders, "i")
    room = record(stages.Room, numbers, *(matrix,) * 4, vector, matrix)
    call = record(batch.Call, record(calls.Stretch, *"iiii"), vector, *"ii")
    signature = (state, vector, vector, D, D, room, call, record(calls.Recorded, vector, vector))
    threads = stages.THREADS
    code = Code(batch.train_kernel(kind), signature, generation, threads, tmp_path)
    assert dtype == "float64" or ".f64" not in code.ptx
    assert all("cudaCG" in name for name in code.calls)  # the meeting of all blocks
    assert code.registers * threads <= REGISTERS
    assert code.spilled <= 2048  # what 25 arrays are described by, read again between the loops
    chunk = record(stages.Chunk, matrix, matrix, vector, order, *"ii")
    signatures = (
        (vector, chunk, room),
        (vector, chunk, room, types.boolean, matrix),
        (vector, chunk, room, types.boolean),
    )
    for kernel, signature in zip(batch.stage_kernels(kind), signatures, strict=True):
        code = Code(kernel, signature, generation, threads, tmp_path)
        assert dtype == "float64" or ".f64" not in code.ptx
        assert code.spilled == 0
        assert not code.calls
        assert code.registers * threads <= REGISTERS


def test_products_read_four_numbers_at_once(tmp_path):
    """The inner loop of batches: 16 sums from 2 reads of shared memory."""
    from bpjit.kernels.cuda import batch, stages

    kind = batch.Kind((784, 100, 10), ("sigmoid", "softmax"), 3, "float32", RULES["sgd"], False, False, 4, False)
    kernel = batch.stage_kernels(kind)[0]
    vector, matrix, numbers, order = arrays("float32", "fC1", "fC2", "fC3", "uC1")
    chunk = record(stages.Chunk, matrix, matrix, vector, order, *"ii")
    room = record(stages.Room, numbers, *(matrix,) * 4, vector, matrix)
    ptx = Code(kernel, (vector, chunk, room), (9, 0), stages.THREADS, tmp_path).ptx
    fused = len(re.findall(r"fma\.rn\.ftz\.f32", ptx))
    assert fused >= 16 * stages.DEEP
    assert len(re.findall(r"ld\.shared\.v4\.f32", ptx)) == fused // 8
    assert np.dtype(kind.dtype).itemsize == 4
