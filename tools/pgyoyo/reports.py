"""What a run reports, handed to a caller's observer in the place of a terminal."""

from collections.abc import Iterator, Sequence

from pgyoyo.console import Console, Rows


class Observer:
    """Shows nothing; a subclass overrides what it wants to hear of. The methods run in the thread that called."""

    def ran(self, verb: str, migration_id: str, duration: float) -> None:
        """A migration was committed: applied or rolled back, after so many milliseconds."""

    def note(self, text: str) -> None:
        """A line about waiting, a retry, or something that the run did by itself."""

    def notice(self, text: str) -> None:
        """A NOTICE or WARNING of the server's, passwords starred; goes to `note` unless overridden."""
        self.note(text)

    def warn(self, text: str) -> None:
        """Something that a person should look at."""

    def progress(self, what: str, elapsed: float, phase: str = "") -> None:
        """The server has been at work on `what` for so many seconds; called about every 50 ms."""

    def backfill(self, migration_id: str, fraction: float, words: str) -> None:
        """How far a backfill is: the share that is done (0 to 1), and its rows and rate in words."""


class Reports(Console):
    """A console that prints nothing: it keeps what ran and the warnings, and tells the observer."""

    def __init__(self, observer: Observer | None) -> None:
        super().__init__(quiet=True)
        self.observer = observer or Observer()
        self.warnings: list[str] = []
        self._ran: list[tuple[str, str]] = []

    def ran_ids(self, verb: str) -> Iterator[str]:
        """The ids of what was applied, or rolled back."""
        return (migration_id for done, migration_id in self._ran if done == verb)

    def note(self, text: str) -> None:
        """Passed on to the observer."""
        self.observer.note(text)

    def warn(self, text: str) -> None:
        """Kept, and passed on to the observer."""
        self.warnings.append(text)
        self.observer.warn(text)

    def progress(self, what: str, elapsed: float, phase: str = "") -> None:
        """Passed on to the observer."""
        self.observer.progress(what, elapsed, phase)

    def backfill(self, migration_id: str, fraction: float, words: str) -> None:
        """Passed on to the observer."""
        self.observer.backfill(migration_id, fraction, words)

    def ran(
        self, verb: str, migration_id: str, duration: float, *, title: str = "", notices: Sequence[str] = (),  # noqa: ARG002
        tables: Sequence[Rows] = (), more_notices: int = 0, more_tables: int = 0,  # noqa: ARG002
    ) -> None:  # fmt: skip
        """Kept, and passed on to the observer; the server's notices follow."""
        self._ran.append((verb, migration_id))
        self.observer.ran(verb, migration_id, duration)
        for notice in notices:
            self.observer.notice(notice)

    def result(self, text: str, *, green: str = "") -> None:
        """Nothing: the caller gets a value."""

    def answer(self, text: str) -> None:
        """Nothing, as above."""

    def data(self, text: str, *, printable: bool = False) -> None:
        """Nothing, as above."""

    def step(self, what: str) -> None:
        """Nothing, as above."""

    def lines(self, lines: Sequence[str], *, keep: bool = False, green: str = "") -> None:
        """Nothing, as above."""
