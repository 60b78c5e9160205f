"""What a classifier and a regressor share: parameters, training, the online learner, predictions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ..learners.online_learner import OnlineLearner
from ..many.given import Given
from ..networks.columns import Columns
from ..networks.networks import Networks
from ..networks.scale import Scale
from ..settings.stopping import EarlyStopping, MaxEpochs
from .callbacks import CallbackSupportMixin, Tasks
from .chosen import chosen, chosen_lambda, rows_of, trained
from .tables import validated

MOST_SEED = np.iinfo(np.int32).max


class Estimator(CallbackSupportMixin, BaseEstimator):
    """Networks averaged over several random starts."""

    columns_: Columns | None
    _networks: Networks
    _learners: list[OnlineLearner] | None  # of each network, that go on with it, or predict rows
    _learnt: bool  # whether they have gone on since the networks were taken from them

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
        scale: bool = True,
        dtype: str = "float64",
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.output = output
        self.loss = loss
        self.rule = rule
        self.eta = eta
        self.updates = updates
        self.lam = lam
        self.init = init
        self.ensemble = ensemble
        self.n_starts = n_starts
        self.max_epochs = max_epochs
        self.validation = validation
        self.patience = patience
        self.callback = callback
        self.scale = scale
        self.dtype = dtype
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs

    # --- What the two differ in.

    def _output(self) -> str:
        """The activation of the outputs, where nobody says."""
        raise NotImplementedError

    def _scales_targets(self) -> bool:
        raise NotImplementedError

    # --- Training.

    def _train(self, X: np.ndarray, Y: np.ndarray, c: np.ndarray | None, y: np.ndarray) -> dict[str, Any]:
        """Fit to targets ready for networks, [shape: (m, l)]; returns the settings that ``train_many`` was given.
        Callbacks see y."""
        rows = rows_of(len(X), c)
        choice, seed = chosen(self, rows, X.shape[1]), self._seed()
        starts = self._starts(choice.hidden, X, Y, c, seed)
        settings: dict[str, Any] = {
            "eta": choice.eta,
            "updates": choice.updates,
            "loss": self.loss,
            "rule": choice.rule,
            "stop": [MaxEpochs(choice.max_epochs)],
            "seed": seed,
        }
        automatic = isinstance(self.lam, str) and self.lam == "auto"
        lam = chosen_lambda(starts, X, Y, c, rows, settings, self.n_jobs) if automatic else self.lam
        validation = choice.validation
        if validation is not None:
            settings["stop"].append(EarlyStopping(choice.patience))
            if isinstance(validation, (tuple, list)):
                validation = validation_data(self, *validation)
        settings |= {"lam": lam, "validation": validation}
        given = Given(starts, X, Y, sample_weight=c, history=True, **settings)
        tasks, watch = None, self.callback
        if hasattr(self, "_skl_callbacks"):
            metadata = None if c is None else {"sample_weight": c}
            tasks = Tasks(self, (len(starts), choice.max_epochs), X=X, y=y, metadata=metadata)
            watch = tasks.beside(self.callback)
        fits = trained(given, self.n_jobs, watch)
        if len(fits) > self.ensemble:
            fits = fits.best_first()[: self.ensemble]
        self.fits_, self.lam_ = fits, lam
        self.n_iter_ = int(fits.epochs.max())
        self.loss_curve_ = mean_curve(fits.errors)
        self.validation_curve_ = None if validation is None else mean_curve(fits.validation_errors)
        assert isinstance(fits.networks, Networks)  # they have one shape
        self._take(fits.networks)
        if tasks is not None:
            tasks.close()
        return settings

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(MOST_SEED))

    def _starts(self, hidden: Any, X: np.ndarray, Y: np.ndarray, c: np.ndarray | None, seed: int) -> Networks:
        """Networks to begin with: random ones, or those of the last fit."""
        sizes = (X.shape[1], *hidden, Y.shape[1])
        if self.warm_start and hasattr(self, "_networks") and self.networks_.sizes == sizes:
            return self.networks_
        output = self._output() if self.output is None else self.output
        scale, targets = None, Y if self._scales_targets() else None
        if self.scale:
            scale = Scale.standard(X, targets, sample_weight=c)
        count = self.ensemble * self.n_starts
        return Networks.random(
            sizes, count, self.activation, output, self.init, seed, self.dtype, scale, columns=self.columns_
        )

    def _take(self, networks: Networks) -> None:
        """From here on these are the networks."""
        self._networks, self._learners, self._learnt = networks, None, False
        named = hasattr(self, "feature_names_in_")
        self._row = None if named else (1, self.n_features_in_)  # the shape of a row that needs no more checks

    @property
    def networks_(self) -> Networks:
        """The trained networks."""
        if self._learnt and self._learners is not None:
            self._networks = Networks.of([learner.network for learner in self._learners])
            self._learnt = False
        return self._networks

    # --- Sample by sample.

    def _learn(self, X: np.ndarray, Y: np.ndarray) -> Self:
        """Let each network learn these samples, one after another."""
        if not hasattr(self, "_networks"):
            hidden = chosen(self, len(X), X.shape[1]).hidden
            self._take(self._starts(hidden, X, Y, None, self._seed()))
        for x, y in zip(X, Y, strict=True):
            self._learn_row(x, y)
        return self

    def _learn_row(self, x: np.ndarray, y: Any) -> Self:
        for learner in self._desk():
            learner.learn(x, y)
        self._learnt = True
        return self

    def _is_plain_row(self, X: Any) -> bool:
        """Whether it is one sample that needs no more checks than a learner makes."""
        return type(X) is np.ndarray and X.dtype == np.float64 and X.shape == getattr(self, "_row", None)

    def _desk(self) -> list[OnlineLearner]:
        """A learner for each network."""
        if self._learners is None:
            rule = "sgd" if self.rule is None else self.rule
            self._learners = [OnlineLearner(net, rule=rule, eta=self.eta, loss=self.loss) for net in self.networks_]
        return self._learners

    # --- Predictions.

    def _outputs(self, X: Any) -> np.ndarray:
        """The mean output of the networks, [shape: (m, l)]."""
        if self._is_plain_row(X):
            learners = self._desk()
            total = learners[0].predict(X[0])
            for learner in learners[1:]:
                total += learner.predict(X[0])
            row: np.ndarray = (total / len(learners))[None]
            return row
        X = self._inputs(X)
        return self.networks_.mean(X)

    def _inputs(self, X: Any) -> np.ndarray:
        """Checked samples, of a fitted estimator, [shape: (m, d)]."""
        check_is_fitted(self, "_networks")
        plain = type(X) is np.ndarray and X.dtype == np.float64 and X.ndim == 2 and len(X) > 0
        if not (plain and self._row == (1, X.shape[1])):
            X = validated(self, X)
        checked: np.ndarray = X
        return checked


def validation_data(estimator: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """A set to validate on, as the networks take it."""
    X, y = validated(estimator, X, y, multi_output=True)
    return X, estimator._targets(y)


def mean_curve(errors: list[np.ndarray] | None) -> list[float]:
    """The mean error of each epoch, of the networks that still trained."""
    assert errors is not None
    longest = max(len(row) for row in errors)
    table = np.full((len(errors), longest), np.nan)
    for row, values in zip(table, errors, strict=True):
        row[: len(values)] = values
    known = ~np.isnan(table)
    sums, counts = np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0)
    return [float(total / count) if count else np.nan for total, count in zip(sums, counts, strict=True)]


def checked_weights(sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
    """Weights of the samples, or None where all are alike."""
    if sample_weight is None:
        return None
    weights: np.ndarray = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight: expected a weight above 0 at least, got zeros alone")
    return weights
