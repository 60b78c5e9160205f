"""Rows of weight 0 may hold anything; and with ``missing="ignore"`` targets that are NaN count for the other outputs
only: held against the reference, central differences, and against each other on all machines.
"""

import numpy as np
import pytest

import bpjit
import reference

rng = np.random.default_rng(11)
m = 30
X = rng.normal(size=(m, 3))
CASES = [
    ("identity", "squared"),
    ("sigmoid", "cross_entropy"),
    ("tanh", "huber"),
    ("sigmoid", "absolute"),
    ("softmax", "squared"),
]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def gaps(l, seed=0, share=0.3):
    """Targets within 0 and 1, some of them unknown: all of sample 0, one of sample 1, none of sample 2."""
    drawn = np.random.default_rng(seed)
    Y = drawn.uniform(0.05, 0.95, size=(m, l))
    Y[drawn.random(Y.shape) < share] = np.nan
    Y[0], Y[1], Y[2] = np.nan, 0.25, 0.75
    Y[1, 0] = np.nan
    return Y


def in_reference(net, loss, Y):
    """E and the parameters' gradient: each term of a known target by itself, over the samples that have one."""
    layers = list(net.weights), list(net.thresholds), (*net.hidden, net.output)
    E, gradient, count = 0.0, 0.0, 0
    for x, y in zip(X, Y, strict=True):
        known = ~np.isnan(y)
        if not known.any():
            continue
        count += 1
        y_hat = reference.forward(*layers, x)[1][-1]
        # An unknown target stands at ŷ: it adds nothing but for cross-entropy, whose share there is taken off.
        at_y_hat = np.where(known, y, y_hat)
        E_k, dW, dtheta = reference.sample_gradient(*layers, loss, x, at_y_hat)
        if loss == "cross_entropy":
            E_k += sum(np.log(b) * b + np.log(1 - b) * (1 - b) for b in y_hat[~known])
        E, gradient = E + E_k, gradient + reference.flatten(dW, dtheta)
    return E / count, gradient / count


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("output", "loss"), CASES)
@pytest.mark.parametrize("sizes", [(3, 5, 2), (3, 20, 4)])
def test_error_and_gradient(sizes, output, loss, dtype):
    net, Y = bpjit.Network.random(sizes, "tanh", output, seed=1, dtype=dtype), gaps(sizes[-1])
    expected = in_reference(bpjit.Network.random(sizes, "tanh", output, seed=1), loss, Y)
    assert bpjit.error(net, X, Y, loss=loss, missing="ignore") == pytest.approx(expected[0], rel=TOLERANCE[dtype])
    found = bpjit.gradient(net, X, Y, loss=loss, missing="ignore")
    assert found == pytest.approx(expected[1], abs=TOLERANCE[dtype])


def test_the_gradient_is_that_of_the_error():
    for output, loss in CASES[:1] + CASES[-1:]:
        net, Y = bpjit.Network.random((3, 4, 3), "sigmoid", output), gaps(3, 1)
        slopes = reference.central_differences(
            lambda p: bpjit.error(net.with_parameters(p), X, Y, loss=loss, missing="ignore"),  # noqa: B023
            net.parameters.copy(),
        )
        assert bpjit.gradient(net, X, Y, loss=loss, missing="ignore") == pytest.approx(slopes, abs=1e-8)


def train_in_reference(net, loss, Y, epochs, eta):
    p = net.parameters.copy()
    for _ in range(epochs):
        p = p - eta * in_reference(net.with_parameters(p), loss, Y)[1]
    return p


@pytest.mark.parametrize(
    ("sizes", "output", "loss", "dtype"),
    [
        ((3, 20, 2), "sigmoid", "cross_entropy", "float64"),
        *(
            pytest.param(sizes, output, loss, dtype, marks=pytest.mark.slow)
            for sizes in ((3, 4, 2), (3, 20, 2))  # tiny ones have kernels of their own
            for output, loss in (CASES[0], CASES[-1])
            for dtype in ("float64", "float32")
        ),
    ],
)
def test_training(sizes, output, loss, dtype):
    Y, settings = gaps(2), {"loss": loss, "missing": "ignore", "stop": 5, "eta": 0.3}
    net = bpjit.Network.random(sizes, "tanh", output, dtype=dtype)
    of_all = train_in_reference(bpjit.Network.random(sizes, "tanh", output), loss, Y, 5, 0.3)
    fit = bpjit.train(net, X, Y, updates="accumulated", **settings)
    assert fit.network.parameters == pytest.approx(of_all, abs=10 * TOLERANCE[dtype])
    assert fit.error == pytest.approx(bpjit.error(fit.network, X, Y, loss=loss, missing="ignore"), rel=1e-6)
    fits = bpjit.train_many([net] * 2, X, Y, updates="accumulated", threads=1, **settings)
    assert fits.networks[1].parameters == pytest.approx(of_all, abs=10 * TOLERANCE[dtype])
    assert np.abs(fit.network.parameters - net.parameters).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sizes", [(3, 4, 2), (3, 20, 2)])
def test_many_train_as_one_does(sizes, dtype):
    Y, net = gaps(2), bpjit.Network.random(sizes, dtype=dtype)
    settings = {"missing": "ignore", "stop": 5, "eta": 0.3, "validation": (X[:9], Y[:9])}
    fit, fits = bpjit.train(net, X, Y, **settings), bpjit.train_many([net] * 2, X, Y, threads=1, **settings)
    assert fits.networks[0].parameters == pytest.approx(fit.network.parameters, abs=20 * TOLERANCE[dtype])
    assert fits.validation_error[0] == pytest.approx(fit.validation_errors[-1], rel=20 * TOLERANCE[dtype])
    assert np.abs(fit.network.parameters - net.parameters).max() > 0.05


@pytest.mark.slow
def test_without_gaps_it_is_the_usual_training():
    Y, net = np.nan_to_num(gaps(2), nan=0.5), bpjit.Network.random((3, 20, 2))
    for settings in ({}, {"updates": 8, "rule": "adam"}, {"validation": (X, Y)}):
        one, other = (bpjit.train(net, X, Y, stop=4, missing=word, **settings) for word in (None, "ignore"))
        assert one.network.parameters == pytest.approx(other.network.parameters, abs=1e-12)


@pytest.mark.parametrize(
    ("output", "loss"), [("sigmoid", None), ("sigmoid", "cross_entropy"), ("identity", "absolute")]
)
def test_a_sample_without_a_known_target_is_absent(output, loss):
    y, net = gaps(1)[:, 0], bpjit.Network.random((3, 4, 1), output=output)
    known = ~np.isnan(y)
    filled = {"Y": np.where(known, y, 0), "loss": loss, "sample_weight": known * 1.0}
    for call in (bpjit.error, bpjit.gradient):
        assert call(net, X, y, loss=loss, missing="ignore") == pytest.approx(call(net, X, **filled), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"updates": 8}, {"rule": "momentum"}])
def test_training_leaves_out_samples_without_a_known_target(settings):
    y, net = gaps(1)[:, 0], bpjit.Network.random((3, 4, 1))
    known = ~np.isnan(y)
    one = bpjit.train(net, X, y, missing="ignore", stop=4, eta=0.1, **settings)
    other = bpjit.train(net, X, np.where(known, y, 0), sample_weight=known * 1.0, stop=4, eta=0.1, **settings)
    assert one.network.parameters == pytest.approx(other.network.parameters, abs=1e-12)
    assert one.updates == other.updates
    assert one.error == pytest.approx(other.error)


def test_class_numbers_may_be_missing():
    labels, net = np.arange(m) % 3.0, bpjit.Network.random((3, 4, 3), output="softmax")
    labels[[3, 10, 11]] = np.nan
    known = ~np.isnan(labels)
    for settings in ({}, {"class_weight": "balanced"}):
        for call in (bpjit.error, bpjit.gradient):
            expected = call(net, X[known], labels[known], **settings)
            assert call(net, X, labels, missing="ignore", **settings) == pytest.approx(expected, rel=1e-9)
    Y = np.eye(3)[np.arange(m) % 3]
    Y[4, 1] = np.nan
    with pytest.raises(
        ValueError, match="Y: cross_entropy with softmax outputs expects rows that are known or all NaN"
    ):
        bpjit.train(net, X, Y, missing="ignore")


def test_validation_scales_resuming_and_replay(tmp_path):
    Y = 100 + 20 * gaps(2)
    net = bpjit.Network.random((3, 20, 2), output="identity", scale=bpjit.Scale.standard(X, np.nan_to_num(Y, nan=110)))
    settings = {"missing": "ignore", "eta": 0.05, "validation": (X[:9], Y[:9])}
    whole, half = (bpjit.train(net, X, Y, stop=stop, **settings) for stop in (6, 3))
    assert bpjit.train(half.network, X, Y, stop=3, resume=half, **settings).network == whole.network
    expected = bpjit.error(whole.network, X[:9], Y[:9], missing="ignore")
    assert whole.validation_errors[-1] == pytest.approx(expected)
    with pytest.raises(ValueError, match="missing: the fit to resume was made with 'ignore', got None"):
        bpjit.train(half.network, X, np.nan_to_num(Y, nan=110), stop=3, resume=half, eta=0.05)
    whole.replay(tmp_path / "a.html", frames=3)
    whole.replay(tmp_path / "b.html", X=X, Y=Y, frames=3)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.slow
def test_many_networks_with_data_or_weights_of_their_own():
    nets = [bpjit.Network.random((3, 4, 2), seed=seed) for seed in range(2)]
    sets = [gaps(2, seed)[: 30 - 5 * seed] for seed in range(2)]
    settings = {"missing": "ignore", "stop": 4, "eta": 0.3}
    fits = bpjit.train_many(nets, [X[: len(Y)] for Y in sets], sets, threads=1, **settings)
    for index, (net, Y) in enumerate(zip(nets, sets, strict=True)):
        alone = bpjit.train(net, X[: len(Y)], Y, **settings)
        assert fits.networks[index].parameters == pytest.approx(alone.network.parameters, abs=1e-12)
    weights = rng.uniform(size=(2, m))
    fits = bpjit.train_many(nets, X, sets[0], sample_weight=weights, threads=1, **settings)
    for index, net in enumerate(nets):
        alone = bpjit.train(net, X, sets[0], sample_weight=weights[index], **settings)
        assert fits.networks[index].parameters == pytest.approx(alone.network.parameters, abs=1e-12)


def test_what_is_refused():
    net, Y = bpjit.Network.random((3, 4, 2)), gaps(2)
    for call in (bpjit.train, bpjit.error, bpjit.gradient):
        with pytest.raises(ValueError, match=r"Y: expected .* got nan at \[0, 0\]; neither NaN"):
            call(net, X, Y)
        with pytest.raises(ValueError, match='missing: expected one of "ignore", got'):
            call(net, X, Y, missing="skip")
        with pytest.raises(ValueError, match="Y: expected a target that is known, got NaN alone"):
            call(net, X, np.full((m, 2), np.nan), missing="ignore")
        infinite = Y.copy()
        infinite[5, 1] = np.inf
        with pytest.raises(ValueError, match=r"got inf at \[5, 1\]"):
            call(net, X, infinite, missing="ignore")
    with pytest.raises(ValueError, match="network 1: Y: expected a target that is known, got NaN alone"):
        bpjit.train_many([net, net], X, Y, sample_weight=np.vstack([np.ones(m), np.arange(m) == 0]), missing="ignore")


# --- Rows of weight 0.


def spoilt(rows, l=1):
    """Data whose rows of these numbers hold no numbers."""
    A, Y = X.copy(), rng.uniform(size=(m, l))
    A[rows], good = np.nan, Y.copy()
    Y[rows] = np.inf
    return A, Y, good


@pytest.mark.parametrize("scale", [None, bpjit.Scale.standard(X[:, :2])])
@pytest.mark.parametrize("rows", [[7], [0, 1, 29]])
def test_rows_of_weight_0_may_hold_anything(rows, scale, tmp_path):
    A, Y, good = spoilt(rows)
    A, usual = A[:, :2], X[:, :2]
    net, c = bpjit.Network.random((2, 4, 1), scale=scale), rng.uniform(0.5, 2, size=m)
    c[rows] = 0
    for data in ((A, Y), (A.tolist(), Y.tolist()), (np.asfortranarray(A), Y[:, 0])):
        fit = bpjit.train(net, *data, sample_weight=c, stop=4)
        assert fit.network == bpjit.train(net, usual, good, sample_weight=c, stop=4).network
        assert bpjit.error(net, *data, sample_weight=c) == bpjit.error(net, usual, good, sample_weight=c)
        assert (bpjit.gradient(net, *data, sample_weight=c) == bpjit.gradient(net, usual, good, sample_weight=c)).all()
        fits = bpjit.train_many([net] * 2, *data, sample_weight=c, stop=4)
        assert fits.networks == bpjit.train_many([net] * 2, usual, good, sample_weight=c, stop=4).networks
    fit.replay(tmp_path / "a.html", X=A, Y=Y, frames=3)
    for call in (bpjit.train, bpjit.error, bpjit.gradient):
        with pytest.raises(ValueError, match=rf"Y: expected .* got inf at \[{rows[0]}, 0\]"):
            call(net, A, Y, sample_weight=c + 1)
        with pytest.raises(ValueError, match=rf"X: expected .* got nan at \[{rows[-1]}, 0\]"):
            call(net, A, good, sample_weight=np.where(np.arange(m) == rows[-1], 1, c))


def test_rows_absent_for_all_networks_may_hold_anything():
    A, Y, good = spoilt([3, 8])
    A, usual = A[:, :2], X[:, :2]
    nets, table = bpjit.Networks.random((2, 4, 1), 2), rng.uniform(0.5, 1, size=(2, m))
    table[:, [3, 8]] = 0
    table[0, 5] = table[1, 6] = 0
    mask = table > 0
    one, other = (
        bpjit.train_many(nets, *data, sample_weight=table, validation=(*data, mask), stop=4)
        for data in ((A, Y), (usual, good))
    )
    assert one.networks == other.networks
    assert (one.validation_error == other.validation_error).all()
    table[1, 8] = 0.5
    with pytest.raises(ValueError, match=r"got inf at \[8, 0\]"):
        bpjit.train_many(nets, A, Y, sample_weight=table)


@pytest.mark.slow
def test_rows_of_weight_0_in_data_of_a_networks_own():
    A, Y, good = spoilt([3, 8])
    nets, c = bpjit.Networks.random((3, 4, 1), 2), np.where(np.isnan(A[:, 0]), 0, rng.uniform(0.5, 1, size=m))
    one, other = (
        bpjit.train_many(nets, *sets, sample_weight=[c, c[:20]], stop=4)
        for sets in (([A, A[:20]], [Y, Y[:20]]), ([X, X[:20]], [good, good[:20]]))
    )
    assert one.networks == other.networks


def test_classes_of_weight_0_may_have_inputs_that_are_none():
    labels, net = np.arange(m) % 3, bpjit.Network.random((3, 4, 3), output="softmax")
    A = np.where((labels == 1)[:, None], np.nan, X)
    weights = {0: 1.0, 1: 0.0, 2: 2.0}
    for call in (bpjit.error, bpjit.gradient):
        one, other = (call(net, data, labels, class_weight=weights) for data in (A, X))
        assert (one == other) if call is bpjit.error else (one == other).all()
