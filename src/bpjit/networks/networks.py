"""Networks: many networks of one shape, their parameters in one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..common.arguments import as_array, as_integer, as_numbers, as_seed, describe
from ..kernels import drivers
from ..kernels.lanes import packs
from ..kernels.lanes.epochs import predict_packs
from ..kernels.state import Samples, Wishes
from . import storage
from .architecture import Architecture, HasArchitecture, same_kind
from .initial import initial_parameters
from .machines import as_machine
from .network import Network
from .scale import Scale

if TYPE_CHECKING:
    from .columns import Columns

FORMAT, VERSION = "bpjit networks", "1"  # of files
CALL = 1 << 25  # multiply-adds of one kernel call, some ms


class Networks(HasArchitecture):
    """Many networks of the same sizes, activations and dtype: restarts, folds, an ensemble.

    Make them with ``Networks.random``, from a list with ``Networks.of``, or read them with ``Networks.load``. They
    never change, as a ``Network`` does not. ``networks[3]`` is a ``Network``; a slice, a list of numbers or a mask
    gives ``Networks``.

    Parameters
    ----------
    sizes, hidden, output, dtype, scale, columns : as for ``Network``
    parameters : (networks, n) numbers, a row for each network as in ``Network.parameters``

    Examples
    --------
    >>> import bpjit
    >>> nets = bpjit.Networks.random((2, 4, 1), 1000, seed=0)
    >>> nets
    Networks(1000 of 2-4-1, hidden sigmoid, output sigmoid, float64, 17 parameters each)
    >>> nets[7] == bpjit.Network.random((2, 4, 1), seed=7)
    True
    >>> nets.predict([[0, 1], [1, 1]]).shape
    (1000, 2, 1)
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
        n = self._architecture.parameters
        expected = f"finite numbers of shape (networks, {n}), as sizes {self.sizes} need"
        array = as_array("parameters", parameters, self.dtype, expected)
        if array.ndim != 2 or array.shape[1] != n or len(array) == 0:
            raise ValueError(f"parameters: expected {expected}, got shape {array.shape}")
        self._parameters = np.array(array, order="C")

    @classmethod
    def random(
        cls,
        sizes: Sequence[int],
        count: int | None = None,
        hidden: str | Sequence[str] = "sigmoid",
        output: str = "sigmoid",
        init: str | tuple[float, float] = "glorot",
        seed: int | Sequence[int] = 0,
        dtype: Any = "float64",
        scale: Scale | None = None,
        inputs: Any = None,
        columns: Columns | None = None,
    ) -> Networks:
        """``count`` networks with random parameters.

        Network i is ``Network.random`` with seed + i, or with seed[i] where ``seed`` is a list of seeds.

        Examples
        --------
        >>> import bpjit
        >>> nets = bpjit.Networks.random((4, 8, 3), seed=[5, 17])
        >>> nets[1] == bpjit.Network.random((4, 8, 3), seed=17)
        True
        """
        architecture = Architecture.of(sizes, hidden, output, dtype, scale, columns)
        if isinstance(seed, (int, np.integer)):
            first = as_seed("seed", seed)
            size = as_integer("count", 1 if count is None else count, low=1)
            as_seed("seed", first + size - 1)
            seeds = np.arange(size, dtype=np.uint64) + np.uint64(first)
        else:
            seeds = np.array([as_seed(f"seed[{index}]", value) for index, value in enumerate(seed)], np.uint64)
            if len(seeds) == 0 or count not in (None, len(seeds)):
                raise ValueError(
                    f"count: expected as many as there are seeds, {len(seeds)}, and at least 1; got {count}"
                )
        array = initial_parameters(architecture, init, seeds, inputs)
        return cls(sizes, array, hidden=hidden, output=output, dtype=dtype, scale=scale, columns=columns)

    @classmethod
    def of(cls, networks: Sequence[Network]) -> Networks:
        """From a list of networks of one shape.

        Examples
        --------
        >>> import bpjit
        >>> len(bpjit.Networks.of([bpjit.Network.random((2, 3)), bpjit.Network.random((2, 3), seed=9)]))
        2
        """
        networks = list(networks)
        if not networks:
            raise ValueError("networks: expected one at least, got none")
        for index, net in enumerate(networks):
            if not isinstance(net, Network):
                raise TypeError(f"networks[{index}]: expected a bpjit.Network, got {describe(net)}")
            if not same_kind(net, networks[0]):
                raise ValueError(
                    f"networks[{index}]: expected a network like the first, {networks[0]!r}, got {net!r}"
                    + (" with another scale" if net.scale != networks[0].scale else "")
                )
        return cls._of(networks[0]._architecture, np.stack([net._parameters for net in networks]))

    # --- What they are.

    @property
    def _first(self) -> Network:
        """A network of their kind."""
        return Network._of(self._architecture, self._parameters[0])

    def __len__(self) -> int:
        return len(self._parameters)

    @overload
    def __getitem__(self, index: int | np.integer) -> Network: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> Networks: ...
    def __getitem__(self, index: Any) -> Network | Networks:
        rows = self._parameters[index]
        if rows.ndim == 1:
            return Network._of(self._architecture, rows.copy())
        if rows.ndim != 2 or len(rows) == 0:
            raise IndexError(f"networks: expected numbers of one network at least, got {describe(index)}")
        return self._of(self._architecture, rows.copy())

    def __iter__(self) -> Iterator[Network]:
        return (Network._of(self._architecture, row.copy()) for row in self._parameters)

    def __repr__(self) -> str:
        return f"Networks({len(self)} of {self._architecture.in_words(' each')})"

    # --- What they do.

    def predict(self, X: Any, *, target: str = "cpu") -> np.ndarray:
        """The outputs ŷ of every network.

        Parameters
        ----------
        X : (m, d) samples for all networks, one sample (d,), or (networks, m, d) samples of each network's own
        target : "cpu", "cuda", or "auto", which is the CPU unless there is much to do

        Returns
        -------
        (networks, m, l) outputs in the networks' dtype, or (networks, l) for one sample

        Raises
        ------
        ValueError, TypeError : X of another shape, empty, not numbers, or with NaN or infinity
        """
        d, l, count = self.sizes[0], self.sizes[-1], len(self)
        expected = f"finite numbers of shape (m, {d}), ({d},), or ({count}, m, {d})"
        table = self._architecture.table("X", X)
        X = as_numbers("X", X, expected) if table is None else self._architecture.encoded(table)
        if X.ndim == 3 and X.shape[0] != count:
            raise ValueError(f"X: expected {expected}, got shape {X.shape}")
        own = X.ndim == 3
        rows = self._architecture.scaled_inputs("X", X.reshape(-1, X.shape[-1]) if X.ndim != 1 else X[None])
        m = X.shape[1] if own else len(rows)
        y_hat = np.empty((count, m, l), self.dtype)
        if as_machine(target, float(count * m * self._parameters.shape[1])) == "cuda":
            from ..kernels.cuda import many

            many.predict(self.sizes, self._activations, self._parameters, rows, own, y_hat)
        elif not packs.serves(self.sizes):
            for network, vector in enumerate(self._parameters):
                part = rows[network * m : (network + 1) * m] if own else rows
                D = Samples(part, y_hat[network], y_hat[network, 0], np.empty(0, np.uint64))
                drivers.evaluate(self.sizes, self._activations, vector, D, 0, Wishes(y_hat=y_hat[network]))
        else:
            self._predict_in_lanes(rows, own, y_hat)
        y_hat = self._architecture.unscaled_outputs(y_hat)
        return y_hat[:, 0] if X.ndim == 1 else y_hat

    def _predict_in_lanes(self, X: np.ndarray, own: bool, y_hat: np.ndarray) -> None:
        width, m = packs.width(self.dtype), y_hat.shape[1]
        sizes, activations = self.sizes, self._activations
        shape = packs.shape_of(sizes, activations, 0)
        layers = packs.layers_beside(shape, sizes, activations)
        room, nothing = packs.make_room(sizes, self.dtype), np.empty((0, self.sizes[-1]), self.dtype)
        some = max(1, CALL // (m * self._parameters.shape[1] * width)) * width
        for first in range(0, len(self), some):
            members = np.arange(first, min(first + some, len(self)))
            P = packs.into_lanes(self._parameters[members], width)
            row = None
            if own:
                row = packs.into_lanes(members[:, None] * m + np.arange(m), width).reshape(len(P), m, width)
            predict_packs(
                shape, layers, packs.Rows(X, nothing, None, row, m), P, room, y_hat[members[0] :][: len(members)]
            )

    def classify(self, X: Any) -> np.ndarray:
        """Class numbers by each network, or labels, as ``Network.classify``, [shape: (networks, m)]."""
        return self._architecture.labels_of_outputs(self.predict(X))

    def mean(self, X: Any, weights: Any = None) -> np.ndarray:
        """The mean of the networks' outputs: an averaged ensemble.

        Parameters
        ----------
        X : as for ``predict``
        weights : a weight for each network, or None for equal ones

        Returns
        -------
        (m, l) outputs, or (l,) for one sample
        """
        y_hat = self.predict(X)
        return np.average(y_hat, axis=0, weights=self._weights(weights)).astype(self.dtype)

    def vote(self, X: Any, weights: Any = None) -> np.ndarray:
        """The class that most networks give, the smallest number among equals, [shape: (m,)].

        Arguments as for ``mean``.
        """
        numbers = self._architecture.classes_of_outputs(self.predict(X))
        weights = self._weights(weights)
        counts = np.array(
            [np.average(numbers == number, axis=0, weights=weights) for number in range(max(2, self.sizes[-1]))]
        )
        voted = counts.argmax(0)
        return voted if self.columns is None else self.columns.labels(voted)

    def _weights(self, weights: Any) -> np.ndarray | None:
        if weights is None:
            return None
        expected = f"{len(self)} finite numbers >= 0, not all 0"
        values = as_array("weights", weights, np.dtype(np.float64), expected)
        if values.shape != (len(self),) or (values < 0).any() or not values.any():
            raise ValueError(f"weights: expected {expected}, got {describe(weights)}")
        return values

    # --- Files.

    def save(self, path: str | PathLike[str]) -> None:
        """Write all networks to one safetensors file, whole or not at all. See ``Networks.load``."""
        storage.save(path, FORMAT, VERSION, self._architecture, {"parameters": self._parameters})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Networks:
        """Read networks that ``save`` wrote; ``OSError`` if the file is missing, ``ValueError`` if damaged or foreign.

        Examples
        --------
        >>> import os, tempfile
        >>> import bpjit
        >>> nets = bpjit.Networks.random((2, 4, 1), 10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "nets.safetensors")
        ...     nets.save(path)
        ...     bpjit.Networks.load(path) == nets
        True
        """
        with storage.opened(path, FORMAT, VERSION) as file:
            parameters = file.tensors["parameters"]
            return cls(file.sizes, parameters, dtype=parameters.dtype, **file.settings)
