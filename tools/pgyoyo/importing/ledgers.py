"""The ledgers of other tools in a database: which there are, and which migrations they call applied."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, errors, sql

from pgyoyo.errors import DriftError, PgyoyoError
from pgyoyo.importing import alembic, dbmate, diesel, drizzle, flyway, golang_migrate, goose, refinery, sqlx

# By the name of a table, the columns that tell whose it is; the first tool whose columns are all there.
_TABLES: Mapping[str, tuple[tuple[str, frozenset[str]], ...]] = {
    "schema_migrations": (
        ("golang-migrate", frozenset(("version", "dirty"))),
        ("Ecto", frozenset(("version", "inserted_at"))),
        ("dbmate", frozenset(("version",))),
    ),
    "goose_db_version": (("goose", frozenset(("version_id", "is_applied"))),),
    "flyway_schema_history": (("flyway", frozenset(("installed_rank", "version", "type", "success"))),),
    "changes": (("sqitch", frozenset(("change_id", "change", "project", "committed_at"))),),
    "_prisma_migrations": (("prisma", frozenset(("migration_name", "finished_at", "rolled_back_at"))),),
    "__drizzle_migrations": (("drizzle", frozenset(("hash", "created_at"))),),
    "alembic_version": (("alembic", frozenset(("version_num",))),),
    "__diesel_schema_migrations": (("diesel", frozenset(("version", "run_on"))),),
    "_sqlx_migrations": (("sqlx", frozenset(("version", "checksum"))),),
    "pgmigrations": (("node-pg-migrate", frozenset(("name", "run_on"))),),
    "refinery_schema_history": (("refinery", frozenset(("version", "checksum"))),),
    # Those that nothing is imported from: `pgyoyo import database` takes what they made.
    "django_migrations": (("Django", frozenset(("app", "name", "applied"))),),
    "__EFMigrationsHistory": (("Entity Framework", frozenset(("MigrationId",))),),
    "SequelizeMeta": (("Sequelize", frozenset(("name",))),),
    "databasechangelog": (("Liquibase", frozenset(("id", "author", "md5sum"))),),
    "gorp_migrations": (("sql-migrate", frozenset(("id", "applied_at"))),),
    "knex_migrations": (("Knex", frozenset(("name", "batch"))),),
}
# Tables with these names that no extension owns; those on the search_path first.
_FIND = """
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, pg_catalog.array_agg(a.attname::pg_catalog.text),
       pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.relname))
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0
  AND NOT a.attisdropped
WHERE c.relkind OPERATOR(pg_catalog.=) 'r' AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
  AND c.relname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[])
GROUP BY c.oid, n.nspname, c.relname
ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC, n.nspname
"""


@dataclass(frozen=True, slots=True)
class ToolLedger:
    """The table, or for sqitch the schema, in which a tool keeps what it applied; `quoted` is its whole name in SQL."""

    tool: str
    schema: str
    table: str
    quoted: str

    def __str__(self) -> str:
        return self.quoted

    @property
    def source(self) -> str:
        """What `pgyoyo import` takes: the tool, or the database where nothing is imported from the tool."""
        return self.tool if self.tool in _READERS else "database"

    @property
    def shown(self) -> str:
        """What belongs to the ledger alone: its table, or its schema where that is the tool's own."""
        return self.schema if self.tool == "sqitch" or self.schema == "drizzle" else str(self)

    @property
    def owns(self) -> tuple[str, ...]:
        """Patterns over "kind identity", as verify ignores them, for what belongs to the ledger and to no migration."""
        return (f"* {self.shown}", f"* {self.shown}[ ._]*")


@dataclass(frozen=True, slots=True)
class Record:
    """What a tool's ledger says: names of migrations that are applied; `failed` is what ended halfway, "" for nothing."""

    ledger: ToolLedger
    applied: frozenset[str]
    failed: str = ""


def tables_of(tool: str) -> list[str]:
    """The names of the tables in which a tool keeps what it applied; none where the name could be anything's."""
    return [table for table, owners in _TABLES.items() if table != "changes" and tool in {name for name, _ in owners}]


def find(conn: Connection) -> list[ToolLedger]:
    """The ledgers of other tools in the database; one query, which writes nothing."""
    rows = conn.execute(_FIND, {"names": list(_TABLES)}).fetchall()
    ledgers = []
    for schema, table, columns, quoted in rows:
        tool = next((tool for tool, needed in _TABLES[table] if needed <= set(columns)), None)
        if tool:
            ledgers.append(ToolLedger(tool, schema, table, quoted))
    return ledgers


def read(conn: Connection, ledger: ToolLedger, names: Sequence[str]) -> Record:
    """What the ledger says of the migrations with these names, given in their order; raises PgyoyoError."""

    def rows(text: str) -> list[tuple[Any, ...]]:
        query = sql.SQL("SELECT " + text).format(table=sql.Identifier(ledger.schema, ledger.table))
        try:
            return conn.execute(query).fetchall()
        except errors.InsufficientPrivilege:
            raise PgyoyoError(
                f"this role may not read {ledger}, the ledger of {ledger.tool}; GRANT SELECT ON it"
            ) from None

    if ledger.tool not in _READERS:
        return Record(ledger, frozenset())
    applied, failed = _READERS[ledger.tool](rows, names)
    return Record(ledger, frozenset(applied), failed)


def refuse_failed(record: Record) -> None:
    """Raises DriftError where a migration ended halfway, so that neither with nor without it the database is what it says."""
    if record.failed:
        raise DriftError(
            f"{record.ledger}, the ledger of {record.ledger.tool}, {record.failed}; bring that in order with "
            f"{record.ledger.tool} first, or say which is the last one that the database has: pgyoyo adopt --to ID"
        )


_Rows = Callable[[str], list[tuple[Any, ...]]]
_Answer = tuple[set[str], str]


def _dbmate(rows: _Rows, names: Sequence[str]) -> _Answer:
    versions = {str(version) for (version,) in rows("version FROM {table}")}
    return {name for name in names if dbmate.version(name) in versions}, ""


def _golang_migrate(rows: _Rows, names: Sequence[str]) -> _Answer:
    state = rows("version, dirty FROM {table}")
    if not state:
        return set(), ""
    version, dirty = state[0]
    applied = {name for name in names if golang_migrate.version(name) <= version}
    return applied, f"is dirty: version {version} failed halfway" if dirty else ""


def _goose(rows: _Rows, names: Sequence[str]) -> _Answer:
    # Its older versions add a row for each way back, so the last row of a version counts.
    last: dict[int, bool] = dict(rows("version_id, is_applied FROM {table} ORDER BY id"))
    return {name for name in names if last.get(goose.version(name))}, ""


def _flyway(rows: _Rows, names: Sequence[str]) -> _Answer:
    applied: set[flyway.Version] = set()
    baseline: flyway.Version = ()
    failed = ""
    for version, kind, success in rows("version, type, success FROM {table} ORDER BY installed_rank"):
        number = flyway.version(version or "")
        if not success:
            failed = failed or f"has a failed row for version {version or '(repeatable)'}"
        elif "BASELINE" in kind:
            baseline = max(baseline, number)
        elif kind.startswith("UNDO") or kind == "DELETE":
            applied.discard(number)
        elif number:
            applied.add(number)
    return {name for name in names if (number := flyway.version(name)) in applied or number <= baseline}, failed


def _sqitch(rows: _Rows, names: Sequence[str]) -> _Answer:
    left: dict[str, int] = {}
    for project, change in rows("project, change FROM {table}"):
        left[f"{project}:{change}"] = left.get(f"{project}:{change}", 0) + 1
    applied = set()
    for name in names:  # a reworked change has a row for each time it was deployed, the first one first
        change = name.partition("@")[0]
        if left.get(change, 0) > 0:
            left[change] -= 1
            applied.add(name)
    return applied, ""


def _prisma(rows: _Rows, names: Sequence[str]) -> _Answer:
    applied, failed = set(), ""
    for name, finished, rolled_back in rows(
        "migration_name, finished_at, rolled_back_at FROM {table} ORDER BY started_at"
    ):
        if rolled_back is None and finished is None:
            failed = failed or f"has a failed migration: {name}"
        elif rolled_back is None:
            applied.add(name)
    return applied & set(names), failed


def _diesel(rows: _Rows, names: Sequence[str]) -> _Answer:
    versions = {version for (version,) in rows("version FROM {table}")}
    return {name for name in names if diesel.version(name) in versions}, ""


def _sqlx(rows: _Rows, names: Sequence[str]) -> _Answer:
    state: dict[int, bool] = dict(rows("version, success FROM {table} ORDER BY version"))
    failed = next((version for version, success in state.items() if not success), None)
    applied = {name for name in names if state.get(sqlx.version(name))}
    return applied, "" if failed is None else f"has a failed row for version {failed}"


def _refinery(rows: _Rows, names: Sequence[str]) -> _Answer:
    versions = {version for (version,) in rows("version FROM {table}")}
    return {name for name in names if refinery.version(name) in versions}, ""


def _node_pg_migrate(rows: _Rows, names: Sequence[str]) -> _Answer:
    return {name for (name,) in rows("name FROM {table}")} & set(names), ""


def _drizzle(rows: _Rows, names: Sequence[str]) -> _Answer:
    [(last,)] = rows("pg_catalog.max(created_at) FROM {table}")
    return {name for name in names if last is not None and drizzle.created_at(name) <= int(last)}, ""


def _alembic(rows: _Rows, names: Sequence[str]) -> _Answer:
    known = {revision: (name, parents) for name in names for revision, parents in (alembic.parents(name),)}
    left = [revision for (revision,) in rows("version_num FROM {table}")]
    applied: set[str] = set()
    if unknown := [revision for revision in left if revision not in known]:
        return applied, f"is at revision {unknown[0]}, which was not imported"
    while left:
        name, parents = known[left.pop()]
        if name not in applied:
            applied.add(name)
            left += [parent for parent in parents if parent in known]
    return applied, ""


_READERS: Mapping[str, Callable[[_Rows, Sequence[str]], _Answer]] = {
    "alembic": _alembic,
    "dbmate": _dbmate,
    "diesel": _diesel,
    "drizzle": _drizzle,
    "flyway": _flyway,
    "golang-migrate": _golang_migrate,
    "goose": _goose,
    "node-pg-migrate": _node_pg_migrate,
    "prisma": _prisma,
    "refinery": _refinery,
    "sqitch": _sqitch,
    "sqlx": _sqlx,
}
