"""Scaling of inputs and targets: from the user's units to those a network works in, and back.

A network that carries a ``Scale`` takes and gives the user's units everywhere; errors, gradients by parameters and
training work in the network's own units.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..common.arguments import as_array, as_weights

TINY = np.finfo(np.float64).tiny
ROUNDING = 8 * np.finfo(np.float64).eps  # what differs by no more is the same number, computed in another way
ARRAYS = ("input_offset", "input_factor", "target_offset", "target_factor")


class Scale:
    """x ↦ (x − offset)/factor for each input, and the same for each target if given.

    Parameters
    ----------
    input_offset, input_factor : one number for each input, factors not 0
    target_offset, target_factor : one number for each target, or None to leave targets as they are

    Examples
    --------
    >>> from bpjit import Network, Scale
    >>> scale = Scale.standard([[150.0, 40.0], [190.0, 80.0]], [[10.0], [30.0]])
    >>> net = Network.random((2, 3, 1), output="identity", scale=scale)
    >>> net.predict([[170.0, 60.0]]).shape
    (1, 1)
    """

    _range: np.ndarray | None = None  # the least and the largest inputs it was made from, if it was, [shape: (2, d)]

    def __init__(
        self, input_offset: Any, input_factor: Any, target_offset: Any = None, target_factor: Any = None
    ) -> None:
        if (target_offset is None) != (target_factor is None):
            raise ValueError("target_offset, target_factor: expected both or neither, got one of them")
        self._arrays: dict[str, np.ndarray] = {}
        for name, value in zip(ARRAYS, (input_offset, input_factor, target_offset, target_factor), strict=True):
            if value is None:
                continue
            array = as_array(name, value, np.dtype(np.float64), "finite numbers, one per column").copy()
            if array.ndim != 1 or (name.endswith("factor") and (array == 0).any()):
                raise ValueError(f"{name}: expected finite numbers of shape (n,), factors not 0, got {array!r}")
            array.flags.writeable = False
            self._arrays[name] = array
        for kind in ("input", "target"):
            offset, factor = self._arrays.get(f"{kind}_offset"), self._arrays.get(f"{kind}_factor")
            if offset is not None and factor is not None and offset.shape != factor.shape:
                raise ValueError(
                    f"{kind}_factor: expected {len(offset)} numbers, as many as {kind}_offset, got {len(factor)}"
                )

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Offsets and factors by name, read-only."""
        return dict(self._arrays)

    @classmethod
    def standard(cls, X: Any, Y: Any = None, *, sample_weight: Any = None) -> Scale:
        """Mean 0 and standard deviation 1 in every column of X, and of Y if given; a constant column becomes 0.

        Samples count by ``sample_weight``, numbers ≥ 0 of shape (m,), where it is given; one of weight 0 is absent, and
        its row may hold NaN.

        Examples
        --------
        >>> from bpjit import Scale
        >>> Scale.standard([[1.0], [4.0]], sample_weight=[2, 1]) == Scale.standard([[1.0], [1.0], [4.0]])
        True
        """
        if sample_weight is None:
            return cls._fit(X, Y, mean_and_std)
        c = as_weights("sample_weight", sample_weight, len(X))
        there = c > 0
        X, Y, c = np.asarray(X)[there], None if Y is None else np.asarray(Y)[there], c[there]
        return cls._fit(X, Y, partial(mean_and_std, weights=c))

    @classmethod
    def _standard_of_some(cls, X: np.ndarray, Y: np.ndarray | None, scaled: np.ndarray) -> Scale:
        """As ``standard``, but inputs that are not ``scaled`` stay as they are."""
        made = cls.standard(X, Y)
        offset, factor = made._arrays["input_offset"], made._arrays["input_factor"]
        some = cls(np.where(scaled, offset, 0.0), np.where(scaled, factor, 1.0), *list(made._arrays.values())[2:])
        some._range = made._range
        return some

    @classmethod
    def min_max(cls, X: Any, Y: Any = None) -> Scale:
        """Every column of X, and of Y if given, into 0 to 1; a constant column becomes 0."""
        return cls._fit(X, Y, lambda A, low, high: (low, high - low))

    @classmethod
    def _fit(cls, X: Any, Y: Any, columns: Any) -> Scale:
        arrays, ranges = [], []
        for name, value in (("X", X), ("Y", Y)):
            if value is None:
                continue
            A = as_array(name, value, np.dtype(np.float64), "finite numbers, one sample a row")
            A = A.reshape(-1, 1) if A.ndim == 1 and name == "Y" else A
            if A.ndim != 2:
                raise ValueError(f"{name}: expected finite numbers, one sample a row, got shape {A.shape}")
            spread = spread_of(A, columns)
            if not spread.fits.all():
                raise ValueError(f"{name}: expected numbers whose spread fits float64, got up to {np.abs(A).max():g}")
            arrays += [spread.offset, spread.factor]
            ranges.append(np.stack([spread.low, spread.high]))
        made = cls(*arrays)
        made._range = ranges[0]
        return made

    @classmethod
    def _of(cls, arrays: dict[str, np.ndarray]) -> Scale:
        """With arrays that are known to be good."""
        made = cls.__new__(cls)
        made._arrays = arrays
        return made

    def scale_inputs(self, X: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """X in the network's units."""
        with np.errstate(all="ignore"):
            return ((X - self._arrays["input_offset"]) / self._arrays["input_factor"]).astype(dtype, copy=False)

    def scale_targets(self, Y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Y in the network's units."""
        with np.errstate(all="ignore"):
            if "target_offset" in self._arrays:
                Y = (Y - self._arrays["target_offset"]) / self._arrays["target_factor"]
            return Y.astype(dtype, copy=False)

    def unscale_targets(self, y_hat: np.ndarray) -> np.ndarray:
        """Outputs of the network in the user's units, in the dtype they came in."""
        if "target_offset" in self._arrays:
            try:  # np.errstate would take a tenth of what a learner takes to predict
                y_hat = self._unscaled(y_hat)
            except (FloatingPointError, RuntimeWarning):
                with np.errstate(all="ignore"):
                    y_hat = self._unscaled(y_hat)
        return y_hat

    def _unscaled(self, y_hat: np.ndarray) -> np.ndarray:
        return (y_hat * self._arrays["target_factor"] + self._arrays["target_offset"]).astype(y_hat.dtype)

    def unscale_slopes(self, J: np.ndarray, by_inputs: bool) -> np.ndarray:
        """∂ŷ_j/∂p or ∂ŷ_j/∂x_i in the user's units, in the dtype they came in."""
        dtype = J.dtype
        if "target_factor" in self._arrays:
            J = J * self._arrays["target_factor"][:, None]
        return (J / self._arrays["input_factor"] if by_inputs else J).astype(dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scale):
            return NotImplemented
        return self._arrays.keys() == other._arrays.keys() and all(
            np.array_equal(array, other._arrays[name]) for name, array in self._arrays.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Scale({', '.join(f'{name}={array.tolist()}' for name, array in self._arrays.items())})"


class Spread(NamedTuple):
    """Of each column what ``Scale`` makes of it: offset and factor, and whether float64 holds them; whether all its
    numbers are the same, which then becomes 0; its least and its largest."""

    offset: np.ndarray
    factor: np.ndarray
    fits: np.ndarray
    constant: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spread_of(A: np.ndarray, columns: Any) -> Spread:
    """That of columns of numbers, [shape: (m, n)], or of those of several tables at once, (m, tables, n)."""
    with np.errstate(all="ignore"):
        low, high = A.min(0), A.max(0)
        offset, factor = columns(A, low, high)
        constant = high - low <= TINY + ROUNDING * np.maximum(abs(low), abs(high))  # its mean is its value
        constant |= factor == 0.0  # so do numbers whose squares are beyond the smallest
    fits = np.isfinite(offset) & np.isfinite(factor)
    return Spread(np.where(constant, low, offset), np.where(constant, 1.0, factor), fits, constant, low, high)


def mean_and_std(
    A: np.ndarray, low: np.ndarray, high: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Of each column, rows counting by their weights."""
    if weights is None:
        return A.mean(0), A.std(0)
    mean = np.average(A, axis=0, weights=weights)
    return mean, np.sqrt(np.average((A - mean) ** 2, axis=0, weights=weights))


def as_fitting(name: str, scaled: np.ndarray, missing: bool = False) -> np.ndarray:
    """Scaled data that stayed finite: themselves. NaN may stand where they are ``missing``."""
    usual = np.isfinite(scaled)
    if not (usual | np.isnan(scaled) if missing else usual).all():
        raise ValueError(
            f"{name}: expected numbers that the network's scale keeps finite in {scaled.dtype}, got larger"
        )
    return scaled


def as_scale(value: Any, sizes: tuple[int, ...]) -> Scale | None:
    """None, or a ``Scale`` that fits the network's inputs and outputs."""
    if value is None:
        return None
    if not isinstance(value, Scale):
        raise TypeError(f"scale: expected a bpjit.Scale or None, got {type(value).__name__}")
    for name, array in value._arrays.items():
        wanted = sizes[0] if name.startswith("input") else sizes[-1]
        if len(array) != wanted:
            raise ValueError(f"scale: expected {wanted} numbers as {name}, got {len(array)}")
    return value
