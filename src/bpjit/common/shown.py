"""What is shown where there is too much to show all of it."""

from __future__ import annotations


def units_shown(count: int, most: int) -> list[int | None]:
    """The units of a layer that a diagram draws, in at most ``most`` places; None stands for those left out."""
    return list(range(count)) if count <= most else [*range(most - 2), None, count - 1]
