"""Network: starts, views, the book's names, prediction, comparison."""

import numpy as np
import pytest

import bpjit
import reference
from bpjit import Network, Scale, jacobian
from bpjit.maths import random_streams


def test_views_lie_in_one_vector_and_are_read_only():
    net = Network.random((3, 4, 2), seed=0)
    assert [W.shape for W in net.weights] == [(3, 4), (4, 2)]
    assert [theta.shape for theta in net.thresholds] == [(4,), (2,)]
    np.testing.assert_array_equal(net.parameters, reference.flatten(net.weights, net.thresholds))
    for view in (net.parameters, *net.weights, *net.thresholds, net.v):
        assert np.shares_memory(view, net.parameters)
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
    np.testing.assert_array_equal(net.biases[1], -net.theta)


def test_the_book_s_names_need_exactly_one_hidden_layer():
    net = Network.random((3, 4, 2), seed=0)
    for ours, books in ((net.weights[0], net.v), (net.thresholds[0], net.gamma), (net.weights[1], net.w)):
        np.testing.assert_array_equal(ours, books)
    for sizes in ((3, 2), (3, 4, 4, 2)):
        for name in ("v", "gamma", "w", "theta"):
            with pytest.raises(AttributeError, match=f"^{name}: .*exactly one hidden layer"):
                getattr(Network.random(sizes), name)
            assert not hasattr(Network.random(sizes), name)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_starts(seed):
    sizes = (40, 60, 30)
    nets = {init: Network.random(sizes, init=init, seed=seed) for init in ("glorot", "he", "uniform01", "normal")}
    W = nets["glorot"].weights[0]
    limit = np.sqrt(6 / 100)
    assert limit * 0.99 < np.abs(W).max() < limit
    assert W.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert nets["he"].weights[0].std() == pytest.approx(np.sqrt(2 / 40), rel=0.05)
    for init in ("glorot", "he"):
        assert all((theta == 0).all() for theta in nets[init].thresholds)
    book = nets["uniform01"].parameters
    assert 0 < book.min() < 0.01
    assert 0.99 < book.max() < 1
    np.testing.assert_array_equal(book, reference.uniforms(seed, random_streams.PARAMETERS, 0, len(book)))
    assert nets["normal"].parameters.std() == pytest.approx(1, rel=0.05)
    assert nets["normal"].thresholds[0].std() == pytest.approx(1, rel=0.3)


def test_a_start_between_two_numbers():
    net = Network.random((40, 60), init=(-0.01, 0.02), seed=3)
    book = Network.random((40, 60), init="uniform01", seed=3)
    np.testing.assert_allclose(net.parameters, -0.01 + 0.03 * book.parameters, rtol=1e-12)
    with pytest.raises(ValueError, match="^init: "):
        Network.random((2, 1), init=(1.0, 0.0))
    with pytest.raises(TypeError, match="^init: "):
        Network.random((2, 1), init=("a", 0.0))
    with pytest.raises(ValueError, match="^X: expected numbers whose spread fits"):
        Scale.standard([[1e308], [-1e308]])


def test_float32_networks_are_float64_networks_rounded():
    double, single = (Network.random((3, 4, 2), init="normal", seed=5, dtype=dtype) for dtype in ("float64", "float32"))
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))
    assert single.predict([1, 2, 3]).dtype == np.float32
    assert single != double


def test_a_single_sample_and_classes():
    net = Network.random((3, 4, 2), seed=0)
    X = np.random.default_rng(0).normal(size=(6, 3))
    np.testing.assert_array_equal(net.predict(X[2]), net.predict(X)[2])
    assert net.predict(X[2]).shape == (2,)
    np.testing.assert_array_equal(net.classify(X), net.predict(X).argmax(1))
    assert net.classify(X[2]) == net.classify(X)[2]
    one = Network.from_arrays([[[1.0]]], [[0.0]], output="identity")
    assert one.classify([[0.5], [0.499], [2.0]]).tolist() == [1, 0, 1]


def test_many_samples_in_chunks(monkeypatch):
    net = Network.random((3, 4, 2), "tanh", "softmax")
    X = np.random.default_rng(0).normal(size=(1000, 3))
    whole = net.predict(X)
    slopes = jacobian(net, X)
    monkeypatch.setattr("bpjit.kernels.drivers.CALL", 1)
    monkeypatch.setattr("bpjit.networks.evaluation.CALL", 26 * 2 * 7)
    np.testing.assert_array_equal(net.predict(X), whole)
    np.testing.assert_array_equal(jacobian(net, X), slopes)
    assert whole.sum(1) == pytest.approx(np.ones(1000))


def test_softmax_never_overflows():
    net = Network.from_arrays([np.eye(2) * 1000], [np.zeros(2)], output="softmax")
    np.testing.assert_array_equal(net.predict([[1.0, -1.0], [-1.0, 1.0]]), np.eye(2))


def test_from_arrays_takes_its_dtype_from_the_arrays():
    single = [np.ones((2, 1), np.float32)], [np.ones(1, np.float32)]
    assert Network.from_arrays(*single).dtype == np.float32
    assert Network.from_arrays(single[0], [[1.0]]).dtype == np.float64
    assert Network.from_arrays([[[1], [2]]], [[1]], dtype=np.float32).dtype == np.float32


def test_scaled_networks_take_and_give_the_user_s_units():
    scale = Scale([10.0, 20.0], [2.0, 4.0], [5.0], [3.0])
    inner = Network.random((2, 3, 1), "tanh", "identity", seed=1)
    outer = Network.random((2, 3, 1), "tanh", "identity", seed=1, scale=scale)
    X = np.array([[12.0, 16.0], [9.0, 30.0]])
    expected = inner.predict((X - [10, 20]) / [2, 4]) * 3 + 5
    np.testing.assert_allclose(outer.predict(X), expected, rtol=1e-15)
    assert outer != inner
    assert outer.with_parameters(outer.parameters) == outer

    slope = jacobian(outer, X, by="inputs")[0, 0]
    by_differences = reference.central_differences(lambda x: outer.predict(x)[0], X[0])
    np.testing.assert_allclose(slope, by_differences, rtol=1e-6)


def test_a_scale_cannot_change_and_keeps_data_finite():
    scale = Scale([0.0, 0.0], [1e-300, 1.0])
    with pytest.raises(ValueError, match="read-only"):
        scale.arrays["input_factor"][0] = 9
    net = Network.random((2, 1), scale=scale)
    with pytest.raises(ValueError, match="^X: expected numbers that the network's scale keeps finite"):
        net.predict([[1e30, 1.0]])
    single = Network.random((2, 1), scale=Scale([0.0, 0.0], [1.0, 1.0]), dtype="float32")
    with pytest.raises(ValueError, match="^X: expected numbers that the network's scale keeps finite in float32"):
        single.predict([[1e300, 1.0]])


def test_scale_from_data():
    X = np.array([[1.0, 5.0, 7.0], [3.0, 5.0, 9.0]])
    scale = Scale.standard(X, [0.0, 4.0])
    np.testing.assert_allclose(scale.scale_inputs(X, np.dtype("f8")), [[-1, 0, -1], [1, 0, 1]])
    np.testing.assert_allclose(scale.scale_targets(np.array([[0.0], [4.0]]), np.dtype("f8")), [[-1], [1]])
    np.testing.assert_allclose(Scale.min_max(X).scale_inputs(X, np.dtype("f8")), [[0, 0, 0], [1, 0, 1]])


@pytest.mark.parametrize("value", [0.1, 14.62, 273.15, -1e-12, 1e15 / 3, 0.0])
@pytest.mark.parametrize("make", [Scale.standard, Scale.min_max])
def test_a_column_that_differs_by_rounding_alone_is_constant(value, make):
    column = np.full(10, value)
    column[3:6] = np.nextafter(value, np.inf)
    for constant in (np.full(10, value), column):
        X = np.c_[np.arange(10.0), constant]
        scale = make(X, X[:, 1])
        assert scale.arrays["input_factor"][1] == scale.arrays["target_factor"][0] == 1.0
        assert scale.arrays["input_offset"][1] == value
        net = Network.random((2, 3, 1), "tanh", "identity", scale=scale, dtype="float32")
        as_float32 = net.predict(X.astype(np.float32))
        np.testing.assert_allclose(as_float32, net.predict(X), rtol=1e-4, atol=1e-4 * abs(value) + 1e-6)


def test_a_scale_counts_samples_by_their_weights():
    """A weight of 2 is the row twice, a row of weight 0 may hold anything; a multiple of the weights does the same."""
    rng = np.random.default_rng(0)
    X, Y, times = rng.normal(size=(30, 3)), rng.uniform(size=(30, 1)), rng.integers(0, 4, 30)
    repeated = Scale.standard(X.repeat(times, axis=0), Y.repeat(times))
    X[times == 0], Y[times == 0] = np.nan, 1e300
    for weights in (times, 0.1 * times, times.tolist()):
        scale = Scale.standard(X, Y, sample_weight=weights)
        for name, array in repeated.arrays.items():
            np.testing.assert_allclose(scale.arrays[name], array, rtol=1e-12, atol=1e-15)
    one = Scale.standard(X, sample_weight=np.arange(30) == np.argmax(times))
    assert one.arrays["input_factor"].tolist() == [1.0, 1.0, 1.0]
    for weights in (times[:-1], -times, np.zeros(30)):
        with pytest.raises(ValueError, match="^sample_weight: expected 30 finite numbers >= 0, not all 0"):
            Scale.standard(X, Y, sample_weight=weights)
    plain = np.abs(Y[times > 0]) + 3
    assert Scale.standard(plain).arrays["input_offset"] == plain.mean(0)
    assert Scale.standard(plain).arrays["input_factor"] == plain.std(0)


def test_what_spreads_little_is_not_constant():
    X = np.c_[1.0 + 1e-12 * np.arange(10), 1e-150 * np.arange(10)]
    assert (Scale.standard(X).scale_inputs(X, np.dtype("f8")).std(axis=0) > 0.9).all()


@pytest.mark.parametrize(
    ("output", "scale", "cut"),
    [
        ("sigmoid", None, 0.5),
        ("identity", None, 0.5),
        ("relu", None, 0.5),
        ("tanh", None, 0.0),
        ("softsign", None, 0.0),
        ("sin", None, 0.0),
        ("tanh", Scale([0.0], [1.0], [5.0], [2.0]), 5.0),
        ("sigmoid", Scale([0.0], [1.0], [1.0], [1.0]), 1.5),
        ("identity", Scale([0.0], [1.0], [1.0], [4.0]), 0.5),
    ],
)
def test_one_output_is_cut_in_the_middle_of_what_it_reaches(output, scale, cut):
    net = Network.from_arrays([[[0.3]]], [[0.0]], output=output, scale=scale)
    X = np.linspace(-3, 3, 101)[:, None]
    y_hat = net.predict(X)[:, 0]
    expected = (y_hat >= cut).astype(int)
    assert net.classify(X).tolist() == expected.tolist()
    assert 0 < expected.sum() < 101 or output == "relu"
    assert bpjit.Networks.of([net]).classify(X)[0].tolist() == expected.tolist()
    learner = bpjit.OnlineLearner(net)
    assert [learner.classify(x) for x in X[::20]] == expected[::20].tolist()


def test_labels_of_minus_one_and_one_are_told_apart():
    X = np.random.default_rng(0).normal(size=(60, 2))
    Y = np.sign(X[:, 0] + 0.2)
    fit = bpjit.train(Network.random((2, 3, 1), "tanh", "tanh"), X, Y, eta=0.1, stop=60)
    assert (fit.network.classify(X) == (Y > 0)).mean() > 0.95
    assert bpjit.error(fit.network, X, Y, class_weight="balanced") > 0  # and are classes


def test_printing():
    assert repr(Network.random((2, 4, 1))) == "Network(2-4-1, hidden sigmoid, output sigmoid, float64, 17 parameters)"
    assert "hidden tanh-relu" in repr(Network.random((2, 3, 3, 1), ["tanh", "relu"]))
    assert "2-1, output" in repr(Network.random((2, 1)))
    with pytest.raises(TypeError):
        hash(Network.random((2, 1)))
