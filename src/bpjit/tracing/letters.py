"""The equations of a unit in letters, as LaTeX: those of a trace, and of the page of a replay. Indices are numbers of
units that count from 0, or texts."""

from __future__ import annotations

from ..maths.own import Own, is_of_net_input
from .notation import Names

Index = int | str


def indexed(symbol: str, *units: Index) -> str:
    """A symbol with the numbers of its units, which count from 1, or with index letters."""
    indices = [unit if isinstance(unit, str) else str(unit + 1) for unit in units]
    return f"{symbol}_{{{('' if max(map(len, indices)) == 1 else ',').join(indices)}}}"


def word(name: str) -> str:
    """The name of a formula or a rule of the user's own, without its values."""
    return rf"\mathrm{{{format(name).partition('(')[0].replace('_', chr(92) + '_')}}}"


def weighted_sum(names: Names, j: Index) -> str:
    """Σ_i v_ij x_i."""
    i, _ = names.letters
    return rf"\sum_{{{i}}}\,{indexed(names.weight, i, j)}\,{names.below}_{{{i}}}"


def net_input(names: Names, j: Index) -> str:
    """z."""
    return f"{indexed(names.sum, j)}-{indexed(names.threshold, j)}" if names.book else indexed(names.sum, j)


def output(activation: str, names: Names, j: Index) -> str:
    """f(z), for softmax written out."""
    if activation != "softmax":
        return f"f({net_input(names, j)})"
    return rf"\exp({net_input(names, j)})/\sum_{{i}}\,\exp({net_input(names, 'i')})"


def error(loss: str, softmax: bool, names: Names) -> tuple[str, str]:
    """(E_k, what it is)."""
    out, target = f"{names.out}_{{j}}", f"{'y' if names.book else 't'}_{{j}}"
    cross_entropy = rf"-\sum_{{j}}\,{target}\,\ln({out})"
    if not softmax:
        cross_entropy = rf"-\sum_{{j}}[{target}\,\ln({out})+(1-{target})\,\ln(1-{out})]"
    if isinstance(loss, Own):
        of = net_input(names, "j") if loss.of_net_input else out
        return "E_{k}" if names.book else "E", rf"\sum_{{j}}\,{word(loss)}({of},{target})"
    letters = {
        "squared": rf"\tfrac12\sum_{{j}}({out}-{target})^{{2}}",
        "absolute": rf"\sum_{{j}}|{out}-{target}|",
        "huber": rf"\sum_{{j}}H({out}-{target})",
        "cross_entropy": cross_entropy,
    }
    return "E_{k}" if names.book else "E", letters[loss]


def slope(activation: str, names: Names, j: Index) -> str:
    """f'(z)."""
    out = indexed(names.out, j)
    return f"{out}(1-{out})" if activation == "sigmoid" else f"f'({net_input(names, j)})"


def descent(loss: str, names: Names, j: Index) -> str:
    """−∂E_k/∂ŷ_j, or with δ its negative; of cross-entropy the whole gradient term."""
    ordered = indexed("y", j), indexed(names.out, j)
    if not names.book:
        ordered = indexed(names.out, j), indexed("t", j)
    if isinstance(loss, Own):
        by = indexed(names.sum if loss.of_net_input else names.out, j)
        return rf"{'-' if names.book else ''}\partial E_{{k}}/\partial {by}"
    difference = "-".join(ordered)
    if loss == "absolute":
        return rf"\mathrm{{sgn}}({difference})"
    return rf"\max(-1,\min(1,{difference}))" if loss == "huber" else difference


def softmax_term(names: Names, j: Index) -> str:
    """g_j of softmax outputs, from d = −∂E_k/∂ŷ."""
    return rf"{indexed(names.out, j)}({indexed('d', j)}-\sum_{{i}}\,{names.out}_{{i}}\,d_{{i}})"


def output_term(loss: str, activation: str, names: Names, j: Index) -> str:
    """g_j, or δ_j = −g_j."""
    if is_of_net_input(loss):
        return descent(loss, names, j)
    if activation == "softmax":
        return softmax_term(names, j)
    letters = descent(loss, names, j)
    return slope(activation, names, j) + (f"({letters})" if loss == "squared" else letters)


def back_sum(over: Names, h: Index) -> str:
    """Σ_j w_hj g_j, what comes back from the layer above."""
    j = over.letters[1] if over.is_output else "i"
    return rf"\sum_{{{j}}}\,{indexed(over.weight, h, j)}\,{over.term}_{{{j}}}"


def hidden_term(activation: str, names: Names, over: Names, h: Index) -> str:
    """e_h, or δ_h = −e_h."""
    return slope(activation, names, h) + back_sum(over, h)


def weight_descent(names: Names, i: Index, j: Index) -> str:
    """−∂E_k/∂w_ij."""
    return f"{'' if names.book else '-'}{indexed(names.term, j)}\\,{indexed(names.below, i)}"


def threshold_descent(names: Names, j: Index) -> str:
    """−∂E_k/∂θ_j."""
    return f"-{indexed(names.term, j)}"
