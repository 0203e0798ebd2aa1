"""Ten rows updated and rolled back, to see what triggers would do before anything is done."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pgyoyo.backfill.batch import Batches
from pgyoyo.backfill.tables import Table, queries
from pgyoyo.sql.update import RefusedError, quoted

ROWS = 10


@dataclass(slots=True)
class Canary:
    """Remembers for which tables it has sung."""

    batches: Batches
    _passed: set[int] = field(default_factory=set)

    def passed(self, table: Table, member: str | None, which: str) -> bool:
        """Whether there is a row to update among those that `which` means; the first ones are tried, once a table.

        Raises RefusedError where a trigger changes more than what is set, or takes it back; nothing stays done. What
        PostgreSQL never rolls back, values of sequences, stays taken.
        """
        if table.oid in self._passed:
            return True
        conn = self.batches.runner.conn
        try:
            conn.execute(";\n".join(["BEGIN", *self.batches.settings()]).encode())
            places = self._places(member, which)
            if places:
                self._try(table, member, places)
                self._passed.add(table.oid)
            return bool(places)
        except psycopg.OperationalError:
            if conn.closed:
                raise
            return True  # no lock in time, or too long: the batch itself is more patient, or smaller
        except psycopg.Error:
            return True  # the batch itself will fail, with its place in the file
        finally:
            if not conn.closed:
                conn.execute("ROLLBACK")

    def _places(self, member: str | None, which: str) -> list[str]:
        one = self.batches.slice
        query = one.remaining(member=member, limit=ROWS, which=which)
        return [row[0] for row in self.batches.runner.conn.execute(query.encode()).fetchall()]

    def _try(self, table: Table, member: str | None, places: Sequence[str]) -> None:
        conn, one = self.batches.runner.conn, self.batches.slice
        writes = self._written()
        others = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
        changed: Counter[str] = Counter()
        example: dict[str, tuple[str | None, str | None]] = {}
        rows = 0
        own = f"SELECT {others} FROM ONLY {table.name} WHERE ctid OPERATOR(pg_catalog.=) %s::pg_catalog.tid"  # noqa: S608 - quoted by the server
        for place in places:
            before = conn.execute(own.replace("%s", f"'{place}'").encode()).fetchone()
            columns = (
                ", ".join(f"{quoted(one.alias)}.{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
            )
            statement = one.batch(f"{{ctid}} OPERATOR(pg_catalog.=) '{place}'", member=member, waiting=True)
            done = conn.execute(f"{statement}\nRETURNING {one.ctid}::pg_catalog.text, {columns}".encode()).fetchall()
            if not done or before is None:
                continue
            rows += 1
            still = one.remaining(member=member, limit=1, which=f"{{ctid}} OPERATOR(pg_catalog.=) '{done[0][0]}'")
            if conn.execute(still.encode()).fetchall():
                self._refuse(table, "is taken back: a row still satisfies the WHERE once it is updated")
            for name, old, new in zip(table.others, before, done[0][1:], strict=False):
                if old != new:
                    changed[name] += 1
                    example.setdefault(name, (old, new))
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if self.batches.limits.triggers:
            return  # whoever says what triggers shall do knows what they do
        for name, count in changed.items():
            old, new = example[name]
            self._refuse(table, f"changes {name} too, in {count} of {rows} rows ({old} → {new})")
        for oid, (name, count) in self._written().items():
            more = count - writes.get(oid, ("", 0))[1] - (rows if oid == table.oid else 0)
            if more > 0:
                self._refuse(table, f"writes to {name} too, {more} rows for {rows}")

    def _written(self) -> dict[int, tuple[str, int]]:
        rows: list[Any] = self.batches.runner.conn.execute(queries()["others_wrote"].encode()).fetchall()
        own = f"{self.batches.runner.schema}."
        return {oid: (name, count) for oid, name, count in rows if not name.startswith((own + "_pgyoyo", "_pgyoyo"))}

    def _refuse(self, table: Table, what: str) -> None:
        names = ", ".join(table.triggers)
        who = f"a trigger of {table.name} ({names})" if names else f"the UPDATE of {table.name}"
        if what.startswith("is taken"):
            raise RefusedError(
                self.batches.slice.line, f"can't run in batches: what it sets {what}" + (f", by {who}" if names else "")
            )
        raise RefusedError(
            self.batches.slice.line,
            f"{who} {what}. Nothing was done. Say in the header which it is to be: "
            '"backfill: batched, triggers skip", or "triggers fire" if that is meant',
        )
