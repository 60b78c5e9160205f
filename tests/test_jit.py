"""The disk cache: hits where nothing changed, never old machine code, never a failure of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bpjit
from bpjit import compiled
from bpjit.kernels import passes
from bpjit.kernels.one.chunks import through

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


SHARE = """
import numpy as np, bpjit, sys
from bpjit.kernels.one import batches, chunks
from bpjit.kernels.simd import tiles
X, Y = np.random.default_rng(0).random((2, 20, 3))
net = bpjit.Network.random((3, 40, 3), seed=0)
fits = [bpjit.train(net, X, Y, rule=rule, updates=5, eta=0.1, stop=2) for rule in sys.argv[1:]]
shared = chunks.through, chunks.add_gradients, tiles.tiles
assert [len(part.signatures) for part in shared] == [1, 1, 1]
count = lambda kind: [sum(getattr(k.stats, kind).values()) for k in (batches.train_block, batches.evaluate, *shared)]
print(*count("cache_hits"), *count("cache_misses"), *(fit.network.parameters.sum() for fit in fits))
"""


@pytest.mark.slow
def test_kernels_share_what_depends_on_no_rule(tmp_path):
    """Whether it is compiled, loaded, or loaded by one and gone for another."""

    def run(*rules):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-W", "error", "-c", SHARE, *rules]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        words = done.stdout.split()
        return [int(word) for word in words[:10]], words[10:]

    counts, first = run("sgd")
    assert counts == [0] * 5 + [1] * 5
    counts, both = run("sgd", "momentum")
    assert counts == [1] * 5 + [1, 0, 0, 0, 0]
    assert both[0] == first[0]
    for part in ("through", "tiles"):
        (file,) = tmp_path.rglob(f"*.{part}-*.nbc")
        file.unlink()
    counts, again = run("momentum", "sgd")
    assert counts == [2, 1, 0, 1, 0, 0, 0, 1, 0, 1]
    assert again == both[::-1]


def test_what_users_code_calls_stands_alone():
    """Numba keeps their code on disk without what it would find beside it."""
    net = bpjit.Network.random((2, 3, 1), seed=0)
    bpjit.compile(net, learner=True)
    for made in (compiled.learn, compiled.predict, compiled.slopes):
        assert all(not hasattr(code.library, "beside") or not code.library.beside for code in made.overloads.values())
    with pytest.raises(TypeError, match="only kernels call it"):
        through()


def test_this_numba_has_the_passes_that_kernels_need():
    """Else they compile with all of Numba's, which takes longer."""
    assert passes.passes_there() is not None
