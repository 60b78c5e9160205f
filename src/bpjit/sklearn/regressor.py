"""``BPRegressor``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d

from .estimator import Estimator, checked_weights
from .tables import validated


class BPRegressor(RegressorMixin, Estimator):
    """A regressor for scikit-learn: several small networks, averaged; for one target or several.

    Parameters
    ----------
    hidden : units of the hidden layer, or of each of several; None is twice the columns, 8 at least and 64 at most
    activation : of the hidden layers, a name or one for each
    output, loss : activation of the outputs, and loss; None are identity and the squared error
    rule, eta, updates : as for ``bpjit.train_many``; None is Adam: with accumulated updates below 1,000 rows, on
        batches of 32 above
    lam : the book's λ, or None for no penalty. "auto": from 30 to 1,000 rows the best of six, by errors on four folds
        that one network does not learn from; equal rows fall into one fold. Else 1 − 0.3 / rows
    init : as for ``bpjit.Network.random``
    ensemble : networks that are averaged
    n_starts : so many times as many are trained, and those of the smallest error kept
    max_epochs : None is 300 below 1,000 rows, else 100
    validation : None; a share of the samples; or (X, y). Training stops where its error no longer falls, and each
        network is that of its smallest. "auto" is None below 1,000 rows, else 0.1
    patience : epochs without a smaller error of the validation set; None is 10
    scale : bring each column of X and y to mean 0 and standard deviation 1, inside
    dtype : "float64" or "float32"
    warm_start : begin with the networks of the last fit, where they have the same shape
    random_state : seed of starts and orders: a number, a RandomState, or None for another one each time
    n_jobs : threads; None is as many as there are cores

    Attributes
    ----------
    networks_ : the trained ``Networks``
    fits_ : what ``train_many`` found of each
    lam_ : the λ that was used
    loss_curve_, validation_curve_ : the mean error of each epoch, of the networks that still trained; None without
        validation
    n_iter_ : epochs of the network that took most
    n_features_in_, feature_names_in_ : as scikit-learn has them
    columns_ : the ``bpjit.Columns`` of X, if it was a frame: words in it are categories, an input for each value

    Notes
    -----
    Where rows have weights that are whole numbers, each counts as so many rows: a weight of 2 is the row twice.

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
        X, y = validated(self, X, y, reset=True, multi_output=True, y_numeric=True)
        c = checked_weights(sample_weight, X)
        return self._train(X, self._targets(y), c)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Learn these samples one after another. The first call sees the scale of inputs and targets."""
        if self._is_plain_row(X):
            target = y if type(y) is np.ndarray and y.dtype == np.float64 else np.asarray(y, np.float64)
            if target.ndim == 1 and len(target) == 1 and self._flat:
                return self._learn_row(X[0], target)
        first = not hasattr(self, "_networks")
        X, y = validated(self, X, y, reset=first, multi_output=True, y_numeric=True)
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
