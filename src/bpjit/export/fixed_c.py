"""A network in fixed point as a header of C99, in which nothing but macros knows a float."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common.files import write_whole
from ..networks.network import Network
from .c import CLASSIFY
from .fixed import FixedPoint, fixed_point
from .fixed_layers import Layer
from .header import Header, loop, procedure
from .program import SAMPLES, names_of, stem
from .segments import Table

FLOOR = """\
/* v / 2^s, rounded down */
static inline intSUMS_t STEM_floorSUMS(intSUMS_t v, int s) {
    return v < 0 ? ~(~v >> s) : v >> s;
}
"""
LAYER = """\
/* z_j = sum_h w_jh b_h - theta_j, row by row; what rounds it is part of theta */
static inline void STEM_layerSUMS(const PLAIN *w, const intSUMS_t *bias, const int8_t *shift,
                                  int fan_in, int fan_out, const PLAIN *b, WIDE *z) {
    int h, j;
    for (j = 0; j < fan_out; j++) {
        intSUMS_t sum = bias[j];
        for (h = 0; h < fan_in; h++) {
            sum += (WIDE) *w * b[h];
            w++;
        }
        z[j] = (WIDE) STEM_floorSUMS(sum, shift[j]);
    }
}
"""
TABLE = """\
/* SAID */
static inline PLAIN STEM_f_NAME(WIDE u) {
    static const PLAIN table[COUNT] = VALUES;
    WIDE r, first, second;
    int n;
    u = (u < LOWEST ? LOWEST : u > HIGHEST ? HIGHEST : u) - STARTING;
    n = (int) (u >> SEGMENT) * 2;
    r = u & MASK;
    first = (WIDE) table[n + 1] - table[n];
    second = (WIDE) table[n + 2] - table[n + 1] - first;
    first = first * GUARD + STEM_floorBROAD((r - STEP) * secondBENT);
    return (PLAIN) (table[n] + STEM_floorBROAD(r * firstRISEN));
}
"""
SOFTMAX = """\
static inline void STEM_softmax(WIDE *z, PLAIN *y_hat) {
    WIDE largest = z[0], total = 0;
    int j;
    for (j = 1; j < OUTPUTS; j++) {
        largest = z[j] > largest ? z[j] : largest;
    }
    for (j = 0; j < OUTPUTS; j++) {
        z[j] = STEM_f_NAME(z[j] - largest);
        z[j] = z[j] < 0 ? 0 : z[j];
        total += z[j];
    }
    for (j = 0; j < OUTPUTS; j++) {
        y_hat[j] = (PLAIN) ((z[j] * ONE + total / 2) / total);
    }
}
"""
CLASSIFY_ONE = """\
/* 1 where the output stands for class 1, else 0 */
static inline int STEM_classify(const PLAIN *x) {
    PLAIN y_hat[1];
    STEM_predict(x, y_hat);
    return y_hat[0] > BELOW ? 1 : 0;
}
"""
CLASSIFY_APART = """\
/* the number of the largest output */
static inline int STEM_classify(const PLAIN *x) {
    static const WIDE one[OUTPUTS] = ONES; /* one fraction for all */
    PLAIN y_hat[OUTPUTS];
    int j, largest = 0;
    STEM_predict(x, y_hat);
    for (j = 1; j < OUTPUTS; j++) {
        largest = y_hat[j] * one[j] > y_hat[largest] * one[largest] ? j : largest;
    }
    return largest;
}
"""
CLASSIFY_SOFTMAX = """\
/* the number of the largest output, which is that of the largest net input */
static inline int STEM_classify(const PLAIN *x) {
    WIDE z[WIDEST];
    int j, largest = 0;
    STEM_net_inputs(x, z);
    for (j = 1; j < OUTPUTS; j++) {
        largest = z[j] > z[largest] ? j : largest;
    }
    return largest;
}
"""
TEST = """\
/* how many of SAMPLES recorded samples have an output that differs in any bit */
static inline int STEM_test(void) {
    static const PLAIN inputs[SAMPLES][INPUTS] = GIVEN;
    static const PLAIN outputs[SAMPLES][OUTPUTS] = RECORDED;
    PLAIN y_hat[OUTPUTS];
    int k, j, differ, wrong = 0;
    for (k = 0; k < SAMPLES; k++) {
        STEM_predict(inputs[k], y_hat);
        differ = 0;
        for (j = 0; j < OUTPUTS; j++) {
            differ |= y_hat[j] != outputs[k][j];
        }
        wrong += differ;
    }
    return wrong;
}
"""


class Text:
    """The header being written."""

    def __init__(self, fixed: FixedPoint, name: str) -> None:
        self.fixed, self.name, word = fixed, name, fixed.word
        self.header = Header(fixed.program, name)
        self.plain, self.wide = f"int{word.bits}_t", f"int{word.wide}_t"
        sizes = [len(fixed.ranges), *(len(layer.bias) for layer in fixed.layers)]
        self.sizes, self.softmax = sizes, fixed.layers[-1].activation == "softmax"
        self.header.words |= {
            "PLAIN": self.plain,
            "WIDE": self.wide,
            "BROAD": str(word.wide),
            "WIDEST": str(max(sizes[1:])),
        }
        self.tables: dict[Table, str] = {}
        names = names_of([layer.activation for layer in fixed.layers]) | {"softmax": "exp"}
        for layer in fixed.layers:
            if layer.table is not None and layer.table not in self.tables:
                self.tables[layer.table] = f"{names[layer.activation]}_{len(self.tables) + 1}"

    def whole(self) -> str:
        fixed, filled = self.fixed, self.header.filled
        sums = sorted({layer.sums for layer in fixed.layers})
        floors = sorted({*sums, *[fixed.word.wide] * bool(self.tables)})
        parts = [self._macros(), *(filled(FLOOR, SUMS=str(each)) for each in floors)]
        parts += [filled(LAYER, SUMS=str(each)) for each in sums]
        parts += [self._table(table, name) for table, name in self.tables.items()]
        for layer in fixed.layers:
            if layer.activation == "softmax" and layer.table is not None:
                one = str(1 << int(layer.out.fraction[0]))
                parts.append(filled(SOFTMAX, NAME=self.tables[layer.table], ONE=one))
        parts.append(self._predict())
        parts += [self._classify()] * fixed.program.classes
        X, Y = fixed.samples(SAMPLES)
        parts.append(filled(TEST, SAMPLES=str(len(X)), GIVEN=_rows(X), RECORDED=_rows(Y)))
        guard = f"{self.name.upper()}_H"
        opening = f"{self._about()}#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n"
        return "\n".join([opening, *parts, f"#endif /* {guard} */\n"])

    def _about(self) -> str:
        fixed = self.fixed
        sizes = "-".join(map(str, fixed.program.net.sizes))
        lines = [f"{sizes} network of bpjit in fixed point: {self.plain} X stands for X / 2^f. No input overflows", ""]
        for i, (low, high) in enumerate(fixed.ranges):
            lines.append(f"x[{i}]: f = {fixed.input_fractions[i]}, from {low:g} to {high:g}; beyond, these ends count")
        for j, (f, bound) in enumerate(zip(fixed.output_fractions, map(_upwards, fixed.bounds), strict=True)):
            lines.append(f"y_hat[{j}]: f = {f}, within {bound} of the network in real numbers")
        for k, error in fixed.near_a_jump.items():
            lines.append(f"but where a net input of a unit of layer {k}, which jumps, is within {_upwards(error)} of 0")
        lines.append("")
        for k, (layer, fan_in) in enumerate(zip(fixed.layers, self.sizes, strict=False), 1):
            most = (1 << (layer.sums - 1)) - 1
            shape = f"{fan_in}-{len(layer.bias)}"
            lines.append(f"layer {k}, {shape}: sums, partial ones among them, within +-{layer.largest} of +-{most}")
        return "/* " + "\n   ".join(lines).replace("\n   \n", "\n\n") + " */\n"

    def _macros(self) -> str:
        """From the user's units, best at compile time, and back."""
        fixed, upper = self.fixed, self.name.upper()
        lines = [
            "/* numbers in the user's units as inputs, outputs in them, and numbers to compare outputs with; they",
            "   compute in double, so best of constants */",
        ]
        for i, ((low, high), f) in enumerate(zip(fixed.ranges, map(int, fixed.input_fractions), strict=True)):
            bottom, top = fixed.inputs.low[i], fixed.inputs.high[i]
            near = f"(x) * {_power(f)} + ((x) < 0 ? -0.5 : 0.5)"
            taken = f"!((x) > {float(low)!r}) ? {bottom} : (x) >= {float(high)!r} ? {top} : {near}"
            lines.append(f"#define {upper}_INPUT_{i}(x) (({self.plain}) ({taken}))")
        for j, f in enumerate(fixed.output_fractions):
            lines.append(f"#define {upper}_OUTPUT_{j}(y) ((y) * {_power(-int(f))})")
            near = f"(y) * {_power(int(f))} + ((y) < 0 ? -0.5 : 0.5)"
            lines.append(f"#define {upper}_AS_OUTPUT_{j}(y) (({self.wide}) ({near}))")
        for kind, fractions in (("INPUT", fixed.input_fractions), ("OUTPUT", fixed.output_fractions)):
            lines.append(f"#define {upper}_{kind}_FRACTIONS {_row(fractions)}")
        return "\n".join(lines) + "\n"

    def _table(self, table: Table, name: str) -> str:
        step = 1 << table.half
        more = {
            "NAME": name,
            "SAID": f"u / 2^{table.fraction} to f / 2^{table.result}: a parabola through three of its entries",
            "COUNT": str(len(table.values)),
            "VALUES": _row(table.values),
            "LOWEST": str(table.low),
            "HIGHEST": str(table.high),
            "SEGMENT": str(table.half + 1),
            "MASK": str(2 * step - 1),
            "STEP": str(step),
            "GUARD": str(1 << table.guard),
            "BENT": _half(table.half + 1 - table.guard),
            "RISEN": _half(table.half + table.guard),
        }
        text = self.header.filled(TABLE, **more)
        return text.replace("- STARTING", f"- {table.start}" if table.start >= 0 else f"+ {-table.start}")

    def _constants(self) -> list[str]:
        fixed = self.fixed
        lines = [_array(self.plain, "low", fixed.inputs.low), _array(self.plain, "high", fixed.inputs.high)]
        for k, layer in enumerate(fixed.layers, 1):
            lines.append(_array(self.plain, f"w{k}", layer.weights.ravel()))
            lines.append(_array(f"int{layer.sums}_t", f"bias{k}", layer.bias))
            lines.append(_array("int8_t", f"shift{k}", layer.shift))
        return lines

    def _predict(self) -> str:
        lines = [*self._constants(), f"{self.plain} b[{max(self.sizes)}];", "int j;"]
        lines += loop("j", self.sizes[0], "b[j] = x[j] < low[j] ? low[j] : x[j] > high[j] ? high[j] : x[j];")
        if not self.softmax:
            lines.insert(-3, f"{self.wide} z[{max(self.sizes[1:])}];")
        for k, (layer, fan_in) in enumerate(zip(self.fixed.layers, self.sizes, strict=False), 1):
            l = len(layer.bias)
            lines.append(f"{self.name}_layer{layer.sums}(w{k}, bias{k}, shift{k}, {fan_in}, {l}, b, z);")
            to = "y_hat" if k == len(self.fixed.layers) else "b"
            if layer.activation != "softmax":
                lines += loop("j", l, f"{to}[j] = {self._activated(layer)};")
            elif not self.softmax:
                lines.append(f"{self.name}_softmax(z, {to});")
        given, more = f"const {self.plain} *x, {self.plain} *y_hat", ""
        if self.softmax:
            more = procedure(self.header, "net_inputs", f"const {self.plain} *x, {self.wide} *z", lines) + "\n"
            lines = [f"{self.wide} z[{max(self.sizes[1:])}];"]
            lines += [f"{self.name}_net_inputs(x, z);", f"{self.name}_softmax(z, y_hat);"]
        about = f"/* {self.sizes[-1]} outputs for {self.sizes[0]} inputs */\n"
        return more + about + procedure(self.header, "predict", given, lines)

    def _classify(self) -> str:
        fractions = self.fixed.output_fractions
        if self.softmax:
            return self.header.filled(CLASSIFY_SOFTMAX)
        if len(fractions) == 1:
            return self.header.filled(CLASSIFY_ONE, BELOW=str(self.fixed.cut))
        ones = [1 << int(each) for each in fractions.max() - fractions]
        template = CLASSIFY if max(ones) == 1 else CLASSIFY_APART
        return self.header.filled(template, NUMBER=self.plain, ONES=_row(ones))

    def _activated(self, layer: Layer) -> str:
        if layer.table is not None:
            return f"{self.name}_f_{self.tables[layer.table]}(z[j])"
        if layer.activation == "step":
            return "z[j] >= 0 ? 1 : 0"
        return f"({self.plain}) " + ("(z[j] > 0 ? z[j] : 0)" if layer.activation == "relu" else "z[j]")


def _half(shift: int) -> str:
    """The rest of the arguments of a shift that rounds."""
    return f" + {1 << shift - 1}, {shift}" if shift else ", 0"


def _power(f: int) -> str:
    """2^f as a double."""
    return f"{1 << f}.0" if 0 <= f < 24 else f"0x1p{f}"


def _upwards(x: float) -> str:
    """Three digits, not less than the number."""
    text = f"{x:.2e}"
    return f"{float(text):g}" if float(text) >= x else f"{x * 1.005:.3g}"


def _row(values: Iterable[Any]) -> str:
    return "{" + ", ".join(str(int(each)) for each in values) + "}"


def _rows(values: np.ndarray) -> str:
    return "{\n" + ",\n".join(f"        {_row(row)}" for row in values) + "\n    }"


def _array(kind: str, name: str, values: np.ndarray) -> str:
    return f"static const {kind} {name}[{len(values)}] = {_row(values)};"


def write(net: Network, path: Any, bits: Any, ranges: Any, others: dict[str, Any]) -> FixedPoint:
    """Write the header; ``others`` are arguments that it has no use for."""
    for name, value in others.items():
        if value is not None and value is not False:
            raise ValueError(f"{name}: expected {False if value is True else None} with fixed, got {value!r}")
    name, fixed = stem(path), fixed_point(net, bits, ranges)
    write_whole(path, Text(fixed, name).whole().encode())
    return fixed
