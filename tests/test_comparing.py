"""A learner's numbers: right ones pass, wrong ones are found, and the mistake behind them is named.

The mistakes are planted here in plain NumPy, with a BP of its own that shares nothing with bpjit.
"""

import itertools

import numpy as np
import pytest

import bpjit

S1 = bpjit.Network.from_arrays([[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35] * 2, [-0.60] * 2])
DEEP = bpjit.Network.random((3, 4, 3, 2), init="normal", seed=7)
SQUARE = bpjit.Network.random((3, 3, 3, 2), init="normal", seed=8)
CASES = {
    "S1": (S1, [[0.05, 0.10]], [[0.01, 0.99]], 0.5),
    "deep": (DEEP, [[0.3, -0.7, 1.1]], [[0.2, 0.9]], 0.7),
}
BATCHES = {
    "S1": (S1, [[0.05, 0.10], [0.9, 0.4], [0.3, 0.7]], [[0.01, 0.99], [0.8, 0.1], [0.5, 0.5]], 0.5),
    "deep": (DEEP, np.linspace(-1, 1, 12).reshape(4, 3), np.linspace(0, 1, 8).reshape(4, 2), 0.7),
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(net, X, Y, eta, mistake=None):
    """One update by a learner with sigmoid units and squared error, who may make a mistake. Numbers by their names."""
    W, theta = [np.array(w) for w in net.weights], [np.array(t) for t in net.thresholds]
    layers = len(W)
    sign = 1 if mistake == "net + theta" else -1

    def forward(x, W, theta):
        b = [np.asarray(x)]
        for w, t in zip(W, theta, strict=True):
            b.append(
                sigmoid((b[-1] @ w.T if mistake == "transposed" and w.shape[0] == w.shape[1] else b[-1] @ w) + sign * t)
            )
        return b

    def error(y_hat, y):
        half = 1 if mistake == "no half" else 0.5
        total = half * np.sum((y_hat - y) ** 2)
        return total / len(y) if mistake == "mean over outputs" else total

    seen, dW, dtheta, errors = [], [np.zeros_like(w) for w in W], [np.zeros_like(t) for t in theta], []
    for x, y in zip(X, Y, strict=True):
        b = forward(x, W, theta)
        errors.append(error(b[-1], y))
        slope = [np.ones_like(o) if mistake == "no slope" else o * (1 - o) for o in b[1:]]
        if mistake == "no hidden slope":
            slope[:-1] = [np.ones_like(o) for o in b[1:-1]]
        d = np.asarray(y) - b[-1]
        d = 2 * d if mistake == "no half" else d / len(y) if mistake == "mean over outputs" else d
        g = [slope[-1] * d]
        for index in reversed(range(1, layers)):
            w = W[index]
            if mistake == "updated weights":
                w = w + eta * np.outer(b[index], g[0])
            if mistake == "transposed" and w.shape[0] == w.shape[1]:
                w = w.T
            g.insert(0, slope[index - 1] * (w @ g[0]))
        for index in range(layers):
            dW[index] += eta * np.outer(b[index], g[index])
            dtheta[index] += (1 if mistake == "dtheta" else -1) * eta * g[index]
        seen.append((b, g, [b[index] @ W[index] for index in range(layers)]))
    if mistake != "sum":
        dW, dtheta = [d / len(X) for d in dW], [d / len(X) for d in dtheta]
    if mistake == "ascent":
        dW, dtheta = [-d for d in dW], [-d for d in dtheta]
    new_W, new_theta = ([a + d for a, d in zip(old, step, strict=True)] for old, step in ((W, dW), (theta, dtheta)))
    numbers = {"E": np.mean(errors)}
    of = lambda part: part[0] if len(part) == 1 else np.array(part)  # noqa: E731
    for index in range(layers):
        output, mark = index == layers - 1, "" if layers == 2 or index == layers - 1 else str(index + 1)
        names = ("y_hat", "g", "w", "theta") if output else ("b", "e", "v", "gamma")
        numbers[names[0] + mark] = of([b[index + 1] for b, _, _ in seen])
        numbers[names[1] + mark] = of([g[index] for _, g, _ in seen])
        numbers[f"d{names[2]}{mark}"], numbers[f"d{names[3]}{mark}"] = dW[index], dtheta[index]
        numbers[f"{names[2]}{mark}_new"], numbers[f"{names[3]}{mark}_new"] = new_W[index], new_theta[index]
    numbers["E_new"] = np.mean([error(forward(x, new_W, new_theta)[-1], y) for x, y in zip(X, Y, strict=True)])
    return numbers


PLANTED = [
    ("updated weights", "already updated weights"),
    ("net + theta", "threshold sign in the net input"),
    ("dtheta", "threshold sign in the update"),
    ("no slope", "missing slope"),
    ("no hidden slope", "missing slope in the hidden layers"),
    ("no half", "factor ½ missing"),
    ("mean over outputs", "mean over the outputs"),
    ("ascent", "ascent for descent"),
]


def rounded(numbers, digits):
    """The numbers to so many significant digits."""
    return {name: np.vectorize(lambda x: float(f"{x:.{digits}g}"))(value).tolist() for name, value in numbers.items()}


@pytest.mark.parametrize("digits", [17, 7, 5])
@pytest.mark.parametrize(("mistake", "name"), PLANTED)
@pytest.mark.parametrize("case", list(CASES))
def test_a_planted_mistake_is_found_and_named(case, mistake, name, digits):
    net, X, Y, eta = CASES[case]
    trace = bpjit.trace(net, X, Y, eta=eta)
    result = trace.compare(rounded(by_hand(net, X, Y, eta, mistake), digits))
    assert not result.ok
    assert [suspicion.name for suspicion in result.suspicions] == [name]
    assert result.suspicions[0].explains == result.wrong


@pytest.mark.parametrize("digits", [17, 5])
@pytest.mark.parametrize("case", list(BATCHES))
def test_sum_for_mean_is_found_and_named(case, digits):
    net, X, Y, eta = BATCHES[case]
    trace = bpjit.trace(net, X, Y, eta=eta, updates="accumulated")
    result = trace.compare(rounded(by_hand(net, X, Y, eta, "sum"), digits))
    assert [suspicion.name for suspicion in result.suspicions] == ["sum for mean"]
    assert trace.compare(rounded(by_hand(net, X, Y, eta), digits)).ok


def test_transposed_weights_are_found_and_named():
    for net, X, Y in ((S1, [[0.05, 0.10]], [[0.01, 0.99]]), (SQUARE, [[0.3, -0.7, 1.1]], [[0.2, 0.9]])):
        result = bpjit.trace(net, X, Y, eta=0.5).compare(by_hand(net, X, Y, 0.5, "transposed"))
        assert [suspicion.name for suspicion in result.suspicions] == ["transposed weights"]


@pytest.mark.parametrize("digits", [17, 9, 6, 4, 3])
@pytest.mark.parametrize("case", list(CASES))
def test_right_numbers_are_right_to_the_digits_given(case, digits):
    net, X, Y, eta = CASES[case]
    trace = bpjit.trace(net, X, Y, eta=eta)
    result = trace.compare(rounded(by_hand(net, X, Y, eta), digits))
    assert result.ok, result
    assert result.suspicions == ()
    assert all(finding.verdict == "right" for finding in result.findings)
    assert "everything is right" in str(result)


def test_the_trace_s_own_numbers_are_right_in_every_notation():
    import json

    for net, X, Y, eta in (*CASES.values(), *BATCHES.values()):
        for notation, updates in itertools.product(("book", "delta"), ("stochastic", "accumulated")):
            trace = bpjit.trace(net, X, Y, eta=eta, updates=updates).styled(notation=notation)
            assert trace.compare(json.loads(trace.json())["steps"][0]["numbers"]).ok


def test_s1_the_web_copies_e_comes_from_already_updated_weights():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5, train_thresholds=False)
    result = trace.compare({"E": "0.298371109", "E_new": "0.291027924"})
    assert result.wrong == ("E_new",)
    assert [suspicion.name for suspicion in result.suspicions] == ["already updated weights"]
    assert trace.compare({"E_new": "0.291027774"}).ok


def test_s1_the_text_s_slip_is_wrong_and_no_mistake_of_method():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5)
    result = trace.compare({"y_hat": [0.75136079, 0.772928465]})
    assert result.wrong == ("y_hat",)
    assert result.findings[0].difference == pytest.approx(0.7513650695523157 - 0.75136079)
    assert result.suspicions == ()
    assert "no usual mistake" in str(result)
    assert trace.compare({"y_hat": [0.75136507, 0.772928465]}).ok


def test_delta_notation_and_its_signs():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5).styled(notation="delta")
    right = {
        "net1": [0.3775, 0.3925],
        "delta2": [0.138498562, -0.038098237],
        "b2": [0.6, 0.6],
        "out2": [0.751365, 0.772928],
    }
    assert trace.compare(right).ok
    turned = trace.compare(right | {"delta2": [-0.138498562, 0.038098237]})
    assert "sign of the gradient terms" in [suspicion.name for suspicion in turned.suspicions]


def test_weights_may_be_those_before_or_after_the_step():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5, train_thresholds=False)
    assert trace.compare({"w": [[0.40, 0.50], [0.45, 0.55]]}).ok
    assert trace.compare({"w": [[0.358916, 0.511301], [0.408666, 0.561370]]}).ok
    assert trace.compare({"w": [[0.351234, 0.511301], [0.408666, 0.561370]]}).wrong == ("w",)
    kept = trace.compare({"w_new": [[0.40, 0.50], [0.45, 0.55]]})
    assert "not updated" in [suspicion.name for suspicion in kept.suspicions]


def test_rounding_on_the_way_is_no_mistake_but_a_wrong_digit_is():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5)
    near = trace.compare({"g": [-0.1384, 0.0381]})  # right is -0.13850
    assert near.ok
    assert near.findings[0].verdict == "rounded"
    assert not trace.compare({"g": [-0.1375, 0.0381]}).ok
    assert trace.compare({"g": [-0.1375, 0.0381]}, rtol=0.01).ok
    assert not trace.compare({"g": [-0.13849, 0.0381]}, rtol=1e-6).ok


def test_one_digit_does_not_fit_everything():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5)
    assert not trace.compare({"y_hat": [1, 1]}).ok
    assert not trace.compare({"g": [0, 0]}).ok
    assert not trace.compare({"g": [-0.1, 0.0], "e": [-0.0088, -0.01]}).ok
    assert trace.compare({"e": [-0.0088, -0.01]}).ok


def test_relu_units_asleep_have_zeros_that_are_right():
    net = bpjit.Network.from_arrays([[[1.0, -1.0]], [[0.5], [0.5]]], [[0.0, 0.0], [0.0]], "relu", "identity")
    trace = bpjit.trace(net, [2.0], [3.0], eta=0.1)
    assert trace.compare({"b": [2, 0], "e": [1.0, 0.0], "g": [2.0]}).ok
    assert trace.compare({"b": [2, 0], "e": [1.0, 1.0]}).wrong == ("e",)


def test_two_mistakes_at_once_are_named_one_by_one():
    net, X, Y, eta = CASES["S1"]
    right = by_hand(net, X, Y, eta)
    mine = right | {"dtheta": -right["dtheta"], "e": by_hand(net, X, Y, eta, "no hidden slope")["e"]}
    names = {s.name for s in bpjit.trace(net, X, Y, eta=eta).compare(mine).suspicions}
    assert {"threshold sign in the update", "missing slope in the hidden layers"} <= names


def test_the_answer_in_chinese():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5).styled(language="zh")
    text = str(trace.compare({"e": [-0.03635, -0.04137], "g": [-0.1385, 0.0381]}))
    assert "错误" in text
    assert "漏乘了导数" in text
    assert "wrong" not in text


@pytest.mark.parametrize(
    ("mine", "error", "message"),
    [
        ([0.1], TypeError, "expected a dict"),
        ({}, TypeError, "expected a dict"),
        ({"yhat": [1, 2]}, ValueError, 'did you mean "y_hat"'),
        ({"g": [1, 2, 3]}, ValueError, r"my_numbers\['g'\]: expected numbers of shape \(2,\)"),
        ({"g": ["a", 2]}, TypeError, r"my_numbers\['g'\]: expected"),
        ({"g": [float("nan"), 2]}, ValueError, "finite"),
        ({"E": None}, TypeError, "expected a number"),
    ],
)
def test_numbers_that_cannot_be_compared(mine, error, message):
    with pytest.raises(error, match=message):
        bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99]).compare(mine)


def test_a_step_that_is_not_there():
    with pytest.raises(ValueError, match="step: expected a whole number >= 1 and <= 1"):
        bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99]).compare({"E": 1.0}, step=2)


def test_mistakes_that_lead_beyond_all_numbers_are_passed_over():
    net = bpjit.Network.from_arrays([[[1e-3]]], [[0.0]], output="identity")
    trace = bpjit.trace(net, [1e154], [0.0], eta=1e-300)
    result = trace.compare({"g": [1e151]})
    assert result.wrong == ("g",)
    assert "sign of the gradient terms" in [suspicion.name for suspicion in result.suspicions]
