"""A copy of the database in which each statement is committed by itself, to see its own locks and catalog changes."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace

import psycopg
from psycopg import Connection

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Change
from pgyoyo.engine import wire
from pgyoyo.engine.message import RESET
from pgyoyo.errors import PgyoyoError
from pgyoyo.review import growth, observation, scale
from pgyoyo.review.observation import CatalogEntry, RelationNames
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.sheet import Lock, Work
from pgyoyo.review.trial import ScaleTrial
from pgyoyo.scratch import shared
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.sql.intent import Intent

_LONGEST_WAIT = (
    1_500  # ms; an autovacuum of the copy gives way to a session that has waited for deadlock_timeout, a second
)
_TRIALS = 5


class IsolatedCopy:
    """The second copy during one migration; `lost` once a statement could not run by itself in it.

    `relations` are those in it now, where they are known. `alike`: it was made just now, and what was there before has
    the OIDs that it has in the first copy.
    """

    def __init__(
        self, copy: ScratchDatabase, relations: Mapping[int, CatalogEntry] | None = None,
        made: frozenset[str] = frozenset(), *, alike: bool = False,
    ) -> None:  # fmt: skip
        self.copy = copy
        self.alike = alike
        self.names = RelationNames(copy.conn, relations, made)
        self.lost = False
        self._scale = scale.Scale(copy.conn)
        self._trials: dict[str, list[ScaleTrial]] = {}
        self._firing: dict[tuple[str, ...], bool] = {}
        self._known = copy.snapshot()

    def reader_for(self, first: ScratchDatabase) -> Connection:
        """A session that reads what the rules ask of the catalog, by OID: where it can be, the one that reads more anyway."""
        return (self.copy if self.alike and not self.lost else first).reader()

    def run(
        self, text: bytes, copies: list[memoryview], number: int
    ) -> tuple[tuple[Lock, ...], tuple[Change, ...]] | None:
        """The locks that the statement takes and its catalog changes; None where it can't run by itself.

        SET LOCAL would end with the statement's own transaction, so it is run as SET.
        """
        if self.lost:
            return None
        words = text.split(None, 2)
        if [word.upper() for word in words[:2]] == [b"SET", b"LOCAL"]:
            text = b"SET " + words[2]
        conn = self.copy.conn
        try:
            # The open transaction of the first copy may lock objects that all databases share: without a limit, a deadlock.
            conn.execute(f"BEGIN; SET LOCAL lock_timeout = {_LONGEST_WAIT}")
            before = observation.state(conn)
            reply = wire.send(conn, text, copies)
            if reply.error:
                raise reply.error
            after = observation.state(conn)
            if after.catalog != before.catalog:
                self.names.look(conn)
                self._trials.clear()
                self._firing.clear()
            locks = self.names.locks(after.locks, number, number)
            shared.note_transaction(conn)
            conn.execute("COMMIT")
        except psycopg.Error:
            self.lost = True
            with suppress(psycopg.Error):  # the catalog is still asked there
                conn.execute("ROLLBACK")
            return None
        return locks, self.changes() if after.catalog != before.catalog else ()

    def trial(
        self,
        text: bytes,
        copies: list[memoryview],
        asks: Intent,
        name: str,
        takes: Collection[Lock],
        held: Collection[Lock],
    ) -> ScaleTrial | None:
        """A scale trial of a statement that takes these locks while others are held; None where it has no need of one.

        It comes before the statement itself. Of statements that differ in their constants only the first few are
        tried; a trigger may do much for one value and nothing for another.
        """
        if not growth.worth_a_trial(asks, name, takes, held) and not self._fires(asks, takes):
            return None
        key = growth.shape(text, asks)
        if self.lost or len(text) > growth.LONGEST:
            trial = ScaleTrial(reason="it can't be tried by itself" if self.lost else "it is too long to be tried")
        elif len(self._trials.get(key, ())) >= _TRIALS:
            return max(self._trials[key], key=lambda trial: len(trial.changing) + len(trial.unseen))
        else:
            within, in_batches = (
                growth.without_commits(text) if asks.any("code") else (growth.without_cursor(text), False)
            )
            trial = self._scale.run(within, copies)
            if in_batches:
                trial = replace(trial, points=trial.points[:1], writes=frozenset())
        # Of a transaction these are the locks of its earlier statements too.
        if trial.reason and trial.reason != scale.NO_TABLE:
            writes = self.names.oids(lock.relation.name for lock in takes if lock.mode == "ROW EXCLUSIVE")
            trial = replace(trial, writes=trial.writes | writes)
        self._trials.setdefault(key, []).append(trial)
        return trial

    def _fires(self, asks: Intent, takes: Collection[Lock]) -> bool:
        """Whether an INSERT or COPY fires a trigger or a rule, which may change any rows."""
        if not asks.target or not asks.any("insert", "copy"):
            return False
        if asks.names not in self._firing:
            is_view = any(
                lock.relation.kind == "view" and bare_name(lock.relation.name) in asks.names for lock in takes
            )
            names = [*asks.names, *(bare_name(lock.relation.name) for lock in takes if is_view)]
            self._firing[asks.names] = growth.fires_on_insert(names, self.copy.conn)
        return self._firing[asks.names]

    def grown(self, work: Work, trial: ScaleTrial | None, text: bytes, asks: Intent) -> Work:
        """The work with what a trial adds to it."""
        return growth.with_growth(work, trial, self.names, text, asks, self.copy.conn) if trial else work

    def follow(self, text: bytes, copies: list[memoryview]) -> None:
        """Run a statement outside a transaction, without observing it."""
        self.lost = self.lost or wire.send(self.copy.conn, text, copies).error is not None
        self.copy.changed()

    def changes(self) -> tuple[Change, ...]:
        """The catalog changes since it was last read."""
        self.copy.changed()
        return self.since_last(self.copy.snapshot())

    def since_last(self, now: snapshot.Snapshot) -> tuple[Change, ...]:
        """The catalog changes from when it was last read to `now`, which was read elsewhere."""
        before, self._known = self._known, now
        return tuple(snapshot.difference(before, now))

    def end(self) -> None:
        """Reset the session: settings of the file must not outlive it."""
        if self.lost:
            return
        reply = wire.send(self.copy.conn, ";\n".join(RESET).encode())
        if reply.error:
            raise PgyoyoError(f"the scratch server: {reply.error}")
