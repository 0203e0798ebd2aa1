"""The rules about indexes: those that may be invalid or needless, those that are missing, and the functions that they use."""

from collections.abc import Sequence

from pgyoyo.review.catalog_facts import Facts, ForeignKey, Index
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, listed, maker
from pgyoyo.sql import tree


def if_not_exists(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """CREATE INDEX CONCURRENTLY IF NOT EXISTS, which a failed build makes a success."""
    for each, node in each_command(evidence):
        if tree.kind(node) == "IndexStmt" and node.concurrent and node.if_not_exists:
            what = f"an invalid {node.idxname}, left by a build that failed, counts as existing"
            table = facts.existing(node.relation)
            yield each, ("concurrently-if-not-exists", what, facts.relation(table.oid) if table else None)


def needless(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """New indexes that another index of the table makes needless, and older ones that a new one does."""
    after = [index for index in facts.after.indexes.values() if index.valid]
    fresh = {index.oid for index in after if index.oid not in facts.before.indexes}
    for index in after:
        for second in after if index.oid in fresh else [each for each in after if each.oid in fresh]:
            if second.oid == index.oid or second.table != index.table or not _covers(second, index):
                continue
            same = len(second.keys) == len(index.keys) and _begins(second, index)
            if same and _covers(index, second) and index.oid < second.oid:
                continue  # of two that are alike, the newer is reported
            newest = max(index, second, key=lambda each: each.oid)
            rule = "duplicate-index" if same and index.oid in fresh else "redundant-index"
            how = "has the same columns" if same else "begins with the same columns"
            what = f"{index.name} is needless: {second.name} {how}"
            yield maker(evidence, newest.name), (rule, what, facts.relation(index.table))
            break


def without_index(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """New foreign keys on whose columns there is no index."""
    for key in facts.after.foreign_keys.values():
        if key.oid not in facts.before.foreign_keys and not key.indexed:
            table = facts.after.tables.get(key.table)
            referenced = facts.after.tables.get(key.references)
            if table and referenced and not table.partition:
                what = f"no index of {table.name} begins with {listed(key.columns)}; {referenced.name} is referenced"
                yield _of_key(evidence, key, table.name), ("foreign-key-without-index", what, facts.relation(key.table))


def stored_results(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Functions with another definition whose earlier results are stored in indexes, columns or proven by constraints."""
    for oid, (name, by, digest) in facts.before.functions.items():
        now = facts.after.functions.get(oid)
        if now and now[2] != digest:
            what = f"{name} is used by {listed(by)}, whose rows are not looked at again"
            yield _of_function(evidence, name), ("function-in-index", what, None)


def _covers(wider: Index, index: Index) -> bool:
    """Whether the other index does all that the index does."""
    if index.where != wider.where and wider.where is not None:
        return False
    if index.constraint or index.method != wider.method or index.include:
        return False
    if index.unique:
        return (
            wider.unique and len(wider.keys) == len(index.keys) and _begins(wider, index) and wider.where == index.where
        )
    if index.where != wider.where:
        return False
    return _begins(wider, index) and (index.method == "btree" or wider.keys == index.keys)


def _begins(wider: Index, index: Index) -> bool:
    """Whether it begins with the keys of the other index; a B-tree that is read backwards has all of them the other way."""
    keys = wider.keys[: len(index.keys)]
    return index.keys in (keys, tuple(map(_backwards, keys)) if index.method == "btree" else keys)


def _backwards(key: str) -> str:
    """A key in the other order: DESC, and NULLS FIRST, are the bits of its last number."""
    name, _, option = key.rpartition(" ")
    return f"{name} {int(option) ^ 3}"


def _of_key(evidence: Sequence[Evidence], key: ForeignKey, table: str) -> Evidence:
    for each in evidence:
        if any(
            change.kind == "constraint" and change.identity == f"{key.name} on {table}"
            for change in each.statement.changes
        ):
            return each
    return maker(evidence, table)


def _of_function(evidence: Sequence[Evidence], name: str) -> Evidence:
    for each in evidence:
        for change in each.statement.changes:
            if change.kind in ("function", "procedure") and f".{name}(" in change.identity.replace('"', ""):
                return each
    return evidence[-1]


INDEXES = (if_not_exists, needless, without_index, stored_results)
