"""Gradient descent and ascent: the loop against one written here, rules, endings, pictures."""

import math

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

import bpjit
import reference
from bpjit import descent, graph

BOWL = lambda x, y: (x - 1) ** 2 + 3 * (y + 2) ** 2  # noqa: E731
X, Y = graph.variables("x y")


def himmelblau_graph():
    return (X**2 + Y - 11) ** 2 + (X + Y**2 - 7) ** 2


def test_the_loop_is_that_of_the_texts():
    point, points = np.array([1.0, 1.0]), [[1.0, 1.0]]
    for _ in range(20):
        x, y = point
        slope = np.array(
            [4 * x * (x * x + y - 11) + 2 * (x + y * y - 7), 2 * (x * x + y - 11) + 4 * y * (x + y * y - 7)]
        )
        point = point - 0.01 * slope
        points.append(list(point))
    path = descent.minimise(descent.himmelblau, (1, 1), eta=0.01, steps=20)
    np.testing.assert_allclose(path.points, points, rtol=1e-13)
    np.testing.assert_allclose(path.values, [descent.himmelblau(*p) for p in path.points], rtol=1e-14)
    assert path.gradients.shape == (21, 2)
    assert (path.steps, path.stopped_by) == (20, "steps")


def test_every_gradient_leads_the_same_way():
    paths = [
        descent.minimise(descent.himmelblau, (1, 1), eta=0.01, steps=30),
        descent.minimise(himmelblau_graph(), (1, 1), eta=0.01, steps=30),
        descent.minimise(himmelblau_graph(), (1, 1), eta=0.01, steps=30, gradient="graph"),
        descent.minimise(descent.himmelblau, (1, 1), eta=0.01, steps=30, gradient=descent.himmelblau.gradient),
        descent.minimise(descent.himmelblau, (1, 1), eta=0.01, steps=30, gradient="numerical"),
        descent.minimise(lambda x, y: descent.himmelblau(x, y), (1, 1), eta=0.01, steps=30),
    ]
    for path in paths[1:4]:
        np.testing.assert_allclose(path.points, paths[0].points, rtol=1e-12)
    for path in paths[4:]:  # central differences err by about 1e-9
        np.testing.assert_allclose(path.points, paths[0].points, rtol=1e-7)


def test_maximising_f_is_minimising_its_negative():
    up = descent.maximise(lambda x, y: -BOWL(x, y), (0, 0), eta=0.05, steps=50)
    down = descent.minimise(BOWL, (0, 0), eta=0.05, steps=50)
    np.testing.assert_array_equal(up.points, down.points)
    np.testing.assert_array_equal(up.values, -down.values)


def test_one_variable_needs_no_tuple():
    path = descent.minimise(lambda x: (x - 3) ** 2, 0, eta=0.25)
    assert path.end == pytest.approx([3])
    assert path.points.shape == (path.steps + 1, 1)


@pytest.mark.parametrize("updates", ["at once", "one after another"])
def test_orders_of_updates(updates):
    path = descent.minimise(lambda x, y: x * x + x * y + y * y, (2.0, 1.0), eta=0.1, steps=1, updates=updates)
    x = 2.0 - 0.1 * (2 * 2.0 + 1.0)
    y = 1.0 - 0.1 * (2 * 1.0 + (2.0 if updates == "at once" else x))
    assert path.end == pytest.approx([x, y], rel=1e-9)


# --- Rules: descent on a quadratic E is accumulated BP of a linear unit, so train() must lead the same way.


RULES = [
    (bpjit.SGD(), 0.1),
    (bpjit.Momentum(), 0.05),
    (bpjit.Nesterov(), 0.05),
    (bpjit.Rprop(), None),
    (bpjit.Rprop("Rprop+"), None),
    (bpjit.Rprop("iRprop+"), None),
    (bpjit.Quickprop(), 0.1),
    (bpjit.Adagrad(), 0.3),
    (bpjit.RMSProp(), 0.02),
    (bpjit.Adam(), 0.1),
]


@pytest.mark.parametrize(("rule", "eta"), RULES, ids=lambda value: str(value))
def test_rules_step_as_they_do_in_training(rule, eta):
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(8, 2)), rng.normal(size=8)
    net = bpjit.Network.from_arrays([[[0.5], [-0.5]]], [[0.2]], output="identity")
    trained = bpjit.train(net, inputs, targets, rule=rule, eta=eta, updates="accumulated", stop=25).network
    error = lambda p: np.mean(0.5 * (inputs @ p[:2] - p[2] - targets) ** 2)  # noqa: E731

    def slope(*p):
        d = inputs @ np.array(p[:2]) - p[2] - targets
        return [*(d @ inputs / 8), -np.mean(d)]

    assert slope(0.5, -0.5, 0.2) == pytest.approx(reference.central_differences(error, net.parameters), rel=1e-6)
    path = descent.minimise(
        lambda *p: error(np.array(p)), net.parameters, gradient=slope, rule=rule, eta=eta, steps=25, tolerance=0
    )
    np.testing.assert_allclose(path.end, trained.parameters, rtol=1e-9)


def test_rosenbrock_valley():
    path = descent.minimise(
        lambda *p: rosen(p), (-1.0, 1.0, 0.5), gradient=lambda *p: rosen_der(p), rule="momentum", eta=3e-4, steps=20_000
    )
    assert path.stopped_by == "tolerance"
    np.testing.assert_allclose(path.end, 1, atol=1e-6)


# --- How it ends.


def test_a_step_too_large_diverges_and_says_so():
    path = descent.minimise(descent.himmelblau, (0, 0), eta=0.1)
    assert path.diverged
    assert path.stopped_by == "diverged"
    assert np.isfinite(path.points).all()
    assert np.isfinite(path.values).all()
    assert path.values[-1] > path.values[0]
    assert "stopped by diverged" in str(path)


@pytest.mark.parametrize("power", [lambda x: x**4, lambda x: float(x) ** 4, lambda x: math.exp(x * x)])
def test_overflow_is_divergence_whatever_python_says(power):
    assert descent.minimise(power, 3.0, eta=1.0).diverged


def test_tolerance_and_no_steps_at_all():
    assert descent.minimise(BOWL, (1, -2)).stopped_by == "tolerance"
    assert descent.minimise(BOWL, (1, -2)).steps == 0
    path = descent.minimise(BOWL, (0, 0), steps=0)
    assert (path.steps, path.stopped_by) == (0, "steps")
    loose = descent.minimise(BOWL, (0, 0), eta=0.1, tolerance=0.5)
    assert np.linalg.norm(loose.gradients[-1]) <= 0.5 < np.linalg.norm(loose.gradients[-2])


def test_the_start_stays_as_it_is():
    start = np.array([0.5, 0.5])
    descent.minimise(BOWL, start, eta=0.1, steps=3)
    assert start.tolist() == [0.5, 0.5]


# --- Nudges.


def test_nudges_are_step_times_a_number_from_0_to_1():
    path = descent.nudge(descent.multiplying_neuron, (5, 6), step=0.01, steps=2000, seed=3)
    moves = np.diff(path.points, axis=0) / 0.01
    assert moves.min() > -1e-9
    assert moves.max() < 1 + 1e-9
    assert moves.mean() == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0, abs=0.06)
    assert path.gradients is None
    again = descent.nudge(descent.multiplying_neuron, (5, 6), step=0.01, steps=10, seed=3)
    np.testing.assert_array_equal(again.points, path.points[:11])
    other = descent.nudge(descent.multiplying_neuron, (5, 6), step=0.01, steps=10, seed=4)
    assert (other.points[1:] != path.points[1:11]).all()


def test_nudges_that_leave_the_domain():
    path = descent.nudge(lambda x: math.exp(x * 1e5), 0.0, steps=1000)
    assert path.stopped_by == "diverged"
    assert np.isfinite(path.values).all()


# --- Ready functions.


@pytest.mark.parametrize("function", [descent.himmelblau, descent.multiplying_neuron, descent.hill])
def test_slopes_of_ready_functions(function):
    rng = np.random.default_rng(0)
    for point in rng.normal(size=(10, len(function.variables))):
        expected = reference.central_differences(lambda p: function(*p), point)
        assert function.gradient(*point) == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_himmelblau_as_a_graph_is_the_ready_one():
    points = np.random.default_rng(0).uniform(-5, 5, (50, 2))
    e = himmelblau_graph().compile("x", "y")
    np.testing.assert_allclose(e(points), [descent.himmelblau(*p) for p in points], rtol=1e-12)
    np.testing.assert_allclose(
        e.gradient(points), [descent.himmelblau.gradient(*p) for p in points], rtol=1e-10, atol=1e-10
    )


# --- Pictures.


def test_a_picture_of_paths_on_contours():
    pytest.importorskip("matplotlib")
    paths = [descent.minimise(descent.himmelblau, start, eta=0.01) for start in ((0, 0), (-4, 4))]
    axes = descent.draw(paths)
    assert axes.get_xlim() == axes.get_ylim() == (-6, 6)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    drawn = [line.get_xydata() for line in axes.get_lines()]
    for path in paths:
        assert any(np.array_equal(line, path.points) for line in drawn)
        assert any(np.array_equal(line, path.points[-1:]) for line in drawn)
    styles = [line.get_linestyle() for line in axes.get_lines() if len(line.get_xdata()) > 1]
    assert len(set(styles)) == 2
    assert [text.get_text()[:6] for text in axes.get_legend().get_texts()] == ["(0, 0)", "(-4, 4"]
    named = descent.draw(paths, labels=["one", "two"])
    assert [text.get_text() for text in named.get_legend().get_texts()] == ["one", "two"]
    with pytest.raises(ValueError, match="labels: expected 2, one for each path, got 1"):
        descent.draw(paths, labels=["one"])


@pytest.mark.parametrize("f", [himmelblau_graph(), lambda x, y: math.exp(x) + y * y])
def test_pictures_of_other_functions_and_given_limits(f):
    pytest.importorskip("matplotlib")
    path = descent.minimise(f, (0.1, 0.2), eta=0.01, steps=5)
    axes = path.draw(limits=[(-1, 1), (-2, 3)])
    assert axes.get_xlim() == (-1, 1)
    assert axes.get_ylim() == (-2, 3)
    low, high = path.draw().get_xlim()
    assert low < path.points[:, 0].min() <= path.points[:, 0].max() < high


def test_a_surface_and_a_curve():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    surface = descent.minimise(descent.himmelblau, (0, 0), eta=0.01).draw(kind="surface")
    assert surface.name == "3d"
    hill = descent.maximise(descent.hill, 0.0, eta=0.1, steps=5)
    axes = Figure().add_subplot()
    assert hill.draw(ax=axes) is axes
    np.testing.assert_array_equal(axes.get_lines()[1].get_xdata(), hill.points[:, 0])
    with pytest.raises(TypeError, match="projection"):
        descent.minimise(BOWL, (0, 0), eta=0.1).draw(ax=axes, kind="surface")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: descent.minimise(3, 0), TypeError, "f: expected a function"),
        (lambda: descent.minimise(lambda x: "a", 0), TypeError, "gives one number"),
        (lambda: descent.minimise(BOWL, (0, math.nan)), ValueError, "start: expected one number or several"),
        (lambda: descent.minimise(descent.himmelblau, 0), ValueError, "start: expected 2 numbers, for x, y, got 1"),
        (lambda: descent.minimise(lambda x: 1 / x, 0), ValueError, "start: expected a point where f"),
        (lambda: descent.minimise(BOWL, (0, 0), eta=-1), ValueError, "eta: expected a finite number > 0"),
        (lambda: descent.minimise(BOWL, (0, 0), rule="rprop", eta=1), ValueError, "Rprop has no learning rate"),
        (lambda: descent.minimise(BOWL, (0, 0), rule="adm"), ValueError, 'did you mean "adam"'),
        (lambda: descent.minimise(BOWL, (0, 0), gradient="graph"), ValueError, "needs an expression"),
        (lambda: descent.minimise(BOWL, (0, 0), gradient="numeric"), ValueError, 'did you mean "numerical"'),
        (lambda: descent.minimise(BOWL, (0, 0), gradient=3), TypeError, "gradient: expected a function"),
        (lambda: descent.minimise(BOWL, (0, 0), gradient=lambda x, y: x), ValueError, "expected 2 numbers"),
        (lambda: descent.minimise(BOWL, (0, 0), updates="together"), ValueError, "updates: expected one of"),
        (
            lambda: descent.minimise(BOWL, (0, 0), updates="one after another", rule="adam"),
            ValueError,
            'goes with the rule "sgd"',
        ),
        (lambda: descent.nudge(BOWL, (0, 0), step=0), ValueError, "step: expected a finite number > 0"),
        (lambda: descent.draw([]), TypeError, "paths: expected a Path"),
    ],
)
def test_errors_say_what_was_expected(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_three_variables_cannot_be_drawn():
    pytest.importorskip("matplotlib")
    path = descent.minimise(lambda x, y, z: x * x + y * y + z * z, (1, 1, 1), eta=0.1, steps=2)
    with pytest.raises(ValueError, match="one or two variables, got 3"):
        path.draw()
