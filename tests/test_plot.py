"""Pictures: what is drawn (limits, lines and their data, labels, legends), in both languages, without a display."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import bpjit

pytest.importorskip("matplotlib")
import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from bpjit import plot
from bpjit.many.halving import Rung
from bpjit.many.search import Search
from bpjit.plot import canvas

XOR_LABELS = [0, 1, 1, 0]


@pytest.fixture(scope="module")
def fit():
    net = bpjit.Network.random((2, 4, 1), seed=0)
    return bpjit.train(net, [[0, 0], [0, 1], [1, 0], [1, 1]], XOR_LABELS, eta=5.0, stop=300)


@pytest.fixture(scope="module")
def three_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    labels = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
    net = bpjit.Network.random((2, 6, 3), "tanh", "softmax")
    settings = {"eta": 0.1, "stop": bpjit.EarlyStopping(patience=5, every=2), "validation": (X[60:], labels[60:])}
    return bpjit.train(net, X[:60], labels[:60], **settings), X, labels


def texts(ax):
    return [text.get_text() for text in ax.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def words(ax):
    return "".join(text.get_text() for text in ax.figure.findobj(Text))


class Wide:
    """Predicts 0, give or take twice the level."""

    def predict_interval(self, X, level):
        return np.tile([-2 * level, 2 * level], (len(X), 1))


# --- What all of them keep.


def calls(fit, new=lambda: None, **more):
    """One picture of each kind."""
    X = [[0, 0], [0, 1], [1, 0], [1, 1]]
    yield plot.error_curves(fit, ax=new(), **more)
    yield plot.decision_boundary(fit.network, X, XOR_LABELS, ax=new(), **more)
    yield plot.network(fit.network, values=True, ax=new(), **more)
    yield plot.activations(ax=new(), **more)
    yield plot.surface(lambda x, y: x * x + y * y, [[[1, 1], [0, 0]]], ax=new(), **more)
    yield plot.minima_histogram([1e-4, 1e-4, 0.06], ax=new(), **more)
    yield plot.confusion_matrix(fit.network, X, XOR_LABELS, ax=new(), **more)
    yield plot.predicted_against_true(fit.network, X, XOR_LABELS, ax=new(), **more)
    yield plot.residuals(fit.network, X, XOR_LABELS, ax=new(), **more)
    yield plot.calibration(fit.network, X, XOR_LABELS, ax=new(), **more)
    yield plot.coverage(Wide(), X, XOR_LABELS, ax=new(), **more)
    yield plot.search(a_search(fit), ax=new(), **more)


def a_search(fit):
    """Two configurations, one of which went on."""
    rungs = [Rung(2, 4, 0, 10, 40, 8, 2, 0.1, 0.5), Rung(1, 2, 10, 30, 40, 8, 2, 0.05, 0.5)]
    row = {"eta": 0.1, "epochs": 60, "diverged": False, "dropped": ""}
    table = [{**row, "rung": 2, "errors": [0.1, 0.05]}, {**row, "rung": 1, "errors": [0.3]}]
    return Search({"eta": 0.1}, 0.05, 0.01, None, fit.network, {}, table, rungs, 80, "MaxEpochs", 1.0, 0.0)


def test_every_picture_is_tested_here(fit):
    assert len(list(calls(fit))) == len(plot.__all__)


def test_pictures_return_their_axes_and_can_be_written(fit, tmp_path):
    for number, ax in enumerate(calls(fit)):
        ax.figure.savefig(tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 2000
    given = []

    def new():
        given.append(Figure().add_subplot())
        return given[-1]

    for ax in calls(fit, new):
        assert ax is given[-1]
    assert len(given) == len(plot.__all__)


def test_nothing_of_matplotlib_is_changed(fit):
    before = dict(mpl.rcParams)
    list(calls(fit, language="zh"))
    assert dict(mpl.rcParams) == before
    code = (
        "import sys, bpjit, bpjit.plot; assert not [name for name in sys.modules if name.startswith('matplotlib')]; "
        "bpjit.plot.activations().figure.canvas.draw(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_a_picture_says_how_to_get_it(fit, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'bpjit\[plot\]'"):
        plot.error_curves(fit)


@pytest.mark.parametrize("wrong", ["axes", 3, Figure()])
def test_axes_must_be_axes(fit, wrong):
    with pytest.raises(TypeError, match="ax: expected matplotlib axes"):
        plot.error_curves(fit, ax=wrong)


# --- Languages.


def test_chinese_where_a_font_has_it(fit):
    if canvas.font_with("轮数误差") is None:
        pytest.skip("no font with Chinese characters is installed here")
    for ax in calls(fit, language="zh"):
        ax.figure.canvas.draw()  # a missing glyph would warn, and warnings are errors
    ax = plot.error_curves(fit, language="zh")
    assert ax.get_xlabel() == "轮数"
    assert ax.get_ylabel() == "误差 E"
    assert legend(ax)[0] == "训练误差"
    ax = plot.confusion_matrix([0, 1], None, [0, 1], names=["好瓜", "坏瓜"])
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == "predicted class"


def test_english_where_no_font_has_chinese(fit, monkeypatch):
    monkeypatch.setattr(canvas, "font_with", lambda characters: None)
    for ax in calls(fit, language="zh"):
        assert words(ax).isascii() or not any(ord(letter) >= 0x2E80 for letter in words(ax))
    assert plot.error_curves(fit, language="zh").get_xlabel() == "epoch"


def test_every_word_has_chinese(fit, monkeypatch):
    """A label that is missing in the table is a KeyError, not English by accident."""
    monkeypatch.setattr(canvas, "font_with", lambda characters: "DejaVu Sans")
    assert "轮数" in words(next(iter(calls(fit, language="zh"))))
    assert len(list(calls(fit, language="zh"))) == len(plot.__all__)


def test_unknown_language(fit):
    with pytest.raises(ValueError, match='language: expected one of "en", "zh"'):
        plot.error_curves(fit, language="fr")


# --- Error curves.


def test_error_curves_of_a_thinned_training(three_classes):
    _, X, labels = three_classes
    net = bpjit.Network.random((X.shape[1], 3), output="softmax", seed=0)
    fit = bpjit.train(net, X, labels, eta=0.1, stop=90, history=20, validation=(X, labels))
    training, validation, *_ = plot.error_curves(fit).lines
    assert len(fit.recorded) <= 20
    assert np.array_equal(training.get_xdata(), fit.recorded + 0.5)
    assert np.array_equal(validation.get_xdata(), fit.recorded + 1)


def test_error_curves_draw_training_validation_and_the_end(three_classes):
    fit, _, _ = three_classes
    ax = plot.error_curves(fit)
    training, validation, best, end, star = ax.lines
    assert np.array_equal(training.get_ydata(), fit.errors)
    assert np.array_equal(training.get_xdata(), np.arange(fit.epochs) + 0.5)
    measured = np.flatnonzero(~np.isnan(fit.validation_errors))
    assert len(measured) == fit.epochs // 2  # every second epoch
    assert np.array_equal(validation.get_xdata(), measured + 1)
    assert np.array_equal(validation.get_ydata(), fit.validation_errors[measured])
    assert set(best.get_xdata()) == {fit.best_epoch}
    assert set(end.get_xdata()) == {fit.epochs}
    assert star.get_xdata() == [fit.best_epoch]
    assert star.get_ydata() == [fit.error]
    assert ax.get_yscale() == "log"
    assert legend(ax)[:2] == ["training", "validation"]
    assert f"stopped by EarlyStopping: {fit.epochs}" in legend(ax)
    styles = [line.get_linestyle() for line in (training, validation, best, end)]
    assert len(set(styles)) == 4  # told apart without colours


def test_the_star_stands_where_the_network_returned_stood(three_classes):
    """Also where EarlyStopping chose the network, but something else ended the training."""
    _, X, labels = three_classes
    net = bpjit.Network.random((X.shape[1], 5, 3), output="softmax", seed=0)
    fit = bpjit.train(net, X, -labels % 3, eta=3.0, stop=[bpjit.EarlyStopping(patience=99), 30], validation=(X, labels))
    assert fit.stopped_by == "MaxEpochs"
    assert fit.network_epoch == fit.best_epoch < fit.epochs
    assert plot.error_curves(fit).lines[-1].get_xdata() == [fit.best_epoch]
    settings = {"eta": bpjit.AdaptiveRate(5.0), "updates": "accumulated"}
    fits = [bpjit.train(net, X, labels, stop=epochs, **settings) for epochs in range(1, 8)]
    first = next(epochs for epochs, fit in enumerate(fits, 1) if fit.error == fits[-1].error)
    assert fits[-1].network_epoch == first


def test_accumulated_errors_stand_at_the_start_of_their_epoch():
    net = bpjit.Network.random((2, 3, 1))
    fit = bpjit.train(net, [[0, 1], [1, 0]], [0, 1], updates="accumulated", eta=1.0, stop=5)
    ax = plot.error_curves(fit, log=False)
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2, 3, 4]
    assert ax.lines[0].get_ydata()[0] == bpjit.error(net, [[0, 1], [1, 0]], [0, 1])
    assert ax.get_yscale() == "linear"


def test_errors_of_zero_do_not_break_a_logarithmic_axis():
    net = bpjit.Network((1, 1), [0.0, 0.0], output="identity")
    fit = bpjit.train(net, [[1.0]], [0.0], stop=3)
    assert fit.error == 0.0
    ax = plot.error_curves(fit)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == "linear"


def test_error_curves_want_a_fit():
    with pytest.raises(TypeError, match="fit: expected a Fit"):
        plot.error_curves([0.1, 0.05])


# --- Decision boundary.


def test_the_boundary_of_known_networks_lies_where_it_should():
    net = bpjit.Network.from_arrays([[[4.0], [2.0]]], [[3.0]])  # ŷ = ½ on 4 x1 + 2 x2 = 3
    ax = plot.decision_boundary(net, [[0, 0], [1, 1]], [0, 1])
    boundary = ax.collections[-3].get_paths()[0].vertices
    assert len(boundary) > 20
    assert np.abs(boundary @ [4.0, 2.0] - 3.0).max() < 0.02  # the grid's mesh is 1.3/159 wide
    assert ax.get_xlim() == pytest.approx((-0.15, 1.15))
    assert legend(ax) == ["class 0", "class 1"]
    softmax = bpjit.Network.from_arrays([[[4.0, 0.0], [2.0, 0.0]]], [[3.0, 0.0]], output="softmax")
    ax = plot.decision_boundary(softmax, [[0, 0], [1, 1]], [0, 1], names=["bad", "good"])
    lines = [c for c in ax.collections if c.get_linewidths()[0] > 2 and len(c.get_paths()[0].vertices)]
    for line in lines:
        assert np.abs(line.get_paths()[0].vertices @ [4.0, 2.0] - 3.0).max() < 0.02
    assert len(lines) == 2
    assert legend(ax) == ["bad", "good"]


def test_samples_have_a_marker_for_each_class(three_classes):
    fit, X, labels = three_classes
    ax = plot.decision_boundary(fit.network, X, labels)
    dots = [c for c in ax.collections if len(c.get_offsets()) > 1]
    assert [len(c.get_offsets()) for c in dots] == np.bincount(labels).tolist()
    for number, c in enumerate(dots):
        assert np.array_equal(c.get_offsets(), X[labels == number])
    assert len({c.get_paths()[0].vertices.tobytes() for c in dots}) == 3


def test_chosen_inputs_of_more():
    """Of four inputs the third decides, unless the fourth is set to 1."""
    net = bpjit.Network.from_arrays([[[0.0], [0.0], [8.0], [-8.0]]], [[4.0]])
    X = np.array([[0, 0, 0, 0], [1, 1, 1, 0]], float)
    ax = plot.decision_boundary(net, X, [0, 1], inputs=(2, 0), at=[0, 0, 0, 0.1])
    boundary = ax.collections[-3].get_paths()[0].vertices
    assert np.abs(boundary[:, 0] - 0.6).max() < 0.02
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_{3}$", "$x_{1}$")


def test_a_regression_has_level_lines_and_grey_samples():
    net = bpjit.Network.from_arrays([[[1.0], [0.0]]], [[0.0]], output="identity")
    X = np.random.default_rng(0).normal(size=(20, 2))
    ax = plot.decision_boundary(net, X, X[:, 0])
    assert ax.get_legend() is None
    assert np.array_equal(ax.collections[-1].get_array(), X[:, 0])
    assert len(texts(ax)) > 3  # levels are named
    assert plot.decision_boundary(net, X).collections[-1].get_array() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": (0, 0)}, "inputs: expected two different"),
        ({"inputs": (0, 2)}, "inputs: expected a whole number >= 0 and <= 1"),
        ({"at": [0.0]}, "at: expected 2 finite numbers"),
        ({"names": ["one"]}, "names: expected 2, one for each class"),
        ({"Y": [0, 1, 2]}, "Y: expected finite numbers"),
        ({"X": [[0.0, np.nan]]}, "X: expected finite numbers"),
    ],
)
def test_wrong_arguments_of_a_boundary(fit, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.decision_boundary(fit.network, **{"X": [[0, 0], [1, 1]], **arguments})


def test_a_boundary_needs_two_inputs():
    with pytest.raises(ValueError, match="net: expected two inputs or more"):
        plot.decision_boundary(bpjit.Network.random((1, 2, 1)), [[0.0]])
    with pytest.raises(TypeError, match=r"net: expected a bpjit\.Network"):
        plot.decision_boundary("net", [[0.0]])


# --- Diagram.


def weights_drawn(ax):
    return [line for line in ax.lines if line.get_gid() == "weight"]


def test_lines_are_as_wide_as_weights_and_dashed_below_zero():
    net = bpjit.Network.from_arrays([[[1.0, -2.0, 4.0]]], [[0.5, 0.25, -1.0]])
    ax = plot.network(net, values=True)
    widths = [line.get_linewidth() for line in weights_drawn(ax)]
    assert (widths[1] - 0.3) / (widths[0] - 0.3) == pytest.approx(2)
    assert (widths[2] - 0.3) / (widths[0] - 0.3) == pytest.approx(4)
    assert [line.get_linestyle() for line in weights_drawn(ax)] == ["-", "--", "-"]
    assert [text.get_text() for text in ax.texts if text.get_gid() == "weight"] == ["1", "-2", "4"]
    thresholds = [text.get_text() for text in ax.texts if text.get_gid() == "threshold"]
    assert thresholds == [r"$\theta_{1}$ = 0.5", r"$\theta_{2}$ = 0.25", r"$\theta_{3}$ = -1"]


def test_the_way_of_a_sample_stands_in_the_units(fit):
    net = fit.network
    units = [t.get_text() for t in plot.network(net, [1, 0]).texts if t.get_gid() == "unit"]
    b = 1 / (1 + np.exp(-(np.array([1, 0]) @ net.v - net.gamma)))
    expected = [
        *(f"$b_{{{h + 1}}}$\n{b[h]:.3f}" for h in range(4)),
        f"$\\hat{{y}}_{{1}}$\n{net.predict([1, 0])[0]:.3f}",
    ]
    assert units == ["$x_{1}$\n1", "$x_{2}$\n0", *expected]


def test_large_layers_are_abbreviated():
    ax = plot.network(bpjit.Network.random((30, 8, 6, 20), output="softmax"), most=5)
    units = [text.get_text() for text in ax.texts if text.get_gid() == "unit"]
    assert len(units) == 4 * 4
    assert "$x_{30}$" in units
    assert "$b^{(2)}_{6}$" in units
    assert "$\\hat{y}_{20}$" in units
    assert texts(ax).count("⋮") == 4
    assert "inputs (30)" in texts(ax)
    assert len(weights_drawn(ax)) == 3 * 16


def test_names_stand_beside_inputs_and_outputs(fit):
    ax = plot.network(fit.network, names=(["left", "right"], ["odd"]))
    assert [text.get_text() for text in ax.texts if text.get_gid() == "name"] == ["left", "right", "odd"]
    with pytest.raises(ValueError, match="names: expected 2 names of inputs, got 1"):
        plot.network(fit.network, names=(["left"], None))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("sizes", [(2, 2, 1), (2, 4, 1), (3, 5, 2), (4, 4, 4), (2, 3, 3, 1)])
def test_no_two_numbers_of_a_diagram_lie_on_each_other(sizes, language):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for seed, x in ((0, None), (1, np.ones(sizes[0]))):
        ax = plot.network(bpjit.Network.random(sizes, init="normal", seed=seed), x, values=True, language=language)
        canvas = FigureCanvasAgg(ax.figure)
        canvas.draw()
        boxes = [
            text.get_window_extent(canvas.get_renderer())
            for text in ax.texts
            if text.get_gid() in ("weight", "threshold", "unit")
        ]
        pairs = sum(a * b for a, b in itertools.pairwise(sizes))
        assert len(boxes) == pairs + sum(sizes) + sum(sizes[1:])
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("x", [[1.0], [[1, 0], [0, 1]], [np.nan, 0]])
def test_a_diagram_shows_one_sample(fit, x):
    with pytest.raises(ValueError, match=r"^[xX]: expected"):
        plot.network(fit.network, x)


# --- Activations.


def test_slopes_are_those_of_the_curves():
    ax = plot.activations(["sigmoid", "tanh", "softplus", "sin"])
    curves = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert len(curves) == 8
    for value, slope in zip(curves[::2], curves[1::2], strict=True):
        z, y = value.get_data()
        between = np.diff(y) / np.diff(z)
        middle = (slope.get_ydata()[1:] + slope.get_ydata()[:-1]) / 2
        ok = ~np.isnan(between)
        assert np.abs(between - middle)[ok].max() < 1e-3
        assert (value.get_linestyle(), slope.get_linestyle()) == ("-", "--")
    assert len({curve.get_marker() for curve in curves}) == 4


def test_a_jump_is_not_drawn_as_a_line():
    z, y = plot.activations("step", slopes=False, reach=2).lines[-1].get_data()
    assert np.isnan(y).sum() == 1
    assert (y[z < 0] == 0).all()
    assert (y[z > 0] == 1).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [("sigmod", 'did you mean "sigmoid"'), ([], "names: expected one"), (["softmax"], "names: expected one of")],
)
def test_unknown_activations(names, message):
    with pytest.raises(ValueError, match=message):
        plot.activations(names)


# --- Surface.


class Path:
    points = np.array([[1.0, 2.0], [0.5, 1.0], [0.0, 0.0]])


def bowl(x, y):
    return x * x + 4 * y * y


def test_paths_are_drawn_point_by_point():
    ax = plot.surface(bowl, {"slow": Path(), "fast": [[3, 0], [-1, 0]]}, limits=(-4, 4, -3, 3))
    paths = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert np.array_equal(paths[0].get_xydata(), Path.points)
    assert paths[1].get_xydata().tolist() == [[3, 0], [-1, 0]]
    assert legend(ax) == ["slow", "fast"]
    assert (*ax.get_xlim(), *ax.get_ylim()) == (-4, 4, -3, 3)
    assert paths[0].get_linestyle() != paths[1].get_linestyle()
    start, end = ax.lines[1:3]
    assert (start.get_marker(), *start.get_xydata()[0]) == ("o", 1.0, 2.0)
    assert (end.get_marker(), *end.get_xydata()[0]) == ("*", 0.0, 0.0)


@pytest.mark.parametrize("paths", [Path(), Path.points, [Path()], [Path.points.tolist()]])
def test_one_path_in_any_form(paths):
    ax = plot.surface(bowl, paths)
    assert np.array_equal(ax.lines[0].get_xydata(), Path.points)
    assert legend(ax) == ["path"]


def test_level_lines_lie_closer_in_the_valley():
    ax = plot.surface(bowl)
    levels = ax.collections[0].levels
    assert levels[0] == pytest.approx(0, abs=0.1)
    assert (np.diff(levels) > 0).all()
    assert np.diff(levels)[:5].max() < np.diff(levels)[-5:].min()


def test_a_path_lies_on_the_surface_in_three_dimensions():
    ax = plot.surface(bowl, [Path()], three_d=True)
    assert ax.name == "3d"
    heights = ax.lines[0].get_data_3d()[2]
    assert heights.tolist() == [17.0, 4.25, 0.0]
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": (1, 0, 0, 1)}, "limits: expected"),
        ({"paths": [[[1, 2, 3]]]}, "paths: expected arrays of points"),
        ({"f": lambda x, y: np.inf}, "f: expected finite values within the limits, got none"),
        ({"f": bpjit.graph.variable("x") ** 2}, "f: expected an expression of two variables, got x"),
    ],
)
def test_wrong_arguments_of_a_surface(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.surface(**{"f": bowl, **arguments})


@pytest.mark.parametrize("three_d", [False, True])
def test_descents_on_their_function_and_on_its_graph(three_d):
    himmelblau = bpjit.descent.himmelblau
    x, y = bpjit.graph.variables("x y")
    expression = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
    drawn = []
    for f in (himmelblau, expression):
        down = {
            "short": bpjit.descent.minimise(f, (0, 0), eta=0.01),
            "long": bpjit.descent.minimise(f, (-4, 4), eta=0.01),
        }
        ax = plot.surface(f, down, three_d=three_d)
        named = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
        assert list(named) == ["short", "long"]
        for name, path in down.items():
            if three_d:
                np.testing.assert_allclose(np.transpose(named[name].get_data_3d()), np.c_[path.points, path.values])
            else:
                np.testing.assert_array_equal(named[name].get_xydata(), path.points)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
        drawn.append(ax)
    if not three_d:
        np.testing.assert_allclose(*(ax.collections[0].levels for ax in drawn), rtol=1e-12)


def test_the_axes_bear_the_names_of_the_variables():
    ax = plot.surface(bpjit.descent.multiplying_neuron)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")


@pytest.mark.parametrize("three_d", [False, True])
@pytest.mark.parametrize("f", [lambda x, y: np.sqrt(x) + y * y, lambda x, y: 1 / int(x > 0) * x + y * y])
def test_where_a_function_ends_its_surface_does(f, three_d):
    ax = plot.surface(f, limits=(-2, 2, -1, 1), three_d=three_d)
    ax.figure.canvas.draw()
    if not three_d:
        lowest = min(path.vertices[:, 0].min() for path in ax.collections[0].get_paths() if len(path.vertices))
        assert 0 <= lowest < 0.05


# --- Minima, and classes.


def test_every_training_is_in_the_histogram_once():
    rng = np.random.default_rng(0)
    errors = np.concatenate([1e-4 * rng.uniform(0.99, 1.01, 80), np.full(15, 1 / 16), np.full(5, 1 / 12), np.zeros(0)])
    ax = plot.minima_histogram(errors)
    assert sum(bar.get_height() for bar in ax.patches) == 100
    assert [text.split("\n") for text in texts(ax)] == [["0.0001", "80 %"], ["0.0625", "15 %"], ["0.0833", "5 %"]]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    left, right = ax.get_xlim()
    assert left < 1e-4 < 1 / 12 < right
    for bar in ax.patches:
        inside = (bar.get_x() <= errors) & (errors < bar.get_x() + bar.get_width())
        assert inside.sum() == bar.get_height()


@pytest.mark.parametrize("errors", [[0.0, 0.0], [0.25], [1e-12, 1e3]])
def test_histograms_of_few_errors(errors):
    ax = plot.minima_histogram(errors)
    ax.figure.canvas.draw()
    assert sum(bar.get_height() for bar in ax.patches) == len(errors)


@pytest.mark.parametrize("errors", [[], [np.nan], [-1.0]])
def test_errors_that_are_none(errors):
    with pytest.raises(ValueError, match="errors: expected finite numbers >= 0"):
        plot.minima_histogram(errors)


def test_confusion_counts(three_classes):
    fit, X, labels = three_classes
    ax = plot.confusion_matrix(fit.network, X, labels, names=["a", "b", "c"])
    predicted = fit.network.classify(X)
    expected = [str(((labels == i) & (predicted == j)).sum()) for i in range(3) for j in range(3)]
    assert texts(ax) == expected
    assert sum(map(int, texts(ax))) == 90
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.get_ylabel() == "actual class"
    one_hot = np.eye(3)[labels]
    assert texts(plot.confusion_matrix(predicted, None, one_hot)) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], None, [0]), ValueError, "Y: expected 2 class numbers"),
        (([0, 1], [[1.0]], [0, 1]), TypeError, r"net: expected a bpjit\.Network"),
        (([0, 1.5], None, [0, 1]), ValueError, "net: expected class numbers"),
        (([0, 2], None, [0, 1], ["a", "b"]), ValueError, "names: expected 3"),
    ],
)
def test_wrong_arguments_of_a_confusion_matrix(arguments, error, message):
    names = arguments[3] if len(arguments) > 3 else None
    with pytest.raises(error, match=message):
        plot.confusion_matrix(*arguments[:3], names=names)


# --- Predictions.


def test_predictions_stand_over_their_targets(fit):
    X = np.random.default_rng(0).uniform(size=(20, 2))
    y = X.sum(axis=1)
    ax = plot.predicted_against_true(fit.network, X, y)
    line, dots = ax.lines
    assert np.array_equal(dots.get_xdata(), y)
    assert np.array_equal(dots.get_ydata(), fit.network.predict(X)[:, 0])
    low, high = min(y.min(), dots.get_ydata().min()), max(y.max(), dots.get_ydata().max())
    assert list(line.get_xdata()) == list(line.get_ydata()) == [low, high]
    assert legend(ax) == [f"R² = {1 - np.square(y - dots.get_ydata()).mean() / y.var():.3g}"]
    _, dots = plot.residuals(fit.network, X, y).lines
    assert np.array_equal(dots.get_xdata(), fit.network.predict(X)[:, 0])
    assert np.array_equal(dots.get_ydata(), y - fit.network.predict(X)[:, 0])


def test_several_targets_are_told_apart():
    Y = np.random.default_rng(0).normal(size=(400, 3))
    Y[:, 2] = 7.0  # whose variance nobody can explain
    ax = plot.predicted_against_true(Y + [0, 1, 0], None, Y, names=["a", "b", "c"])
    assert legend(ax)[0] == "a: R² = 1"
    assert legend(ax)[2] == "c: "
    assert len({line.get_marker() for line in ax.lines[1:]}) == 3
    ax = plot.residuals(Y + [0, 1, 0], None, Y)
    assert [set(line.get_ydata().round(9)) for line in ax.lines[1:]] == [{0}, {-1}, {0}]
    assert legend(ax) == ["0", "1", "2"]


def test_calibration_counts(three_classes):
    fit, X, labels = three_classes
    ax = plot.calibration(fit.network, X, labels, bins=4, names=["a", "b", "c"])
    p = fit.network.predict(X)
    for number, line in enumerate(ax.lines[1:]):
        points, gap = [], 0.0
        for low in (0, 0.25, 0.5, 0.75):
            inside = (low <= p[:, number]) & (p[:, number] < low + 0.25 + 1e-9 * (low == 0.75))
            if inside.any():
                points.append([p[inside, number].mean(), (labels[inside] == number).mean()])
                gap += inside.mean() * abs(points[-1][0] - points[-1][1])
        np.testing.assert_allclose(line.get_xydata(), points)
        assert legend(ax)[number] == f"{'abc'[number]}: {gap:.3f}"
    assert not ax.patches
    one_hot = plot.calibration(p, None, np.eye(3)[labels], bins=4)
    assert np.array_equal(one_hot.lines[1].get_xydata(), ax.lines[1].get_xydata())


def test_calibration_of_two_classes_shows_the_second():
    p = np.array([0.0, 0.1, 0.3, 0.7, 0.8, 1.0])
    expected = [[0.4 / 3, 1 / 3], [2.5 / 3, 2 / 3]]
    for given in (p, p[:, None], np.column_stack([1 - p, p])):
        ax = plot.calibration(given, None, [0, 1, 0, 1, 0, 1], bins=2)
        np.testing.assert_allclose(ax.lines[-1].get_xydata(), expected)
        assert [bar.get_height() for bar in ax.patches] == [0.5, 0.5]
        assert legend(ax) == [f"1: {(0.2 + 0.5 / 3) / 2:.3f}"]


def test_pictures_of_estimators():
    pytest.importorskip("sklearn")
    from bpjit.sklearn import BPClassifier, BPRegressor

    X = np.random.default_rng(0).normal(size=(40, 2))
    words = np.where(X[:, 0] > 0, "yes", "no")
    classifier = BPClassifier(3, ensemble=1, max_epochs=50, lam=None, random_state=0).fit(X, words)
    ax = plot.calibration(classifier, X, words)
    assert legend(ax)[0].startswith("yes: ")
    p = classifier.predict_proba(X)[:, 1]
    assert np.array_equal(ax.lines[-1].get_xydata(), plot.calibration(p, None, X[:, 0] > 0).lines[-1].get_xydata())
    regressor = BPRegressor(3, ensemble=1, max_epochs=50, lam=None, random_state=0, interval="cv+").fit(
        X, X.sum(axis=1)
    )
    dots = plot.predicted_against_true(regressor, X, X.sum(axis=1)).lines[-1]
    assert np.array_equal(dots.get_ydata(), regressor.predict(X))
    levels, shares = plot.coverage(regressor, X, X.sum(axis=1), levels=[0.2, 0.9]).lines[-1].get_data()
    low, high = regressor.predict_interval(X, 0.2).T
    assert levels.tolist() == [0.2, 0.9]
    assert shares[0] == ((low <= X.sum(axis=1)) & (X.sum(axis=1) <= high)).mean() < shares[1]


def test_coverage_of_several_targets():
    Y = np.array([[0.5, 0.1], [-1.5, 0.1]])
    shares = plot.coverage(Wide(), Y, Y[:, :1], levels=[0.3, 0.8]).lines[-1].get_ydata()
    assert list(shares) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.residuals([0, 1], None, [0]), ValueError, r"^Y: expected targets of shape \(2, 1\)"),
        (
            lambda: plot.residuals([0, 1], [[0], [1]], [0, 1]),
            TypeError,
            r"^net: expected a bpjit\.Network, an estimator",
        ),
        (lambda: plot.residuals([0, np.nan], None, [0, 1]), ValueError, "^net: expected finite"),
        (lambda: plot.residuals([0, 1], None, [0, 1], names=["a", "b"]), ValueError, "^names: expected 1"),
        (lambda: plot.calibration([0, 2], None, [0, 1]), ValueError, "^net: expected probabilities"),
        (lambda: plot.calibration([0, 1], None, [0, 2]), ValueError, r"^Y: expected 2 classes among \[0, 1\]"),
        (lambda: plot.calibration([0, 1], None, [0]), ValueError, "^Y: expected 2 classes"),
        (lambda: plot.coverage([0, 1], [[0]], [0]), TypeError, "^regressor: expected one with predict_interval"),
    ],
)
def test_wrong_predictions(call, error, message):
    with pytest.raises(error, match=message):
        call()
