"""A network as a module of JavaScript."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..common.files import write_whole
from ..networks.network import Network
from .noting import activation
from .printing import Language, expressions
from .program import Program, names_of

LAYER = """\
const layer = (at, fanIn, fanOut, b, z) => {
  for (let j = 0; j < fanOut; j++) {
    let sum = 0;
    for (let h = 0; h < fanIn; h++) sum += b[h] * parameters[at + h * fanOut + j];
    z[j] = sum - parameters[at + fanIn * fanOut + j];
  }
};
"""
SOFTMAX = """\
const softmax = (z, b) => {
  const largest = Math.max(...z);
  let total = 0;
  for (let j = 0; j < z.length; j++) total += b[j] = Math.exp(z[j] - largest);
  for (let j = 0; j < z.length; j++) b[j] /= total;
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


MATH = ("exp", "log", "log1p", "sqrt", "tanh", "sin", "cos")
LANGUAGE = Language(
    literal,
    "const",
    "const",
    {name: f"Math.{name}" for name in MATH} | {"absolute": "Math.abs", "finite": "finite"},
)
FINITE = "const finite = (x) => (x > Number.MAX_VALUE ? Number.MAX_VALUE : x);\n"


def table(name: str, values: np.ndarray) -> str:
    return f"const {name} = [{', '.join(map(literal, values))}];\n"


def functions(program: Program) -> list[str]:
    """The activations."""
    parts = []
    for each, name in names_of(program.activations).items():
        lines, (result,) = expressions(activation(each, False), LANGUAGE)
        body = f"({result})" if not lines else "{ " + " ".join([*lines, f"return {result};"]) + " }"
        parts.append(f"const f_{name} = (z) => {body};\n")
    return parts


def predict(program: Program) -> str:
    """Layer after layer, from one room to the next."""
    sizes, names, scale = program.net.sizes, names_of(program.activations), program.scale
    x = "(x[j] - inputOffset[j]) / inputFactor[j]" if scale else "x[j]"
    y_hat = "b{0}[j] * targetFactor[j] + targetOffset[j]" if "target_offset" in scale else "b{0}[j]"
    y_hat = y_hat.format(len(sizes) - 1)
    lines, at = [f"for (let j = 0; j < {sizes[0]}; j++) b0[j] = {x};"], 0
    for k, ((q, l), each) in enumerate(zip(pairwise(sizes), program.activations, strict=True), 1):
        lines.append(f"layer({at}, {q}, {l}, b{k - 1}, b{k});")
        at += (q + 1) * l
        if each == "softmax":
            lines.append(f"softmax(b{k}, b{k});")
        else:
            lines.append(f"for (let j = 0; j < {l}; j++) b{k}[j] = f_{names[each]}(b{k}[j]);")
    lines.append(f"for (let j = 0; j < {sizes[-1]}; j++) yHat[j] = {y_hat};")
    rooms = "".join(f"const b{k} = new Float64Array({size});\n" for k, size in enumerate(sizes))
    text = "".join(f"  {line}\n" for line in (*lines, "return yHat;"))
    about = f"\n// {sizes[-1]} outputs for {sizes[0]} inputs, into yHat if it is given\n"
    return f"{rooms}{about}export const predict = (x, yHat = new Array({sizes[-1]})) => {{\n{text}}};\n"


def text_of(net: Network) -> str:
    """The module, as text."""
    program = Program.of(net, np.float64)
    parts = [f"// {'-'.join(map(str, net.sizes))} network of bpjit\n", table("parameters", program.net.parameters)]
    for name, array in program.scale.items():
        kind, _, what = name.partition("_")
        parts.append(table(kind + what.capitalize(), array))
    texts = functions(program)
    parts += [FINITE] * any("finite(" in text for text in texts) + [*texts, LAYER]
    parts += [SOFTMAX] * (net.output == "softmax") + [predict(program)]
    if program.classes:
        parts.append((CLASSIFY if net.sizes[-1] > 1 else CLASSIFY_ONE).format(cut=literal(program.cut)))
    return "".join(parts)


def write(net: Network, path: Any) -> None:
    write_whole(path, text_of(net).encode())
