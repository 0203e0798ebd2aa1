"""The statements that record a migration in the ledger, around its own."""

import getpass
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from psycopg import Connection

from pgyoyo import __version__
from pgyoyo.engine import encoding, which_ledger
from pgyoyo.engine.ledger import execute, in_schema, key_of
from pgyoyo.engine.literals import write_values
from pgyoyo.engine.message import LOST, TAKEN, Record
from pgyoyo.engine.which_ledger import queries
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Applied

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


def counted(conn: Connection, schema: str) -> tuple[int, ...]:
    """The OIDs of the tables whose rows a record checks; none where the server counts no rows, or there is no ledger yet."""
    rows = execute(conn, "counted", schema, {"names": [f"{schema}.{_quoted(conn, name)}" for name in _COUNTED]})
    return () if any(oid is None for (oid,) in rows) else tuple(oid for (oid,) in rows)


def of_oids(conn: Connection, oids: Mapping[str, int] | None) -> tuple[int, ...]:
    """The same, of the tables of a schema by name; None where the server counts no rows."""
    names = [which_ledger.table_of(conn) if name == which_ledger.TABLE else name for name in _COUNTED]
    return tuple(oids[name] for name in names) if oids and oids.keys() >= set(names) else ()


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
        mark_row = self._write("mark", {**values, "before": before}, part=time_before)
        opening = (mark_row, self._write("store", _stored(migration, encoding.of_server(self.conn))), log)
        if operation == "mark":
            header = migration.apply.header
            begun = "backfill_clear" if header.backfill else "journal_clear" if not header.transactional else None
            return Record((*opening, self._write(begun, values)) if begun else opening)
        finish = self._behind(migration, "finish" if short else "finish_long")
        return Record(opening, self._behind(migration, "check", part="stored"), finish)

    def _behind(self, migration: Migration, name: str, *, part: str = "") -> tuple[str]:
        """A statement behind the file's text, which has no quote of the server's escaping: see ledger.sql."""
        text = _filled(name, self.schema, part, self.tables, which_ledger.table_of(self.conn)).replace("%%", "%")
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

    def _write(self, name: str, values: Mapping[str, str | None], *, part: str = "") -> str:
        return write_values(
            self.conn, _filled(name, self.schema, part, self.tables, which_ledger.table_of(self.conn)), values
        )


@cache
def _filled(name: str, schema: str, part: str, tables: tuple[int, ...], table: str) -> str:
    """The statement with what is the same in all of one ledger; `part` names the query for {part}."""
    texts = queries(table)
    text = texts[name]
    holes = {
        "part": texts[part] if part else "",
        "expect": texts["expect"] if tables else _NOW, "unchanged": texts["unchanged"] if tables else "true",
        "same": f" {texts['same']}" if tables else "", "table": str(tables[0]) if tables else "",
        "changes": _changes(tables, logged=name != "log"),
        "key": str(key_of(schema)), "now": _NOW, "taken": TAKEN, "lost": LOST,
    }  # fmt: skip
    for hole, value in holes.items():
        text = text.replace(f"{{{hole}}}", value)
    return in_schema(text, schema)


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
