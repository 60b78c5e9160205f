"""Steps laid open: held against the reference, the texts' numbers, and training itself."""

import json

import numpy as np
import pytest

import bpjit
import reference
from cases import HIDDEN, LOSSES, OUTPUTS, slow

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


# --- Steps.

S1 = bpjit.Network.from_arrays([[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35] * 2, [-0.60] * 2])
RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


def test_s1_every_number_of_the_step():
    """S1: Mazur's 2-2-2 network; its biases are minus our thresholds and are not trained."""
    step = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5, train_thresholds=False)[0]
    hidden, output = step.samples[0].layers
    close = lambda value, wanted: np.testing.assert_allclose(value, wanted, rtol=1e-13)  # noqa: E731
    close(hidden.net_inputs, [0.3775, 0.3925])
    close(hidden.sums, [0.0275, 0.0425])
    close(hidden.outputs, [0.5932699921071872, 0.596884378259767])
    close(output.net_inputs, [1.10590596705977, 1.2249214040964653])
    close(output.outputs, [0.7513650695523157, 0.7729284653214625])
    close([step.error, step.samples[0].error], 0.2983711087600027)
    np.testing.assert_allclose(-output.gradient_terms, [0.13849856162855695, -0.038098236516556236], rtol=1e-13)
    np.testing.assert_allclose(-hidden.gradient_terms, [0.00877135468948693, 0.009954254705217196], rtol=1e-12)
    close(step.after.v.T.ravel(), [0.1497807161327628, 0.19956143226552567, 0.24975114363236958, 0.29950228726473915])
    close(step.after.w.T.ravel(), [0.35891647971788465, 0.4086661860762334, 0.5113012702387375, 0.5613701211079891])
    assert step.error_after == pytest.approx(0.29102777369359933, rel=1e-13)
    assert np.array_equal(step.after.thresholds, step.before.thresholds)
    assert abs(output.outputs[0] - 0.75136079) > 1e-6  # the text's slip
    assert abs(step.error_after - 0.291027924) > 1e-7  # the web copies': from weights already updated


def test_s1_with_thresholds_trained_too():
    step = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5)[0]
    assert step.error_after == pytest.approx(0.28047144679143016, rel=1e-13)


def test_s3_relu_and_softmax():
    """S3: δ_k = y_k − t_k at softmax outputs, δ_j = Σ_k δ_k w_kj f'(net_j) at ReLU units, w −= η δ y."""
    w1 = np.array([[0.2, -0.4], [0.7, 0.1], [-0.3, 0.5]])
    w2 = np.array([[0.6, -0.1], [0.3, 0.8]])
    b1, b2, x, t, eta = (
        np.array([0.1, -0.2]),
        np.array([0.05, 0.0]),
        np.array([1.0, 2.0, 0.5]),
        np.array([0.0, 1.0]),
        0.1,
    )
    net = bpjit.Network.from_arrays([w1, w2], [-b1, -b2], hidden="relu", output="softmax")
    step = bpjit.trace(net, x, t, eta=eta)[0]
    hidden, output = step.samples[0].layers
    net_j = x @ w1 + b1
    h = np.maximum(net_j, 0)
    y = np.exp(h @ w2 + b2) / np.exp(h @ w2 + b2).sum()
    assert net_j.min() < 0 < net_j.max()  # one unit asleep, one awake
    np.testing.assert_allclose(output.outputs, y, rtol=1e-14)
    np.testing.assert_allclose(-output.gradient_terms, y - t, rtol=1e-13)
    np.testing.assert_allclose(-hidden.gradient_terms, (w2 @ (y - t)) * (net_j > 0), rtol=1e-13)
    np.testing.assert_allclose(step.after.w, w2 - eta * np.outer(h, y - t), rtol=1e-13)
    assert step.error == pytest.approx(-np.log(y[1]), rel=1e-13)


def problem(sizes, output, m=9, dtype="float64"):
    """A network and data for it."""
    rng = np.random.default_rng(sum(sizes))
    net = bpjit.Network.random(sizes, "tanh", output, init="normal", seed=3, dtype=dtype)
    X = rng.normal(size=(m, sizes[0]))
    return net, X, rng.integers(0, sizes[-1], m) if output == "softmax" else rng.random((m, sizes[-1]))


@pytest.mark.parametrize("updates", ["stochastic", 4, "accumulated"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_three_layer_softmax_network_is_that_of_training_bit_for_bit(updates, dtype):
    net, X, labels = problem((3, 5, 4, 3), "softmax", dtype=dtype)
    settings = {"eta": 0.3, "updates": updates, "seed": 5}
    trace = bpjit.trace(net, X, labels, epochs=6, **settings)
    for epochs in range(1, 7):  # every epoch's last step stands where a training of so many epochs ends
        step = [step for step in trace if step.epoch == epochs][-1]
        fit = bpjit.train(net, X, labels, stop=epochs, **settings)
        assert step.after.parameters.tobytes() == fit.network.parameters.tobytes()
        assert step.number == fit.updates
    expected = reference.train(
        net.weights, net.thresholds, [*net.hidden, net.output], X, np.eye(3)[labels],
        loss="cross_entropy", etas=0.3, updates=updates, epochs=6, seed=5,
    )  # fmt: skip
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    off = np.linalg.norm(trace.network.parameters - expected.vector) / np.linalg.norm(expected.vector)
    assert off <= tolerance


@pytest.mark.parametrize("sizes", [(2, 2, 1), (3, 5, 4, 2), (40, 3, 2)])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam", *map(slow, ("nesterov", "adagrad", "rmsprop"))])
def test_every_step_starts_where_the_last_one_ended_and_adds_delta(sizes, rule):
    net, X, Y = problem(sizes, "sigmoid")
    settings = {"rule": rule, "lam": 0.999, "seed": 2, "trainable": np.arange(len(net.parameters)) % 5 > 0}
    for extra in ({}, {"lam": None, "trainable": None}, {"updates": 4}):
        trace = bpjit.trace(net, X, Y, epochs=2, **(settings | extra))
        fit = bpjit.train(net, X, Y, stop=2, **(settings | extra))
        assert trace.network == fit.network
        assert trace[0].before == net
        for index, step in enumerate(trace):
            assert step.number == index + 1
            assert index == 0 or step.before == trace[index - 1].after
            assert index == 0 or np.array_equal(step.state, trace[index - 1].state_after)
            np.testing.assert_allclose(step.before.parameters + step.delta, step.after.parameters, rtol=0, atol=1e-13)
            mask = trace.setting.trainable
            assert np.array_equal(step.after.parameters[~mask], step.before.parameters[~mask])
            assert (step.delta[~mask] == 0).all()
            assert step.error_after == pytest.approx(error_of(step.after, X, Y, step), rel=1e-12)


def error_of(net, X, Y, step):
    places = [sample.number for sample in step.samples]
    return reference.error(net.weights, net.thresholds, [*net.hidden, net.output], "squared", X[places], Y[places])


@pytest.mark.parametrize("variant", ["iRprop-", "Rprop+", "iRprop+", "quickprop"])
def test_rules_for_accumulated_updates(variant):
    net, X, Y = problem((3, 4, 2), "sigmoid")
    rule = "quickprop" if variant == "quickprop" else bpjit.Rprop(variant=variant)
    settings = {"rule": rule, "updates": "accumulated", "lam": 0.9999}
    trace = bpjit.trace(net, X, Y, steps=25, **settings)
    assert trace.network == bpjit.train(net, X, Y, stop=25, **settings).network
    for step in trace:
        np.testing.assert_allclose(step.before.parameters + step.delta, step.after.parameters, rtol=0, atol=1e-12)


def test_the_direction_is_minus_the_gradient_of_the_objective():
    net, X, Y = problem((3, 4, 2), "softmax")
    step = bpjit.trace(net, X, Y, updates="accumulated", lam=0.9)[0]
    np.testing.assert_allclose(step.direction, -bpjit.gradient(net, X, Y, lam=0.9), rtol=1e-12, atol=1e-15)
    assert step.objective == pytest.approx(bpjit.error(net, X, Y, lam=0.9), rel=1e-13)
    assert step.objective_after == pytest.approx(bpjit.error(step.after, X, Y, lam=0.9), rel=1e-13)


def test_nesterov_s_gradient_is_taken_ahead():
    net, X, Y = problem((3, 4, 2), "sigmoid")
    second = bpjit.trace(net, X, Y, rule="nesterov", eta=0.5, updates="accumulated", steps=2)[1]
    ahead = second.before.parameters + 0.9 * second.state[0]
    assert np.abs(ahead - second.before.parameters).max() > 1e-4
    np.testing.assert_allclose(second.direction, -bpjit.gradient(net.with_parameters(ahead), X, Y), rtol=1e-12)


def test_samples_come_in_the_order_of_training():
    net, X, Y = problem((2, 2, 1), "sigmoid")
    trace = bpjit.trace(net, X, Y, epochs=2, seed=11)
    for epoch in range(2):
        seen = [sample.number for step in trace for sample in step.samples if step.epoch == epoch + 1]
        assert seen == reference.epoch_order(11, epoch, range(9))
    still = bpjit.trace(net, X, Y, epochs=1, shuffle=False, updates=4)
    assert [[s.number for s in step.samples] for step in still] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert np.array_equal(still[1].samples[2].x, X[6])


def test_a_training_is_taken_up_again():
    net, X, Y = problem((3, 4, 2), "sigmoid")
    settings = {"rule": "adam", "updates": 4, "eta": bpjit.StepDecay(0.1, every=3)}
    first = bpjit.train(net, X, Y, stop=4, **settings)
    later = bpjit.trace(first.network, X, Y, resume=first, epochs=3, **settings)
    whole = bpjit.trace(net, X, Y, epochs=7, **settings)
    assert [step.number for step in later] == [step.number for step in whole][-9:]
    assert [step.eta for step in later] == [step.eta for step in whole][-9:]
    for mine, other in zip(later, whole[-9:], strict=True):
        assert mine.after == other.after
        assert np.array_equal(mine.delta, other.delta)
    with pytest.raises(ValueError, match="the fit to resume was made with"):
        bpjit.trace(first.network, X, Y, resume=first)


def test_long_epochs_of_the_smallest_networks():
    """Their kernel ends no call between samples: what stands there is found by shorter trainings."""
    net, X, Y = problem((2, 2, 1), "sigmoid", m=4100)
    trace = bpjit.trace(net, X, Y, steps=3, eta=0.5)
    assert len(trace) == 3
    order = reference.epoch_order(0, 0, range(4100))
    for count, step in enumerate(trace, 1):
        part = order[:count]
        fit = bpjit.train(net, X[part], Y[part], shuffle=False, eta=0.5, stop=1)
        assert step.after == fit.network


def test_traces_with_a_scale_take_the_user_s_units():
    net, X, Y = problem((3, 4, 2), "identity")
    net = bpjit.Network(net.sizes, net.parameters, output="identity", scale=bpjit.Scale.standard(10 * X, 7 * Y))
    trace = bpjit.trace(net, 10 * X, 7 * Y, epochs=2)
    assert trace.network == bpjit.train(net, 10 * X, 7 * Y, stop=2).network


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps: expected a whole number >= 1"),
        ({"epochs": 1.5}, TypeError, "epochs: expected a whole number"),
        ({"steps": 1, "epochs": 1}, ValueError, "not both"),
        ({"steps": 10**9}, ValueError, "steps: .* more than can be kept"),
        ({"eta": bpjit.AdaptiveRate(0.1)}, ValueError, "eta: AdaptiveRate"),
        ({"eta": -1}, ValueError, "eta: expected a finite number > 0"),
        ({"rule": "adm"}, ValueError, 'did you mean "adam"'),
        ({"rule": "rprop", "updates": "stochastic"}, ValueError, "updates: rule"),
        ({"loss": "cross"}, ValueError, "loss: expected"),
        ({"lam": 2}, ValueError, "lam: expected"),
        ({"resume": 1}, TypeError, "resume: expected a Fit"),
        ({"shuffle": 1}, TypeError, "shuffle: expected True or False"),
    ],
)
def test_what_cannot_be_traced(arguments, error, message):
    with pytest.raises(error, match=message):
        bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], **arguments)


def test_data_that_cannot_be_traced():
    with pytest.raises(ValueError, match="X: expected"):
        bpjit.trace(S1, [0.05], [0.01, 0.99])
    with pytest.raises(ValueError, match="Y: expected"):
        bpjit.trace(S1, [[0.05, 1.0]], [[0.01]])
    with pytest.raises(TypeError, match="net: expected"):
        bpjit.trace("net", [0.05], [0.01])
    linear = bpjit.Network.from_arrays([[[1e200]]], [[0.0]], output="identity")
    with pytest.raises(FloatingPointError, match="step 1 takes a parameter beyond all numbers"):
        bpjit.trace(linear, [1e200], [0.0], eta=1.0)
