"""Network: the sizes, activations and parameters of a feed-forward network, and what can be done with them.

A network never changes: functions take one and return a new one. Training is in ``training.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import as_array, as_dtype, as_seed, describe
from ..kernels import drivers
from ..kernels.devices import lies_on_gpu, on_host
from ..kernels.state import Samples, Wishes
from . import storage
from .architecture import Architecture
from .blocks import predicted
from .exchanging import Exchanging
from .initial import initial_parameters
from .leaving import Leaving
from .machines import as_machine, need_cuda
from .scale import Scale

if TYPE_CHECKING:
    from .columns import Columns

FORMAT, VERSION = "bpjit network", "1"  # of files


class Network(Leaving, Exchanging):
    """A feed-forward network of ``sizes`` units: inputs, hidden layers, outputs.

    Layer l computes ``f(x @ weights[l] - thresholds[l])``. Make one with ``Network.random`` or
    ``Network.from_arrays``, or read one with ``Network.load``.

    Parameters
    ----------
    sizes : whole numbers >= 1, at least two: (d, q, l) for d inputs, q hidden units and l outputs
    parameters : all weights and thresholds in one vector, layer by layer: W row by row, then θ
    hidden : activation of the hidden layers: one name, or one for each
    output : activation of the outputs, "softmax" among them
    dtype : "float64" or "float32"
    scale : ``Scale`` from the user's units to the network's and back, or None
    columns : ``Columns`` of a table that its inputs and outputs are, or None

    Examples
    --------
    >>> from bpjit import Network
    >>> net = Network.random((2, 4, 1), seed=0)
    >>> net
    Network(2-4-1, hidden sigmoid, output sigmoid, float64, 17 parameters)
    >>> net.predict([[0, 1], [1, 0]]).shape
    (2, 1)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        parameters: Any,
        *,
        hidden: str | Sequence[str] = "sigmoid",
        output: str = "sigmoid",
        dtype: Any = "float64",
        scale: Scale | None = None,
        columns: Columns | None = None,
    ) -> None:
        self._architecture = Architecture.of(sizes, hidden, output, dtype, scale, columns)
        self._parameters = self._vector_of(parameters)

    def _vector_of(self, parameters: Any) -> np.ndarray:
        """A copy of what may be parameters of this network."""
        n = self._architecture.parameters
        expected = f"{n} finite numbers, as sizes {self.sizes} need"
        vector = as_array("parameters", parameters, self.dtype, expected)
        if vector.shape != (n,):
            raise ValueError(f"parameters: expected {expected}, got shape {vector.shape}")
        return vector.copy()

    @classmethod
    def random(
        cls,
        sizes: Sequence[int],
        hidden: str | Sequence[str] = "sigmoid",
        output: str = "sigmoid",
        init: str | tuple[float, float] = "glorot",
        seed: int = 0,
        dtype: Any = "float64",
        scale: Scale | None = None,
        inputs: Any = None,
        columns: Columns | None = None,
    ) -> Network:
        """A network with random parameters; the same seed gives the same ones.

        Parameters
        ----------
        init : "glorot" (uniform within ±√(6/(fan_in + fan_out)), thresholds 0), "he" (normal with variance 2/fan_in,
            thresholds 0), "uniform01" (all parameters uniform in (0, 1), as the book says), "normal" (all N(0, 1)),
            "nguyen_widrow", or (low, high) for all parameters uniform between two numbers. Nguyen and Widrow's start
            spreads the bends of tanh, sigmoid or softsign hidden units evenly over the range of the inputs, with
            weights of size 0.7 q^(1/d) into each of q units from d inputs within ±1 (sigmoid: twice that); it is the
            one for ``LevenbergMarquardt`` and its kin
        seed : whole number from 0 to 2**64 - 1
        inputs : for "nguyen_widrow", (low, high): the range of the inputs in the user's units, each a number or one for
            each input. None is the range of the data that ``scale`` was made from, else ±1 in the network's units
        columns : ``Columns`` that its inputs and outputs are; ``for_table`` chooses them

        Examples
        --------
        >>> from bpjit import Network
        >>> Network.random((2, 3), init="uniform01", seed=1).weights[0].shape
        (2, 3)

        Four tanh units that bend in turn over inputs from 0 to 6, at γ/v:

        >>> net = Network.random((1, 4, 1), "tanh", "identity", init="nguyen_widrow", inputs=(0, 6))
        >>> sorted((net.gamma / net.v[0]).round(9).tolist())
        [0.0, 2.0, 4.0, 6.0]
        """
        architecture = Architecture.of(sizes, hidden, output, dtype, scale, columns)
        vector = initial_parameters(architecture, init, as_seed("seed", seed), inputs)
        return cls(sizes, vector, hidden=hidden, output=output, dtype=dtype, scale=scale, columns=columns)

    @classmethod
    def from_arrays(
        cls,
        weights: Sequence[Any],
        thresholds: Sequence[Any],
        hidden: str | Sequence[str] = "sigmoid",
        output: str = "sigmoid",
        dtype: Any = None,
        scale: Scale | None = None,
        columns: Columns | None = None,
    ) -> Network:
        """A network from its weights, one (fan_in, fan_out) array per layer, and thresholds, one (fan_out,) array each.

        ``dtype=None`` is float32 if all arrays are, else float64. A bias is minus a threshold.

        Examples
        --------
        >>> from bpjit import Network
        >>> Network.from_arrays([[[1.0], [1.0]]], [[1.5]], output="step").predict([[1, 1], [0, 1]])
        array([[1.],
               [0.]])
        """
        for name, value in (("weights", weights), ("thresholds", thresholds)):
            if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__") or len(value) == 0:
                raise TypeError(f"{name}: expected a list with one array per layer, got {describe(value)}")
        if len(weights) != len(thresholds):
            raise ValueError(f"thresholds: expected {len(weights)} arrays, as many as weights, got {len(thresholds)}")
        if dtype is None:
            single = all(getattr(a, "dtype", None) == np.float32 for a in (*weights, *thresholds))
            dtype = "float32" if single else "float64"
        dtype = as_dtype("dtype", dtype)
        sizes: list[int] = []
        parts = []
        for index, (W, theta) in enumerate(zip(weights, thresholds, strict=True)):
            rows = f"({sizes[-1]}, fan_out)" if sizes else "(fan_in, fan_out)"
            W = as_array(f"weights[{index}]", W, dtype, f"finite numbers of shape {rows}")
            if W.ndim != 2 or (sizes and W.shape[0] != sizes[-1]):
                raise ValueError(f"weights[{index}]: expected finite numbers of shape {rows}, got shape {W.shape}")
            expected = f"{W.shape[1]} finite numbers, one per unit"
            theta = as_array(f"thresholds[{index}]", theta, dtype, expected)
            if theta.shape != (W.shape[1],):
                raise ValueError(f"thresholds[{index}]: expected {expected}, got shape {theta.shape}")
            sizes = sizes or [W.shape[0]]
            sizes.append(W.shape[1])
            parts += [W.ravel(), theta]
        vector = np.concatenate(parts)
        return cls(sizes, vector, hidden=hidden, output=output, dtype=dtype, scale=scale, columns=columns)

    @classmethod
    def for_table(
        cls,
        frame: Any,
        inputs: Any = None,
        outputs: Any = None,
        hidden: Any = None,
        *,
        activation: str | Sequence[str] = "tanh",
        output: str | None = None,
        categories: Any = (),
        missing: str = "error",
        unseen: str = "error",
        init: str | tuple[float, float] = "glorot",
        seed: int = 0,
        dtype: Any = "float64",
    ) -> Network:
        """A network with random parameters that suits a table, and knows its columns: it is trained on such tables, and
        predicts and classifies them, as they are. A column of words is one-hot, an input for each value that occurs;
        numbers are brought to mean 0 and standard deviation 1, inside.

        Parameters
        ----------
        frame : a table of pandas, polars, pyarrow or whatever else narwhals reads
        inputs : names of columns; None is all but ``outputs``
        outputs : name of the column to be predicted, or of several columns of numbers. Words are a category, whose
            values ``classify`` gives back, and so are truth values
        hidden : units of the hidden layer, or of each of several; None is twice the inputs, 8 at least and 64 at most
        activation : of the hidden layers, a name or one for each
        output : activation of the outputs; None is "identity" for numbers, "sigmoid" with one output for a category of
            two values, "softmax" with an output for each for more
        categories : names of columns whose numbers are those of classes, or of kinds
        missing : of inputs without a value: "error", or "mean" for the mean of its column, of a category the share of
            each value
        unseen : of values of a category that do not occur in ``frame``: "error", or "zeros" for none of them
        init, seed, dtype : as for ``random``

        Raises
        ------
        ValueError, TypeError : naming the argument, or ``frame`` with column and row
        ImportError : narwhals is not installed

        Examples
        --------
        >>> import bpjit, pandas
        >>> melons = pandas.DataFrame([["青绿", 0.697, "是"], ["乌黑", 0.774, "是"], ["浅白", 0.245, "否"]],
        ...                           columns=["色泽", "密度", "好瓜"])
        >>> net = bpjit.Network.for_table(melons, outputs="好瓜")
        >>> net
        Network(4-8-1, hidden tanh, output sigmoid, float64, 49 parameters, scaled, 2 columns)
        >>> bpjit.train(net, melons, stop=100).network.classify(melons)
        array(['是', '是', '否'], dtype='<U1')
        """
        from .for_table import suited

        chosen = suited(frame, inputs, outputs, hidden, output, categories, missing, unseen)
        return cls.random(
            chosen.sizes, activation, chosen.output, init, seed, dtype, chosen.scale, columns=chosen.columns
        )

    # --- What it is.

    @property
    def biases(self) -> list[np.ndarray]:
        """−θ of each layer, [shape: (fan_out,)]."""
        return [-thresholds for thresholds in self.thresholds]

    @property
    def v(self) -> np.ndarray:
        """v_ih of the book, [shape: (d, q)]; only with exactly one hidden layer."""
        return self._of_the_book("v", self.weights, 0)

    @property
    def gamma(self) -> np.ndarray:
        """γ_h of the book, [shape: (q,)]; only with exactly one hidden layer."""
        return self._of_the_book("gamma", self.thresholds, 0)

    @property
    def w(self) -> np.ndarray:
        """w_hj of the book, [shape: (q, l)]; only with exactly one hidden layer."""
        return self._of_the_book("w", self.weights, 1)

    @property
    def theta(self) -> np.ndarray:
        """θ_j of the book, [shape: (l,)]; only with exactly one hidden layer."""
        return self._of_the_book("theta", self.thresholds, 1)

    def _of_the_book(self, name: str, arrays: list[np.ndarray], layer: int) -> np.ndarray:
        if len(self.sizes) != 3:
            raise AttributeError(
                f"{name}: the book's v, gamma, w, theta need exactly one hidden layer, this network has "
                f"{len(self.sizes) - 2}; use weights and thresholds"
            )
        return arrays[layer]

    # --- What it does.

    def predict(self, X: Any, *, target: str = "cpu") -> np.ndarray:
        """The outputs ŷ for samples X.

        Parameters
        ----------
        X : (m, d) samples, one a row, or a single one of shape (d,); for a network with ``columns`` also a frame that
            has them, in whatever order and among whatever others. A memory-mapped array is read some rows at a time;
            of blocks, X or (X, Y) as for ``train``, or a Dask array, one is in memory at a time, and the outputs of all
        target : "cpu", "cuda", or "auto", which is the CPU unless there is much to do

        Returns
        -------
        (m, l) outputs in the network's dtype, or (l,) for a single sample: (m, 1) too where the targets were (m,), so
        that ``net.predict(X)[:, 0]`` compares with them. For samples that lie on a GPU, anything with the CUDA array
        interface, they lie there too

        Raises
        ------
        ValueError, TypeError : X of another shape, empty, not numbers, or with NaN or infinity

        Examples
        --------
        >>> from bpjit import Network
        >>> net = Network.from_arrays([[[2.0], [3.0]]], [[1.0]], output="identity")
        >>> net.predict([1.0, 1.0])
        array([4.])
        """
        if type(X) is not np.ndarray and (found := predicted(partial(self.predict, target=target), X)) is not None:
            return found
        if target != "cpu" or lies_on_gpu(X):
            return self._predict_on(target, X)
        architecture, (given, single) = self._architecture, self._architecture.input_numbers(X)
        y_hat = np.empty((len(given), self.sizes[-1]), self.dtype)
        for rows in architecture.blocks(given):
            inputs, here = architecture.in_units("X", given, rows, finite=False), y_hat[rows]
            D = Samples(inputs, here, here[0], np.empty(0, np.uint64))  # only X counts
            if drivers.evaluate(self.sizes, self._activations, self._parameters, D, 0, Wishes(y_hat=here)) != 0:
                architecture.in_units("X", given, rows)  # says which input it is
            if self.scale is not None:
                here[:] = self.scale.unscale_targets(here)
        return y_hat[0] if single else y_hat

    def _predict_on(self, target: str, X: Any) -> np.ndarray:
        """``predict`` where it may be the GPU."""
        if lies_on_gpu(X):
            return self._predict_there(X)
        given, single = self._architecture.input_numbers(X)
        if as_machine(target, float(len(given) * len(self._parameters))) == "cpu":
            return self.predict(X)
        inputs = self._architecture.in_units("X", given)
        y_hat = np.empty((len(inputs), self.sizes[-1]), self.dtype)
        D = drivers.on_gpu(Samples(inputs, y_hat, y_hat[0], np.empty(0, np.uint64)))
        drivers.evaluate(self.sizes, self._activations, self._parameters, D, 0, Wishes(y_hat=y_hat))
        y_hat = self._architecture.unscaled_outputs(y_hat)
        return y_hat[0] if single else y_hat

    def _predict_there(self, X: Any) -> Any:
        """Outputs on the GPU for samples that lie there."""
        need_cuda()
        from ..kernels.cuda import door, evaluating

        X = door.to_device(X)
        if self.scale is not None or X.dtype != self.dtype or len(X.shape) != 2 or X.shape[1] != self.sizes[0]:
            raise ValueError(
                f"X: expected an array on the GPU of dtype {self.dtype} and shape (m, {self.sizes[0]}), and a network "
                f"without a scale; got {X.dtype} and {tuple(X.shape)}"
            )
        return evaluating.predict_there(self.sizes, self._activations, self._parameters, X)

    def classify(self, X: Any) -> np.ndarray:
        """Class numbers: that of the largest output; with one output, 1 where ŷ lies at or above the middle of what it
        can reach, ½ with sigmoid and 0 with tanh, softsign and sin, and 0 elsewhere. The middle of an output without
        bounds is ½. A network that knows the values of a category gives these in place of their numbers.

        Takes what ``predict`` takes; returns integers, or values, [shape: (m,)], or one for a single sample.

        Examples
        --------
        >>> from bpjit import Network
        >>> Network.from_arrays([[[1.0], [1.0]]], [[1.5]]).classify([[1, 1], [0, 1]])
        array([1, 0])
        """
        return self._architecture.labels_of_outputs(on_host(self.predict(X)))

    def with_parameters(self, parameters: Any) -> Network:
        """The same network with other parameters, such as an optimiser found."""
        return Network._of(self._architecture, self._vector_of(parameters))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a safetensors file, whole or not at all. See ``Network.load``."""
        arrays = {"weights": self.weights, "thresholds": self.thresholds}
        tensors = {f"{name}.{index}": array for name, of in arrays.items() for index, array in enumerate(of)}
        storage.save(path, FORMAT, VERSION, self._architecture, tensors)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Network:
        """Read a network that ``save`` wrote; ``OSError`` if it is missing, ``ValueError`` if damaged or foreign.

        Examples
        --------
        >>> import tempfile, os
        >>> from bpjit import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.safetensors")
        ...     Network.random((2, 4, 1)).save(path)
        ...     Network.load(path) == Network.random((2, 4, 1))
        True
        """
        with storage.opened(path, FORMAT, VERSION) as file:
            if any(array.dtype not in (np.float64, np.float32) for array in file.tensors.values()):
                raise ValueError("expected arrays of float64 or float32")
            layers = range(len(file.sizes) - 1)
            weights, thresholds = ([file.tensors[f"{name}.{n}"] for n in layers] for name in ("weights", "thresholds"))
            net = cls.from_arrays(weights, thresholds, **file.settings)
            if list(net.sizes) != file.sizes:
                raise ValueError(f"sizes {file.sizes} do not fit arrays of sizes {net.sizes}")
        return net

    # --- Copying, printing.

    def __copy__(self) -> Network:
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return f"Network({self._architecture.in_words()})"
