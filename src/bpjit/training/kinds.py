"""Which kind of session trains by a rule; those of second order are imported when the first training needs them."""

from __future__ import annotations

from ..settings.rules import LevenbergMarquardt, Rule, SecondOrder
from .session import Session


def session_by(rule: Rule) -> type[Session]:
    """The kind of session that trains by this rule."""
    if not isinstance(rule, SecondOrder):
        return Session
    from .second_order import DampedSession, GradientSession

    return DampedSession if isinstance(rule, LevenbergMarquardt) else GradientSession
