"""What the scripts of this folder share: argument types, text tables, .npz files and a plain way to fail. It is not a
script itself.
"""

from __future__ import annotations

import argparse
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bpjit
from bpjit.common.plain import print_in_plain
from bpjit.common.tables import text_table
from bpjit.plot.canvas import new_figure


class BadInput(ValueError):
    """Input that a script cannot use; its message is the line the user sees."""


def run(
    script: Callable[[argparse.Namespace], int], parser: argparse.ArgumentParser, arguments: list[str] | None
) -> int:
    """The exit code of a script; one line on stderr and 2 for input it cannot use, 130 after Ctrl-C."""
    print_in_plain()
    options = parser.parse_args(arguments)
    try:
        return script(options)
    except ValueError as problem:  # of these scripts, or of bpjit, which names the argument
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130


def unless_interrupted(fit: bpjit.Fit) -> bpjit.Fit:
    """The fit; ``bpjit.train`` swallows Ctrl-C to save what was learnt, but a script with many trainings ends."""
    if fit.stopped_by == "interrupted":
        raise KeyboardInterrupt
    return fit


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help texts with the defaults, where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def whole(text: str) -> int:
    """An argument that is a whole number >= 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, got {text}")
    return value


def positive(text: str) -> float:
    """An argument that is a finite number > 0."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a number > 0, got {text}")
    return value


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A text table: the first column aligned to the left, the others to the right."""
    return text_table(header, rows, left=1)


def quartiles(values: Sequence[float], form: str) -> str:
    """Median and quartiles, such as ``12 (10-15)``."""
    low, middle, high = (format(value, form) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return f"{middle} ({low}-{high})"


def read_npz(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The named arrays of a NumPy .npz file."""
    wanted = f"expected a whole NumPy .npz file with the arrays {', '.join(names)}"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except OSError as problem:
        raise BadInput(f"{path}: {problem.strerror or wanted}") from None
    except KeyError as problem:
        raise BadInput(f"{path}: {wanted}; {problem.args[0]}") from None
    # A file of another kind, or a damaged one.
    except (EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error):
        raise BadInput(f"{path}: {wanted}") from None


def add_figure(parser: argparse.ArgumentParser) -> None:
    """The option ``--figure``."""
    parser.add_argument("--figure", type=Path, help="write a picture to this file (needs matplotlib)")


def check_figure(path: Path | None) -> None:
    """Before the work: is there anything to draw with, and a folder to write to, if a picture is wanted at all?"""
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise BadInput(f"--figure: expected a file in a folder that exists, got {path}")
    try:
        new_figure((1, 1))
    except ImportError as problem:
        raise BadInput(f"--figure: {problem}") from None


def save_figure(picture: Any, path: Path) -> None:
    """Write a figure in the format that the file's name ends with, and say so."""
    try:
        picture.savefig(path, dpi=150)
    except (OSError, ValueError) as problem:
        raise BadInput(f"{path}: {problem}") from None
    print(f"\nfigure: {path}")
