"""``BPRegressor``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d, validate_data

from .estimator import Estimator, checked_weights


class BPRegressor(RegressorMixin, Estimator):
    """A regressor for scikit-learn: several small networks, averaged; for one target or several.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from bpjit.sklearn import BPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> BPRegressor(random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    def _output(self) -> str:
        return "identity"

    def _scales_targets(self) -> bool:
        return True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X, [shape: (m, d)], and targets y, [shape: (m,)] or (m, l)."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=np.float64)
        c = checked_weights(sample_weight, X)
        return self._train(X, self._targets(y), c)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Learn these samples one after another. The first call sees the scale of inputs and targets."""
        first = not hasattr(self, "networks_")
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, reset=first)
        return self._learn(X, self._targets(y))

    def _targets(self, y: Any) -> np.ndarray:
        y = np.asarray(y, np.float64)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._flat = y.ndim == 1
        return y.reshape(len(y), -1)

    def predict(self, X: Any) -> np.ndarray:
        """[shape: (m,)], or (m, l) as the targets were."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs
