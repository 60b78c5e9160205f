"""The second half of what a trace says: how gradient terms become new weights and thresholds, rule by rule.

D stands for the descent direction −∂E/∂w of a parameter (with λ, −∂J/∂w), the mean over the samples of the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..networks.architecture import views
from .letters import indexed, threshold_descent, weight_descent
from .lines import Block, Row, added, factor, group, number, product, titled
from .notation import Names, Style

if TYPE_CHECKING:
    from ..training.setting import Setting
    from .laid_open import Step


class Parameter(NamedTuple):
    """One weight or threshold of a step, with the signs of the notation."""

    symbol: str
    letters: str  # −∂E_k/∂p
    products: Sequence[tuple[float, ...]]  # its factors, for each sample
    place: int
    value: float  # where the gradient is taken
    sign: float  # −1 for a bias, which is minus a threshold


def parameters_of(step: Step, index: int, names: Names) -> Iterator[Parameter]:
    """Those of one layer: weights first."""
    layers = [sample.layers[index] for sample in step.samples]
    places, thresholds = views(np.arange(len(step.delta)), step.before.sizes)[index]
    turn = 1.0 if names.book else -1.0
    for (h, j), place in np.ndenumerate(places):
        letters = weight_descent(names, h, j)
        products = [(turn * float(layer.gradient_terms[j]), float(layer.inputs[h])) for layer in layers]
        value = float(layers[0].weights[h, j])
        yield Parameter(indexed(names.weight, h, j), letters, products, int(place), value, 1.0)
    for j, place in enumerate(thresholds):
        letters = threshold_descent(names, j)
        alone = [(turn * float(layer.gradient_terms[j]),) for layer in layers]
        value = turn * float(layers[0].thresholds[j])
        yield Parameter(indexed(names.threshold, j), letters, alone, int(place), value, turn)


def update_rows(step: Step, setting: Setting, parameter: Parameter, style: Style) -> Iterator[Row]:
    """Δ of one parameter, and on the way D and the state of the rule where there is more to it than η g b."""
    place, sign, symbol = parameter.place, parameter.sign, parameter.symbol
    delta, lam, rule = rf"\Delta {symbol}", setting.lam, setting.rule.shown
    minus = "-" if parameter.letters.startswith("-") else ""
    value = number(sign * step.delta[place], style)
    if setting.rule.plain and len(step.samples) == 1 and lam[1] == 0.0:
        numbers = rf"{minus}{number(step.eta, style)}\cdot {product(parameter.products[0], style)}"
        yield Row(delta, (rf"{minus}\eta\,{parameter.letters.removeprefix('-')}", numbers, value))
        return
    shares = [product(factors, style) for factors in parameter.products]
    letters, numbers = parameter.letters, f"{minus}{shares[0]}"
    if len(shares) > 1:
        letters = rf"{minus}\tfrac1{{{len(shares)}}}\sum_{{k}}\,{parameter.letters.removeprefix('-')}"
        numbers = f"{minus}({added(shares, style)})/{len(shares)}"
    if lam[1] != 0.0:
        letters = rf"\lambda\cdot ({letters})-2(1-\lambda){symbol}"
        numbers = rf"{number(lam[0], style)}\cdot ({numbers})-{product((2 * lam[1], parameter.value), style)}"
    D = sign * step.direction[place]
    yield Row(f"D({symbol})", (letters, numbers, number(D, style)))
    fill = {"D": factor(D, style), "eta": number(step.eta, style)}
    fill |= {f"c{i}": number(constant, style) for i, constant in enumerate(setting.rule.constants())}
    for slot, (state, turns) in enumerate(rule.states):
        old, new = ((sign if turns else 1.0) * array[slot, place] for array in (step.state, step.state_after))
        fill |= {f"old{slot}": factor(old, style), f"new{slot}": factor(new, style)}
        yield Row(f"{state}({symbol})", (rf"{number(old, style)}\to {number(new, style)}",))
    filled = (rule.delta.format(**fill),) if rule.delta else ()
    yield Row(delta, (*filled, value))


def update_blocks(step: Step, setting: Setting, style: Style) -> Iterator[Block]:
    """What the update does to each parameter, and the error after it."""
    count = len(step.before.weights)
    yield Block(2, style.say("updates"))
    for index in range(count):
        names = Names(style.book, index, count)
        parameters = [p for p in parameters_of(step, index, names) if setting.trainable[p.place]]
        rows = (row for p in parameters for row in update_rows(step, setting, p, style))
        first = next(iter(parameters), None)
        each = 0 if first is None else sum(1 for _ in update_rows(step, setting, first, style))
        yield group(titled("updates", names, style), rows, each * len(parameters), style)
        yield new_parameters(step, parameters, names, style)
    after = Block(3, style.say("after the step"), [Row("E", (number(step.error_after, style),))])
    if setting.lam[1] != 0.0:
        after.rows.append(Row("J", (number(step.objective_after, style),)))
    yield with_note_of_kept(after, setting, style)


def new_parameters(step: Step, parameters: Sequence[Parameter], names: Names, style: Style) -> Block:
    """Those of a layer that are trained."""
    rows = (new_row(step, parameter, style) for parameter in parameters)
    return group(titled("new parameters", names, style), rows, len(parameters), style)


def with_note_of_kept(after: Block, setting: Setting, style: Style) -> Block:
    """The block, with a note of how many parameters are not trained."""
    if kept := int(np.count_nonzero(~setting.trainable)):
        after.note = style.say("not trained: {count} parameters", count=kept)
    return after


def new_row(step: Step, parameter: Parameter, style: Style) -> Row:
    """w ← w + Δw."""
    place, sign, symbol = parameter.place, parameter.sign, parameter.symbol
    before, after = (sign * net.parameters[place] for net in (step.before, step.after))
    letters = rf"{symbol} + \Delta {symbol}"
    numbers = f"{number(before, style)} + {factor(sign * step.delta[place], style)}"
    return Row(symbol, (letters, numbers, number(after, style)), r"\leftarrow ")
