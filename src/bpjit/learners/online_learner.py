"""OnlineLearner: a network that learns one sample at a time, from Python or from jitted code."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import numpy as np
from numpy import int64, ndarray

from ..common.arguments import as_numbers, describe
from ..frames import of_row
from ..kernels.one.learner import arrive, learn_kernel, predict_kernel
from ..kernels.one.learner_state import State, kept_at, places_of, seen_by_prediction, waits
from ..networks import storage
from ..networks.evaluation import as_network, as_samples
from ..networks.network import Network
from ..settings.rules import Rule
from ..settings.words import from_words, in_words
from .learner_setting import as_learner_setting

FORMAT, VERSION = "bpjit online learner", "1"  # of files


class OnlineLearner:
    """Standard BP on samples as they come.

    Parameters
    ----------
    net : the network to start from; it stays as it is
    eta : learning rate η > 0, or None for the one that ``train`` would choose
    rule : an update rule, as for ``train``, that works on single samples
    loss : as for ``train``
    lam : the book's λ in (0, 1): each update descends λ E_k + (1 − λ) Σ w²
    clip_gradient : the gradient of a sample is scaled down to this norm where it is larger; None never does
    clip_weights : every parameter is held within ±clip_weights; None does not
    seed : for rules that start at random

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Notes
    -----
    Fastest are contiguous arrays of the network's dtype: other input is converted, which costs some microseconds. A
    network with a ``scale`` takes and gives the user's units. Several threads may use a learner: each call is carried
    out whole before the next. ``state`` is for ``bpjit.compiled``, which learns inside your own jitted functions; those
    that release the GIL may use it one at a time only, and nothing else meanwhile. Pickles and copies of a learner hold
    what it has learnt, and go on from there.

    Examples
    --------
    >>> import bpjit
    >>> learner = bpjit.OnlineLearner(bpjit.Network.random((2, 4, 1), seed=0), eta=5.0)
    >>> for epoch in range(500):
    ...     for x, y in (((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 0)):
    ...         error = learner.learn(x, y)
    >>> learner.predict([0, 1]).round().tolist()
    [1.0]
    """

    def __init__(
        self,
        net: Network,
        *,
        eta: float | None = None,
        rule: str | Rule = "sgd",
        loss: str | None = None,
        lam: float | None = None,
        clip_gradient: float | None = None,
        clip_weights: float | None = None,
        seed: int = 0,
    ) -> None:
        self._setting = as_learner_setting(
            net,
            eta=eta,
            rule=rule,
            loss=loss,
            lam=lam,
            clip_gradient=clip_gradient,
            clip_weights=clip_weights,
            seed=seed,
        )
        self._start = net
        self.reset()

    def reset(self, net: Network | None = None) -> None:
        """Start anew from ``net``, or from the network given first; the state of the rule starts anew too."""
        if net is not None:
            as_network(net)
            if net._architecture.unscaled != self._start._architecture.unscaled:
                raise ValueError(f"net: expected a network like {self._start!r}, got {net!r}")
            self._start = net
        net = self._start
        self._state, self._place = self._setting.make_state(net)
        kind = self._state.kind
        self._learn, predict = learn_kernel(kind), predict_kernel(seen_by_prediction(kind))
        # What kernels take as it is: dtype, shapes of x and y, strides; and what they work on. NumPy's own dtype: that
        # of an unpickled network is another object.
        dtype, d, l = np.dtype(net.dtype.type), net.sizes[0], net.sizes[-1]
        direct = net.scale is None
        self._classes = l if net.output == "softmax" else 0
        strides, data = (dtype.itemsize,), self._state.data
        self._direct = dtype, direct and (d,), (l,), strides, data, np.zeros(l, dtype), predict

    @property
    def state(self) -> State:
        """What ``bpjit.compiled`` takes; ``reset`` makes a new one."""
        return self._state

    @property
    def network(self) -> Network:
        """The network as it is now."""
        return self._start.with_parameters(self._numbers()[self._place])

    def _numbers(self) -> np.ndarray:
        """A copy of the state, settled, as it is between two calls of other threads: NumPy's own copying may release
        the GIL."""
        data = self._state.data
        copy = np.frombuffer(bytearray(data.tobytes()), data.dtype)
        self._settle(copy)
        return copy

    def _settle(self, data: np.ndarray) -> bool:
        """Make the update that ``compiled.learn`` left for the sample after it; returns whether there was one."""
        return waits(data) and bool(arrive(self._state.kind, data, kept_at(data), True))

    def learn(self, x: Any, y: Any) -> float:
        """One update.

        Parameters
        ----------
        x : (d,) inputs
        y : (l,) targets, a number if l = 1, or a class number with softmax outputs; or the value of a category, where
            the network knows its values

        Returns
        -------
        E_k of this sample before the update

        Raises
        ------
        ValueError, TypeError : naming x or y, what was expected and what came
        FloatingPointError : the update would take the error, a parameter or the rule's state beyond all numbers

        After an error the learner is as it was before.
        """
        dtype, d, l, strides, data, *_ = self._direct
        usual = (
            type(x) is ndarray
            and x.shape == d
            and (x.strides == strides or x.flags.c_contiguous)
            and (x.dtype is dtype or x.dtype == dtype)
        )
        if (
            usual
            and type(y) is ndarray
            and y.shape == l
            and (y.strides == strides or y.flags.c_contiguous)
            and (y.dtype is dtype or y.dtype == dtype)
        ):
            error = self._learn(data, x, y)
            if error == error:
                return error
        elif usual and (type(y) is int or type(y) is int64) and 0 <= y < self._classes:
            error = self._learn(data, x, int(y))
            if error == error:
                return error
        return self._learn_carefully(x, y)

    def predict(self, x: Any) -> np.ndarray:
        """ŷ for one sample x, [shape: (d,)]; returns (l,) numbers of the network's dtype.

        Raises ValueError or TypeError that names x, what was expected and what came.
        """
        dtype, d, _, strides, data, outputs, predict = self._direct
        y_hat = outputs.copy()  # faster than a new array
        usual = (
            type(x) is ndarray
            and x.shape == d
            and (x.strides == strides or x.flags.c_contiguous)
            and (x.dtype is dtype or x.dtype == dtype)
        )
        if usual and predict(data, x, y_hat):
            return y_hat
        if isinstance(x, np.memmap):
            return self.predict(np.asarray(x))
        inputs, single = self._start._architecture.as_inputs(x)
        if not single:
            raise ValueError(f"x: expected one sample of shape ({self._start.sizes[0]},), got {describe(x)}")
        self._settle(data)
        while not predict(data, inputs[0], y_hat) and self._settle(data):
            pass
        return self._start._architecture.unscaled_outputs(y_hat)

    def classify(self, x: Any) -> Any:
        """The class number of one sample, or its label, as ``Network.classify`` gives it."""
        return self._start._architecture.labels_of_outputs(self.predict(x)).item()

    def _learn_carefully(self, x: Any, y: Any) -> float:
        """Learn from what must be converted first, or say what is wrong with it."""
        if isinstance(x, np.memmap) or isinstance(y, np.memmap):
            return self.learn(*(np.asarray(value) if isinstance(value, np.memmap) else value for value in (x, y)))
        if self._start.columns is not None:
            x, y = _by_names(self._start, x, y)
        x = as_numbers("x", x, f"{self._start.sizes[0]} finite numbers, one sample")
        y = as_numbers("y", y, "the targets of one sample")
        for name, value in (("x", x), ("y", y)):
            if value.ndim > 1:
                raise ValueError(f"{name}: expected one sample, got {describe(value)}")
        D = as_samples(self._start, x.reshape(1, -1), y[None], self._setting.loss, names=("x", "y"))
        data = self._state.data
        self._settle(data)
        error = self._learn(data, D.X[0], D.Y[0])
        while error != error and self._settle(data):
            error = self._learn(data, D.X[0], D.Y[0])
        if error != error:
            raise FloatingPointError(
                "learn: this update would take the error, a parameter or the rule's state beyond all numbers; the "
                "learner is as it was before. Use a smaller eta, or clip_gradient"
            )
        return float(error)

    # --- Files, pickles and copies: what it has learnt, in an order that is the same on every machine.

    def save(self, path: str | PathLike[str]) -> None:
        """Write the learner to a safetensors file, whole or not at all: settings, the network it started from, and what
        it has learnt. See ``OnlineLearner.load``."""
        setting = self._setting
        words = {"rule": json.dumps(in_words(setting.rule)), "settings": json.dumps(setting.without_rule())}
        tensors = {"start": self._start._parameters, "learnt": self._numbers()[self._places]}
        storage.save(path, FORMAT, VERSION, self._start._architecture, tensors, words)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> OnlineLearner:
        """Read a learner that ``save`` wrote; ``OSError`` if the file is missing, ``ValueError`` if it is damaged,
        foreign or of a newer bpjit.

        It goes on as the one that was saved would have, to the last bit on the same machine.

        Examples
        --------
        >>> import os, tempfile
        >>> import bpjit
        >>> learner = bpjit.OnlineLearner(bpjit.Network.random((2, 3, 1)), rule="adam")
        >>> error = learner.learn([0, 1], 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "learner.safetensors")
        ...     learner.save(path)
        ...     later = bpjit.OnlineLearner.load(path)
        >>> later.learn([1, 1], 0) == learner.learn([1, 1], 0)
        True
        """
        with storage.opened(path, FORMAT, VERSION) as file:
            start, learnt = file.tensors["start"], file.tensors["learnt"]
            net = Network(file.sizes, start, dtype=start.dtype, **file.settings)
            rule = from_words(json.loads(file.words["rule"]), Rule)
            learner = cls(net, rule=rule, **json.loads(file.words["settings"]))
            places = learner._places
            if learnt.shape != places.shape or learnt.dtype != net.dtype or not np.isfinite(learnt).all():
                raise ValueError(f"expected {len(places)} finite numbers of {net.dtype}, got {describe(learnt)}")
            learner._state.data[places] = learnt
        return learner

    def __getstate__(self) -> dict[str, Any]:
        made_anew = ("_learn", "_state", "_place", "_direct", "_classes")
        kept = {name: value for name, value in self.__dict__.items() if name not in made_anew}
        return kept | {"_learnt": self._numbers()[self._places]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        learnt = state["_learnt"]
        self.__dict__ |= {name: value for name, value in state.items() if name != "_learnt"}
        self.reset()
        self._state.data[self._places] = learnt

    @property
    def _places(self) -> np.ndarray:
        return places_of(self._state.data, self._place, self._setting.rule.slots)

    def __repr__(self) -> str:
        return f"OnlineLearner({self._start!r}, rule {self._setting.rule.name}, eta {self._setting.eta:g})"


def _by_names(net: Network, x: Any, y: Any) -> tuple[Any, Any]:
    """A row of a frame as inputs, and a value of the category that the outputs are of as targets."""
    if of_row(x) is not None:
        x = net._architecture.input_numbers(x)[0][0]
    classes = None if net.columns is None else net.columns.classes
    if classes is not None and (isinstance(y, str) or (np.ndim(y) == 0 and not isinstance(classes[0], str))):
        y = net._architecture.targets("y", [y], 1)[0]
    return x, y
