"""Estimators for scikit-learn, which stand wherever its own do: in pipelines, grids, cross-validations.

python -m pip install 'bpjit[sklearn]'
"""

from __future__ import annotations

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("bpjit.sklearn needs scikit-learn: python -m pip install 'bpjit[sklearn]'") from error

from .classifier import BPClassifier
from .regressor import BPRegressor

__all__ = ["BPClassifier", "BPRegressor"]
