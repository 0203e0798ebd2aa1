"""The end of the pass over a table: the rows that it missed are done, and those that stay as they are counted."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from psycopg import Connection

from pgyoyo.backfill.batch import Batches, TooLongError
from pgyoyo.backfill.pacing import Pace
from pgyoyo.backfill.places import Places, at
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Table
from pgyoyo.backfill.trigger_check import TriggerCheck
from pgyoyo.errors import StatementError
from pgyoyo.identifiers import quoted
from pgyoyo.sql.batched import Batched
from pgyoyo.sql.insert import BatchedInsert
from pgyoyo.sql.update import BatchedUpdate

# Rows of one look that are held here at once; the rest waits on the server.
_AT_ONCE = 20_000
# Looks for what was missed, before the author's own statement ends it.
_LOOKS = 5
_EXAMPLES = 3
_PLACE = re.compile(r"\(\d+,\d+\)")


@dataclass(slots=True)
class Sweep:
    """Does what the pass over a table missed: rows that were locked, and rows that moved to pages already done."""

    batches: Batches
    trigger_check: TriggerCheck
    table: Table
    member: str | None
    # Rows that were updated here and still satisfy the WHERE, and rows that a trigger keeps from being updated.
    _tried: Places = field(default_factory=Places, init=False)
    # How many of the former there were.
    _stayed: int = field(default=0, init=False)

    @property
    def conn(self) -> Connection:
        """The session of the backfill."""
        return self.batches.runner.conn

    def run(self, pace: Pace) -> None:
        """Look and do until a look shows nothing new, then note how many rows still satisfy the WHERE.

        One query sees the whole table at one moment, so no row escapes by moving. Rows that keep arriving could make this
        endless: at last the author's own statement is sent, once. Raises StatementError where an updated row still satisfies
        the WHERE and another update would give another value: nothing is updated twice then.
        """
        seen = 0
        for number in range(_LOOKS):
            seen = fresh = 0
            for listed in self._look():
                places = [place for place in listed if place not in self._tried]
                seen, fresh = seen + len(listed), fresh + len(places)
                self._do(places, pace, waiting=number > 0)
            if not fresh:
                break
        else:
            if not self._tried:
                self.batches.whole()
        # They count once, here: the batches counted none of them.
        self.batches.state.rows += self._stayed
        batched = self.batches.slice
        kept_out = isinstance(batched, BatchedInsert) and not (
            batched.keys_alone and not self.trigger_check.targets.triggers
        )
        if seen or batched.extra or kept_out:
            self.batches.left += left_words(self.batches, self.table, self.member)

    def _look(self) -> Iterator[list[str]]:
        """The places of the rows that are to be done, as of one moment."""
        batched = self.batches.slice
        which = "true"
        if isinstance(batched, BatchedInsert):
            # The pass has read every row that was in its place when it began; what was deleted since where it had been
            # inserted is not to come back.
            old = f"pg_catalog.age('{self.batches.state.horizon}'::pg_catalog.xid)"
            alias = quoted(batched.alias).replace("{", "{{").replace("}", "}}")
            which = f"pg_catalog.age({alias}.xmin) OPERATOR(pg_catalog.<=) {old}"
        query = batched.remaining(member=self.member, which=which)
        with self.conn.transaction():
            # It reads the whole table beside other sessions.
            self.conn.execute("SET LOCAL max_parallel_workers_per_gather = 0")
            if isinstance(batched, BatchedInsert):
                # Few rows are new; the planner would read the whole of the other table for them.
                self.conn.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
            self.conn.execute(f"DECLARE _pgyoyo_left NO SCROLL CURSOR WITH HOLD FOR {query}".encode())
        try:
            while rows := self.conn.execute(f"FETCH {_AT_ONCE} FROM _pgyoyo_left".encode()).fetchall():
                # Several rows of a FROM may match one.
                yield list(dict.fromkeys(row[0] for row in rows))
        finally:
            if not self.conn.closed:
                self.conn.execute("CLOSE _pgyoyo_left")

    def _do(self, places: Sequence[str], pace: Pace, *, waiting: bool) -> None:
        """Do the rows at these places; `waiting` for those that are locked."""
        batches = self.batches
        start, step = 0, max(1, min(len(places), int(pace.target / pace.row / 2)))
        while start < len(places):
            part = places[start : start + step]
            which = at(part)
            if not self.trigger_check.passed(self.table, self.member, which):
                start += step
                continue
            statement = batches.slice.batch(which, member=self.member, waiting=waiting)
            stays = self._stays if isinstance(batches.slice, BatchedUpdate) else None
            try:
                rows, taken = batches.run(statement, lambda _: None, look=waiting, stays=stays)
            except TooLongError:
                if step == 1:
                    raise StatementError(
                        f"{self.table.name}: one row takes longer than statement_timeout",
                        started=True,
                        advice="Give a longer statement-timeout in the header",
                    ) from None
                step //= 2
                continue
            # Rows of an INSERT stay in the table that it reads; none of them is locked by others.
            if not batches.slice.LOCK or (waiting and rows < len(part)):
                self._tried.add(part)
            start += step
            batches.waiting.rest(taken)

    def _stays(self, places: str) -> None:
        """Note the new places of rows that still satisfy the WHERE."""
        refuse_to_add_up(self.batches, self.table, self.member, places)
        listed = _PLACE.findall(places)
        self._tried.add(listed)
        self._stayed += len(listed)


def refuse_to_add_up(batches: Batches, table: Table, member: str | None, places: str) -> None:
    """Raise StatementError for rows that a batch has updated to these places, and that still satisfy the WHERE, if another
    update would give them other values than the first.
    """
    if not places or not batches.slice.adds_up:
        return
    listed = _PLACE.findall(places)
    triggers = f" (triggers of {table.name}: {', '.join(table.triggers)})" if table.triggers else ""
    raise StatementError(
        f"{batches.migration.apply.path}:{batches.slice.line}: "
        f"{_rows(len(listed), table, batches.slice)} after the UPDATE, "
        f"and {batches.slice.adds_up}, so a second UPDATE would not give what one gives: "
        f"{_examples(batches, table, member, at(listed))}; that batch was rolled back",
        started=True,
        advice=f"Find what puts the old value back{triggers}, or write a WHERE that is false for a row that is done",
    )


def left_words(batches: Batches, table: Table, member: str | None) -> list[str]:
    """How many rows satisfy the author's WHERE now, as a line with examples of them; no line if there are none.

    It reads the whole table.
    """
    conn = batches.runner.conn
    with conn.transaction():
        conn.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        row = conn.execute(batches.slice.count(member=member).encode()).fetchone()
        if not row or not row[0]:
            return []
        return [f"{_rows(row[0], table, batches.slice)}: {_examples(batches, table, member)}"]


def _rows(count: int, table: Table, batched: Batched) -> str:
    if isinstance(batched, BatchedInsert):
        return f"{count:,} row{'s' * (count != 1)} of {table.name} {'is' if count == 1 else 'are'} not in {batched.into[1]}"
    return f"{count:,} row{'s' * (count != 1)} of {table.name} still satisf{'ies' if count == 1 else 'y'} the WHERE"


def _examples(batches: Batches, table: Table, member: str | None, which: str = "true") -> str:
    """Some of the rows that satisfy the WHERE: their keys, what they hold, what the UPDATE sets."""
    update, conn = batches.slice, batches.runner.conn
    key = [name for (name,) in conn.execute(queries()["key"].encode(), {"oid": table.oid}).fetchall()]
    query = update.examples(key, member=member, limit=_EXAMPLES, which=which)
    words, names, wide = [], key or ["ctid"], len(update.columns)
    for example in conn.execute(query.encode()).fetchall():
        texts = ["NULL" if value is None else str(value) for value in example]
        where = ", ".join(f"{name} = {text}" for name, text in zip(names, texts, strict=False))
        rest = texts[len(names) :]
        has = ", ".join(f"{column} is {text}" for column, text in zip(update.columns, rest, strict=False))
        new = ", ".join(rest[wide:])
        words.append(where + (f": {has}" if has else "") + (f" where the UPDATE gives {new}" if new else ""))
    return "; ".join(words)
