"""Learning one sample at a time: the state of a learner in one array, and what works on it from any jitted code.

A call from Python pays for every array it passes, so that all of a learner lies in one: a header of whole numbers, the
records of the layers, the work space and the rule's constants; then, from P on, what each learner has of its own: the
packed network, the state of its rule and its settings. Nothing is updated before all gradient terms are known and found
to be finite: a sample that would do harm changes nothing. What Python calls keeps the GIL, so that each call is whole
before another thread's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.extending import intrinsic
from numba.np import arrayobj

from ...maths import formulas
from ...maths.formulas import like, select, sqrt
from ...settings.rules import SETTINGS as MOST_SETTINGS
from ...settings.rules import Rule
from ..jit import atomic, by_type, from_lines, inline, items
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..simd.across import lane_max, lane_sum
from ..simd.memory import aligned_zeros, item, lanes_of, pointer, put
from ..switches import OF_RULES, prepare
from .each_sample import (
    forward_dense,
    lift,
    load,
    load_first,
    output_terms,
    outputs,
    step,
    store,
    update_then_forward_dense,
    update_thresholds,
)
from .padded import PACKED, PANEL, Net, make_work, panel_size

# Places in the header: numbers, and where things begin, in elements of the network's dtype.
LAYERS, LOSS, N, RECORDS, P, A, S, Z, B, SLOPE, G, USED, CONSTANTS, SETTINGS = range(14)
HEADER = 16
# Places among the settings.
ETA, LAM, REST, MOST_GRADIENT, MOST_WEIGHT, LARGEST, FASTEST, SHARED1, SHARED2 = range(9)

_RECORD = from_dtype(PACKED)
_RECORDS = types.Array(_RECORD, 1, "C")


class State(NamedTuple):
    """A learner as jitted code takes it."""

    kind: tuple[int, ...]  # as long as the code of its rule, which is compiled in
    data: np.ndarray


class Update(NamedTuple):
    """What ``updates`` wants to know of a rule."""

    kind: Any
    lam: Any
    rest: Any


def make_state(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    loss: int,
    rule: Rule,
    seed: int,
    settings: Sequence[float],
) -> tuple[State, np.ndarray]:
    """The state of a learner with these ``settings``, ETA to MOST_WEIGHT, and where each of ``Network.parameters``
    stands in it."""
    dtype, work = p.dtype, make_work(sizes, activations, p.dtype, rule)
    work.P[work.place] = p
    work.A[work.place] = p
    work.S[:, work.place] = rule.start(len(p), seed)[: rule.slots]
    parts = {
        RECORDS: work.layers.view(np.uint8).view(dtype),
        Z: work.z,
        B: work.b,
        SLOPE: work.slope,
        G: work.g,
        USED: work.used,
        CONSTANTS: np.zeros(MOST_SETTINGS, dtype),
        P: work.P,
        A: work.A if work.A is not work.P else work.A[:0],
        S: work.S.ravel(),
        SETTINGS: np.array([*settings, np.abs(p).max(), 0.0, 0.0, 0.0], dtype),
    }
    parts[CONSTANTS][: len(rule.constants())] = rule.constants()
    line = 64 // dtype.itemsize
    header = np.zeros(HEADER, np.int64)
    header[[LAYERS, LOSS, N]] = len(work.layers), loss, len(work.P)
    end = HEADER * 8 // dtype.itemsize
    for name, part in parts.items():
        header[name] = end
        end += -(-part.size // line) * line
    data = aligned_zeros(end, dtype)
    data.view(np.int64)[:HEADER] = header
    for name, part in parts.items():
        data[header[name] : header[name] + part.size] = part
    if work.A is work.P:
        data.view(np.int64)[A] = header[P]
    return State((0,) * rule.code, data), header[P] + work.place


def places_of(data: np.ndarray, place: np.ndarray, slots: int) -> np.ndarray:
    """Where in the state of a learner stand the numbers that learning changes: the parameters first, at ``place``."""
    header = data.view(np.int64)[:HEADER]
    starts = dict.fromkeys([int(header[P]), int(header[A])])
    more = [int(header[S] + slot * header[N]) for slot in range(slots)]
    settings = int(header[SETTINGS]) + np.arange(LARGEST, SHARED2 + 1)
    return np.concatenate([*(start + place - int(header[P]) for start in [*starts, *more]), settings])


@intrinsic
def _integer(typing_context: Any, data: Any, index: Any) -> Any:
    """Whole number ``index`` of the header."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = arrayobj.make_array(data)(context, builder, arguments[0]).data
        return builder.load(builder.gep(builder.bitcast(start, ir.IntType(64).as_pointer()), [arguments[1]]))

    return types.intp(data, types.intp), generate


@intrinsic
def _records(typing_context: Any, data: Any, offset: Any, count: Any) -> Any:
    """The records of the layers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = arrayobj.make_array(data)(context, builder, arguments[0]).data
        records = arrayobj.make_array(_RECORDS)(context, builder)
        place = builder.bitcast(builder.gep(start, [arguments[1]]), records.data.type)
        size = context.get_constant(types.intp, PACKED.itemsize)
        arrayobj.populate_array(records, place, [arguments[2]], [size], size, meminfo=None)
        return records._getvalue()

    return _RECORDS(data, types.intp, types.intp), generate


@inline
def net_in(data: Any) -> Net:
    """The pointers to a learner's network."""
    return Net(
        pointer(data, _integer(data, P)),
        pointer(data, _integer(data, A)),
        pointer(data, _integer(data, S)),
        None,
        _integer(data, N),
        pointer(data, _integer(data, CONSTANTS)),
        pointer(data, _integer(data, Z)),
        pointer(data, _integer(data, B)),
        pointer(data, _integer(data, SLOPE)),
        pointer(data, _integer(data, G)),
        pointer(data, _integer(data, USED)),
    )


@inline
def back(net: Net, layer: Any, P: Any) -> None:
    """e_h of the units below. Writes g below."""
    q, here, below = layer.below_width, layer.here, layer.below
    for v in range(0, q, lanes_of(net.P)):
        total, W = load(net.slope, below + v) * like(item(net.P, 0), 0), layer.weights + v
        for j in range(layer.fan_out):
            total += item(net.g, here + j) * load(P, W + j * q)
        store(net.g, below + v, formulas.hidden_gradient_term(load(net.slope, below + v), total))


@inline
def sizes_of(array: Any, first: int, n: int) -> Any:
    """(the largest size, the sum of squares) of n numbers; the second is not finite where one of them is not."""
    most = total = lift(like(item(array, first), 0))
    for v in range(0, n, lanes_of(array)):
        part = load_first(array, first + v, n - v)
        size = abs(part)
        most = select(size > most, size, most)
        total += part * part
    return lane_max(most), lane_sum(total)


@inline
def zero_of(array: Any, first: int, n: int) -> Any:
    """0, or NaN where one of n numbers is not finite."""
    total = lift(like(item(array, first), 0))
    for v in range(0, n, lanes_of(array)):
        total += load_first(array, first + v, n - v) * like(item(array, first), 0)
    return lane_sum(total)


@inline
def squares_over(array: Any, first: int, n: int, unit: Any) -> Any:
    """The sum of squares of n numbers, in units of ``unit``."""
    total = lift(like(unit, 0))
    for v in range(0, n, lanes_of(array)):
        part = load_first(array, first + v, n - v) / unit
        total += part * part
    return lane_sum(total)


@inline
def setting(net_data: Any, index: int) -> Any:
    return item(net_data, _integer(net_data, SETTINGS) + index)


@inline
def set_setting(data: Any, index: int, value: Any) -> None:
    put(data, _integer(data, SETTINGS) + index, value)


@inline
def run_forward(net: Net, layers: Any, x: Any, P: Any) -> Any:
    """ŷ for one sample. Writes z, b, slope; returns 0, or NaN where x is not finite."""
    X = pointer(x, 0)
    forward_dense(net, layers[0], None, P, X, 0)
    outputs(net, layers, P)
    return zero_of(X, 0, layers[0].fan_in)


@inline
def norm_in_units(net: Net, layers: Any, x: Any, largest: Any) -> Any:
    """The norm of the gradient in units of its largest entry; not finite where the gradient is not."""
    zero, one = like(largest, 0), like(largest, 1)
    squares, unit = zero, select(largest > zero, largest, one)
    for index in range(len(layers)):
        layer = layers[index]
        if index == 0:
            below, first = pointer(x, 0), 0
        else:
            below, first = net.b, layer.below
        steepest, _ = sizes_of(net.g, layer.here, layer.fan_out)
        size, _ = sizes_of(below, first, layer.fan_in)
        steepest, size = select(steepest > zero, steepest, one), select(size > one, size, one)
        of_g = squares_over(net.g, layer.here, layer.fan_out, steepest)
        of_b = squares_over(below, first, layer.fan_in, size) + one / size / size
        share = select(of_g > zero, steepest * size / unit, of_g)
        squares += share * share * of_g * of_b
    return sqrt(squares)


SQUARES = tuple(rule.code for rule in OF_RULES if rule.squares)
settings_at = inline(from_lines("settings_at", "c", [f"return {items('item(c, {k})', MOST_SETTINGS)}"], {"item": item}))


@inline
def prepare_rule(kind: Any, c: Any, data: Any) -> Any:
    """What all parameters share, anew for each update. Writes the state."""
    first, second = setting(data, SHARED1), setting(data, SHARED2)
    first, second = prepare(len(kind), (first, second), settings_at(c), like(first, 0))
    set_setting(data, SHARED1, first)
    set_setting(data, SHARED2, second)
    return first, second


def longest_step(kind: Any, c: Any, eta_g: Any, last: Any) -> Any:
    """As ``Rule.longest``."""


def _longest_of(rule: type[Rule]) -> Any:
    settings = items("item(c, {k})", len(rule().constants()))
    scope = {"longest": rule.longest, "item": item}
    return from_lines("longest_step", "kind, c, eta_g, last", [f"return longest(eta_g, last, {settings})"], scope)


_LONGEST = tuple(_longest_of(rule) for rule in OF_RULES)
by_type(longest_step, lambda kind, c, eta_g, last: _LONGEST[len(kind)])


@inline
def learn_one(kind: Any, data: Any, x: Any, y: Any) -> Any:
    """One update. Returns E_k from before it, or NaN where the sample would do harm: nothing changes then."""
    layers = _records(data, _integer(data, RECORDS), _integer(data, LAYERS))
    net, top = net_in(data), layers[len(layers) - 1]
    check = run_forward(net, layers, x, net.A)
    Y = pointer(y, 0)
    error = output_terms(net, top, _integer(data, LOSS), Y, 0, top.here, like(check, 1))
    for index in range(len(layers) - 1, 0, -1):
        back(net, layers[index], net.A)

    # The norm of the gradient is Σ |g|² (1 + |b|²) over the layers; its largest entry is known likewise.
    zero, one = like(error, 0), like(error, 1)
    squares, largest = zero, zero
    for index in range(len(layers)):
        layer = layers[index]
        if index == 0:
            below, first, q = pointer(x, 0), 0, layer.fan_in
        else:
            below, first, q = net.b, layer.below, layer.fan_in
        steepest, of_g = sizes_of(net.g, layer.here, layer.fan_out)
        size, of_b = sizes_of(below, first, q)
        size = steepest * select(size > one, size, one)
        largest = select(size > largest, size, largest)
        squares += of_g * (one + of_b)
    norm, most = sqrt(squares), setting(data, MOST_GRADIENT)
    clip = select(norm > most, most / norm, one)
    eta, lam = setting(data, ETA), setting(data, LAM)
    move = longest_step(kind, net.c, eta * largest * clip, setting(data, FASTEST))
    bound = setting(data, LARGEST) + move
    fits = fits_loss(top, _integer(data, LOSS), Y)
    if not (fits and check + error * zero + norm * zero + bound * zero == zero):
        # Squares may be beyond all numbers where the gradient is not, and LARGEST, which only grows, where no
        # parameter is.
        norm, most = norm_in_units(net, layers, x, largest), most / largest
        clip = select(norm > most, most / norm, one)
        move = longest_step(kind, net.c, eta * (largest * clip), setting(data, FASTEST))
        bound = sizes_of(net.P, 0, net.n)[0] + move
        check += error * zero + norm * zero + bound * zero
        if len(kind) in SQUARES:
            check += largest * clip * (largest * clip) * zero
        if not (fits and check == zero):
            return like(error, np.nan)
    set_setting(data, FASTEST, move)
    set_setting(data, LARGEST, bound)

    for v in range(0, top.here + top.width, lanes_of(net.P)):
        store(net.g, v, load(net.g, v) * clip)
    steps = Update(kind, lam, setting(data, REST))
    shared = prepare_rule(kind, net.c, data)
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        for j in range(layer.fan_out if index > 0 else 0):
            g, W = item(net.g, layer.here + j), layer.weights + j * layer.below_width
            for v in range(0, layer.below_width, lanes_of(net.P)):
                step(steps, net, W + v, g, load(net.b, layer.below + v), eta, shared)
        update_thresholds(net, layer, steps, eta, shared)
    update_then_forward_dense(net, layers[0], None, steps, pointer(x, 0), 0, 0, eta, shared)
    limit = setting(data, MOST_WEIGHT)
    if bound > limit or (len(kind) in SQUARES and limit * zero == zero):  # their steps may be longer than η |g|
        for o in range(0, net.n, lanes_of(net.P)):
            w = load(net.P, o)
            w = select(w > limit, w * zero + limit, select(w < -limit, w * zero - limit, w))
            store(net.P, o, w)
        set_setting(data, LARGEST, limit)
    return error


@inline
def fits_loss(top: Any, loss: int, y: Any) -> bool:
    """Whether targets are probabilities where cross-entropy wants them to be."""
    if loss != CROSS_ENTROPY:
        return True
    zero, one = like(item(y, 0), 0), like(item(y, 0), 1)
    total, fits = zero, True
    for j in range(top.fan_out):
        total += item(y, j)
        fits = fits and zero <= item(y, j) <= one
    return fits and (top.activation != SOFTMAX or abs(total - one) <= like(one, 1e-3))


@inline
def predict_one(data: Any, x: Any, y_hat: Any) -> Any:
    """ŷ for one sample. Writes y_hat; returns whether x was finite."""
    layers = _records(data, _integer(data, RECORDS), _integer(data, LAYERS))
    net, top = net_in(data), layers[len(layers) - 1]
    check = run_forward(net, layers, x, net.P)
    for j in range(top.fan_out):
        put(y_hat, j, item(net.b, top.here + j))
    return check == like(check, 0)


@inline
def slopes_one(data: Any, x: Any, y_hat: Any, J: Any) -> Any:
    """ŷ and ∂ŷ_j/∂x_i for one sample. Writes y_hat, and J, [shape: (l, d)]; returns whether x was finite."""
    finite = predict_one(data, x, y_hat)
    layers = _records(data, _integer(data, RECORDS), _integer(data, LAYERS))
    net, bottom, top = net_in(data), layers[0], layers[len(layers) - 1]
    zero, one = like(item(net.P, 0), 0), like(item(net.P, 0), 1)
    lanes, d, l = lanes_of(net.P), bottom.fan_in, top.fan_out
    for j in range(l):
        for i in range(l):
            here, d_i = top.here + i, select(i == j, one, zero)
            if top.activation == SOFTMAX:
                put(net.g, here, formulas.softmax_gradient_term(item(net.b, here), d_i, item(net.b, top.here + j)))
            else:
                put(net.g, here, formulas.output_gradient_term(item(net.slope, here), d_i))
        for index in range(len(layers) - 1, 0, -1):
            back(net, layers[index], net.P)
        for i in range(d):
            put(J, j * d + i, first_slope(net, bottom, i, lanes))
    return finite


@inline
def first_slope(net: Net, layer: Any, i: int, lanes: int) -> Any:
    """Σ_h v_ih e_h, through the panels of the first layer."""
    d, width, W, column, panel = layer.fan_in, layer.width, layer.weights, 0, PANEL * lanes
    total = load(net.g, layer.here) * like(item(net.P, 0), 0)
    while column < width:
        while column + panel > width:
            panel //= 2
        for v in range(0, panel, lanes):
            total += load(net.P, W + i * panel + v) * load(net.g, layer.here + column + v)
        W += panel_size(d, panel, lanes)
        column += panel
    return lane_sum(total)


# --- What Python calls. Jitted code calls ``bpjit.compiled``.


@atomic
def predict_kernel(data: np.ndarray, x: np.ndarray, y_hat: np.ndarray) -> bool:
    """As ``predict_one``."""
    return predict_one(data, x, y_hat)


def _make_learn_kernel(code: int) -> Any:
    kind = (0,) * code

    def learn_kernel(data: np.ndarray, x: np.ndarray, y: np.ndarray) -> Any:
        """As ``learn_one``, for the rule with this code."""
        return learn_one(kind, data, x, y)

    return atomic(learn_kernel, f"learn_kernel{code}")


LEARN_KERNELS = tuple(_make_learn_kernel(rule.code) for rule in OF_RULES)
