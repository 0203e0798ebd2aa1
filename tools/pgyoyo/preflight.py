"""What is checked before a run, on files and ledger: raises for what stops it, returns what to warn of."""

from collections.abc import Collection, Iterable, Sequence
from shlex import quote
from typing import NamedTuple
from unicodedata import normalize

from psycopg import Connection

import pgyoyo
from pgyoyo import importing
from pgyoyo.engine import drift, ledger, which_ledger
from pgyoyo.errors import DriftError, RollbackRefusedError
from pgyoyo.migrations import foreign, plan
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Applied, Renamed, Status
from pgyoyo.sql.lexer import has_statement
from pgyoyo.units import several

# Tables that no extension brought, as far as one name shows them.
_TABLES = """
SELECT pg_catalog.count(*), pg_catalog.array_agg(pg_catalog.concat(n.nspname, '.', c.relname) ORDER BY n.nspname, c.relname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[])
  AND c.relpersistence OPERATOR(pg_catalog.<>) 't' AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  AND pg_catalog.left(n.nspname::pg_catalog.text, 3) OPERATOR(pg_catalog.<>) 'pg_'
  AND (%(schema)s::pg_catalog.text IS NULL OR pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.=) %(schema)s)
  -- Those of another schema with a ledger are recorded there.
  AND (n.nspname OPERATOR(pg_catalog.=) pg_catalog.current_schema() OR NOT EXISTS (
    SELECT FROM pg_catalog.pg_class AS l WHERE l.relnamespace OPERATOR(pg_catalog.=) c.relnamespace
      AND l.relname OPERATOR(pg_catalog.=) ANY (ARRAY['_yoyo_migration', '_pgyoyo_migration']::pg_catalog.name[])))
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) c.oid
      AND d.deptype OPERATOR(pg_catalog.=) 'e')
"""


def refuse_edits(conn: Connection, status: Status, hashes: Collection[str] | None = None) -> None:
    """Raises DriftError for files that were edited after they were applied: all, or those of migrations with these hashes.

    Of those that were applied empty it says what to do instead of accepting the change, which never ran.
    """
    edited = [migration for migration in status.edited if hashes is None or migration.hash in hashes]
    never_ran = written_since(conn, status, edited)
    drift.refuse_edits(conn, status, [migration for migration in edited if migration not in never_ran])
    if not never_ran:
        return
    lines = [f"{m.id} was applied while its file had no statement; those it has now never ran" for m in never_ran]
    ids = " ".join(migration.id for migration in never_ran)
    raise DriftError("\n".join([*lines, f"Run what it has now: pgyoyo redo {ids}"]))


def written_since(conn: Connection, status: Status, edited: Sequence[Migration]) -> list[Migration]:
    """Those of the edited migrations whose file had no statement when they were applied, and has some now."""
    if not edited:
        return []
    assert status.schema
    never_ran = []
    for migration in edited:
        text, _ = ledger.texts(conn, status.schema, migration.hash) or (None, None)
        if text is not None and not migration.apply.empty and not has_statement(text.encode()):
            never_ran.append(migration)
    return never_ran


def refuse_renamed(status: Status, chosen: Sequence[Migration]) -> None:
    """Raises DriftError for those that were applied under another id, and would run twice."""
    ids = {migration.id for migration in chosen}
    renamed = [entry for entry in status.renamed if entry.migration.id in ids]
    if not renamed:
        return
    lines = []
    for row, migration in renamed:
        same = "with the same content" if row.checksum == migration.apply.checksum else "under nearly the same name"
        if row.id != migration.id and normalize("NFC", row.id) == normalize("NFC", migration.id):
            same += " (the two look alike: their marked letters are in another Unicode form)"
        lines.append(f"{migration.id} was applied as {row.id}, {same}; it would run twice")
    lines.append("Rename it in the ledger, too (if it is to run again, change its name or a comment in it):")
    lines += rename_commands(renamed)
    raise DriftError("\n".join(lines))


def warnings(status: Status, order: Sequence[Migration], *, strict: bool) -> list[str]:
    """Of what is out of order, missing, or from two branches; with `strict` raises DriftError for it.

    Branches whose last migrations are all applied have an order, so nothing is said of them any more.
    """
    lines = drift.out_of_order(status, strict=strict)
    heads = plan.merged_heads(order)
    if {migration.id for migration in status.pending}.isdisjoint(heads):
        return lines
    words = f"{several(heads)} come from different branches, and nothing says which is the last"
    if strict:
        raise DriftError(f"{words}; write -- depends: {heads[-2]} in {heads[-1]}, or leave --strict out")
    return [*lines, f"{words}; `pgyoyo new` makes the next one depend on both"]


def refuse_missing_extensions(conn: Connection, migrations: Iterable[Migration]) -> None:
    """Raises ServerError where the embedded server, which `conn` is connected to, lacks an extension that files create."""
    pgyoyo.extensions.require(conn, [migration.apply for migration in migrations], "DATABASE_URL, or --database URL")


def unrecorded_tables(conn: Connection, schema: str | None = None) -> str:
    """The tables of a database, or of one schema (quoted where needed), that no extension brought, in words; "" for none."""
    [(count, names)] = conn.execute(_TABLES, {"schema": schema}).fetchall()
    return f"{names[0]} and {count - 1} more" if count > 1 else names[0] if count else ""


class Unrecorded(NamedTuple):
    """What a database without a ledger has, in words, and what is to be done first.

    `advice` is empty where only its tables speak for it that migrations ran there, and not another ledger.
    """

    words: str
    advice: str = ""


def unrecorded(
    conn: Connection, status: Status, chosen: Sequence[Migration], schema: str | None = None
) -> Unrecorded | None:
    """What speaks for it that these migrations ran on a database that has tables and no ledger; None for any other.

    With `schema`, quoted where needed, only the tables there count.
    """
    if status.schema is not None or not chosen:
        return None
    tables = unrecorded_tables(conn, schema)
    if not tables:
        return None
    origins = [origin for migration in chosen if (origin := importing.source.origin_of(migration.apply.data))]
    for tool in importing.ledgers.find(conn):
        record = importing.ledgers.read(conn, tool, [origin.name for origin in origins if origin.tool == tool.tool])
        if record.applied or record.failed:
            words = record.failed or f"has {len(record.applied)} of these migrations as applied"
            return Unrecorded(f"{tool}, the ledger of {tool.tool}, {words}", "pgyoyo adopt")
    if another := which_ledger.renamed(conn, chosen):
        quoted, name, count = another
        return Unrecorded(
            f"{quoted} is a ledger of yoyo's that has {count} of these migrations as applied",
            f'migration_table = "{name}" under [tool.pgyoyo], or in yoyo.ini',
        )
    place = f"the schema {schema}" if schema else "this database"
    return Unrecorded(f"{place} has tables ({tables}) and no ledger")


def warn_of_unrecorded(
    conn: Connection, status: Status, chosen: Sequence[Migration], *, strict: bool, schema: str | None = None
) -> list[str]:
    """Warnings for a database that has tables and no ledger: what made them may have been these migrations.

    Raises DriftError where another tool's ledger has some of them as applied, and for any tables with `strict`.
    """
    there = unrecorded(conn, status, chosen, schema)
    if there is None:
        return []
    if there.advice:
        take = "Take it over first" if there.advice == "pgyoyo adopt" else "Name it first"
        raise DriftError(f"{there.words}; nothing was run. {take}: {there.advice}")
    words = f"{there.words}; if these migrations made them, record that: pgyoyo adopt"
    if strict:
        raise DriftError(words)
    return [words]


def rename_commands(renamed: Iterable[Renamed]) -> list[str]:
    """The command line that renames each in the ledger, as a shell takes it."""
    return [f"  pgyoyo rename {quote(row.id)} {quote(migration.id)}" for row, migration in renamed]


def textless(row: Applied, migrations: Sequence[Migration]) -> RollbackRefusedError:
    """Why what was applied is not known where the ledger has no text of it, and what to do."""
    words = f"has no file here, and its text is not in the ledger; restore {row.id}.sql and its rollback file"
    if any(migration.hash == row.hash for migration in migrations):
        words = (
            "was edited after it was applied, and its text is not in the ledger; restore the file, or accept it: "
            f"pgyoyo repair {row.id}"
        )
    elif undone := foreign.undone(row.id):
        words = (
            f"was to roll back {undone}, and plain yoyo ran it forwards; remove its row, and that of {undone} if nothing "
            f"of it is left: pgyoyo unmark {row.id}"
        )
    return RollbackRefusedError(f"{row.id} {words}")
