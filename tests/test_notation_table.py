"""The notation table of scripts/README.md holds: the same network, gradient terms and λ in PyTorch and scikit-learn.

Where one of them is not installed its own test is skipped; the formulas that the table gives for it are checked in
NumPy in any case.
"""

import numpy as np
import pytest

import bpjit

RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 3))
Y = RNG.uniform(0.1, 0.9, size=(12, 2))
ETA, LAM = 0.4, 0.98


@pytest.fixture
def net():
    return bpjit.Network.random((3, 4, 2), init="normal", seed=1)


def trained(net, eta=ETA, steps=5, loss="squared", rule="sgd", X=X, Y=Y):
    return bpjit.train(
        net, X, Y, eta=eta, lam=LAM, updates="accumulated", loss=loss, rule=rule, stop=steps
    ).network.parameters


def gradient_step(net, lr, weight_decay, alpha):
    """p − lr·(∂E/∂p + weight_decay·p), and for weights alone alpha/m·w more; ``net`` moved by it."""
    slope = net.with_parameters(bpjit.gradient(net, X, Y))
    return bpjit.Network.from_arrays(
        [w - lr * (s + (weight_decay + alpha / len(X)) * w) for w, s in zip(net.weights, slope.weights, strict=True)],
        [t - lr * (s + weight_decay * t) for t, s in zip(net.thresholds, slope.thresholds, strict=True)],
    )


def test_weight_decay(net):
    """lr = ηλ, weight_decay = 2(1 − λ)/λ descends λE + (1 − λ)Σw² of weights and thresholds."""
    there = net
    for _ in range(5):
        there = gradient_step(there, ETA * LAM, 2 * (1 - LAM) / LAM, 0)
    np.testing.assert_allclose(there.parameters, trained(net), rtol=1e-12)


def test_alpha(net):
    """learning_rate_init = ηλ, alpha = 2m(1 − λ)/λ does so for the weights; thresholds go without."""
    sk, book = (
        gradient_step(net, ETA * LAM, 0, 2 * len(X) * (1 - LAM) / LAM),
        net.with_parameters(trained(net, steps=1)),
    )
    for l in range(2):
        np.testing.assert_allclose(sk.weights[l], book.weights[l], rtol=1e-12)
        lost = 2 * ETA * (1 - LAM) * net.thresholds[l]
        np.testing.assert_allclose(sk.thresholds[l] - lost, book.thresholds[l], rtol=1e-11)
        assert np.abs(lost).max() > 1e-3


# --- PyTorch.


def in_torch(torch, net):
    """The same network: weight[h, i] is our W[i, h], and bias is −θ."""
    modules = []
    for W, bias in zip(net.weights, net.biases, strict=True):
        linear = torch.nn.Linear(*W.shape).double()
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(W.T.copy()))
            linear.bias.copy_(torch.tensor(bias.copy()))
        modules += [linear, torch.nn.Sigmoid()]
    return torch.nn.Sequential(*modules)


def from_torch(model):
    return bpjit.Network.from_arrays(
        [m.weight.detach().numpy().T for m in model[::2]], [-m.bias.detach().numpy() for m in model[::2]]
    )


@pytest.mark.parametrize(
    ("rule", "lr", "factor", "weight_decay"),
    [
        ("sgd", ETA * LAM, 1, 2 * (1 - LAM) / LAM),
        ("sgd", ETA, LAM, 2 * (1 - LAM)),
        ("momentum", ETA, LAM, 2 * (1 - LAM)),
        ("adam", 0.05, LAM, 2 * (1 - LAM)),
    ],
)
def test_pytorch(net, rule, lr, factor, weight_decay):
    """As the table has it: E is l/2 times ``MSELoss``; λ times the loss, weight_decay = 2(1 − λ), lr = η."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model = in_torch(torch, net)
    x, y = torch.tensor(X), torch.tensor(Y)
    np.testing.assert_allclose(from_torch(model).predict(X), model(x).detach().numpy(), rtol=1e-14)
    if rule == "adam":
        optimiser = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    else:
        momentum = 0.9 if rule == "momentum" else 0
        optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    error = 2 / 2 * torch.nn.MSELoss()(model(x), y)
    assert error.item() == pytest.approx(bpjit.error(net, X, Y), rel=1e-14)
    for _ in range(5):
        optimiser.zero_grad()
        (factor * 2 / 2 * torch.nn.MSELoss()(model(x), y)).backward()
        optimiser.step()
    eta = 0.05 if rule == "adam" else ETA
    np.testing.assert_allclose(from_torch(model).parameters, trained(net, eta, rule=rule), rtol=1e-9, atol=1e-12)


def test_gradient_terms_in_pytorch(net):
    """δ = −g is the ``.grad`` of a net input, where the loss is E_k."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model = in_torch(torch, net)
    values, z = torch.tensor(X[0]), []
    for module in model:
        values = module(values)
        if isinstance(module, torch.nn.Linear):
            values.retain_grad()
            z.append(values)
    (0.5 * ((values - torch.tensor(Y[0])) ** 2).sum()).backward()
    for layer, net_input in zip(bpjit.lay_open(net, X[0], Y[0]).layers, z, strict=True):
        np.testing.assert_allclose(net_input.detach().numpy(), layer.net_inputs, rtol=1e-12)
        np.testing.assert_allclose(net_input.grad.numpy(), -layer.gradient_terms, rtol=1e-12)


def test_cross_entropy_in_pytorch(net):
    """Softmax: ``CrossEntropyLoss`` of the net inputs; sigmoid: l times ``BCEWithLogitsLoss``."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    z = in_torch(torch, net)[:3](torch.tensor(X))
    labels = np.arange(12) % 2
    softmax = bpjit.Network.from_arrays(net.weights, net.thresholds, output="softmax")
    loss = torch.nn.CrossEntropyLoss()(z, torch.tensor(labels)).item()
    assert loss == pytest.approx(bpjit.error(softmax, X, labels), rel=1e-12)
    loss = 2 * torch.nn.BCEWithLogitsLoss()(z, torch.tensor(Y)).item()
    assert loss == pytest.approx(bpjit.error(net, X, Y, loss="cross_entropy"), rel=1e-12)


# --- scikit-learn.


def test_scikit_learn():
    """coefs_[l] is our weights[l], intercepts_[l] is −θ; alpha and learning_rate_init as in ``test_alpha``."""
    neural_network = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    labels = np.arange(12) % 3
    mlp = neural_network.MLPClassifier(
        (4,),
        activation="logistic",
        solver="sgd",
        momentum=0,
        batch_size=12,
        learning_rate_init=ETA * LAM,
        alpha=2 * 12 * (1 - LAM) / LAM,
        random_state=0,
    )
    mlp.partial_fit(X, labels, classes=[0, 1, 2])  # there are no weights before the first step
    net = bpjit.Network.from_arrays(mlp.coefs_, [-b for b in mlp.intercepts_], output="softmax")
    np.testing.assert_allclose(net.predict(X), mlp.predict_proba(X), rtol=1e-12)
    mlp.partial_fit(X, labels)
    book = net.with_parameters(trained(net, steps=1, loss="cross_entropy", Y=labels))
    for l in range(2):
        np.testing.assert_allclose(mlp.coefs_[l], book.weights[l], rtol=1e-11)
        lost = 2 * ETA * (1 - LAM) * net.thresholds[l]
        np.testing.assert_allclose(-mlp.intercepts_[l] - lost, book.thresholds[l], rtol=1e-10)
