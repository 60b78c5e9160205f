"""Rules of the user's own, as tapes."""

from __future__ import annotations

from dataclasses import dataclass

from ...maths.tape import Tape


@dataclass(frozen=True)
class OwnRule:
    """A rule that ``bpjit.rule`` recorded."""

    called: str
    step: Tape  # (w, g, state..., eta, settings..., shared...) to (w, state...)
    prepare: Tape | None  # (shared..., settings...) to (shared...)
    starts: tuple[float, ...]
    shares: int
    eta: float | None
    values: tuple[tuple[str, float], ...]
    accumulated: bool
