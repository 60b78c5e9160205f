"""eta=None: one rate for train, train_many and learners, by rule, activations, loss and fan-in; and that it learns."""

import warnings

import numpy as np
import pytest

import bpjit
import default_rates
from bpjit.kernels.lanes import packs
from bpjit.settings.rates import default_eta
from bpjit.settings.rules import RULES, as_rule

XOR_X, XOR_Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0.0])
STOCHASTIC = [name for name, rule in RULES.items() if not rule.accumulated_only]


@pytest.mark.parametrize(
    ("rule", "sizes", "activations", "loss", "eta"),
    [
        ("sgd", (2, 4, 1), ("sigmoid", "sigmoid"), "squared", 1.0),
        ("sgd", (2, 4, 1), ("sigmoid", "sigmoid"), "cross_entropy", 0.3),
        ("sgd", (2, 4, 1), ("sigmoid", "identity"), "squared", 0.3),
        ("sgd", (2, 4, 1), ("tanh", "sigmoid"), "squared", 0.1),
        ("sgd", (40, 4, 3), ("tanh", "softmax"), "cross_entropy", 0.025),
        ("sgd", (4, 25, 5, 1), ("tanh", "sigmoid", "identity"), "squared", 0.04),
        ("sgd", (10, 10, 1), ("relu", "identity"), "squared", 0.02),
        ("sgd", (2, 1), ("identity",), "squared", 0.1),
        ("momentum", (2, 4, 1), ("tanh", "sigmoid"), "squared", 0.01),
        ("nesterov", (2, 4, 1), ("sigmoid", "sigmoid"), "huber", 0.1),
        ("adam", (50, 4, 1), ("relu", "sigmoid"), "squared", 0.002),
        ("rmsprop", (2, 4, 1), ("sin", "sigmoid"), "squared", 0.01),
        ("adagrad", (2, 4, 1), ("tanh", "sigmoid"), "squared", 0.2),
        ("quickprop", (90, 4, 1), ("tanh", "sigmoid"), "squared", 0.1),
        ("rprop", (2, 4, 1), ("tanh", "sigmoid"), "squared", None),
    ],
)
def test_the_table(rule, sizes, activations, loss, eta):
    assert default_eta(as_rule(rule), sizes, activations, loss) == eta


def test_momentum_takes_less_the_more_it_keeps():
    for mu, eta in ((0.0, 0.1), (0.5, 0.05), (0.99, 0.001)):
        assert default_eta(bpjit.Momentum(mu), (2, 4, 1), ("tanh", "tanh"), "squared") == eta


@pytest.mark.parametrize("rule", STOCHASTIC)
@pytest.mark.parametrize(("hidden", "output"), [("sigmoid", "sigmoid"), ("tanh", "identity")])
def test_every_door_takes_the_same_rate(rule, hidden, output):
    net = bpjit.Network.random((2, 4, 1), hidden, output)
    eta = default_eta(as_rule(rule), net.sizes, (hidden, output), "squared")
    for given in (None, eta):
        settings = {"rule": rule, "eta": given}
        fit = bpjit.train(net, XOR_X, XOR_Y, stop=3, shuffle=False, **settings)
        assert fit._state["setting"].schedule.eta == eta
        learner, bank = bpjit.OnlineLearner(net, **settings), bpjit.LearnerBank(bpjit.Networks.of([net]), **settings)
        for x, y in zip(XOR_X, XOR_Y, strict=True):
            assert learner.learn(x, y) == bank.learn([0], x[None], [y])[0]
        trained = bpjit.train(net, XOR_X, XOR_Y, stop=1, shuffle=False, **settings).network.parameters
        np.testing.assert_allclose(learner.network.parameters, trained, rtol=1e-9)  # to rounding: other kernels


def test_many_networks_each_have_their_own(monkeypatch):
    monkeypatch.setattr(packs, "TYPED", 0)  # one kernel for all shapes
    nets = [
        bpjit.Network.random((2, 4, 1), "sigmoid"),
        bpjit.Network.random((2, 30, 1), "tanh"),
        bpjit.Network.random((2, 4, 1), "tanh", "identity"),
        bpjit.Network.random((2, 4, 1), "sigmoid", seed=1),
    ]
    rules = ["sgd", "sgd", "adam", "momentum"]
    etas = [
        default_eta(as_rule(rule), net.sizes, net._activations, "squared")
        for rule, net in zip(rules, nets, strict=True)
    ]
    assert etas == [1.0, 0.0333, 0.01, 0.1]
    by_default = bpjit.train_many(nets, XOR_X, XOR_Y, rule=rules, stop=5)
    assert np.array_equal(by_default.error, bpjit.train_many(nets, XOR_X, XOR_Y, rule=rules, eta=etas, stop=5).error)
    mixed = bpjit.train_many(nets, XOR_X, XOR_Y, rule=rules, eta=[1.0, None, None, 0.1], stop=5)
    assert np.array_equal(by_default.error, mixed.error)
    with pytest.raises(ValueError, match="network 2: eta"):
        bpjit.train_many(nets, XOR_X, XOR_Y, rule=rules, eta=[None, None, -1.0, None], stop=5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bpjit.TrainingWarning")  # of the starts that do not learn
@pytest.mark.parametrize("rule", default_rates.RULES)
def test_xor_is_learnt_by_default(rule):
    for hidden in ("sigmoid", "tanh", "softsign", "sin"):
        assert default_rates.learnt_xor(rule, hidden, 20) >= 15, hidden


@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "softsign"])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_xor_is_learnt_by_default_settings(rule, hidden):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bpjit.TrainingWarning)
        nets = [bpjit.Network.random((2, 4, 1), hidden, seed=seed) for seed in range(10)]
        learnt = [bpjit.train(net, XOR_X, XOR_Y, rule=rule).network.classify(XOR_X) for net in nets]
    assert sum((classes == XOR_Y).all() for classes in learnt) >= 7


@pytest.mark.slow
def test_the_script_measures(capsys):
    assert default_rates.main(["--quick"]) == 0
    assert "diverged" in capsys.readouterr().out
