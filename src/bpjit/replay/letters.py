"""The equations of a page's units in letters: those of a trace in the book's notation, with holes for the numbers of
units, which the page fills."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..tracing import letters
from ..tracing.notation import Names
from ..tracing.rendering import characters, plain

UNIT, BELOW = "●", "○"  # the unit chosen, and one below it or above
_LETTER = re.compile(r"(?<![A-Za-z])([A-Za-zŷα-ω])(?![A-Za-z])")
_BOTH = re.compile(r"<sup>([^<]*)</sup><sub>(.*?)</sub>")


def formulas(activations: Sequence[str], loss: str) -> list[dict[str, str]]:
    """Of each layer of weights: symbols and equations in HTML, by name."""
    count = len(activations)
    names = [Names(True, index, count) for index in range(count)]
    found = []
    for index, (activation, here) in enumerate(zip(activations, names, strict=True)):
        last = index + 1 == count
        symbol, error = letters.error(loss, activation == "softmax", here)
        latex = {
            "sum": letters.indexed(here.sum, UNIT),
            "weightedSum": letters.weighted_sum(here, UNIT),
            "out": letters.indexed(here.out, UNIT),
            "output": letters.output(activation, here, UNIT),
            "term": letters.indexed(here.term, UNIT),
            "weight": letters.indexed(here.weight, BELOW, UNIT),
            "threshold": letters.indexed(here.threshold, UNIT),
            "weightDescent": letters.weight_descent(here, BELOW, UNIT),
            "thresholdDescent": letters.threshold_descent(here, UNIT),
        }
        if last:
            latex |= {"error": symbol, "errorSum": error, "slope": letters.indexed("d", UNIT)}
            latex |= {"descent": letters.descent(loss, here, UNIT)}
            latex |= {"gradientTerm": letters.output_term(loss, activation, here, UNIT)}
        else:
            latex |= {"backSum": letters.back_sum(names[index + 1], UNIT)}
            latex |= {"gradientTerm": letters.hidden_term(activation, here, names[index + 1], UNIT)}
        found.append({name: as_html(text) for name, text in latex.items()})
    return found


def unit_symbols(layers: int) -> list[tuple[str, str]]:
    """Of the inputs and of each layer of units: the letter of an output, and the layer's number, where it has one."""
    symbols = (Names(True, index, layers).out.partition("^") for index in range(layers))
    return [("x", ""), *((plain(letter), mark.strip("{}")) for letter, _, mark in symbols)]


def as_html(latex: str) -> str:
    """A formula in HTML: single letters in italics, a layer's number above the index."""
    text = characters(latex, lambda above: f"<sup>{above}</sup>", lambda below: f"<sub>{below}</sub>")
    text = _LETTER.sub(r"<i>\1</i>", text).replace("'", "′")
    return _BOTH.sub(r'<span class="both"><span>\1</span><span>\2</span></span>', text)
