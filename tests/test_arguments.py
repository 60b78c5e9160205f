"""Bad input: a clear ValueError or TypeError that names the argument, what was expected and what came."""

import datetime
import decimal
import fractions
import re
import sys
import types

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bpjit
from bpjit import Network
from bpjit.common.arguments import refuse_masked

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
Y = [0, 1, 1, 0]
GOOD = {"net": Network.random((2, 3, 1)), "X": X, "Y": Y, "stop": 2}


def run(**changes):
    arguments = GOOD | changes
    return bpjit.train(arguments.pop("net"), arguments.pop("X"), arguments.pop("Y"), **arguments)


class Odd:
    def __repr__(self):
        return "an odd object"

    def __array__(self, dtype=None, copy=None):
        raise TypeError("no array here")


BAD_DATA = [
    None,
    "text",
    b"bytes",
    5,
    5.0,
    1j,
    {},
    {"a": [1, 2]},
    set(),
    [],
    [[]],
    np.zeros((0, 2)),
    np.zeros((4, 0)),
    np.zeros((4, 3)),
    np.zeros((4, 2, 1)),
    [[1, 2], [3]],
    [[1, "a"], [2, 3]],
    [["1", "2"], ["3", "4"]],
    [[1, None], [2, 3]],
    [[1, np.nan], [2, 3], [1, 1], [1, 1]],
    [[1, np.inf], [2, 3], [1, 1], [1, 1]],
    [[1, -np.inf], [2, 3], [1, 1], [1, 1]],
    [[1, 10**400], [2, 3]],
    np.array([[1j, 2], [3, 4]]),
    np.array([["a", "b"]]),
    np.array([[datetime.datetime(2020, 1, 1)] * 2]),
    np.array([[np.datetime64("2020-01-01")] * 2]),
    np.array([[object(), object()]]),
    np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[0, 1], [0, 0]]),
    np.zeros((4, 2), [("a", float)]),
    [[decimal.Decimal(1), decimal.Decimal(2)]],
    Odd(),
    [[Odd(), 1]],
    lambda: 0,
    np.void(b"abc"),
]


@pytest.mark.parametrize("bad", BAD_DATA, ids=lambda bad: re.sub(r"\s+|0x\w+", " ", repr(bad))[:40])
@pytest.mark.parametrize("name", ["X", "Y"])
def test_bad_data(bad, name):
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected .*, got "):
        run(**{name: bad})
    if name == "X":
        for function in (GOOD["net"].predict, GOOD["net"].classify, lambda bad: bpjit.jacobian(GOOD["net"], bad)):
            with pytest.raises((ValueError, TypeError), match="^X: expected .*, got "):
                function(bad)
        for function in (bpjit.error, bpjit.gradient):
            with pytest.raises((ValueError, TypeError), match="^X: expected .*, got "):
                function(GOOD["net"], bad, Y)
    with pytest.raises((ValueError, TypeError), match=f"^validation {name}: expected .*, got "):
        run(validation=(bad, Y) if name == "X" else (X, bad))


def test_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"^X: expected .*, got a sparse matrix; pass its \.toarray\(\)"):
        run(X=sparse.csr_matrix(np.array(X)))


def test_data_too_large_for_float32():
    net = Network.random((2, 3, 1), dtype="float32")
    with pytest.raises(ValueError, match=r"^X: .* got 1e\+300 at \[1, 0\]; too large for float32"):
        bpjit.train(net, [[0, 1], [1e300, 2]], [0, 1])


def test_odd_numbers_that_are_right():
    fifths = [[fractions.Fraction(1, 5), 2], [3, 4]]
    np.testing.assert_array_equal(GOOD["net"].predict(fifths), GOOD["net"].predict([[0.2, 2], [3, 4]]))
    np.testing.assert_array_equal(
        GOOD["net"].predict(np.ma.masked_array([[1.0, 2.0]], [[0, 0]])), GOOD["net"].predict([[1, 2]])
    )


@pytest.mark.parametrize(
    ("name", "bad", "said"),
    [
        ("net", None, "expected a bpjit.Network"),
        ("net", [1], "expected a bpjit.Network"),
        ("net", Network.random((2, 3, 1), hidden="step"), "step"),
        ("eta", 0, "> 0"),
        ("eta", -1.0, "> 0"),
        ("eta", np.nan, "finite"),
        ("eta", np.inf, "finite"),
        ("eta", 10**400, "finite"),
        ("eta", "0.5", "a finite number"),
        ("eta", True, "a finite number"),
        ("eta", [0.5], "a finite number"),
        ("eta", 1j, "a finite number"),
        ("updates", "stochastik", 'did you mean "stochastic"'),
        ("updates", "batch", '"stochastic", "accumulated"'),
        ("updates", 0, ">= 1"),
        ("updates", -4, ">= 1"),
        ("updates", 2.0, "batch size"),
        ("updates", True, "batch size"),
        ("loss", "sqared", 'did you mean "squared"'),
        ("loss", 3, "expected one of"),
        ("rule", "adamm", 'did you mean "adam"'),
        ("rule", "SGD", 'did you mean "sgd"'),
        ("rule", None, "expected one of"),
        ("rule", bpjit.Adam, r"Adam\(\)"),
        ("lam", 0, "> 0"),
        ("lam", 1, "< 1"),
        ("lam", 1.5, "< 1"),
        ("lam", -0.1, "> 0"),
        ("lam", "half", "a finite number"),
        ("stop", "soon", "expected a stopping condition"),
        ("stop", [1.5], "expected a stopping condition"),
        ("stop", 0, ">= 1"),
        ("stop", bpjit.MaxEpochs, "expected a stopping condition"),
        ("validation", 5, "expected a pair"),
        ("validation", (X,), "expected a pair"),
        ("sample_weight", [1, 2], "4 finite numbers"),
        ("sample_weight", [1, 2, 3, -1], "smallest of -1"),
        ("sample_weight", [0, 0, 0, 0], "not all 0"),
        ("sample_weight", [1, 1, 1, np.nan], "4 finite numbers"),
        ("sample_weight", "balanced", "4 finite numbers"),
        ("class_weight", "ballanced", 'did you mean "balanced"'),
        ("class_weight", 3, "expected"),
        ("class_weight", {2: 1.0}, "<= 1"),
        ("class_weight", {0: -1.0}, ">= 0"),
        ("class_weight", {0: 0, 1: 0}, "> 0"),
        ("trainable", [True], "13 booleans"),
        ("trainable", np.ones(12, bool), "13 booleans"),
        ("trainable", np.ones(13), "13 booleans"),
        ("trainable", [np.ones((3, 2), bool), True], "13 booleans"),
        ("trainable", ["yes", "no"], "13 booleans"),
        ("trainable", [False, False], "at least one"),
        ("trainable", 5, "13 booleans"),
        ("trainable", [[[True], [True, False]], True], "13 booleans"),
        ("resume", 7, "expected a Fit"),
        ("train_thresholds", "no", "True or False"),
        ("train_thresholds", 1, "True or False"),
        ("shuffle", None, "True or False"),
        ("seed", -1, ">= 0"),
        ("seed", 2**64, "<= 18446744073709551615"),
        ("seed", 1.0, "a whole number"),
        ("seed", None, "a whole number"),
        ("target", "gpu", 'what others call "gpu" is "cuda" here'),
        ("loss", "MSE", 'what others call "MSE" is "squared" here'),
        ("loss", "binary_crossentropy", '"cross_entropy" here'),
        ("updates", "online", '"stochastic" here'),
        ("updates", "full-batch", '"accumulated" here'),
        ("rule", "gradient descent", '"sgd" here'),
        ("rule", "trainrp", '"rprop" here'),
        ("rule", "Adma", 'did you mean "adam"'),
        ("target", 1, "expected one of"),
        ("progress", "yes", "True or False"),
        ("callback", 5, "a function"),
    ],
)
def test_bad_settings(name, bad, said):
    with pytest.raises((ValueError, TypeError), match=rf"^{name}.*: .*{said}"):
        run(**{name: bad})


def test_settings_that_do_not_go_together():
    with pytest.raises(ValueError, match=r'^eta: rule "rprop" has no learning rate'):
        run(rule="rprop", eta=0.1, updates="accumulated")
    for rule in ("rprop", "quickprop"):
        for updates in ("stochastic", 2):
            with pytest.raises(ValueError, match=r'^updates: .*expected "accumulated"'):
                run(rule=rule, updates=updates)
    with pytest.raises(ValueError, match=r"^lam: expected eta\*\(1 - lam\) < 1"):
        run(eta=20.0, lam=0.9)
    with pytest.raises(ValueError, match="^validation: EarlyStopping needs"):
        run(stop=bpjit.EarlyStopping())
    with pytest.raises(ValueError, match="^loss: cross_entropy goes with sigmoid or softmax"):
        run(net=Network.random((2, 3, 1), output="tanh"), loss="cross_entropy")
    with pytest.raises(RuntimeError, match="^target: "):
        run(target="cuda")


def test_labels_that_do_not_fit():
    softmax = Network.random((2, 3), output="softmax")
    for labels, said in (
        ([0, 1, 2, 3], "class numbers 0 to 2, got 3"),
        ([0, 1, -1, 2], "got -1"),
        ([0, 0.5, 1, 1], "got 0.5"),
        (np.eye(4)[:, :2], "got shape"),
        (np.full((4, 3), 0.5), "sum to 1"),
        (np.array([[2, -1, 0]] * 4), "from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=f"^Y: .*{said}"):
            bpjit.train(softmax, X, labels, stop=1)
    with pytest.raises(ValueError, match="^Y: cross_entropy expects targets from 0 to 1, got 2"):
        run(Y=[0, 1, 2, 1], loss="cross_entropy")
    with pytest.raises(ValueError, match=r"^Y: .*shape \(4, 2\)"):
        run(net=Network.random((2, 3, 2)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sizes": (2,)}, "^sizes: "),
        ({"sizes": ()}, "^sizes: "),
        ({"sizes": (2, 0, 1)}, r"^sizes\[1\]: .*>= 1"),
        ({"sizes": (2, -3, 1)}, r"^sizes\[1\]: "),
        ({"sizes": (2, 2.5, 1)}, r"^sizes\[1\]: "),
        ({"sizes": (2, True, 1)}, r"^sizes\[1\]: "),
        ({"sizes": "2-4-1"}, "^sizes: "),
        ({"sizes": 5}, "^sizes: "),
        ({"sizes": (10**6, 10**6)}, "^sizes: .*at most"),
        ({"hidden": "sigmod"}, '^hidden: .*did you mean "sigmoid"'),
        ({"hidden": "softmax"}, "^hidden: "),
        ({"hidden": ["tanh", "tanh"]}, "^hidden: expected 1 names"),
        ({"hidden": ["tan"]}, r'^hidden\[0\]: .*did you mean "tanh"'),
        ({"hidden": 3}, "^hidden: "),
        ({"output": "relu6"}, '^output: .*did you mean "relu"'),
        ({"output": "softmax"}, "^output: a softmax over one output"),
        ({"init": "xavier"}, '^init: .*what others call "xavier" is "glorot" here'),
        ({"hidden": "logsig"}, '^hidden: .*"sigmoid" here'),
        ({"hidden": ["Rectifier"]}, r'^hidden\[0\]: .*"relu" here'),
        ({"output": "purelin"}, '^output: .*"identity" here'),
        ({"init": "he-normal"}, '^init: .*"he" here'),
        ({"seed": -1}, "^seed: "),
        ({"dtype": "float16"}, "^dtype: "),
        ({"dtype": "nonsense"}, "^dtype: "),
        ({"dtype": None}, "^dtype: "),
        ({"dtype": [1]}, "^dtype: "),
        ({"inputs": (0, 1)}, "^inputs: .*nguyen_widrow"),
        ({"scale": 5}, "^scale: "),
        ({"scale": bpjit.Scale([0], [1])}, "^scale: expected 2 numbers as input_offset, got 1"),
    ],
)
def test_bad_networks(arguments, said):
    with pytest.raises((ValueError, TypeError), match=said):
        Network.random(**({"sizes": (2, 3, 1)} | arguments))


@pytest.mark.parametrize(
    ("weights", "thresholds", "said"),
    [
        ([], [], "^weights: "),
        ("ab", [1], "^weights: "),
        ([[[1.0]]], [], "^thresholds: "),
        ([[[1.0]]], [[1.0], [2.0]], "^thresholds: expected 1 arrays"),
        ([[1.0]], [[1.0]], r"^weights\[0\]: "),
        ([[[1.0]]], [[1.0, 2.0]], r"^thresholds\[0\]: "),
        (
            [[[1.0, 2.0]], [[1.0]]],
            [[1.0, 2.0], [1.0]],
            r"^weights\[1\]: expected finite numbers of shape \(2, fan_out\)",
        ),
        ([[[np.nan]]], [[1.0]], r"^weights\[0\]: "),
        ([[["a"]]], [[1.0]], r"^weights\[0\]: "),
    ],
)
def test_bad_arrays(weights, thresholds, said):
    with pytest.raises((ValueError, TypeError), match=said):
        Network.from_arrays(weights, thresholds)


def test_bad_parameters():
    with pytest.raises(ValueError, match="^parameters: expected 13 finite numbers"):
        GOOD["net"].with_parameters(np.zeros(12))
    with pytest.raises(ValueError, match="^parameters: "):
        GOOD["net"].with_parameters(np.full(13, np.nan))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bpjit.Momentum(mu=1), "^mu: "),
        (lambda: bpjit.Adam(beta1=1.0), "^beta1: "),
        (lambda: bpjit.Adam(epsilon=0), "^epsilon: "),
        (lambda: bpjit.RMSProp(rho=-1), "^rho: "),
        (lambda: bpjit.Rprop(variant="iRprop"), '^variant: .*did you mean "iRprop'),
        (lambda: bpjit.Rprop(eta_plus=0.5), "^eta_plus: "),
        (lambda: bpjit.Rprop(eta_minus=1.5), "^eta_minus: "),
        (lambda: bpjit.Rprop(delta0=(0.2, 0.1)), "^delta0: "),
        (lambda: bpjit.Rprop(delta0=(1, 2, 3)), "^delta0: "),
        (lambda: bpjit.Rprop(delta0=100), "^delta0: "),
        (lambda: bpjit.Quickprop(mu="x"), "^mu: "),
        (lambda: bpjit.Cosine(0.1, epochs=0), "^epochs: "),
        (lambda: bpjit.Cosine(0.1, minimum=0.2), "^minimum: "),
        (lambda: bpjit.StepDecay(-1), "^eta: "),
        (lambda: bpjit.StepDecay(1, factor=2), "^factor: "),
        (lambda: bpjit.InverseTime(1, decay=0), "^decay: "),
        (lambda: bpjit.AdaptiveRate(1, shrink=1), "^shrink: "),
        (lambda: bpjit.MaxEpochs(0), "^MaxEpochs: "),
        (lambda: bpjit.TargetError(-1), "^TargetError: "),
        (lambda: bpjit.TimeLimit(0), "^TimeLimit: "),
        (lambda: bpjit.NoImprovement(0), "^patience: "),
        (lambda: bpjit.GradientNorm("a"), "^GradientNorm: "),
        (lambda: bpjit.EarlyStopping(patience=0), "^patience: "),
        (lambda: bpjit.EarlyStopping(every=0), "^every: "),
        (lambda: bpjit.Scale([1], [0]), "^input_factor: "),
        (lambda: bpjit.Scale([1, 2], [1]), "^input_factor: expected 2 numbers"),
        (lambda: bpjit.Scale([1], [1], [1]), "^target_offset, target_factor: "),
        (lambda: bpjit.Scale.standard([1, 2]), "^X: "),
        (lambda: bpjit.jacobian(GOOD["net"], X, by="input"), '^by: .*did you mean "inputs"'),
    ],
)
def test_bad_records(make, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make()


# --- Fuzzing: whatever comes, either a right result or a clear error.

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(Odd),
    st.lists(st.floats(), max_size=4),
    st.lists(
        st.lists(st.one_of(st.floats(width=16), st.integers(-3, 3), st.none(), st.text(max_size=1)), max_size=3),
        max_size=4,
    ),
    st.dictionaries(st.integers(-1, 3), st.floats(), max_size=2),
    st.sampled_from(
        ["sigmoid", "softmax", "squared", "cross_entropy", "accumulated", "rprop", "adam", "balanced", "auto"]
    ),
)
matrices = st.builds(
    lambda m, d, dtype, order, fill: np.full((m, d), fill, dtype=dtype, order=order),
    st.integers(0, 6),
    st.integers(0, 4),
    st.sampled_from(["f8", "f4", "f2", "i4", "u1", "?", ">f8", "c16", "U3", "O", "M8[s]"]),
    st.sampled_from("CF"),
    st.sampled_from([0, 1]),
)
argument = st.one_of(anything, matrices)
NAMES = [
    *("net", "X", "Y", "eta", "updates", "loss", "rule", "lam", "stop", "validation", "sample_weight", "class_weight"),
    *("trainable", "resume", "train_thresholds", "shuffle", "seed", "target", "progress", "callback"),
]


def is_clear(error, names):
    return any(re.match(rf"(?s)(validation )?{name}\b.*: .+", str(error)) for name in names)


@given(st.dictionaries(st.sampled_from(NAMES), argument, min_size=1, max_size=3))
@settings(max_examples=300)
def test_fuzzed_training(changes):
    fuzz_training(changes)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(NAMES), argument, min_size=1, max_size=3))
@settings(max_examples=10_000, suppress_health_check=list(HealthCheck))
def test_ten_thousand_fuzzed_trainings(changes):
    fuzz_training(changes)


def fuzz_training(changes):
    if isinstance(changes.get("stop"), int) and changes["stop"] > 3:
        changes["stop"] = 3
    try:
        fit = run(**changes)
    except (ValueError, TypeError) as error:
        # a rule that does not go with eta or updates is told of these, weights and labels of Y
        related = {"rule": ["eta", "updates"], "eta": ["lam"], "loss": ["Y"], "X": ["Y"]}
        names = [*changes, *(other for name in changes for other in related.get(name, []))]
        assert is_clear(error, names), f"{changes}: {error}"
        assert re.search(r"(?s)expected|goes with|no slope", str(error)), error
    except OSError as error:
        assert error.filename == changes.get("resume")  # a file that is not there
    else:
        assert np.isfinite(fit.network.parameters).all()
        assert np.isfinite(fit.error)
    assert GOOD["net"] == Network.random((2, 3, 1))


@given(
    st.dictionaries(
        st.sampled_from(["sizes", "hidden", "output", "init", "seed", "dtype", "scale", "inputs"]), argument, min_size=1
    )
)
@settings(max_examples=300)
def test_fuzzed_networks(changes):
    if isinstance(changes.get("sizes"), list) and any(isinstance(size, int) and size > 50 for size in changes["sizes"]):
        return
    try:
        net = Network.random(**({"sizes": (2, 3, 2)} | changes))
    except (ValueError, TypeError) as error:
        assert is_clear(error, changes), f"{changes}: {error}"
    else:
        assert np.isfinite(net.parameters).all()


@given(argument)
@settings(max_examples=300)
def test_fuzzed_prediction(X):
    net = GOOD["net"]
    try:
        y_hat = net.predict(X)
    except (ValueError, TypeError) as error:
        assert is_clear(error, ["X"]), f"{X}: {error}"
    else:
        assert np.isfinite(y_hat).all()
        np.testing.assert_array_equal(y_hat, net.predict(np.asarray(X).astype(float)))


# --- What is not there.


def masked(values, *places):
    array = np.ma.masked_array(np.array(values), np.zeros(np.shape(values), bool))
    for place in places:
        array[place] = np.ma.masked
    return array


ROWS = [masked([float(a), float(b)]) for a, b in X]
ROWS[2] = masked([1.0, 0.0], 1)
NETS = bpjit.Networks.random((2, 4, 1), 3)
INPUTS = np.array(X, float)


class ListOfRows:
    """What NumPy reads as it reads a list."""

    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        return ROWS[index]


def many(**settings):
    return bpjit.train_many(NETS, settings.pop("X", X), settings.pop("Y", Y), stop=1, **settings)


MASKED = {
    "X": [
        lambda: run(X=ROWS),
        lambda: run(X=tuple(ROWS)),
        lambda: run(X=[[0.0, np.ma.masked], [0, 1], [1, 0], [1, 1]]),
        lambda: run(X=np.array([[row[0], row[1]] for row in ROWS], object)),
        lambda: run(X=ListOfRows()),
        lambda: bpjit.error(GOOD["net"], ROWS, Y),
        lambda: bpjit.jacobian(GOOD["net"], ROWS),
        lambda: GOOD["net"].predict(ROWS),
        lambda: GOOD["net"].predict(masked([1.0, 2.0], 1)),
        lambda: GOOD["net"].classify([ROWS[2]]),
        lambda: NETS.predict([ROWS, ROWS, ROWS]),
        lambda: many(X=[ROWS] * 3, Y=[Y] * 3),
        lambda: bpjit.Scale.standard(ROWS),
        lambda: bpjit.LearnerBank(NETS).learn([0, 1, 2], ROWS[:3], Y[:3]),
        lambda: bpjit.LearnerBank(NETS).predict([0, 1, 2], ROWS[:3]),
    ],
    "Y": [
        lambda: run(Y=[0, masked([1], 0), 1, 0]),
        lambda: run(Y=[[0], [1], masked([1.0], 0), [0]]),
        lambda: run(Y=masked(Y, 1)),
        lambda: bpjit.LearnerBank(NETS).learn([0, 1, 2], X[:3], masked(Y[:3], 1)),
        lambda: bpjit.deal_folds(masked(Y, 1), 2),
    ],
    "x": [
        lambda: bpjit.OnlineLearner(GOOD["net"]).learn(masked([1.0, 9.0], 1), [1.0]),
        lambda: bpjit.OnlineLearner(GOOD["net"]).learn([1.0, np.ma.masked], [1.0]),
        lambda: bpjit.OnlineLearner(GOOD["net"]).learn([1.0, masked(9.0, ())], [1.0]),
    ],
    "y": [
        lambda: bpjit.OnlineLearner(GOOD["net"]).learn([1.0, 9.0], masked([1.0], 0)),
        lambda: bpjit.OnlineLearner(GOOD["net"]).learn([1.0, 9.0], np.ma.masked),
        lambda: bpjit.OnlineLearner(GOOD["net"]).learn([1.0, 9.0], [np.ma.masked]),
    ],
    "validation X": [lambda: run(validation=(ROWS, Y))],
    "validation": [
        lambda: many(validation=(X, Y, masked(np.ones((3, 4), bool), (0, 0)))),
        lambda: many(validation=(X, masked(Y, 1))),
    ],
    "sample_weight": [
        lambda: run(sample_weight=masked([1.0, -5.0, 1.0, 1.0], 1)),
        lambda: run(sample_weight=[1.0, np.ma.masked, 1.0, 1.0]),
        lambda: many(sample_weight=[masked([1.0] * 4, 1)] * 3),
    ],
    "eta": [lambda: many(eta=masked([0.1, -5, 0.1], 1)), lambda: many(eta=[0.1, np.ma.masked, 0.1])],
    "lam": [lambda: many(lam=masked([0.9, 7.0, 0.9], 1)), lambda: many(lam=[0.9, masked(0.5, ()), 0.9])],
    "seed": [lambda: many(seed=masked([1, 2, 3], 1))],
    "ids": [
        lambda: bpjit.LearnerBank(NETS).learn(masked([0, 1, 2], 1), X[:3], Y[:3]),
        lambda: bpjit.LearnerBank(NETS).predict([0, masked(1, ()), 2], X[:3]),
        lambda: bpjit.LearnerBank(NETS, ["a", "b", "c"]).learn(masked(["a", "b", "c"], 1), X[:3], Y[:3]),
        lambda: bpjit.LearnerBank(NETS, ["a", "b", "c"]).learn(["a", np.ma.masked, "c"], X[:3], Y[:3]),
    ],
    "keys": [
        lambda: bpjit.LearnerBank(NETS, masked(["a", "b", "c"], 1)),
        lambda: bpjit.LearnerBank(NETS, ["a", float("nan"), "c"]),
        lambda: bpjit.LearnerBank(NETS).reset(masked([0, 1], 1)),
    ],
    "trainable": [
        lambda: run(trainable=masked(np.ones(13, bool), 0)),
        lambda: run(trainable=[True, masked(True, ())]),
        lambda: run(trainable=[(masked(np.ones((2, 3), bool), (0, 0)), True), True]),
        lambda: many(trainable=masked(np.ones(17, bool), 0)),
    ],
    "parameters": [lambda: GOOD["net"].with_parameters(masked(np.zeros(13), 3))],
    "weights[0]": [lambda: Network.from_arrays([[masked([1.0], 0), [1.0]]], [[0.0]])],
    "input_offset": [lambda: bpjit.Scale([1.0, masked(2.0, ())], [1.0, 1.0])],
}


@pytest.mark.parametrize(("name", "use"), [(name, use) for name, uses in MASKED.items() for use in uses])
def test_masked_entries_are_refused(name, use):
    with pytest.raises((ValueError, TypeError), match="^" + re.escape(name) + "[:,]? "):
        use()


def test_arrays_without_a_masked_entry_are_as_good_as_plain_ones():
    whole = np.ma.masked_array(INPUTS, np.zeros((4, 2), bool))
    expected = run(X=INPUTS).network
    assert run(X=whole, Y=np.ma.array(Y)).network == expected
    assert run(X=list(whole)).network == expected
    learner, other = (bpjit.OnlineLearner(GOOD["net"]) for _ in range(2))
    assert learner.learn(whole[1], np.ma.array([1.0])) == other.learn(INPUTS[1], np.array([1.0]))
    one, two = many(eta=np.ma.array([0.1, 0.2, 0.3])), many(eta=np.array([0.1, 0.2, 0.3]))
    assert one.networks == two.networks
    assert bpjit.LearnerBank(NETS).learn(np.ma.array([0, 1]), whole[:2], Y[:2]).shape == (2,)


def test_what_pandas_holds_for_missing_is_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, None, 1]}).astype("Int64")
    keys = pandas.Series(["a", None, "c"], dtype="string")
    bank = bpjit.LearnerBank(NETS, ["a", "b", "c"])
    for use, name in (
        (lambda: run(X=frame), "X"),
        (lambda: run(X=frame.astype("Float64")), "X"),
        (lambda: run(Y=frame["b"]), "Y"),
        (lambda: run(Y=[0, None, 1, 0]), "Y"),
        (lambda: GOOD["net"].predict(frame), "X"),
        (lambda: bpjit.OnlineLearner(GOOD["net"]).learn(frame.iloc[2], 1), "x"),
        (lambda: bpjit.OnlineLearner(GOOD["net"]).learn([0, 1], pandas.NA), "y"),
        (lambda: run(sample_weight=frame["b"]), "sample_weight"),
        (lambda: run(trainable=[pandas.array([True, None], dtype="boolean"), True]), "trainable"),
        (lambda: many(eta=[0.1, pandas.NA, 0.1]), "network 1: eta"),
        (lambda: bpjit.LearnerBank(NETS).learn(frame["b"], X, Y), "ids"),
        (lambda: bpjit.LearnerBank(NETS, keys), "keys"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"^{name}: "):
            use()
    with pytest.raises(KeyError, match="ids"):
        bank.learn(keys, X[:3], Y[:3])


class Timeout(Exception):
    pass


@pytest.mark.parametrize("error", [Timeout, RuntimeError, KeyboardInterrupt, MemoryError, OSError])
def test_what_is_raised_while_numpy_reads_comes_out_as_it_is(error):
    class Slow:
        def __array__(self, dtype=None, copy=None):
            raise error("meanwhile")

    learner, bank = bpjit.OnlineLearner(GOOD["net"]), bpjit.LearnerBank(NETS)
    for use in (
        lambda: run(X=Slow()),
        lambda: run(X=[[Slow(), 1]]),
        lambda: GOOD["net"].predict(Slow()),
        lambda: learner.learn([0, 1], Slow()),
        lambda: bank.learn(Slow(), X, Y),
        lambda: run(trainable=[Slow(), True]),
    ):
        with pytest.raises(error, match="meanwhile"):
            use()


def test_a_list_within_itself():
    endless: list = []
    endless.append(endless)
    for use in (lambda: run(X=endless), lambda: GOOD["net"].predict(endless)):
        with pytest.raises((ValueError, TypeError), match="^X: "):
            use()


def test_an_interrupted_import_of_masked_arrays_harms_nothing(monkeypatch):
    """Python leaves its module behind, and NumPy then looks for the attribute without end."""
    monkeypatch.setitem(sys.modules, "numpy.ma", types.ModuleType("numpy.ma"))
    monkeypatch.delattr(np, "ma")
    with pytest.raises((RecursionError, AttributeError)):
        np.ma  # noqa: B018
    refuse_masked("X", [[1, 2], [3, 4]], "numbers")
