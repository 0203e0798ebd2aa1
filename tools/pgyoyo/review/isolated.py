"""Each statement committed by itself, in a copy of the database: the locks that it takes, and how it changes the catalog."""

import psycopg

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Change
from pgyoyo.engine import wire
from pgyoyo.engine.message import RESET
from pgyoyo.errors import PgyoyoError
from pgyoyo.review import observation
from pgyoyo.review.observation import Names
from pgyoyo.review.sheet import Lock
from pgyoyo.scratch.copies import Copy

_LONGEST_WAIT = 1_000  # ms


class Apart:
    """The second copy, while it goes through one migration; `lost` once a statement would not run by itself there."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.names = Names(copy.conn)
        self.lost = False
        self._known = copy.snapshot()

    def run(
        self, text: bytes, copies: list[memoryview], number: int
    ) -> tuple[tuple[Lock, ...], tuple[Change, ...]] | None:
        """The locks that the statement takes and what it changes in the catalog; None where it can't run by itself.

        What belongs to its transaction alone would be gone for the next statement, so SET LOCAL is made to last.
        """
        if self.lost:
            return None
        words = text.split(None, 2)
        if [word.upper() for word in words[:2]] == [b"SET", b"LOCAL"]:
            text = b"SET " + words[2]
        conn = self.copy.conn
        try:
            # The first copy's transaction is open, and what all databases share may be locked by it: nobody would go on.
            conn.execute(f"BEGIN; SET LOCAL lock_timeout = {_LONGEST_WAIT}")
            before = observation.state(conn)
            reply = wire.send(conn, text, copies)
            if reply.error:
                raise reply.error
            after = observation.state(conn)
            if after.catalog != before.catalog:
                self.names.look(conn)
            locks = self.names.locks(after.locks, number, number)
            conn.execute("COMMIT")
        except psycopg.Error:
            self.lost = True
            return None
        return locks, self.changes() if after.catalog != before.catalog else ()

    def follow(self, text: bytes, copies: list[memoryview]) -> None:
        """Run a statement outside a transaction, unseen."""
        self.lost = self.lost or wire.send(self.copy.conn, text, copies).error is not None
        self.copy.changed()

    def changes(self) -> tuple[Change, ...]:
        """How the catalog differs from when it was last read."""
        self.copy.changed()
        return self.since_last(self.copy.snapshot())

    def since_last(self, now: snapshot.Snapshot) -> tuple[Change, ...]:
        """How the catalog, read elsewhere, differs from when it was last read."""
        before, self._known = self._known, now
        return tuple(snapshot.difference(before, now))

    def end(self) -> None:
        """Leave the session as a fresh one; the file may have set things that would outlive it."""
        if self.lost:
            return
        reply = wire.send(self.copy.conn, ";\n".join(RESET).encode())
        if reply.error:
            raise PgyoyoError(f"the scratch server: {reply.error}")
