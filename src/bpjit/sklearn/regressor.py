"""``BPRegressor``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d

from ..common.arguments import as_choice, as_real
from .callbacks import with_callbacks
from .estimator import Estimator, checked_weights
from .intervals import KINDS, Intervals, intervals_of, parts_of, start_for
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
    callback : called with a ``bpjit.Progress`` after every epoch of each network; a true answer ends that network's
        training. Networks are trained one after another then, the same but for rounding. Give a function: ``clone``
        copies objects
    interval : what ``predict_interval`` needs: None; "jackknife+", networks without each row; "cv+", without each of 10
        parts of the rows; "quantile", likewise, and they learn the quantiles of ``level`` by the pinball loss
    level : the share of targets that intervals shall hold
    scale : bring each column of X, and of y where outputs are "identity", to mean 0 and standard deviation 1, inside
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
    residuals_ : |y_i − ŷ_i| by the network that has not seen row i; with "quantile", by how much y_i is beyond the
        quantiles; [shape: (m,)], or (m, l). None without ``interval``
    n_features_in_, feature_names_in_ : as scikit-learn has them
    columns_ : the ``bpjit.Columns`` of X, if it was a frame: words in it are categories, an input for each value

    Notes
    -----
    Where rows have weights that are whole numbers, each counts as so many rows: a weight of 2 is the row twice.

    Intervals follow R. F. Barber, E. J. Candès, A. Ramdas & R. J. Tibshirani (2021), and Y. Romano, E. Patterson &
    E. J. Candès (2019): see ``bpjit/sklearn/intervals.py``. Where rows to come are like those of the fit, in any order,
    they hold a share of 2 level − 1 at least whatever the data are ("cv+" and "quantile": less √(2 / m)), and close to
    ``level`` as a rule; that of a single x may differ. The proof wants all that is learnt from the data to be learnt
    anew without a row: λ and the scale are not. Their networks are of float32, and start and order are the same for
    all; ``predict`` remains the mean of the ensemble.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from bpjit.sklearn import BPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> BPRegressor(random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    _intervals: Intervals | None = None

    def __init__(
        self,
        hidden: Any = None,
        *,
        activation: Any = "tanh",
        output: str | None = None,
        loss: Any = None,
        rule: Any = None,
        eta: Any = None,
        updates: Any = None,
        lam: Any = "auto",
        init: Any = "glorot",
        ensemble: int = 8,
        n_starts: int = 1,
        max_epochs: int | None = None,
        validation: Any = "auto",
        patience: int | None = None,
        callback: Any = None,
        interval: str | None = None,
        level: float = 0.9,
        scale: bool = True,
        dtype: str = "float64",
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            hidden,
            activation=activation,
            output=output,
            loss=loss,
            rule=rule,
            eta=eta,
            updates=updates,
            lam=lam,
            init=init,
            ensemble=ensemble,
            n_starts=n_starts,
            max_epochs=max_epochs,
            validation=validation,
            patience=patience,
            callback=callback,
            scale=scale,
            dtype=dtype,
            warm_start=warm_start,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        self.interval = interval
        self.level = level

    def _output(self) -> str:
        return "identity"

    def _scales_targets(self) -> bool:
        return self.output in (None, "identity")  # others do not reach below 0 and above 1 alike

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X, [shape: (m, d)], and targets y, [shape: (m,)] or (m, l)."""
        X, y = validated(self, X, y, reset=True, multi_output=True, y_numeric=True)
        c = checked_weights(sample_weight, X)
        if self.interval is not None:
            as_choice("interval", self.interval, KINDS)
            as_real("level", self.level, above=0, below=1)
            if c is not None:
                raise ValueError("sample_weight: intervals take all rows alike; expected None, or interval=None")
        Y = self._targets(y)
        settings = self._train(X, Y, c, y)
        found = None if self.interval is None else self._look_back(self.interval, X, Y, settings)
        self._intervals = found
        self.residuals_ = None if found is None else found.residuals[:, 0] if self._flat else found.residuals
        return self

    def _look_back(self, kind: str, X: np.ndarray, Y: np.ndarray, settings: dict[str, Any]) -> Intervals:
        """What intervals follow from: networks trained with the same settings, without rows."""
        if kind == "quantile":
            from ..formulas import quantile

            settings |= {"loss": quantile(quantile=(1.0 + self.level) / 2.0)}
        start = start_for(kind, self.networks_[0], X, Y, self.init, settings["seed"])
        part = parts_of(kind, len(X), settings["seed"])
        return intervals_of(start, X, Y, part, settings, self.n_jobs)

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

    def predict_interval(self, X: Any, level: float | None = None) -> np.ndarray:
        """Between which numbers a share ``level`` of the targets lies, by the rows of the last ``fit``.

        Parameters
        ----------
        X : (m, d) samples
        level : between 0 and 1; None is that of the estimator, which quantiles have learnt

        Returns
        -------
        lower and upper ends, [shape: (m, 2)], or (m, l, 2) as the targets were. Below a level of 0.5, or of quantiles
        that cross, an interval may be empty: its lower end above its upper

        Raises
        ------
        ValueError : a level that so few rows do not allow, or another one than the quantiles'; no ``interval``

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from bpjit.sklearn import BPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> regressor = BPRegressor(interval="cv+", random_state=0).fit(X[:300], y[:300])
        >>> low, high = regressor.predict_interval(X[300:], level=0.8).T
        >>> bool(0.7 < ((low <= y[300:]) & (y[300:] <= high)).mean() < 0.9)
        True
        """
        X, found = self._inputs(X), self._intervals
        if found is None:
            raise ValueError(f"interval: expected one of {', '.join(KINDS)} when it was fitted, got None")
        level = as_real("level", self.level if level is None else level, above=0, below=1)
        if self.interval == "quantile" and level != self.level:
            raise ValueError(f"level: these networks learnt the quantiles of {self.level:g}; fit with level={level:g}")
        ends = found.at(X, level)
        return ends[:, 0] if self._flat else ends
