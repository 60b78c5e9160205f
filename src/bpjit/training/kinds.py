"""Which kind of session trains by a rule of second order; they are imported when the first training needs them."""

from __future__ import annotations

from ..settings.rules import LevenbergMarquardt, Rule, SecondOrder
from .session import Session


def session_of_second_order(rule: Rule) -> type[Session] | None:
    """The kind of session that trains by this rule, if it is one of second order."""
    if not isinstance(rule, SecondOrder):
        return None
    from .second_order import DampedSession, GradientSession

    return DampedSession if isinstance(rule, LevenbergMarquardt) else GradientSession
