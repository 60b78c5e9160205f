"""Tables of text, as a terminal or as Markdown shows them."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(lines: Sequence[Sequence[str]], left: int | None = None) -> str:
    """Cells in columns: the first ``left`` columns aligned to the left, the others to the right; None: all left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = len(widths) if left is None else left
    rows = (
        (cell.ljust(width) if place < left else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (zip(line, widths, strict=True) for line in lines)
    )
    return "\n".join("  ".join(row).rstrip() for row in rows)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int | None = None) -> str:
    """Aligned columns with a line under the header."""
    return aligned([header, ["-" * max(map(len, column)) for column in zip(header, *rows, strict=True)], *rows], left)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar or a star in a cell stands for itself."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
