"""SIMD numbers: instructions lane by lane, accuracy in units in the last place, and every formula on vectors."""

import numba
import numpy as np
import pytest

from bpjit.kernels import jit
from bpjit.kernels.epochs import all_finite
from bpjit.kernels.simd.across import any_lane, lane_max, lane_sum, lane_sums
from bpjit.kernels.simd.memory import registers, some_registers, vectors
from bpjit.maths import formulas
from bpjit.settings.rules import Adam, Rprop

LANES = {"float64": 8, "float32": 16}
load4, store4, lift4 = vectors(4)
load8, store8, lift8 = vectors(8)
load16, store16, lift16 = vectors(16)
ACCESS = {4: (load4, store4, lift4), 8: (load8, store8, lift8), 16: (load16, store16, lift16)}


def on_vectors(function, dtype, fastmath=False, lanes=None):
    """Run a function of numbers on vectors: f(arrays) -> array."""
    lanes = lanes or LANES[np.dtype(dtype).name]
    load, store, _ = ACCESS[lanes]
    apply = jit.strict(function) if not fastmath else jit.formula(function)

    @numba.njit(fastmath=jit.FASTMATH if fastmath else False, **jit.OPTIONS)
    def one(a, out):
        for i in range(0, len(out), lanes):
            store(out, i, apply(load(a, i)))

    @numba.njit(fastmath=jit.FASTMATH if fastmath else False, **jit.OPTIONS)
    def two(a, b, out):
        for i in range(0, len(out), lanes):
            store(out, i, apply(load(a, i), load(b, i)))

    def run(*arrays):
        arrays = [np.asarray(array, dtype) for array in np.broadcast_arrays(*arrays)]
        n = arrays[0].size
        padded = [np.pad(array, (0, -n % lanes), mode="edge") for array in arrays]
        out = np.empty_like(padded[0])
        (one if len(arrays) == 1 else two)(*padded, out)
        return out[:n]

    return run


def inputs(dtype, low, high, n=40_000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, n).astype(dtype)


def ulps(result, exact, dtype):
    """Errors in units in the last place of the exact result (a subnormal's unit is the smallest number)."""
    exact = np.asarray(exact, np.longdouble)
    spacing = np.spacing(np.abs(exact.astype(dtype)))
    return np.abs(result.astype(np.longdouble) - exact) / spacing


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan]


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


# --- Instructions.


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_arithmetic(name, dtype):
    functions = {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "divide": lambda a, b: a / b,
    }
    a, b = inputs(dtype, -3, 3, 100), inputs(dtype, 1, 3, 100, seed=1)
    np.testing.assert_array_equal(on_vectors(functions[name], dtype)(a, b), getattr(np, name)(a, b))


def test_arithmetic_with_scalars_and_in_place(dtype):
    def mixed(a, b):
        two = formulas.like(a, 2)
        total = formulas.like(a, 0.25)
        total += a * two
        total -= b
        total *= two
        return -total

    a, b = inputs(dtype, -3, 3, 50), inputs(dtype, 1, 3, 50, seed=1)
    np.testing.assert_array_equal(on_vectors(mixed, dtype)(a, b), -((np.array(0.25, dtype) + a * 2 - b) * 2))


def test_lifted_scalars(dtype):
    lanes = LANES[dtype]
    load, store, lift = ACCESS[lanes]

    @numba.njit(**jit.OPTIONS)
    def scale(a, c, out):
        store(out, 0, c * load(a, 0) + lift(c))

    a, out = inputs(dtype, -1, 1, lanes), np.zeros(lanes, dtype)
    scale(a, np.dtype(dtype).type(3), out)
    np.testing.assert_array_equal(out, 3 * a + np.array(3, dtype))


def test_some_of_several_registers(dtype):
    load, store, load_round = some_registers(4)

    @numba.njit
    def copy(x, y, n, rows, width, offset):
        store(y, 0, n, load(x, 0, n) + load_round(rows, 1, width, offset))

    size = registers(1)(numba.from_dtype(np.dtype(dtype)))
    rows = np.arange(1 + 8 * size, dtype=dtype)
    for count in range(1, 5):
        x = np.full(count * size, 0.5, dtype)
        for width in (1, 2, 3, 8):
            for offset in range(width):
                y = np.full(4 * size, -1, dtype)
                copy(x, y, count * size, rows, width * size, offset * size)
                written = rows[1 + (np.arange(count * size) + offset * size) % (width * size)] + 0.5
                assert np.array_equal(y, np.r_[written, np.full((4 - count) * size, -1)])


@pytest.mark.parametrize("compare", ["<", "<=", ">", ">=", "==", "!="])
def test_comparisons_and_select(compare, dtype):
    chooser = eval(f"lambda a, b: formulas.select(a {compare} b, a, b)", {"formulas": formulas})
    values = np.array([0.0, 1.0, -1.0, 2.0, np.inf, np.nan, 1.0, -0.0], dtype)
    a, b = (grid.ravel() for grid in np.meshgrid(values, values))
    with np.errstate(invalid="ignore"):
        expected = np.where(eval(f"a {compare} b"), a, b)
    np.testing.assert_array_equal(on_vectors(chooser, dtype)(a, b), expected)


def test_masks(dtype):
    def chooser(a, b):
        low, high = a < b, a > -b
        inside = (low & high) | (a == b)
        return formulas.select(~inside, a, b)

    a, b = inputs(dtype, -3, 3, 64), inputs(dtype, 1, 2, 64, seed=1)
    np.testing.assert_array_equal(on_vectors(chooser, dtype)(a, b), np.where(~((a < b) & (a > -b)), a, b))


def test_across_lanes(dtype):
    lanes = LANES[dtype]
    load, _, _ = ACCESS[lanes]

    @numba.njit(**jit.OPTIONS)
    def across(a):
        v = load(a, 0)
        return lane_sum(v), lane_max(v), any_lane(v > formulas.like(v, 2))

    a = inputs(dtype, 0, 1, lanes)
    total, largest, found = across(a)
    assert total == pytest.approx(a.astype(float).sum(), rel=4 * float(np.finfo(dtype).eps))
    assert (largest, found) == (a.max(), False)
    a[3] = 2.5
    assert across(a)[1:] == (a[3], True)


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_four_sums_across_lanes_add_halves_to_halves(dtype, lanes):
    load, _, _ = ACCESS[lanes]

    @numba.njit(**jit.OPTIONS)
    def across(a, sums):
        four = lane_sums(load(a, 0), load(a, lanes), load(a, 2 * lanes), load(a, 3 * lanes))
        store4(sums, 0, four)

    a, sums = inputs(dtype, -1, 1, 4 * lanes), np.zeros(4, dtype)
    across(a, sums)
    halves = a.reshape(4, lanes)
    while halves.shape[1] > 1:
        halves = halves[:, : halves.shape[1] // 2] + halves[:, halves.shape[1] // 2 :]
    np.testing.assert_array_equal(sums, halves[:, 0])


# --- Accuracy.

RANGES = {
    "exp": [(-1, 1), (-20, 20), (-87, 88)],
    "log": [(1e-3, 10), (0.5, 2), (1e-30, 1e30)],
    "log1p": [(-0.9, 3), (-1e-3, 1e-3), (0, 1), (1, 1e6)],
    "tanh": [(-1, 1), (-0.01, 0.01), (-12, 12), (-30, 30)],
    "sin": [(-1, 1), (-10, 10), (-900, 900)],
    "cos": [(-1, 1), (-10, 10), (-900, 900)],
    "sqrt": [(0, 1), (0, 1e20)],
}
HELPERS = {
    "exp": formulas.exp,
    "log": formulas.log,
    "log1p": formulas.log1p,
    "tanh": formulas.tanh_of,
    "sin": formulas.sin_of,
    "cos": formulas.cos_of,
    "sqrt": formulas.sqrt,
}
# As the module's docstring states them: float64, float32.
BOUNDS = {
    "exp": (1.1, 1.1),
    "log": (0.9, 0.9),
    "log1p": (1.3, 1.5),
    "tanh": (2.5, 2.5),
    "sin": (1.5, 2.5),
    "cos": (1.5, 2.5),
    "sqrt": (0.5, 0.5),
}
NEAR_ZEROS = (1.5e-16, 3e-8)  # of sin and cos


@pytest.mark.parametrize(("name", "limits"), [(name, limits) for name, many in RANGES.items() for limits in many])
def test_accuracy_as_the_module_states_it(name, limits, dtype):
    helper = HELPERS[name]
    x = inputs(dtype, *limits)
    result = on_vectors(lambda x: helper(x), dtype)(x)
    exact = getattr(np, name)(x.astype(np.longdouble))
    assert result.dtype == dtype
    place = ["float64", "float32"].index(dtype)
    spacing = np.spacing(np.abs(exact.astype(dtype))).astype(np.longdouble)
    bound = BOUNDS[name][place] * spacing
    if name in ("sin", "cos"):
        bound = np.maximum(bound, NEAR_ZEROS[place])
    assert np.max(np.abs(result.astype(np.longdouble) - exact) / bound) <= 1.0


def test_exp_to_its_ends(dtype):
    low, high = (-745.1, 709.78) if dtype == "float64" else (-103.9, 88.72)
    x = np.concatenate([np.linspace(low, low * 0.9, 2000), np.linspace(high * 0.98, high, 2000)]).astype(dtype)
    result = on_vectors(lambda x: formulas.exp(x), dtype)(x)
    assert np.isfinite(result).all()
    exact = np.exp(x.astype(np.longdouble))
    assert ulps(result, exact, dtype).max() <= 2.0
    x = np.array([high + 0.01, 1e30, low - 1, -1e30], dtype)
    np.testing.assert_array_equal(on_vectors(lambda x: formulas.exp(x), dtype)(x), [np.inf, np.inf, 0, 0])


def test_exp_of_few_lanes_has_the_bits_of_many(dtype):
    high = 710.0 if dtype == "float64" else 89.0
    limits = [side * np.nextafter(at, to) for side in (1, -1) for at in (high, 104, 746) for to in (0, at, np.inf)]
    powers = np.outer([1, -1], np.geomspace(1e-30, np.finfo(dtype).max / 2, 500)).ravel()
    x = np.concatenate([np.linspace(-1.1 * high, 1.1 * high, 2000), limits, powers, SPECIAL]).astype(dtype)
    few, many = (on_vectors(lambda x: formulas.exp(x), dtype, lanes=lanes)(x) for lanes in (4, None))
    np.testing.assert_array_equal(few, many)


def test_one_parameter_that_is_not_finite_is_found_wherever_it_stands(dtype):
    finite = numba.njit(**jit.OPTIONS)(lambda p: all_finite(p))
    for n in (1, 3, 4, 9):
        p = np.full(n, np.finfo(dtype).max, dtype)
        assert finite(p)
        for i in range(n):
            for value in (np.nan, np.inf, -np.inf):
                q = p.copy()
                q[i] = value
                assert not finite(q)


def test_log_of_subnormal_numbers(dtype):
    x = np.array([5e-324, 1e-310] if dtype == "float64" else [1e-45, 1e-40], dtype)
    exact = np.log(x.astype(np.longdouble))
    assert ulps(on_vectors(lambda x: formulas.log(x), dtype)(x), exact, dtype).max() <= 1.0


@pytest.mark.parametrize("name", list(HELPERS))
def test_special_values(name, dtype):
    helper = HELPERS[name]
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(np.array(SPECIAL, dtype))
    result = on_vectors(lambda x: helper(x), dtype)(np.array(SPECIAL, dtype))
    np.testing.assert_allclose(result, expected, rtol=4 * float(np.finfo(dtype).eps), atol=0)


def test_large_arguments_of_sin_and_cos(dtype):
    x = np.array([1e5, -2e5, 1e8, 3.3e20, 0.5], dtype)
    for name in ("sin", "cos"):
        helper = HELPERS[name]
        result = on_vectors(lambda x: helper(x), dtype)(x)  # noqa: B023
        eps = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(result, getattr(np, name)(x.astype(float)), rtol=4 * eps, atol=4 * eps)


# --- Every formula, unchanged.

POINTS = np.concatenate([np.linspace(-7, 7, 200), [-90.0, -30.0, 30.0, 88.0, 0.0]])


@pytest.mark.parametrize("activation", formulas.ACTIVATIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("fastmath", [False, True])
def test_every_activation_on_vectors(activation, part, fastmath, dtype):
    result = on_vectors(lambda z: activation(z)[part], dtype, fastmath)(POINTS)
    expected = [activation(float(z))[part] for z in POINTS.astype(dtype)]
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(result, expected, rtol=8 * eps, atol=4 * eps)


@pytest.mark.parametrize("activation", formulas.ACTIVATIONS, ids=lambda f: f.__name__)
def test_nan_passes_through_every_activation_but_the_step(activation, dtype):
    result = on_vectors(lambda z: activation(z)[0], dtype, fastmath=True)([np.nan, 1.0])
    assert np.isnan(result[0]) or activation is formulas.step
    assert np.isfinite(result[1])


@pytest.mark.parametrize("loss", formulas.LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("part", [0, 1])
def test_every_loss_on_vectors(loss, part, dtype):
    y_hat, y = inputs(dtype, -2, 2, 100), inputs(dtype, -2, 2, 100, seed=1)
    y[:5] = y_hat[:5]
    expected = [loss(float(a), float(b))[part] for a, b in zip(y_hat, y, strict=True)]
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        on_vectors(lambda a, b: loss(a, b)[part], dtype)(y_hat, y), expected, rtol=8 * eps, atol=eps
    )


def test_rules_on_vectors(dtype):
    step_of_rprop, step_of_adam = Rprop.step, Adam.step

    def rprop(w, g):
        half, one = formulas.like(w, 0.5), formulas.like(w, 1.2)
        least, most = formulas.like(w, 1e-6), formulas.like(w, 50)
        return step_of_rprop(w, g, (w, half, half), one, (one, half, least, most, one), (one,))[0]

    def adam(w, g):
        rest, small = formulas.like(w, 0.1), formulas.like(w, 1e-8)
        return step_of_adam(w, g, (g, g * g), rest, (small, rest, rest), (rest, rest))[0]

    w, g = inputs(dtype, -2, 2, 64), inputs(dtype, -2, 2, 64, seed=1)
    for rule in (rprop, adam):
        expected = [rule(float(a), float(b)) for a, b in zip(w, g, strict=True)]
        np.testing.assert_allclose(on_vectors(rule, dtype)(w, g), expected, rtol=64 * float(np.finfo(dtype).eps))
