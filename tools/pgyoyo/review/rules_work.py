"""The rules about work: tables that a statement rewrites, scans, or changes rows of."""

import re
from collections.abc import Iterator, Sequence

from pgyoyo.review.commands import commands, enum
from pgyoyo.review.evidence import Evidence, Hit, family, lock_hit, names, still_empty
from pgyoyo.review.relation_names import bare_name, parts
from pgyoyo.review.sheet import Relation
from pgyoyo.sql import tree
from pgyoyo.sql.intent import Intent
from pgyoyo.sql.loops import executes_in_loop, hand_loop

# Why a statement rewrites a table, or scans it under a lock that it takes; the first that fits counts.
_REWRITES = (
    ("add-serial-column", ("add column serial", "add column identity", "identity")),
    ("add-stored-column", ("add column generated",)),
    ("change-column-type", ("column type",)),
    ("volatile-default", ("add column default", "add column")),
    ("rewrite-storage", ("storage",)),
)
_SCANS = (
    ("index-not-concurrently", ("index",)),
    ("reindex-not-concurrently", ("reindex",)),
    ("unique-builds-index", ("add unique", "add primary key", "add column unique", "add column primary key")),
    ("exclusion-constraint", ("add exclusion",)),
    ("primary-key-sets-not-null", ("add primary key using index",)),
    ("validate-under-lock", ("validate",)),
    ("check-scans", ("add check", "add column check")),
    ("set-not-null-scans", ("set not null", "add not null")),
    ("foreign-key-scans", ("add foreign key", "add column foreign key")),
    ("domain-constraint-scans", ("domain constraint",)),
    ("attach-partition-scans", ("attach partition", "partition of")),
    ("change-column-type", ("column type",)),  # another collation: the rows stay, its indexes do not
)

_ELSEWHERE = ("attach", "change", "domain", "reindex")
_OF_PARTITIONS = tuple((rule, words) for rule, words in _SCANS if not rule.startswith(_ELSEWHERE))
_DELETES = frozenset(("DeleteStmt", "CMD_DELETE"))
_UPDATES = frozenset(("UpdateStmt", "CMD_UPDATE", "OnConflictClause"))
_ONLY = re.compile(r"(?i)\bONLY\b")


def _rewrites(evidence: Evidence) -> Iterator[Hit]:
    for relation in evidence.statement.work.rewritten:
        if relation.kind != "materialized view":
            rule = _first(_REWRITES, evidence.asks, "table-rewrite")
            yield rule, f"{relation.name} and its indexes are rewritten", relation


def _refresh(evidence: Evidence) -> Iterator[Hit]:
    for lock in evidence.strong if evidence.asks.any("refresh") else ():
        if lock.relation.kind == "materialized view":
            yield lock_hit("refresh-blocks-readers", lock)


def _scans(evidence: Evidence) -> Iterator[Hit]:
    work = evidence.statement.work
    if work.rewritten or evidence.asks.any("update", "delete", "insert", "truncate", "refresh"):
        return
    for lock in evidence.strong:
        built = [index for index in work.built if index.table == lock.relation.name]
        if lock.relation in work.scanned or built:
            rule = _first(_SCANS, evidence.asks, "scan-under-lock")
            if rule == "scan-under-lock" and any(_not_null(evidence)):
                return
            what = f"builds {names(built)}" if built else f"reads all of {lock.relation.name}"
            yield rule, f"it {what} under {lock.mode}, which {lock.blocks}", lock.relation
            if rule != "attach-partition-scans":
                return
    # REINDEX SCHEMA locks and releases table after table, so no lock is observed at its end.
    if evidence.asks.any("reindex") and not evidence.strong and work.built:
        yield "reindex-not-concurrently", f"it builds {names(work.built)} while writes wait", work.built[0]


def _partitions_elsewhere(evidence: Evidence) -> Iterator[Hit]:
    """Work on partitions that no file makes: here there is none to measure, and where it is meant for there are some."""
    rule = _first(_OF_PARTITIONS, evidence.asks, "")
    if not rule or _ONLY.search(evidence.statement.sql):
        return
    tables = [lock for lock in evidence.statement.takes if "index" not in lock.relation.kind]
    for lock in evidence.strong:
        table = lock.relation
        empty = table.kind == "partitioned table" and all(table.name != each.relation.table for each in tables)
        if empty and table.existed and bare_name(table.name) == evidence.asks.target:
            does = "builds an index on" if evidence.asks.any("index") else "reads"
            what = f"it {does} each partition of {table.name}, of which there is none here"
            yield rule, f"{what}, under {lock.mode}, which {lock.blocks}", table


def _whole_table(evidence: Evidence) -> Iterator[Hit]:
    statement, asks = evidence.statement, evidence.asks
    # ROW EXCLUSIVE shows what code and nested commands write; which command it was shows only where rows change.
    writes = {lock.relation for lock in statement.takes if lock.mode == "ROW EXCLUSIVE"}
    shown = {family(cascaded.relation) for cascaded in statement.work.cascading}
    scanned: dict[str, list[Relation]] = {}
    for relation in statement.work.scanned:
        scanned.setdefault(family(relation), []).append(relation)
    for table, relations in scanned.items():
        if table in shown:
            continue
        rows = [changed for changed in statement.work.rows if changed.relation in relations]
        updated, deleted = sum(changed.updated for changed in rows), sum(changed.deleted for changed in rows)
        targeted = asks.target in {bare_name(table), *(bare_name(relation.name) for relation in relations)}
        targeted = targeted and asks.any("update", "delete", "code")
        changes = asks.any("update", "delete", "code", "select") and (targeted or not writes.isdisjoint(relations))
        larger = [each for each in statement.work.growing if family(each.relation) == table and each.count]
        if updated or deleted:
            deletes = deleted > updated
        elif larger:
            deletes = sum(each.deleted for each in larger) > sum(each.updated for each in larger)
        elif not changes or any(changed.inserted for changed in rows):
            continue
        else:
            deletes = _only_deletes(evidence)
        rule, verb, count = ("delete", "deletes", deleted) if deletes else ("update", "updates", updated)
        what = f"{count:,} rows of the sample" if count else "every row that matches"
        yield f"{rule}-not-batched", f"it reads all of {names(relations)} and {verb} {what}", relations[0]
        shown.add(table)
    # Found through an index, by a join, in code, by a trigger: the more rows there are, the more of them it changes.
    for grown in statement.work.growing:
        if family(grown.relation) not in shown:
            rule, verb = ("delete", "deletes") if grown.deleted > grown.updated else ("update", "updates")
            verb = verb if grown.count else "locks"
            what = f"it {verb} more rows of {grown.relation.name} the more it holds"
            yield f"{rule}-not-batched", what, grown.relation


def _only_deletes(evidence: Evidence) -> bool:
    """Whether the statement, the code in it, or what it executes, has a DELETE and nothing that updates."""
    prepared = [each.statement for each in evidence.before if each.statement.name.startswith("PREPARE")]
    texts = [each.sql for each in (*prepared * evidence.statement.name.startswith("EXECUTE"), evidence.statement)]
    parts = [part for text in texts for command in commands(text) for part in tree.walk(command)]
    verbs = {enum(part, "command_type") if tree.kind(part) == "MergeWhenClause" else tree.kind(part) for part in parts}
    return bool(verbs & _DELETES) and verbs.isdisjoint(_UPDATES)


def _cascades(evidence: Evidence) -> Iterator[Hit]:
    for cascaded in evidence.statement.work.cascading:
        verb = "deletes" if cascaded.deleted > cascaded.updated else "updates"
        what = f"it {verb} more rows of {cascaded.relation.name} the more of them go with the row that it names"
        yield "cascade-changes-many", what, cascaded.relation


def _by_hand(evidence: Evidence) -> Iterator[Hit]:
    if evidence.asks.any("code") or "loop" in evidence.statement.sql.lower():
        loop = hand_loop(evidence.statement.sql)
        if loop:
            plain = f"; in place of it: {loop.plain}" if loop.plain else ""
            yield "batched-by-hand", f"it runs {loop.verb} of {loop.table} in a loop with COMMITs{plain}", None


def _unmeasured(evidence: Evidence) -> Iterator[Hit]:
    for relation in evidence.statement.work.unmeasured:
        reason = evidence.statement.trial.reason if evidence.statement.trial else None
        yield "not-measured", f"not measured: {reason or f'no sample row of {relation.name} matches'}", relation


def _not_run(evidence: Evidence) -> Iterator[Hit]:
    """EXECUTE for each row of a query that gave none here, such as one of the schemas of all tenants."""
    statement = evidence.statement
    work, trial = statement.work, statement.trial
    did = any((statement.changes, work.rows, work.rewritten, work.built, work.emptied))
    if did or not evidence.asks.any("code") or not trial or not trial.reason:
        return
    if executes_in_loop(statement.sql):
        failed = f"; with sample rows: {trial.reason}" if trial.touches else ""
        yield "loop-not-run", f"the query of its loop gave no row here, so no EXECUTE of it ran{failed}", None


def _truncate(evidence: Evidence) -> Iterator[Hit]:
    emptied = evidence.statement.work.emptied
    for lock in evidence.heads if emptied or evidence.asks.any("truncate") else ():
        if lock.relation in emptied or (evidence.asks.any("truncate") and evidence.names(lock.relation)):
            yield "truncate", f"{lock.mode} on {lock.relation.name}, and all its rows are removed", lock.relation


def _not_null(evidence: Evidence) -> Iterator[Hit]:
    asks = evidence.asks
    given = ("add column default", "add column serial", "add column identity", "add column generated")
    if not asks.any("add column not null", "add column primary key") or asks.any(*given):
        return
    empty = still_empty([earlier.statement for earlier in evidence.before])
    for lock in evidence.strong:
        if lock.relation.name in empty and lock.relation in {held.relation for held in evidence.held}:
            continue
        if bare_name(lock.relation.name) == asks.target:
            yield (
                "not-null-without-default",
                f"existing rows of {lock.relation.name} have no value for it",
                lock.relation,
            )


def _unnamed_rows(evidence: Evidence) -> Iterator[Hit]:
    for rows in evidence.statement.work.rows:
        if evidence.asks.any("update", "delete", "insert", "copy") and not evidence.names(rows.relation):
            yield "writes-other-table", str(rows), rows.relation


def _columns(evidence: Evidence) -> Iterator[Hit]:
    if evidence.asks.any("drop table", "drop view", "drop materialized view", "rename relation", "move"):
        return
    statement = evidence.statement
    for lock in evidence.heads:
        called = evidence.called(lock.relation)
        columns = [
            (change.identity, (change.before or "").split("\n")[0], (change.after or "").split("\n")[0])
            for change in statement.changes if change.kind == "column" and parts(change.identity)[-2] in called
        ]  # fmt: skip
        changed = [parts(identity)[-1] for identity, old, new in columns if old != new]
        if changed and lock.relation.kind != "view":
            what = f"the columns of {lock.relation.name} change: {', '.join(changed)}"
            yield "result-type-changes", what, lock.relation


def _first(table: Sequence[tuple[str, tuple[str, ...]]], asks: Intent, otherwise: str) -> str:
    return next((rule for rule, words in table if asks.any(*words)), otherwise)


WORK = (
    _rewrites, _scans, _partitions_elsewhere, _refresh, _not_null, _whole_table, _cascades, _by_hand, _unmeasured, _not_run,
    _truncate, _columns, _unnamed_rows,
)  # fmt: skip
