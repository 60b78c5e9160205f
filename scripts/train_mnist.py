"""Train a network on the handwritten digits of MNIST: in the setting of M. Nielsen's *Neural Networks and Deep
Learning* (``--setting nielsen``: 784-30-10 sigmoid units, squared error, mini-batches of 10, learning rate 3), beside
the accuracies published for it, or in a better one (``--setting best``: 784-100-10, ReLU, softmax). The data are an
.npz file with x_train, y_train, x_test, y_test, or a folder with the four original IDX files, .gz or not. Run with
``python scripts/train_mnist.py --data mnist.npz``.
"""

from __future__ import annotations

import argparse
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

import bpjit
from script_tools import BadInput, Help, positive, read_npz, run, table, unless_interrupted, whole

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PUBLISHED = "published for the setting nielsen: 90-91 % after the first epoch, 94.8-95.2 % after 30"


@dataclass(frozen=True)
class Setting:
    """A network and how it is trained on the first ``images`` training images."""

    units: int
    hidden: str
    output: str
    init: str
    schedule: Callable[[float, int], bpjit.Constant | bpjit.Cosine]
    eta: float
    updates: str | int
    lam: float | None
    epochs: int
    images: int


SETTINGS = {
    "nielsen": Setting(
        units=30,
        hidden="sigmoid",
        output="sigmoid",
        init="normal",
        schedule=lambda eta, epochs: bpjit.Constant(eta),
        eta=3.0,
        updates=10,
        lam=None,
        epochs=30,
        images=50_000,
    ),
    "best": Setting(
        units=100,
        hidden="relu",
        output="softmax",
        init="he",
        schedule=lambda eta, epochs: bpjit.Cosine(eta, epochs=epochs),
        eta=0.2,
        updates=10,
        lam=1 - 1e-5,
        epochs=30,
        images=60_000,
    ),
}


@dataclass(frozen=True)
class Digits:
    """Images as rows of pixels from 0 to 255/256, [shape: (m, 784)], and the digits they show, [shape: (m,)]."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


# --- Reading.


def read_idx(path: Path) -> np.ndarray:
    """The unsigned bytes of an IDX file: two zeros, type 8, the number of axes, their lengths, then the bytes."""
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        raise BadInput(f"{path.parent}: expected the file {path.name} or {packed.name} in this folder, found neither")
    try:
        content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as problem:
        raise BadInput(f"{packed if not path.exists() else path}: cannot be read ({problem})") from None
    axes = content[3] if len(content) > 3 else 0
    begin = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[first : first + 4], "big") for first in range(4, begin, 4))
    if content[:3] != b"\0\0\x08" or not axes or len(content) != begin + int(np.prod(shape, dtype=object)):
        raise BadInput(f"{path}: expected a whole IDX file of unsigned bytes")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def read(path: Path, images: int, dtype: str) -> Digits:
    """The digits of an .npz file or of a folder of IDX files, the first ``images`` of them to train on."""
    if path.is_dir():
        arrays = [read_idx(path / name) for name in IDX_FILES]
    else:
        arrays = read_npz(path, ("x_train", "y_train", "x_test", "y_test"))
    for x, y in (arrays[:2], arrays[2:]):
        if x.ndim != 3 or x.shape[1:] != (28, 28) or y.shape != x.shape[:1] or len(x) == 0:
            raise BadInput(f"{path}: expected images (m, 28, 28) and labels (m,), got {x.shape} and {y.shape}")
        if x.dtype != np.uint8 or y.dtype.kind not in "iu" or y.min() < 0 or y.max() > 9:
            raise BadInput(f"{path}: expected pixels of type uint8 and labels from 0 to 9, got {x.dtype} and {y.dtype}")
    x_train, y_train, x_test, y_test = arrays
    x_train, y_train = x_train[:images], y_train[:images]
    pixels = [x.reshape(len(x), -1).astype(dtype) / 256 for x in (x_train, x_test)]
    return Digits(pixels[0], y_train.astype(int), pixels[1], y_test.astype(int))


# --- Training.


def accuracy(net: bpjit.Network, digits: Digits) -> float:
    """Share of the test images in % that the network reads rightly."""
    return 100.0 * float((net.classify(digits.x_test) == digits.y_test).mean())


class Watch:
    """A callback: tests the network after an epoch, shows it, and keeps the time that this takes."""

    def __init__(self, digits: Digits, seed: int, bar: tqdm) -> None:
        self.digits, self.seed, self.bar = digits, seed, bar
        self.first: float | None = None
        self.seconds = 0.0

    def __call__(self, event: bpjit.Progress) -> None:
        started = perf_counter()
        percent = accuracy(event.network, self.digits)
        if event.epoch == 1:
            self.first = percent
        if event.epoch == 1 or event.epoch % 5 == 0:
            tqdm.write(f"seed {self.seed}, epoch {event.epoch}: {percent:.2f} %")
        self.bar.set_postfix_str(f"{percent:.2f} %", refresh=False)
        self.bar.update()
        self.seconds += perf_counter() - started


def train(digits: Digits, setting: Setting, seed: int, dtype: str) -> tuple[float, float, float]:
    """Test accuracies in % after the first and the last epoch, and the seconds of the training alone."""
    sizes = (digits.x_train.shape[1], setting.units, 10)
    net = bpjit.Network.random(
        sizes, hidden=setting.hidden, output=setting.output, init=setting.init, seed=seed, dtype=dtype
    )
    with tqdm(total=setting.epochs, desc=f"seed {seed}", unit="epoch", disable=None, leave=False) as bar:
        watch = Watch(digits, seed, bar)
        fit = bpjit.train(
            net,
            digits.x_train,
            np.eye(10)[digits.y_train],
            eta=setting.schedule(setting.eta, setting.epochs),
            updates=setting.updates,
            lam=setting.lam,
            stop=setting.epochs,
            seed=seed,
            progress=False,
            callback=watch,
        )
    unless_interrupted(fit)
    if fit.stopped_by == "diverged":
        raise BadInput(f"the training with seed {seed} diverged after {fit.epochs} epochs; try a smaller --eta")
    last = accuracy(fit.network, digits)
    return last if watch.first is None else watch.first, last, fit.seconds - watch.seconds


def measure(options: argparse.Namespace) -> int:
    """Train from all seeds and print the table."""
    setting = SETTINGS[options.setting]
    names = {"hidden": "units", "eta": "eta", "updates": "updates", "epochs": "epochs", "images": "images"}
    given = {field: getattr(options, name) for name, field in names.items() if getattr(options, name) is not None}
    setting = replace(setting, **given)
    digits = read(options.data, setting.images, options.dtype)
    schedule = type(setting.schedule(setting.eta, setting.epochs)).__name__
    print(
        f"{options.setting}: 784-{setting.units}-10, {setting.hidden} and {setting.output}, {schedule} eta "
        f"{setting.eta:g}, lam {setting.lam}, updates {setting.updates}, {setting.epochs} epochs of "
        f"{len(digits.x_train)} images, {options.dtype}"
    )
    results = np.array([train(digits, setting, seed, options.dtype) for seed in range(options.seeds)])
    rows = [cells(str(seed), result) for seed, result in enumerate(results)]
    print(f"\nTest accuracy in % on {len(digits.x_test)} images\n")
    print(
        table(["seed", "after 1", f"after {setting.epochs}", "seconds"], [*rows, cells("mean", results.mean(axis=0))])
    )
    print(f"\n{PUBLISHED}")
    return 0


def cells(name: str, result: np.ndarray) -> list[str]:
    """A row of the table."""
    first, last, seconds = result
    return [name, f"{first:.2f}", f"{last:.2f}", f"{seconds:.1f}"]


def updates(text: str) -> str | int:
    """How often to update, as ``bpjit.train`` takes it."""
    if text in ("stochastic", "accumulated"):
        return text
    try:
        return whole(text)
    except (ValueError, argparse.ArgumentTypeError):
        expected = '"stochastic", "accumulated" or a mini-batch size >= 1'
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text}") from None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Train a network on MNIST and set the test accuracy beside published ones.", formatter_class=Help
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FILE", help=".npz file, or folder with the four IDX files")
    add("--setting", choices=list(SETTINGS), default="nielsen", help="network and training")
    add("--hidden", type=whole, metavar="UNITS", help="hidden units, not those of the setting")
    add("--eta", type=positive, help="learning rate, not that of the setting")
    add(
        "--updates",
        type=updates,
        metavar="HOW",
        help='"stochastic", "accumulated" or a mini-batch size, not that of the setting',
    )
    add("--epochs", type=whole, help="epochs, not those of the setting")
    add("--images", type=whole, help="train on the first so many images, not those of the setting")
    add("--seeds", type=whole, default=3, help="trainings, with seeds 0, 1, ...")
    add("--dtype", choices=["float64", "float32"], default="float64", help="type of the numbers")
    return run(measure, parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
