"""What a file outside a transaction did to the ledger, or would do: nothing undoes it, so it is named with its repair."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

import psycopg
from psycopg import Connection

from pgyoyo.engine import ledger, which_ledger, wire
from pgyoyo.engine.message import LOST, OWN, RESET
from pgyoyo.errors import DriftError, StatementError
from pgyoyo.migrations.status import Applied
from pgyoyo.sql.script import Statement

_CHANGES = r"\b(?:insert\s+into|update|delete\s+from|merge\s+into|truncate|drop\s+table|alter\s+table|copy)\b[^;]*?"


@dataclass(frozen=True, slots=True)
class Guard:
    """The ledger as it was before a file: its rows, and how many its log had."""

    conn: Connection
    schema: str
    path: str
    applied: Sequence[Applied]
    logged: int

    def refuse_code(self, number: int, statement: Statement, codes: Iterable[tuple[str, str]]) -> None:
        """Raises StatementError where code that commits by itself changes the ledger; `codes` by their function's name."""
        for name, code in codes:
            if table := changed_by(code, which_ledger.table_of(self.conn)):
                raise StatementError(
                    f"{self.path}: statement {number}, {statement.name}: its code{name and f', in {name},'} changes {table}. "
                    "Only pgyoyo may (see pgyoyo mark, unmark and repair), and since it commits by itself that could not be "
                    "undone; nothing of it was run",
                    started=number > 1,
                )

    def refuse_changes(self, statement: str = "") -> None:
        """Raises StatementError where the ledger is another one now, with how to repair that; resets the session.

        Behind a `statement` of the file the session stays as it is where nothing was changed.
        """
        if statement and self._is_same():
            return
        wire.clear(self.conn)
        self.conn.execute(";\n".join(RESET).encode())
        now = ledger.read(self.conn, schema=self.schema)
        if now.schema is None or now.applied != tuple(self.applied) or self._count() != self.logged:
            words = f"{self.path}: {statement and f'{statement}: '}{LOST}\n{repair(self.applied, now.applied)}"
            raise StatementError(words, started=True, advice="Do that first")

    def _is_same(self) -> bool:
        try:
            # As the role that logged in, whatever the file set.
            self.conn.execute(";\n".join(["BEGIN", *OWN]).encode())
            now = ledger.read(self.conn, schema=self.schema)
            return now.applied == tuple(self.applied) and self._count() == self.logged
        except (psycopg.ProgrammingError, psycopg.InternalError, DriftError):  # without its table, or with a trigger
            return False
        finally:
            if not self.conn.closed:
                wire.clear(self.conn)

    def _count(self) -> int:
        return log_rows(self.conn, self.schema)


def log_rows(conn: Connection, schema: str) -> int:
    """How many rows the log has."""
    return int(ledger.execute(conn, "logged", schema, {})[0][0])


def changed_by(code: str, table: str) -> str:
    """The first table of the ledger that a piece of code names where it changes one; "" for none."""
    names = "|".join(map(re.escape, (table, "_yoyo_log", "_yoyo_version", "yoyo_lock", *which_ledger.OWN)))
    match = re.search(rf"(?i){_CHANGES}(?<!\w)({names})(?!\w)", code)
    return match[1] if match else ""


def repair(before: Sequence[Applied], now: Sequence[Applied]) -> str:
    """What became of the rows, a line for each kind, with the command that repairs it."""
    old, new = {row.hash: row for row in before}, {row.hash: row for row in now}
    kinds = {
        "no row any more: record them again with pgyoyo mark": [row for row in before if row.hash not in new],
        "nobody applied: take them out with pgyoyo unmark": [row for row in now if row.hash not in old],
        "another row: accept their files again with pgyoyo repair": [
            row for row in now if row.hash in old and row != old[row.hash]
        ],
    }
    lines = [f"{words} {' '.join(quote(row.id) for row in rows)}" for words, rows in kinds.items() if rows]
    return "\n".join(lines) or "only the log (_yoyo_log) has other rows, which nothing but the history needs"
