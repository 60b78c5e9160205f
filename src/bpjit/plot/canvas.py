"""What all pictures share: axes to draw into, colours that differ in grey too, and words in two languages with a font
that has them. The only place that looks for matplotlib.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..common.arguments import as_choice, describe
from ..common.words import LANGUAGES, PICTURES

Axes = Any  # matplotlib brings no types of its own here

# Two colours for signs and series, and pale ones for areas: each differs from the others in grey as well.
DARK, LIGHT = "#14487a", "#d9692a"
SHADES = (DARK, LIGHT, "#4f8a4c", "#8256a0", "black", "#9a7b1f", "#c2477f", "#3f9aa3", "0.45")
AREAS = ("#b8d0ea", "#f8dcc4", "#9dbf9d", "#efe6a5", "#cdb7d9", "#e3e3e3", "#d99a9a", "#a8dcd9")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "oo", "++", "--")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLES = ("-", "--", "-.", ":")

FAMOUS = ("Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "SimHei", "WenQuanYi Zen Hei")


def new_figure(inches: tuple[float, float]) -> Any:
    """An empty figure that needs no display.

    Raises
    ------
    ImportError : no matplotlib
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: python -m pip install 'bpjit[plot]', or matplotlib") from error
    return Figure(inches, layout="constrained")


def axes(ax: Any, inches: tuple[float, float] = (6.0, 4.0), three_d: bool = False) -> Axes:
    """The axes to draw into: those given, or those of a new figure."""
    if ax is None:
        return new_figure(inches).add_subplot(projection="3d" if three_d else None)
    from matplotlib.axes import Axes as AxesClass

    if not isinstance(ax, AxesClass):
        raise TypeError(f"ax: expected matplotlib axes, such as plt.subplots()[1], or None, got {describe(ax)}")
    return ax


def speaker(language: str) -> Callable[[str], str]:
    """A function that says an English label in this language, or leaves it where no font can."""
    if as_choice("language", language, LANGUAGES) == "zh" and font_with("".join(PICTURES.values())) is not None:
        return lambda words: PICTURES[words]
    return lambda words: words


@functools.lru_cache
def font_with(characters: str) -> str | None:
    """The family of an installed font that has all of these characters, or None."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    def usual_first(entry: Any) -> tuple[bool, bool, str]:
        return entry.name not in FAMOUS, entry.weight not in (400, "normal"), entry.name

    for entry in sorted(fontManager.ttflist, key=usual_first):
        if entry.name.startswith("Last Resort"):  # it has a box for each character
            continue
        try:
            known = FT2Font(entry.fname).get_charmap()
        except (OSError, RuntimeError):  # a font removed meanwhile, or damaged
            continue
        if all(ord(character) in known for character in characters):
            return str(entry.name)
    return None


def dress(ax: Axes) -> Axes:
    """Give texts with Chinese characters, the user's names among them, a font that has them; returns the axes."""
    from matplotlib.text import Text

    for text in ax.findobj(Text):
        foreign = "".join(sorted({character for character in text.get_text() if ord(character) >= 0x2E80}))
        family = font_with(foreign) if foreign else None
        if family is not None:
            text.set_fontfamily([*text.get_fontfamily(), family])
    return ax
