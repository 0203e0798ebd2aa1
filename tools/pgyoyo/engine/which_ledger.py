"""Which ledger counts where a database has several, and whether its tables can be trusted."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from psycopg import Connection
from psycopg.pq import Escaping
from psycopg.rows import class_row

from pgyoyo.errors import DriftError
from pgyoyo.identifiers import quoted
from pgyoyo.migrations.migration import Migration
from pgyoyo.queries import named
from pgyoyo.units import several

# yoyo/migrations.py, default_migration_table.
TABLE = "_yoyo_migration"
_FILES = ("ledger_tables.sql", "which_ledger.sql", "ledger.sql", "ledger_checks.sql")
OWN = frozenset({"_pgyoyo_migration", "_pgyoyo_journal", "_pgyoyo_backfill"})  # ours, beside those of yoyo


class Table(NamedTuple):
    """A table of a ledger as the catalog has it; names but its own are quoted; `role` is the one that asks."""

    role: str
    schema: str
    name: str
    usable: bool
    readable: bool
    kind: str
    owner: str
    trusted: bool
    trigger: str | None
    rule: str | None
    secured: bool
    unlogged: bool
    child: str | None
    misfit: str | None
    key: str | None
    sound: bool

    @property
    def fault(self) -> str:
        """What speaks against it, and what to do; "" for nothing."""
        name = f"{self.schema}.{self.name}"
        if not self.usable:
            grant = f"GRANT USAGE ON SCHEMA {self.schema} TO {self.role}"
            return f"the schema of {name} may not be used by this role; let its owner run: {grant}"
        if self.kind != "r":
            return f"{name} is not an ordinary table; drop or rename it"
        if not self.trusted:
            return (
                f"{name} belongs to the role {self.owner}, which could run its own code with the rights of this one; if "
                f"{self.owner} is to be trusted, ALTER TABLE {name} OWNER TO a role that this one is a member of"
            )
        if self.trigger is not None:
            return f'{name} has the trigger "{self.trigger}"; drop it'
        if self.rule is not None:
            return f'{name} has the rule "{self.rule}"; drop it'
        if self.secured:
            return f"row-level security may hide rows of {name} from this role; take its owner, or one with BYPASSRLS"
        if not self.readable:
            return _unreadable([name], self.role)
        return self._fault_of_shape(name)

    def _fault_of_shape(self, name: str) -> str:
        """What keeps its rows from being what was recorded."""
        if self.unlogged:
            return f"{name} is unlogged, so a crash of the server empties it; ALTER TABLE {name} SET LOGGED"
        if self.child is not None:
            return f"{name} has the rows of {self.child}, too; ALTER TABLE {self.child} NO INHERIT {name}"
        if self.misfit == "migration_hash varchar" and self.key:
            return "the ledger was made by yoyo before 6.0; let the plain yoyo bring it up to date once: yoyo list"
        if self.misfit is not None:
            column, _, kind = self.misfit.partition(" ")
            return f'{name} lacks the column "{column}" of type {kind}, or has it with another type, or generated; restore it'
        if self.key is not None:
            return f"{name} has no primary key; ALTER TABLE {name} ADD PRIMARY KEY ({self.key})"
        return ""


def table_of(conn: Connection) -> str:
    """The name of the ledger's table on this connection: yoyo's setting migration_table."""
    return str(getattr(conn, "migration_table", TABLE))


@cache
def queries(table: str = TABLE) -> Mapping[str, str]:
    """The named queries of the files below, for a ledger of that name."""
    texts = {name: text for file in _FILES for name, text in named(Path(__file__).with_name(file)).items()}
    return texts if table == TABLE else {name: _for_table(text, table) for name, text in texts.items()}


def _for_table(text: str, table: str) -> str:
    """The text with another table's name in place of yoyo's own: as a literal, in one, and as an identifier."""
    name = quoted(table)
    text = text.replace(f"'{TABLE}'::pg_catalog.regclass", f"'{name}'::pg_catalog.regclass").replace(
        f"'{TABLE}'", f"'{table}'"
    )
    return re.sub(rf"(?<!\w){TABLE}(?!\w)", lambda _: name, text)


def query(conn: Connection, which: str, schema: str | None, *, closely: bool = False) -> str:
    """The query for the tables of ledgers, which ones by the name of a part of which_ledger.sql; with its values.

    `closely` looks at columns and keys, too.
    """

    texts = queries(table_of(conn))
    text = texts["tables"]
    # What a reader finds out by itself takes twice the time.
    for hole in ("misfit", "key"):
        text = text.replace(f"{{{hole}}}", texts[hole] if closely else "NULL::pg_catalog.text")
    only = "" if which == "which_elsewhere" else texts["on_path"]
    if schema and which == "which_counts":
        only = texts["only"].replace("{name}", _literal(conn, unquoted(schema)))
    text = text.replace("{only}", only)
    text = text.replace("{chosen}", texts[which]).replace("{configured}", texts["configured"])
    return text.replace("%(schema)s", "NULL" if schema is None else _literal(conn, schema))


def choose(conn: Connection, schema: str | None) -> str:
    """The statement behind which, in its message, plain names are those of the ledger of `schema`, or of the one that counts.

    Where its tables are not to be trusted, or there is none, they are nobody's.
    """
    return queries(table_of(conn))["choose"].replace("{tables}", query(conn, "which_counts", schema))


def choose_plain(conn: Connection, schema: str | None, *, alone: bool = False) -> str:
    """The same, faster, for the ledger of `schema`, or of the current one, if it is as a run of this role's left it.

    With `alone` only where no other schema has one.
    """
    texts = queries(table_of(conn))
    name = _literal(conn, schema) if schema else "pg_catalog.quote_ident(pg_catalog.current_schema())"
    return texts["choose_plain"].replace("{alone}", texts["alone"] if alone else "true").replace("{name}", name)


def _literal(conn: Connection, value: str) -> str:
    return Escaping(conn.pgconn).escape_literal(value.encode()).decode()


def unquoted(name: str) -> str:
    """The name of a schema or a role itself, of one that is quoted where needed."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def is_anywhere(conn: Connection, schema: str | None = None) -> bool:
    """Whether a schema of the database, or this one, has a ledger, be it ours or not; takes a tenth of the time that `tables`
    takes."""
    texts = queries(table_of(conn))
    here = texts["in_schema"].replace("{name}", _literal(conn, schema)) if schema else "true"
    [(there,)] = conn.execute(texts["is_anywhere"].replace("{here}", here).encode()).fetchall()
    return bool(there)


def is_plain(conn: Connection, schema: str) -> bool:
    """Whether nothing asks for a second look at the tables there; in a transaction, the search_path is another one then."""
    [(path, *_)] = conn.execute(choose_plain(conn, schema).encode()).fetchall()
    return bool(path == f"{schema}, pg_temp")


def tables(conn: Connection, schema: str | None) -> Sequence[Table]:
    """The tables of the ledger of `schema`, or else of the one that counts; none where there is none.

    Raises DriftError for one whose tables could do harm or hide something: whoever writes to a stranger's table runs the
    stranger's code.
    """
    return _trusted(_ask(conn, "which_counts", schema))


def refuse_misfits(conn: Connection, schema: str | None) -> None:
    """Raises DriftError where columns or keys of that ledger are not as they were made, as `present` does."""
    _trusted(_ask(conn, "which_counts", schema, closely=True))


def present(conn: Connection, schema: str) -> set[str]:
    """The names of such tables in a schema, whether or not they make a ledger; asked before anything is written.

    Raises DriftError as `tables`, and where another schema of the search_path holds a ledger too. A search_path that the
    connection itself sets says which one is meant.
    """
    tables = _ask(conn, "which_present", schema, closely=True)
    here = _trusted([table for table in tables if table.schema == schema])
    name = table_of(conn)
    if second := [table.schema for table in tables if table.schema != schema and table.name == name and table.sound]:
        raise DriftError(
            f"there are two ledgers: {schema}.{name} and {second[0]}.{name}, both on the search_path; "
            "the plain yoyo made the second when the search_path changed. Compare them, drop the wrong one's tables "
            f"({name}, _yoyo_log, _yoyo_version, yoyo_lock), then run again"
        )
    return {table.name for table in here}


def elsewhere(conn: Connection, known: Sequence[Migration]) -> tuple[str | None, str]:
    """The schema of the ledger off the search_path that is ours all the same, if one is, and what to say of such a ledger.

    It is ours where one of the `known` migrations in it changed the defaults of role or database, and so the path.
    """
    tables = _ask(conn, "which_elsewhere", None)
    unsound = {table.schema for table in tables if not table.sound}
    schemas = [table.schema for table in tables if table.name == table_of(conn) and table.schema not in unsound]
    row = (
        conn.execute(f"SELECT {queries()['configured']}, {queries()['here']}".encode()).fetchone() if schemas else None
    )
    hashes = {migration.hash: migration for migration in known}
    words = ""
    for schema in schemas:
        assert row
        text = queries(table_of(conn))["holds"].replace("{schema}", schema.replace("%", "%%"))
        held = [hashes[key] for (key,) in conn.execute(text, {"hashes": list(hashes)}).fetchall()]
        some = f"{len(held)} of these migrations"
        if not row[0] and (cause := next((m for m in held if m.apply.may_change_defaults), None)):
            return (
                schema,
                f"the ledger in schema {schema} is used, though it is off the search_path: {cause.id} changed that",
            )
        if held and not words:
            words = f"schema {schema} holds a ledger with {some}; this run uses schema {row[1] or '(none)'}"
    return None, words


def further_on(conn: Connection, schema: str, applied: Iterable[Migration]) -> tuple[str, ...]:
    """What to say of a ledger in a schema that is not the current one: nothing where a migration in it made or moved that."""
    [(here,)] = conn.execute(f"SELECT {queries()['here']}".encode()).fetchall()
    if here in (schema, None):
        return ()
    made = re.compile(rb"(?i)\bcreate\s+schema\b[^;]*" + re.escape(unquoted(here)).encode())
    if any(migration.apply.may_change_defaults or made.search(migration.apply.data) for migration in applied):
        return ()
    return (
        f"the ledger in schema {schema}, further on the search_path, is used: the current schema, {here}, has none",
    )


# Neither a policy nor a cast of a stranger's runs when such a table is read.
_RENAMED = """
SELECT pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.relname)),
       c.relname::pg_catalog.text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind OPERATOR(pg_catalog.=) 'r' AND c.relpersistence OPERATOR(pg_catalog.=) 'p' AND NOT c.relrowsecurity
  AND c.relname OPERATOR(pg_catalog.<>) ALL (ARRAY['_pgyoyo_migration', %s]::pg_catalog.name[])
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
  AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a
       WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
         AND a.atttypid OPERATOR(pg_catalog.=) ANY (
             ARRAY['pg_catalog.varchar', 'pg_catalog.text', 'pg_catalog.timestamp']::pg_catalog.regtype[]::pg_catalog.oid[])
         AND a.attname OPERATOR(pg_catalog.=)
             ANY (ARRAY['migration_hash', 'migration_id', 'applied_at_utc']::pg_catalog.name[])) OPERATOR(pg_catalog.=) 3
ORDER BY 1
"""


_HELD = """
SELECT pg_catalog.count(*) FROM ONLY {} WHERE migration_hash OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.text[])
"""


def renamed(conn: Connection, known: Sequence[Migration]) -> tuple[str, str, int] | None:
    """A table with yoyo's columns that holds some of these migrations, under another name than the one that is asked for.

    Its whole name in SQL, its name alone, and how many it holds; None where there is none.
    """
    hashes = [migration.hash for migration in known]
    for relation, name in conn.execute(_RENAMED, [table_of(conn)]).fetchall():
        [(count,)] = conn.execute(_HELD.format(relation.replace("%", "%%")).encode(), [hashes]).fetchall()
        if count:
            return relation, name, count
    return None


def _trusted(tables: Sequence[Table]) -> Sequence[Table]:
    closed = [f"{table.schema}.{table.name}" for table in tables if table.usable and not table.readable]
    for table in tables:
        if fault := table.fault:
            alone = _unreadable([f"{table.schema}.{table.name}"], table.role)
            fault = _unreadable(closed, table.role) if fault == alone else fault
            raise DriftError(f"this ledger is not used: {fault}")
    return tables


def _unreadable(names: Sequence[str], role: str) -> str:
    return f"this role may not read {several(names)}; let the owner run: GRANT SELECT ON {', '.join(names)} TO {role}"


def _ask(conn: Connection, which: str, schema: str | None, *, closely: bool = False) -> Sequence[Table]:
    text = query(conn, which, schema, closely=closely)
    return conn.cursor(row_factory=class_row(Table)).execute(text.encode()).fetchall()
