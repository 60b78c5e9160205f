"""What a trace says: each quantity as an equation, first in letters, then with the numbers put in, then its value.

Formulas are written once, in a LaTeX that ``rendering`` also turns into plain characters and HTML. Nothing is computed
here but what a reader must see between two numbers, such as 1 − ŷ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..maths.own import Own, is_of_net_input, loss_formula
from .letters import descent, error, hidden_term, indexed, output, output_term, weighted_sum, word
from .lines import Block, Row, added, factor, group, number, product, shortened, titled
from .notation import Names, Style

if TYPE_CHECKING:
    from .laid_open import LaidOpen, Layer


ACTIVATIONS = {
    "sigmoid": r"f(z)=1/(1+\exp(-z)),\ f'(z)=f(z)(1-f(z))",
    "tanh": r"f(z)=\tanh(z),\ f'(z)=1-f(z)^{2}",
    "relu": r"f(z)=\max(0,z),\ f'(z)=1\ (z>0),\ 0\ (z\le 0)",
    "leaky_relu": r"f(z)=\max(z/100,z),\ f'(z)=1\ (z>0),\ 1/100\ (z\le 0)",
    "softplus": r"f(z)=\ln(1+\exp(z)),\ f'(z)=1/(1+\exp(-z))",
    "softsign": r"f(z)=z/(1+|z|),\ f'(z)=1/(1+|z|)^{2}",
    "identity": r"f(z)=z,\ f'(z)=1",
    "sin": r"f(z)=\sin(z),\ f'(z)=\cos(z)",
    "softmax": r"f_{j}(z)=\exp(z_{j})/\sum_{i}\,\exp(z_{i})",
}


# --- Forward.


def forward_rows(layer: Layer, names: Names, style: Style) -> Iterator[Row]:
    """The net input and the output of each unit."""
    for j in range(len(layer.outputs)):
        terms = [product((w, b), style) for w, b in zip(layer.weights[:, j], layer.inputs, strict=True)]
        letters = weighted_sum(names, j)
        if names.book:
            yield Row(indexed(names.sum, j), (letters, added(terms, style), number(layer.sums[j], style)))
            inside = f"{number(layer.sums[j], style)}-{factor(layer.thresholds[j], style)}"
        else:
            letters, bias = f"{letters} + {indexed(names.threshold, j)}", factor(-layer.thresholds[j], style)
            value = number(layer.net_inputs[j], style)
            yield Row(indexed(names.sum, j), (letters, f"{added(terms, style)} + {bias}", value))
            inside = value
        if layer.activation != "softmax":
            shown = f"f({inside})" + (f" = f({number(layer.net_inputs[j], style)})" if names.book else "")
            letters = output(layer.activation, names, j)
            yield Row(indexed(names.out, j), (letters, shown, number(layer.outputs[j], style)))
    if layer.activation == "softmax":
        yield from softmax_rows(layer, names, style)


def softmax_rows(layer: Layer, names: Names, style: Style) -> Iterator[Row]:
    below = added([rf"\exp({number(z, style)})" for z in layer.net_inputs], style)
    for j, (z, y_hat) in enumerate(zip(layer.net_inputs, layer.outputs, strict=True)):
        letters = output("softmax", names, j)
        yield Row(indexed(names.out, j), (letters, rf"\exp({number(z, style)})/({below})", number(y_hat, style)))


# --- Error and gradient terms.


def error_row(sample: LaidOpen, names: Names, style: Style) -> Row:
    """E_k."""
    pairs = [
        (number(y_hat, style), factor(y, style)) for y_hat, y in zip(sample.layers[-1].outputs, sample.y, strict=True)
    ]
    softmax = sample.layers[-1].activation == "softmax"
    if sample.loss == "squared":
        numbers = r"\tfrac12[" + added([f"({a}-{b})^{{2}}" for a, b in pairs], style) + "]"
    elif sample.loss == "absolute":
        numbers = added([f"|{a}-{b}|" for a, b in pairs], style)
    elif sample.loss == "huber":
        numbers = added([f"H({a}-{b})" for a, b in pairs], style)
    elif isinstance(sample.loss, Own):
        given = sample.layers[-1].net_inputs if sample.loss.of_net_input else sample.layers[-1].outputs
        each = [f"({number(a, style)},{number(y, style)})" for a, y in zip(given, sample.y, strict=True)]
        numbers = added([f"{word(sample.loss)}{pair}" for pair in each], style)
    elif softmax:
        numbers = "-[" + added([rf"{b}\cdot \ln({a})" for a, b in pairs], style) + "]"
    else:
        numbers = "-[" + added([rf"{b}\cdot \ln({a}) + (1-{b})\cdot \ln(1-{a})" for a, b in pairs], style) + "]"
    symbol, letters = error(sample.loss, softmax, names)
    return Row(symbol, (letters, numbers, number(sample.error, style)))


def slope_in_numbers(layer: Layer, j: int, style: Style) -> str:
    """f'(z)."""
    assert layer.slopes is not None
    if layer.activation == "sigmoid":
        b = layer.outputs[j]
        return product((b, 1.0 - float(b)), style)
    return factor(layer.slopes[j], style)


def output_term_rows(sample: LaidOpen, names: Names, style: Style) -> Iterator[Row]:
    """g_j, or δ_j = −g_j."""
    layer, loss, sign = sample.layers[-1], sample.loss, 1.0 if names.book else -1.0
    slopes = [0.0] * len(sample.y)
    if not is_of_net_input(loss):
        formula = loss_formula(loss)
        slopes = [sign * float(formula(*pair)[1]) for pair in zip(layer.outputs, sample.y, strict=True)]
    shared = added([product((y_hat, d), style) for y_hat, d in zip(layer.outputs, slopes, strict=True)], style)
    for j, (y_hat, y) in enumerate(zip(layer.outputs, sample.y, strict=True)):
        value, symbol = number(sign * layer.gradient_terms[j], style), indexed(names.term, j)
        letters = output_term(loss, layer.activation, names, j)
        known = (number(y, style), factor(y_hat, style)) if names.book else (number(y_hat, style), factor(y, style))
        if isinstance(loss, Own) and loss.of_net_input:
            yield Row(symbol, (letters, value))
            continue
        if loss == "cross_entropy":
            numbers = "-".join(known)
        elif layer.activation == "softmax":
            yield Row(indexed("d", j), (descent(loss, names, j), number(slopes[j], style)))
            numbers = rf"{number(y_hat, style)}\cdot ({number(slopes[j], style)}-({shared}))"
        else:
            steep = f"({'-'.join(known)})" if loss == "squared" else factor(slopes[j], style)
            numbers = rf"{slope_in_numbers(layer, j, style)}\cdot {steep}"
        yield Row(symbol, (letters, numbers, value))


def hidden_term_rows(layer: Layer, above: Layer, names: Names, over: Names, style: Style) -> Iterator[Row]:
    """e_h, or δ_h = −e_h, from what comes back from the layer above."""
    sign = 1.0 if names.book else -1.0
    for h in range(len(layer.outputs)):
        letters, slope_numbers = hidden_term(layer.activation, names, over, h), slope_in_numbers(layer, h, style)
        terms = [product((w, sign * g), style) for w, g in zip(above.weights[h], above.gradient_terms, strict=True)]
        value = number(sign * layer.gradient_terms[h], style)
        yield Row(indexed(names.term, h), (letters, rf"{slope_numbers}\cdot ({added(terms, style)})", value))


# --- The document.


def sample_blocks(sample: LaidOpen, style: Style) -> Iterator[Block]:
    """Forward and backward pass of a sample."""
    count = len(sample.layers)
    names = [Names(style.book, index, count) for index in range(count)]
    given = [("x", sample.x), ("y" if style.book else "t", sample.y)]
    block = Block(2, style.say("sample {number}", number=sample.number + 1))
    for symbol, values in given:
        shown = ",\\,".join(shortened([number(value, style) for value in values], style))
        block.rows.append(Row(symbol, (f"({shown})",)))
    yield block
    for layer, name in zip(sample.layers, names, strict=True):
        units = len(layer.outputs)
        yield group(titled("forward", name, style), forward_rows(layer, name, style), 2 * units, style)
    yield Block(3, style.say("error"), [error_row(sample, names[-1], style)])
    rows = output_term_rows(sample, names[-1], style)
    doubled = sample.layers[-1].activation == "softmax" and sample.loss != "cross_entropy"
    size = len(sample.y) * (2 if doubled else 1)
    yield group(style.say("gradient terms of the outputs"), rows, size, style)
    for index in reversed(range(count - 1)):
        layer, above = sample.layers[index : index + 2]
        rows = hidden_term_rows(layer, above, names[index], names[index + 1], style)
        words = "gradient terms of the hidden layer" if count == 2 else "gradient terms of hidden layer {n}"
        yield group(style.say(words, n=index + 1), rows, len(layer.outputs), style)
