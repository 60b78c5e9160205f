"""Machine code that travels: what was made on one machine runs on others of its class, with the same bits, or counts as
none; and warming up leaves nothing to compile."""

import base64
import csv
import hashlib
import os
import pickle
import platform
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numba import float64
from numba.core import config

import bpjit
import build_kernels
from bpjit import warm_up
from bpjit.kernels import cpu, disk_cache
from bpjit.kernels.cpu import CLASSES, MADE, vector_bytes
from bpjit.kernels.disk_cache import DAY, Store, read, write
from bpjit.kernels.jit import kernel

ON_X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="these classes are of x86-64")
PACKAGES = str(Path(bpjit.__file__).parents[1])


# --- For which CPU.


@ON_X86
@pytest.mark.parametrize(
    ("name", "features", "width"),
    [
        ("x86-64-v3", "", 32),
        ("x86-64-v4", "-prefer-256-bit", 64),
        ("skylake-avx512", "", 64),
        ("haswell", "-avx", 16),
        ("x86-64", "+sse2", 16),
        ("x86-64", "+avx", 32),
    ],
)
def test_vectors_are_as_wide_as_the_registers_of_the_cpu_that_is_compiled_for(name, features, width):
    assert vector_bytes((MADE[0], name, features)) == width


@ON_X86
def test_classes_are_as_wide_as_they_say():
    for kind in CLASSES.values():
        if kind.machines == ("x86_64",):
            assert vector_bytes((MADE[0], kind.name, kind.features)) == kind.width


@pytest.mark.parametrize("asked", ["x86-64-v9", "native", "armv8-a" if platform.machine() == "x86_64" else "x86-64-v3"])
def test_a_class_that_is_unknown_or_cannot_run_here_is_refused(asked, monkeypatch):
    monkeypatch.setenv("BPJIT_CPU", asked)
    monkeypatch.setattr(config, "CPU_NAME", "as it was")
    with pytest.raises(ValueError, match=rf"BPJIT_CPU must name a class .* or be unset .*; got '{asked}', which"):
        cpu.choose()
    assert config.CPU_NAME == "as it was"


@ON_X86
@pytest.mark.skipif(not cpu.runs_here(CLASSES["x86-64-v3"]), reason="this CPU is older")
def test_a_class_that_comes_too_late_is_refused(monkeypatch):
    monkeypatch.setenv("BPJIT_CPU", "x86-64-v3")
    with pytest.raises(RuntimeError, match="for another CPU already; import bpjit before the first function"):
        cpu.choose()
    monkeypatch.setattr(config, "CPU_NAME", "x86-64-v3")
    monkeypatch.setattr(config, "CPU_FEATURES", "")
    assert cpu.choose() is CLASSES["x86-64-v3"]  # Numba compiles for just that


def fitting(monkeypatch, width, features, of_user=False, triple="x86_64-unknown-linux-gnu"):
    """The class whose code a CPU takes."""
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "vector_bytes", lambda made: width)
        patch.setattr(cpu, "_of_user", of_user)
        patch.setattr(cpu, "_chosen", None)
        patch.setattr(cpu.llvm, "get_host_cpu_features", lambda: dict.fromkeys(features, True))
        patch.setattr(cpu.llvm, "get_process_triple", lambda: triple)
        found = cpu.class_that_fits.__wrapped__()
    return found and found[0]


def test_code_of_a_class_is_for_a_cpu_that_has_all_and_vectors_as_wide(monkeypatch):
    v3, v4 = CLASSES["x86-64-v3"].needs, CLASSES["x86-64-v4"].needs
    assert fitting(monkeypatch, 64, v4 | {"vaes"}) == "x86-64-v4"
    assert fitting(monkeypatch, 32, v3) == "x86-64-v3"
    assert fitting(monkeypatch, 32, v4) == "x86-64-v3"
    assert fitting(monkeypatch, 16, v4) is None
    assert fitting(monkeypatch, 16, {"neon"}, triple="aarch64-unknown-linux-gnu") == "armv8-a"
    assert fitting(monkeypatch, 16, {}, triple="arm64-apple-darwin24.0.0") == "armv8-a"
    assert fitting(monkeypatch, 16, {"neon"}) is None
    assert fitting(monkeypatch, 64, v4, of_user=True) is None
    for lacking in v4 - v3:
        assert fitting(monkeypatch, 64, v4 - {lacking}) is None
    for lacking in v3:
        assert fitting(monkeypatch, 32, v3 - {lacking}) is None


# --- Where machine code is looked for.


@kernel
def double(x: np.ndarray) -> None:
    for k in range(len(x)):
        x[k] += x[k]


SIGNATURE = (float64[::1],)


def compiled_now():
    """Whether the kernel, as a new process has it, had to be compiled to give what it should."""
    made, x = kernel(double.py_func), np.ones(3)
    made(x)
    assert x.tolist() == [2, 2, 2]
    return sum(made.stats.cache_misses.values()) == 1


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The folder that bpjit looks after, empty; and no other place that has machine code."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(disk_cache, "GIVEN", None)
    monkeypatch.setattr(disk_cache, "class_that_fits", lambda: None)
    disk_cache.stores_of_others.cache_clear()
    yield tmp_path / "own"
    disk_cache.stores_of_others.cache_clear()


@pytest.fixture
def carried(own, tmp_path, monkeypatch):
    """The kernel's file in a folder that BPJIT_KERNELS names."""
    with disk_cache.gathered(tmp_path / "carried"):
        assert compiled_now()
    assert not files(own)
    monkeypatch.setattr(disk_cache, "GIVEN", str(tmp_path / "carried"))
    (path,) = (tmp_path / "carried").iterdir()
    return path


def files(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_is_named_is_used_and_never_changed(carried, own):
    other = carried.with_name("test_carried_code.double-0-0.nbc")  # of another build
    other.write_bytes(b"")
    for path in (carried, other):
        os.utime(path, (time.time() - 300 * DAY,) * 2)
    before = files(carried.parent)
    assert not compiled_now()
    kernel(double.py_func).compile((float64[:],))  # which is not there
    assert files(carried.parent) == before
    assert len(files(own)) == 1


def flip(content):
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("damage", [flip, lambda content: content[:-7], lambda content: b"", lambda content: None])
def test_what_is_damaged_there_is_compiled_and_kept_where_it_belongs(damage, carried, own):
    content = damage(carried.read_bytes())
    carried.unlink() if content is None else carried.write_bytes(content)
    before = files(carried.parent)
    assert compiled_now()
    assert not compiled_now()
    assert files(carried.parent) == before
    assert len(files(own)) == 1


@pytest.mark.parametrize("payload", [b"no pickle", pickle.dumps(None), pickle.dumps((1, 2))])
def test_what_is_no_machine_code_counts_as_none(payload, carried):
    made = kernel(double.py_func)._cache
    write(*made._place(SIGNATURE, Store(str(carried.parent), MADE)), payload)
    assert compiled_now()


def test_a_folder_that_is_none(own, tmp_path, monkeypatch):
    monkeypatch.setattr(disk_cache, "GIVEN", str(tmp_path / "nothing" / "there"))
    assert compiled_now()
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [(disk_cache, "SOURCES"), (disk_cache.numba, "__version__"), (disk_cache, "INTERPRETER"), (config, "OPT")],
)
def test_code_of_other_sources_another_numba_or_python_is_not_used(module, name, carried, monkeypatch):
    if name == "SOURCES":
        monkeypatch.setattr(disk_cache, "hash_of_sources", lambda: "others")
    monkeypatch.setattr(module, name, "others" if name != "OPT" else type(config.OPT)(2))
    assert compiled_now()


KIND = "x86_64-somewhere", "of-a-class", ""


@pytest.fixture
def package(carried, tmp_path, monkeypatch):
    """An installed bpjit_kernels with code of a class, the one that fits."""
    cache = kernel(double.py_func)._cache
    folder = tmp_path / "site" / "bpjit_kernels"
    (folder / "a-class").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('nobody needs to import it')")
    payload = read(*cache._place(SIGNATURE, Store(str(carried.parent), MADE)))
    path, key = cache._place(SIGNATURE, Store(str(folder / "a-class"), KIND))
    write(path, key, payload)
    monkeypatch.setattr(disk_cache, "GIVEN", None)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Path(path)


def test_an_installed_package_is_found_where_its_class_fits(package, own, monkeypatch):
    before = files(package.parent)
    monkeypatch.setattr(disk_cache, "class_that_fits", lambda: ("a-class", KIND))
    disk_cache.stores_of_others.cache_clear()
    assert not compiled_now()
    assert files(package.parent) == before
    assert not files(own)
    with disk_cache.gathered(own):  # who gathers looks nowhere else
        assert compiled_now()


@pytest.mark.parametrize("fits", [None, ("a-class", MADE), ("another", KIND), ("another", (*KIND[:2], "+more"))])
def test_an_installed_package_of_another_class_is_not(fits, package, monkeypatch):
    monkeypatch.setattr(disk_cache, "class_that_fits", lambda: fits)
    disk_cache.stores_of_others.cache_clear()
    assert compiled_now()


def test_code_for_this_very_cpu_comes_first(package, carried, monkeypatch):
    """And a folder may hold both."""
    monkeypatch.setattr(disk_cache, "class_that_fits", lambda: ("a-class", KIND))
    monkeypatch.setattr(disk_cache, "GIVEN", str(carried.parent))
    disk_cache.stores_of_others.cache_clear()
    before, after = disk_cache.stores_of_others()
    assert before == [Store(str(carried.parent), MADE)]
    assert after == [Store(str(carried.parent), KIND), Store(str(package.parent), KIND)]


# --- Warming up.


def test_the_command_line_says_which_settings():
    words = ["there", "--sizes", "3-5-2", "--rule", "adam", "--updates", "8", "--dtype", "float32", "--learner"]
    (one,) = warm_up.asked(warm_up.parser().parse_args(words))
    net = one.pop("net")
    assert (net.sizes, net.dtype) == ((3, 5, 2), np.float32)
    assert one == {"rule": "adam", "updates": 8, "learner": True}
    (one,) = warm_up.asked(warm_up.parser().parse_args(["--updates", "accumulated", "--hidden", "tanh"]))
    assert one["updates"] == "accumulated"
    assert "tanh" in repr(one["net"])
    assert 15 < len(warm_up.asked(warm_up.parser().parse_args(["there"]))) < 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sizes", "2-x-1"], "2-x-1"),
        (["--sizes", "2"], "sizes"),
        (["--rule", "adamant"], "adamant"),
        (["--updates", "some"], "updates"),
        (["/dev/null/there"], "/dev/null"),
    ],
)
def test_the_command_line_says_what_is_wrong(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        warm_up.main(words)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


# --- Whole processes.

PROGRAM = """
import bpjit
from numba.core import event

class Compilations(event.Listener):
    def on_start(self, event):
        started.append(event)
    def on_end(self, event):
        pass

started = []
event.register("numba:compile", Compilations())
net = bpjit.Network.random((2, 2, 1), seed=0)
fit = bpjit.train(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], stop=20)
print(len(started), fit.network.parameters.tobytes().hex(), end="")
"""


def process(*words, **environment):
    """What a process prints that hears of no warning."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("BPJIT", "NUMBA"))}
    environment = given | {"PYTHONPATH": PACKAGES} | environment
    done = subprocess.run(
        [sys.executable, "-W", "error", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


XOR = ("--sizes", "2-2-1")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Those for both machines, with what XOR needs, also from a learner."""
    folder = tmp_path_factory.mktemp("wheels")
    assert build_kernels.main([str(folder), f"--setting={' '.join([*XOR, '--learner'])}"]) == 0
    return {machine: next(folder.glob(f"*_{machine}.whl")) for machine in build_kernels.MACHINES}


def install(wheel, folder):
    options = "--quiet", "--no-deps", "--no-index", "--no-compile", "--target"
    subprocess.run([sys.executable, "-m", "pip", "install", *options, folder, wheel], check=True)
    return os.pathsep.join([PACKAGES, str(folder)])


needs_v4 = pytest.mark.skipif(
    not cpu.runs_here(CLASSES["x86-64-v4"]), reason="code for x86-64-v4 is made and run on such a CPU"
)


@needs_v4
@pytest.mark.slow
def test_an_installed_wheel_leaves_nothing_to_compile(wheels, tmp_path):
    """Nor anything to write; where another CPU is asked for, it counts for nothing."""
    path, cache = install(wheels["x86_64"], tmp_path / "site"), tmp_path / "cache"
    results = {}
    for label in ("", "x86-64-v4", "x86-64-v3"):
        count, results[label] = process(
            "-c", PROGRAM, PYTHONPATH=path, BPJIT_CPU=label, NUMBA_CACHE_DIR=str(cache)
        ).split()
        assert count == "0", label
    assert not files(cache)
    assert results[""] == results["x86-64-v4"]
    haswell = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
    for other in (haswell, {"PYTHONPATH": PACKAGES, "BPJIT_CPU": "x86-64-v3"}):
        count, result = process("-c", PROGRAM, **{"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache), **other}).split()
        assert int(count) > 0
    assert result == results["x86-64-v3"]


@needs_v4
@pytest.mark.slow
def test_a_wheel_is_a_wheel(wheels):
    for machine, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        (record,) = (name for name in held if name.endswith("/RECORD"))
        rows = {name: (digest, size) for name, digest, size in csv.reader(held[record].decode().splitlines())}
        assert set(rows) == set(held)
        for name, (digest, size) in rows.items():
            if name != record:
                sha = base64.urlsafe_b64encode(hashlib.sha256(held[name]).digest()).decode().rstrip("=")
                assert (digest, int(size)) == (f"sha256={sha}", len(held[name]))
        version = f"cp{sys.version_info.major}{sys.version_info.minor}"
        assert wheel.name == f"bpjit_kernels-{bpjit.__version__}-{version}-none-manylinux2014_{machine}.whl"
        folders = {name.split("/")[1] for name in held if name.endswith(".nbc")}
        assert folders == set(build_kernels.MACHINES[machine])


@needs_v4
@pytest.mark.slow
def test_code_for_aarch64_is_that(wheels):
    """Objects of ELF for that machine, with no call of what a process does not have, nor another of these objects. It
    has not been run."""
    names = {}
    for machine, wheel in wheels.items():
        wanted, given = set(), set()
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".nbc"):
                    content = archive.read(name)[disk_cache.DIGEST :]
                    start = disk_cache.LENGTH + int.from_bytes(content[: disk_cache.LENGTH], "little")
                    assert b"aarch64" in content[:start] or machine == "x86_64"
                    _, ((_, kind, (code, _)), *_) = pickle.loads(content[start:])
                    assert (kind, code[:6]) == ("object", b"\x7fELF\x02\x01")
                    assert int.from_bytes(code[18:20], "little") == {"x86_64": 62, "aarch64": 183}[machine]
                    wanted |= symbols(code, here=False)
                    given |= symbols(code, here=True)
        assert any(name.startswith("bpjit_tile_") for name in wanted & given)  # from a shared part
        names[machine] = wanted - given
    assert names["x86_64"] > {"exp", "numba_adapt_ndarray"}
    assert not any(name.startswith("NRT_") for name in names["x86_64"])  # the runtime, which is not started for them
    assert names["aarch64"] - names["x86_64"] <= {"memcpy", "memset", "memmove"}


def symbols(code, here):
    """The names that an object of ELF defines, or those that it leaves to others."""
    header, size, count = (int.from_bytes(code[a:b], "little") for a, b in ((40, 48), (58, 60), (60, 62)))
    sections = [code[header + k * size : header + (k + 1) * size] for k in range(count)]
    numbers = [
        [int.from_bytes(section[a : a + 8], "little") for a in (24, 32)]  # where it begins, how long it is
        + [int.from_bytes(section[a : a + 4], "little") for a in (4, 40)]  # its kind, and which it refers to
        for section in sections
    ]
    found = set()
    for start, length, kind, strings in numbers:
        if kind == 2:  # a table of symbols
            for at in range(start + 24, start + length, 24):
                if (int.from_bytes(code[at + 6 : at + 8], "little") != 0) == here:  # 0 is no section of this object
                    name = numbers[strings][0] + int.from_bytes(code[at : at + 4], "little")
                    found.add(code[name : code.index(b"\0", name)].decode())
    return found


BITS = """
import hashlib
import numpy as np
import bpjit
from bpjit.kernels.cpu import MADE
from bpjit.kernels.one import each_sample
from bpjit.kernels.simd.numbers import VECTOR_BYTES

assert (MADE[1:], VECTOR_BYTES) == (("x86-64-v3", ""), 32)
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 9)), rng.dirichlet(np.ones(3), 60)
said = hashlib.sha256()
for dtype in ("float64", "float32"):
    net = bpjit.Network.random((9, 20, 3), "tanh", "softmax", seed=1, dtype=dtype)
    for settings in ({}, {"updates": 16, "rule": "adam"}):
        said.update(bpjit.train(net, X, Y, stop=5, **settings).network.parameters.tobytes())
    nets = bpjit.Networks.random((2, 3, 1), seed=0, count=20, dtype=dtype)
    said.update(bpjit.train_many(nets, X[:, :2], Y[:, :1], stop=5).networks.parameters.tobytes())
    learner = bpjit.OnlineLearner(net)
    for x, y in zip(X, Y):
        said.update(np.float64(learner.learn(x, y)).tobytes())
    said.update(learner.predict(X[0]).tobytes() + net.predict(X).tobytes())
code = "".join(each_sample.train_block.inspect_asm().values())
assert "%ymm" in code and "%zmm" not in code
print(said.hexdigest())
"""


@needs_v4
@pytest.mark.slow
def test_machines_of_a_class_give_the_same_bits(tmp_path):
    """As far as one machine can show: whatever CPU Numba would compile for, it compiles for the class."""
    printed = {
        process("-c", BITS, BPJIT_CPU="x86-64-v3", NUMBA_CACHE_DIR=str(tmp_path / name), NUMBA_CPU_NAME=name)
        for name in ("znver4", "skylake-avx512")
    }
    assert len(printed) == 1


@pytest.mark.slow
def test_a_folder_that_is_warm_leaves_nothing_to_compile(tmp_path):
    """Not even where it is all that there is, and nothing can be written."""
    folder = str(tmp_path / "warm")
    assert "1 setting" in process("-m", "bpjit.warm_up", *XOR, BPJIT_KERNELS=folder)
    cold, result = process("-c", PROGRAM, NUMBA_CACHE_DIR=str(tmp_path / "cache")).split()
    (tmp_path / "file").touch()
    nowhere = {"NUMBA_CACHE_DIR": str(tmp_path / "file"), "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    assert process("-c", PROGRAM, BPJIT_KERNELS=folder, **nowhere).split() == ["0", result]
    assert int(cold) > 0
