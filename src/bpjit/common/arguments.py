"""What users hand in, checked and brought to one form: numbers, names, arrays, weights, targets.

Every function takes the name of the argument first, and raises ``TypeError`` (wrong kind) or ``ValueError`` (wrong
value) that says which argument it was, what was expected and what came. The caller's data are never written to.
"""

from __future__ import annotations

import functools
import math
import numbers
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from itertools import islice
from typing import Any, TypeVar, cast

import numpy as np

from .elsewhere import hint

DTYPES = ("float64", "float32")
F = TypeVar("F", bound=Callable[..., Any])
AT_ONCE = 1 << 17  # numbers looked at
MOST = (1 << 62) - 1  # of whole numbers: the sum of two fits 64 bits


def quiet(function: F) -> F:
    """Let a function give the same results whatever ``np.seterr`` says: it looks itself at numbers that overflow, where
    they matter. Its ``callback``, if it has one, runs under the caller's settings."""

    @functools.wraps(function)
    def undisturbed(*arguments: Any, **named: Any) -> Any:
        callback = named.get("callback")
        if callable(callback):
            theirs = np.geterr()

            def call_back(*seen: Any) -> Any:
                with np.errstate(**theirs):
                    return callback(*seen)

            named["callback"] = call_back
        with np.errstate(all="ignore"):
            return function(*arguments, **named)

    return cast(F, undisturbed)


def describe(value: Any) -> str:
    """A short description of what came."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    try:
        text = repr(value)
    except Exception:  # an object that cannot even say what it is
        text = "an object"
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _is_real(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    return isinstance(value, (numbers.Real, np.floating, np.integer)) and not isinstance(value, (bool, np.bool_))


def as_real(
    name: str,
    value: Any,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
) -> float:
    """A finite real number within limits: ``low``/``high`` are allowed themselves, ``above``/``below`` are not."""
    real, number = _is_real(value), math.nan
    if real:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    fits = (
        math.isfinite(number)
        and (low is None or number >= low)
        and (above is None or number > above)
        and (high is None or number <= high)
        and (below is None or number < below)
    )
    if not fits:
        limits = ((">=", low), (">", above), ("<=", high), ("<", below))
        words = " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
        error = ValueError if real else TypeError
        raise error(f"{name}: expected a finite number {words}".rstrip() + f", got {describe(value)}")
    return number


def beyond(values: Any, dtype: Any) -> Any:
    """Which finite numbers a dtype cannot hold: too large for it, or so small that it loses digits, or all."""
    values, tiny = np.asarray(values, np.float64), np.finfo(dtype).tiny
    with np.errstate(all="ignore"):
        held = values.astype(dtype).astype(np.float64)
    return np.isfinite(values) & (~np.isfinite(held) | ((held != values) & (np.abs(values) < tiny)))


def check_held(name: str, value: float, dtype: Any, apart: float | None = None) -> None:
    """Refuse a setting that means something else in a network's dtype: one beyond it, or one that becomes ``apart``."""
    if beyond(value, dtype):
        limits = np.finfo(dtype)
        expected = f"0 or a number from {limits.tiny:.2g} to {limits.max:.2g} in size, as {dtype} holds them"
        raise ValueError(f"{name}: expected {expected}, got {describe(value)}; a float64 network can have it")
    if apart is not None and value != apart and np.dtype(dtype).type(value) == apart:
        raise ValueError(
            f"{name}: expected a number that {dtype} can tell from {apart:g}, got {describe(value)}; a float64 network "
            "can have it"
        )


def as_integer(name: str, value: Any, *, low: int, high: int | None = None) -> int:
    """A whole number within limits; without a ``high`` at most ``MOST``."""
    expected = f"a whole number >= {low}" + ("" if high is None else f" and <= {high}")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected {expected}, got {describe(value)}")
    if high is None and value > MOST:
        raise ValueError(f"{name}: expected {expected} and <= {MOST}, got {describe(value)}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}: expected {expected}, got {describe(value)}")
    return int(value)


def keep(record: Any, name: str, value: Any) -> None:
    """Put a checked value in the place of what a frozen record was given: a float for an int8, say."""
    object.__setattr__(record, name, value)


def as_seed(name: str, value: Any) -> int:
    """A seed: a whole number that fits 64 bits."""
    return as_integer(name, value, low=0, high=2**64 - 1)


def as_flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {describe(value)}")
    return bool(value)


def as_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of some names; an unknown one is answered with the nearest right one."""
    listed = ", ".join(f'"{choice}"' for choice in choices)
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected one of {listed}, got {describe(value)}")
    if value not in choices:
        raise ValueError(f"{name}: expected one of {listed}, got {describe(value)}{hint(value, choices)}")
    return value


def as_dtype(name: str, value: Any) -> np.dtype:
    """float64 or float32."""
    try:
        dtype = np.dtype(value) if value is not None else None
    except Exception:  # whatever odd thing came, the answer is the same
        dtype = None
    if dtype is None or dtype.newbyteorder("=").name not in DTYPES:
        error = ValueError if isinstance(value, (str, type, np.dtype)) else TypeError
        raise error(f'{name}: expected "float64" or "float32", got {describe(value)}')
    return np.dtype(dtype.newbyteorder("=").name)


_SINGLE = (numbers.Number, np.generic, str, bytes, bytearray, type(None))  # what has no entries
_MOST_AXES = 64  # of an array, says NumPy


def refuse_masked(name: str, value: Any, expected: str, depth: int = _MOST_AXES) -> None:
    """Raise ``ValueError`` if an entry is masked, also that of an array in a list: NumPy would use what lies below."""
    if type(value) is np.ndarray and value.dtype.kind != "O":
        return
    # Before numpy.ma is imported, which takes as long as training a small network, there is no masked array. An import
    # that was interrupted leaves a module with little in it, at which NumPy's own attribute would never arrive.
    ma = sys.modules.get("numpy.ma")
    if isinstance(value, getattr(ma, "MaskedArray", ())):
        if ma.is_masked(value):  # type: ignore[union-attr]
            raise ValueError(f"{name}: expected {expected}, got masked entries; fill or drop them first")
    elif depth > 0 and _has_entries(value):
        entries: Sequence[Any] = value.ravel().tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(entries, (list, tuple)):
            entries = list(islice(value, len(value)))
        if any(not issubclass(kind, _SINGLE) for kind in set(map(type, entries))):
            for entry in entries:
                refuse_masked(name, entry, expected, depth - 1)


def _has_entries(value: Any) -> bool:
    """Whether NumPy would go through a value entry by entry."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "O"
    if isinstance(value, (list, tuple)):
        return True
    if isinstance(value, (*_SINGLE, memoryview, Mapping)) or hasattr(value, "__array__"):
        return False
    return hasattr(value, "__len__") and hasattr(value, "__getitem__")


def as_numbers(name: str, value: Any, expected: str) -> np.ndarray:
    """An array of real numbers, from whatever NumPy can read, of whatever shape; not yet checked for NaN."""
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    if isinstance(value, (str, bytes, Mapping, Set)) or value is None:
        raise TypeError(f"{name}: expected {expected}, got {describe(value)}")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{name}: expected {expected}, got a sparse matrix; pass its .toarray()")
    refuse_masked(name, value, expected)
    try:
        array = np.asarray(value) if isinstance(value, np.ndarray) else _read(value)
    except (ValueError, TypeError, OverflowError) as error:  # NumPy's own; others come from a signal's handler, say
        raise ValueError(f"{name}: expected {expected}, got something NumPy cannot read: {error}") from error
    if array.dtype == object:
        array = _of_plain_numbers(array)
    if array.dtype == object:
        wrong = next((item for item in array.flat if not (_is_real(item) or isinstance(item, (bool, np.bool_)))), None)
        if wrong is not None or array.ndim == 0 or any(item is None for item in array.flat):
            raise TypeError(f"{name}: expected {expected}, got {describe(array)} that holds {describe(wrong)}")
        try:
            array = array.astype(np.float64)
        except OverflowError as error:
            raise ValueError(f"{name}: expected {expected}, got a number too large for float64") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected {expected}, got {describe(array)}")
    return array


def _read(value: Any) -> np.ndarray:
    """What NumPy reads; a table with columns of several kinds of numbers as float64, where it would give objects."""
    dtypes: Any = getattr(value, "dtypes", None)
    if hasattr(dtypes, "__iter__") and hasattr(value, "to_numpy"):
        kinds = {getattr(dtype, "kind", "O") for dtype in dtypes}
        if kinds <= set("biuf") and (len(kinds) > 1 or any(not isinstance(dtype, np.dtype) for dtype in dtypes)):
            try:
                return np.asarray(value.to_numpy(np.float64))
            except (ValueError, TypeError):  # a missing value, say: let it be found
                pass
    return np.asarray(value)


def _of_plain_numbers(array: np.ndarray) -> np.ndarray:
    """Objects as float64 if all are single numbers, which their types tell; else the array as it is."""
    plain = (numbers.Real, np.floating, np.integer, np.bool_)
    if array.ndim == 0 or not all(issubclass(kind, plain) for kind in set(map(type, array.ravel().tolist()))):
        return array
    try:
        return array.astype(np.float64)
    except OverflowError:
        return array


def as_array(
    name: str, value: Any, dtype: np.dtype, expected: str, finite: bool = True, rows: Any = None, missing: bool = False
) -> np.ndarray:
    """A contiguous array of finite numbers of the given dtype, the caller's own where it fits already, read-only or
    not: nobody writes to it. Without ``finite`` somebody else sees to that; where ``missing`` is allowed NaN may stand.
    ``rows``, a slice or numbers, picks those that count: the others are not looked at."""
    array = as_numbers(name, value, expected)
    if array.size == 0:
        raise ValueError(f"{name}: expected {expected}, got an empty array of shape {array.shape}")
    picked = array if rows is None else array[rows]
    with np.errstate(all="ignore"):
        ready = np.require(picked, dtype, ["C", "A"])
    if not finite:
        return ready
    place = first_unusual(ready, missing)
    if place is not None:
        came = picked[place]
        if rows is not None:
            place = int(np.arange(len(array))[rows][place[0]]), *place[1:]
        reason = f"too large for {dtype}" if np.isfinite(came) else "neither NaN nor infinity is allowed"
        raise ValueError(f"{name}: expected {expected}, got {came} at {list(place)}; {reason}")
    return ready


def first_unusual(array: np.ndarray, missing: bool) -> tuple[int, ...] | None:
    """Where the first number stands that is not finite, nor NaN where it may be ``missing``; None without any. It looks
    at some at a time, for what it notes takes memory."""
    if array.size > AT_ONCE and len(array) > 1:
        some = max(1, AT_ONCE * len(array) // array.size)
        for first in range(0, len(array), some):
            place = first_unusual(array[first : first + some], missing)
            if place is not None:
                return first + place[0], *place[1:]
        return None
    usual = np.isfinite(array)
    if missing:
        usual |= np.isnan(array)
    return None if usual.all() else tuple(np.argwhere(~usual)[0].tolist())


def as_input_numbers(name: str, value: Any, d: int) -> np.ndarray:
    """Inputs as they came, one sample a row, [shape: (m, d)]; not yet checked for NaN."""
    return check_inputs(name, as_numbers(name, value, expected_inputs(d)), d)


def check_inputs(name: str, X: np.ndarray, d: int) -> np.ndarray:
    """Inputs as they came, if they have the shape of inputs."""
    if X.size == 0:
        raise ValueError(f"{name}: expected {expected_inputs(d)}, got an empty array of shape {X.shape}")
    if X.ndim != 2 or X.shape[1] != d:
        raise ValueError(f"{name}: expected {expected_inputs(d)}, got shape {X.shape}")
    return X


def expected_inputs(d: int) -> str:
    """What inputs are."""
    return f"finite numbers of shape (m, {d}), one sample a row"


def as_inputs(name: str, value: Any, d: int, dtype: np.dtype, finite: bool = True, rows: Any = None) -> np.ndarray:
    """Inputs, one sample a row, [shape: (m, d)]; of these ``rows`` as ``as_array`` takes them."""
    return as_array(name, as_input_numbers(name, value, d), dtype, expected_inputs(d), finite, rows)


def as_targets(
    name: str,
    value: Any,
    m: int,
    l: int,
    dtype: np.dtype,
    class_numbers: bool,
    rows: np.ndarray | None = None,
    missing: bool = False,
) -> np.ndarray:
    """Targets, [shape: (m, l)], from (m, l), from (m,) if l = 1, or from class numbers (m,) if these are allowed; of
    these ``rows``. Where ``missing`` is allowed NaN stands for what is not known."""
    shapes = f"({m}, {l})" + (f" or ({m},)" if l == 1 else "")
    expected = f"finite numbers of shape {shapes}" + (f" or {m} class numbers 0 to {l - 1}" if class_numbers else "")
    if rows is not None:
        value = as_numbers(name, value, expected)
        rows = rows if value.shape[:1] == (m,) else None
    try:
        Y = as_array(name, value, dtype, expected, rows=rows, missing=missing)
    except TypeError as error:
        raise TypeError(f"{error}{_of_labels(value)}") from None
    shape = Y.shape if rows is None else (m, *Y.shape[1:])
    if shape == (m, l):
        return Y
    if shape == (m,) and class_numbers:
        known = ~np.isnan(Y)
        wrong = known & ((np.floor(Y) != Y) | (Y < 0) | (l <= Y))
        if wrong.any():
            raise ValueError(f"{name}: expected {expected}, got {Y[wrong][0]:g}")
        if known.all():
            return np.eye(l, dtype=dtype)[Y.astype(np.int64)]
        one_hot = np.full((len(Y), l), np.nan, dtype)
        one_hot[known] = np.eye(l, dtype=dtype)[Y[known].astype(np.int64)]
        return one_hot
    if shape == (m,) and l == 1:
        return Y.reshape(-1, 1)
    raise ValueError(f"{name}: expected {expected}, got shape {shape}")


def _of_labels(value: Any) -> str:
    """What to do with labels that are words."""
    labels = np.asarray(value)
    if labels.dtype.kind in "USTO" and any(isinstance(label, (str, bytes)) for label in labels.ravel()[:100].tolist()):
        return "; labels become class numbers by: classes, Y = np.unique(labels, return_inverse=True)"
    return ""


def as_weights(name: str, value: Any, m: int) -> np.ndarray:
    """Sample weights, at least 0 and not all 0, [shape: (m,)]."""
    expected = f"{m} finite numbers >= 0, not all 0"
    c = as_array(name, value, np.dtype(np.float64), expected)
    if c.shape != (m,):
        raise ValueError(f"{name}: expected {expected}, got shape {c.shape}")
    if (c < 0).any() or not (c > 0).any():
        raise ValueError(f"{name}: expected {expected}, got a smallest of {c.min():g} and a largest of {c.max():g}")
    return c


def class_weights(name: str, value: Any, labels: np.ndarray, l: int) -> np.ndarray:
    """A weight per sample from {class number: weight} or "balanced", as in scikit-learn, [shape: (m,)].

    ``labels`` are the class numbers of the samples that count; "balanced" gives class i the weight m/(l m_i), where l
    is the number of classes that occur.
    """
    if isinstance(value, str):
        as_choice(name, value, ("balanced",))
        counts = np.bincount(labels, minlength=l)
        table = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(value, dict):
        table = np.ones(l)
        for key, weight in value.items():
            table[as_integer(f"{name}'s class", key, low=0, high=l - 1)] = as_real(f"{name}[{key!r}]", weight, low=0)
    else:
        raise TypeError(f'{name}: expected "balanced" or {{class number: weight}}, got {describe(value)}')
    return table[labels]
