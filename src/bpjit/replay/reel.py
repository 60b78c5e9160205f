"""The frames of a replay: of each moment of a training the parameters, what the network answers, and every quantity of
some samples, all through ``lay_open`` and ``predict``; as arrays with one entry a frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.state import Samples
from ..maths.own import is_of_net_input, loss_formula
from ..networks.network import Network
from ..settings.rules import SGD
from ..tracing.laid_open import LaidOpen
from ..tracing.opening import lay_open_at
from ..training.session import Session
from ..training.setting import Setting

MOST_SAMPLES, FEWEST_SAMPLES = 16, 4  # laid open
FEWEST_FRAMES = 40
MOST_NUMBERS = 1_000_000  # of four bytes each: a file has a few megabytes at most
DOTS = 400  # samples drawn
MESH, LINE = 48, 121  # grid points along a side
STEPS = 4095  # of an answer on the mesh, and what divides class numbers from leads
LINES = 4  # outputs drawn over one input


class Reel:
    """The frames, as lists of arrays with one entry a frame."""

    def __init__(self, net: Network, D: Samples, setting: Setting, frames: int) -> None:
        D = known(D)
        self.net, self.D, self.setting = net, D, setting
        n, units, m = len(net.parameters), sum(net.sizes[1:]), len(D.X)
        each = 6 * units + n  # numbers of a sample in a frame
        samples = min(m, max(FEWEST_SAMPLES, min(MOST_SAMPLES, (MOST_NUMBERS // frames - n) // each)))
        self.frames = min(frames, max(FEWEST_FRAMES, MOST_NUMBERS // (n + samples * each)))
        if self.frames * (n + samples * each) > 2 * MOST_NUMBERS:
            samples = 1
        self.shown = thin(D, samples)
        self.plain = isinstance(setting.rule, SGD) and setting.lam[1] == 0.0  # then Δw = η g b
        self.picture = "plane" if net.sizes[0] == 2 else "line" if net.sizes[0] == 1 else "table"
        self.grid, self.box = grid_of(D.X, self.picture)
        self.epochs: list[float] = []
        self.numbers: dict[str, list[Any]] = {}

    def add(self, epoch: float, session: Session) -> None:
        """One more frame."""
        net, p = self.net, session.memory.p
        eta = session.rate.eta if session.rate else self.setting.schedule.rates(np.array([int(epoch)]))[0]
        D, loss = self.shown, self.setting.given_loss
        descent = np.zeros((len(D.X), len(p)), p.dtype)  # −∂E_k/∂p
        opened = [lay_open_at(net, p, D.X[k], D.Y[k], loss, k, descent[k]) for k in range(len(D.X))]
        share = eta * D.c[:, None] if self.plain else 1.0
        frame: dict[str, Any] = {
            "parameters": p,
            "error": session.error(),
            "eta": eta,
            "sampleErrors": [sample.error for sample in opened],
            "units": [quantities(sample) for sample in opened],
            "steps": share * descent * self.setting.trainable,
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
        most = np.finfo(np.float32).max  # what diverges may have larger numbers
        return {
            name: array.astype("<u2") if array.dtype == np.uint16 else array.clip(-most, most).astype("<f4")
            for name, array in found.items()
        }

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
            "dots": [] if self.picture == "table" else rows(thin(self.D, DOTS)),
        }


def known(D: Samples) -> Samples:
    """Those of the samples whose targets are all known."""
    whole = ~np.isnan(D.Y).any(axis=1)
    if not whole.any():
        raise ValueError("fit: a page shows samples whose targets are all known, these data have none")
    return D if whole.all() else Samples(*(array[whole] for array in D))


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
    """−∂E_k/∂ŷ_j; NaN with a loss that goes from the net input at once."""
    if is_of_net_input(sample.loss):
        return np.full(len(y_hat), np.nan)
    formula = loss_formula(sample.loss)
    return np.array([formula(a, b)[1] for a, b in zip(y_hat, sample.y, strict=True)])


def short(values: np.ndarray) -> list[float]:
    """Numbers as a page needs them: with few digits."""
    return [float(f"{value:.6g}") for value in values]
