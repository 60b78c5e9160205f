"""Nothing is read or written beyond the ends of an array: every array that NumPy allocates, the library's work space
and the caller's data alike, ends right before a page that nobody may touch, or begins right after one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = r"""
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#define PAGE 4096
/* A block of n bytes beside a page without access; at_end says on which side. Before it stands how long it all is. */
static int at_end = 1;
static long count = 0;
typedef struct { char *start; size_t whole, n; } Block;
static Block table[1 << 20];
static size_t place_of(void *p) {
    size_t i = ((uintptr_t)p * 0x9E3779B97F4A7C15ull) >> 44;
    while (table[i].start && (table[i].start + PAGE > (char *)p || table[i].start + table[i].whole <= (char *)p))
        i = (i + 1) & ((1 << 20) - 1);
    return i;
}
static void *take(void *context, size_t n) {
    size_t room = (n + PAGE - 1) / PAGE * PAGE + (n == 0 ? PAGE : 0), whole = room + 2 * PAGE;
    char *start = mmap(0, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return 0;
    mprotect(start, PAGE, PROT_NONE);
    mprotect(start + PAGE + room, PAGE, PROT_NONE);
    char *p = at_end ? start + PAGE + room - (n + 7) / 8 * 8 : start + PAGE;
    size_t i = ((uintptr_t)p * 0x9E3779B97F4A7C15ull) >> 44;
    while (table[i].start && table[i].start != (char *)-1) i = (i + 1) & ((1 << 20) - 1);
    table[i] = (Block){start, whole, n};
    count++;
    return p;
}
static void *take_zeros(void *context, size_t m, size_t n) { return take(context, m * n); }
static size_t find(void *p) {
    size_t i = ((uintptr_t)p * 0x9E3779B97F4A7C15ull) >> 44;
    for (;; i = (i + 1) & ((1 << 20) - 1)) {
        Block b = table[i];
        if (b.start && b.start != (char *)-1 && (char *)p > b.start && (char *)p < b.start + b.whole) return i;
    }
}
static void give_back(void *context, void *p, size_t n) {
    if (!p) return;
    size_t i = find(p);
    munmap(table[i].start, table[i].whole);
    table[i].start = (char *)-1;
}
static void *retake(void *context, void *p, size_t n) {
    void *q = take(context, n);
    if (p) { size_t old = table[find(p)].n; memcpy(q, p, old < n ? old : n); give_back(context, p, 0); }
    return q;
}
struct { char name[127]; uint8_t version; void *context; void *functions[4]; } handler = {
    "guarded", 1, 0, {take, take_zeros, retake, give_back}};
void set_side(int end) { at_end = end; }
long taken(void) { return count; }
"""

PROGRAM = r"""
import ctypes, sys
import numpy as np
import bpjit
from bpjit import compiled
from numba import njit

library = ctypes.CDLL(sys.argv[1])
library.set_side(int(sys.argv[2]))
library.taken.restype = ctypes.c_long
api = ctypes.pythonapi
api.PyCapsule_GetPointer.restype = ctypes.c_void_p
api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
api.PyCapsule_New.restype = ctypes.py_object
api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
table = api.PyCapsule_GetPointer(np._core.multiarray._ARRAY_API, None)
SET_HANDLER = 304  # in NumPy's table of functions
address = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))[SET_HANDLER]
set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)
name = b"mem_handler"
keep = set_handler(api.PyCapsule_New(ctypes.addressof(ctypes.c_char.in_dll(library, "handler")), name, None))
assert np.zeros(3).copy().sum() == 0 and library.taken() > 0

rng = np.random.default_rng(int(sys.argv[3]))
calls = 0
SHAPES = [(20, 13, 2), (3, 17, 9, 4), (22, 11), (1, 1), (7, 21, 5), (13, 5, 5, 3)]

@njit
def follow(state, X, Y, y_hat):
    for k in range(len(X)):
        compiled.predict(state, X[k], y_hat)
        compiled.learn(state, X[k], Y[k])

for trial in range(int(sys.argv[4])):
    dtype = ("float32", "float64")[trial % 2]
    m = int(rng.integers(1, 41))
    d, *hidden, l = SHAPES[trial // 3 % len(SHAPES)]
    activation = ["sigmoid", "tanh", "relu", "softplus", "softsign", "sin", "identity", "leaky_relu"][trial // 2 % 8]
    output = ("sigmoid", "identity", "softmax" if l > 1 else "tanh")[trial % 3]
    net = bpjit.Network.random((d, *hidden, l), activation, output, seed=trial, dtype=dtype)
    X, Y = rng.random((m, d)).astype(dtype), rng.random((m, l)).astype(dtype)
    Y /= Y.sum(1, keepdims=True)
    rule = ("sgd", "momentum", "nesterov", "rprop", "quickprop", "adagrad", "rmsprop", "adam")[trial % 8]
    accumulated = rule in ("rprop", "quickprop")
    settings = dict(rule=rule, lam=(None, 0.99)[trial // 8 % 2], stop=2)
    for updates in ("accumulated",) if accumulated else ("stochastic", 7, "accumulated"):
        bpjit.train(net, X, Y, updates=updates, validation=(X[:3], Y[:3]), threads=1 + trial % 3, **settings)
        calls += 1
    nets = bpjit.Networks.random((d, *hidden, l), int(rng.integers(1, 70)), activation, output, seed=trial, dtype=dtype)
    bpjit.train_many(nets, X, Y, updates="accumulated" if accumulated else 1, threads=1, **settings)
    weights = (rng.random((len(nets), m)) < 0.7) + np.eye(1, m)
    own = dict(sample_weight=weights, seed=np.arange(len(nets)))
    bpjit.train_many(nets, X, Y, updates="accumulated", threads=1, **own, **settings)
    net.predict(X), net.predict(X[0]), nets.predict(X), bpjit.error(net, X, Y), bpjit.gradient(net, X, Y)
    bpjit.jacobian(net, X), bpjit.jacobian(net, X, by="inputs")
    objective, p = bpjit.Objective(net, X, Y, loss="squared"), net.parameters
    objective.hessian_product(p, p.copy()), objective.jacobian(p), objective.residuals(p)
    calls += 12
    if not accumulated:
        learner = bpjit.OnlineLearner(net, rule=rule)
        bank = bpjit.LearnerBank(nets, rule=rule, threads=2)
        for x, y in zip(X, Y):
            learner.learn(x.copy(), y.copy()), learner.predict(x.copy())
        ids = rng.integers(0, len(nets), m)
        bank.learn(ids, X, Y), bank.predict(ids, X)
        follow(learner.state, X, Y, np.zeros(l, dtype))
        calls += 3 * m + 2
print(calls, library.taken(), flush=True)
import os
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages as Linux has them")
@pytest.mark.parametrize("at_end", [1, 0])
@pytest.mark.parametrize("seed", [0, 1])
def test_beside_pages_that_nobody_may_touch(tmp_path: Path, at_end, seed):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library = tmp_path / "guard.c", tmp_path / "guard.so"
    source.write_text(LIBRARY)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    command = [sys.executable, "-c", PROGRAM, library, str(at_end), str(seed), "36"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:]
    calls, taken = map(int, done.stdout.split())
    assert calls > 800
    assert taken > 10_000
