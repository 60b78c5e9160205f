"""Rules, schedules and conditions as words of a file, and back; and what differs between two sets of settings."""

import json
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import bpjit
from bpjit.common import files
from bpjit.maths.own import UnknownFormula
from bpjit.settings.rules import RULES, SECOND_ORDER, Rule, as_rule
from bpjit.settings.rules.own import KNOWN
from bpjit.settings.schedules import Schedule
from bpjit.settings.stopping import Condition, MaxEpochs, StopEvent
from bpjit.settings.words import check_same, from_words, in_words, is_sayable
from bpjit.training.setting import as_setting, setting_of

NET = bpjit.Network.random((2, 3, 1))


@bpjit.rule(starts=(0.0,), eta=0.1, mu=0.5, leak=0.0)
def leaky(w, g, state, eta, settings):
    m = settings.mu * state[0] + eta * g - settings.leak * w
    return w + m, (m,)


def again(part, kind):
    return from_words(json.loads(json.dumps(in_words(part))), kind)


@pytest.mark.parametrize(
    "rule",
    [
        *map(as_rule, RULES),
        *(as_rule(name, second_order=True) for name in SECOND_ORDER),
        bpjit.Adam(beta1=0.1 + 0.2, epsilon=1e-300),
        bpjit.Rprop(variant="iRprop+", delta0=(0.05, 0.1)),
        leaky,
        leaky(mu=1 / 3),
    ],
    ids=repr,
)
def test_rules(rule):
    assert again(rule, Rule) == rule


@pytest.mark.parametrize(
    "schedule",
    [
        bpjit.Constant(1 / 3),
        bpjit.StepDecay(0.5, 0.1, 7),
        bpjit.InverseTime(0.5, 1e-5),
        bpjit.Cosine(0.5, 10, 0.1),
        bpjit.AdaptiveRate(0.3, 1.1),
    ],
)
def test_schedules(schedule):
    assert again(schedule, Schedule) == schedule


@pytest.mark.parametrize(
    "condition",
    [
        bpjit.MaxEpochs(np.int64(3)),
        bpjit.TimeLimit(np.float32(0.1)),
        bpjit.TargetError(1e-3),
        bpjit.NoImprovement(5, 1e-9),
        bpjit.GradientNorm(1e-7, 3),
        bpjit.EarlyStopping(every=5, generalization_loss=5, progress=0.1),
        bpjit.EarlyStopping(patience=3),
    ],
)
def test_conditions(condition):
    assert again(condition, Condition) == condition


@dataclass(frozen=True)
class Mine(Condition):
    last: int = 3


class MyAdam(bpjit.Adam):
    pass


class MySchedule(Schedule):
    pass


@pytest.mark.parametrize(
    ("part", "argument"),
    [
        (Mine(), "stop"),
        (StopEvent(threading.Event()), "stop"),
        (MyAdam(), "rule"),
        (MySchedule(0.1), "eta"),
        (type("MaxEpochs", (MaxEpochs,), {})(3), "stop"),
    ],
)
def test_what_no_file_can_say(part, argument):
    assert not is_sayable(part)
    with pytest.raises(TypeError, match=f"^{argument}: a file holds what bpjit has or makes"):
        in_words(part)


@pytest.mark.parametrize(
    ("words", "kind", "error"),
    [
        (["adamant", {}], Rule, ValueError),
        (["np", {}], Condition, ValueError),
        (["MaxEpochs", {"epochs": 3}], Schedule, ValueError),
        (["Constant", {"eta": 0.1}], Condition, ValueError),
        (["adam", {"beta": 1}], Rule, TypeError),
        (["mine#0123456789abcdef", {"values": []}], Rule, UnknownFormula),
    ],
)
def test_words_that_say_nothing(words, kind, error):
    with pytest.raises(error):
        from_words(words, kind)


def test_a_rule_of_ones_own_is_read_where_it_was_made():
    words = in_words(leaky)
    known = KNOWN.pop(leaky.form.in_full)
    try:
        with pytest.raises(UnknownFormula, match=r"rule: 'leaky#\w{16}' is not known here; make it first"):
            from_words(words, Rule)
    finally:
        KNOWN[leaky.form.in_full] = known
    assert from_words(words, Rule) == leaky


SETTINGS = {
    "loss": None,
    "missing": None,
    "rule": "sgd",
    "eta": None,
    "updates": None,
    "lam": None,
    "shuffle": True,
    "seed": 0,
    "trainable": None,
    "train_thresholds": True,
}
OTHERS = [
    {"loss": "huber"},
    {"missing": "ignore"},
    {"rule": bpjit.Adam(beta1=0.8)},
    {"eta": bpjit.AdaptiveRate(0.3)},
    {"updates": 4},
    {"lam": 1 - 1e-9},
    {"shuffle": False},
    {"seed": 2**64 - 1},
    {"trainable": [True, False]},
    {"loss": bpjit.loss(lambda y_hat, y: (y_hat - y) ** 4, name="fourth"), "missing": "ignore"},
    {"rule": leaky, "updates": "accumulated"},
    {"rule": "rprop"},
    {"rule": "br"},
]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: " ".join(other))
def test_a_setting(other):
    setting = as_setting(NET, **SETTINGS | other, second_order=True)
    read = setting_of(NET, json.loads(json.dumps(setting.words())), setting.trainable)
    read.check_same(setting)
    assert (read.lam, read.size, str(read.loss)) == (setting.lam, setting.size, str(setting.loss))
    with pytest.raises(ValueError, match=f"^({'|'.join(other)}): the file was made with .*; give the same settings"):
        as_setting(NET, **SETTINGS, second_order=True).check_same(setting, "the file was made")


def test_what_differs_is_named():
    check_same({"a": 1, "b": np.arange(2)}, {"a": 1, "b": np.arange(2)}, "", "")
    for now, before, message in (
        ({"a": 1, "eta": 0.2}, {"a": 1, "eta": 0.1}, "eta: the run was made with 0.1, got 0.2; give the same settings"),
        ({"b": np.arange(3)}, {"b": np.arange(2)}, "b: the run was made with another; give the same settings"),
        ({"b": None}, {"b": np.arange(2)}, "b: the run was made with another; give the same settings"),
        ({"c": 1}, {}, "c: the run was made with None, got 1"),
        ({}, {"c": 1}, "c: the run was made with 1, got None"),
    ):
        with pytest.raises(ValueError) as caught:
            check_same(now, before, "the run was made", "begin anew")
        assert str(caught.value).startswith(message)


def test_an_older_version_is_read_and_a_newer_one_refused(tmp_path):
    path = tmp_path / "file"
    files.write(path, "bpjit thing", "1", {"said": "x"}, {"numbers": np.arange(3)})
    words, tensors = files.read(path, "bpjit thing", "2", ("1",))
    assert (words["version"], words["said"], tensors["numbers"].tolist()) == ("1", "x", [0, 1, 2])
    with pytest.raises(ValueError, match="of version '1', not '2'; another bpjit may read it"):
        files.read(path, "bpjit thing", "2")
    files.write(path, "bpjit thing", "10", {}, {})
    with pytest.raises(ValueError, match="of version '10', not '9' or '8'; a newer bpjit may read it"):
        files.read(path, "bpjit thing", "9", ("8",))
