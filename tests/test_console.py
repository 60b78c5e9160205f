"""Ctrl-C while a training runs: noted, and given back exactly, whatever happens meanwhile."""

import signal
import subprocess
import sys
import threading
import time
import warnings
from types import ModuleType, SimpleNamespace

import pytest

from bpjit.common import console
from bpjit.common.console import ctrl_c


class Timeout(Exception):
    pass


@pytest.fixture(autouse=True)
def usual_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def handler():
    return signal.getsignal(signal.SIGINT)


def test_the_first_is_noted_and_the_second_raises():
    with ctrl_c() as pressed:
        assert not pressed.is_set()
        signal.raise_signal(signal.SIGINT)
        assert pressed.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handler() is signal.default_int_handler


def later(monkeypatch, seconds):
    """Let the clock of trainings be so much ahead from now on."""
    now = time.monotonic()
    monkeypatch.setattr(console.time, "monotonic", lambda: now + seconds)


@pytest.mark.parametrize(
    ("pause", "wait", "raises"),
    [(0.1, 0.1, True), (0.1, 1.5, True), (0.5, 60.0, True), (1.5, 0.2, True), (1.5, 1.0, False), (10.0, 0.0, False)],
)
def test_a_second_soon_after_ends_the_program_and_not_the_next_training_alone(monkeypatch, capsys, pause, wait, raises):
    """The next training begins after ``pause`` seconds, the second comes ``wait`` seconds later."""
    with ctrl_c() as pressed:
        signal.raise_signal(signal.SIGINT)
    assert pressed.is_set()
    assert capsys.readouterr().err.count("interrupted") == 1
    later(monkeypatch, pause)
    with ctrl_c() as pressed:
        later(monkeypatch, wait)
        if raises:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        else:
            signal.raise_signal(signal.SIGINT)
        assert pressed.is_set() is not raises


def test_nothing_is_said_where_nothing_was_pressed_or_there_is_nowhere_to(monkeypatch, capsys):
    with ctrl_c():
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)
    with ctrl_c() as pressed:
        signal.raise_signal(signal.SIGINT)
    assert pressed.is_set()


def test_a_notebook_without_ipywidgets_is_not_warned(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tqdm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    for name in ("ipywidgets", "IPython.html.widgets"):
        monkeypatch.setitem(sys.modules, name, None)  # not to be imported
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(config={"IPKernelApp": 1}))
    )
    for wanted in (None, True):
        with warnings.catch_warnings(record=True) as heard, console.progress_bar(wanted, 3) as show:
            warnings.simplefilter("always")
            show(3, 0.5)
        assert not heard


@pytest.mark.parametrize("error", [ValueError, Timeout, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_the_handler_is_given_back_whatever_is_raised(error):
    with pytest.raises(error), ctrl_c():
        raise error
    assert handler() is signal.default_int_handler


@pytest.mark.parametrize("error", [ValueError, Timeout])
def test_another_signal_arrives_just_after_the_handler_is_in_place(error, monkeypatch):
    install = signal.signal

    def interrupted(number, action):
        install(number, action)
        monkeypatch.setattr(signal, "signal", install)
        raise error

    monkeypatch.setattr(signal, "signal", interrupted)
    with pytest.raises(error), ctrl_c():
        pytest.fail("it did not raise")
    assert handler() is signal.default_int_handler


def test_another_signal_arrives_just_before_the_handler_is_given_back(monkeypatch):
    look = signal.getsignal

    def interrupted(number):
        monkeypatch.setattr(signal, "getsignal", look)
        raise Timeout

    with pytest.raises(Timeout), ctrl_c():
        monkeypatch.setattr(signal, "getsignal", interrupted)
    assert handler() is signal.default_int_handler


def test_the_second_arrives_while_the_first_is_noted():
    with ctrl_c() as pressed:
        note = pressed.set

        def slow():
            with pressed._cond:  # as Event.set does, whose lock the second must not wait for
                signal.raise_signal(signal.SIGINT)
            note()

        pressed.set = slow
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert handler() is signal.default_int_handler


def test_a_handler_of_the_program_stays():
    def own(number, frame):
        pass

    for action in (own, signal.SIG_IGN, signal.SIG_DFL):
        signal.signal(signal.SIGINT, action)
        with ctrl_c() as pressed:
            assert handler() == action
            assert not pressed.is_set()
        assert handler() == action
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ctrl_c():
        signal.signal(signal.SIGINT, own)  # by a callback, say
    assert handler() is own


def test_a_handler_that_python_did_not_install(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda *rest: pytest.fail("Python cannot put such a handler back"))
    with ctrl_c() as pressed:
        assert not pressed.is_set()


def test_a_training_in_a_callback_shares_the_note():
    with ctrl_c() as outer:
        with ctrl_c() as inner:
            signal.raise_signal(signal.SIGINT)
            assert inner.is_set()
        assert outer.is_set()
        with pytest.raises(KeyboardInterrupt), ctrl_c():
            signal.raise_signal(signal.SIGINT)
    assert handler() is signal.default_int_handler


def test_other_threads_note_nothing_of_their_own():
    found = []

    def look():
        with ctrl_c() as pressed:
            found.append((pressed, handler()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    with ctrl_c():
        signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert not found[0][0].is_set()
    assert found[0][1] is signal.default_int_handler
    assert not found[1][0].is_set()


def test_an_embedded_python_whose_first_thread_is_not_that_of_threading():
    code = """
import _thread, sys, time
done = []
def work():
    try:
        from bpjit.common.console import ctrl_c
        with ctrl_c() as pressed:
            done.append(str(pressed.is_set()))
    except BaseException as error:
        done.append(repr(error))
assert "threading" not in sys.modules
_thread.start_new_thread(work, ())
while not done:
    time.sleep(0.01)
print(done[0])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == "False", result.stderr
