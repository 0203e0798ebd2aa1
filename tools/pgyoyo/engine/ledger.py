"""The ledger: yoyo's tables of what was applied, and ours beside them, as they are read; records.py writes them."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor, errors

from pgyoyo.engine import encoding, which_ledger
from pgyoyo.engine.literals import write_values
from pgyoyo.engine.which_ledger import queries
from pgyoyo.errors import PgyoyoError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Applied, JournalLine, Ledger, Progress
from pgyoyo.text import printable_line


def read(conn: Connection, *, schema: str | None = None, known: Sequence[Migration] = ()) -> Ledger:
    """The ledger of a schema, or the one that counts in this session: one message, and more only where the plain yoyo alone
    was at work or there is none.

    Where there is none, its notes say which other schema has one with `known` migrations; where one of these moved the
    search_path, that ledger is taken. Raises DriftError for tables that can't be trusted, and for those of an old yoyo.
    """
    with suppress(*NOT_PLAIN):
        return _read(conn, which_ledger.choose_plain(conn, schema))
    if not which_ledger.is_anywhere(conn, schema):
        return Ledger(None, ())
    note = ""
    try:
        there = _read(conn, which_ledger.choose(conn, schema))
        if schema is None and known and there.schema:
            hashes = {row.hash for row in there.applied}
            notes = which_ledger.further_on(conn, there.schema, (m for m in known if m.hash in hashes))
            there = replace(there, notes=notes)
    except (errors.UndefinedColumn, errors.UndefinedFunction):
        which_ledger.refuse_misfits(conn, schema)
        raise
    except errors.UndefinedTable:
        tables = which_ledger.tables(conn, schema)
        if not tables and schema is None and known:
            schema, note = which_ledger.elsewhere(conn, known)
            if schema:
                return replace(read(conn, schema=schema), notes=(note,))
        if not tables:
            return Ledger(None, (), notes=(note,) if note else ())
        if {table.name for table in tables} >= which_ledger.OWN:  # made this very moment
            return read(conn, schema=tables[0].schema)
        return _read(conn, which_ledger.choose(conn, tables[0].schema), ("read",))
    return there


# What the short way fails with where the ledger is not as a run left it.
NOT_PLAIN = (
    errors.UndefinedTable, errors.InsufficientPrivilege, errors.UndefinedColumn, errors.UndefinedFunction,
    errors.InvalidColumnReference,
)  # fmt: skip
# What is read behind a statement that chooses a ledger; the last one is sent again as _BACKFILLS where it finds some.
READING = ("read", "read_known", "read_journal", "any_backfill")
_BACKFILLS = (*READING[:3], "read_backfills")


def _read(conn: Connection, chosen: str, names: Sequence[str] = READING) -> Ledger:
    """The ledger behind `chosen`, whose statements see the same moment."""
    texts = queries(which_ledger.table_of(conn))
    parts = ["SET LOCAL transaction_isolation = 'repeatable read'", chosen, *(texts[name] for name in names)]
    cursor = conn.execute(";\n".join(parts).encode())
    cursor.nextset()
    [(path, *_)] = cursor.fetchall()
    rows = rest(cursor)
    return _read(conn, chosen, _BACKFILLS) if rows[3:] == [True] else of_rows(path, rows)


def rest(cursor: Cursor[Any]) -> list[Any]:
    """The values of the results that follow, each of which has one."""
    values = []
    while cursor.nextset():
        [(value,)] = cursor.fetchall()
        values.append(value)
    return values


def of_rows(path: str, rows: Sequence[Any]) -> Ledger:
    """The ledger of what the queries of READING gave, behind one that set the search_path `path`; without our tables only
    the first of them."""
    applied, known, journal, backfills = (*rows, (), (), ())[:4]
    ours = {(key, at): values for key, at, *values in known}
    return Ledger(
        path.removesuffix(", pg_temp"),
        # Plain yoyo takes a package's __init__.py for a migration.
        tuple(_applied(*row, *ours.get((row[1], row[2]), ())) for row in applied if row[0] != "__init__"),
        tuple(JournalLine(*line) for line in journal),
        len(rows) > 1,
        tuple(Progress(**values) for values in backfills or ()),
    )


def _applied(name: str | None, key: str, at: str | None, *rest: Any) -> Applied:
    row = Applied(_id(name, key), key, _time(at), *rest)
    row = row._replace(by=row.by and printable_line(row.by), version=row.version and printable_line(row.version))
    return row._replace(adopted=_time(rest[-1])) if row.adopted else row


def _id(name: str | None, key: str | None) -> str:
    """The id on one line: no file has another one, and a row that somebody else wrote could look like several of ours."""
    return f"(no id, hash {(key or '')[:8]})" if name is None else printable_line(name)


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:  # infinity
        return None


def current_schema(conn: Connection) -> str:
    """The schema, quoted where needed, where a new ledger goes; raises PgyoyoError where the search_path has none."""
    row = conn.execute(queries()["current_schema"].encode()).fetchone()
    assert row
    if row[0] is None:
        raise PgyoyoError(f'no schema of the search_path ("{row[1]}") exists, so the ledger has no place; create one')
    return str(row[0])


def bind(
    conn: Connection, name: str, schema: str, params: Mapping[str, Any], *, source: Mapping[str, str] | None = None
) -> str:
    """The named query of the ledger, or of another `source`, with its values written into it, as it can stand in a message of
    several statements.

    Beside a file's own statements, too: values are the same whatever client_encoding it set.
    """
    text = in_schema((source or queries(which_ledger.table_of(conn)))[name], schema)
    return write_values(conn, text, params, ascii_only=True)


def in_schema(text: str, schema: str) -> str:
    """The query in that schema, as it stands before its values are written into it."""
    return text.replace("{schema}", schema.replace("%", "%%"))


def execute(conn: Connection, name: str, schema: str, params: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of the named query, or none where it gives none."""
    cursor = conn.execute(in_schema(queries(which_ledger.table_of(conn))[name], schema), params)
    return cursor.fetchall() if cursor.description else ()


def hooks_are_due(conn: Connection, schema: str, hooks: Sequence[Migration]) -> bool:
    """Whether something was applied after the hooks ran the last time; False for a role that may not read the log."""
    try:
        rows = execute(conn, "hooks_due", schema, {"hooks": [hook.hash for hook in hooks]})
    except (errors.InsufficientPrivilege, errors.UndefinedTable):
        return False
    return bool(rows[0][0])


def key_of(schema: str) -> int:
    """The advisory lock's key for a ledger; the lock is the database's own, so its name need not be in it.

    It is the same for a session with quote_all_identifiers, to which the server quotes every name.
    """
    digest = hashlib.sha256(b"pgyoyo\0" + which_ledger.unquoted(schema).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def texts(conn: Connection, schema: str, key: str) -> tuple[str | None, str | None] | None:
    """The stored files of the migration with that hash; None where it has none."""
    rows = execute(conn, "texts", schema, {"hash": key})
    if not rows:
        return None
    apply, rollback = (text if text is None else encoding.from_stored(text) for text in rows[0])
    return apply, rollback
