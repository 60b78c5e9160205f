"""Fixtures and settings that all tests share."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("bpjit", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("bpjit")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In a job started with & or nohup: tests that press Ctrl-C would train until memory is full.
    signal.signal(signal.SIGINT, signal.default_int_handler)

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
XOR_Y = np.array([[0], [1], [1], [0]], float)


@pytest.fixture
def xor():
    return XOR_X.copy(), XOR_Y.copy()


@pytest.fixture(scope="session")
def shared_data():
    """The folder with MNIST, Proben1 and other sets, which are not part of the project."""
    folder = Path(os.environ.get("BPJIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the data sets are not here; name their folder in BPJIT_DATA")
    return folder
