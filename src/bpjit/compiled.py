"""Predicting and learning from inside your own ``@njit`` functions, without leaving compiled code.

``state`` is that of a ``bpjit.OnlineLearner``: what your loop learns, the learner has learnt. x, y, y_hat and J are
arrays of the network's dtype, in the network's own units, of any layout: columns, every other row, Fortran order;
contiguous ones are fastest. What cannot be taken is a TypeError while your function is compiled, a wrong length a
ValueError when it runs; both name the argument. One thread at a time may use a state. After an upgrade of bpjit,
functions of yours that are compiled with ``cache=True`` must be compiled anew: Numba looks only at the file that they
stand in.

>>> import numpy as np
>>> from numba import njit
>>> import bpjit
>>> from bpjit import compiled
>>> @njit
... def track(state, X, Y, y_hat):
...     error = 0.0
...     for k in range(len(X)):
...         compiled.predict(state, X[k], y_hat)
...         error += compiled.learn(state, X[k], Y[k])
...     return error / len(X)
>>> learner = bpjit.OnlineLearner(bpjit.Network.random((2, 4, 1), seed=0), eta=0.5)
>>> X, Y = np.random.default_rng(0).random((500, 2)), np.full((500, 1), 0.25)
>>> bool(track(learner.state, X, Y, np.empty(1)) < 0.01)
True
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .kernels.jit import atomic
from .kernels.one.any_layout import as_outputs, as_slopes, inputs_at, targets_at
from .kernels.one.learner import learn_later, predict_now, slopes_one
from .kernels.one.learner_state import State

__all__ = ["learn", "predict", "slopes"]

_writing = partial(atomic, writes=True)


@_writing
def predict(state: State, x: np.ndarray, y_hat: np.ndarray) -> bool:
    """Write ŷ for one sample x, [shape: (d,)], into y_hat, [shape: (l,)]. Returns False if x is not finite."""
    return predict_now(state.kind, state.data, inputs_at(state.data, x), as_outputs(state.data, y_hat))


@_writing
def learn(state: State, x: np.ndarray, y: np.ndarray) -> Any:
    """One update for the sample x, [shape: (d,)], with targets y, [shape: (l,)]; or a number: the target if l = 1, or
    the class number with softmax outputs.

    Returns E_k from before the update, or NaN where the sample cannot be learnt (x or y are not finite, do not fit the
    loss, or would take a weight beyond all numbers); nothing changes then.
    """
    return learn_later(state.kind, state.data, inputs_at(state.data, x), targets_at(state.data, y))


@_writing
def slopes(state: State, x: np.ndarray, y_hat: np.ndarray, J: np.ndarray) -> bool:
    """Write ŷ into y_hat and ∂ŷ_j/∂x_i into J, [shape: (l, d)], for one sample. Returns False if x is not finite."""
    y_hat, J = as_outputs(state.data, y_hat), as_slopes(state.data, J)
    return slopes_one(state.kind, state.data, inputs_at(state.data, x), y_hat, J)
