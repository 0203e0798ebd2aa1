"""The statements that record a migration in the ledger, around its own."""

import getpass
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from psycopg import Connection

from pgyoyo import __version__
from pgyoyo.engine import encoding, which_ledger
from pgyoyo.engine.ledger import execute, in_schema, key_of
from pgyoyo.engine.literals import write_values
from pgyoyo.engine.message import ALTERED, LOST, TAKEN, Record
from pgyoyo.engine.which_ledger import queries
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Applied
from pgyoyo.sql.lexer import mentioned

# What a file says that names the ledger, or may have the session forget what the record keeps there.
_WARY = (b"yoyo", b"reset", b"discard")
# The class of the lock that keeps it all the same; any number.
_MARK = "1885829487"
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
# Its other tables; yoyo_lock may go, and is made anew.
_MORE = ("_yoyo_version", "_pgyoyo_journal", "_pgyoyo_backfill")


class Guarded(NamedTuple):
    """The tables of a ledger by OID: `counted` whose rows a record checks, `intact` that have to stay as they are.

    `sign` is what the server computes of the latter. All are empty where there is no ledger yet, the first where the server
    counts no rows.
    """

    counted: tuple[int, ...] = ()
    intact: tuple[int, ...] = ()
    sign: int = 0


NOTHING_GUARDED = Guarded()


def counted(conn: Connection, schema: str) -> tuple[int, ...]:
    """The OIDs of the tables whose rows a record checks; none where the server counts no rows, or there is no ledger yet."""
    rows = execute(conn, "counted", schema, {"names": [f"{schema}.{_quoted(conn, name)}" for name in _COUNTED]})
    return () if any(oid is None for (oid,) in rows) else tuple(oid for (oid,) in rows)


def guarded(conn: Connection, schema: str) -> Guarded:
    """What a record of this ledger checks of its tables."""
    counts = counted(conn, schema)
    names = [f"{schema}.{_quoted(conn, name)}" for name in (*_COUNTED, *_MORE) if name != "yoyo_lock"]
    rows = execute(conn, "guarded", schema, {"names": names})
    oids = tuple(oid for (oid,) in rows if oid is not None)
    if len(oids) < len(names):
        return NOTHING_GUARDED
    [(sign, whole)] = conn.execute(_intact(oids, close=False).encode()).fetchall()
    # What an owner keeps with row-level security of his own is not watched.
    return Guarded(counts, oids, sign) if whole == len(oids) else Guarded(counts)


def guarded_plainly(conn: Connection, oids: Mapping[str, int], sign: int, *, counts: bool) -> Guarded:
    """The same of what `choose_plain` of which_ledger.sql gave; `counts` is whether the server counts rows."""
    table = which_ledger.table_of(conn)
    by_name = {(which_ledger.TABLE if name == table else name): oid for name, oid in oids.items()}
    return Guarded(
        tuple(by_name[name] for name in _COUNTED) if counts else (),
        tuple(oid for name, oid in by_name.items() if name != "yoyo_lock"),
        sign,
    )


def _intact(oids: tuple[int, ...], *, close: bool) -> str:
    texts = queries()
    text = texts["intact"].replace("{close}", texts["close"] if close else "")
    return text.replace("{oids}", ",".join(map(str, oids)))


def _quoted(conn: Connection, name: str) -> str:
    """A table of the ledger as regclass takes it."""
    return name if name != which_ledger.TABLE else '"' + which_ledger.table_of(conn) + '"'


@dataclass(slots=True)
class Records:
    """Composes the statements that record a migration in the ledger of `schema`; sends no more than one question.

    `tables` is what `guarded` gives; without them a record checks no more than the migration's own row.
    """

    conn: Connection
    schema: str
    tables: Guarded = NOTHING_GUARDED
    # Whether no table had lost a column or its key before; None: nobody asked.
    _close: bool | None = field(default=None, init=False)

    def of(self, migration: Migration, operation: str, *, mark: bool = True, before: str | None = None) -> Record:
        """The record of an operation of yoyo's: apply, rollback, mark, unmark.

        Without `mark` only the log has it. `before` is the hash of the migration that was recorded right before in this
        session, if one was.
        """
        values = log_data(migration, operation)
        if operation == "unmark":
            texts = (self._write(name, values) for name in ("unmark", "log", "forget"))
            return Record(tuple(texts))
        file = migration.rollback if operation == "rollback" else migration.apply
        wary = file is not None and bool(mentioned(file.data, _WARY))
        if wary and self.tables.intact and self._close is None:
            text = _intact(self.tables.intact, close=True)
            [(sign, _)] = self.conn.execute(text.encode()).fetchall()
            self._close = sign == self.tables.sign
        log = self._write("log", values, part="" if mark else "rows", wary=wary)
        if not mark:
            return Record(
                (self._write("begin", {}), log), self._behind(migration, "check_hook", part="rows", wary=wary)
            )
        if operation == "rollback":
            opening = (self._write("forget", values), self._write("begin", {}), log)
            closing = self._behind(migration, "unmark_checked")
            check = self._behind(migration, "check", wary=wary)
            return Record(opening, check, closing, *self._around(migration, file, wary=wary))
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
        check = self._behind(migration, "check", part="stored", wary=wary)
        return Record(opening, check, finish, *self._around(migration, file, wary=wary))

    def _around(self, migration: Migration, file: File | None, *, wary: bool) -> Sequence[tuple[str]]:
        """What stands around a single statement of a file outside a transaction."""
        if file is None or file.header.transactional:
            return ()
        return [self._behind(migration, name, part="files", wary=wary) for name in ("watch", "check_statement")]

    def _behind(self, migration: Migration, name: str, *, part: str = "", wary: bool = False) -> tuple[str]:
        """A statement behind the file's text, which has no quote of the server's escaping: see ledger_checks.sql."""
        text = self._filled(name, part, wary=wary).replace("%%", "%")
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

    def _write(self, name: str, values: Mapping[str, str | None], *, part: str = "", wary: bool = False) -> str:
        return write_values(self.conn, self._filled(name, part, wary=wary), values)

    def _filled(self, name: str, part: str, *, wary: bool) -> str:
        table = which_ledger.table_of(self.conn)
        return _filled(name, self.schema, part, self.tables, table, wary=wary, close=wary and bool(self._close))


@cache
def _filled(name: str, schema: str, part: str, tables: Guarded, table: str, *, wary: bool, close: bool) -> str:
    """The statement with what is the same in all of one ledger; `part` names the query for {part}.

    `wary` is for a file that names the ledger or resets settings; `close` looks at columns and keys, too.
    """
    texts = queries(table)
    text, counted = texts[name], tables.counted
    holes = {
        "part": texts[part] if part else "",
        "expect": texts["expect"] if counted else _NOW, "unchanged": texts["unchanged"] if counted else "true",
        "same": f" {texts['same']}" if counted else "",
        "whole": texts["whole"] if tables.intact else "true",
        "intact": _intact(tables.intact, close=close), "sign": str(tables.sign),
        "keep": f" {texts['keep']}" if wary and counted else "", "kept": texts["kept"] if wary else "true", "mark": _MARK,
        "changes": _changes(counted, logged=name != "log", more=texts[part] if part in ("rows", "files") else ""),
        "key": str(key_of(schema)), "now": _NOW, "taken": TAKEN, "lost": LOST, "altered": ALTERED,
        **_numbers(counted),
    }  # fmt: skip
    for hole, value in holes.items():
        text = text.replace(f"{{{hole}}}", value)
    return in_schema(text, schema)


def _numbers(counted: tuple[int, ...]) -> Mapping[str, str]:
    return {name: str(oid) for name, oid in zip(("table", "ours", "log"), counted, strict=False)}


def _changes(tables: tuple[int, ...], *, logged: bool, more: str) -> str:
    """How many rows this session inserted, updated and deleted in the ledger, as far as the server did not yet take the
    counts over, which it never does within a transaction; with the row of the log where that is about to be written.

    By OID and in one row of values, which costs a third of what names and a subquery do; to read rows would take longer with
    every migration.
    """
    counts = []
    for oid, (table, kinds) in zip(tables, _COUNTED.items(), strict=False):
        for kind in kinds:
            log_row = " OPERATOR(pg_catalog.+) 1" if not logged and (table, kind) == ("_yoyo_log", "inserted") else ""
            counts.append(f"pg_catalog.pg_stat_get_xact_tuples_{kind}({oid}){log_row}")
    return f"pg_catalog.concat({', $$ $$, '.join(counts)}{more})"


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
