"""Networks in fixed point: C computes what Python says, bit for bit, nothing overflows, and every bound holds."""

import itertools
import re
import shutil

import numpy as np
import pytest

import bpjit
from bpjit.export import fixed_layers, noting, running, segments
from bpjit.export.fixed import fixed_point
from bpjit.formulas import exp, select
from test_export import BUILT_IN, COMPILERS, README, STRICT, needs_compiler, on_a_small_controller, run_c

RANGES = np.array([[-2.0, 2.0], [0.5, 1.0], [-30.0, 40.0]])
SIZES = (3, 5, 4, 2)


@bpjit.activation(name="int-*/")
def own(z, a=1.5):
    return select(abs(z) < a, z * exp(-abs(z)), z * exp(-a))


def all_networks():
    """By name a network of every activation; with a scale in the weights, and with one after the outputs."""
    kinds = {name: (name, name) for name in BUILT_IN} | {"soft": ("tanh", "softmax")}
    kinds |= {"own": ([own, own(a=0.3)], "elu"), "gelu": (["silu", "gelu"], "gelu"), "exp": ("relu", "exp")}
    centre, spread = RANGES.mean(1), np.ptp(RANGES, axis=1) / 4
    nets = {}
    for name, kind in kinds.items():
        scale = bpjit.Scale(centre, spread, [500.0, -3.0], [20.0, -0.01])
        nets[name] = bpjit.Network.random(SIZES, *kind, seed=1, scale=bpjit.Scale(centre, spread))
        if name in ("tanh", "identity", "soft"):
            nets[f"{name}_scaled"] = bpjit.Network.random(SIZES, *kind, seed=2, scale=scale)
    nets["one"] = bpjit.Network.random((3, 4, 1), "sigmoid", "sigmoid", seed=3, scale=bpjit.Scale(centre, spread))
    nets["single"] = bpjit.Network.random((3, 4, 1), "tanh", "tanh", seed=3, dtype="float32")
    return nets


NETS = all_networks()
FEW = ("own", "soft_scaled", "step", "relu", "one")


def inputs(count, net, seed=0):
    """Random ones, the corners of the ranges, and those in which each unit of the first layer is largest or least."""
    X = np.random.default_rng(seed).uniform(*RANGES.T, (count, 3))
    corners = np.array(list(itertools.product(*RANGES)))
    signs = np.sign(net.weights[0]).T
    extreme = np.concatenate([np.where(signs * way > 0, *RANGES.T[::-1]) for way in (1, -1)])
    near = RANGES[:, 0] + np.ptp(RANGES, axis=1) * np.random.default_rng(seed).choice([0, 1e-5, 0.5, 1], (200, 3))
    return np.concatenate((X, corners, extreme, near))


def in_doubles(net):
    return bpjit.Network(net.sizes, net.parameters.astype(float), hidden=net.hidden, output=net.output, scale=net.scale)


def clear_of_jumps(net, fixed, X):
    """Where no net input of a unit of "step" is as near to 0 as the header says."""
    b, clear = net.scale.scale_inputs(X, np.dtype(float)), np.ones(len(X), bool)
    for k, (W, theta) in enumerate(zip(net.weights, net.thresholds, strict=True), 1):
        z = b @ W - theta
        clear &= np.all(abs(z) > fixed.near_a_jump.get(k, 0.0), axis=1)
        b = (z >= 0).astype(float)
    return clear


def exact_outputs(net, X):
    """As ``predict`` within 1e-14, without a compiler."""
    return running.outputs(net, {} if net.scale is None else net.scale.arrays, X)


def check_bounds(name, bits, count, predict=exact_outputs):
    net = in_doubles(NETS[name])
    fixed = fixed_point(net, bits, RANGES)
    X = inputs(count, net)
    if name == "step":
        X = X[clear_of_jumps(net, fixed, X)]
        assert len(X) > count * (0.3 if bits == 8 else 0.95)
        assert fixed.near_a_jump.keys() == {1, 2, 3}
    y_hat, exact = fixed.predict(X), predict(net, X)
    off = abs(y_hat - exact).max(0)
    assert np.all(off <= fixed.bounds), name
    cut, margin = net._architecture.cut, 2 * fixed.bounds.max()
    if net.sizes[-1] == 1:
        sure = abs(exact[:, 0] - cut) > margin / 2
    else:
        sure = abs(exact[:, 0] - exact[:, 1]) > margin
    assert np.array_equal(fixed.classify(X)[sure], net._architecture.classes_of_outputs(exact)[sure]), name
    return off / fixed.bounds if name != "step" else None


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_every_error_is_within_its_bound(bits):
    shares = [check_bounds(name, bits, 10_000) for name in NETS]
    assert np.median(np.concatenate([share for share in shares if share is not None])) > 0.1  # they say something


@pytest.mark.slow
@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", NETS)
def test_every_error_of_a_million_is_within_its_bound(name, bits):
    check_bounds(name, bits, 1_000_000, bpjit.Network.predict)


RUN = """{
    FILE *file = fopen("XNAME", "rb");
    INT x[3], y_hat[OUTPUTS];
    while (fread(x, sizeof x, 1, file) == 1) { NAME_predict(x, y_hat); fwrite(y_hat, sizeof y_hat, 1, stdout); }
    fclose(file);
    if (NAME_test()) return 1;
}
"""


def check_c(folder, names, words, count, compilers):
    """C against Python for whole inputs from end to end of the word, most of them beyond the ranges."""
    headers, parts, expected = "", "", b""
    for name, bits in itertools.product(names, words):
        stem = f"{name}{bits}"
        fixed = NETS[name].to_c(folder / f"{stem}.h", fixed=bits, ranges=RANGES)
        dtype, most = f"int{bits}", 2 ** (bits - 1)
        X = np.random.default_rng(bits).integers(-most, most, (count // 2, 3))
        X = np.concatenate((X, [[-most] * 3, [most - 1] * 3], fixed.whole_inputs(inputs(count // 2, NETS[name]))))
        X.astype(dtype).tofile(folder / f"X{stem}")
        expected += fixed.whole_outputs(X).astype(dtype).tobytes()
        headers += f'#include "{stem}.h"\n'
        body = RUN.replace("NAME", stem).replace("INT", f"{dtype}_t")
        parts += body.replace("OUTPUTS", str(NETS[name].sizes[-1]))
    text = f"#include <stdio.h>\n{headers}int main(void) {{\n{parts}return 0;\n}}\n"
    (folder / "main.c").write_text(text, encoding="utf-8")
    for compiler in compilers:
        assert run_c(folder, compiler, STRICT) == expected


@needs_compiler
def test_c_computes_what_python_says_bit_for_bit(tmp_path):
    check_c(tmp_path, FEW, (8, 16, 32), 200, COMPILERS[:1])


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_c_of_every_activation_over_a_million_inputs(bits, tmp_path):
    check_c(tmp_path, [*NETS], (bits,), 1_000_000 // len(NETS), COMPILERS)


def test_tables_are_within_their_bounds_at_every_whole_number():
    word = segments.Word(16)
    for name in ("sigmoid", "tanh", "softplus", "softsign", "leaky_relu", "sin", own(a=0.3), own):
        tape = noting.activation(name, True)
        found = segments.tabulate(tape, -9.1, 7.3, (0, 13), word)
        u = np.arange(np.floor(-9.1 * 2**found.table.fraction), 7.3 * 2**found.table.fraction, dtype=np.float64)
        exact = running.run(tape, np.ldexp(u, -found.table.fraction))[0]
        value = np.ldexp(found.table.run(u.astype(np.int64)).astype(float), -found.table.result)
        off = abs(value - exact).max()
        assert 0.3 * found.error < off <= found.error, name
        low, high, steepest = found.cells.within(-9.1, 7.3)
        slopes = running.run(tape, np.ldexp(u, -found.table.fraction))[1]
        assert low <= exact.min() <= exact.max() <= high
        assert abs(slopes).max() <= steepest <= 1.01 * abs(slopes).max() + 0.01, name


def partial_sums(layer, b):
    """Every sum on its way, in whole numbers of any size, for inputs of a layer."""
    terms = layer.weights.astype(object)[None] * b.astype(object)[:, None]
    start = np.broadcast_to(layer.bias.astype(object)[None, :, None], (*terms.shape[:2], 1))
    return np.add.accumulate(np.concatenate((start, terms), axis=2), axis=2)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_no_partial_sum_overflows_and_the_largest_is_known(bits):
    fixed = fixed_point(NETS["tanh_scaled"], bits, RANGES)
    signals = fixed.inputs
    for layer in fixed.layers:
        corners = np.array(list(itertools.product(*zip(signals.low, signals.high, strict=True))))
        largest = abs(partial_sums(layer, corners)).max()
        assert largest == layer.largest < 2 ** (layer.sums - 1)
        signals = layer.out
    X = inputs(2000, NETS["tanh_scaled"])
    b = fixed.whole_inputs(X)
    for layer in fixed.layers:
        assert abs(partial_sums(layer, b)).max() <= layer.largest
        b = layer.run(b)
        assert np.all((layer.out.low <= b) & (b <= layer.out.high))


def odd_networks():
    """(network, ranges): constant and dead units, a constant input, ranges and scales far from 1."""
    zero = bpjit.Network((2, 2, 1), np.zeros(9), hidden="relu", output="silu")
    yield zero, (-1, 1)
    for name in ("softsign", "softplus", "softmax", own):
        output = name if name == "softmax" else "identity"
        hidden = "relu" if name == "softmax" else name
        yield bpjit.Network((2, 3, 2), np.r_[np.zeros(9), 1:5, 0.5, 0, 0, 7], hidden=hidden, output=output), (-2, 1)
    dead = bpjit.Network.random((2, 6, 2), "relu", "relu", seed=0)
    thresholds = [[5.0, -5.0, 0.0] * 2, [-40.0, 40.0]]
    yield bpjit.Network.from_arrays(dead.weights, thresholds, hidden="relu", output="relu"), [(0, 1), (0.25, 0.25)]
    far = bpjit.Scale([1e9, -1e-7], [2e8, 1e-9], [0, 1e7], [1e-9, -1e4])
    yield bpjit.Network.random((2, 5, 2), "tanh", "identity", seed=1, scale=far), [(5e8, 1.5e9), (-1.03e-7, -9.6e-8)]
    yield bpjit.Network.random((2, 5, 2), "silu", "softplus", seed=1, scale=far), [(5e8, 1.5e9), (-1.03e-7, -9.6e-8)]
    steep = bpjit.Network.random((2, 5, 2), "tanh", "softmax", init="normal", seed=1)
    yield bpjit.Network(steep.sizes, steep.parameters * 40, hidden="tanh", output="softmax"), (-1, 1)
    for name in ("sigmoid", "silu", "softplus"):  # of net inputs whose exponentials are beyond float64
        parameters = steep.parameters * np.r_[np.full(15, 500.0), np.ones(12)]
        yield bpjit.Network(steep.sizes, parameters, hidden=name, output="identity"), (-1, 1)


@pytest.mark.parametrize("bits", [16, 32])
def test_constant_and_dead_units_and_ranges_far_from_1(bits):
    for net, ranges in odd_networks():
        fixed = fixed_point(net, bits, ranges)
        X = np.random.default_rng(0).uniform(*fixed.ranges.T, (500, 2))
        X[:4] = list(itertools.product(*fixed.ranges))
        assert np.all(abs(fixed.predict(X) - exact_outputs(net, X)) <= fixed.bounds), net
        b = fixed.whole_inputs(X)
        for layer in fixed.layers:
            assert abs(partial_sums(layer, b)).max() <= layer.largest
            b = layer.run(b)
            assert np.all((layer.out.low <= b) & (b <= layer.out.high))
            assert np.all(abs(b) < 2 ** (bits - 1))
            assert layer.table is None or len(layer.table.values) <= segments.MOST_ENTRIES[bits]


def test_a_sum_that_could_overflow_is_seen():
    s = fixed_layers.Signals(*(np.full(3, each) for each in (-32767, 32767, 0, 0.5)))
    ones = np.full((1, 3), 10_000, np.int64)
    fit = [bool(fixed_layers.sums_fit(ones * times, np.array([0]), s, 32)[0]) for times in (1, 2, 3)]
    assert fit == [True, False, False]  # half of 2^31 is left for what rounds
    one_way = np.array([[16_000, 16_000, -32_000]])
    s = fixed_layers.Signals(*(np.full(3, each) for each in (32_000, 32_000, 0, 0.5)))
    assert not fixed_layers.sums_fit(one_way, np.array([1 << 29]), s, 32)[0]  # it does in the end, not on its way


def test_inputs_beyond_their_range_count_as_its_ends():
    net = NETS["tanh_scaled"]
    fixed = fixed_point(net, 16, RANGES)
    beyond = [[1e9, 0.7, -1e300], [-5.0, 0.0, 41.0]]
    ends = [[2.0, 0.7, -30.0], [-2.0, 0.5, 40.0]]
    assert np.array_equal(fixed.predict(beyond), fixed.predict(ends))
    assert np.array_equal(fixed.predict(ends[0]), fixed.predict(ends)[0])
    assert fixed.classify(ends[0]) == fixed.classify(ends)[0]


MACROS = """
    static const int16_t x[3] = {net_INPUT_0(-1.2345), net_INPUT_1(0.75f), net_INPUT_2(1e9)};
    static const int f[3] = net_INPUT_FRACTIONS, g[2] = net_OUTPUT_FRACTIONS;
    int16_t y_hat[2];
    net_predict(x, y_hat);
    printf("%d %d %d %d %d %d %d %d ", x[0], x[1], x[2], f[0], f[1], f[2], g[0], g[1]);
    printf("%.17g %.17g %d %d", net_OUTPUT_0(y_hat[0]), net_OUTPUT_1(y_hat[1]), net_classify(x), net_test());
""".replace("net_INPUT", "NET_INPUT").replace("net_OUTPUT", "NET_OUTPUT")


@needs_compiler
def test_macros_of_the_header_and_a_test_that_finds_one_wrong_bit(tmp_path):
    net = NETS["soft"]
    fixed = net.to_c(tmp_path / "net.h", fixed=16, ranges=RANGES)
    main = f'#include <stdio.h>\n#include "net.h"\nint main(void) {{{MACROS}    return 0;\n}}\n'
    (tmp_path / "main.c").write_text(main, "utf-8")
    printed = run_c(tmp_path, COMPILERS[0], STRICT).split()
    x = [-1.2345, 0.75, 1e9]
    assert [int(each) for each in printed[:8]] == [
        *fixed.whole_inputs(np.array([x]))[0],
        *fixed.input_fractions,
        *fixed.output_fractions,
    ]
    assert [float(each) for each in printed[8:10]] == fixed.predict(x).tolist()
    assert printed[10:] == [str(fixed.classify(x)).encode(), b"0"]
    text = (tmp_path / "net.h").read_text("utf-8")
    outside = re.sub(r"^#define .*$|/\*.*?\*/", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"float|double|\d\.|malloc|math\.h|#include <(?!stdint)", outside)
    first = re.search(r"outputs\[8\]\[2\] = \{\s*\{(-?\d+)", text)
    changed = text[: first.start(1)] + str(int(first[1]) + 1) + text[first.end(1) :]
    (tmp_path / "net.h").write_text(changed, "utf-8")
    assert run_c(tmp_path, COMPILERS[0], STRICT).split()[-1] == b"1"


@needs_compiler
def test_the_program_of_the_readme_compiles(tmp_path):
    """Its network is made by the example above it, which ``test_readmes.py`` runs; here it is untrained."""
    section = README.read_text("utf-8").split("### Without floating point\n")[1]
    program = re.search(r"```c\n(.*?)```", section, re.DOTALL)[1]
    net = bpjit.Network.random((2, 8, 1), "tanh", "identity", seed=0, scale=bpjit.Scale([27, 0.5], [7, 0.2], [27], [7]))
    fixed = net.to_c(tmp_path / "plant_q.h", fixed=16, ranges=[(15, 40), (0.2, 0.9)])
    warm = fixed.predict([38.5, 0.6])[0] > 30
    main = f"{program}\nint main(void) {{ return test_too_warm() != {int(warm)}; }}\n"
    (tmp_path / "main.c").write_text(main, "utf-8")
    run_c(tmp_path, COMPILERS[0], STRICT)


def test_ranges_as_a_pair_as_pairs_and_as_samples(tmp_path):
    net = bpjit.Network.random((3, 2, 1), seed=0)
    X = np.array([[0.0, 1.0, -1.0], [1.0, 0.5, 2.0]])
    pairs = [(0, 1), (0.5, 1), (-1, 2)]
    made = [net.to_c(tmp_path / "n.h", fixed=16, ranges=ranges) for ranges in (X, pairs)]
    assert np.array_equal(made[0].ranges, pairs)
    assert repr(made[0]) == repr(made[1])
    assert "bits=16, ranges=[[0.0, 1.0], [0.5, 1.0], [-1.0, 2.0]], bounds=[" in repr(made[0])
    assert np.array_equal(net.to_c(tmp_path / "n.h", fixed=8, ranges=(-1, 1)).ranges, [(-1, 1)] * 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fixed": 16}, "ranges: expected a pair"),
        ({"ranges": (0, 1)}, "ranges: expected None without fixed"),
        ({"fixed": 12, "ranges": (0, 1)}, "fixed: expected 8, 16 or 32 bits, got 12"),
        ({"fixed": 64, "ranges": (0, 1)}, "fixed: expected a whole number >= 8 and <= 32"),
        ({"fixed": 16, "ranges": (1, 0)}, "ranges: expected low <= high, got 1 and 0 for input 0"),
        ({"fixed": 16, "ranges": [(0, 1)] * 3}, r"ranges: expected .* got shape \(3, 2\)"),
        ({"fixed": 16, "ranges": (0, np.inf)}, "ranges"),
        ({"fixed": 16, "ranges": (0, 1), "learn": True}, "learn: expected False with fixed"),
        ({"fixed": 16, "ranges": (0, 1), "jacobian": True}, "jacobian: expected False with fixed"),
        ({"fixed": 16, "ranges": (0, 1), "libm": True}, "libm: expected False with fixed"),
        ({"fixed": 16, "ranges": (0, 1), "dtype": "float32"}, "dtype: expected None with fixed"),
        ({"fixed": 16, "ranges": (0, 1), "loss": "huber"}, "loss: expected None with fixed"),
    ],
)
def test_what_does_not_go_together_is_said(settings, said, tmp_path):
    net = bpjit.Network.random((4, 2, 1), seed=0)
    with pytest.raises(ValueError, match=said):
        net.to_c(tmp_path / "net.h", **settings)
    assert list(tmp_path.iterdir()) == []


def test_ranges_over_which_nothing_can_be_promised_are_refused(tmp_path):
    jumping = bpjit.activation(lambda z: select(z > 0.3, 1.0 + z, z), name="jumping")
    cases = [
        (("tanh", "identity"), 16, (-1e6, 1e6), "layer 1 of weights become too coarse; take 32 bits or narrower"),
        (("tanh", "identity"), 32, (-1e13, 1e13), "layer 1 of weights become too coarse; take narrower"),
        (("identity", "exp"), 32, (-2000, 2000), 'layer 2 of weights "exp" has no finite bound'),
        ((jumping, "tanh"), 16, (-1, 1), 'layer 1 of weights "jumping" may jump within'),
        ((["tanh", jumping], "tanh"), 32, (-1, 1), 'layer 2 of weights "jumping" may jump within'),
        (("tanh", "identity"), 16, (-1e308, 1e308), "too coarse|beyond all numbers"),
    ]
    for kind, bits, ranges, said in cases:
        sizes = (2, 3, *[2] * isinstance(kind[0], list), 1)
        net = bpjit.Network.random(sizes, *kind, seed=4)
        net = bpjit.Network(net.sizes, net.parameters * 3, hidden=net.hidden, output=net.output)
        with pytest.raises(ValueError, match=said):
            net.to_c(tmp_path / "net.h", fixed=bits, ranges=ranges)
    assert list(tmp_path.iterdir()) == []
    close = bpjit.Network.from_arrays([[[1.0], [1.0]]], [[2e5]], output="step")
    with pytest.raises(ValueError, match='"step" may jump anywhere'):
        close.to_c(tmp_path / "net.h", fixed=8, ranges=(99_900, 100_100))
    assert close.to_c(tmp_path / "net.h", fixed=32, ranges=(99_900, 100_100)).near_a_jump[1] < 1e-4
    nothing = bpjit.Network.from_arrays([[[0.0], [0.0]]], [[0.0]], output="step")
    assert nothing.to_c(tmp_path / "net.h", fixed=8, ranges=(0, 1)).predict([0, 1]) == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no compiler for ARM here")
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity"])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_fixed_point_needs_no_floating_point_on_a_small_controller(bits, output, tmp_path):
    """4-8-3 on Cortex-M0, tables and all: at most 2 KB with 16 bits, and no arithmetic of floats."""
    net = bpjit.Network.random((4, 8, 3), "tanh", output, seed=0)
    net.to_c(tmp_path / "net.h", fixed=bits, ranges=(-1, 1))
    text_size, called = on_a_small_controller(tmp_path, f"int{bits}_t")
    print(bits, output, text_size, sorted(called))
    assert not any(re.match("__aeabi_[fd]", each) for each in called)
    assert called <= {"__aeabi_lmul", "__aeabi_lasr", "__aeabi_llsr", "__aeabi_llsl", "__aeabi_idiv", "__aeabi_ldivmod"}
    assert text_size <= (2048 if bits <= 16 else 8192)
