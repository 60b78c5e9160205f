"""Tables of text, as a terminal or as Markdown shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest


def width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def aligned(lines: Sequence[Sequence[str]], left: int | None = None, between: str = "  ") -> list[str]:
    """Lines with their cells in columns: the first ``left`` columns aligned to the left, the others to the right; None:
    all left. A line may lack cells at its end."""
    widths = [max(map(width, column)) for column in zip_longest(*lines, fillvalue="")]
    left = len(widths) if left is None else left

    def padded(column: int, cell: str) -> str:
        space = " " * (widths[column] - width(cell))
        return cell + space if column < left else space + cell

    return [between.join(padded(*numbered) for numbered in enumerate(line)).rstrip() for line in lines]


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int | None = None) -> str:
    """Aligned columns with a line under the header."""
    line = ["-" * max(map(width, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(aligned([header, line, *rows], left))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar or a star in a cell stands for itself."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
