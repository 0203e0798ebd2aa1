"""What the engine reports to while it works: one object, handed down once."""

from typing import Protocol


class Observer(Protocol):
    """The terminal, or a caller's own; none of these methods may write to the session that works."""

    def note(self, text: str) -> None:
        """A line about waiting, a retry, or something that the run did by itself."""

    def progress(self, what: str, elapsed: float, phase: str = "") -> None:
        """The server has been at work on `what` for so many seconds, in the phase it shows; called about every 50 ms."""

    def backfill(self, migration_id: str, fraction: float, words: str) -> None:
        """How far a backfill is: the share that is done (0 to 1), and its rows, rate and reason to wait in words."""


class Silent:
    """An observer that shows nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def progress(self, what: str, elapsed: float, phase: str = "") -> None:
        """Nothing."""

    def backfill(self, migration_id: str, fraction: float, words: str) -> None:
        """Nothing."""


SILENT = Silent()
