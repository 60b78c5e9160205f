"""A network as a module of JavaScript.

What makes it quick: a small layer is written out unit by unit, its numbers within the lines; the formula of an
activation stands in its loop, as a number that comes back from a call of V8 needs memory of its own; exp and tanh are
those of bpjit's vectors, which take half the time of Math.exp and Math.tanh, and have the same bits in every browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.files import write_whole
from ..maths.tape import CONSTANT, Tape
from ..networks.network import Network
from .noting import activation, function
from .printing import Language, expressions
from .program import Program
from .running import alone

WRITTEN_OUT = 128  # parameters of a layer at most; others are tables
AT_ONCE = 4  # units that a loop computes at once, as each sum waits for itself

SCALE = """\
const powers = Float64Array.from({ length: 2102 }, (_, k) => 2 ** ((k >> 1) - 538));
const scale = (x, shifted) => { // x 2^n, n in the last bits of shifted
  const k = (shifted - 6755399441055744 | 0) + 1076;
  return x * powers[k] * powers[k + 1];
};
"""
FINITE = "const finite = (x) => (x > Number.MAX_VALUE ? Number.MAX_VALUE : x);\n"
LAYER = """\
const layer = (parameters, fanIn, fanOut, b, z) => { // four units at once, whose numbers lie side by side
  for (let j = 0, at = 0; j < fanOut; j += 4) {
    let s = 0, t = 0, u = 0, v = 0;
    for (let h = 0; h < fanIn; h++, at += 4) {
      const x = b[h];
      s += x * parameters[at];
      t += x * parameters[at + 1];
      u += x * parameters[at + 2];
      v += x * parameters[at + 3];
    }
    z[j] = s - parameters[at];
    z[j + 1] = t - parameters[at + 1];
    z[j + 2] = u - parameters[at + 2];
    z[j + 3] = v - parameters[at + 3];
    at += 4;
  }
};
"""
CALLED = {"scale": SCALE, "finite": FINITE, "layer": LAYER}
SOFTMAX = """\
const softmax = (b, l) => {
  let largest = b[0], total = 0;
  for (let j = 1; j < l; j++) largest = Math.max(largest, b[j]);
  for (let j = 0; j < l; j++) {
    const x = b[j] - largest;
LINES    total += b[j] = RESULT;
  }
  for (let j = 0; j < l; j++) b[j] /= total;
};
"""
CLASSIFY_ONE = "\nexport const classify = (x) => (predict(x)[0] >= {cut} ? 1 : 0);\n"
CLASSIFY = """
export const classify = (x) => {{
  const yHat = predict(x);
  return yHat.indexOf(Math.max(...yHat));
}};
"""


def literal(x: float) -> str:
    """A number to the last bit."""
    text = repr(float(x))
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(text, text.removesuffix(".0"))


OF_VECTORS = ("exp", "tanh")
MATH = ("log", "log1p", "sqrt", "sin", "cos")
LANGUAGE = Language(
    literal,
    "const",
    "const",
    {name: f"Math.{name}" for name in MATH} | {"absolute": "Math.abs", "finite": "finite", "scale": "scale"},
)


def table(name: str, values: np.ndarray) -> str:
    return f"const {name} = new Float64Array([{', '.join(map(literal, values))}]);\n"


def written_out(tape: Tape) -> Tape:
    """A tape in which exp and tanh are what vectors do."""
    steps: list[tuple[Any, ...]] = []

    def place(tape: Tape, given: Sequence[int], first: int) -> list[int]:
        slots = list(given)
        for operation, *rest in tape.steps:
            if operation in OF_VECTORS:
                slots += place(function(operation, False), [slots[rest[0]]], first)
            else:
                steps.append((operation, *(rest if operation == CONSTANT else (slots[slot] for slot in rest))))
                slots.append(first + len(steps) - 1)
        return [slots[slot] for slot in tape.results]

    count = len(tape.inputs)
    results = place(tape, range(count), count)
    return Tape(tape.inputs, tuple(steps), tuple(results))


def printed(tape: Tape) -> tuple[list[str], str]:
    """(declarations, the text of its result)"""
    lines, (result,) = expressions(written_out(tape), LANGUAGE)
    return lines, result


def loop(l: int, lines: Sequence[str]) -> list[str]:
    return [f"for (let j = 0; j < {l}; j++) {{", *(f"  {line}" for line in lines), "}"]


def net_input(weights: np.ndarray, theta: float) -> str:
    """Σ_h w_h u_h − θ."""
    factors = [f"({text})" if (text := literal(w)).startswith("-") else text for w in weights]
    products = " + ".join(f"u{h} * {w}" for h, w in enumerate(factors))
    return f"{products} {'-' if theta > 0 else '+'} {literal(abs(theta))}"  # + 0, so that no sum is −0


def padded(l: int) -> int:
    return -(-l // AT_ONCE) * AT_ONCE


def side_by_side(W: np.ndarray, thetas: np.ndarray) -> np.ndarray:
    """The numbers of a layer in the order in which ``layer`` takes them."""
    rows = np.vstack([W, thetas])
    rows = np.pad(rows, ((0, 0), (0, padded(len(thetas)) - len(thetas))))
    return rows.reshape(len(rows), -1, AT_ONCE).swapaxes(0, 1).ravel()


class Writing:
    """A module being written: tables and rooms, and the lines of ``predict``."""

    def __init__(self, program: Program) -> None:
        self.program, self.sizes = program, program.net.sizes
        self.head: list[str] = []
        self.lines: list[str] = []

    def room(self, k: int) -> None:
        self.head.append(f"const b{k} = new Float64Array({padded(self.sizes[k])});\n")

    def input(self, j: Any) -> str:
        return f"(x[{j}] - inputOffset[{j}]) / inputFactor[{j}]" if self.program.scale else f"x[{j}]"

    def output(self, text: str) -> str:
        """An output in the user's units."""
        return f"({text}) * targetFactor[j] + targetOffset[j]" if "target_offset" in self.program.scale else text

    def net_inputs(self, k: int, W: np.ndarray, thetas: np.ndarray) -> list[str]:
        """Lines that leave those of a layer in ``z``, if it is a single one, or in the layer's room."""
        q, l = W.shape
        if (q + 1) * l <= WRITTEN_OUT:
            values = [self.input(h) if k == 1 else f"b{k - 1}[{h}]" for h in range(q)]
            given = ", ".join(f"u{h} = {value}" for h, value in enumerate(values))
            places = ["const z"] if l == 1 else [f"b{k}[{j}]" for j in range(l)]
            sums = [f"{place} = {net_input(W[:, j], thetas[j])};" for j, place in enumerate(places)]
            return [f"const {given};", *sums]
        lines = []
        if k == 1:
            self.room(0)
            lines = loop(q, [f"b0[j] = {self.input('j')};"])
        self.head.append(table(f"parameters{k}", side_by_side(W, thetas)))
        return [*lines, f"layer(parameters{k}, {q}, {l}, b{k - 1}, b{k});"] + [f"const z = b{k}[0];"] * (l == 1)

    def layer(self, k: int, W: np.ndarray, thetas: np.ndarray, each: str) -> None:
        """Layer k, from 1 on."""
        l, last = len(thetas), k == len(self.sizes) - 1
        lines = self.net_inputs(k, W, thetas)
        own, result = list[str](), "z"
        if each == "softmax":
            lines.append(f"softmax(b{k}, {l});")
        else:
            own, result = printed(activation(each, False))
        result = f"yHat[j] = {self.output(result)};" if last else f"b{k}[j] = {result};"
        if l == 1:
            lines += [*own, result.replace("[j]", "[0]")]
        else:
            lines += loop(l, [f"const z = b{k}[j];", *own, result])
        if any(f"b{k}" in line for line in lines):
            self.room(k)
        self.lines += ["{", *(f"  {line}" for line in lines), "}"]

    def text(self) -> str:
        l = self.sizes[-1]
        body = "".join(f"  {line}\n" for line in (*self.lines, "return yHat;"))
        about = f"\n// {l} outputs for {self.sizes[0]} inputs, into yHat if it is given\n"
        return f"{''.join(self.head)}{about}export const predict = (x, yHat = new Array({l})) => {{\n{body}}};\n"


def text_of(net: Network) -> str:
    """The module, as text."""
    program = Program.of(net, np.float64)
    writing = Writing(program)
    for k, numbers in enumerate(zip(program.net.weights, program.net.thresholds, program.activations, strict=True), 1):
        writing.layer(k, *numbers)
    predict = writing.text()
    if net.output == "softmax":
        lines, result = printed(alone("exp"))
        declared = "".join(f"    {line}\n" for line in lines)
        predict = SOFTMAX.replace("LINES", declared).replace("RESULT", result) + predict
    parts = [f"// {'-'.join(map(str, net.sizes))} network of bpjit\n"]
    for name, array in program.scale.items():
        kind, _, what = name.partition("_")
        parts.append(table(kind + what.capitalize(), array))
    parts += [text for name, text in CALLED.items() if f"{name}(" in predict]
    parts.append(predict)
    if program.classes:
        parts.append((CLASSIFY if net.sizes[-1] > 1 else CLASSIFY_ONE).format(cut=literal(program.cut)))
    return "".join(parts)


def write(net: Network, path: Any) -> None:
    write_whole(path, text_of(net).encode())
