"""Fixtures and settings that all tests share."""

import math
import os
import re
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from bpjit.common import console
from bpjit.kernels.devices import cores

settings.register_profile("bpjit", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("bpjit")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In a job started with & or nohup: tests that press Ctrl-C would train until memory is full.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def browser():
    """A real one, Chromium; what needs it is skipped where it is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    with sync_api.sync_playwright() as tools:
        try:
            browser = tools.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium can be started here: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


# Where a TrainingWarning is an error like any other: examples and scripts print none. Other tests also train what
# diverges, or what outputs cannot reach, and look at something else.
WITHOUT_TRAINING_WARNINGS = re.compile(r"test_(docs|readmes|\w*scripts\w*|texts|xor|advice|default_rates)\.py")


def pytest_collection_modifyitems(items):
    for item in items:
        if not WITHOUT_TRAINING_WARNINGS.fullmatch(item.path.name):
            item.add_marker(pytest.mark.filterwarnings("ignore::bpjit.TrainingWarning"))


MOST_MEMORY = 3 << 30  # bytes of a worker, about


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """As many workers as there are cores, and memory for."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = cores() * MOST_MEMORY
    return max(1, min(cores(), free // MOST_MEMORY))


PEAKS = pytest.StashKey()


def pytest_sessionfinish(session):
    """A worker says how much memory it and the largest of its processes had at most, in bytes."""
    if hasattr(session.config, "workeroutput"):
        own, of_others = (
            resource.getrusage(who).ru_maxrss << 10 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        session.config.workeroutput["peaks"] = own, of_others


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    peaks = getattr(node, "workeroutput", {}).get("peaks")
    if peaks:
        node.config.stash.setdefault(PEAKS, []).append(peaks)


def pytest_terminal_summary(terminalreporter, config):
    peaks = config.stash.get(PEAKS, [])
    if peaks:
        own, of_others = (max(column) / 2**30 for column in zip(*peaks, strict=True))
        terminalreporter.write_line(
            f"peak memory of a worker: {own:.2f} GiB, of a process it started: {of_others:.2f} GiB"
        )


@pytest.fixture(autouse=True)
def nothing_was_pressed():
    """Ctrl-C of an earlier test is not the first of two."""
    console._Note.last = console._Note.ended = -math.inf


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
