"""What a network does to become one of another library, and the other way round; ``exchange`` does the work."""

from __future__ import annotations

from os import PathLike
from typing import Any, Self

from .architecture import HasArchitecture


class Exchanging(HasArchitecture):
    """The part of ``Network`` that goes to other libraries and comes from them."""

    @classmethod
    def _like(cls, net: HasArchitecture) -> Self:
        """That network as one of this class."""
        return cls._of(net._architecture, net._parameters)

    def to_sklearn(self) -> Any:
        """A fitted ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn, whose ``predict`` agrees; where the inputs
        are scaled, in a ``Pipeline`` after a ``StandardScaler``. Sigmoid and softmax outputs make a classifier of the
        classes in ``columns``, or of 0, 1, ...; several sigmoid outputs one of several labels. A scale of targets goes
        into the last weights. ``partial_fit`` goes on training it.

        Raises
        ------
        ValueError : an activation or a scale that MLPs of scikit-learn do not have
        ImportError : scikit-learn is not installed

        Examples
        --------
        >>> import bpjit
        >>> net = bpjit.Network.random((2, 4, 3), "tanh", "softmax", seed=0)
        >>> bool((net.to_sklearn().predict([[0.5, 1.0]]) == net.classify([[0.5, 1.0]])).all())
        True
        """
        from ..exchange.of_sklearn import to_sklearn

        return to_sklearn(self)

    @classmethod
    def from_sklearn(cls, model: Any) -> Self:
        """The network that a fitted ``MLPClassifier`` or ``MLPRegressor`` is, also at the end of a ``Pipeline`` of
        scalers (Standard, MinMax, MaxAbs, Robust), which become its ``scale``. ``classify`` gives the labels.

        Raises
        ------
        ValueError, TypeError : a model that is not fitted, or another one
        ImportError : scikit-learn is not installed

        Examples
        --------
        >>> import bpjit
        >>> net = bpjit.Network.random((2, 4, 3), "tanh", "softmax", seed=0)
        >>> bpjit.Network.from_sklearn(net.to_sklearn()) == net
        True
        """
        from ..exchange.of_sklearn import from_sklearn

        return cls._like(from_sklearn(model))

    def to_torch(self) -> Any:
        """An ``nn.Sequential`` of PyTorch, of ``Linear`` and activation modules in the network's dtype, that computes
        what ``predict`` does, the scale in frozen layers first and last. Biases are −thresholds.

        Raises
        ------
        ValueError : an activation that torch.nn has no module for: sin, step, exp, or one of the user's own
        ImportError : PyTorch is not installed: python -m pip install torch
        """
        from ..exchange.of_torch import to_torch

        return to_torch(self)

    @classmethod
    def from_torch(cls, module: Any) -> Self:
        """The network that an ``nn.Sequential`` of PyTorch is, nested ones too: ``Linear`` layers, each with an
        activation or none. ``Flatten``, ``Identity`` and ``Dropout`` count for nothing.

        Raises
        ------
        ValueError, TypeError : naming a module that a network cannot have
        ImportError : PyTorch is not installed: python -m pip install torch
        """
        from ..exchange.of_torch import from_torch

        return cls._like(from_torch(module))

    def to_onnx(self, path: str | PathLike[str], dtype: Any = None, labels: bool | None = None) -> None:
        """Write an ONNX file (opset 17), whole or not at all. It takes ``X``, (batch, d) numbers in the user's units,
        and gives ``variable``, the (batch, l) outputs of ``predict``. A classifier gives ``label``, (batch,) what
        ``classify`` gives, and in place of ``variable`` the ``probabilities`` of its classes, (batch, classes), (1 − ŷ,
        ŷ) where there is one output; both are plain tensors.

        Parameters
        ----------
        dtype : of the file's numbers, "float32" or "float64"; None is the network's
        labels : whether it is a classifier; None is so with softmax outputs, one sigmoid output, or the classes of
            ``columns``, and targets without a scale

        Raises
        ------
        ValueError : parameters that ``dtype`` does not hold
        OSError : ``path`` cannot be written
        ImportError : onnx is not installed
        """
        from ..exchange.to_onnx import to_onnx

        to_onnx(self, path, dtype, labels)

    @classmethod
    def from_onnx(cls, path: str | PathLike[str], output: str | None = None) -> Self:
        """The network in an ONNX file: dense layers (Gemm, or MatMul and Add) one after another, activations, and
        constants that are added, subtracted, multiplied or divided by: before and after all layers they are its
        ``scale``. Nothing in a file is run; external data are refused.

        Parameters
        ----------
        output : name of the graph's output; None is the only one, or "probabilities" or "variable"

        Raises
        ------
        OSError : the file is missing
        ValueError : it is damaged, or has a node that a network cannot have, which it names
        ImportError : onnx is not installed

        Examples
        --------
        >>> import tempfile, os
        >>> from bpjit import Network
        >>> net = Network.random((2, 4, 3), "softplus", "softmax", seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.onnx")
        ...     net.to_onnx(path)
        ...     Network.from_onnx(path) == net
        True
        """
        from ..exchange.of_onnx import from_onnx

        return cls._like(from_onnx(path, output))
