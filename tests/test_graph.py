"""Computational graphs: values and derivatives against central differences and NumPy, sweeps, tables, pictures."""

import math
import random
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bpjit
import reference
from bpjit import graph

UNARY = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    **{
        name: lambda z, name=name: reference.ACTIVATIONS[name](z)[0]
        for name in ("sigmoid", "relu", "leaky_relu", "softplus", "softsign", "step")
    },
}
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
X, Y = graph.variables("x y")


def slopes(function, point, h=1e-6):
    """Central differences of a function of several numbers."""
    return [
        (
            function(*[p + h * (i == k) for i, p in enumerate(point)])
            - function(*[p - h * (i == k) for i, p in enumerate(point)])
        )
        / (2 * h)
        for k in range(len(point))
    ]


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("x", [0.3, 1.7, -0.9])
def test_every_function_has_numpys_value_and_the_slope_of_differences(name, x):
    if name in ("log", "sqrt"):
        x = abs(x)
    e = getattr(graph, name)(X)
    assert e.evaluate(x=x) == pytest.approx(float(UNARY[name](x)), rel=1e-14)
    assert e.gradient(x=x)["x"] == pytest.approx(slopes(UNARY[name], [x])[0], rel=1e-8, abs=1e-9)
    assert e.compile()([x]) == pytest.approx(float(UNARY[name](x)), rel=1e-14)


@pytest.mark.parametrize("sign", BINARY)
@pytest.mark.parametrize("point", [(1.3, 0.7), (2.0, -1.5)])
def test_every_operator_with_a_number_on_either_side(sign, point):
    operator, (x, y) = BINARY[sign], point
    for e, function in (
        (operator(X, Y), operator),
        (operator(X, y), lambda x, y: operator(x, point[1])),
        (operator(x, Y), lambda x, y: operator(point[0], y)),
        (operator(np.float64(x), Y), lambda x, y: operator(point[0], y)),
    ):
        values = {name: value for name, value in zip("xy", point, strict=True) if name in e.variables}
        assert e.evaluate(values) == pytest.approx(function(x, y), rel=1e-14)
        expected = dict(zip("xy", slopes(function, point), strict=True))
        for name, slope in e.gradient(values).items():
            assert slope == pytest.approx(expected[name], rel=1e-7)


def test_signs_and_choices():
    e = abs(-X) + graph.maximum(X, Y) * graph.minimum(X, 2)
    assert e.evaluate(x=3, y=-1) == 3 + 3 * 2
    assert e.gradient(x=3, y=-1) == {"x": 1 + 2, "y": 0}
    assert e.gradient(x=-3, y=1) == {"x": -1 + 1, "y": -3}


def test_slopes_at_corners_are_those_of_central_differences():
    for e, function in (
        (graph.maximum(X, Y), np.maximum),
        (graph.minimum(X, Y), np.minimum),
        (abs(X) + 0 * Y, lambda x, y: abs(x)),
    ):
        assert list(e.gradient(x=0, y=0).values()) == pytest.approx(slopes(function, (0.0, 0.0)))


def test_nan_passes_through_every_operation():
    for e in (X + 1, 1 - X, X * 2, 1 / X, X**2, graph.maximum(X, 1), graph.minimum(1, X), -X, abs(X), graph.relu(X)):
        assert math.isnan(e.evaluate(x=math.nan))
    for name in UNARY:
        assert math.isnan(getattr(graph, name)(X).evaluate(x=math.nan)) or name == "step"


@pytest.mark.parametrize("compiled", [False, True])
def test_outside_the_domain_as_numpy(compiled):
    """Nothing raises or warns; one pole does not spoil the other numbers."""
    cases = [
        (graph.log(X), 0.0, -math.inf),
        (graph.log(X), -1.0, math.nan),
        (1 / X, 0.0, math.inf),
        (1 / X, -0.0, -math.inf),
        (graph.sqrt(X), -1.0, math.nan),
        (X**0.5, -1.0, math.nan),
        (graph.exp(X), 1000.0, math.inf),
        (graph.sin(X), math.inf, math.nan),
        (graph.cos(X), -math.inf, math.nan),
    ]
    for e, x, value in cases:
        found = e.evaluate(x=np.array([x, 1.0])) if compiled else [e.evaluate(x=x), e.evaluate(x=1.0)]
        np.testing.assert_equal(found[0], value)
        assert math.isfinite(found[1])


def test_slopes_where_a_factor_is_zero_and_the_other_infinite():
    assert (X * graph.sqrt(X)).gradient(x=0) == {"x": 0}  # of x^1.5
    assert graph.maximum(graph.sqrt(X), 1).gradient(x=0) == {"x": 0}
    assert graph.sqrt(X).gradient(x=0) == {"x": math.inf}
    for exponent, slope in ((0, 0), (1, 1), (2, 0), (0.5, math.inf)):
        assert (X**exponent).gradient(x=0) == {"x": slope}
    assert (X**3).gradient(x=-2) == {"x": 12}  # the logarithm of −2 belongs to the exponent, which is no variable
    assert (X**Y).gradient(x=0, y=2) == {"x": 0, "y": 0}


# --- Random graphs.


def build(choose, depth=12):
    """A random graph with many shared nodes, and the same as a function of NumPy numbers; both stay near 1."""
    nodes = [X, Y]
    functions = [lambda x, y: x, lambda x, y: y]
    for _ in range(depth):
        i, j, kind = choose(len(nodes)), choose(len(nodes)), choose(8)
        f, g = functions[i], functions[j]
        a, b = nodes[i], nodes[j]
        node, function = [
            (a * b / 2, lambda x, y, f=f, g=g: f(x, y) * g(x, y) / 2),
            (a - b, lambda x, y, f=f, g=g: f(x, y) - g(x, y)),
            (0.5 * a + b, lambda x, y, f=f, g=g: 0.5 * f(x, y) + g(x, y)),
            (a / (2 + graph.sin(b)), lambda x, y, f=f, g=g: f(x, y) / (2 + np.sin(g(x, y)))),
            (graph.tanh(a), lambda x, y, f=f: np.tanh(f(x, y))),
            (graph.sigmoid(a) ** 2, lambda x, y, f=f: (1 / (1 + np.exp(-f(x, y)))) ** 2),
            (graph.softplus(a), lambda x, y, f=f: np.logaddexp(0, f(x, y))),
            (graph.log(1 + a * a) - graph.cos(b), lambda x, y, f=f, g=g: np.log(1 + f(x, y) ** 2) - np.cos(g(x, y))),
        ][kind]
        nodes.append(node)
        functions.append(function)
    # not a plain sum: all used, none dominant
    return sum(nodes, 0) + X, lambda x, y: sum(f(x, y) for f in functions) + x


@given(st.randoms(use_true_random=False), st.floats(-1, 1), st.floats(-1, 1))
def test_random_graphs_against_numpy_and_central_differences(chance, x, y):
    e, function = build(chance.randrange)
    point = {"x": x, "y": y}
    value = function(x, y)
    assert e.evaluate(point) == pytest.approx(value, rel=1e-12, abs=1e-12)
    expected = slopes(function, (x, y), h=1e-5)
    found = e.gradient(point)
    # central differences with h = 1e-5: h² f'''/6 + ε f/h, relative to the largest numbers at hand
    size = max(1.0, abs(value), *map(abs, expected))
    assert [found["x"], found["y"]] == pytest.approx(expected, abs=3e-6 * size)
    for name in "xy":
        assert e.forward(name, point)[e] == pytest.approx(found[name], rel=1e-12, abs=1e-12 * size)


@pytest.mark.parametrize("seed", range(10))
def test_compiled_equals_the_plain_sweep_at_every_node(seed):
    e, _ = build(random.Random(seed).randrange, depth=30)
    points = np.random.default_rng(seed).uniform(-2, 2, (20, 2))
    compiled = e.compile(X, Y)
    values, gradients, nodes = compiled(points), compiled.gradient(points), compiled.derivatives(points)
    for p, (x, y) in enumerate(points):
        sweep = e.sweep(x=x, y=y)
        assert values[p] == pytest.approx(sweep.value, rel=1e-13)
        assert gradients[p] == pytest.approx([sweep["x"], sweep["y"]], rel=1e-11)
        assert {name: D[p] for name, D in nodes.items()} == pytest.approx(sweep.derivatives, rel=1e-11, abs=1e-14)
    for k, variable in enumerate((X, Y)):
        np.testing.assert_allclose(compiled.derivative(variable, points), gradients[:, k], rtol=1e-11, atol=1e-12)


def test_many_points_in_several_blocks(monkeypatch):
    from bpjit.graph import program

    e = (X * Y + graph.exp(X)).compile()
    points = np.random.default_rng(0).normal(size=(5, 7, 2))
    whole = e(points), e.gradient(points)
    monkeypatch.setattr(program, "BLOCK", 20)
    np.testing.assert_array_equal(e(points), whole[0])
    np.testing.assert_array_equal(e.gradient(points), whole[1])
    assert whole[0].shape == (5, 7)
    assert whole[1].shape == (5, 7, 2)
    np.testing.assert_allclose(whole[0], points[..., 0] * points[..., 1] + np.exp(points[..., 0]), rtol=1e-14)


# --- What is shared, deep, cancelled.


def test_a_shared_node_is_computed_once():
    node = X
    for _ in range(200):  # written out: 2^200 operations
        node = node + node
    assert len(node.program) == 201
    assert node.evaluate(x=1) == 2.0**200
    assert node.gradient(x=1) == {"x": 2.0**200}
    assert len(str(node)) < 500


def test_equal_nodes_are_computed_once():
    e = (X + Y) * (X + Y)
    assert e.program.names == ["x", "y", "v1", "v2"]
    assert e.sweep(x=1, y=2).edges == {("x", "v1"): 1, ("y", "v1"): 1, ("v1", "v2"): 6}


def test_cancellation():
    e = X - X
    assert e.gradient(x=3) == {"x": 0}
    assert (X / X).gradient(x=3) == {"x": 0}
    assert graph.log(graph.exp(X)).gradient(x=3) == {"x": 1}


def test_a_graph_deeper_than_the_stack():
    node, depth = X, 50 * sys.getrecursionlimit()
    for _ in range(depth):
        node = node * 0.5 + 1
    assert node.evaluate(x=7) == pytest.approx(2)
    assert node.gradient(x=7)["x"] == pytest.approx(0.5**depth)
    assert node.compile().gradient([7.0])[0] == pytest.approx(0.5**depth)
    assert len(repr(node)) < 500


def test_zero_begins_a_sum_without_a_node():
    assert sum([X, Y]).program.names == ["x", "y", "v1"]


# --- A network as a graph.


@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu", "softsign"])
def test_a_network_s_error_as_a_graph_has_the_gradient_of_bpjit(hidden):
    rng = np.random.default_rng(5)
    net = bpjit.Network.from_arrays(
        [rng.normal(size=(2, 2)), rng.normal(size=(2, 2))], [rng.normal(size=2), rng.normal(size=2)], hidden=hidden
    )
    x, y = rng.normal(size=2), rng.random(2)
    names = [f"p{i}" for i in range(12)]
    p = graph.variables(" ".join(names))
    f = getattr(graph, hidden)
    b = [f(x[0] * p[0 + h] + x[1] * p[2 + h] - p[4 + h]) for h in range(2)]
    y_hat = [graph.sigmoid(b[0] * p[6 + j] + b[1] * p[8 + j] - p[10 + j]) for j in range(2)]
    E = sum((y_hat[j] - y[j]) ** 2 for j in range(2)) / 2
    point = dict(zip(names, net.parameters.tolist(), strict=True))
    expected = bpjit.gradient(net, [x], [y])
    assert E.evaluate(point) == pytest.approx(bpjit.error(net, [x], [y]), rel=1e-13)
    found = E.gradient(point)
    np.testing.assert_allclose([found[name] for name in names], expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(E.compile(*p).gradient(net.parameters), expected, rtol=1e-12, atol=1e-16)


# --- Showing.


def test_a_table_lists_the_nodes_in_the_order_of_its_sweep():
    e = ((X + Y).named("s") * -2).named("e")
    table = e.sweep(x=1, y=2).table()
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["e", "s", "y", "x"]
    assert re.search(r"^e +s \* \(-2\) +-6 +1 +1$", table, re.M)
    assert re.search(r"^s +x \+ y +3 +-2 +1·\(-2\)$", table, re.M)
    forward = e.forward("y", x=1, y=2)
    assert [line.split()[0] for line in str(forward).splitlines()[2:]] == ["x", "y", "s", "e"]
    assert "∂node/∂y" in str(forward)
    assert forward.gradient == {"y": -2}
    markdown = e.sweep(x=1, y=2).table("markdown").splitlines()
    assert markdown[2] == "| e | s \\* (-2) | -6 | 1 | 1 |"
    assert all(line.count("|") == markdown[0].count("|") for line in markdown)


@pytest.mark.parametrize(
    ("e", "text"),
    [
        ((X + Y) * (Y + 1), "(x + y) * (y + 1)"),
        (X - (Y - 1), "x - (y - 1)"),
        (X - Y - 1, "x - y - 1"),
        (X / (Y * 2), "x / (y * 2)"),
        ((X**2) ** Y, "(x ** 2) ** y"),
        (-(X * Y), "-(x * y)"),
        (2 ** (-X), "2 ** (-x)"),
        (graph.exp(X + Y) * abs(X), "exp(x + y) * abs(x)"),
        (graph.maximum(X, Y + 1), "maximum(x, y + 1)"),
        (X, "x"),
    ],
)
def test_text_means_what_was_built(e, text):
    assert str(e) == text
    names = {"x": 1.5, "y": 2.5, "exp": math.exp, "maximum": max}
    assert eval(text, names) == pytest.approx(e.evaluate({name: names[name] for name in e.variables}))


def test_nodes_are_found_by_themselves_and_by_name():
    s = (X + Y).named("s")
    sweep = (s * s).sweep(x=1, y=2)
    assert sweep[s] == sweep["s"] == 6
    assert sweep.value_of("s") == 3
    assert sweep[X] == 6
    with pytest.raises(ValueError, match='did you mean "s"'):
        sweep["S"]
    with pytest.raises(ValueError, match="a node of this graph"):
        sweep[X + Y]


def test_a_picture_shows_every_node_and_the_local_derivative_of_every_edge():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    e = ((X + Y).named("c") * (Y + 1).named("d")).named("e")
    axes = Figure().add_subplot()
    assert e.sweep(x=2, y=1).draw(ax=axes) is axes
    texts = {text.get_text(): text for text in axes.texts}
    at = {words.split()[0]: text.get_position() for words, text in texts.items() if "value" in words}
    assert set(at) == {"x", "y", "c", "d", "e"}
    assert "c = x + y\nvalue 3\n∂e/∂c = 2" in texts
    assert at["x"][0] == at["y"][0] < at["c"][0] == at["d"][0] < at["e"][0]
    assert at["c"][1] != at["d"][1]
    labels = sorted(text.get_text() for text in axes.texts if text.get_text() and "value" not in text.get_text())
    assert labels == ["1", "1", "1", "2", "3"]
    left, right = axes.get_xlim()
    assert all(left < x < right for x, _ in at.values())


def test_boxes_of_a_layer_keep_apart():
    pytest.importorskip("matplotlib")
    e, _ = build(random.Random(3).randrange, depth=9)
    axes = e.sweep(x=0.1, y=0.2).draw()
    at = [text.get_position() for text in axes.texts if "value" in text.get_text()]
    gaps = [abs(a[1] - b[1]) for i, a in enumerate(at) for b in at[:i] if a[0] == b[0]]
    assert len(at) == len(e.program.shown)
    assert min(gaps) > 0.9


def test_what_cannot_be_drawn():
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="at most 60 nodes, got 101"):
        graph_of(100).sweep(x=1).draw()
    with pytest.raises(TypeError, match="ax: expected matplotlib axes"):
        X.sweep(x=1).draw(ax=3)


def graph_of(count):
    node = X
    for _ in range(count):
        node = graph.sin(node)
    return node


def test_pictures_without_matplotlib_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match="pip install 'bpjit"):
        X.sweep(x=1).draw()


# --- What cannot be.


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: X + "y", TypeError, "operand: expected a finite number"),
        (lambda: X * math.nan, ValueError, "operand: expected a finite number"),
        (lambda: graph.exp(None), TypeError, "x: expected a finite number"),
        (lambda: bool(X), TypeError, "neither true nor false"),
        (lambda: X.named("z"), ValueError, "expected an operation"),
        (lambda: (X + 1).named("two words"), ValueError, "without spaces"),
        (lambda: (X + 1).named("1a"), ValueError, "begin like a number"),
        (lambda: graph.variable(3), TypeError, "name: expected a name"),
        (lambda: graph.variables(""), TypeError, "names: expected names"),
        (lambda: (X + Y).evaluate(x=1), ValueError, "got none for y"),
        (lambda: (X + Y).evaluate(x=1, y=2, z=3), ValueError, 'expected one of "x", "y"'),
        (lambda: (X + Y).evaluate(3), TypeError, "values: expected a dictionary"),
        (lambda: (X + Y).evaluate(x="1", y=2), TypeError, "x: expected a finite number"),
        (lambda: (X + Y).evaluate(x=[1, 2], y=[1, 2, 3]), ValueError, "broadcast together, got x .2,., y .3,."),
        (lambda: (X + Y).sweep(x=[1, 2], y=1), TypeError, "x: expected a finite number"),
        (lambda: (X + Y).forward("z", x=1, y=1), ValueError, "by: expected one of"),
        (lambda: (X + Y).compile("x"), ValueError, "order: expected each of x, y once, got x"),
        (lambda: (X + Y).compile()([1, 2, 3]), ValueError, "points: expected numbers of shape"),
        (lambda: ((X + 1).named("c") + (X + 2).named("c")).evaluate(x=1), ValueError, "two different ones"),
        (lambda: X.sweep(x=1).table("html"), ValueError, 'form: expected one of "text", "markdown"'),
    ],
)
def test_errors_say_what_was_expected(call, error, words):
    with pytest.raises(error, match=words):
        call()
