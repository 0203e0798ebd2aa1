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
class TriggerCheck:
    """Tries the UPDATE on the first rows of each table, once a table."""

    batches: Batches
    _passed: set[int] = field(default_factory=set)

    def passed(self, table: Table, member: str | None, which: str) -> bool:
        """Whether there is a row to update among those that `which` selects; the first ten are tried.

        Raises RefusedError where a trigger changes more than the UPDATE sets, or undoes it. All of it is rolled back, except
        values of sequences, which PostgreSQL never gives back.
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
        query = self.batches.slice.remaining(member=member, limit=ROWS, which=which)
        return [row[0] for row in self.batches.runner.conn.execute(query.encode()).fetchall()]

    def _try(self, table: Table, member: str | None, places: Sequence[str]) -> None:
        conn, update = self.batches.runner.conn, self.batches.slice
        writes = self._written()
        others = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
        changed: Counter[str] = Counter()
        example: dict[str, tuple[str | None, str | None]] = {}
        rows = 0
        own = f"SELECT {others} FROM ONLY {table.name} WHERE ctid OPERATOR(pg_catalog.=) %s::pg_catalog.tid"  # noqa: S608 - quoted by the server
        for place in places:
            before = conn.execute(own.replace("%s", f"'{place}'").encode()).fetchone()
            columns = (
                ", ".join(f"{quoted(update.alias)}.{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
            )
            statement = update.batch(f"{{ctid}} OPERATOR(pg_catalog.=) '{place}'", member=member, waiting=True)
            done = conn.execute(f"{statement}\nRETURNING {update.ctid}::pg_catalog.text, {columns}".encode()).fetchall()
            if not done or before is None:
                continue
            rows += 1
            still = update.remaining(member=member, limit=1, which=f"{{ctid}} OPERATOR(pg_catalog.=) '{done[0][0]}'")
            if conn.execute(still.encode()).fetchall():
                raise RefusedError(
                    update.line,
                    "can't run in batches: a row still satisfies the WHERE after it is updated"
                    + (f"; {_who(table)} undoes the change" if table.triggers else ""),
                )
            for name, old, new in zip(table.others, before, done[0][1:], strict=False):
                if old != new:
                    changed[name] += 1
                    example.setdefault(name, (old, new))
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if self.batches.limits.triggers:
            return  # the header says what triggers shall do
        for name, count in changed.items():
            old, new = example[name]
            self._refuse(table, f"also changes column {name} ({count} of {rows} rows; {old} → {new})")
        for oid, (name, count) in self._written().items():
            more = count - writes.get(oid, ("", 0))[1] - (rows if oid == table.oid else 0)
            if more > 0:
                self._refuse(table, f"also writes to {name}, {more} rows for {rows}")

    def _written(self) -> dict[int, tuple[str, int]]:
        rows: list[Any] = self.batches.runner.conn.execute(queries()["others_wrote"].encode()).fetchall()
        own = f"{self.batches.runner.schema}."
        return {oid: (name, count) for oid, name, count in rows if not name.startswith((own + "_pgyoyo", "_pgyoyo"))}

    def _refuse(self, table: Table, what: str) -> None:
        raise RefusedError(
            self.batches.slice.line,
            f"{_who(table)} {what}. Nothing was changed. Choose in the header: "
            '"backfill: batched, triggers skip", or "triggers fire" if that is intended',
        )


def _who(table: Table) -> str:
    names = ", ".join(table.triggers)
    return f"a trigger of {table.name} ({names})" if names else f"the UPDATE of {table.name}"
