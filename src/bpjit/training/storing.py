"""A ``Fit`` as one safetensors file: all that it holds but the data, of which it keeps what pickles keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_choice, describe
from ..common.files import joined, parted
from ..kernels.state import EPOCH, POSITION, Memory, Samples
from ..networks import storage
from ..networks.network import Network
from ..settings.stopping import Falls
from .fit import Evidence, Fit
from .kinds import session_of_second_order
from .origin import Origin, Ranges, Trace
from .record import Record
from .session import Rate, Session
from .setting import Setting, setting_of

FORMAT, VERSION = "bpjit fit", "1"  # of files
OLDER: tuple[str, ...] = ()  # versions that are read too
NUMBERS = dict.fromkeys(("error", "objective", "seconds", "compile_seconds"), (int, float))
KINDS: dict[str, Any] = {
    **NUMBERS,
    **dict.fromkeys(("epochs", "updates", "network_epoch"), int),
    "best_epoch": (int, type(None)),
}
KINDS |= dict.fromkeys(("stopped_by", "target"), str)
SAID = (*KINDS, "evidence")


def save(path: str | PathLike[str], fit: Fit, run: Mapping[str, Any] | None = None) -> None:
    """Write a fit, whole or not at all; and what is known of the ``run`` that goes on from there, as JSON can say it.
    ``TypeError`` names a setting that no file can say."""
    if not fit._state:
        raise ValueError("fit: expected one that train returned, got one without the state of a training")
    tensors: dict[str, np.ndarray] = {}
    words = {"fit": json.dumps(parted(tree_of(fit), tensors))}
    if run is not None:
        words["run"] = json.dumps(run)
    storage.save(path, FORMAT, VERSION, fit.network._architecture, tensors, words)


def load(path: str | PathLike[str]) -> tuple[Fit, dict[str, Any] | None]:
    """What ``save`` wrote."""
    with storage.opened(path, FORMAT, VERSION, OLDER) as file:
        tree = joined(json.loads(file.words["fit"]), file.tensors)
        net = Network(file.sizes, tree["network"], dtype=tree["network"].dtype, **file.settings)
        fit = fit_of(net, tree)
        return fit, json.loads(file.words["run"]) if "run" in file.words else None


def tree_of(fit: Fit) -> dict[str, Any]:
    """All but the architecture of the network, as ``parted`` takes it."""
    return {
        **{name: getattr(fit, name) for name in SAID},
        "network": fit.network._parameters,
        "setting": _tree_of_setting(fit._state["setting"]),
        "state": _tree_of_state(fit._state),
        "origin": None if fit._origin is None else _tree_of_origin(fit._origin.without_data()),
    }


def fit_of(net: Network, tree: dict[str, Any]) -> Fit:
    """The fit of a network that ``tree_of`` said."""
    setting = _setting_of(net, tree["setting"])
    state = _state_of(net, setting, tree["state"])
    record, evidence = state["record"], tree["evidence"]
    as_choice("target", tree["target"], ("cpu", "cuda"))
    for name, kind in KINDS.items():
        if not isinstance(tree[name], kind) or isinstance(tree[name], bool):
            raise ValueError(f"expected {name} of another kind, got {describe(tree[name])}")
    return Fit(
        **{name: tree[name] for name in SAID if name != "evidence"},
        evidence=None if evidence is None else Evidence(*evidence),
        network=net,
        errors=record.errors.copy(),
        validation_errors=record.validation_errors.copy(),
        recorded=record.recorded,
        _state=state,
        _origin=None if tree["origin"] is None else _origin_of(net, tree["origin"]),
    )


# --- Settings.


def _tree_of_setting(setting: Setting) -> dict[str, Any]:
    return {"words": setting.words(), "trainable": setting.trainable}


def _setting_of(net: Network, tree: dict[str, Any]) -> Setting:
    return setting_of(net, tree["words"], tree["trainable"])


# --- The state that a training goes on from.


def _tree_of_state(state: dict[str, Any]) -> dict[str, Any]:
    start = state["epoch_start"]
    memories = {name: _tree_of_memory(memory) for name, memory in state["memories"].items()}
    return {
        "memory": state["memory"]._asdict(),
        "rate": None if state["rate"] is None else asdict(state["rate"]),
        "epoch_start": None if start is None else start._asdict(),
        "shape": state["shape"],
        "record": state["record"].tree(),
        "memories": {name: memory for name, memory in memories.items() if memory is not None},
        "unasked": state.get("unasked", ()),
    }


def _state_of(net: Network, setting: Setting, tree: dict[str, Any]) -> dict[str, Any]:
    memory, rate, start = _memory_of(net, setting, tree["memory"]), tree["rate"], tree["epoch_start"]
    record, shape = Record.of_tree(tree["record"]), tuple(int(number) for number in tree["shape"])
    if rate is not None:
        _check_like("rate", rate["vector"], net._parameters)
    if record.epochs != memory.counters[EPOCH] or not 0 <= memory.counters[POSITION] <= sum(shape[:2]):
        raise ValueError("expected counters that fit the record and the samples")
    return {
        "memory": memory,
        "rate": None if rate is None else Rate(**rate),
        "epoch_start": None if start is None else _memory_of(net, setting, start),
        "shape": shape,
        "record": record,
        "memories": {name: _remembered(part) for name, part in tree["memories"].items()},
        "unasked": tuple(tree["unasked"]),
        "setting": setting,
    }


def _memory_of(net: Network, setting: Setting, tree: dict[str, Any]) -> Memory:
    made, kind = Memory(**tree), session_of_second_order(setting.rule) or Session
    for name, array, like in zip(Memory._fields, made, kind.first_memory(net, setting), strict=True):
        _check_like(name, array, like)
    return made


def _check_like(name: str, array: np.ndarray, like: np.ndarray) -> None:
    if (array.shape, array.dtype) != (like.shape, like.dtype):
        raise ValueError(f"expected {name} of {like.dtype} {like.shape}, got {array.dtype} {array.shape}")


def _tree_of_memory(memory: Any) -> dict[str, Any] | None:
    """What a condition of bpjit's remembers; None for others, which look at the epochs that were recorded."""
    falls, tail = memory if type(memory) is tuple and len(memory) == 2 else (memory, None)
    return {"falls": falls._asdict(), "tail": tail} if isinstance(falls, Falls) else None


def _remembered(tree: dict[str, Any]) -> Any:
    falls = Falls(**tree["falls"])
    return falls if tree["tail"] is None else (falls, tree["tail"])


# --- Where it began.


def _tree_of_origin(origin: Origin) -> dict[str, Any]:
    trace, state = origin.trace, origin.state
    assert trace is not None
    return {
        "start": origin.net._parameters,
        "setting": _tree_of_setting(origin.setting),
        "target": origin.target,
        "count": origin.count,
        "state": None if state is None else _tree_of_state(state),
        "trace": {
            "count": trace.count,
            "numbers": trace.numbers,
            "c": trace.c,
            "digest": trace.digest.hex(),
            "sample": trace.sample._asdict(),
            "ranges": trace.ranges._asdict(),
            "in_blocks": trace.in_blocks,
        },
        "in_shares": origin.in_shares,
    }


def _origin_of(net: Network, tree: dict[str, Any]) -> Origin:
    start, setting = net.with_parameters(tree["start"]), _setting_of(net, tree["setting"])
    state, trace, known = tree["state"], tree["trace"], tree["trace"]["numbers"]
    sample, ranges, present = Samples(**trace["sample"]), Ranges(**trace["ranges"]), trace["count"]
    d, l, rows = net.sizes[0], net.sizes[-1], len(sample.X)
    shapes = [(rows, d), (rows, l), (rows,), (rows,), (2, d), (2, l)]
    if [array.shape for array in (*sample, *ranges)] != shapes:
        raise ValueError(f"expected samples of {d} inputs and {l} targets")
    if known is not None:
        present = len(known)
    if trace["c"] is not None and trace["c"].shape != (present,):
        raise ValueError(f"expected a weight for each of {present} samples, got {trace['c'].shape}")
    return Origin(
        start,
        setting,
        tree["target"],
        tree["count"],
        None,
        None if state is None else _state_of(net, setting, state),
        Trace(
            trace["count"],
            known,
            trace["c"],
            bytes.fromhex(trace["digest"]),
            sample,
            ranges,
            trace.get("in_blocks", False) is True,
        ),
        tree.get("in_shares", False) is True,
    )
