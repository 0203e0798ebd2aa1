"""The time between two batches: the pause, who has to be waited for, and what a person wants."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pgyoyo.backfill.control import Control, parse
from pgyoyo.backfill.interrupt import Stop
from pgyoyo.backfill.pacing import Limits
from pgyoyo.backfill.state import Row
from pgyoyo.backfill.throttle import Throttle
from pgyoyo.engine.transaction import Runner
from pgyoyo.errors import StatementError
from pgyoyo.migrations.migration import Migration


@dataclass(slots=True)
class Waiting:
    """What keeps the next batch of a backfill back; `given` are its limits without what its row in the ledger says."""

    runner: Runner
    migration: Migration
    given: Limits
    throttle: Throttle
    stop: Stop
    limits: Limits = field(init=False)
    control: Control = field(default_factory=Control, init=False)
    # Called with why the next batch waits.
    shown: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.limits = self.given

    @property
    def row(self) -> Row:
        """Its row in the ledger."""
        return Row(self.runner.conn, self.runner.schema, self.migration.hash, self.migration.id)

    def obey(self, control_text: str) -> None:
        """Go on as the row says, as JSON; a note says what changed."""
        control = parse(control_text)
        if control == self.control:
            return
        self.runner.observer.note(
            f"{self.migration.id}: now as pgyoyo backfill says: {str(control) or 'as its file says'}"
        )
        self.control = control
        self.limits = control.limits(self.given)
        self.throttle.limits, self.throttle.paused = self.limits, control.paused

    def rest(self, taken: float) -> None:
        """Rest in proportion to a batch that took so many seconds, and as long as anybody has to be waited for.

        Raises StatementError where that lasts longer than give_up_after, unless a person wants it so; ends the run if a
        signal asked for it.
        """
        self.sleep(taken * (self.limits.pause + self.throttle.rest))
        started, reported, begun = time.monotonic(), "", time.monotonic()
        while reason := self.throttle.reason():
            if not reported:
                self.runner.observer.note(f"waiting: {reason}")
            reported = reason
            self.shown(f"waiting: {reason}")
            for (text,) in self.row.execute("wait", {"waiting": reason}):
                self.obey(text)
            if self.throttle.wanted:
                started = time.monotonic()
            elif time.monotonic() - started > self.runner.give_up_after:
                raise StatementError(f"{self.migration.apply.path}: gave up waiting: {reason}", started=True, advice="")
            self.sleep(1.0)
        if reported:
            self.runner.observer.note(f"resumed after {time.monotonic() - begun:.0f} s")

    def sleep(self, seconds: float) -> None:
        """Sleep, but not through a signal."""
        until = time.monotonic() + seconds
        while not self.stop.asked and (rest := until - time.monotonic()) > 0:
            time.sleep(min(rest, 0.1))
        self.stop.now()
