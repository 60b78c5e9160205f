"""Many networks by rules of second order: in lanes, or one on each core, each as ``train`` trains it alone."""

import itertools

import numpy as np
import pytest

import bpjit
from bpjit.kernels.gradient_steps import Along, agreement_of, made_convex, narrowed, next_length, scale_after
from bpjit.kernels.jit import kernel
from cases import distance

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (17, 2))
Y = np.column_stack([np.sin(3 * X[:, 0]) * X[:, 1], X[:, 0] ** 2])
LABELS = (X[:, 0] * X[:, 1] > 0).astype(int)
RULES = ("lm", "br", "lbfgs", "scg")

SETTINGS = {
    "plain": {},
    "weights": {"sample_weight": RNG.uniform(0.5, 2, 17)},
    "λ": {"lam": 0.999},
    "masked": {"train_thresholds": False},
    "missing": {"missing": "ignore"},
    "float32": {"dtype": "float32"},
    "deep": {"sizes": (2, 3, 3, 2)},
    "one layer": {"sizes": (2, 2)},
    "sigmoid, entropy": {"hidden": "sigmoid", "output": "sigmoid", "loss": "cross_entropy"},
    "softmax, entropy": {"output": "softmax", "loss": "cross_entropy"},
    "softmax, squared": {"output": "softmax", "loss": "squared"},
}


def of_rule(rule):
    return [name for name in SETTINGS if rule != "br" or name != "λ"]


@pytest.mark.parametrize("rule", RULES)
def test_each_trains_as_alone(rule):
    for name in of_rule(rule):
        more = dict(SETTINGS[name])
        shape = {key: more.pop(key) for key in ("sizes", "hidden", "output", "dtype") if key in more}
        targets = Y
        if "missing" in more:
            targets = Y.copy()
            targets[3, 0] = targets[5] = np.nan
        if shape.get("output") == "softmax":
            targets = np.eye(2)[LABELS]
        if shape.get("output") == "sigmoid":
            targets = np.abs(Y)
        nets = bpjit.Networks.random(**{"sizes": (2, 3, 2), "hidden": "tanh", "output": "identity"} | shape, count=9)
        for epochs in (1, 3):
            fits = bpjit.train_many(nets, X, targets, rule=rule, stop=epochs, **more)
            alone = [bpjit.train(net, X, targets, rule=rule, stop=epochs, **more) for net in nets]
            close = (1e-5 if shape.get("dtype") else 1e-10) * (1 if epochs == 1 else 100)
            for here, there in zip(fits.networks, alone, strict=True):
                assert distance(here.parameters, there.network.parameters.astype(np.float64)) <= close, (name, epochs)
            if name != "one layer":  # which is done after two steps, but for digits
                assert fits.epochs.tolist() == [fit.epochs for fit in alone], name
                assert fits.stopped_by.tolist() == [fit.stopped_by for fit in alone], name
            np.testing.assert_allclose(fits.error, [fit.error for fit in alone], rtol=1e4 * close)
            if rule == "br":
                for found, expected in zip(fits.evidence, np.array([fit.evidence for fit in alone]).T, strict=True):
                    np.testing.assert_allclose(found, expected, rtol=1e4 * close)
            else:
                assert fits.evidence is None


OWN = {  # rules for each of 40 networks, and why some stop
    "lm": (lambda k: bpjit.LevenbergMarquardt(10.0**-k, mu_dec=0.1 + 0.02 * k, min_grad=1e-3 * (k == 5)), set()),
    "lbfgs": (
        lambda k: bpjit.LBFGS(1 + k % 4, max_search=1 if k % 4 == 2 else 25, min_grad=0.3 if k % 6 == 5 else 1e-10),
        {"max_search", "min_grad"},
    ),
    "scg": (
        lambda k: bpjit.ScaledConjugateGradient(
            10.0 ** (-3 - k % 3), 1e-7, 1e-7 if k > 24 else 1e20, min_grad=0.3 if k % 6 == 5 else 1e-10
        ),
        {"scale_max", "min_grad"},
    ),
}


@pytest.mark.parametrize("rule", OWN)
def test_each_has_its_own_settings_and_its_own_end(rule):
    """In lanes: settings, a bound, a goal and a number of epochs for each; the order of networks changes no bit."""
    of_network, ends = OWN[rule]
    nets = bpjit.Networks.random((2, 3, 2), 40, "tanh", "identity", seed=3)
    nets = bpjit.Networks.of([net.with_parameters(net.parameters * (1 if k < 20 else 3)) for k, net in enumerate(nets)])
    rules = [of_network(k) for k in range(40)]
    epochs, goals = [1 + k % 12 for k in range(40)], [0.2 if k % 7 == 4 else 1e-9 for k in range(40)]
    fits = bpjit.train_many(nets, X, Y, rule=rules, max_epochs=epochs, target_error=goals)
    assert set(fits.stopped_by) >= {"MaxEpochs", "TargetError"} | ends
    for k, net in enumerate(nets):
        stop = [bpjit.MaxEpochs(epochs[k]), bpjit.TargetError(goals[k])]
        fit = bpjit.train(net, X, Y, rule=rules[k], stop=stop)
        assert (fits.epochs[k], fits.stopped_by[k]) == (fit.epochs, fit.stopped_by)
        assert distance(fits.networks[k].parameters, fit.network.parameters) <= 1e-7
    back = bpjit.train_many(
        nets[::-1], X, Y, rule=rules[::-1], max_epochs=epochs[::-1], target_error=goals[::-1], threads=2
    )
    assert back.networks.parameters[::-1].tobytes() == fits.networks.parameters.tobytes()


@kernel
def decide(a, b, c, d, e, f, found):
    low, far = Along(a, b, c), Along(d, e, f)
    length = next_length(low, far, a)
    low, far = narrowed(Along(0.0, -1.0, 1.0), low, far, Along(length, e, f))
    found[0], found[1], found[2] = length, low.length, far.length
    found[3], found[4] = made_convex(a, b, c)
    found[5], found[6] = agreement_of(a, b, c), scale_after(a, b, c, d)


def test_they_decide_alike_whatever_the_numbers():
    """Compiled and in Python, by infinite numbers and NaN too: a compiler must not take their differences for 0."""
    here, there = np.empty(7), np.empty(7)
    for numbers in itertools.product((0.3, -2.0, 0.8, 0.0, np.inf, np.nan), repeat=6):
        if numbers[0] == numbers[3] or numbers[0] in (np.inf, 0.0):
            continue
        decide(*numbers, here)
        with np.errstate(all="ignore"):
            decide.py_func(*map(np.float64, numbers), there)
        np.testing.assert_allclose(here, there, rtol=1e-12, atol=1e-14, err_msg=str(numbers))


@pytest.mark.parametrize("rule", RULES)
def test_where_a_call_ends_changes_no_bit(rule, monkeypatch):
    """Nor does it matter who has stopped meanwhile. Small networks train in lanes, those of large sets one by one, so
    that Ctrl-C is never far."""
    monkeypatch.setattr("bpjit.many.portions.train_alone", None)
    nets = bpjit.Networks.random((2, 3, 2), 40, "tanh", "identity", seed=5)
    epochs = [1 + k % 30 for k in range(40)]
    once = bpjit.train_many(nets, X, Y, rule=rule, max_epochs=epochs)
    monkeypatch.setattr("bpjit.many.second_order_lanes.FEWEST", 1)
    monkeypatch.setattr("bpjit.many.second_order_lanes.CALL_SECONDS", 1e-9)
    often = bpjit.train_many(nets, X, Y, rule=rule, max_epochs=epochs)
    assert often.networks.parameters.tobytes() == once.networks.parameters.tobytes()
    assert often.epochs.tolist() == once.epochs.tolist()
    with pytest.raises(TypeError, match="NoneType"):
        bpjit.train_many(nets, np.zeros((10**6, 2)), np.zeros((10**6, 2)), rule=rule, stop=1)


@pytest.mark.parametrize("rule", RULES)
def test_searches_take_them(rule):
    X, y = np.linspace(-1, 1, 24)[:, None], np.sinc(3 * np.linspace(-1, 1, 24))
    nets = bpjit.Networks.random((1, 5, 1), 3, "tanh", "identity", "nguyen_widrow")
    stop = [bpjit.MaxEpochs(60), bpjit.EarlyStopping(20)]
    starts = bpjit.multi_start((1, 5, 1), X, y, 5, hidden="tanh", output="identity", rule=rule, stop=300)
    assert starts.error[0] < 1e-3
    assert (np.diff(starts.error) >= 0).all()
    common = {"eta": None, "stop": 30}
    table = bpjit.grid(nets, X, y, settings={"rule": [rule, "rprop"]}, **common)
    assert len(table.fits) == 6
    folds = bpjit.cross_validate(nets[0], X, y, settings={"rule": [rule], "max_epochs": [5, 30]}, folds=4)
    assert len(folds.fits) == 8
    part = bpjit.deal_folds(y, 4)
    first = next(row for row, setting in enumerate(folds.settings) if setting["max_epochs"] == 5)
    alone = bpjit.train(nets[0], X[part != 1], y[part != 1], rule=rule, stop=5)
    assert distance(folds.fits.networks[int(folds.numbers[first, 1])].parameters, alone.network.parameters) <= 1e-7
    bags = bpjit.bagging(nets, X, y, rule=rule, stop=20)
    assert np.abs(bags.networks.mean(X)[:, 0] - y).mean() < 0.3
    early = bpjit.train_many(nets, X, y, rule=rule, stop=stop, validation=(X + 0.02, y), history=True)
    for fit_errors, net, best, there in zip(early.errors, nets, early.best_epoch, early.networks, strict=True):
        fit = bpjit.train(net, X, y, rule=rule, stop=stop, validation=(X + 0.02, y))
        assert best == fit.best_epoch
        assert there == fit.network
        assert fit_errors.tolist() == fit.errors.tolist()


def test_time_and_ctrl_c_end_all():
    x = np.linspace(-1, 1, 400)[:, None]
    nets = bpjit.Networks.random((1, 20, 1), 2000, "tanh", "identity", "nguyen_widrow")
    few = bpjit.train_many(nets[:8], x, np.sinc(10 * x), rule="lm", stop=1)
    fits = bpjit.train_many(nets, x, np.sinc(10 * x), rule="lm", stop=[bpjit.MaxEpochs(10**6), bpjit.TimeLimit(0.2)])
    assert set(fits.stopped_by) <= {"TimeLimit", "mu_max", "min_grad"}
    assert (fits.stopped_by == "TimeLimit").sum() > 1000
    assert fits.seconds < 2
    assert (few.epochs == 1).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_network_that_diverges_disturbs_no_other(rule):
    nets = bpjit.Networks.random((1, 1, 1), 10, "tanh", "identity", seed=1)
    x = np.linspace(-1, 1, 9)[:, None]
    parameters = nets.parameters.copy()
    parameters[4], broken = 1e200, [4]
    if rule in ("lbfgs", "scg"):
        parameters[6], broken = [0.0, 0.0, 1e200, 1e150], [4, 6]  # E is finite, its gradient is not
    fits = bpjit.train_many(
        bpjit.Networks.of([nets[0].with_parameters(p) for p in parameters]), x, np.sinc(x), rule=rule, stop=5
    )
    assert [fits.stopped_by[k] for k in broken] == ["diverged"] * len(broken)
    assert [fits.epochs[k] for k in broken] == [0] * len(broken)
    alone = bpjit.train_many(nets, x, np.sinc(x), rule=rule, stop=5)
    others = [k for k in range(10) if k not in broken]
    assert fits.networks.parameters[others].tobytes() == alone.networks.parameters[others].tobytes()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rule": "br", "lam": 0.99}, r'^lam: rule "br" sets its own penalty'),
        ({"rule": ["lm"] * 2, "loss": "absolute"}, r'^network 0: loss: rule "lm" needs'),
        ({"rule": "lm", "updates": "stochastic"}, r"^updates: rule"),
        ({"rule": "lbfgs", "eta": 0.1}, r"^eta: rule"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        bpjit.train_many([bpjit.Network.random((2, 3, 2))] * 2, X, Y, stop=1, **settings)


@pytest.mark.parametrize("rule", ["lm", "scg"])
def test_epochs_are_counted_where_time_alone_limits_them(rule):
    nets = bpjit.Networks.random((2, 3, 2), 9, "tanh", "identity")
    timed = bpjit.train_many(nets, X, Y, rule=rule, stop=bpjit.TimeLimit(0.1))
    counted = bpjit.train_many(nets, X, Y, rule=rule, max_epochs=timed.epochs.tolist())
    assert counted.networks == timed.networks
    assert timed.epochs.min() > 3
