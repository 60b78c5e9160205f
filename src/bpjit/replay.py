"""A training as one HTML file that plays it: which moments it shows, what is computed for each, how that is packed.

How the page looks and moves stands in the folder ``page``, where nothing is computed: every number of a unit's trace
comes from here, through ``lay_open`` and the formulas.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Sequence
from importlib.resources import files
from os import PathLike, fspath
from typing import Any

import numpy as np

from . import formulas
from .arguments import as_choice, as_integer, describe
from .console import progress_bar
from .files import write_whole
from .fit import Fit
from .kernels.batch import POSITION
from .kernels.layers import CROSS_ENTROPY, LOSS_CODES
from .kernels.online import Samples
from .network import Network
from .rules import SGD
from .session import Origin, Session
from .tracing import LaidOpen, lay_open_at

LANGUAGES = ("en", "zh")
MOST_PARAMETERS, MOST_UNITS = 5000, 1000
MOST_SAMPLES, FEWEST_SAMPLES = 16, 4  # laid open
FEWEST_FRAMES = 40
MOST_NUMBERS = 1_000_000  # of four bytes each: a file has a few megabytes at most
DOTS = 400  # samples drawn
MESH, LINE = 48, 121  # grid points along a side
STEPS = 4095  # of an answer on the mesh, and what divides class numbers from margins
LINES = 4  # outputs drawn over one input
STRIPS = 500  # of the error curve
Names = tuple[Sequence[str] | None, Sequence[str] | None]


def write(
    fit: Fit,
    path: str | PathLike[str],
    title: str | None,
    names: Names,
    language: str,
    frames: int,
    progress: bool | None,
) -> None:
    """Write the page: see ``Fit.replay``."""
    fspath(path)  # a TypeError now, not after the work
    as_choice("language", language, LANGUAGES)
    frames = as_integer("frames", frames, low=2, high=2000)
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title: expected a text or None, got {describe(title)}")
    if fit._origin is None:
        raise ValueError(
            "fit: it was pickled or copied and came without its data; write the replay before, or train again"
        )
    origin: Origin = fit._origin
    net = without_scale(origin.net)
    if len(net.parameters) > MOST_PARAMETERS or sum(net.sizes) > MOST_UNITS:
        raise ValueError(
            f"fit: a page can show networks of up to {MOST_PARAMETERS} parameters and {MOST_UNITS} units, this one has "
            f"{len(net.parameters)} and {sum(net.sizes)}; bpjit.plot draws larger ones"
        )
    given = [as_names(*pair) for pair in zip(("inputs", "outputs"), names, (net.sizes[0], net.sizes[-1]), strict=True)]
    reel = Reel(net, origin, frames)
    epochs = moments(fit, reel.frames, 0 if origin.state is None else len(origin.state["errors"]))
    with progress_bar(progress, int(epochs[-1])) as show:
        for epoch, session in walk(origin, fit, epochs):
            reel.add(epoch, session)
            show(int(epoch), reel.numbers["error"][-1])
    header = {
        **facts(fit, origin),
        **reel.header(),
        "title": title or "",
        "language": language,
        "inputs": given[0],
        "outputs": given[1],
        "curve": curve(fit),
    }
    write_whole(path, page(header, reel.arrays()).encode())


def without_scale(net: Network) -> Network:
    """The same network in its own units."""
    return Network(net.sizes, net.parameters, hidden=net.hidden, output=net.output, dtype=net.dtype)


def as_names(argument: str, names: Any, count: int) -> list[str] | None:
    """Names of inputs or outputs."""
    if names is None:
        return None
    expected = f"{argument}: expected {count} names or None, got"
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"{expected} {describe(names)}")
    if len(names) != count:
        raise ValueError(f"{expected} {len(names)}")
    return [str(name) for name in names]


# --- The way of the training.


def moments(fit: Fit, frames: int, first: int) -> list[int]:
    """Numbers of completed epochs to show: denser at the start and where the error changes fast."""
    last = fit.epochs
    if last - first < frames:
        return list(range(first, last + 1))
    ahead = np.arange(last - first + 1)
    errors = np.log(np.maximum(fit.errors[first:], np.finfo(float).tiny))
    change = np.concatenate([[0.0, 0.0], np.cumsum(np.abs(np.diff(errors)))])
    way = ahead / ahead[-1] + np.log1p(ahead) / np.log1p(ahead[-1]) + change / max(change[-1], 1e-300)
    chosen = np.searchsorted(way, np.linspace(0.0, way[-1], frames)).clip(0, last - first) + first
    best = [] if fit.best_epoch is None or fit.best_epoch < first else [fit.best_epoch]
    return sorted({*chosen.tolist(), first, last, *best})


def walk(origin: Origin, fit: Fit, epochs: Sequence[int]) -> Any:
    """Train once more; yields (epoch, session) where each of these numbers of epochs is complete, and at the end."""
    session, end = origin.begin(), fit._state["memory"]
    inside = end.counters[POSITION] > 0
    for epoch in epochs:
        while session.epoch < epoch and session.finite:
            session.run(epoch)
        if epoch == epochs[-1] and not inside:
            check_same_end(session, end.p)
        yield float(epoch), session
    if inside:  # it ended in the middle of an epoch
        session.memory.p[...] = end.p
        yield fit.epochs + min(0.99, end.counters[POSITION] / len(origin.D.X)), session


def check_same_end(session: Session, p: np.ndarray) -> None:
    """Raise ``ValueError`` unless the training went the same way again."""
    if not session.finite or session.memory.p.tobytes() != p.tobytes():
        raise ValueError(
            "fit: trained once more it ended elsewhere, so the data have changed since; keep the arrays given to train "
            "as they are, or give it copies"
        )


class Reel:
    """The frames, as lists of arrays with one entry a frame."""

    def __init__(self, net: Network, origin: Origin, frames: int) -> None:
        D, setting = origin.D, origin.setting
        self.net, self.setting = net, setting
        n, units, m = len(net.parameters), sum(net.sizes[1:]), len(D.X)
        each = 6 * units + n  # numbers of a sample in a frame
        samples = min(m, max(FEWEST_SAMPLES, min(MOST_SAMPLES, (MOST_NUMBERS // frames - n) // each)))
        self.frames = min(frames, max(FEWEST_FRAMES, MOST_NUMBERS // (n + samples * each)))
        if self.frames * (n + samples * each) > 2 * MOST_NUMBERS:
            samples = 1
        self.shown = thin(D, samples)
        self.dots = thin(D, DOTS)
        self.plain = isinstance(setting.rule, SGD) and setting.lam[1] == 0.0  # then Δw = η g b
        self.picture = "plane" if net.sizes[0] == 2 else "line" if net.sizes[0] == 1 else "table"
        self.grid, self.box = grid_of(D.X, self.picture)
        self.epochs: list[float] = []
        self.numbers: dict[str, list[Any]] = {}

    def add(self, epoch: float, session: Session) -> None:
        """One more frame."""
        net, p = self.net, session.memory.p
        eta = session.rate.eta if session.rate else self.setting.schedule.rates(np.array([int(epoch)]))[0]
        D, loss = self.shown, self.setting.loss
        opened = [lay_open_at(net, p, D.X[k], D.Y[k], loss, k) for k in range(len(D.X))]
        shares = eta * D.c if self.plain else np.ones(len(D.X))
        frame: dict[str, Any] = {
            "parameters": p,
            "error": session.error(),
            "eta": eta,
            "sampleErrors": [sample.error for sample in opened],
            "units": [quantities(sample) for sample in opened],
            "steps": [
                steps(sample, share) * self.setting.trainable for sample, share in zip(opened, shares, strict=True)
            ],
        }
        if self.grid is not None:
            y_hat = net.with_parameters(p).predict(self.grid)
            several = self.picture == "plane" and y_hat.shape[1] > 1
            frame["answers"] = classes(y_hat) if several else y_hat[:, :LINES]
        self.epochs.append(epoch)
        for name, values in frame.items():
            self.numbers.setdefault(name, []).append(np.array(values))

    def arrays(self) -> dict[str, np.ndarray]:
        """All frames of each kind, as the page gets them: four bytes a number, two for what is painted."""
        found = {name: np.stack(frames) for name, frames in self.numbers.items()}
        if self.picture == "plane" and self.range is not None:
            found["answers"] = levels(found["answers"][..., 0], *self.range)
        return {name: array.astype("<u2" if array.dtype == np.uint16 else "<f4") for name, array in found.items()}

    @property
    def range(self) -> tuple[float, float] | None:
        """The smallest and the largest answer, for the painter of levels and lines."""
        if self.grid is None or self.numbers["answers"][0].dtype == np.uint16:
            return None
        return float(np.min(self.numbers["answers"])), float(np.max(self.numbers["answers"]))

    def header(self) -> dict[str, Any]:
        """What the page must know to read and to draw the frames."""
        return {
            "epochs": self.epochs,
            "picture": self.picture,
            "box": self.box,
            "range": self.range,
            "plain": self.plain,
            "trained": None if self.setting.trainable.all() else self.setting.trainable.astype(int).tolist(),
            "samples": rows(self.shown),
            "dots": rows(self.dots),
        }


def thin(D: Samples, count: int) -> Samples:
    """At most so many samples, evenly from all."""
    chosen = np.unique(np.linspace(0, len(D.X) - 1, min(count, len(D.X))).round().astype(int))
    return Samples(*(array[chosen] for array in D))


def rows(D: Samples) -> list[dict[str, Any]]:
    """Samples with their numbers in the data, counted from 1."""
    return [
        {"number": int(number) + 1, "x": short(x), "y": short(y), "c": float(c)}
        for number, x, y, c in zip(D.numbers, D.X, D.Y, D.c, strict=True)
    ]


def grid_of(X: np.ndarray, picture: str) -> tuple[np.ndarray | None, dict[str, Any] | None]:
    """Inputs all around the data, [shape: (points, d)], and where they lie."""
    if picture == "table":
        return None, None
    n = LINE if picture == "line" else MESH
    low, high = X.min(axis=0).astype(float), X.max(axis=0).astype(float)
    room = np.where(high > low, 0.15 * (high - low), 1.0)
    low, high = low - room, high + room
    sides = [np.linspace(*ends, n) for ends in zip(low, high, strict=True)]
    grid = np.stack([side.ravel() for side in np.meshgrid(*sides)], axis=1)
    return grid, {"low": low.tolist(), "high": high.tolist(), "points": n}


def levels(y_hat: np.ndarray, low: float, high: float) -> np.ndarray:
    """Outputs over the mesh, in steps from low to high."""
    share = (y_hat.astype(np.float64) - low) / ((high - low) or 1.0)
    return (STEPS * share.clip(0.0, 1.0)).round().astype(np.uint16)


def classes(y_hat: np.ndarray) -> np.ndarray:
    """The class of each point of the mesh, and by how much its output leads: where two neighbours differ, the border
    lies between them in the proportion of their leads."""
    y_hat = y_hat.astype(np.float64)
    second, largest = np.partition(y_hat, -2, axis=1)[:, -2:].T
    lead = (largest - second) / ((largest - second).max() or 1.0)
    return ((y_hat.argmax(axis=1) % 16) * (STEPS + 1) + (STEPS * lead).round()).astype(np.uint16)


# --- The quantities of a sample.


def quantities(sample: LaidOpen) -> np.ndarray:
    """For every unit above the inputs: α or β, net input, output, slope, Σ_j w_hj g_j (at outputs −∂E_k/∂ŷ_j), e or g;
    NaN for what there is not, [shape: (6, units)]."""
    columns = []
    for layer in sample.layers:
        back = layer.backs if layer.backs is not None else descents(sample, layer.outputs)
        slope = layer.slopes if layer.slopes is not None else np.full(len(layer.sums), np.nan)
        columns.append([layer.sums, layer.net_inputs, layer.outputs, slope, back, layer.gradient_terms])
    return np.concatenate(columns, axis=1)


def descents(sample: LaidOpen, y_hat: np.ndarray) -> np.ndarray:
    """−∂E_k/∂ŷ_j; NaN with cross-entropy, which goes from the net input at once."""
    code = LOSS_CODES[sample.loss]
    if code == CROSS_ENTROPY:
        return np.full(len(y_hat), np.nan)
    return np.array([formulas.LOSSES[code](a, b)[1] for a, b in zip(y_hat, sample.y, strict=True)])


def steps(sample: LaidOpen, eta: float) -> np.ndarray:
    """Δ of every parameter by this sample with plain descent, in the order of ``net.parameters``."""
    parts = []
    for layer in sample.layers:
        g = layer.gradient_terms
        parts.append(formulas.weight_update(0.0, eta, g, layer.inputs[:, None]).ravel())
        parts.append(formulas.threshold_update(0.0, eta, g))
    return np.concatenate(parts)


# --- The page.


def facts(fit: Fit, origin: Origin) -> dict[str, Any]:
    """What the page says of the training."""
    setting, net = origin.setting, origin.net
    return {
        "sizes": net.sizes,
        "activations": [*net.hidden, net.output],
        "dtype": net.dtype.name,
        "loss": setting.loss,
        "rule": setting.rule.name,
        "rate": setting.rule.default_eta is not None,
        "updates": {None: "accumulated", 1: "stochastic"}.get(setting.size, setting.size),
        "lam": None if setting.lam[1] == 0.0 else setting.lam[0],
        "scaled": net.scale is not None,
        "count": len(origin.D.X),
        "binary": net.output == "sigmoid" or bool(np.isin(origin.D.Y, (0, 1)).all()),
        "stoppedBy": fit.stopped_by,
        "bestEpoch": fit.best_epoch,
    }


def curve(fit: Fit) -> dict[str, Any]:
    """The errors of the training, thinned to the smallest and the largest of each strip; epochs as ``bpjit.plot`` has
    them."""
    middle = 0.0 if fit._state["setting"].size is None else 0.5
    measured = np.flatnonzero(~np.isnan(fit.validation_errors))
    return {
        "training": strips(np.arange(fit.epochs) + middle, fit.errors),
        "validation": strips(measured + 1.0, fit.validation_errors[measured]),
    }


def strips(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Points (x, y), at most two from each of ``STRIPS`` stretches."""
    chosen: set[int] = set()
    for part in np.array_split(np.arange(len(x)), STRIPS):
        if len(part):
            chosen |= {int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    kept = sorted(chosen)
    return [short(x[kept]), short(y[kept])]


def short(values: np.ndarray) -> list[float]:
    """Numbers as a page needs them: with few digits."""
    return [float(f"{value:.6g}") for value in values]


def page(header: dict[str, Any], numbers: dict[str, np.ndarray]) -> str:
    """The whole page. Numbers are packed and compressed; what users gave is escaped, and the page sets it as text."""
    places, parts, at = {}, [], 0
    for name, array in numbers.items():
        places[name] = {"at": at, "shape": array.shape, "kind": array.dtype.str[1:]}
        if array.dtype == "<u2":  # neighbours on a mesh differ little: their differences compress well
            array = np.diff(array, axis=1, prepend=array.dtype.type(0))
        data = array.tobytes()
        parts.append(data + bytes(-len(data) % 4))
        at += len(parts[-1])
    packed = base64.b64encode(zlib.compress(b"".join(parts), 9)).decode()
    words = json.dumps({**header, "numbers": places}, ensure_ascii=False, allow_nan=False)
    pieces = {
        "title": html.escape(header["title"] or "bpjit"),
        "language": {"en": "en", "zh": "zh-CN"}[header["language"]],
        "style": source("replay.css"),
        "script": "\n".join(source(name) for name in ("words.js", "draw.js", "trace.js", "replay.js")),
        "header": words.replace("<", "\\u003c"),
        "packed": packed,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: pieces[place[1]], source("replay.html"))


def source(name: str) -> str:
    """A file of the folder ``page``."""
    return files("bpjit").joinpath("page", name).read_text("utf-8")
