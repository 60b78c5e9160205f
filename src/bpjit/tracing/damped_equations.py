"""What a trace says of a step of Levenberg–Marquardt: residuals, the Jacobian, its system and each attempt.

F is what it makes small where there is a penalty, and m E else; m is the number of samples, S the slopes ∂ŷ/∂z of the
outputs with cross-entropy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..settings.rules import LevenbergMarquardt
from .letters import indexed, net_input
from .lines import MOST_ROWS, Block, Matrix, Row, factor, group, number
from .notation import Names, Style
from .numbers import signed
from .update_equations import Parameter, new_parameters, parameters_of, with_note_of_kept

if TYPE_CHECKING:
    from ..training.setting import Setting
    from .laid_open import Attempt, Damped, Step

ROWS_OF_A_PAGE = 30  # of a long matrix

TRANSPOSED = r"J^{\mathsf T}"


def columns_of(step: Step, book: bool) -> list[Parameter]:
    """The parameters that columns stand for."""
    assert step.damped is not None
    count, trained = len(step.before.weights), set(step.damped.trained.tolist())
    layers = (parameters_of(step, index, Names(book, index, count)) for index in range(count))
    return [parameter for layer in layers for parameter in layer if parameter.place in trained]


def objective_formula(damped: Damped) -> str:
    """What the rule makes small where there is a penalty, in letters."""
    if damped.gamma is not None:
        return r"F=\beta mE+\tfrac12\alpha\sum w^{2}"
    return r"F=m[\lambda E+(1-\lambda)\sum w^{2}]"


def letters_of(damped: Damped) -> tuple[str, str]:
    """The system's matrix, and the gradient."""
    if damped.gamma is not None:
        return r"A=\beta H+(\alpha+\mu)I", rf"\nabla=\partial F/\partial w=-\beta {TRANSPOSED}r+\alpha w"
    if damped.penalty:
        A = r"A=\lambda H+(2m(1-\lambda)+\mu)I"
        return A, rf"\nabla=\partial F/\partial w=-\lambda {TRANSPOSED}r+2m(1-\lambda)w"
    return r"A=H+\mu I", rf"\nabla=\partial (mE)/\partial w=-{TRANSPOSED}r"


def damped_blocks(step: Step, setting: Setting, style: Style) -> Iterator[Block]:
    """The step, from the residuals to the new parameters, and the error after it."""
    damped, columns = signed(step, style.book), columns_of(step, style.book)
    names = [parameter.symbol for parameter in columns]
    yield Block(2, style.say("Levenberg–Marquardt"))
    size = len(damped.residuals)
    yield group(style.say("residuals"), residual_rows(step, damped, style), size, style)
    yield jacobian_block(step, damped, setting, names, style)
    yield Block(
        3,
        style.say("Gauss–Newton matrix"),
        formulas=curvature_formulas(step, setting, style),
        matrices=[matrix("H", names, names, damped.curvature, style)],
    )
    yield gradient_block(step, damped, setting, columns, style)
    for count, attempt in enumerate(damped.attempts, 1):
        yield attempt_block(count, attempt, step, setting, names, style)
    yield from after_blocks(step, damped, setting, columns, style)


def matrix(symbol: str, rows: Sequence[str], columns: Sequence[str], numbers: np.ndarray, style: Style) -> Matrix:
    shown = tuple(tuple(number(x, style) for x in row) for row in numbers)
    return Matrix(symbol, tuple(rows), tuple(columns), shown)


# --- Residuals and their slopes.


def places_of(step: Step) -> Iterator[tuple[int, int, str]]:
    """(sample in this step, output, index) of each residual."""
    outputs = len(step.samples[0].y)
    for k, sample in enumerate(step.samples):
        for j in range(outputs):
            units = (sample.number, j) if outputs > 1 else (sample.number,)
            yield k, j, indexed("", *units).removeprefix("_")


def output_names(step: Step, style: Style) -> Names:
    layers = len(step.before.weights)
    return Names(style.book, layers - 1, layers)


def weighted(damped: Damped) -> bool:
    return bool((damped.c != 1.0).any())


def residual_rows(step: Step, damped: Damped, style: Style) -> Iterator[Row]:
    """r = √c_k (y_j − ŷ_j)."""
    names = output_names(step, style)
    target = "y" if style.book else "t"
    for (k, j, index), value in zip(places_of(step), damped.residuals, strict=True):
        sample = step.samples[k]
        y, y_hat = sample.y[j], sample.layers[-1].outputs[j]
        letters = f"{indexed(target, j)}-{indexed(names.out, j)}"
        numbers = f"{number(y, style)}-{factor(y_hat, style)}"
        if weighted(damped):
            letters = rf"\sqrt{{{indexed('c', sample.number)}}}\,({letters})"
            numbers = rf"\sqrt{{{number(damped.c[k], style)}}}\cdot ({numbers})"
        yield Row(f"r_{index}", (letters, numbers, number(value, style)))


def jacobian_block(step: Step, damped: Damped, setting: Setting, names: Sequence[str], style: Style) -> Block:
    """J, in pieces where it is long."""
    output = output_names(step, style)
    of = f"{output.out}_{{j}}" if setting.given_loss != "cross_entropy" else f"({net_input(output, 'j')})"
    root = r"\sqrt{c_{k}}\," if weighted(damped) else ""
    rows, all_rows = [f"r_{index}" for _, _, index in places_of(step)], len(damped.jacobian)
    shown = all_rows if style.full else min(all_rows, MOST_ROWS)
    block = Block(3, style.say("Jacobian matrix"), formulas=[("", rf"J={root}\partial {of}/\partial w")])
    for first in range(0, shown, ROWS_OF_A_PAGE):
        part = slice(first, min(first + ROWS_OF_A_PAGE, shown))
        block.matrices.append(matrix("J", rows[part], names, damped.jacobian[part], style))
    if left := all_rows - shown:
        block.note = style.say("{count} more left out; full=True shows them", count=left)
    return block


def curvature_formulas(step: Step, setting: Setting, style: Style) -> list[tuple[str, str]]:
    if setting.given_loss != "cross_entropy":
        return [("", f"H={TRANSPOSED}J")]
    out = output_names(step, style).out
    S = rf"S_{{jj}}={out}_{{j}}(1-{out}_{{j}})"
    if step.before.output == "softmax":
        S += rf",\ S_{{ij}}=-{out}_{{i}}\,{out}_{{j}}"
    return [("", f"H={TRANSPOSED}SJ"), ("", S)]


def gradient_block(step: Step, damped: Damped, setting: Setting, columns: Sequence[Parameter], style: Style) -> Block:
    """∇, with the settings of the penalty that it contains."""
    block = Block(3, style.say("gradient"), formulas=[("", letters_of(damped)[1])])
    values = [("m", float(len(step.samples)))]
    if damped.gamma is not None:
        values = [(r"\alpha", damped.penalty), (r"\beta", damped.scale), (r"\gamma", damped.gamma), *values]
    elif damped.penalty:
        values = [(r"\lambda", setting.lam[0]), *values]
    block.formulas.append(("", r",\ ".join(f"{symbol}={number(value, style)}" for symbol, value in values)))
    w = [parameter.value for parameter in columns]
    names = [parameter.symbol for parameter in columns]
    block.matrices.append(matrix("", ["w", r"\nabla"], names, np.array([w, damped.gradient]), style))
    return block


# --- Attempts, and what comes of them.


def attempt_block(
    count: int, attempt: Attempt, step: Step, setting: Setting, names: Sequence[str], style: Style
) -> Block:
    """The system with its μ, Δ, whether the objective falls there, and the next μ."""
    damped, rule = step.damped, setting.rule
    assert damped is not None
    assert isinstance(rule, LevenbergMarquardt)
    block = Block(3, style.say("attempt {n}", n=count))
    block.formulas = [("", rf"\mu={number(attempt.mu, style)},\ {letters_of(damped)[0]},\ A\,\Delta=-\nabla")]
    block.matrices.append(matrix("A", names, names, attempt.matrix, style))
    if attempt.delta is None:
        block.note = style.say("refused: the system cannot be solved in floating point")
    else:
        block.matrices.append(matrix("", [r"\Delta"], names, attempt.delta[None], style))
        block.rows = [change("E", step.error, attempt.error, style)]
        if damped.penalty:
            block.rows.append(change("F", damped.objective, attempt.objective, style))
        words = "taken: {symbol} falls" if attempt.taken else "refused: {symbol} does not fall"
        block.note = style.say(words, symbol="F" if damped.penalty else "E")
    times, mu = (rule.mu_dec, damped.mu_after) if attempt.taken else (rule.mu_inc, attempt.mu * rule.mu_inc)
    numbers = rf"{number(times, style)}\cdot {factor(attempt.mu, style)}"
    block.rows.append(Row(r"\mu", (numbers, number(mu, style)), r"\leftarrow "))
    return block


def change(symbol: str, before: float, after: float | None, style: Style) -> Row:
    """From w to w + Δ."""
    assert after is not None
    return Row(symbol, (rf"{symbol}(w)\to {symbol}(w+\Delta)", rf"{number(before, style)}\to {number(after, style)}"))


def after_blocks(
    step: Step, damped: Damped, setting: Setting, columns: Sequence[Parameter], style: Style
) -> Iterator[Block]:
    """New parameters, layer by layer, and E; or why there are none."""
    if damped.ended is not None:
        yield Block(3, "", note=style.say("no step: training ends by {setting}", setting=damped.ended))
        return
    count, trained = len(step.before.weights), {parameter.place for parameter in columns}
    for index in range(count):
        names = Names(style.book, index, count)
        parameters = [parameter for parameter in parameters_of(step, index, names) if parameter.place in trained]
        yield new_parameters(step, parameters, names, style)
    rows = [Row("E", (number(step.error_after, style),))]
    yield with_note_of_kept(Block(3, style.say("after the step"), rows), setting, style)
