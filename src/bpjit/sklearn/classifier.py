"""``BPClassifier``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from .callbacks import with_callbacks
from .estimator import Estimator, checked_weights
from .tables import validated

TINY = np.finfo(np.float64).tiny


class BPClassifier(ClassifierMixin, Estimator):
    """A classifier for scikit-learn: several small networks, averaged.

    Labels may be anything that scikit-learn takes, also several at once (multilabel: sigmoid outputs).

    Parameters
    ----------
    hidden : units of the hidden layer, or of each of several; None is twice the columns, 8 at least and 64 at most
    activation : of the hidden layers, a name or one for each
    output, loss : activation of the outputs, and loss; None are softmax, for several labels sigmoid, with cross-entropy
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
    class_weight : {label: weight}, or "balanced"
    scale : bring each column of X to mean 0 and standard deviation 1, inside
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
    classes_ : the labels
    n_features_in_, feature_names_in_ : as scikit-learn has them
    columns_ : the ``bpjit.Columns`` of X, if it was a frame: words in it are categories, an input for each value

    Notes
    -----
    Where rows have weights that are whole numbers, each counts as so many rows: a weight of 2 is the row twice.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from bpjit.sklearn import BPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> BPClassifier(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

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
        class_weight: Any = None,
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
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _output(self) -> str:
        return "sigmoid" if self.multilabel_ else "softmax"

    def _scales_targets(self) -> bool:
        return False

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X, [shape: (m, d)], and labels y, [shape: (m,)], or (m, labels) of 0 and 1."""
        X, y = validated(self, X, y, reset=True, multi_output=True)
        c = checked_weights(sample_weight, X)
        y = self._know_classes(y)
        if self.class_weight is not None:
            c = compute_sample_weight(self.class_weight, y) * (1.0 if c is None else c)
        self._train(X, self._targets(y), c, y)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Learn these samples one after another; the first call needs all classes there will be."""
        if self._is_plain_row(X):
            number = self._number_of.get(y[0])
            if number is not None and len(y) == 1:
                return self._learn_row(X[0], number)
        first = not hasattr(self, "classes_")
        X, y = validated(self, X, y, reset=first, multi_output=True)
        if first:
            if classes is None:
                raise ValueError("classes: the first call of partial_fit needs all of them, got None")
            self.multilabel_ = type_of_target(y).startswith("multilabel")
            self._keep_classes(np.unique(classes))
        return self._learn(X, self._targets(y if self.multilabel_ else column_or_1d(y)))

    def _know_classes(self, y: Any) -> Any:
        """Note what the labels are; returns them in a plain array."""
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        self.multilabel_ = kind == "multilabel-indicator"
        if self.multilabel_:
            self._keep_classes(np.arange(y.shape[1]))
            return np.asarray(y.todense() if hasattr(y, "todense") else y, np.float64)
        y = column_or_1d(y, warn=True)
        self._keep_classes(np.unique(y))
        return y

    def _keep_classes(self, classes: np.ndarray) -> None:
        self.classes_ = classes
        labels = [] if self.multilabel_ else classes.tolist()
        self._number_of: dict[Any, int] = {label: number for number, label in enumerate(labels)}

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """[shape: (m, l)]; a class more than there is where there is but one."""
        if self.multilabel_:
            return np.asarray(y, np.float64)
        numbers = np.searchsorted(self.classes_, y)
        known = numbers < len(self.classes_)
        if not known.all() or (self.classes_[np.where(known, numbers, 0)] != y).any():
            raise ValueError(f"y: expected labels of classes_, {self.classes_.tolist()}, got others")
        return np.eye(max(2, len(self.classes_)))[numbers]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, [shape: (m, classes)]."""
        outputs = self._outputs(X)
        if self.multilabel_:
            return outputs
        known = outputs[:, : len(self.classes_)]
        found: np.ndarray = known / known.sum(axis=1, keepdims=True)
        return found

    def decision_function(self, X: Any) -> np.ndarray:
        """The logarithm of the probability of each class, or log odds of the second of two, and of each of several
        labels."""
        p = np.clip(self.predict_proba(X), TINY, 1.0)
        if self.multilabel_:
            odds: np.ndarray = np.log(p) - np.log(np.clip(1.0 - p, TINY, 1.0))
            return odds
        logs: np.ndarray = np.log(p)
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label, or each that is more probable than not."""
        outputs = self._outputs(X)
        if self.multilabel_:
            return (outputs > 0.5).astype(int)
        found: np.ndarray = self.classes_[outputs[:, : len(self.classes_)].argmax(axis=1)]
        return found
