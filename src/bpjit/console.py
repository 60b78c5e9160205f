"""What passes between a training and the person before it: Ctrl-C and a progress bar."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

PROGRESS_DELAY = 2.0  # seconds before a progress bar appears


@contextlib.contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """Note Ctrl-C instead of raising, so that nothing is cut in two; a second one raises as usual."""
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
def progress_bar(wanted: bool | None, total: int | None) -> Iterator[Callable[[int, float], None]]:
    """A function that shows how many epochs are done and the last error; the bar appears after a while.

    ``wanted`` None means on a terminal or in a notebook only.
    """
    delay = PROGRESS_DELAY if wanted is None else 0.0
    if wanted is None:
        wanted = "ipykernel" in sys.modules or bool(getattr(sys.stderr, "isatty", bool)())
    if not wanted:
        yield lambda epochs, error: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="epoch", delay=delay, leave=False) as bar:

        def show(epochs: int, error: float) -> None:
            bar.set_postfix_str(f"E {error:.4g}", refresh=False)
            bar.update(epochs - bar.n)

        yield show
