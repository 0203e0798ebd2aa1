"""The ledger: yoyo's tables of what was applied, ours beside them, and the statements that write both."""

import getpass
import hashlib
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from psycopg import Connection, errors

from pgyoyo import __version__
from pgyoyo.engine import encoding, which_ledger
from pgyoyo.engine.literals import write_values
from pgyoyo.engine.message import LOST, TAKEN, Record
from pgyoyo.engine.which_ledger import queries
from pgyoyo.errors import DriftError, PgyoyoError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Applied, JournalLine, Ledger, Progress

# A bigger text is not kept in the ledger, only its checksum: it would be sent and stored twice.
KEPT_TEXT = 1 << 20
# The server's clock, one for everybody.
_NOW = "(pg_catalog.now() AT TIME ZONE 'UTC')"
# The tables whose rows a record checks, and what the server counts of each (TRUNCATE takes what was inserted back).
_COUNTED = {
    "_yoyo_migration": ("inserted", "updated", "deleted"),
    "_pgyoyo_migration": ("inserted", "updated", "deleted"),
    "_yoyo_log": ("inserted", "updated", "deleted"),
    "yoyo_lock": ("deleted",),
}


def read(conn: Connection, *, schema: str | None = None, known: Sequence[Migration] = ()) -> Ledger:
    """The ledger of a schema, or the one that counts in this session: one message, and more only where the plain yoyo alone
    was at work or there is none.

    Where there is none, its notes say which other schema has one with `known` migrations; where one of these moved the
    search_path, that ledger is taken. Raises DriftError for tables that can't be trusted, and for those of an old yoyo.
    """
    note = ""
    try:
        row = _rows(conn, "read", schema)
    except errors.UndefinedTable:
        if not which_ledger.is_anywhere(conn):
            return Ledger(None, ())
        tables = which_ledger.tables(conn, schema)
        if not tables and schema is None and known:
            schema, note = which_ledger.elsewhere(conn, known)
            if schema:
                return replace(read(conn, schema=schema), notes=(note,))
        if not tables:
            return Ledger(None, (), notes=(note,) if note else ())
        if {table.name for table in tables} >= which_ledger.OWN:  # made this very moment
            return read(conn, schema=tables[0].schema)
        try:
            row = _rows(conn, "read_plain", tables[0].schema)
        except errors.UndefinedColumn:
            raise DriftError(
                "the ledger was made by yoyo before 6.0; let the plain yoyo bring it up to date once: yoyo list"
            ) from None
        return _ledger(row, has_own_tables=False)
    return _ledger(row, has_own_tables=True)


def _rows(conn: Connection, name: str, schema: str | None) -> Any:
    """The row of a query that reads the ledger by plain names: the search_path, for this one message, has nothing else."""
    tables = which_ledger.query(conn, "which_counts", schema)
    texts = queries(which_ledger.table_of(conn))
    cursor = conn.execute(f"{texts['choose'].replace('{tables}', tables)};\n{texts[name]}".encode())
    cursor.nextset()
    return cursor.fetchone()


def _ledger(row: Any, *, has_own_tables: bool) -> Ledger:
    here, applied, journal, backfills = row
    return Ledger(
        here,
        # Plain yoyo takes a package's __init__.py for a migration.
        tuple(_applied(*row) for row in applied if row[0] != "__init__"),
        tuple(JournalLine(*line) for line in journal),
        has_own_tables,
        tuple(Progress(**values) for values in backfills),
    )


def _applied(name: str | None, key: str, at: str | None, *rest: Any) -> Applied:
    row = Applied(_id(name, key), key, _time(at), *rest)
    return row._replace(adopted=_time(rest[-1])) if row.adopted else row


def _id(name: str | None, key: str | None) -> str:
    return f"(no id, hash {(key or '')[:8]})" if name is None else name


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
    """The named query of ledger.sql, or of another `source`, with its values
    written into it, as it can stand in a message of several statements.

    Beside a file's own statements, too: values are the same whatever client_encoding it set.
    """
    text = _in_schema((source or queries(which_ledger.table_of(conn)))[name], schema)
    return write_values(conn, text, params, ascii_only=True)


def _in_schema(text: str, schema: str) -> str:
    """The query in that schema, as it stands before its values are written into it."""
    return text.replace("{schema}", schema.replace("%", "%%"))


def execute(conn: Connection, name: str, schema: str, params: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of the named query, or none where it gives none."""
    cursor = conn.execute(_in_schema(queries(which_ledger.table_of(conn))[name], schema), params)
    return cursor.fetchall() if cursor.description else ()


def hooks_are_due(conn: Connection, schema: str, hooks: Sequence[Migration]) -> bool:
    """Whether something was applied after the hooks ran the last time; False for a role that may not read the log."""
    try:
        rows = execute(conn, "hooks_due", schema, {"hooks": [hook.hash for hook in hooks]})
    except (errors.InsufficientPrivilege, errors.UndefinedTable):
        return False
    return bool(rows[0][0])


def counted(conn: Connection, schema: str) -> tuple[int, ...]:
    """The OIDs of the tables whose rows a record checks; none where the server counts no rows, or there is no ledger yet."""
    rows = execute(conn, "counted", schema, {"names": [f"{schema}.{_quoted(conn, name)}" for name in _COUNTED]})
    return () if any(oid is None for (oid,) in rows) else tuple(oid for (oid,) in rows)


def _quoted(conn: Connection, name: str) -> str:
    """A table of the ledger as regclass takes it."""
    return name if name != which_ledger.TABLE else '"' + which_ledger.table_of(conn) + '"'


@dataclass(slots=True)
class Records:
    """Composes the statements that record a migration in the ledger of `schema`; sends nothing.

    `tables` is what `counted` gives; without them a record checks no more than the migration's own row.
    """

    conn: Connection
    schema: str
    tables: tuple[int, ...] = ()

    def of(self, migration: Migration, operation: str, *, mark: bool = True, before: str | None = None) -> Record:
        """The record of an operation of yoyo's: apply, rollback, mark, unmark.

        Without `mark` only the log has it. `before` is the hash of the migration that was recorded right before in this
        session, if one was.
        """
        values = log_data(migration, operation)
        log = self._write("log", values)
        if operation == "unmark":
            return Record((self._write("unmark", values), log, self._write("forget", values)))
        if not mark:
            return Record((self._write("begin", {}), log), self._behind(migration, "check_hook"))
        if operation == "rollback":
            opening = (self._write("forget", values), self._write("begin", {}), log)
            return Record(opening, self._behind(migration, "check"), self._behind(migration, "unmark_checked"))
        short = migration.apply.header.transactional and not migration.apply.header.backfill
        # To look the time up would take a tenth of the time of a small migration.
        time_before = ("time_kept" if short and operation == "apply" else "time_of") if before else "last"
        mark_row = self._write("mark", {**values, "before": before}, before=time_before)
        opening = (mark_row, self._write("store", _stored(migration, encoding.of_server(self.conn))), log)
        if operation == "mark":
            header = migration.apply.header
            begun = "backfill_clear" if header.backfill else "journal_clear" if not header.transactional else None
            return Record((*opening, self._write(begun, values)) if begun else opening)
        finish = self._behind(migration, "finish" if short else "finish_long")
        return Record(opening, self._behind(migration, "check"), finish)

    def _behind(self, migration: Migration, name: str) -> tuple[str]:
        """A statement behind the file's text, which has no quote of the server's escaping: see ledger.sql."""
        text = _filled(name, self.schema, "", self.tables, which_ledger.table_of(self.conn)).replace("%%", "%")
        return (text.replace("{hash}", migration.hash),)

    def accepted(self, migration: Migration, *, known: bool) -> str:
        """The files of an applied migration as they are now; `known` where the ledger has a row of ours for it."""
        values = _stored(migration, encoding.of_server(self.conn))
        if known:
            return self._write("accept", values)
        return f"{self._write('store', values)};\n{self._write('adopt', values)}"

    def renamed(self, row: Applied, migration: Migration) -> str:
        """The row of a migration, and all that is kept of it, under the id that its file has now."""
        values = {**log_data(migration, "rename"), "old_hash": row.hash, "comment": f"was {row.id}"[:255]}
        return self._write("rename", values)

    def _write(self, name: str, values: Mapping[str, str | None], *, before: str = "") -> str:
        return write_values(
            self.conn, _filled(name, self.schema, before, self.tables, which_ledger.table_of(self.conn)), values
        )


@cache
def _filled(name: str, schema: str, before: str, tables: tuple[int, ...], table: str) -> str:
    """The statement with what is the same in all of one ledger; `before` names the query for {before}."""
    texts = queries(table)
    text = texts[name]
    parts = {
        "expect": texts["expect"] if tables else _NOW, "unchanged": texts["unchanged"] if tables else "true",
        "same": f" {texts['same']}" if tables else "", "table": str(tables[0]) if tables else "",
        "changes": _changes(tables, logged=name != "log"), "before": texts[before] if before else "",
        "key": str(key_of(schema)), "now": _NOW, "taken": TAKEN, "lost": LOST,
    }  # fmt: skip
    for hole, value in parts.items():
        text = text.replace(f"{{{hole}}}", value)
    return _in_schema(text, schema)


def _changes(tables: tuple[int, ...], *, logged: bool) -> str:
    """How many rows this session inserted, updated and deleted in the ledger, as far as the server did not yet take the
    counts over, which it never does within a transaction; with the row of the log where that is about to be written.

    By OID and in one row of values, which costs a third of what names and a subquery do; to read rows would take longer with
    every migration.
    """
    counts = []
    for oid, (table, kinds) in zip(tables, _COUNTED.items(), strict=False):
        for kind in kinds:
            more = " OPERATOR(pg_catalog.+) 1" if not logged and (table, kind) == ("_yoyo_log", "inserted") else ""
            counts.append(f"pg_catalog.pg_stat_get_xact_tuples_{kind}({oid}){more}")
    return f"pg_catalog.concat({', $$ $$, '.join(counts)})"


def key_of(schema: str) -> int:
    """The advisory lock's key for a ledger; the lock is the database's own, so its name need not be in it."""
    digest = hashlib.sha256(b"pgyoyo\0" + schema.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def log_data(migration: Any, operation: str) -> Mapping[str, str | None]:
    """The values of yoyo's rows for a migration, without their time.

    Unlike yoyo's own this neither asks DNS nor fails for a user id that has no name.
    """
    return {
        "id": str(uuid.uuid4()),
        "migration_id": migration.id if migration else None,
        "migration_hash": migration.hash if migration else None,
        "hash": migration.hash if migration else None,
        "username": _user_name(),
        "hostname": socket.gethostname(),
        "operation": operation,
    }


def texts(conn: Connection, schema: str, key: str) -> tuple[str | None, str | None] | None:
    """The stored files of the migration with that hash; None where it has none."""
    rows = execute(conn, "texts", schema, {"hash": key})
    if not rows:
        return None
    apply, rollback = (text if text is None else encoding.from_stored(text) for text in rows[0])
    return apply, rollback


def _stored(migration: Migration, server: str | None) -> Mapping[str, str | None]:
    """What the ledger keeps of a migration's files, in an encoding of the server's."""
    return {
        "hash": migration.hash,
        "id": migration.id,
        "checksum": migration.apply.checksum,
        "rollback_checksum": migration.rollback.checksum if migration.rollback else None,
        "apply": _kept(migration.apply, server),
        "rollback": _kept(migration.rollback, server),
        "version": __version__,
    }


def _kept(file: File | None, server: str | None) -> str | None:
    # Without its steps in Python a text would not be what was applied, or rolls back.
    if file is None or file.blocked or len(file.data) > KEPT_TEXT:
        return None
    return encoding.to_stored(file.data.decode("utf-8-sig"), server)


@cache
def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name (OSError from Python 3.13 on)
        return "unknown"
