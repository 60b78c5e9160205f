"""The rooms of the package, and who may import whom, also inside functions and for types: read from the source."""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bpjit

PACKAGE = Path(bpjit.__file__).parent

# Each room imports only from rooms that stand before it, and from within itself.
ROOMS = [
    "version",
    "maths",
    "common",
    "frames",
    "settings",
    "kernels",
    "networks",
    "training",
    "many",
    "learners",
    "groups",
    "sklearn",
    "advice",
    "tracing",
    "replay",
    "graph",
    "own",
    "export",
    "exchange",
    "descent",
    "unit",
    "plot",
]
FRONT = [
    "formulas",
    "compiled",
    "cuda_info",
    "warm_up",
    "",
]  # single files above all rooms; "" is bpjit itself

WINGS = ["kernels.readable", "kernels.one", "kernels.lanes", "kernels.cuda"]  # that never look into one another

# Methods that open a higher room when they are called: (who, whom).
DOORS = {
    ("training.fit", "replay"),
    ("training.fit", "training.storing"),
    ("networks.architecture", "own.shipped"),
    ("networks.leaving", "export.c"),
    ("networks.leaving", "export.fixed"),
    ("networks.leaving", "export.fixed_c"),
    ("networks.leaving", "export.javascript"),
    ("training.fit", "advice"),
    ("training.warning", "advice.checks"),
    ("training.warning", "advice.evidence"),
    ("many.fits", "advice.of_many"),
    ("sklearn.regressor", "formulas"),
    ("tracing.laid_open", "tracing.rendering"),
    ("tracing.own_formulas", "own.written"),
    ("tracing.laid_open", "tracing.comparing"),
    ("graph.sweep", "plot.graphs"),
    ("descent.descending", "plot.descents"),
    ("descent.differences", "plot.descents"),
    ("unit.separation", "plot.units"),
    ("networks.exchanging", "exchange.of_onnx"),
    ("networks.exchanging", "exchange.to_onnx"),
    ("networks.exchanging", "exchange.of_sklearn"),
    ("networks.exchanging", "exchange.of_torch"),
}

ALONE = {  # who alone imports it
    "cloudpickle": "many.executors",
    "matplotlib": "plot",
    "narwhals": "frames.reading",
    "numba.core": "kernels.insides",
    "numba.cuda": "kernels.cuda.door",
    "numba.np": "kernels.insides",
    "onnx": "exchange",
    "optuna": "many.asking",
    "torch": "exchange.of_torch",
}


def modules():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@functools.cache
def imports(module):
    """Whether each module that ``module`` names is one of ours, and its name."""
    return list(_named_in(module))


def _named_in(module):
    path = MODULES[module]
    here = module.split(".") if module else []
    if path.name != "__init__.py":
        here = here[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((False, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield False, node.module
            yield from ((False, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*here[: len(here) - node.level + 1], *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".strip(".")
                yield True, full if full in MODULES else base


EDGES = sorted({(module, other) for module in MODULES for ours, other in imports(module) if ours and other != module})
WITHOUT_DOORS = [edge for edge in EDGES if edge not in DOORS]


def floor(module):
    room = module.split(".")[0]
    return ROOMS.index(room) if room in ROOMS else len(ROOMS) + FRONT.index(module)


def test_every_file_stands_in_a_room():
    assert {module.split(".")[0] for module in MODULES} - set(ROOMS) == set(FRONT)


def test_nothing_imports_upwards():
    assert [edge for edge in WITHOUT_DOORS if floor(edge[0]) < floor(edge[1])] == []


def test_every_door_is_used():
    assert DOORS - set(EDGES) == set()


def test_there_is_no_circle():
    below = {module: {other for this, other in WITHOUT_DOORS if this == module} for module in MODULES}
    while leaves := [module for module, others in below.items() if not others]:
        for module in leaves:
            del below[module]
        for others in below.values():
            others.difference_update(leaves)
    assert below == {}


def test_wings_of_the_kernels_never_look_into_one_another():
    def wing(module):
        return next((wing for wing in WINGS if module.startswith(wing)), None)

    across = [(this, other) for this, other in EDGES if wing(this) and wing(other) and wing(this) != wing(other)]
    assert across == []
    for name in WINGS:
        assert any(module.startswith(name) for module in MODULES)


@pytest.mark.parametrize(("package", "room"), ALONE.items())
def test_heavy_packages_have_one_door(package, room):
    users = {
        module
        for module in MODULES
        for ours, other in imports(module)
        if not ours and f"{other}.".startswith(f"{package}.")
    }
    assert users
    assert [module for module in users if not f"{module}.".startswith(f"{room}.")] == []


LONGEST_FILE, LONGEST_FUNCTION, MOST_ARGUMENTS = 400, 60, 8  # lines; lines of code

# Functions that take more arguments, and why.
MANY_ARGUMENTS = {
    # Public ones: what a user may say, each with a name and a default.
    ("training.train", "train"),
    ("training.fit", "replay"),
    ("many.train_many", "train_many"),
    ("many.searches", "multi_start"),
    ("many.search", "search"),
    ("networks.network", "random"),
    ("networks.network", "for_table"),
    ("networks.networks", "random"),
    ("learners.learner_bank", "__init__"),
    ("tracing.opening", "trace"),
    ("warm_up", "compile"),
    ("sklearn.estimator", "__init__"),
    ("sklearn.classifier", "__init__"),
    ("sklearn.regressor", "__init__"),
    # What takes these arguments on to be checked.
    ("training.setting", "as_setting"),
    ("many.given", "__init__"),
    ("groups.fitting", "fit_groups"),
    ("replay.writing", "write"),
    # As BLAS takes them: three matrices, their strides and sizes.
    ("kernels.simd.tiles", "tile"),
    ("kernels.simd.tiles", "product"),
    # Python calls it for single records: unpacking a record of arrays would cost as much as its work.
    ("kernels.one.bank", "learn_records"),
}


def functions():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield module, node


def test_files_and_functions_are_short():
    for module, path in MODULES.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE, module
    for module, node in functions():
        lines = MODULES[module].read_text(encoding="utf-8").splitlines()
        words = node.body[0] if ast.get_docstring(node) is not None else None
        documented = set() if words is None else set(range(words.lineno, words.end_lineno + 1))
        code = [n for n in range(node.lineno, node.end_lineno + 1) if n not in documented and lines[n - 1].strip()]
        assert len(code) <= LONGEST_FUNCTION, (module, node.name)


def test_functions_have_few_arguments():
    found = set()
    for module, node in functions():
        names = [each.arg for each in (*node.args.args, *node.args.kwonlyargs)]
        if len(names) - ("self" in names[:1]) > MOST_ARGUMENTS:
            found.add((module, node.name))
    assert found == MANY_ARGUMENTS


AN_ACTIVATION = """
import numpy as np, bpjit
assert bpjit.__file__.startswith(FOLDER), bpjit.__file__
X, Y = np.random.default_rng(0).normal(size=(9, 2)), np.random.default_rng(1).uniform(size=(9, 1))
for sizes in ((2, 3, 1), (2, 20, 5, 1)):
    old, new = (bpjit.Network.random(sizes, name, "sigmoid", seed=0) for name in ("tanh", "tanh_again"))
    for settings in ({"eta": 0.5}, {"updates": 4, "rule": "adam"}):
        fits = [bpjit.train(net, X, Y, stop=3, target=TARGET, **settings) for net in (old, new)]
        assert fits[0].network.parameters.tobytes() == fits[1].network.parameters.tobytes()
        many = [bpjit.train_many([net] * 3, X, Y, stop=3, target=TARGET, **settings) for net in (old, new)]
        assert np.array_equal(many[0].error, many[1].error)
        assert np.linalg.norm(many[1].networks[0].parameters - new.parameters) > 1e-3
    if TARGET == "cpu":
        learners = [bpjit.OnlineLearner(net, eta=0.5) for net in (old, new)]
        errors = [learner.learn(X[0], Y[0]) for learner in learners]
        assert errors[0] == errors[1] > 0
        assert learners[0].predict(X[1]) == learners[1].predict(X[1])
        assert "tanh_again" in bpjit.trace(new, X, Y).markdown()
print("done")
"""

A_RULE = """
import numpy as np, bpjit, bpjit.descent
assert bpjit.__file__.startswith(FOLDER), bpjit.__file__
X, Y = np.random.default_rng(0).normal(size=(9, 2)), np.random.default_rng(1).uniform(size=(9, 1))
net = bpjit.Network.random((2, 3, 1), seed=0)
for name in ("adam", "nesterov", "rprop"):
    rules, updates = (name, f"{name}_again"), "accumulated" if name == "rprop" else 4
    fits = [bpjit.train(net, X, Y, stop=3, target=TARGET, updates=updates, rule=rule) for rule in rules]
    assert fits[0].network.parameters.tobytes() == fits[1].network.parameters.tobytes() != net.parameters.tobytes()
    many = [bpjit.train_many([net] * 3, X, Y, stop=3, target=TARGET, updates=updates, rule=rule) for rule in rules]
    assert np.array_equal(many[0].networks[2].parameters, many[1].networks[2].parameters)
    assert np.linalg.norm(many[1].networks[0].parameters - net.parameters) > 1e-3
    if TARGET == "cpu":
        traced = bpjit.trace(net, X, Y, updates=updates, rule=rules[1])
        assert rules[1] in traced.markdown()
        path = [bpjit.descent.minimise(bpjit.descent.himmelblau, (0, 0), rule=rule, steps=5) for rule in rules]
        assert np.array_equal(path[0].points, path[1].points)
        if name != "rprop":
            learners = [bpjit.OnlineLearner(net, rule=rule) for rule in rules]
            banks = [bpjit.LearnerBank(bpjit.Networks.of([net] * 3), rule=rule) for rule in rules]
            for k in range(9):
                errors = [learner.learn(X[k], Y[k]) for learner in learners]
                assert errors[0] == errors[1] > 0
                errors = [bank.learn([0, 2], X[:2], Y[:2]) for bank in banks]
                assert np.array_equal(*errors)
print("done")
"""


def with_an_activation(package):
    """tanh once more."""
    formulas = package / "maths" / "formulas.py"
    text = formulas.read_text(encoding="utf-8")
    entry = "def tanh_again(z: Number) -> Number:\n    y = tanh_of(z)\n    return y, like(z, 1) - y * y\n\n\n"
    assert "\nACTIVATIONS = (sigmoid, " in text
    text = text.replace("\nACTIVATIONS = (sigmoid, ", f"\n{entry}ACTIVATIONS = (sigmoid, tanh_again, ")
    formulas.write_text(text, encoding="utf-8")


def with_rules(package):
    """Adam, Nesterov's rule and rprop once more, each in one file: together they use all that a rule may have."""
    for file, name in (("by_squares", "Adam"), ("by_gradient", "Nesterov"), ("by_sign", "Rprop")):
        path = package / "settings" / "rules" / f"{file}.py"
        text = path.read_text(encoding="utf-8")
        entry = re.search(rf"@known\n@dataclass\(frozen=True\)\nclass {name}\(.*?(?=\n\n\n|\Z)", text, re.DOTALL)[0]
        entry = entry.replace(f"class {name}(", f"class {name}Again(")
        entry = entry.replace(f'= "{name.lower()}"', f'= "{name.lower()}_again"')
        path.write_text(f"{text}\n\n{entry}\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cpu", "cuda"])
@pytest.mark.parametrize(("change", "program"), [(with_an_activation, AN_ACTIVATION), (with_rules, A_RULE)])
def test_one_entry_serves_every_machine(change, program, target, tmp_path):
    """A copy of the package trains with it on every machine, with the bits of the one that it repeats; CUDA in the
    simulator."""
    shutil.copytree(PACKAGE, tmp_path / "bpjit", ignore=shutil.ignore_patterns("__pycache__"))
    change(tmp_path / "bpjit")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    if target == "cuda":
        pytest.importorskip("numba_cuda")
        environment |= {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    program = f"FOLDER, TARGET = {str(tmp_path)!r}, {target!r}\n{program}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr[-3000:]
