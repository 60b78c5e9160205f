"""A finding: what is wrong with a training, the number that proves it, and what to do, in words of two languages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..common.words import ADVICE


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    telling : how sure it is that this keeps the training from learning, from 0 to 1; a cause counts more than what
        follows from it
    name : in a few words
    what, do : what is wrong, and what to do, with places for ``numbers``
    """

    telling: float
    name: str
    what: str
    do: str
    numbers: dict[str, Any] = field(default_factory=dict)

    def say(self, language: str = "en") -> str:
        """The sentence, with its numbers."""
        between = "; " if language == "en" else "；"
        return between.join(said(words, language, **self.numbers) for words in (self.what, self.do))


def said(words: str, language: str, **numbers: Any) -> str:
    """English words, or the Chinese ones for them, with numbers in their places."""
    return (words if language == "en" else ADVICE[words]).format(**numbers)
