"""What a user gives for many networks: arguments, each one for all or one for each, become groups."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..common.arguments import (
    MOST,
    as_array,
    as_integer,
    as_real,
    as_seed,
    as_weights,
    beyond,
    check_held,
    describe,
    refuse_masked,
)
from ..kernels.devices import lies_on_gpu
from ..kernels.layout import loss_as_given
from ..networks.architecture import same_kind
from ..networks.evaluation import (
    as_lam,
    as_loss,
    as_network,
    as_samples,
    named,
    rows_of_mean_one,
    weigh_classes,
)
from ..networks.network import Network
from ..networks.networks import Networks
from ..settings.rates import schedule_for
from ..settings.rules import Rule, SecondOrder, as_rule
from ..settings.schedules import AdaptiveRate, Constant, Schedule, check_penalty
from ..settings.stopping import (
    Condition,
    EarlyStopping,
    MaxEpochs,
    NoImprovement,
    StopEvent,
    TargetError,
    TimeLimit,
    as_conditions,
)
from ..training.held_out import as_pair, as_share
from ..training.setting import as_batch_size, as_trainable, check_numbers
from .data import all_rows, concerning, own_data, split_for_each
from .groups import OF_EACH, Data, Group, by_loss, one_of, those_of
from .resuming import Earlier

KNOWN = (MaxEpochs, TargetError, EarlyStopping, NoImprovement, TimeLimit, StopEvent)  # conditions that lanes look at
MOST_IN_RING = 1 << 20  # epochs whose smallest errors are kept for each network


def one_or_each(name: str, value: Any, count: int, convert: Callable[[Any], Any]) -> list[Any]:
    """One converted value for all networks, or a list with one for each."""
    if not isinstance(value, (list, tuple, np.ndarray)) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return [convert(value)]
    refuse_masked(name, value, f"one for all networks, or {count}, one for each")
    if len(value) != count:
        raise ValueError(f"{name}: expected one for all networks, or {count}, one for each; got {len(value)}")
    values = []
    for index, item in enumerate(value):
        with concerning(index):
            values.append(convert(item))
    return values


def each_number(name: str, value: Any, count: int, low: float, high: float = np.inf) -> np.ndarray | None:
    """Many numbers in one array, if that is what came and they are between low and high, ends excluded; else None: then
    ``one_or_each`` says what is wrong, or takes them one by one."""
    if type(value) is not np.ndarray or value.shape != (count,) or value.dtype.kind not in "iuf":
        return None
    numbers = value.astype(np.float64)
    return numbers if bool(((low < numbers) & (numbers < high)).all()) else None


class Given:
    """The arguments of ``train_many``, checked as far as they do not depend on shapes."""

    def __init__(
        self,
        nets: Any,
        X: Any,
        Y: Any,
        *,
        eta: Any = None,
        updates: Any = None,
        loss: Any = None,
        rule: Any = "sgd",
        lam: Any = None,
        stop: Any = None,
        max_epochs: Any = None,
        target_error: Any = None,
        validation: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        missing: Any = None,
        trainable: Any = None,
        train_thresholds: bool = True,
        shuffle: bool = True,
        seed: Any = 0,
        history: bool = False,
        shape_kernels: bool = True,
        resumable: bool = False,
        resume: Any = None,
    ) -> None:
        for name, value in (("X", X), ("Y", Y), ("validation", validation), ("sample_weight", sample_weight)):
            refuse_masked(name, value, "numbers")
        self.kinds = [(members, named(net, X, Y), vectors) for members, net, vectors in as_kinds(nets)]
        self.count = count = sum(len(members) for members, _, _ in self.kinds)
        self.earlier = None if resume is None else Earlier(resume, nets, count, history)
        self.resumable = resumable
        self.losses = one_or_each("loss", loss, count, lambda value: value)
        self.updates = one_or_each("updates", updates, count, lambda value: value)
        self.kinds = by_loss(self.kinds, self.losses)
        self.X, self.Y, self.missing = X, Y, missing
        self.sample_weight, self.class_weight, self.trainable = sample_weight, class_weight, trainable
        self.train_thresholds, self.shuffle, self.history = train_thresholds, shuffle, history
        self.typed = shape_kernels  # see ``Group``
        self.rules = one_or_each("rule", rule, count, partial(as_rule, second_order=True))
        self.etas, self.schedules = self._rates(eta)
        lams = each_number("lam", lam, count, 0.0, 1.0)
        self.lam = np.array(one_or_each("lam", lam, count, lambda value: as_lam(value)[0])) if lams is None else lams
        penalised = np.broadcast_to(self.lam < 1.0, count if max(len(self.etas), len(self.lam)) > 1 else 1)
        for index in np.flatnonzero(penalised).tolist():
            if one_of(self.rules, index).default_eta is not None:
                with concerning(index):
                    check_penalty(float(one_of(self.etas, index)), 1.0 - float(one_of(self.lam, index)))
        self.seeds = np.array(one_or_each("seed", seed, count, lambda value: as_seed("seed", value)), np.uint64)
        if (self.seeds == self.seeds[0]).all():
            self.seeds = self.seeds[:1]
        self._conditions(stop, max_epochs, target_error)
        self.own = _is_own(X)
        if self.own and len(X) != count:
            raise ValueError(f"X: expected one data set for all networks, or {count}, one for each; got {len(X)}")
        if self.own and (not hasattr(Y, "__len__") or len(Y) != count):
            raise ValueError(f"Y: expected {count} sets of targets, one for each network, got {describe(Y)}")
        self.share = as_share(validation)
        self.validation = self._as_validation(validation)

    def _rates(self, eta: Any) -> tuple[np.ndarray, list[Schedule]]:
        """η of each network at first, and its schedule if any network has one."""
        count = self.count
        numbers = each_number("eta", eta, count, 0.0)
        if numbers is not None and all(rule.default_eta is not None for rule in self.rules):
            return numbers, []
        values = one_or_each("eta", eta, count, lambda value: value)
        own = len(self.kinds) > 1 and any(value is None for value in values)  # defaults depend on the network
        schedules: list[Any] = [None] * (count if own else max(len(values), len(self.rules)))
        for members, net, _ in self.kinds if own else self.kinds[:1]:
            loss = as_loss(one_of(self.losses, int(members[0])), net)
            for index in members.tolist() if own else range(len(schedules)):
                rule = one_of(self.rules, index)
                with concerning(index) if len(values) > 1 else contextlib.nullcontext():
                    value = one_of(values, index)
                    schedules[index] = schedule_for(value, rule, net.sizes, net._activations, loss)
        constant = all(type(schedule) is Constant for schedule in schedules)
        return np.array([schedule.eta for schedule in schedules]), [] if constant else schedules

    def _conditions(self, stop: Any, max_epochs: Any, target_error: Any) -> None:
        count = self.count
        conditions = as_conditions(stop, bounded=max_epochs is not None)
        for kind in (EarlyStopping, NoImprovement):
            if sum(isinstance(item, kind) for item in conditions) > 1:
                raise ValueError(f"stop: expected one {kind.__name__} at most")
        for item in conditions:
            if type(item) not in KNOWN:  # nor one derived from these: its own methods would not be asked
                names = ", ".join(kind.__name__ for kind in KNOWN)
                raise ValueError(f"stop: train_many has no {type(item).__name__}; expected {names}; train has others")
        own: list[tuple[str, Any, type[Condition]]] = [
            ("max_epochs", max_epochs, MaxEpochs),
            ("target_error", target_error, TargetError),
        ]
        for name, value, condition in own:
            if value is not None and any(isinstance(item, condition) for item in conditions):
                raise ValueError(f"{name}: expected None, or no {condition.__name__} in stop")
        most = [item.epochs for item in conditions if isinstance(item, MaxEpochs)]
        targets = [item.error for item in conditions if isinstance(item, TargetError)]
        self.epochs = np.array([min(most, default=MOST)])
        self.target_errors = np.array([max(targets, default=-np.inf)])
        if max_epochs is not None:
            self.epochs = np.array(
                one_or_each("max_epochs", max_epochs, count, lambda v: as_integer("max_epochs", v, low=1))
            )
            conditions = [*conditions, MaxEpochs(1)]  # for its name
        if target_error is not None:
            as_error = lambda value: as_real("target_error", value, low=0)  # noqa: E731
            self.target_errors = np.array(one_or_each("target_error", target_error, count, as_error))
            conditions = [*conditions, TargetError(0.0)]
        self.conditions = conditions
        for item in conditions:
            if isinstance(item, NoImprovement) and item.tolerance > 0 and self.epochs.max() > item.patience:
                name = "patience of NoImprovement with a tolerance, in train_many"  # a ring of so many errors each
                as_integer(name, item.patience, low=1, high=MOST_IN_RING)

    def _as_validation(self, validation: Any) -> tuple[Any, Any, Any] | None:
        if self.share is not None:
            if self.own or np.ndim(self.sample_weight) == 2:
                raise ValueError(
                    "validation: a share goes with one data set and the same weights for all networks; expected "
                    f"(X, Y, mask), or (list of X, list of Y), got {describe(validation)}"
                )
            return None
        if validation is None:
            if any(isinstance(item, EarlyStopping) for item in self.conditions):
                raise ValueError("validation: EarlyStopping needs a validation set (X, Y), got None")
            return None
        validation = as_pair(validation)
        if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
            expected = "(X, Y), (X, Y, mask) or a share such as 0.2"
            raise TypeError(f"validation: expected {expected}, got {describe(validation)}")
        X, Y, *mask = validation
        if _is_own(X) and not (len(X) == self.count and hasattr(Y, "__len__") and len(Y) == self.count):
            raise ValueError(f"validation: expected one set for all networks, or {self.count}, one for each")
        if mask:
            wanted = f"booleans of shape ({self.count}, m)"
            if not isinstance(mask[0], np.ndarray) or mask[0].dtype != bool or mask[0].ndim != 2:
                raise ValueError(f"validation mask: expected {wanted}, got {describe(mask[0])}")
            return X, Y, mask[0].astype(np.float64)
        return X, Y, None

    # --- Groups.

    def groups(self) -> list[Group]:
        """All networks, each in one group."""
        groups = []
        for members, net, parameters in self.kinds:
            self._check_numbers(net.dtype, members)
            loss = as_loss(one_of(self.losses, int(members[0])), net, self.missing)
            self._check_rules(loss, members)
            mask = as_trainable(self.trainable, net, self.train_thresholds)
            if self.share is not None:
                everything = as_samples(net, self.X, self.Y, loss, self.sample_weight, self.class_weight)
                D, V = split_for_each(net, everything, self.share, those_of(self.seeds, members), len(members))
            else:
                D = self._data(net, members, self.X, self.Y, self.sample_weight, loss, ("X", "Y", "sample_weight"))
                V = Data(D.X[:0], D.Y[:0], None, None, D.numbers[:0])
            if self.validation is not None:
                names = "validation X", "validation Y", "validation mask"
                V = self._data(net, members, *self.validation, loss, names)
            settings: dict[str, Any] = {name: those_of(getattr(self, name), members) for name in OF_EACH}
            whole = Group(
                net=net,
                start=parameters,
                members=members,
                D=D,
                V=V,
                loss=loss,
                size=None,
                shuffle=self.shuffle,
                trainable=mask,
                conditions=[item for item in self.conditions if not isinstance(item, (TimeLimit, StopEvent))],
                history=self.history,
                typed=self.typed,
                resumable=self.resumable,
                **settings,
            )
            for places in self._alike(members):
                part = whole if len(places) == len(members) else whole.part(places)
                updates = one_of(self.updates, int(part.members[0]))
                part = replace(part, size=as_batch_size(updates, part.rules[0]))
                groups += [part] if self.earlier is None else self.earlier.taken_up(part)
        return groups

    def _check_rules(self, loss: str, members: np.ndarray) -> None:
        """Refuse a loss, or a λ, that a rule of second order cannot take."""
        for index in members.tolist() if max(len(self.rules), len(self.lam)) > 1 else [0]:
            rule: Rule = one_of(self.rules, index)
            if isinstance(rule, SecondOrder):
                lam = float(one_of(self.lam, index))
                with concerning(index) if len(members) > 1 and len(self.rules) > 1 else contextlib.nullcontext():
                    rule.check(loss_as_given(loss), lam if lam < 1.0 else None)

    def _check_numbers(self, dtype: np.dtype, members: np.ndarray) -> None:
        """Refuse settings that the dtype of these networks cannot hold, naming the network where it has its own."""
        check_numbers(dtype, conditions=self.conditions)
        numbers: list[tuple[str, Any]] = [("eta", self.etas), ("lam", self.lam), ("target_error", self.target_errors)]
        for name, values in numbers:
            mine = those_of(values, members)
            for place in np.flatnonzero(beyond(mine, dtype))[:1].tolist():
                with concerning(int(members[place])) if len(values) > 1 else contextlib.nullcontext():
                    check_held(name, float(mine[place]), dtype)
        checked: set[int] = set()
        for records in (self.rules, self.schedules):
            for index in members.tolist() if len(records) > 1 else [0] * len(records):
                record: Any = records[index]
                if id(record) not in checked:
                    with concerning(index) if len(records) > 1 else contextlib.nullcontext():
                        for name, value, apart in record.held():
                            check_held(name, value, dtype, apart)
                    checked.add(id(record))

    def _alike(self, members: np.ndarray) -> list[np.ndarray]:
        """Those of these networks, by their places, that differ in numbers only: not in the class of rule, in whether
        the rate adapts, in whether there is a λ, or in the size of batches."""
        if max(len(self.rules), len(self.schedules), len(self.lam), len(self.updates)) == 1 or not len(self.rules):
            return [np.arange(len(members))]
        keys = [
            (
                type(one_of(self.rules, member)),
                bool(self.schedules) and isinstance(one_of(self.schedules, member), AdaptiveRate),
                bool(one_of(self.lam, member) < 1.0),
                one_of(self.updates, member),
            )
            for member in members
        ]
        return [np.array([i for i, key in enumerate(keys) if key == kind]) for kind in dict.fromkeys(keys)]

    def _data(
        self, net: Network, members: np.ndarray, X: Any, Y: Any, weights: Any, loss: str, names: tuple[str, str, str]
    ) -> Data:
        own = _is_own(X)
        class_weight = self.class_weight if names[0] == "X" else None
        if own:
            return own_data(net, members, X, Y, weights, class_weight, loss, names)
        by_network = weights is not None and np.ndim(weights) == 2
        if not by_network:
            D = as_samples(net, X, Y, loss, weights, class_weight, names=names)
            c = None if weights is None and class_weight is None else np.broadcast_to(D.c, (len(members), len(D.c)))
            return Data(D.X, D.Y, c, None, D.numbers)
        frame = net._architecture.table(names[0], X)
        if frame is None and not lies_on_gpu(X):
            X = net._architecture.as_samples(names[0], X)
        m = int(X.shape[0]) if frame is None else len(frame)
        expected = f"finite numbers of shape ({self.count}, {m})"
        table = as_array(names[2], weights, np.dtype(np.float64), expected)
        if table.shape != (self.count, m):
            raise ValueError(f"{names[2]}: expected {expected}, got shape {table.shape}")
        table = table[members]
        if wrong := np.flatnonzero((table < 0).any(1) | ~(table > 0).any(1)).tolist():
            with concerning(int(members[wrong[0]])):
                as_weights(names[2], table[wrong[0]], m)
        present = table.any(0)
        D = as_samples(net, X, Y, loss, None if present.all() else present.astype(float), names=names)
        if len(D.X) < m:
            D = all_rows(D, m)
            table[:, D.c == 0] = 0.0
            if wrong := np.flatnonzero(~table.any(1)).tolist():
                with concerning(int(members[wrong[0]])):
                    raise ValueError(f"{names[1]}: expected a target that is known, got NaN alone")
        if class_weight is not None:
            by_number = class_weight if net.columns is None else net.columns.class_weight(class_weight)
            labels = net._architecture.classes_of_targets(names[1], net._architecture.unscaled_outputs(D.Y))
            for member, row in zip(members, table, strict=True):
                with concerning(int(member)):
                    weigh_classes(row, by_number, labels, max(2, D.Y.shape[1]))
        c = rows_of_mean_one(table, net.dtype)[0].astype(net.dtype)
        return Data(D.X, D.Y, c, None, D.numbers)


def _is_own(X: Any) -> bool:
    """Whether there is a data set for each network, not one for all."""
    if isinstance(X, np.ndarray):
        return X.ndim == 3 or (X.dtype == object and X.ndim == 1 and len(X) > 0 and np.ndim(X[0]) == 2)
    return isinstance(X, (list, tuple)) and len(X) > 0 and np.ndim(X[0]) == 2


def as_kinds(nets: Any) -> list[tuple[np.ndarray, Network, np.ndarray]]:
    """The networks by kind: their numbers, one of them, their parameters."""
    if isinstance(nets, Networks):
        return [(np.arange(len(nets)), as_network(nets._first), nets.parameters)]
    if isinstance(nets, Network) or not isinstance(nets, (list, tuple)):
        raise TypeError(f"nets: expected bpjit.Networks or a list of bpjit.Network, got {describe(nets)}")
    if not nets:
        raise ValueError("nets: expected one network at least, got none")
    by_shape: dict[Any, list[tuple[Network, list[int]]]] = {}
    for index, net in enumerate(nets):
        with concerning(index):
            as_network(net)
        alike = by_shape.setdefault((net.sizes, net._activations, net.dtype), [])
        for first, numbers in alike:
            if same_kind(first, net):
                numbers.append(index)
                break
        else:
            alike.append((net, [index]))
    return [
        (np.array(numbers), first, np.stack([nets[index]._parameters for index in numbers]))
        for alike in by_shape.values()
        for first, numbers in alike
    ]
