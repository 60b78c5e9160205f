"""A header of C99 being written: numbers to the last bit, tapes as functions, and what they call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..maths.tape import Tape
from .noting import FUNCTIONS, function
from .printing import Language, expressions, unused
from .program import Program, needed

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
