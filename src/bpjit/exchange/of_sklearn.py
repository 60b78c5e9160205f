"""MLPClassifier and MLPRegressor of scikit-learn, both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import as_numbers, describe
from ..common.files import refused
from ..networks.architecture import HasArchitecture
from ..networks.columns import Column, Columns
from .chain import Activation, Affine, Dense, Link, as_network, biases_of

if TYPE_CHECKING:
    from ..networks.network import Network

HERE = {
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "identity": "identity",
    "softmax": "softmax",
    "exp": "exp",
}
THERE = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu", "identity": "identity"}  # of hidden layers


def _need(what: str) -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{what} needs scikit-learn: python -m pip install 'bpjit[sklearn]'") from error


# --- From scikit-learn.


def from_sklearn(model: Any) -> Network:
    """The network that a fitted MLP is, alone or at the end of a ``Pipeline`` of scalers."""
    _need("from_sklearn")
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline

    with refused("model"):
        steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
        steps = [step for step in steps if step not in (None, "passthrough")]
    mlp = steps[-1] if steps else model
    if not isinstance(mlp, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            f"model: expected an MLPClassifier or MLPRegressor, or a Pipeline that ends with one, got {describe(mlp)}; "
            "of a search give best_estimator_"
        )
    if not hasattr(mlp, "coefs_"):
        raise ValueError(f"model: expected a fitted {type(mlp).__name__}, got one that is not; call fit first")
    with refused("model"), np.errstate(all="ignore"):
        links = [link for step in steps[:-1] for link in _scaling(step)]
        if len(mlp.coefs_) != len(mlp.intercepts_):
            raise ValueError(f"expected {len(mlp.coefs_)} intercepts_, as many as coefs_, got {len(mlp.intercepts_)}")
        for place, (W, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
            name = mlp.activation if place < len(mlp.coefs_) - 1 else mlp.out_activation_
            if name not in tuple(HERE):
                raise ValueError(f"expected an activation among {', '.join(HERE)}, got {describe(name)}")
            W = as_numbers(f"coefs_[{place}]", W, "an array of numbers")
            b = as_numbers(f"intercepts_[{place}]", b, "an array of numbers")
            links += [Dense(W, b, f"coefs_[{place}]"), Activation(HERE[name], name)]
        return as_network(links, _columns(steps[0], mlp))


def _scaling(step: Any) -> list[Link]:
    """What a fitted scaler does, by its kind."""
    kind = type(step).__name__
    if kind == "MinMaxScaler" and step.clip:
        raise ValueError("expected a MinMaxScaler with clip=False, for a Scale does not clip; got clip=True")
    names: dict[str, list[tuple[str, str]]] = {
        "StandardScaler": [("subtract", "mean_" if getattr(step, "with_mean", True) else ""), ("divide", "scale_")],
        "MinMaxScaler": [("multiply", "scale_"), ("add", "min_")],
        "MaxAbsScaler": [("divide", "scale_")],
        "RobustScaler": [("subtract", "center_"), ("divide", "scale_")],
    }
    if kind not in names or not type(step).__module__.startswith("sklearn."):
        raise ValueError(
            f"expected scalers ({', '.join(names)}) before the MLP, got {kind}; apply it to the data first, "
            "and give the MLP alone"
        )
    found: list[Link] = []
    for operation, name in names[kind]:
        value = getattr(step, name, None) if name else None
        if value is not None:
            found.append(Affine(operation, np.asarray(value, np.float64), kind))
        elif name and not hasattr(step, name):
            raise ValueError(f"expected a fitted {kind}, got one that is not; call fit first")
    return found


def _columns(first: Any, mlp: Any) -> Columns | None:
    """Names of inputs, and labels of classes where they are other than their numbers."""
    names = getattr(first, "feature_names_in_", None)
    classes = getattr(mlp, "classes_", None)
    binarizer = getattr(mlp, "_label_binarizer", None)
    if classes is None or getattr(binarizer, "y_type_", "").startswith("multilabel"):
        classes = []
    labels = np.asarray(classes).tolist()
    numbers = labels == list(range(len(labels))) and not any(isinstance(label, bool) for label in labels)
    if names is None and numbers:
        return None
    d = len(mlp.coefs_[0])
    if names is not None and len(names) != d:
        raise ValueError(f"expected {d} feature_names_in_, as many as inputs, got {len(names)}")
    inputs = unnamed(d) if names is None else list(map(str, names))
    return Columns(inputs) if numbers else Columns(inputs, [Column("class", tuple(labels))])


def unnamed(d: int) -> list[str]:
    """What scikit-learn calls inputs that have no names."""
    return [f"x{i}" for i in range(d)]


# --- To scikit-learn.


def to_sklearn(net: HasArchitecture) -> Any:
    """A fitted MLP, in a ``Pipeline`` after a ``StandardScaler`` where the inputs are scaled."""
    _need("to_sklearn")
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if len(set(net.hidden)) > 1 or any(name not in THERE for name in net.hidden):
        raise ValueError(
            f"hidden: expected the same activation in all hidden layers, one of {', '.join(THERE)}, as MLPs of "
            f"scikit-learn have them; got {', '.join(map(format, net.hidden))}"
        )
    if net.output not in ("identity", "exp", "sigmoid", "softmax"):
        raise ValueError(
            "output: expected identity or exp for an MLPRegressor, sigmoid or softmax for an MLPClassifier, got "
            f"{net.output}"
        )
    arrays = net.scale.arrays if net.scale is not None else {}
    W, b = [np.array(w) for w in net.weights], [np.array(bias) for bias in biases_of(net)]
    if "target_factor" in arrays:
        if net.output != "identity":
            raise ValueError(
                f"scale: expected no scaling of targets after {net.output} outputs, which MLPs of scikit-learn cannot "
                "undo; got target_factor"
            )
        W[-1] = (W[-1] * arrays["target_factor"]).astype(net.dtype)
        b[-1] = (b[-1] * arrays["target_factor"] + arrays["target_offset"]).astype(net.dtype)
    common: dict[str, Any] = {
        "hidden_layer_sizes": net.sizes[1:-1],
        "activation": THERE[net.hidden[0]] if net.hidden else "identity",
    }
    if net.output in ("identity", "exp"):
        mlp = MLPRegressor(**common)
        mlp.out_activation_ = str(net.output)
        if net.output == "exp":
            mlp.loss = "poisson"
    else:
        mlp = MLPClassifier(**common)
        _as_classes(mlp, net, W, b)
    _fitted(mlp, W, b)
    return _named(net, _pipeline(mlp, arrays), mlp)


def _as_classes(mlp: Any, net: HasArchitecture, W: list[np.ndarray], b: list[np.ndarray]) -> None:
    """Let a classifier know its classes, in their order there: from small to large, one output for two of them."""
    from sklearn.preprocessing import LabelBinarizer

    l = net.sizes[-1]
    known = None if net.columns is None else net.columns.classes
    if known is None and net.output == "sigmoid" and l > 1:
        mlp._label_binarizer = LabelBinarizer().fit(np.eye(l, dtype=int))
    else:
        labels = np.array(range(max(2, l)) if known is None else known)
        order = np.argsort(labels)
        if l == 1:
            sign = 1 if order[0] == 0 else -1
            W[-1], b[-1] = sign * W[-1], sign * b[-1]
        elif net.output == "softmax":
            W[-1], b[-1] = W[-1][:, order], b[-1][order]
            if l == 2:  # e^z₁/(e^z₀ + e^z₁) is the sigmoid of z₁ − z₀
                W[-1], b[-1] = W[-1][:, 1:] - W[-1][:, :1], b[-1][1:] - b[-1][:1]
        else:
            raise ValueError(
                f"output: expected softmax for {l} outputs of one category, got {net.output}: MLPs of scikit-learn "
                "take them for labels that do not exclude one another"
            )
        mlp._label_binarizer = LabelBinarizer().fit(labels)
    mlp.classes_ = mlp._label_binarizer.classes_
    mlp.out_activation_ = "softmax" if W[-1].shape[1] > 1 and net.output == "softmax" else "logistic"


def _fitted(mlp: Any, W: list[np.ndarray], b: list[np.ndarray]) -> None:
    """What ``fit`` leaves, before the first epoch: predicting works, and so does ``partial_fit``."""
    mlp.coefs_, mlp.intercepts_ = W, b
    mlp.n_layers_, mlp.n_outputs_, mlp.n_features_in_ = len(W) + 1, W[-1].shape[1], len(W[0])
    mlp.n_iter_ = mlp.t_ = mlp._no_improvement_count = 0
    mlp.loss_curve_, mlp.loss_, mlp.best_loss_ = [], np.inf, np.inf
    mlp.validation_scores_ = mlp.best_validation_score_ = None
    mlp._random_state = np.random.RandomState(0)


def _pipeline(mlp: Any, arrays: dict[str, np.ndarray]) -> Any:
    if "input_offset" not in arrays:
        return mlp
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = arrays["input_offset"].copy(), arrays["input_factor"].copy()
    scaler.var_, scaler.n_samples_seen_, scaler.n_features_in_ = scaler.scale_**2, 1, len(scaler.mean_)
    return make_pipeline(scaler, mlp)


def _named(net: HasArchitecture, model: Any, mlp: Any) -> Any:
    """With the names of its inputs, where these are columns of numbers."""
    if net.columns is not None and all(column.values is None for column in net.columns.inputs):
        names = net.columns.input_names
        if names != unnamed(len(names)):
            (mlp if model is mlp else model[0]).feature_names_in_ = np.array(names, object)
    return model
