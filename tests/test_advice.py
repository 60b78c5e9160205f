"""fit.advice, bpjit.diagnose and TrainingWarning: planted faults are named, healthy trainings are left alone."""

import ast
import inspect
import pickle
import warnings

import numpy as np
import pytest

import bpjit
from bpjit.advice import checks
from bpjit.common.words import ADVICE

RNG = np.random.default_rng(0)
XOR_X, XOR_Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0.0])
X = RNG.normal(size=(120, 3))
LINE = X @ [1, -1, 0.5] + 0.1 * RNG.normal(size=120)
LINE /= LINE.std()
TWO = (X[:, 0] * X[:, 1] + X[:, 2] > 0) * 1.0
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
COIN = (RNG.uniform(size=120) < 0.06) * 1.0
NOISE = RNG.normal(size=25)


def trained(sizes, hidden, output, X, Y, change=None, **settings):
    """A training whose network was changed before it began."""
    net = bpjit.Network.random(sizes, hidden, output, settings.pop("init", "glorot"), settings.pop("start", 0))
    if change is not None:
        weights, thresholds = [np.array(w) for w in net.weights], [np.array(t) for t in net.thresholds]
        change(weights, thresholds)
        net = bpjit.Network.from_arrays(weights, thresholds, hidden=hidden, output=output)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bpjit.TrainingWarning)
        return bpjit.train(net, X, Y, **settings)


def large(factor):
    def change(weights, thresholds):
        weights[0] *= factor

    return change


def asleep(weights, thresholds):
    thresholds[0] += 30.0


def alike(weights, thresholds):
    weights[0][:], weights[1][:] = weights[0][:, :1], weights[1][:1]


def zero(weights, thresholds):
    for array in weights + thresholds:
        array[:] = 0.0


EARLY = bpjit.EarlyStopping
LONG = {"updates": "accumulated", "stop": 3000}
BITS = np.array([[number >> bit & 1 for bit in range(3)] for number in range(8)], float)
HELD = (X[60:], LINE[60:])
FAULTS = {
    "eta too large": [
        ((3, 8, 1), "tanh", "identity", X, LINE, {"eta": 3.0, "stop": 50}),
        ((3, 8, 1), "relu", "identity", X, LINE, {"eta": 1.0, "stop": 50}),
        ((2, 4, 1), "sigmoid", "sigmoid", XOR_X, XOR_Y, {"eta": 300.0, "stop": 300}),
        ((3, 8, 3), "sigmoid", "softmax", X, THREE, {"eta": 30.0, "stop": 100}),
    ],
    "targets out of reach": [
        ((3, 5, 1), "tanh", "sigmoid", X, 1 + TWO, {"stop": 30}),
        ((3, 5, 1), "tanh", "tanh", X, 5 * LINE, {"stop": 30, "loss": "absolute"}),
        ((3, 5, 1), "tanh", "relu", X, LINE - 9, {"stop": 30, "loss": "huber"}),
    ],
    "inputs far from unit size": [
        ((3, 5, 1), "sigmoid", "identity", X * [1, 1000, 1] + [0, 3000, 100], LINE, {"stop": 100}),
        ((3, 5, 1), "tanh", "sigmoid", X * 200, TWO, {"stop": 100}),
        ((3, 5, 1), "relu", "identity", X * 100, LINE, {"stop": 100}),
        ((3, 5, 1), "tanh", "sigmoid", X * 1e-4, TWO, {"stop": 100}),
    ],
    "constant outputs|class never": [
        ((3, 5, 1), "tanh", "identity", X, LINE, {"lam": 0.3, "stop": 100}),
        ((3, 5, 1), "sigmoid", "sigmoid", X, COIN, {"eta": 0.1, "stop": 60}),
        ((3, 5, 1), "tanh", "identity", X, LINE, {"lam": 0.5, "rule": "adam", "stop": 200}),
    ],
    "E hardly fell": [
        ((3, 5, 1), "tanh", "identity", X, LINE, {"eta": 1e-6, "stop": 60}),
        ((2, 4, 1), "sigmoid", "sigmoid", XOR_X, XOR_Y, {"eta": 1e-3}),
        ((3, 5, 1), "tanh", "sigmoid", X, TWO, {"updates": "accumulated", "stop": 3, "eta": 0.01}),
    ],
    "saturated units": [
        ((3, 5, 1), "tanh", "sigmoid", X, TWO, {"change": large(60), "stop": 40}),
        ((3, 5, 1), "sigmoid", "identity", X, LINE, {"change": large(300), "stop": 40}),
        ((3, 4, 1), "softsign", "tanh", X, 2 * TWO - 1, {"change": large(1000), "stop": 40}),
    ],
    "dead relu units": [
        ((3, 5, 1), "relu", "identity", X, LINE, {"change": asleep, "stop": 40}),
        ((3, 5, 1), "relu", "sigmoid", X, TWO, {"change": asleep, "stop": 40}),
        ((3, 6, 3), "relu", "softmax", X, THREE, {"change": asleep, "stop": 40}),
    ],
    "plateau": [
        ((2, 2, 1), "sigmoid", "sigmoid", XOR_X, XOR_Y, {"eta": 20.0, "start": 6} | LONG),
        ((2, 2, 1), "tanh", "sigmoid", XOR_X, XOR_Y, {"eta": 2.0, "start": 2} | LONG),
        ((3, 3, 1), "tanh", "sigmoid", BITS, BITS.sum(1) % 2, {"eta": 1.0, "start": 0} | LONG),
    ],
    "symmetric start": [
        ((3, 5, 1), "tanh", "identity", X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2], {"change": alike, "stop": 100}),
        ((2, 4, 1), "sigmoid", "sigmoid", XOR_X, XOR_Y, {"change": alike, "eta": 2.0}),
        ((3, 4, 3), "tanh", "softmax", X, THREE, {"change": zero, "stop": 60}),
    ],
    "validation error rose|early stopping": [
        ((3, 20, 1), "tanh", "identity", X[:25], LINE[:25] + NOISE, {"validation": HELD, "stop": 1000}),
        ((3, 20, 1), "tanh", "sigmoid", X[:25], (NOISE > 0) * 1.0, {"validation": (X[60:], TWO[60:]), "stop": 1000}),
        (
            (3, 5, 1),
            "tanh",
            "identity",
            X,
            LINE,
            {"eta": 0.001, "validation": (X[:20], -LINE[:20]), "stop": EARLY(patience=2)},
        ),
    ],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_named_first(fault):
    for *given, settings in FAULTS[fault]:
        fit = trained(*given, **settings)
        diagnosis = bpjit.diagnose(fit)
        assert any(part in diagnosis.findings[0].name for part in fault.split("|")), (given[:3], diagnosis)
        assert fit.advice == [finding.say() for finding in diagnosis.findings[:3]]
        assert fit.advice[0] in repr(fit)
        assert all(character not in fit.advice[0] for character in "{}")
        chinese = str(bpjit.diagnose(fit, language="zh"))
        assert len(chinese.splitlines()) == 1 + len(diagnosis)
        assert "误差" in chinese.splitlines()[0]


NOISY = LINE + RNG.normal(size=120)
WAVE = np.sin(2 * X[:, 0]) + X[:, 1]
SOFT = (LINE + 0.8 * RNG.normal(size=120) > 0) * 1.0
ADAM = {"rule": "adam", "stop": 100}
HEALTHY = [
    *(
        ((2, 4, 1), "tanh", "sigmoid", XOR_X, XOR_Y, {"rule": rule, "start": 3})
        for rule in ("sgd", "nesterov", "rmsprop")
    ),
    *(
        ((2, 4, 1), "tanh", "sigmoid", XOR_X, XOR_Y, {"rule": rule, "updates": "accumulated", "start": 3})
        for rule in ("rprop", "quickprop")
    ),
    *(
        ((3, 6, 1), hidden, "identity", X, NOISY, {"rule": rule, "stop": 100})
        for hidden, rule in (
            ("sigmoid", "sgd"),
            ("relu", "adam"),
            ("leaky_relu", "momentum"),
            ("softplus", "sgd"),
            ("softsign", "adagrad"),
            ("identity", "sgd"),
        )
    ),
    *(
        ((3, 6, 1), "tanh", "sigmoid", X, SOFT, {"loss": loss, "stop": 100})
        for loss in ("squared", "cross_entropy", "huber")
    ),
    ((3, 6, 1), "tanh", "identity", X, WAVE, {"loss": "absolute", "eta": 0.01, "stop": 100}),
    *(((3, 8, 3), "tanh", "softmax", X, THREE, {"updates": updates, **ADAM}) for updates in (8, 32, "accumulated")),
    ((3, 8, 1), "tanh", "tanh", X, 2 * TWO - 1, {"stop": 100}),
    (
        (3, 6, 1),
        "tanh",
        "identity",
        X[:60],
        NOISY[:60],
        {"validation": (X[60:], NOISY[60:]), "stop": EARLY(patience=20)},
    ),
    ((3, 8, 6, 1), "tanh", "identity", X, WAVE, ADAM),
    ((3, 8, 1), "tanh", "identity", X, NOISY, {"lam": 0.999, "stop": 100}),
    ((3, 1), [], "identity", X, NOISY, {"stop": 50}),
]


@pytest.mark.parametrize("rules", ["sgd", pytest.param("others", marks=pytest.mark.slow)])  # which are more kernels
def test_healthy_trainings_are_left_alone(rules):
    assert len(HEALTHY) >= 20
    mine = [case for case in HEALTHY if (case[-1].get("rule", "sgd") == "sgd") == (rules == "sgd")]
    assert len(mine) >= 9
    for *given, settings in mine:
        fit = trained(*given, **settings)
        assert fit.advice == [], (given[:3], settings)
        assert repr(fit).count(";") == 0


def test_every_sentence_is_there_in_chinese():
    source = ast.parse(inspect.getsource(checks))
    names = {node.args[1].value for node in ast.walk(source) if isinstance(node, ast.Call) and len(node.args) > 4}
    said = {node.value for node in ast.walk(source) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    sentences = {text for text in said - names if text.count(" ") > 3 and "\n" not in text and not text.endswith(".")}
    assert len(sentences) > 30
    assert sentences <= set(ADVICE)


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
@pytest.mark.parametrize(
    ("output", "Y"),
    [("sigmoid", 1 + TWO), ("tanh", 3 * TWO), ("softsign", 2 - TWO), ("softplus", -1 - TWO), ("sin", 2 * LINE)],
)
def test_unreachable_targets_are_told_once(output, Y, loss):
    net = bpjit.Network.random((3, 4, 1), "tanh", output)
    with pytest.warns(bpjit.TrainingWarning, match=rf"targets go from .* {output} outputs reach") as heard:
        bpjit.train(net, X, Y, loss=loss, stop=2)
    assert len(heard) == 1
    assert heard[0].filename == __file__


@pytest.mark.parametrize(
    ("output", "Y"),
    [
        ("sigmoid", TWO),
        ("sigmoid", TWO * (1 + 1e-12) - 1e-13),
        ("tanh", 2 * TWO - 1),
        ("relu", TWO),
        ("identity", 9 * LINE),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_targets_at_the_ends_are_within_reach(output, Y, dtype):
    fit = bpjit.train(bpjit.Network.random((3, 4, 1), "tanh", output, dtype=dtype), X, Y, stop=2)
    assert "reach" not in repr(fit)


def test_scaled_targets_are_looked_at_as_the_network_sees_them():
    Y = 40 * LINE + 100
    for scale, told in ((bpjit.Scale.min_max(X, Y), False), (bpjit.Scale.standard(X, Y), True)):
        net = bpjit.Network.random((3, 4, 1), "tanh", "sigmoid", scale=scale)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            bpjit.train(net, X, Y, stop=2)
        assert len(heard) == told


def test_divergence_names_eta_and_scale():
    for net, size, rule in (("relu", 1e3, "sgd"), ("identity", 50.0, "sgd"), ("leaky_relu", 1e3, "momentum")):
        with pytest.warns(bpjit.TrainingWarning, match="scale=") as heard:
            fit = bpjit.train(
                bpjit.Network.random((3, 8, 1), net, "identity"), X * size, LINE * size, rule=rule, eta=0.2
            )
        assert fit.stopped_by == "diverged"
        assert len(heard) == 1
        assert any("eta=0.2" in sentence for sentence in fit.advice)


def test_a_whole_default_length_without_learning_is_told():
    net = bpjit.Network.random((2, 4, 1))
    with pytest.warns(bpjit.TrainingWarning, match="hardly fell"):
        bpjit.train(net, XOR_X, XOR_Y, eta=1e-3)
    bpjit.train(net, XOR_X, XOR_Y, eta=1e-3, stop=1000)  # as asked for
    bpjit.train_many([net], XOR_X, XOR_Y, eta=1e-3)
    bpjit.train_many([net], XOR_X, 9 + XOR_Y, stop=3)
    bpjit.OnlineLearner(net).learn(XOR_X[0], 9.0)
    bpjit.grid(net, XOR_X, XOR_Y, settings={"eta": [1e-6, 1e-3]})


def test_zero_and_one_for_outputs_whose_middle_is_zero():
    for output in ("tanh", "softsign", "sin"):
        names = [
            finding.name for finding in bpjit.diagnose(trained((3, 8, 1), "tanh", output, X, TWO, stop=50)).findings
        ]
        assert "classes 0 and 1" in names
        names = bpjit.diagnose(trained((3, 8, 1), "tanh", output, X, 2 * TWO - 1, stop=50)).findings
        assert "classes 0 and 1" not in [finding.name for finding in names]


def test_advice_for_many():
    nets = [bpjit.Network.random((3, 5, 1), "tanh", "identity", seed=seed) for seed in range(4)]
    fits = bpjit.train_many(nets, X, LINE, eta=[0.05, 5.0, 1e-7, 0.05], stop=60)
    assert fits.advice.tolist() == ["", "diverged: eta too large", "E hardly fell", ""]
    assert fits.best_first().advice[-1] == "diverged: eta too large"
    assert pickle.loads(pickle.dumps(fits[[2, 1]])).advice.tolist() == ["E hardly fell", "diverged: eta too large"]
    own = bpjit.train_many(nets[:2], [X, 100 * X[:70]], [LINE, LINE[:70]], eta=0.05, stop=60)
    assert own.advice[0] == ""
    assert own.advice[1] == "inputs far from unit size"


def test_pickles_and_large_data_keep_what_advice_needs():
    fit = trained((3, 5, 1), "tanh", "sigmoid", X * 200, TWO, stop=30)
    assert pickle.loads(pickle.dumps(fit)).advice == fit.advice
    big = np.tile(X, (4000, 1))
    fit = trained((3, 2, 1), "tanh", "identity", big * 300, np.tile(LINE, 4000), stop=1, eta=1e-5, updates=256)
    assert fit._origin.D is None
    assert "inputs are far from unit size" in fit.advice[0]
    trace = fit._origin.trace
    assert trace.sample.X.nbytes < 100_000
    assert np.abs(trace.ranges.X).max() == pytest.approx(300 * np.abs(X).max(), rel=0.3)


def test_diagnose_says_what_it_expects():
    with pytest.raises(TypeError, match="fit: expected a Fit"):
        bpjit.diagnose(bpjit.Network.random((2, 2, 1)))
    with pytest.raises(ValueError, match="language"):
        bpjit.diagnose(trained((2, 2, 1), "tanh", "sigmoid", XOR_X, XOR_Y, stop=2), language="de")


def test_unknown_targets_are_no_fault():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = np.c_[X[:, 0], 5 * X[:, 1] + 9]
    Y[::3, 0], Y[1::3, 1] = np.nan, np.nan
    start = bpjit.Network.random((3, 5, 2), "tanh", "sigmoid")
    with pytest.warns(bpjit.TrainingWarning, match="sigmoid outputs reach only 0 to 1"):
        fit = bpjit.train(start, X, Y, missing="ignore", stop=5)
    assert "lie outside" in fit.advice[0]
    start = bpjit.Network.random((3, 5, 2), "tanh", "identity")
    alone = bpjit.train(start, X, np.c_[Y[:, 0], np.full(60, np.nan)], missing="ignore", stop=5)
    many = bpjit.train_many(bpjit.Networks.of([start, start]), X, Y, missing="ignore", stop=5)
    assert alone.advice == []  # no sample has all its targets: nothing to judge by
    assert "nothing conspicuous" in str(bpjit.diagnose(alone))
    assert many.advice.tolist() == ["", ""]
    assert bpjit.train(start, X, Y, missing="ignore", stop=1)._state["setting"].schedule.eta == 0.1
