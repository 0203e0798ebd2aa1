"""The process of the command `pgyoyo`, and of `python -m pgyoyo`: its streams, its beginning and its end."""

import gc
import os
import signal
import sys
import threading
from io import TextIOWrapper
from typing import NoReturn, TextIO

UNWRITTEN = 6  # the exit code of a command that was done, but whose output was lost


class Output(TextIOWrapper):
    """A stream that never ends a run: a write that fails is dropped with all that follow, and `error` keeps the reason.

    A character that its encoding lacks is written as an escape.
    """

    def __init__(self, stream: TextIO | None, fd: int) -> None:
        # The interpreter has no object for a stream that was closed when the process began.
        buffer = stream.buffer if isinstance(stream, TextIOWrapper) else open(fd, "wb", closefd=False)  # noqa: SIM115
        super().__init__(
            buffer, encoding=stream.encoding if stream else "utf-8", errors="backslashreplace", line_buffering=True
        )
        self.error: OSError | None = None

    def write(self, text: str, /) -> int:
        """The length of the text, written or dropped."""
        if self.error is None:
            try:
                return super().write(text)
            except OSError as error:
                self.error = error
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        if self.error is None:
            try:
                super().flush()
            except OSError as error:
                self.error = error


def run() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # What is imported stays, so looking for garbage meanwhile finds none: a tenth of a short run.
    gc.set_threshold(100_000)
    _open_closed_streams()
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout, sys.stderr = output, errors = Output(sys.stdout, 1), Output(sys.stderr, 2)
    sys.unraisablehook = come_again
    from pgyoyo.cli.main import main  # not before the collector rests

    code = 0
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise  # the interpreter prints it
        code = end.code or 0
    output.flush()
    if output.error:
        reason = output.error.strerror
        print(f"error: the output could not be written: {reason}; the command itself was done", file=errors)
        code = code or UNWRITTEN
    errors.flush()
    # The interpreter would take every module apart before it ends: a fifth of a short run. Nothing is open any more.
    os._exit(code)


def come_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Send an interrupt again that came while Python was in a callback of its own, which drops it with a traceback.

    A moment later, since it must not come while this one runs. Other exceptions are shown as usual.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    number = signal.SIGINT if type(unraisable.exc_value) is KeyboardInterrupt else signal.SIGTERM
    timer = threading.Timer(0.01, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _open_closed_streams() -> None:
    """Let a stream that was closed when the process began be /dev/null; the next socket would take its number."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - the lowest free number is fd


if __name__ == "__main__":
    run()
