"""The ledger: yoyo's tables of what was applied, ours beside them, and the statements that write both."""

import getpass
import re
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from psycopg import ClientCursor, Connection, errors, sql
from psycopg.pq import Escaping

from pgyoyo import __version__
from pgyoyo.engine.message import Record
from pgyoyo.errors import DriftError, PgyoyoError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Applied, JournalLine, Ledger, Progress
from pgyoyo.queries import named

_QUERIES = Path(__file__).with_name("ledger.sql")
# A bigger text is not kept in the ledger, only its checksum: it would be sent and stored twice.
KEPT_TEXT = 1 << 20
# The server's clock, one for everybody; and one time for both rows of a migration.
_NOW = "(now() AT TIME ZONE 'UTC')"
_HOLE = re.compile(r"%(?:%|\((\w+)\)s)")


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
        rows: Sequence[Any] = conn.execute(queries()["read"].replace("{prefix}", prefix).encode()).fetchall()
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
    here, applied, journal, backfills = rows[0]
    return Ledger(
        here,
        tuple(Applied(name, key, _time(at), *rest) for name, key, at, *rest in applied),
        tuple(JournalLine(*row) for row in journal),
        own,
        tuple(Progress(**row) for row in backfills),
    )


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:  # infinity
        return None


def _elsewhere(conn: Connection, known: Sequence[str]) -> str | None:
    for (schema,) in conn.execute(queries()["elsewhere"].encode()).fetchall():
        if execute(conn, "holds_one_of", schema, {"hashes": list(known)})[0][0]:
            return str(schema)
    return None


def current_schema(conn: Connection) -> str:
    """The schema, quoted where needed, where a new ledger goes; raises PgyoyoError where the search_path has none."""
    row = conn.execute(queries()["current_schema"].encode()).fetchone()
    assert row
    if row[0] is None:
        raise PgyoyoError(f'no schema of the search_path ("{row[1]}") exists, so the ledger has no place; create one')
    return str(row[0])


def creation(schema: str) -> str:
    """The statements that make yoyo's tables and ours."""
    return queries()["create"].replace("{schema}", schema)


def ensure(conn: Connection, schema: str) -> Ledger:
    """The ledger of the schema, its tables made where they are missing; raises PgyoyoError when the role may not."""
    ledger = read(conn, schema=schema)
    refuse_a_second(conn, schema)
    if ledger.has_own_tables:
        return ledger
    try:
        with conn.transaction():
            conn.execute(creation(schema).encode())
    except errors.InsufficientPrivilege as error:
        role = sql.Identifier(conn.info.user).as_string(conn)
        raise PgyoyoError(
            f"the role {role} may not create the ledger in schema {schema}: {error.diag.message_primary}\n"
            f"Let the schema's owner run: GRANT CREATE ON SCHEMA {schema} TO {role};"
        ) from None
    return replace(ledger, schema=schema, has_own_tables=True)


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


@dataclass(slots=True)
class Records:
    """Composes the statements that record a migration in the ledger of `schema`; sends nothing."""

    conn: Connection
    schema: str

    def of(self, migration: Migration, operation: str, *, mark: bool = True, number: int = 0) -> Record:
        """The record of an operation of yoyo's: apply, rollback, mark, unmark.

        Without `mark` only the log has it. `number` keeps the order of several migrations in one transaction.
        """
        now = _NOW if not number else f"({_NOW} + interval '{number} microseconds')"
        values = log_data(migration, operation)
        log = self._write("log", values, now=now)
        if not mark:
            return Record((log,))
        if operation in ("rollback", "unmark"):
            return Record((self._write("unmark", values), log, self._write("forget", values)))
        opening = (self._write("mark", values, now=now), log, self._write("store", _stored(migration), applied_at=now))
        if operation == "mark":
            header = migration.apply.header
            begun = "backfill_clear" if header.backfill else "journal_clear" if not header.transactional else None
            return Record((*opening, self._write(begun, values)) if begun else opening)
        short = migration.apply.header.transactional and not migration.apply.header.backfill
        # Behind the file's text stands no quote of the server's escaping: see ledger.sql.
        finish = queries()["finish" if short else "finish_long"]
        return Record(opening, (finish.replace("{schema}", self.schema).replace("{hash}", migration.hash),))

    def accepted(self, migration: Migration, *, known: bool) -> str:
        """The files of an applied migration as they are now; `known` where the ledger has a row of ours for it."""
        values = _stored(migration)
        return (
            self._write("accept", values)
            if known
            else self._write("store", values, applied_at=f"({queries()['applied_at']})")
        )

    def _write(self, name: str, values: Mapping[str, str | None], **parts: str) -> str:
        text = queries()[name]
        for part, value in parts.items():
            text = text.replace(f"{{{part}}}", value)
        return write_values(self.conn, text.replace("{schema}", self.schema), values)


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


def _stored(migration: Migration) -> Mapping[str, str | None]:
    """What the ledger keeps of a migration's files."""
    return {
        "hash": migration.hash,
        "id": migration.id,
        "checksum": migration.apply.checksum,
        "rollback_checksum": migration.rollback.checksum if migration.rollback else None,
        "apply": _kept(migration.apply),
        "rollback": _kept(migration.rollback),
        "version": __version__,
    }


def _kept(file: File | None) -> str | None:
    return file.data.decode("utf-8-sig") if file and len(file.data) <= KEPT_TEXT else None


@cache
def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name (OSError from Python 3.13 on)
        return "unknown"
