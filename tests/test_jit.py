"""The disk cache: hits where nothing changed, never old machine code, never a failure of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bpjit
from bpjit.kernels import passes

PACKAGE = Path(bpjit.__file__).parent
PROGRAM = """
import numpy as np, bpjit
from bpjit.kernels.one import tiny
net = bpjit.Network.random((2, 3, 1), seed=0)
fit = bpjit.train(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], stop=20)
hits, misses = (sum(sum(getattr(k.stats, kind).values()) for k in (tiny.TRAIN_BLOCKS[4], tiny.EVALUATE[4]))
                for kind in ("cache_hits", "cache_misses"))
print(bpjit.__file__, hits, misses, repr(fit.error))
"""


class Copy:
    """A copy of the package with a cache of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.package = folder / "bpjit"
        self.cache = folder / "cache"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, **environment):
        """(hits, misses, error) of the program in a new process."""
        environment = os.environ | {"PYTHONPATH": str(self.folder), "NUMBA_CACHE_DIR": str(self.cache)} | environment
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        path, hits, misses, error = done.stdout.split()
        assert Path(path).parent == self.package
        return int(hits), int(misses), error

    def edit(self, file, old, new):
        text = (self.package / file).read_text()
        assert old in text
        (self.package / file).write_text(text.replace(old, new))


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_a_second_process_hits_the_cache_and_an_edit_never_runs_old_code(copy):
    first = copy.run()
    assert first[:2] == (0, 2)
    assert copy.run() == (2, 0, first[2])
    # a formula that kernels import from another file
    copy.edit("maths/formulas.py", "y = one / (one + exp(-z))", "y = one / (one + exp(-z - z))")
    hits, misses, error = copy.run()
    assert (hits, misses) == (0, 2)
    assert error != first[2]
    assert copy.run() == (2, 0, error)
    # and back again: what was compiled then is right once more
    copy.edit("maths/formulas.py", "y = one / (one + exp(-z - z))", "y = one / (one + exp(-z))")
    assert copy.run()[2] == first[2]
    # any file counts, also one that kernels do not import
    copy.edit("settings/stopping.py", "DEFAULT_EPOCHS = 1000", "DEFAULT_EPOCHS = 1001")
    assert copy.run()[:2] == (0, 2)


COMPILE = """
import sys, bpjit
from bpjit import compiled
from bpjit.kernels.one import batches, each_sample
from bpjit.kernels.readable import batch
from bpjit.kernels.one.learner import learn_kernel, predict_kernel
net = bpjit.Network.random((5, 3, 3), output="softmax", dtype=sys.argv[1])
settings = {"updates": "accumulated", "rule": "rprop"} if sys.argv[2] == "rprop" else {}
bpjit.compile(net, learner=not settings, **settings)
kernels = [batches.train_block if settings else each_sample.train_block, batches.evaluate, batch.jacobian]
of_learners = [compiled.learn, compiled.predict, compiled.slopes, learn_kernel(()), predict_kernel(None)]
kernels += [] if settings else of_learners
before = [len(kernel.signatures) for kernel in kernels]
other = bpjit.Network.random((4, 5, 6, 2), "tanh", "relu", dtype=sys.argv[1])
X, Y = [[0, 1, 2, 3]] * 3, [[0, 1]] * 3
bpjit.train(other, X, Y, stop=[bpjit.EarlyStopping(), 2], validation=(X, Y), **settings)
other.predict(X), bpjit.gradient(other, X, Y), bpjit.jacobian(other, X, by="inputs"), bpjit.error(other, X, Y)
if not settings:
    learner = bpjit.OnlineLearner(other)
    learner.learn(X[0], Y[0]), learner.predict(X[0])
assert [len(kernel.signatures) for kernel in kernels] == before == [1] * len(kernels)
"""


@pytest.mark.parametrize(("dtype", "rule"), [("float64", "sgd"), ("float32", "rprop")])
def test_compile_leaves_nothing_to_compile_later(dtype, rule):
    """Whatever the network's sizes and activations, and the caller's data."""
    subprocess.run([sys.executable, "-W", "error", "-c", COMPILE, dtype, rule], check=True)


@pytest.mark.slow
def test_without_the_jit(copy):
    """The same lines run as plain Python: for coverage, and for those who step through with a debugger."""
    program = PROGRAM.replace("hits, misses =", "_ =").split("_ =")[0] + "print(repr(fit.error))"
    environment = os.environ | {"PYTHONPATH": str(copy.folder), "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(float(copy.run()[2]), rel=1e-12)


def test_this_numba_has_the_passes_that_kernels_need():
    """Else they compile with all of Numba's, which takes longer."""
    assert passes.passes_there() is not None
