"""Other machines than the one at hand: narrower vectors are run, NEON is compiled and read, not run."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="other vector widths are chosen here among those of x86-64"
)

RUN = """
import functools, re, sys
import numpy as np
import bpjit, bpjit.training.loop
from bpjit.kernels.one import each_sample, padded
from bpjit.training.session import Session
assert padded.VECTOR_BYTES == int(sys.argv[1])
rng = np.random.default_rng(0)
for dtype, tolerance in {"float64": 1e-12, "float32": 1e-4}.items():
    if dtype not in sys.argv[2:]:
        continue
    for sizes in ((2, 3, 1), (9, 21, 3), (40, 33, 18, 2)):
        net = bpjit.Network.random(sizes, "tanh", "softmax" if sizes[-1] > 1 else "sigmoid", seed=1, dtype=dtype)
        X, Y = rng.normal(size=(50, sizes[0])), rng.dirichlet(np.ones(sizes[-1]), 50)
        for settings in ({}, {"rule": "adam", "updates": 16}, {"updates": "accumulated", "rule": "rprop"}):
            p = []
            for readable in (False, True):
                bpjit.training.loop.Session = functools.partial(Session, readable=readable)
                p.append(bpjit.train(net, X, Y, stop=4, **settings).network.parameters.astype(np.float64))
            assert np.linalg.norm(p[0] - p[1]) <= tolerance * np.linalg.norm(p[1]), (dtype, sizes, settings)
            assert np.linalg.norm(p[0] - net.parameters) > 1e-4
        nets = bpjit.Networks.of([net] * 3)
        for settings in ({}, {"rule": "adam", "updates": 16}):
            alone = bpjit.train(net, X, Y, stop=4, **settings).network.parameters.astype(np.float64)
            for p in bpjit.train_many(nets, X, Y, stop=4, threads=1, **settings).networks.parameters:
                assert np.linalg.norm(p - alone) <= tolerance * np.linalg.norm(alone), (dtype, sizes, settings)
        learner = bpjit.OnlineLearner(net)
        learner.learn(X[0], Y[0])
        learner.predict(X[0])
code = "".join(each_sample.train_block.inspect_asm().values())
assert ("zmm" in code) == (sys.argv[1] == "64") and ("ymm" in code or sys.argv[1] == "16")
"""


WIDTHS = [
    ("haswell", "+avx2,+fma", 32, ["float32"]),
    pytest.param("x86-64", "+sse2", 16, ["float64"], marks=pytest.mark.slow),
    pytest.param("haswell", "+avx2,+fma", 32, ["float64"], marks=pytest.mark.slow),
    pytest.param("x86-64", "+sse2", 16, ["float32"], marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("cpu", "features", "width", "dtypes"), WIDTHS)
def test_narrower_vectors_give_the_results_of_the_readable_kernels(cpu, features, width, dtypes, tmp_path):
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),  # read-only inspection needs freshly compiled code
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(width), *dtypes],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


COMPILE = """
import re
import llvmlite.binding as llvm
import numba, numpy as np
import bpjit
from bpjit.kernels import jit
from bpjit.kernels.one import each_sample, padded
from bpjit.kernels.simd.tiles import tiles
assert padded.VECTOR_BYTES == 16
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(cpu="neoverse-n1", opt=2)
X = np.random.default_rng(0).random((30, 9))
Y = X[:, :3] / X[:, :3].sum(1, keepdims=True)
for updates, dtype, form in ((1, "float32", "4s"), (8, "float32", "4s"), (1, "float64", "2d")):
    each_sample.train_block = numba.njit(
        fastmath=jit.FASTMATH, nogil=True, pipeline_class=jit._KernelCompiler, **jit.OPTIONS
    )(each_sample.train_block.py_func)
    bpjit.train(bpjit.Network.random((9, 20, 3), output="softmax", dtype=dtype), X, Y, updates=updates, stop=1)
    kernel = each_sample.train_block if updates == 1 else tiles
    (code,) = kernel.inspect_llvm().values()
    code = re.sub(r"target (triple|datalayout) = .*", "", code)
    code = re.sub(r"(attributes #\\d+) = {[^}]*}", r"\\1 = { nounwind }", code)
    module = llvm.parse_assembly(code)
    module.triple, module.data_layout = "aarch64-unknown-linux-gnu", str(machine.target_data)
    assembly = machine.emit_assembly(module)
    assert len(re.findall(rf"\\bfmla\\b.*v\\d+\\.{form}", assembly)) > 50, (kernel, dtype)
"""


@pytest.mark.slow
def test_neon_code_is_vectors(tmp_path):
    """The kernels, made for vectors of 16 bytes, compile to NEON multiply-adds. It has not been run."""
    environment = os.environ | {
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "+sse2",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
