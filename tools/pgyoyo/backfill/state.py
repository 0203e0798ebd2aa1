"""Where a backfill is: its row in the ledger."""

import json
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pgyoyo.backfill.pacing import Cursor
from pgyoyo.backfill.queries import queries
from pgyoyo.engine import ledger


@dataclass(slots=True)
class State:
    """A row of _pgyoyo_backfill (engine/ledger_tables.sql): where the backfill is, and its account; seconds and bytes."""

    checksum: str = ""
    # How many statements of the file are done, and the lines that say what they did; the rest is about the present one.
    statement: int = 0
    account: list[str] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    relation: int | None = None
    filenode: int | None = None
    high: int = 0
    zone_start: int = 0
    zone_end: int = 0
    turn: int = 0
    page: int = 0
    rows: int = 0
    batches: int = 0
    worked: float = 0.0
    busy: float = 0.0
    longest_batch: float = 0.0
    longest_wait: float = 0.0
    wal: float = 0.0
    heap_before: int = 0
    indexes_before: int = 0
    # The oldest transaction that was open when the statement began: what is older had been in its place by then.
    horizon: str = ""
    # Rows of other tables that foreign keys deleted or changed, by the table's name.
    cascaded: dict[str, int] = field(default_factory=dict)
    lsn: str = "0/0"

    @property
    def cursor(self) -> Cursor:
        """The place in the table that `relation` says."""
        return Cursor(self.zone_start, self.zone_end, self.turn, self.page)

    @cursor.setter
    def cursor(self, cursor: Cursor) -> None:
        self.zone_start, self.zone_end, self.turn, self.page = cursor.start, cursor.end, cursor.turn, cursor.page

    def next_statement(self, lines: list[str]) -> "State":
        """The state at the begin of the next statement of the file, after one of which `lines` are the account."""
        return State(
            checksum=self.checksum, statement=self.statement + 1, account=[*self.account, *lines], lsn=self.lsn
        )

    def values(self) -> dict[str, Any]:
        """What is written to the row."""
        values = {name: getattr(self, name) for name in State.__slots__ if name != "checksum"}
        return values | {"cascaded": json.dumps(self.cascaded), "account": json.dumps(self.account)}


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one backfill in the ledger of `schema` (quoted where needed)."""

    conn: Connection
    schema: str
    hash: str
    id: str

    def begin(self, checksum: str) -> State:
        """Make it."""
        self.execute("begin", {"id": self.id, "checksum": checksum})
        state = self.resume()
        assert state
        return state

    def resume(self) -> State | None:
        """What it says, now that this session goes on with it; None where there is none."""
        self.add_missing_columns()
        cursor = self.conn.cursor(row_factory=class_row(State))
        return cursor.execute(self.text("resume", {}).encode()).fetchone()

    def add_missing_columns(self) -> None:
        """Add what the row has not where an earlier version made the table."""
        for name in self.execute("missing_columns", {"own": f"{self.schema}._pgyoyo_backfill"}):
            self.conn.execute(f"ALTER TABLE {self.schema}._pgyoyo_backfill ADD COLUMN IF NOT EXISTS {name[0]}".encode())

    def text(self, query: str, values: dict[str, Any]) -> str:
        """A query of the row, for this session."""
        return ledger.bind(self.conn, query, self.schema, {"hash": self.hash, **values}, source=queries())

    def execute(self, query: str, values: dict[str, Any]) -> list[Any]:
        """The rows of a query of the row; none where it gives none."""
        cursor = self.conn.execute(self.text(query, values).encode())
        return cursor.fetchall() if cursor.description else []
