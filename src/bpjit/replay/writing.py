"""A training as one HTML file that plays it: the way of the training once more, and how its frames become a page.

How the page looks and moves stands in the folder ``page``, where nothing is computed: every number of a unit's trace
comes from ``reel.py``, through ``lay_open`` and the formulas.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Sequence
from importlib.resources import files
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_integer, describe
from ..common.console import progress_bar
from ..common.files import as_path, write_whole
from ..common.shown import units_shown
from ..common.words import LANGUAGES, PAGE, PICTURES
from ..kernels.devices import on_host
from ..kernels.state import POSITION, Samples
from ..networks.network import Network
from ..settings.rules import BayesianRegularization, SecondOrder
from ..training.fit import Fit
from ..training.origin import MOST_BYTES, Origin
from ..training.session import Session
from .letters import formulas, unit_symbols
from .reel import Reel, short

MOST_PARAMETERS, MOST_UNITS = 5000, 1000
MOST_SHOWN = 8  # units of a layer in the diagram
SCRIPTS = ("words.js", "draw.js", "trace.js", "network.js", "picture.js", "curve.js", "replay.js")
STRIPS = 500  # of the error curve
SAMPLES = 1 << 16  # of a call inside an epoch
Names = tuple[Sequence[str] | None, Sequence[str] | None]


def write(
    fit: Fit,
    path: str | PathLike[str],
    X: Any,
    Y: Any,
    title: str | None,
    names: Names,
    language: str,
    frames: int,
    progress: bool | None,
) -> None:
    """Write the page: see ``Fit.replay``."""
    as_path(path)  # an error now, not after the work
    as_choice("language", language, LANGUAGES)
    frames = as_integer("frames", frames, low=2, high=2000)
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title: expected a text or None, got {describe(title)}")
    origin: Origin = fit._origin
    if (X is None) != (Y is None):
        raise ValueError(f"{'X' if X is None else 'Y'}: expected both X and Y, or neither")
    if X is not None:
        origin = origin.with_data(X, Y)
    if origin.D is None:
        raise ValueError(
            f"X: expected the data again, got none: the fit does not remember them, for they have more than "
            f"{MOST_BYTES // 10**6} MB, or it was pickled or copied; fit.replay(path, X=X, Y=Y) takes them"
        )
    net, columns = Network._of(origin.net._architecture.unscaled, origin.net._parameters), origin.net.columns
    if columns is not None:
        known = columns.names(net.sizes[-1])
        names = names[0] or known[0], names[1] or known[1]
    if len(net.parameters) > MOST_PARAMETERS or sum(net.sizes) > MOST_UNITS:
        raise ValueError(
            f"fit: a page can show networks of up to {MOST_PARAMETERS} parameters and {MOST_UNITS} units, this one has "
            f"{len(net.parameters)} and {sum(net.sizes)}; bpjit.plot draws larger ones"
        )
    given = [as_names(*pair) for pair in zip(("inputs", "outputs"), names, (net.sizes[0], net.sizes[-1]), strict=True)]
    D = Samples(*(on_host(array) for array in origin.D))
    reel = Reel(net, D, origin.setting, min(frames, fit.epochs - origin.epochs + 1))
    epochs = moments(fit, reel.frames, origin.epochs)
    with progress_bar(progress, int(epochs[-1])) as show:
        for epoch, session in walk(origin, fit, epochs):
            reel.add(epoch, session)
            show(int(epoch), reel.numbers["error"][-1])
    header = {
        **facts(fit, origin, D),
        **reel.header(),
        "title": title or "",
        "language": language,
        "chinese": PICTURES | PAGE,
        "inputs": given[0],
        "outputs": given[1],
        "curve": curve(fit),
    }
    write_whole(path, page(header, reel.arrays()).encode())


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
    known = fit.recorded >= first
    completed = np.concatenate([[first], fit.recorded[known] + 1])
    ahead = completed - first
    errors = np.log(np.maximum(fit.errors[known], np.finfo(float).tiny))
    change = np.concatenate([[0.0, 0.0], np.cumsum(np.abs(np.diff(errors)))])
    way = ahead / ahead[-1] + np.log1p(ahead) / np.log1p(ahead[-1]) + change / max(change[-1], 1e-300)
    places = np.interp(np.linspace(0.0, way[-1], frames), way, completed)  # between epochs that were recorded, too
    chosen = np.ceil(places).astype(int).clip(first, last)
    best = [] if fit.best_epoch is None or fit.best_epoch < first else [fit.best_epoch]
    return sorted({*chosen.tolist(), first, last, *best})


def walk(origin: Origin, fit: Fit, epochs: Sequence[int]) -> Any:
    """Train once more; yields (epoch, session) where each of these numbers of epochs is complete, and at the end."""
    session, end = origin.begin(), fit._state["memory"]
    session.record.limit = 2  # nobody reads it
    inside = end.counters[POSITION] > 0
    for epoch in epochs:
        while session.epoch < epoch and session.finite:
            session.record.floor = session.epoch
            session.run(epoch)
        if epoch == epochs[-1] and not inside:
            check_same_end(session, end.p)
        yield float(epoch), session
    if inside:  # it ended in the middle of an epoch
        go_into_epoch(session, int(end.counters[POSITION]))
        check_same_end(session, end.p)
        yield fit.epochs + min(0.99, end.counters[POSITION] / len(session.D.X)), session


def go_into_epoch(session: Session, position: int) -> None:
    """Train on within the next epoch as far as it got: on so many samples, or all where it was validating."""
    epoch, position = session.epoch, min(position, len(session.D.X))
    session.rate = None  # nothing of an epoch that has not ended is taken back
    while session.finite and session.epoch == epoch and session.memory.counters[POSITION] < position:
        session.run_samples(min(SAMPLES, position - int(session.memory.counters[POSITION])))


def check_same_end(session: Session, p: np.ndarray) -> None:
    """Raise ``ValueError`` unless the training went the same way again."""
    if not session.finite or session.memory.p.tobytes() != p.tobytes():
        raise ValueError(
            "X, Y: trained once more it ended elsewhere, so these are other data, or the data have changed since; keep "
            "the arrays given to train as they are, or give it copies"
        )


# --- The page.


def facts(fit: Fit, origin: Origin, D: Samples) -> dict[str, Any]:
    """What the page says of the training."""
    setting, net = origin.setting, origin.net
    return {
        "sizes": net.sizes,
        "shown": [units_shown(count, MOST_SHOWN) for count in net.sizes],
        "activations": [f"{name}" for name in (*net.hidden, net.output)],
        "formulas": formulas((*net.hidden, net.output), setting.given_loss),
        "symbols": unit_symbols(len(net.sizes) - 1),
        "dtype": net.dtype.name,
        "loss": f"{setting.given_loss}",
        "rule": setting.rule.name,
        "rate": setting.rule.default_eta is not None,
        "secondOrder": isinstance(setting.rule, SecondOrder),
        "ownPenalty": isinstance(setting.rule, BayesianRegularization),
        "updates": setting.updates,
        "lam": setting.given_lam,
        "scaled": net.scale is not None,
        "count": len(D.X),
        "binary": net.output == "sigmoid" or bool((np.isin(D.Y, (0, 1)) | np.isnan(D.Y)).all()),
        "stoppedBy": fit.stopped_by,
        "bestEpoch": fit.best_epoch,
    }


def curve(fit: Fit) -> dict[str, Any]:
    """The errors of the training, thinned to the smallest and the largest of each strip; epochs as ``bpjit.plot`` has
    them."""
    middle = 0.0 if fit._state["setting"].size is None else 0.5
    measured = np.flatnonzero(~np.isnan(fit.validation_errors))
    return {
        "training": strips(fit.recorded + middle, fit.errors),
        "validation": strips(fit.recorded[measured] + 1.0, fit.validation_errors[measured]),
    }


def strips(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Points (x, y), at most two from each of ``STRIPS`` stretches."""
    chosen: set[int] = set()
    for part in np.array_split(np.arange(len(x)), STRIPS):
        if len(part):
            chosen |= {int(part[y[part].argmin()]), int(part[y[part].argmax()])}
    kept = sorted(chosen)
    return [short(x[kept]), short(y[kept])]


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
        "script": "\n".join(source(name) for name in SCRIPTS),
        "header": words.replace("<", "\\u003c"),
        "packed": packed,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: pieces[place[1]], source("replay.html"))


def source(name: str) -> str:
    """A file of the folder ``page``."""
    return files("bpjit.replay").joinpath("page", name).read_text("utf-8")
