"""A network as a header of C99."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..common.files import write_whole
from ..maths.tape import Tape
from ..networks.network import Network
from .noting import FUNCTIONS, activation, function
from .printing import Language, expressions, unused
from .program import Program, names_of, needed, stem
from .running import exp_alone

BITS = """\
static inline NUMBER STEM_scale(NUMBER x, NUMBER shifted) { /* x 2^n, n in the last bits of shifted */
    union { NUMBER number; WORD bits; } u;
    WORD n;
    u.number = shifted;
    n = u.bits - LITERAL(SHIFT) + LITERAL(OFFSET);
    u.bits = ((n >> 1) - 1U) << MANTISSA;
    x *= u.number;
    u.bits = (n - (n >> 1) - 1U) << MANTISSA;
    return x * u.number;
}
"""
BITS_OF_LOG = """\
static inline WORD STEM_exponent_bits(NUMBER x) { /* e + HALF, where x = m 2^e and sqrt(1/2) <= m < sqrt(2) */
    union { NUMBER number; WORD bits; } u;
    u.number = x;
    return (u.bits - LITERAL(ROOT) + (LITERAL(HALF) << MANTISSA)) >> MANTISSA;
}

static inline NUMBER STEM_exponent(NUMBER x) {
    return (NUMBER) (int) STEM_exponent_bits(x) - HALF;
}

static inline NUMBER STEM_mantissa(NUMBER x) {
    union { NUMBER number; WORD bits; } u;
    u.number = x;
    u.bits -= (STEM_exponent_bits(x) - LITERAL(HALF)) << MANTISSA;
    return u.number;
}
"""
BIT = """\
static inline int STEM_bitPLACE(NUMBER shifted) {
    union { NUMBER number; WORD bits; } u;
    u.number = shifted;
    return (int) ((u.bits >> PLACE) & 1U);
}
"""
ABSOLUTE = """\
static inline NUMBER STEM_absolute(NUMBER x) {
    return x < 0 ? -x : x + 0;
}
"""
FINITE = """\
static inline NUMBER STEM_finite(NUMBER x) {
    return x > LARGEST ? LARGEST : x;
}
"""
LAYER = """\
/* z_j = sum_h w_hj b_h - theta_j; p are the weights, row by row, then the thresholds */
static inline void STEM_layer(const NUMBER *p, int fan_in, int fan_out, const NUMBER *b, NUMBER *z) {
    int h, j;
    for (j = 0; j < fan_out; j++) {
        NUMBER sum = 0;
        for (h = 0; h < fan_in; h++) {
            sum += b[h] * p[h * fan_out + j];
        }
        z[j] = sum - p[fan_in * fan_out + j];
    }
}
"""
SOFTMAX = """\
static inline void STEM_softmax(const NUMBER *z, NUMBER *y_hat) {
    NUMBER largest = z[0], total = 0;
    int j;
    for (j = 1; j < OUTPUTS; j++) {
        largest = z[j] > largest ? z[j] : largest;
    }
    for (j = 0; j < OUTPUTS; j++) {
        y_hat[j] = EXP(z[j] - largest);
        total += y_hat[j];
    }
    for (j = 0; j < OUTPUTS; j++) {
        y_hat[j] /= total;
    }
}
"""
CLASSIFY_ONE = """\
/* 1 where the output is at least CUT, else 0 */
static inline int STEM_classify(const NUMBER *x) {
    NUMBER y_hat[1];
    STEM_predict(x, y_hat);
    return y_hat[0] >= CUT ? 1 : 0;
}
"""
CLASSIFY = """\
/* the number of the largest output */
static inline int STEM_classify(const NUMBER *x) {
    NUMBER y_hat[OUTPUTS];
    int j, largest = 0;
    STEM_predict(x, y_hat);
    for (j = 1; j < OUTPUTS; j++) {
        largest = y_hat[j] > y_hat[largest] ? j : largest;
    }
    return largest;
}
"""
TEST = """\
#ifndef UPPER_TOLERANCE /* 0 is bit for bit, as compilers that fuse no product with a sum have it */
#define UPPER_TOLERANCE ALLOWED
#endif

/* how many of SAMPLES recorded samples have an output that differs, by more than the tolerance of 1 + its size */
static inline int STEM_test(void) {
    static const NUMBER inputs[SAMPLES][INPUTS] = GIVEN;
    static const NUMBER outputs[SAMPLES][OUTPUTS] = RECORDED;
    NUMBER y_hat[OUTPUTS], difference, size;
    int k, j, differ, wrong = 0;
    for (k = 0; k < SAMPLES; k++) {
        STEM_predict(inputs[k], y_hat);
        differ = 0;
        for (j = 0; j < OUTPUTS; j++) {
            difference = y_hat[j] < outputs[k][j] ? outputs[k][j] - y_hat[j] : y_hat[j] - outputs[k][j];
            size = outputs[k][j] < 0 ? -outputs[k][j] : outputs[k][j];
            if (!(y_hat[j] == outputs[k][j] || difference <= UPPER_TOLERANCE * (1 + size))) {
                differ |= y_hat[j] == y_hat[j] || outputs[k][j] == outputs[k][j]; /* not both NaN */
            }
        }
        wrong += differ;
    }
    return wrong;
}
"""


class Header:
    """A header being written: its program, and the words of its templates."""

    def __init__(self, program: Program, name: str) -> None:
        self.program, self.name = program, name
        self.single = program.net.dtype == np.float32
        self.number = "float" if self.single else "double"
        sizes = program.net.sizes
        self.words = {
            "STEM": name,
            "UPPER": name.upper(),
            "NUMBER": self.number,
            "INPUTS": str(sizes[0]),
            "OUTPUTS": str(sizes[-1]),
            "CUT": self.literal(program.cut),
            "LARGEST": self.literal(np.finfo(program.net.dtype).max),
            "ALLOWED": self.literal(2.0**-14 if self.single else 2.0**-40),
            "LITERAL": "UINT32_C" if self.single else "UINT64_C",
            "WORD": "uint32_t" if self.single else "uint64_t",
            "MANTISSA": "23" if self.single else "52",
            "SHIFT": "0x4B400000" if self.single else "0x4338000000000000",  # the bits of 1.5 2^MANTISSA
            "OFFSET": "256" if self.single else "2048",
            "HALF": "128" if self.single else "1024",
            "ROOT": "0x3F3504F3" if self.single else "0x3FE6A09E667F3BCD",  # the bits of the root of 1/2
        }

    def literal(self, x: Any) -> str:
        """A number to the last bit."""
        suffix = "f" if self.single else ""
        x = float(np.float32(x)) if self.single else float(x)
        if x != x:
            return f"(0.0{suffix} / 0.0{suffix})"
        if abs(x) == np.inf:
            return f"{'-' if x < 0 else ''}(1.0{suffix} / 0.0{suffix})"
        if x == int(x) and abs(x) < 2**24:
            return f"{x:.1f}{suffix}"
        digits, exponent = x.hex().split("p")
        return f"{digits.rstrip('0') if '.' in digits else digits}p{exponent}{suffix}".replace(".p", "p")

    def filled(self, template: str, **more: str) -> str:
        """A template with its words in capitals replaced."""
        words = self.words | more
        longest_first = sorted(words, key=len, reverse=True)
        return re.sub("|".join(longest_first), lambda found: words[found.group()], template)

    def table(self, values: np.ndarray) -> str:
        """The numbers of an array in braces."""
        if values.ndim == 1:
            return "{" + ", ".join(map(self.literal, values)) + "}"
        return "{\n" + ",\n".join(f"        {self.table(row)}" for row in values) + "\n    }"

    @property
    def language(self) -> Language:
        suffix = "f" if self.single else ""
        called = {name: f"{name}{suffix}" if self.program.libm else f"{self.name}_{name}_of" for name in FUNCTIONS}
        called |= {name: f"{self.name}_{name}" for name in ("scale", "mantissa", "exponent", "bit0", "bit1", "finite")}
        called |= {"absolute": f"{self.name}_absolute", "sqrt": f"sqrt{suffix}"}
        return Language(self.literal, f"const {self.number}", "const int", called)

    def function(self, name: str, tape: Tape) -> str:
        """A tape as a function; it returns its first result, and writes the others."""
        lines, results = expressions(tape, self.language)
        more = [f"result{k}" for k in range(1, len(results))]
        arguments = [f"{self.number} {each}" for each in tape.inputs] + [f"{self.number} *{each}" for each in more]
        body = [*lines, *(f"(void) {each};" for each in unused(tape))]
        body += [f"*{each} = {text};" for each, text in zip(more, results[1:], strict=True)]
        text = "".join(f"    {line}\n" for line in (*body, f"return {results[0]};"))
        return f"static inline {self.number} {self.name}_{name}({', '.join(arguments)}) {{\n{text}}}\n"

    def functions_for(self, tapes: Sequence[Tape]) -> list[str]:
        """What tapes call, before it is called."""
        used, names, parts = needed(tapes), [], []
        if "sqrt" in used and not self.program.libm:
            raise ValueError("libm: expected True, as an activation or a loss of this network takes a square root")
        if not self.program.libm:
            names = [name for name in FUNCTIONS if name in used]
            made = [function(name, self.single) for name in names]
            used = needed([*tapes, *made])
            parts = [self.function(f"{name}_of", tape) for name, tape in zip(names, made, strict=True)]
        bits = [BITS] * ("scale" in used) + [BITS_OF_LOG] * ("mantissa" in used)
        bits += [BIT.replace("PLACE", k) for k in "01" if f"bit{k}" in used]
        small = [ABSOLUTE] * ("absolute" in used) + [FINITE] * ("finite" in used)
        return [*map(self.filled, bits + small), *parts]


def values_only(header: Header) -> tuple[list[Tape], list[str]]:
    """What ``predict`` calls: (tapes, functions)."""
    names = names_of(header.program.activations)
    tapes = [activation(each, False) for each in names]
    texts = [header.function(f"f_{name}", tape) for name, tape in zip(names.values(), tapes, strict=True)]
    if header.program.net.output == "softmax":
        tapes.append(exp_alone())
        texts.append(header.filled(SOFTMAX, EXP=header.language.functions["exp"]))
    return tapes, texts


def predict(header: Header) -> str:
    """Layer after layer, from one of two rooms to the other."""
    program, sizes, stem = header.program, header.program.net.sizes, header.name
    names = names_of(program.activations)
    lines = [f"{header.number} b[{max(sizes)}], z[{max(sizes[1:])}];", "int j;", *scaled(header, "input", "x", "b")]
    first = 0
    for (q, l), each in zip(pairwise(sizes), program.activations, strict=True):
        lines.append(f"{stem}_layer({stem}_parameters + {first}, {q}, {l}, b, z);")
        first += (q + 1) * l
        if each == "softmax":
            lines.append(f"{stem}_softmax(z, b);")
        else:
            lines += loop("j", l, f"b[j] = {stem}_f_{names[each]}(z[j]);")
    lines += loop("j", sizes[-1], f"y_hat[j] = {unscaled(header, 'b[j]')};")
    about = f"/* {sizes[-1]} outputs for {sizes[0]} inputs */\n"
    return about + procedure(header, "predict", f"const {header.number} *x, {header.number} *y_hat", lines)


def procedure(header: Header, name: str, arguments: str, lines: Sequence[str], kind: str = "void") -> str:
    text = "".join(f"    {line}\n" for line in lines)
    return f"static inline {kind} {header.name}_{name}({arguments}) {{\n{text}}}\n"


def loop(index: str, count: int, *lines: str) -> list[str]:
    return [f"for ({index} = 0; {index} < {count}; {index}++) {{", *(f"    {line}" for line in lines), "}"]


def scaled(header: Header, kind: str, given: str, to: str) -> list[str]:
    """Inputs or targets in the network's units."""
    value, sizes = f"{given}[j]", header.program.net.sizes
    if f"{kind}_offset" in header.program.scale:
        value = f"({value} - {header.name}_{kind}_offset[j]) / {header.name}_{kind}_factor[j]"
    return loop("j", sizes[0] if kind == "input" else sizes[-1], f"{to}[j] = {value};")


def unscaled(header: Header, value: str) -> str:
    """An output in the user's units."""
    if "target_offset" in header.program.scale:
        return f"{value} * {header.name}_target_factor[j] + {header.name}_target_offset[j]"
    return value


def tables(header: Header) -> list[str]:
    """The parameters and the scale."""
    arrays = {"parameters": header.program.net.parameters} | header.program.scale
    return [
        f"static const {header.number} {header.name}_{name}[{len(array)}] = {header.table(array)};\n"
        for name, array in arrays.items()
    ]


def text_of(net: Network, name: str, dtype: Any, libm: bool) -> str:
    """The header, as text."""
    program = Program.of(net, dtype, libm)
    header = Header(program, name)
    tapes, functions = values_only(header)
    X, Y = program.samples()
    parts = [*tables(header), *header.functions_for(tapes), *functions, header.filled(LAYER), predict(header)]
    if program.classes:
        parts.append(header.filled(CLASSIFY if net.sizes[-1] > 1 else CLASSIFY_ONE))
    parts.append(header.filled(TEST, GIVEN=header.table(X), RECORDED=header.table(Y), SAMPLES=str(len(X))))
    guard = f"{name.upper()}_H"
    include = "#include <math.h>\n" if libm else ""
    about = f"/* {'-'.join(map(str, net.sizes))} network of bpjit, in {header.number} */\n"
    opening = f"{about}#ifndef {guard}\n#define {guard}\n\n{include}#include <stdint.h>\n"
    return "\n".join([opening, *parts, f"#endif /* {guard} */\n"])


def write(net: Network, path: Any, dtype: Any, libm: bool) -> None:
    write_whole(path, text_of(net, stem(path), dtype, libm).encode())
