"""The database: how it is reached, its ledger, other ledgers, rights, and who waits; every query only reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import Connection, Error, errors, sql

from pgyoyo import extensions, preflight
from pgyoyo.console import Console
from pgyoyo.doctor.line import Line
from pgyoyo.engine import ledger, pooler, read_only, which_ledger
from pgyoyo.errors import PgyoyoError
from pgyoyo.importing import ledgers
from pgyoyo.importing.source import origin_of
from pgyoyo.migrations import foreign
from pgyoyo.migrations.migration import Folders
from pgyoyo.migrations.status import Status
from pgyoyo.migrator import Migrator
from pgyoyo.queries import named
from pgyoyo.units import number, several, time_words

OLDEST, NEWEST = 14, 18


def queries() -> Any:
    """The named queries of database.sql."""
    return named(Path(__file__).with_name("database.sql"))


@dataclass
class _Collector(Console):
    """A console that keeps what it would warn of."""

    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)


def lines(conn: Connection, folders: Folders, needed: Sequence[str]) -> list[Line]:
    """A line on each thing worth knowing of the database; one part that fails does not hide the others."""
    console = _Collector(quiet=True)
    answer = [*_guarded(lambda: _server_lines(conn)), *_guarded(lambda: _extension_lines(conn, needed))]
    try:
        status = Migrator(conn, Folders(folders.migrations, folders.hooks), console).status()
    except (PgyoyoError, Error) as error:
        return [*answer, Line("fault", "ledger", str(error).strip())]
    answer += [Line("warning", "ledger", warning) for warning in console.warnings]
    for part in (
        lambda: _ledger_lines(conn, status),
        lambda: _lock_lines(conn, status, folders),
        lambda: _right_lines(conn, status),
        lambda: _tool_lines(conn, status, folders),
        lambda: _session_lines(conn),
    ):
        answer += _guarded(part)
    return answer


def _guarded(part: Callable[[], Iterator[Line]]) -> list[Line]:
    try:
        return list(part())
    except errors.InsufficientPrivilege as error:
        return [Line("note", "rights", f"this role may not see it: {error.diag.message_primary}")]
    except PgyoyoError as error:
        return [Line("fault", "database", str(error))]
    except Error as error:  # a table that is being altered just now, a session that was ended
        return [Line("warning", "database", f"could not be looked at: {str(error).strip()}", "run it again")]


def _server_lines(conn: Connection) -> Iterator[Line]:
    info = conn.info
    major = info.server_version // 10000
    where = (
        f"{info.dbname} at {info.host}:{info.port}, PostgreSQL {major}.{info.server_version % 10000}, role {info.user}"
    )
    yield Line("ok", "database", where)
    if not OLDEST <= major <= NEWEST:
        yield Line("warning", "database", f"PostgreSQL {major} is not among those tried", f"{OLDEST} to {NEWEST} are")
    [(pid,)] = conn.execute("SELECT pg_catalog.pg_backend_pid()").fetchall()
    read_only.refuse(conn)
    if pid != info.backend_pid:
        pooler.refuse_transaction_pooling(conn, pid)
        yield Line("note", "database", "the connection goes through a pooler in session mode, which is fine")


def _extension_lines(conn: Connection, needed: Sequence[str]) -> Iterator[Line]:
    if needed:
        available = extensions.available(conn)
        if missing := [name for name in needed if name not in available]:
            yield Line(
                "fault",
                "extensions",
                f"the server has no {several(missing)}",
                "install it there, or take it out of the files",
            )


def _no_ledger_lines(conn: Connection, status: Status) -> Iterator[Line]:
    tables = preflight.unrecorded_tables(conn)
    if another := which_ledger.renamed(conn, status.pending) if tables else None:
        quoted, name, _ = another
        key = f'migration_table = "{name}"'
        yield Line("fault", "ledger", f"{quoted} is a ledger of yoyo's, of another name", f"write {key}")
    elif tables:
        advice = "pgyoyo adopt takes them over"
        if not status.pending:
            advice = f"pgyoyo import database writes its schema as the first migration, then {advice}"
        yield Line("warning", "ledger", f"none, though the database has tables ({tables})", advice)
    else:
        yield Line("ok", "ledger", "none, and the database is empty", "pgyoyo apply")


def _ledger_lines(conn: Connection, status: Status) -> Iterator[Line]:
    if status.schema is None:
        yield from _no_ledger_lines(conn, status)
        return
    yield Line("ok", "ledger", f"in schema {status.schema}: {status}")
    which_ledger.present(conn, status.schema)
    if plain := [row.id for row in status.applied if row.checksum is None]:
        yield Line(
            "note",
            "ledger",
            f"plain yoyo applied {several(plain)}, so their texts are not recorded",
            "pgyoyo adopt records them",
        )
    for migration in status.edited:
        yield Line("fault", "ledger", f"{migration.id} was edited after it was applied",
                   f"restore it, or accept it: pgyoyo repair {migration.id}")  # fmt: skip
    for renamed in status.renamed:
        yield Line("fault", "ledger", f"{renamed.migration.id} was applied as {renamed.row.id}",
                   f"pgyoyo rename {renamed.row.id} {renamed.migration.id}")  # fmt: skip
    yield from _missing_lines(status)
    if status.out_of_order:
        yield Line("warning", "ledger", f"pending before an applied one: {several([m.id for m in status.out_of_order])}",
                   "apply takes it nevertheless; give it a later number where that matters")  # fmt: skip
    begun = {line.migration_id: line for line in status.journal}
    for name, line in begun.items():
        yield Line(
            "warning",
            "ledger",
            f"{name} was interrupted at statement {line.statement}",
            f"pgyoyo {line.operation} resumes it",
        )
    for backfill in status.backfills:
        if not backfill.running:
            yield Line(
                "warning",
                "ledger",
                f"the backfill {backfill.migration_id} was interrupted: {backfill}",
                "pgyoyo apply resumes it",
            )


def _missing_lines(status: Status) -> Iterator[Line]:
    gone = {row.id for row in status.missing} - {renamed.row.id for renamed in status.renamed}
    undoing = {name: undone for name in sorted(gone) if (undone := foreign.undone(name))}
    for name, undone in undoing.items():
        yield Line(
            "fault",
            "ledger",
            f"plain yoyo ran {name} forwards, which was to roll back {undone}",
            f"pgyoyo unmark {name}, and {undone} if nothing of it is left",
        )
    if gone := gone - undoing.keys():
        yield Line(
            "warning",
            "ledger",
            f"applied, but no file here: {several(sorted(gone))}",
            "restore the file, or roll it back",
        )


def _lock_lines(conn: Connection, status: Status, folders: Folders) -> Iterator[Line]:
    """The row of yoyo's lock, and the run that is at work."""
    if status.schema is None:
        return
    runner = Migrator(conn, folders, Console(quiet=True)).at_work(status)
    if runner:
        yield Line("note", "lock", f"a run is at work: {runner}", "wait for it; pgyoyo status shows how far it is")
    table = sql.SQL(f"{status.schema}.yoyo_lock")  # the server quoted it
    try:
        row = conn.execute(sql.SQL("SELECT pid, ctime FROM {}").format(table)).fetchone()
    except errors.UndefinedTable:
        return
    if row and row[0] > 0:
        yield Line("warning", "lock", f"yoyo's lock is held by process {row[0]} since {row[1]:%Y-%m-%d %H:%M:%S} UTC",
                   "if that plain yoyo is dead, yoyo break-lock removes what it left")  # fmt: skip
    elif row and not runner:
        yield Line("note", "lock", "a lock row of a dead pgyoyo is left", "the next apply removes it")


def _right_lines(conn: Connection, status: Status) -> Iterator[Line]:
    """What the role may not do to the ledger, and the tables that it does not own."""
    schema, table = status.schema or ledger.current_schema(conn), which_ledger.table_of(conn)
    for text, grant in conn.execute(queries()["rights"].encode(), {"schema": schema, "table": table}).fetchall():
        yield Line("fault", "rights", text, f"let the owner run: {grant}")
    others = conn.execute(queries()["strangers"].encode()).fetchall()
    for owner, count, example, role in others:
        what = f"{number(count, 'table')} of {owner}, such as {example}"
        advice = f"connect as {owner}, or GRANT {owner} TO {role}"
        yield Line("warning", "rights", f"this role may not alter {what}", advice)


def _tool_lines(conn: Connection, status: Status, folders: Folders) -> Iterator[Line]:
    """The ledgers of other tools, and of yoyo in other schemas."""
    origins = [origin for m in folders.migrations if (origin := origin_of(m.apply.data))]
    for tool in ledgers.find(conn):
        names = [origin.name for origin in origins if origin.tool == tool.tool]
        if status.schema is not None:
            yield Line("note", "ledger", f"{tool} is left from {tool.tool}", "drop it when nothing needs it any more")
        elif not names:
            yield Line(
                "warning",
                "ledger",
                f"{tool} is the ledger of {tool.tool}",
                f"pgyoyo import {tool.source}, then pgyoyo adopt",
            )
        else:
            record = ledgers.read(conn, tool, names)
            words = record.failed or f"has {len(record.applied)} of {number(len(names), 'migration')} as applied"
            yield Line("fault", "ledger", f"{tool}, the ledger of {tool.tool}, {words}", "pgyoyo adopt takes it over")
    values = {"schema": status.schema, "table": which_ledger.table_of(conn)}
    for (schema,) in conn.execute(queries()["shadows"].encode(), values).fetchall():
        yield Line(
            "warning", "ledger", f"schema {schema} has a ledger too", "compare them; drop the tables of the wrong one"
        )


def _session_lines(conn: Connection) -> Iterator[Line]:
    """Who waits for a lock, and who keeps a transaction open that others may wait for."""
    for pid, role, seconds, query, blockers in conn.execute(queries()["waiting"].encode()).fetchall():
        who = f"pid {pid} (role {role or 'unknown'}) waits {time_words(seconds * 1000)} for pid {blockers}"
        yield Line("note", "sessions", f"{who}: {query}", "a migration of the same table would wait too")
    for pid, role, seconds in conn.execute(queries()["idle"].encode()).fetchall():
        who = f"pid {pid} (role {role or 'unknown'})"
        how_long = time_words(seconds * 1000)
        yield Line("note", "sessions", f"{who} is idle in a transaction for {how_long}", "its locks stay until it ends")
