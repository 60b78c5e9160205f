"""Portions of groups as plain data: trained anywhere, with the bits of ``train_many``."""

import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

import bpjit
from bpjit import AdaptiveRate, EarlyStopping, MaxEpochs, NoImprovement, StepDecay, TargetError
from bpjit.kernels.lanes import packs
from bpjit.many.fits import gather
from bpjit.many.given import Given
from bpjit.many.portions import portions_of, run
from bpjit.settings.stopping import Limits
from cases import AfterAWhile
from test_many import SIZES, XOR, data

COUNT = 2 * packs.width("float64") + 3
NETS = bpjit.Networks.random(SIZES, COUNT, seed=1)
SINGLE = bpjit.Networks.random(SIZES, 3, seed=1, dtype="float32")
LARGE = [bpjit.Network.random((2, 400, 1), seed=seed) for seed in range(3)]
WEIGHTS = np.random.default_rng(0).integers(0, 3, (COUNT, 4)) + np.eye(4)[np.arange(COUNT) % 4]
WEIGHTS[WEIGHTS.all(axis=1), 0] = 0.0
SETS = [data(m, 2, 1, seed=m) for m in 2 + np.arange(COUNT) % 5]
ETAS = np.linspace(0.5, 8.0, COUNT)
CASES = {
    "own seeds and rates, history": {"eta": ETAS, "seed": list(range(COUNT)), "stop": [30, TargetError(0.1)]},
    "weights and validation": {
        "sample_weight": WEIGHTS,
        "validation": (*XOR, WEIGHTS == 0),
        "eta": [StepDecay(eta, every=5) for eta in ETAS],
        "stop": [EarlyStopping(3), 30],
    },
    "data of their own": {
        "X": [D[0] for D in SETS],
        "Y": [D[1] for D in SETS],
        "updates": 2,
        "rule": "adam",
        "stop": 9,
    },
    "an adaptive rate": {"eta": AdaptiveRate(2.0), "updates": "accumulated", "stop": [NoImprovement(4), 30]},
    "too large for lanes": {"nets": LARGE, "eta": [0.1, 0.2, 0.3], "stop": [TargetError(0.2), 9], "validation": XOR},
    "of several kinds": {
        "nets": [*NETS[:3], *LARGE],
        "rule": ["sgd", "adam"] * 3,
        "max_epochs": [1, 2, 3, 4, 5, 6],
        "stop": None,
    },
}


def passed_on(thing):
    """As it comes out elsewhere."""
    return pickle.loads(pickle.dumps(thing))


def bits(fits):
    names = "error", "objective", "validation_error", "epochs", "updates", "best_epoch", "stopped_by"
    arrays = [getattr(fits, name) for name in names] + [net.parameters for net in fits.networks]
    return [array.tobytes() for array in (*arrays, *(fits.errors or []), *(fits.validation_errors or []))]


@pytest.mark.parametrize("name", CASES)
def test_bits_are_those_of_train_many(name):
    settings = {"nets": NETS, "X": XOR[0], "Y": XOR[1], "stop": 9, "history": "history" in name} | CASES[name]
    given = Given(**settings)
    portions = [portion for group in given.groups() for portion in portions_of(group, "cpu", threads=2)]
    assert len(portions) > 1
    results = [passed_on(run(passed_on(portion), "cpu", passed_on(Limits()))) for portion in reversed(portions)]
    fits = gather(passed_on(portions), results[::-1], given.count, 0.0, 0.0, "cpu")
    assert bits(fits) == bits(bpjit.train_many(**settings))


PROGRAM = """
import pickle, sys
from bpjit.many.portions import run
pickle.dump([run(portion, "cpu", limits) for portion, limits in pickle.load(sys.stdin.buffer)], sys.stdout.buffer)
"""


def test_another_process_trains_a_portion_and_keeps_its_limits():
    (group,) = Given(NETS, *XOR, stop=[MaxEpochs(20), bpjit.TimeLimit(1e9), AfterAWhile(1)]).groups()
    portions = portions_of(group, "cpu", threads=2)
    over = Limits(deadline=time.perf_counter() - 1.0)
    work = pickle.dumps([(portions[0], Limits()), (portions[0], over)])
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], input=work, capture_output=True, check=True)
    trained, ended = pickle.loads(done.stdout)
    expected = bpjit.train_many(NETS, *XOR, stop=20)[portions[0].members]
    assert trained.parameters.tobytes() == expected.networks.parameters.tobytes()
    assert trained.errors.tobytes() == expected.error.tobytes()
    assert set(trained.stopped_by) == {"MaxEpochs"}
    assert set(ended.stopped_by) == {"TimeLimit"}
    assert not ended.epochs.any()
    assert np.array_equal(ended.parameters, portions[0].start)


@pytest.mark.parametrize("nets", [NETS, LARGE[:1], SINGLE], ids=["lanes", "alone", "float32"])
def test_limits_end_a_portion_with_what_it_has_learnt(nets):
    (group,) = Given(nets, *XOR, stop=10**9).groups()
    ways = {
        "StopEvent": lambda: Limits(events=[AfterAWhile(9)]),
        "interrupted": lambda: Limits(interrupted=AfterAWhile(9)),
        "TimeLimit": lambda: Limits(time.perf_counter() + 0.1),
    }
    for why, limits in ways.items():
        results = run(group, "cpu", limits())
        assert results.errors.dtype == results.validation_errors.dtype == np.float64
        assert set(results.stopped_by) == {why}
        assert np.isfinite(results.errors).all()
        assert (results.epochs > 0).all()
        assert (results.parameters != group.start).any(axis=1).all()


def test_portions_are_views_and_a_pickled_one_holds_no_other_networks():
    nets = bpjit.Networks.random(SIZES, 9000)
    (group,) = Given(nets, *XOR, sample_weight=np.ones((9000, 4)), eta=np.linspace(1, 2, 9000)).groups()
    portions = portions_of(group, "cpu", threads=1)
    assert sum(map(len, portions)) == 9000
    assert len(portions) > 2
    for portion in portions:
        for part, whole in ((portion.start, group.start), (portion.D.c, group.D.c), (portion.etas, group.etas)):
            assert np.shares_memory(part, whole)
    assert len(pickle.dumps(portions[0])) < len(pickle.dumps(group)) / 2
