"""The numbers and traps of the source texts on computational graphs, descent, derivatives and single units, each test
named after its text, all through the public API. ``test_sources.py`` has those on networks."""

import math

import numpy as np
import pytest

import bpjit
from bpjit import descent, graph, unit

# --- S1, the worked example: the chain rule on a computational graph.


@pytest.fixture
def text_graph():
    """e = (a + b)(b + 1) with c = a + b and d = b + 1."""
    a, b = graph.variables("a b")
    c, d = (a + b).named("c"), (b + 1).named("d")
    return a, b, c, d, (c * d).named("e")


def test_s1_computational_graph(text_graph):
    _, _, c, d, e = text_graph
    assert e.evaluate(a=2, b=1) == 6
    assert e.gradient(a=2, b=1) == {"a": 2, "b": 5}
    sweep = e.sweep(a=2, b=1)
    assert sweep.values == {"a": 2, "b": 1, "c": 3, "d": 2, "e": 6}
    assert [sweep[node] for node in (e, c, d)] == [1, 2, 3]  # ∂e/∂c = d, ∂e/∂d = c
    assert sweep.edges == {("a", "c"): 1, ("b", "c"): 1, ("b", "d"): 1, ("c", "e"): 2, ("d", "e"): 3}
    assert e.compile().gradient([2, 1]).tolist() == [2, 5]


def test_s1_one_reverse_sweep_gives_all_a_forward_sweep_one_at_a_time(text_graph):
    a, b, c, d, e = text_graph
    by_b = e.forward(b, a=2, b=1)
    assert [by_b[node] for node in (a, b, c, d, e)] == [0, 1, 1, 1, 5]
    by_a = e.forward(a, a=2, b=1)
    assert [by_a[node] for node in (a, b, c, d, e)] == [1, 0, 1, 0, 2]


def test_s1_the_intermediate_table(text_graph):
    rows = [line.split() for line in str(text_graph[-1].sweep(a=2, b=1)).splitlines()[2:]]
    assert [row[0] for row in rows] == ["e", "d", "c", "b", "a"]
    assert rows[3][1:] == ["1", "5", "2·1", "+", "3·1"]  # over c and over d


@pytest.fixture
def mazur():
    """S1's network as a graph: E in its weights w1 to w8 and one bias a layer."""
    w = graph.variables(" ".join(f"w{k}" for k in range(1, 9)))
    b1, b2 = graph.variables("b1 b2")
    i1, i2, o1, o2 = 0.05, 0.10, 0.01, 0.99
    h1 = graph.sigmoid((w[0] * i1 + w[1] * i2 + b1).named("net_h1")).named("out_h1")
    h2 = graph.sigmoid((w[2] * i1 + w[3] * i2 + b1).named("net_h2")).named("out_h2")
    y1 = graph.sigmoid((w[4] * h1 + w[5] * h2 + b2).named("net_o1")).named("out_o1")
    y2 = graph.sigmoid((w[6] * h1 + w[7] * h2 + b2).named("net_o2")).named("out_o2")
    E = (((o1 - y1) ** 2 + (o2 - y2) ** 2) / 2).named("E")
    values = dict(zip([f"w{k}" for k in range(1, 9)], [0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55], strict=True))
    return E, values | {"b1": 0.35, "b2": 0.60}


def test_s1_the_network_s_error_as_a_graph(mazur):
    E, values = mazur
    sweep = E.sweep(values)
    expected = {
        "net_h1": 0.3775,
        "net_h2": 0.3925,
        "out_h1": 0.5932699921071872,
        "out_h2": 0.596884378259767,
        "net_o1": 1.10590596705977,
        "net_o2": 1.2249214040964653,
        "out_o1": 0.7513650695523157,
        "out_o2": 0.7729284653214625,
        "E": 0.2983711087600027,
    }
    assert {name: sweep.value_of(name) for name in expected} == pytest.approx(expected, rel=1e-14)
    minus_g, minus_e = (0.13849856162855695, -0.038098236516556236), (0.00877135468948693, 0.009954254705217196)
    assert (sweep["net_o1"], sweep["net_o2"]) == pytest.approx(minus_g, rel=1e-13)
    assert (sweep["net_h1"], sweep["net_h2"]) == pytest.approx(minus_e, rel=1e-13)


def test_s1_one_step_of_descent_on_the_graph_is_one_step_of_bp(mazur):
    """The weights move, the biases do not; all gradient terms with the old weights."""
    E, values = mazur
    trained = [
        *[0.1497807161327628, 0.19956143226552567, 0.24975114363236958, 0.29950228726473915],
        *[0.35891647971788465, 0.4086661860762334, 0.5113012702387375, 0.5613701211079891],
    ]
    slopes = E.gradient(values)
    weights = [values[f"w{k}"] - 0.5 * slopes[f"w{k}"] for k in range(1, 9)]
    assert weights == pytest.approx(trained, rel=1e-14)
    after = values | {f"w{k}": w for k, w in enumerate(weights, start=1)}
    assert E.evaluate(after) == pytest.approx(0.29102777369359933, rel=1e-13)


def test_s1_output_weights_updated_first_give_the_web_copies_error(mazur):
    """The trap: hidden terms from output weights that were already updated lead to 0.291027924."""
    E, values = mazur
    half = values | {f"w{k}": values[f"w{k}"] - 0.5 * E.gradient(values)[f"w{k}"] for k in range(5, 9)}
    b = [E.sweep(values).value_of(name) for name in ("out_h1", "out_h2")]
    minus_g = [E.sweep(values)[name] for name in ("net_o1", "net_o2")]
    wrong = [b[h] * (1 - b[h]) * sum(minus_g[j] * half[f"w{5 + 2 * j + h}"] for j in range(2)) for h in range(2)]
    step = {
        f"w{1 + 2 * h + i}": values[f"w{1 + 2 * h + i}"] - 0.5 * wrong[h] * x
        for h in range(2)
        for i, x in enumerate((0.05, 0.10))
    }
    assert E.evaluate(half | step) == pytest.approx(0.291027924, abs=5e-10)


def test_s1_gradients_of_graph_and_bpjit_are_the_same(mazur):
    E, values = mazur
    net = bpjit.Network.from_arrays(
        [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35, -0.35], [-0.60, -0.60]]
    )
    slope = net.with_parameters(bpjit.gradient(net, [[0.05, 0.10]], [[0.01, 0.99]]))
    found = E.gradient(values)
    expected = [*slope.v.T.ravel(), *slope.w.T.ravel()]
    np.testing.assert_allclose([found[f"w{k}"] for k in range(1, 9)], expected, rtol=1e-12)
    # one bias for both units of a layer: its slope is the sum, and a threshold is a bias with the other sign
    assert (found["b1"], found["b2"]) == pytest.approx((-slope.gamma.sum(), -slope.theta.sum()), rel=1e-12)


def test_s1_the_cost_is_not_convex():
    """Between two networks with the same error, their hidden units exchanged, lies one with a larger error."""
    X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    net = bpjit.train(bpjit.Network.random((2, 2, 1), seed=1), X, Y, eta=5.0, stop=3000).network
    turned = bpjit.Network.from_arrays([net.v[:, ::-1], net.w[::-1]], [net.gamma[::-1], net.theta])
    between = net.with_parameters((net.parameters + turned.parameters) / 2)
    errors = [bpjit.error(n, X, Y) for n in (net, turned, between)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-12)
    assert errors[2] > 2 * errors[0]


# --- S2, the visual view.


def test_s2_himmelblau_s_minima_and_maximum():
    """Newton's method on the gradient, from near each, by the second derivatives written out."""

    def newton(x, y):
        for _ in range(20):
            H = np.array([[12 * x * x + 4 * y - 42, 4 * (x + y)], [4 * (x + y), 12 * y * y + 4 * x - 26]])
            x, y = np.array([x, y]) - np.linalg.solve(H, descent.himmelblau.gradient(x, y))
        return x, y, np.linalg.eigvalsh(H)

    text = [
        (3, 2),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644034),
    ]
    assert len(descent.himmelblau.minima) == 4
    for point, listed in zip(text, descent.himmelblau.minima, strict=True):
        x, y, curvature = newton(*np.round(point, 1))
        assert (x, y) == pytest.approx(point, rel=1e-14)
        assert listed == pytest.approx(point, rel=1e-15)
        assert curvature[0] > 0
        assert descent.himmelblau(*listed) == pytest.approx(0, abs=1e-26)
    x, y, curvature = newton(-0.3, -0.9)
    assert (x, y) == pytest.approx((-0.2708445906673476, -0.9230385564799815), rel=1e-13)
    assert descent.himmelblau.maxima == ((-0.2708445906673476, -0.9230385564799815),)
    assert curvature[-1] < 0
    assert descent.himmelblau(x, y) == pytest.approx(181.6165215225827, rel=1e-14)


@pytest.mark.parametrize(
    ("start", "number"), [((0, 0), 0), ((-1, 3), 1), ((-4, -1), 2), ((2, -4), 3)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_s2_gradient_descent_on_himmelblau_s_surface(start, number, rule):
    """Each of the four minima is found, from a start of its own; the optimiser is a module of its own."""
    eta = {"sgd": 0.01, "momentum": 0.0005, "adam": 0.05}[rule]
    path = descent.minimise(descent.himmelblau, start, eta=eta, rule=rule, steps=5000)
    assert path.stopped_by == "tolerance"
    assert path.end == pytest.approx(descent.himmelblau.minima[number], abs=1e-8)
    assert path.value < 1e-15


def test_s2_descent_from_the_maximum_goes_nowhere():
    """The trap: where the gradient is 0, descent stays, and be it on the top."""
    path = descent.minimise(descent.himmelblau, descent.himmelblau.maxima[0], eta=0.01, tolerance=1e-6)
    assert (path.steps, path.stopped_by) == (0, "tolerance")


def test_s2_partial_derivatives_are_nudges():
    """Nudge one parameter a little: the cost moves by the partial derivative times the nudge."""
    x, y, h = 1.0, 2.0, 1e-6
    slope = descent.himmelblau.gradient(x, y)
    assert descent.himmelblau(x + h, y) - descent.himmelblau(x, y) == pytest.approx(h * slope[0], rel=1e-4)
    assert descent.himmelblau(x, y + h) - descent.himmelblau(x, y) == pytest.approx(h * slope[1], rel=1e-4)


def test_s2_neuron_layer_network():
    """a = f(pa), pa = Σ w·x + b; W is p × q, b and a have q entries."""
    neuron = bpjit.Unit([0.5, -0.25], -0.1, "sigmoid")
    assert neuron.net_input([2.0, 4.0]) == pytest.approx(0.5 * 2 - 0.25 * 4 + 0.1)
    assert neuron.bias == 0.1
    assert neuron.predict([2.0, 4.0]) == pytest.approx(1 / (1 + math.exp(-0.1)))
    net = bpjit.Network.random((3, 5, 2), init="normal", seed=0)
    chain = bpjit.chain_rule(net, [0.1, -0.2, 0.3], [1.0, 0.0])
    for layer, (p, q) in zip(chain.layers, ((3, 5), (5, 2)), strict=True):
        assert layer.W.shape == layer.dC_dW.shape == (p, q)
        assert layer.b.shape == layer.pa.shape == layer.a.shape == (q,)
        assert layer.dC_da.shape == layer.dC_dpa.shape == layer.dC_db.shape == (q,)
        assert layer.below.shape == layer.dC_dbelow.shape == (p,)
        np.testing.assert_allclose(layer.a, 1 / (1 + np.exp(-layer.pa)), rtol=1e-14)
    assert chain.layers[1].below.tolist() == chain.layers[0].a.tolist()
    assert chain.layers[1].dC_dbelow.tolist() == chain.layers[0].dC_da.tolist()


def test_s2_the_cost_has_no_half_and_biases_for_thresholds():
    """The trap: C = Σ (a − y)² is twice E, so the text's gradients are twice bpjit's, those by a bias with the other
    sign."""
    net = bpjit.Network.random((2, 3, 1), init="normal", seed=3)
    x, y = [0.4, -0.7], [0.25]
    chain = bpjit.chain_rule(net, x, y)
    slope = net.with_parameters(bpjit.gradient(net, [x], [y]))
    assert chain.cost == pytest.approx(2 * bpjit.error(net, [x], [y]), rel=1e-14)
    np.testing.assert_allclose(chain.layers[1].dC_dW, 2 * slope.w, rtol=1e-12)
    np.testing.assert_allclose(chain.layers[1].dC_db, -2 * slope.theta, rtol=1e-12)
    np.testing.assert_allclose(chain.layers[0].dC_dW, 2 * slope.v, rtol=1e-12)
    np.testing.assert_allclose(chain.layers[0].dC_db, -2 * slope.gamma, rtol=1e-12)


# --- S4, why derivatives.


@pytest.mark.parametrize("seed", range(20))
def test_s4_random_nudges_work_for_positive_and_fail_for_negative_inputs(seed):
    neuron = descent.multiplying_neuron
    assert neuron(5, 6) == neuron(-5, -6) == 30
    assert descent.nudge(neuron, (5, 6), step=0.01, seed=seed).value > 30
    assert descent.nudge(neuron, (-5, -6), step=0.01, seed=seed).value < 30


@pytest.mark.parametrize("start", [(5, 6), (-5, -6)])
@pytest.mark.parametrize("gradient", [None, "graph"])
def test_s4_derivatives_work_for_both(start, gradient):
    a, b = graph.variables("a b")
    neuron = descent.multiplying_neuron if gradient is None else a * b
    one = descent.maximise(neuron, start, eta=0.01, steps=1, updates="one after another", gradient=gradient)
    assert one.value == 30.616035999999998
    assert np.abs(one.end) == pytest.approx([5.06, 6.0506], rel=1e-15)


@pytest.mark.parametrize("start", [(5, 6), (-5, -6)])
def test_s4_both_at_once_give_another_number(start):
    """The trap: the text uses the new a for b; gradient descent proper moves both by the old point."""
    both = descent.maximise(descent.multiplying_neuron, start, eta=0.01, steps=1)
    assert both.value == pytest.approx(30.613, rel=1e-14)
    assert np.abs(both.end) == pytest.approx([5.06, 6.05], rel=1e-15)


def test_s4_the_derivative_as_a_limit():
    """(f(a + h) − f(a))/h tends to b, and for a product it is b for every h."""
    f = lambda a: a * 6  # noqa: E731
    found = descent.derivative(f, 5.0, kind="forward")
    assert found.value == pytest.approx(6, abs=found.error)
    square = descent.derivative(lambda a: a * a, 5.0, kind="forward", steps=[1e-1, 1e-2, 1e-3, 1e-4])
    np.testing.assert_allclose(square.values, 10 + square.steps, rtol=1e-10)  # (2ah + h²)/h


@pytest.mark.parametrize("start", [-3.0, 0.0, 4.0, 9.0])
def test_s4_gradient_ascent_from_either_side_of_the_maximum(start):
    path = descent.maximise(descent.hill, start, eta=0.1)
    assert path.end == pytest.approx([2])
    side = np.sign(path.points[:-1, 0] - 2)
    assert (side == side[0]).all()  # never over the top
    assert (np.diff(path.values) >= 0).all()


def test_s4_too_large_a_step_overshoots():
    """On 3 − (x − 2)² each step multiplies the distance from the top by 1 − 2η."""
    for eta in (0.3, 0.5, 0.9, 1.0, 1.2):
        x = descent.maximise(descent.hill, 3.0, eta=eta, steps=6, tolerance=0).points[:, 0]
        np.testing.assert_allclose(x - 2, (1 - 2 * eta) ** np.arange(len(x)), atol=1e-12)
    assert descent.maximise(descent.hill, 3.0, eta=1.2, steps=10_000).diverged


# --- S5, the pumpkin-book chapter.


def test_s5_weight_71_height_178_gives_0_87_and_an_absolute_error_of_0_13():
    """The chapter prints no weights; these, ours, give its numbers."""
    neuron = bpjit.Unit([0.04, 0.06], 11.62, "sigmoid")
    assert round(float(neuron.predict([71, 178])), 2) == 0.87
    assert neuron.net_input([71, 178]) == pytest.approx(math.log(0.87 / 0.13), abs=1e-3)
    assert round(bpjit.error(neuron.network, [[71, 178]], [1], loss="absolute"), 2) == 0.13


def test_s5_a_gradient_step_on_the_absolute_loss_of_that_neuron():
    """w ← w − α ∂L/∂w with ∂L/∂w = ∂L/∂ŷ · ∂ŷ/∂w, by the library and by a graph."""
    neuron = bpjit.Unit([0.04, 0.06], 11.62, "sigmoid")
    trained = bpjit.train(neuron.network, [[71, 178]], [1], loss="absolute", eta=1e-5, stop=1).network
    w1, w2, theta = graph.variables("w1 w2 theta")
    loss = abs(1 - graph.sigmoid(71 * w1 + 178 * w2 - theta))
    slopes = loss.gradient(w1=0.04, w2=0.06, theta=11.62)
    expected = [0.04 - 1e-5 * slopes["w1"], 0.06 - 1e-5 * slopes["w2"], 11.62 - 1e-5 * slopes["theta"]]
    np.testing.assert_allclose(trained.parameters, expected, rtol=1e-14)
    assert slopes["w1"] == pytest.approx(-71 * 0.87 * 0.13, rel=1e-3)


@pytest.mark.parametrize("gate", ["AND", "OR"])
def test_s5_one_functional_unit_separates_and_and_or(gate):
    labels = unit.TRUTH_TABLES[gate]
    assert bpjit.Unit.gate(gate).predict(unit.CORNERS).tolist() == list(labels)
    assert unit.separate(unit.CORNERS, labels).unit.predict(unit.CORNERS).tolist() == list(labels)
    assert bpjit.Unit([0, 0]).learn(unit.CORNERS, labels).converged


def test_s5_no_functional_unit_is_xor_but_two_layers_are():
    labels = unit.TRUTH_TABLES["XOR"]
    proof = unit.separate(unit.CORNERS, labels)
    assert not proof.separable
    assert proof.point == pytest.approx([0.5, 0.5])
    assert proof.shares == pytest.approx([0.5, 0.5, 0.5, 0.5])
    assert bpjit.Unit([0, 0]).learn(unit.CORNERS, labels).stopped_by == "cycle"
    assert unit.xor_network().classify(unit.CORNERS).tolist() == list(labels)
