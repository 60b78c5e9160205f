"""Counts of train_many: no epoch and no sample is lost in float32, however many there are; sums keep their digits."""

import numba
import numpy as np
import pytest

import bpjit
from bpjit import EarlyStopping, MaxEpochs, NoImprovement, TimeLimit
from bpjit.kernels import orders, plane_numbers
from bpjit.kernels.lanes import packs
from bpjit.kernels.orders import shared_orders
from bpjit.many import lane_seats
from bpjit.many.fits import gather
from bpjit.many.given import Given
from bpjit.many.groups import Results
from bpjit.many.lane_seats import LaneSeats
from bpjit.many.many_session import ManySession
from bpjit.settings.stopping import Limits
from cases import AfterAWhile, slow
from test_many import XOR, check, data


@pytest.fixture(autouse=True)
def by_value(monkeypatch):
    """No sizes in types: one kernel for all shapes."""
    monkeypatch.setattr(packs, "TYPED", 0)


def groups_of(nets, X, Y, **settings):
    """What train_many would train."""
    return Given(nets, X, Y, **settings).groups()


def session_of(nets, X, Y, **settings):
    """Networks of one group at their start."""
    (group,) = groups_of(nets, X, Y, **settings)
    return ManySession(LaneSeats(group))


# --- Samples.


SETTINGS = [("accumulated", "sgd"), (9, "adam"), ("accumulated", "adam"), (7, "sgd"), (8, "adam"), (9, "sgd")]


@pytest.mark.parametrize(("updates", "rule"), [SETTINGS[0], *(slow(*setting) for setting in SETTINGS[1:])])
def test_blocks_of_a_batch_make_the_same_updates(updates, rule, monkeypatch):
    """Batches of less than two blocks, of exactly two, of more; samples absent at either end; orders of one's own."""
    monkeypatch.setattr(plane_numbers, "block_of", lambda dtype: 4)
    nets, (X, Y) = bpjit.Networks.random((2, 3, 2), 3, output="softmax"), data(21, 2, 2)
    weights = np.random.default_rng(5).integers(0, 3, (3, 21)).astype(float)
    settings = {"updates": updates, "rule": rule, "eta": 0.05, "stop": 4}
    check(nets, X, Y, **settings)
    for seed in (0, [1, 2, 3]):
        fits = bpjit.train_many(nets, X, Y, sample_weight=weights, seed=seed, **settings)
        for i in range(3):
            own = seed[i] if seed else 0
            fit = bpjit.train(nets[i], X, Y, sample_weight=weights[i], seed=own, **settings)
            assert fits.updates[i] == fit.updates
            np.testing.assert_allclose(fits.networks[i].parameters, fit.network.parameters, rtol=1e-11)


def test_batches_of_one_block_are_added_up_as_they_come(monkeypatch):
    nets, (X, Y) = bpjit.Networks.random((2, 3, 2), 3, output="softmax", dtype="float32"), data(8, 2, 2)
    settings = {"updates": "accumulated", "stop": 4, "sample_weight": np.arange(24.0).reshape(3, 8)}
    for block in (8, 4096):
        monkeypatch.setattr(plane_numbers, "BLOCK", block)
        bits = bpjit.train_many(nets, X, Y, **settings).networks.parameters.tobytes()
        if block == 8:
            first = bits
    assert bits == first


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_over_many_samples_keep_their_digits_in_float32(weighted):
    """Each adds 1.3 to a sum that has few digits left for it: sums one by one are 0.6 % off here."""
    m, nets = (
        1 << 18,
        bpjit.Networks.of([bpjit.Network.from_arrays([[[0.0]]], [[0.0]], output="identity", dtype="float32")]),
    )
    weights = np.ones(m) if weighted else None
    settings = {"updates": "accumulated", "eta": 0.5, "stop": 1, "sample_weight": weights}
    fits = bpjit.train_many(nets, np.full((m, 1), 1.0), np.full(m, 1.3), **settings)
    np.testing.assert_allclose(fits.networks[0].parameters, [0.65, -0.65], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("updates", ["accumulated", 17_000_000])
def test_batches_of_more_samples_than_float32_counts(updates):
    m, net = 20_000_000, bpjit.Network.from_arrays([[[0.5]]], [[0.1]], output="identity", dtype="float32")
    x = np.linspace(-1, 1, m, dtype=np.float32)
    y, weights = (0.3 * x + 0.2).astype(np.float32), np.ones(m)
    weights[[0, m // 2, -1]] = 0.0
    settings = {"updates": updates, "eta": 0.5, "stop": 2, "sample_weight": weights, "shuffle": False}
    fits = bpjit.train_many([net], x[:, None], y, **settings)
    alone = bpjit.train(net, x[:, None], y, **settings)
    exact = bpjit.train(
        bpjit.Network(net.sizes, net.parameters, output="identity"), x[:, None].astype(float), y, **settings
    )
    assert fits.updates[0] == exact.updates == (2 if updates == "accumulated" else 4)
    for fit, found in ((alone.network, alone.error), (fits.networks[0], fits.error[0])):
        np.testing.assert_allclose(fit.parameters, exact.network.parameters, rtol=1e-4)
        np.testing.assert_allclose(found, exact.error, rtol=1e-4)


# --- Epochs.


@pytest.mark.parametrize("dtype", [slow("float64"), "float32"])
@pytest.mark.parametrize("every", [1, 3])
def test_patience_beyond_what_float32_counts(dtype, every):
    """Networks whose smallest errors lie 2^25 epochs back."""
    begun, patience = 1 << 25, (1 << 25) + 700
    last = np.array([5, 6, 77])
    nets = bpjit.Networks.random((2, 2, 1), 3, dtype=dtype)
    stop = [EarlyStopping(patience, every=every), MaxEpochs(1 << 40)]
    session = session_of(nets, *XOR, stop=stop, validation=XOR, eta=1e-9)
    session.epoch, session.results.best_epochs[:] = begun, last
    session.seats.set(session.seats.state, plane_numbers.BEST, np.zeros(3))
    results = session.run(Limits())
    assert list(results.stopped_by) == ["EarlyStopping"] * 3
    assert results.epochs.tolist() == (-(-(last + patience) // every) * every).tolist()
    assert results.best_epochs.tolist() == last.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_epochs_without_improvement_beyond_what_float32_counts(dtype):
    begun, patience = 1 << 25, (1 << 25) + 700
    last = np.array([5, 6, 77])
    nets = bpjit.Networks.random((2, 2, 1), 3, dtype=dtype)
    session = session_of(nets, *XOR, stop=[NoImprovement(patience), MaxEpochs(1 << 40)])
    session.epoch, session.least_epochs[:] = begun, last
    session.seats.set(session.seats.state, plane_numbers.LEAST, np.zeros(3))
    results = session.run(Limits())
    assert list(results.stopped_by) == ["NoImprovement"] * 3
    assert results.epochs.tolist() == (last + patience).tolist()


def test_an_improvement_is_noted_at_its_epoch_however_late():
    nets = bpjit.Networks.random((2, 2, 1), 3, dtype="float32")
    stop = [EarlyStopping(10), MaxEpochs((1 << 26) + 50)]
    session = session_of(nets, *XOR, stop=stop, validation=XOR, eta=0.5, updates="accumulated")
    session.epoch = 1 << 26  # from here on the error falls in each epoch
    results = session.run(Limits())
    assert results.epochs.tolist() == results.best_epochs.tolist() == [(1 << 26) + 50] * 3


def test_patience_of_more_epochs_than_float32_counts_ends_a_training():
    nets = bpjit.Networks.random((1, 1), 8, output="identity", dtype="float32")
    stop = [EarlyStopping(17_000_000), MaxEpochs(20_000_000)]
    fits = bpjit.train_many(nets, [[1.0]], [[0.5]], eta=0.5, stop=stop, validation=([[1.0]], [[0.5]]))
    assert set(fits.stopped_by) == {"EarlyStopping"}
    assert (fits.best_epoch < 100).all()
    assert (fits.epochs == fits.best_epoch + 17_000_000).all()


@pytest.mark.parametrize("patience", [1, 7, 60])
def test_no_improvement_stops_where_train_stops(patience):
    nets = bpjit.Networks.random((2, 4, 1), 5, seed=3)
    for settings in ({"eta": 6.0, "seed": [1, 2, 3, 4, 5]}, {"eta": 9.0, "updates": "accumulated"}):
        check(nets, *XOR, stop=[MaxEpochs(300), NoImprovement(patience)], **settings)


@pytest.mark.parametrize(
    "stop",
    [
        [NoImprovement(10**9), 3],
        [NoImprovement(10**18), 3],
        [NoImprovement(10**18, 0.1), 3],
        [NoImprovement(10**9), TimeLimit(0.01)],
        [EarlyStopping(10**18), 3],
        [EarlyStopping(10**18, every=10**18), 3],
        [MaxEpochs(10**18), TimeLimit(0.01)],
    ],
    ids=str,
)
def test_what_is_merely_large_works(stop):
    nets = bpjit.Networks.random((2, 2, 1), 3)
    validation = XOR if isinstance(stop[0], EarlyStopping) else None
    fits = bpjit.train_many(nets, *XOR, stop=stop, validation=validation)
    assert set(fits.stopped_by) == {"TimeLimit" if isinstance(stop[1], TimeLimit) else "MaxEpochs"}


def test_a_ring_of_errors_too_long_to_keep_is_refused():
    nets = bpjit.Networks.random((2, 2, 1), 3)
    with pytest.raises(ValueError, match="^patience .*tolerance.*<= 1048576, got 1000000000"):
        bpjit.train_many(nets, *XOR, stop=[NoImprovement(10**9, 0.1), TimeLimit(1)])


HUGE = 10**30
HUGE_NUMBERS = {
    "every": lambda: EarlyStopping(every=HUGE),
    "patience": lambda: EarlyStopping(HUGE),
    "patience ": lambda: NoImprovement(HUGE),
    "MaxEpochs": lambda: MaxEpochs(HUGE),
    "every ": lambda: bpjit.GradientNorm(0.1, every=HUGE),
    "every  ": lambda: bpjit.StepDecay(1.0, every=HUGE),
    "epochs": lambda: bpjit.Cosine(1.0, epochs=10**400),
    "updates": lambda: bpjit.train(bpjit.Network.random((2, 1)), *XOR, updates=HUGE),
    "updates ": lambda: bpjit.train_many([bpjit.Network.random((2, 1))], *XOR, updates=HUGE),
    "stop": lambda: bpjit.train(bpjit.Network.random((2, 1)), *XOR, stop=HUGE),
    "max_epochs": lambda: bpjit.train_many([bpjit.Network.random((2, 1))], *XOR, max_epochs=HUGE),
    "threads": lambda: bpjit.train_many([bpjit.Network.random((2, 1))], *XOR, threads=HUGE),
}


@pytest.mark.parametrize("name", HUGE_NUMBERS)
def test_whole_numbers_beyond_64_bits_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"^{name.strip()}: .* <= 4611686018427387903, got 1"):
        HUGE_NUMBERS[name]()


# --- Where a training is cut short.


@pytest.mark.parametrize("seed", [3, [3, 4, 5]])
@pytest.mark.parametrize("weighted", [False, True])
def test_updates_are_counted_within_an_epoch(weighted, seed):
    nets, (X, Y) = (
        bpjit.Networks.random((2, 3, 1), 3),
        (np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2),
    )
    weights = np.random.default_rng(1).integers(0, 2, (3, 40)).astype(float) if weighted else None
    session = session_of(nets, X, Y, sample_weight=weights, seed=seed, eta=0.5)
    session._seconds_of_epoch = 1e3  # so each sample is a call
    results = session.run(Limits(interrupted=AfterAWhile(12)))
    for i in range(3):
        key = session.group.orders(0, 1, i)[0]
        visited = [k for k in key[:12] if not weighted or weights[i, k]]
        assert results.updates[i] == len(visited) > 0
        learner = bpjit.OnlineLearner(nets[i], eta=0.5)
        for k in visited:
            learner.learn(X[k], [float(Y[k])])
        np.testing.assert_allclose(results.parameters[i], learner.network.parameters, rtol=1e-12)


def test_updates_after_whole_epochs_and_before_any():
    nets = bpjit.Networks.random((2, 2, 1), 3)
    weights = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]])
    assert bpjit.train_many(nets, *XOR, sample_weight=weights, stop=5, updates=2).updates.tolist() == [10, 10, 5]
    assert bpjit.train_many(nets, *XOR, stop=TimeLimit(1e-9)).updates.tolist() == [0, 0, 0]


def test_large_networks_that_had_not_begun_are_measured():
    nets, weights = bpjit.Networks.random((2, 400, 1), 3), np.array([[2, 0, 1, 2], [2, 1, 1, 1], [0, 0, 0, 1.0]])
    fits = bpjit.train_many(nets, *XOR, stop=TimeLimit(1e-9), sample_weight=weights, validation=(*XOR, weights < 2))
    assert fits.epochs.tolist() == fits.updates.tolist() == [0, 0, 0]
    assert set(fits.stopped_by) == {"TimeLimit"}
    for i in range(3):
        expected = bpjit.error(nets[i], *XOR, sample_weight=weights[i])
        np.testing.assert_allclose([fits.error[i], fits.objective[i]], expected, rtol=1e-12)
    expected = bpjit.error(nets[0], [[0, 1], [1, 0]], [1, 1])
    np.testing.assert_allclose(fits.validation_error[0], expected, rtol=1e-12)


def test_no_reason_is_cut_however_long_its_name():
    (group,) = groups_of(bpjit.Networks.random((2, 2, 1), 2), *XOR, stop=1)
    results = Results.before(group)
    results.stopped_by[:] = "MaxEpochs", "AReasonWithAVeryLongName"
    fits = gather([group], [results], 2, 0.0, 0.0, "cpu")
    assert fits.stopped_by.tolist() == ["MaxEpochs", "AReasonWithAVeryLongName"]
    assert fits.stopped_by.dtype.kind == "U"


# --- Samples that float32 cannot weigh.


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 4), slow("float32", 400), slow("float64", 4), ("float64", 400)]
)
def test_a_weight_counts_or_not_alike_in_train_and_train_many(dtype, size):
    net = bpjit.Network.random((2, size, 1), dtype=dtype)
    for scale, weights in ((1.0, [1, 1e-60, 2, 1]), (1e-60, [1, 1e-20, 2, 1])):
        present = 3 if dtype == "float32" and scale == 1.0 else 4
        settings = {"sample_weight": scale * np.array(weights), "stop": 2, "seed": 1}
        fit, fits = bpjit.train(net, *XOR, **settings), bpjit.train_many([net, net], *XOR, **settings)
        own = bpjit.train_many([net, net], *XOR, **settings | {"sample_weight": [settings["sample_weight"]] * 2})
        assert [fit.updates, *fits.updates, *own.updates] == [2 * present] * 5
        np.testing.assert_allclose(fits.networks[0].parameters, fit.network.parameters, rtol=1e-5)


def test_orders_of_one_network_are_those_it_trains_with():
    mine, other = (shared_orders(np.uint64(key), 3, 1, np.arange(9, dtype=np.uint64))[0] for key in (1, 2))
    assert sorted(mine) == list(range(9)) != list(other)


@pytest.mark.parametrize("m", [1, 9, 32, 33, 500])
def test_numpy_makes_the_orders_that_the_kernel_makes(monkeypatch, m):
    key, numbers = np.uint64(7), np.arange(0, 3 * m, 3, dtype=np.uint64)
    monkeypatch.setattr(orders, "_made", orders.MADE_AT_FIRST)
    by_kernel = shared_orders(key, 5, 11, numbers)
    np.testing.assert_array_equal(by_kernel, orders.orders_by_numpy(key, 5, 11, numbers))
    monkeypatch.setattr(orders, "make_orders", None)
    monkeypatch.setattr(orders, "_made", 0)
    np.testing.assert_array_equal(by_kernel, shared_orders(key, 5, 11, numbers))


def test_a_first_training_compiles_the_kernel_that_trains_and_no_other(monkeypatch):
    """It measures too, and NumPy makes the first orders."""
    monkeypatch.setattr(orders, "make_orders", None)
    monkeypatch.setattr(orders, "_made", 0)
    monkeypatch.setattr(lane_seats, "evaluate_packs", None)
    nets = [bpjit.Network.random((2, 2, 1), seed=seed) for seed in range(3)]
    fits = bpjit.train_many(nets, *XOR, eta=1.0, validation=XOR, stop=[EarlyStopping(), MaxEpochs(3)])
    np.testing.assert_array_equal(fits.error, fits.validation_error)
    np.testing.assert_allclose(fits.error, [bpjit.error(net, *XOR) for net in fits.networks], rtol=1e-12)


KINDS = {
    "batches": {"updates": 2, "rule": "adam"},
    "adaptive": {"eta": bpjit.AdaptiveRate(0.1)},
    "measured at the end": {"validation": XOR},
    "watched": {"validation": XOR, "stop": [EarlyStopping(), NoImprovement(3), MaxEpochs(2)]},
    "orders of their own": {"seed": [1, 2, 3], "updates": "accumulated", "lam": 0.9, "train_thresholds": False},
    "data of their own": {"own": True, "sample_weight": [[1, 1, 2, 0]] * 3},
}


@pytest.mark.parametrize("in_lanes", [0, lane_seats.IN_LANES])
@pytest.mark.parametrize("kind", KINDS)
def test_one_kernel_trains_and_measures(kind, in_lanes, monkeypatch):
    """All calls have arguments of the same types."""
    kinds = set()

    def train(task, state, call, room):
        kinds.add(tuple(map(numba.typeof, (task, state, call, room))))
        planes = state.planes.reshape(len(state.P), plane_numbers.PLANES, -1)
        if call.epochs[1]:
            places = [plane_numbers.ALIVE, plane_numbers.REASON, plane_numbers.ENDED]
            planes[:, places] = np.array([0, plane_numbers.MAX_EPOCHS, call.epochs[1]])[:, None]
        for errors in (call.errors, call.validation_errors):
            errors[:] = 1.0

    monkeypatch.setattr(lane_seats, "train_packs", train)
    monkeypatch.setattr(lane_seats, "IN_LANES", in_lanes)
    settings = {"stop": 2, "eta": 0.1, **KINDS[kind]}
    X, Y = XOR
    if settings.pop("own", False):
        X, Y = [X] * 3, [Y] * 3
        settings["validation"] = X, Y
    nets = [bpjit.Network.random((2, 4, 1), seed=seed) for seed in range(3)]
    fits = bpjit.train_many(nets, X, Y, **settings)
    assert (fits.error == 1.0).all()
    assert len(kinds) == 1
