"""The store of machine code: what is loaded is what was asked for and saved, to the bit, or nothing."""

import errno
import gc
import importlib
import os
import pkgutil
import random
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from pathlib import Path

import llvmlite
import numba
import numpy as np
import pytest
from numba import float32, float64, int64, types
from numba.core import config

import bpjit
from bpjit.kernels import disk_cache
from bpjit.kernels.compiling import Kernel
from bpjit.kernels.disk_cache import DAY, Store, read, write
from bpjit.kernels.jit import kernel
from bpjit.kernels.lanes import lines
from bpjit.kernels.one import padded

PACKAGE = Path(bpjit.__file__).parent


@kernel
def scale(x: np.ndarray, factor: float) -> None:
    for k in range(len(x)):
        x[k] *= factor


def another() -> Kernel:
    """The same kernel as another process has it: without any machine code of its own."""
    return kernel(scale.py_func)


DOUBLE = float64[::1], float64
SINGLE = float32[::1], float32


def place(made, kind=DOUBLE):
    """Path and key."""
    return made._cache._place(kind, made._cache._own())


def load(made, kind=DOUBLE):
    return made._cache.load_overload(kind, made.targetctx)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def saved(folder):
    """A kernel with machine code of two kinds on disk, and the file of each."""
    made = another()
    made.compile(DOUBLE)
    made.compile(SINGLE)
    files = {kind: Path(place(made, kind)[0]) for kind in (DOUBLE, SINGLE)}
    assert sorted(files.values()) == sorted(folder.rglob("*.*"))
    return made, files


def test_what_is_saved_is_loaded(saved):
    made = another()
    x = np.ones(3)
    made(x, 2.0)
    assert x.tolist() == [2, 2, 2]
    assert (sum(made.stats.cache_hits.values()), sum(made.stats.cache_misses.values())) == (1, 0)
    assert made.stats.cache_path == str(saved[1][DOUBLE].parent)
    made.recompile()  # flushes
    assert sum(made.stats.cache_misses.values()) == 1
    assert [file.name for file in saved[1].values() if file.exists()] == [saved[1][DOUBLE].name]


def test_what_is_saved_is_there_for_whoever_asks(saved):
    made, read_only = another(), np.ones(3)
    read_only.flags.writeable = False
    assert not made.is_there(np.ones(3, np.int64), 2.0)
    assert not made.overloads
    assert made.is_there(read_only, 2.0)
    assert made.is_there(np.ones(3), 2.0)
    assert (sum(made.stats.cache_hits.values()), sum(made.stats.cache_misses.values())) == (1, 0)
    x = np.ones(3)
    made(x, 2.0)
    assert x.tolist() == [2, 2, 2]
    assert sum(made.stats.cache_misses.values()) == 0


def damage(content, rng):
    """A copy with a flipped bit, cut, grown, or with a part of it elsewhere."""
    changed = bytearray(content)
    place, other = rng.randrange(len(changed)), rng.randrange(len(changed))
    kind = rng.randrange(5)
    if kind == 0:
        del changed[place:]
    elif kind == 1:
        changed[place:place] = rng.randbytes(rng.randint(1, 9))
    elif kind == 2:
        changed[place : place + 64] = changed[other : other + 64]
    else:
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def check_damages(saved, monkeypatch, tries):
    made, files = saved
    path, content, rng = files[DOUBLE], files[DOUBLE].read_bytes(), random.Random(0)
    unpickled = []
    loads = disk_cache.pickle.loads
    monkeypatch.setattr(disk_cache.pickle, "loads", lambda data: unpickled.append(data) or loads(data))
    for _ in range(tries):
        changed = damage(content, rng)
        path.write_bytes(changed)
        assert load(made) is None or changed == content
    monkeypatch.undo()
    assert len(unpickled) < tries / 100  # a damage may put back what stood there
    return path, content


def test_a_damaged_file_counts_as_none_and_is_replaced(saved, folder, monkeypatch):
    path, content = check_damages(saved, monkeypatch, 500)
    monkeypatch.setattr(config, "CACHE_DIR", str(folder))
    path.write_bytes(content[:-1])
    another().compile(DOUBLE)
    assert load(another()).signature.args == DOUBLE


@pytest.mark.slow
def test_ten_thousand_damages(saved, monkeypatch):
    check_damages(saved, monkeypatch, 10_000)


def test_what_was_saved_for_others_counts_as_none(saved):
    made, files = saved
    files[DOUBLE].write_bytes(files[SINGLE].read_bytes())
    assert load(made) is None
    # even if somebody wrote it under this key
    write(*place(made), read(*place(made, SINGLE)))
    assert load(made) is None
    write(*place(made), b"no pickle")
    assert load(made) is None
    assert load(made, SINGLE) is not None
    made._cache.disable()
    assert load(made, SINGLE) is None
    made._cache.enable()
    assert load(made, SINGLE) is not None


def test_the_key_says_all_that_decides_about_machine_code(monkeypatch):
    made = another()
    keys = [place(made)[1], place(made, SINGLE)[1], place(made, types.void(*DOUBLE))[1]]
    keys.append(made._cache._place(DOUBLE, Store("", ("x86_64", "another", "+avx9")))[1])
    decisive = [(config, name) for name in disk_cache.SETTINGS]
    decisive += [
        (disk_cache, "SOURCES"),
        (numba, "__version__"),
        (llvmlite, "__version__"),
        (disk_cache, "INTERPRETER"),
    ]
    for module, name in [*decisive, (scale.py_func, "__module__"), (scale.py_func, "__qualname__")]:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, "another", raising=False)
            keys.append(place(made)[1])
    assert len(set(keys)) == len(keys)
    assert place(made)[1] == keys[0]


def test_records_of_one_short_name_are_two_in_keys():
    kinds = [types.NamedTuple((int64,), module.Net) for module in (lines, padded)]
    assert str(kinds[0]) == str(kinds[1])
    nested = [types.Tuple((types.UniTuple(kind, 2), int64)) for kind in kinds]
    assert disk_cache.spelled(nested[0]) != disk_cache.spelled(nested[1])


def test_kernels_differ_in_their_names():
    """What their closures hold is not looked at."""
    for module in pkgutil.walk_packages(bpjit.__path__, "bpjit."):
        if "cuda" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    made = [item for item in gc.get_objects() if type(item) is Kernel and item.py_func.__module__[:5] == "bpjit"]
    names = {(item.py_func.__module__, item.py_func.__qualname__): item for item in made}
    assert len(names) == len(set(made)) > 30


def test_old_machine_code_goes_what_is_used_stays(saved):
    made, files = saved
    folder, now = files[DOUBLE].parent, time.time()
    ages = {
        "test_disk_cache.scale-0-0.nbc": 31,  # of another build
        "test_disk_cache.scale-0-1.nbc": 29,
        "test_disk_cache.scale-7.py311.1.nbc": 31,  # of bpjit before this store
        "test_disk_cache.scaled-0-0.nbc": 31,  # of another kernel
        f"other-0-0.nbc.1{disk_cache.TEMPORARY}": 0.05,  # of a process that was killed
        f"other-0-0.nbc.2{disk_cache.TEMPORARY}": 0.03,
        files[SINGLE].name: 300,  # of this build
        files[DOUBLE].name: 29,
    }
    for name, days in ages.items():
        (folder / name).touch()
        os.utime(folder / name, (now - days * DAY,) * 2)
    assert load(made) is not None  # from now on it is young again
    assert abs(files[DOUBLE].stat().st_mtime - now) < 60
    made._cache.save_overload(DOUBLE, made.overloads[DOUBLE])
    gone = [name for name in ages if not (folder / name).exists()]
    assert gone == [list(ages)[place] for place in (0, 2, 4)]


def fails(error):
    def fail(*arguments, **keywords):
        raise error

    return fail


@pytest.mark.parametrize(
    ("module", "name", "error"),
    [
        (disk_cache.os, "replace", OSError(errno.ENOSPC, "no space left on device")),
        (disk_cache, "write", PermissionError()),
        (disk_cache, "tidy", MemoryError()),
        (disk_cache.CompileResult, "_reduce", RecursionError()),
    ],
)
def test_a_save_that_fails_costs_nothing(module, name, error, folder, monkeypatch):
    made = another()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, fails(error))
        made.compile(DOUBLE)
    assert list(made.overloads) == [DOUBLE]
    assert len(list(folder.rglob("*.*"))) == (name == "tidy")  # and leaves no temporary file
    made._cache.save_overload(DOUBLE, made.overloads[DOUBLE])
    assert load(made) is not None


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("write", OSError(errno.ENOSPC, "no space left on device"), "no space left"),
        ("write", PermissionError("read-only"), "read-only"),
        ("CompileResultCacheImpl", RuntimeError("no locator available"), "no locator"),
    ],
)
def test_that_nothing_can_be_kept_is_said_once(name, error, said, folder, monkeypatch):
    monkeypatch.setattr(disk_cache, name, fails(error))
    disk_cache.say_once.cache_clear()
    with pytest.warns(RuntimeWarning, match=rf"bpjit.warm_up .* NUMBA_CACHE_DIR \(.*{said}") as heard:
        another().compile(DOUBLE)
    assert len(heard) == 1
    with warnings.catch_warnings(record=True) as heard:
        another().compile(SINGLE)
    assert not heard
    disk_cache.say_once.cache_clear()
    another().compile(DOUBLE)  # here the warning is an error: nobody hears it, and nothing fails


def test_a_folder_that_is_none(folder, monkeypatch):
    made = another()
    assert made.stats.cache_path.startswith(str(folder))  # it is chosen
    (folder / Path(made.stats.cache_path).name).rmdir()
    Path(made.stats.cache_path).write_text("a file where the folder should be")
    made.compile(DOUBLE)
    assert load(made) is None
    monkeypatch.setattr(config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    monkeypatch.setattr(config, "CACHE_DIR", "/dev/null")
    made = another()
    made.compile(DOUBLE)
    assert made.stats.cache_path is None
    made.recompile()
    assert list(made.overloads) == [DOUBLE]


def test_nothing_is_kept_that_was_compiled_from_sources_that_changed(folder, monkeypatch):
    made = another()
    monkeypatch.setattr(disk_cache, "hash_of_sources", lambda: "edited since")
    made.compile(DOUBLE)
    assert not list(folder.rglob("*.*"))


def test_nothing_is_kept_where_there_are_no_sources(tmp_path):
    """In a zip, say: there is nothing to tell one state of them from another."""
    with zipfile.ZipFile(tmp_path / "bpjit.zip", "w") as archive:
        for path in PACKAGE.rglob("*.py"):
            archive.write(path, path.relative_to(PACKAGE.parent))
    program = (
        "import bpjit; from bpjit.kernels.one import batches; print(bpjit.__file__, batches.evaluate.stats.cache_path)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "bpjit.zip"), "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    file, path = done.stdout.split()
    assert file.startswith(str(tmp_path / "bpjit.zip"))
    assert path == "None"


def payload(key):
    return key * 300


def save_at_once(tmp_path, workers, rounds):
    """Workers that save the same entries, and entries of their own, as fast as they can; and read all of them."""
    start, wrong = threading.Barrier(workers), []

    def work(worker):
        start.wait()
        for turn in range(rounds):
            for key in (b"all", b"of worker %d" % worker, b"of turn %d" % turn):
                path = str(tmp_path / key.decode())
                write(path, key, payload(key))
                wrong.extend(key for key in (key, b"all") if read(str(tmp_path / key.decode()), key) != payload(key))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def assert_all_kept(tmp_path, workers, rounds):
    """Once all have ended: each entry is what was saved, and no temporary file is left."""
    kept = {path.name: read(str(path), path.name.encode()) for path in tmp_path.iterdir()}
    assert len(kept) == 1 + workers + rounds
    assert all(value == payload(name.encode()) for name, value in kept.items())


def test_saves_at_once_mix_nothing(tmp_path):
    save_at_once(tmp_path, 4, 50)
    assert_all_kept(tmp_path, 4, 50)


SAVE = """
import sys
from pathlib import Path
import test_disk_cache
test_disk_cache.save_at_once(Path(sys.argv[1]), 1, 500)
"""


@pytest.mark.slow
def test_a_thousand_saves_at_once_mix_nothing(tmp_path):
    save_at_once(tmp_path, 2, 1000)
    assert_all_kept(tmp_path, 2, 1000)


@pytest.mark.slow
def test_a_thousand_saves_at_once_of_processes(tmp_path):
    """Each of two processes saves 1,500 times, and no read finds anything but what was saved."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(Path(__file__).parent)])}
    command = [sys.executable, "-c", SAVE, str(tmp_path)]
    running = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert_all_kept(tmp_path, 1, 500)


# --- Processes that begin with an empty folder.

SCALE = """
import sys, time
from pathlib import Path
import numpy as np
from bpjit.kernels import disk_cache
from test_disk_cache import scale

folder, dtype, others = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
save = disk_cache.DiskCache.save_overload

def save_together(self, sig, data):
    (folder / dtype).touch()
    while len(list(folder.glob("float*"))) < others:
        time.sleep(0.001)
    save(self, sig, data)

disk_cache.DiskCache.save_overload = save_together
x = np.ones(1, dtype)
scale(x, x.dtype.type(2.5))
print(sum(scale.stats.cache_hits.values()), sum(scale.stats.cache_misses.values()), x[0])
"""

TRAIN = """
import sys
import numpy as np
import bpjit
from bpjit.kernels.one import batches
from test_disk_cache import trained

parameters = trained(float(sys.argv[2]))
stats = batches.train_block.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), parameters)
"""


def at_once(program, folder, jobs):
    """What processes print that run at once."""
    path = os.pathsep.join([str(PACKAGE.parent), str(Path(__file__).parent)])
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": path}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder), *job], env=environment, stdout=subprocess.PIPE, text=True
        )
        for job in jobs
    ]
    printed = [process.communicate(timeout=500)[0].split() for process in running]
    assert not any(process.returncode for process in running)
    return printed


def test_two_signatures_saved_at_the_same_moment(tmp_path, monkeypatch):
    """Neither gets lost, and neither is taken for the other."""
    assert at_once(SCALE, tmp_path, [["float64", "2"], ["float32", "2"]]) == [["0", "1", "2.5"]] * 2
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    made = another()
    for dtype in (np.float64, np.float32):
        x = np.ones(1, dtype)
        made(x, dtype(2.5))
        assert x == 2.5
    assert (sum(made.stats.cache_hits.values()), sum(made.stats.cache_misses.values())) == (2, 0)


def trained(lam):
    """Parameters after a training with λ, or with none where it is 1."""
    X = np.random.default_rng(0).random((40, 20))
    net = bpjit.Network.random((20, 8, 1))
    fit = bpjit.train(net, X, X[:, :1], updates=8, stop=50, eta=0.1, lam=None if lam == 1 else lam)
    return fit.network.parameters.tobytes().hex()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 16])
def test_processes_that_train_at_once_with_an_empty_folder(tmp_path, count):
    jobs = [[lam] for lam in ("1.0", "0.9")] * (count // 2)
    expected = [trained(float(lam)) for (lam,) in jobs]
    assert expected[0] != expected[1]
    assert [line[2] for line in at_once(TRAIN, tmp_path, jobs)] == expected
    assert at_once(TRAIN, tmp_path, jobs[:2]) == [["1", "0", parameters] for parameters in expected[:2]]
    assert not list(tmp_path.rglob(f"*{disk_cache.TEMPORARY}"))
