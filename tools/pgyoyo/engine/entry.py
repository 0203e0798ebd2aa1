"""A runner's way into a ledger that is as a run left it: yoyo's lock row and what is applied, in one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgyoyo.engine import ledger, lock, records, which_ledger

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.migrations.status import Ledger

_TABLES = 7  # of a whole ledger


@dataclass(slots=True)
class Entry:
    """Tried once, under the advisory lock of the ledger's schema.

    With `pinned` the caller says which ledger is meant, and others on the search_path do not matter. After an attempt that
    took the row in a whole ledger, `ledger` is the ledger as of then, and `guarded` what records.guarded gives.
    """

    conn: Connection
    schema: str
    pinned: bool = False
    ledger: Ledger | None = field(default=None, init=False)
    guarded: records.Guarded | None = field(default=None, init=False)

    def attempt(self) -> bool:
        """Whether it took the row; not where a plain yoyo has it, nor where the tables ask for a second look."""
        texts = which_ledger.queries(which_ledger.table_of(self.conn))
        parts = (
            # The ledger has to be read as it is when the row is there.
            "SET LOCAL transaction_isolation = 'read committed'",
            which_ledger.choose_plain(self.conn, self.schema, alone=not self.pinned),
            lock.ROW.format(table="yoyo_lock"),
            *(texts[name] for name in ledger.READING),
        )
        try:
            cursor = self.conn.execute(";\n".join(parts).encode())
        except ledger.NOT_PLAIN:
            return False
        cursor.nextset()
        [(path, oids, sign, counts)] = cursor.fetchall()
        cursor.nextset()
        if not cursor.fetchall():
            return False
        rows = ledger.rest(cursor)
        if len(oids) < _TABLES:  # one was dropped
            return True
        # A backfill that is under way takes a longer look.
        self.ledger = ledger.read(self.conn, schema=self.schema) if rows[-1] else ledger.of_rows(path, rows)
        self.guarded = records.guarded_plainly(self.conn, oids, sign, counts=counts)
        return True
