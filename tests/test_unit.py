"""The single unit: gates, the perceptron's rule, separability and its proof, pictures."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

import bpjit
import reference
from bpjit import unit

X = np.array(unit.CORNERS, float)


@pytest.mark.parametrize("name", unit.GATES)
def test_gates(name):
    logic = {
        "AND": lambda a, b: a and b,
        "OR": lambda a, b: a or b,
        "NAND": lambda a, b: not (a and b),
        "NOR": lambda a, b: not (a or b),
        "NOT": lambda a: not a,
    }[name]
    gate = bpjit.Unit.gate(name)
    inputs = list(itertools.product((0, 1), repeat=len(gate.weights)))
    assert gate.predict(inputs).tolist() == [int(logic(*x)) for x in inputs]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "identity", "step"])
def test_a_unit_is_f_of_its_net_input(name):
    rng = np.random.default_rng(0)
    w, theta, inputs = rng.normal(size=3), 0.4, rng.normal(size=(5, 3))
    neuron = bpjit.Unit(w, theta, name)
    z = inputs @ w - theta
    np.testing.assert_allclose(neuron.net_input(inputs), z, rtol=1e-14)
    np.testing.assert_allclose(neuron.predict(inputs), [reference.ACTIVATIONS[name](v)[0] for v in z], rtol=1e-14)
    assert neuron.predict(inputs[0]) == neuron.predict(inputs)[0]
    assert neuron.bias == -0.4
    assert neuron.network.sizes == (3, 1)


def by_hand(X, Y, eta, w, theta, epochs):
    """The perceptron's rule, with mistakes per epoch."""
    w, mistakes = list(w), []
    for _ in range(epochs):
        mistakes.append(0)
        for x, y in zip(X, Y, strict=True):
            y_hat = 1 if sum(a * b for a, b in zip(w, x, strict=True)) - theta >= 0 else 0
            if y_hat != y:
                mistakes[-1] += 1
                w = [a + eta * (y - y_hat) * b for a, b in zip(w, x, strict=True)]
                theta -= eta * (y - y_hat)
        if not mistakes[-1]:
            break
    return w, theta, mistakes


@pytest.mark.parametrize("eta", [1.0, 0.25])
def test_the_perceptron_s_rule_step_by_step(eta):
    rng = np.random.default_rng(1)
    inputs = rng.integers(-4, 5, size=(30, 3)).astype(float)
    labels = (inputs @ [1, -2, 1] > 1.5).astype(int)
    w, theta, mistakes = by_hand(inputs, labels, eta, [0.5, 0, 0], -1.0, 1000)
    start = bpjit.Unit([0.5, 0, 0], -1.0)
    found = start.learn(inputs, labels, eta=eta)
    assert found.converged
    assert found.mistakes.tolist() == mistakes
    assert (found.epochs, found.updates) == (len(mistakes), sum(mistakes))
    np.testing.assert_allclose([*found.unit.weights, found.unit.threshold], [*w, theta], rtol=1e-12, atol=1e-12)
    assert found.unit.predict(inputs).tolist() == labels.tolist()
    assert start.weights.tolist() == [0.5, 0, 0]


def test_a_cycle_is_a_proof_and_the_epochs_may_run_out():
    found = bpjit.Unit([0, 0]).learn(X, unit.TRUTH_TABLES["XOR"])
    assert found.stopped_by == "cycle"
    assert not found.converged
    # as many epochs as from its first beginning lead back to the same parameters
    w, theta, _ = by_hand(X, (0, 1, 1, 0), 1.0, (0, 0), 0.0, found.cycle - 1)
    again = by_hand(X, (0, 1, 1, 0), 1.0, w, theta, found.epochs - found.cycle + 1)
    assert (again[0], again[1]) == (w, theta)
    short = bpjit.Unit([0, 0]).learn(X, unit.TRUTH_TABLES["AND"], epochs=2)
    assert short.stopped_by == "epochs"
    assert str(short) == "3 mistakes in the last of 2 epochs"


# --- Separability.


def test_fourteen_of_sixteen_functions_of_two_inputs_are_separable():
    for labels in itertools.product((0, 1), repeat=4):
        found = unit.separate(X, labels)
        assert found.separable == (labels not in (unit.TRUTH_TABLES["XOR"], unit.TRUTH_TABLES["XNOR"]))
        check(found, X, labels)


def check(found, X, labels):
    """The unit separates, or the two means are means and meet."""
    labels = np.array(labels)
    if found.separable:
        assert found.unit.predict(X).tolist() == labels.tolist()
        assert found.point is None
        return
    for label in (0, 1):
        shares = found.shares[labels == label]
        assert shares.min() >= 0
        assert shares.sum() == pytest.approx(1)
        np.testing.assert_allclose(shares @ X[labels == label], found.point, atol=1e-7 * max(1, np.abs(X).max()))


@given(st.integers(0, 2**32 - 1), st.integers(4, 12), st.integers(1, 4))
def test_decided_and_proved_for_random_data(seed, m, d):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, d)) * 10.0 ** rng.integers(-5, 6, size=d) + rng.normal(size=d)
    labels = rng.integers(0, 2, m)
    found = unit.separate(X, labels)
    check(found, X, labels)
    if m <= d + 1 and len(set(labels)) == 2:
        assert found.separable  # points in general position


def test_separability_is_that_of_convex_hulls():
    """In the plane: two classes are inseparable where a corner of one hull lies in the other or two edges cross."""
    rng = np.random.default_rng(2)
    seen = []
    for gap in np.repeat([0.5, 1.5, 2.5], 20):
        X = rng.normal(size=(12, 2))
        X[6:, 0] += gap
        hulls = [ConvexHull(part) for part in (X[:6], X[6:])]
        # hulls are apart if and only if an edge of one, or a line through a corner of each, parts them
        lines = [hull.equations for hull in hulls]
        through = [
            np.append(np.array([-(b - a)[1], (b - a)[0]]), (b - a)[1] * a[0] - (b - a)[0] * a[1])
            for a in X[:6]
            for b in X[6:]
        ]
        apart = False
        for line in np.vstack([*lines, through]):
            sides = X @ line[:2] + line[2]
            sides[np.abs(sides) < 1e-9] = 0
            apart |= sides[:6].max() <= 0 <= sides[6:].min() or sides[6:].max() <= 0 <= sides[:6].min()
        seen.append(apart)
        assert unit.separate(X, [0] * 6 + [1] * 6).separable == apart
    assert 10 < sum(seen) < 50


def test_a_sample_in_both_classes_and_one_class_alone():
    found = unit.separate([[1, 2], [3, 4], [1, 2]], [0, 0, 1])
    assert found.point == pytest.approx([1, 2])
    assert str(found) == "not linearly separable: (1, 2) = 1·(1, 2) of class 1 = 1·(1, 2) of class 0"
    for label in (0, 1):
        alone = unit.separate([[1, 2], [3, 4]], [label, label])
        assert alone.unit.predict([[1, 2], [3, 4]]).tolist() == [label, label]


def test_two_layers_do_what_one_unit_cannot():
    net = unit.xor_network()
    assert net.sizes == (2, 2, 1)
    assert (net.hidden, net.output) == (("step",), "step")
    assert net.predict(X)[:, 0].tolist() == [0, 1, 1, 0]


# --- Pictures.


def test_a_picture_shows_the_line_the_side_and_the_points():
    pytest.importorskip("matplotlib")
    axes = unit.draw(bpjit.Unit.gate("AND"), X, unit.TRUTH_TABLES["AND"])
    (line,) = axes.get_lines()
    np.testing.assert_allclose(np.sum(line.get_xydata(), axis=1), 1.5)
    drawn = {c.get_label(): c.get_offsets().data.tolist() for c in axes.collections if c.get_label()[0] != "_"}
    assert drawn == {"class 0": [[0, 0], [0, 1], [1, 0]], "class 1": [[1, 1]]}
    low, high = axes.get_xlim()
    assert low < 0
    assert high > 1


def test_the_picture_of_the_proof_and_of_two_layers():
    pytest.importorskip("matplotlib")
    axes = unit.separate(X, unit.TRUTH_TABLES["XOR"]).draw()
    lines = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert [[0.5, 0.5]] in lines
    assert [[0, 0], [1, 1]] in lines
    assert [[0, 1], [1, 0]] in lines
    two = unit.draw(unit.xor_network(), X, unit.TRUTH_TABLES["XOR"])
    assert len(two.get_lines()) == 2
    assert unit.separate(X, unit.TRUTH_TABLES["OR"]).draw().get_lines()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bpjit.Unit([[1, 2]]), ValueError, "weights: expected finite numbers, one for each input, got shape"),
        (lambda: bpjit.Unit([1], activation="softmax"), ValueError, "activation: expected one of"),
        (lambda: bpjit.Unit([1], "x"), TypeError, "threshold: expected a finite number"),
        (lambda: bpjit.Unit.gate("XOR"), ValueError, 'no single functional unit is "XOR"'),
        (lambda: bpjit.Unit.gate("and"), ValueError, 'did you mean "AND"'),
        (lambda: bpjit.Unit([1, 1], 0, "sigmoid").learn(X, [0, 0, 0, 1]), ValueError, 'needs "step", got "sigmoid"'),
        (lambda: bpjit.Unit([1, 1]).learn(X, [0, 0, 2, 1]), ValueError, "Y: expected 4 numbers, each 0 or 1, got 2"),
        (lambda: bpjit.Unit([1, 1]).learn(X, [0, 1]), ValueError, "got shape .2,."),
        (lambda: bpjit.Unit([1, 1]).learn(X, [0, 0, 0, 1], eta=0), ValueError, "eta: expected a finite number > 0"),
        (lambda: unit.separate([1, 2], [0, 1]), ValueError, "X: expected finite numbers of shape"),
        (lambda: unit.draw(bpjit.Unit([1]), [[1]], [0]), ValueError, "two inputs and one output"),
        (lambda: unit.separate([[1], [2]], [0, 1]).draw(), ValueError, "two inputs, got 1"),
        (lambda: unit.separate(X, (0, 0, 0, 1)).mean_of(1), ValueError, "no means meet"),
    ],
)
def test_errors_say_what_was_expected(call, error, words):
    with pytest.raises(error, match=words):
        call()
