"""Hostile input to all that reads files and objects of others; see hostile.py."""

import contextlib
import copy
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import bpjit
from hostile import FLOATS, TEXTS, VALUES, attack, attack_objects, bent, changed_array, changed_text, fence

SCALE = bpjit.Scale([1.0, 2.0], [4.0, 5.0], [0.5], [2.0])
COLUMNS = bpjit.Columns(["a", bpjit.Column("b", ("x", "y"), (0.5, 0.5), True)], [bpjit.Column("c", (1, 2, 7))])
SAMPLES = np.linspace(-1, 1, 10).reshape(5, 2), np.linspace(0.1, 0.9, 5)
M = np.arange(60)
DAYS = np.array(["2026-01-01", "2026-01-02", "2026-02-01"], "datetime64[D]")
TABLE = {"day": DAYS[M // 20], "item": M % 2, "x": np.sin(M), "y": np.cos(M)}
NAMES = {"key": ["day", "item"], "inputs": "x", "outputs": "y"}
SETTINGS = {"hidden": 2, "stop": [bpjit.MaxEpochs(3), bpjit.EarlyStopping(3)], "validation": 0.3}


def network():
    own = bpjit.activation(lambda z: z / (1 + z * z), name="of_hostile_tests")
    return bpjit.Network.random((2, 3, 2, 1), ["tanh", own], bpjit.formulas.elu(alpha=2.0), scale=SCALE)


def network_of_a_table():
    return bpjit.Network.random((3, 4, 3), "relu", "softmax", columns=COLUMNS, dtype="float32")


def networks():
    return bpjit.Networks.random((2, 3, 1), 3, "tanh", "identity", scale=SCALE)


def bank():
    rule = bpjit.Adam(beta1=0.8)
    return bpjit.LearnerBank(networks(), ["a", ("b", 1), None], rule=rule, lam=0.99, clip_gradient=1.0)


def groups():
    return bpjit.fit_groups(TABLE, **NAMES, **SETTINGS)


def bank_of_groups():
    return groups().bank()


def fit():
    return bpjit.train(network(), *SAMPLES, rule="adam", updates=2, stop=[3, bpjit.NoImprovement(2)])


def learner():
    return bpjit.OnlineLearner(network(), rule="momentum", eta=0.1)


class Run:
    """A training that is kept in a file, which a later call goes on from."""

    def __init__(self, train, nets):
        self.train, self.nets = train, nets

    def save(self, path):
        self.train(self.nets, *SAMPLES, stop=3, checkpoint=path)

    def load(self, path):
        try:
            self.train(self.nets, *SAMPLES, stop=3, resume=path)
        except ValueError as error:  # it names the argument that does not fit
            raise ValueError(f"path: {error}") from error
        return self


def run():
    return Run(bpjit.train, network())


def run_of_many():
    return Run(bpjit.train_many, [network(), bpjit.Network.random((2, 2, 1))])


# What is written by ``save``, and read by the ``load`` of its class, or of the same object.
FILES = (network, network_of_a_table, networks, bank, groups, bank_of_groups, fit, learner, run, run_of_many)


def attack_file(make, cases, seed):
    written = make()
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder, "file"), Path(folder, "again")
        written.save(path)

        def load(path):
            read = (written if isinstance(written, Run) else type(written)).load(path)
            repr(read)
            if make is groups:
                repr(read.table)
                for key in read.keys:
                    with contextlib.suppress(KeyError):  # of a key that has no network
                        read[key]
            if not again.exists():  # it takes its time
                read.save(again)

        return attack(path, load, cases, seed)


# --- Objects of others.


def lines_of_workers(cases, seed):
    """Tables that ``GroupFit.joined`` takes."""
    worker = bpjit.GroupWorker(**NAMES, **SETTINGS)
    rows = [(TABLE["day"] == day) & (TABLE["item"] == 0) for day in DAYS]
    lines = [worker({name: values[there] for name, values in TABLE.items()}) for there in rows]
    right = {name: [value for line in lines for value in line[name]] for name in lines[0]}

    def frame(columns):
        made = {name: np.empty(len(values), object) for name, values in columns.items()}
        for name, values in columns.items():
            for place, value in enumerate(values):  # lists and bytes as they are
                made[name][place] = value
        return made

    def make(die):
        columns = copy.deepcopy(right)
        for _ in range(die.choice((1, 1, 3))):
            name, kind = die.choice(list(columns)), die.randrange(6)
            if kind == 0:
                columns["setting"] = [changed_text(die, right["setting"][0])] * 3
            elif kind == 1:
                columns[name][die.randrange(len(columns[name]))] = die.choice(VALUES)
            elif kind == 2:
                columns[name] = [die.choice(VALUES)] * 3
            elif kind == 3:
                packed = die.choice(("parameters", "scale", "digest"))
                columns[packed] = [bent(die, each) for each in right[packed]]
            elif kind == 4:
                columns = {each: values * 2 for each, values in columns.items()}
            else:
                del columns[name]
        return frame(columns)

    assert len(bpjit.GroupFit.joined(frame(right)).keys) == 3
    return attack_objects(make, bpjit.GroupFit.joined, "frame", cases, seed)


def sequential(cases, seed):
    """nn.Sequential of PyTorch."""
    import torch
    from torch import nn

    right = network_of_a_table().to_torch()
    others = [nn.LazyLinear(2), nn.Linear(2, 3, device="meta"), nn.Linear(10**6, 10**6, device="meta"), nn.GELU()]
    others += [nn.Linear(3, 4).half(), nn.Conv2d(1, 1, 1), nn.Module(), nn.Softmax(0), nn.ModuleList([nn.ReLU()])]
    others += [nn.LeakyReLU(value) for value in FLOATS] + [nn.ELU(value) for value in (*FLOATS, "x", None, [1])]
    others += [nn.Softplus(beta="x"), nn.Linear(3, 4, dtype=torch.complex64)]
    circle = nn.Sequential(nn.Linear(3, 3))
    circle.append(circle)
    others.append(circle)

    def weight(die, tensor):
        kind = die.randrange(6)
        if kind == 0:
            return torch.tensor(changed_array(die, tensor.numpy()))
        if kind == 1:
            return tensor.to(die.choice((torch.int8, torch.bool, torch.bfloat16, torch.complex128, torch.float64)))
        if kind == 2:
            return die.choice((tensor.to("meta"), tensor.to_sparse()))
        if kind == 3:
            return torch.zeros(1).expand(*die.choice(((10**9, 1), (1, 10**18), (4, 10**9), (10**9, 10**9))))
        return die.choice(VALUES)

    def make(die):
        module = copy.deepcopy(right)
        for _ in range(die.choice((1, 1, 3))):
            place, kind = die.randrange(len(module)), die.randrange(4)
            if kind == 0 and len(module) > 1:
                del module[place]
            elif kind == 1:
                module.insert(place, copy.deepcopy(die.choice(others)))
            else:
                each = module[place]
                name = die.choice(("weight", "bias"))
                tensor = each._parameters.pop(name, None)
                if type(tensor) is nn.Parameter and not tensor.is_meta and die.random() < 0.9:
                    setattr(each, name, weight(die, tensor.detach()))
        return module

    return attack_objects(make, bpjit.Network.from_torch, "module", cases, seed)


def pipeline(cases, seed):
    """MLPs of scikit-learn after a scaler."""
    right = bpjit.Network.random((2, 3, 3), "tanh", "softmax", scale=bpjit.Scale([0, 1], [1, 2])).to_sklearn()
    names = "coefs_", "intercepts_", "activation", "out_activation_", "classes_", "n_features_in_", "feature_names_in_"

    def change(die, value):
        if isinstance(value, np.ndarray) and die.random() < 0.7:
            return changed_array(die, value)
        if isinstance(value, list) and die.random() < 0.7:
            value = [change(die, each) if die.random() < 0.5 else each for each in value]
            return value[: die.choice((-1, 0, 99))]
        return die.choice(VALUES)

    def make(die):
        model = copy.deepcopy(right)
        for _ in range(die.choice((1, 1, 3))):
            step, kind = die.choice(model.steps), die.randrange(5)
            if kind == 0:
                said = getattr(step[1], "__dict__", {"": 0})
                del said[die.choice(list(said))]
            elif kind == 1:
                model.steps[0] = ("scaler", die.choice((*VALUES, model.steps[1][1], model)))
            else:
                name = die.choice([*names, "scale_", "mean_", "var_", "_label_binarizer", "with_mean"])
                with contextlib.suppress(AttributeError, RecursionError):  # a word has none
                    setattr(step[1], name, change(die, getattr(step[1], name, None)))
        return model

    return attack_objects(make, bpjit.Network.from_sklearn, "model", cases, seed)


def graph(cases, seed):
    """Files of ONNX."""
    import onnx

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "net.onnx")
    scale, columns = bpjit.Scale([1.0, 0, 3], [2.0, 1, 1]), bpjit.Columns(["a", "b", "c"], [bpjit.Column("d", (1, 2))])
    hidden = ["elu", "softplus", "gelu"]
    net = bpjit.Network.random((3, 4, 4, 4, 2), hidden, "softmax", scale=scale, columns=columns, seed=1)
    net.to_onnx(path)
    data = path.read_bytes()

    def make(die):
        kind = die.randrange(5)
        if kind < 2:
            return bent(die, data)
        model = onnx.ModelProto.FromString(data)
        for _ in range(die.choice((1, 1, 3))):
            node, tensor = die.choice(model.graph.node), die.choice(model.graph.initializer)
            if kind == 2:
                if tensor.dims and die.random() < 0.7:
                    tensor.dims[die.randrange(len(tensor.dims))] = die.choice((2**62, 2**40, 2**31, 10**9, -1, 0, 1, 7))
                else:
                    tensor.dims.extend([die.choice((2**60, 1, 0))] * die.choice((1, 100)))
            elif kind == 3:
                name = die.choice([each for other in model.graph.node for each in (*other.input, *other.output)])
                node.input[:] = die.choice(([name], [name, name], list(node.input)[::-1], [*node.input, name], []))
                node.op_type = die.choice(
                    (node.op_type, "Gemm", "Concat", "Identity", "Cast", "Softmax", "Elu", "X" * 9999)
                )
                node.attribute.append(
                    onnx.helper.make_attribute(
                        die.choice(("alpha", "axis", "to", "transB")),
                        die.choice((1, -1, 2**62, 0.5, "x", [1, 2], [0.5])),
                    )
                )
            else:
                tensor.data_type = die.choice((tensor.data_type, *range(23)))
                entry = model.metadata_props.add() if not model.metadata_props else die.choice(model.metadata_props)
                entry.key = die.choice(("bpjit.activations", "bpjit.columns", entry.key))
                text = die.choice((changed_text(die, entry.value or "[]"), die.choice(TEXTS)))
                entry.value = text.replace("\ud800", "")
        return model.SerializeToString()

    def take(data):
        path.write_bytes(data)
        bpjit.Network.from_onnx(path)

    with folder:
        return attack_objects(make, take, "path", cases, seed)


OBJECTS = {lines_of_workers: None, sequential: "torch", pipeline: "sklearn", graph: "onnx"}  # what they need
KINDS = {each.__name__: each for each in (*FILES, *OBJECTS)}


def main(names, cases, seed):
    """Print how many of the cases of each kind were refused."""
    for name in names.split():
        each = KINDS[name]
        print(name, attack_file(each, cases, seed) if each in FILES else each(cases, seed), flush=True)


def attacked(names, cases, seed=0):
    """In a process of its own, whatever may happen."""
    command = [sys.executable, "-X", "faulthandler", __file__, " ".join(names), str(cases), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    return dict(line.split() for line in done.stdout.splitlines())


def check(names, cases, seeds=1):
    for seed in range(seeds):
        found = attacked(names, cases // seeds, seed)
        assert list(found) == list(names)
        for name, refused in found.items():
            assert 0.4 * cases < int(refused) * seeds < cases, name


def is_here(name):
    package = OBJECTS.get(KINDS[name])
    return package is None or importlib.util.find_spec(package) is not None


def test_hostile_input_is_refused_and_harms_nothing():
    check(list(filter(is_here, KINDS)), 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_ten_thousand_hostile_cases(name):
    if not is_here(name):
        pytest.skip(f"{OBJECTS[KINDS[name]]} is not installed")
    check([name], 10_000, seeds=5)


if __name__ == "__main__":
    fence(2 << 30)
    main(sys.argv[1], *map(int, sys.argv[2:]))
