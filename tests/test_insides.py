"""What bpjit leans on in Numba beyond its documented API: all of it is there, and what is missing is named."""

import ast
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bpjit
from bpjit.kernels import insides

KERNELS = Path(bpjit.__file__).parent / "kernels"


def test_this_numba_has_all_that_we_lean_on():
    assert insides.missing() == []


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
@pytest.mark.skipif("NUMBA_ENABLE_CUDASIM" in os.environ, reason="the simulator is another module")
def test_this_numba_cuda_has_all_that_we_lean_on():
    assert insides.lacking(insides.OF_CUDA) == []


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("cgutils.for_range", "cgutils.for_range"),
        ("codegen.CPUCodeLibrary._optimize_functions", "codegen.JITCodeLibrary._optimize_functions"),
        ("registry.CPUDispatcher", "registry.CPUDispatcher"),
    ],
)
def test_what_is_missing_is_named(gone, named, monkeypatch):
    owner, _, attribute = f"numba.core.{gone}".rpartition(".")
    monkeypatch.delattr(pkgutil.resolve_name(owner), attribute)
    assert insides.missing() == [f"numba.core.{named}"]


def test_what_objects_are_no_longer_given_is_named(monkeypatch):
    class Manager:
        def __init__(self):
            self._kept = {}

        _runPass = add_pass = finalize = __init__

    monkeypatch.setattr("numba.core.compiler_machinery.PassManager", Manager)
    assert insides.missing() == ["numba.core.compiler_machinery.PassManager.self._analysis"]


BREAK = """
from numba.core import codegen
del codegen.CPUCodegen._module_pass_manager
try:
    import bpjit
except ImportError as error:
    print(error)
"""


def test_a_numba_that_lacks_something_is_refused_where_bpjit_is_imported():
    done = subprocess.run([sys.executable, "-c", BREAK], capture_output=True, text=True, check=True)
    lacks = r"Numba \S+ does not have: numba\.core\.codegen\.JITCPUCodegen\._module_pass_manager;"
    assert re.match(rf"numba: bpjit needs what {lacks} .* pip install 'numba>=", done.stdout), done.stdout


def test_the_versions_named_are_those_of_the_package():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"numba{insides.TESTED}" in project["dependencies"]


def test_every_private_name_of_numba_that_kernels_use_is_looked_for():
    """A name that begins with an underscore, and that nothing of ours bears."""
    used, ours = set(), {"_fields"}  # of named tuples
    for path in KERNELS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                ours.add(node.name)
            elif isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr):
                own = isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
                (ours if own else used).add(node.attr)
    names = {name.removeprefix("self.") for attributes in insides.LEANT_ON.values() for name in attributes.split()}
    assert {"_insert", "_final_module"} < used - ours
    assert used - ours - names == set()
