"""Every example in a docstring or in the README runs and gives what it says."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bpjit

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MODULES = ["bpjit", *(m.name for m in pkgutil.walk_packages(bpjit.__path__, "bpjit."))]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_public_functions_have_examples():
    for name in bpjit.__all__:
        thing = getattr(bpjit, name)
        assert name == "__version__" or thing.__doc__, name
    for thing in (bpjit.train, bpjit.error, bpjit.gradient, bpjit.jacobian, bpjit.Network, bpjit.Scale):
        assert ">>> " in thing.__doc__


def test_readme_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them saves a network
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_readme_s_first_command_prints_what_it_shows():
    shown = re.search(r"```text\n(XOR with .*?)```", README, re.DOTALL).group(1)
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "train_xor.py")], capture_output=True, text=True, check=True
    )
    time = re.compile(r"[\d.]+ ms")
    assert time.sub("", shown).split() == time.sub("", done.stdout).split()
