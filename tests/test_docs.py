"""Every example in a docstring runs and gives what it says; those of the READMEs stand in ``test_readmes.py``."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import bpjit

THERE = importlib.util.find_spec("sklearn") is not None  # without it bpjit.sklearn says what to install
MODULES = ["bpjit", *(m.name for m in pkgutil.walk_packages(bpjit.__path__, "bpjit.", onerror=lambda name: None))]
MODULES = [name for name in MODULES if THERE or not name.startswith("bpjit.sklearn")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_public_functions_have_examples():
    for name in bpjit.__all__:
        thing = getattr(bpjit, name)
        assert name == "__version__" or thing.__doc__, name
    for thing in (bpjit.train, bpjit.error, bpjit.gradient, bpjit.jacobian, bpjit.Network, bpjit.Scale):
        assert ">>> " in thing.__doc__
