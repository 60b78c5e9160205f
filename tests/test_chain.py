"""The chain rule in the visual text's notation, against bpjit.gradient, the reference and central differences."""

import itertools

import numpy as np
import pytest

import bpjit
import reference


def a_network(sizes, hidden, output, dtype="float64"):
    rng = np.random.default_rng(7)
    return bpjit.Network.from_arrays(
        [rng.normal(size=shape) for shape in itertools.pairwise(sizes)],
        [rng.normal(size=q) for q in sizes[1:]],
        hidden=hidden,
        output=output,
        dtype=dtype,
    )


CASES = [
    ((3, 2), "sigmoid", "sigmoid"),
    ((2, 3, 2), "tanh", "sigmoid"),
    ((3, 4, 3, 1), ["relu", "softplus"], "identity"),
    ((2, 5, 2), "softsign", "tanh"),
]


@pytest.mark.parametrize(("sizes", "hidden", "output"), CASES)
def test_twice_the_gradient_of_the_book_s_error(sizes, hidden, output):
    """C has no ½ and biases for thresholds: ∂C/∂W = 2 ∂E/∂W, ∂C/∂b = −2 ∂E/∂θ."""
    net = a_network(sizes, hidden, output)
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=sizes[0]), rng.normal(size=sizes[-1])
    chain = bpjit.chain_rule(net, x, y)
    slope = bpjit.Network(sizes, bpjit.gradient(net, [x], [y]))
    for layer, dE_dW, dE_dtheta in zip(chain.layers, slope.weights, slope.thresholds, strict=True):
        np.testing.assert_allclose(layer.dC_dW, 2 * dE_dW, rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(layer.dC_db, -2 * dE_dtheta, rtol=1e-11, atol=1e-15)
    assert chain.cost == pytest.approx(2 * bpjit.error(net, [x], [y]), rel=1e-13)
    expected = [p for layer in chain.layers for p in (*layer.dC_dW.ravel(), *layer.dC_db)]
    np.testing.assert_array_equal(chain.gradient, expected)


@pytest.mark.parametrize(("sizes", "hidden", "output"), CASES)
def test_every_partial_derivative_against_central_differences(sizes, hidden, output):
    net = a_network(sizes, hidden, output)
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=sizes[0]), rng.normal(size=sizes[-1])
    names = [*net.hidden, net.output]
    f = [lambda z, name=name: np.array([reference.ACTIVATIONS[name](v)[0] for v in z]) for name in names]
    chain = bpjit.chain_rule(net, x, y)

    def cost(a, above):
        """C from the outputs of a layer upwards."""
        for W, b, activation in list(zip(net.weights, net.biases, f, strict=True))[above:]:
            a = activation(a @ W + b)
        return np.sum((a - y) ** 2)

    a = x
    for number, layer in enumerate(chain.layers):
        W, b = net.weights[number], net.biases[number]
        np.testing.assert_allclose(layer.below, a, rtol=1e-13)
        np.testing.assert_allclose(layer.pa, a @ W + b, rtol=1e-13)
        for found, function, at in (
            (layer.dC_dbelow, lambda v, n=number: cost(v, n), a),
            (layer.dC_dpa, lambda v, n=number: cost(f[n](v), n + 1), layer.pa),
            (layer.dC_da, lambda v, n=number: cost(v, n + 1), layer.a),
            (layer.dC_db, lambda v, n=number, a=a, W=W: cost(f[n](a @ W + v), n + 1), b),
            (
                layer.dC_dW.ravel(),
                lambda v, n=number, a=a, W=W, b=b: cost(f[n](a @ v.reshape(W.shape) + b), n + 1),
                W.ravel(),
            ),
        ):
            np.testing.assert_allclose(found, reference.central_differences(function, at), rtol=1e-6, atol=1e-8)
        a = f[number](a @ W + b)
        np.testing.assert_allclose(layer.a, a, rtol=1e-13)
    assert np.abs(chain.gradient).min() > 0 or "relu" in names


def test_a_float32_network_and_a_scaled_one():
    x, y = [0.3, -0.2], [0.5]
    net = a_network((2, 3, 1), "tanh", "identity", "float32")
    slope = bpjit.gradient(net, [x], [y])
    np.testing.assert_allclose(np.abs(bpjit.chain_rule(net, x, y).gradient), np.abs(2 * slope), rtol=2e-5)
    scale = bpjit.Scale.standard([[0.0, 1.0], [2.0, 3.0]], [[1.0], [5.0]])
    net = bpjit.Network.random((2, 3, 1), "tanh", "identity", scale=scale, seed=1)
    slope = bpjit.gradient(net, [x], [y])
    np.testing.assert_allclose(np.abs(bpjit.chain_rule(net, x, y).gradient), np.abs(2 * slope), rtol=1e-11)


@pytest.mark.parametrize(
    ("net", "x", "y", "words"),
    [
        (bpjit.Network.random((2, 2), output="softmax"), [1, 2], [0, 1], "softmax"),
        (bpjit.Network.random((2, 1), output="step"), [1, 2], [0], "no slope"),
        (bpjit.Network.random((2, 1)), [[1, 2]], [0], "x: expected 2 finite numbers, one sample, got shape"),
        (bpjit.Network.random((2, 1)), [1, 2], [0, 1], "y: expected finite numbers of shape"),
        (bpjit.Network.random((2, 1)), [1, 2, 3], [0], "x: expected 2 finite numbers, one sample"),
    ],
)
def test_errors_say_what_was_expected(net, x, y, words):
    with pytest.raises(ValueError, match=words):
        bpjit.chain_rule(net, x, y)
