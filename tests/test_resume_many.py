"""train_many(resume=): going on is as if there had been no break, for all networks or some, by every rule."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.kernels.lanes import packs
from bpjit.many import many_session
from cases import AfterAWhile

RNG = np.random.default_rng(0)
X, X_VALID = RNG.normal(size=(23, 2)), RNG.normal(size=(11, 2))
Y, Y_VALID = ((x[:, :1] * x[:, 1:] > 0).astype(float) for x in (X, X_VALID))
VALIDATION = X_VALID, Y_VALID
COLUMNS = "error", "objective", "validation_error", "epochs", "updates", "best_epoch", "stopped_by"


def nets(count=41, dtype="float64", sizes=(2, 4, 1)):
    return bpjit.Networks.random(sizes, count, "tanh", dtype=dtype)


def assert_same(found, expected):
    for name in COLUMNS:
        assert np.array_equal(getattr(found, name).astype(str), getattr(expected, name).astype(str)), name
    assert all(found.networks[i] == expected.networks[i] for i in range(len(expected)))
    for name in ("errors", "validation_errors"):
        if getattr(expected, name) is not None:
            for mine, theirs in zip(getattr(found, name), getattr(expected, name), strict=True):
                assert np.array_equal(mine, theirs, equal_nan=True), name


def of_these(settings, numbers):
    return {name: [value[i] for i in numbers] if isinstance(value, list) else value for name, value in settings.items()}


def check(start, first, more, numbers=None, stop=(), **settings):
    """So many epochs and more of those networks whose epochs ran out, beside all in one call."""
    whole = bpjit.train_many(start, X, Y, stop=[bpjit.MaxEpochs(first + more), *stop], **settings)
    half = bpjit.train_many(start, X, Y, stop=[bpjit.MaxEpochs(first), *stop], resumable=True, **settings)
    numbers = np.arange(len(half)) if numbers is None else np.array(numbers)
    numbers = numbers[half.stopped_by[numbers] == "MaxEpochs"]
    assert len(numbers) > 1
    some = half[numbers]
    stop = [bpjit.MaxEpochs(more), *stop]
    done = bpjit.train_many(some.networks, X, Y, resume=some, stop=stop, **of_these(settings, numbers))
    assert_same(done, whole[numbers])
    assert (done.epochs > first).any()


QUICK = {
    "sgd": {},
    "adam": {"rule": "adam", "updates": 7, "lam": 0.9999},
    "own orders": {"seed": list(range(41)), "eta": bpjit.Cosine(0.5, 60)},
}
SLOW = {
    "lm": {"rule": "lm"},
    "early": {
        "rule": "momentum",
        "eta": 0.05,
        "stop": [bpjit.EarlyStopping(30, every=2)],
        "validation": VALIDATION,
        "history": True,
    },
    "batches": {"updates": 5},
    "accumulated": {"rule": "adam", "updates": "accumulated"},
    "nesterov": {"rule": "nesterov", "updates": 4},
    "rprop": {"rule": "rprop"},
    "quickprop": {"rule": "quickprop"},
    "adaptive": {"eta": bpjit.AdaptiveRate(0.5), "lam": 0.999},
    "window": {"rule": "adam", "eta": 0.01, "stop": [bpjit.NoImprovement(90, 1e-4)]},
    "stall": {"rule": "momentum", "eta": 0.5, "stop": [bpjit.NoImprovement(50)]},
    "br": {"rule": "br"},
    "lbfgs": {"rule": [bpjit.LBFGS(memory=3 + i % 5) for i in range(41)]},
    "scg": {"rule": "scg", "lam": 0.9999},
    "lm alone": {"rule": "lm", "history": True},
    "lbfgs alone": {"rule": "lbfgs", "stop": [bpjit.EarlyStopping(50)], "validation": VALIDATION},
}


@pytest.mark.parametrize("name", QUICK)
def test_going_on_is_as_if_there_had_been_no_break(name):
    check(nets(), 31, 23, **QUICK[name])


@pytest.mark.parametrize("name", QUICK)
def test_some_go_on_alone(name):
    """In narrower lanes, in another order."""
    check(nets(), 31, 9, [40, 3, 9, 22], **QUICK[name])


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [None, [7, 40, 3, 9]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_every_rule_goes_on_exactly(name, dtype, numbers):
    settings = QUICK.get(name) or SLOW.get(name, {})
    first = 3 if name.split()[0] in ("lm", "br", "lbfgs", "scg") else 31
    check(nets(dtype=dtype), first, 25, numbers, **settings)


@pytest.mark.slow
def test_several_shapes_rules_batches_and_losses(monkeypatch):
    monkeypatch.setattr(packs, "TYPED", 0)  # one kernel for all shapes
    start = [bpjit.Network.random((2, 3 + i % 2, 1), seed=i) for i in range(24)]
    settings = {"rule": ["sgd", "adam"] * 12, "updates": ["stochastic", 4] * 6 + ["stochastic", 7] * 6}
    check(start, 7, 9, range(5, 19), loss=["squared"] * 12 + ["cross_entropy"] * 12, **settings)


@pytest.mark.slow
def test_lists_of_batches_and_losses_are_those_of_each(monkeypatch):
    monkeypatch.setattr(packs, "TYPED", 0)
    updates, losses = ["stochastic", 4, "accumulated"] * 4, ["squared", "cross_entropy"] * 6
    fits = bpjit.train_many(nets(12), X, Y, stop=9, updates=updates, loss=losses)
    for i in range(12):
        alone = bpjit.train_many(nets(12)[[i]], X, Y, stop=9, updates=updates[i], loss=losses[i])
        assert_same(fits[[i]], alone)


@pytest.mark.slow
def test_networks_too_large_for_lanes():
    check(nets(3, sizes=(2, 300, 1)), 5, 6, [2, 0], rule="adam", validation=VALIDATION, history=True)


@pytest.mark.parametrize(
    ("settings", "stop"),
    [
        ({"rule": "momentum", "eta": 0.5, "validation": VALIDATION}, bpjit.EarlyStopping(8, every=2)),
        ({"eta": bpjit.Cosine(2.0, 500), "seed": list(range(41))}, bpjit.NoImprovement(5)),
        ({"eta": [0.5, 4.0, 1.0] * 13 + [2.0, 3.0]}, bpjit.TargetError(0.1)),
    ],
)
def test_those_that_stopped_at_different_epochs_go_on(settings, stop):
    """Without the condition that ended them, from where they were when it did."""
    half = bpjit.train_many(nets(), X, Y, stop=[stop, bpjit.MaxEpochs(200)], resumable=True, **settings)
    assert len(set(half.epochs.tolist())) > 3
    done = bpjit.train_many(half.networks, X, Y, resume=half, stop=17, **settings)
    whole = bpjit.train_many(nets(), X, Y, max_epochs=(half.epochs + 17).tolist(), **settings)
    assert_same(done, whole)


def test_diverged_ones_diverge_again(monkeypatch):
    monkeypatch.setattr(packs, "TYPED", 0)
    settings = {"eta": [0.1, 50.0] * 20}
    start = bpjit.Networks.random((2, 4, 1), 40, "tanh", "identity")
    half = bpjit.train_many(start, X, Y, stop=20, resumable=True, **settings)
    done = bpjit.train_many(half.networks, X, Y, resume=half, stop=20, **settings)
    diverged = half.stopped_by == "diverged"
    assert diverged.sum() >= 10
    assert np.array_equal(done.stopped_by == "diverged", diverged)
    assert_same(done[diverged], half[diverged])


@pytest.mark.parametrize("settings", [{}, {"updates": 7, "rule": "adam", "lam": 0.9999}, {"seed": list(range(10, 19))}])
def test_from_inside_an_epoch(settings, monkeypatch):
    monkeypatch.setattr(many_session, "CALL_SECONDS", 0.0005)
    m, batch = 40_000, settings.get("updates", 1)
    X = np.random.default_rng(1).normal(size=(m, 2))
    Y = (X[:, 0] > X[:, 1]).astype(float)
    start = nets(9)
    half = bpjit.train_many(start, X, Y, stop=AfterAWhile(4), threads=1, resumable=True, **settings)
    assert set(half.stopped_by) == {"StopEvent"}
    assert (half.updates % -(-m // batch) > 0).all()
    done = bpjit.train_many(half.networks, X, Y, resume=half, stop=1, **settings)
    assert_same(done, bpjit.train_many(start, X, Y, max_epochs=(half.epochs + 1).tolist(), **settings))


def test_three_times_and_pickled():
    import pickle

    fits = bpjit.train_many(nets(5), X, Y, stop=7, resumable=True)
    for _ in range(2):
        fits = pickle.loads(pickle.dumps(fits))
        fits = bpjit.train_many(fits.networks, X, Y, resume=fits, stop=7, resumable=True)
    assert_same(fits, bpjit.train_many(nets(5), X, Y, stop=21))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta": 0.3}, "network 0: eta: the fits to resume were made with"),
        ({"rule": "adam"}, "network 0: rule: the fits to resume were made with"),
        ({"lam": [None, 0.99, None]}, "network 1: lam: the fits to resume were made with 1.0, got 0.99"),
        ({"seed": 4}, "network 0: seed: the fits to resume"),
        ({"updates": 3}, "updates: the fits to resume were made with 'stochastic', got 3"),
        ({"loss": "absolute"}, "loss: the fits to resume were made with 'squared', got 'absolute'"),
        ({"shuffle": False}, "shuffle: the fits to resume were made with True, got False"),
        ({"train_thresholds": False}, "trainable: the fits to resume were made with another"),
        ({"stop": bpjit.NoImprovement(3)}, "stop: the fits to resume were made with None, got NoImprovement"),
        ({"history": True}, "history: the fits to resume kept no errors of their epochs"),
    ],
)  # fmt: skip
def test_other_settings_are_refused(settings, message):
    fits = bpjit.train_many(nets(3), X, Y, stop=2, resumable=True)
    with pytest.raises(ValueError, match=message):
        bpjit.train_many(fits.networks, X, Y, resume=fits, **settings)


def test_what_cannot_be_resumed_says_why():
    start = nets(3)
    fits = bpjit.train_many(start, X, Y, stop=2)
    with pytest.raises(ValueError, match=r"resume: expected fits that can go on, of train_many\(..., resumable=True\)"):
        bpjit.train_many(fits.networks, X, Y, resume=fits)
    with pytest.raises(TypeError, match="resume: expected Fits that train_many returned, or the path of a c"):
        bpjit.train_many(start, X, Y, resume=7)
    fits = bpjit.train_many(start, X, Y, stop=2, resumable=True)
    with pytest.raises(ValueError, match="resume: expected the fits of these 2 networks, got those of 3"):
        bpjit.train_many(fits.networks[:2], X, Y, resume=fits)
    with pytest.raises(ValueError, match="nets: expected those of the fits to resume, resume.networks, got others"):
        bpjit.train_many(start, X, Y, resume=fits)


ON_CUDA = """
import numpy as np, bpjit
import test_resume_many as cases
start = cases.nets(5, "float32")
for settings, stop in (
    ({"rule": "adam", "updates": 4, "eta": [0.01, 0.02, 0.03, 0.04, 0.05]}, ()),
    ({"rule": "momentum", "validation": cases.VALIDATION, "history": True}, [bpjit.EarlyStopping(9, every=2)]),
    ({"eta": bpjit.AdaptiveRate(0.5), "seed": [1, 2, 3, 4, 5]}, [bpjit.NoImprovement(20, 1e-6)]),
):
    cases.check(start, 5, 4, [4, 0, 2], stop=stop, target="cuda", **settings)
half = bpjit.train_many(
    start, cases.X, cases.Y, max_epochs=[3, 5, 9, 4, 7], eta=0.5, target="cuda", resumable=True
)
done = bpjit.train_many(half.networks, cases.X, cases.Y, stop=3, eta=0.5, resume=half)
assert done.target == "cuda"
whole = bpjit.train_many(start, cases.X, cases.Y, max_epochs=(half.epochs + 3).tolist(), eta=0.5, target="cuda")
cases.assert_same(done, whole)
try:
    bpjit.train_many(half.networks, cases.X, cases.Y, eta=0.5, resume=half, target="cpu")
except ValueError as error:
    assert str(error).startswith("target: the fits to resume ran on 'cuda', got 'cpu'")
print("done")
"""


@pytest.mark.slow
def test_on_the_gpu_too_by_its_simulator():
    pytest.importorskip("numba_cuda")
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(Path(__file__).parent), *sys.path) if p)
    command = [sys.executable, "-W", "ignore", "-c", ON_CUDA]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr[-3000:]
