"""Which kind of session trains by a rule of second order, or in shares, imported when the first training needs it; or
on samples that are not in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernels.state import Large, Samples
from ..settings.rules import LevenbergMarquardt, Rule, SecondOrder
from .session import Session
from .windows import WindowedSession

if TYPE_CHECKING:
    from .sharing import InShares


def session_of_second_order(rule: Rule) -> type[Session] | None:
    """The kind of session that trains by this rule, if it is one of second order."""
    if not isinstance(rule, SecondOrder):
        return None
    from .second_order import DampedSession, GradientSession

    return DampedSession if isinstance(rule, LevenbergMarquardt) else GradientSession


def session_in_shares(rule: Rule) -> type[InShares]:
    """The kind of session that trains by this rule and looks at shares of the data."""
    from .sharing import SharedGradientSession, SharedSession

    return SharedGradientSession if isinstance(rule, SecondOrder) else SharedSession


def special_session(rule: Rule, D: Samples, V: Samples) -> type[Session] | None:
    """The kind of session that trains by this rule on these samples, if it is not the usual one."""
    large = isinstance(D, Large) or isinstance(V, Large)
    return session_of_second_order(rule) or (WindowedSession if large else None)
