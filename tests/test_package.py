"""What ``import bpjit`` loads, and what it leaves until someone asks for it."""

import subprocess
import sys

import pytest

import bpjit

ROOMS = ("descent", "graph", "plot", "replay", "tracing", "unit")


def loaded_after(code):
    """The modules of bpjit that a new process has loaded after this code, the package left out of their names."""
    code += "\nimport sys; print(*[name.removeprefix('bpjit.') for name in sys.modules if name.startswith('bpjit.')])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_a_training_needs_none_of_the_rooms():
    loaded = loaded_after("import bpjit; bpjit.Network.random((2, 2, 1))")
    assert "training.train" in loaded
    assert not [name for name in loaded if name.split(".")[0] in ROOMS]


def test_rules_of_first_order_need_nothing_of_the_second():
    second = ("training.second_order", "training.line_search", "many.damped_lanes", "kernels.lanes.damped")
    second += ("kernels.one.damped", "kernels.one.normal", "kernels.one.single", "kernels.one.cholesky")
    loaded = loaded_after("import bpjit; bpjit.Network.random((2, 2, 1))")
    assert not set(second) & set(loaded)
    wanted = "import numpy, bpjit; from bpjit.kernels import drivers; from bpjit.many import damped_lanes; "
    wanted += "from bpjit.training.kinds import session_of_second_order; session_of_second_order(bpjit.LBFGS()); "
    wanted += "drivers.damped_work((2, 1), ('tanh',), 1, numpy.ones(3, bool), False, 1)"
    assert set(second) <= set(loaded_after(wanted))


@pytest.mark.parametrize(
    ("code", "room"),
    [
        ("from bpjit import graph; graph.variables('a b')", "graph"),
        ("import bpjit; bpjit.graph.variables('a b')", "graph"),
        ("import bpjit; bpjit.descent.himmelblau(0, 0)", "descent"),
        ("import bpjit; bpjit.plot.surface", "plot"),
        ("import bpjit; bpjit.Unit([1, 1], 1.5)", "unit"),
        ("import bpjit; bpjit.unit.CORNERS", "unit"),
        ("from bpjit import trace; assert callable(trace)", "tracing"),
        ("import bpjit.tracing; from bpjit.tracing import opening; assert bpjit.trace is opening.trace", "tracing"),
    ],
)
def test_a_room_is_there_when_asked_for(code, room):
    assert room in loaded_after(code)


def test_every_public_name_is_there_and_listed():
    for name in bpjit.__all__:
        assert getattr(bpjit, name) is not None
    assert set(bpjit.__all__) <= set(dir(bpjit))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'bpjit' has no attribute 'grahp'"):
        bpjit.grahp  # noqa: B018
    with pytest.raises(ImportError, match="grahp"):
        from bpjit import grahp  # noqa: F401
