"""Steps laid open: held against the reference, the texts' numbers, and training itself."""

import json

import numpy as np
import pytest

import bpjit
import reference
from cases import HIDDEN, LOSSES, OUTPUTS

PAIRS = [
    (output, loss)
    for output in OUTPUTS
    for loss in LOSSES
    if loss != "cross_entropy" or output in ("sigmoid", "softmax")
]


def by_reference(net, x, y, loss):
    """(E_k, net inputs, outputs, gradient terms) of each layer."""
    activations = [*net.hidden, net.output]
    z, b = reference.forward(net.weights, net.thresholds, activations, x)
    E, _, dtheta = reference.sample_gradient(net.weights, net.thresholds, activations, loss, x, y)
    return E, z, b, dtheta


@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize("sizes", [(3, 2), (3, 4, 2), (3, 4, 5, 2)])
def test_lay_open_equals_the_reference(sizes, output, loss):
    rng = np.random.default_rng(len(output) + len(loss))
    hidden = [str(name) for name in rng.choice(HIDDEN, len(sizes) - 2)]
    net = bpjit.Network.random(sizes, hidden, output, init="normal", seed=5)
    x, y = rng.normal(size=3), rng.dirichlet(np.ones(2))
    sample = bpjit.lay_open(net, x, y, loss)
    E, z, b, g = by_reference(net, x, y, loss)
    assert sample.error == pytest.approx(E, rel=1e-12)
    for index, layer in enumerate(sample.layers):
        assert layer.number == index + 1
        assert layer.activation == (*net.hidden, output)[index]
        for mine, right in (
            (layer.inputs, b[index]),
            (layer.sums, b[index] @ net.weights[index]),
            (layer.net_inputs, z[index]),
            (layer.outputs, b[index + 1]),
            (layer.gradient_terms, g[index]),
        ):
            np.testing.assert_allclose(mine, right, rtol=1e-12, atol=1e-14)
        assert np.array_equal(layer.weights, net.weights[index])
        assert np.array_equal(layer.thresholds, net.thresholds[index])
        if layer.activation == "softmax":
            assert layer.slopes is None
        else:
            slopes = [reference.ACTIVATIONS[layer.activation](z_j)[1] for z_j in z[index]]
            np.testing.assert_allclose(layer.slopes, slopes, rtol=1e-12, atol=1e-14)
        if index + 1 < len(sample.layers):
            np.testing.assert_allclose(layer.backs, net.weights[index + 1] @ g[index + 1], rtol=1e-12, atol=1e-14)
        else:
            assert layer.backs is None


def test_lay_open_takes_class_numbers_and_the_user_s_units():
    net = bpjit.Network.random((2, 3), output="softmax", seed=1)
    assert bpjit.lay_open(net, [1, 2], 2).y.tolist() == [0, 0, 1]
    scaled = bpjit.Network(net.sizes, net.parameters, output="softmax", scale=bpjit.Scale([1.0, 0.0], [2.0, 1.0]))
    assert bpjit.lay_open(scaled, [3, 2], 2).as_dict() == bpjit.lay_open(net, [1, 2], 2).as_dict()


def test_a_sample_laid_open_goes_through_json():
    sample = bpjit.lay_open(bpjit.Network.random((2, 3, 1), seed=1), [0.1, 0.2], 0.3)
    record = json.loads(json.dumps(sample.as_dict()))
    assert record == sample.as_dict()
    assert record["layers"][0]["outputs"] == sample.layers[0].outputs.tolist()


def test_lay_open_names_what_is_wrong():
    net = bpjit.Network.random((2, 3, 1))
    with pytest.raises(ValueError, match="x: expected finite numbers of shape"):
        bpjit.lay_open(net, [1, 2, 3], 1)
    with pytest.raises(ValueError, match="y: expected"):
        bpjit.lay_open(net, [1, 2], [1, 2])
    with pytest.raises(ValueError, match="did you mean"):
        bpjit.lay_open(net, [1, 2], 1, "square")
    with pytest.raises(ValueError, match="no slope"):
        bpjit.lay_open(bpjit.Network.random((2, 1), output="step"), [1, 2], 1)
