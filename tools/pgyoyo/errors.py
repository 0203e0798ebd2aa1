"""Every error that pgyoyo raises on purpose.

PgyoyoError                 a user can act on it; the command line prints it and exits with exit_code
├── UsageError              the command line or the configuration is wrong
├── DefectsError            migration files are wrong; carries every defect of every file
├── ServerError             the embedded PostgreSQL can't be started or stopped
├── ConnectError            no connection to the database
├── MigrationError          the run ended early; the text says what failed and what stands
│   ├── StatementError      the server refused a statement of a migration
│   └── ConnectionLostError the connection was lost while a migration ran; says what a new one saw
├── RollbackRefusedError    rolling back would not undo, or would break, something
├── DriftError              files and database differ
├── LockedError             another runner is at work
└── PendingError            migrations that were waited for are still pending
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pgyoyo.text import printable_line


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name most like `name`, None if none is at least `cutoff` (0 to 1) alike."""
    from difflib import get_close_matches  # for a message that few runs print

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


class Defect(NamedTuple):
    """What is wrong with a file; prints as `path:line: what; what to do` (line 0: the file as a whole)."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        path = printable_line(str(self.path))
        return f"{path}:{self.line}: {self.message}" if self.line else f"{path}: {self.message}"


class PgyoyoError(Exception):
    """Base of all; its text is complete: where, what is wrong, what to do next."""

    exit_code = 1


class UsageError(PgyoyoError):
    """The command line or the configuration is wrong; nothing was touched."""

    exit_code = 2


class DefectsError(PgyoyoError):
    """Migration files are wrong; found before the database was touched."""

    def __init__(self, defects: Sequence[Defect]) -> None:
        self.defects = sorted(defects)
        super().__init__("\n".join(str(defect) for defect in self.defects))


class ServerError(PgyoyoError):
    """The embedded PostgreSQL can't be found, started or stopped."""


class ConnectError(PgyoyoError):
    """No connection to the database; the text never holds a password. `passes`: it may pass if one waits."""

    def __init__(self, words: str, *, passes: bool = False) -> None:
        super().__init__(words)
        self.passes = passes


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: line from 1, column in characters from 1 (0: the line as a whole), and the text of the line.

    Without `has_column` the column is that of the text, not of the line in the file.
    """

    path: Path
    line: int
    column: int
    text: str
    has_column: bool = True

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" + (f":{self.column}" if self.column and self.has_column else "")


class MigrationError(PgyoyoError):
    """The run ended early: `words` say what failed, `state` what stands afterwards and which command comes next."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
        self.state = ""

    def __str__(self) -> str:
        return f"{self.words}\n{self.state}" if self.state else self.words


class StatementError(MigrationError):
    """A statement of a migration failed.

    `place` is where in its file, `statement` its name, `server_error` the server's own error, each where there is one;
    `started` says that earlier statements of the file stay done; `step` is which of several files in one transaction
    failed, from 0; `advice` is what to do before the next run, "" for nothing, where the server's error does not tell.
    """

    def __init__(
        self,
        words: str,
        *,
        place: Place | None = None,
        statement: str = "",
        server_error: Exception | None = None,
        started: bool = False,
        step: int = 0,
        advice: str | None = None,
    ) -> None:
        super().__init__(words)
        self.place = place
        self.statement = statement
        self.server_error = server_error
        self.started = started
        self.step = step
        self.advice = advice


class ConnectionLostError(MigrationError):
    """The connection was lost while a migration ran; `done`: whether a new session saw it applied, None if unknown."""

    def __init__(self, words: str, *, done: bool | None) -> None:
        super().__init__(words)
        self.done = done


class RollbackRefusedError(PgyoyoError):
    """Rolling back would not undo, or would break, something; nothing was touched."""


class DriftError(PgyoyoError):
    """Files and database differ; nothing was touched."""

    exit_code = 4


class LockedError(PgyoyoError):
    """Another runner is at work; the text names it."""

    exit_code = 5


class PendingError(PgyoyoError):
    """Migrations that were waited for are still `pending`; nothing was touched."""

    exit_code = 3

    def __init__(self, words: str, pending: Sequence[str] = ()) -> None:
        super().__init__(words)
        self.pending = pending
