"""Text where not every character is there: what is printed to a file or pipe on Windows, say."""

from __future__ import annotations

import codecs
import functools
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

# What has no plain look of its own: signs, arrows.
WORDS = {"Σ": "sum ", "∑": "sum ", "Δ": "Delta", "∂": "d", "∇": "grad ", "√": "sqrt ", "∏": "prod ", "∞": "inf"}
WORDS |= {"−": "-", "–": "-", "—": "-", "·": "*", "×": "x", "÷": "/", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!="}
WORDS |= {"←": "<-", "→": "->", "↦": "->", "≈": "~", "∈": "in", "′": "'", "…": "...", "⌊": "floor(", "⌋": ")"}
WORDS |= {"“": '"', "”": '"', "‘": "'", "’": "'", "⟨": "<", "⟩": ">", "│": "|", "─": "-", "█": "#", "•": "*", "⁄": "/"}
MARKS = {"\N{COMBINING CIRCUMFLEX ACCENT}": "^", "\N{COMBINING MACRON}": "_mean", "\N{COMBINING TILDE}": "~"}


def plain(character: str) -> str:
    """What comes nearest to a character in ASCII: ``y^`` for ŷ, ``2`` for ², ``eta`` for η, else ``?``."""
    if character in WORDS:
        return WORDS[character]
    parts = unicodedata.normalize("NFKD", character)
    if parts != character:
        return "".join(MARKS.get(part) or ("" if unicodedata.combining(part) else plain(part)) for part in parts)
    name = unicodedata.name(character, "")
    if name.startswith("GREEK"):
        letter = name.split()[-1].replace("LAMDA", "LAMBDA")
        return letter.capitalize() if character.isupper() else letter.lower()
    return character if character.isascii() else MARKS.get(character, "?")


def _in_plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(plain, error.object[error.start : error.end])), error.end


NAME = "bpjit.plain"
codecs.register_error(NAME, _in_plain)


def printable(method: Callable[[Any], str]) -> Callable[[Any], str]:
    """A ``__str__`` that can be printed: characters that stdout does not have are replaced by plain ones."""

    @functools.wraps(method)
    def fitting(self: Any) -> str:
        text, encoding = method(self), getattr(sys.stdout, "encoding", None)
        try:
            return text.encode(encoding, NAME).decode(encoding) if encoding and not text.isascii() else text
        except (LookupError, UnicodeError):  # an encoding of somebody's own
            return text

    return fitting


def print_in_plain() -> None:
    """Let stdout and stderr take every text from now on."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=NAME)
