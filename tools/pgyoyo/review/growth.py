"""What a scale trial says of a statement, in the terms of a sheet; and which statements are worth one."""

import json
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

import psycopg
from psycopg import Connection

from pgyoyo.identifiers import quoted
from pgyoyo.queries import named
from pgyoyo.review import called
from pgyoyo.review.filling import QUERIES
from pgyoyo.review.observation import RelationNames
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.sheet import Lock, Relation, Rows, Work
from pgyoyo.review.trial import ScaleTrial
from pgyoyo.sql import tree
from pgyoyo.sql.intent import Intent
from pgyoyo.sql.tree import Node

LONGEST = 1 << 20  # bytes of a statement that is tried
MANY_THERE = 100  # sample rows: enough to tell how many of them a value has
FEW_ROWS = 10_000  # of a range of keys: a batch
_WRITES = ("update", "delete", "code", "select")
_READS = ("insert", "into", "refresh", "refresh concurrently")
_TABLES = frozenset(("table", "partitioned table", "materialized view"))
_COMMIT = re.compile(rb"(?i)\b(?:COMMIT|ROLLBACK)(?:\s+AND\s+(?:NO\s+)?CHAIN)?\s*;")
_CURSOR = re.compile(rb"(?is)\ADECLARE\b.*?\bCURSOR\b.*?\bFOR\b")
_CAST = re.compile(r"::[a-z]+(?: [a-z]+)*")
_LOOP = re.compile(rb"(?i)\bLOOP\b.*\bCOMMIT\b", re.DOTALL)


def worth_a_trial(asks: Intent, name: str, takes: Collection[Lock], held: Collection[Lock]) -> bool:
    """Whether the work of a statement may be hidden where tables are empty: it reads or changes rows of existing tables.

    A statement that only reads matters while a strong lock is held. Which tables code locks can't be seen where it commits.
    """
    verb = name.split(" ", maxsplit=1)[0].upper()
    if asks.any("code") or verb == "PREPARE":  # what is prepared runs with EXECUTE
        return verb != "PREPARE"
    tables = {lock.relation for lock in takes if lock.relation.existed and lock.relation.kind in _TABLES}
    if not tables:
        return False
    if asks.any(*_WRITES) or verb in ("EXPLAIN", "EXECUTE"):
        return True
    return asks.any(*_READS) and bool(held) and (len(asks.names) > 1 or not asks.any("insert"))


def fires_on_insert(names: Sequence[str], conn: Connection) -> bool:
    """Whether any relation of these bare names, or a partition of it, has a trigger of its own, or a rule, for INSERT."""
    return conn.execute(named(QUERIES)["fires"], {"names": names}).fetchone() is not None


def without_commits(text: bytes) -> tuple[bytes, bool]:
    """A DO block without the transactions that it ends, and whether a loop in it ends them: it works in batches."""
    return _COMMIT.sub(b"NULL;", text), _LOOP.search(text) is not None


def without_cursor(text: bytes) -> bytes:
    """The query of a cursor, whose rows a later FETCH or MOVE reads; any other statement as it is."""
    return _CURSOR.sub(b"", text, count=1)


def shape(text: bytes, asks: Intent) -> str:
    """The same for statements that differ in their constants only; code is compared by its text."""
    words = text.decode(errors="replace")
    return words if asks.any("code", "select") else tree.fingerprint(words) or words


def with_growth(
    work: Work, trial: ScaleTrial, names: RelationNames, text: bytes, asks: Intent, conn: Connection
) -> Work:
    """The work with what grows with the tables, and the tables of which nothing could be measured."""
    change = _plain_change(text, asks)
    bounded, is_exact = _bounded(change, names, conn, work.rows) if change else (set[Relation](), False)

    def relation(oid: int) -> Relation | None:
        known = names.relation(oid)
        return known if known and known.existed and known.kind in _TABLES and known not in bounded else None

    grows = set(filter(None, map(relation, trial.reading)))
    # An empty table shows a scan of it also where the first row there is ends it.
    peeked = called.peeked(text.decode(errors="replace")) if trial.points and work.scanned else ()
    scanned = {table for table in work.scanned if table in grows or bare_name(table.table or table.name) not in peeked}
    scanned |= grows
    changing = [
        Rows(table, each.inserted, each.updated, each.deleted)
        for each in trial.changing if (table := names.relation(each.oid)) and table.existed and table.kind in _TABLES
    ]  # fmt: skip
    # A statement about a few rows of its table changes many only where others go with them, such as those below it in a tree.
    rows = [] if is_exact else [changed for changed in changing if changed.relation not in bounded]
    cascading = changing if is_exact else []
    source = text.decode(errors="replace")
    if called.locks_rows(source, asks, conn):
        left = {table.relation for table in rows}
        free = called.only_read(source, conn)
        read = filter(None, map(relation, trial.reading))
        rows += [Rows(table, 0, 0, 0) for table in read if table not in left and bare_name(table.name) not in free]
    # Those whose whole reading was seen even without rows need no trial.
    hidden = trial.unseen
    if trial.reason and (asks.any("code") or (asks.any("select") and called.bodies(source, conn))):
        hidden = () if called.only_reads(source, conn) else tuple({*hidden, *trial.touches})
    unseen = {table for table in map(relation, hidden) if table and table not in scanned}
    if unseen and change:
        unseen -= _without_match(change, text, names, conn)
    families = {table.table for table in scanned}
    return replace(
        work,
        scanned=tuple(sorted(table for table in scanned if table.table is None or not _has(scanned, table))),
        growing=tuple(sorted(rows, key=lambda changed: changed.relation)),
        cascading=tuple(sorted(cascading, key=lambda changed: changed.relation)),
        unmeasured=() if not asks.any(*_WRITES) else tuple(sorted(t for t in unseen if t.name not in families)),
    )


def _has(scanned: Collection[Relation], partition: Relation) -> bool:
    return any(table.name == partition.table and table.kind == "partitioned table" for table in scanned)


def _bounded(
    statement: Node, names: RelationNames, conn: Connection, rows: Collection[Rows]
) -> tuple[set[Relation], bool]:
    """The table of an UPDATE or DELETE of few rows, by its condition: constants for a unique key, or a short range of it.

    Constants for any other columns bound it too where many sample rows were loaded, and `rows` tells that it met few of them.
    And whether it is about no more rows than it has constants for a unique key.
    """
    conditions = tree.conjuncts(statement.where_clause)
    named_rows = {name for part in conditions for name in _fixed(part)}
    fixed = named_rows | _ranges(conditions)
    oids = _namesakes(statement, names)
    if not fixed or not oids:
        return set(), False
    rows_of = conn.execute(named(QUERIES)["keys"], {"oids": oids}).fetchall()
    keys = [(oid, columns) for oid, columns, part in rows_of if part is None or _within(conditions, part)]
    bounded = {oid for oid, columns in keys if fixed.issuperset(columns)}
    is_exact = any(named_rows.issuperset(columns) for _, columns in keys)
    if "ctid" in fixed:  # the place of a row
        bounded = set(oids)
    if conditions and all(map(_fixed, conditions)):
        query = """
SELECT c.oid::bigint, c.reltuples FROM pg_catalog.pg_class AS c WHERE c.oid::bigint OPERATOR(pg_catalog.=) ANY (%s)"""
        there = {names.relation(oid): (oid, n) for oid, n in conn.execute(query, [oids]) if n >= MANY_THERE}
        met = ((there[changed.relation], changed.count) for changed in rows if changed.relation in there)
        bounded |= {oid for (oid, n), count in met if count * 100 <= n}
    return {table for oid in bounded if (table := names.relation(oid))}, is_exact


def _within(conditions: Sequence[Node], part: str) -> bool:
    """Whether conditions choose only rows that a partial index has: each of its own conditions is among them."""
    condition = tree.condition(_CAST.sub("", part))  # the server writes 'open'::text
    mine = [tree.shape(each) for each in conditions]
    return condition is not None and all(tree.shape(each) in mine for each in tree.conjuncts(condition))


def _without_match(statement: Node, text: bytes, names: RelationNames, conn: Connection) -> set[Relation]:
    """The table of an UPDATE or DELETE that can meet no row: it asks for nulls in a column that has none, or the planner
    knows: WHERE false, ONLY a partitioned table."""
    if _joined(statement):
        return set()
    with suppress(psycopg.Error), conn.transaction(force_rollback=True):
        [[plan]] = conn.execute(b"EXPLAIN (FORMAT JSON, COSTS off) " + text).fetchall()
        if len(plan) == 1 and '"One-Time Filter": "false"' in json.dumps(plan[0]["Plan"].get("Plans", [])[:1]):
            return {table for oid in _namesakes(statement, names) if (table := names.relation(oid))}
    nulls = {column for part in tree.conjuncts(statement.where_clause) if (column := tree.null_column(part))}
    oids = _namesakes(statement, names) if nulls else []
    rows = conn.execute(named(QUERIES)["never_null"], {"oids": oids}).fetchall() if oids else ()
    return {table for oid, column in rows if column in nulls and (table := names.relation(oid))}


def _plain_change(text: bytes, asks: Intent) -> Node | None:
    """The syntax tree of an UPDATE or DELETE without WITH."""
    statement = tree.parse(text.decode(errors="replace")) if asks.any("update", "delete") else None
    if statement is None or tree.kind(statement) not in ("UpdateStmt", "DeleteStmt"):
        return None
    return None if statement.HasField("with_clause") else statement


def _joined(statement: Node) -> bool:
    """Whether other tables stand beside the one that it changes."""
    return bool(statement.from_clause if tree.kind(statement) == "UpdateStmt" else statement.using_clause)


def _namesakes(statement: Node, names: RelationNames) -> list[int]:
    """The tables of the name, in any schema, that an UPDATE or DELETE changes."""
    suffixes = _suffixes(statement.relation.relname)
    return [oid for oid, entry in names.now.items() if entry.kind in _TABLES and entry.name.endswith(suffixes)]


def _suffixes(bare: str) -> tuple[str, str]:
    return f".{bare}", f".{quoted(bare)}"


def _fixed(part: Node) -> set[str]:
    """The columns that a condition compares with constants: x = 1, x IN (1, 2), (x, y) = (1, 2)."""
    if tree.kind(part) != "A_Expr" or not part.name or tree.name(part) != "=":
        return set()
    left, right = tree.unwrap(part.lexpr), tree.unwrap(part.rexpr)
    if tree.kind(left) not in ("ColumnRef", "RowExpr"):
        left, right = right, left
    columns = (
        [tree.column(tree.unwrap(arg)) for arg in left.args] if tree.kind(left) == "RowExpr" else [tree.column(left)]
    )
    if any(tree.kind(below) in ("ColumnRef", "SubLink", "FuncCall") for below in _walk(right)):
        return set()
    return {column[1] for column in columns if column} if all(columns) else set()


def _ranges(conditions: Sequence[Node]) -> set[str]:
    """The columns that conditions hold between two whole numbers that are not far apart."""
    low: dict[str, int] = {}
    high: dict[str, int] = {}
    for part in conditions:
        if tree.kind(part) != "A_Expr" or (column := tree.column(tree.unwrap(part.lexpr))) is None:
            continue
        right = tree.unwrap(part.rexpr)
        if tree.name(part) == "BETWEEN" and tree.kind(right) == "List":
            bounds = [(">=", right.items[0]), ("<=", right.items[1])]
        else:
            bounds = [(tree.name(part), part.rexpr)]
        for operator, bound in bounds:
            constant = tree.unwrap(bound)
            if tree.kind(constant) == "A_Const" and constant.WhichOneof("val") in ("ival", None):
                (low if operator in (">", ">=") else high if operator in ("<", "<=") else {})[column[1]] = (
                    constant.ival.ival
                )
    return {name for name in low.keys() & high.keys() if high[name] - low[name] <= FEW_ROWS}


def _walk(node: Node) -> Sequence[Node]:
    return list(tree.walk(node)) if node is not None else []
