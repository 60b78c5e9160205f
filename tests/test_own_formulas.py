"""Formulas of the user's own: recording, derived slopes, what is refused and how, pickles, what is shipped."""

import copy
import functools
import math
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import bpjit
from bpjit import formulas, graph
from bpjit.formulas import cos, exp, log, log1p, maximum, minimum, select, sigmoid, sin, softplus, softsign, sqrt, tanh
from bpjit.maths.own import KNOWN, find
from bpjit.maths.tape import derivative, function_of
from bpjit.own.shipped import MAKE, NAMES, shipped
from bpjit.own.steps import run
from bpjit.own.written import expression_of, latex, written

DTYPES = (np.float64, np.float32)
POINTS = np.sort(np.random.default_rng(0).uniform(-8, 8, 10_000))


# As users write them, and the same in NumPy, stable where the user's is not.
ACTIVATIONS = {
    "logistic": (lambda z: 1 / (1 + exp(-z)), lambda z: 0.5 * (1 + np.tanh(z / 2))),
    "logistic with a square": (lambda z: (1 + np.exp(-z)) ** -1, lambda z: 0.5 * (1 + np.tanh(z / 2))),
    "silu": (lambda z: z / (1 + exp(-z)), lambda z: z * 0.5 * (1 + np.tanh(z / 2))),
    "softplus": (lambda z: maximum(z, 0) + log1p(exp(-abs(z))), lambda z: np.logaddexp(0, z)),
    "mish": (lambda z: z * tanh(softplus(z)), lambda z: z * np.tanh(np.logaddexp(0, z))),
    "hard tanh": (lambda z: np.clip(z, -1, 1), lambda z: np.clip(z, -1, 1)),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: z / (1 + np.abs(z))),
    "gauss": (lambda z: exp(-(z**2)), lambda z: np.exp(-z * z)),
    "elliott": (lambda z: z * softsign(z), lambda z: z * z / (1 + np.abs(z))),
    "bent": (lambda z: (sqrt(z * z + 1) - 1) / 2 + z, lambda z: (np.hypot(z, 1) - 1) / 2 + z),
    "sinc": (lambda z: select(z == 0, 1, sin(z) / z), lambda z: np.sinc(z / np.pi)),
    "wave": (lambda z: cos(z) * exp(-z * z / 2), lambda z: np.cos(z) * np.exp(-z * z / 2)),
    "isru": (lambda z: z * (1 + z**2) ** -0.5, lambda z: z / np.hypot(z, 1)),
    "roots outside their domain": (
        lambda z: select(z > 1, sqrt(z - 1) + 1, select(z < -1, -log(-z) - 1, z)),
        lambda z: np.where(z > 1, np.sqrt(np.maximum(z - 1, 0)) + 1, np.where(z < -1, -np.log(np.abs(z)) - 1, z)),
    ),
    "one root for both branches": (
        lambda z: _signed_root(z),
        lambda z: np.sign(z) * (np.sqrt(np.abs(z) + 0.25) - 0.5),
    ),
    "both of two": (
        lambda z: select((z > -1) & ~(z >= 2), z * z * z, select((z <= -1) | (z > 5), 8 * z, 8.0)),
        lambda z: np.where((z > -1) & (z < 2), z**3, np.where((z <= -1) | (z > 5), 8 * z, 8.0)),
    ),
    "powers": (lambda z: abs(z) ** 2.5 - z**7 / 1e5 + 2**z, lambda z: np.abs(z) ** 2.5 - z**7 / 1e5 + 2.0**z),
    "other powers": (lambda z: (z * z + 1) ** 0.3 + z**0, lambda z: (z * z + 1) ** 0.3 + 1),
    "nested": (lambda z: sigmoid(tanh(z) - sin(z) / (2 + cos(z))), lambda z: _nested(z)),
    "the larger of two curves": (lambda z: maximum(z * z - 3, minimum(z, 2)), lambda z: _larger(z)),
    "constant": (lambda z: 0.25, lambda z: np.full(z.shape, 0.25)),
}


def _signed_root(z):
    root = sqrt(abs(z) + 0.25) - 0.5
    return select(z < 0, -root, root)


def _nested(z):
    return 1 / (1 + np.exp(-(np.tanh(z) - np.sin(z) / (2 + np.cos(z)))))


def _larger(z):
    return np.maximum(z * z - 3, np.minimum(z, 2))


def central(function, x, h=1e-5):
    """Central differences, and where they may be trusted: not beside a kink, where wider ones are others."""
    with np.errstate(all="ignore"):
        near, wide = ((function(x + d) - function(x - d)) / (2 * d) for d in (h, 4 * h))
    return near, np.abs(near - wide) < 1e-6 * (1 + np.abs(near))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_are_numpys_and_derived_slopes_those_of_differences(name):
    function, expected = ACTIVATIONS[name]
    own = bpjit.activation(function, name="mine")
    np.testing.assert_allclose(own(POINTS), expected(POINTS), rtol=1e-12, atol=1e-13)
    single, slope = run(own.tape, POINTS, dtype=np.float32)
    assert single.dtype == slope.dtype == np.float32
    np.testing.assert_allclose(single, expected(np.float64(np.float32(POINTS))), rtol=1e-5, atol=1e-5)
    differences, smooth = central(expected, POINTS)
    assert smooth.mean() > 0.99
    np.testing.assert_allclose(own.slope(POINTS)[smooth], differences[smooth], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_finite_far_out(name):
    tape = bpjit.activation(ACTIVATIONS[name][0], name="mine").tape
    z = np.concatenate([-np.geomspace(1, 1e4, 4000), [0], np.geomspace(1, 1e4, 4000)])
    for dtype in DTYPES:
        value, slope = run(tape, z, dtype=dtype)
        assert not np.isnan(value).any()
        assert np.isfinite(slope[np.isfinite(value)]).all()


def test_what_saturates_has_slope_0_far_out():
    for dtype in DTYPES:
        for name, right in (("logistic", 0), ("silu", 1)):
            slope = run(bpjit.activation(ACTIVATIONS[name][0], name="mine").tape, [-1e4, 1e4], dtype=dtype)[1]
            assert slope.tolist() == [0, right]


def test_what_is_shared_is_computed_once():
    def counts(own, *words):
        return [[step[0] for step in own.tape.steps].count(word) for word in words]

    for name in ("logistic", "silu"):
        own = bpjit.activation(ACTIVATIONS[name][0], name="mine")
        assert counts(own, "exp", "divide") == [1, 1]
        assert len(own.tape.steps) <= 10
    twice = bpjit.activation(lambda z: (sin(z) - sin(-z)) * sin(z) * tanh(z + 1) * tanh(1 + z), name="mine")
    assert counts(twice, "sin", "tanh") == [2, 1]
    own = bpjit.loss(lambda y_hat, y: 0.5 * (y_hat - y) * (y_hat - y))
    assert counts(own, "multiply", "subtract", "negate", "add") == [2, 1, 1, 0]
    d = bpjit.loss(lambda y_hat, y: (lambda d: 0.5 * d * d)(y - y_hat))
    assert counts(d, "multiply", "subtract", "negate", "add") == [2, 1, 0, 0]  # as the built-in


def random_formula(rng):
    """A formula of two dozen operations, many shared, all near 1; choices among them, some of roots and logarithms that
    are NaN where they are not taken."""
    (x,) = graph.variables("z")
    nodes = [3 * tanh(x / 3)]
    for _ in range(24):
        a, b = (nodes[k] for k in rng.integers(max(0, len(nodes) - 8), len(nodes), 2))
        kinds = [
            lambda a, b: 2 * sin(a * b),
            lambda a, b: a - b,
            lambda a, b: a / (2 + sin(b)),
            lambda a, b: tanh(a) + b / 2,
            lambda a, b: sigmoid(a) ** 2 - b,
            lambda a, b: select(a > 0.1, sqrt(a), b),
            lambda a, b: select((a < b) & (b > 0.2), log(b) * a, select(a < -0.3, log(-a), b)),
            lambda a, b: maximum(a, b) - minimum(b, 0.3),
            lambda a, b: softplus(a) - abs(b),
            lambda a, b: log1p(abs(a)) / (1 + exp(-b)),
            lambda a, b: formulas.relu(a) + formulas.leaky_relu(-b),
            lambda a, b: cos(a + b),
        ]
        nodes.append(kinds[rng.integers(len(kinds))](a, b))
    return nodes[-1] + nodes[-2] / 2


def test_random_formulas_have_the_slopes_of_differences():
    """Sixty of them at 500 points each."""
    rng, checked = np.random.default_rng(1), 0
    for _ in range(60):
        own = bpjit.activation(functools.partial(lambda formula, z: formula, random_formula(rng)), name="mine")
        z = rng.uniform(-3, 3, 500)
        differences, smooth = central(own, z)
        known = smooth & (np.abs(differences) < 1e3)
        checked += known.sum()
        np.testing.assert_allclose(own.slope(z)[known], differences[known], rtol=1e-5, atol=1e-6)
    assert checked > 25_000


def test_a_tape_as_a_function_of_numbers_is_the_formula():
    softplus_of_ones_own = bpjit.activation(ACTIVATIONS["softplus"][0], name="mine")
    logistic = bpjit.activation(ACTIVATIONS["logistic"][0], name="mine")
    for own, *z in (
        (formulas.gelu, 0.7),
        *((own, z) for own in (logistic, formulas.silu, softplus_of_ones_own) for z in (-1e4, -0.5, 0.0, 30.0, 1e4)),
        (formulas.quantile(quantile=0.9), 0.3, 0.5),
        (formulas.huber, 3.0, 0.5),
        (formulas.log_cosh, -1e4, 0.5),
    ):
        for kind, close in ((float, 1e-14), (np.float64, 1e-14), (np.float32, 2e-6)):
            results = function_of(own.tape)(*map(kind, z))
            slope = own.slope(*z) * (1 if own.role == "activation" else -1)
            assert {type(each) for each in results} == {kind}
            assert results == pytest.approx([own(*z), slope], rel=close, abs=close)


# --- Losses.

LOSSES = {
    "asymmetric": (
        lambda y_hat, y, k=3.0: select(y > y_hat, k, 1.0) * (y - y_hat) ** 2,
        lambda p, y: np.where(y > p, 3.0, 1.0) * (y - p) ** 2,
    ),
    "pinball": (
        lambda p, t, q=0.9: maximum(q * (t - p), (q - 1) * (t - p)),
        lambda p, y: np.maximum(0.9 * (y - p), -0.1 * (y - p)),
    ),
    "log cosh": (
        lambda p, y: log(exp(p - y) + exp(y - p)) - np.log(2),
        lambda p, y: np.logaddexp(p - y, y - p) - np.log(2),
    ),
    "power": (lambda p, y: abs(p - y) ** 1.5, lambda p, y: np.abs(p - y) ** 1.5),
    "relative": (lambda p, y: ((p - y) / (1 + abs(y))) ** 2, lambda p, y: ((p - y) / (1 + np.abs(y))) ** 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_the_values_of_numpy_and_the_slopes_of_differences(name):
    function, expected = LOSSES[name]
    own = bpjit.loss(function, name="mine")
    y = np.random.default_rng(2).normal(size=POINTS.size)
    np.testing.assert_allclose(own(POINTS, y), expected(POINTS, y), rtol=1e-12, atol=1e-12)
    differences, smooth = central(lambda p: expected(p, y), POINTS)
    assert smooth.mean() > 0.99
    np.testing.assert_allclose(own.slope(POINTS, y)[smooth], differences[smooth], rtol=1e-6, atol=1e-7)
    assert run(own.tape, POINTS, y)[1] == pytest.approx(-own.slope(POINTS, y))


def test_a_loss_says_what_it_goes_with():
    cross = bpjit.loss(lambda p, y: -y * log(p) - (1 - y) * log(1 - p), output="sigmoid", name="cross")
    assert (cross.output, cross.of_net_input) == ("sigmoid", False)
    own = bpjit.activation(lambda z: exp(z) + 1, name="above_one", reach=(1, math.inf))
    of_it = bpjit.loss(lambda p, y: log(p - 1) ** 2 - y, output=own)
    assert of_it.output is own
    direct = bpjit.loss(lambda z, y: log1p(exp(-abs(z))) + maximum(z, 0) - y * z, of="net_input", output="sigmoid")
    assert direct.of_net_input
    assert direct.tape.inputs == ("z", "y")
    z, y = np.linspace(-4, 4, 9), np.linspace(0, 1, 9)
    np.testing.assert_allclose(direct(z, y), cross(1 / (1 + np.exp(-z)), y), rtol=1e-12)


# --- How they are made, called, kept.


def test_functions_and_decorators():
    @bpjit.activation
    def plain(z):
        return z + 1

    @bpjit.activation(name="other", alpha=3)
    def scaled(z, alpha=2.0):
        return alpha * z

    @bpjit.loss(of="net_input", output="exp")
    def counts(z, y):
        return exp(z) - y * z

    assert [own.called for own in (plain, scaled, counts)] == ["plain", "other(alpha=3)", "counts"]
    assert counts.output == shipped("activation", "exp")
    assert isinstance(plain, bpjit.Activation)
    assert isinstance(counts, bpjit.Loss)
    assert isinstance(plain, str)
    assert bpjit.activation(lambda z: z).called == "activation"
    assert bpjit.loss(lambda y_hat, y: y_hat - y).called == "loss"
    assert bpjit.activation(functools.partial(lambda a, z: a * z, 3.0))(2.0) == 6.0
    assert find("activation", str(plain)) is plain is find("activation", plain)
    assert find("loss", plain) is None


def test_values_make_others():
    def pinball(y_hat, y, quantile=0.5, *, scale=1.0):
        return scale * maximum(quantile * (y - y_hat), (quantile - 1) * (y - y_hat))

    half = bpjit.loss(pinball)
    most, twice = half(quantile=0.9), half(quantile=0.9, scale=2)
    assert half(0.0, 2.0) == 1.0
    assert (most(0.0, 2.0), twice(0.0, 2.0), twice(quantile=0.25)(0.0, 2.0)) == (1.8, 3.6, 1.0)
    assert most.values == {"quantile": 0.9, "scale": 1.0}
    assert len({half, most, twice}) == 3
    assert most == bpjit.loss(pinball, quantile=0.9)
    assert str(most).startswith("pinball(quantile=0.9, scale=1)#")
    assert half(0.0, 2.0, quantile=0.9) == 1.8


def test_formulas_are_parts_of_others():
    own = bpjit.activation(lambda z, c=2.0: formulas.silu(c * z) + formulas.elu(z, alpha=0.5), name="mine")
    assert own(POINTS) == pytest.approx(formulas.silu(2 * POINTS) + formulas.elu(alpha=0.5)(POINTS), rel=1e-13)
    slope = 2 * formulas.silu.slope(2 * POINTS) + formulas.elu(alpha=0.5).slope(POINTS)
    assert own.slope(POINTS) == pytest.approx(slope, rel=1e-12, abs=1e-14)
    loss = bpjit.loss(lambda p, y: formulas.huber(p, y) + formulas.log_cosh(2.0, y - p), name="mine")
    assert loss(1.0, 3.0) == pytest.approx(formulas.huber(1.0, 3.0) + formulas.log_cosh(2.0, 2.0), rel=1e-14)
    assert bpjit.activation(formulas.silu).tape == formulas.silu.tape
    with pytest.raises(TypeError, match="huber.*: expected y_hat and y, got 1 numbers"):
        bpjit.activation(lambda z: formulas.huber(z))


def test_the_same_formula_has_the_same_name_however_it_is_written():
    def one(z):
        return z / (1 + exp(-z))

    def other(z):
        down = np.exp(-z)
        return z / (1.0 + down)

    assert bpjit.activation(one, name="f") == bpjit.activation(other, name="f")
    assert bpjit.activation(one, name="f") != bpjit.activation(lambda z: z / (1.01 + exp(-z)), name="f")
    wide = bpjit.activation(one, name="f", reach=(-1, math.inf))
    assert wide != bpjit.activation(one, name="f")
    assert wide.reach == (-1, math.inf)
    outputs = [bpjit.activation(lambda z, k=k: k * exp(z), name="g", reach=(0, math.inf)) for k in (2.0, 2.0000000001)]
    assert len({bpjit.loss(lambda z, y: z - y, of="net_input", output=output) for output in outputs}) == 2


def test_what_is_shown():
    own = bpjit.activation(lambda z, beta=2.0: z / (1 + exp(-beta * z)), name="swish")
    assert repr(own) == "swish(beta=2)(z) = z / (1 + exp((-2) * z))"
    assert written(bpjit.activation(lambda z: z**3 - 1 / z).tape, "u_1") == "u_1 ** 3 - 1 / u_1"
    assert latex(own.tape).startswith(r"\frac{z}{1 + e^{")
    assert latex(formulas.elu.tape) == r"\begin{cases} z & z > 0 \\ e^{z} - 1 & \text{otherwise} \end{cases}"
    assert latex(formulas.log_cosh.tape).count("{") == latex(formulas.log_cosh.tape).count("}")

    assert latex(my_adam.form.prepare, result=1).startswith("shared_{1} + c_{1}")

    def long(z):
        for _ in range(40):
            z = z * tanh(z) + sin(z)
        return z

    assert len(latex(bpjit.activation(long).tape)) < 20_000  # written out 2^40 times as long
    assert expression_of(own.tape).evaluate(z=1.5) == pytest.approx(own(1.5), rel=1e-15)


PROGRAM = """
import pickle, sys
import bpjit
from bpjit.maths.own import KNOWN
pinball, net_input = pickle.load(sys.stdin.buffer)
assert pinball in KNOWN and type(pinball) is bpjit.Loss
print(repr(pinball), pinball(1.0, 3.0), pinball.slope(1.0, 3.0), pinball.values)
print(net_input.output.reach, net_input.of_net_input)
again = bpjit.loss(lambda p, t, q=0.9: bpjit.formulas.maximum(q * (t - p), (q - 1) * (t - p)), name="pinball")
print(again == pinball, again.tape == pinball.tape)
try:
    pickle.loads(pickle.dumps(net_input))(rate=2.0)
except ValueError as error:
    print(error)
"""


def test_they_pickle_as_data_into_another_process():
    pinball = bpjit.loss(LOSSES["pinball"][0], name="pinball")
    counts = bpjit.loss(lambda z, y: exp(z) - y * z, of="net_input", output="exp", name="counts")
    for own in (pinball, counts, shipped("loss", "poisson"), shipped("activation", "elu")(alpha=0.5)):
        assert pickle.loads(pickle.dumps(own)) is own is copy.deepcopy(own) is copy.copy(own)
        assert own in KNOWN
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=pickle.dumps((pinball, counts)),
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    assert lines[:3] == [
        f"{pinball!r} {pinball(1.0, 3.0)} {pinball.slope(1.0, 3.0)} {pinball.values}",
        "(0.0, inf) True",
        "True True",
    ], done.stderr.decode()[-2000:]
    assert "counts: expected no values" in lines[3]


# --- Slopes of the user's own.


def test_a_given_slope_is_kept_and_checked():
    own = bpjit.activation(lambda z, k=2.0: tanh(k * z), slope=lambda z, y, k: k * (1 - y * y))
    assert own.slope(0.3) == pytest.approx(2 * (1 - math.tanh(0.6) ** 2), rel=1e-14)
    assert own(k=3.0).slope(0.0) == 3.0
    straight = bpjit.activation(formulas.relu, slope=lambda z: select(z > 0, 1, 0), name="mine")  # at 0 as one likes
    assert straight.slope([-1.0, 0.0, 1.0]).tolist() == [0, 0, 1]
    own = bpjit.loss(lambda p, y: abs(p - y), slope=lambda p, y: select(p > y, 1, select(p < y, -1, 0)))
    assert run(own.tape, [1.0, 2.0, 3.0], 2.0)[1].tolist() == [1, 0, -1]


@pytest.mark.parametrize(
    ("make", "place", "got", "right"),
    [
        (lambda: bpjit.activation(lambda z: z * z, slope=lambda z: z), "z = 0.01", 0.01, 0.02),
        (lambda: bpjit.activation(lambda z: sin(z), slope=lambda z, y: y), "z = 0.01", math.sin(0.01), math.cos(0.01)),
        (lambda: bpjit.loss(lambda p, y: (p - y) ** 2, slope=lambda p, y: y - p), "y_hat = 0.01, y = 0", -0.01, 0.02),
        (lambda: bpjit.activation(lambda z: select(z > 20, 2 * z, z), slope=lambda z: 1), "z = 20.133", 1, 2),
    ],
)
def test_a_wrong_slope_is_refused_with_its_place_and_both_numbers(make, place, got, right):
    with pytest.raises(ValueError, match="slope: expected that of") as caught:
        make()
    found = re.search(r"got (\S+) at (.*), where central differences give (\S+)$", str(caught.value))
    assert found[2] == place
    assert [float(found[1]), float(found[3])] == pytest.approx([got, right], rel=1e-6)


# --- Mistakes.

TABLE = np.arange(3.0)


def with_if(z):
    if z > 0:
        return z
    return 0.0


def with_math(z):
    return 1 / (1 + math.exp(-z))


def with_table(z):
    return z * TABLE


def with_dot(z):
    return TABLE @ z


def with_and(z):
    return select(z > 0 and z < 1, z, 0)


def with_a_sign(z):
    return z % 2


def with_round(z):
    return z - round(z)


MISTAKES = {
    "if": (with_if, TypeError, r"with_if, line \d+ of test_own_formulas.py, `if z > 0:`: .*select\("),
    "and": (
        with_and,
        TypeError,
        r"with_and, line \d+ .*`return select\(z > 0 and z < 1, z, 0\)`: .*instead of if, and",
    ),
    "a condition of its own": (lambda z: 1.0 if z == 0 else z, TypeError, "line .*neither true nor false"),
    "max": (lambda z: max(z, 0), TypeError, "line .*maximum"),
    "math": (with_math, TypeError, r"`return 1 / \(1 \+ math.exp\(-z\)\)`: .*instead of math.exp.*bpjit.formulas"),
    "round": (with_round, TypeError, "`return z - round.z.`: .*no number before"),
    "math itself": (math.exp, TypeError, "exp: .*instead of math.exp"),
    "of NumPy's, unknown": (lambda z: np.sinh(z), TypeError, "numpy.sinh: not for expressions; those .*exp.*tanh"),
    "an array": (with_table, TypeError, r"`return z \* TABLE`: .*got an array of shape \(3,\)"),
    "a product of arrays": (with_dot, TypeError, "`return TABLE @ z`: numpy.matmul"),
    "a sum of an array": (lambda z: np.sum(TABLE * z), TypeError, r"numpy.multiply: expected single numbers .*\(3,\)"),
    "%": (with_a_sign, TypeError, "`return z % 2`: unsupported operand"),
    "an index": (lambda z: TABLE[z], IndexError, "line .*: only integers"),
    "a choice by a number": (lambda z: select(z, 1, 2), TypeError, r"expected a condition such as x > 0, got Expr"),
    "a number of a condition": (lambda z: (z > 0) * z, TypeError, "a condition is no number; select"),
    "no argument": (lambda: 1.0, TypeError, r"expected a function of 1 number, .*got <lambda>\(\)"),
    "two arguments": (lambda z, y: z, TypeError, r"expected a function of 1 number, .*got <lambda>\(z, y\)"),
    "one without a value": (lambda z, alpha: z, TypeError, "have values, such as alpha=1.0"),
    "no function": (3.0, TypeError, "activation: expected a function of 1 number, got 3.0"),
    "a name": ("tanh", TypeError, "activation: expected a function of 1 number, got 'tanh'"),
    "nothing": (lambda z: None, TypeError, "one number made of z, got None .*is there a return"),
    "a text": (lambda z: "z", TypeError, "one number made of z, got 'z'"),
    "two numbers": (lambda z: (z, z), TypeError, "one number made of z, got .*tuple"),
    "an array of them": (lambda z: TABLE, TypeError, "one number made of z, got an array"),
    "a condition": (lambda z: z > 0, TypeError, "got the condition z > 0; select"),
    "a truth": (lambda z: True, TypeError, "one number made of z, got True"),
    "a variable": (lambda z: z + graph.variable("a"), ValueError, "whose variable a is none of its arguments"),
    "a value that is none": (lambda z, alpha=None: z, TypeError, "alpha: expected a finite number, got None"),
    "an infinite value": (lambda z, alpha=math.inf: z, ValueError, "alpha: expected a finite number, got inf"),
    "a power": (lambda z: z**z, TypeError, r"constant exponent.*write exp\(b \* log\(a\)\)"),
    "log": (lambda z: log(z), ValueError, r"NaN at z = -0.05 in float64, from log\(z\), which is log\(-0.05\) there"),
    "inf/inf": (
        lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z)),
        ValueError,
        r"NaN at z = -1000 in float64, from .* / .*, which is \(?-inf\)? / inf there",
    ),
    "a cusp": (lambda z: sqrt(abs(z)), ValueError, r"expected a finite slope.*at z = 0; .*sqrt\(x \+ 1e-6\)"),
    "a pole of the slope": (lambda z: select(z > 0, z**0.5, 0), None, ""),
    "a built-in name": (formulas.tanh, ValueError, 'name="my_tanh"'),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_named(kind):
    function, error, words = MISTAKES[kind]
    if error is None:
        bpjit.activation(function)
        return
    with pytest.raises(error, match=words):
        bpjit.activation(function)


SETTINGS = {
    "an unknown value": (lambda: bpjit.activation(lambda z, alpha=1.0: z, alfa=2), TypeError, 'did you mean "alpha"'),
    "values of none": (lambda: bpjit.activation(lambda z: z)(alpha=2), TypeError, "expected no values"),
    "a name with #": (lambda: bpjit.activation(lambda z: z, name="a#b"), ValueError, "name: expected a name without"),
    "a name that is none": (lambda: bpjit.activation(lambda z: z, name=3), TypeError, "name: expected a name"),
    "a slope that is a number": (
        lambda: bpjit.activation(lambda z, slope=1.0: slope * z, slope=0.5),
        TypeError,
        r"slope: expected a function, got 0.5 .*bpjit.activation\(f\)\(slope=0.5\)",
    ),
    "a slope of too much": (
        lambda: bpjit.activation(lambda z: z, slope=lambda z, y, x: 1),
        TypeError,
        "1 to 2 numbers",
    ),
    "a slope that returns nothing": (
        lambda: bpjit.activation(lambda z: z, slope=lambda z: None),
        TypeError,
        "slope of",
    ),
    "a reach that is not": (lambda: bpjit.activation(tanh, name="t", reach=(0, 1)), ValueError, r"reach: .*f\(-"),
    "a reach that is none": (lambda: bpjit.activation(tanh, name="t", reach=1), ValueError, r"reach: expected \(low"),
    "of what": (
        lambda: bpjit.loss(lambda z, y: z, of="input"),
        ValueError,
        'of: expected one of "output", "net_input"',
    ),
    "no output": (lambda: bpjit.loss(lambda z, y: z, of="net_input"), ValueError, "output: expected the activation"),
    "softmax": (lambda: bpjit.loss(lambda z, y: z, of="net_input", output="softmax"), ValueError, 'of="output" goes'),
    "an unknown output": (lambda: bpjit.loss(lambda z, y: z, output="tahn"), ValueError, 'did you mean "tanh"'),
    "outputs within limits": (lambda: bpjit.loss(lambda p, y: -y * log(p)), ValueError, 'output="sigmoid"'),
    "a cusp at the minimum": (
        lambda: bpjit.loss(lambda p, y: sqrt(abs(p - y))),
        ValueError,
        r"y_hat = 0, y = 0, the minimum: a loss that comes to it in a cusp.*sqrt\(d \* d \+ 1e-6\)",
    ),
    "a loss of one": (lambda: bpjit.loss(lambda p: p), TypeError, "expected a function of 2 numbers"),
    "numbers too few": (lambda: formulas.huber(1.0), TypeError, "expected y_hat and y, got 1 numbers"),
    "nothing": (lambda: formulas.huber(), TypeError, "expected y_hat and y, or values, got nothing"),
    "a text": (lambda: formulas.silu("x"), TypeError, "z: expected numbers"),
    "a quantile beyond": (
        lambda: formulas.quantile(quantile=90),
        ValueError,
        "quantile: expected a number > 0 and < 1",
    ),
    "a huber of nothing": (lambda: formulas.huber(delta=0), ValueError, "delta: expected a number > 0"),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_wrong_settings_are_named(kind):
    call, error, words = SETTINGS[kind]
    with pytest.raises(error, match=words):
        call()


# --- What comes with the library.

D = np.linspace(-9, 9, 1001)
SHIPPED = {
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z * z * z))),
    "exp": np.exp,
    "quantile": lambda d: np.abs(d) / 2,
    "log_cosh": lambda d: np.logaddexp(d, -d) - np.log(2),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_formulas_are_those_of_numpy(name):
    role = "activation" if name in NAMES["activation"] else "loss"
    own = shipped(role, name)
    more = () if role == "activation" else (0.0,)
    np.testing.assert_allclose(own(D, *more), SHIPPED[name](D), rtol=1e-12, atol=1e-15)
    differences, smooth = central(SHIPPED[name], D)
    np.testing.assert_allclose(own.slope(D, *more)[smooth], differences[smooth], rtol=1e-6, atol=1e-7)
    value = run(own.tape, np.array([-1e4, 1e4]), *more, dtype=np.float32)[0]
    assert name == "exp" or np.isfinite(value).all()
    assert shipped(role, name) is own
    assert own.reach[0] <= own(D, *more).min()


def test_shipped_formulas_take_values():
    assert {role: {*made} - {"huber"} for role, made in MAKE.items()} == {role: {*it} for role, it in NAMES.items()}
    y = np.random.default_rng(3).normal(size=10_001)
    most = formulas.quantile(quantile=0.9)
    candidates = np.quantile(y, [0.85, 0.89, 0.9, 0.91, 0.95])
    assert np.argmin([most(p, y).mean() for p in candidates]) == 2
    assert most.slope([-1.0, 0.0, 1.0], 0.0) == pytest.approx([-0.9, 0, 0.1])
    wide = formulas.huber(delta=2.0)
    np.testing.assert_allclose(wide(D, 0.0), np.where(np.abs(D) <= 2, D * D / 2, 2 * np.abs(D) - 2), rtol=1e-14)
    np.testing.assert_allclose(wide.slope(D, 0.0), np.clip(D, -2, 2), rtol=1e-14)
    half = formulas.elu(alpha=0.5)
    assert half.reach == (-0.5, math.inf)
    assert half(-50.0) == -0.5
    poisson = shipped("loss", "poisson")
    assert poisson.slope(np.log([1.0, 2.0]), 2.0) == pytest.approx([-1, 0])
    assert shipped("loss", "huber") is None  # the built-in
    assert shipped("activation", "tanh") is None


def test_functions_of_formulas_serve_numbers_and_arrays():
    for name in ("exp", "log", "log1p", "sqrt", "tanh", "sin", "cos"):
        function, of_numpy = getattr(formulas, name), getattr(np, name)
        with np.errstate(all="ignore"):
            for x in (0.5, 0, 1, -1.0, 1000.0, -2):
                np.testing.assert_allclose(function(x), of_numpy(x), rtol=1e-15)
                assert type(function(x)) is float
            np.testing.assert_allclose(function(D), of_numpy(D), rtol=1e-15)
    assert formulas.sigmoid(D) == pytest.approx(0.5 * (1 + np.tanh(D / 2)), rel=1e-12)
    assert (select(2 > 1, 3.0, 4.0), maximum(1, 2), minimum(1.0, 2)) == (3.0, 2.0, 1.0)
    assert select(D > 0, D, 0).tolist() == np.maximum(D, 0).tolist() == maximum(D, 0).tolist()
    assert isinstance(formulas.exp(np.float32(1)), np.float32)
    with pytest.raises(TypeError, match="condition"):
        select(1.0, 2.0, 3.0)


# --- Graphs.


def test_conditions_choose_in_graphs():
    x, y = graph.variables("x y")
    chosen = graph.select((x > 0) & ~(y >= 1) | (x == -2), x * y, graph.sqrt(x))
    points = np.random.default_rng(4).normal(size=(50, 2))
    points[0] = (-2, 5)
    for call in (chosen.compile(x, y), lambda P: np.array([chosen.evaluate(x=a, y=b) for a, b in P])):
        a, b = points.T
        with np.errstate(invalid="ignore"):
            expected = np.where((a > 0) & ~(b >= 1) | (a == -2), a * b, np.sqrt(a))
        np.testing.assert_allclose(call(points), expected, rtol=1e-15)
    assert chosen.gradient(x=3, y=0.5) == {"x": 0.5, "y": 3}
    assert chosen.gradient(x=4, y=2) == {"x": 0.25, "y": 0}
    assert chosen.forward("x", x=4, y=2)[chosen] == 0.25
    assert chosen.compile(x, y).gradient([[-2, 5], [4, 2]]).tolist() == [[5, -2], [0.25, 0]]
    sweep = chosen.sweep(x=3, y=0.5)
    assert sweep[chosen.operands[0]] == 0 == sweep[chosen.operands[0].operands[0]]  # a condition has no slope
    assert str(chosen) == "select((x > 0) & ~(y >= 1) | (x <= (-2)) & (x >= (-2)), x * y, sqrt(x))"
    logarithm = graph.log1p(x)
    for found in (logarithm.evaluate(x=[-2, -1, 3]), [logarithm.evaluate(x=value) for value in (-2, -1, 3)]):
        np.testing.assert_equal(found, [math.nan, -math.inf, np.log1p(3)])
    for condition in (x < y, x != 3):
        with pytest.raises(TypeError, match="neither true nor false"):
            bool(condition)


@pytest.mark.parametrize(
    ("function", "operands"),
    [
        *(
            (getattr(np, name), 1)
            for name in ("exp", "log", "log1p", "sqrt", "sin", "cos", "tanh", "square", "negative")
        ),
        *((getattr(np, name), 1) for name in ("absolute", "fabs", "reciprocal", "positive")),
        *((getattr(np, name), 2) for name in ("add", "subtract", "multiply", "divide", "power", "float_power")),
        *((getattr(np, name), 2) for name in ("maximum", "minimum")),
        (lambda a: np.clip(a, 0.5, 1) + np.sign(a - 1), 1),
        (np.logaddexp, 2),
        (lambda a, b: np.where(np.greater(a, b), a, np.float64(2) * b), 2),
        (lambda a, b: np.where(np.logical_and(a <= b, np.not_equal(a, 1)), a, b), 2),
        (lambda a, b: np.where(np.logical_or(np.equal(a, 1.25), np.logical_not(np.less(a, b))), a, b), 2),
        (lambda a: np.where(np.float32(0.8) < a, 0.0, a), 1),
    ],
)
def test_numpys_functions_take_expressions(function, operands):
    variables = graph.variables("x y")[:operands]
    for point in ((0.75, 1.5), (1.25, 0.5), (1.0, 2.0)):
        values = dict(zip("xy", point, strict=True))
        made = function(*variables)
        found = made.evaluate({name: values[name] for name in made.variables})
        assert found == pytest.approx(float(function(*point[:operands])), rel=1e-14)


# --- Rules.


@bpjit.rule(
    prepare=lambda shared, s: (shared[0] + s.rest1 * (1 - shared[0]), shared[1] + s.rest2 * (1 - shared[1])),
    starts=(0.0, 0.0),
    shares=2,
    eta=0.01,
    rest1=0.1,
    rest2=0.001,
    epsilon=1e-8,
)
def my_adam(w, g, state, eta, settings, shared):
    m, r = state
    m = m + settings.rest1 * (g - m)
    r = r + settings.rest2 * (g * g - r)
    return w + eta * (m / shared[0]) / (sqrt(r / shared[1]) + settings.epsilon), (m, r)


def test_adam_as_a_user_writes_it():
    form = my_adam.form
    assert (form.called, form.starts, form.shares, form.eta) == ("my_adam", (0.0, 0.0), 2, 0.01)
    assert form.settings == (("rest1", 0.1), ("rest2", 0.001), ("epsilon", 1e-8))
    step, prepare = function_of(form.step), function_of(form.prepare)
    rng, values = np.random.default_rng(5), [value for _, value in form.settings]
    w, state, shared = 0.5, form.starts, (0.0, 0.0)
    expected, m, r = 0.5, 0.0, 0.0
    for t in range(1, 51):
        g = rng.normal()
        shared = prepare(*shared, *values)
        w, *state = step(w, g, *state, 0.01, *values, *shared)
        m, r = 0.9 * m + 0.1 * g, 0.999 * r + 0.001 * g * g
        expected += 0.01 * m / (1 - 0.9**t) / (math.sqrt(r / (1 - 0.999**t)) + 1e-8)
        assert w == pytest.approx(expected, rel=1e-12)
    assert abs(w - 0.5) > 0.01
    assert copy.deepcopy(my_adam) == my_adam == pickle.loads(pickle.dumps(my_adam))
    assert my_adam(rest1=0.2) != my_adam


def plain(w, g, state, eta, settings):
    return w + eta * g, state


RULES = {
    "too much state": (lambda: bpjit.rule(plain, starts=(0,) * 4), ValueError, "starts: expected 3 .* at most, got 4"),
    "too much shared": (lambda: bpjit.rule(plain, shares=3), ValueError, "shares: .*<= 2, got 3"),
    "too many settings": (
        lambda: bpjit.rule(plain, **dict.fromkeys("abcdef", 1.0)),
        ValueError,
        "settings: expected 5 at most, got 6: a, b, c, d, e, f",
    ),
    "nobody makes what is shared": (lambda: bpjit.rule(plain, shares=1), ValueError, "prepare: expected a function"),
    "w alone": (lambda: bpjit.rule(lambda w, g, s, e, c: w), TypeError, r"rule: expected it to return \(w, state\)"),
    "another state": (
        lambda: bpjit.rule(lambda w, g, s, e, c: (w, (w, g)), starts=(0.0,)),
        TypeError,
        "tuple of 1 numbers, as starts has, got",
    ),
    "a state of words": (lambda: bpjit.rule(lambda w, g, s, e, c: (w, ("v",)), starts=(0,)), TypeError, "got 'v'"),
    "too few arguments": (lambda: bpjit.rule(lambda w, g: w), TypeError, "step: expected a function of 5 to 6 numbers"),
    "an unknown setting": (
        lambda: bpjit.rule(lambda w, g, s, e, c: (w + c.mue * g, s), mu=0.9),
        AttributeError,
        'settings: expected one of mu, got mue; did you mean "mu"',
    ),
    "if": (
        lambda: bpjit.rule(lambda w, g, s, e, c: (w if g > 0 else g, s)),
        TypeError,
        "line .*neither true nor false",
    ),
    "a rate that it has not": (lambda: bpjit.rule(plain, eta=None), ValueError, "eta: expected a number for plain"),
    "a rate below 0": (lambda: bpjit.rule(plain, eta=-1), ValueError, "eta: expected a finite number > 0"),
    "NaN where g is 0": (
        lambda: bpjit.rule(lambda w, g, s, e, c: (w + e * g / sqrt(g * g), s)),
        ValueError,
        "got NaN for w in update 1 with g = 0",
    ),
    "updates": (lambda: bpjit.rule(plain, updates=32), ValueError, 'updates: expected None or "accumulated"'),
    "a built-in name": (lambda: bpjit.rule(plain, name="adam") and bpjit.rule(_adam), ValueError, 'name="my_adam"'),
}


def _adam(w, g, state, eta, settings):
    return w + eta * g, state


_adam.__name__ = "adam"


@pytest.mark.parametrize("kind", RULES)
def test_rules_that_are_none_are_named(kind):
    make, error, words = RULES[kind]
    with pytest.raises(error, match=words):
        make()


def test_rules_remember_what_they_are_told():
    assert bpjit.rule(plain, updates="accumulated").form.accumulated
    by_sign = bpjit.rule(
        lambda w, g, s, e, c: (w + c.size * select(g > 0, 1, -1), ()), eta=None, size=0.1, name="by_sign"
    )
    assert (by_sign.form.eta, by_sign.form.called) == (None, "by_sign")
    assert function_of(by_sign.form.step)(1.0, -2.0, 0.0, 0.1) == 0.9


# --- Derived once more, for the Hessian.

SECOND = {
    **{name: pair[0] for name, pair in ACTIVATIONS.items()},
    "wavy": lambda z: sin(z) * sqrt(1 + z * z) + abs(z) * cos(2 * z) - log(2 + z**2) / (3 + tanh(z)),
    "chosen": lambda z: select((z > 1) | (z < -2), exp(-z) - 3 * z, select(z <= 0, log1p(z * z), maximum(z, z**3))),
    "constant": lambda z: 2,
}


@pytest.mark.parametrize("name", [*SECOND, "elu", "silu", "gelu"])
def test_second_derivatives_equal_differences_of_slopes(name):
    tape = (shipped("activation", name) if name not in SECOND else bpjit.activation(SECOND[name], name="f")).tape
    z, h = POINTS[::10], 1e-5
    z = z[np.abs(z) > 0.01]  # the third derivative of |z|^2.5 has no bounds near 0
    expected = (run(tape, z + h)[1] - run(tape, z - h)[1]) / (2 * h)
    found = run(derivative(tape), z)[0]
    apart = np.abs(found - expected) > 1e-6 * np.maximum(1, np.abs(expected))
    assert np.abs(found).max() > 0.01 or name in ("hard tanh", "constant")
    assert not apart.any(), (z[apart], found[apart], expected[apart])


@pytest.mark.parametrize("name", ["logistic", "logistic with a square", "silu", "softplus", "mish", "gauss", "elu"])
def test_second_derivatives_are_0_far_out(name):
    tape = (shipped("activation", name) if name not in SECOND else bpjit.activation(SECOND[name], name="f")).tape
    for dtype in DTYPES:
        assert run(derivative(tape), [-1e4, 1e4], dtype=dtype)[0].tolist() == [0, 0]


@pytest.mark.parametrize("name", ["quantile", "log_cosh", "poisson"])
def test_second_derivatives_of_losses(name):
    tape, h = shipped("loss", name).tape, 1e-6
    for y_hat, y in ((0.7, 1.3), (-2.0, 0.4), (3.0, 2.9)):
        expected = (run(tape, y_hat + h, y)[1] - run(tape, y_hat - h, y)[1]) / (2 * h)
        assert run(derivative(tape), y_hat, y)[0] == pytest.approx(expected, rel=1e-7, abs=1e-9)
        assert function_of(derivative(tape))(y_hat, y) == pytest.approx(expected, rel=1e-7, abs=1e-9)
