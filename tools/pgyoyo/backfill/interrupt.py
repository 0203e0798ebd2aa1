"""SIGINT and SIGTERM, acted on between two batches instead of in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any


@dataclass(slots=True)
class Stop:
    """Whether a signal asked for the run to end."""

    asked: tuple[int, FrameType | None] | None = None
    handlers: dict[int, Any] = field(default_factory=dict)

    def now(self) -> None:
        """Return, unless a signal came: then run its own handler, which raises KeyboardInterrupt."""
        if self.asked:
            number, frame = self.asked
            self.asked = None
            handler = self.handlers.get(number)
            if callable(handler):
                handler(number, frame)
            raise KeyboardInterrupt


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Both signals are noted for as long as the block lasts; a second one has its usual effect at once, and one that
    nothing acted on has it at the end.

    Outside of the main thread there are no signals, and nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            stop.now()
        stop.asked = (number, frame)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            stop.handlers[int(number)] = signal.signal(number, note)
        yield
    finally:
        for taken, handler in stop.handlers.items():
            signal.signal(taken, handler)
    stop.now()
