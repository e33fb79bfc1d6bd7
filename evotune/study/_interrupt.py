"""Ctrl-C as a wish to stop, not as an explosion in the middle of a write."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt:
    """While entered, the first Ctrl-C calls ``stop``; the second raises.

    In a thread other than the main one signals never arrive, and nothing is changed.

    Attributes:
        requested: Whether Ctrl-C was pressed.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.requested = False
        self._stop = stop
        self._previous: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):  # not ignored, and not set from outside Python
                self._previous = previous
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, _signum: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._stop()
