"""Advice: what is wrong with a training, the number that proves it, and what to do. It looks at a fit after its end;
nothing here is computed while a network trains."""

from .diagnosis import Diagnosis, diagnose, findings_of

__all__ = ["Diagnosis", "diagnose", "findings_of"]
