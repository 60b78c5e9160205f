"""What passes between a training and the person before it: Ctrl-C and a progress bar."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

PROGRESS_DELAY = 2.0  # seconds before a progress bar appears
AGAIN = 2.0  # seconds in which a second Ctrl-C is meant for the program
FOLLOWS = 1.0  # seconds in which a training begins that follows another at once
NOTED = "bpjit: interrupted; the training ends with what it has learnt. Press Ctrl-C again to end the program"


def ctrl_c() -> contextlib.AbstractContextManager[threading.Event]:
    """Note Ctrl-C instead of raising, so that nothing is cut in two, and say so in the end; a second one soon after it
    raises as usual, also in a training that follows at once.

    Nothing is noted where Ctrl-C means something else to the program, and in threads that see no signals.
    """
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, _Note) and handler.thread == threading.get_ident():
        return contextlib.nullcontext(handler.pressed)  # of the training that called back
    return _Note() if handler is signal.default_int_handler else contextlib.nullcontext(threading.Event())


class _Note:
    """A handler of SIGINT that notes the first, from ``with`` to its end. No generator: another signal may raise just
    when that yields, and ``with`` would never end."""

    last = -math.inf  # when one was noted, by whatever training
    ended = -math.inf  # when that training had ended

    def __init__(self) -> None:
        self.pressed, self.thread, self._seen = threading.Event(), threading.get_ident(), False
        self._follows = time.monotonic() - _Note.ended < FOLLOWS

    def __call__(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._seen or self._follows or now - _Note.last < AGAIN:
            signal.default_int_handler(number, frame)
        self._seen = True  # before the event, whose lock a second signal must not wait for
        _Note.last = now
        self.pressed.set()

    def __enter__(self) -> threading.Event:
        try:
            signal.signal(signal.SIGINT, self)
        except BaseException as error:
            # ValueError: not the main thread, which in an embedded Python need not be that of ``threading``. Any other,
            # or with the handler in its place: raised by the handler of another signal, just now.
            if self._restore() or not isinstance(error, ValueError):
                raise
        return self.pressed

    def __exit__(self, *raised: object) -> None:
        try:
            self._restore()
        finally:
            self._restore()  # if the handler of another signal raised meanwhile
        if self._seen and raised[0] is None:
            _Note.ended = time.monotonic()
            with contextlib.suppress(Exception):  # there may be nothing to print to
                print(NOTED, file=sys.stderr, flush=True)

    def _restore(self) -> bool:
        """Give back Ctrl-C, unless somebody else has taken it since; returns whether it was ours."""
        ours = signal.getsignal(signal.SIGINT) is self
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return ours


def leave_ctrl_c() -> None:
    """Leave Ctrl-C to the process that this one works for, from now on: a terminal sends it to both. What it raises in
    a worker of ``multiprocessing`` between two jobs can leave the queue locked, for all workers and for good."""
    with contextlib.suppress(ValueError):  # a thread that sees no signals
        signal.signal(signal.SIGINT, signal.SIG_IGN)


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no ipywidgets: then the bar is one of text
        from tqdm.auto import tqdm

    with tqdm(total=total, unit=unit, delay=delay, leave=False) as bar:

        def show(done: int, error: float | None = None) -> None:
            if error is not None:
                bar.set_postfix_str(f"E {error:.4g}", refresh=False)
            bar.update(done - bar.n)

        yield show


def _show_nothing(done: int, error: float | None = None) -> None:
    pass
