"""Starts of Nguyen and Widrow: units whose active ranges are spread evenly over the inputs."""

import pickle

import numpy as np
import pytest

import bpjit
from bpjit import Network, Scale

ACTIVE = {"tanh": 1.0, "sigmoid": 2.0, "softsign": 1.0}


def start(sizes, hidden="tanh", output="identity", **more):
    return Network.random(sizes, hidden, output, init="nguyen_widrow", **more)


def middles(net, layer=0):
    """Where each unit of a layer with one input has net input 0."""
    return np.sort(net.thresholds[layer] / net.weights[layer][0])


@pytest.mark.parametrize("hidden", ACTIVE)
@pytest.mark.parametrize(("d", "q"), [(1, 20), (2, 20), (5, 15), (3, 1)])
def test_weights_have_one_size_in_random_directions(hidden, d, q):
    net = start((d, q, 1), hidden, seed=4)
    W, size = net.weights[0], 0.7 * q ** (1 / d) * ACTIVE[hidden]
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), size, rtol=1e-14)
    assert d == 1 or len(np.unique(np.sign(W), axis=1).T) > min(2, q - 1)
    thresholds = net.thresholds[0] * -np.sign(W[0])
    np.testing.assert_allclose(thresholds, size * np.linspace(-1, 1, q) if q > 1 else [0.0], atol=1e-14)
    assert start((d, q, 1), hidden, seed=5) != net


def test_neighbours_take_over_where_a_unit_bends():
    """Steps along the inputs from one middle to the next are as wide as the active ranges, but for the 0.7."""
    net = start((1, 20, 1), seed=0)
    assert np.diff(middles(net)) == pytest.approx(2 / 19)
    assert 1 / np.abs(net.weights[0]) == pytest.approx(np.full((1, 20), 1 / 14))


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-3.0, -1.0), (1e3, 1e3 + 1e-3)])
def test_the_range_of_the_inputs(low, high):
    net = start((1, 9, 1), inputs=(low, high), seed=2)
    np.testing.assert_allclose(middles(net), np.linspace(low, high, 9), rtol=1e-9, atol=1e-9)
    assert start((1, 9, 1), inputs=([low], np.array([high])), seed=2) == net


def test_a_range_for_each_input():
    plain = start((3, 8, 1), seed=1)
    net = start((3, 8, 1), inputs=([0, -10, 5], [4, 10, 5]), seed=1)
    U = np.random.default_rng(0).uniform(-1, 1, (7, 3))
    U[:, 2] = 0.0  # an input that is constant; its weight stays as it was
    np.testing.assert_allclose(net.predict(U * [2, 10, 1] + [2, 0, 5]), plain.predict(U), rtol=1e-12)
    np.testing.assert_array_equal(net.weights[0][2], plain.weights[0][2])


@pytest.mark.parametrize("fit", [Scale.min_max, Scale.standard])
def test_the_range_that_the_scale_has_seen(fit):
    """Bends lie evenly over the data, in the user's units, whatever the network works in; and in given ones."""
    X = np.array([[3.0], [5.0], [11.0], [4.0]])
    scale = fit(X)
    for each in (scale, pickle.loads(pickle.dumps(scale))):
        net = start((1, 5, 1), scale=each, seed=3)
        in_units = scale.scale_inputs(np.linspace(3, 11, 5)[:, None], np.dtype(float))
        np.testing.assert_allclose(middles(net), in_units[:, 0], atol=1e-14)
    net = start((1, 5, 1), scale=scale, inputs=(0, 20), seed=3)
    in_units = scale.scale_inputs(np.linspace(0, 20, 5)[:, None], np.dtype(float))
    np.testing.assert_allclose(middles(net), in_units[:, 0], atol=1e-14)


def test_a_scale_made_by_hand_takes_inputs_to_one():
    np.testing.assert_allclose(middles(start((1, 5, 1), scale=Scale([7.0], [-2.0]))), np.linspace(-1, 1, 5))


def test_deeper_layers_spread_over_what_lies_below():
    net = start((2, 1, 6, 5, 3), ["sigmoid", "tanh", "softsign"], seed=6)
    np.testing.assert_allclose(middles(net, 1), np.linspace(0, 1, 6), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(net.weights[1], axis=0), 0.7 * 6 * 1.0 / 0.5, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(net.weights[2], axis=0), 0.7 * 5 ** (1 / 6), rtol=1e-14)


def test_outputs():
    linear, bounded = (start((2, 400, 2), output=output, seed=1) for output in ("identity", "sigmoid"))
    assert 0.99 < np.abs(linear.weights[1]).max() < 1
    limit = np.sqrt(6 / 402)
    assert 0.99 * limit < np.abs(bounded.weights[1]).max() < limit
    assert not linear.thresholds[1].any()
    np.testing.assert_array_equal(linear.weights[0], bounded.weights[0])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 7, 1), (5, 3, 4, 2), (33, 18, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_of_many_has_the_bits_of_one(sizes, dtype):
    settings = {"hidden": "sigmoid", "init": "nguyen_widrow", "dtype": dtype, "inputs": (-2, 5)}
    nets = bpjit.Networks.random(sizes, 5, seed=7, **settings)
    for i, net in enumerate(nets):
        assert net == Network.random(sizes, seed=7 + i, **settings)


def test_multi_start_takes_it():
    X = np.linspace(0, 6, 30)[:, None]
    shared = {"hidden": "tanh", "output": "identity", "init": "nguyen_widrow", "inputs": (0, 6)}
    fits = bpjit.multi_start((1, 6, 1), X, np.sin(X), 3, init_seed=4, eta=0.01, stop=2, **shared)
    net = Network.random((1, 6, 1), seed=4 + int(fits.order[1]), **shared)
    again = bpjit.train_many([net], X, np.sin(X), eta=0.01, stop=2)
    np.testing.assert_array_equal(fits.networks[1].parameters, again.networks[0].parameters)


@pytest.mark.parametrize(
    ("hidden", "instead"),
    [("relu", "he"), ("softplus", "he"), ("gelu", "he"), ("sin", "glorot"), ("identity", "glorot"), ("exp", "glorot")],
)
def test_units_without_a_bounded_active_range_are_refused(hidden, instead):
    with pytest.raises(ValueError, match=f'^init: .*tanh, sigmoid or softsign.*"{hidden}".*init="{instead}"'):
        start((2, 3, 4, 1), ["tanh", hidden])
    assert start((2, 3), output=hidden).sizes == (2, 3)  # an output may be anything


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        (3, TypeError),
        ("01", TypeError),
        ((0, 1, 2), ValueError),
        ((1, 0), ValueError),
        (([0, 0, 0], [1, 1, 1]), ValueError),
        ((0, np.nan), ValueError),
        ((0, "a"), (TypeError, ValueError)),
        ((0, 1e-320), ValueError),
    ],
)
def test_ranges_that_are_none(inputs, error):
    with pytest.raises(error, match="^inputs.*: expected"):
        start((2, 3, 1), inputs=inputs)


def test_a_range_goes_with_this_start():
    with pytest.raises(ValueError, match="^inputs: .*nguyen_widrow"):
        Network.random((2, 3, 1), inputs=(0, 1))
    with pytest.raises(ValueError, match='^init: .*"nguyen_widrow"'):
        Network.random((2, 3, 1), init="initnw")
