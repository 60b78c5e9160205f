"""What passes between a training and the person before it: Ctrl-C and a progress bar."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol

PROGRESS_DELAY = 2.0  # seconds before a progress bar appears


class Pressed(Protocol):
    """An event, or what can tell as it does whether all must end."""

    def is_set(self) -> bool: ...


_shared: ContextVar[Pressed | None] = ContextVar("ctrl_c", default=None)


@contextlib.contextmanager
def ctrl_c() -> Iterator[Pressed]:
    """Note Ctrl-C instead of raising, so that nothing is cut in two; a second one raises as usual."""
    shared = _shared.get()
    if shared is not None:
        yield shared
        return
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def progress_bar(wanted: bool | None, total: int | None, unit: str = "epoch") -> Iterator[Callable[..., None]]:
    """A function that shows how many epochs, or units, are done, and the last error; the bar appears after a while.

    ``wanted`` None means on a terminal or in a notebook only.
    """
    delay = PROGRESS_DELAY if wanted is None else 0.0
    if wanted is None:
        wanted = "ipykernel" in sys.modules or bool(getattr(sys.stderr, "isatty", bool)())
    if not wanted:
        yield _show_nothing
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit=unit, delay=delay, leave=False) as bar:

        def show(done: int, error: float | None = None) -> None:
            if error is not None:
                bar.set_postfix_str(f"E {error:.4g}", refresh=False)
            bar.update(done - bar.n)

        yield show


def _show_nothing(done: int, error: float | None = None) -> None:
    pass


@contextlib.contextmanager
def share_ctrl_c(pressed: Pressed) -> Iterator[None]:
    """Let all that runs in this thread meanwhile look at ``pressed`` for Ctrl-C: the main thread alone sees signals."""
    token = _shared.set(pressed)
    try:
        yield
    finally:
        _shared.reset(token)
