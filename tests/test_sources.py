"""The numbers of the source texts, each test named after its text."""

import itertools

import numpy as np
import pytest

import bpjit
import reference

W = [np.array([[0.15, 0.25], [0.20, 0.30]]), np.array([[0.40, 0.50], [0.45, 0.55]])]
THETA = [np.array([-0.35, -0.35]), np.array([-0.60, -0.60])]
X, Y = [[0.05, 0.10]], [[0.01, 0.99]]
S1_AFTER_ONE_STEP = [
    0.1497807161327628,
    0.19956143226552567,
    0.24975114363236958,
    0.29950228726473915,
    0.35891647971788465,
    0.4086661860762334,
    0.5113012702387375,
    0.5613701211079891,
]


@pytest.fixture
def worked_example():
    """S1: Mazur's 2-2-2 network."""
    return bpjit.Network.from_arrays(W, THETA)


def text_order(net):
    """w1 to w8 as the text counts them: those into a unit one after another."""
    return np.concatenate([net.v.T.ravel(), net.w.T.ravel()])


def test_s1_forward(worked_example):
    hidden = bpjit.Network.from_arrays(W[:1], THETA[:1]).predict(X)[0]
    assert hidden == pytest.approx([0.5932699921071872, 0.596884378259767], rel=1e-14)
    assert worked_example.predict(X)[0] == pytest.approx([0.7513650695523157, 0.7729284653214625], rel=1e-14)
    assert bpjit.error(worked_example, X, Y) == pytest.approx(0.2983711087600027, rel=1e-14)


def test_s1_the_text_s_slip_is_not_the_output(worked_example):
    """The text prints o1 = 0.75136079."""
    assert abs(worked_example.predict(X)[0, 0] - 0.75136079) > 1e-6


def test_s1_gradient_terms(worked_example):
    slope = bpjit.gradient(worked_example, X, Y)
    gamma_terms, theta_terms = slope[4:6], slope[10:12]  # ∂E/∂γ = e... ∂E/∂z = −e, so ∂E/∂γ_h = e_h
    assert -theta_terms == pytest.approx([0.13849856162855695, -0.038098236516556236], rel=1e-12)
    assert -gamma_terms == pytest.approx([0.00877135468948693, 0.009954254705217196], rel=1e-12)


@pytest.mark.parametrize("updates", ["stochastic", "accumulated", 1])
def test_s1_one_step(worked_example, updates):
    fit = bpjit.train(worked_example, X, Y, eta=0.5, updates=updates, train_thresholds=False, stop=1)
    np.testing.assert_allclose(text_order(fit.network), S1_AFTER_ONE_STEP, rtol=1e-14)
    assert fit.error == pytest.approx(0.29102777369359933, rel=1e-12)
    assert fit.errors[0] == pytest.approx(0.2983711087600027, rel=1e-14)


def test_s1_one_step_with_thresholds(worked_example):
    fit = bpjit.train(worked_example, X, Y, eta=0.5, stop=1)
    assert fit.error == pytest.approx(0.28047144679143016, rel=1e-12)


def test_s1_ten_thousand_steps(worked_example):
    fit = bpjit.train(worked_example, X, Y, eta=0.5, train_thresholds=False, stop=10_000)
    assert fit.error == pytest.approx(3.510187782978859e-05, rel=1e-9)
    assert fit.network.predict(X)[0] == pytest.approx([0.01591362044355068, 0.9840642735146238], rel=1e-9)


def test_s1_ten_thousand_steps_with_thresholds(worked_example):
    fit = bpjit.train(worked_example, X, Y, eta=0.5, stop=10_000)
    assert fit.error == pytest.approx(2.4475622359322627e-06, rel=1e-9)


def test_s1_updated_weights_in_the_hidden_terms_give_the_web_copies_error(worked_example):
    """Web copies print E = 0.291027924 after one step: from e_h with output weights already updated."""
    trained = bpjit.train(worked_example, X, Y, eta=0.5, train_thresholds=False, stop=1).network
    b = bpjit.Network.from_arrays(W[:1], THETA[:1]).predict(X)[0]
    g = np.array([-0.13849856162855695, 0.038098236516556236])
    e = b * (1 - b) * (trained.w @ g)
    wrong = bpjit.Network.from_arrays([W[0] + 0.5 * np.outer(X[0], e), trained.w], THETA)
    assert bpjit.error(wrong, X, Y) == pytest.approx(0.291027924, abs=5e-10)
    assert bpjit.error(trained, X, Y) == pytest.approx(0.29102777369359933, rel=1e-12)
    assert np.abs(trained.v - wrong.v).max() > 1e-7


def test_s2_chain_rule_for_a_layered_network():
    """S2: loss (a(L) − y)², ∂C/∂W(l), ∂C/∂b(l), ∂C/∂a(l−1) by the chain rule, sigmoid layers of biases b."""
    rng = np.random.default_rng(2)
    sizes = (3, 4, 2)
    weights = [rng.normal(size=shape) for shape in itertools.pairwise(sizes)]
    biases = [rng.normal(size=q) for q in sizes[1:]]
    x, y = rng.normal(size=3), rng.normal(size=2)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    a1 = sigmoid(x @ weights[0] + biases[0])
    a2 = sigmoid(a1 @ weights[1] + biases[1])
    dC_da2 = 2 * (a2 - y)
    dC_dpa2 = dC_da2 * a2 * (1 - a2)
    dC_da1 = weights[1] @ dC_dpa2
    dC_dpa1 = dC_da1 * a1 * (1 - a1)
    net = bpjit.Network.from_arrays(weights, [-b for b in biases])
    # C has no ½ and its slope by a bias is minus that by a threshold
    slope = 2 * bpjit.gradient(net, x[None], y[None])
    expected = np.concatenate([np.outer(x, dC_dpa1).ravel(), -dC_dpa1, np.outer(a1, dC_dpa2).ravel(), -dC_dpa2])
    np.testing.assert_allclose(slope, expected, rtol=1e-12)
    np.testing.assert_allclose(net.biases[0], biases[0], rtol=0)


def test_s3_relu_and_softmax():
    """S3: a 3-2-2 network, δ_k = y_k − t_k at the softmax outputs, δ_j = Σ_k δ_k w_kj f'(net_j) at ReLU units."""
    w1 = np.array([[0.2, -0.4], [0.7, 0.1], [-0.3, 0.5]])
    w2 = np.array([[0.6, -0.1], [0.3, 0.8]])
    b1, b2 = np.array([0.1, -0.2]), np.array([0.05, 0.0])
    x, t, eta = np.array([1.0, 2.0, 0.5]), np.array([0.0, 1.0]), 0.1
    net_j = x @ w1 + b1
    h = np.maximum(net_j, 0)
    e = np.exp(h @ w2 + b2)
    delta_k = e / e.sum() - t
    delta_j = (w2 @ delta_k) * (net_j > 0)
    net = bpjit.Network.from_arrays([w1, w2], [-b1, -b2], hidden="relu", output="softmax")
    trained = bpjit.train(net, x[None], t[None], eta=eta, stop=1).network
    np.testing.assert_allclose(trained.w, w2 - eta * np.outer(h, delta_k), rtol=1e-12)
    np.testing.assert_allclose(trained.v, w1 - eta * np.outer(x, delta_j), rtol=1e-12)
    np.testing.assert_allclose(trained.biases[1], b2 - eta * delta_k, rtol=1e-12)


def test_s3_the_bias_folded_in_as_one_more_weight():
    rng = np.random.default_rng(3)
    W, theta, x = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=3)
    with_bias = bpjit.Network.from_arrays([W], [theta]).predict(x)
    folded = bpjit.Network.from_arrays([np.vstack([W, -theta])], [np.zeros(2)]).predict([*x, 1.0])
    np.testing.assert_allclose(folded, with_bias, rtol=1e-14)


def book_epoch(v, gamma, w, theta, X, Y, eta):
    """S5's pseudo-code, for all samples in their order."""
    f = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    for x, y in zip(X, Y, strict=True):
        alpha = x @ v
        b = f(alpha - gamma)
        beta = b @ w
        y_hat = f(beta - theta)
        g = y_hat * (1 - y_hat) * (y - y_hat)
        e = b * (1 - b) * (w @ g)
        w = w + eta * np.outer(b, g)
        theta = theta - eta * g
        v = v + eta * np.outer(x, e)
        gamma = gamma - eta * e
    return v, gamma, w, theta


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_s5_standard_bp(xor, dtype):
    X, Y = xor
    net = bpjit.Network.random((2, 3, 1), init="uniform01", seed=4, dtype=dtype)
    expected = [np.asarray(part, float) for part in (net.v, net.gamma, net.w, net.theta)]
    for epoch in range(50):
        order = reference.epoch_order(11, epoch, range(4))
        expected = book_epoch(*expected, X[order], Y[order], 2.0)
    trained = bpjit.train(net, X, Y, eta=2.0, seed=11, stop=50).network
    for part, wanted in zip((trained.v, trained.gamma, trained.w, trained.theta), expected, strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-12 if dtype == "float64" else 1e-4)


def slope_of_the_mean_error(net, X, Y):
    return reference.gradient(net.weights, net.thresholds, ["sigmoid", "sigmoid"], "squared", X, Y)


def test_s5_absolute_loss_of_the_example():
    """S5: the output 0.87 for a target of 1 has the absolute error 0.13."""
    net = bpjit.Network.from_arrays([[[0.0]]], [[-0.87]], output="identity")
    assert bpjit.error(net, [[0.0]], [1.0], loss="absolute") == pytest.approx(0.13, rel=1e-12)


def test_s5_accumulated_bp_descends_the_mean_error(xor):
    X, Y = xor
    net = bpjit.Network.random((2, 3, 1), init="uniform01", seed=4)
    slope = slope_of_the_mean_error(net, X, Y)
    trained = bpjit.train(net, X, Y, eta=3.0, updates="accumulated", stop=1).network
    np.testing.assert_allclose(trained.parameters, net.parameters - 3.0 * slope, rtol=1e-12)


def test_s5_regularised_objective(xor):
    """S5: E = λ mean E_k + (1 − λ) Σ w², w all weights and thresholds; accumulated BP descends it."""
    X, Y = xor
    net, lam = bpjit.Network.random((2, 3, 1), init="uniform01", seed=4), 0.95
    objective = lambda p: lam * np.mean(0.5 * (net.with_parameters(p).predict(X) - Y) ** 2) + (1 - lam) * p @ p  # noqa: E731
    slope = lam * slope_of_the_mean_error(net, X, Y) + (1 - lam) * 2 * net.parameters
    np.testing.assert_allclose(slope, reference.central_differences(objective, net.parameters), rtol=1e-6, atol=1e-9)
    fit = bpjit.train(net, X, Y, eta=0.3, updates="accumulated", lam=lam, stop=1)
    np.testing.assert_allclose(fit.network.parameters, net.parameters - 0.3 * slope, rtol=1e-12)
    assert fit.objective == pytest.approx(objective(fit.network.parameters), rel=1e-12)
    assert fit.error == pytest.approx(bpjit.error(fit.network, X, Y), rel=1e-14)


def test_s5_one_functional_unit_cannot_do_xor_but_two_layers_can(xor):
    X, _ = xor
    two_layers = bpjit.Network.from_arrays(
        [np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[1.0], [1.0]])],
        [np.array([0.5, 0.5]), np.array([0.5])],
        hidden="step",
        output="step",
    )
    assert two_layers.classify(X).tolist() == [0, 1, 1, 0]
    weights = np.arange(-3, 3.5, 0.5)
    answers = {
        tuple(bpjit.Network.from_arrays([[[a], [b]]], [[t]], output="step").classify(X).tolist())
        for a in weights
        for b in weights
        for t in weights + 0.25
    }
    assert (0, 0, 0, 1) in answers
    assert (0, 1, 1, 1) in answers
    assert (0, 1, 1, 0) not in answers
