"""The tables whose rows a backfill walks and changes, and whether the catalog lets it do that in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, ProgrammingError
from psycopg.rows import class_row

from pgyoyo.backfill.queries import queries
from pgyoyo.identifiers import qualified, quoted
from pgyoyo.sql.batched import TIMES, Batched, RefusedError
from pgyoyo.sql.insert import COUNTS, BatchedInsert
from pgyoyo.sql.update import BatchedUpdate


@dataclass(frozen=True, slots=True)
class Table:
    """One table as the catalog has it; `others` are the columns that it does not set, `keys` those of its own
    columns that identify rows or choose their partition, `allowed` the privileges that this role has, `triggers` the names
    of those that fire, `definitions` those of them that have a WHEN.
    """

    oid: int
    name: str
    relname: str
    kind: str
    method: str | None
    pages: int
    secured: bool
    rule: str | None
    triggers: list[str]
    definitions: list[str]
    others: list[str]
    not_null: list[str]
    keys: list[str]
    allowed: list[str]
    references_others: bool
    volatile: str | None


@dataclass(frozen=True, slots=True)
class Targets:
    """The tables that hold the rows; `split` where they are partitions or children of the one that is named.

    `slice` is what is to be sent to each, which may ask for more than the file's own says.
    """

    tables: tuple[Table, ...]
    split: bool
    slice: Batched
    findings: tuple[str, ...]
    # All that are written to, parents that hold no rows too: for an INSERT, those it inserts into.
    written: tuple[Table, ...] = ()
    # The tables (oids) whose rows foreign keys delete or change with those of this one.
    cascades: tuple[int, ...] = ()
    # Whether the statement names what is not there; the server's own error says it best.
    missing: bool = False

    @property
    def reached(self) -> list[int]:
        """The oids of what is written to."""
        return [table.oid for table in self.written]

    @property
    def triggers(self) -> list[str]:
        """The triggers that may fire, by name."""
        return sorted({name for table in self.written for name in table.triggers})

    def member(self, table: Table) -> str | None:
        """The table's name where the statement has to name it in place of its own."""
        return table.name if self.split else None


def find(conn: Connection, choices: Sequence[Batched], *, skip_triggers: bool) -> Targets:
    """The tables that the statement reaches; writes nothing. Raises RefusedError for what the catalog rules out.

    Of several `choices` that walk one table each, the one with the most pages.
    """
    walked = [(choice, tree_of(conn, choice, skipping=skip_triggers)) for choice in choices]
    chosen, own = max(walked, key=lambda pair: sum(table.pages for table in pair[1]))
    for table in own:
        _check(chosen, table)
    findings, written = list(chosen.findings), own
    if not own or (
        isinstance(chosen, BatchedInsert) and not tree_of(conn, chosen, written=True, skipping=skip_triggers)
    ):
        return Targets((), True, chosen, (), missing=True)  # noqa: FBT003 - split, as where there are no partitions
    if isinstance(chosen, BatchedInsert):
        try:
            with conn.transaction():
                chosen, written = _into(conn, chosen, own, skipping=skip_triggers)
        except ProgrammingError:
            return Targets((), True, chosen, (), missing=True)  # noqa: FBT003 - as above
    if isinstance(chosen, BatchedUpdate):
        maybe = sorted(name for name in chosen.premise.columns if any(name not in table.not_null for table in own))
        if maybe:
            chosen = chosen.without_nulls(maybe[0])
            findings.append(
                f"{maybe[0]} may be NULL; rows whose new value is NULL are left as they are, since they have it"
            )
    for schema, name in chosen.also_reads:
        if qualified(schema, name) == chosen.written:
            continue  # by the NOT EXISTS of an INSERT
        reads = rows(conn, "view_of", {"view": qualified(schema, name), "tables": [table.oid for table in written]})
        if reads[0][0]:
            raise RefusedError(
                chosen.line, f"can't run in batches: it reads {name}, a view of the very table it {_verb(chosen)}"
            )
    if skip_triggers:
        _refuse_skipping(conn, chosen, written)
    tables = tuple(table for table in own if table.kind == "r")
    return Targets(tables, len(own) > 1 or not tables, chosen, tuple(findings), tuple(written))


def tree_of(conn: Connection, batched: Batched, *, skipping: bool, written: bool = False) -> Sequence[Table]:
    """The table that it walks, or that it has `written` to, with its partitions and children; their triggers are
    those that fire, with `skipping` in spite of session_replication_role = replica.
    """
    walks_only = isinstance(batched, BatchedInsert) and not written
    values = {
        "table": batched.written if written else batched.name,
        "only": batched.only and not written,
        "columns": list(batched.names if isinstance(batched, BatchedInsert) and written else batched.columns),
        "functions": [name for _, name in batched.functions],
        "schemas": [schema for schema, _ in batched.functions],
        "event": 0 if walks_only else batched.TRIGGER,
        "rule": "0" if walks_only else batched.RULE,
        "skipping": skipping,
    }
    return conn.cursor(row_factory=class_row(Table)).execute(queries()["tables"].encode(), values).fetchall()


def _verb(batched: Batched) -> str:
    return {"update": "updates", "delete": "deletes from", "insert": "inserts into"}[batched.VERB]


def _into(
    conn: Connection, insert: BatchedInsert, walked: Sequence[Table], *, skipping: bool
) -> tuple[BatchedInsert, Sequence[Table]]:
    """The INSERT with what keeps its rows from being inserted twice, and the tables it inserts into."""
    if counting := rows(conn, "aggregates", {"names": sorted(insert.computes)}):
        raise RefusedError(insert.line, f"can't run in batches: {COUNTS.format(counting[0][0])}")
    names = list(insert.names)
    if not names:
        described = conn.execute(insert.width().encode()).description or ()
        names = [name for (name,) in rows(conn, "columns", {"table": insert.written})][: len(described)]
    called = sorted(frozenset[str]().union(*insert.calls))
    moving = TIMES.union(name for (name,) in rows(conn, "volatile", {"names": called}))
    moved, keys = "", []
    for _, name, columns, types in rows(conn, "unique_keys", {"table": insert.written, "names": names}):
        if insert.guarded and set(columns) != set(insert.guarded):
            continue
        if isinstance(insert.conflict, str) and insert.conflict != name:
            continue
        if isinstance(insert.conflict, tuple) and set(columns) != set(insert.conflict):
            continue
        if calls := sorted((column, call) for column in columns for call in _calls(insert, names, column) & moving):
            moved = "; {} does not count, since {} may give the same row another value".format(*calls[0])
            continue
        keys.append(tuple(zip(columns, types, strict=True)))
    if not keys:
        wanted = insert.guarded or insert.conflict
        which = f" on {', '.join(wanted)}" if isinstance(wanted, tuple) else f" {wanted}" if wanted else ""
        raise RefusedError(
            insert.line, f"can't run in batches: {insert.into[1]} has no unique key{which} of NOT NULL columns that it "
            f"inserts, so that a row inserted twice would not be noticed{moved}")  # fmt: skip
    every = rows(conn, "other_keys", {"table": insert.written})[0][0]
    insert = insert.keyed(names, keys, alone=every == len(keys))
    written = tree_of(conn, insert, written=True, skipping=skipping)
    for table in written:
        _check(insert, table, keys=False)
    if {table.oid for table in walked} & {table.oid for table in written}:
        raise RefusedError(insert.line, "can't run in batches: it reads the table that it inserts into")
    return insert, written


def _calls(insert: BatchedInsert, names: Sequence[str], column: str) -> frozenset[str]:
    """The functions that may give a column its value, of all that are inserted; behind a * it may be any."""
    if len(names) != len(insert.calls):
        return frozenset[str]().union(*insert.calls)
    return insert.calls[names.index(column)]


def _refuse_skipping(conn: Connection, batched: Batched, written: Sequence[Table]) -> None:
    """Raises RefusedError where triggers may not be skipped."""
    oids = [table.oid for table in written]
    if batched.VERB == "delete" and (known := rows(conn, "references", {"tables": oids})):
        raise RefusedError(
            batched.line, f"a foreign key of {known[0][1]} refers to its table, and with its triggers skipped nothing would "
            'check that; use "triggers fire"')  # fmt: skip
    if any(table.references_others for table in written):
        raise RefusedError(
            batched.line, f"it {'inserts' if batched.VERB == 'insert' else 'sets'} a column of a foreign key, and with its "
            'triggers skipped nothing would check that; use "triggers fire"')  # fmt: skip
    allowed = rows(conn, "is_superuser" if conn.info.server_version < 150000 else "may_skip_triggers", {})
    if not allowed[0][0]:
        raise RefusedError(
            batched.line, '"triggers skip" needs a superuser, or, from PostgreSQL 15 on, '
            f'GRANT SET ON PARAMETER session_replication_role TO {quoted(conn.info.user)}')  # fmt: skip


def _check(batched: Batched, table: Table, *, keys: bool = True) -> None:
    kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
    reason = ""
    if table.kind in kinds:
        reason = f"{table.name} is {kinds[table.kind]}; only a table's own rows can be addressed by their pages"
    elif table.kind == "r" and table.method != "heap":
        reason = f"{table.name} is stored by the access method {table.method}, not heap"
    elif table.secured:
        reason = f"row security hides rows of {table.name} from this role; use a role that owns it or has BYPASSRLS"
    elif table.rule:
        reason = f"the rule {table.rule} on {table.name} rewrites its {batched.VERB.upper()}s"
    elif table.keys and keys:
        reason = (
            f"it sets {table.keys[0]}, which identifies the rows of {table.name} or chooses their partition: "
            "between two batches keys could collide that don't at the end"
        )
    elif table.volatile:
        reason = f"its WHERE calls {table.volatile}(), which is volatile"
    if reason:
        raise RefusedError(batched.line, f"can't run in batches: {reason}")


def rows(conn: Connection, name: str, values: dict[str, Any]) -> list[Any]:
    """The rows of a named query."""
    return conn.execute(queries()[name].encode(), values).fetchall()
