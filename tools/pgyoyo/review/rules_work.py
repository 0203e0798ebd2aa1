"""The rules about what a statement does: tables that it writes anew, reads whole, or changes the rows of."""

from collections.abc import Iterator, Sequence

from pgyoyo.review.evidence import Case, Hit, bare_name, family, names, parts
from pgyoyo.review.sheet import Relation
from pgyoyo.sql.intent import Asked

# Why a statement rewrites a table, or reads all of it, under a lock that it takes; the first that fits counts.
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
)


def _rewrites(case: Case) -> Iterator[Hit]:
    for relation in case.seen.work.rewritten:
        if relation.kind == "materialized view":
            continue
        rule = _first(_REWRITES, case.asks, "table-rewrite")
        yield rule, f"{relation.name} and its indexes are written anew", relation


def _refresh(case: Case) -> Iterator[Hit]:
    for lock in case.strong if case.asks.any("refresh") else ():
        if lock.relation.kind == "materialized view":
            yield "refresh-blocks-readers", f"{lock.mode} on {lock.relation.name}: {lock.blocks}", lock.relation


def _scans(case: Case) -> Iterator[Hit]:
    work = case.seen.work
    if work.rewritten or case.asks.any("update", "delete", "insert", "truncate", "refresh"):
        return
    for lock in case.strong:
        built = [one for one in work.built if one.table == lock.relation.name]
        if lock.relation in work.scanned or built:
            rule = _first(_SCANS, case.asks, "scan-under-lock")
            if rule == "scan-under-lock" and any(_not_null(case)):
                return
            what = f"builds {names(built)}" if built else f"reads all of {lock.relation.name}"
            yield rule, f"it {what} under {lock.mode}, which {lock.blocks}", lock.relation
            if rule != "attach-partition-scans":
                return
    # REINDEX SCHEMA takes and leaves the tables one after the other; what it holds meanwhile is not seen.
    if case.asks.any("reindex") and not case.strong and work.built:
        yield "reindex-not-concurrently", f"it builds {names(work.built)}, while writes wait", work.built[0]


def _whole_table(case: Case) -> Iterator[Hit]:
    # ROW EXCLUSIVE says what code and nested commands write; how, shows only where there are rows.
    writes = {lock.relation for lock in case.seen.takes if lock.mode == "ROW EXCLUSIVE"}
    scanned: dict[str, list[Relation]] = {}
    for relation in case.seen.work.scanned:
        scanned.setdefault(family(relation), []).append(relation)
    for table, relations in scanned.items():
        rows = [one for one in case.seen.work.rows if one.relation in relations]
        updated, deleted = sum(one.updated for one in rows), sum(one.deleted for one in rows)
        aimed = case.asks.target in {bare_name(table), *(bare_name(one.name) for one in relations)}
        changes = case.asks.any("update", "delete", "code", "select") and (aimed or not writes.isdisjoint(relations))
        if updated or deleted:
            deletes = deleted > updated
        elif not changes or any(one.inserted for one in rows):
            continue
        else:
            deletes = case.asks.any("delete") and not case.asks.any("update")
        rule, verb, count = ("delete", "deletes", deleted) if deletes else ("update", "updates", updated)
        yield f"{rule}-not-batched", f"it reads all of {names(relations)} and {verb} {_what(count)}", relations[0]


def _truncate(case: Case) -> Iterator[Hit]:
    for lock in case.heads if case.asks.any("truncate") else ():
        if lock.relation in case.seen.work.emptied or case.names(lock.relation):
            yield "truncate", f"{lock.mode} on {lock.relation.name}, and all its rows are gone", lock.relation


def _not_null(case: Case) -> Iterator[Hit]:
    given = ("add column default", "add column serial", "add column identity", "add column generated")
    if not case.asks.any("add column not null", "add column primary key") or case.asks.any(*given):
        return
    for lock in case.strong:
        if bare_name(lock.relation.name) == case.asks.target:
            yield "not-null-without-default", f"no row of {lock.relation.name} can have a value for it", lock.relation


def _other_rows(case: Case) -> Iterator[Hit]:
    for rows in case.seen.work.rows:
        if case.asks.any("update", "delete", "insert", "copy") and not case.names(rows.relation):
            yield "writes-other-table", str(rows), rows.relation


def _columns(case: Case) -> Iterator[Hit]:
    if case.asks.any("drop table", "drop view", "drop materialized view", "rename relation", "move"):
        return
    for lock in case.heads:
        called = case.called(lock.relation)
        columns = [one for one in case.seen.changes if one.kind == "column" and parts(one.identity)[-2] in called]
        types = [(one, (one.before or "").split("\n")[0], (one.after or "").split("\n")[0]) for one in columns]
        changed = [parts(one.identity)[-1] for one, old, new in types if old != new]
        if changed and lock.relation.kind != "view":
            what = f"the columns of {lock.relation.name} change: {', '.join(changed)}"
            yield "result-type-changes", what, lock.relation
        for one, old, new in types:
            other_zone = old.startswith("timestamp") and new.startswith("timestamp") and old[-20:] != new[-20:]
            if other_zone and lock.relation not in case.seen.work.rewritten:
                yield "timezone-dependent-type", f"{one.identity}: {old} → {new}", lock.relation


def _first(table: Sequence[tuple[str, tuple[str, ...]]], asks: Asked, otherwise: str) -> str:
    return next((rule for rule, words in table if asks.any(*words)), otherwise)


def _what(count: int) -> str:
    return f"{count:,} rows of the sample" if count else "what it finds"


WORK = (_rewrites, _scans, _refresh, _not_null, _whole_table, _truncate, _columns, _other_rows)
