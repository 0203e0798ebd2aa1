"""The ledger: yoyo's tables of what was applied, and ours beside them."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from psycopg import ClientCursor, Connection, errors
from psycopg.pq import Escaping

from pgyoyo.errors import DriftError
from pgyoyo.migrations.plan import Applied
from pgyoyo.queries import named
from pgyoyo.units import time_words

_QUERIES = Path(__file__).with_name("ledger.sql")
_HOLE = re.compile(r"%(?:%|\((\w+)\)s)")


class JournalLine(NamedTuple):
    """One statement of a migration outside a transaction; state is started, failed or done."""

    migration_id: str
    hash: str
    statement: int
    operation: str
    checksum: str
    state: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is that runs or was interrupted: rows done, seconds worked, share of the pages, 0 to 1.

    `idle` is the seconds since its last batch, `running` whether its session still holds the lock.
    """

    migration_id: str
    hash: str
    rows: int
    batches: int
    worked: float
    fraction: float
    idle: float
    running: bool

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.worked if self.worked else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to go at the same rate; None while nothing is known."""
        return self.worked * (1 - self.fraction) / self.fraction if self.fraction else None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was applied, in that order; schema (quoted where needed) is None while there is no ledger."""

    schema: str | None
    applied: tuple[Applied, ...]
    journal: tuple[JournalLine, ...] = ()
    has_own_tables: bool = False
    backfills: tuple[Progress, ...] = ()


def queries() -> Mapping[str, str]:
    """The named queries of ledger.sql."""
    return named(_QUERIES)


def read(conn: Connection, *, schema: str | None = None, known: Sequence[str] = ()) -> Ledger:
    """The ledger of a schema, or the one that the session's search_path finds: one query, or two where only the plain
    yoyo was at work.

    Where there is none, but another schema has a ledger with one of the `known` hashes, that one is ours: the search_path
    has changed since. Raises DriftError for a ledger of a yoyo that is too old.
    """
    prefix = f"{schema}." if schema else ""
    own = True
    try:
        try:
            rows: Sequence[Any] = conn.execute(queries()["read"].replace("{prefix}", prefix).encode()).fetchall()
        except errors.UndefinedTable as error:
            if "_pgyoyo_backfill" not in str(error):
                raise
            # An earlier version made the ledger; the table comes with the next run.
            own = False
            rows = conn.execute(_before_backfills().replace("{prefix}", prefix).encode()).fetchall()
    except errors.UndefinedTable:
        own = False
        try:
            rows = conn.execute(queries()["read_plain"].replace("{prefix}", prefix).encode()).fetchall()
        except errors.UndefinedTable:
            moved = _elsewhere(conn, known) if schema is None and known else None
            return read(conn, schema=moved) if moved else Ledger(None, ())
        except errors.UndefinedColumn:
            raise DriftError(
                "the ledger was made by yoyo before 6.0; let the plain yoyo bring it up to date once: yoyo list"
            ) from None
    found = rows[0][0]
    applied = tuple(Applied(*row[1:9]) for row in rows if row[9] is None and row[2] is not None)
    rest = [row for row in rows if row[9] is not None]
    journal = tuple(JournalLine(row[1], row[2], row[9], row[10], row[4], row[11]) for row in rest if row[9])
    backfills = tuple(Progress(row[1], row[2], **json.loads(row[11])) for row in rest if not row[9])
    return Ledger(found, applied, journal, own, backfills)


def _before_backfills() -> str:
    """The query for a ledger that has no backfills yet."""
    journal, _, rest = queries()["read"].rpartition("UNION ALL")
    return journal + rest[rest.index("ORDER BY") :]


def _elsewhere(conn: Connection, known: Sequence[str]) -> str | None:
    for (schema,) in conn.execute(queries()["elsewhere"].encode()).fetchall():
        if execute(conn, "holds_one_of", schema, {"hashes": list(known)})[0][0]:
            return str(schema)
    return None


def refuse_a_second(conn: Connection, schema: str) -> None:
    """Raises DriftError where another schema of the search_path holds a ledger too; called before anything is written."""
    other = conn.execute(queries()["others"], {"schema": schema}).fetchone()
    if other:
        raise DriftError(
            f"there are two ledgers: {schema}._yoyo_migration and {other[0]}._yoyo_migration, both on the search_path; "
            "the plain yoyo made the second when the search_path changed. Compare them, drop the wrong one's tables "
            "(_yoyo_migration, _yoyo_log, _yoyo_version, yoyo_lock), then run again"
        )


def bind(
    conn: Connection, name: str, schema: str, params: Mapping[str, Any], *, source: Mapping[str, str] | None = None
) -> str:
    """The named query of ledger.sql, or of another `source`, with its values
    written into it, as it can stand in a message of several statements."""
    return write_values(conn, (source or queries())[name].replace("{schema}", schema), params)


def write_values(conn: Connection, text: str, params: Mapping[str, Any]) -> str:
    """The statement with its values in place of %(name)s."""
    if not all(value is None or isinstance(value, str) for value in params.values()):
        return ClientCursor(conn).mogrify(text, params)
    # Every migration has several of these; a cursor for each takes three times as long.
    escape = Escaping(conn.pgconn).escape_literal
    return _HOLE.sub(lambda hole: _literal(escape, params[hole[1]]) if hole[1] else "%", text)


def _literal(escape: Callable[[bytes], bytes], value: str | None) -> str:
    return "NULL" if value is None else escape(value.encode()).decode()


def execute(conn: Connection, name: str, schema: str, params: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of the named query, or none where it gives none."""
    cursor = conn.execute(queries()[name].replace("{schema}", schema), params)
    return cursor.fetchall() if cursor.description else ()


def progress_words(found: Progress) -> str:
    """How far a backfill is, for a person."""
    words = [f"{found.fraction:.0%}", f"{found.rows:,} rows", f"{found.rate:,.0f} rows/s"]
    if found.left is not None:
        words.append(f"{time_words(found.left * 1000)} left")
    return "  ".join(words)
