"""How a trace shows itself: aligned text, Markdown, LaTeX, HTML, JSON. What it says comes from ``equations.py``.

Formulas arrive in a small LaTeX: letters, _{...} and ^{...}, and the commands of ``CHARACTERS``.
"""

from __future__ import annotations

import html as html_module
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.tables import aligned, markdown_table, width
from .damped_equations import columns_of
from .document import document
from .lines import Block, Matrix, Row
from .notation import Style
from .numbers import numbers_of

if TYPE_CHECKING:
    from .laid_open import Damped, Step, Trace

# --- From LaTeX to characters.

GREEK = {
    name: chr(code)
    for name, code in (
        *(("alpha", 0x3B1), ("beta", 0x3B2), ("gamma", 0x3B3), ("delta", 0x3B4), ("epsilon", 0x3B5), ("eta", 0x3B7)),
        *(("theta", 0x3B8), ("lambda", 0x3BB), ("mu", 0x3BC), ("rho", 0x3C1), ("Delta", 0x394), ("sum", 0x3A3)),
    )
}
CHARACTERS = GREEK | {
    "cdot": "·",
    "leftarrow": "←",
    "to": "→",
    "partial": "∂",
    "dots": "…",
    "le": "≤",
    "ge": "≥",
    "sqrt": "√",
    "nabla": "∇",
    "mathsf": "",  # of a transposed matrix, whose T stands upright
    **{name: name for name in ("exp", "ln", "max", "min", "tanh", "sin", "cos")},
}
RAISED = str.maketrans("0123456789+-()tT", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵗᵀ")
COMMAND = re.compile(r"\\([A-Za-z]+) ?")


def characters(latex: str, raise_it: Callable[[str], str], lower_it: Callable[[str], str]) -> str:
    """A formula in characters, with superscripts and subscripts as the two functions want them."""
    text = latex.replace(r"\hat{y}", "ŷ").replace(r"\tfrac12", "½").replace(r"\ ", "  ").replace(r"\,", "\0")
    text = re.sub(r"\\tfrac1\{(\d+)\}", r"1/\1 ", text)
    text = re.sub(r"\\mathrm\{((?:\w|\\_)+)\}", lambda found: found[1].replace("\\", ""), text)
    text = re.sub(r"\\sqrt\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", r"√(\1)", text)
    text = COMMAND.sub(lambda found: CHARACTERS[found[1]], text).replace("\0", " ").replace("-", "−")
    text = re.sub(r"\^\{([^{}]*)\}", lambda found: raise_it(found[1]), text)
    return re.sub(r"_\{([^{}]*)\}", lambda found: lower_it(found[1]), text)


def plain(latex: str) -> str:
    """A formula in plain characters, such as g_1 = ŷ_1(1−ŷ_1)(y_1−ŷ_1)."""
    return characters(latex, lambda text: text.replace("−", "-").translate(RAISED), lambda text: f"_{text}")


def marked(latex: str) -> str:
    """A formula in HTML."""
    return characters(
        html_module.escape(latex, quote=False).replace("&gt;", "＞").replace("&lt;", "＜").replace("&amp;", "＆"),
        lambda text: f"<sup>{text}</sup>",
        lambda text: f"<sub>{text}</sub>",
    ).translate({0xFF1E: "&gt;", 0xFF1C: "&lt;", 0xFF06: "&amp;"})


# --- Text.


def cells_of(row: Row, turn: Callable[[str], str]) -> list[str]:
    """Symbol, parts and value; always in four columns, where the row has at most that many."""
    first, *rest = row.parts
    sign = turn(row.sign).strip()
    return [turn(row.symbol), f"{sign} {turn(first)}", *(f"= {turn(part)}" for part in rest)]


def said(words: str, formula: str, turn: Callable[[str], str]) -> list[str]:
    """Words and the formula beside them, or one of them alone."""
    return [part for part in (words, formula and turn(formula)) if part]


def named(matrix: Matrix, turn: Callable[[str], str]) -> list[list[str]]:
    """The cells of a matrix, with the names of its columns above it and those of its rows before it."""
    rows = zip(matrix.rows, matrix.numbers, strict=True)
    lines = [(matrix.symbol, *matrix.columns), *((name, *numbers) for name, numbers in rows)]
    return [[turn(cell) for cell in line] for line in lines]


def text_of(block: Block) -> list[str]:
    """The lines of a block; the columns of its rows stand below each other."""
    indent = "  " * (block.level - 1)
    lines = [] if block.level == 3 else [""]
    if block.title:
        lines.append(indent + block.title)
        if block.level == 1:
            lines.append("=" * width(block.title))
    lines += [f"{indent}  {line}" for line in aligned([said(*each, plain) for each in block.formulas])]
    for matrix in block.matrices:
        lines += [f"{indent}  {line}" for line in aligned(named(matrix, plain), 1)]
    rows = aligned([cells_of(row, plain) for row in block.rows], between=" ")
    lines += [f"{indent}  {row}" for row in rows]
    return [*lines, f"{indent}  ({block.note})"] if block.note else lines


def text(trace: Trace, style: Style) -> str:
    """Aligned text for a terminal."""
    return "\n".join(line for block in document(trace, style) for line in text_of(block)).strip("\n")


# --- Markdown and LaTeX.


def equations(block: Block) -> str:
    """The rows of a block as lines of an align environment; a long one goes on below its own equals sign."""
    lines = []
    for row in block.rows:
        first, *rest = row.parts
        line = rf"{row.symbol} &{row.sign} {first}"
        for part in rest:
            longish = len(plain(line.rsplit(r"\\", 1)[-1])) + len(plain(part)) > 120
            line += rf" \\ &= {part}" if longish else f" = {part}"
        lines.append(line)
    return " \\\\\n".join(lines)


def markdown(trace: Trace, style: Style) -> str:
    """Markdown with LaTeX between dollar signs."""
    parts = []
    for block in document(trace, style):
        if block.title:
            parts.append(f"{'#' * (block.level + 1)} {block.title}")
        if block.formulas:
            lines = (": ".join(said(*each, "${}$".format)) for each in block.formulas)
            parts.append("\n".join(f"- {line}" for line in lines))
        for matrix in block.matrices:
            header, *table = named(matrix, lambda cell: cell and f"${cell}$")
            parts.append(markdown_table(header, table))
        if block.rows:
            parts.append(f"$$\n\\begin{{aligned}}\n{equations(block)}\n\\end{{aligned}}\n$$")
        if block.note:
            parts.append(f"*{block.note}*")
    return "\n\n".join(parts) + "\n"


HEADINGS = {1: "section*", 2: "subsection*", 3: "paragraph"}
PREAMBLE = r"""\documentclass[a4paper]{article}
\usepackage[landscape,margin=15mm]{geometry}
\usepackage{amsmath}
%s\allowdisplaybreaks
\setlength{\parindent}{0pt}
\begin{document}
"""


def in_text(words: str) -> str:
    """Words for LaTeX outside formulas."""
    special = {"_": r"\_", "%": r"\%", "#": r"\#", "&": r"\&", "η": r"$\eta$", "λ": r"$\lambda$"}
    return "".join(special.get(letter, letter) for letter in words)


CLOSE = r"\setlength{\arraycolsep}{2pt}"
SIZES = (115, r"\small"), (160, r"\scriptsize" + CLOSE), (np.inf, r"\tiny" + CLOSE)  # up to so many letters in a row


def in_brackets(matrix: Matrix, style: Style) -> str:
    """A matrix, or vectors, below the names of their columns, as small as a landscape page needs."""
    columns = r",\,".join(matrix.columns)
    parts = [f"{style.say('columns')}: ${columns}$\\par"]
    letters = sum(max(len(plain(cell)) for cell in column) for column in zip(*matrix.numbers, strict=True))
    size = next(size for most, size in SIZES if letters <= most)
    if len(matrix.columns) > 10:  # for more, amsmath must be told
        size += rf"\setcounter{{MaxMatrixCols}}{{{len(matrix.columns)}}}"
    vectors = ((rf"{name}^{{\mathsf T}}", [row]) for name, row in zip(matrix.rows, matrix.numbers, strict=True))
    for symbol, rows in vectors if not matrix.symbol else [(matrix.symbol, matrix.numbers)]:
        lines = " \\\\\n".join(" & ".join(row) for row in rows).replace(r"\cdot ", r"{\cdot}")  # without spaces
        parts.append(f"{{{size}\\[{symbol}=\\begin{{bmatrix}}\n{lines}\n\\end{{bmatrix}}\\]}}")
    return "\n".join(parts)


def latex(trace: Trace, style: Style, standalone: bool) -> str:
    """LaTeX for a document that has amsmath, and for Chinese ctex; or the whole document."""
    parts = []
    for block in document(trace, style):
        if block.title:
            parts.append(f"\\{HEADINGS[block.level]}{{{in_text(block.title)}}}")
        for words, formula in block.formulas:
            parts.append(": ".join(said(in_text(words), formula, "${}$".format)) + r"\par")
        parts += [in_brackets(matrix, style) for matrix in block.matrices]
        if block.rows:
            parts.append(f"\\begin{{align*}}\n{equations(block)}\n\\end{{align*}}")
        if block.note:
            parts.append(rf"\emph{{{in_text(block.note)}}}\par")
    body = "\n".join(parts) + "\n"
    chinese = "\\usepackage{ctex}\n" if style.language == "zh" else ""
    return PREAMBLE % chinese + body + "\\end{document}\n" if standalone else body


# --- HTML.

SHEET = (
    ".bpjit-trace{font-family:sans-serif;line-height:1.5;overflow-x:auto}"
    ".bpjit-trace table{border-collapse:collapse;margin:.3em 0 .3em 1em}"
    ".bpjit-trace :is(td,th){border:0;padding:0 .5em 0 0;text-align:left;white-space:nowrap;"
    "font-family:'Cambria Math','STIX Two Math',serif}"
    ".bpjit-trace td:last-child{font-weight:bold}"
    ".bpjit-trace .matrix :is(td,th){font-weight:normal;text-align:right;padding:0 .5em}"
    ".bpjit-trace .matrix :is(td:first-child,th){font-style:italic}"
    ".bpjit-trace h2,.bpjit-trace h3,.bpjit-trace h4{margin:.8em 0 .2em}"
)


def html_of(block: Block) -> list[str]:
    lines = []
    if block.title:
        lines.append(f"<h{block.level + 1}>{html_module.escape(block.title)}</h{block.level + 1}>")
    if block.formulas:
        items = (" &nbsp; ".join(said(html_module.escape(words), formula, marked)) for words, formula in block.formulas)
        lines.append(f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>")
    for matrix in block.matrices:
        header, *table = named(matrix, marked)
        first = "<tr>" + "".join(f"<th>{cell}</th>" for cell in header) + "</tr>"
        rest = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in table)
        lines.append('<table class="matrix">' + "\n".join([first, *rest]) + "</table>")
    if block.rows:
        cells = [cells_of(row, marked) for row in block.rows]
        rows = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
        lines.append("<table>" + "\n".join(rows) + "</table>")
    if block.note:
        lines.append(f"<p><em>{html_module.escape(block.note)}</em></p>")
    return lines


def html(trace: Trace, style: Style, standalone: bool) -> str:
    """HTML that needs nothing else."""
    body = "\n".join(line for block in document(trace, style) for line in html_of(block))
    body = f'<div class="bpjit-trace"><style>{SHEET}</style>\n{body}\n</div>\n'
    if not standalone:
        return body
    language = "zh-CN" if style.language == "zh" else "en"
    head = '<meta charset="utf-8"><title>bpjit trace</title>'
    return f'<!DOCTYPE html>\n<html lang="{language}"><head>{head}</head><body>\n{body}</body></html>\n'


# --- JSON.


def known(numbers: Any) -> Any:
    """A number, or an array as lists; None for what is not there or beyond all numbers, which JSON has no word for."""
    array = np.asarray(numbers, float)
    finite = np.isfinite(array)
    return array.tolist() if finite.all() else np.where(finite, array, np.array(None)).tolist()


def step_record(step: Step, book: bool) -> dict[str, Any]:
    """A step in plain numbers."""
    numbers = {name: known(value) for name, value in numbers_of(step, book).items()}
    record = {
        "step": step.number,
        "epoch": step.epoch,
        "eta": step.eta,
        "samples": [sample.number for sample in step.samples],
        "numbers": numbers,
        "objective": step.objective,
        "objective_new": step.objective_after,
        "state": step.state.tolist(),
        "state_new": step.state_after.tolist(),
    }
    return record if step.damped is None else record | damped_record(step, step.damped, book)


def damped_record(step: Step, damped: Damped, book: bool) -> dict[str, Any]:
    """What a step of Levenberg–Marquardt says beyond its numbers."""
    return {
        "columns": [plain(parameter.symbol) for parameter in columns_of(step, book)],
        "scale": damped.scale,
        "penalty": damped.penalty,
        "effective_parameters": damped.gamma,
        "attempts": [
            {name: known(getattr(each, name)) for name in ("mu", "error", "objective")} | {"taken": each.taken}
            for each in damped.attempts
        ],
        "ended": damped.ended,
    }


def json_text(trace: Trace, style: Style) -> str:
    """All numbers with all their digits."""
    setting, net = trace.setting, trace.steps[0].before
    record = {
        "format": "bpjit trace",
        "notation": style.notation,
        "sizes": net.sizes,
        "activations": [*net.hidden, net.output],
        "dtype": net.dtype.name,
        "loss": setting.loss,
        "rule": setting.rule.name,
        "lam": setting.given_lam,
        "steps": [step_record(step, style.book) for step in trace.steps],
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False)
